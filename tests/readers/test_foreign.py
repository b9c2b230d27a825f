"""Snow products of other programs: what their names say, and which raster is taken."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from thalweg.errors import BadInput, MissingInput
from thalweg.readers.foreign import is_foreign, read_foreign
from thalweg.readers.listing import Folder
from thalweg.series import Member

NOON = datetime(2021, 1, 15, 10, 59, 11, tzinfo=UTC)
MIDNIGHT = datetime(2021, 1, 15, tzinfo=UTC)


def product(folder: Path, name: str, *files: str) -> Member:
    (folder / name).mkdir()
    for file in files:
        (folder / name / file).parent.mkdir(exist_ok=True)
        (folder / name / file).touch()
    return read_foreign(name, Folder(folder / name), "", name)


@pytest.mark.parametrize(
    ("name", "file", "platform", "sensed"),
    [
        ("SENTINEL2A_20210115-105911-624_L2B-SNOW_T31TCH_C_V1-0", "x_SNW_R2.tif", "S2A", NOON),
        ("SENTINEL2D_20210115-105911-624_L2B-SNOW_T31TCH_C_V1-0", "LIS_S2-SNOW-FSC_x.tif", "S2D", NOON),
        ("LANDSAT8-OLITIRS-XS_20210115-105911-000_L2B-SNOW_T31TCH_C_V1-0", "x_SNW_XS.tif", "L8", NOON),
        ("LANDSAT9-OLITIRS2-XS_20210115-105911-000_L2B-SNOW_T31TCH_C", "LIS_L9-SNOW-MSK_x.tif", "L9", NOON),
        ("LANDSAT8_OLITIRS_XS_20210115_N2A_T31TCH_x", "LIS_L8-SNOW-MSK_x.tif", "L8", MIDNIGHT),
        ("LIS_S2-SNOW-FSC_T31TCH_20210115T105911_1.11.0", "LIS_S2-SNOW-FSC_x.tif", "S2", NOON),
        ("LIS_S2-SNOW-FSC-TOC_T31TCH_20210115T105911_1.11.0", "LIS_S2-SNOW-FSC-TOC_x.tif", "S2", NOON),
        ("LIS_L8-SNOW-MSK_T31TCH_20210115T105911_1.11.0", "LIS_L8-SNOW-MSK_x.tif", "L8", NOON),
        ("LIS_T5-SNOW-MSK_T31TCH_20210115T105911_1.11.0", "LIS_T5-SNOW-MSK_x.tif", "T5", NOON),
        ("FSC_20210115T105911_S2B_T31TCH_V100_1", "x_FSCOG.tif", "S2B", NOON),
        ("LIS_S2-SNOW-FSC_T31TCH_20210115T105911_1.11.0", "LIS_PRODUCTS/LIS_SEB.TIF", "S2", NOON),
    ],
)
def test_a_name_says_what_it_is(
    name: str, file: str, platform: str, sensed: datetime, tmp_path: Path
) -> None:
    found = product(tmp_path, name, file)
    assert is_foreign(name)
    assert (found.tile, found.on_mgrs, found.platform, found.sensed) == ("31TCH", True, platform, sensed)
    assert found.raster.path == tmp_path / name / file


def test_the_ground_comes_before_the_canopy_and_flags_never(tmp_path: Path) -> None:
    name = "LIS_S2-SNOW-FSC_T31TCH_20210115T105911_1.11.0"
    files = ("LIS_S2-SNOW-FSC-QCFLAGS_x.tif", "LIS_S2-SNOW-FSC-TOC_x.tif", "LIS_S2-SNOW-FSC_x.tif")
    assert product(tmp_path, name, *files).raster.name == "LIS_S2-SNOW-FSC_x.tif"


def test_flags_alone_are_no_snow(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="SYN-02"):
        product(tmp_path, "LIS_S2-SNOW-FSC_T31TCH_20210115T105911_1.11.0", "LIS_S2-SNOW-FSC-QCFLAGS_x.tif")


def test_a_day_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="date"):
        product(tmp_path, "FSC_20210231T105911_S2B_T31TCH_V100_1", "x_FSCOG.tif")


@pytest.mark.parametrize("name", ["SENTINEL2A_20210115-105911-624_L2A_T31TCH_C_V3-1", "DEM", "FSC", "x.zip"])
def test_other_names_are_none(name: str) -> None:
    assert not is_foreign(name)
