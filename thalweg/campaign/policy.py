"""What becomes of a unit whose attempt ended badly: the table of the classes, as code.

bad input: quarantine. Missing input: skipped, or tried again later where the campaign waits. Bad parameters: stop.
Memory: alone, with twice the memory, up to the site's cap. Time: alone, with twice the time, up to the site's limit.
Disk: after a pause. Node lost: again, free of charge. Service: again after a growing, jittered delay. Bug: stop there;
many identical ones pause the campaign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

from thalweg.campaign.lease import State
from thalweg.errors import BadParameters

CANCELLED = "cancelled"
"""Class of units that the operator cancelled: no failure, but a reason."""

UNITS_LEFT = "units-left"
"""Why a batch is released whose worker stopped softly: what it did not begin waits again."""

MOST_ATTEMPTS = 30
"""No unit is tried more often, whatever its attempts end with."""

_SERVICE_TRIES = 5
_DISK_TRIES = 10
_MEMORY_TRIES = 6
_TIME_TRIES = 3
_FIRST_DELAY = 60.0
_WAIT_FOR_INPUT = 3600.0
_INPUT_TRIES = 48


@dataclass(frozen=True, slots=True)
class Limits:
    """What a site and a campaign allow."""

    memory_mb: int = 3000
    """Memory of a usual job."""
    max_memory_mb: int = 48000
    """Most memory that a job may ask for."""
    seconds: int = 3600
    """Time limit of a usual job."""
    max_seconds: int = 14400
    """Longest time limit."""
    missing_input: Literal["skip", "wait"] = "skip"
    """What becomes of a unit whose input is not there."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A bad ending of an attempt."""

    kind: str
    """Class of the ending."""
    tries: int
    """How many attempts in a row ended with this class, this one included."""
    attempts: int
    """How many attempts there were in all, this one included."""
    memory_mb: int | None = None
    """What the attempt had been given, None for the usual."""
    seconds: int | None = None
    """What the attempt had been given, None for the usual."""
    seed: str = ""
    """Makes the jitter of one unit differ from that of another, and repeatable."""


@dataclass(frozen=True, slots=True)
class Next:
    """What follows."""

    state: State
    """Where the unit stands from now on."""
    delay: float = 0.0
    """Seconds before it may be tried again."""
    memory_mb: int | None = None
    """Memory to ask for, None for the usual."""
    seconds: int | None = None
    """Time to ask for, None for the usual."""
    alone: bool = False
    """True where it must have a job of its own."""
    pause: str = ""
    """Cause for which the campaign pauses, empty where it goes on."""


def follow(failed: Failed, limits: Limits) -> Next:
    """What follows a bad ending. BadParameters where its class is unknown."""
    if failed.kind not in _RULES:
        raise BadParameters(f"class {failed.kind!r} is none of {', '.join(sorted(_RULES))}")
    if failed.attempts >= MOST_ATTEMPTS:
        return Next("failed")
    return _RULES[failed.kind](failed, limits)


def _fail(failed: Failed, limits: Limits) -> Next:
    return Next("failed")


def _more_memory(failed: Failed, limits: Limits) -> Next:
    given = failed.memory_mb or limits.memory_mb
    if given >= limits.max_memory_mb or failed.tries >= _MEMORY_TRIES:
        return Next("failed")
    return Next("pending", 0.0, min(2 * given, limits.max_memory_mb), failed.seconds, alone=True)


def _more_time(failed: Failed, limits: Limits) -> Next:
    given = failed.seconds or limits.seconds
    is_longest = failed.seconds is not None and given >= limits.max_seconds
    if is_longest or failed.tries > _TIME_TRIES:
        return Next("failed")
    return Next("pending", 0.0, failed.memory_mb, min(2 * given, limits.max_seconds), alone=True)


def _again(failed: Failed, limits: Limits) -> Next:
    return Next("pending", 0.0, failed.memory_mb, failed.seconds)


def _after_a_while(failed: Failed, limits: Limits) -> Next:
    if failed.tries >= _SERVICE_TRIES:
        return Next("failed")
    delay = _FIRST_DELAY * 2 ** (failed.tries - 1) * Random(f"{failed.seed}/{failed.tries}").uniform(0.5, 1.5)
    return Next("pending", delay, failed.memory_mb, failed.seconds)


def _after_room(failed: Failed, limits: Limits) -> Next:
    if failed.tries >= _DISK_TRIES:
        return Next("failed", pause="disk")
    return Next("pending", 0.0, failed.memory_mb, failed.seconds, pause="disk")


def _skip_or_wait(failed: Failed, limits: Limits) -> Next:
    if limits.missing_input == "skip" or failed.tries >= _INPUT_TRIES:
        return Next("skipped")
    return Next("pending", _WAIT_FOR_INPUT)


def _stop(failed: Failed, limits: Limits) -> Next:
    return Next("failed", pause="parameters")


_RULES: Mapping[str, Callable[[Failed, Limits], Next]] = {
    "bad-input": _fail,
    "missing-input": _skip_or_wait,
    "bad-parameters": _stop,
    "usage": _stop,
    "memory": _more_memory,
    "time": _more_time,
    "disk": _after_room,
    "node-lost": _again,
    "service": _after_a_while,
    "bug": _fail,
}


def breaker_limit(planned: int) -> int:
    """How many identical tracebacks pause a campaign: twenty, or 5 % of the units of a small one, but at least five."""
    return min(20, max(5, -(-planned // 20)))
