"""The same season on real schedulers: the products and the account of a plain run, and resources that were measured."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaign.folders import account_of, made_once, season_campaign, simulated_campaign
from tests.campaign.test_controller import run
from tests.season import Season
from tests.waiting import await_that
from tests.winter import rasters
from thalweg.campaign.batch import read_batch
from thalweg.campaign.dispatch import Request
from thalweg.campaign.folder import CampaignFolder
from thalweg.campaign.manifest import write_manifest
from thalweg.slurm.shards import Shards

ROOT = Path(__file__).resolve().parents[2]


def accounted(folder: CampaignFolder) -> list[tuple[str, float, float, float]]:
    """What the schedulers said of jobs: id, CPU seconds, MB, seconds in the queue."""
    with folder.ledger() as ledger:
        return [
            tuple(row) for row in ledger.database.rows("SELECT job, cpu, memory, waited FROM accounting", [])
        ]


def test_slurm_arrays(full_season: Season, tmp_path: Path, on_slurm: dict[str, str]) -> None:
    folder = season_campaign(full_season, tmp_path)
    assert run(folder.path, "--on", "slurm", "--interval", "1") == 0
    assert account_of(folder) == full_season.account
    assert rasters(tmp_path / "to") == full_season.rasters
    assert made_once(folder)
    accounts = accounted(folder)
    assert len(accounts) == 3
    assert all(cpu > 0 and memory > 20 and waited >= 0 for _, cpu, memory, waited in accounts)
    assert len(list(folder.logs.glob("b*.log"))) == 3


@pytest.mark.parametrize("engine", ["drmaa", "drmaa-single", "jobs:drmaa"])
def test_grid_engine(
    full_season: Season, tmp_path: Path, grid_engine_cluster: dict[str, str], engine: str
) -> None:
    folder = season_campaign(full_season, tmp_path)
    # The command starts itself anew with the room that Grid Engine's library needs.
    environment = os.environ | grid_engine_cluster
    words = ["campaign", "run", str(folder.path), "--on", engine, "--interval", "1"]
    command = [sys.executable, "-m", "thalweg.cli.main", *words]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    assert account_of(folder) == full_season.account
    assert rasters(tmp_path / "to") == full_season.rasters
    assert made_once(folder)
    assert len(accounted(folder)) == 3


@pytest.mark.parametrize("profile", ["local", "slurm"])
def test_snakemake_jobs(
    full_season: Season, tmp_path: Path, request: pytest.FixtureRequest, profile: str
) -> None:
    if profile == "slurm":
        request.getfixturevalue("on_slurm")
    folder = season_campaign(full_season, tmp_path)
    assert run(folder.path, "--on", f"jobs:{profile}", "--interval", "1") == 0
    assert account_of(folder) == full_season.account
    assert rasters(tmp_path / "to") == full_season.rasters
    assert made_once(folder)


def test_jobs_that_never_begin_are_not_tried_for_ever(tmp_path: Path) -> None:
    folder = simulated_campaign(tmp_path, tiles=1, dates=2)
    profile = tmp_path / "broken"
    profile.mkdir()
    (profile / "config.yaml").write_text("executor: no-such-executor\n")
    with folder.ledger() as ledger:
        lease = ledger.lease(ledger.next_batches(1)[0])
    manifest = write_manifest(folder, folder.read_facts(), folder.site(), lease, None)
    shards = Shards(folder.path, str(profile))
    id = shards.submit(Request("alps-1", (manifest,), read_batch(manifest).resources))
    await_that(lambda: shards.poll({id: 1})[id][0].place == "ended", 60)
    (element,) = shards.poll({id: 1})[id]
    assert element.kind == "service"
    assert "no-such-executor" in element.evidence


def test_the_workflow_runs_every_stage_and_goes_on_where_it_stopped(season: Season, tmp_path: Path) -> None:
    folder = season_campaign(season, tmp_path)
    words = [str(folder.path), "--workflow", "--on", "processes:2"]
    with folder.ledger() as ledger:
        ledger.steer("paused", "to stop it half-way")
    assert run(*words) == 24
    assert (folder.path / "stages" / "forecast.json").exists()
    assert not (folder.path / "stages" / "processed").exists()
    with folder.ledger() as ledger:
        ledger.steer("running")
    assert run(*words) == 0
    assert account_of(folder) == season.account
    assert rasters(tmp_path / "to") == season.rasters
    assert (folder.path / "stages" / "account.json").stat().st_size > 100
