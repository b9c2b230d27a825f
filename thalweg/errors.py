"""Every way a unit can end, with its class, its exit code and what to do about it.

::

    ThalwegError
    ├── NoData              0   the chain's gate: not one usable pixel
    ├── UsageError          2   the command line was not understood
    ├── BadInput           10   unreadable or contradictory input: quarantine
    ├── MissingInput       11   an input or static layer is not there: wait or skip
    ├── BadParameters      12   parameters or configuration: stop
    ├── OutOfMemory        20   retry alone with more memory
    ├── OutOfTime          21   retry with more time or fewer units
    ├── DiskFull           22   pause, then retry
    ├── NodeLost           23   retry, free of charge
    ├── ServiceUnavailable 24   back off, then retry
    └── Bug                30   any other exception
"""

from __future__ import annotations

import errno
from typing import Any, ClassVar


class ThalwegError(Exception):
    """An ending that has a class; the message says what happened, the advice what to do, `id` the specification's code.

    All three travel with the error through JSON and pickling.
    """

    kind: ClassVar[str] = "bug"
    code: ClassVar[int] = 30
    advice: ClassVar[str] = ""

    def __init__(self, message: str, *, advice: str | None = None, id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.id = id
        self._advice = advice

    @property
    def what_to_do(self) -> str:
        """The advice of this error, else that of its class."""
        return self._advice or self.advice

    def __str__(self) -> str:
        return f"{self.id}: {self.message}" if self.id else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self._advice, self.id)

    def to_dict(self) -> dict[str, Any]:
        """The error as plain values, for receipts and ``--json``."""
        return {
            "class": self.kind,
            "code": self.code,
            "id": self.id,
            "message": self.message,
            "advice": self.what_to_do,
        }


def _rebuild(kind: type[ThalwegError], message: str, advice: str | None, id: str | None) -> ThalwegError:
    return kind(message, advice=advice, id=id)


class NoData(ThalwegError):
    """Not one usable pixel: no product is owed, and the catalogue is told why."""

    kind = "no-data"
    code = 0
    advice = "Nothing to do: the granule holds nothing that this chain can use."


class UsageError(ThalwegError):
    """The command line was not understood."""

    kind = "usage"
    code = 2
    advice = "See `thalweg --help`."


class BadInput(ThalwegError):
    """An input is unreadable or contradicts itself or another input."""

    kind = "bad-input"
    code = 10
    advice = "Fetch or make the named file again; the other units go on without it."


class MissingInput(ThalwegError):
    """A declared input or static layer is not there."""

    kind = "missing-input"
    code = 11
    advice = "Provide the named file, or leave this unit out."


class BadParameters(ThalwegError):
    """A parameter or configuration key is unknown, of the wrong type or out of range."""

    kind = "bad-parameters"
    code = 12
    advice = "Correct the named parameter; `thalweg chain show CHAIN` lists them with their ranges."


class OutOfMemory(ThalwegError):
    """The process was refused memory."""

    kind = "memory"
    code = 20
    advice = "Run the unit alone with 1.5 to 2 times the memory."


class OutOfTime(ThalwegError):
    """The scheduler's time limit was reached."""

    kind = "time"
    code = 21
    advice = "Ask for more time or fewer units per job."


class DiskFull(ThalwegError):
    """The destination or scratch disk, or its quota, is full."""

    kind = "disk"
    code = 22
    advice = "Make room at the destination, then run the same command again."


class NodeLost(ThalwegError):
    """The compute node went away."""

    kind = "node-lost"
    code = 23
    advice = "Run the unit again."


class ServiceUnavailable(ThalwegError):
    """A catalogue, store or provider did not answer, or is locked by another."""

    kind = "service"
    code = 24
    advice = "Try again later."


class Bug(ThalwegError):
    """An exception that no class foresees."""

    kind = "bug"
    code = 30
    advice = "Report it with the traceback; it is a defect of thalweg or of the chain."


ENDINGS: dict[str, type[ThalwegError]] = {
    error.kind: error
    for error in (
        NoData,
        UsageError,
        BadInput,
        MissingInput,
        BadParameters,
        OutOfMemory,
        OutOfTime,
        DiskFull,
        NodeLost,
        ServiceUnavailable,
        Bug,
    )
}
"""Failure class name to error, the one table that code, docs and exit codes share."""

UNITS_LEFT = 40
"""Exit code of ``work`` when units of its batch have no terminal receipt yet."""

OUT_OF_TOLERANCE = 41
"""Exit code of ``calval`` when a difference exceeds its tolerance."""

CAMPAIGN_INCOMPLETE = 42
"""Exit code of ``campaign account`` when units are missing."""

CAMPAIGN_UNHEALTHY = 43
"""Exit code of ``campaign status`` when the campaign is stalled, failing, paused by an alarm, or has no units."""

_DISK = {errno.ENOSPC, errno.EDQUOT}


def classify(error: BaseException) -> ThalwegError:
    """The error as one of ours: memory and disk are recognised, anything else is a bug."""
    if isinstance(error, ThalwegError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory(str(error) or "memory allocation refused")
    if isinstance(error, OSError) and error.errno in _DISK:
        return DiskFull(f"{error.strerror}: {error.filename or 'destination'}")
    return Bug(f"{type(error).__name__}: {error}")
