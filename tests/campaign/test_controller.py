"""The controller: the same campaign gives the same products and the same account wherever it runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaign.folders import (
    account_of,
    made_once,
    receipts_in,
    season_campaign,
    simulated_campaign,
    stand_in,
)
from tests.season import Season
from tests.winter import rasters
from thalweg.campaign import disk
from thalweg.campaign.disk import Room
from thalweg.campaign.lease import WaitingBatch
from thalweg.campaign.ledger import Ledger
from thalweg.catalogue import NAME, Catalogue
from thalweg.cli.main import main
from thalweg.errors import CAMPAIGN_INCOMPLETE


def run(folder: Path | str, *words: str) -> int:
    """Exit code of ``thalweg campaign run``."""
    return main(["campaign", "run", str(folder), *words])


ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("engine", ["here", "processes:2"])
def test_the_season_gives_what_a_plain_run_gives(full_season: Season, tmp_path: Path, engine: str) -> None:
    folder = season_campaign(full_season, tmp_path)
    assert run(folder.path, "--on", engine, "--interval", "0.2") == 0
    account = full_season.account
    assert account_of(folder) == account
    assert rasters(tmp_path / "to") == full_season.rasters
    assert made_once(folder)
    with Catalogue.open(tmp_path / "to" / NAME, read_only=True) as catalogue:
        assert catalogue.count() == account["done"]
        assert len(catalogue.endings()) == 18 - account["done"]
    assert run(folder.path, "--on", engine) == 0
    assert len(receipts_in(folder)) == 18, "what has ended is not tried again"


def test_failures_are_followed_by_their_class(tmp_path: Path) -> None:
    folder = simulated_campaign(tmp_path, tiles=5, dates=10, granules_per_part=10)
    text = "usual: {memory_mb: {median: 600, spread: 0.5}, shares: {node-lost: 0.1, crash: 0.06, bad-input: 0.12}}\n"
    file = stand_in(tmp_path, text)
    assert (
        run(folder.path, "--on", "processes:2", "--interval", "0.1", "--simulate", str(file), "--seed", "2")
        == 0
    )
    account = account_of(folder)
    assert account["done"] + account["failed"] == 50
    assert {"bad-input", "bug"} <= set(account)
    assert "node-lost" not in account and "memory" not in account, "these are tried again until they are done"
    assert any(receipt.kind == "memory" for receipt in receipts_in(folder))
    assert made_once(folder)


def test_a_paused_campaign_sends_nothing(tmp_path: Path) -> None:
    folder = simulated_campaign(tmp_path)
    with folder.ledger() as ledger:
        ledger.steer("paused", "the operator wants it")
    assert run(folder.path, "--simulate", str(stand_in(tmp_path, "usual: {}\n"))) == CAMPAIGN_INCOMPLETE
    assert account_of(folder) == {"pending": 20}


def test_what_was_leased_and_never_sent_is_put_back(tmp_path: Path) -> None:
    folder = simulated_campaign(tmp_path)
    with folder.ledger() as ledger:
        unsent, recorded = (ledger.lease(batch) for batch in ledger.next_batches(2))
        ledger.record_submission("alps-x", [recorded.batch])
        assert unsent.token != recorded.token
    assert run(folder.path, "--simulate", str(stand_in(tmp_path, "usual: {}\n"))) == 0
    assert account_of(folder) == {"done": 20}


def test_a_full_destination_pauses_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = simulated_campaign(tmp_path, min_free_gb=1.0)
    rooms = iter([Room(0, None), Room(0, None)])
    monkeypatch.setattr(disk, "room_at", lambda path: next(rooms, Room(10**12, None)))
    assert run(folder.path, "--interval", "0.01", "--simulate", str(stand_in(tmp_path, "usual: {}\n"))) == 0
    assert account_of(folder) == {"done": 20}
    with folder.ledger() as ledger:
        assert ledger.control().mode == "running"


def test_a_campaign_that_is_cancelled_while_batches_are_leased_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, found = simulated_campaign(tmp_path), Ledger.next_batches

    def next_batches(ledger: Ledger, limit: int) -> list[WaitingBatch]:
        waiting = found(ledger, limit)
        ledger.steer("cancelled", "enough")
        return waiting

    monkeypatch.setattr(Ledger, "next_batches", next_batches)
    assert run(folder.path, "--simulate", str(stand_in(tmp_path, "usual: {}\n"))) == 0
    assert account_of(folder) == {"skipped": 20, "cancelled": 20}


def test_a_cancelled_campaign_ends_its_jobs(tmp_path: Path) -> None:
    folder = simulated_campaign(tmp_path)
    file = stand_in(tmp_path, "usual: {seconds: {median: 600}}\n")
    words = [
        "campaign",
        "run",
        str(folder.path),
        "--on",
        "processes:2",
        "--interval",
        "0.2",
        "--simulate",
        str(file),
    ]
    process = subprocess.Popen([sys.executable, "-m", "thalweg.cli.main", *words], cwd=ROOT)
    with folder.ledger() as ledger:
        while ledger.states().states["running"] == 0:
            assert process.poll() is None
        ledger.steer("cancelled", "enough")
    assert process.wait(timeout=60) == 0
    assert account_of(folder) == {"skipped": 20, "cancelled": 20}
