"""The catalogue made anew from the items that lie beside the products."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from thalweg.catalogue.connection import DamagedCatalogue
from thalweg.catalogue.entry import Entry, Reader
from thalweg.catalogue.publication import refresh_collections
from thalweg.catalogue.store import NAME, Catalogue
from thalweg.chain import Declaration
from thalweg.errors import BadInput, MissingInput, ThalwegError

_LEVELS = 5
"""Folders between the destination and an item: collection, tile, year, month, product."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild found."""

    items: int
    """Items in the catalogue."""
    problems: tuple[ThalwegError, ...] = ()
    """Items that could not be entered, and why."""
    endings_lost: bool = False
    """True where the old catalogue was damaged: endings without a product were known to it alone."""


def rebuild(destination: str | Path, chains: Iterable[Declaration] = ()) -> Rebuilt:
    """Replace the content of a destination's catalogue by what its items say.

    Readers see the old content until the new one is complete. Broken items are told, not entered. Endings without a
    product are kept. Raises MissingInput where there is no such destination, ServiceUnavailable where another writer
    holds the catalogue for too long.
    """
    destination = Path(destination)
    if not destination.is_dir():
        raise MissingInput(f"{destination}: no such destination")
    try:
        return _fill(destination / NAME, destination, tuple(chains))
    except DamagedCatalogue:
        return _start_over(destination, tuple(chains))


def _fill(
    path: Path, destination: Path, chains: tuple[Declaration, ...], endings_lost: bool = False
) -> Rebuilt:
    problems: list[ThalwegError] = []
    # Items are read while the writer's place is held: none that is published meanwhile can be missed.
    with Catalogue.open(path) as catalogue, catalogue.writing():
        catalogue.replace(_entries(destination, problems))
        refresh_collections(catalogue, destination, catalogue.collections(), chains)
        return Rebuilt(catalogue.count(), tuple(problems), endings_lost)


def _start_over(destination: Path, chains: tuple[Declaration, ...]) -> Rebuilt:
    """Build a new file aside and put it in the place of a damaged one."""
    path = destination / NAME
    fresh = path.with_name(f".{NAME}.{os.getpid()}")
    try:
        rebuilt = _fill(fresh, destination, chains, endings_lost=True)
        for suffix in ("-wal", "-shm"):
            path.with_name(NAME + suffix).unlink(missing_ok=True)
        fresh.replace(path)
    finally:
        for suffix in ("", "-wal", "-shm"):
            fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)
    return rebuilt


def _entries(destination: Path, problems: list[ThalwegError]) -> Iterator[Entry]:
    """Entries of all products; what is wrong with the others goes to `problems`."""
    reader = Reader()
    for folder in _folders(destination, _LEVELS):
        path = folder / f"{folder.name}.json"
        if not path.is_file():
            continue
        try:
            entry = reader.read(path)
            if destination / entry.file != path:
                raise BadInput(
                    f"{path}: this item belongs to {entry.file}", advice="Move it there, or remove it."
                )
        except ThalwegError as problem:
            problems.append(problem)
        else:
            yield entry


def _folders(folder: Path, levels: int) -> Iterator[Path]:
    """Folders that many levels below, in order; hidden ones, such as staging, are passed over."""
    if levels == 0:
        yield folder
        return
    with os.scandir(folder) as found:
        names = sorted(entry.name for entry in found if not entry.name.startswith(".") and entry.is_dir())
    for name in names:
        yield from _folders(folder / name, levels - 1)
