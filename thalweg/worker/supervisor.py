"""Works through a batch: unit by unit, a receipt for each, whatever the units do to the process they run in.

Only the standard library is needed here; the chains are loaded by the process that makes the units. When that process
dies, the unit it was making gets a receipt with the class of that death, and another process goes on. A granule whose
chains ran together is then taken apart: each of its remaining units is tried alone.
"""

from __future__ import annotations

import bisect
import math
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Protocol

from thalweg.campaign.batch import Batch, BatchGranule, read_batch
from thalweg.campaign.receipt import (
    Begun,
    Receipt,
    ReceiptWriter,
    new_receipts,
    read_lines,
    receipts_of,
)
from thalweg.errors import UNITS_LEFT, Bug, DiskFull, OutOfTime, ThalwegError
from thalweg.settings import Job, read_job
from thalweg.worker.account import measured, told
from thalweg.worker.bench import Bench, bench_for
from thalweg.worker.measure import Cost
from thalweg.worker.process import Death, Died, MakingProcess, TooLate

SOFT_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2)
"""What a scheduler sends some time before the end: the unit at hand is finished, no other is begun."""

HARD_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGXCPU)
"""What a scheduler sends at the end: the unit at hand is given up."""


_LAST_MOMENTS = 5.0
"""Seconds before the end of the walltime at which a unit that still runs is given up, so that this can be written."""


class Terminated(Exception):
    """The scheduler ends the job."""


def work(manifest: Path, receipts: Path, *, here: bool = False) -> int:
    """Make the units of a batch that have no receipt yet and write their receipts; the exit code comes back.

    0: every unit has its receipt; 40: units are left for another attempt; 22: the disk is full. `here` makes the units
    in this very process, where a debugger can follow, and does without protection from what they do to it.
    """
    clock = time.monotonic()
    batch, job = read_batch(manifest), read_job()
    settled = settled_units(receipts, batch)
    tasks = deque(_tasks(batch, settled))
    if not tasks:
        return 0
    with ExitStack() as stack:
        writer = stack.enter_context(ReceiptWriter(new_receipts(receipts, batch.id, batch.token)))
        maker: _Maker = _InThisProcess(batch) if here else _Watched(manifest)
        stack.callback(maker.close)
        shift = _Shift(batch, job, writer, maker, clock)
        stack.enter_context(_signals_heard(shift, () if here else HARD_SIGNALS))
        try:
            return shift.work_through(tasks)
        except DiskFull:
            return DiskFull.code
        except Terminated:
            maker.kill()
            return UNITS_LEFT


def _tasks(batch: Batch, settled: set[str]) -> Iterator[Task]:
    """What is left to do: the units of each granule together."""
    for place, granule in enumerate(batch.granules):
        units = tuple(index for index, unit in enumerate(granule.units) if unit.id not in settled)
        if units:
            yield Task(place, units)


def settled_units(receipts: Path, batch: Batch) -> set[str]:
    """Units that have a receipt of this lease already, from an attempt that did not come to its end."""
    settled = set()
    for path in receipts_of(receipts, batch.id, batch.token):
        settled |= {line.unit for line in read_lines(path)[0] if isinstance(line, Receipt)}
    return settled


@dataclass(frozen=True, slots=True)
class Task:
    """Units of one granule that are made together."""

    granule: int
    """Place of the granule in the batch."""
    units: tuple[int, ...]
    """Places of the units in the granule."""

    def apart(self, units: set[int]) -> list[Task]:
        """Tasks of one unit each, of those of its units that are among `units`."""
        return [Task(self.granule, (unit,)) for unit in self.units if unit in units]


class _Maker(Protocol):
    """Makes the units of a task."""

    def make(self, granule: BatchGranule, task: Task, until: float) -> Iterator[Receipt]:
        """A receipt a unit; raises Died or TooLate where there will be none."""
        ...

    def kill(self) -> None:
        """Give the task up."""
        ...

    def close(self) -> None:
        """There will be no other task."""
        ...


class _InThisProcess:
    """Makes units here."""

    def __init__(self, batch: Batch) -> None:
        self._bench: Bench = bench_for(batch)

    def make(self, granule: BatchGranule, task: Task, until: float) -> Iterator[Receipt]:
        yield from self._bench.make(granule, tuple(granule.units[unit] for unit in task.units))

    def kill(self) -> None:
        """Nothing goes on."""

    def close(self) -> None:
        """Nothing is open."""


class _Watched:
    """Makes units in a process of its own, and starts another one where it dies."""

    def __init__(self, manifest: Path) -> None:
        self._manifest = manifest
        self._process: MakingProcess | None = None

    def make(self, granule: BatchGranule, task: Task, until: float) -> Iterator[Receipt]:
        process = self._process = self._process or MakingProcess(self._manifest)
        try:
            process.ask(task.granule, task.units)
            yield from process.receipts(until)
        except Died:
            self._process = None
            raise

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process = None

    def close(self) -> None:
        if self._process:
            self._process.close()


class _Shift:
    """One attempt at a batch."""

    def __init__(self, batch: Batch, job: Job, writer: ReceiptWriter, maker: _Maker, clock: float) -> None:
        self._batch, self._job, self._writer, self._maker = batch, job, writer, maker
        self._end = clock + batch.resources.seconds
        self._last_moments = min(_LAST_MOMENTS, batch.resources.seconds / 10)
        self._pace = Pace()
        self.is_stopped = False

    def work_through(self, tasks: deque[Task]) -> int:
        """Make all units, or as many as there is time for; the exit code comes back."""
        while tasks:
            if self.is_stopped or not self._pace.fits(self._end - time.monotonic()):
                return UNITS_LEFT
            begin = time.monotonic()
            tasks.extendleft(reversed(self._attempt(tasks.popleft())))
            self._pace.note(time.monotonic() - begin)
        return 0

    def _attempt(self, task: Task) -> list[Task]:
        """Make the units of a task; what has to be tried again comes back."""
        granule = self._batch.granules[task.granule]
        begun = time.time()
        self._writer.begin(
            Begun(granule.units[unit].id, self._batch.token, begun, self._job.host, self._job.id)
            for unit in task.units
        )
        places = {granule.units[unit].id: unit for unit in task.units}
        try:
            for receipt in self._maker.make(granule, task, self._end - self._last_moments):
                del places[receipt.unit]
                self._writer.end([receipt])
                self._check_room(receipt)
            if places:
                self._end_units(granule, places, begun, Bug("no ending came back from the chain's process"))
        except Died as died:
            if len(task.units) > 1:
                return task.apart(set(places.values()))
            self._end_units(granule, places, begun, died.death.error, died.death)
        except TooLate:
            self._maker.kill()
            error = OutOfTime(f"its job's {self._batch.resources.seconds} s were over before it ended")
            self._end_units(granule, places, begun, error)
            self.is_stopped = True
        return []

    def _end_units(
        self,
        granule: BatchGranule,
        places: dict[str, int],
        begun: float,
        error: ThalwegError,
        death: Death | None = None,
    ) -> None:
        """Write the receipts that the units themselves could not write any more."""
        cost = Cost(begun, time.time(), 0.0, death.peak_memory_mb if death else 0.0, 0)
        lost = Receipt(
            unit="",
            token=self._batch.token,
            state="failed",
            host=self._job.host,
            job=self._job.id,
            trace=death.words if death else "",
            alone=len(places) == 1,
            **measured(cost),
            **told("failed", error),
        )
        self._writer.end(replace(lost, unit=unit) for unit in places)

    @staticmethod
    def _check_room(receipt: Receipt) -> None:
        """Stop where the disk is full: every other unit would fail for it too."""
        if receipt.kind == DiskFull.kind:
            raise DiskFull(receipt.error)


class Pace:
    """How long granules take here, and whether another one fits in."""

    def __init__(self) -> None:
        self._seconds: list[float] = []

    def note(self, seconds: float) -> None:
        """Learn from a granule."""
        bisect.insort(self._seconds, seconds)

    def fits(self, left: float) -> bool:
        """True where twice the 95th percentile is left; the first granule always fits, or nothing would be done."""
        if not self._seconds:
            return True
        p95 = self._seconds[math.ceil(0.95 * len(self._seconds)) - 1]
        return left >= 2 * p95


@contextmanager
def _signals_heard(shift: _Shift, hard: Iterable[signal.Signals]) -> Iterator[None]:
    """Have the scheduler's signals end the shift, softly or at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        shift.is_stopped = True

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    answers = dict.fromkeys(SOFT_SIGNALS, stop) | dict.fromkeys(hard, terminate)
    before = {number: signal.signal(number, answer) for number, answer in answers.items()}
    try:
        yield
    finally:
        for number, answer in before.items():
            signal.signal(number, answer)
