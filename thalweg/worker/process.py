"""The long-lived process that makes units, as its supervisor sees it: asked for tasks, listened to, and seen dying."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from thalweg.campaign.receipt import Receipt, decoded
from thalweg.errors import Bug, OutOfMemory, OutOfTime, ThalwegError
from thalweg.worker.bench import END_OF_TASK

_LAST_WORDS = 4000
"""Bytes of what a process wrote that are kept as evidence of its death."""

_PATIENCE = 5.0
"""Seconds that a process without a task may take to end."""

_SIGNS_OF_MEMORY = (
    "std::bad_alloc",
    "MemoryError",
    "Cannot allocate memory",
    "cannot allocate memory",
    "Out of memory",
)


@dataclass(frozen=True, slots=True)
class Death:
    """The end of a process in the middle of a task."""

    code: int
    """As the system tells it: negative for a signal."""
    words: str
    """What it wrote last."""
    peak_memory_mb: float
    """Largest resident memory of any process of this batch, MB."""

    @property
    def error(self) -> ThalwegError:
        """The ending of the unit that was being made."""
        name = _signal_name(-self.code) if self.code < 0 else f"exit code {self.code}"
        how = f"the process that made it died by {name}"
        if self.code == -signal.SIGXCPU:
            return OutOfTime(how)
        if self.code == -signal.SIGKILL:
            return OutOfMemory(
                f"{how}, as the memory killer does it, with up to {self.peak_memory_mb:.0f} MB in use"
            )
        if any(sign in self.words for sign in _SIGNS_OF_MEMORY):
            return OutOfMemory(f"{how} after memory was refused")
        return Bug(how, advice="Report it with its last words; the other units went on without it.")


class Died(Exception):
    """The process is gone."""

    def __init__(self, death: Death) -> None:
        super().__init__(death.code)
        self.death = death


class TooLate(Exception):
    """The time is over, and the process has not answered."""


class MakingProcess:
    """One process that makes the units of a manifest."""

    def __init__(self, manifest: Path) -> None:
        answers, ours = os.pipe()
        # Its output goes to a file, not through a pipe: nothing is lost when it dies, and nobody has to keep reading.
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        theirs, tasks = os.pipe()
        arguments = [str(manifest), str(ours), str(os.getpid())]
        command = [sys.executable, "-P", "-m", "thalweg.worker.bench", *arguments]
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=self._words, stderr=self._words, pass_fds=[ours]
        )
        os.close(theirs)
        os.close(ours)
        self._tasks = os.fdopen(tasks, "wb", buffering=0)
        self._answers, self._heard, self._relayed = answers, b"", 0

    def ask(self, granule: int, units: tuple[int, ...]) -> None:
        """Ask for some units of a granule, by their places in the manifest; Died where there is nobody to ask."""
        try:
            self._tasks.write(f"{json.dumps([granule, units])}\n".encode())
        except BrokenPipeError:
            raise Died(self._bury()) from None

    def receipts(self, until: float) -> Iterator[Receipt]:
        """The receipts of the task, each as soon as it is there.

        Raises Died where the process ends first, TooLate where `until` (monotonic, in seconds) comes first.
        """
        while (line := self._line(until)) != END_OF_TASK.encode():
            receipt = decoded(line, "answer of the making process")
            if isinstance(receipt, Receipt):
                yield receipt
        self.relay()

    def relay(self) -> None:
        """Pass on what the process wrote since the last time."""
        end = os.fstat(self._words.fileno()).st_size
        if end > self._relayed:
            sys.stderr.buffer.write(os.pread(self._words.fileno(), end - self._relayed, self._relayed))
            sys.stderr.flush()
            self._relayed = end

    def close(self) -> None:
        """End the process: by itself where it waits for a task, by force where it does not."""
        self._tasks.close()
        try:
            self._process.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._bury()

    def kill(self) -> None:
        """End the process at once, whatever it is doing."""
        self._process.kill()
        self._bury()

    def _line(self, until: float) -> bytes:
        while b"\n" not in self._heard:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise TooLate
            heard = os.read(self._answers, 1 << 16)
            if not heard:
                raise Died(self._bury())
            self._heard += heard
        line, _, self._heard = self._heard.partition(b"\n")
        return line + b"\n"

    def _bury(self) -> Death:
        code = self._process.wait()
        if self._words.closed:
            return Death(code, "", 0.0)
        self.relay()
        self._tasks.close()
        words = os.pread(self._words.fileno(), _LAST_WORDS, max(0, self._relayed - _LAST_WORDS))
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        self._words.close()
        os.close(self._answers)
        return Death(code, words.decode("utf-8", "replace"), peak)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
