from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.transform import Affine

from tests.readers.products import L30, L30_FILES, L30_TAGS, S30, S30_TAGS, make_hls, touch
from tests.running import run_chain
from thalweg import Band, Layer, chain
from thalweg.errors import BadInput
from thalweg.masks import FMASK
from thalweg.opened import open_raster
from thalweg.raster import Raster
from thalweg.readers import open_granule
from thalweg.readers.hls import mean_direction

# What real HLS rasters say of their CRS: UTM north everywhere, on an ellipsoid without a datum's name.
UNNAMED = (
    'PROJCS["UTM Zone 60, Northern Hemisphere",GEOGCS["Unknown datum based upon the WGS 84 ellipsoid",'
    'DATUM["Not specified (based on WGS 84 spheroid)",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],PARAMETER["latitude_of_origin",0],'
    'PARAMETER["central_meridian",177],PARAMETER["scale_factor",0.9996],PARAMETER["false_easting",500000],'
    'PARAMETER["false_northing",0],UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]'
)


def test_s30(tmp_path: Path) -> None:
    granule = open_granule(make_hls(tmp_path))
    assert (granule.id, granule.format, granule.tile, granule.on_mgrs) == (S30, "hls", "31TCH", True)
    assert (granule.platform, granule.level, granule.baseline, granule.orbit) == ("S2B", "L2A", "2.0", 51)
    assert granule.sensed == datetime(2024, 1, 15, 10, 53, 41, tzinfo=UTC)
    assert granule.cloud_cover == 46
    assert granule.sun is not None and (granule.sun.zenith, granule.sun.azimuth) == (62.5, 157.3)
    assert granule.attribution == "Contains modified Copernicus Sentinel data 2024"
    assert {role: keys["30"].native for role, keys in granule.bands.items()} == {
        **{"coastal": "B1", "blue": "B2", "green": "B3", "red": "B4", "rededge071": "B5"},
        **{"nir": "B8", "nir08": "B8A", "swir16": "B11", "swir22": "B12"},
    }
    nir08 = granule.bands["nir08"]["30"]
    assert nir08.raster.name == f"{S30}.B8A.tif"
    assert (nir08.raster.scale, nir08.raster.offset, nir08.raster.nodata) == (1e-4, 0, -9999)
    assert (nir08.reflectance.quantification, nir08.reflectance.add) == (10000, 0)


def test_l30_of_two_scenes(tmp_path: Path) -> None:
    granule = open_granule(make_hls(tmp_path, L30, L30_TAGS, L30_FILES))
    assert (granule.platform, granule.tile, granule.orbit) == ("L9", "31TCH", None)
    assert {role: keys["30"].native for role, keys in granule.bands.items()} == {
        **{"coastal": "B1", "blue": "B2", "green": "B3", "red": "B4"},
        **{"nir08": "B5", "swir16": "B6", "swir22": "B7"},
    }
    assert granule.sun is not None
    assert granule.sun.zenith == 65.5 and granule.sun.azimuth == pytest.approx(160.8, abs=1e-9)
    assert granule.attribution == "Landsat-9 image courtesy of the U.S. Geological Survey"


def test_fmask(tmp_path: Path) -> None:
    (mask,) = open_granule(make_hls(tmp_path)).masks
    assert (mask.kind, mask.raster.name, mask.legend) == ("fmask", f"{S30}.Fmask.tif", FMASK)


def test_fill_of_fmask_is_fill_alone() -> None:
    tables = {meaning: codes.table(256) for meaning, codes in FMASK.items()}
    assert [meaning for meaning, table in tables.items() if table[255]] == ["nodata"]
    codes = np.arange(255)
    bits = {"cloud": 2, "adjacent": 4, "cloud_shadow": 8, "snow": 16, "water": 32}
    for meaning, bit in bits.items():
        np.testing.assert_array_equal(tables[meaning][:255], (codes & bit) > 0)
    np.testing.assert_array_equal(tables["any_cloud"][:255], (codes & 10) > 0)
    np.testing.assert_array_equal(tables["aerosol_high"][:255], codes >= 192)


@pytest.mark.parametrize(
    ("name", "tags", "platform"),
    [
        (S30, {"SPACECRAFT_NAME": "Sentinel-2A"}, "S2A"),
        (S30, {"PRODUCT_URI": "S2C_MSIL1C_20250115T105341_N0511_R051_T31TCH_20250115T124911.SAFE"}, "S2C"),
        (S30, {"DATASTRIP_ID": "S2B_OPER_MSI_L1C_DS_2BPS"}, "S2B"),
        (S30, {"LANDSAT_PRODUCT_ID": "LC08_L1TP_198030"}, "HLS-S30"),
        (S30, {}, "HLS-S30"),
        (L30, {"LANDSAT_PRODUCT_ID": "LC08_L1TP_198030_20240115_20240115_02_T1"}, "L8"),
        (L30, {"SPACECRAFT_NAME": "Sentinel-2A"}, "HLS-L30"),
    ],
)
def test_platform_by_tags(tmp_path: Path, name: str, tags: dict[str, str], platform: str) -> None:
    granule = open_granule(make_hls(tmp_path, name, tags, ("B03",)))
    assert granule.platform == platform
    assert granule.attribution.startswith("Contains modified" if name == S30 else "Landsat")


def test_angles_by_the_rasters_of_angles(tmp_path: Path) -> None:
    folder = make_hls(tmp_path, tags={})
    for name, stored in (("SZA", [[6000, 6200], [40000, 6100]]), ("SAA", [[35950, 50], [40000, 0]])):
        profile = {"driver": "GTiff", "dtype": "uint16", "height": 2, "width": 2, "count": 1}
        place = {"crs": "EPSG:32631", "transform": Affine(30, 0, 300_000, 0, -30, 4_800_000)}
        with rasterio.open(folder / f"{S30}.{name}.tif", "w", **profile, **place) as raster:
            raster.write(np.array(stored, np.uint16), 1)
    sun = open_granule(folder).sun
    assert sun is not None and sun.zenith == pytest.approx(61.0)
    assert sun.azimuth == pytest.approx(0.0, abs=1e-9)


def test_without_tags_and_angles(tmp_path: Path) -> None:
    granule = open_granule(make_hls(tmp_path, tags={}, files=("B03", "Fmask")))
    assert (granule.sun, granule.cloud_cover, granule.orbit) == (None, None, None)
    assert granule.bands["green"]["30"].raster.scale == 1e-4


@pytest.mark.parametrize(
    ("azimuths", "mean"),
    [([147.0], 147.0), ([359, 1], 0), ([1, 359], 0), ([170, -170], 180), ([90, 100], 95)],
)
def test_mean_direction(azimuths: list[float], mean: float) -> None:
    assert mean_direction(np.array(azimuths, float)) == pytest.approx(mean, abs=1e-9)


def test_scale_by_the_tags(tmp_path: Path) -> None:
    folder = make_hls(tmp_path, tags={**S30_TAGS, "scale_factor": "0.001", "add_offset": "-0.1"})
    band = open_granule(folder).bands["green"]["30"]
    assert band.raster.scale == 1e-3 and band.raster.offset == pytest.approx(-0.1)
    assert (band.reflectance.quantification, band.reflectance.add) == (1000, -100)


@pytest.mark.parametrize(
    ("change", "tag"),
    [
        ({"MEAN_SUN_ZENITH_ANGLE": "500"}, "MEAN_SUN_ZENITH_ANGLE"),
        ({"MEAN_SUN_ZENITH_ANGLE": "62.5, steep"}, "MEAN_SUN_ZENITH_ANGLE"),
        ({"MEAN_SUN_AZIMUTH_ANGLE": ""}, "MEAN_SUN_"),
        ({"scale_factor": "0"}, "SCALE_FACTOR"),
        ({"scale_factor": "0.0001, 0.001"}, "SCALE_FACTOR"),
        ({"cloud_coverage": "NaN"}, "CLOUD_COVERAGE"),
        ({"SENSING_TIME": "2024-01-17T10:53:43Z"}, "SENSING_TIME"),
        ({"SENSING_TIME": "yesterday"}, "SENSING_TIME"),
    ],
)
def test_absurd_tags_name_file_and_tag(tmp_path: Path, change: dict[str, str], tag: str) -> None:
    folder = make_hls(tmp_path, tags={**S30_TAGS, **change})
    with pytest.raises(BadInput) as error:
        open_granule(folder)
    assert f"{S30}.B03.tif: tag {tag}" in str(error.value)


@pytest.mark.parametrize(
    "name",
    [
        "HLS.S30.T31TCH.2024366T105341.v1.5",
        "HLS.S30.T31TCH.2023366T105341.v2.0",
        "HLS.S30.T31TCH.2024015T256341.v2.0",
        "HLS.S30.T31TZZ.2024015T105341.v2.0",
        "HLS.S30.T31TCH.2024.v2.0",
        "HLS.L30.",
    ],
)
def test_names_that_cannot_be_true(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=name.replace(".", r"\.")):
        open_granule(touch(tmp_path / name, [f"{name}.B03.tif"]))


def test_files_that_lie_loose(tmp_path: Path) -> None:
    folder = make_hls(tmp_path, folder="inputs")
    (folder / f"{S30}_stac.json").write_text("{}")
    granule = open_granule(folder)
    assert (granule.id, granule.path, len(granule.bands)) == (S30, folder, 9)
    assert granule.bands["red"]["30"].raster.path == folder / f"{S30}.B04.tif"


def test_files_of_several_products_lie_loose(tmp_path: Path) -> None:
    folder = make_hls(tmp_path, folder="inputs")
    make_hls(tmp_path, L30, L30_TAGS, L30_FILES, folder="inputs")
    with pytest.raises(BadInput, match=rf"{L30} and {S30}") as error:
        open_granule(folder)
    assert error.value.id == "SNOW-IN-02" and "one of the rasters" in error.value.what_to_do
    for name, path in ((S30, folder / f"{S30}.Fmask.tif"), (L30, folder / f"{L30}.B05.tif")):
        granule = open_granule(path)
        assert (granule.id, granule.path) == (name, path)
        files = {band.raster.name for keys in granule.bands.values() for band in keys.values()}
        assert files and all(file.startswith(name) for file in files)


def test_a_damaged_raster_is_no_ones_metadata(tmp_path: Path) -> None:
    folder = make_hls(tmp_path)
    (folder / f"{S30}.B03.tif").write_bytes(b"II*\0 cut")
    assert open_granule(folder).platform == "S2B"


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    granule = open_granule(make_hls(tmp_path, files=("B03",)))
    assert "*.B8A.tif" in str(granule.missing("nir08", "water"))
    assert "*.B11.tif" in str(granule.missing("swir16", "water"))
    assert "*.Fmask.tif" in str(granule.missing("cloud", "water"))


def write_unnamed(path: Path, top: float, size: int = 4) -> Path:
    """A raster of ones whose CRS is said as real HLS rasters say it."""
    profile = {"driver": "GTiff", "dtype": "int16", "height": size, "width": size, "count": 1}
    place = {"crs": CRS.from_wkt(UNNAMED), "transform": Affine(30, 0, 600_000, 0, -30, top)}
    with rasterio.open(path, "w", **profile, **place) as raster:
        raster.write(np.ones((size, size), np.int16), 1)
    return path


@pytest.mark.parametrize(
    ("top", "crs", "northing"),
    [
        (-5_499_960, "EPSG:32760", 4_500_040),
        (0, "EPSG:32760", 10_000_000),
        (60, "EPSG:32660", 60),
        (4_500_000, "EPSG:32660", 4_500_000),
    ],
)
def test_the_grid_of_real_files(tmp_path: Path, top: float, crs: str, northing: float) -> None:
    opened = open_raster(Raster(write_unnamed(tmp_path / "b.tif", top)))
    opened.close()
    assert (opened.grid.crs, opened.grid.left, opened.grid.top) == (crs, 600_000, northing)
    degrees = [Transformer.from_crs(name, "EPSG:4326", always_xy=True) for name in ("EPSG:32660", crs)]
    assert degrees[1].transform(600_000, northing) == pytest.approx(
        degrees[0].transform(600_000, top), abs=1e-9
    )


def test_a_southern_granule_lies_on_its_tile(tmp_path: Path) -> None:
    """60FXK as HLS writes it: zone 60 north with negative northings."""
    name = "HLS.S30.T60FXK.2022331T214909.v2.0"
    (tmp_path / name).mkdir()
    for file in ("B03", "Fmask"):
        write_unnamed(tmp_path / name / f"{name}.{file}.tif", -5_499_960, 6)

    @chain(
        "test.green", version="1", inputs=[Band("green", encoding="counts")], outputs=[Layer("out", "int16")]
    )
    def green(scene: Any) -> Any:
        """The green band."""
        return {"out": scene.green}

    kept, _ = run_chain(green, open_granule(tmp_path / name))
    assert (kept["out"] == 1).all() and kept["out"].shape == (6, 6)
