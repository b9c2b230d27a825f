from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.readers.products import (
    angle_grids,
    band_asset,
    make_stac,
    projection,
    stac_item,
    tile_xml,
    write_raster,
)
from thalweg.errors import BadInput
from thalweg.granule import Granule
from thalweg.readers import open_granule

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def opened_with(tmp_path: Path, item: dict[str, Any], **options: Any) -> Granule:
    return open_granule(make_stac(tmp_path, item, **options))


def test_identity(tmp_path: Path) -> None:
    granule = opened_with(tmp_path, stac_item())
    assert (granule.id, granule.tile, granule.platform) == ("S2A_31TCH_20210415_0_L2A", "31TCH", "S2A")
    assert (granule.level, granule.baseline, granule.orbit, granule.cloud_cover) == ("L2A", "05.09", 94, 3.5)
    assert granule.sensed == datetime(2021, 4, 15, 10, 59, 10, 624000, UTC)
    assert granule.sun is not None and (granule.sun.zenith, granule.sun.azimuth) == (62.0, 157.3)
    assert granule.item == "https://stac.example/items/S2A_31TCH_20210415_0_L2A"


def test_item_and_folder_are_the_same_granule(tmp_path: Path) -> None:
    folder = make_stac(tmp_path, stac_item())
    by_item = open_granule(folder / "item.json")
    assert by_item.bands == open_granule(folder).bands
    assert by_item.path == folder / "item.json"


def test_a_link_to_an_item_finds_the_files_behind_it(tmp_path: Path) -> None:
    link = tmp_path / "today.json"
    link.symlink_to(make_stac(tmp_path, stac_item()) / "item.json")
    assert list(open_granule(link).bands) == ["blue", "rededge071", "swir16"]


def test_a_second_json_that_is_no_item(tmp_path: Path) -> None:
    folder = make_stac(tmp_path, stac_item())
    (folder / "tileinfo_metadata.json").write_text('{"path": "tiles/31/T/CH"}')
    (folder / "broken.json").write_text("{")
    assert open_granule(folder).tile == "31TCH"


def test_two_items_in_one_folder(tmp_path: Path) -> None:
    folder = make_stac(tmp_path, stac_item())
    (folder / "other.json").write_text(json.dumps(stac_item()))
    with pytest.raises(BadInput, match=r"item\.json, other\.json"):
        open_granule(folder)


# Which asset is which band


@pytest.mark.parametrize(
    ("key", "name", "common", "role"),
    [
        ("rededge1", "rededge1", "rededge", "rededge071"),
        ("rededge2", "rededge2", "rededge", "rededge075"),
        ("rededge3", "rededge3", "rededge", "rededge078"),
        ("B05", "B05", "rededge", "rededge071"),
        ("B07", "B07", "rededge", "rededge078"),
        ("B8A", "B8A", "rededge", "nir08"),
        ("nir08", "nir08", "nir08", "nir08"),
        ("B09", "B09", "nir09", "nir09"),
        ("nir", "nir", "nir", "nir"),
        ("some-band", "B11", "swir16", "swir16"),
        ("swir16_20m", "odd", "odd", "swir16"),
        ("odd", "odd", "swir22", "swir22"),
        ("odd", "odd", "rededge", None),
        ("aot", "aot", "aot", None),
    ],
)
def test_roles_by_name_then_key_then_common_name(
    tmp_path: Path, key: str, name: str, common: str, role: str | None
) -> None:
    item = stac_item()
    item["assets"] = {key: band_asset("B02", name, 10, common)}
    assert list(opened_with(tmp_path, item).bands) == ([role] if role else [])


def test_layout_of_earth_search_v0(tmp_path: Path) -> None:
    """Keys are band names, nothing is said of packing, properties begin with `sentinel:`."""
    item = stac_item()
    item["assets"] = {
        key: {"href": f"https://cogs.example/{key}.tif", "eo:bands": [{"name": key, "common_name": common}]}
        for key, common in (("B02", "blue"), ("B05", "rededge"), ("B11", "swir16"))
    } | {"SCL": {"href": "https://cogs.example/SCL.tif"}}
    for name in ("grid:code", "s2:processing_baseline", "s2:product_uri"):
        del item["properties"][name]
    item["properties"] |= {
        "sentinel:utm_zone": 31,
        "sentinel:latitude_band": "T",
        "sentinel:grid_square": "CH",
        "sentinel:product_id": "S2A_MSIL2A_20200219T112111_N0214_R037_T31TCH_20200219T123947",
    }
    granule = opened_with(tmp_path, item)
    assert (granule.tile, granule.baseline, granule.orbit) == ("31TCH", "02.14", 37)
    assert {role: keys["native"].raster.offset for role, keys in granule.bands.items()} == {
        "blue": 0.0,
        "rededge071": 0.0,
        "swir16": 0.0,
    }
    assert [mask.kind for mask in granule.masks] == ["scl"]


def test_layout_of_stac_1_1(tmp_path: Path) -> None:
    item = stac_item()
    item["stac_version"] = "1.1.0"
    del item["properties"]["proj:epsg"]
    item["properties"]["proj:code"] = "EPSG:32631"
    packing = {"raster:scale": 0.0001, "raster:offset": -0.1}
    item["assets"] = {
        "B02_10m": {
            "href": "https://cogs.example/B02.tif",
            "bands": [{"name": "B02", "eo:common_name": "blue"}],
            "nodata": 0,
            **packing,
            **projection(10),
        },
        "swir16": {
            "href": "https://cogs.example/B11.tif",
            "bands": [{"name": "swir16", "eo:common_name": "swir16", **packing}],
            **projection(20),
        },
    }
    granule = opened_with(tmp_path, item, placed=False)
    assert {role: keys["native"].raster.offset for role, keys in granule.bands.items()} == {
        "blue": -0.1,
        "swir16": -0.1,
    }
    grid = granule.bands["blue"]["native"].raster.grid
    assert grid is not None and grid.crs == "EPSG:32631"


def test_the_finest_staged_copy_is_taken(tmp_path: Path) -> None:
    item = stac_item()
    item["assets"] = {
        "blue_20m": band_asset("B02_20m", "B02", 20),
        "blue": band_asset("B02_10m", "B02", 10),
        "blue-jp2": {**band_asset("B02", "B02", 10), "href": "s3://bucket/B02.jp2"},
    }
    assert (
        opened_with(tmp_path, item, rasters=("B02_20m",)).bands["blue"]["native"].raster.name == "B02_20m.tif"
    )
    for name in ("B02.jp2", "B02_10m.tif"):
        write_raster(tmp_path / "scene" / name)
    assert open_granule(tmp_path / "scene").bands["blue"]["native"].raster.name == "B02_10m.tif"


def test_pictures_of_several_bands_are_no_band(tmp_path: Path) -> None:
    item = stac_item()
    red, green = ({"name": name, "common_name": name} for name in ("red", "green"))
    item["assets"] = {
        "visual": {"href": "B02.tif", "eo:bands": [red, green]},
        "thumbnail": {"href": "B02.tif"},
    }
    assert opened_with(tmp_path, item).bands == {}


# The four states of the offset


@pytest.mark.parametrize(
    ("properties", "declared", "add"),
    [
        ({"earthsearch:boa_offset_applied": True}, -0.1, 0),
        ({"earthsearch:boa_offset_applied": True}, None, 0),
        ({"earthsearch:boa_offset_applied": False}, 0, 0),
        ({"earthsearch:boa_offset_applied": False}, -0.1, -1000),
        ({"earthsearch:boa_offset_applied": False}, None, -1000),
        ({}, -0.1, -1000),
        ({}, 0, 0),
        ({}, None, -1000),
        ({"s2:processing_baseline": "03.01"}, None, 0),
        ({"s2:processing_baseline": "04.00"}, None, -1000),
        ({"sentinel:boa_offset_applied": True, "s2:processing_baseline": "04.00"}, None, 0),
    ],
)
def test_offset(tmp_path: Path, properties: dict[str, Any], declared: float | None, add: int) -> None:
    item = stac_item(**properties)
    if declared is not None:
        item["assets"]["blue"]["raster:bands"] = [{"nodata": 0, "scale": 0.0001, "offset": declared}]
    band = opened_with(tmp_path, item).bands["blue"]["native"]
    assert band.reflectance.add == add
    assert band.raster.offset == pytest.approx(add / 10000, abs=1e-12)
    assert (band.raster.scale, band.raster.nodata) == (0.0001, 0)


def test_nothing_about_the_offset_and_no_baseline_is_refused(tmp_path: Path) -> None:
    item = stac_item()
    del item["properties"]["s2:processing_baseline"], item["properties"]["s2:product_uri"]
    with pytest.raises(BadInput, match=r"asset 'blue': offset: neither"):
        opened_with(tmp_path, item)


def test_nodata_as_declared(tmp_path: Path) -> None:
    item = stac_item()
    item["assets"]["blue"]["raster:bands"] = [{"nodata": "nan"}]
    item["assets"]["swir16"]["raster:bands"] = [{"nodata": 65535}]
    bands = opened_with(tmp_path, item).bands
    assert math.isnan(bands["blue"]["native"].raster.nodata or 0)
    assert bands["swir16"]["native"].raster.nodata == 65535


# Where the pixels lie


def test_a_file_that_knows_its_place_rules(tmp_path: Path) -> None:
    assert opened_with(tmp_path, stac_item()).bands["blue"]["native"].raster.grid is None


@pytest.mark.parametrize("driver", ["GTiff", "JP2OpenJPEG"])
def test_grid_of_the_item_scaled_to_the_file(tmp_path: Path, driver: str) -> None:
    granule = opened_with(tmp_path, stac_item(), placed=False, driver=driver, shape=(915, 915))
    grids = [granule.bands[role]["native"].raster.grid for role in ("blue", "swir16")] + [
        granule.masks[0].raster.grid
    ]
    for grid in grids:
        assert grid is not None
        assert (grid.crs, grid.left, grid.top) == ("EPSG:32631", 300_000, 4_800_000)
        assert (grid.pixel, grid.shape) == ((120.0, 120.0), (915, 915))


def test_a_file_that_is_not_square(tmp_path: Path) -> None:
    granule = opened_with(tmp_path, stac_item(), placed=False, shape=(122, 183))
    grid = granule.bands["blue"]["native"].raster.grid
    assert grid is not None and grid.pixel == (600.0, 900.0)


def test_projection_of_the_item_as_a_whole(tmp_path: Path) -> None:
    item = stac_item(**projection(20))
    for asset in item["assets"].values():
        del asset["proj:shape"], asset["proj:transform"]
    grid = opened_with(tmp_path, item, placed=False, shape=(549, 549)).bands["blue"]["native"].raster.grid
    assert grid is not None and grid.pixel == (200.0, 200.0)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"proj:transform": [10, 1, 300_000, 0, -10, 4_800_000]}, "north-up"),
        ({"proj:transform": [0, 0, 300_000, 0, -10, 4_800_000]}, "north-up"),
        ({"proj:transform": [10, 0, 300_000]}, "proj:transform"),
        ({"proj:transform": [10, 0, "east", 0, -10, 4_800_000]}, "proj:transform"),
        ({"proj:shape": [10980]}, "proj:shape"),
        ({"proj:shape": [0, 0]}, "north-up"),
        ({"proj:shape": None}, "proj:shape"),
        ({"proj:code": "EPSG:klingon"}, "proj:code"),
    ],
)
def test_no_grid_to_be_had(tmp_path: Path, change: dict[str, Any], word: str) -> None:
    item = stac_item()
    item["assets"]["blue"] |= change
    with pytest.raises(BadInput, match=word):
        opened_with(tmp_path, item, placed=False)


def test_no_crs_anywhere_names_the_file(tmp_path: Path) -> None:
    item = stac_item()
    del item["properties"]["proj:epsg"]
    with pytest.raises(BadInput, match=r"B02\.tif: has no coordinate reference system"):
        opened_with(tmp_path, item, placed=False)


def test_a_damaged_band_is_left_to_who_needs_it(tmp_path: Path) -> None:
    folder = make_stac(tmp_path, stac_item())
    (folder / "B05.tif").write_bytes(b"")
    (folder / "B11.tif").write_bytes(b"no raster")
    assert list(open_granule(folder).bands) == ["blue", "rededge071", "swir16"]


def test_a_virtual_raster_is_not_followed(tmp_path: Path) -> None:
    """A file called .tif that names another place is untrusted: it is never asked for its shape."""
    folder = make_stac(tmp_path, stac_item(), placed=False, shape=(915, 915))
    (folder / "B02.tif").write_text(
        '<VRTDataset rasterXSize="5" rasterYSize="5"><VRTRasterBand dataType="UInt16" band="1"><SimpleSource>'
        "<SourceFilename>/vsicurl/https://evil.example/x.tif</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    assert open_granule(folder).bands["blue"]["native"].raster.grid is None


def test_angle_grids_of_a_staged_tile_metadata(tmp_path: Path) -> None:
    item = stac_item()
    item["assets"]["granule_metadata"] = {"href": "s3://bucket/metadata/granule_metadata.xml"}
    folder = make_stac(tmp_path, item)
    (folder / "granule_metadata.xml").write_text(tile_xml(grids=angle_grids(step=5000)))
    sun = open_granule(folder).sun
    assert sun is not None and sun.grid is not None and sun.grid.step == (2500.0, 5000.0)


# Untrusted addresses


@pytest.mark.parametrize(
    "href",
    [
        "B02.tif",
        "./B02.tif",
        "s3://bucket/a/b/B02.tif",
        "https://cogs.example/B02.tif?token=x#y",
        "/vsicurl/https://cogs.example/B02.tif",
        "../../elsewhere/B02.tif",
        "https://cogs.example/B02%2Etif",
    ],
)
def test_only_the_last_part_of_an_address_counts(tmp_path: Path, href: str) -> None:
    item = stac_item()
    item["assets"]["blue"]["href"] = href
    assert opened_with(tmp_path, item).bands["blue"]["native"].raster.path == tmp_path / "scene" / "B02.tif"


@pytest.mark.parametrize(
    "href",
    [
        "../B02.tif/..",
        "https://cogs.example/",
        "",
        "..",
        "..%5Csecret.tif",
        "%2e%2e",
        "a\x00b.tif",
        "B02%00.tif",
        "https://[broken/B02.tif",
        "%ff%fe.tif",
        "x" * 300,
        None,
        7,
        ["B02.tif"],
        {"href": "B02.tif"},
        'NETCDF:"B02.tif":x',
        "https://cogs.example/other.tif",
        "https://cogs.example/a%2F..%2F..%2Fsecret.tif",
    ],
)
def test_addresses_that_lead_nowhere_are_not_staged(tmp_path: Path, href: object) -> None:
    (tmp_path / "secret.tif").touch()
    item = stac_item()
    item["assets"]["blue"]["href"] = href
    granule = opened_with(tmp_path, item)
    assert "blue" not in granule.bands
    message = str(granule.missing("blue", "water"))
    assert "asset 'blue'" in message and "not staged" in message


def test_what_is_not_staged_names_asset_and_file(tmp_path: Path) -> None:
    granule = opened_with(tmp_path, stac_item(), rasters=("B02", "B05"))
    assert "swir16" not in granule.bands and granule.masks == ()
    assert "asset 'swir16' as B11.tif beside the item: not staged" in str(granule.missing("swir16", "snow"))
    assert "asset 'scl' as SCL.tif" in str(granule.missing("any_cloud", "snow"))


# Damage


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"id": "../../etc"}, "id"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"properties": None}, "properties"),
        ({"properties": []}, "properties"),
        ({"assets": {"blue": "B02.tif"}}, "assets"),
        ({"assets": {str(number): {} for number in range(1001)}}, "assets"),
        ({"links": "none"}, "links"),
    ],
)
def test_a_frame_of_wrong_types(tmp_path: Path, change: dict[str, Any], word: str) -> None:
    with pytest.raises(BadInput, match=rf"item\.json: {word}"):
        opened_with(tmp_path, {**stac_item(), **change})


@pytest.mark.parametrize(
    ("properties", "word"),
    [
        ({"datetime": None}, "datetime"),
        ({"datetime": "2021-13-45T00:00:00Z"}, "datetime"),
        ({"datetime": 20210415}, "datetime"),
        ({"platform": "landsat-8"}, "platform"),
        ({"view:sun_elevation": 500}, "view:sun_elevation"),
        ({"view:sun_elevation": "high"}, "view:sun_elevation"),
        ({"view:sun_azimuth": True}, "view:sun_azimuth"),
        ({"eo:cloud_cover": 10**400}, "eo:cloud_cover"),
        ({"s2:processing_baseline": "new"}, "s2:processing_baseline"),
        ({"grid:code": "MGRS-31TZZ"}, "grid:code"),
        ({"earthsearch:boa_offset_applied": "true"}, "boa_offset_applied"),
        ({"sat:relative_orbit": -4}, "sat:relative_orbit"),
    ],
)
def test_absurd_properties(tmp_path: Path, properties: dict[str, Any], word: str) -> None:
    item = stac_item(**properties)
    if word == "platform":
        item["id"] = "LC08_199030"
    with pytest.raises(BadInput, match=rf"item\.json: .*{word}"):
        opened_with(tmp_path, item)


@pytest.mark.parametrize(
    ("band", "word"),
    [
        ({"scale": 0}, "scale"),
        ({"scale": -1}, "scale"),
        ({"offset": -1000}, "offset"),
        ({"nodata": "zero"}, "nodata"),
    ],
)
def test_absurd_packing(tmp_path: Path, band: dict[str, Any], word: str) -> None:
    item = stac_item()
    item["assets"]["blue"]["raster:bands"] = [band]
    with pytest.raises(BadInput, match=rf"asset 'blue': {word}"):
        opened_with(tmp_path, item)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"\xff\xfe",
        b'{"type": "Feature"}',
        b"[" * 100_000,
        b'{"a": NaN}',
        b'{"type": "Catalog"}',
    ],
    ids=["empty", "cut", "list", "number", "binary", "no-frame", "deep", "nan", "catalog"],
)
def test_json_that_is_no_item(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "item.json"
    path.write_bytes(content)
    for place in (path, tmp_path):
        with pytest.raises(BadInput, match=r"item\.json: is no "):
            open_granule(place)


def test_level(tmp_path: Path) -> None:
    item = stac_item(**{"s2:product_type": "S2MSI1C"})
    granule = opened_with(tmp_path, item)
    assert (granule.level, granule.masks) == ("L1C", ())


def test_level_that_nobody_knows(tmp_path: Path) -> None:
    item = stac_item(**{"s2:product_uri": None})
    item |= {"collection": "scenes", "id": "S2A_31TCH"}
    with pytest.raises(BadInput, match="L1C or L2A"):
        opened_with(tmp_path, item)
