"""Granules in a tree of folders, by the names of products; STAC items and raster stacks are read, never decoded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from thalweg.errors import BadInput, MissingInput, ThalwegError
from thalweg.providers.found import Found, Granules, Wanted, table_of

if TYPE_CHECKING:
    from thalweg.granule import Granule

_DESCRIPTIONS = (".json", ".yaml", ".yml")


def find_in_folder(root: Path, wanted: Wanted, depth: int = 4, match: str = "*") -> Granules:
    """Granules under `root`, at most `depth` levels down, whose names fit the pattern `match`.

    A product is not searched for others inside of it. What looks like the description of a granule and is none is
    told as a problem. Raises MissingInput where there is no such folder.
    """
    if not root.is_dir():
        raise MissingInput(f"{root}: no such folder of granules", advice="Correct inputs.at of the campaign.")
    problems: list[ThalwegError] = []
    found = [_found(granule) for granule in _granules(root, depth, match, problems)]
    return Granules(table_of(filter(wanted.takes, found)), tuple(problems))


def _granules(folder: Path, depth: int, match: str, problems: list[ThalwegError]) -> Iterator[Granule]:
    from thalweg.readers import open_granule
    from thalweg.readers.naming import named_granule

    for entry in _entries(folder, problems):
        if entry.name.startswith("."):
            continue
        path = Path(entry.path)
        fits = fnmatchcase(entry.name, match)
        granule = named_granule(path)
        if granule is not None:
            if fits:
                yield granule
        elif entry.is_dir():
            if depth > 1:
                yield from _granules(path, depth - 1, match, problems)
        elif fits and path.suffix.lower() in _DESCRIPTIONS:
            try:
                yield open_granule(path)
            except ThalwegError as problem:
                problems.append(problem)


def _entries(folder: Path, problems: list[ThalwegError]) -> list[os.DirEntry[str]]:
    """What is in a folder, sorted; one that cannot be looked into is told, and empty."""
    try:
        with os.scandir(folder) as listing:
            return sorted(listing, key=lambda entry: entry.name)
    except OSError as problem:
        problems.append(BadInput(f"{folder}: cannot be looked into: {problem.strerror}"))
        return []


def _found(granule: Granule) -> Found:
    return Found(
        id=granule.id,
        path=str(granule.path),
        format=granule.format,
        tile=granule.tile,
        sensed=granule.sensed,
        platform=granule.platform,
        level=granule.level,
        baseline=granule.baseline or "",
        orbit=granule.orbit,
        cloud_cover=granule.cloud_cover,
    )
