"""The work folder of a campaign: its files as given, its plan, its ledger, batches, receipts and logs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from thalweg.campaign.campaign_file import Campaign, read_campaign
from thalweg.campaign.ledger import Ledger, open_ledger
from thalweg.campaign.plan import Places, Plan, plan_digest
from thalweg.campaign.planned_chain import PlannedChain
from thalweg.campaign.policy import Limits
from thalweg.campaign.site_file import Site, read_site
from thalweg.campaign.tile_choice import ring_of
from thalweg.document import read_document, write_document
from thalweg.errors import BadInput, MissingInput, UsageError
from thalweg.providers.found import need_arrow
from thalweg.record import plain_record, read_record

VERSION = 1
"""Version of the plan's files."""

_LARGEST = 64 << 20
_TABLES = ("granules", "units", "passed_over")


@dataclass(frozen=True, slots=True)
class CampaignFolder:
    """A work folder; every path in it has its name here."""

    path: Path
    """The folder."""

    @property
    def campaign_file(self) -> Path:
        """The campaign as the operator gave it."""
        return self.path / "campaign.yaml"

    @property
    def site_file(self) -> Path:
        """The site, with every default."""
        return self.path / "site.yaml"

    @property
    def plan(self) -> Path:
        """Folder of the plan."""
        return self.path / "plan"

    @property
    def tiles(self) -> Path:
        """GeoJSON of the tiles, to look at."""
        return self.path / "tiles.geojson"

    @property
    def batches(self) -> Path:
        """Folder of manifests."""
        return self.path / "batches"

    @property
    def receipts(self) -> Path:
        """Folder of receipts."""
        return self.path / "receipts"

    @property
    def logs(self) -> Path:
        """Folder of the logs of jobs."""
        return self.path / "logs"

    @property
    def costs(self) -> Path:
        """What units cost, as measured."""
        return self.path / "costs.json"

    def campaign(self) -> Campaign:
        """The campaign; its relative paths are those of the file that was given, and resolved in the plan."""
        return read_campaign(self.campaign_file)

    def site(self) -> Site:
        """The site."""
        return read_site(self.site_file)

    def read_facts(self) -> PlanFacts:
        """What the plan says beside its tables; MissingInput where there is no plan."""
        return read_facts(self.plan)

    def read_plan(self) -> Plan:
        """The plan, checked against its digest; MissingInput or BadInput where it is not there or was changed."""
        return read_plan(self.plan)

    def ledger(self) -> Ledger:
        """The ledger, with the limits of campaign and site; UsageError where its plan is another one."""
        facts, site = self.read_facts(), self.site()
        where: str | Path = site.ledger or self.path / "ledger.sqlite"
        ledger = open_ledger(where, facts.name, limits_of(self.campaign(), site))
        if ledger.plan_digest not in (None, facts.digest):
            ledger.close()
            raise UsageError(f"{ledger.database.name}: its plan is not that of {self.path}")
        return ledger


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What a plan says beside its tables: the content of ``plan.json``."""

    version: int
    """Version of the form."""
    name: str
    """Name of the campaign."""
    digest: str
    """Digest of the plan."""
    priority: int
    """Higher goes first."""
    places: Places
    """Where files are."""
    chains: tuple[PlannedChain, ...]
    """Chains with their parameters."""
    counts: Mapping[str, int]
    """How many tiles, granules, units and granules passed over there are."""
    granules_per_part: int
    """Granules of a tile that are leased together."""

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ValueError(f"version {self.version}: this thalweg reads version {VERSION}")


def open_folder(path: str | Path) -> CampaignFolder:
    """The work folder of a campaign that was planned; MissingInput where there is none."""
    folder = CampaignFolder(Path(path).absolute())
    if not (folder.plan / "plan.json").is_file():
        raise MissingInput(
            f"{path}: no planned campaign", advice="Make it with `thalweg campaign plan FILE`."
        )
    return folder


def limits_of(campaign: Campaign, site: Site) -> Limits:
    """What the policy of failures may ask for."""
    usual = min(2 * site.job_seconds, site.max_seconds)
    return Limits(site.memory_mb, site.max_memory_mb, usual, site.max_seconds, campaign.missing_input)


def write_folder(
    path: Path, campaign_file: Path, site: Site, plan: Plan, granules_per_part: int
) -> CampaignFolder:
    """Write the work folder of a plan, the ledger with it; an equal plan that is there already is left alone.

    What the operator makes of it later lives in the ledger: writing the same plan again changes nothing. Raises
    UsageError where another plan is there.
    """
    folder = CampaignFolder(path.absolute())
    if (folder.plan / "plan.json").is_file():
        known = folder.read_facts()
        if known.digest != plan.digest:
            raise UsageError(
                f"{path}: holds another plan ({known.digest[:12]}, not {plan.digest[:12]})",
                advice="Name another folder with --to: a plan is frozen, and its ledger answers for it.",
            )
        granules_per_part = known.granules_per_part
    else:
        _write_files(folder, campaign_file, site, plan, granules_per_part)
    with folder.ledger() as ledger:
        ledger.load_plan(plan, granules_per_part)
    return folder


def _write_files(folder: CampaignFolder, campaign_file: Path, site: Site, plan: Plan, per_part: int) -> None:
    for each in (folder.path, folder.batches, folder.receipts, folder.logs):
        _make(each)
    shutil.copyfile(campaign_file, folder.campaign_file)
    text = yaml.safe_dump(plain_record(site), sort_keys=False, allow_unicode=True)
    folder.site_file.write_text(text, "utf-8")
    folder.tiles.write_text(json.dumps(tiles_of(plan)), "utf-8")
    _write_plan(folder.plan, plan, per_part)


def _write_plan(target: Path, plan: Plan, per_part: int) -> None:
    """Write the folder of a plan: whole or not at all."""
    import pyarrow.parquet as parquet

    draft = target.with_name(f".plan.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    _make(draft)
    try:
        for name in _TABLES:
            parquet.write_table(getattr(plan, name), draft / f"{name}.parquet", compression="zstd")
        facts = PlanFacts(
            VERSION, plan.name, plan.digest, plan.priority, plan.places, plan.chains, plan.counts, per_part
        )
        of_tiles = {"facts": plan.facts, "heavy": plan.heavy}
        (draft / "tiles.json").write_text(json.dumps(of_tiles, sort_keys=True), "utf-8")
        write_document(draft / "plan.json", plain_record(facts))
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def read_facts(folder: Path) -> PlanFacts:
    """The facts of a plan."""
    return read_record(PlanFacts, read_document(folder / "plan.json", _LARGEST), str(folder / "plan.json"))


def read_plan(folder: Path) -> Plan:
    """A plan from its folder; BadInput where a table is unreadable or is not what was planned."""
    arrow = need_arrow()
    import pyarrow.parquet as parquet

    facts = read_facts(folder)
    try:
        granules, units, passed = (parquet.read_table(folder / f"{name}.parquet") for name in _TABLES)
        of_tiles = json.loads((folder / "tiles.json").read_text("utf-8"))
        about, heavy = of_tiles["facts"], of_tiles["heavy"]
    except (arrow.ArrowException, OSError, ValueError, KeyError, TypeError) as problem:
        raise BadInput(f"{folder}: a table of the plan cannot be read: {problem}") from problem
    if plan_digest(facts.chains, granules, units) != facts.digest:
        raise BadInput(
            f"{folder}: the tables are not those that were planned",
            advice="Bring the files back; a plan that was changed answers for nothing.",
        )
    return Plan(
        name=facts.name,
        priority=facts.priority,
        places=facts.places,
        chains=facts.chains,
        granules=granules,
        units=units,
        passed_over=passed,
        facts=about,
        digest=facts.digest,
        heavy=heavy,
    )


def tiles_of(plan: Plan) -> dict[str, Any]:
    """GeoJSON of the tiles of a plan, with how many granules and units each one has."""
    tiles = plan.granules["tile"].to_pylist()
    granules: dict[str, int] = {}
    units: dict[str, int] = {}
    for tile in tiles:
        granules[tile] = granules.get(tile, 0) + 1
    for row in plan.units["granule"].to_numpy().tolist():
        units[tiles[row]] = units.get(tiles[row], 0) + 1
    features = []
    for tile, number in granules.items():
        properties = {
            "tile": tile,
            "granules": number,
            "units": units.get(tile, 0),
            **plan.facts.get(tile, {}),
        }
        ring = ring_of(tile)
        geometry = None if ring is None else {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "id": tile, "geometry": geometry, "properties": properties})
    return {"type": "FeatureCollection", "features": features}


def _make(folder: Path) -> None:
    """Make a folder that the group may read; jobs of the same project look into it."""
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(PermissionError):
        folder.chmod(folder.stat().st_mode | 0o050)
