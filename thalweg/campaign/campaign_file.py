"""The campaign file: what an operator asks for, in YAML, read strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from thalweg.campaign.yaml_file import read_yaml_file
from thalweg.errors import UsageError
from thalweg.period import Period

Provider = Literal["folder", "stac", "geoparquet", "eodag"]
"""Where granules are looked for: a tree of folders, a STAC API, a stac-geoparquet file, EODAG."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class ChosenChain:
    """A chain of the campaign with its parameters."""

    name: str
    """Built-in name, ``FILE.py:object``, ``package.module:object``, or an entry point."""
    version: str | None = None
    """Version that the campaign was written for: another one is refused. None: whichever is installed."""
    set: str | None = None
    """Date of the parameter set, such as 2026-11-20; None: the newest when the plan is made."""
    file: str | None = None
    """YAML of parameters, one section a chain, which wins over the set."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Single parameters, which win over the file."""


@dataclass(frozen=True, slots=True)
class ChosenTiles:
    """Tiles that meet all conditions that are given; none given: every tile that the provider knows."""

    list: tuple[str, ...] = ()
    """Ids such as 31TCJ, or beginnings of ids such as 31T."""
    bbox: tuple[float, ...] = ()
    """West, south, east, north in degrees: tiles that touch the box."""
    area: str | None = None
    """GeoJSON file: tiles that touch one of its polygons."""
    table: str | None = None
    """Tile table (CSV or Parquet, with a column ``tile``): tiles that are in it; its numbers also feed the forecast."""
    where: str | None = None
    """Condition on the table's columns, such as ``land_frac > 0.2 and lake_km2 > 1``."""

    def __post_init__(self) -> None:
        if self.where and not self.table:
            raise ValueError("where needs table: the file that the condition is about")
        if self.bbox and not (len(self.bbox) == 4 and self.bbox[1] < self.bbox[3]):
            raise ValueError("bbox: expected [west, south, east, north] in degrees")


@dataclass(frozen=True, slots=True)
class InputSource:
    """Where granules are found."""

    provider: Provider
    """Kind of source."""
    at: str
    """Folder, file, or address (``https://``) of the source; EODAG: name of its provider."""
    collections: tuple[str, ...] = ()
    """Collections to search, where the source has several."""
    path: str | None = None
    """Where a granule that was found by its item lies on disk, such as ``archive:{tile}/{id}.SAFE``; the words are id,
    tile, year, month, day. Every provider but ``folder`` needs it, for jobs have no network."""
    depth: int = 4
    """Levels of folders that are searched, for the provider ``folder``."""
    match: str = "*"
    """Glob pattern that names of granules must match."""

    def __post_init__(self) -> None:
        if not 1 <= self.depth <= 12:
            raise ValueError(f"depth = {self.depth}: must be 1 to 12")


@dataclass(frozen=True, slots=True)
class StaticSource:
    """Where static layers are."""

    folder: str | None = None
    """``<folder>/<tile>/<role>.tif``."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Single layers, for a campaign on one tile: role to file."""
    without: tuple[str, ...] = ()
    """Roles that are left out even where a file is there."""


@dataclass(frozen=True, slots=True)
class Gates:
    """Granules that are left out before anything is planned."""

    cloud_cover: float | None = None
    """Most cloud that the provider may say, percent; granules without a figure pass."""

    def __post_init__(self) -> None:
        if self.cloud_cover is not None and not 0 <= self.cloud_cover <= 100:
            raise ValueError(f"cloud_cover = {self.cloud_cover:g}: must be 0 to 100 percent")


@dataclass(frozen=True, slots=True)
class Campaign:
    """What an operator asks for."""

    name: str
    """Short name: letters, digits, hyphens, underlines."""
    chains: tuple[ChosenChain, ...]
    """Chains that run on every granule, in order."""
    period: str
    """2024, 2024-01, 2024-01-05, or BEGIN/END with both days included."""
    inputs: InputSource
    """Where granules are found."""
    destination: str
    """Where products go."""
    tiles: ChosenTiles = field(default_factory=ChosenTiles)
    """Which tiles."""
    static: StaticSource = field(default_factory=StaticSource)
    """Static layers."""
    gates: Gates = field(default_factory=Gates)
    """Which granules are left out."""
    priority: int = 0
    """Higher goes first, -100 to 100."""
    site: str | None = None
    """Site file, relative to this one; None: a workstation."""
    missing_input: Literal["skip", "wait"] = "skip"
    """What becomes of a unit whose granule or static layer is not there: skipped, or tried again for two days."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"name = {self.name!r}: letters, digits, hyphens and underlines only, at most 63"
            )
        if not self.chains:
            raise ValueError("chains: at least one is needed")
        names = [chain.name for chain in self.chains]
        if len(set(names)) < len(names):
            raise ValueError("chains: one is named twice; give it another campaign")
        if not -100 <= self.priority <= 100:
            raise ValueError(f"priority = {self.priority}: must be -100 to 100")
        try:
            Period.parse(self.period)
        except UsageError as problem:
            raise ValueError(f"period: {problem.message}") from problem


def read_campaign(path: Path) -> Campaign:
    """The campaign of a file; BadParameters names file, line and field, and the nearest known key."""
    return read_yaml_file(path, frozenset({"name", "period", "version", "set", "list", "where"})).read(
        Campaign
    )
