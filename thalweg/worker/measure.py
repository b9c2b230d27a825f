"""What a unit costs: processor time, memory and bytes of this process between two moments."""

from __future__ import annotations

import resource
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_SELF = Path("/proc/self")


@dataclass(frozen=True, slots=True)
class Cost:
    """What was used between two moments."""

    begun: float
    """First moment, Unix time in seconds."""
    ended: float
    """Last moment, Unix time in seconds."""
    cpu_seconds: float
    """CPU time, user and system."""
    peak_memory_mb: float
    """Largest resident memory, MB."""
    bytes_in: int
    """Bytes read."""


class Meter:
    """Measures from one call of `take` to the next."""

    def __init__(self) -> None:
        self._begun, self._cpu, self._read = self._now()

    def start(self) -> None:
        """Measure from here, memory included."""
        # Linux forgets the peak when a 5 is written here; where it may not be written, the peak is the process's.
        with suppress(OSError):
            (_SELF / "clear_refs").write_text("5")
        self._begun, self._cpu, self._read = self._now()

    def take(self) -> Cost:
        """What was used since the last call."""
        begun, cpu, read = self._begun, self._cpu, self._read
        self._begun, self._cpu, self._read = self._now()
        return Cost(begun, self._begun, self._cpu - cpu, _peak_memory(), self._read - read)

    @staticmethod
    def _now() -> tuple[float, float, int]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return time.time(), used.ru_utime + used.ru_stime, _field("io", "rchar:")


def _peak_memory() -> float:
    return _field("status", "VmHWM:") / 1024 or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _field(file: str, name: str) -> int:
    """A number of a file of /proc/self, 0 where the system has none."""
    with suppress(OSError):
        for line in (_SELF / file).read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1])
    return 0
