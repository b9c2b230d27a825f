"""The history of one unit: every attempt with its evidence, and the logs that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.campaign.folder import CampaignFolder
from thalweg.campaign.lease import STATES, State
from thalweg.campaign.ledger import Ledger
from thalweg.campaign.unit_filter import UnitFilter
from thalweg.errors import MissingInput, UsageError


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a unit."""

    batch: str
    """Its batch."""
    state: str
    """How it ended."""
    kind: str
    """Class of the ending."""
    ended: float
    """When it ended, Unix time in seconds."""
    seconds: float
    """Wall time."""
    memory_mb: float
    """Largest resident memory, MB."""
    host: str
    """Machine."""
    job: str
    """The scheduler's id of the job."""
    product: str
    """Folder of the product, relative to the destination."""
    error: str
    """What happened."""
    advice: str
    """What to do about it."""
    trace: str
    """Evidence."""
    logs: tuple[str, ...]
    """Log files of its batch."""


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a unit."""

    unit: str
    """Identity."""
    chain: str
    """Name of the chain."""
    granule: str
    """Name of the granule."""
    path: str
    """Where the granule is."""
    state: State
    """Where the unit stands."""
    kind: str
    """Class of its last bad ending."""
    attempts: tuple[Attempt, ...]
    """Its attempts, oldest first."""


def unit_history(ledger: Ledger, folder: CampaignFolder, unit: str) -> History:
    """The history of the unit with an id, or the beginning of one.

    Raises MissingInput where there is none, UsageError where there are several.
    """
    where, values = UnitFilter(units=(unit,)).condition({})
    sql = (
        "SELECT units.number, units.id, chains.name, granules.id, granules.path, units.state, units.kind, units.token"
        " FROM units JOIN granules ON granules.number = units.granule JOIN chains ON chains.number = units.chain"
        f" WHERE {where} LIMIT 2"
    )
    found = ledger.database.rows(sql, values)
    if not found:
        raise MissingInput(f"no unit {unit!r} in this campaign", advice="`account --list` shows ids.")
    if len(found) > 1:
        raise UsageError(f"unit {unit!r}: several begin so; give more digits")
    number, id, chain, granule, path, state, kind, token = found[0]
    attempts = _attempts(ledger, folder, number)
    if STATES[state] == "running":
        attempts += (_running(folder, token),)
    return History(bytes(id).hex(), chain, granule, path, STATES[state], kind, attempts)


def _attempts(ledger: Ledger, folder: CampaignFolder, number: int) -> tuple[Attempt, ...]:
    sql = (
        "SELECT token, state, kind, ended, ended - begun, memory, host, job, product, error, advice, trace"
        " FROM attempts WHERE unit = ? ORDER BY sequence"
    )
    return tuple(_attempt(folder, row) for row in ledger.database.rows(sql, [number]))


def _attempt(folder: CampaignFolder, row: Sequence[Any]) -> Attempt:
    batch = f"b{row[0]:06d}"
    values: tuple[Any, ...] = (batch, *row[1:], _logs(folder, batch))
    return Attempt(*values)


def _running(folder: CampaignFolder, token: int) -> Attempt:
    """The attempt that has not ended yet."""
    batch = f"b{token:06d}"
    return Attempt(batch, "running", "running", 0.0, 0.0, 0.0, "", "", "", "", "", "", _logs(folder, batch))


def _logs(folder: CampaignFolder, batch: str) -> tuple[str, ...]:
    return tuple(str(path) for path in sorted(folder.logs.glob(f"{batch}*")))
