"""Answers: rows of the catalogue as items, with what it alone knows: where they lie and what superseded them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from thalweg.catalogue.form import join
from thalweg.item import item_file

_DESTINATION = "../" * 5
"""From the folder of a product up to the destination: product, month, year, tile, collection."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where a product is."""

    id: str
    """Id of its item."""
    collection: str
    """Id of its collection."""
    tile: str
    """Tile, without the T."""
    start: datetime
    """First instant, UTC."""
    file: Path
    """Its item; the folder around it is the product."""
    superseded: bool
    """True where a newer product has taken its place."""


class Row(NamedTuple):
    """What an answer is made of: columns of `items`, in this order."""

    id: str
    collection: str
    tile: str
    start: str
    successor: str | None
    latest: str | None
    form: int
    item: str

    @property
    def file(self) -> str:
        """Where the item lies, relative to the destination."""
        return item_file(self.collection, self.tile, datetime.fromisoformat(self.start), self.id)


COLUMNS = ", ".join(Row._fields)
"""What to select for rows."""

WITHOUT_ITEM = COLUMNS.removesuffix("item") + "''"
"""What to select where the items themselves are not wanted: they are most of what is stored."""


def found(row: Row, destination: Path) -> Found:
    """Where the product of a row is."""
    start = datetime.fromisoformat(row.start)
    return Found(row.id, row.collection, row.tile, start, destination / row.file, row.successor is not None)


def items(connection: sqlite3.Connection, destination: Path, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The items of rows, with links to themselves and to older and newer versions.

    They share what they have in common: the parts that `thalweg.catalogue.form` calls a form.
    """
    related = _related(connection, rows)
    forms = {number: _form(connection, number) for number in {row.form for row in rows}}
    return [_item(row, forms[row.form], destination, related.get(row.id, ())) for row in rows]


def _item(row: Row, form: Mapping[str, Any], destination: Path, related: Sequence[Row]) -> dict[str, Any]:
    item = join(form, json.loads(row.item))
    links = [_link("self", f"{destination}/{row.file}"), *item["links"]]
    if row.successor:
        item["properties"]["deprecated"] = True
    for other in related:
        links += [_link(rel, _DESTINATION + other.file) for rel in _relations(row, other)]
    item["links"] = links
    return item


def _form(connection: sqlite3.Connection, number: int) -> dict[str, Any]:
    (text,) = connection.execute("SELECT form FROM forms WHERE number = ?", [number]).fetchone()
    form: dict[str, Any] = json.loads(text)
    return form


def _related(connection: sqlite3.Connection, rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Older and newer versions of the products of rows, by id."""
    sql = f"SELECT {WITHOUT_ITEM} FROM items WHERE successor = ? OR id IN (?, ?) ORDER BY id"
    related: dict[str, list[Row]] = {}
    for row in rows:
        wanted = [row.id, row.successor, row.latest]
        if others := [Row(*values) for values in connection.execute(sql, wanted)]:
            related[row.id] = others
    return related


def _relations(row: Row, other: Row) -> list[str]:
    """What another version is to that of a row, in the words of the version extension."""
    relations = {
        "predecessor-version": other.successor == row.id,
        "successor-version": other.id == row.successor,
        "latest-version": other.id == row.latest,
    }
    return [relation for relation, holds in relations.items() if holds]


def _link(rel: str, href: str) -> dict[str, str]:
    return {"rel": rel, "href": href, "type": "application/geo+json"}
