"""The grid: windows, multiples, and when two grids are one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from thalweg.grid import Grid, grid_from_transform
from thalweg.tile import Tile

sizes = st.sampled_from([10.0, 20.0, 30.0, 0.25])
counts = st.integers(1, 6000)
grids = st.builds(
    Grid,
    st.just("EPSG:32631"),
    st.integers(-500, 900_000).map(float),
    st.integers(0, 9_000_000).map(float),
    st.tuples(sizes, sizes),
    st.tuples(counts, counts),
)


@given(grids)
def test_a_grid_is_its_transform_and_shape(grid: Grid) -> None:
    assert grid_from_transform(grid.crs, grid.transform, grid.shape) == grid


@given(grids, st.data())
def test_a_window_lies_inside_on_whole_pixels(grid: Grid, data: st.DataObject) -> None:
    row, column = (data.draw(st.integers(0, size - 1)) for size in grid.shape)
    rows, columns = (data.draw(st.integers(1, size)) for size in grid.shape)
    window = grid.window(row, column, (rows, columns))
    inside = row + rows <= grid.shape[0] and column + columns <= grid.shape[1]
    assert grid.contains(window) is inside
    assert grid.is_aligned(window)
    assert grid.offset_of(window) == pytest.approx((row, column), abs=1e-6)


@given(grids, st.integers(1, 12))
def test_finer_and_coarser_pixels_cover_the_same_ground(grid: Grid, factor: int) -> None:
    fine = grid.finer(factor)
    assert fine.bounds == pytest.approx(grid.bounds, abs=1e-6)
    assert fine.at(factor).equals(grid)
    assert grid.contains(grid.at(min(factor, *grid.shape)))


@given(grids, st.floats(-0.01, 0.01), st.booleans())
def test_corners_agree_within_a_thousandth_of_a_pixel(grid: Grid, shift: float, down: bool) -> None:
    width, height = grid.pixel
    moved = (
        replace(grid, top=grid.top + shift * height)
        if down
        else replace(grid, left=grid.left + shift * width)
    )
    if abs(abs(shift) - 1e-3) > 1e-6:
        assert grid.equals(moved) is (abs(shift) < 1e-3)
        assert moved.equals(grid) is grid.equals(moved)


@given(grids, st.floats(-0.01, 0.01))
def test_pixel_sizes_agree_where_the_far_edge_does(grid: Grid, drift: float) -> None:
    """`drift` is by how many pixels the last edge of the longer side is off."""
    span = max(grid.shape)
    stretched = replace(grid, pixel=(grid.pixel[0] * (1 + drift / span), grid.pixel[1]))
    if abs(abs(drift) - 1e-3) > 1e-6:
        assert grid.equals(stretched) is (abs(drift) < 1e-3)


@pytest.mark.parametrize("change", [{"crs": "EPSG:32632"}, {"shape": (9, 10)}, {"pixel": (10.0, 20.0)}])
def test_other_crs_shape_or_pixels_are_another_grid(change: dict[str, object]) -> None:
    grid = Grid("EPSG:32631", 300_000.0, 4_800_000.0, (20.0, 20.0), (10, 10))
    assert not grid.equals(replace(grid, **change))  # type: ignore[arg-type]


def test_nothing_contains_a_grid_in_another_crs() -> None:
    grid = Grid("EPSG:32631", 300_000.0, 4_800_000.0, (20.0, 20.0), (10, 10))
    assert not grid.contains(replace(grid, crs="EPSG:32632"))


@pytest.mark.parametrize(
    "transform",
    [
        (20, 0.1, 0, 0, -20, 0),
        (20, 0, 0, 0.1, -20, 0),
        (20, 0, 0, 0, 20, 0),
        (-20, 0, 0, 0, -20, 0),
        (0, 0, 0, 0, -20, 0),
        (1e-300, 0, 0, 0, -20, 0),
        (20, 0, float("nan"), 0, -20, 0),
        (20, 0, 0, 0, -20, float("nan")),
        (20, float("nan"), 0, 0, -20, 0),
        (float("inf"), 0, 0, 0, -20, 0),
        (20, 0, 1e13, 0, -20, 0),
    ],
)
def test_rotated_and_absurd_transforms_are_no_grid(transform: tuple[float, ...]) -> None:
    assert grid_from_transform("EPSG:32631", transform, (10, 10)) is None


def test_an_epsg_number_is_known_only_of_epsg() -> None:
    assert Grid("EPSG:32631", 0, 0, (1, 1), (1, 1)).epsg == 32631
    assert Grid('PROJCS["Local"]', 0, 0, (1, 1), (1, 1)).epsg is None


@pytest.mark.parametrize("id", ["31TCH", "01KAB", "60CWS", "33XWJ"])
def test_bounds_in_degrees_hold_the_outline(id: str) -> None:
    grid = Tile.parse(id).grid(10)
    boxes = grid.bounds_in("EPSG:4326")
    left, bottom, right, top = grid.bounds
    transform = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform
    for share in (0, 0.1, 0.37, 0.5, 0.93, 1):
        x, y = left + share * (right - left), bottom + share * (top - bottom)
        for lon, lat in (transform(x, bottom), transform(x, top), transform(left, y), transform(right, y)):
            assert any(w - 1e-4 <= lon <= e + 1e-4 and s - 1e-4 <= lat <= n + 1e-4 for w, s, e, n in boxes)


def test_a_tile_on_the_180th_meridian_has_two_boxes() -> None:
    west, east = Tile.parse("01KAB").grid(10).bounds_in("EPSG:4326")
    assert (west[2], east[0]) == (180.0, -180.0)
    assert west[2] - west[0] + east[2] - east[0] < 1.5
