"""States of units: the only place where they change, so that the counters can never be wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from thalweg.campaign.database import Database, marks
from thalweg.campaign.lease import STATES, Standing, State

T = TypeVar("T")

PENDING, RUNNING, DONE, NO_DATA, SKIPPED, FAILED = range(len(STATES))
"""Numbers of the states in the tables."""

SHORT = (SKIPPED, FAILED)
"""States that have a class which explains them."""

CHUNK = 1000
"""Rows that are looked up at once."""


class Unit(NamedTuple):
    """A row of the table of units, in the order of its columns."""

    number: int
    id: bytes
    granule: int
    chain: int
    state: int
    kind: str
    tries: int
    attempts: int
    token: int
    memory: int | None
    seconds: int | None


class Move(NamedTuple):
    """A unit and how it stands from now on."""

    unit: Unit
    state: int
    kind: str = ""
    tries: int = 0
    attempts: int = 0
    token: int = 0
    due: float = 0.0
    memory: int | None = None
    seconds: int | None = None
    alone: int = 0


COLUMNS = ", ".join(f"units.{name}" for name in Unit._fields)
"""What to select for units."""

_UPDATE = (
    "UPDATE units SET state = ?, kind = ?, tries = ?, attempts = ?, token = ?, due = ?, memory = ?, seconds = ?,"
    " alone = ? WHERE number = ?"
)
_COUNT = (
    "INSERT INTO counts (chain, state, kind, units) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (chain, state, kind) DO UPDATE SET units = counts.units + excluded.units"
)


def units_where(database: Database, condition: str, values: Sequence[Any] = ()) -> list[Unit]:
    """The units that meet a condition."""
    return [unit_of(row) for row in database.rows(f"SELECT {COLUMNS} FROM units WHERE {condition}", values)]


def units_among(database: Database, column: str, values: Iterable[Any]) -> Iterator[Unit]:
    """The units whose number or id is among some."""
    for chunk in chunks(values):
        yield from units_where(database, f"{column} IN ({marks(len(chunk))})", chunk)


def unit_of(row: Sequence[Any]) -> Unit:
    """The unit of a row that begins with `COLUMNS`."""
    return Unit(row[0], bytes(row[1]), *row[2 : len(Unit._fields)])


def move(database: Database, moves: Sequence[Move]) -> None:
    """Bring units to their new states, and the counters with them."""
    rows = [(*change[1:], change.unit.number) for change in moves]
    database.change_many(_UPDATE, rows)
    tally: Counter[tuple[int, int, str]] = Counter()
    for change in moves:
        unit = change.unit
        tally[unit.chain, unit.state, _explained(unit.state, unit.kind)] -= 1
        tally[unit.chain, change.state, _explained(change.state, change.kind)] += 1
    count(database, tally)


def count(database: Database, tally: Counter[tuple[int, int, str]]) -> None:
    """Add to the counters of chain, state and class."""
    changed = sorted((key, number) for key, number in tally.items() if number)
    database.change_many(_COUNT, [(*key, number) for key, number in changed])


def standing(database: Database) -> Standing:
    """How many units are in which state, by the counters."""
    names: dict[int, str] = dict(database.rows("SELECT number, name FROM chains ORDER BY number"))
    chains: dict[str, dict[State, int]] = {name: dict.fromkeys(STATES, 0) for name in names.values()}
    classes: Counter[str] = Counter()
    for chain, state, kind, units in database.rows(
        "SELECT chain, state, kind, units FROM counts WHERE units <> 0"
    ):
        chains[names[chain]][STATES[state]] += units
        if kind:
            classes[kind] += units
    states = {state: sum(each[state] for each in chains.values()) for state in STATES}
    return Standing(states, dict(sorted(classes.items())), chains)


def recount(database: Database) -> Counter[tuple[int, int, str]]:
    """What the counters should be, counted unit by unit."""
    rows = database.rows("SELECT chain, state, kind, count(*) FROM units GROUP BY chain, state, kind")
    tally: Counter[tuple[int, int, str]] = Counter()
    for chain, state, kind, units in rows:
        tally[chain, state, _explained(state, kind)] += units
    return tally


def chunks(values: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Values in lists of at most `size`."""
    waiting = iter(values)
    while chunk := list(islice(waiting, size)):
        yield chunk


def _explained(state: int, kind: str) -> str:
    return kind if state in SHORT else ""
