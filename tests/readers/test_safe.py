from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.readers.products import L1C, L2A, L2A_FILES, angles, make_safe, product_xml, tile_xml
from thalweg.errors import BadInput
from thalweg.readers import open_granule

OFFSETS = [(band_id, -1000 - band_id) for band_id in range(13)]


def test_l2a(tmp_path: Path) -> None:
    granule = open_granule(make_safe(tmp_path, xml=product_xml(offsets=OFFSETS)))
    assert (granule.id, granule.tile, granule.platform) == (L2A.removesuffix(".SAFE"), "31TCH", "S2B")
    assert (granule.level, granule.baseline, granule.orbit, granule.cloud_cover) == ("L2A", "04.00", 94, 15.5)
    assert granule.sensed == datetime(2022, 3, 15, 10, 56, 21, tzinfo=UTC)
    assert granule.sun is not None and granule.sun.azimuth == 157.3 and granule.sun.grid is not None
    assert list(granule.bands) == [
        *("coastal", "blue", "green", "red", "rededge071", "nir", "nir08", "nir09", "swir16"),
    ]


def test_resolutions_are_keys_finest_first(tmp_path: Path) -> None:
    granule = open_granule(make_safe(tmp_path))
    assert list(granule.bands["blue"]) == ["10", "20", "60"]
    assert list(granule.bands["nir08"]) == ["20", "60"]
    wanted = granule.band("green", resolution=20)
    assert wanted is not None and wanted.raster.name.endswith("_B03_20m.jp2")
    assert [mask.raster.name[-7:] for mask in granule.masks] == ["20m.jp2", "60m.jp2"]


def test_offset_is_that_of_the_band(tmp_path: Path) -> None:
    bands = open_granule(make_safe(tmp_path, xml=product_xml(offsets=OFFSETS))).bands
    ids = {"coastal": 0, "blue": 1, "green": 2, "red": 3, "nir": 7, "nir08": 8, "nir09": 9, "swir16": 11}
    for role, band_id in ids.items():
        for band in bands[role].values():
            assert band.reflectance.add == -1000 - band_id
            assert band.raster.offset == pytest.approx((-1000 - band_id) / 10000, abs=1e-12)
            assert band.raster.nodata == 0


@pytest.mark.parametrize(
    ("baseline", "xml", "offset"),
    [
        ("N0300", None, 0),
        ("N0399", None, 0),
        ("N0400", None, -1000),
        ("N0509", None, -1000),
        ("N0509", product_xml(), 0),
        ("N0300", product_xml(offsets=OFFSETS), -1003),
    ],
    ids=["old-no-xml", "last-old", "first-new", "new-no-xml", "xml-without-offsets", "xml-rules"],
)
def test_offset_rule(tmp_path: Path, baseline: str, xml: str | None, offset: int) -> None:
    granule = open_granule(make_safe(tmp_path, L2A.replace("N0400", baseline), xml=xml))
    assert granule.bands["red"]["10"].reflectance.add == offset


def test_l1c_is_told_apart(tmp_path: Path) -> None:
    files = (
        "T31TDH_20180101T105441_B03.jp2",
        "T31TDH_20180101T105441_B8A.jp2",
        "T31TDH_20180101T105441_TCI.jp2",
    )
    xml = product_xml(level="L1C", offsets=OFFSETS)
    folder = make_safe(tmp_path, L1C, files, xml)
    classes = folder / "GRANULE" / "G" / "QI_DATA" / "MSK_CLASSI_B00.jp2"
    classes.parent.mkdir()
    classes.touch()
    (classes.parent / "MSK_DETFOO_B03.jp2").touch()
    granule = open_granule(folder)
    assert (granule.level, granule.tile, granule.baseline) == ("L1C", "31TDH", "02.06")
    assert {role: list(keys) for role, keys in granule.bands.items()} == {
        "green": ["native"],
        "nir08": ["native"],
    }
    assert granule.bands["green"]["native"].reflectance.add == -1002
    assert [(mask.raster.band, sorted(mask.legend)) for mask in granule.masks] == [
        (1, ["any_cloud", "cloud"]),
        (2, ["any_cloud", "high_cloud"]),
        (3, ["snow"]),
    ]
    assert len({mask.kind for mask in granule.masks}) == 3


def test_old_names_and_other_suffixes(tmp_path: Path) -> None:
    files = ("R10m/L2A_T31TCH_20170103T105432_B03_10m.jp2", "R20m/T31TCH_20170103T105432_B11_20m.TIF")
    xml = product_xml().replace("BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE")
    granule = open_granule(make_safe(tmp_path, L2A.replace(".SAFE", ""), files, xml))
    assert list(granule.bands) == ["green", "swir16"]
    assert granule.id == L2A.removesuffix(".SAFE")


def test_another_quantification_is_decoded_not_assumed(tmp_path: Path) -> None:
    granule = open_granule(make_safe(tmp_path, xml=product_xml(quantification=2000)))
    band = granule.bands["red"]["10"]
    assert (band.raster.scale, band.reflectance.quantification) == (1 / 2000, 10000)


def test_two_granules_in_one_product(tmp_path: Path) -> None:
    folder = make_safe(tmp_path)
    other = folder / "GRANULE" / "H" / "IMG_DATA" / "R10m" / "T31TCJ_20220315T105621_B02_10m.jp2"
    other.parent.mkdir(parents=True)
    other.touch()
    with pytest.raises(BadInput, match=r"G/IMG_DATA.*H/IMG_DATA"):
        open_granule(folder)


@pytest.mark.parametrize(
    ("xml", "element"),
    [
        (product_xml(quantification=0), "BOA_QUANTIFICATION_VALUE"),
        (product_xml(quantification="ten thousand"), "BOA_QUANTIFICATION_VALUE"),
        (product_xml().replace("BOA_QUANTIFICATION_VALUE", "OTHER"), "BOA_QUANTIFICATION_VALUE"),
        (product_xml(offsets=[*OFFSETS[:3], (3, "NaN"), *OFFSETS[4:]]), 'BOA_ADD_OFFSET band_id="3"'),
        (product_xml(offsets=[*OFFSETS[:3], (3, 1e6), *OFFSETS[4:]]), 'BOA_ADD_OFFSET band_id="3"'),
        (product_xml(offsets=[*OFFSETS[:3], (3, -0.5), *OFFSETS[4:]]), 'BOA_ADD_OFFSET band_id="3"'),
        (product_xml(offsets=[*OFFSETS, (3, -1000)]), "given twice"),
        (product_xml(offsets=OFFSETS[:8]), "none for B8A, B9"),
        (product_xml(cloud=1e6), "Cloud_Coverage_Assessment"),
    ],
)
def test_absurd_product_metadata(tmp_path: Path, xml: str, element: str) -> None:
    with pytest.raises(BadInput) as error:
        open_granule(make_safe(tmp_path, xml=xml))
    assert "MTD_MSIL2A.xml" in str(error.value) and element in str(error.value)


def test_absurd_tile_metadata(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"MTD_TL\.xml: Tile_Angles/Mean_Sun_Angle/ZENITH_ANGLE: '500'"):
        open_granule(make_safe(tmp_path, tile=tile_xml(mean=angles(500))))


def test_sum_of_rounded_clouds(tmp_path: Path) -> None:
    assert open_granule(make_safe(tmp_path, xml=product_xml(cloud=100.00000000000001))).cloud_cover == 100


@pytest.mark.parametrize(
    "name",
    [
        L2A.replace("20220315T105621", "20221345T105621"),
        L2A.replace("T31TCH", "T31TZZ"),
        L2A.replace("N0400", "N04"),
        L2A.replace("_R094", ""),
    ],
)
def test_names_that_cannot_be_true(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=name):
        open_granule(make_safe(tmp_path, name, L2A_FILES))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    granule = open_granule(make_safe(tmp_path, files=("R10m/T31TCH_20220315T105621_B03_10m.jp2",)))
    assert "IMG_DATA/R20m/*_B11_20m.jp2" in str(granule.missing("swir16", "snow"))
    assert "*_SCL_20m.jp2" in str(granule.missing("any_cloud", "snow"))
