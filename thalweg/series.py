"""What a synthesis works on: the products of one tile and period, as values and strip by strip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thalweg.errors import BadInput

if TYPE_CHECKING:
    from datetime import date, datetime

    import numpy as np
    from numpy.typing import NDArray

    from thalweg.grid import Grid
    from thalweg.period import Period
    from thalweg.raster import Raster

Counters = Mapping[str, "NDArray[np.uint16]"]
"""Name to rows of a layer that counts observations or keeps a day."""

DEFAULT = "default"
"""Origin of products that were made with a chain's own defaults."""


@dataclass(frozen=True, slots=True)
class Member:
    """A product as a synthesis sees it: what it is, and where the one raster is that will be read of it."""

    name: str
    """Name of the product's folder."""
    tile: str
    """Tile, without the T."""
    sensed: datetime
    """Start of sensing, UTC."""
    platform: str
    """S2A to S2D, L8, L9; S2 where the product does not say which."""
    layer: str
    """Name of the layer that is read."""
    raster: Raster
    """Where its numbers are."""
    acquisition: str
    """What was seen: equal for two products of one acquisition. The name, for products of other programs."""
    version: str = "0"
    """Version of the product, numbers with dots."""
    orbit: int | None = None
    """Relative orbit."""
    origin: str = ""
    """DEFAULT, or a digest of what was asked of the chain's parameters; empty for products of other programs."""
    withdrawn: bool = False
    """True where it was declared void."""
    credits: tuple[str, ...] = ()
    """What its own licence asks to be said."""
    on_mgrs: bool = True
    """False where the tile is no MGRS tile."""

    @property
    def day(self) -> date:
        """Day of sensing, UTC."""
        return self.sensed.date()

    @property
    def observation(self) -> str:
        """The pass that it belongs to: all datastrips of one day, orbit, platform and tile."""
        return acquisition_name(self.platform, f"{self.sensed:%Y%m%d}", self.orbit, self.tile)

    @property
    def is_landsat(self) -> bool:
        """True for products that only make a series of Sentinel-2 denser."""
        return self.platform.startswith("L")

    @property
    def rank(self) -> tuple[tuple[int, ...], bool]:
        """What counts of several products of one acquisition: the newest version, and that it was withdrawn."""
        return version_numbers(self.version), self.withdrawn


def acquisition_name(platform: str, when: str, orbit: int | None, tile: str) -> str:
    """``S2A_20210115T102341_R051_T31TFJ``; without the orbit where it is unknown."""
    known = (platform, when, None if orbit is None else f"R{orbit:03}", f"T{tile}")
    return "_".join(part for part in known if part)


def version_numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version ``M.m.p``, by which versions compare; BadInput where it has none."""
    parts = version.replace("-", ".").split(".")
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise BadInput(f"version {version!r}: numbers with dots between them are expected, such as 1.10.0")
    return tuple(map(int, parts))


@dataclass(frozen=True, slots=True)
class Rejected:
    """A product that was given and is not used."""

    member: Member
    """The product."""
    reason: str
    """Why."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What the identity of a synthesis says of one product."""

    acquisition: str
    """As in `Member`."""
    version: str
    """As in `Member`."""
    content: str
    """SHA-256 of what was read of it."""
    name: str
    """Name of the product."""


@dataclass(frozen=True, slots=True)
class Gathering:
    """The products of one tile and period: the unit of a synthesis."""

    tile: str
    """Tile, without the T."""
    period: Period
    """First to last day."""
    members: tuple[Member, ...]
    """Products that are used, by day, within a day Sentinel-2 first, then by time."""
    rejected: tuple[Rejected, ...] = ()
    """Products that are not."""
    received: int = 0
    """Products that this tile and period ever received, which only grows: the revision of its synthesis."""

    @property
    def id(self) -> str:
        """``31TCH_20210901_20220831``."""
        return f"{self.tile}_{self.period.first_day:%Y%m%d}_{self.period.last_day:%Y%m%d}"

    @property
    def on_mgrs(self) -> bool:
        """True where the tile is one of MGRS."""
        return all(member.on_mgrs for member in self.members)

    @property
    def is_denser(self) -> bool:
        """True where Landsat products make a series of Sentinel-2 denser."""
        kinds = {member.is_landsat for member in self.members}
        return len(kinds) == 2


@dataclass(frozen=True, slots=True)
class Series:
    """A strip of rows of every product of a gathering."""

    gathering: Gathering
    """Which products."""
    grid: Grid
    """Grid of the whole tile."""
    rows: tuple[int, int]
    """First row of the strip, and the one after its last."""
    values: NDArray[Any]
    """Stored numbers, (members, rows, columns); they are the function's own and may be written over."""


@dataclass(frozen=True, slots=True)
class Tally:
    """A strip of rows of the counters of every month of a period that has any."""

    period: Period
    """First to last day."""
    grid: Grid
    """Grid of the whole tile."""
    rows: tuple[int, int]
    """First row of the strip, and the one after its last."""
    months: Iterator[Counters]
    """Counters of one month after the other; the arrays are the function's own and may be written over."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the strip."""
        return (self.rows[1] - self.rows[0], self.grid.shape[1])


@dataclass(frozen=True, slots=True)
class Counting:
    """How observations add up, in any order: what lets a synthesis keep a state and never read a product again."""

    kind: str
    """Kind of sensor that is kept apart from others: ``OPTICAL``."""
    counters: tuple[str, ...]
    """Names of the counters, uint16, 0 where nothing was seen."""
    merge: Callable[[NDArray[np.uint8], NDArray[np.uint8]], None]
    """Merge another datastrip of the same pass into the first array."""
    count: Callable[[Counters, NDArray[np.uint8], int], int]
    """Add an observation of a day (since 1970-01-01) to counters in place; gives the pixels whose count was full."""
