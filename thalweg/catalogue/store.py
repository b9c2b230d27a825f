"""The embedded catalogue: one SQLite file beside the products, written by one process at a time, read by many.

It holds nothing that the items do not say, but for units that ended without a product, so that it can be made again
from them: same items, same content, whatever the order and repetition in which they came.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Unpack

from thalweg.catalogue import answer
from thalweg.catalogue.answer import COLUMNS, WITHOUT_ITEM, Found, Row
from thalweg.catalogue.connection import connect_to_read, connect_to_write, explained
from thalweg.catalogue.entry import Ending, Entry
from thalweg.catalogue.intake import Intake
from thalweg.catalogue.search import Conditions, Search
from thalweg.collection import Holdings, union
from thalweg.errors import UsageError

NAME = "catalogue.sqlite"
"""Name of the catalogue's file in the destination of products."""

_ENDING = "INSERT OR REPLACE INTO endings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Catalogue:
    """An open catalogue; a context that closes it. One thread uses it."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def open(cls, path: str | Path, *, read_only: bool = False) -> Catalogue:
        """The catalogue in a file, which is made where it is not there, unless `read_only`.

        Raises MissingInput (read only, and no such file), BadInput (no catalogue, or damaged), ServiceUnavailable
        (locked by another writer for too long, or not to be opened).
        """
        path = Path(path)
        return cls(path, connect_to_read(path) if read_only else connect_to_write(path))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def upsert(self, items: Iterable[Mapping[str, Any]]) -> int:
        """Enter items, all or none; the number of those that were new or had changed comes back.

        An item of an id that is there replaces it. Raises BadInput where one of them is no item of a product.
        """
        return self.enter(Entry.of(item, f"item {item.get('id')!r}") for item in items)

    def enter(self, entries: Iterable[Entry]) -> int:
        """As `upsert`, for items that were looked at already."""
        with self.writing():
            return Intake(self._connection).enter(entries)

    def replace(self, entries: Iterable[Entry]) -> int:
        """Make these the only items, in one step: readers see all of the old ones or all of the new ones."""
        with self.writing():
            for table in ("items", "boxes", "forms"):
                self._execute(f"DELETE FROM {table}")
            return Intake(self._connection).enter(entries)

    def record_ending(self, ending: Ending) -> bool:
        """Record that a unit ended without a product; False where its product, or a later ending, is there already."""
        with self.writing():
            known = self._execute("SELECT * FROM endings WHERE key = ?", [ending.key]).fetchone()
            is_news = known is None or _age(Ending.of_row(known)) < _age(ending)
            if is_news and not self._has_product(ending):
                self._execute(_ENDING, ending.row)
                return True
            return False

    def search(
        self, *, limit: int | None = None, offset: int = 0, **conditions: Unpack[Conditions]
    ) -> list[dict[str, Any]]:
        """Items that meet all conditions, the newest first.

        A superseded item says so (`deprecated`), with links both ways; the link `self` is where its file is. Items of
        one answer share the parts that describe all of them, such as the classes of a layer: change copies. Raises
        UsageError for a condition that means nothing.
        """
        with self._reading():
            return self._items(self._rows(COLUMNS, conditions, limit, offset))

    def find(
        self, *, limit: int | None = None, offset: int = 0, **conditions: Unpack[Conditions]
    ) -> list[Found]:
        """Where the products are that meet all conditions, the newest first; much quicker than reading their items."""
        with self._reading():
            rows = self._rows(WITHOUT_ITEM, conditions, limit, offset)
        return [answer.found(row, self.path.absolute().parent) for row in rows]

    def count(self, **conditions: Unpack[Conditions]) -> int:
        """How many products meet all conditions."""
        where, values = Search.of(**conditions).where()
        with self._reading():
            return int(self._execute(f"SELECT count(*) FROM items WHERE {where}", values).fetchone()[0])

    def get(self, id: str) -> dict[str, Any] | None:
        """The item of an id, or None."""
        with self._reading():
            rows = self._execute(f"SELECT {COLUMNS} FROM items WHERE id = ?", [id]).fetchall()
            return next(iter(self._items([Row(*row) for row in rows])), None)

    def endings(
        self,
        *,
        tile: str | None = None,
        chain: str | None = None,
        kind: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Ending]:
        """Units that ended without a product, the latest first."""
        given = {"tile": tile, "chain": chain, "kind": kind}
        wanted = {column: value for column, value in given.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in wanted) or "1"
        sql = f"SELECT * FROM endings WHERE {where} ORDER BY ended DESC, key LIMIT ? OFFSET ?"
        with self._reading():
            rows = self._execute(sql, [*wanted.values(), *_slice(limit, offset)])
            return [Ending.of_row(row) for row in rows]

    def collections(self) -> list[str]:
        """Ids of the collections that have items, sorted."""
        with self._reading():
            rows = self._execute("SELECT DISTINCT collection FROM items ORDER BY collection")
            return [id for (id,) in rows]

    def holdings(self, collection: str) -> Holdings:
        """What a collection holds: number, extent, spacecraft, facilities."""
        sql = (
            "SELECT count(*), min(start), max(until), west, south, east, north, platform, facility FROM items"
            " WHERE collection = ? GROUP BY west, south, east, north, platform, facility"
        )
        with self._reading():
            rows = self._execute(sql, [collection]).fetchall()
        if not rows:
            return Holdings()
        return Holdings(
            count=sum(row[0] for row in rows),
            box=union(row[3:7] for row in rows),
            start=datetime.fromisoformat(min(row[1] for row in rows)),
            end=datetime.fromisoformat(max(row[2] for row in rows)),
            platforms=tuple(sorted({row[7] for row in rows} - {""})),
            facilities=tuple(sorted({row[8] for row in rows} - {""})),
        )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the writer's place: what is entered inside becomes visible whole at the end, or not at all."""
        with self._transaction("BEGIN IMMEDIATE"):
            yield

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Several questions to one state of the catalogue."""
        with self._transaction("BEGIN"):
            yield

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with explained(self.path):
            if self._is_inside():
                yield
                return
            self._execute(begin)
            try:
                yield
                self._execute("COMMIT")
            except BaseException:
                # SQLite has rolled back already where the disk is full.
                if self._is_inside():
                    self._execute("ROLLBACK")
                raise

    def _is_inside(self) -> bool:
        return self._connection.in_transaction

    def _execute(self, sql: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        return self._connection.execute(sql, tuple(values))

    def _has_product(self, ending: Ending) -> bool:
        condition, values = "unit = ?", [ending.unit]
        if not ending.unit:
            condition, values = "granule = ? AND chain = ?", [ending.granule, ending.chain]
        return bool(
            self._execute(f"SELECT EXISTS (SELECT 1 FROM items WHERE {condition})", values).fetchone()[0]
        )

    def _rows(self, columns: str, conditions: Conditions, limit: int | None, offset: int) -> list[Row]:
        where, values = Search.of(**conditions).where()
        # The numbers are sorted and cut first: rows with whole items would be too much to sort.
        rows = self._execute(
            f"SELECT {columns} FROM items WHERE number IN"
            f" (SELECT number FROM items WHERE {where} ORDER BY start DESC, id LIMIT ? OFFSET ?)"
            " ORDER BY start DESC, id",
            [*values, *_slice(limit, offset)],
        )
        return [Row(*row) for row in rows]

    def _items(self, rows: list[Row]) -> list[dict[str, Any]]:
        return answer.items(self._connection, self.path.absolute().parent, rows)


def _age(ending: Ending) -> tuple[datetime, str]:
    return ending.when, ending.message


def _slice(limit: int | None, offset: int) -> tuple[int, int]:
    if offset < 0 or (limit is not None and limit < 0):
        raise UsageError("limit and offset cannot be negative")
    return (-1 if limit is None else limit, offset)
