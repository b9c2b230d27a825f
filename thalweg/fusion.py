"""Fusion: the chains of one granule, run beside each other so that each block of a band is decoded once.

A chain is a row of passes over the strips of the tile (sample, survey, apply). The schedule takes them in sweeps. While
one chain can go on without decoding a band, it does: what it keeps is then freed early. When all that can go on wait
for bands, their passes make one sweep: the chain whose next strip ends furthest up is advanced, so that all go down the
tile abreast and few decoded rows are kept (`thalweg.sharing`).

A chain that reads another one's product begins when that one has ended. Of the bands that it will want, those that a
sweep decodes before are taken along on the chain's own grid, as far as memory goes, and kept until then.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from thalweg.errors import BadParameters

if TYPE_CHECKING:
    from thalweg.raster import Raster
    from thalweg.strips import Walk

E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of a chain over its strips."""

    rasters: frozenset[Raster]
    """The bands that it decodes."""
    walk: Callable[[], Walk]
    """Begins it: a strip each time it is advanced; before each, the share of the tile that the strip reaches."""


Passes = Generator[Pass, None, E]
"""The passes of a unit, each given when the one before has been walked, and its ending."""


class Task(Protocol[E]):
    """A unit as the schedule sees it."""

    @property
    def name(self) -> str:
        """Name of its chain."""
        ...

    @property
    def after(self) -> frozenset[str]:
        """Names of the chains that must have ended before it begins."""
        ...

    def begin(self, ended: Mapping[str, E]) -> Passes[E]:
        """Its passes, once the chains that it comes after have ended; whatever fails, it has an ending too."""
        ...

    def hold(self, rasters: frozenset[Raster]) -> Walk | None:
        """A pass that takes along what it will want of rasters that are being read; None where that is nothing."""
        ...

    def at_work(self) -> AbstractContextManager[object]:
        """Entered while work is done on its behalf."""
        ...


@dataclass(slots=True)
class _Going(Generic[E]):
    """A unit that has begun."""

    task: Task[E]
    """Which."""
    passes: Passes[E]
    """What it does."""
    due: Pass | None = None
    """The pass that is to be walked next."""
    ending: E | None = None
    """Set when it has ended."""

    def proceed(self, problem: Exception | None = None) -> None:
        """Go on to the next pass or to the end: after a pass was walked, or failed."""
        try:
            with self.task.at_work():
                self.due = next(self.passes) if problem is None else self.passes.throw(problem)
        except StopIteration as stop:
            self.due, self.ending = None, stop.value


@dataclass(slots=True)
class _Walker(Generic[E]):
    """A pass on its way down the tile."""

    task: Task[E]
    """Whose."""
    walk: Walk
    """Its strips."""
    going: _Going[E] | None = None
    """The unit to be told when it is done; None: what it reads is only held."""
    share: float = field(default=0.0)
    """Share of the tile that its next strip reaches."""

    def step(self) -> bool:
        """Work on one strip; False after the last."""
        with self.task.at_work():
            share = next(self.walk, None)
        self.share = 1.0 if share is None else share
        return share is not None


def run_together(tasks: Iterable[Task[E]]) -> Iterator[E]:
    """Endings of all tasks, each as soon as it is known; one that fails does not harm the others.

    Raises BadParameters where chains wait for each other.
    """
    with closing(_Schedule(tasks)) as schedule:
        while schedule.waiting or schedule.going:
            yield from schedule.begin()
            yield from schedule.sweep()


class _Schedule(Generic[E]):
    """Who waits, who is under way, and who has ended."""

    def __init__(self, tasks: Iterable[Task[E]]) -> None:
        self.waiting: list[Task[E]] = list(tasks)
        self.going: list[_Going[E]] = []
        self.ended: dict[str, E] = {}
        self._walkers: list[_Walker[E]] = []

    def close(self) -> None:
        """Abandon what is under way."""
        for walker in self._walkers:
            walker.walk.close()
        for unit in self.going:
            unit.passes.close()

    def begin(self) -> Iterator[E]:
        """Begin every unit that waits for nothing any more."""
        while ready := [task for task in self.waiting if task.after <= self.ended.keys()]:
            for task in ready:
                self.waiting.remove(task)
                unit = _Going(task, task.begin(self.ended))
                self.going.append(unit)
                unit.proceed()
                yield from self._settle(unit)
        if self.waiting and not self.going:
            names = ", ".join(sorted(task.name for task in self.waiting))
            raise BadParameters(f"chains that read each other's products: {names}")

    def sweep(self) -> Iterator[E]:
        """Walk the passes that are due without decoding, or else all of them, abreast."""
        bandless = [unit for unit in self.going if unit.due and not unit.due.rasters]
        abreast = self._walkers = list(self._departing(bandless or self.going))
        while abreast:
            # Those that have not begun are furthest up: all begin before one reads, so that what is decoded is kept.
            walker = min(abreast, key=lambda walker: walker.share)
            problem = None
            try:
                if walker.step():
                    continue
            except Exception as failure:  # noqa: BLE001 - one unit's failure must not harm the others
                problem = failure
            abreast.remove(walker)
            if walker.going:
                walker.going.proceed(problem)
                yield from self._settle(walker.going)

    def _departing(self, units: Iterable[_Going[E]]) -> Iterator[_Walker[E]]:
        passes = [(unit, unit.due) for unit in units if unit.due]
        rasters = frozenset(raster for _, due in passes for raster in due.rasters)
        for unit, due in passes:
            yield _Walker(unit.task, due.walk(), unit)
        for task in (*self.waiting, *(unit.task for unit in self.going)) if rasters else ():
            walk = task.hold(rasters)
            if walk:
                yield _Walker(task, walk)

    def _settle(self, unit: _Going[E]) -> Iterator[E]:
        if unit.ending is not None:
            self._call_back(unit.task)
            self.going.remove(unit)
            self.ended[unit.task.name] = unit.ending
            yield unit.ending

    def _call_back(self, task: Task[E]) -> None:
        """End what is still read on behalf of a unit that has ended."""
        for walker in [walker for walker in self._walkers if walker.task is task]:
            walker.walk.close()
            self._walkers.remove(walker)
