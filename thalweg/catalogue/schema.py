"""Tables of the catalogue, and how those of an older version become those of this one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from thalweg.errors import BadInput

APPLICATION = 0x7468616C
"""Mark of our databases (``PRAGMA application_id``): the letters `thal`."""

# Columns of `items` and `endings` are in the order of the fields of `Entry` and of `Ending.row`.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE forms (number INTEGER PRIMARY KEY, form TEXT NOT NULL UNIQUE);
    CREATE TABLE items (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        collection TEXT NOT NULL,
        tile TEXT NOT NULL,
        start TEXT NOT NULL,
        until TEXT NOT NULL,
        west REAL NOT NULL,
        south REAL NOT NULL,
        east REAL NOT NULL,
        north REAL NOT NULL,
        platform TEXT NOT NULL,
        facility TEXT NOT NULL,
        unit TEXT NOT NULL,
        chain TEXT NOT NULL,
        granule TEXT NOT NULL,
        version TEXT NOT NULL,
        baseline TEXT,
        series TEXT NOT NULL,
        item TEXT NOT NULL,
        form INTEGER NOT NULL REFERENCES forms,
        successor TEXT,
        latest TEXT
    );
    CREATE INDEX items_by_tile ON items (tile, start);
    CREATE INDEX items_by_time ON items (start);
    CREATE INDEX items_by_collection ON items (collection, start);
    CREATE INDEX items_by_place
        ON items (collection, west, south, east, north, platform, facility, start, until);
    CREATE INDEX items_by_series ON items (series);
    CREATE INDEX items_by_unit ON items (unit);
    CREATE INDEX items_by_granule ON items (granule);
    CREATE INDEX items_by_successor ON items (successor) WHERE successor IS NOT NULL;
    CREATE VIRTUAL TABLE boxes USING rtree (box, west, east, south, north);
    CREATE TABLE endings (
        key TEXT PRIMARY KEY,
        unit TEXT NOT NULL,
        chain TEXT NOT NULL,
        granule TEXT NOT NULL,
        kind TEXT NOT NULL,
        message TEXT NOT NULL,
        advice TEXT NOT NULL,
        ended TEXT NOT NULL,
        tile TEXT NOT NULL,
        sensed TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX endings_by_time ON endings (ended);
    """,
)
"""Scripts that lead from one version of the tables to the next, from none to the newest."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the tables to the newest version, each step whole or not at all.

    Raises BadInput where the database is another program's or a newer version's.
    """
    while (version := check_version(connection, path)) < len(MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if check_version(connection, path) == version:
                _run(connection, MIGRATIONS[version])
                connection.execute(f"PRAGMA user_version = {version + 1}")
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def check_version(connection: sqlite3.Connection, path: Path) -> int:
    """The version of the tables, 0 where there are none; BadInput where they are not for us."""
    version = _pragma(connection, "user_version")
    owner = _pragma(connection, "application_id")
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if owner != APPLICATION and (tables or version or owner):
        raise BadInput(
            f"{path}: a database of another program", advice="Move it away: the catalogue needs this name."
        )
    if version > len(MIGRATIONS):
        raise BadInput(
            f"{path}: tables of version {version}, while this thalweg knows versions up to {len(MIGRATIONS)}",
            advice="Use the newer thalweg that wrote it.",
        )
    return version


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _run(connection: sqlite3.Connection, script: str) -> None:
    # `executescript` would commit the transaction that makes the step whole.
    for statement in script.split(";"):
        if statement.strip():
            connection.execute(statement)
