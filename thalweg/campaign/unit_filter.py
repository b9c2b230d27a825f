"""Which units an operator means: any mixture of ids, states, classes, chains, tiles and days."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from thalweg.campaign.database import marks
from thalweg.campaign.lease import STATES
from thalweg.errors import UsageError
from thalweg.parameters import suggest

_PREFIX = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True)
class UnitFilter:
    """Conditions that all must hold; an empty one always holds."""

    units: tuple[str, ...] = ()
    """Ids, or their beginnings of at least eight digits."""
    states: tuple[str, ...] = ()
    """States."""
    kinds: tuple[str, ...] = ()
    """Failure classes."""
    chains: tuple[str, ...] = ()
    """Names of chains."""
    tiles: tuple[str, ...] = ()
    """Tiles."""
    first: str | None = None
    """First day of sensing, such as 2024-01-31."""
    last: str | None = None
    """Last day of sensing."""

    def condition(self, chains: Mapping[str, int]) -> tuple[str, list[Any]]:
        """The condition on units joined with granules, and its values; `chains` are names with their numbers.

        Raises UsageError for a state, chain, id or day that means nothing.
        """
        parts: list[str] = ["1 = 1"]
        values: list[Any] = []
        if self.units:
            ranges = [_range(unit) for unit in self.units]
            parts.append("(" + " OR ".join("units.id BETWEEN ? AND ?" for _ in ranges) + ")")
            values += [end for ends in ranges for end in ends]
        for column, wanted in (
            ("units.state", _numbers("state", self.states, {name: at for at, name in enumerate(STATES)})),
            ("units.kind", list(self.kinds)),
            ("units.chain", _numbers("chain", self.chains, chains)),
            ("granules.tile", [tile.removeprefix("T") for tile in self.tiles]),
        ):
            if wanted:
                parts.append(f"{column} IN ({marks(len(wanted))})")
                values += wanted
        for sign, day in ((">=", self.first), ("<=", self.last)):
            if day is not None:
                parts.append(f"granules.sensed {sign} ?")
                values.append(_day(day) + ("" if sign == ">=" else "T99"))
        return " AND ".join(parts), values

    def told(self) -> dict[str, Any]:
        """The conditions that are given, for the record."""
        given = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in given.items() if value}


def _range(unit: str) -> tuple[bytes, bytes]:
    """The smallest and the largest id with a beginning."""
    text = unit.lower()
    if not _PREFIX.fullmatch(text):
        raise UsageError(f"unit {unit!r}: expected an id, or at least its first 8 hexadecimal digits")
    return bytes.fromhex(text.ljust(64, "0")), bytes.fromhex(text.ljust(64, "f"))


def _numbers(what: str, names: Sequence[str], known: Mapping[str, int]) -> list[int]:
    for name in names:
        if name not in known:
            raise UsageError(f"{what} {name!r} is unknown. {suggest(name, known)}")
    return [known[name] for name in names]


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise UsageError(f"day {text!r}: expected a date such as 2024-01-31") from None
