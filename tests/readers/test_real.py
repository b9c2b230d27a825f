"""Readers on real items and metadata, on the frozen conformance products, and on research data through a stack."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from tests.readers.products import make_stack
from thalweg.bands import SENTINEL2
from thalweg.errors import BadInput, MissingInput
from thalweg.granule import BandFile, Granule
from thalweg.readers import open_granule

CASES = {
    "s2_full": ("muscate", "S2A", datetime(2021, 4, 15, 10, 59, 10, 624000, UTC), 62.0),
    "s2_edge": ("muscate", "S2B", datetime(2022, 1, 20, 10, 59, 10, 624000, UTC), 50.0),
    "s2_few_snow": ("muscate", "S2A", datetime(2021, 8, 20, 10, 59, 10, 624000, UTC), 38.0),
    "s2_no_snowline": ("muscate", "S2A", datetime(2020, 11, 5, 10, 59, 10, 624000, UTC), 55.0),
    "l8_muscate": ("muscate", "L8", datetime(2021, 4, 15, 10, 30, 40, tzinfo=UTC), 62.0),
    "maja_native": ("maja", "S2A", datetime(2021, 4, 15, tzinfo=UTC), None),
    "sen2cor_safe": ("safe", "S2A", datetime(2021, 4, 15, 10, 56, 21, tzinfo=UTC), None),
    "sen2cor_offset": ("safe", "S2B", datetime(2022, 3, 15, 10, 56, 21, tzinfo=UTC), 60.0),
}

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def conformance(shared: Path, case: str) -> Granule:
    folder = shared / "conformance" / "snow" / "fsc" / case / "input"
    return open_granule(next(path for path in folder.iterdir() if path.is_dir()))


def reflectance(band: BandFile) -> tuple[np.ndarray, np.ndarray]:
    """Decoded values and where they are valid."""
    with rasterio.open(band.raster.path) as raster:
        stored = raster.read(band.raster.band)
    return stored * band.raster.scale + band.raster.offset, stored != band.raster.nodata


@pytest.mark.parametrize("case", CASES)
def test_conformance_products(shared: Path, case: str) -> None:
    format, platform, sensed, zenith = CASES[case]
    granule = conformance(shared, case)
    assert (granule.format, granule.platform, granule.sensed, granule.tile) == (
        format,
        platform,
        sensed,
        "31TCH",
    )
    assert {"green", "red", "swir16"} <= set(granule.bands)
    assert granule.masks_with("any_cloud")
    assert (granule.sun.zenith if granule.sun else None) == zenith
    for keys in granule.bands.values():
        for band in keys.values():
            with rasterio.open(band.raster.path) as raster:
                assert band.raster.band <= raster.count and raster.crs.to_epsg() == 32631


def test_angle_grid_with_one_hole(shared: Path) -> None:
    sun = conformance(shared, "s2_edge").sun
    assert sun is not None and sun.grid is not None
    assert (sun.grid.zenith.shape, sun.grid.step) == ((6, 6), (500.0, 500.0))
    assert np.argwhere(np.isnan(sun.grid.zenith)).tolist() == [[2, 1]]
    assert (sun.grid.zenith[0, 5], sun.grid.azimuth[5, 0]) == (58.5, 105.0)


def test_offsets_that_differ_by_band(shared: Path) -> None:
    granule = conformance(shared, "sen2cor_offset")
    added = {role: next(iter(keys.values())).reflectance.add for role, keys in granule.bands.items()}
    assert added == {"blue": -1000, "green": -1000, "red": -1040, "nir08": -980, "swir16": -950}


def test_real_l1c_metadata(shared: Path) -> None:
    folder = shared / "data" / "product-metadata"
    granule = open_granule(folder / "S2A_MSIL1C_20240120T105341_N0510_R051_T31TCJ_20240120T125244.SAFE")
    assert (granule.level, granule.tile, granule.baseline, granule.orbit) == ("L1C", "31TCJ", "05.10", 51)
    assert granule.cloud_cover == 0.0
    assert set(granule.bands) == set(SENTINEL2.values())
    assert {keys["native"].reflectance.add for keys in granule.bands.values()} == {-1000}
    assert granule.sun is not None and granule.sun.grid is not None
    assert (granule.sun.zenith, granule.sun.grid.zenith.shape) == (65.7554034542734, (23, 23))
    assert granule.sun.grid.zenith[0, 0] == 66.3733
    old = open_granule(folder / "S2A_MSIL1C_20180101T105441_N0206_R051_T31TDH_20180101T124911.SAFE")
    assert (list(old.bands), old.bands["coastal"]["native"].reflectance.add) == (["coastal"], 0)


def test_real_l2a_metadata_and_the_item_made_from_it(shared: Path, tmp_path: Path) -> None:
    """Two descriptions of one product, ESA's and stactools', beside the 180 degree meridian."""
    folder = shared / "data" / "product-metadata"
    product = next(folder.glob("S2A_MSIL2A_20230625T234621*.SAFE"))
    safe = open_granule(product)
    (tmp_path / "item.json").write_bytes((product / "expected_output.json").read_bytes())
    item = open_granule(tmp_path)
    assert (
        (safe.tile, safe.baseline, safe.orbit)
        == (item.tile, item.baseline, item.orbit)
        == ("01WCP", "05.09", 73)
    )
    assert safe.cloud_cover == pytest.approx(item.cloud_cover)
    assert safe.sun is not None and item.sun is not None
    assert (safe.sun.zenith, safe.sun.azimuth) == pytest.approx((item.sun.zenith, item.sun.azimuth))
    assert "T01WCP_20230625T234621_B11_20m.jp2" in str(item.missing("swir16", "snow"))


def test_template_of_muscate_metadata_is_no_metadata(shared: Path, tmp_path: Path) -> None:
    """MAJA's template holds `NOT_INITIALIZED` before every number: none of them may be believed."""
    name = "SENTINEL2A_20091211-165850-593_L2A_T15SVD_C_V1-0"
    (tmp_path / name).mkdir()
    template = shared / "data" / "product-metadata" / "MUSCATE_template" / "MTD_ALL.xml"
    text = template.read_text()
    (tmp_path / name / f"{name}_MTD_ALL.xml").write_text(text)
    with pytest.raises(BadInput, match="NOT_INITIALIZED"):
        open_granule(tmp_path / name)
    text = text.replace("NOT_INITIALIZED", "")
    (tmp_path / name / f"{name}_MTD_ALL.xml").write_text(text)
    granule = open_granule(tmp_path / name)
    assert granule.sun is not None
    assert (granule.sun.zenith, granule.sun.azimuth) == (39.9718067456829, 154.744010242116)
    assert (granule.sun.grid, granule.orbit, granule.cloud_cover) == (None, 65, 0)


def test_earth_search_item_of_a_desert(shared: Path) -> None:
    granule = open_granule(shared / "data" / "s2-l2a-cog-stac-29RKH")
    assert (granule.id, granule.tile, granule.baseline, granule.orbit) == (
        *("S2A_29RKH_20200219_0_L2A", "29RKH", "02.14", 37),
    )
    assert list(granule.bands) == [
        *("blue", "green", "red", "rededge071", "nir", "nir08", "swir16", "swir22")
    ]
    assert {keys["native"].reflectance.add for keys in granule.bands.values()} == {0}
    assert all(keys["native"].raster.grid is None for keys in granule.bands.values())
    assert [mask.kind for mask in granule.masks] == ["scl"]
    assert "B06.tif" in str(granule.missing("rededge075", "quality"))


@pytest.mark.parametrize(("tile", "top"), [("33TWL", 5_100_000), ("33TWM", 5_200_020)])
def test_neighbours_whose_files_know_no_place(shared: Path, tile: str, top: float) -> None:
    granule = open_granule(shared / "data" / "s2-l2a-two-tiles-33TWL-33TWM" / f"S2B_{tile}_20230813_0_L2A")
    assert list(granule.bands) == ["blue", "green", "red", "nir"]
    rasters = [keys["native"].raster for keys in granule.bands.values()] + [granule.masks[0].raster]
    for raster in rasters:
        assert raster.grid is not None
        assert raster.grid.describe() == f"EPSG:32633, corner (499980, {top}), pixel 120, 915 x 915 pixels"
    assert (
        granule.sun is not None and granule.sun.grid is not None and granule.sun.grid.zenith.shape == (23, 23)
    )
    error = granule.missing("swir16", "snow")
    assert isinstance(error, MissingInput) and "swir16" in str(error) and "B11.tif" in str(error)


def test_an_offset_that_is_out_already_is_not_taken_out_again(shared: Path) -> None:
    """`raster:bands` says -0.1 and the item that it was applied: only 0 gives reflectances that can be."""
    granule = open_granule(shared / "data" / "s2-l2a-two-tiles-33TWL-33TWM" / "S2B_33TWL_20230813_0_L2A")
    values, valid = reflectance(granule.bands["red"]["native"])
    assert 0.005 < np.percentile(values[valid], 1) < 0.02


# Research data, through a raster stack


def spain(shared: Path) -> dict[str, Any]:
    bands = {
        role: {"band": index}
        for index, role in enumerate(_order("B1 B2 B3 B4 B5 B6 B7 B8 B8A B9 B10 B11 B12"), 1)
    }
    return {
        "level": "L1C",
        "time": "2019-09-18T10:50:31Z",
        "site": "flood-spain",
        "file": str(shared / "data" / "s2-s1-flood-spain" / "Spain_7370579_S2Hand.tif"),
        "scale": 0.0001,
        "nodata": 0,
        "bands": bands,
    }


def amazon(shared: Path) -> dict[str, Any]:
    bands = {
        role: {"band": index}
        for index, role in enumerate(_order("B1 B2 B3 B4 B5 B6 B7 B8 B8A B9 B11 B12"), 1)
    }
    return {
        "level": "L2A",
        "time": "2023-07-01",
        "site": "river-amazon",
        "file": str(shared / "data" / "s2-river-srtm-amazon" / "sen2.tif"),
        "scale": 0.0001,
        "offset": -0.1,
        "bands": bands,
    }


def coast(shared: Path) -> dict[str, Any]:
    folder = shared / "data" / "s2-l1c-coast-20m"
    names = {"rededge071": "B05", "nir08": "B8A", "swir16": "B11", "swir22": "B12", "coastal": "B01"}
    return {
        "level": "L1C",
        "time": "2016-01-12",
        "tile": "18SVG",
        "scale": 0.0001,
        "nodata": 0,
        "bands": {role: {"file": str(folder / f"s2_{name}.tif")} for role, name in names.items()},
    }


def _order(bands: str) -> list[str]:
    return [SENTINEL2[band] for band in bands.split()]


def test_a_flood_at_the_top_of_the_atmosphere(shared: Path, tmp_path: Path) -> None:
    granule = open_granule(make_stack(tmp_path, spain(shared)))
    assert (granule.level, len(granule.bands), granule.on_mgrs) == ("L1C", 13, False)
    with rasterio.open(granule.bands["red"]["native"].raster.path) as raster:
        named = {SENTINEL2[name]: index for index, name in enumerate(raster.descriptions, 1)}
    assert {role: keys["native"].raster.band for role, keys in granule.bands.items()} == named
    values, valid = reflectance(granule.bands["green"]["native"])
    assert 0.02 < np.median(values[valid]) < 0.3


def test_a_river_whose_offset_is_still_in(shared: Path, tmp_path: Path) -> None:
    granule = open_granule(make_stack(tmp_path, amazon(shared)))
    assert granule.bands["red"]["native"].reflectance.add == -1000
    values, _ = reflectance(granule.bands["nir"]["native"])
    assert -0.01 < values.min() < 0.02


def test_a_coast_without_its_visible_bands(shared: Path, tmp_path: Path) -> None:
    granule = open_granule(make_stack(tmp_path, coast(shared)))
    assert (granule.tile, granule.on_mgrs) == ("18SVG", True)
    for role in ("green", "red", "blue"):
        message = str(granule.missing(role, "water"))
        assert role in message and "it holds: coastal, rededge071, nir08, swir16, swir22" in message


def test_a_variable_of_a_netcdf_cube(shared: Path, tmp_path: Path) -> None:
    cube = shared / "data" / "s2-s1-dem-monthly-belgium" / "worldcereal_preprocessed_inputs.nc"
    red = {"file": str(cube), "variable": "S2-L2A-B04", "band": 8, "scale": 0.0001, "nodata": 65535}
    content = {"level": "L2A", "time": "2021-06-01", "site": "belgium", "bands": {"red": red}}
    raster = open_granule(make_stack(tmp_path, content)).bands["red"]["native"].raster
    with rasterio.open(raster.source, driver="netCDF") as dataset:
        assert (dataset.count, dataset.crs.to_epsg()) == (12, 32631)
        values = dataset.read(raster.band)
    assert 0.0 < np.median(values[values != raster.nodata]) * raster.scale < 0.3


def test_the_hls_rasters_of_the_water_conformance(shared: Path) -> None:
    """They lie loose among other rasters, as the archive hands them out."""
    folder = shared / "conformance" / "water" / "dswx" / "inputs"
    granule = open_granule(folder)
    assert (granule.id, granule.platform) == ("HLS.S30.T31TCJ.2025001T000000.v2.0", "S2A")
    assert granule.sun is not None and (granule.sun.zenith, granule.sun.azimuth) == (51.68, 147.0)
    assert [keys["30"].native for keys in granule.bands.values()] == ["B2", "B3", "B4", "B8A", "B11", "B12"]
    assert granule.cloud_cover == 12 and granule.orbit is None
    same = open_granule(folder / f"{granule.id}.Fmask.tif")
    assert same.bands == granule.bands and same.masks == granule.masks
    values, valid = reflectance(granule.bands["green"]["30"])
    assert valid.shape == (700, 700) and -0.03 < values[valid].min() < values[valid].max() < 1.7
