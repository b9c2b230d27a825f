"""The catalogue's file: idempotent, the same in any order, searched exactly, and telling what is wrong with it."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pystac
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.catalogue.content import content, ids
from tests.catalogue.products import NOON, an_item, place_of
from tests.stac import errors
from thalweg.catalogue import Catalogue, Ending, connection, schema
from thalweg.catalogue.connection import DamagedCatalogue
from thalweg.catalogue.entry import Entry
from thalweg.errors import BadInput, BadParameters, MissingInput, ServiceUnavailable, UsageError

DAY = timedelta(days=1)
TILES = ("31TCH", "31TCJ", "01CCV", "60WWV")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.sqlite"


@pytest.fixture
def catalogue(path: Path) -> Iterator[Catalogue]:
    with Catalogue.open(path) as opened:
        yield opened


def an_ending(**changes: Any) -> Ending:
    facts: dict[str, Any] = {
        "unit": "0" * 64,
        "chain": "lab.snow",
        "granule": "G",
        "kind": "bad-input",
        "message": "B3.tif: cut",
        "advice": "Fetch it again.",
        "when": NOON,
        "tile": "31TCH",
        "sensed": NOON,
    }
    return Ending(**{**facts, **changes})


# Entering


def test_items_come_back_as_they_went_in(catalogue: Catalogue) -> None:
    items = [an_item(tile, NOON + DAY * day) for day, tile in enumerate(TILES)]
    assert catalogue.upsert(items) == len(items)
    found = catalogue.search()
    assert [{**item, "links": item["links"][1:]} for item in found] == items[::-1]
    assert catalogue.count() == len(items)


def test_entering_again_changes_nothing(catalogue: Catalogue) -> None:
    items = [an_item(tile) for tile in TILES]
    catalogue.upsert(items)
    assert catalogue.upsert(reversed(items)) == 0
    assert catalogue.upsert([*items, *items]) == 0
    assert catalogue.count() == len(items)


def test_an_item_that_changed_replaces_the_old_one(catalogue: Catalogue) -> None:
    old = an_item("31TCH")
    new = {**old, "bbox": [10.0, 10.0, 11.0, 11.0], "assets": {}}
    catalogue.upsert([old])
    assert catalogue.upsert([new]) == 1
    assert catalogue.search(bbox=old["bbox"]) == []
    assert catalogue.search(bbox=[10.5, 10.5, 10.6, 10.6])[0]["assets"] == {}
    catalogue.upsert([old])
    assert ids(catalogue.search(bbox=old["bbox"])) == [old["id"]]


def test_all_items_or_none(catalogue: Catalogue) -> None:
    with pytest.raises(BadInput, match="bbox"):
        catalogue.upsert([an_item(), {**an_item("31TCJ"), "bbox": [1, 2, 3]}])
    assert catalogue.count() == 0
    # The form of the first one was taken back with it: it must be entered anew.
    catalogue.upsert([an_item()])
    assert catalogue.search()[0]["assets"] == an_item()["assets"]


def test_an_item_that_its_owner_changes_afterwards(catalogue: Catalogue) -> None:
    item = an_item()
    catalogue.upsert([item])
    item["assets"]["mask"]["roles"].append("reflectance")
    assert catalogue.upsert([item]) == 1
    assert catalogue.search()[0]["assets"]["mask"]["roles"] == ["data", "reflectance"]


def test_two_catalogues_on_one_file_see_each_other(path: Path, catalogue: Catalogue) -> None:
    catalogue.upsert([an_item("31TCH")])
    with Catalogue.open(path) as other:
        other.replace([Entry.of({**an_item("31TCJ"), "assets": {}})])
        catalogue.upsert([an_item("31TCH")])
        assert {item["id"]: len(item["assets"]) for item in other.search()} == {
            an_item("31TCH")["id"]: 5,
            an_item("31TCJ")["id"]: 0,
        }


ITEMS = [
    an_item(tile, NOON + DAY * day, version, granule={"baseline": baseline})
    for tile in TILES[:3]
    for day in (0, 1)
    for version, baseline in (("1.0", "V2-2"), ("1.1", "V2-2"), ("1.1", "V3-1"))
]
"""Products of which two of three are superseded."""


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, len(ITEMS) - 1), max_size=30),
    st.randoms(use_true_random=False),
    st.integers(1, 9),
)
def test_order_and_repetition_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, extra: list[int], chance: random.Random, size: int
) -> None:
    folder = tmp_path_factory.mktemp("order")
    with Catalogue.open(folder / "once.sqlite") as once:
        once.upsert(ITEMS)
    shuffled = chance.sample(ITEMS, len(ITEMS)) + [ITEMS[number] for number in extra]
    with Catalogue.open(folder / "again.sqlite") as again:
        for start in range(0, len(shuffled), size):
            again.upsert(shuffled[start : start + size])
    assert content(folder / "again.sqlite") == content(folder / "once.sqlite")


# Succession


def test_a_newer_chain_version_supersedes_with_links_both_ways(catalogue: Catalogue, path: Path) -> None:
    old, new = an_item(version="1.0"), an_item(version="1.1")
    catalogue.upsert([new])
    catalogue.upsert([old])
    found = {item["id"]: item for item in catalogue.search()}
    assert found[old["id"]]["properties"]["deprecated"] is True
    assert "deprecated" not in found[new["id"]]["properties"]
    for one, rel, other in (
        (old, "successor-version", new),
        (old, "latest-version", new),
        (new, "predecessor-version", old),
    ):
        (link,) = [link for link in found[one["id"]]["links"] if link["rel"] == rel]
        folder = place_of(path.parent, one).parent
        assert (folder / link["href"]).resolve() == place_of(path.parent, other).resolve()
    assert all(errors(item) == [] for item in found.values())
    assert ids(catalogue.search(current=True)) == [new["id"]]
    assert catalogue.count(current=True) == 1


def test_a_newer_baseline_of_one_acquisition_supersedes(catalogue: Catalogue) -> None:
    old = an_item(granule={"baseline": "V2-2"})
    new = an_item(sensed=NOON + timedelta(seconds=2), granule={"baseline": "V3-1"})
    catalogue.upsert([old, new])
    assert ids(catalogue.search(current=True)) == [new["id"]]


@pytest.mark.parametrize(
    "other",
    [
        {"parameters": {"ndsi": 0.5, "codes": (1, 2)}},
        {"granule": {"format": "safe", "baseline": "05.10"}},
        {"granule": {"platform": "S2B"}},
        {"granule": {"orbit": 51}},
        {"sensed": NOON + DAY},
        {"tile": "31TCJ"},
    ],
)
def test_what_was_asked_otherwise_lives_side_by_side(catalogue: Catalogue, other: dict[str, Any]) -> None:
    catalogue.upsert([an_item(version="1.0"), an_item(version="1.1", **other)])
    assert catalogue.count(current=True) == 2


def test_a_part_of_a_tile_does_not_supersede_the_whole(catalogue: Catalogue) -> None:
    from thalweg.tile import Tile

    part = Tile("31TCH").grid(60).window(0, 0, (100, 100))
    catalogue.upsert([an_item(version="1.0"), an_item(version="1.1", grid=part)])
    assert catalogue.count(current=True) == 2


def test_defaults_that_were_spelled_out_and_a_new_parameter_do_not_break_a_series(
    catalogue: Catalogue,
) -> None:
    old = an_item(version="1.0", parameters={"ndsi": 0.4})
    new = an_item(version="1.1", parameters={"ndsi": 0.4, "codes": (1, 2)})
    catalogue.upsert([old, new])
    assert ids(catalogue.search(current=True)) == [new["id"]]


# Endings


def test_an_ending_is_told_until_its_product_appears(catalogue: Catalogue) -> None:
    item = an_item()
    ending = an_ending(unit=item["properties"]["thalweg:unit_id"])
    other = an_ending(unit="f" * 64, kind="no-data", when=NOON + DAY)
    assert catalogue.record_ending(ending)
    assert catalogue.record_ending(other)
    assert catalogue.endings() == [other, ending]
    catalogue.upsert([item])
    assert catalogue.endings() == [other]
    assert not catalogue.record_ending(ending)
    assert catalogue.endings() == [other]


def test_the_latest_ending_of_a_unit_counts_in_any_order(catalogue: Catalogue) -> None:
    first, second = an_ending(), an_ending(kind="memory", when=NOON + DAY)
    assert catalogue.record_ending(second)
    assert not catalogue.record_ending(first)
    assert catalogue.endings() == [second]
    catalogue.record_ending(an_ending(unit="1" * 64))
    assert catalogue.endings(kind="memory") == [second]
    assert catalogue.endings(chain="water") == []
    assert len(catalogue.endings(tile="31TCH")) == 2
    assert len(catalogue.endings(limit=1, offset=1)) == 1


def test_a_unit_that_was_not_known_yet_goes_by_chain_and_granule(catalogue: Catalogue) -> None:
    item = an_item()
    granule = item["properties"]["processing:expression"]["expression"]["granule"]["id"]
    nameless = an_ending(unit="", granule=granule, tile="", sensed=None)
    other_chain = an_ending(unit="", granule=granule, chain="water")
    catalogue.record_ending(nameless)
    catalogue.record_ending(other_chain)
    catalogue.upsert([item])
    assert catalogue.endings() == [other_chain]
    assert not catalogue.record_ending(nameless)


def test_an_ending_must_have_a_class() -> None:
    with pytest.raises(BadParameters, match="no-data"):
        an_ending(kind="cloudy")


# Searching

boxes = st.tuples(st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180), st.floats(-90, 90)).map(
    lambda box: [box[0], min(box[1], box[3]), box[2], max(box[1], box[3])]
)
few_degrees = st.sampled_from([-180.0, -179.5, -90.0, 0.0, 0.1, 90.0, 179.5, 180.0])
sharp_boxes = st.tuples(few_degrees, few_degrees, few_degrees, few_degrees).map(
    lambda box: [box[0], min(box[1], box[3]) / 2, box[2], max(box[1], box[3]) / 2]
)


def touch(one: list[float], other: list[float]) -> bool:
    """Whether two boxes have a point in common, by their spans of longitude."""

    def spans(box: list[float]) -> list[tuple[float, float]]:
        return [(box[0], box[2])] if box[0] <= box[2] else [(box[0], 180.0), (-180.0, box[2])]

    across = any(a[0] <= b[1] and b[0] <= a[1] for a in spans(one) for b in spans(other))
    return across and one[1] <= other[3] and other[1] <= one[3]


@settings(max_examples=40)
@given(
    placed=st.lists(boxes | sharp_boxes, min_size=1, max_size=8),
    box=st.none() | boxes | sharp_boxes,
    tile=st.none() | st.sampled_from(TILES),
    days=st.none() | st.tuples(st.integers(0, 4), st.integers(0, 4)),
    collection=st.none() | st.sampled_from(["lab.snow-1.0", "lab.snow-1.1", "other"]),
    chance=st.randoms(use_true_random=False),
)
def test_a_search_equals_a_filter(
    tmp_path_factory: pytest.TempPathFactory,
    placed: list[list[float]],
    box: list[float] | None,
    tile: str | None,
    days: tuple[int, int] | None,
    collection: str | None,
    chance: random.Random,
) -> None:
    items = []
    for number, place in enumerate(placed):
        made = an_item(chance.choice(TILES), NOON + DAY * chance.randrange(5), chance.choice(["1.0", "1.1"]))
        items.append({**made, "id": f"{number}_{made['id']}", "bbox": place})
    first, last = sorted(days) if days else (0, 99)
    period = f"{(NOON + DAY * first).date()}/{(NOON + DAY * last).date()}" if days else None

    def fits(item: dict[str, Any]) -> bool:
        day = (datetime.fromisoformat(item["properties"]["datetime"]) - NOON).days
        return (
            (tile is None or item["properties"]["grid:code"] == f"MGRS-{tile}")
            and first <= day <= last
            and (collection is None or item["collection"] == collection)
            and (box is None or touch(item["bbox"], box))
        )

    with Catalogue.open(tmp_path_factory.mktemp("search") / "catalogue.sqlite") as catalogue:
        catalogue.upsert(items)
        wanted = sorted((item for item in items if fits(item)), key=lambda item: item["id"])
        wanted.sort(key=lambda item: item["properties"]["datetime"], reverse=True)
        conditions: dict[str, Any] = {"tile": tile, "period": period, "collection": collection, "bbox": box}
        assert ids(catalogue.search(**conditions)) == ids(wanted)
        assert catalogue.count(**conditions) == len(wanted)
        assert ids(catalogue.search(**conditions, limit=2, offset=1)) == ids(wanted)[1:3]


def test_a_search_over_a_period_finds_what_lasts(catalogue: Catalogue) -> None:
    months = {
        "start_datetime": "2021-03-01T00:00:00Z",
        "end_datetime": "2021-03-31T23:59:59Z",
        "datetime": None,
    }
    item = an_item(properties=months)
    catalogue.upsert([item])
    for period in ("2021-03", "2021-03-15", "2021-02-01/2021-03-01", "2021-03-31/..", "2021"):
        assert ids(catalogue.search(period=period)) == [item["id"]]
    for period in ("2021-02", "2021-04", "../2021-02-28", "2021-04-01/.."):
        assert catalogue.search(period=period) == []


def test_tiles_are_found_with_and_without_the_t(catalogue: Catalogue) -> None:
    site = an_item("31TCJ", granule={"tile": "Lac d'Annecy", "on_mgrs": False})
    catalogue.upsert([an_item("31TCH"), site])
    assert catalogue.count(tile="T31TCH") == catalogue.count(tile="31tch") == 1
    assert ids(catalogue.search(tile="Lac d'Annecy")) == [site["id"]]


def test_a_found_item_says_where_it_is(catalogue: Catalogue, path: Path) -> None:
    item = an_item()
    catalogue.upsert([item])
    (found,) = catalogue.search()
    assert found["links"][0] == {
        "rel": "self",
        "href": str(place_of(path.parent, item)),
        "type": "application/geo+json",
    }
    assert pystac.Item.from_dict(found).assets["mask"].get_absolute_href() == str(
        place_of(path.parent, item).parent / "mask.tif"
    )


@pytest.mark.parametrize(
    "condition",
    [
        {"bbox": [1, 2, 3]},
        {"bbox": [0, 0, 181, 1]},
        {"bbox": [0, 2, 1, 1]},
        {"bbox": [0, -91, 1, 1]},
        {"bbox": [float("nan"), 0, 1, 1]},
        {"period": "soon"},
        {"limit": -1},
        {"offset": -1},
    ],
)
def test_a_condition_without_meaning_is_a_usage_error(
    catalogue: Catalogue, condition: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        catalogue.search(**condition)


def test_one_item_by_id(catalogue: Catalogue) -> None:
    item = an_item()
    catalogue.upsert([item])
    found = catalogue.get(item["id"])
    assert found is not None
    assert found["properties"] == item["properties"]
    assert catalogue.get("another") is None


def test_what_a_collection_holds(catalogue: Catalogue) -> None:
    east, west = an_item("01CCV", NOON), an_item("60WWV", NOON + DAY, granule={"platform": "S2B"})
    catalogue.upsert([east, west, an_item(version="1.1")])
    holdings = catalogue.holdings("lab.snow-1.0")
    assert catalogue.collections() == ["lab.snow-1.0", "lab.snow-1.1"]
    assert holdings.count == 2
    assert holdings.box is not None
    assert holdings.box[0] > holdings.box[2]
    assert (holdings.start, holdings.end) == (NOON, NOON + DAY)
    assert holdings.platforms == ("sentinel-2a", "sentinel-2b")
    assert holdings.facilities == ("laboratory",)
    assert catalogue.holdings("another").count == 0


# Items of unknown origin


def spoiled(**changes: Any) -> dict[str, Any]:
    """An item with other values at dotted paths."""
    item = an_item()
    for path, value in changes.items():
        *parents, last = path.split("__")
        place: Any = item
        for name in parents:
            place = place[name.replace("_at_", ":")]
        place[last.replace("_at_", ":")] = value
    return item


RECIPE = "properties__processing_at_expression__expression"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": 7}, "id"),
        ({"id": "../../etc"}, "id"),
        ({"id": ".hidden"}, "id"),
        ({"id": "x" * 300}, "id"),
        ({"collection": None}, "collection"),
        ({"collection": "a/b"}, "collection"),
        ({"properties": []}, "properties"),
        ({"properties__datetime": "yesterday"}, "datetime"),
        ({"properties__datetime": None}, "datetime"),
        (
            {
                "properties__start_datetime": "2022-01-01T00:00:00Z",
                "properties__end_datetime": "2021-01-01T00:00:00Z",
            },
            "end_datetime",
        ),
        ({"properties__thalweg_at_unit_id": ""}, "thalweg:unit_id"),
        ({"properties__thalweg_at_maturity": "prototype"}, "prototypes"),
        ({"properties__platform": ["S2A"]}, "platform"),
        (
            {"properties__processing_at_expression": {"format": "gdal-calc", "expression": "A"}},
            "processing:expression",
        ),
        ({f"{RECIPE}__granule": "G"}, "granule"),
        ({f"{RECIPE}__granule__tile": "a/../b"}, "tile"),
        ({f"{RECIPE}__changed": float("nan")}, "JSON"),
        ({"bbox": None}, "bbox"),
        ({"bbox": [0, 0, 0, 0, 0, 0]}, "bbox"),
        ({"bbox": [True, 0, 1, 1]}, "bbox"),
        ({"bbox": [0, 0, 1, float("inf")]}, "bbox"),
        ({"bbox": [0, 0, 10**400, 1]}, "bbox"),
        ({"bbox": [0, 1, 1, 0]}, "bbox"),
        ({"links": {}}, "links"),
        ({"links": ["x"]}, "links"),
        ({"assets": ["x"]}, "assets"),
        ({"assets": {"x": 1}}, "assets"),
        ({"assets": {"x": {"title": "\ud800"}}}, "JSON"),
        ({"properties__title": "\ud800"}, "JSON"),
        ({"properties__snow": {1: 2, "a": 3}}, "JSON"),
        ({"properties__license": {1, 2}}, "JSON"),
    ],
)
def test_an_item_that_is_wrong_is_refused_by_field(
    catalogue: Catalogue, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(BadInput, match=field):
        catalogue.upsert([spoiled(**changes)])
    assert catalogue.count() == 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150)
@given(
    st.sampled_from(
        ["id", "collection", "properties", "bbox", "links", "assets", f"{RECIPE}__granule", RECIPE]
    ),
    json_values,
)
def test_any_value_is_entered_or_bad_input(path: str, value: Any) -> None:
    try:
        Entry.of(spoiled(**{path: value}))
    except BadInput as problem:
        assert problem.kind == "bad-input"


# The file


def test_a_catalogue_is_not_made_by_reading(path: Path) -> None:
    with pytest.raises(MissingInput, match="no catalogue") as caught:
        Catalogue.open(path, read_only=True)
    assert f"thalweg catalogue rebuild --to {path.parent}" in caught.value.what_to_do
    path.touch()
    with pytest.raises(MissingInput, match="empty"):
        Catalogue.open(path, read_only=True)


def test_reading_does_not_write(path: Path) -> None:
    with Catalogue.open(path) as catalogue:
        catalogue.upsert([an_item()])
    before = path.read_bytes()
    with Catalogue.open(path, read_only=True) as catalogue:
        assert catalogue.count() == 1
        with pytest.raises(ServiceUnavailable, match="readonly"):
            catalogue.upsert([an_item("31TCJ")])
    assert path.read_bytes() == before


def test_another_writer_is_waited_for_and_then_told(
    path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PATIENCE", 0.0)
    with Catalogue.open(path) as other, catalogue.writing():
        catalogue.upsert([an_item()])
        assert other.count() == 0
        with pytest.raises(ServiceUnavailable, match="another process is writing"):
            other.upsert([an_item("31TCJ")])
    with Catalogue.open(path) as other:
        assert other.upsert([an_item("31TCJ")]) == 1


def test_writers_in_turn_lose_nothing(path: Path) -> None:
    def write(tile: str) -> None:
        with Catalogue.open(path) as catalogue:
            for day in range(5):
                catalogue.upsert([an_item(tile, NOON + DAY * day)])

    with Catalogue.open(path):
        writers = [threading.Thread(target=write, args=(tile,)) for tile in TILES]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
    with Catalogue.open(path, read_only=True) as catalogue:
        assert catalogue.count() == 5 * len(TILES)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_that_is_no_database(path: Path, read_only: bool) -> None:
    path.write_bytes(b"not a database, but long enough to be looked at as one" * 100)
    with pytest.raises(DamagedCatalogue, match=r"catalogue\.sqlite: damaged") as caught:
        Catalogue.open(path, read_only=read_only)
    assert "thalweg catalogue rebuild" in caught.value.what_to_do
    assert caught.value.kind == "bad-input"


def test_damage_inside_is_told_when_it_is_met(path: Path) -> None:
    with Catalogue.open(path) as catalogue:
        catalogue.upsert([an_item(tile, NOON + DAY * day) for tile in TILES for day in range(20)])
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = random.Random(1).randbytes(len(content) - 4096 * 2)
    path.write_bytes(content)
    with pytest.raises(DamagedCatalogue, match="damaged"), Catalogue.open(path) as catalogue:
        catalogue.search()
        catalogue.upsert([an_item("33UUP")])


def test_a_database_of_another_program_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE items (id)")
    other.close()
    with pytest.raises(BadInput, match="another program"):
        Catalogue.open(path)


def test_a_newer_catalogue_is_left_alone(path: Path) -> None:
    with Catalogue.open(path):
        pass
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(BadInput, match="version 99") as caught:
        Catalogue.open(path)
    assert "newer thalweg" in caught.value.what_to_do


def test_an_older_catalogue_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Catalogue.open(path) as catalogue:
        catalogue.upsert([an_item()])
    later = (*schema.MIGRATIONS, "CREATE TABLE notes (text); INSERT INTO notes VALUES ('new')")
    monkeypatch.setattr(schema, "MIGRATIONS", later)
    with Catalogue.open(path) as catalogue:
        assert catalogue.count() == 1
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT text FROM notes").fetchone() == ("new",)
        assert raw.execute("PRAGMA user_version").fetchone() == (2,)
    raw.close()


def test_a_migration_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Catalogue.open(path) as catalogue:
        catalogue.upsert([an_item()])
    known = schema.MIGRATIONS
    monkeypatch.setattr(
        schema, "MIGRATIONS", (*known, "CREATE TABLE notes (text); INSERT INTO nothing VALUES (1)")
    )
    with pytest.raises(ServiceUnavailable):
        Catalogue.open(path)
    monkeypatch.setattr(schema, "MIGRATIONS", known)
    with Catalogue.open(path) as catalogue:
        assert catalogue.count() == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServiceUnavailable, match="file"):
        Catalogue.open(tmp_path / "file" / "catalogue.sqlite")


def test_times_of_entries_sort_as_times_do() -> None:
    times = [datetime(2021, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, 0, 0, 0, 1, tzinfo=UTC), NOON]
    starts = [Entry.of(an_item(sensed=time.replace(microsecond=time.microsecond))).start for time in times]
    assert starts == sorted(starts)
