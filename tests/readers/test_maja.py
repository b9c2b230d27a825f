from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.readers.products import MAJA, maja_header, make_maja
from thalweg.errors import BadInput
from thalweg.readers import open_granule


def test_identity(tmp_path: Path) -> None:
    granule = open_granule(make_maja(tmp_path))
    assert (granule.id, granule.tile, granule.platform, granule.level) == (MAJA, "31TCH", "S2A", "L2A")
    assert granule.sensed == datetime(2021, 4, 15, 10, 59, 10, tzinfo=UTC)
    assert granule.cloud_cover == 40
    assert granule.sun is not None and granule.sun.grid is not None
    assert (granule.sun.zenith, granule.sun.grid.step) == (62.0, (2500.0, 5000.0))


def test_bands_are_layers_of_two_files(tmp_path: Path) -> None:
    granule = open_granule(make_maja(tmp_path))
    found = {
        role: (keys["flat"].native, keys["flat"].raster.name[-14:-8], keys["flat"].raster.band)
        for role, keys in granule.bands.items()
    }
    assert found == {
        "blue": ("B2", "FRE_R1", 1),
        "green": ("B3", "FRE_R1", 2),
        "red": ("B4", "FRE_R1", 3),
        "nir": ("B8", "FRE_R1", 4),
        "rededge071": ("B5", "FRE_R2", 1),
        "rededge075": ("B6", "FRE_R2", 2),
        "rededge078": ("B7", "FRE_R2", 3),
        "nir08": ("B8A", "FRE_R2", 4),
        "swir16": ("B11", "FRE_R2", 5),
        "swir22": ("B12", "FRE_R2", 6),
    }
    assert granule.bands["swir16"]["surface"].raster.name.endswith("SRE_R2.DBL.TIF")
    assert granule.bands["red"]["flat"].raster.scale == 1e-4
    assert [mask.kind for mask in granule.masks] == ["cld"]


def test_no_header_no_time_of_day(tmp_path: Path) -> None:
    granule = open_granule(make_maja(tmp_path, header=None))
    assert granule.sensed == datetime(2021, 4, 15, tzinfo=UTC)
    assert granule.sun is None
    assert granule.bands["red"]["flat"].raster.nodata == -10000


def test_the_headers_other_name(tmp_path: Path) -> None:
    folder = make_maja(tmp_path)
    (tmp_path / f"{MAJA}.HDR").rename(tmp_path / f"{MAJA}.DBL.HDR")
    assert open_granule(folder).sensed.hour == 10


@pytest.mark.parametrize(("text", "scale"), [("0.0001", 1e-4), ("10000", 1e-4), ("1000", 1e-3)])
def test_quantification_as_step_or_as_number(tmp_path: Path, text: str, scale: float) -> None:
    granule = open_granule(make_maja(tmp_path, header=maja_header(quantification=text, nodata=-9999)))
    raster = granule.bands["red"]["flat"].raster
    assert (raster.scale, raster.nodata) == (scale, -9999)


@pytest.mark.parametrize(
    ("header", "element"),
    [
        (maja_header(time="UTC=2021-04-16T10:59:10"), "Acquisition_Date_Time"),
        (maja_header(time="UTC=soon"), "Acquisition_Date_Time"),
        (maja_header(quantification=0), "Reflectance_Quantification_Value"),
        (maja_header(nodata=1e9), "Nodata_Value"),
    ],
)
def test_absurd_header(tmp_path: Path, header: str, element: str) -> None:
    with pytest.raises(BadInput) as error:
        open_granule(make_maja(tmp_path, header=header))
    assert f"{MAJA}.HDR" in str(error.value) and element in str(error.value)


def test_what_is_missing_is_named_with_its_layer(tmp_path: Path) -> None:
    granule = open_granule(make_maja(tmp_path, files=("FRE_R1.DBL.TIF",)))
    assert "*FRE_R2.DBL.TIF band 5" in str(granule.missing("swir16", "snow"))
    assert "*CLD_R2.DBL.TIF" in str(granule.missing("any_cloud", "snow"))


def test_a_name_without_tile(tmp_path: Path) -> None:
    (tmp_path / "S2A_OPER_SSC_L2VALD_20210415.DBL.DIR").mkdir()
    with pytest.raises(BadInput, match="not of the form"):
        open_granule(tmp_path / "S2A_OPER_SSC_L2VALD_20210415.DBL.DIR")
