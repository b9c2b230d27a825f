"""The embedded catalogue: one SQLite file beside the products, written by one process at a time, read by many.

It holds nothing that the items do not say, but for units that ended without a product, so that it can be made again
from them: same items, same content, whatever the order and repetition in which they came.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import count, groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

from thalweg.catalogue.connection import connect_to_read, connect_to_write, explained
from thalweg.catalogue.entry import Ending, Entry, encoded
from thalweg.catalogue.form import join
from thalweg.catalogue.period import Period
from thalweg.catalogue.search import Search, halves
from thalweg.catalogue.succession import Member, succession
from thalweg.collection import Holdings, union
from thalweg.errors import UsageError
from thalweg.item import item_file

NAME = "catalogue.sqlite"
"""Name of the catalogue's file in the destination of products."""

_BATCH = 500
_INSERT = f"INSERT OR REPLACE INTO items (number, {', '.join(Entry._fields)}) VALUES (?{', ?' * len(Entry._fields)})"
_ENDING = "INSERT OR REPLACE INTO endings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_NO_FORM: tuple[Mapping[str, Any], int] = ({}, 0)
_FOUND = "id, item, form, collection, tile, start, successor, latest"


class _Stored(NamedTuple):
    """What an entry is compared with."""

    number: int
    item: str
    form: int
    series: str


class _Row(NamedTuple):
    """An entry on its way into the tables."""

    number: int
    entry: Entry
    form: int

    def boxes(self) -> Iterator[tuple[float, ...]]:
        """Rows of the tree: two where the item crosses 180 degrees."""
        entry = self.entry
        for part, (west, east) in enumerate(halves(entry.west, entry.east)):
            yield (2 * self.number + part, west, east, entry.south, entry.north)


class Catalogue:
    """An open catalogue; a context that closes it. One thread uses it."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._last_form = _NO_FORM

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
            return self._enter(entries)

    def replace(self, entries: Iterable[Entry]) -> int:
        """Make these the only items, in one step: readers see all of the old ones or all of the new ones."""
        with self.writing():
            for table in ("items", "boxes", "forms"):
                self._execute(f"DELETE FROM {table}")
            self._last_form = _NO_FORM
            changed = self._enter(entries)
            self._execute("DELETE FROM endings WHERE unit <> '' AND unit IN (SELECT unit FROM items)")
            self._execute(
                "DELETE FROM endings WHERE unit = '' AND EXISTS"
                " (SELECT 1 FROM items WHERE items.granule = endings.granule AND items.chain = endings.chain)"
            )
            return changed

    def record_ending(self, ending: Ending) -> bool:
        """Record that a unit ended without a product; False where its product, or a later ending, is there already."""
        with self.writing():
            (product,) = self._execute(
                "SELECT EXISTS (SELECT 1 FROM items WHERE unit = ?)"
                if ending.unit
                else "SELECT EXISTS (SELECT 1 FROM items WHERE granule = ? AND chain = ?)",
                [ending.unit] if ending.unit else [ending.granule, ending.chain],
            ).fetchone()
            known = self._execute("SELECT * FROM endings WHERE key = ?", [ending.key]).fetchone()
            if product or (known and _age(Ending.of_row(known)) >= _age(ending)):
                return False
            self._execute(_ENDING, ending.row)
            return True

    def search(
        self,
        *,
        tile: str | None = None,
        period: Period | str | None = None,
        collection: str | None = None,
        bbox: Sequence[float] | None = None,
        current: bool = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[dict[str, Any]]:
        """Items that meet all conditions, the newest first; `current` leaves out what is superseded.

        `period` is that of `Period.parse`, `bbox` west, south, east, north in degrees. A superseded item says so
        (`deprecated`), with links both ways; `self` is where its file is. Items of one answer share the
        parts that describe all of them, such as the classes of a layer. Raises UsageError for a condition that means
        nothing.
        """
        where, values = Search(tile, _period(period), collection, bbox, current).where()
        with self._reading():
            rows = self._execute(
                f"SELECT {_FOUND} FROM items WHERE number IN"
                f" (SELECT number FROM items WHERE {where} ORDER BY start DESC, id LIMIT ? OFFSET ?)"
                " ORDER BY start DESC, id",
                [*values, *_slice(limit, offset)],
            ).fetchall()
            return self._found(rows)

    def count(
        self,
        *,
        tile: str | None = None,
        period: Period | str | None = None,
        collection: str | None = None,
        bbox: Sequence[float] | None = None,
        current: bool = False,
    ) -> int:
        """How many items `search` would find."""
        where, values = Search(tile, _period(period), collection, bbox, current).where()
        with explained(self.path):
            return int(self._execute(f"SELECT count(*) FROM items WHERE {where}", values).fetchone()[0])

    def get(self, id: str) -> dict[str, Any] | None:
        """The item of an id, or None."""
        with self._reading():
            rows = self._execute(f"SELECT {_FOUND} FROM items WHERE id = ?", [id]).fetchall()
            return next(iter(self._found(rows)), None)

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
        with explained(self.path):
            rows = self._execute(
                f"SELECT * FROM endings WHERE {where} ORDER BY ended DESC, key LIMIT ? OFFSET ?",
                [*wanted.values(), *_slice(limit, offset)],
            )
            return [Ending.of_row(row) for row in rows]

    def collections(self) -> list[str]:
        """Ids of the collections that have items, sorted."""
        with explained(self.path):
            return [
                id for (id,) in self._execute("SELECT DISTINCT collection FROM items ORDER BY collection")
            ]

    def holdings(self, collection: str) -> Holdings:
        """What a collection holds: number, extent, spacecraft, facilities."""
        with explained(self.path):
            rows = self._execute(
                "SELECT count(*), min(start), max(until), west, south, east, north, platform, facility FROM items"
                " WHERE collection = ? GROUP BY west, south, east, north, platform, facility",
                [collection],
            ).fetchall()
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
        if not self._is_inside():
            # Between our transactions another process may have renumbered the forms.
            self._last_form = _NO_FORM
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

    def _execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self._connection.execute(sql, values)

    def _enter(self, entries: Iterable[Entry]) -> int:
        waiting, changed = iter(entries), 0
        while batch := {entry.id: entry for entry in islice(waiting, _BATCH)}:
            changed += self._enter_batch(batch)
        return changed

    def _enter_batch(self, batch: Mapping[str, Entry]) -> int:
        known = self._known(batch)
        (last,) = self._execute("SELECT coalesce(max(number), 0) FROM items").fetchone()
        numbers = count(last + 1)
        rows: list[_Row] = []
        for entry in batch.values():
            form, stored = self._form_number(entry.form), known.get(entry.id)
            if stored is None or (stored.item, stored.form) != (entry.item, form):
                rows.append(_Row(stored.number if stored else next(numbers), entry, form))
        self._write(rows)
        stale = {known[row.entry.id].series for row in rows if row.entry.id in known}
        self._settle(stale | {row.entry.series for row in rows})
        self._clear_endings(batch.values())
        return len(rows)

    def _known(self, ids: Iterable[str]) -> dict[str, _Stored]:
        """What is stored of the ids that are there."""
        wanted = list(ids)
        sql = f"SELECT id, number, item, form, series FROM items WHERE id IN ({_marks(wanted)})"
        return {id: _Stored(*rest) for id, *rest in self._execute(sql, wanted)}

    def _form_number(self, form: Mapping[str, Any]) -> int:
        """The number of a form, which is entered where it is new."""
        # A publisher's items come chain by chain: most have the form of the one before.
        if self._last_form[0] != form:
            text = encoded(form, "form")
            self._execute("INSERT OR IGNORE INTO forms (form) VALUES (?)", [text])
            (number,) = self._execute("SELECT number FROM forms WHERE form = ?", [text]).fetchone()
            self._last_form = (form, number)
        return self._last_form[1]

    def _write(self, rows: Sequence[_Row]) -> None:
        """Write rows; one whose number is there is replaced."""
        self._connection.executemany(_INSERT, [(number, *entry[:-1], form) for number, entry, form in rows])
        self._connection.executemany(
            "DELETE FROM boxes WHERE box = ?", [(2 * row.number + part,) for row in rows for part in (0, 1)]
        )
        self._connection.executemany(
            "INSERT INTO boxes VALUES (?, ?, ?, ?, ?)", [box for row in rows for box in row.boxes()]
        )

    def _settle(self, series: Iterable[str]) -> None:
        """Work out anew what is superseded in these series."""
        wanted = list(series)
        rows = self._execute(
            "SELECT series, id, granule, version, baseline, successor, latest FROM items"
            f" WHERE series IN ({_marks(wanted)}) ORDER BY series",
            wanted,
        ).fetchall()
        changes: list[tuple[str | None, str | None, str]] = []
        for _, group in groupby(rows, key=lambda row: row[0]):
            changes += _changes(list(group))
        self._connection.executemany("UPDATE items SET successor = ?, latest = ? WHERE id = ?", changes)

    def _clear_endings(self, entries: Iterable[Entry]) -> None:
        (any_left,) = self._execute("SELECT EXISTS (SELECT 1 FROM endings)").fetchone()
        if not any_left:
            return
        keys = [(key,) for entry in entries for key in (entry.unit, f"{entry.chain} {entry.granule}")]
        self._connection.executemany("DELETE FROM endings WHERE key = ?", keys)

    def _found(self, rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        before = self._predecessors([row[0] for row in rows])
        forms = {row[2]: self._form(row[2]) for row in rows}
        return [self._item(row, forms[row[2]], before.get(row[0], [])) for row in rows]

    def _form(self, number: int) -> dict[str, Any]:
        (text,) = self._execute("SELECT form FROM forms WHERE number = ?", [number]).fetchone()
        form: dict[str, Any] = json.loads(text)
        return form

    def _item(
        self, row: Sequence[Any], form: Mapping[str, Any], predecessors: Sequence[str]
    ) -> dict[str, Any]:
        id, rest, _, collection, tile, start, successor, latest = row
        item = join(form, json.loads(rest))
        place = item_file(collection, tile, datetime.fromisoformat(start), id)
        related = [("predecessor-version", older) for older in predecessors]
        if successor:
            item["properties"]["deprecated"] = True
            related += [("successor-version", successor), ("latest-version", latest)]
        versions = [_link(rel, os.path.relpath(self._file_of(other), place.parent)) for rel, other in related]
        itself = _link("self", str(self.path.absolute().parent / place))
        item["links"] = [itself, *item["links"], *versions]
        return item

    def _predecessors(self, ids: Sequence[str]) -> dict[str, list[str]]:
        """Items that each id directly supersedes."""
        found: dict[str, list[str]] = {}
        for start in range(0, len(ids), _BATCH):
            part = ids[start : start + _BATCH]
            sql = f"SELECT successor, id FROM items WHERE successor IN ({_marks(part)}) ORDER BY id"
            for successor, id in self._execute(sql, part):
                found.setdefault(successor, []).append(id)
        return found

    def _file_of(self, id: str) -> str:
        row = self._execute("SELECT collection, tile, start FROM items WHERE id = ?", [id]).fetchone()
        return str(item_file(row[0], row[1], datetime.fromisoformat(row[2]), id))


def _changes(group: Sequence[Sequence[Any]]) -> list[tuple[str | None, str | None, str]]:
    """New successors of one series' items, where they differ from those that are stored."""
    followed = succession(Member(*row[1:5]) for row in group) if len(group) > 1 else {}
    changes = []
    for _, id, _, _, _, *stored in group:
        after = followed.get(id)
        wanted = [after.next, after.latest] if after else [None, None]
        if wanted != stored:
            changes.append((wanted[0], wanted[1], id))
    return changes


def _link(rel: str, href: str) -> dict[str, str]:
    return {"rel": rel, "href": href, "type": "application/geo+json"}


def _age(ending: Ending) -> tuple[datetime, str]:
    return ending.when, ending.message


def _period(period: Period | str | None) -> Period | None:
    return Period.parse(period) if isinstance(period, str) else period


def _slice(limit: int | None, offset: int) -> tuple[int, int]:
    if offset < 0 or (limit is not None and limit < 0):
        raise UsageError("limit and offset cannot be negative")
    return (-1 if limit is None else limit, offset)


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" for _ in values)
