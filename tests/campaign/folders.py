"""Campaigns on disk: planned, with a ledger, ready to run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from tests.campaign.plans import a_plan
from tests.season import Season
from thalweg.campaign.campaign_file import read_campaign
from thalweg.campaign.folder import CampaignFolder, write_folder
from thalweg.campaign.plan import make_plan
from thalweg.campaign.receipt import Receipt, read_lines
from thalweg.campaign.site_file import Site

SITE = Site(job_seconds=300, memory_per_core_mb=900, max_memory_mb=3600, min_free_gb=0.0, min_free_inodes=0)
"""A site whose jobs fit the development clusters."""


def season_campaign(season: Season, folder: Path, granules_per_part: int = 2, **site: Any) -> CampaignFolder:
    """The season as a campaign, whose products go to ``folder/to``."""
    asked = {
        "name": "season",
        "chains": [{"name": chain} for chain in season.chains],
        "period": "2025",
        "inputs": {"provider": "folder", "at": str(season.granules[0].parent)},
        "static": {"folder": str(season.static)},
        "destination": str(folder / "to"),
    }
    file = folder / "season.yaml"
    file.write_text(yaml.safe_dump(asked))
    wanted = replace(SITE, **site)
    plan = make_plan(read_campaign(file), wanted, folder).plan
    return write_folder(folder / "work", file, wanted, plan, granules_per_part)


def simulated_campaign(
    folder: Path, tiles: int = 4, dates: int = 5, granules_per_part: int = 5, **site: Any
) -> CampaignFolder:
    """A campaign on granules that do not exist, for stand-in science."""
    names = [f"31T{letter}{second}" for letter in "CDEFG" for second in "ABCDEFGHJK"][:tiles]
    plan = a_plan(names, dates, ("snow",))
    plan = replace(plan, places=replace(plan.places, destination=str(folder / "to")))
    file = folder / "alps.yaml"
    asked = {
        "name": "alps",
        "chains": [{"name": "snow"}],
        "period": "2024",
        "inputs": {"provider": "folder", "at": "/archive"},
        "destination": str(folder / "to"),
    }
    file.write_text(yaml.safe_dump(asked))
    return write_folder(folder / "work", file, replace(SITE, **site), plan, granules_per_part)


def stand_in(folder: Path, text: str) -> Path:
    """A file of stand-in science."""
    path = folder / "stand-in.yaml"
    path.write_text(text)
    return path


def account_of(folder: CampaignFolder) -> dict[str, int]:
    """How many units are in which state, and the counters are right."""
    with folder.ledger() as ledger:
        assert ledger.wrong_counts() == []
        standing = ledger.states()
    return {name: units for name, units in {**standing.states, **standing.classes}.items() if units}


def receipts_in(folder: CampaignFolder) -> list[Receipt]:
    """Every receipt."""
    lines = [line for path in sorted(folder.receipts.glob("*.jsonl")) for line in read_lines(path)[0]]
    return [line for line in lines if isinstance(line, Receipt)]


def made_once(folder: CampaignFolder) -> bool:
    """True where no unit's product was made twice."""
    made = Counter(each.unit for each in receipts_in(folder) if each.kind == "done" and not each.existed)
    return set(made.values()) <= {1}
