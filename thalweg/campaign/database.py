"""The two databases that a ledger may live in, behind one small face; statements are written once, for both.

A statement has question marks for values, and the types BLOB, BIGINT, DOUBLE PRECISION and TEXT.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from thalweg.errors import BadInput, BadParameters, DiskFull, ServiceUnavailable

Row = tuple[Any, ...]

PATIENCE = 30.0
"""Seconds that a writer waits for another one."""


class Database(Protocol):
    """What the ledger asks of a database."""

    @property
    def name(self) -> str:
        """How messages call it, without a password."""
        ...

    def tables(self) -> set[str]:
        """Names of the tables that there are."""
        ...

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """The rows that a query gives."""
        ...

    def change(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement; the number of rows that it changed."""
        ...

    def change_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each row of values."""
        ...

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Append rows to a table, in the quickest way that the database has."""
        ...

    def writing(self) -> AbstractContextManager[None]:
        """A context that makes its changes at once or not at all, and keeps other writers out; may be nested."""
        ...

    def reading(self) -> AbstractContextManager[None]:
        """A context whose queries all see one state; may be nested."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class SqliteDatabase:
    """A SQLite file on a local disk."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            # A lease that a power cut takes back would let its token be given twice.
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA cache_size = -200000")

    def tables(self) -> set[str]:
        """Names of the tables that there are."""
        return {name for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """The rows that a query gives."""
        with self._explained():
            return self._connection.execute(sql, values).fetchall()

    def change(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement; the number of rows that it changed."""
        with self._explained():
            return self._connection.execute(sql, values).rowcount

    def change_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each row of values."""
        with self._explained():
            self._connection.executemany(sql, rows)

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Append rows to a table."""
        self.change_many(insertion(table, columns), rows)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction of the only writer."""
        with self._transaction("BEGIN IMMEDIATE"):
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One transaction that sees one state."""
        with self._transaction("BEGIN"):
            yield

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        if self._is_inside():
            yield
            return
        with self._explained():
            self._connection.execute(begin)
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite has rolled back already where the disk is full.
                if self._is_inside():
                    self._connection.execute("ROLLBACK")
                raise

    def _is_inside(self) -> bool:
        return self._connection.in_transaction

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as problem:
            code = int(getattr(problem, "sqlite_errorcode", 0)) & 0xFF
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                advice = "Move it away and run `thalweg campaign rebuild FOLDER`."
                raise BadInput(f"{self.name}: damaged: {problem}", advice=advice) from problem
            if code == sqlite3.SQLITE_FULL:
                raise DiskFull(f"{self.name}: {problem}") from problem
            raise ServiceUnavailable(f"{self.name}: {problem}") from problem


class PostgresDatabase:
    """A schema of a PostgreSQL database, one for each campaign."""

    def __init__(self, url: str, schema: str) -> None:
        psycopg = _psycopg()
        self._error, self._full = psycopg.Error, psycopg.errors.DiskFull
        self.name = f"{url.rpartition('@')[2].partition('?')[0]} schema {schema}"
        with self._explained():
            self._connection = psycopg.connect(url, autocommit=True, connect_timeout=10)
            quoted = '"' + schema.replace('"', "") + '"'
            self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted}")
            self._connection.execute(f"SET search_path TO {quoted}")
            self._connection.execute(f"SET lock_timeout TO '{int(PATIENCE)}s'")
        self._depth = 0

    def tables(self) -> set[str]:
        """Names of the tables that there are."""
        sql = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        return {name for (name,) in self.rows(sql)}

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """The rows that a query gives."""
        with self._explained():
            return list(self._connection.execute(_translated(sql), values or None).fetchall())

    def change(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement; the number of rows that it changed."""
        with self._explained():
            return int(self._connection.execute(_translated(sql), values or None).rowcount)

    def change_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each row of values, without waiting for each answer."""
        with self._explained(), self._connection.cursor() as cursor:
            cursor.executemany(_translated(sql), rows)

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Append rows to a table."""
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        with self._explained(), self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction of the only writer."""
        with self._transaction():
            if self._depth == 1 and "meta" in self.tables():
                self._connection.execute("LOCK TABLE meta IN SHARE ROW EXCLUSIVE MODE")
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One transaction that sees one state."""
        with self._transaction():
            if self._depth == 1:
                self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._depth += 1
        try:
            if self._depth > 1:
                yield
                return
            with self._explained(), self._connection.transaction():
                yield
        finally:
            self._depth -= 1

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except self._error as problem:
            said = " ".join(str(problem).split())[:300]
            if isinstance(problem, self._full):
                raise DiskFull(f"{self.name}: {said}") from problem
            raise ServiceUnavailable(f"{self.name}: {said}") from problem


def open_database(where: str | Path, schema: str) -> Database:
    """The database at a PostgreSQL address, else in a SQLite file."""
    if str(where).startswith(("postgresql://", "postgres://")):
        return PostgresDatabase(str(where), schema)
    return SqliteDatabase(Path(where))


def insertion(table: str, columns: Sequence[str]) -> str:
    """The statement that inserts one row."""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks(len(columns))})"


def marks(count: int) -> str:
    """So many question marks."""
    return ", ".join("?" * count)


def _translated(sql: str) -> str:
    """A statement as PostgreSQL wants it."""
    return sql.replace("BLOB", "BYTEA").replace("?", "%s")


def _psycopg() -> Any:
    try:
        import psycopg
    except ImportError as problem:
        raise BadParameters(
            f"ledger: PostgreSQL needs psycopg, which cannot be imported ({problem})",
            advice="pip install 'thalweg[campaign]', or leave `ledger` out of the site file for SQLite.",
        ) from problem
    return psycopg
