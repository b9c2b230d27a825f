"""What a site adds to every submission."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from thalweg.campaign.batch import Resources
from thalweg.errors import BadParameters

WARNING_SECONDS = 120
"""Seconds before the end of the walltime at which a job is told."""


@dataclass(frozen=True, slots=True)
class Options:
    """Facts of a scheduler, from the site file."""

    partition: str | None = None
    """Partition or queue."""
    account: str | None = None
    """Account or project that pays."""
    native: str = ""
    """Further options as the scheduler takes them; ``{memory_mb}``, ``{seconds}``, ``{cores}`` and ``{time}`` (as
    HH:MM:SS) stand for what a batch is given."""
    largest: int = 1000
    """Elements of the largest array."""

    def native_for(self, resources: Resources) -> list[str]:
        """The further options, for a batch; BadParameters where they name something that no batch is given."""
        given = {
            "memory_mb": resources.memory_mb,
            "seconds": resources.seconds,
            "cores": resources.cores,
            "time": clock(resources.seconds),
        }
        try:
            return shlex.split(self.native.format(**given))
        except (KeyError, IndexError, ValueError) as problem:
            raise BadParameters(
                f"site: native = {self.native!r}: {problem}; it may name {', '.join(given)} in braces"
            ) from problem


def clock(seconds: int) -> str:
    """Seconds as HH:MM:SS."""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
