"""All tiles of the Sentinel-2 grid at once: which ones begin so, hold a point, or touch a box."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import BadParameters
from thalweg.tile import (
    BAND_LETTERS,
    COLUMN_LETTERS,
    ROW_LETTERS,
    SIZE,
    Tile,
    bare_id,
    corner_from_equator,
    easting_northing,
    lonlat,
    square_ring,
    tile_ids,
)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

LonLatBox = tuple[float, float, float, float]
"""West, south, east, north, degrees; west greater than east means that the box crosses 180 degrees."""

_SEGMENTS = 4
"""Chords per side of a footprint: within 60 m of the true side up to 75 degrees of latitude."""

_REACH = 0.75
"""Half the diagonal of a tile, in degrees of latitude, rounded up."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Tiles as columns of equal length."""

    ids: NDArray[np.str_]
    """MGRS ids without the T."""
    zone: NDArray[np.int64]
    """UTM zone, 1 to 60."""
    left: Floats
    """Easting of the left side, metres."""
    top: Floats
    """Northing of the upper side from the equator, metres, negative in the south."""

    def where(self, flags: Flags) -> Cells:
        """The tiles whose flag is set."""
        return Cells(self.ids[flags], self.zone[flags], self.left[flags], self.top[flags])

    def tiles(self) -> tuple[Tile, ...]:
        """The same as values, in order of their ids."""
        return tuple(Tile(str(id)) for id in self.ids)

    def hold(self, lon: float, lat: float) -> Flags:
        """Which tiles have the point inside or on their sides."""
        x, y = easting_northing(self.zone, np.full(self.zone.shape, lon), np.full(self.zone.shape, lat))
        return (x >= self.left) & (x <= self.left + SIZE) & (y <= self.top) & (y >= self.top - SIZE)

    def rings(self) -> tuple[Floats, Floats]:
        """Longitudes, continuous, and latitudes of the footprints: tiles x vertices, not closed."""
        x, y = square_ring(_SEGMENTS)
        easting = self.left[:, None] + SIZE * x
        northing = self.top[:, None] + SIZE * (y - 1)
        return lonlat(self.zone[:, None], easting, northing)


@cache
def all_cells() -> Cells:
    """Every tile of the grid, sorted by id."""
    ids = np.array(list(tile_ids()))
    letters = np.frombuffer("".join(ids).encode("ascii"), np.uint8).reshape(-1, 5).astype(np.int64)
    zone = (letters[:, 0] - 48) * 10 + letters[:, 1] - 48
    band = _places(BAND_LETTERS)[letters[:, 2]]
    column = _places(COLUMN_LETTERS)[letters[:, 3]] - 8 * ((zone - 1) % 3)
    left, top = corner_from_equator(zone, band, column, _places(ROW_LETTERS)[letters[:, 4]])
    return Cells(ids, zone, left.astype(np.float64), top.astype(np.float64))


def find_tiles(
    prefix: str = "", point: tuple[float, float] | None = None, box: LonLatBox | None = None
) -> tuple[Tile, ...]:
    """The tiles whose id begins with `prefix`, that hold `point` (longitude, latitude) and touch `box`."""
    cells = all_cells()
    if prefix:
        cells = cells.where(np.char.startswith(cells.ids, bare_id(prefix)))
    if point is not None:
        cells = _holding(cells, *point)
    if box is not None:
        cells = _touching(cells, box)
    return cells.tiles()


def _holding(cells: Cells, lon: float, lat: float) -> Cells:
    _check_degrees("point", (lon,), (lat,))
    near = cells.where(_near(cells, (lon, lat, lon, lat)))
    return near.where(near.hold(lon, lat))


def _touching(cells: Cells, box: LonLatBox) -> Cells:
    west, south, east, north = box
    _check_degrees("box", (west, east), (south, north))
    if south > north:
        raise BadParameters(f"box ({_listed(box)}): south exceeds north; give west, south, east, north")
    unrolled = (west, south, east + 360.0 if west > east else east, north)
    near = cells.where(_near(cells, unrolled))
    # Either the box begins inside the tile, or one of the tile's sides meets the box.
    return near.where(near.hold(west, south) | _sides_meet(near, unrolled))


def _near(cells: Cells, box: LonLatBox) -> Flags:
    """A quick superset: the tiles whose middle is within their reach of the box."""
    west, south, east, north = box
    lon, lat = lonlat(cells.zone, cells.left + SIZE / 2, cells.top - SIZE / 2)
    furthest = np.minimum(np.abs(lat) + _REACH, 89.0)
    reach = _REACH / np.cos(np.radians(furthest))
    middle, half = (west + east) / 2, (east - west) / 2
    distance = np.abs((lon - middle + 180.0) % 360.0 - 180.0)
    return (lat >= south - _REACH) & (lat <= north + _REACH) & (distance <= half + reach)


def _sides_meet(cells: Cells, box: LonLatBox) -> Flags:
    west, south, east, north = box
    lon, lat = cells.rings()
    meets = np.zeros(cells.zone.shape, bool)
    for turn in (-360.0, 0.0, 360.0):
        meets |= _segments_meet(lon + turn, lat, box=(west, south, east, north)).any(axis=1)
    return meets


def _segments_meet(lon: Floats, lat: Floats, box: LonLatBox) -> Flags:
    """Which sides, from each vertex to the next one, have a point in the box (Liang and Barsky 1984)."""
    west, south, east, north = box
    enter, leave = np.zeros_like(lon), np.ones_like(lon)
    for start, low, high in ((lon, west, east), (lat, south, north)):
        step = np.roll(start, -1, axis=1) - start
        # A side along a meridian or parallel has no step: a tiny one keeps the order of the crossings.
        step = np.where(step == 0, 1e-300, step)
        one, other = (low - start) / step, (high - start) / step
        enter, leave = np.maximum(enter, np.minimum(one, other)), np.minimum(leave, np.maximum(one, other))
    return enter <= leave


def _places(alphabet: str) -> NDArray[np.int64]:
    """Index of each character of `alphabet`, by its ASCII code."""
    places = np.zeros(128, np.int64)
    places[[ord(letter) for letter in alphabet]] = np.arange(len(alphabet))
    return places


def _check_degrees(what: str, longitudes: tuple[float, ...], latitudes: tuple[float, ...]) -> None:
    if not all(abs(lon) <= 180.0 for lon in longitudes) or not all(abs(lat) <= 90.0 for lat in latitudes):
        values = _listed((*longitudes, *latitudes))
        raise BadParameters(f"{what} ({values}): longitudes are -180 to 180, latitudes -90 to 90 degrees")


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)
