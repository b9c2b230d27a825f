"""What a provider finds: facts of granules, as columns, for a year of ten thousand tiles is a million of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from thalweg.errors import BadParameters, ThalwegError
from thalweg.period import Period

if TYPE_CHECKING:
    import pyarrow as arrow


@dataclass(frozen=True, slots=True)
class Found:
    """One granule, as far as it is known without opening it."""

    id: str
    """Id that the granule will have when it is opened."""
    path: str
    """Where it is on disk."""
    format: str
    """Reader that will open it, such as ``safe``."""
    tile: str
    """MGRS tile without the T, WRS-2 path and row, or the name of a site."""
    sensed: datetime
    """Start of sensing, UTC."""
    platform: str = ""
    """Spacecraft, such as S2A."""
    level: str = "L2A"
    """Processing level."""
    baseline: str = ""
    """Processing baseline or product version, empty where unknown."""
    orbit: int | None = None
    """Relative orbit, None where unknown."""
    cloud_cover: float | None = None
    """Cloud share by the provider, percent, None where unknown."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a provider is asked for."""

    tiles: frozenset[str] | None
    """Tiles, None for all."""
    period: Period
    """When they were sensed."""

    def takes(self, found: Found) -> bool:
        """True for a granule of one of the tiles, sensed in the period."""
        if self.tiles is not None and found.tile not in self.tiles:
            return False
        after, before = self.period.start, self.period.end
        return (after is None or found.sensed >= after) and (before is None or found.sensed < before)


@dataclass(frozen=True, slots=True)
class Granules:
    """What a provider found."""

    table: arrow.Table
    """One row a granule, with the columns of `Found`."""
    problems: tuple[ThalwegError, ...] = ()
    """What looked like a granule and could not be understood."""


COLUMNS = tuple(field.name for field in fields(Found))
"""Names of the columns, in order."""


def schema() -> arrow.Schema:
    """Types of the columns."""
    arrow = need_arrow()
    text, time = arrow.string(), arrow.timestamp("us", tz="UTC")
    types: dict[str, Any] = {"sensed": time, "orbit": arrow.int32(), "cloud_cover": arrow.float64()}
    return arrow.schema([(name, types.get(name, text)) for name in COLUMNS])


def table_of(granules: Iterable[Found]) -> arrow.Table:
    """Granules as columns."""
    rows = list(granules)
    columns = {name: [getattr(row, name) for row in rows] for name in COLUMNS}
    return need_arrow().table(columns, schema=schema())


def need_arrow() -> Any:
    """The library pyarrow; BadParameters, with the command that installs it, where it is not there."""
    try:
        import pyarrow
    except ModuleNotFoundError as problem:
        raise BadParameters(
            "campaigns need pyarrow, which is not installed", advice="pip install 'thalweg[campaign]'"
        ) from problem
    return pyarrow
