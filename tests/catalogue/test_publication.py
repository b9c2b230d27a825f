"""Publication and rebuilding: every product and every missing one is told, once, whatever happens in between."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.catalogue.content import content, ids
from tests.catalogue.products import NOON, an_item, place_of, put, snow, version_of
from tests.catalogue.test_store import ITEMS, an_ending
from tests.stac import errors
from thalweg.catalogue import NAME, Catalogue, publication, publish, rebuild, store
from thalweg.catalogue.connection import connect_to_write
from thalweg.catalogue.publication import granule_name
from thalweg.errors import BadInput, MissingInput, NoData, ServiceUnavailable, ThalwegError

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Outcome:
    """How a unit ended, as a run tells it."""

    chain: str = "lab.snow"
    granule: str = "/data/in/G.zip"
    tile: str = "31TCH"
    sensed: datetime | None = NOON
    unit: str = "0" * 64
    product: Path | None = None
    item: dict[str, Any] | None = None
    error: ThalwegError | None = None


def done(destination: Path, item: dict[str, Any], at_hand: bool = False) -> Outcome:
    """A product that is in its place."""
    path = place_of(destination, item)
    if not path.exists():
        put(destination, item)
    return Outcome(
        unit=item["properties"]["thalweg:unit_id"], product=path.parent, item=item if at_hand else None
    )


def collection(destination: Path, id: str = "lab.snow-1.0") -> dict[str, Any]:
    document: dict[str, Any] = json.loads((destination / id / "collection.json").read_text())
    return document


@pytest.mark.parametrize("at_hand", [True, False])
def test_products_and_failures_are_published(tmp_path: Path, at_hand: bool) -> None:
    item = an_item()
    failed = Outcome(error=BadInput("B3.tif: cut"))
    empty = Outcome(granule="/data/in/H.SAFE", unit="1" * 64, error=NoData("all cloud"))
    published = publish(tmp_path, [done(tmp_path, item, at_hand), failed, empty], [snow])
    assert (published.items, published.endings, published.problems) == (1, 2, ())
    items, endings = content(tmp_path / NAME)
    assert ids(items) == [item["id"]]
    told = {(ending.granule, ending.kind, ending.message) for ending in endings}
    assert told == {("G", "bad-input", "B3.tif: cut"), ("H", "no-data", "all cloud")}
    assert all(ending.advice for ending in endings)
    assert errors(collection(tmp_path)) == []
    assert collection(tmp_path)["extent"]["spatial"]["bbox"] == [item["bbox"]]


def test_publishing_again_changes_nothing(tmp_path: Path) -> None:
    outcomes = [done(tmp_path, item) for item in ITEMS]
    publish(tmp_path, outcomes, [snow])
    before, written = content(tmp_path / NAME), collection(tmp_path)
    stamp = (tmp_path / "lab.snow-1.0" / "collection.json").stat().st_mtime_ns
    assert publish(tmp_path, reversed(outcomes), [snow]).items == 0
    assert (content(tmp_path / NAME), collection(tmp_path)) == (before, written)
    assert (tmp_path / "lab.snow-1.0" / "collection.json").stat().st_mtime_ns == stamp


def test_nothing_to_tell_leaves_nothing_behind(tmp_path: Path) -> None:
    publish(tmp_path / "new", [])
    assert not (tmp_path / "new").exists()


def test_a_product_that_appears_clears_its_failure(tmp_path: Path) -> None:
    product = done(tmp_path, an_item())
    publish(tmp_path, [replace(product, product=None, error=MissingInput("dem.tif"))])
    assert len(content(tmp_path / NAME)[1]) == 1
    publish(tmp_path, [product])
    assert content(tmp_path / NAME)[1] == []


def test_a_broken_item_harms_no_other(tmp_path: Path) -> None:
    good, bad = an_item("31TCH"), an_item("31TCJ")
    outcomes = [done(tmp_path, bad), done(tmp_path, good)]
    place_of(tmp_path, bad).write_text("{")
    published = publish(tmp_path, outcomes, [snow])
    assert published.items == 1
    (problem,) = published.problems
    assert bad["id"] in problem.message


def test_a_publisher_that_was_killed_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = [done(tmp_path, an_item())]

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(publication, "write_document", die)
        publish(tmp_path, outcomes, [snow])
    # What was entered without its collection is not there: the next publisher starts from before.
    with Catalogue.open(tmp_path / NAME) as catalogue:
        assert catalogue.count() == 0
    publish(tmp_path, outcomes, [snow])
    assert ids(content(tmp_path / NAME)[0]) == [an_item()["id"]]
    assert errors(collection(tmp_path)) == []


def killed_at_statement(number: int, action: Callable[[], object]) -> bool:
    """Do something in a process that is killed at a statement of SQL; False where it was through before."""
    child = os.fork()
    if child == 0:
        statements = count(1)

        def count_down(_: str) -> None:
            if next(statements) == number:
                os.kill(os.getpid(), signal.SIGKILL)

        def watched(path: Path) -> sqlite3.Connection:
            opened = connect_to_write(path)
            opened.set_trace_callback(count_down)
            return opened

        store.connect_to_write = watched  # type: ignore[attr-defined]
        try:
            action()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_a_publisher_killed_anywhere_loses_and_doubles_nothing(tmp_path: Path) -> None:
    outcomes = [*(done(tmp_path, item) for item in ITEMS), Outcome(error=NoData("all cloud"))]
    for statement in (1, 2, 7, 20, 50, 80, 110):
        assert killed_at_statement(statement, lambda: publish(tmp_path, outcomes, [snow]))
        with Catalogue.open(tmp_path / NAME) as catalogue:
            assert catalogue.count() in (0, len(ITEMS))
    assert not killed_at_statement(10_000, lambda: publish(tmp_path, outcomes, [snow]))
    publish(tmp_path / "undisturbed", [replace(outcome) for outcome in outcomes], [snow])
    disturbed, undisturbed = content(tmp_path / NAME), content(tmp_path / "undisturbed" / NAME)
    assert disturbed[0] == undisturbed[0]
    assert [ending.granule for ending in disturbed[1]] == ["G"]
    assert collection(tmp_path) == collection(tmp_path / "undisturbed")


@pytest.mark.parametrize("statement", [3, 40, 90])
def test_a_rebuild_that_is_killed_leaves_the_old_content(tmp_path: Path, statement: int) -> None:
    publish(tmp_path, [done(tmp_path, item) for item in ITEMS], [snow])
    before = content(tmp_path / NAME)
    assert killed_at_statement(statement, lambda: rebuild(tmp_path, [snow]))
    assert content(tmp_path / NAME) == before
    assert rebuild(tmp_path, [snow]).items == len(ITEMS)
    assert content(tmp_path / NAME) == before


def test_collections_keep_their_extent_true(tmp_path: Path) -> None:
    first, second = an_item("31TCH", NOON), an_item("33UUP", NOON + DAY)
    publish(tmp_path, [done(tmp_path, first)], [snow])
    publish(tmp_path, [done(tmp_path, second)])
    document = collection(tmp_path)
    assert document["extent"]["temporal"]["interval"] == [
        ["2021-04-15T10:59:10.624Z", "2021-04-16T10:59:10.624Z"]
    ]
    assert document["extent"]["spatial"]["bbox"][0][2] == second["bbox"][2]
    assert "mask" in document["item_assets"]


def test_a_broken_collection_is_made_anew(tmp_path: Path) -> None:
    outcomes = [done(tmp_path, an_item())]
    publish(tmp_path, outcomes, [snow])
    (tmp_path / "lab.snow-1.0" / "collection.json").write_text("{")
    publish(tmp_path, outcomes, [snow])
    assert errors(collection(tmp_path)) == []


def test_a_collection_of_an_unknown_chain_is_not_invented(tmp_path: Path) -> None:
    assert publish(tmp_path, [done(tmp_path, an_item())]).items == 1
    assert not (tmp_path / "lab.snow-1.0" / "collection.json").exists()


def test_prototypes_get_a_collection_of_their_own(tmp_path: Path) -> None:
    publish(tmp_path, [done(tmp_path, an_item(maturity="prototype"))], [snow])
    assert collection(tmp_path, "lab.snow-1.0-prototype")["id"] == "lab.snow-1.0-prototype"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("/in/S2A_MSIL2A_20210415.SAFE", "S2A_MSIL2A_20210415"),
        ("/in/SENTINEL2A_C_V2-2.zip", "SENTINEL2A_C_V2-2"),
        ("/in/S2A_33TWL/", "S2A_33TWL"),
        ("flood.yaml", "flood"),
        ("", ""),
    ],
)
def test_names_of_granules(given: str, name: str) -> None:
    assert granule_name(given) == name


# Rebuilding


@settings(max_examples=8)
@given(st.randoms(use_true_random=False), st.integers(1, 7))
def test_a_rebuilt_catalogue_equals_the_one_that_grew(
    tmp_path_factory: pytest.TempPathFactory, chance: random.Random, size: int
) -> None:
    destination = tmp_path_factory.mktemp("destination")
    outcomes = [done(destination, item) for item in chance.sample(ITEMS, len(ITEMS))]
    outcomes.append(Outcome(error=NoData("all cloud")))
    chains = [snow, version_of("1.1")]
    for start in range(0, len(outcomes), size):
        publish(destination, outcomes[start : start + size], chains)
    grown = content(destination / NAME), collection(destination), collection(destination, "lab.snow-1.1")
    with Catalogue.open(destination / NAME) as catalogue:
        catalogue.upsert([an_item("33UUP")])
    rebuilt = rebuild(destination, chains)
    assert (rebuilt.items, rebuilt.problems, rebuilt.endings_lost) == (len(ITEMS), (), False)
    assert (
        content(destination / NAME),
        collection(destination),
        collection(destination, "lab.snow-1.1"),
    ) == grown
    (destination / NAME).unlink()
    assert rebuild(destination, chains).items == len(ITEMS)
    assert content(destination / NAME)[0] == grown[0][0]


def test_what_cannot_be_read_is_told_and_the_rest_is_entered(tmp_path: Path) -> None:
    good = an_item("31TCH")
    put(tmp_path, good)
    put(tmp_path, an_item("31TCJ")).write_bytes(b"\x00\xff")
    stranger = tmp_path / "lab.snow-1.0/31TCH/2021/04/elsewhere/elsewhere.json"
    stranger.parent.mkdir()
    stranger.write_text(json.dumps(an_item("33UUP")))
    spoiled = put(tmp_path, an_item("60WWV"))
    document = json.loads(spoiled.read_text())
    document["assets"]["mask"]["title"] = "\ud800"
    spoiled.write_text(json.dumps(document))
    rebuilt = rebuild(tmp_path)
    assert rebuilt.items == 1
    assert len(rebuilt.problems) == 3
    assert all(str(tmp_path) in problem.message for problem in rebuilt.problems)
    assert ids(content(tmp_path / NAME)[0]) == [good["id"]]


def test_staging_and_unfinished_products_are_passed_over(tmp_path: Path) -> None:
    item = an_item()
    put(tmp_path / ".staging", item)
    put(tmp_path / "lab.snow-1.0" / ".staging", item)
    place_of(tmp_path, item).parent.mkdir(parents=True)
    (tmp_path / "notes.txt").touch()
    assert rebuild(tmp_path).items == 0


def test_a_rebuild_drops_endings_whose_product_is_there(tmp_path: Path) -> None:
    item = an_item()
    kept = an_ending(unit="f" * 64)
    with Catalogue.open(tmp_path / NAME) as catalogue:
        catalogue.record_ending(an_ending(unit=item["properties"]["thalweg:unit_id"]))
        catalogue.record_ending(an_ending(unit="", granule=item["properties"]["title"]))
        catalogue.record_ending(kept)
    put(tmp_path, item)
    rebuild(tmp_path)
    assert kept in content(tmp_path / NAME)[1]
    assert len(content(tmp_path / NAME)[1]) == 2


@pytest.mark.parametrize("damage", ["no database", "cut", "noise"])
def test_a_damaged_catalogue_is_made_anew(tmp_path: Path, damage: str) -> None:
    publish(tmp_path, [done(tmp_path, item) for item in ITEMS], [snow])
    before = content(tmp_path / NAME)[0]
    path = tmp_path / NAME
    old = path.read_bytes()
    noise = random.Random(1).randbytes(len(old))
    path.write_bytes(
        {"no database": b"x" * 5000, "cut": old[:10_000], "noise": old[:8192] + noise[8192:]}[damage]
    )
    rebuilt = rebuild(tmp_path, [snow])
    assert (rebuilt.items, rebuilt.endings_lost) == (len(ITEMS), True)
    assert content(path)[0] == before
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_readers_see_the_old_content_until_the_new_one_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, [done(tmp_path, item) for item in ITEMS])

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    before = content(tmp_path / NAME)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("thalweg.catalogue.rebuilding.refresh_collections", die)
        rebuild(tmp_path)
    assert content(tmp_path / NAME) == before


def test_a_destination_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="no such destination"):
        rebuild(tmp_path / "nowhere")


def test_a_foreign_database_is_never_overwritten(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / NAME) as other:
        other.execute("CREATE TABLE mine (x)")
    other.close()
    with pytest.raises(BadInput, match="another program"):
        rebuild(tmp_path)


def test_a_locked_catalogue_is_a_service_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thalweg.catalogue.connection.PATIENCE", 0.0)
    outcome = done(tmp_path, an_item())
    with Catalogue.open(tmp_path / NAME) as catalogue, catalogue.writing():
        with pytest.raises(ServiceUnavailable):
            publish(tmp_path, [outcome])
        with pytest.raises(ServiceUnavailable):
            rebuild(tmp_path)
