"""Tables of the ledger, and how those of an older version become those of this one."""

from __future__ import annotations

from thalweg.campaign.database import Database
from thalweg.errors import BadInput

# Times are Unix times in seconds, states the places in `thalweg.campaign.lease.STATES`.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE chains (number BIGINT PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE granules (
        number BIGINT PRIMARY KEY,
        id TEXT NOT NULL,
        path TEXT NOT NULL,
        tile TEXT NOT NULL,
        sensed TEXT NOT NULL,
        part BIGINT NOT NULL
    );
    CREATE TABLE units (
        number BIGINT PRIMARY KEY,
        id BLOB NOT NULL,
        granule BIGINT NOT NULL,
        chain BIGINT NOT NULL,
        state BIGINT NOT NULL DEFAULT 0,
        kind TEXT NOT NULL DEFAULT '',
        tries BIGINT NOT NULL DEFAULT 0,
        attempts BIGINT NOT NULL DEFAULT 0,
        token BIGINT NOT NULL DEFAULT 0,
        due DOUBLE PRECISION NOT NULL DEFAULT 0,
        memory BIGINT,
        seconds BIGINT,
        alone BIGINT NOT NULL DEFAULT 0
    );
    CREATE TABLE parts (
        number BIGINT PRIMARY KEY,
        tile TEXT NOT NULL,
        first BIGINT NOT NULL,
        last BIGINT NOT NULL,
        priority BIGINT NOT NULL,
        taken BIGINT NOT NULL DEFAULT 0
    );
    CREATE TABLE batches (
        token BIGINT PRIMARY KEY,
        id TEXT NOT NULL,
        tile TEXT NOT NULL,
        units BIGINT NOT NULL,
        state TEXT NOT NULL,
        job TEXT NOT NULL DEFAULT '',
        place BIGINT NOT NULL DEFAULT 0,
        leased DOUBLE PRECISION NOT NULL,
        expires DOUBLE PRECISION NOT NULL,
        ended DOUBLE PRECISION
    );
    CREATE TABLE submissions (
        job TEXT PRIMARY KEY,
        scheduler TEXT,
        sent DOUBLE PRECISION NOT NULL
    );
    CREATE TABLE attempts (
        sequence BIGINT PRIMARY KEY,
        unit BIGINT NOT NULL,
        token BIGINT NOT NULL,
        state TEXT NOT NULL,
        kind TEXT NOT NULL,
        begun DOUBLE PRECISION NOT NULL,
        ended DOUBLE PRECISION NOT NULL,
        cpu DOUBLE PRECISION NOT NULL,
        memory DOUBLE PRECISION NOT NULL,
        bytes_in BIGINT NOT NULL,
        bytes_out BIGINT NOT NULL,
        files BIGINT NOT NULL,
        existed BIGINT NOT NULL,
        host TEXT NOT NULL,
        job TEXT NOT NULL,
        product TEXT NOT NULL,
        error TEXT NOT NULL,
        error_id TEXT NOT NULL,
        advice TEXT NOT NULL,
        trace TEXT NOT NULL
    );
    CREATE TABLE events (
        sequence BIGINT PRIMARY KEY,
        at DOUBLE PRECISION NOT NULL,
        what TEXT NOT NULL,
        subject TEXT NOT NULL,
        evidence TEXT NOT NULL
    );
    CREATE TABLE counts (
        chain BIGINT NOT NULL,
        state BIGINT NOT NULL,
        kind TEXT NOT NULL,
        units BIGINT NOT NULL,
        PRIMARY KEY (chain, state, kind)
    );
    CREATE TABLE traces (
        signature TEXT PRIMARY KEY,
        units BIGINT NOT NULL,
        forgiven BIGINT NOT NULL DEFAULT 0,
        sample TEXT NOT NULL
    );
    CREATE TABLE accounting (
        job TEXT PRIMARY KEY,
        cpu DOUBLE PRECISION NOT NULL,
        memory DOUBLE PRECISION NOT NULL,
        waited DOUBLE PRECISION NOT NULL
    );
    CREATE INDEX parts_waiting ON parts (priority, number) WHERE taken = 0;
    CREATE INDEX batches_open ON batches (token) WHERE state = 'leased';
    CREATE INDEX batches_by_job ON batches (job);
    CREATE UNIQUE INDEX batches_by_id ON batches (id);
    CREATE INDEX events_by_subject ON events (what, subject);
    CREATE UNIQUE INDEX attempts_by_unit ON attempts (unit, token);
    """,
)
"""Scripts that lead from one version of the tables to the next, from none to the newest."""

# Made after the plan is loaded: two million rows go in ten times faster without them.
INDICES = """
    CREATE UNIQUE INDEX IF NOT EXISTS units_by_id ON units (id);
    CREATE INDEX IF NOT EXISTS units_again ON units (due) WHERE state = 0 AND token > 0;
    CREATE INDEX IF NOT EXISTS units_held ON units (token) WHERE state = 1;
    CREATE INDEX IF NOT EXISTS units_short ON units (state, kind) WHERE state > 3;
    CREATE INDEX IF NOT EXISTS granules_by_tile ON granules (tile, sensed);
"""
"""Indices on units and granules."""

_VERSION = "tables"


def migrate(database: Database) -> None:
    """Bring the tables to the newest version, each step whole or not at all.

    Raises BadInput where they are those of a newer version, or of another program.
    """
    while (version := tables_version(database)) < len(MIGRATIONS):
        with database.writing():
            if tables_version(database) == version:
                run_script(database, MIGRATIONS[version])
                note(database, _VERSION, str(version + 1))
    if version > len(MIGRATIONS):
        raise BadInput(
            f"{database.name}: tables of version {version}, while this thalweg knows versions up to {len(MIGRATIONS)}",
            advice="Use the newer thalweg that wrote it.",
        )


def tables_version(database: Database) -> int:
    """The version of the tables, 0 where there are none; BadInput where they are not those of a ledger."""
    tables = database.tables()
    version = noted(database, _VERSION) if {"meta", "units"} <= tables else None
    if tables and version is None:
        raise BadInput(
            f"{database.name}: holds tables of another program", advice="Give the ledger another place."
        )
    return int(version or 0)


def noted(database: Database, name: str) -> str | None:
    """A noted value, None where there is none."""
    found = database.rows("SELECT value FROM meta WHERE name = ?", [name])
    return None if not found else str(found[0][0])


def note(database: Database, name: str, value: str) -> None:
    """Note a value under a name."""
    sql = (
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    )
    database.change(sql, [name, value])


def run_script(database: Database, script: str) -> None:
    """Run statements one by one, so that the transaction around them stays whole."""
    for statement in script.split(";"):
        if statement.strip():
            database.change(statement)
