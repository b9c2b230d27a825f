"""Finding tiles by id, point and box, against a slow search through every tile's own UTM zone."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from thalweg.errors import BadParameters
from thalweg.tile import Tile, tile_ids
from thalweg.tiling import find_tiles


@cache
def to_zone(epsg: int) -> Transformer:
    return Transformer.from_crs("EPSG:4326", f"EPSG:{epsg}", always_xy=True)


@cache
def bounds_of(tile: Tile) -> tuple[float, float, float, float]:
    return tile.lonlat_bounds


def holds(tile: Tile, lon: float, lat: float) -> bool:
    """True when the point lies in the tile, by the tile's own projection."""
    west, south, east, north = bounds_of(tile)
    inside = west - 0.1 <= lon <= east + 0.1 if west <= east else lon >= west - 0.1 or lon <= east + 0.1
    if not (inside and south - 0.1 <= lat <= north + 0.1):
        return False
    x, y = to_zone(tile.epsg).transform(lon, lat)
    left, bottom, right, top = tile.bounds
    return bool(left <= x <= right and bottom <= y <= top)


SAMPLE = [Tile(id) for id in list(tile_ids())[::40]]

# Nanometres apart, tiles of two hemispheres differ in the rounding of their false northing only.
points = st.tuples(st.floats(-180, 180), st.floats(-84, 84)).map(
    lambda at: (round(at[0], 8), round(at[1], 8))
)


def names(tiles: tuple[Tile, ...]) -> set[str]:
    return {tile.id for tile in tiles}


def test_prefix() -> None:
    assert names(find_tiles("T31TC")) == {"31TC" + row for row in "EFGHJKLMN"}
    assert names(find_tiles("31tcj")) == {"31TCJ"}
    assert find_tiles("99") == ()
    assert len(find_tiles()) == 56_686


@settings(max_examples=30)
@given(points)
def test_point_finds_the_tiles_that_hold_it(point: tuple[float, float]) -> None:
    found = names(find_tiles(point=point))
    assert found >= {tile.id for tile in SAMPLE if holds(tile, *point)}
    assert all(holds(Tile(id), *point) for id in found)


@settings(max_examples=30)
@given(st.sampled_from(SAMPLE), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_every_tile_holds_its_inner_points(tile: Tile, across: float, down: float) -> None:
    left, bottom, right, top = tile.bounds
    x, y = left + across * (right - left), top - down * (top - bottom)
    lon, lat = to_zone(tile.epsg).transform(x, y, direction="INVERSE")
    assert tile in find_tiles(point=(lon, lat))
    assert tile in find_tiles(box=(lon, lat, lon, lat))


@settings(max_examples=30)
@given(points, st.floats(0, 4), st.floats(0, 4))
def test_box_finds_whatever_its_points_find(corner: tuple[float, float], width: float, height: float) -> None:
    west, south = corner
    north = min(south + height, 90.0)
    east = west + width if west + width <= 180 else west + width - 360
    found = names(find_tiles(box=(west, south, east, north)))
    for across, up in np.random.default_rng(0).random((8, 2)):
        lon = (west + across * width + 180) % 360 - 180
        assert found >= names(find_tiles(point=(lon, south + up * (north - south))))


@settings(max_examples=30)
@given(st.sampled_from(SAMPLE), st.floats(0.02, 0.5))
def test_box_beside_a_tile_does_not_touch_it(tile: Tile, gap: float) -> None:
    _, south, east, north = tile.lonlat_bounds
    beyond = (east + gap + 180) % 360 - 180
    assert tile not in find_tiles(box=(beyond, south, min(beyond + 0.5, 180.0), north))
    assert tile not in find_tiles(box=(east, min(north + gap, 90.0), east, 90.0))


def test_box_beside_a_turned_tile_is_not_touched_by_its_bounds() -> None:
    # Far from the central meridian the footprint is turned: the corner of its bounding box is outside.
    west, south, _, _ = Tile("31VCL").lonlat_bounds
    assert Tile("31VCL") in find_tiles(box=(west, south, west + 0.2, south + 0.2))
    assert Tile("31VCL") not in find_tiles(box=(west, south, west + 0.002, south + 0.002))


def test_box_across_the_180_degree_meridian() -> None:
    across = names(find_tiles(box=(179.5, -17, -179.5, -16)))
    east, west = (
        names(find_tiles(box=(179.5, -17, 180, -16))),
        names(find_tiles(box=(-180, -17, -179.5, -16))),
    )
    assert across == east | west
    assert {id[:2] for id in across} == {"01", "60"}


def test_conditions_are_joined() -> None:
    alone = find_tiles(box=(5.5, 44.8, 7.2, 46))
    assert {tile.zone for tile in alone} == {31, 32}
    assert find_tiles("32", box=(5.5, 44.8, 7.2, 46)) == tuple(tile for tile in alone if tile.zone == 32)


@pytest.mark.parametrize("box", [(0, 10, 5, 5), (-181, 0, 5, 5), (0, -91, 5, 5), (0, 0, float("nan"), 5)])
def test_impossible_boxes_are_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(BadParameters, match="box"):
        find_tiles(box=box)


def test_impossible_point_is_refused() -> None:
    with pytest.raises(BadParameters, match="point"):
        find_tiles(point=(200.0, 5.0))
