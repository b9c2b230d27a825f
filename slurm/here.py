"""Batches in the controller's own process: slow, simple, and a debugger can follow them into a chain."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from thalweg.campaign.dispatch import UNKNOWN, Element, Request, kind_of_exit


class Here:
    """Runs what is submitted before the submission comes back."""

    largest = 1
    at_once: int | None = 1
    runs_at_once = True

    def __init__(self, work: Callable[[Path], int]) -> None:
        """`work` makes the units of a manifest and gives the worker's exit code."""
        self._work = work
        self._ended: dict[str, tuple[Element, ...]] = {}

    def submit(self, request: Request) -> str:
        """Run the batches of a request, one after the other."""
        kinds = [kind_of_exit(self._work(manifest)) for manifest in request.manifests]
        self._ended[request.name] = tuple(Element("ended", kind) for kind in kinds)
        return request.name

    def find(self, names: Collection[str]) -> Mapping[str, str]:
        """Requests that ran in this process."""
        return {name: name for name in names if name in self._ended}

    def poll(self, jobs: Mapping[str, int]) -> Mapping[str, tuple[Element, ...]]:
        """How they ended."""
        return {id: self._ended.get(id, (UNKNOWN,) * count) for id, count in jobs.items()}

    def cancel(self, ids: Iterable[str]) -> None:
        """Nothing runs while this is asked."""

    def close(self) -> None:
        """Nothing is open."""
