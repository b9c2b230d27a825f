"""Connections to the catalogue's file, and what goes wrong with them in our own words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thalweg.catalogue.schema import check_version, migrate
from thalweg.errors import BadInput, DiskFull, MissingInput, ServiceUnavailable, ThalwegError

PATIENCE = 30.0
"""Seconds that a writer waits for another one."""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class DamagedCatalogue(BadInput):
    """The catalogue's file is no database any more; the products are not concerned."""


def connect_to_write(path: Path) -> sqlite3.Connection:
    """A connection that may write, with tables of the newest version; file and folder are made where missing."""
    with explained(path):
        _make_folder(path.parent)
        connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # A power cut may take the last commits, never the file's soundness; publishing again brings them back.
            connection.execute("PRAGMA synchronous = NORMAL")
            migrate(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing; MissingInput where there is no catalogue yet."""
    if not path.is_file():
        raise MissingInput(f"{path}: no catalogue", advice=rebuild_advice(path))
    with explained(path):
        try:
            return _connect_as(path, "mode=ro")
        except sqlite3.OperationalError as problem:
            if _code(problem) != sqlite3.SQLITE_CANTOPEN:
                raise
            # Where nothing can be written beside it, a catalogue is readable as one that nobody changes.
            return _connect_as(path, "mode=ro&immutable=1")


def rebuild_advice(path: Path) -> str:
    """The command that makes a catalogue anew."""
    return f"thalweg catalogue rebuild --to {path.parent}"


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite says into our errors, naming the file and what to do."""
    try:
        yield
    except sqlite3.Error as problem:
        raise _explain(path, problem) from problem


def _connect_as(path: Path, mode: str) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?{mode}"
    connection = sqlite3.connect(address, uri=True, timeout=PATIENCE, isolation_level=None)
    try:
        if not check_version(connection, path):
            raise MissingInput(f"{path}: an empty catalogue", advice=rebuild_advice(path))
    except BaseException:
        connection.close()
        raise
    return connection


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise ServiceUnavailable(f"{folder}: cannot be made: {problem.strerror}") from problem


def _explain(path: Path, problem: sqlite3.Error) -> ThalwegError:
    code = _code(problem)
    if code in _DAMAGED:
        return DamagedCatalogue(f"{path}: damaged: {problem}", advice=rebuild_advice(path))
    if code in _BUSY:
        return ServiceUnavailable(f"{path}: another process is writing the catalogue: {problem}")
    if code == sqlite3.SQLITE_FULL:
        return DiskFull(f"{path}: {problem}")
    return ServiceUnavailable(f"{path}: {problem}", advice=f"Try again later, else: {rebuild_advice(path)}")


def _code(problem: sqlite3.Error) -> int:
    """SQLite's primary result code; errors of the Python module itself have none."""
    return int(getattr(problem, "sqlite_errorcode", 0)) & 0xFF
