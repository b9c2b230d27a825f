"""The publisher: brings what ended into the embedded catalogue, in batches, once, however often it is killed.

What was published is noted in the ledger after the catalogue has it; a publisher that dies in between publishes a few
units again, which changes nothing. A catalogue on a server takes the place of `publish` and nothing else.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from thalweg.campaign.intake import record_event
from thalweg.campaign.ledger import Ledger
from thalweg.campaign.ledger_tables import note, noted
from thalweg.catalogue import Published, publish
from thalweg.chain import Declaration
from thalweg.errors import ENDINGS, Bug, ServiceUnavailable, ThalwegError

AT_ONCE = 2000
"""Endings that enter the catalogue in one transaction."""

_MARK = "published"

Publish = Callable[[Path, Sequence["Outcome"], Sequence[Declaration]], Published]
"""Enters outcomes into a catalogue; must be idempotent."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a unit ended, as a catalogue wants it."""

    chain: str
    """Name of the chain."""
    granule: str
    """Where the granule is."""
    tile: str
    """Tile, without the T."""
    sensed: datetime | None
    """Start of sensing."""
    unit: str
    """Identity of the unit."""
    product: Path | None
    """Folder of the product, None where there is none."""
    error: ThalwegError | None
    """Why there is no product."""
    item: Mapping[str, Any] | None = None
    """None: the catalogue reads the item from the product."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a publication did."""

    units: int
    """Endings that were looked at."""
    items: int
    """Items that were new in the catalogue."""
    endings: int
    """Endings without a product that were news."""
    problems: int
    """Items that could not be entered; the ledger's events name them."""


def publish_endings(
    ledger: Ledger, folder: Path, destination: Path, chains: Sequence[Declaration], enter: Publish = publish
) -> Report:
    """Publish what has ended since the last publication; the only publisher of a campaign at a time.

    Raises ServiceUnavailable where another publisher is at work or the catalogue does not answer.
    """
    units = items = endings = problems = 0
    with _alone(folder / "publisher.lock"):
        while rows := _news(ledger):
            outcomes = [_outcome(row, destination) for row in rows if row[1] > 1]
            published = enter(destination, outcomes, chains)
            with ledger.database.writing():
                for problem in published.problems:
                    record_event(ledger.database, 0.0, "unpublished", problem.kind, problem.to_dict())
                note(ledger.database, _MARK, str(rows[-1][0]))
            units += len(outcomes)
            items += published.items
            endings += published.endings
            problems += len(published.problems)
    return Report(units, items, endings, problems)


def publish_again(ledger: Ledger) -> None:
    """Let the next publication begin anew, for a catalogue that was lost."""
    note(ledger.database, _MARK, "0")


def _news(ledger: Ledger) -> list[tuple[Any, ...]]:
    """Attempts after the mark: sequence, state of the unit (0 where a later attempt decides), and what is published."""
    since = int(noted(ledger.database, _MARK) or 0)
    sql = (
        "SELECT attempts.sequence, CASE WHEN attempts.token = units.token THEN units.state ELSE 0 END, chains.name,"
        " granules.path, granules.tile, granules.sensed, units.id, attempts.product, attempts.kind, attempts.error,"
        " attempts.advice, attempts.error_id FROM attempts JOIN units ON units.number = attempts.unit"
        " JOIN granules ON granules.number = units.granule JOIN chains ON chains.number = units.chain"
        " WHERE attempts.sequence > ? ORDER BY attempts.sequence LIMIT ?"
    )
    return ledger.database.rows(sql, [since, AT_ONCE])


def _outcome(row: Sequence[Any], destination: Path) -> Outcome:
    _, _, chain, path, tile, sensed, unit, product, kind, message, advice, error_id = row
    error = None
    if kind != "done":
        error = ENDINGS.get(kind, Bug)(message or kind, advice=advice or None, id=error_id or None)
    return Outcome(
        chain,
        path,
        tile,
        datetime.fromisoformat(sensed),
        bytes(unit).hex(),
        destination / product if product and kind == "done" else None,
        error,
    )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o664)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as problem:
        raise ServiceUnavailable(f"{path}: another publisher of this campaign is at work") from problem
    finally:
        os.close(handle)
