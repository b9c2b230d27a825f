from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.readers.products import COLLECTION2, COLLECTION2_FILES, MTL, make_landsat, mtl, mtl_text
from thalweg.errors import BadInput
from thalweg.masks import QA_PIXEL
from thalweg.readers import open_granule

CONTENTS, IMAGE = "PRODUCT_CONTENTS", "IMAGE_ATTRIBUTES"
PACKING = "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"


@pytest.mark.parametrize("form", ["xml", "json", "txt"])
def test_a_product(tmp_path: Path, form: str) -> None:
    granule = open_granule(make_landsat(tmp_path, form=form))
    assert (granule.id, granule.format, granule.tile, granule.on_mgrs) == (
        *(COLLECTION2, "landsat", "198030", False),
    )
    assert (granule.platform, granule.level, granule.baseline) == ("L8", "L2A", "20240122")
    assert granule.sensed == datetime(2024, 1, 15, 10, 30, 40, 622708, tzinfo=UTC)
    assert granule.cloud_cover == 29.27
    assert granule.sun is not None
    assert granule.sun.zenith == pytest.approx(65.58556545) and granule.sun.azimuth == 161.43500878
    assert granule.attribution == "Landsat-8 image courtesy of the U.S. Geological Survey"
    assert {role: keys["30"].native for role, keys in granule.bands.items()} == {
        **{"coastal": "B1", "blue": "B2", "green": "B3", "red": "B4"},
        **{"nir08": "B5", "swir16": "B6", "swir22": "B7"},
    }


def test_packing_is_that_of_level_2(tmp_path: Path) -> None:
    for content in (MTL, mtl(PACKING, REFLECTANCE_MULT_BAND_3=None, REFLECTANCE_ADD_BAND_3=None)):
        band = open_granule(make_landsat(tmp_path, content=content)).bands["green"]["30"]
        assert (band.raster.scale, band.raster.offset, band.raster.nodata) == (2.75e-5, -0.2, 0)
        assert (band.reflectance.quantification, band.raster.name[-9:]) == (10000, "SR_B3.TIF")


def test_packing_of_each_band_by_the_metadata(tmp_path: Path) -> None:
    content = mtl(PACKING, REFLECTANCE_MULT_BAND_4="3e-05", REFLECTANCE_ADD_BAND_4="-0.1")
    bands = open_granule(make_landsat(tmp_path, content=content)).bands
    assert (bands["red"]["30"].raster.scale, bands["red"]["30"].raster.offset) == (3e-5, -0.1)
    assert (bands["green"]["30"].raster.scale, bands["green"]["30"].raster.offset) == (2.75e-5, -0.2)


def test_without_metadata(tmp_path: Path) -> None:
    granule = open_granule(make_landsat(tmp_path, form=None))
    assert granule.sensed == datetime(2024, 1, 15, tzinfo=UTC)
    assert (granule.sun, granule.cloud_cover) == (None, None)
    assert granule.bands["red"]["30"].raster.scale == 2.75e-5


def test_masks(tmp_path: Path) -> None:
    pixel, radiometric = open_granule(make_landsat(tmp_path)).masks
    assert (pixel.kind, pixel.raster.name[-12:], pixel.legend) == ("qa_pixel", "QA_PIXEL.TIF", QA_PIXEL)
    assert (radiometric.kind, radiometric.raster.name[-13:]) == ("qa_radsat", "QA_RADSAT.TIF")
    codes = np.arange(65536)
    saturated = radiometric.legend["saturated"].table(65536)
    np.testing.assert_array_equal(saturated, (codes & 0b111_1111) > 0)
    red = radiometric.bands["red"].table(65536)
    np.testing.assert_array_equal(red, (codes & 0b1000) > 0)


def test_bits_of_qa_pixel() -> None:
    bits = {
        **{"nodata": 0, "dilated_cloud": 1, "high_cloud": 2, "cloud": 3},
        **{"cloud_shadow": 4, "snow": 5, "water": 7},
    }
    codes = np.arange(65536)
    for meaning, bit in bits.items():
        np.testing.assert_array_equal(QA_PIXEL[meaning].table(65536), (codes >> bit & 1) == 1)
    assert not QA_PIXEL["any_cloud"].table(65536)[0b1110_0001]
    clear, cloudy = 21824, 22280
    assert not QA_PIXEL["any_cloud"].table(65536)[clear]
    assert QA_PIXEL["cloud"].table(65536)[cloudy]


@pytest.mark.parametrize(
    ("name", "platform", "tile"),
    [
        ("LC09_L2SP_001001_20240115_20240122_02_T2", "L9", "001001"),
        ("LC08_L2SR_233248_20240115_20240122_02_RT", "L8", "233248"),
    ],
)
def test_names(tmp_path: Path, name: str, platform: str, tile: str) -> None:
    granule = open_granule(make_landsat(tmp_path, name, form=None))
    assert (granule.platform, granule.tile, granule.id) == (platform, tile, name)


@pytest.mark.parametrize(
    "name",
    [
        "LC08_L2SP_198030_20241345_20240122_02_T1",
        "LC08_L2SP_198030_20240115_20240122_01_T1",
        "LC08_L2SP_234030_20240115_20240122_02_T1",
        "LC08_L2SP_198000_20240115_20240122_02_T1",
        "LC08_L2SP_198030_20240115",
    ],
)
def test_names_that_cannot_be_true(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=name):
        open_granule(make_landsat(tmp_path, name, form=None))


@pytest.mark.parametrize("form", ["xml", "json", "txt"])
@pytest.mark.parametrize(
    ("content", "key"),
    [
        (mtl(IMAGE, SUN_ELEVATION="95"), "IMAGE_ATTRIBUTES/SUN_ELEVATION"),
        (mtl(IMAGE, SUN_AZIMUTH="north"), "IMAGE_ATTRIBUTES/SUN_AZIMUTH"),
        (mtl(IMAGE, SUN_AZIMUTH=None), "IMAGE_ATTRIBUTES/SUN_"),
        (mtl(IMAGE, CLOUD_COVER="120"), "IMAGE_ATTRIBUTES/CLOUD_COVER"),
        (mtl(IMAGE, DATE_ACQUIRED="2024-01-16"), "IMAGE_ATTRIBUTES/DATE_ACQUIRED"),
        (mtl(IMAGE, SCENE_CENTER_TIME="25:30:40Z"), "IMAGE_ATTRIBUTES/SCENE_CENTER_TIME"),
        (mtl(PACKING, REFLECTANCE_MULT_BAND_4="0"), f"{PACKING}/REFLECTANCE_MULT_BAND_4"),
        (mtl(PACKING, REFLECTANCE_ADD_BAND_4="-20"), f"{PACKING}/REFLECTANCE_ADD_BAND_4"),
        (
            mtl(CONTENTS, LANDSAT_PRODUCT_ID="LC08_L2SP_198031_20240115_20240122_02_T1"),
            "PRODUCT_CONTENTS/LANDSAT_PRODUCT_ID",
        ),
    ],
)
def test_absurd_metadata_names_file_group_and_key(
    tmp_path: Path, form: str, content: dict[str, Any], key: str
) -> None:
    with pytest.raises(BadInput) as error:
        open_granule(make_landsat(tmp_path, form=form, content=content))
    assert f"{COLLECTION2}_MTL.{form}: {key}" in str(error.value)


def test_clouds_that_were_not_counted(tmp_path: Path) -> None:
    assert open_granule(make_landsat(tmp_path, content=mtl(IMAGE, CLOUD_COVER="-1"))).cloud_cover is None


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("xml", mtl_text("xml")[:200]),
        ("xml", "<html><body>Please log in</body></html>"),
        ("json", mtl_text("json")[:200]),
        ("json", "[]"),
        ("json", '{"LANDSAT_METADATA_FILE": {"IMAGE_ATTRIBUTES": []}}'),
        ("txt", mtl_text("txt")[:400]),
        ("txt", mtl_text("txt").replace("  END_GROUP = IMAGE_ATTRIBUTES\n", "")),
        ("txt", mtl_text("txt").replace("GROUP = LANDSAT_METADATA_FILE\n", "", 1)),
        ("txt", mtl_text("txt").replace("WRS_ROW = 30", "WRS_ROW 30")),
        ("txt", "\x00\xff binary"),
        ("txt", ""),
    ],
)
def test_damaged_metadata_names_the_file(tmp_path: Path, form: str, text: str) -> None:
    folder = make_landsat(tmp_path, form=None)
    (folder / f"{COLLECTION2}_MTL.{form}").write_text(text)
    with pytest.raises(BadInput, match=rf"{COLLECTION2}_MTL\.{form}"):
        open_granule(folder)


def test_of_three_forms_the_first_is_read(tmp_path: Path) -> None:
    folder = make_landsat(tmp_path, form="txt", content=mtl(IMAGE, CLOUD_COVER="1"))
    make_landsat(tmp_path, form="json", content=mtl(IMAGE, CLOUD_COVER="2"))
    assert open_granule(folder).cloud_cover == 2
    make_landsat(tmp_path, form="xml", content=mtl(IMAGE, CLOUD_COVER="3"))
    assert open_granule(folder).cloud_cover == 3


def test_files_that_lie_loose(tmp_path: Path) -> None:
    folder = make_landsat(tmp_path, folder="downloads")
    granule = open_granule(folder)
    assert (granule.id, granule.path, granule.cloud_cover) == (COLLECTION2, folder, 29.27)
    other = COLLECTION2.replace("20240115", "20240131")
    make_landsat(tmp_path, other, form=None, folder="downloads")
    with pytest.raises(BadInput, match=f"{COLLECTION2} and {other}"):
        open_granule(folder)
    path = folder / f"{other}_QA_PIXEL.TIF"
    assert (open_granule(path).id, open_granule(path).path) == (other, path)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    files = [file for file in COLLECTION2_FILES if "QA" not in file and "B6" not in file]
    granule = open_granule(make_landsat(tmp_path, files=files))
    assert "*_SR_B6.TIF" in str(granule.missing("swir16", "water"))
    assert "*_QA_PIXEL.TIF" in str(granule.missing("cloud", "water"))
    assert "*_QA_RADSAT.TIF" in str(granule.missing("saturated", "water"))
