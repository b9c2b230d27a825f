"""The counters' state: what it refuses, what it forgives, and that it is a function of the set of products alone."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import thalweg
from tests.water_products import grid_of, write_product
from thalweg.chains.water_synthesis import COUNTERS, water_synthesis
from thalweg.errors import BadInput, ServiceUnavailable
from thalweg.grid import Grid
from thalweg.raster import Raster
from thalweg.series import Member, acquisition_name
from thalweg.state import Arrival, opened_state, state_folder

zarr = pytest.importorskip("zarr")

COUNTING = water_synthesis.counting
assert COUNTING is not None
SHAPE = (2, 3)
GRID = grid_of(SHAPE)
MORNING = datetime(2021, 1, 15, 10, 23, 41, tzinfo=UTC)


class Held:
    """Pixels in memory."""

    def __init__(self, mask: NDArray[np.uint8], grid: Grid = GRID) -> None:
        self.mask, self.grid = mask, grid

    def rows(self, first: int, last: int) -> NDArray[np.uint8]:
        return self.mask[first:last]


def arrival(
    value: int | list[list[int]] = 1,
    version: str = "1.0.0",
    sensed: datetime = MORNING,
    grid: Grid = GRID,
    **changes: Any,
) -> Arrival:
    """A product of S2A with a mask of one value, or of several."""
    mask = np.broadcast_to(np.asarray(value, np.uint8), SHAPE).copy()
    acquisition = acquisition_name("S2A", f"{sensed:%Y%m%dT%H%M%S}", 51, "31TFJ")
    name = f"{acquisition}_{version}_{hashlib.sha256(mask.tobytes()).hexdigest()[:6]}"
    member = Member(
        name,
        "31TFJ",
        sensed,
        "S2A",
        "water",
        Raster(Path(name)),
        acquisition,
        version,
        orbit=51,
        origin="default",
    )
    file = hashlib.sha256(mask.tobytes() + version.encode()).hexdigest()
    return Arrival(replace(member, **changes), file, lambda: Held(mask, grid))


def receive(folder: Path, *arrivals: Arrival) -> dict[str, Any]:
    """What the state holds after these, counters as lists."""
    with opened_state(folder, "31TFJ", GRID, COUNTING) as state:
        state.receive(arrivals)
        document = state.document()
        counters = {month: state.reader(month).rows(0, SHAPE[0]) for month in state.months()}
    if document["months"]:
        assert json.loads((folder / "state.json").read_text()) == document
    return {
        "document": document,
        **{f"{month}/{name}": rows[name].tolist() for month, rows in counters.items() for name in COUNTERS},
    }


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def test_one_version_with_other_pixels_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    receive(tmp_path, arrival(1))
    before = content(tmp_path)
    with pytest.raises(BadInput, match="E_CONFLICT") as refused:
        receive(tmp_path, arrival(0))
    hashes = [hashlib.sha256(np.full(SHAPE, value, np.uint8).tobytes()).hexdigest() for value in (0, 1)]
    assert all(each in str(refused.value) for each in hashes)
    assert content(tmp_path) == before


def test_what_came_before_a_conflict_is_counted(tmp_path: Path) -> None:
    later = arrival(1, sensed=MORNING + timedelta(days=2))
    with pytest.raises(BadInput, match="E_CONFLICT"):
        receive(tmp_path / "a", arrival(1), later, arrival(0))
    assert receive(tmp_path / "a") == receive(tmp_path / "b", arrival(1), later)


def test_a_withdrawn_product_counts_as_never_observed(tmp_path: Path) -> None:
    found = receive(tmp_path, arrival(1), arrival(0, sensed=MORNING + timedelta(days=5)))
    assert found["2021-01/n_valid"] == [[2] * 3] * 2
    found = receive(tmp_path, arrival(1, withdrawn=True))
    assert found["2021-01/n_valid"] == [[1] * 3] * 2
    assert found["2021-01/n_water"] == [[0] * 3] * 2
    assert found["2021-01/last_water_date"] == [[0] * 3] * 2


def test_a_newer_version_brings_a_withdrawn_acquisition_back(tmp_path: Path) -> None:
    found = receive(
        tmp_path, arrival(1, withdrawn=True), arrival(1, version="1.10.0"), arrival(0, version="1.9.0")
    )
    assert found["2021-01/n_water"] == [[1] * 3] * 2


def test_datastrips_of_a_pass_count_once_on_the_day_of_the_earliest(tmp_path: Path) -> None:
    first = arrival([[0, 255, 255], [0, 0, 255]])
    second = arrival([[1, 1, 255], [0, 255, 255]], sensed=MORNING + timedelta(seconds=14))
    found = receive(tmp_path, second, first)
    assert found["2021-01/n_valid"] == [[1, 1, 0], [1, 1, 0]]
    assert found["2021-01/n_water"] == [[1, 1, 0], [0, 0, 0]]


def test_another_grid_is_refused(tmp_path: Path) -> None:
    receive(tmp_path, arrival())
    with pytest.raises(BadInput, match="E_GRID"):
        receive(tmp_path, arrival(sensed=MORNING + timedelta(days=1), grid=replace(GRID, left=600010.0)))
    with (
        pytest.raises(BadInput, match="E_GRID"),
        opened_state(tmp_path, "31TFJ", replace(GRID, left=600010.0), COUNTING),
    ):
        pass


def test_a_second_owner_is_told_who_the_first_one_is(tmp_path: Path) -> None:
    with opened_state(tmp_path, "31TFJ", GRID, COUNTING):
        with pytest.raises(ServiceUnavailable, match=r"E_LOCK.*process \d+ on .* for 0 s") as refused:
            receive(tmp_path, arrival())
        assert refused.value.code == 24
    receive(tmp_path, arrival())


def test_a_newer_layout_is_refused(tmp_path: Path) -> None:
    receive(tmp_path, arrival())
    zarr.open_group(tmp_path, mode="r+").attrs["schema"] = 99
    with pytest.raises(BadInput, match=r"E_STATE.*99.*1"):
        receive(tmp_path)


def test_counters_that_were_changed_are_found_out(tmp_path: Path) -> None:
    receive(tmp_path, arrival())
    zarr.open_array(tmp_path / "months" / "2021-01" / "n_water", mode="r+")[0, 0] = 7
    with pytest.raises(BadInput, match=r"E_STATE.*digest"):
        receive(tmp_path)


def test_a_document_that_was_changed_is_found_out(tmp_path: Path) -> None:
    receive(tmp_path, arrival())
    document = json.loads((tmp_path / "state.json").read_text())
    document["counted"] = []
    (tmp_path / "state.json").write_text(json.dumps(document))
    with pytest.raises(BadInput, match=r"E_STATE.*state\.json"):
        receive(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"versions": []}', '{"versions": [{}]}'])
def test_a_damaged_ledger_is_named(text: str, tmp_path: Path) -> None:
    receive(tmp_path, arrival())
    (entry,) = (tmp_path / "ledger").glob("*.json")
    entry.write_text(text)
    with pytest.raises(BadInput, match=entry.name):
        receive(tmp_path)


@pytest.mark.parametrize("lost", ["contrib", "months"])
def test_a_store_with_a_part_missing_is_damaged(lost: str, tmp_path: Path) -> None:
    receive(tmp_path, arrival())
    shutil.rmtree(tmp_path / lost)
    with pytest.raises(BadInput, match="E_STATE"):
        receive(tmp_path, arrival(0, sensed=MORNING + timedelta(seconds=9)))


def test_a_count_that_is_full_is_told(tmp_path: Path) -> None:
    full = replace(COUNTING, count=lambda counters, water, day: 1)
    with (
        pytest.raises(BadInput, match=r"E_OVERFLOW.*2021-01"),
        opened_state(tmp_path, "31TFJ", GRID, full) as state,
    ):
        state.receive([arrival()])


def test_products_asked_for_differently_never_meet(tmp_path: Path) -> None:
    mask = np.ones((4, 5), np.uint8)
    fixed: dict[str, Any] = {"platform": "S2A", "sensed": MORNING, "orbit": 51, "version": "1.0.0"}
    write_product(tmp_path / "in", mask, **fixed)
    write_product(tmp_path / "in", 1 - mask, changed={"detector": "cluster"}, **fixed)
    endings = thalweg.run(tmp_path / "in", "water_synthesis", to=tmp_path / "out", period="2021-01")
    assert [one.state for one in endings] == ["done", "done"]
    assert len({one.unit for one in endings}) == 2
    stores = {path.name for path in (tmp_path / "out" / "state" / "T31TFJ").iterdir()}
    assert "OPTICAL.zarr" in stores
    assert len(stores) == 2


def test_where_a_state_lies() -> None:
    assert state_folder(Path("out"), "31TFJ", "OPTICAL", "default") == Path("out/state/T31TFJ/OPTICAL.zarr")


MASKS = st.lists(st.lists(st.sampled_from([0, 1, 255]), min_size=3, max_size=3), min_size=2, max_size=2)


@st.composite
def products(draw: st.DrawFn) -> list[Arrival]:
    """Products of few acquisitions, in several versions, some withdrawn; no two of one version differ."""
    keys = draw(
        st.lists(
            st.tuples(
                st.integers(0, 3), st.sampled_from([0, 14]), st.sampled_from(["1.0.0", "1.2.0", "1.10.0"])
            ),
            min_size=1,
            max_size=5,
            unique=True,
        )
    )
    return [
        arrival(
            draw(MASKS),
            version,
            MORNING + timedelta(days=12 * step, seconds=seconds),
            withdrawn=draw(st.sampled_from([False, False, True])),
        )
        for step, seconds, version in keys
    ]


@given(products(), st.data())
@settings(max_examples=8)
def test_order_and_repetition_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, some: list[Arrival], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("state")
    whole = receive(folder / "whole", *some)
    shuffled = data.draw(st.permutations([*some, *some[: data.draw(st.integers(0, len(some)))]]))
    cut = data.draw(st.integers(0, len(shuffled)))
    receive(folder / "parts", *shuffled[:cut])
    assert receive(folder / "parts", *shuffled[cut:]) == whole
    assert counted(some) == whole["2021-01/n_valid"] if "2021-01/n_valid" in whole else True


def counted(some: Iterable[Arrival]) -> list[list[int]]:
    """Valid observations of January, by the rules alone."""
    best: dict[str, Arrival] = {}
    for one in some:
        known = best.get(one.member.acquisition)
        if known is None or one.member.rank > known.member.rank:
            best[one.member.acquisition] = one
    seen: dict[str, NDArray[np.bool_]] = {}
    for one in best.values():
        if one.member.day.month == 1 and not one.member.withdrawn:
            valid = one.open().rows(0, SHAPE[0]) <= 1
            seen[one.member.observation] = seen.get(one.member.observation, np.zeros(SHAPE, bool)) | valid
    return np.sum([np.zeros(SHAPE, int), *(each.astype(int) for each in seen.values())], axis=0).tolist()
