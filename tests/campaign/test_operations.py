"""The operator's commands on a campaign that ran, with stand-in science, and left something to explain."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.campaign.archives import make_archive, safe_name, write_campaign
from thalweg.campaign.account import missing_units
from thalweg.campaign.cleaning import find_rubbish, remove_rubbish
from thalweg.campaign.disk import Room, watch_disk
from thalweg.campaign.folder import CampaignFolder, open_folder
from thalweg.campaign.publisher import AT_ONCE, publish_endings
from thalweg.campaign.rebuilding import rebuild_ledger
from thalweg.campaign.status import read_status
from thalweg.campaign.unit_filter import UnitFilter
from thalweg.catalogue import NAME, Catalogue, Published
from thalweg.cli.main import main
from thalweg.errors import ServiceUnavailable, UsageError

TILES = ("31TCH", "31TCJ", "31TCK", "31TCL")
DATES = 10
UNITS = len(TILES) * DATES

STAND_IN = "usual: {shares: {bad-input: 0.15, no-data: 0.15, missing-input: 0.1}}\n"


@dataclass(frozen=True)
class Ran:
    """A campaign that ran."""

    folder: CampaignFolder
    destination: Path


def make_campaign(folder: Path, stand_in: str = STAND_IN) -> Ran:
    """Plan a campaign by the command."""
    make_archive(folder / "archive", [safe_name(tile, day) for tile in TILES for day in range(DATES)])
    (folder / "stand-in.yaml").write_text(stand_in)
    (folder / "site.yaml").write_text("job_seconds: 150\nmin_free_gb: 0\nmin_free_inodes: 0\n")
    file = write_campaign(folder, chains=[{"name": "snow"}], site="site.yaml")
    assert main(["campaign", "plan", str(file), "--to", str(folder / "work")]) == 0
    return Ran(open_folder(folder / "work"), folder / "products")


def run(ran: Ran) -> int:
    """Run it with stand-in science, in this process."""
    stand_in = ran.folder.path.parent / "stand-in.yaml"
    return main(["campaign", "run", str(ran.folder.path), "--on", "here", "--simulate", str(stand_in)])


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A campaign that ran once; not to be changed."""
    ran = make_campaign(tmp_path_factory.mktemp("campaign"))
    assert run(ran) == 0
    return ran


@pytest.fixture
def ran(original: Ran, tmp_path: Path) -> Iterator[Ran]:
    """A copy of it that knows its new place."""
    home = tmp_path / "home"
    shutil.copytree(original.folder.path.parent, home)
    facts = home / "work" / "plan" / "plan.json"
    facts.write_text(facts.read_text().replace(str(original.destination), str(home / "products")))
    yield Ran(open_folder(home / "work"), home / "products")


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    """Exit code and JSON of a campaign command."""
    capsys.readouterr()
    code = main(["campaign", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def states(ran: Ran) -> dict[str, int]:
    with ran.folder.ledger() as ledger:
        assert ledger.wrong_counts() == []
        return {state: units for state, units in ledger.states().states.items() if units}


def test_every_unit_has_an_ending(original: Ran) -> None:
    found = states(original)
    assert sum(found.values()) == UNITS
    assert set(found) == {"done", "no-data", "skipped", "failed"}


def test_status_tells_how_it_stands(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    code, status = told(capsys, "status", str(ran.folder.path))
    assert (code, status["healthy"], status["planned"]) == (0, True, UNITS)
    assert {state: units for state, units in status["states"].items() if units} == states(ran)
    assert main(["campaign", "status", str(ran.folder.path)]) == 0
    out = capsys.readouterr().out
    assert "snow" in out and "bad-input" in out
    assert "ended\n" in out and "units an hour" not in out


def test_account_explains_what_is_missing(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    code, account = told(capsys, "account", str(ran.folder.path), "--verify")
    assert (code, account["wrong"]) == (42, [])
    classes = {group["key"]: group["units"] for group in account["groups"]}
    found = states(ran)
    assert classes == {"bad-input": found["failed"], "missing-input": found["skipped"]}
    for by in ("tile", "day", "chain"):
        _, account = told(capsys, "account", str(ran.folder.path), "--by", by)
        assert sum(group["units"] for group in account["groups"]) == found["failed"] + found["skipped"]
    _, account = told(capsys, "account", str(ran.folder.path), "--list", "--class", "bad-input")
    assert len(account["units"]) == found["failed"]
    assert all(unit["message"] and unit["advice"] for unit in account["units"])
    assert main(["campaign", "account", str(ran.folder.path), "--list"]) == 42
    out = capsys.readouterr().out
    assert f"{UNITS} planned = " in out
    assert str(ran.folder.path.parent) not in out, "the folders are no news, and hide what is wrong"


def test_an_account_without_gaps_is_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = make_campaign(tmp_path, "usual: {shares: {no-data: 0.2}}\n")
    assert run(ran) == 0
    code, account = told(capsys, "account", str(ran.folder.path))
    assert (code, account["groups"]) == (0, [])


def test_redo_and_run_bring_exactly_those_again(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    before = states(ran)
    code, found = told(capsys, "redo", str(ran.folder.path), "--class", "missing-input")
    assert (code, found["units"]) == (0, before["skipped"])
    (ran.folder.path.parent / "stand-in.yaml").write_text("usual: {}\n")
    assert run(ran) == 0
    after = states(ran)
    assert after == {
        "done": before["done"] + before["skipped"],
        "no-data": before["no-data"],
        "failed": before["failed"],
    }
    assert main(["campaign", "redo", str(ran.folder.path)]) == 2
    assert "say which units" in capsys.readouterr().err


def test_a_unit_tells_its_history(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    with ran.folder.ledger() as ledger:
        unit = missing_units(ledger, UnitFilter(kinds=("bad-input",)), 1)[0]
    log = ran.folder.logs / f"{unit.batch}-extra.log"
    log.write_text("a line of the job's log\n")
    code, history = told(capsys, "log", str(ran.folder.path), unit.unit[:10])
    assert (code, history["unit"], history["state"]) == (0, unit.unit, "failed")
    assert [attempt["kind"] for attempt in history["attempts"]] == ["bad-input"]
    assert str(log) in history["attempts"][0]["logs"]
    assert main(["campaign", "log", str(ran.folder.path), unit.unit]) == 0
    assert "a line of the job's log" in capsys.readouterr().out
    assert main(["campaign", "log", str(ran.folder.path), "00000000"]) == 11


def test_the_operator_steers(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(ran.folder.path)
    told(capsys, "redo", folder, "--all")
    assert told(capsys, "pause", folder, "--why", "maintenance")[0] == 0
    _, status = told(capsys, "status", folder)
    assert (status["mode"], status["why"], status["healthy"]) == ("paused", "maintenance", True)
    with ran.folder.ledger() as ledger:
        assert ledger.next_batches(1) == []
    assert told(capsys, "resume", folder)[1]["mode"] == "running"
    assert told(capsys, "priority", folder, "5", "--tile", "T31TCK")[1]["parts"] >= 1
    assert main(["campaign", "priority", folder, "500"]) == 2
    assert told(capsys, "cancel", folder, "--why", "wrong season")[0] == 0
    assert "pending" not in states(ran)
    _, found = told(capsys, "redo", folder, "--class", "cancelled")
    assert found["units"] > 0


def published(ran: Ran, **more: Any) -> Any:
    with ran.folder.ledger() as ledger:
        return publish_endings(ledger, ran.folder.path, ran.destination, [], **more)


def catalogue_counts(ran: Ran) -> dict[str, int]:
    with Catalogue.open(ran.destination / NAME, read_only=True) as catalogue:
        kinds = [ending.kind for ending in catalogue.endings()]
        return {"done": catalogue.count(), **{kind: kinds.count(kind) for kind in set(kinds)}}


def expected_counts(ran: Ran) -> dict[str, int]:
    found = states(ran)
    return {
        "done": found["done"],
        "no-data": found["no-data"],
        "bad-input": found["failed"],
        "missing-input": found["skipped"],
    }


def forget_catalogue(ran: Ran) -> None:
    """As if nothing had been published yet."""
    for path in ran.destination.glob(f"{NAME}*"):
        path.unlink()
    with ran.folder.ledger() as ledger:
        ledger.database.change("DELETE FROM meta WHERE name = 'published'")


def test_the_catalogue_has_what_the_account_says(ran: Ran) -> None:
    forget_catalogue(ran)
    report = published(ran)
    assert (report.units, report.problems) == (UNITS, 0)
    assert catalogue_counts(ran) == expected_counts(ran)
    assert published(ran).units == 0


def test_a_killed_publisher_loses_and_doubles_nothing(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    from thalweg.catalogue import publish

    forget_catalogue(ran)
    monkeypatch.setattr("thalweg.campaign.publisher.AT_ONCE", 7)
    assert AT_ONCE > 7
    done: list[int] = []

    def dies(destination: Path, outcomes: Any, chains: Any) -> Published:
        result = publish(destination, outcomes, chains)
        done.append(len(outcomes))
        if len(done) == 3:
            raise KeyboardInterrupt
        return result

    with pytest.raises(KeyboardInterrupt):
        published(ran, enter=dies)
    assert len(done) == 3
    report = published(ran)
    assert report.units == UNITS - 14, "the third batch had been entered, and is entered again"
    assert catalogue_counts(ran) == expected_counts(ran)


def test_a_catalogue_that_is_down_gets_it_later(ran: Ran) -> None:
    forget_catalogue(ran)

    def down(destination: Path, outcomes: Any, chains: Any) -> Published:
        raise ServiceUnavailable("the catalogue does not answer")

    with pytest.raises(ServiceUnavailable):
        published(ran, enter=down)
    assert published(ran).units == UNITS


def test_a_product_that_comes_later_takes_its_ending_away(
    ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    forget_catalogue(ran)
    published(ran)
    assert main(["campaign", "redo", str(ran.folder.path), "--all"]) == 0
    (ran.folder.path.parent / "stand-in.yaml").write_text("usual: {}\n")
    assert run(ran) == 0
    published(ran)
    found = states(ran)
    assert catalogue_counts(ran) == {"done": found["done"], "no-data": found["no-data"]}
    assert found["done"] + found["no-data"] == UNITS


def test_the_publish_command_and_the_search_agree(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    forget_catalogue(ran)
    code, report = told(capsys, "publish", str(ran.folder.path))
    assert (code, report["units"]) == (0, UNITS)
    code, report = told(capsys, "publish", str(ran.folder.path), "--again")
    assert (report["units"], report["items"]) == (UNITS, 0)
    main(["catalogue", "search", "--to", str(ran.destination), "--json"])
    assert len(json.loads(capsys.readouterr().out)) == states(ran)["done"]


def test_a_lost_ledger_is_rebuilt(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    with ran.folder.ledger() as ledger:
        before = dict(ledger.database.rows("SELECT id, state FROM units"))
        tokens = ledger.open_batches()
    assert tokens == []
    with pytest.raises(UsageError, match="holds the plan already"):
        rebuild_ledger(ran.folder)
    for path in ran.folder.path.glob("ledger.sqlite*"):
        path.unlink()
    # The receipts of a batch are lost, too: what it made is found by its products, the rest is made again.
    lost = sorted(ran.folder.receipts.iterdir())[0]
    lost.unlink()
    code, rebuilt = told(capsys, "rebuild", str(ran.folder.path))
    assert code == 0
    assert rebuilt["products"] > 0
    with ran.folder.ledger() as ledger:
        after = dict(ledger.database.rows("SELECT id, state FROM units"))
        assert ledger.wrong_counts() == []
    changed = {id for id in before if before[id] != after[id]}
    assert all(after[id] == 1 for id in changed), "what no receipt tells of is taken to run still"
    assert run(ran) == 0
    with ran.folder.ledger() as ledger:
        assert dict(ledger.database.rows("SELECT id, state FROM units")) == before


def test_cleaning_lists_first_and_removes_by_rule(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(ran.folder.path)
    orphan = ran.destination / ".staging" / "abcdef12.0123456789ab"
    orphan.mkdir(parents=True)
    (orphan / "half.tif").write_bytes(b"x" * 1000)
    with ran.folder.ledger() as ledger:
        failed = {
            f"b{token:06d}"
            for (token,) in ledger.database.rows("SELECT token FROM attempts WHERE state = 'failed'")
        }
        well = {id for (id,) in ledger.database.rows("SELECT id FROM batches")} - failed
    assert failed and well
    for batch in failed | well:
        (ran.folder.logs / f"{batch}.log").write_text("log")
    old = time.time() - 5 * 86_400
    os.utime(orphan, (old, old))
    with ran.folder.ledger() as ledger:
        ledger.database.change("UPDATE batches SET ended = ?", [old])
    code, found = told(capsys, "clean", folder)
    listed = {Path(each["path"]).name: each["rule"] for each in found["found"]}
    assert code == found["freed"] == 0
    assert listed[orphan.name] == "staging"
    logs = {name.partition(".")[0].partition("-")[0] for name, rule in listed.items() if rule == "logs"}
    assert logs == well
    assert orphan.exists()
    code, found = told(capsys, "clean", folder, "--rule", "staging", "--remove")
    assert found["freed"] == 1000
    assert not orphan.exists()
    assert all((ran.folder.logs / f"{batch}.log").exists() for batch in failed | well)
    assert main(["campaign", "clean", folder, "--rule", "everything"]) == 2


def test_superseded_products_are_removed_with_their_item_first(ran: Ran) -> None:
    from tests.catalogue.products import an_item, put
    from thalweg.catalogue import rebuild

    store = ran.destination.parent / "store"
    products = [put(store, an_item(version=version)).parent for version in ("1.0", "1.1")]
    assert rebuild(store).items == 2
    with ran.folder.ledger() as ledger:
        found = find_rubbish(ledger, ran.folder, store, ("superseded",), -1.0, time.time())
    assert [each.path for each in found] == products[:1]
    assert remove_rubbish(found) == found[0].bytes > 0
    assert [product.exists() for product in products] == [False, True]


def test_living_staging_is_not_rubbish(ran: Ran) -> None:
    from thalweg.staging import staged

    with staged(ran.destination, ran.destination / "target", "ab" * 32), ran.folder.ledger() as ledger:
        assert find_rubbish(ledger, ran.folder, ran.destination, ("staging",), -1.0, time.time()) == []


def test_a_full_disk_pauses_and_room_resumes(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    site = replace(ran.folder.site(), min_free_gb=10.0, min_free_inodes=100)
    room = Room(5 * 10**9, 10**6)
    monkeypatch.setattr("thalweg.campaign.disk.room_at", lambda path: room)
    with ran.folder.ledger() as ledger:
        control = watch_disk(ledger, ran.destination, site)
        assert (control.mode, control.cause) == ("paused", "disk")
        assert "5.0 GB free, less than 10 GB" in control.why
        assert any("disk" in alarm for alarm in read_status(ledger, "alps").alarms)
        room = Room(50 * 10**9, 10)
        assert watch_disk(ledger, ran.destination, site).mode == "paused"
        room = Room(50 * 10**9, None)
        assert watch_disk(ledger, ran.destination, site).mode == "running"
        ledger.steer("paused", "disk: no space left on device", "disk")
        assert watch_disk(ledger, ran.destination, site).mode == "paused", (
            "a quota shows only when one writes"
        )
        assert watch_disk(ledger, ran.destination, site, time.time() + 400).mode == "running"
        ledger.steer("paused", "lunch")
        assert watch_disk(ledger, ran.destination, site).mode == "paused"


def test_status_is_an_alarm(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    with ran.folder.ledger() as ledger:
        assert read_status(ledger, "alps").alarms == ()
        ledger.redo(states=["done", "failed"])
        assert read_status(ledger, "alps").alarms == ()
        (alarm,) = read_status(ledger, "alps", time.time() + 7200).alarms
        assert "stalled" in alarm and "nothing has happened for 2.0 hours" in alarm
        ledger.lease(ledger.next_batches(1)[0])
        (alarm,) = read_status(ledger, "alps", time.time() + 9000).alarms
        assert "leases that have expired" in alarm
        ledger.steer("paused", "20 units failed alike", "breaker")
    assert main(["campaign", "status", str(ran.folder.path)]) == 43
    assert "NOT HEALTHY: paused by breaker: 20 units failed alike" in capsys.readouterr().err


def test_failing_is_not_healthy(tmp_path: Path) -> None:
    ran = make_campaign(tmp_path, "usual: {shares: {bad-input: 0.9}}\n")
    assert run(ran) == 0
    with ran.folder.ledger() as ledger:
        (alarm,) = read_status(ledger, "alps").alarms
    assert alarm.startswith("failing: ")
