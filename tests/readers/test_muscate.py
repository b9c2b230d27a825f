from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from tests.readers.products import (
    LANDSAT,
    LANDSAT_FILES,
    MUSCATE,
    MUSCATE_FILES,
    angle_grids,
    angles,
    make_muscate,
    muscate_xml,
)
from thalweg.errors import BadInput
from thalweg.granule import Granule
from thalweg.masks import CLM
from thalweg.readers import open_granule


def test_sentinel_2(tmp_path: Path) -> None:
    granule = open_granule(make_muscate(tmp_path))
    assert (granule.id, granule.tile, granule.platform, granule.level) == (MUSCATE, "31TCH", "S2A", "L2A")
    assert granule.sensed == datetime(2021, 4, 15, 10, 59, 10, 624000, UTC)
    assert (granule.baseline, granule.orbit, granule.cloud_cover, granule.on_mgrs) == ("V3-1", 51, 12.5, True)
    assert granule.attribution == "Contains modified Copernicus Sentinel data 2021"
    assert list(granule.bands) == ["blue", "green", "red", "rededge071", "nir", "nir08", "swir16", "swir22"]
    assert granule.per_milli == 10


def test_slope_correction_comes_first(tmp_path: Path) -> None:
    granule = open_granule(make_muscate(tmp_path))
    for role, native in (("green", "B3"), ("nir08", "B8A"), ("swir16", "B11")):
        assert list(granule.bands[role]) == ["flat", "surface"]
        for kind, correction in (("FRE", "flat"), ("SRE", "surface")):
            band = granule.band(role, correction)
            assert band is not None and band.native == native
            assert band.raster.name == f"{MUSCATE}_{kind}_{native}.tif"
            assert (band.raster.scale, band.raster.offset, band.raster.nodata) == (1e-4, 0, -10000)


def test_a_correction_that_is_not_there_is_not_replaced(tmp_path: Path) -> None:
    granule = open_granule(make_muscate(tmp_path, files=("FRE_B3.tif", "SRE_B2.tif")))
    assert granule.band("green", "surface") is None
    assert granule.band("blue", "flat") is None


def test_masks_and_their_legends(tmp_path: Path) -> None:
    granule = open_granule(make_muscate(tmp_path))
    assert sorted((mask.kind, mask.raster.name[-6:-4]) for mask in granule.masks) == [
        *((kind, group) for kind in ("clm", "edg", "mg2") for group in ("R1", "R2")),
        *(("sat_r1", "R1"), ("sat_r2", "R2")),
    ]
    clouds = granule.masks_with("any_cloud")
    assert {mask.kind for mask in clouds} == {"clm"} and clouds[0].legend is CLM
    assert granule.expected["any_cloud"] == "MASKS/*_CLM_R2.tif"
    assert granule.expected["sun_low"] == "MASKS/*_MG2_R2.tif"


def saturation_bits(granule: Granule) -> dict[str, int]:
    """Role to the bit of its saturation, whatever the file."""
    return {role: codes.bits[0] for mask in granule.masks for role, codes in mask.bands.items()}


SENTINEL_BITS = {
    **{"blue": 1, "green": 2, "red": 4, "nir": 8},
    **{"rededge071": 1, "rededge075": 2, "rededge078": 4, "nir08": 8, "swir16": 16, "swir22": 32},
}


def test_saturation_is_told_by_band_and_by_group(tmp_path: Path) -> None:
    granule = open_granule(make_muscate(tmp_path))
    assert saturation_bits(granule) == SENTINEL_BITS
    fine, coarse = (mask for mask in granule.masks if mask.kind.startswith("sat"))
    assert (list(fine.bands), fine.raster.name[-6:]) == (["blue", "green", "red", "nir"], "R1.tif")
    assert (list(coarse.bands)[-1], coarse.raster.name[-6:]) == ("swir22", "R2.tif")
    landsat = open_granule(make_muscate(tmp_path, LANDSAT, LANDSAT_FILES))
    assert saturation_bits(landsat) == {
        **{"coastal": 1, "blue": 2, "green": 4, "red": 8, "nir08": 16, "swir16": 32, "swir22": 64}
    }


def masks_xml(nature: str, **bits: object) -> str:
    """The list of mask files as MAJA's template of MTD_ALL.xml has it."""
    files = "".join(
        f'<MASK_FILE band_id="{band}" bit_number="{bit}">x</MASK_FILE>' for band, bit in bits.items()
    )
    properties = f"<Mask_Properties><NATURE>{nature}</NATURE></Mask_Properties>"
    return f"<Mask_List><Mask>{properties}<Mask_File_List>{files}</Mask_File_List></Mask></Mask_List>"


def test_saturation_bits_are_those_of_the_metadata(tmp_path: Path) -> None:
    more = masks_xml("Saturation", B4=1, B12=8) + masks_xml("Detector_Footprint", B2=5)
    granule = open_granule(make_muscate(tmp_path, xml=muscate_xml(more=more)))
    assert saturation_bits(granule) == {**SENTINEL_BITS, "red": 1, "swir22": 128}
    with pytest.raises(BadInput, match="bit_number"):
        open_granule(make_muscate(tmp_path, xml=muscate_xml(more=masks_xml("Saturation", B4=9))))


def test_sun_grids_keep_their_holes_and_their_two_steps(tmp_path: Path) -> None:
    sun = open_granule(make_muscate(tmp_path)).sun
    assert sun is not None and sun.grid is not None
    assert (sun.zenith, sun.azimuth, sun.grid.step) == (62.0, 157.3, (2500.0, 5000.0))
    np.testing.assert_array_equal(sun.grid.zenith, [[60, 61], [62, np.nan]])
    np.testing.assert_array_equal(sun.grid.azimuth, [[150, 151], [152, np.nan]])


def test_landsat(tmp_path: Path) -> None:
    granule = open_granule(make_muscate(tmp_path, LANDSAT, LANDSAT_FILES))
    assert (granule.platform, granule.tile, granule.per_milli) == ("L8", "31TCH", 1)
    assert {role: next(iter(keys.values())).native for role, keys in granule.bands.items()} == {
        "coastal": "B1",
        "blue": "B2",
        "green": "B3",
        "red": "B4",
        "nir08": "B5",
        "swir16": "B6",
        "swir22": "B7",
    }
    band = granule.bands["green"]["flat"]
    assert (band.raster.scale, band.reflectance.quantification) == (1e-3, 1000)
    assert granule.expected["any_cloud"] == "MASKS/*_CLM_XS.tif"
    assert "U.S. Geological Survey" in granule.attribution


@pytest.mark.parametrize(
    ("name", "platform"),
    [
        ("SENTINEL2C_20250415-105910-624_L2A_T31TCH_C_V4-0", "S2C"),
        ("SENTINEL2D_20250415-105910-624_L2A_T31TCH_D", "S2D"),
        ("LANDSAT9-OLITIRS2-XS_20250415-103040-000_L2A_T31TCH_C_V1-0", "L9"),
        ("LANDSAT9-OLITIRS-XS_20250415-103040-000_L2A_T31TCH_C_V1-0", "L9"),
    ],
)
def test_names_of_every_satellite(tmp_path: Path, name: str, platform: str) -> None:
    assert open_granule(make_muscate(tmp_path, name, ("FRE_B3.tif",), None)).platform == platform


def test_landsat_off_the_mgrs_grid(tmp_path: Path) -> None:
    name = "LANDSAT8-OLITIRS-XS_20210415-103040-000_L2A_199030_C_V1-0"
    granule = open_granule(make_muscate(tmp_path, name, LANDSAT_FILES, None))
    assert (granule.tile, granule.on_mgrs) == ("199030", False)


def test_packing_comes_from_the_metadata(tmp_path: Path) -> None:
    radiometry = (
        "<REFLECTANCE_QUANTIFICATION_VALUE>1000</REFLECTANCE_QUANTIFICATION_VALUE><Special_Values_List>"
        '<SPECIAL_VALUE name="nodata">-9999</SPECIAL_VALUE><SPECIAL_VALUE name="water_vapor_content_nodata">0'
        "</SPECIAL_VALUE></Special_Values_List>"
    )
    granule = open_granule(make_muscate(tmp_path, xml=muscate_xml(radiometry=radiometry)))
    band = granule.bands["green"]["flat"]
    assert (band.raster.scale, band.raster.nodata, band.reflectance.quantification) == (1e-3, -9999, 1000)


def test_any_case_of_suffixes_and_no_hidden_files(tmp_path: Path) -> None:
    folder = make_muscate(tmp_path, files=("FRE_B3.TIF", "FRE_B4.tif"))
    (folder / f"._{MUSCATE}_FRE_B4.tif").write_bytes(b"left by a file manager")
    assert list(open_granule(folder).bands) == ["green", "red"]


@pytest.mark.parametrize("extra", ["copy_FRE_B3.tif", "MASKS/copy_CLM_R2.tif", "copy_MTD_ALL.xml"])
def test_two_files_for_one_thing_name_both(tmp_path: Path, extra: str) -> None:
    folder = make_muscate(tmp_path)
    (folder / extra).touch()
    with pytest.raises(BadInput) as error:
        open_granule(folder)
    assert extra in str(error.value) and f"{MUSCATE}_{extra.rpartition('/')[2][5:]}" in str(error.value)
    assert error.value.id == "SNOW-IN-02"


@pytest.mark.parametrize(
    "name",
    [
        "SENTINEL2A_20211345-105910-624_L2A_T31TCH_C_V3-1",
        "SENTINEL2A_20210415-256910-624_L2A_T31TCH_C_V3-1",
        "SENTINEL2A_10210415-105910-624_L2A_T31TCH_C_V3-1",
        "SENTINEL2A_20210415-105910-624_L2A_T31TZZ_C_V3-1",
        "SENTINEL2A_20210415-105910-624_L2A_T99TCH_C_V3-1",
        "SENTINEL2A_20210415-105910-624_L1C_T31TCH_C_V3-1",
        "SENTINEL2A_20190415-000000-000_L3A_T31TCH_C_V1-1",
        "SENTINEL2A_2021",
        "SENTINEL2A_",
        "LANDSAT8-OLITIRS-XS_20210415_L2A_T31TCH",
    ],
)
def test_names_that_cannot_be_true(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=name):
        open_granule(make_muscate(tmp_path, name, MUSCATE_FILES, None))


QUANTIFICATION = "<REFLECTANCE_QUANTIFICATION_VALUE>{}</REFLECTANCE_QUANTIFICATION_VALUE>"


@pytest.mark.parametrize(
    ("xml", "element"),
    [
        (muscate_xml(mean=angles("500")), "ZENITH_ANGLE"),
        (muscate_xml(mean=angles("nan")), "ZENITH_ANGLE"),
        (muscate_xml(mean=angles("NOT_INITIALIZED 39.97")), "ZENITH_ANGLE"),
        (muscate_xml(mean=angles("6_2")), "ZENITH_ANGLE"),
        (muscate_xml(mean=angles("62", "1e9")), "AZIMUTH_ANGLE"),
        (muscate_xml(mean=angles("62", "")), "Sun_Angles"),
        (muscate_xml(radiometry=QUANTIFICATION.format(0)), "REFLECTANCE_QUANTIFICATION_VALUE"),
        (muscate_xml(radiometry=QUANTIFICATION.format(-10000)), "REFLECTANCE_QUANTIFICATION_VALUE"),
        (muscate_xml(radiometry=QUANTIFICATION.format("inf")), "REFLECTANCE_QUANTIFICATION_VALUE"),
        (muscate_xml(acquired="2021-13-45T10:59:10Z"), "ACQUISITION_DATE"),
        (muscate_xml(acquired="2021-04-17T10:59:10Z"), "ACQUISITION_DATE"),
        (muscate_xml(more="<GEOGRAPHICAL_ZONE>T31TCJ</GEOGRAPHICAL_ZONE>"), "GEOGRAPHICAL_ZONE"),
        (muscate_xml(grids=angle_grids(zenith=("60 61", "62"))), "Zenith"),
        (muscate_xml(grids=angle_grids(zenith=("60 500", "62 63"))), "Zenith"),
        (muscate_xml(grids=angle_grids(zenith=("60 61",))), "Sun_Angles_Grids"),
        (muscate_xml(grids=angle_grids(step=0)), "COL_STEP"),
        (muscate_xml(grids=angle_grids(step="")), "COL_STEP"),
    ],
)
def test_absurd_metadata_names_file_and_element(tmp_path: Path, xml: str, element: str) -> None:
    with pytest.raises(BadInput) as error:
        open_granule(make_muscate(tmp_path, xml=xml))
    assert f"{MUSCATE}_MTD_ALL.xml" in str(error.value) and element in str(error.value)


def test_metadata_without_angles_is_metadata(tmp_path: Path) -> None:
    assert open_granule(make_muscate(tmp_path, xml=muscate_xml(mean="", grids=""))).sun is None
    sun = open_granule(make_muscate(tmp_path, xml=muscate_xml(grids=""))).sun
    assert sun is not None and sun.grid is None


BOMB = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<Muscate_Metadata_Document>&c;</Muscate_Metadata_Document>"""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (muscate_xml().encode()[:400], "cut"),
        (b"", "cut"),
        (b"\x00\xff\x13binary", "cut"),
        (BOMB.encode(), "DTD or entities"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "DTD or entities"),
        (b"<!DOCTYPE a><a/>", "DTD or entities"),
        ('<?xml version="1.0" encoding="UTF-8"?><a>\xe9</a>'.encode("latin-1"), "cut or not well-formed"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "cut or not well-formed"),
        (b"<a>" + b" " * (33 * 2**20) + b"</a>", "larger than"),
        (b"<html><body>Please log in</body></html>", "document <html>"),
    ],
    ids=[
        "cut",
        "empty",
        "binary",
        "bomb",
        "external",
        "doctype",
        "encoding",
        "unknown-encoding",
        "huge",
        "error-page",
    ],
)
def test_damaged_and_hostile_metadata(tmp_path: Path, content: bytes, reason: str) -> None:
    folder = make_muscate(tmp_path, xml=None)
    (folder / f"{MUSCATE}_MTD_ALL.xml").write_bytes(content)
    with pytest.raises(BadInput, match=reason) as error:
        open_granule(folder)
    assert f"{MUSCATE}_MTD_ALL.xml" in str(error.value)


def test_metadata_that_is_a_folder(tmp_path: Path) -> None:
    folder = make_muscate(tmp_path, xml=None)
    (folder / f"{MUSCATE}_MTD_ALL.xml").mkdir()
    with pytest.raises(BadInput, match="not a file"):
        open_granule(folder)
