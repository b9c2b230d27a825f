"""The footprint of a grid on the globe, as GeoJSON: cut at the 180 degree meridian, as RFC 7946 asks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from thalweg.errors import BadInput
from thalweg.tile import square_ring

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from thalweg.grid import Bounds, Grid

Ring = list[tuple[float, float]]
"""Longitudes and latitudes in degrees, not closed."""

SEGMENTS = 4
"""Chords of each side: an edge of 110 km is then followed to some 15 m at 45 degrees north."""

_DIGITS = 7
_TURN = 360.0


@dataclass(frozen=True, slots=True)
class Footprint:
    """Where a raster lies on the globe."""

    geometry: dict[str, Any]
    """Polygon, or MultiPolygon where it crosses 180 degrees; rings counter-clockwise, degrees."""
    bbox: Bounds
    """West, south, east, north, degrees; west is greater than east where it crosses 180 degrees."""


ToLonLat = Callable[
    [str, "NDArray[np.float64]", "NDArray[np.float64]"], "tuple[Sequence[float], Sequence[float]]"
]
"""CRS, eastings and northings to longitudes and latitudes in degrees."""


def by_pyproj(
    crs: str, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[Sequence[float], Sequence[float]]:
    """Longitudes and latitudes by pyproj, for those who have not opened a raster and need no rasterio."""
    lon, lat = _transformer(crs).transform(x, y)
    return lon, lat


def footprint(grid: Grid, to_lonlat: ToLonLat = by_pyproj) -> Footprint:
    """The footprint of a grid, its edges cut into chords.

    Raises BadInput where an edge has no longitude and latitude.
    """
    x, lon, lat = _edges(grid, to_lonlat)
    south, north = float(lat.min()), float(lat.max())
    lon, turns = _unrolled(grid.crs, x, lon)
    if turns:
        return _around_pole(south, north)
    ring = _rounded(lon, lat)
    west, east = min(lon for lon, _ in ring), max(lon for lon, _ in ring)
    if east - west >= _TURN:
        return _boxed((-180.0, south, 180.0, north))
    if east <= 180:
        return Footprint(_polygon(ring), (west, south, east, north))
    parts = [_cut(ring, 180.0, below=True), _shifted(_cut(ring, 180.0, below=False), -_TURN)]
    geometry = {"type": "MultiPolygon", "coordinates": [_polygon(part)["coordinates"] for part in parts]}
    return Footprint(geometry, (west, south, _round(east - _TURN), north))


def _edges(grid: Grid, to_lonlat: ToLonLat) -> tuple[NDArray[np.float64], ...]:
    """Eastings of points on the edges in the grid's CRS, and their longitudes and latitudes."""
    import numpy as np

    left, bottom, right, top = grid.bounds
    across, up = square_ring(SEGMENTS)
    x, y = left + (right - left) * across, bottom + (top - bottom) * up
    lon, lat = (np.asarray(degrees, np.float64) for degrees in to_lonlat(grid.crs, x, y))
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        raise BadInput(f"{grid.describe()}: an edge has no longitude and latitude in this CRS")
    return x, lon, lat.clip(-90.0, 90.0).round(_DIGITS)


def _unrolled(crs: str, x: NDArray[np.float64], lon: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """Longitudes without jumps, west edge in [-180, 180), and whether the edges go once around a pole."""
    import numpy as np

    if is_geographic(crs):
        lon = lon + _TURN * np.round((x - lon) / _TURN)
    else:
        lon = np.unwrap(np.append(lon, lon[0]), period=_TURN)
        if abs(lon[-1] - lon[0]) > 180:
            return lon, True
        lon = lon[:-1]
    return lon - _TURN * math.floor((_round(lon.min()) + 180) / _TURN), False


def _around_pole(south: float, north: float) -> Footprint:
    box = (-180.0, south, 180.0, 90.0) if north > 0 else (-180.0, -90.0, 180.0, north)
    return _boxed(box)


def _boxed(box: Bounds) -> Footprint:
    west, south, east, north = box
    ring = [(west, south), (0.0, south), (east, south), (east, north), (0.0, north), (west, north)]
    return Footprint(_polygon(ring), box)


def _rounded(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> Ring:
    return [(_round(x), float(y)) for x, y in zip(lon.tolist(), lat.tolist(), strict=True)]


def _cut(ring: Ring, meridian: float, *, below: bool) -> Ring:
    """The part of a ring on one side of a meridian (Sutherland and Hodgman 1974, doi:10.1145/360767.360802)."""
    part: Ring = []
    for (lon, lat), (to_lon, to_lat) in zip(ring, [*ring[1:], ring[0]], strict=True):
        if lon == meridian or (lon < meridian) == below:
            part.append((lon, lat))
        if (lon - meridian) * (to_lon - meridian) < 0:
            share = (meridian - lon) / (to_lon - lon)
            part.append((meridian, _round(lat + share * (to_lat - lat))))
    return part


def _shifted(ring: Ring, degrees: float) -> Ring:
    return [(_round(lon + degrees), lat) for lon, lat in ring]


def _polygon(ring: Ring) -> dict[str, Any]:
    ordered = ring if _area(ring) >= 0 else ring[::-1]
    return {"type": "Polygon", "coordinates": [[list(point) for point in [*ordered, ordered[0]]]]}


def _area(ring: Ring) -> float:
    """Twice the signed area: positive where the ring runs counter-clockwise."""
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, [*ring[1:], ring[0]], strict=True))


def _round(degrees: float) -> float:
    return round(float(degrees), _DIGITS)


@cache
def _transformer(crs: str) -> Any:
    from pyproj import Transformer

    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True)


@cache
def is_geographic(crs: str) -> bool:
    """True where a CRS counts in degrees."""
    if re.fullmatch(r"EPSG:32[67]\d\d", crs):
        return False
    from pyproj import CRS

    return bool(CRS(crs).is_geographic)
