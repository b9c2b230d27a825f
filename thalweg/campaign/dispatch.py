"""What a dispatcher is asked for and what it tells: one contract for every place where batches can run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from thalweg.campaign.batch import Resources
from thalweg.errors import UNITS_LEFT, DiskFull, ServiceUnavailable

Place = Literal["waiting", "running", "ended", "unknown"]
"""Where a job stands; `unknown` where nobody could say, which is never taken for a failure."""


@dataclass(frozen=True, slots=True)
class Request:
    """Batches that are submitted together, as the elements of one array."""

    name: str
    """Unique name, recorded before anything is sent: by it the job is found again."""
    manifests: tuple[Path, ...]
    """One element each, the first one is element 1."""
    resources: Resources
    """What each element is given."""


@dataclass(frozen=True, slots=True)
class Element:
    """One job of an array, as the scheduler tells it."""

    place: Place
    """Where it stands."""
    kind: str = ""
    """Why it ended: empty where all is well, a failure class, or ``units-left``."""
    evidence: str = ""
    """The scheduler's own words."""
    cpu_seconds: float = 0.0
    """CPU time, 0 where unknown."""
    memory_mb: float = 0.0
    """Largest resident memory, MB, 0 where unknown."""
    waited_seconds: float = 0.0
    """Time in the queue."""


UNKNOWN = Element("unknown")
"""Nothing could be learnt."""


class Dispatcher(Protocol):
    """A place where batches run.

    Every call comes back in bounded time. What could not be learnt or done in that time raises ServiceUnavailable, or
    is told as `unknown`.
    """

    largest: int
    """Elements that one request may have."""
    at_once: int | None
    """Batches that it makes sense to have in flight; None: as many as the site allows."""
    runs_at_once: bool
    """True where a submission comes back when its batches have ended."""

    def submit(self, request: Request) -> str:
        """Send a request; the scheduler's id of it comes back."""
        ...

    def find(self, names: Collection[str]) -> Mapping[str, str]:
        """Ids of the requests with these names that the scheduler knows, waiting, running or ended."""
        ...

    def poll(self, jobs: Mapping[str, int]) -> Mapping[str, tuple[Element, ...]]:
        """The elements of each request, given as id and number of elements, in one go for all."""
        ...

    def cancel(self, ids: Iterable[str]) -> None:
        """End requests, waiting or running."""
        ...

    def close(self) -> None:
        """Let go of the scheduler; jobs go on."""
        ...


def kind_of_exit(code: int) -> str:
    """What the exit code of a whole job means.

    A worker ends with 0, 40 or 22. Anything else says that it never came to work, which no unit is to blame for: a node
    without Python, or without the shared folder.
    """
    return {0: "", UNITS_LEFT: "units-left", DiskFull.code: DiskFull.kind}.get(code, ServiceUnavailable.kind)


def kind_of_signal(number: int) -> str:
    """What a signal that ended the whole job means: the memory killer's, the end of the walltime's, the node's."""
    return {9: "memory", 24: "time", 15: "node-lost", 10: "units-left", 12: "units-left"}.get(number, "bug")
