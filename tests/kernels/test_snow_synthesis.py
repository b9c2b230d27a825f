from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels import naive_snow_synthesis as naive
from thalweg.kernels import snow_synthesis as synthesis
from thalweg.kernels.snow_synthesis import Rules

LIS_LAYERS = ("SCD", "SOD", "SMOD", "NSP", "NOBS", "CCD")

RULES = st.one_of(
    st.builds(Rules, lis=st.just(True), min_snow_days=st.sampled_from([0, 2, 10])),
    st.builds(
        Rules,
        fsc=st.booleans(),
        max_gap_days=st.one_of(st.none(), st.integers(0, 30), st.just(10**6)),
        min_snow_days=st.sampled_from([0, 2, 10]),
    ),
)
VALUES = st.one_of(
    st.sampled_from([0, 100, 205, 255]), st.sampled_from([1, 49, 50, 51, 101, 210, 254]), st.integers(0, 100)
)


@st.composite
def seasons(draw: st.DrawFn) -> dict[str, Any]:
    """Dates, values (date, pixel) and output days, some of which a list leaves out."""
    start, length = draw(st.integers(-5, 20)), draw(st.integers(1, 40))
    dates = sorted(draw(st.sets(st.integers(-20, 60), min_size=1, max_size=9)))
    values = [draw(st.lists(VALUES, min_size=3, max_size=3)) for _ in dates]
    every = list(range(start, start + length))
    outputs = draw(st.one_of(st.just(every), st.sets(st.sampled_from(every), min_size=1).map(sorted)))
    return {"dates": dates, "values": values, "outputs": outputs, "start": start, "stop": start + length - 1}


def stacked(values: Any) -> Any:
    return np.array(values, dtype=np.uint8)[:, None, :]


def computed(season: dict[str, Any], rules: Rules, stack: Any = None) -> tuple[dict[str, Any], Any]:
    days = synthesis.season(
        season["dates"], season["outputs"], season["start"], season["stop"], lis=rules.lis
    )
    stack = stacked(season["values"]) if stack is None else stack
    layers = np.empty((len(synthesis.LAYERS), *stack.shape[1:]), np.uint16)
    daily = np.empty((days.days, *stack.shape[1:]), np.uint8)
    synthesis.synthesise(stack, days, rules, layers)
    synthesis.unroll(stack, days, rules, daily)
    return dict(zip(synthesis.LAYERS, layers, strict=True)), daily


def pixel(season: dict[str, Any], column: int) -> tuple[list[int], list[int]]:
    return season["dates"], [row[column] for row in season["values"]]


@given(seasons(), RULES)
def test_layers_and_days_equal_naive(season: dict[str, Any], rules: Rules) -> None:
    layers, daily = computed(season, rules)
    options: dict[str, Any] = {"lis": rules.lis, "fsc": rules.fsc, "max_gap_days": rules.max_gap_days}
    for column in range(3):
        args = (*pixel(season, column), season["outputs"])
        expected = naive.layers(
            *args, season["start"], season["stop"], min_snow_days=rules.min_snow_days, **options
        )
        compared = LIS_LAYERS if rules.lis else synthesis.LAYERS
        assert {name: int(layers[name][0, column]) for name in compared} == {
            name: expected[name] for name in compared
        }
        assert daily[:, 0, column].tolist() == naive.daily(*args, **options)


@given(seasons(), RULES)
def test_what_the_layers_owe_to_each_other(season: dict[str, Any], rules: Rules) -> None:
    layers, daily = computed(season, rules)
    days = len(season["outputs"])
    known = layers["SCD"] != synthesis.NONE
    counted = sum(rules.lis or season["start"] <= day <= season["stop"] for day in season["dates"])
    assert (layers["NOBS"] + layers["CCD"] == counted).all()
    assert (layers["SCD"][known] <= days).all()
    assert (layers["LRUN"][known] <= layers["SCD"][known]).all()
    np.testing.assert_array_equal(layers["SCD"][known], (daily == 1).sum(axis=0)[known])
    set_ = known & (layers["SCD"] > rules.min_snow_days)
    length = layers["SMOD"].astype(int) - layers["SOD"] + 1
    np.testing.assert_array_equal(length[set_], layers["LRUN"][set_])


@given(seasons(), RULES, st.integers(-25, 65))
def test_a_masked_date_changes_nothing_but_the_count_of_masked_dates(
    season: dict[str, Any], rules: Rules, day: int
) -> None:
    if day in season["dates"]:
        return
    dates = sorted([*season["dates"], day])
    values = list(season["values"])
    values.insert(dates.index(day), [205, 255, 254])
    layers, daily = computed(season, rules)
    more_layers, more_daily = computed({**season, "dates": dates, "values": values}, rules)
    np.testing.assert_array_equal(daily, more_daily)
    counts = int(rules.lis or season["start"] <= day <= season["stop"])
    for name, layer in layers.items():
        np.testing.assert_array_equal(
            more_layers[name], layer + (counts if name == "CCD" else 0), err_msg=name
        )


@given(seasons(), RULES, st.integers(1, 39))
def test_days_of_two_periods_join_to_those_of_the_whole(
    season: dict[str, Any], rules: Rules, cut: int
) -> None:
    outputs = season["outputs"]
    if cut >= len(outputs):
        return
    parts = [computed({**season, "outputs": part}, rules)[1] for part in (outputs[:cut], outputs[cut:])]
    np.testing.assert_array_equal(np.concatenate(parts), computed(season, rules)[1])


@given(seasons(), RULES)
def test_wide_blocks_equal_single_pixels(season: dict[str, Any], rules: Rules) -> None:
    wide = np.ascontiguousarray(np.tile(stacked(season["values"]), (1, 2, 7)))
    layers, daily = computed(season, rules)
    wide_layers, wide_daily = computed(season, rules, wide)
    np.testing.assert_array_equal(wide_daily, np.tile(daily, (1, 2, 7)))
    for name, layer in layers.items():
        np.testing.assert_array_equal(wide_layers[name], np.tile(layer, (2, 7)), err_msg=name)


@given(seasons(), st.booleans())
def test_a_gap_limit_longer_than_the_season_is_none(season: dict[str, Any], fsc: bool) -> None:
    layers, daily = computed(season, Rules(fsc=fsc))
    limited_layers, limited_daily = computed(season, Rules(fsc=fsc, max_gap_days=200))
    np.testing.assert_array_equal(limited_daily, daily)
    assert all((limited_layers[name] == layer).all() for name, layer in layers.items())


@given(seasons())
def test_profiles_differ_by_at_most_the_run_on_the_first_day(season: dict[str, Any]) -> None:
    values = [[value if value != 210 else 0 for value in row] for row in season["values"]]
    clean = {**season, "values": [[v if v <= 100 else 255 for v in row] for row in values]}
    default, lis = computed(clean, Rules())[0], computed(clean, Rules(lis=True))[0]
    seen = default["NSP"] != synthesis.NONE
    assert set((default["NSP"].astype(int) - lis["NSP"])[seen].tolist()) <= {0, 1}
    np.testing.assert_array_equal(default["SCD"][seen], lis["SCD"][seen])


@given(st.lists(st.integers(0, 255), min_size=1, max_size=4))
def test_merged_day_equals_naive(values: list[int]) -> None:
    merged = np.array([values[:1]], np.uint8)
    for value in values[1:]:
        synthesis.merge_day(merged, np.array([[value]], np.uint8))
    assert merged[0, 0] == naive.merged_day(values)


def test_a_season_needs_ascending_days_of_a_bounded_span() -> None:
    with pytest.raises(ValueError, match="no dates"):
        synthesis.season([], [1], 1, 1)
    with pytest.raises(ValueError, match="dates must ascend"):
        synthesis.season([2, 2], [1], 1, 1)
    with pytest.raises(ValueError, match="outputs must ascend"):
        synthesis.season([2], [3, 1], 1, 3)
    with pytest.raises(ValueError, match="9000 days"):
        synthesis.season([0, 9000], [1], 1, 1)


def test_the_longest_span_is_right_to_the_last_day() -> None:
    season = {
        "dates": [0, 8998],
        "values": [[100], [0]],
        "outputs": list(range(8999)),
        "start": 0,
        "stop": 8998,
    }
    layers, daily = computed(season, Rules())
    assert layers["SCD"][0, 0] == 4500
    assert layers["GAPMAX"][0, 0] == 8998
    assert daily[:, 0, 0].tolist() == [1] * 4500 + [0] * 4499


@pytest.fixture(scope="module")
def vectors(shared: Path) -> dict[str, Any]:
    text = (shared / "conformance" / "snow" / "vectors" / "gapfill.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def test_naive_interpolation_equals_the_public_vectors(vectors: dict[str, Any]) -> None:
    for vector in vectors["linear_gap_filling"]:
        clear = [k for k, masked in enumerate(vector["mask"]) if not masked]
        dates, values = ([vector[name][k] for k in clear] for name in ("input_dates", "values"))
        found = [float(naive.linear(dates, values, day)) for day in vector["output_dates"]]
        np.testing.assert_allclose(found, vector["expected"], atol=vectors["tolerance_linear"])


def check_vector(vector: dict[str, Any], covers: Any, expected: dict[str, Any], rules: Rules) -> None:
    days = vector["n_days"]
    values = [[255 if masked else value] for value, masked in zip(covers, vector["masked"], strict=True)]
    season = {"dates": vector["observation_days"], "values": values}
    layers, daily = computed({**season, "outputs": list(range(days)), "start": 0, "stop": days - 1}, rules)
    found = {name: int(layer[0, 0]) for name, layer in layers.items()} | {"daily": daily[:, 0, 0].tolist()}
    assert {name: found[name] for name in expected} == expected, vector["name"]


def test_frozen_daily_snow_vectors(vectors: dict[str, Any]) -> None:
    by_name = {vector["name"]: vector for vector in vectors["daily_snow"]}
    for vector in by_name.values():
        covers = [100 * snow for snow in vector["snow"]]
        check_vector(vector, covers, vector["lis"], Rules(lis=True))
        check_vector(vector, covers, vector["default"], Rules())
    for limited in vectors["daily_snow_max_gap"]:
        vector = by_name[limited["name"]]
        covers = [100 * snow for snow in vector["snow"]]
        check_vector(vector, covers, limited["default"], Rules(max_gap_days=limited["max_gap_days"]))


def test_frozen_fractional_vectors(vectors: dict[str, Any]) -> None:
    for vector in vectors["daily_fsc"]:
        check_vector(vector, vector["fsc"], vector["default"], Rules(fsc=True))


def test_frozen_same_day_merges(vectors: dict[str, Any]) -> None:
    for vector in vectors["same_day_merge"]["vectors"]:
        assert naive.merged_day(vector["values"]) == vector["expected"]


def read(path: Path) -> Any:
    with rasterio.open(path) as source:
        return source.read(1), source.transform


def onto(values: Any, transform: Any, grid: Any, shape: tuple[int, ...]) -> Any:
    """Nearest neighbour onto another grid, 255 outside; a centre on an edge goes to the larger index."""
    row, column = np.mgrid[: shape[0], : shape[1]]
    x, y = grid.c + grid.a * (column + 0.5), grid.f + grid.e * (row + 0.5)
    source_column = np.floor((x - transform.c) / transform.a).astype(int)
    source_row = np.floor((transform.f - y) / -transform.e).astype(int)
    inside = (source_row >= 0) & (source_row < values.shape[0]) & (source_column >= 0)
    inside &= source_column < values.shape[1]
    out = np.full(shape, 255, np.uint8)
    out[inside] = values[source_row[inside], source_column[inside]]
    return out


def day_of(name: str) -> int:
    found = re.search(r"_(\d{8})[-T]", name)
    assert found is not None
    return datetime.strptime(found[1], "%Y%m%d").toordinal()


def season_of(folder: Path) -> dict[str, Any]:
    """The products of a launch, one merged observation per day, and the days of its period."""
    launch = json.loads((folder / "launch.json").read_text("utf-8"))
    days = defaultdict(list)
    first = None
    for name in (*launch["input_products_list"], *launch["densification_products_list"]):
        if launch["tile_id"] not in name:
            continue
        values, transform = read(next((folder / "input" / name).glob("[!Q]*.tif")))
        first = first or (transform, values.shape)
        days[day_of(name)].append(
            values if transform == first[0] and values.shape == first[1] else onto(values, transform, *first)
        )
    return {"launch": launch, "days": {day: merged(parts) for day, parts in sorted(days.items())}}


def merged(parts: list[Any]) -> Any:
    out = parts[0].copy()
    for part in parts[1:]:
        synthesis.merge_day(out, np.ascontiguousarray(part))
    return out


def period(launch: dict[str, Any]) -> tuple[int, int]:
    start, stop = (
        datetime.strptime(launch[key], "%d/%m/%Y").toordinal() for key in ("date_start", "date_stop")
    )
    return start, stop


def conformance(folder: Path, rules: Rules) -> tuple[dict[str, Any], Any]:
    loaded = season_of(folder)
    start, stop = period(loaded["launch"])
    margin = loaded["launch"]["date_margin"]
    last = stop + margin - (1 if rules.lis else 0)
    kept = {day: values for day, values in loaded["days"].items() if start - margin <= day <= last}
    season = {"dates": list(kept), "outputs": list(range(start, stop + 1)), "start": start, "stop": stop}
    return computed(season, rules, np.stack(list(kept.values())))


CASES = {
    ("season_s2l8", "expected_lis"): Rules(lis=True),
    ("season_s2l8", "expected_default"): Rules(),
    ("season_s2l8", "expected_default_maxgap30"): Rules(max_gap_days=30),
    ("season_s2l8", "expected_default_fsc"): Rules(fsc=True),
    ("season_small", "expected_lis"): Rules(lis=True),
    ("season_small", "expected_default"): Rules(),
    ("season_small", "expected_default_maxgap12"): Rules(max_gap_days=12),
    ("season_small", "expected_default_fsc"): Rules(fsc=True),
}


@pytest.mark.parametrize(("case", "expected"), CASES, ids="/".join)
def test_frozen_season(shared: Path, case: str, expected: str) -> None:
    folder = shared / "conformance" / "snow" / "synthesis" / case
    layers, daily = conformance(folder, CASES[case, expected])
    rasters = [path for path in (folder / expected).glob("*.tif") if "peer" not in path.name]
    assert len(rasters) >= 4
    for path in rasters:
        np.testing.assert_array_equal(layers[path.stem.upper()], read(path)[0], err_msg=path.name)
    for name, days in expected_days(folder / expected, len(daily)).items():
        np.testing.assert_array_equal(daily, days, err_msg=name)


def expected_days(folder: Path, n_days: int) -> dict[str, Any]:
    unpack: dict[str, Callable[[Any], Any]] = {
        "daily.npz": lambda file: file[file.files[0]],
        "daily_packed.npz": lambda file: np.unpackbits(file["bits"], axis=0, count=n_days),
    }
    return {
        name: read_days(np.load(folder / name))
        for name, read_days in unpack.items()
        if (folder / name).exists()
    }


def test_day_numbers_are_those_of_the_calendar() -> None:
    assert day_of("LIS_S2-SNOW-FSC_T31TCH_20201103T105912_1.11.0") == date(2020, 11, 3).toordinal()
