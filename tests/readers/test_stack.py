from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml

from tests.readers.products import STACK, make_stack
from thalweg.errors import BadInput
from thalweg.masks import Codes
from thalweg.readers import open_granule
from thalweg.readers.stackschema import stack_schema

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def test_a_stack(tmp_path: Path) -> None:
    granule = open_granule(make_stack(tmp_path, STACK))
    assert (granule.id, granule.tile, granule.on_mgrs) == ("stack", "flood-spain", False)
    assert (granule.level, granule.platform) == ("L1C", "user")
    assert granule.sensed == datetime(2019, 9, 18, 10, 50, 31, tzinfo=UTC)
    red = granule.bands["red"]["native"]
    assert (red.raster.path, red.raster.band) == (tmp_path / "S2Hand.tif", 4)
    assert (red.raster.scale, red.raster.offset, red.raster.nodata) == (0.0001, 0, 0)
    assert (red.reflectance.quantification, red.reflectance.add) == (10000, 0)
    assert (granule.masks, granule.sun, granule.attribution) == ((), None, "")


def test_everything_that_may_be_said(tmp_path: Path) -> None:
    granule = open_granule(
        make_stack(
            tmp_path,
            {
                **STACK,
                "platform": "S2B",
                "attribution": "Contains modified Copernicus Sentinel data 2019",
                "offset": -0.1,
                "bands": {
                    "green": {"band": 3, "offset": 0, "nodata": -99},
                    "red": {"band": 4},
                    "nir": {"file": "nir.nc", "variable": "rho_nir", "scale": 1, "nodata": "nan"},
                },
                "sun": {"zenith": 38.2, "azimuth": -156.9},
                "masks": [
                    {"file": "scl.tif", "meanings": {"cloud": [8, 9], "water": [6]}},
                    {
                        "file": "flags.tif",
                        "band": 2,
                        "meanings": {"snow": {"bits": [4, 96]}, "nodata": "nonzero"},
                    },
                ],
            },
        )
    )
    green, red, nir = (granule.bands[role]["native"] for role in ("green", "red", "nir"))
    assert (green.raster.offset, green.raster.nodata, red.raster.offset) == (0, -99, -0.1)
    assert (green.reflectance.add, red.reflectance.add) == (0, -1000)
    assert nir.raster.source == f'NETCDF:"{tmp_path}/nir.nc":rho_nir'
    assert nir.raster.scale == 1 and math.isnan(nir.raster.nodata or 0)
    assert granule.sun is not None and (granule.sun.zenith, granule.sun.azimuth) == (38.2, -156.9)
    scl, flags = granule.masks
    assert scl.legend == {"cloud": Codes(values=frozenset({8, 9})), "water": Codes(values=frozenset({6}))}
    assert flags.legend == {"snow": Codes(bits=(4, 96)), "nodata": Codes(nonzero=True)}
    assert flags.raster.band == 2 and scl.kind != flags.kind
    assert granule.attribution.endswith("2019")


def test_a_tile_of_the_grid(tmp_path: Path) -> None:
    content = {**STACK, "tile": "T31TCH"}
    del content["site"]
    granule = open_granule(make_stack(tmp_path, content))
    assert (granule.tile, granule.on_mgrs) == ("31TCH", True)


def test_no_tile_no_site_then_the_files_name(tmp_path: Path) -> None:
    content = {key: value for key, value in STACK.items() if key != "site"}
    assert open_granule(make_stack(tmp_path, content, "lake-como.yml")).tile == "lake-como"
    with pytest.raises(BadInput, match="site: is missing"):
        open_granule(make_stack(tmp_path, content, "lake como.yml"))


def test_files_of_several_resolutions(tmp_path: Path) -> None:
    red = [{"file": "r20.tif", "resolution": 20}, {"file": "r10.tif", "resolution": 10}]
    granule = open_granule(make_stack(tmp_path, {**STACK, "bands": {"red": red}}))
    assert list(granule.bands["red"]) == ["10", "20"]


def test_where_files_are(tmp_path: Path) -> None:
    """Relative names count from the folder of the YAML itself; climbing and absolute names are the user's right."""
    place = tmp_path / "data" / "stacks"
    place.mkdir(parents=True)
    bands = {"green": {"file": "../g.tif"}, "red": {"file": "/srv/r.tif"}, "nir": {"file": "sub/n.tif"}}
    link = tmp_path / "link.yaml"
    link.symlink_to(make_stack(place, {**STACK, "bands": bands}))
    paths = {role: keys["native"].raster.path for role, keys in open_granule(link).bands.items()}
    assert paths == {"green": place / "../g.tif", "red": Path("/srv/r.tif"), "nir": place / "sub/n.tif"}


def test_values_are_never_guessed(tmp_path: Path) -> None:
    """What YAML 1.1 makes of `no`, `0o17`, `1_000` and an unquoted date does not matter here."""
    text = "level: L2A\ntime: 2019-09-18\nsite: no\nbands: {red: {file: r.tif, nodata: -1.0e+1}}\n"
    granule = open_granule(make_stack(tmp_path, text))
    assert (granule.tile, granule.sensed) == ("no", datetime(2019, 9, 18, tzinfo=UTC))
    assert granule.bands["red"]["native"].raster.nodata == -10


@pytest.mark.parametrize(
    ("scales", "quantification"),
    [((0.0001, 0.0001), 10000), ((0.001, 0.001), 1000), ((0.001, 0.0001), 10000), ((1.0, 1.0), 10000)],
)
def test_one_quantification_for_all_bands(
    tmp_path: Path, scales: tuple[float, float], quantification: int
) -> None:
    bands = {role: {"scale": scale} for role, scale in zip(("green", "red"), scales, strict=True)}
    granule = open_granule(make_stack(tmp_path, {**STACK, "bands": bands}))
    assert {keys["native"].reflectance.quantification for keys in granule.bands.values()} == {quantification}
    assert granule.per_milli == quantification // 1000


@pytest.mark.parametrize("offset", [-0.1, -0.10005, -0.10004, 0.00005, 0.2])
def test_counts_are_the_stored_number_plus_a_constant(tmp_path: Path, offset: float) -> None:
    granule = open_granule(make_stack(tmp_path, {**STACK, "offset": offset}))
    band = granule.bands["red"]["native"]
    stored = np.arange(0, 5000, 7)
    exact = np.floor(np.round(10000 * (stored * band.raster.scale + band.raster.offset), 6) + 0.5)
    np.testing.assert_array_equal(stored + band.reflectance.add, exact)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sites": "x"}, r"stack.yaml:12: unknown key 'sites'. Did you mean 'site'\? Known: level, time"),
        ({"bands": {"gren": {"band": 3}}}, r"stack.yaml:8: unknown band role 'gren'. Did you mean 'green'"),
        ({"bands": {"red": {"bnad": 3}}}, r"stack.yaml:9: unknown key 'bnad'. Did you mean 'band'"),
        ({"bands": {}}, "bands: is missing"),
        ({"bands": None}, "bands: a mapping"),
        ({"bands": {"red": {}, "green": 4}}, "green: a mapping"),
        ({"bands": {"red": []}}, "bands.red: says nothing"),
        ({"bands": {"red": {"band": 0}}}, r"bands.red.band: '0' is not a number from 1"),
        ({"bands": {"red": {"band": 1.5}}}, "not a whole number"),
        ({"bands": {"red": {"scale": 0}}}, "bands.red.scale"),
        ({"bands": {"red": {"scale": "nan"}}}, "bands.red.scale"),
        ({"bands": {"red": {"nodata": "none"}}}, "bands.red.nodata"),
        ({"bands": {"red": {"variable": 'x" y'}}}, "bands.red.variable"),
        ({"bands": {"red": {"file": "/vsicurl/https://x.example/r.tif"}}}, "not the name of a local file"),
        ({"bands": {"red": {"file": "https://x.example/r.tif"}}}, "not the name of a local file"),
        ({"bands": {"red": [{"band": 1}, {"band": 2}]}}, "resolution of their own"),
        ({"bands": {"red": [{"resolution": 10}, {"resolution": 10}]}}, "resolution of their own"),
        ({"level": "L3"}, "level: unknown level 'L3'"),
        ({"level": None}, "level: is missing"),
        ({"time": None}, "time: is missing"),
        ({"time": "2021-13-45"}, "time: '2021-13-45' is no date and time"),
        ({"time": "0019-09-18"}, "time: .*outside 1972"),
        ({"time": ["2019-09-18"]}, "time: one value is wanted"),
        ({"tile": "31TCH"}, "a tile or a site, not both"),
        ({"site": None, "tile": "31TZZ"}, "tile: '31TZZ' is no tile"),
        ({"site": "../../etc"}, "site: "),
        ({"platform": "S2 A"}, "platform: "),
        ({"file": None}, "bands.green.file: is missing"),
        ({"sun": {"zenith": 30}}, "sun.azimuth: is missing"),
        ({"sun": {"zenith": 500, "azimuth": 0}}, "sun.zenith: '500'"),
        ({"sun": {"zenith": 30, "azimut": 0}}, "unknown key 'azimut'"),
        ({"masks": [{"file": "m.tif"}]}, "masks.meanings: is missing"),
        ({"masks": [{"meanings": {"clouds": [1]}}]}, "unknown meaning 'clouds'. Did you mean 'cloud'"),
        ({"masks": [{"meanings": {"cloud": []}}]}, "list of codes"),
        ({"masks": [{"meanings": {"cloud": "some"}}]}, "list of codes"),
        ({"masks": [{"meanings": {"cloud": [70000]}}]}, "cloud: '70000'"),
        ({"masks": [{"meanings": {"cloud": {"bits": [0]}}}]}, "cloud: '0'"),
        ({"masks": [{"meanings": {"cloud": {"bit": [1]}}}]}, "unknown key 'bit'"),
        ({"masks": [{"meanings": {"cloud": [[1]]}}]}, "plain values"),
        ({"masks": [7]}, "a mapping"),
    ],
)
def test_refusals_name_file_line_and_key(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message) as error:
        open_granule(make_stack(tmp_path, {**STACK, **change}))
    assert "stack.yaml" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("just words", "a mapping"),
        ("- a\n- list", "a mapping"),
        ("level: L1C\nlevel: L2A", r"stack.yaml:2: key 'level' is given twice"),
        ("[a, b]: c", "a key must be a plain word"),
        ("level: [", "no readable YAML"),
        ("level: 'L1C", "no readable YAML"),
        ("time: 2020-01-01\nlevel: !!python/object/apply:os.system ['true']", "one value is wanted"),
        ("level: &a L1C\ntime: *a", "aliases are not used"),
        ("a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]", "aliases are not used"),
        ("level: \x00", "no readable YAML"),
        ("[" * 5000, "no readable YAML"),
    ],
)
def test_text_that_is_no_stack(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        open_granule(make_stack(tmp_path, text))


def test_published_schema_is_fresh() -> None:
    assert json.loads((REFERENCE / "raster-stack.schema.json").read_text()) == stack_schema()


def test_the_documented_example_is_read_and_valid(tmp_path: Path) -> None:
    text = (REFERENCE / "raster-stack.md").read_text().split("```yaml\n")[1].split("```")[0]
    granule = open_granule(make_stack(tmp_path, text))
    assert (granule.platform, len(granule.bands), len(granule.masks)) == ("S2B", 6, 2)
    jsonschema.validate({**yaml.safe_load(text), "time": "2019-09-18T10:50:31Z"}, stack_schema())


@pytest.mark.parametrize(
    "change",
    [
        {"sites": "x"},
        {"bands": {"gren": {}}},
        {"tile": "31TCH"},
        {"level": "L3"},
        {"masks": [{"file": "m.tif"}]},
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(change: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**STACK, **change}, stack_schema())
