"""Receipts: what a batch attempt says of each of its units, one JSON line each, appended and synced, never changed.

A line says that an attempt at a unit begins, or how it ended. A last line that was cut by a crash is not there yet as
far as a reader is concerned; any other line that is none of ours makes the file bad input.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal

from thalweg.errors import ENDINGS, BadInput, BadParameters, DiskFull, classify
from thalweg.record import plain_record, read_record

SUFFIX = ".jsonl"
"""How a file of receipts ends."""

State = Literal["done", "no-data", "failed"]
"""How a unit can end in a worker."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt at a unit has begun: without a receipt after it, the attempt died."""

    unit: str
    """Identity of the unit."""
    token: int
    """Fencing token of the batch's lease."""
    at: float
    """When, Unix time in seconds."""
    host: str
    """Machine of the worker."""
    job: str = ""
    """The scheduler's id of the job, empty outside of one."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """How an attempt at a unit ended."""

    unit: str
    """Identity of the unit."""
    token: int
    """Fencing token of the batch's lease."""
    state: State
    """done: the product is in place; no-data: none is owed; failed: see `kind`."""
    kind: str
    """Class of the ending: ``done``, or one of `thalweg.errors.ENDINGS`."""
    begun: float
    """When the attempt began, Unix time in seconds."""
    ended: float
    """When it ended, Unix time in seconds."""
    host: str
    """Machine of the worker."""
    job: str = ""
    """The scheduler's id of the job, empty outside of one."""
    cpu_seconds: float = 0.0
    """CPU time, user and system."""
    peak_memory_mb: float = 0.0
    """Largest resident memory while the unit ran, MB."""
    bytes_in: int = 0
    """Bytes of the files that were read."""
    bytes_out: int = 0
    """Bytes of the files that were written."""
    files: int = 0
    """Files that were written."""
    product: str = ""
    """Folder of the product, relative to the destination; empty where there is none."""
    existed: bool = False
    """True where the product was there already, or another attempt was first."""
    checksums: Mapping[str, str] = field(default_factory=dict)
    """File of the product to its checksum, as the item has it."""
    error: str = ""
    """What happened, empty where all is well."""
    error_id: str = ""
    """The specification's code of the error, empty where it has none."""
    advice: str = ""
    """What to do about it."""
    trace: str = ""
    """Evidence: the traceback of a bug, the last words of a process that died."""
    alone: bool = True
    """False where the granule's other chains ran in the same pass."""

    def __post_init__(self) -> None:
        known = {"done": ("done",), "no-data": ("no-data",), "failed": tuple(ENDINGS)}[self.state]
        if self.kind not in known:
            raise ValueError(f"class {self.kind!r} does not belong to state {self.state!r}")

    @property
    def seconds(self) -> float:
        """Wall time."""
        return self.ended - self.begun


Line = Begun | Receipt


class ReceiptWriter:
    """Appends lines to the file of one batch attempt."""

    def __init__(self, path: Path) -> None:
        """Make the file; it must not exist, for no two attempts share one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o664)
        self._size = 0

    def __enter__(self) -> ReceiptWriter:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._handle)

    def begin(self, marks: Iterable[Begun]) -> None:
        """Note that attempts begin. What survives the process is enough here: nothing has been done yet."""
        self._append("".join(map(encoded, marks)).encode())

    def end(self, receipts: Iterable[Receipt]) -> None:
        """Note how attempts ended, durably."""
        self._append("".join(map(encoded, receipts)).encode())
        os.fdatasync(self._handle)

    def _append(self, text: bytes) -> None:
        """All of the text or nothing; DiskFull where there is no room."""
        try:
            if os.write(self._handle, text) < len(text):
                raise DiskFull(f"{self.path}: no room for receipts")
        except OSError as problem:
            os.ftruncate(self._handle, self._size)
            raise classify(problem) from problem
        except DiskFull:
            os.ftruncate(self._handle, self._size)
            raise
        self._size += len(text)


def read_lines(path: Path, start: int = 0) -> tuple[list[Line], int]:
    """The complete lines of a file from byte `start`, and the byte where the next one will begin.

    Raises BadInput, naming file and byte, where a complete line is none of ours.
    """
    with path.open("rb") as file:
        file.seek(start)
        text = file.read()
    whole = text[: text.rfind(b"\n") + 1]
    lines, at = [], start
    for line in whole.splitlines(keepends=True):
        lines.append(decoded(line, f"{path}: byte {at}"))
        at += len(line)
    return lines, at


def receipts_of(folder: Path, batch: str, token: int | None = None) -> list[Path]:
    """Files of receipts of a batch, those of one lease where a token is given."""
    attempts = "*" if token is None else f"{token}-*"
    return sorted(folder.glob(f"{batch}-{attempts}{SUFFIX}"))


def new_receipts(folder: Path, batch: str, token: int) -> Path:
    """A file name for a new attempt: a batch that is run twice with one token writes two files."""
    return folder / f"{batch}-{token}-{os.urandom(4).hex()}{SUFFIX}"


def encoded(line: Line) -> str:
    """The line as text, with its line break; what is as usual is left out."""
    kind = "begin" if isinstance(line, Begun) else "end"
    usual = _defaults(type(line))  # type: ignore[arg-type]  # as in thalweg.record
    values = {
        name: value for name, value in plain_record(line).items() if name not in usual or value != usual[name]
    }
    return json.dumps({"line": kind, **values}, ensure_ascii=True, separators=(",", ":")) + "\n"


def decoded(text: bytes, where: str) -> Line:
    """The line that a text is; BadInput, naming `where`, if it is none."""
    try:
        values: dict[str, Any] = json.loads(text)
        kind = values.pop("line")
        kinds: dict[str, type[Line]] = {"begin": Begun, "end": Receipt}
        return read_record(kinds[kind], values)
    except BadParameters as problem:
        raise BadInput(f"{where}: no receipt: {problem.message}") from problem
    except (ValueError, RecursionError, KeyError, AttributeError, TypeError) as problem:
        raise BadInput(f"{where}: no receipt: {problem!r}") from problem


@cache
def _defaults(kind: type[Line]) -> dict[str, Any]:
    """The fields that need not be written, with the value that they then have."""
    usual = {each.name: each.default for each in fields(kind) if each.default is not MISSING}
    made = {each.name: each.default_factory() for each in fields(kind) if each.default_factory is not MISSING}
    return usual | made
