"""Publication: products and other endings of units enter the catalogue of their destination, once, however often."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any, Protocol, get_args

from thalweg.catalogue.entry import Ending, Entry, Reader
from thalweg.catalogue.store import NAME, Catalogue
from thalweg.chain import Declaration
from thalweg.collection import build_collection, collection_id, with_holdings
from thalweg.document import read_document, write_document
from thalweg.errors import MissingInput, ThalwegError
from thalweg.item import Maturity

COLLECTION = "collection.json"
"""Name of a collection's file, in the folder that bears its id."""

_SUFFIXES = (".SAFE", ".zip", ".DIR", ".DBL", ".HDR", ".json", ".yaml", ".yml", ".nc")


class Outcome(Protocol):
    """How a unit ended, as `thalweg.run` tells it."""

    @property
    def chain(self) -> str:
        """Name of the chain."""

    @property
    def granule(self) -> str:
        """The granule as the user named it."""

    @property
    def tile(self) -> str:
        """Tile, empty where unknown."""

    @property
    def sensed(self) -> datetime | None:
        """Start of sensing."""

    @property
    def unit(self) -> str:
        """Identity of the unit, empty where unknown."""

    @property
    def product(self) -> Path | None:
        """Folder of the product, None where there is none."""

    @property
    def item(self) -> Mapping[str, Any] | None:
        """The product's item, None where it has to be read."""

    @property
    def error(self) -> ThalwegError | None:
        """Why there is no product."""


@dataclass(frozen=True, slots=True)
class Published:
    """What a publication changed."""

    items: int
    """Items that were new or had changed."""
    endings: int
    """Endings without a product that were news."""
    problems: tuple[ThalwegError, ...] = ()
    """Items that could not be entered, and why."""


def publish(
    destination: str | Path, outcomes: Iterable[Outcome], chains: Iterable[Declaration] = ()
) -> Published:
    """Enter how units ended into the catalogue of a destination, and bring the collections up to date.

    Repeating it changes nothing, and a publisher that was killed is made good by the next one. `chains` describes the
    collections; one whose chain is not among them keeps its description. Raises ServiceUnavailable where another writer
    holds the catalogue for too long, BadInput where the catalogue is damaged.
    """
    destination = Path(destination)
    told = list(outcomes)
    if not told:
        return Published(0, 0)
    entries, problems = _entries(told)
    with Catalogue.open(destination / NAME) as catalogue, catalogue.writing():
        changed = catalogue.enter(entries)
        news = sum(catalogue.record_ending(_ending(outcome)) for outcome in told if outcome.error)
        refresh_collections(catalogue, destination, {entry.collection for entry in entries}, chains)
    return Published(changed, news, tuple(problems))


def refresh_collections(
    catalogue: Catalogue, destination: Path, ids: Iterable[str], chains: Iterable[Declaration]
) -> list[Path]:
    """Write the collections whose file does not tell the truth, and say which.

    Belongs inside `Catalogue.writing`: of several publishers the last one to write has then seen every item.
    """
    maturities: tuple[Maturity, ...] = get_args(Maturity)
    known = {collection_id(chain, maturity): chain for chain in chains for maturity in maturities}
    written = []
    for id in sorted(ids):
        path = destination / id / COLLECTION
        stored = _stored(path)
        holdings = catalogue.holdings(id)
        if id in known:
            wanted: dict[str, Any] = build_collection(known[id], holdings, id)
        elif stored:
            wanted = with_holdings(stored, holdings)
        else:
            continue
        if wanted != stored:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_document(path, wanted)
            written.append(path)
    return written


def _stored(path: Path) -> dict[str, Any] | None:
    """The collection that is there; a broken one counts as none, for it can be made anew."""
    with suppress(ThalwegError):
        stored = read_document(path)
        if stored.get("type") == "Collection" and isinstance(stored.get("item_assets"), dict):
            return stored
    return None


def _entries(outcomes: Iterable[Outcome]) -> tuple[list[Entry], list[ThalwegError]]:
    entries: list[Entry] = []
    problems: list[ThalwegError] = []
    reader = Reader()
    for outcome in outcomes:
        if outcome.product is None:
            continue
        path = outcome.product / f"{outcome.product.name}.json"
        try:
            entries.append(reader.read(path, outcome.item))
        except ThalwegError as problem:
            problems.append(problem)
    return entries, problems


def _ending(outcome: Outcome) -> Ending:
    error = outcome.error or MissingInput(f"{outcome.granule}: no product")
    return Ending(
        unit=outcome.unit,
        chain=outcome.chain,
        granule=granule_name(outcome.granule),
        kind=error.kind,
        message=str(error),
        advice=error.what_to_do,
        when=datetime.now(UTC),
        tile=outcome.tile,
        sensed=outcome.sensed,
    )


def granule_name(given: str) -> str:
    """The name of a granule, without folder and suffix, from the path that a user gave."""
    name = PurePath(given).name or given
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name
