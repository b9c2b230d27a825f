"""Intake: entries on their way into the tables, and what has to be worked out anew when they arrive."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, groupby, islice
from typing import Any, NamedTuple

from thalweg.catalogue.entry import Entry, encoded
from thalweg.catalogue.search import halves
from thalweg.catalogue.succession import Member, succession

_BATCH = 500
_INSERT = f"INSERT OR REPLACE INTO items (number, {', '.join(Entry._fields)}) VALUES (?{', ?' * len(Entry._fields)})"


class _Stored(NamedTuple):
    """What an entry is compared with."""

    number: int
    item: str
    form: int
    series: str


class _Row(NamedTuple):
    """An entry with its numbers."""

    number: int
    entry: Entry
    form: int

    def boxes(self) -> Iterator[tuple[float, ...]]:
        """Rows of the tree: two where the item crosses 180 degrees."""
        entry = self.entry
        for part, (west, east) in enumerate(halves(entry.west, entry.east)):
            yield (2 * self.number + part, west, east, entry.south, entry.north)


class Intake:
    """Takes entries in during one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        # Most items have the form of the one before in their collection.
        self._forms: dict[str, tuple[Mapping[str, Any], int]] = {}

    def enter(self, entries: Iterable[Entry]) -> int:
        """Enter items; the number of those that were new or had changed comes back."""
        waiting, changed = iter(entries), 0
        while batch := {entry.id: entry for entry in islice(waiting, _BATCH)}:
            changed += self._enter_batch(batch)
        return changed

    def _enter_batch(self, batch: Mapping[str, Entry]) -> int:
        known = self._known(batch)
        (last,) = self._connection.execute("SELECT coalesce(max(number), 0) FROM items").fetchone()
        numbers = count(last + 1)
        rows: list[_Row] = []
        for entry in batch.values():
            form, stored = self._form_number(entry), known.get(entry.id)
            if stored is None or (stored.item, stored.form) != (entry.item, form):
                rows.append(_Row(stored.number if stored else next(numbers), entry, form))
        replaced = [known[row.entry.id] for row in rows if row.entry.id in known]
        self._write(rows, [stored.number for stored in replaced])
        self._settle({stored.series for stored in replaced} | {row.entry.series for row in rows})
        self._clear_endings(batch.values())
        return len(rows)

    def _known(self, ids: Iterable[str]) -> dict[str, _Stored]:
        """What is stored of the ids that are there."""
        wanted = list(ids)
        sql = f"SELECT id, number, item, form, series FROM items WHERE id IN ({_marks(wanted)})"
        return {id: _Stored(*rest) for id, *rest in self._connection.execute(sql, wanted)}

    def _form_number(self, entry: Entry) -> int:
        """The number of an entry's form, which is entered where it is new."""
        form, number = self._forms.get(entry.collection, ({}, 0))
        if form != entry.form:
            text = encoded(entry.form, f"item {entry.id!r}")
            self._connection.execute("INSERT OR IGNORE INTO forms (form) VALUES (?)", [text])
            (number,) = self._connection.execute("SELECT number FROM forms WHERE form = ?", [text]).fetchone()
            self._forms[entry.collection] = (entry.form, number)
        return number

    def _write(self, rows: Sequence[_Row], replaced: Sequence[int]) -> None:
        """Write rows, some of them in the place of others."""
        write = self._connection.executemany
        write(_INSERT, [(number, *entry[:-1], form) for number, entry, form in rows])
        write(
            "DELETE FROM boxes WHERE box = ?",
            [(2 * number + part,) for number in replaced for part in (0, 1)],
        )
        write("INSERT INTO boxes VALUES (?, ?, ?, ?, ?)", [box for row in rows for box in row.boxes()])

    def _settle(self, series: Iterable[str]) -> None:
        """Work out anew what is superseded in these series."""
        wanted = list(series)
        rows = self._connection.execute(
            "SELECT series, id, granule, version, baseline, successor, latest FROM items"
            f" WHERE series IN ({_marks(wanted)}) ORDER BY series",
            wanted,
        ).fetchall()
        changes = [
            change for _, group in groupby(rows, key=lambda row: row[0]) for change in _changes(list(group))
        ]
        self._connection.executemany("UPDATE items SET successor = ?, latest = ? WHERE id = ?", changes)

    def _clear_endings(self, entries: Iterable[Entry]) -> None:
        (any_left,) = self._connection.execute("SELECT EXISTS (SELECT 1 FROM endings)").fetchone()
        if any_left:
            keys = [(key,) for entry in entries for key in (entry.unit, f"{entry.chain} {entry.granule}")]
            self._connection.executemany("DELETE FROM endings WHERE key = ?", keys)


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


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" for _ in values)
