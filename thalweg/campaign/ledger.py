"""The ledger: who is in which state, with every event and its evidence; written by the controller alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from thalweg.campaign.lease import Control, Lease, Mode, Standing, Submission, Taken, WaitingBatch

if TYPE_CHECKING:
    from thalweg.campaign.receipt import Receipt


def open_ledger(where: str | Path, campaign: str = "campaign") -> Ledger:
    """The ledger in a SQLite file, or in PostgreSQL (``postgresql://``), where `campaign` names its schema."""


class Ledger:
    """An open ledger; a context that closes it. `now` is the present time, UTC, where it is not given."""

    def next_batches(self, limit: int, now: datetime | None = None) -> list[WaitingBatch]:
        """Up to `limit` batches that may be leased: priority first, then retries that are due, then the plan's order.

        Empty while the campaign is paused or cancelled."""

    def lease(
        self, batch: WaitingBatch, duration: timedelta = timedelta(hours=2), now: datetime | None = None
    ) -> Lease:
        """Lease a batch: its units run, under a new batch id and fencing token.

        Raises UsageError where one of them is not pending any more."""

    def renew(self, batch: str, duration: timedelta, now: datetime | None = None) -> None:
        """Let a lease last longer, because its job was seen waiting or running."""

    def record_submission(self, job_name: str, batches: Sequence[str], now: datetime | None = None) -> None:
        """Record a job's unique name with the ids of its batches BEFORE it is sent."""

    def bind_job(self, job_name: str, scheduler_id: str) -> None:
        """Record the id that the scheduler gave to a submission."""

    def submissions(self) -> list[Submission]:
        """Submissions with batches that have neither ended nor been released, oldest first."""

    def take_receipts(self, receipts: Iterable[Receipt], now: datetime | None = None) -> Taken:
        """Take receipts in: idempotent; a stale token is refused and noted; failures are retried by their class.

        A batch whose units all have their receipt ends by itself."""

    def release(
        self, batch: str, kind: str, message: str, begun: Iterable[str] = (), now: datetime | None = None
    ) -> int:
        """End a batch whose job is gone; the number of units that had no receipt comes back.

        `kind` is the failure class of the job (``node-lost``, ``time``, ``memory``, ``service``, ``disk``, ``bug``;
        ``units-left`` for a soft stop). It is charged to the units of `begun` (a begin mark and no end); the others
        wait again, free of charge. Releasing twice changes nothing."""

    def accounting(self, job: str, cpu_seconds: float, memory_mb: float, waited_seconds: float) -> None:
        """Record what the scheduler says that a job (``id`` or ``id_element``) used and how long it waited."""

    def states(self) -> Standing:
        """How many units are in which state: counters that are kept, so that millions of units answer at once."""

    def control(self) -> Control:
        """Whether the campaign may submit."""

    def steer(self, mode: Mode, why: str = "", cause: str = "operator", now: datetime | None = None) -> None:
        """Pause, resume or cancel; what was cancelled is `skipped`."""
