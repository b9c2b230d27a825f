"""The controller: the same campaign gives the same products and the same account wherever it runs."""

from __future__ import annotations

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
from thalweg.cli.campaign_run import configure, execute
from thalweg.errors import CAMPAIGN_INCOMPLETE


def run(folder: Path, *words: str) -> int:
    """Exit code of ``thalweg campaign run``."""
    import argparse

    parser = argparse.ArgumentParser()
    configure(parser)
    return execute(parser.parse_args([str(folder), *words]))


ACCOUNT = {"done": 4, "no-data": 1, "failed": 1, "bad-input": 1}


@pytest.mark.parametrize("engine", ["here", "processes:2"])
def test_the_season_gives_what_a_plain_run_gives(season: Season, tmp_path: Path, engine: str) -> None:
    folder = season_campaign(season, tmp_path)
    assert run(folder.path, "--on", engine, "--interval", "0.2") == 0
    assert account_of(folder) == ACCOUNT
    assert rasters(tmp_path / "to") == season.rasters
    assert made_once(folder)
    assert run(folder.path, "--on", engine) == 0
    assert len(receipts_in(folder)) == 6, "what has ended is not tried again"


def test_failures_are_followed_by_their_class(tmp_path: Path) -> None:
    folder = simulated_campaign(tmp_path, tiles=5, dates=20, granules_per_part=20)
    text = "usual: {memory_mb: {median: 600, spread: 0.5}, shares: {node-lost: 0.1, crash: 0.06, bad-input: 0.1}}\n"
    file = stand_in(tmp_path, text)
    assert run(folder.path, "--on", "processes:2", "--interval", "0.1", "--simulate", str(file)) == 0
    account = account_of(folder)
    assert account["done"] + account["failed"] == 100
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
    from thalweg.campaign import controller

    folder = simulated_campaign(tmp_path)
    said = iter(["full", "full"])
    monkeypatch.setattr(controller, "lack_of_room", lambda *_: next(said, ""))
    assert run(folder.path, "--interval", "0.01", "--simulate", str(stand_in(tmp_path, "usual: {}\n"))) == 0
    assert account_of(folder) == {"done": 20}
    with folder.ledger() as ledger:
        assert ledger.control().mode == "running"
