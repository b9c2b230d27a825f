"""How a unit ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from thalweg.errors import ThalwegError

State = Literal["done", "no-data", "failed"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How one unit ended."""

    chain: str
    """Name of the chain."""
    granule: str
    """The granule as the user named it."""
    state: State
    """done: the product is in place; no-data: none is owed; failed: see `error`."""
    unit: str = ""
    """Identity of the unit; empty where the granule could not even be opened."""
    product: Path | None = None
    """Folder of the product."""
    existed: bool = False
    """True where the product had been there before."""
    seconds: float = 0.0
    """Wall time from its beginning; that of chains that are run together overlaps."""
    cpu_seconds: float = 0.0
    """CPU time of its own work; a block that several chains read is on the account of the first that asks for it."""
    properties: Mapping[str, Any] = field(default_factory=dict)
    """STAC properties that the chain gave."""
    error: ThalwegError | None = None
    """Why there is no product."""
    trace: str = ""
    """Traceback of a bug, empty for every other class."""
    tile: str = ""
    """Tile of the granule."""
    sensed: datetime | None = None
    """Start of sensing."""
    item: Mapping[str, Any] | None = None
    """The product's STAC item."""
    summary: tuple[str, ...] = ()
    """The properties that say most, as the chain declares."""

    @property
    def code(self) -> int:
        """Exit code of this ending."""
        return self.error.code if self.error else 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        return {
            "chain": self.chain,
            "granule": self.granule,
            "tile": self.tile,
            "state": self.state,
            "unit": self.unit,
            "product": str(self.product) if self.product else None,
            "existed": self.existed,
            "seconds": round(self.seconds, 3),
            "properties": {name: self.properties.get(name) for name in self.summary},
            "error": self.error.to_dict() if self.error else None,
        }


def exit_code(endings: Iterable[Ending]) -> int:
    """Of a run: 0 where every unit is done or without data, else the highest code of a failed one."""
    return max((ending.code for ending in endings if ending.state == "failed"), default=0)
