"""The state of a campaign at a glance, and whether it is healthy: what an operator, or cron, asks every hour."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from thalweg.campaign.lease import Control, Standing
from thalweg.campaign.ledger import Ledger

STALLED_AFTER = 3600.0
"""Seconds without a lease or a receipt after which a campaign with work left is stalled."""

_RECENT = 500
_ENOUGH = 20
_TOO_MANY = 0.10


@dataclass(frozen=True, slots=True)
class Status:
    """Where a campaign stands."""

    name: str
    """Name of the campaign."""
    standing: Standing
    """How many units are in which state."""
    control: Control
    """Whether it may submit."""
    open_batches: int
    """Batches that are leased."""
    overdue: int
    """Of these, leases that have expired."""
    last_sign: datetime | None
    """Latest lease or ending, None before any."""
    units_per_hour: float | None
    """Pace of the latest endings, None before there are any."""
    alarms: tuple[str, ...]
    """Why the campaign is not healthy; empty where it is."""

    @property
    def hours_left(self) -> float | None:
        """Hours to the end at the present pace."""
        return self.standing.left / self.units_per_hour if self.units_per_hour else None

    @property
    def is_complete(self) -> bool:
        """True where no unit waits or runs."""
        return self.standing.left == 0


def read_status(ledger: Ledger, name: str, now: float | None = None) -> Status:
    """The status of a campaign: a few short queries, whatever its size."""
    now = time.time() if now is None else now
    with ledger.database.reading():
        standing, control = ledger.states(), ledger.control()
        (open_batches, overdue), last_lease = _batches(ledger, now)
        endings = [
            ended
            for (ended,) in ledger.database.rows(
                f"SELECT ended FROM attempts ORDER BY sequence DESC LIMIT {_RECENT}"
            )
        ]
    signs = [*endings[:1], *last_lease]
    last = max(signs, default=None)
    return Status(
        name,
        standing,
        control,
        open_batches,
        overdue,
        None if last is None else datetime.fromtimestamp(last, UTC),
        _pace(endings, now),
        tuple(_alarms(standing, control, overdue, open_batches, None if last is None else now - last)),
    )


def _batches(ledger: Ledger, now: float) -> tuple[tuple[int, int], list[float]]:
    late = "coalesce(sum(CASE WHEN expires < ? THEN 1 ELSE 0 END), 0)"
    sql = f"SELECT count(*), {late} FROM batches WHERE state = 'leased'"
    ((open_batches, overdue),) = ledger.database.rows(sql, [now])
    last = ledger.database.rows("SELECT leased FROM batches ORDER BY token DESC LIMIT 1")
    return (int(open_batches), int(overdue)), [leased for (leased,) in last]


def _pace(endings: list[float], now: float) -> float | None:
    """Units per hour between the oldest of the recent endings and now."""
    return 3600 * len(endings) / max(now - min(endings), 1.0) if endings else None


def _alarms(
    standing: Standing, control: Control, overdue: int, open_batches: int, silence: float | None
) -> Iterator[str]:
    if not standing.planned:
        yield "nothing is planned"
    if control.mode == "paused" and control.cause != "operator":
        yield f"paused by {control.cause}: {control.why}"
    if overdue:
        yield f"stalled: {overdue} batches hold leases that have expired"
    is_waiting = standing.left and control.mode == "running"
    if is_waiting and not open_batches and silence is not None and silence > STALLED_AFTER:
        yield f"stalled: {standing.left} units are left, and nothing has happened for {silence / 3600:.1f} hours"
    ended = sum(standing.states[state] for state in ("done", "no-data", "failed"))
    failed = standing.states["failed"]
    if failed >= _ENOUGH and failed > _TOO_MANY * ended:
        yield f"failing: {failed} of {ended} units that ended have failed"
