from __future__ import annotations

import json
from pathlib import Path
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.kernels import naive_snowline as naive
from thalweg.kernels import snow, snowline

SHAPE = (7, 10)
BARRED = snow.NODATA | snow.WATER
STATES = hnp.arrays(
    np.uint16, SHAPE, elements=st.sampled_from([0, 0, snow.SNOW1, snow.CLOUD1, 288, snow.NODATA, 34])
)
PLAIN = st.integers(300, 1700)
ODD = st.one_of(PLAIN, st.sampled_from([-32768, -414, -413, 8850, 8851, 32767]))
DEMS = st.one_of(hnp.arrays(np.int16, SHAPE, elements=PLAIN), hnp.arrays(np.int16, SHAPE, elements=ODD))
BINS = st.sampled_from([2, 50, 100, 250])
CELLS = st.sampled_from([40.0, 60.0, 66.0, 100.0, 500.0])
SHARES = st.sampled_from([0.1, 0.0, 0.5, 1 / 3])


def census_of(state: np.ndarray, dem: np.ndarray, barred: int, height: int = 100) -> np.ndarray:
    census = snowline.new_census()
    for top in range(0, state.shape[0], height):
        snowline.count_elevations(state[top : top + height], dem[top : top + height], barred, census)
    return census


def pixels_of(state: np.ndarray, dem: np.ndarray, barred: int) -> list[list[naive.Pixel | None]]:
    def pixel(bits: int, z: int) -> naive.Pixel | None:
        return None if bits & barred else naive.Pixel(z, bool(bits & snow.SNOW1), bool(bits & snow.CLOUD1))

    rows = zip(state.tolist(), dem.tolist(), strict=True)
    return [[pixel(*both) for both in zip(*row, strict=True)] for row in rows]


def counted(state: np.ndarray, dem: np.ndarray, barred: int) -> list[naive.Pixel]:
    return [pixel for row in pixels_of(state, dem, barred) for pixel in row if pixel is not None]


@given(STATES, DEMS, BINS, SHARES, SHARES, st.integers(1, 9))
def test_lis_snowline_equals_naive(
    state: np.ndarray, dem: np.ndarray, dz: int, fclear: float, fsnow: float, height: int
) -> None:
    found = snowline.lis_snowline(census_of(state, dem, 0, height), dz, fclear, fsnow)
    exact = naive.lis(counted(state, dem, 0), dz, fclear, fsnow, -2, -dz / 2, False)
    assert (found.elevation, found.text) == exact
    assert found.elevation is None or found.elevation >= int(dem.min()) - 1
    rows = [line.split(",") for line in found.text.splitlines()[2:]]
    assert sum(int(row[1]) for row in rows) == (state.size if found.bins else 0)


@given(STATES, DEMS, BINS, SHARES, SHARES, st.integers(1, 8), st.sampled_from([None, 8850, 500]))
def test_snowline_equals_naive(
    state: np.ndarray, dem: np.ndarray, dz: int, fclear: float, fsnow: float, least: int, nodata: int | None
) -> None:
    found = snowline.find_snowline(census_of(state, dem, BARRED, 4), dz, least, fclear, fsnow, nodata)
    assert (found.elevation, found.rows) == naive.default(
        counted(state, dem, BARRED), dz, least, fclear, fsnow, nodata
    )
    assert all(row[2] == row[3] + row[4] + row[5] for row in found.rows)


@given(STATES, DEMS, st.sampled_from([0, BARRED]))
def test_snow_fraction_counts_pixels_of_any_elevation(
    state: np.ndarray, dem: np.ndarray, barred: int
) -> None:
    pixels = counted(state, dem, barred)
    share = sum(p.snow for p in pixels) / len(pixels) if pixels else 0.0
    assert snowline.snow_fraction(census_of(state, dem, barred)) == share


@given(STATES, DEMS, st.randoms(use_true_random=False))
def test_the_order_of_pixels_does_not_matter(state: np.ndarray, dem: np.ndarray, random: Random) -> None:
    order = random.sample(range(state.size), state.size)
    mixed = [np.ascontiguousarray(array.ravel()[order].reshape(SHAPE)) for array in (state, dem)]
    np.testing.assert_array_equal(census_of(*mixed, BARRED), census_of(state, dem, BARRED))


@given(STATES, DEMS, st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1))
def test_more_snow_never_raises_the_snowline(state: np.ndarray, dem: np.ndarray, i: int, j: int) -> None:
    snowier = state.copy()
    snowier[i, j] |= 0 if state[i, j] & (BARRED | snow.CLOUD1) else snow.SNOW1
    before, after = (snowlines(bits, dem) for bits in (state, snowier))
    for line, lower in zip(before, after, strict=True):
        assert line is None or (lower is not None and lower <= line)


def snowlines(state: np.ndarray, dem: np.ndarray) -> tuple[int | None, int | None]:
    """Of both profiles."""
    lis = snowline.lis_snowline(census_of(state, dem, 0), 100, 0.1, 0.1).elevation
    return lis, snowline.find_snowline(census_of(state, dem, BARRED), 100, 3, 0.1, 0.1, None).elevation


@given(STATES, DEMS, CELLS, st.integers(1, 9), SHARES, st.sampled_from([None, 500]))
def test_grid_of_snowlines_equals_naive(
    state: np.ndarray, dem: np.ndarray, cell: float, least: int, fsnow: float, nodata: int | None
) -> None:
    made = snowline.grid_snowlines(state, dem, BARRED, nodata, cell, 20.0, 100, least, 0.1, fsnow)
    exact = naive.grid(pixels_of(state, dem, BARRED), cell, 20.0, 100, least, 0.1, fsnow, nodata)
    assert [[None if np.isnan(z) else int(z) for z in row] for row in made] == exact
    filled = snowline.fill_snowlines(made, None)
    if filled is None:
        assert np.isnan(made).all()
    else:
        check_surface(filled, cell)


def check_surface(lines: np.ndarray, cell: float) -> None:
    strips = [snowline.lowest_rows(lines, cell, 20.0, top, 3, SHAPE[1]) for top in range(0, SHAPE[0], 3)]
    lowest = np.concatenate(strips)
    for i in range(SHAPE[0]):
        for j in range(SHAPE[1]):
            exact = naive.surface(lines, cell, 20.0, i, j)
            assert exact - 1e-6 <= lowest[i, j] < exact + 1 + 1e-6


def test_missing_cells_take_the_tile_then_the_highest_cell() -> None:
    lines = np.array([[np.nan, 1200.0], [900.0, np.nan]])
    assert snowline.fill_snowlines(lines, 700).tolist() == [[700, 1200], [900, 700]]
    assert snowline.fill_snowlines(lines, None).tolist() == [[1200, 1200], [900, 1200]]
    empty = np.full((2, 2), np.nan)
    assert snowline.fill_snowlines(empty, 700).tolist() == [[700, 700], [700, 700]]
    assert snowline.fill_snowlines(empty, None) is None


def test_a_level_surface_is_not_lifted_by_rounding() -> None:
    lines = np.array([[1000.0, 1100.0], [1000.0, 1100.0]])
    lowest = snowline.lowest_rows(lines, 3 * 20.0, 20.0, 0, 6, 6)
    assert lowest[0].tolist() == [1000, 1000, 1034, 1067, 1100, 1100]
    assert (lowest == lowest[0]).all()


def test_an_empty_census_has_no_snowline() -> None:
    census = snowline.new_census()
    assert snowline.find_snowline(census, 100, 50, 0.1, 0.1, None) == (None, [])
    assert snowline.snow_fraction(census) == 0


def test_snowlines_equal_the_vectors(shared: Path) -> None:
    file = shared / "conformance" / "snow" / "vectors" / "snowline.json"
    for vector in json.loads(file.read_text())["vectors"]:
        census = snowline.new_census()
        for z, snowy, cloudy, count in vector["classes_z_snow_cloud_count"]:
            census[z - snowline.FIRST, snowy + 2 * cloudy] += count
        names = ("dz", "fclear_lim", "fsnow_lim", "offset", "center_offset", "reverse")
        found = snowline.lis_snowline(census, **{name: vector[name] for name in names})
        assert found.elevation == (None if vector["expected_zs"] == -1000 else vector["expected_zs"]), vector[
            "name"
        ]
        assert found.text == vector["expected_histogram_text"], vector["name"]
