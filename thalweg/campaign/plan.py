"""The plan: the frozen table of units that a campaign means, equal for equal inputs, whenever it is made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.campaign.campaign_file import Campaign
from thalweg.campaign.planned_chain import PlannedChain, ReadyChain, prepare_chains
from thalweg.campaign.selection import select
from thalweg.campaign.site_file import Site
from thalweg.campaign.tile_choice import choose_tiles
from thalweg.campaign.unit_table import StaticsFound, make_units
from thalweg.catalogue.period import Period
from thalweg.errors import MissingInput, ThalwegError, UsageError
from thalweg.parameters import canonical_json
from thalweg.providers import Granules, Wanted, find_granules
from thalweg.record import plain_record

if TYPE_CHECKING:
    import pyarrow as arrow

    from thalweg.static import StaticLayers


@dataclass(frozen=True, slots=True)
class Places:
    """Where the files of a campaign are, with no path left that is relative to a file."""

    destination: str
    """Where products go."""
    static_folder: str | None
    """Folder of static layers."""
    static_files: Mapping[str, str]
    """Single static layers by role."""
    without: tuple[str, ...]
    """Roles that are left out."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Every unit of a campaign."""

    name: str
    """Name of the campaign."""
    priority: int
    """Higher goes first."""
    places: Places
    """Where files are."""
    chains: tuple[PlannedChain, ...]
    """Chains, in the order in which they run."""
    granules: arrow.Table
    """Granules sorted by tile, time and id, with the columns of `thalweg.providers.Found`."""
    units: arrow.Table
    """Columns id, granule and chain; units of one granule stand together."""
    passed_over: arrow.Table
    """Granules that were found and not planned, with the reason."""
    facts: Mapping[str, Mapping[str, float]]
    """Tile to what the tile table says of it."""
    digest: str
    """SHA-256 of the units and of what they mean, hexadecimal."""
    heavy: Mapping[str, int] = field(default_factory=dict)
    """Tiles known to be heavy, with how many of their granules make a batch; how units are batched is no part of the
    digest."""

    @property
    def counts(self) -> dict[str, int]:
        """How many tiles, granules, units and granules passed over there are."""
        return {
            "tiles": len(self.granules["tile"].unique()),
            "granules": self.granules.num_rows,
            "units": self.units.num_rows,
            "passed_over": self.passed_over.num_rows,
        }


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and what was found amiss while it was made."""

    plan: Plan
    """The plan."""
    statics: StaticsFound
    """Static layers that are missing or have no digest."""
    problems: tuple[ThalwegError, ...]
    """What looked like a granule and could not be understood."""


def make_plan(campaign: Campaign, site: Site, base: Path) -> Planned:
    """The plan of a campaign whose file lies in the folder `base`.

    Nothing is written and no raster is opened. Raises BadParameters for chains, tiles or parameters that do not exist,
    MissingInput for a source that is not there, or static layers without digests, ServiceUnavailable for one that does
    not answer, UsageError where there is nothing to plan.
    """
    chains = prepare_chains(campaign.chains, base)
    choice = choose_tiles(campaign.tiles, base)
    found = _find(campaign, site, base, choice.tiles)
    selection = select(
        found.table, campaign.gates, {level for ready in chains for level in ready.chain.levels}
    )
    places = find_places(campaign, site, base)
    made = make_units(selection.kept, chains, static_layers(places))
    if made.statics.unprepared:
        raise _unprepared(made.statics.unprepared)
    if not made.units.num_rows:
        raise UsageError(
            f"campaign {campaign.name!r}: nothing to plan: {found.table.num_rows} granules found, "
            f"{selection.passed_over.num_rows} passed over",
            advice="Look at tiles, period, inputs and gates of the campaign.",
        )
    planned = tuple(ready.planned for ready in chains)
    plan = Plan(
        name=campaign.name,
        priority=campaign.priority,
        places=places,
        chains=planned,
        granules=selection.kept,
        units=made.units,
        passed_over=selection.passed_over,
        facts=choice.facts,
        digest=plan_digest(planned, selection.kept, made.units),
    )
    return Planned(plan, made.statics, found.problems)


def _find(campaign: Campaign, site: Site, base: Path, tiles: frozenset[str] | None) -> Granules:
    """The granules of the campaign's source."""
    source = campaign.inputs
    on_disk = source.provider in ("folder", "geoparquet")
    return find_granules(
        source.provider,
        str(site.place(source.at, base)) if on_disk else source.at,
        Wanted(tiles, Period.parse(campaign.period)),
        path=None if source.path is None else str(site.place(source.path, base)),
        collections=source.collections,
        depth=source.depth,
        match=source.match,
    )


def find_places(campaign: Campaign, site: Site, base: Path) -> Places:
    """Where a campaign's files are."""
    static = campaign.static
    return Places(
        destination=str(site.place(campaign.destination, base).absolute()),
        static_folder=None if static.folder is None else str(site.place(static.folder, base).absolute()),
        static_files={role: str(site.place(file, base).absolute()) for role, file in static.files.items()},
        without=static.without,
    )


def static_layers(places: Places) -> StaticLayers:
    """The static layers of a campaign, to be looked for."""
    from thalweg.static import StaticLayers

    return StaticLayers(
        None if places.static_folder is None else Path(places.static_folder),
        {role: Path(file) for role, file in places.static_files.items()},
        frozenset(places.without),
    )


def plan_digest(chains: tuple[PlannedChain, ...], granules: arrow.Table, units: arrow.Table) -> str:
    """SHA-256 over chains, granules with their places, and units in order; the same on every machine."""
    sum = hashlib.sha256(canonical_json([plain_record(chain) for chain in chains]).encode())
    for name in ("id", "tile", "path", "baseline"):
        sum.update(f"\n{name}\n".encode())
        sum.update("\n".join(granules[name].to_pylist()).encode())
    for name in ("granule", "chain", "id"):
        sum.update(f"\n{name}\n".encode())
        for chunk in units[name].chunks:
            sum.update(_bytes(chunk))
    return sum.hexdigest()


def _bytes(chunk: Any) -> memoryview:
    """The cells of a column of fixed width, as they lie in memory."""
    width = chunk.type.bit_width // 8
    whole = memoryview(chunk.buffers()[1])
    return whole[chunk.offset * width : (chunk.offset + len(chunk)) * width]


def load_chains(planned: tuple[PlannedChain, ...]) -> tuple[ReadyChain, ...]:
    """The chains of a plan, loaded; BadParameters where one is no longer the version that was planned."""
    from thalweg.campaign.campaign_file import ChosenChain

    chosen = tuple(ChosenChain(chain.name, chain.version, None, None, chain.parameters) for chain in planned)
    return prepare_chains(chosen, Path())


def _unprepared(paths: tuple[Path, ...]) -> MissingInput:
    shown = ", ".join(map(str, paths[:3])) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    return MissingInput(
        f"{len(paths)} static layers have no digest, or one older than themselves: {shown}",
        advice="Run `thalweg static prepare --tile TILE --to FOLDER` for each tile; a plan never computes digests.",
    )
