"""Which granules enter a plan: the columns against a slow and readable twin."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from thalweg.campaign.campaign_file import Gates
from thalweg.campaign.selection import select
from thalweg.providers.found import Found, table_of

START = datetime(2024, 1, 1, tzinfo=UTC)

GRANULES = st.builds(
    Found,
    id=st.sampled_from([f"G{number}" for number in range(30)]),
    path=st.sampled_from(["/a", "/b", "/c"]),
    format=st.sampled_from(["safe", "safe", "muscate"]),
    tile=st.sampled_from(["31TCH", "31TCJ"]),
    sensed=st.sampled_from([0, 20, 59, 61, 86_400, 86_430]).map(lambda s: START + timedelta(seconds=s)),
    platform=st.sampled_from(["S2A", "S2B"]),
    level=st.sampled_from(["L2A", "L2A", "L1C"]),
    baseline=st.sampled_from(["", "05.09", "05.10", "V3-1"]),
    cloud_cover=st.sampled_from([None, 10.0, 60.0, 100.0]),
)


def naive(
    granules: Iterable[Found], most: float | None, levels: set[str]
) -> tuple[set[Found], dict[Found, str]]:
    """Granules that are kept, and those that are not with the reason."""
    rows = sorted(set(granules), key=lambda each: (each.tile, each.sensed, each.id, each.path))
    kept, passed = set(), {}
    before: tuple[str, str] | None = None
    for each in rows:
        is_repeated, before = before == (each.tile, each.id), (each.tile, each.id)
        if each.level not in levels:
            passed[each] = "level"
        elif most is not None and each.cloud_cover is not None and each.cloud_cover > most:
            passed[each] = "cloud"
        elif is_repeated:
            passed[each] = "duplicate"
        else:
            kept.add(each)
    for group in acquisitions(kept):
        newest = max(rank(each.baseline) for each in group)
        for each in group:
            if rank(each.baseline) < newest:
                kept.remove(each)
                passed[each] = "baseline"
    return kept, passed


def acquisitions(granules: set[Found]) -> list[list[Found]]:
    """Granules of one acquisition together: each begins at most a minute after the one before."""
    groups: list[list[Found]] = []
    for each in sorted(granules, key=lambda each: (key(each), each.sensed)):
        last = groups[-1][-1] if groups else None
        if last and key(last) == key(each) and each.sensed - last.sensed <= timedelta(seconds=60):
            groups[-1].append(each)
        else:
            groups.append([each])
    return groups


def key(granule: Found) -> tuple[str, str, str, str]:
    return granule.tile, granule.platform, granule.level, granule.format


def rank(baseline: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", baseline))


def unique(granules: list[Found]) -> list[Found]:
    """Granules that differ in what they are sorted by, so that their order is one."""
    return list({(each.tile, each.sensed, each.id, each.path): each for each in granules}.values())


@given(
    granules=st.lists(GRANULES, max_size=12).map(unique),
    most=st.sampled_from([None, 50.0]),
    levels=st.sampled_from([{"L2A"}, {"L2A", "L1C"}]),
    data=st.data(),
)
def test_columns_choose_as_the_twin_does(
    granules: list[Found], most: float | None, levels: set[str], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(granules))
    selection = select(table_of(order), Gates(most), levels)
    kept, passed = naive(granules, most, levels)
    assert {Found(**row) for row in selection.kept.to_pylist()} == kept
    rows = selection.passed_over.to_pylist()
    assert {
        Found(**{name: row[name] for name in row if name != "reason"}): row["reason"] for row in rows
    } == passed
