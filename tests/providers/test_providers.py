"""Every provider finds the same granules; strangers' items are not trusted."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from tests.campaign.archives import make_archive, safe_name, write_geoparquet
from tests.providers.stac_server import Api, serving
from thalweg.errors import BadInput, BadParameters, MissingInput, ServiceUnavailable
from thalweg.period import Period
from thalweg.providers import Wanted, find_granules
from thalweg.providers.found import COLUMNS, Granules
from thalweg.providers.items import found_of
from thalweg.providers.place import Place
from thalweg.providers.stac_api import Client, find_in_api, interval
from thalweg.readers import open_granule
from thalweg.readers.naming import named_granule

YEAR = Period.parse("2024")
ALL = Wanted(None, YEAR)
NAMES = [safe_name(tile, day) for tile in ("31TCH", "31TCJ", "31TCK") for day in (0, 5, 10)]
PLACE = Place("archive/{tile}/{id}.SAFE")
QUICK = Client(timeout=5.0, pause=0.0)


def item(name: str, **properties: Any) -> dict[str, Any]:
    """The STAC item of a Sentinel-2 product."""
    time = datetime.strptime(name[11:26], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return {
        "id": name.removesuffix(".SAFE"),
        "collection": "sentinel-2-l2a",
        "properties": {
            "datetime": f"{time:%Y-%m-%dT%H:%M:%S}.000Z",
            "grid:code": f"MGRS-{name[39:44]}",
            "platform": "sentinel-2a",
            "s2:processing_baseline": "05.10",
            "sat:relative_orbit": 51,
            "eo:cloud_cover": 12.5,
            **properties,
        },
    }


def ids(found: Granules) -> list[str]:
    return sorted(found.table["id"].to_pylist())


def test_all_providers_find_the_same(tmp_path: Path) -> None:
    make_archive(tmp_path / "archive", NAMES)
    write_geoparquet(tmp_path / "items.parquet", NAMES, **{"sat:relative_orbit": [51] * 9})
    wanted = Wanted(frozenset({"31TCH", "31TCJ"}), Period.parse("2024-01-03/2024-01-08"))
    folder = str(tmp_path / "archive")
    path = folder + "/T{tile}/{id}.SAFE"
    with serving(Api([item(name) for name in NAMES])) as api:
        found = [
            find_granules("folder", folder, wanted),
            find_granules("geoparquet", str(tmp_path / "items.parquet"), wanted, path=path),
            find_granules("stac", api.url, wanted, path=path, collections=["sentinel-2-l2a"]),
        ]
    columns = [name for name in COLUMNS if name != "cloud_cover"]
    tables = [each.table.sort_by([("id", "ascending")]).select(columns).to_pylist() for each in found]
    assert tables[0] == tables[1] == tables[2]
    assert len(tables[0]) == 4
    assert tables[0][0]["baseline"] == "05.10"
    assert all(Path(row["path"]).is_dir() for row in tables[0])


@pytest.mark.parametrize("has_query", [True, False])
@pytest.mark.parametrize("by_get", [True, False])
def test_an_api_is_asked_page_by_page(has_query: bool, by_get: bool) -> None:
    with serving(
        Api([item(name) for name in NAMES], has_query=has_query, by_get=by_get and not has_query)
    ) as api:
        found = find_in_api(api.url, Wanted(frozenset({"31TCK"}), YEAR), ["sentinel-2-l2a"], PLACE, QUICK)
        assert len(ids(found)) == 3
        assert api.asked[0]["datetime"] == "2024-01-01T00:00:00.000Z/2024-12-31T23:59:59.999Z"
        assert ("query" in api.asked[0]) is has_query
        assert len(api.asked) == (2 if has_query else 5)
        assert len(ids(find_in_api(api.url, ALL, [], PLACE, QUICK))) == 9


def test_a_busy_api_is_asked_again_and_a_dead_one_is_a_service_failure() -> None:
    with serving(Api([item(name) for name in NAMES[:2]], broken=[503, 429])) as api:
        assert len(ids(find_in_api(api.url, ALL, [], PLACE, QUICK))) == 2
        api.broken = [503] * 9
        with pytest.raises(ServiceUnavailable, match="503"):
            find_in_api(api.url, ALL, [], PLACE, QUICK)
        api.broken = [404]
        with pytest.raises(BadInput, match="404"):
            find_in_api(api.url, ALL, [], PLACE, QUICK)
    with pytest.raises(ServiceUnavailable, match="refused"):
        find_in_api(api.url, ALL, [], PLACE, QUICK)


def test_a_next_page_elsewhere_is_not_followed() -> None:
    with (
        serving(Api([item(name) for name in NAMES], next_host="http://169.254.169.254")) as api,
        pytest.raises(BadInput, match="on another server"),
    ):
        find_in_api(api.url, ALL, [], PLACE, QUICK)


def test_only_http_is_an_api() -> None:
    with pytest.raises(BadParameters, match="http://"):
        find_in_api("file:///etc", ALL, [], PLACE, QUICK)


def test_items_that_make_no_sense_are_told_and_left_out() -> None:
    items = [
        item(NAMES[0]),
        {**item(NAMES[1]), "id": "../../etc/passwd"},
        item(NAMES[2], **{"grid:code": "x"}),
    ]
    items[2]["id"] = "no-tile-here"
    with serving(Api(items, page=10)) as api:
        found = find_in_api(api.url, ALL, [], PLACE, QUICK)
    assert ids(found) == [NAMES[0].removesuffix(".SAFE")]
    assert len(found.problems) == 2


@pytest.mark.parametrize(
    ("properties", "tile"),
    [
        ({"grid:code": "MGRS-31TCH"}, "31TCH"),
        ({"grid:code": None, "s2:mgrs_tile": "31TCH"}, "31TCH"),
        (
            {"grid:code": None, "mgrs:utm_zone": 31, "mgrs:latitude_band": "T", "mgrs:grid_square": "CH"},
            "31TCH",
        ),
        ({"grid:code": None, "s2:tile_id": "S2A_OPER_MSI_L2A_TL_2APS_20240103T_A044_T31TCH_N05.10"}, "31TCH"),
        ({"grid:code": None}, "31TCK"),
    ],
)
def test_the_tile_is_where_providers_put_it(properties: dict[str, Any], tile: str) -> None:
    assert found_of(item(safe_name("31TCK"), **properties), PLACE).tile == tile


def test_a_geoparquet_without_tiles_or_times_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    parquet.write_table(arrow.table({"id": ["a"]}), path)
    with pytest.raises(BadInput, match="no column 'datetime'"):
        find_granules("geoparquet", str(path), ALL, path="{id}")
    times = arrow.array([datetime(2024, 1, 1, tzinfo=UTC)], arrow.timestamp("ms", tz="UTC"))
    parquet.write_table(arrow.table({"id": ["a"], "datetime": times}), path)
    with pytest.raises(BadInput, match="names a tile"):
        find_granules("geoparquet", str(path), ALL, path="{id}")
    parquet.write_table(arrow.table({"id": ["../a"], "datetime": times, "grid:code": ["MGRS-31TCH"]}), path)
    with pytest.raises(BadInput, match="cannot be part of a path"):
        find_granules("geoparquet", str(path), ALL, path="{id}")
    path.write_bytes(b"PAR1 no more")
    with pytest.raises(BadInput, match="no readable stac-geoparquet"):
        find_granules("geoparquet", str(path), ALL, path="{id}")
    with pytest.raises(MissingInput):
        find_granules("geoparquet", str(tmp_path / "nothing.parquet"), ALL, path="{id}")


@pytest.mark.parametrize(
    ("template", "said"),
    [("{tile}/{name}.SAFE", "unknown word {name}"), ("{tile}", "without {id}"), ("{id", "expected '}'")],
)
def test_templates_are_checked(template: str, said: str) -> None:
    with pytest.raises(BadParameters, match=said):
        Place(template)


def test_all_but_folders_need_a_place_on_disk() -> None:
    with pytest.raises(BadParameters, match=r"inputs\.path"):
        find_granules("stac", "http://localhost", ALL)


def test_periods_are_written_as_searches_want_them() -> None:
    assert interval(Period.parse("2024-02")) == "2024-02-01T00:00:00.000Z/2024-02-29T23:59:59.999Z"
    assert interval(Period.parse("2024-02/..")) == "2024-02-01T00:00:00.000Z/.."


def test_eodag_is_asked_for_its_collections(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    class Gateway:
        def set_preferred_provider(self, provider: str) -> None:
            assert provider == "geodes"

        def search_all(self, **words: Any) -> list[Any]:
            asked.append(words)
            return [SimpleNamespace(as_dict=lambda name=name: item(name)) for name in NAMES[:3]]

    monkeypatch.setitem(sys.modules, "eodag", SimpleNamespace(EODataAccessGateway=Gateway))
    found = find_granules("eodag", "geodes", ALL, path="{id}.SAFE", collections=["S2_MSI_L2A_MAJA"])
    assert len(ids(found)) == 3
    assert asked[0]["collection"] == "S2_MSI_L2A_MAJA"
    assert asked[0]["start"] == "2024-01-01T00:00:00.000Z"
    with pytest.raises(BadParameters, match="at least one"):
        find_granules("eodag", "geodes", ALL, path="{id}.SAFE")


def test_eodag_that_is_missing_or_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "eodag", None)
    with pytest.raises(BadParameters, match="EODAG cannot be imported"):
        find_granules("eodag", "geodes", ALL, path="{id}.SAFE", collections=["S2"])

    def fail(**words: Any) -> None:
        raise RuntimeError("no credentials")

    gateway = SimpleNamespace(set_preferred_provider=lambda provider: None, search_all=fail)
    monkeypatch.setitem(sys.modules, "eodag", SimpleNamespace(EODataAccessGateway=lambda: gateway))
    with pytest.raises(ServiceUnavailable, match="no credentials"):
        find_granules("eodag", "geodes", ALL, path="{id}.SAFE", collections=["S2"])


def test_a_folder_tells_what_it_cannot_look_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_archive(tmp_path, NAMES)
    scandir = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith("T31TCK"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("os.scandir", refusing)
    found = find_granules("folder", str(tmp_path), ALL)
    assert len(ids(found)) == 6
    assert "T31TCK: cannot be looked into: Permission denied" in str(found.problems[0])


def test_a_folder_tells_what_it_cannot_read(tmp_path: Path) -> None:
    make_archive(tmp_path, NAMES[:1])
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / ".hidden.json").write_text("{")
    (tmp_path / "notes.txt").write_text("nothing")
    found = find_granules("folder", str(tmp_path), ALL)
    assert len(ids(found)) == 1
    assert [problem.kind for problem in found.problems] == ["bad-input"]
    assert find_granules("folder", str(tmp_path), ALL, depth=1).table.num_rows == 0
    assert find_granules("folder", str(tmp_path), ALL, match="S2B*").table.num_rows == 0


NAMED = [
    "SENTINEL2A_20210415-105910-624_L2A_T30TYN_C_V2-2",
    "LANDSAT8-OLITIRS-XS_20210415-105910-624_L2A_T30TYN_C_V2-2",
    safe_name("31TCH"),
    safe_name("31TCH", level="L1C"),
    "HLS.S30.T31TCJ.2024005T105329.v2.0",
    "LC08_L2SP_198029_20240105_20240110_02_T1",
    "S2A_OPER_SSC_L2VALD_31TCJ____20240105.DBL.DIR",
]


@pytest.mark.parametrize("name", NAMED)
def test_a_name_says_what_opening_says(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    named, opened = named_granule(tmp_path / name), open_granule(tmp_path / name)
    assert named is not None
    for fact in ("id", "path", "format", "tile", "sensed", "platform", "level", "baseline", "orbit"):
        assert getattr(named, fact) == getattr(opened, fact), fact


@pytest.mark.parametrize("name", ["bogus", "S2A_MSIL2A_bad.SAFE", "catalogue.sqlite"])
def test_other_names_say_nothing(name: str) -> None:
    assert named_granule(Path(name)) is None
