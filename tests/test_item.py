"""The STAC item: valid, complete, true to the ground, and free of what a product must not tell."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.catalogue.products import (
    COG,
    DEPTH,
    NOON,
    a_granule,
    a_provenance,
    an_item,
    digits,
    snow,
    some_assets,
)
from tests.stac import errors
from thalweg.errors import BadInput, BadParameters, MissingInput
from thalweg.granule import Sun
from thalweg.grid import Grid
from thalweg.item import Asset, InputFile, build_item, item_file, read_item, write_item
from thalweg.stac import number, render, rfc3339
from thalweg.tile import Tile, tile_ids

SOME_TILES = ("31TCH", "01CCV", "60WWV", "01WCV", "33UUP", "56JLL", "18NTP")


def make(**changes: Any) -> dict[str, Any]:
    """An item of a granule that differs in some facts."""
    grid = Tile("31TCH").grid(20)
    return build_item(
        "x_1", snow.collection, a_granule(**changes), grid, some_assets(grid), {}, a_provenance(), snow
    )


@pytest.mark.parametrize("tile", [tile for tile in SOME_TILES if tile in set(tile_ids())])
def test_an_item_is_valid_and_survives_pystac(tile: str) -> None:
    item = an_item(tile)
    assert errors(item) == []
    again = pystac.Item.from_dict(item).to_dict(include_self_link=False)
    when = again["properties"].pop("datetime"), item["properties"].pop("datetime")
    assert datetime.fromisoformat(when[0]) == datetime.fromisoformat(when[1])
    assert again["properties"] == item["properties"]
    assert again["assets"] == item["assets"]


def test_an_item_off_the_mgrs_grid_is_valid_without_grid_code() -> None:
    item = make(tile="199030", on_mgrs=False, platform="L8")
    assert errors(item) == []
    assert not [key for key in item["properties"] if key.startswith(("grid:", "mgrs:"))]
    assert item["properties"]["platform"] == "landsat-8"
    assert "U.S. Geological Survey" in item["properties"]["attribution"]


def test_an_item_of_little_known_origin_is_valid() -> None:
    item = make(
        tile="my lake", on_mgrs=False, platform="", sun=None, cloud_cover=None, baseline=None, orbit=None
    )
    assert errors(item) == []
    properties = item["properties"]
    assert not [key for key in properties if key.startswith(("view:", "eo:")) or key == "platform"]


def test_the_validator_finds_what_is_wrong() -> None:
    for spoil in (
        {"proj:shape": [1.5, 2]},
        {"datetime": "yesterday"},
        {"grid:code": "31TCH"},
        {"view:sun_elevation": 100},
        {"processing:software": {"numpy": 2}},
        {"eo:clouds": 3},
    ):
        item = an_item()
        item["properties"].update(spoil)
        assert errors(item), spoil
    item = an_item()
    item["assets"]["mask"]["classification:classes"][0].pop("name")
    assert errors(item)


def test_what_stands_in_the_properties() -> None:
    properties = make()["properties"]
    assert properties["datetime"] == "2021-04-15T10:59:10.624Z"
    assert properties["grid:code"] == "MGRS-31TCH"
    assert (
        properties["mgrs:utm_zone"],
        properties["mgrs:latitude_band"],
        properties["mgrs:grid_square"],
    ) == (31, "T", "CH")
    assert (properties["view:sun_azimuth"], properties["view:sun_elevation"]) == (150.25, 49.5)
    assert properties["eo:cloud_cover"] == 12.5
    assert properties["proj:code"] == "EPSG:32631"
    assert properties["proj:shape"] == [5490, 5490]
    assert properties["proj:transform"] == [20.0, 0.0, 300000.0, 0.0, -20.0, 4800000.0]
    assert properties["license"] == "CC-BY-4.0"
    assert properties["version"] == properties["processing:version"] == "1.0"
    assert properties["processing:level"] == "L2B"
    assert properties["processing:facility"] == "laboratory"
    assert properties["attribution"].startswith("Contains modified Copernicus Sentinel data 2021. ")
    assert "WorldDEM-30" in properties["attribution"]


def test_own_prefix_is_kept_for_what_no_extension_has() -> None:
    item = an_item(run="alps-1", campaign="alps", token="abc", properties={"thalweg:quality": {"valid": 0.9}})
    own = {key.removeprefix("thalweg:") for key in item["properties"] if key.startswith("thalweg:")}
    assert own == {"unit_id", "maturity", "parameter_digest", "resources", "campaign", "run", "quality"}
    assert item["properties"]["thalweg:resources"]["host"] == "node001"
    assert {"rel": "via", "href": "urn:thalweg:run:alps-1", "title": "Run alps-1"} in item["links"]


def test_identity_cannot_be_overwritten_by_a_chain_and_times_can() -> None:
    item = an_item(
        properties={
            "thalweg:unit_id": "mine",
            "start_datetime": "2021-04-01T00:00:00Z",
            "end_datetime": "2021-04-30T23:59:59Z",
            "datetime": None,
        }
    )
    assert len(item["properties"]["thalweg:unit_id"]) == 64
    assert errors(item) == []


def test_the_recipe_tells_how_to_make_it_again() -> None:
    grid = Tile("31TCH").grid(20)
    provenance = a_provenance(
        parameters={"ndsi": 0.5, "codes": (1, 2)},
        inputs=(InputFile("red", "/data/in/x_FRE_B4.tif", 5, "crc32:00000000"),),
    )
    item = build_item("x_1", snow.collection, a_granule(), grid, [], {}, provenance, snow)
    expression = item["properties"]["processing:expression"]
    recipe = expression["expression"]
    assert expression["format"] == "thalweg"
    assert recipe["parameters"] == {"ndsi": 0.5, "codes": [1, 2]}
    assert recipe["changed"] == {"ndsi": 0.5}
    assert recipe["inputs"] == [
        {"role": "red", "file": "x_FRE_B4.tif", "size": 5, "checksum": "crc32:00000000"}
    ]
    assert recipe["statics"][0]["checksum"] == f"sha256:{digits('dem')}"
    assert recipe["granule"]["baseline"] == "V2-2"


def test_nothing_in_it_is_absolute() -> None:
    item = make(path=Path("/data/in/x"), item="/data/in/x/item.json")
    assert "/data" not in json.dumps(item)
    hrefs = [asset["href"] for asset in item["assets"].values()]
    assert hrefs == ["./mask.tif", "./depth.tif", "./flags.tif", "./x.png", "./expert/run.json"]


def test_links_to_the_collection_and_the_input() -> None:
    links = {link["rel"]: link for link in make()["links"]}
    file = item_file(snow.collection, "31TCH", NOON, "x_1")
    collection = (Path("/d") / file).parent / links["collection"]["href"]
    assert Path(collection).resolve() == Path("/d/lab.snow-1.0/collection.json")
    assert links["derived_from"]["href"] == f"urn:thalweg:granule:{a_granule().id}"
    address = "https://example.org/items/1"
    linked = next(link for link in make(item=address)["links"] if link["rel"] == "derived_from")
    assert linked["href"] == address


def test_assets_describe_their_files() -> None:
    assets = make()["assets"]
    mask, depth, flags = assets["mask"], assets["depth"], assets["flags"]
    assert mask["file:checksum"] == "1220" + digits("mask")
    assert mask["file:size"] == 10
    assert mask["type"] == COG
    assert "proj:shape" not in mask
    assert flags["proj:shape"] == [2745, 2745]
    (band,) = depth["bands"]
    assert (band["data_type"], band["nodata"], band["unit"]) == ("int16", -1, "m")
    assert (band["raster:scale"], band["raster:offset"]) == (0.01, 0.5)
    assert "classification:classes" not in depth
    assert "bands" not in assets["quicklook"]


def test_classes_with_colours_and_nodata() -> None:
    assert make()["assets"]["mask"]["classification:classes"] == [
        {"value": 0, "name": "no_snow", "color_hint": "A69678"},
        {"value": 100, "name": "snow", "description": "snow on the ground", "color_hint": "78C8FF"},
        {"value": 255, "name": "nodata", "description": "no observation", "nodata": True},
    ]


def test_bits_are_fields_of_their_own_and_unnamed_ones_are_left_out() -> None:
    fields = make()["assets"]["flags"]["classification:bitfields"]
    assert [(field["offset"], field["length"], field["name"]) for field in fields] == [
        (0, 1, "sun_too_low"),
        (2, 1, "water"),
    ]


@pytest.mark.parametrize("file", ["/etc/passwd", "../x.tif", "a/../../x.tif", "a\\b.tif", ""])
def test_an_asset_outside_the_product_is_refused(file: str) -> None:
    grid = Tile("31TCH").grid(60)
    asset = Asset("x", file, COG, ("data",), "x", None, 1, digits("x"))
    with pytest.raises(BadInput, match="no path inside a product"):
        build_item("x_1", snow.collection, a_granule(), grid, [asset], {}, a_provenance(), snow)


def test_two_assets_of_one_key_are_refused() -> None:
    grid = Tile("31TCH").grid(60)
    with pytest.raises(BadInput, match="share a key"):
        build_item("x", snow.collection, a_granule(), grid, some_assets(grid) * 2, {}, a_provenance(), snow)


@pytest.mark.parametrize(("collection", "maturity"), [("snow-1", "prototype"), ("snow-1-prototype", "final")])
def test_prototypes_keep_to_themselves(collection: str, maturity: str) -> None:
    grid = Tile("31TCH").grid(60)
    with pytest.raises(BadParameters, match="prototypes"):
        build_item("x", collection, a_granule(), grid, [], {}, a_provenance(maturity=maturity), snow)


def test_credits_of_a_file_win_over_those_of_its_role() -> None:
    own = a_provenance(statics=(InputFile("dem", "dem.tif", 1, "sha256:00", credit="DEM by the village"),))
    grid = Tile("31TCH").grid(60)
    item = build_item("x", snow.collection, a_granule(platform="drone"), grid, [], {}, own, snow)
    assert item["properties"]["attribution"] == "DEM by the village"


def test_unusable_sun_angles_are_left_out() -> None:
    assert errors(make(sun=Sun(math.nan, math.nan))) == []
    assert make(sun=Sun(95.0, 400.0))["properties"]["view:sun_azimuth"] == 40.0
    assert make(sun=Sun(95.0, -10.0))["properties"]["view:sun_elevation"] == -5.0


# Writing and reading


def test_equal_items_are_equal_files(tmp_path: Path) -> None:
    item = make()
    write_item(tmp_path / "a.json", item)
    write_item(tmp_path / "b.json", dict(reversed(item.items())))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert read_item(tmp_path / "a.json") == item
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"]


def test_numbers_stand_on_one_line(tmp_path: Path) -> None:
    document = {
        "a": [1, 2.5, None, True],
        "b": [[1, 2], [3, 4]],
        "c": ["[\n1\n]", 1],
        "d": [],
        "e": [{"f": [1e-7]}],
    }
    write_item(tmp_path / "a.json", document)
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == document
    assert '"a": [1, 2.5, null, true]' in text
    assert "    [1, 2],\n    [3, 4]\n" in text


@given(st.dictionaries(st.text(), st.recursive(st.integers() | st.text(), st.lists), max_size=5))
def test_what_is_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-document.json"
    try:
        write_item(path, document)
    except UnicodeEncodeError:
        return
    assert json.loads(path.read_text(encoding="utf-8")) == document


def test_a_failed_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_item(path, {"old": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_item(path, {"new": math.inf})
    with pytest.raises(UnicodeEncodeError):
        write_item(path, {"new": "\ud800"})
    assert path.read_text() == '{\n  "old": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


BROKEN = {
    "cut": b'{"type": "Feature", "stac_ver',
    "empty": b"",
    "a list": b"[1, 2]",
    "not UTF-8": b'{"type": "Feature\xff"}',
    "not a number": b'{"type": NaN}',
    "deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a long number": b'{"a": ' + b"9" * 10_000 + b"}",
    "a collection": b'{"type": "Collection", "stac_version": "1.1.0"}',
    "without version": b'{"type": "Feature"}',
    "large": b'{"a": "' + b"x" * (5 << 20) + b'"}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_item_is_refused_by_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(BROKEN[name])
    with pytest.raises(BadInput, match=r"x\.json"):
        read_item(path)


def test_an_absent_item_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"x\.json"):
        read_item(tmp_path / "x.json")
    with pytest.raises(BadInput, match="directory"):
        read_item(tmp_path)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_item_or_bad_input(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(content)
    with pytest.raises(BadInput):
        read_item(path)


# Words of STAC


@given(st.datetimes(timezones=st.sampled_from([None, UTC, timezone(timedelta(hours=5, minutes=30))])))
def test_times_are_written_so_that_they_can_be_read_back(time: datetime) -> None:
    if time.tzinfo and not 2 < time.year < 9998:
        return
    read = datetime.fromisoformat(rfc3339(time))
    assert rfc3339(time).endswith("Z")
    assert read == (time if time.tzinfo else time.replace(tzinfo=UTC))


def test_numbers_that_json_lacks() -> None:
    assert [number(value) for value in (255.0, 0.5, math.nan, -math.inf)] == [255, 0.5, "nan", "-inf"]
    assert isinstance(number(255.0), int)


def test_a_ramp_beyond_a_byte_is_stretched() -> None:
    hint = render(DEPTH)
    assert hint is not None
    assert hint["rescale"] == [[0, 500]]
    assert len(hint["colormap"]) == 256
    assert hint["colormap"]["0"] == [0, 0, 0, 255]
    assert hint["colormap"]["255"] == [255, 255, 255, 255]


def test_geographic_grids_count_in_metres() -> None:
    item = make()
    degrees = Grid("EPSG:4326", 2.0, 44.0, (0.0001, 0.0001), (100, 100))
    item = build_item("x", snow.collection, a_granule(on_mgrs=False), degrees, [], {}, a_provenance(), snow)
    assert item["properties"]["gsd"] == pytest.approx(11.1)
    assert errors(item) == []
