"""The controller: leases batches, has them run, takes their receipts, until every unit has an ending.

It may be killed at any moment. What it did is in the ledger before it counts: a lease before its manifest, a job's name
before the job; what was begun without the next step is found and put back by the controller that comes after.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby, islice
from pathlib import Path

from thalweg.campaign.batch import Resources, Simulation, read_batch
from thalweg.campaign.disk import CAUSE as DISK
from thalweg.campaign.disk import watch_disk
from thalweg.campaign.dispatch import Dispatcher, Element, Request
from thalweg.campaign.folder import CampaignFolder, PlanFacts
from thalweg.campaign.lease import Lease, OutOfDate, Standing, Submission
from thalweg.campaign.ledger import Ledger
from thalweg.campaign.mailbox import Mailbox
from thalweg.campaign.manifest import write_manifest
from thalweg.campaign.policy import CANCELLED, UNITS_LEFT
from thalweg.campaign.site_file import Site
from thalweg.errors import ServiceUnavailable

MOST_REFUSALS = 5
"""Submissions that may fail in a row before the campaign pauses."""

LAST_LOOKS = 10
"""How often accounts are asked for after everything has ended."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a controller goes about its work."""

    interval: float = 30.0
    """Seconds from one look at the scheduler to the next."""
    lease: timedelta = timedelta(hours=2)
    """How long a batch is left to its job without a sign of life."""
    simulate: Simulation | None = None
    """Stand-in science in place of the chains."""
    say: Callable[[str], None] = lambda text: None
    """Told what people may want to know."""
    publish: Callable[[], object] = lambda: None
    """Brings what has ended into the catalogue."""


class Controller:
    """Runs a campaign's plan on a dispatcher."""

    def __init__(
        self, folder: CampaignFolder, ledger: Ledger, dispatcher: Dispatcher, manner: Manner | None = None
    ) -> None:
        self._folder, self._ledger, self._dispatcher = folder, ledger, dispatcher
        self._manner = manner or Manner()
        self._facts: PlanFacts = folder.read_facts()
        self._site: Site = folder.site()
        self._mailbox = Mailbox(folder.receipts)
        self._unaccounted: dict[str, int] = {}
        self._refusals = 0

    def run(self) -> Standing:
        """Work until no unit waits or runs, or the campaign is paused or cancelled and nothing runs any more."""
        self._recover()
        while True:
            self._stop_cancelled()
            self._settle()
            self._submit()
            self._settle_at_once()
            self._manner.publish()
            if self._is_over():
                break
            time.sleep(self._manner.interval)
        self._account_for_the_last()
        return self._ledger.states()

    # --- what an earlier controller left

    def _recover(self) -> None:
        """Find the jobs of a controller that was killed, and put back what it had leased and not sent."""
        sent = {batch for submission in self._ledger.submissions() for batch in submission.batches}
        for batch, _ in self._ledger.open_batches():
            if batch not in sent:
                self._release(batch, UNITS_LEFT, "leased, and never sent")
        lost = [each for each in self._ledger.submissions() if each.scheduler_id is None]
        found = self._dispatcher.find([each.job_name for each in lost]) if lost else {}
        for submission in lost:
            if submission.job_name in found:
                self._ledger.bind_job(submission.job_name, found[submission.job_name])
            else:
                for batch in submission.open:
                    self._release(batch, UNITS_LEFT, f"job {submission.job_name} never reached the scheduler")

    # --- what comes back

    def _settle(self) -> None:
        """Take receipts in, look at the jobs, and release what has ended without a receipt for every unit."""
        self._take_receipts()
        for batch, element in self._look():
            if element.place in ("waiting", "running"):
                self._ledger.renew(batch, self._manner.lease)
            elif element.place == "ended":
                self._end(batch, element)
        for batch in self._ledger.overdue():
            self._release(batch, "node-lost", "no sign of life before its lease ran out")

    def _settle_at_once(self) -> None:
        """Where jobs run within the submission, nothing is to be waited for."""
        while self._dispatcher.runs_at_once and self._ledger.open_batches():
            self._settle()
            self._submit()

    def _take_receipts(self) -> None:
        batches = {id for id, _ in self._ledger.open_batches()}
        self._ledger.take_receipts(self._mailbox.collect(batches))
        for problem in self._mailbox.problems.values():
            self._manner.say(f"{problem}; the rest of this file is not read")

    def _look(self) -> Iterator[tuple[str, Element]]:
        """Every open batch with what the scheduler says of its job; nothing where it does not answer."""
        submissions = [each for each in self._ledger.submissions() if each.scheduler_id is not None]
        jobs = {str(each.scheduler_id): len(each.batches) for each in submissions}
        self._unaccounted |= jobs
        try:
            elements = self._dispatcher.poll(dict(self._unaccounted))
        except ServiceUnavailable as problem:
            self._manner.say(f"{problem.message}; jobs go on, and are looked at again later")
            return
        self._account(elements)
        for submission in submissions:
            told = elements[str(submission.scheduler_id)]
            yield from self._of_open_batches(submission, told)

    @staticmethod
    def _of_open_batches(
        submission: Submission, elements: Sequence[Element]
    ) -> Iterator[tuple[str, Element]]:
        still_open = set(submission.open)
        for batch, element in zip(submission.batches, elements, strict=True):
            if batch in still_open:
                yield batch, element

    def _account(self, jobs: Mapping[str, Sequence[Element]]) -> None:
        """Note what ended jobs have used, once all elements of their array have ended."""
        for id, elements in jobs.items():
            if all(element.place == "ended" for element in elements):
                for number, element in enumerate(elements, start=1):
                    used = (element.cpu_seconds, element.memory_mb, element.waited_seconds)
                    self._ledger.accounting(f"{id}_{number}", *used)
                del self._unaccounted[id]

    def _end(self, batch: str, element: Element) -> None:
        """A job is over: its last receipts are taken in, and what has none is released with the job's class."""
        self._ledger.take_receipts(self._mailbox.collect({batch}))
        is_cancelled = self._ledger.control().mode == "cancelled"
        self._release(batch, CANCELLED if is_cancelled else element.kind or UNITS_LEFT, element.evidence)

    def _release(self, batch: str, kind: str, why: str) -> None:
        begun = self._mailbox.begun(batch)
        left = self._ledger.release(batch, kind, why, begun)
        self._mailbox.forget(batch)
        if left and kind != UNITS_LEFT:
            self._manner.say(f"batch {batch}: {kind}: {why}; {left} units without receipt")

    # --- what goes out

    def _submit(self) -> None:
        """Lease as many batches as may be in flight, and send those that are given the same as one array."""
        if not self._has_room():
            return
        free = min(self._dispatcher.at_once or self._site.max_jobs, self._site.max_jobs)
        free -= len(self._ledger.open_batches())
        if free < 1:
            return
        manifests = [self._manifest(lease) for lease in self._leases(free)]
        largest = min(self._dispatcher.largest, self._site.max_array)
        for resources, group in groupby(sorted(manifests, key=_by_resources), key=lambda each: each[1]):
            for part in _parts(group, largest):
                self._send([lease.batch for lease, _, _ in part], [path for _, _, path in part], resources)

    def _leases(self, limit: int) -> Iterator[Lease]:
        """Leases of waiting batches; one that another command has changed meanwhile is left to the next round."""
        for batch in self._ledger.next_batches(limit):
            with suppress(OutOfDate):
                yield self._ledger.lease(batch, self._manner.lease)

    def _manifest(self, lease: Lease) -> tuple[Lease, Resources, Path]:
        path = write_manifest(self._folder, self._facts, self._site, lease, self._manner.simulate)
        return lease, read_batch(path).resources, path

    def _send(self, batches: list[str], manifests: list[Path], resources: Resources) -> None:
        name = f"{self._facts.name}-{batches[0]}"
        self._ledger.record_submission(name, batches)
        try:
            id = self._dispatcher.submit(Request(name, tuple(manifests), resources))
        except ServiceUnavailable as problem:
            # It may have been taken all the same: the name tells, as soon as the scheduler answers.
            self._manner.say(f"{problem.message}; job {name} is looked for, and sent again if need be")
            self._look_for(name, batches)
            self._count_refusal(problem)
            return
        self._refusals = 0
        self._ledger.bind_job(name, id)

    def _count_refusal(self, problem: ServiceUnavailable) -> None:
        """Pause where the scheduler takes nothing time after time: an operator has to look."""
        self._refusals += 1
        if self._refusals >= MOST_REFUSALS:
            self._ledger.steer(
                "paused", f"{self._refusals} submissions failed: {problem.message}", cause="breaker"
            )

    def _look_for(self, name: str, batches: list[str]) -> None:
        with suppress(ServiceUnavailable):
            found = self._dispatcher.find([name])
            if name in found:
                self._ledger.bind_job(name, found[name])
                return
            for batch in batches:
                self._release(batch, UNITS_LEFT, f"job {name} was not taken by the scheduler")

    def _has_room(self) -> bool:
        """False while the campaign is paused, for want of room or on somebody's word."""
        before = self._ledger.control().mode
        control = watch_disk(self._ledger, Path(self._facts.places.destination), self._site)
        if control.mode != before:
            self._manner.say(f"{control.mode}: {control.why}")
        return control.mode == "running"

    def _stop_cancelled(self) -> None:
        """End the jobs of a campaign that was cancelled."""
        if self._ledger.control().mode == "cancelled":
            ids = [each.scheduler_id for each in self._ledger.submissions() if each.scheduler_id is not None]
            self._dispatcher.cancel(ids)

    # --- the end

    def _is_over(self) -> bool:
        if self._ledger.open_batches():
            return False
        control = self._ledger.control()
        is_stopped = control.mode != "running" and control.cause != DISK
        return is_stopped or self._ledger.states().left == 0

    def _account_for_the_last(self) -> None:
        """Jobs end some moments after their last receipt."""
        for _ in range(LAST_LOOKS):
            if not self._unaccounted:
                return
            with suppress(ServiceUnavailable):
                self._account(self._dispatcher.poll(dict(self._unaccounted)))
            if self._unaccounted:
                time.sleep(min(self._manner.interval, 1.0))


@contextmanager
def sole_controller(folder: CampaignFolder) -> Iterator[None]:
    """Hold the campaign: ServiceUnavailable where another controller of this machine does."""
    handle = os.open(folder.path / ".controller", os.O_RDWR | os.O_CREAT, 0o664)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise ServiceUnavailable(
            f"{folder.path}: another controller runs this campaign",
            advice="Look with `thalweg campaign status`.",
        ) from None
    try:
        yield
    finally:
        os.close(handle)


def _by_resources(entry: tuple[Lease, Resources, Path]) -> tuple[int, int, int]:
    resources = entry[1]
    return resources.memory_mb, resources.seconds, resources.cores


def _parts(
    entries: Iterator[tuple[Lease, Resources, Path]], largest: int
) -> Iterator[list[tuple[Lease, Resources, Path]]]:
    while part := list(islice(entries, largest)):
        yield part
