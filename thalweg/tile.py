"""The tile: one cell of the Sentinel-2 grid, whose place follows from the letters of its id.

Zone and band say which UTM zone and hemisphere, the fourth letter the column and the fifth the row of a
100 km square (columns repeat every three zones; rows every 2,000 km, shifted by five letters in even zones).
The tile is that square's upper-left corner snapped outwards to a multiple of 60 m, counted from the equator,
and 109.8 km to the right and down.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import takewhile
from typing import TYPE_CHECKING, Any, TypeVar

from thalweg.errors import BadParameters
from thalweg.grid import Bounds, Grid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIZE = 109_800
"""Width and height of a tile, metres."""

BAND_LETTERS = "CDEFGHJKLMNPQRSTUVWX"
"""Latitude bands of 8 degrees from 80 degrees south; X has 12."""

COLUMN_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Squares eastwards, eight in each zone."""

ROW_LETTERS = "ABCDEFGHJKLMNPQRSTUV"
"""Squares northwards."""

_SQUARE = 100_000
_CYCLE = _SQUARE * len(ROW_LETTERS)
_METRES_PER_DEGREE = 111_000
_FORM = re.compile(f"(0[1-9]|[1-5][0-9]|60)[{BAND_LETTERS}][{COLUMN_LETTERS}][{ROW_LETTERS}]")

Whole = TypeVar("Whole", int, "NDArray[np.int64]")
"""One whole number, or an array of them."""


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """One cell of the Sentinel-2 grid, 10980 x 10980 pixels of 10 m in one UTM zone."""

    id: str
    """MGRS id without the T, such as 31TCJ; the letters may mean a cell that the grid does not have."""

    def __post_init__(self) -> None:
        if not _FORM.fullmatch(self.id) or not 0 <= _column(self.id) < 8:
            raise unknown_tile(self.id)

    @classmethod
    def parse(cls, text: str) -> Tile:
        """The tile of the grid that ``31TCJ`` or ``T31TCJ`` names; any other text is a `BadParameters`."""
        id = bare_id(text)
        if not is_known(id):
            raise unknown_tile(text)
        return cls(id)

    @property
    def zone(self) -> int:
        """UTM zone, 1 to 60."""
        return int(self.id[:2])

    @property
    def epsg(self) -> int:
        """EPSG number of the UTM zone, 326zz in the north and 327zz in the south."""
        return (32700 if self._false_northing else 32600) + self.zone

    @property
    def corner(self) -> tuple[int, int]:
        """Easting and northing of the upper-left corner, metres."""
        row = ROW_LETTERS.index(self.id[4])
        left, top = corner_from_equator(self.zone, self._band, _column(self.id), row)
        return (left, top + self._false_northing)

    @property
    def bounds(self) -> Bounds:
        """Left, bottom, right, top, metres in the tile's UTM zone."""
        left, top = map(float, self.corner)
        return (left, top - SIZE, left + SIZE, top)

    def grid(self, resolution: float = 10) -> Grid:
        """The tile's pixels of `resolution` metres, a divisor of 109,800 such as 10, 20, 30 or 60."""
        if resolution <= 0 or SIZE % resolution:
            raise BadParameters(f"tile {self.id}: pixels of {resolution:g} m; use 10, 20, 30 or 60 m")
        left, _, _, top = self.bounds
        pixels = int(SIZE // resolution)
        return Grid(f"EPSG:{self.epsg}", left, top, (float(resolution), float(resolution)), (pixels, pixels))

    def footprint(self, segments: int = 1) -> list[tuple[float, float]]:
        """Closed counter-clockwise ring of (longitude, latitude), each side cut into `segments` chords.

        Longitudes run on past 180 or -180 degrees where the tile crosses that meridian.
        """
        import numpy as np

        left, bottom, _, _ = self.bounds
        x, y = square_ring(segments)
        lon, lat = lonlat(np.int64(self.zone), left + SIZE * x, bottom - self._false_northing + SIZE * y)
        ring = list(zip(lon.tolist(), lat.tolist(), strict=True))
        return [*ring, ring[0]]

    @property
    def lonlat_bounds(self) -> Bounds:
        """West, south, east, north, degrees; west is greater than east where the tile crosses 180 degrees."""
        lon, lat = zip(*self.footprint(segments=8), strict=True)
        return (_wrapped(min(lon)), min(lat), _wrapped(max(lon)), max(lat))

    @property
    def _band(self) -> int:
        return BAND_LETTERS.index(self.id[2])

    @property
    def _false_northing(self) -> int:
        return 0 if self.id[2] >= "N" else 10_000_000

    def __str__(self) -> str:
        return self.id


def corner_from_equator(zone: Whole, band: Whole, column: Whole, row: Whole) -> tuple[Whole, Whole]:
    """Easting and northing of upper-left corners, metres, northing negative in the south.

    `band` and `row` are indices into `BAND_LETTERS` and `ROW_LETTERS`, `column` is 0 to 7 within its zone.
    """
    latitude = 8 * band - 76 + 2 * (band == len(BAND_LETTERS) - 1)
    bottom = (row - 5 * (zone % 2 == 0)) % len(ROW_LETTERS) * _SQUARE
    # The row letters come back every 2,000 km: the right turn is the one nearest to the middle of the band.
    turn = (latitude * _METRES_PER_DEGREE - bottom - _SQUARE // 2 + _CYCLE // 2) // _CYCLE
    top = bottom + turn * _CYCLE + _SQUARE
    return (column + 1) * _SQUARE // 60 * 60, -(-top // 60) * 60


def square_ring(segments: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Counter-clockwise ring around the unit square from its lower-left corner, not closed: x, y."""
    import numpy as np

    step = np.arange(segments) / segments
    zero, one = np.zeros(segments), np.ones(segments)
    return np.concatenate([step, one, 1 - step, zero]), np.concatenate([zero, step, one, 1 - step])


def lonlat(
    zone: NDArray[np.int64] | np.int64, easting: NDArray[np.float64], northing: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitude and latitude, degrees, of points of any zones; northing counted from the equator.

    Longitudes are continuous around the zone's central meridian and may lie beyond 180 degrees.
    """
    lon, lat = _utm31().transform(easting, northing)
    return lon + 6.0 * (zone - 31), lat


def easting_northing(
    zone: NDArray[np.int64], lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Easting and northing from the equator, metres, of points in degrees, each in its own zone."""
    from_centre = (lon - (6.0 * zone - 183.0) + 180.0) % 360.0 - 180.0
    easting, northing = _utm31().transform(from_centre + 3.0, lat, direction="INVERSE")
    return easting, northing


@cache
def _utm31() -> Any:
    """One transformer serves all zones, which differ by their central meridian only."""
    from pyproj import Transformer

    return Transformer.from_crs("EPSG:32631", "EPSG:4326", always_xy=True)


def bare_id(text: str) -> str:
    """An id, or its beginning, as the grid writes it: upper case, without blanks and leading T."""
    return text.strip().upper().removeprefix("T")


def is_known(id: str) -> bool:
    """True when the grid has a tile of this id, without the T."""
    if len(id) != 5:
        return False
    squares = _squares().get(id[:3], "")
    _, _, rows = f" {squares}".partition(f" {id[3]}:")
    return id[4] in rows.partition(" ")[0]


def tile_ids() -> Iterator[str]:
    """The ids of all 56,686 tiles of the grid, sorted."""
    for zone_and_band, squares in _squares().items():
        for square in squares.split():
            column, _, rows = square.partition(":")
            yield from (zone_and_band + column + row for row in rows)


@cache
def _squares() -> Mapping[str, str]:
    """Zone and band to the rows of each column, such as ``C:VW D:A``."""
    text = gzip.decompress((files("thalweg") / "data" / "tiles.txt.gz").read_bytes()).decode("ascii")
    return {line[:3]: line[4:] for line in text.splitlines()}


def unknown_tile(text: str) -> BadParameters:
    """The error for an id that is none, naming the nearest ones of the grid."""
    near = ", ".join(_nearest(bare_id(text)))
    hint = f"nearest: {near}" if near else "ids look like 31TCJ: zone, latitude band, column, row"
    return BadParameters(f"unknown tile {text!r}; {hint}", advice="See `thalweg tiles` for the grid's tiles.")


def _nearest(id: str, count: int = 5) -> list[str]:
    """Known ids one edit away, the same beginnings first; else the first ones of the same zone and band."""
    near = {edited for edited in _one_edit(id) if is_known(edited)}
    ranked = sorted(near, key=lambda other: (-_shared_beginning(id, other), other))
    return ranked[:count] or [other for other in tile_ids() if other[:3] == id[:3]][:count]


def _one_edit(id: str) -> Iterator[str]:
    """What one wrong, missing, doubled or exchanged character turns into."""
    for at in range(len(id) + 1):
        head, tail = id[:at], id[at:]
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
        for letter in "0123456789" + COLUMN_LETTERS:
            yield head + letter + tail
            yield head + letter + tail[1:]
        yield head + tail[1:]


def _shared_beginning(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _column(id: str) -> int:
    return COLUMN_LETTERS.index(id[3]) - 8 * ((int(id[:2]) - 1) % 3)


def _wrapped(longitude: float) -> float:
    return (longitude + 180.0) % 360.0 - 180.0 if not -180.0 <= longitude <= 180.0 else longitude
