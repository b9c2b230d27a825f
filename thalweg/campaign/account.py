"""The account: planned = produced + explained; what is missing, where, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from thalweg.campaign.lease import STATES, State
from thalweg.campaign.ledger import Ledger
from thalweg.campaign.unit_filter import UnitFilter

Grouping = Literal["tile", "day", "chain", "class"]
"""What missing units may be counted by."""

_KEYS: Mapping[Grouping, str] = {
    "tile": "granules.tile",
    "day": "substr(granules.sensed, 1, 10)",
    "chain": "chains.name",
    "class": "units.kind",
}
_FROM = (
    "units JOIN granules ON granules.number = units.granule JOIN chains ON chains.number = units.chain"
    " LEFT JOIN attempts ON attempts.unit = units.number AND attempts.token = units.token"
)
_MISSING = "units.state NOT IN (2, 3)"


@dataclass(frozen=True, slots=True)
class MissingUnit:
    """A unit without a product that owes one, or of which that is not known yet."""

    unit: str
    """Identity."""
    chain: str
    """Name of the chain."""
    granule: str
    """Name of the granule."""
    tile: str
    """Tile, without the T."""
    sensed: str
    """Start of sensing, ISO 8601."""
    state: State
    """pending, running, skipped or failed."""
    kind: str
    """Class of its last bad ending, empty before any."""
    attempts: int
    """How often it was tried."""
    message: str
    """What happened last."""
    advice: str
    """What to do about it."""
    batch: str
    """Batch of its last attempt, empty before any; the log bears its name."""


@dataclass(frozen=True, slots=True)
class MissingGroup:
    """Missing units that have something in common."""

    key: str
    """What they have in common: a tile, a day, a chain or a class."""
    state: State
    """Their state."""
    units: int
    """How many they are."""
    message: str
    """What happened to one of them."""


def missing_units(ledger: Ledger, chosen: UnitFilter, limit: int | None = None) -> list[MissingUnit]:
    """Missing units that meet the conditions, by tile and time."""
    where, values = chosen.condition(_chains(ledger))
    sql = (
        "SELECT units.id, chains.name, granules.id, granules.tile, granules.sensed, units.state, units.kind,"
        " units.attempts, coalesce(attempts.error, ''), coalesce(attempts.advice, ''), units.token"
        f" FROM {_FROM} WHERE {_MISSING} AND {where} ORDER BY granules.tile, granules.sensed, units.number"
    )
    rows = ledger.database.rows(sql if limit is None else f"{sql} LIMIT {int(limit)}", values)
    return [_missing(row) for row in rows]


def missing_by(ledger: Ledger, grouping: Grouping, chosen: UnitFilter) -> list[MissingGroup]:
    """Numbers of missing units that meet the conditions, the most numerous first."""
    where, values = chosen.condition(_chains(ledger))
    key = _KEYS[grouping]
    sql = (
        f"SELECT {key}, units.state, count(*), coalesce(max(attempts.error), '') FROM {_FROM}"
        f" WHERE {_MISSING} AND {where} GROUP BY {key}, units.state ORDER BY count(*) DESC, {key}, units.state"
    )
    rows = ledger.database.rows(sql, values)
    return [MissingGroup(key or "-", STATES[state], units, message) for key, state, units, message in rows]


def _missing(row: Sequence[Any]) -> MissingUnit:
    id, chain, granule, tile, sensed, state, kind, attempts, message, advice, token = row
    batch = f"b{token:06d}" if token > 1 else ""
    return MissingUnit(
        bytes(id).hex(), chain, granule, tile, sensed, STATES[state], kind, attempts, message, advice, batch
    )


def _chains(ledger: Ledger) -> dict[str, int]:
    return dict(ledger.database.rows("SELECT name, number FROM chains"))
