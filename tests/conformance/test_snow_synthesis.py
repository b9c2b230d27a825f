"""Products of the snow synthesis against the conformance set: every layer of both profiles, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio

import thalweg
from tests.conftest import shared_folder
from thalweg.ending import Ending

PERIODS = {"season_s2l8": "2020-11-01/2021-01-31", "season_small": "2021-01-01/2021-01-31"}
LIS = {"profile": "lis-1.11"}


@dataclass(frozen=True)
class Case:
    """A season, a folder of expected layers, and the parameters that give them."""

    season: str
    expected: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.season}-{self.expected}"


CASES = [
    Case("season_s2l8", "expected_lis", LIS),
    Case("season_s2l8", "expected_default"),
    Case("season_s2l8", "expected_default_maxgap30", {"max_gap_days": 30}),
    Case("season_s2l8", "expected_default_fsc", {"interp": "fsc"}),
    Case("season_small", "expected_lis", LIS),
    Case("season_small", "expected_default"),
    Case("season_small", "expected_default_maxgap12", {"max_gap_days": 12}),
    Case("season_small", "expected_default_fsc", {"interp": "fsc"}),
]


@pytest.fixture(scope="module")
def seasons(repository: Path) -> Path:
    """The whole set where it is, else the season that the repository holds."""
    whole = shared_folder()
    return (whole if whole else repository / "tests" / "data") / "conformance" / "snow" / "synthesis"


def made(case: Case, seasons: Path, to: Path, **options: Any) -> Ending:
    """How the unit of the season's tile ended; its product is there."""
    inputs = seasons / case.season / "input"
    if not inputs.is_dir():
        pytest.skip(f"{case.season} is not among the seasons that the repository holds: set THALWEG_SHARED")
    endings = thalweg.run(
        inputs, "snow_synthesis", to=to, period=PERIODS[case.season], **{**case.parameters, **options}
    )
    (ending,) = (one for one in endings if one.tile == "31TCH")
    assert ending.product is not None, f"{ending.error}\n{ending.trace}"
    return ending


def layer(ending: Ending, name: str) -> Any:
    assert ending.product and ending.item
    with rasterio.open(ending.product / ending.item["assets"][name]["href"]) as raster:
        return raster.read(1)


def rasters(ending: Ending) -> dict[str, bytes]:
    assert ending.product
    return {path.name: path.read_bytes() for path in sorted(ending.product.glob("*.tif"))}


def test_every_expected_folder_has_a_case(seasons: Path) -> None:
    found = {(path.parent.name, path.name) for path in seasons.glob("*/expected*")}
    assert found
    assert found <= {(case.season, case.expected) for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_no_value_differs(case: Case, seasons: Path, tmp_path: Path) -> None:
    ending = made(case, seasons, tmp_path)
    expected = sorted((seasons / case.season / case.expected).glob("*.tif"))
    compared = [path for path in expected if not path.stem.endswith("_peer")]
    assert len(compared) >= 4
    for path in compared:
        with rasterio.open(path) as raster:
            assert np.count_nonzero(raster.read(1) != layer(ending, path.stem)) == 0, path.stem


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_no_day_differs(case: Case, seasons: Path, tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    folder = seasons / case.season / case.expected
    packed, whole = folder / "daily_packed.npz", folder / "daily.npz"
    if not (packed.exists() or whole.exists()):
        pytest.skip("no daily masks in this folder")
    ending = made(case, seasons, tmp_path, daily_masks=True)
    assert ending.product and ending.item
    asset = ending.item["assets"]["daily_snow"]
    days = zarr.open_group(ending.product / asset["href"], mode="r", use_consolidated=True)["daily_snow"][:]
    if whole.exists():
        (expected,) = np.load(whole).values()
    else:
        stored = np.load(packed)
        expected = np.unpackbits(stored["bits"], axis=0)[: int(stored["n_days"])]
    assert days.shape == expected.shape
    assert np.array_equal(days, expected)


def test_the_cube_of_days_opens_with_time_and_crs(seasons: Path, tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    xarray = pytest.importorskip("xarray")
    ending = made(CASES[5], seasons, tmp_path, daily_masks=True)
    assert ending.product and ending.item
    asset = ending.item["assets"]["daily_snow"]
    with xarray.open_zarr(ending.product / asset["href"], mask_and_scale=False) as cube:
        assert cube.daily_snow.dims == ("time", "y", "x")
        assert str(cube.time.values[0])[:10] == "2021-01-01"
        assert len(cube.time) == 31
        assert "UTM zone 31N" in cube.spatial_ref.attrs["crs_wkt"]
        assert cube.daily_snow.attrs["flag_meanings"] == "no_snow snow"
    assert asset["type"] == "application/vnd.zarr; version=3"
    assert asset["file:size"] > 0


def test_documents_are_those_of_let_it_snow(seasons: Path, tmp_path: Path) -> None:
    case = CASES[0]
    product = made(case, seasons, tmp_path).product
    assert product
    expected = ElementTree.parse(seasons / case.season / case.expected / "LIS_METADATA.XML").iter()
    ours = ElementTree.parse(product / "LIS_METADATA.XML").iter()
    assert [(one.tag, (one.text or "").strip()) for one in ours] == [
        (one.tag, (one.text or "").strip()) for one in expected
    ]
    days = (product / "input_dates.txt").read_text()
    assert days.split("\n") == [
        *("20201020", "20201103", "20201104", "20201118", "20201207", "20201211", "20201214"),
        *("20201230", "20210109", "20210131", "20210208"),
    ]
    assert (product / "output_dates.txt").read_text().count("\n") == 91


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_no_strip_height_changes_a_byte(rows: int, seasons: Path, tmp_path: Path) -> None:
    case = CASES[5]
    whole = made(case, seasons, tmp_path / "whole")
    assert rasters(made(case, seasons, tmp_path / "strips", strip_rows=rows)) == rasters(whole)


def test_the_item_tells_what_was_used_and_what_was_not(seasons: Path, tmp_path: Path) -> None:
    ending = made(CASES[1], seasons, tmp_path)
    assert ending.item
    properties = ending.item["properties"]
    assert (properties["start_datetime"], properties["end_datetime"]) == (
        "2020-11-01T00:00:00Z",
        "2021-01-31T23:59:59Z",
    )
    rejected = {entry["product"]: entry["reason"] for entry in properties["snow:products_rejected"]}
    assert rejected["LIS_S2-SNOW-FSC_T31TDH_20201125T105910_1.11.0"] == "of tile 31TDH"
    assert "outside" in rejected["LIS_S2-SNOW-FSC_T31TCH_20201010T105910_1.11.0"]
    links = [link["title"] for link in ending.item["links"] if link["rel"] == "derived_from"]
    assert links == properties["snow:products_used"]
    assert not set(links) & set(rejected)


def test_the_last_day_of_the_margin_is_lost_by_let_it_snow_alone(seasons: Path, tmp_path: Path) -> None:
    name = "LIS_S2-SNOW-FSC_T31TCH_20210215T105920_1.11.0"
    default, lis = (made(case, seasons, tmp_path / case.expected) for case in (CASES[1], CASES[0]))
    assert default.item and lis.item
    assert name in default.item["properties"]["snow:products_used"]
    assert name not in lis.item["properties"]["snow:products_used"]
