"""Batches in processes of this machine, some at a time; they end with the controller."""

from __future__ import annotations

import ctypes
import signal
import subprocess
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from thalweg.campaign.dispatch import UNKNOWN, Element, Request, kind_of_exit, kind_of_signal
from thalweg.slurm.script import WORK

_PDEATHSIG = 1


class Processes:
    """A queue of batches, of which `at_once` run."""

    largest = 1
    runs_at_once = False

    def __init__(self, folder: Path, at_once: int) -> None:
        self._logs, self._at_once = folder / "logs", at_once
        self.at_once: int | None = 2 * at_once
        self._waiting: deque[tuple[str, int, Path]] = deque()
        self._running: dict[tuple[str, int], subprocess.Popen[bytes]] = {}
        self._elements: dict[str, list[Element]] = {}

    def submit(self, request: Request) -> str:
        """Put the batches of a request into the queue."""
        self._elements[request.name] = [Element("waiting")] * len(request.manifests)
        self._waiting.extend((request.name, index, path) for index, path in enumerate(request.manifests))
        self._fill()
        return request.name

    def find(self, names: Collection[str]) -> Mapping[str, str]:
        """Requests of this controller: those of another one have ended with it."""
        return {name: name for name in names if name in self._elements}

    def poll(self, jobs: Mapping[str, int]) -> Mapping[str, tuple[Element, ...]]:
        """How the batches stand."""
        for (name, index), process in list(self._running.items()):
            code = process.poll()
            if code is not None:
                del self._running[name, index]
                kind = kind_of_exit(code) if code >= 0 else kind_of_signal(-code)
                self._elements[name][index] = Element("ended", kind, f"exit code {code}")
        self._fill()
        return {id: tuple(self._elements.get(id, [UNKNOWN] * count)) for id, count in jobs.items()}

    def cancel(self, ids: Iterable[str]) -> None:
        """Forget what waits, end what runs."""
        gone = set(ids)
        for name, index, _ in [each for each in self._waiting if each[0] in gone]:
            self._elements[name][index] = Element("ended", "units-left", "cancelled")
        self._waiting = deque(each for each in self._waiting if each[0] not in gone)
        for (name, _), process in self._running.items():
            if name in gone:
                process.terminate()

    def close(self) -> None:
        """End what runs, for nobody would look after it."""
        self._waiting.clear()
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.wait()
        self._running.clear()

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._at_once:
            name, index, manifest = self._waiting.popleft()
            self._running[name, index] = self._start(manifest)
            self._elements[name][index] = Element("running")

    def _start(self, manifest: Path) -> subprocess.Popen[bytes]:
        self._logs.mkdir(parents=True, exist_ok=True)
        with (self._logs / f"{manifest.stem}.log").open("ab") as log:
            return subprocess.Popen(
                [*WORK, str(manifest)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_parent,
            )


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM)
