"""What the ledger hands out and takes back: batches that wait, leases on them, submissions, units in each state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

State = Literal["pending", "running", "done", "no-data", "skipped", "failed"]
"""Where a unit stands. The numbers of these six always add up to the units that were planned."""

STATES: tuple[State, ...] = ("pending", "running", "done", "no-data", "skipped", "failed")
"""Every state; its place here is its number in the ledger's tables."""

Mode = Literal["running", "paused", "cancelled"]
"""What the operator, or an alarm, wants of the campaign."""


@dataclass(frozen=True, slots=True)
class WaitingUnit:
    """One unit of a batch, with what a manifest says of it."""

    number: int
    """Row of the unit in the plan."""
    id: str
    """Identity of the unit, 64 hexadecimal digits."""
    chain: str
    """Name of the chain, as the plan has it."""
    granule: str
    """Name of the granule."""
    path: str
    """Where the granule is."""
    tile: str
    """Tile, without the T."""


class OutOfDate(Exception):
    """What was read in the ledger has been changed by another command since."""


@dataclass(frozen=True, slots=True)
class WaitingBatch:
    """Units that one job should run, not leased yet: one tile, dates in order, all chains of a date together."""

    tile: str
    """Tile, without the T."""
    priority: int
    """Higher goes first."""
    units: tuple[WaitingUnit, ...]
    """The units, those of one granule beside each other."""
    memory_mb: int | None = None
    """Memory to ask for, MB, where an earlier attempt showed that the usual is too little."""
    seconds: int | None = None
    """Time to ask for, where an earlier attempt showed that the usual is too little."""
    alone: bool = False
    """True for a unit that is retried by itself."""
    part: int | None = None
    """Part of the plan that it is, None for units that are tried again."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A batch that somebody has undertaken to run until the lease expires."""

    batch: str
    """Id of the batch, such as ``b000042``; never used twice in a campaign."""
    token: int
    """Fencing token, higher than every earlier one: a receipt is believed only while its token holds its unit."""
    expires: datetime
    """From when on the ledger takes the runner for dead, UTC."""
    waiting: WaitingBatch
    """What was leased."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A scheduler job or array that was recorded before it was sent."""

    job_name: str
    """Unique name by which the job is found again."""
    scheduler_id: str | None
    """The scheduler's id; None where the controller died before it could record it."""
    batches: tuple[str, ...]
    """Ids of the batches, in the order of the array's elements; those that ended are among them."""
    open: tuple[str, ...]
    """Ids of those that have neither ended nor been released."""
    sent: datetime
    """When it was recorded, UTC."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a call of `Ledger.take_receipts` made of its lines."""

    ended: int = 0
    """Units that ended by them."""
    again: int = 0
    """Units that were put back to be tried again."""
    known: int = 0
    """Lines that had been taken before."""
    refused: int = 0
    """Lines with a stale or unknown token."""


@dataclass(frozen=True, slots=True)
class Control:
    """Whether the campaign may submit."""

    mode: Mode = "running"
    """What is wanted."""
    why: str = ""
    """Reason, for people; empty while all is well."""
    cause: str = ""
    """Who decided: ``operator``, ``breaker``, ``disk`` or ``parameters``."""
    since: datetime | None = None
    """When."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How many units are in which state."""

    states: Mapping[State, int] = field(default_factory=dict)
    """State to number of units, every state present."""
    classes: Mapping[str, int] = field(default_factory=dict)
    """Failure class to number of units that are failed or skipped for it."""
    chains: Mapping[str, Mapping[State, int]] = field(default_factory=dict)
    """The same as `states`, by chain."""

    @property
    def planned(self) -> int:
        """Number of units of the plan."""
        return sum(self.states.values())

    @property
    def left(self) -> int:
        """Units that wait or run."""
        return self.states.get("pending", 0) + self.states.get("running", 0)
