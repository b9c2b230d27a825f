"""Footprints: on the ground where the pixels are, cut at 180 degrees, closed and counter-clockwise."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer
from shapely.geometry import Point, shape

from thalweg.errors import BadInput
from thalweg.footprint import footprint
from thalweg.grid import Grid
from thalweg.tile import Tile, tile_ids

CROSSING = [
    id
    for id in tile_ids()
    if id[:2] in ("01", "60") and Tile(id).lonlat_bounds[0] > Tile(id).lonlat_bounds[2]
]


def rings(geometry: dict[str, Any]) -> list[list[list[float]]]:
    """Outer rings of a geometry."""
    parts = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    return [ring for (ring,) in parts]


def check(grid: Grid) -> None:
    """What is true of every footprint."""
    place = footprint(grid)
    figure = shape(place.geometry)
    west, south, east, north = place.bbox
    assert figure.is_valid
    assert figure.area > 0
    assert (place.geometry["type"] == "MultiPolygon") == (west > east)
    for ring in rings(place.geometry):
        assert ring[0] == ring[-1]
        assert sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring)) > 0
        assert all(-180 <= lon <= 180 and south <= lat <= north for lon, lat in ring)
        assert all(west <= lon <= east if west <= east else lon >= west or lon <= east for lon, _ in ring)


def inner_points(grid: Grid) -> list[tuple[float, float]]:
    """Longitudes and latitudes of points inside a grid."""
    left, bottom, right, top = grid.bounds
    to_lonlat = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    shares = (0.02, 0.3, 0.5, 0.98)
    return [
        to_lonlat.transform(left + (right - left) * a, bottom + (top - bottom) * b)
        for a in shares
        for b in shares
    ]


def test_tiles_that_cross_the_meridian_are_among_the_tests() -> None:
    assert len(CROSSING) > 50


@given(st.sampled_from(sorted(tile_ids())) | st.sampled_from(CROSSING))
def test_the_footprint_of_any_tile_holds_its_pixels(id: str) -> None:
    grid = Tile(id).grid(60)
    check(grid)
    figure = shape(footprint(grid).geometry)
    assert all(figure.contains(Point(lon, lat)) for lon, lat in inner_points(grid))


@pytest.mark.parametrize("id", ["31TCH", *CROSSING[:3]])
def test_boxes_agree_with_those_of_the_tile(id: str) -> None:
    assert footprint(Tile(id).grid(60)).bbox == pytest.approx(Tile(id).lonlat_bounds, abs=1e-3)


@pytest.mark.parametrize(
    ("grid", "box"),
    [
        (Grid("EPSG:4326", 2.0, 45.0, (0.01, 0.01), (100, 200)), (2.0, 44.0, 4.0, 45.0)),
        (Grid("EPSG:4326", 179.0, 1.0, (0.1, 0.1), (20, 20)), (179.0, -1.0, -179.0, 1.0)),
        (Grid("EPSG:4326", 200.0, 1.0, (0.1, 0.1), (20, 20)), (-160.0, -1.0, -158.0, 1.0)),
        (Grid("EPSG:4326", -181.0, 1.0, (0.1, 0.1), (20, 20)), (179.0, -1.0, -179.0, 1.0)),
        (Grid("EPSG:4326", 178.0, 1.0, (0.1, 0.1), (20, 20)), (178.0, -1.0, 180.0, 1.0)),
        (Grid("EPSG:4326", -180.0, 90.0, (1.0, 1.0), (180, 360)), (-180.0, -90.0, 180.0, 90.0)),
        (Grid("EPSG:4326", 0.0, 90.0, (1.0, 1.0), (180, 360)), (-180.0, -90.0, 180.0, 90.0)),
    ],
)
def test_boxes_of_geographic_grids(grid: Grid, box: tuple[float, ...]) -> None:
    check(grid)
    assert footprint(grid).bbox == pytest.approx(box, abs=1e-6)


@pytest.mark.parametrize(("crs", "pole"), [("EPSG:3413", 90), ("EPSG:3031", -90)])
def test_a_grid_around_a_pole_reaches_it(crs: str, pole: int) -> None:
    grid = Grid(crs, -500_000.0, 500_000.0, (1000.0, 1000.0), (1000, 1000))
    check(grid)
    west, south, east, north = footprint(grid).bbox
    assert (west, east) == (-180, 180)
    assert pole in (south, north)


@pytest.mark.parametrize("crs", ["EPSG:3413", "EPSG:3031", "EPSG:2154", "EPSG:3857", "EPSG:27700"])
def test_other_projections(crs: str) -> None:
    corner = {"EPSG:2154": (600_000.0, 6_500_000.0), "EPSG:27700": (400_000.0, 300_000.0)}.get(
        crs, (1e6, 1.2e6)
    )
    check(Grid(crs, *corner, (100.0, 100.0), (500, 400)))


def test_a_grid_beyond_its_projection_is_refused() -> None:
    with pytest.raises(BadInput, match="no longitude and latitude"):
        footprint(Grid("EPSG:32631", 1e9, 1e9, (20.0, 20.0), (10, 10)))


def test_digits_are_few_and_enough() -> None:
    for ring in rings(footprint(Tile("31TCH").grid(60)).geometry):
        assert all(round(value, 7) == value and math.isfinite(value) for point in ring for value in point)
