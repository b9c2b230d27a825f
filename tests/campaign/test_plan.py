"""The plan: equal whenever it is made, and of the very units that the run computes."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import thalweg
from tests.campaign.archives import make_archive, safe_name, write_campaign, write_chains, write_geoparquet
from tests.winter import Winter
from thalweg.campaign.campaign_file import read_campaign
from thalweg.campaign.folder import open_folder, read_plan, write_folder
from thalweg.campaign.plan import Planned, make_plan
from thalweg.campaign.site_file import Site
from thalweg.errors import BadInput, BadParameters, MissingInput, UsageError
from thalweg.identity import unit_id, unit_ids
from thalweg.preparation import write_digest

TILES = ("31TCH", "31TCJ")


def plan_of(path: Path, site: Site | None = None) -> Planned:
    return make_plan(read_campaign(path), site or Site(), path.parent)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two tiles with three dates each, and two chains."""
    write_chains(tmp_path)
    make_archive(tmp_path / "archive", [safe_name(tile, day) for tile in TILES for day in (0, 5, 10)])
    return tmp_path


def ids_of(planned: Planned) -> list[str]:
    return [bytes(id).hex() for id in planned.plan.units["id"].to_pylist()]


def test_planned_units_are_those_that_the_run_computes(winter: Winter, tmp_path: Path) -> None:
    copy = winter.copy(tmp_path)
    for layer in copy.static.rglob("*.tif"):
        write_digest(layer)
    file = write_campaign(
        tmp_path,
        chains=[{"name": "snow", "parameters": {"dz": 50}}],
        period="2000/2099",
        inputs={"provider": "folder", "at": "."},
        static={"folder": "STATIC"},
    )
    planned = plan_of(file)
    (ending,) = thalweg.run(copy.granule, "snow", to=tmp_path / "products", static=copy.static, dz=50)
    assert ending.state == "done"
    assert ids_of(planned) == [ending.unit]
    assert planned.plan.granules["sensed"][0].as_py() == ending.sensed
    assert planned.plan.granules["tile"].to_pylist() == [ending.tile]


@given(
    granule=st.text(max_size=40),
    statics=st.dictionaries(
        st.text(max_size=8), st.text("0123456789abcdef", min_size=64, max_size=64), max_size=3
    ),
    version=st.text(max_size=8),
)
def test_many_ids_are_made_as_one_is(granule: str, statics: dict[str, str], version: str) -> None:
    one = unit_id("snow", version, "ab" * 32, [granule], statics)
    assert unit_ids("snow", version, "ab" * 32, statics)(granule).hex() == one


def test_the_same_inputs_give_the_same_digest(folder: Path) -> None:
    file = write_campaign(folder)
    first = plan_of(file).plan
    assert first.counts == {"tiles": 2, "granules": 6, "units": 6, "passed_over": 0}
    assert plan_of(file).plan.digest == first.digest
    (folder / "archive" / safe_name("31TCH")[38:44] / safe_name("31TCH", 15)).mkdir()
    assert plan_of(file).plan.digest != first.digest
    shutil.rmtree(folder / "archive" / safe_name("31TCH")[38:44] / safe_name("31TCH", 15))
    write_campaign(folder, chains=[{"name": "lab.py:one", "parameters": {"factor": 2.0}}])
    assert plan_of(file).plan.digest != first.digest


def test_the_order_of_what_is_found_decides_nothing(folder: Path) -> None:
    names = [safe_name(tile, day) for tile in TILES for day in range(8)]
    source = {"provider": "geoparquet", "at": "items.parquet", "path": "{tile}/{id}.SAFE"}
    file = write_campaign(folder, inputs=source)
    digests = set()
    for seed in range(3):
        random.Random(seed).shuffle(names)
        write_geoparquet(folder / "items.parquet", names)
        digests.add(plan_of(file).plan.digest)
    assert len(digests) == 1


def test_the_newest_baseline_wins_and_the_choice_is_recorded(folder: Path) -> None:
    shutil.rmtree(folder / "archive")
    old, new, other = (
        safe_name("31TCH", 0, "0509"),
        safe_name("31TCH", 0, "0510"),
        safe_name("31TCH", 5, "0509"),
    )
    make_archive(folder / "archive", [old, new, other])
    plan = plan_of(write_campaign(folder)).plan
    assert plan.granules["id"].to_pylist() == [new[:-5], other[:-5]]
    assert plan.passed_over.select(["id", "reason"]).to_pylist() == [{"id": old[:-5], "reason": "baseline"}]


def test_formats_have_baselines_of_their_own(folder: Path) -> None:
    shutil.rmtree(folder / "archive")
    make_archive(folder / "archive", [safe_name("31TCH")])
    (folder / "archive" / "SENTINEL2A_20240103-105329-024_L2A_T31TCH_C_V4-0").mkdir()
    assert plan_of(write_campaign(folder)).plan.counts["granules"] == 2


def test_halves_of_one_tile_are_both_kept(folder: Path) -> None:
    shutil.rmtree(folder / "archive")
    halves = [safe_name("31TCH", made=made) for made in ("20240601T000000", "20240601T000100")]
    make_archive(folder / "archive", halves)
    assert plan_of(write_campaign(folder)).plan.counts["granules"] == 2


def test_a_granule_in_two_places_is_planned_once(folder: Path) -> None:
    make_archive(folder / "archive" / "copy", [safe_name("31TCH")])
    plan = plan_of(write_campaign(folder)).plan
    assert plan.counts["granules"] == 6
    assert plan.passed_over["reason"].to_pylist() == ["duplicate"]


def test_a_chain_gets_only_granules_of_its_levels(folder: Path) -> None:
    make_archive(folder / "archive", [safe_name("31TCH", level="L1C")])
    file = write_campaign(folder, chains=[{"name": "lab.py:one"}, {"name": "lab.py:top"}])
    plan = plan_of(file).plan
    assert plan.counts == {"tiles": 2, "granules": 7, "units": 7, "passed_over": 0}
    assert sorted(plan.units["chain"].to_pylist()) == [0] * 6 + [1]
    plan = plan_of(write_campaign(folder)).plan
    assert plan.passed_over["reason"].to_pylist() == ["level"]


def test_the_cloud_gate_lets_pass_what_has_no_figure(folder: Path) -> None:
    names = [safe_name("31TCH", day) for day in range(3)]
    write_geoparquet(folder / "items.parquet", names, **{"eo:cloud_cover": [80.0, 20.0, None]})
    source = {"provider": "geoparquet", "at": "items.parquet", "path": "{id}.SAFE"}
    plan = plan_of(write_campaign(folder, inputs=source, gates={"cloud_cover": 50})).plan
    assert plan.granules["cloud_cover"].to_pylist() == [20.0, None]
    assert plan.passed_over["reason"].to_pylist() == ["cloud"]


def test_tiles_come_from_list_box_area_and_table(folder: Path) -> None:
    table = folder / "tiles.csv"
    table.write_text("tile,land_share,lake_share\n31TCH,0.9,0.02\n31TCJ,0.5,0.001\n31TCK,1,1\n")
    area = {
        "type": "Polygon",
        "coordinates": [[[0.6, 43.5], [0.7, 43.5], [0.7, 43.6], [0.6, 43.6], [0.6, 43.5]]],
    }
    (folder / "area.geojson").write_text(json.dumps(area))
    for tiles, expected in [
        ({"list": ["31TCJ"]}, {"31TCJ"}),
        ({"list": ["31TC"]}, {"31TCH", "31TCJ"}),
        ({"bbox": [0.6, 43.5, 0.7, 43.6]}, {"31TCJ"}),
        ({"area": "area.geojson"}, {"31TCJ"}),
        ({"table": "tiles.csv", "where": "land_share > 0.2 and lake_share >= 0.01"}, {"31TCH"}),
        ({"table": "tiles.csv", "list": ["31TCJ", "31TCL"]}, {"31TCJ"}),
    ]:
        plan = plan_of(write_campaign(folder, tiles=tiles)).plan
        assert set(plan.granules["tile"].to_pylist()) == expected, tiles
    assert plan.facts["31TCJ"] == {"land_share": 0.5, "lake_share": 0.001}
    with pytest.raises(BadParameters, match="unknown tile '31TZZ'"):
        plan_of(write_campaign(folder, tiles={"list": ["31TZZ"]}))
    with pytest.raises(BadParameters, match="no tile meets all"):
        plan_of(write_campaign(folder, tiles={"table": "tiles.csv", "list": ["32TLR"]}))


def test_nothing_to_plan_is_an_error(folder: Path) -> None:
    with pytest.raises(UsageError, match="nothing to plan: 0 granules found"):
        plan_of(write_campaign(folder, period="2019"))
    with pytest.raises(MissingInput, match="no such folder"):
        plan_of(write_campaign(folder, inputs={"provider": "folder", "at": "nowhere"}))


def test_a_version_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(BadParameters, match=r"lab.one.*version 0.1 here.*0.9"):
        plan_of(write_campaign(folder, chains=[{"name": "lab.py:one", "version": "0.9"}]))
    with pytest.raises(BadParameters, match="no parameter set of 1999-01-01"):
        plan_of(write_campaign(folder, chains=[{"name": "snow", "set": "1999-01-01"}]))


def test_static_layers_without_a_digest_are_refused(winter: Winter, tmp_path: Path) -> None:
    copy = winter.copy(tmp_path)
    changes: dict[str, Any] = {
        "chains": [{"name": "snow"}],
        "period": "2000/2099",
        "inputs": {"provider": "folder", "at": "."},
        "static": {"folder": "STATIC"},
    }
    file = write_campaign(tmp_path, **changes)
    layers = sorted(copy.static.rglob("*.tif"))
    for layer in layers[1:]:
        write_digest(layer)
    with pytest.raises(MissingInput, match="1 static layers have no digest"):
        plan_of(file)
    write_digest(layers[0])
    before = ids_of(plan_of(file))
    write_campaign(tmp_path, **{**changes, "static": {"folder": "STATIC", "without": ["dem"]}})
    without = plan_of(file)
    assert set(without.statics.missing) == {"dem"}
    assert ids_of(without) != before


def test_a_work_folder_holds_the_plan_and_is_not_planned_over(folder: Path) -> None:
    file = write_campaign(folder, tiles={"list": ["31TCH"]}, priority=7)
    planned = plan_of(file)
    work = write_folder(folder / "work", file, Site(), planned.plan, 2)
    again = write_folder(folder / "work", file, Site(), planned.plan, 99)
    assert again.read_facts().granules_per_part == 2
    kept = read_plan(work.plan)
    assert kept.digest == planned.plan.digest
    assert kept.granules.equals(planned.plan.granules)
    assert kept.chains == planned.plan.chains
    with open_folder(folder / "work").ledger() as ledger:
        assert [len(batch.units) for batch in ledger.next_batches(9)] == [1, 2]
        assert ledger.next_batches(1)[0].priority == 7
    features = json.loads(work.tiles.read_text())["features"]
    assert [(each["id"], each["properties"]["units"]) for each in features] == [("31TCH", 3)]
    with pytest.raises(UsageError, match="another plan"):
        write_folder(folder / "work", file, Site(), plan_of(write_campaign(folder)).plan, 2)


def test_a_plan_that_was_changed_is_refused(folder: Path) -> None:
    file = write_campaign(folder)
    work = write_folder(folder / "work", file, Site(), plan_of(file).plan, 2)
    other = write_campaign(folder, tiles={"list": ["31TCH"]})
    elsewhere = write_folder(folder / "other", other, Site(), plan_of(other).plan, 2)
    os.replace(elsewhere.plan / "units.parquet", work.plan / "units.parquet")
    with pytest.raises(BadInput, match="not those that were planned"):
        work.read_plan()
    with pytest.raises(MissingInput, match="no planned campaign"):
        open_folder(folder)


def test_places_of_a_site_are_named_by_the_campaign(folder: Path) -> None:
    site = Site(places={"archive": str(folder / "archive"), "store": "/store"})
    source = {"provider": "folder", "at": "archive:"}
    planned = plan_of(write_campaign(folder, inputs=source, destination="store:alps"), site)
    assert planned.plan.places.destination == "/store/alps"
    assert planned.plan.counts["granules"] == 6
    with pytest.raises(BadParameters, match=r"no place 'archve'. Did you mean 'archive'"):
        plan_of(write_campaign(folder, inputs={"provider": "folder", "at": "archve:x"}), site)
