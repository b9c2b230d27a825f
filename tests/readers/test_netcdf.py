"""NetCDF variables through a raster stack: opened by name, scaled by the YAML or by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.transform import Affine

from tests.readers.products import make_stack
from thalweg.errors import BadInput
from thalweg.feed import to_reflectance
from thalweg.granule import BandFile
from thalweg.opened import open_raster, raster_environment
from thalweg.readers import open_granule

STORED = np.arange(-10, 30, dtype=np.int16).reshape(2, 4, 5)
"""Two bands, which become the variables Band1 and Band2."""


def write_netcdf(folder: Path, form: str = "NC4") -> Path:
    """Two variables with scale 0.00001, offset 0.3 and fill -10."""
    place = {"crs": "EPSG:32631", "transform": Affine(20, 0, 300_000, 0, -20, 4_800_000), "nodata": -10}
    size = {"height": 4, "width": 5, "count": 2, "dtype": "int16"}
    with rasterio.open(folder / "values.tif", "w", driver="GTiff", **size, **place) as raster:
        raster.write(STORED)
        raster.scales, raster.offsets = (1e-5, 1e-5), (0.3, 0.3)
    path = folder / "values.nc"
    rasterio.shutil.copy(folder / "values.tif", path, driver="netCDF", FORMAT=form)
    return path


def stack(folder: Path, band: dict[str, Any], **more: Any) -> BandFile:
    """The red band of a stack in this folder."""
    content = {"level": "Rrs", "time": "2023-08-15", "site": "lake", "bands": {"red": band}, **more}
    return open_granule(make_stack(folder, content)).bands["red"]["native"]


def reflectance(band: BandFile) -> np.ndarray:
    with raster_environment():
        opened = open_raster(band.raster)
        stored = opened.read(0, 0, opened.grid.shape)
        opened.close()
    return to_reflectance(stored, band, opened.nodata)


@pytest.mark.parametrize("form", ["NC", "NC2", "NC4"])
@pytest.mark.parametrize("variable", [1, 2])
def test_a_variable_is_found_and_scaled_by_its_attributes(tmp_path: Path, form: str, variable: int) -> None:
    path = write_netcdf(tmp_path, form)
    band = stack(tmp_path, {"file": path.name, "variable": f"Band{variable}"})
    assert (band.raster.scale, band.raster.offset) == (1e-5, 0.3)
    stored = STORED[variable - 1]
    expected = np.where(stored == -10, np.nan, stored * 1e-5 + 0.3)
    np.testing.assert_allclose(reflectance(band), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("said", "scale", "offset"),
    [
        ({"scale": 1e-3}, 1e-3, 0.3),
        ({"offset": 0}, 1e-5, 0.0),
        ({"scale": 1, "offset": -0.1}, 1.0, -0.1),
    ],
)
def test_what_the_yaml_says_goes_before(
    tmp_path: Path, said: dict[str, float], scale: float, offset: float
) -> None:
    path = write_netcdf(tmp_path)
    raster = stack(tmp_path, {"file": path.name, "variable": "Band1", **said}).raster
    assert (raster.scale, raster.offset) == (scale, offset)
    raster = stack(tmp_path, {"file": path.name, "variable": "Band1"}, **said).raster
    assert (raster.scale, raster.offset) == (scale, offset)


def test_nodata_of_the_yaml_goes_before(tmp_path: Path) -> None:
    band = stack(tmp_path, {"file": write_netcdf(tmp_path).name, "variable": "Band1", "nodata": -9})
    np.testing.assert_array_equal(np.isnan(reflectance(band)), STORED[0] == -9)


def test_a_file_that_is_not_there_yet_is_no_error_at_opening(tmp_path: Path) -> None:
    assert stack(tmp_path, {"file": "later.nc", "variable": "Band1"}).raster.scale == 1.0


@pytest.mark.parametrize(
    ("file", "variable", "reason"),
    [
        ("values.nc", "Band3", "values.nc: cannot be opened"),
        ("values.nc", None, "values.nc: holds several variables, name the one to use: Band1, Band2"),
        ("values.tif", "Band1", "values.tif: is no NetCDF file"),
        ("cut.nc", "Band1", "cut.nc: "),
        ("junk.nc", "Band1", "junk.nc: is no GeoTIFF"),
    ],
)
def test_what_cannot_be_opened_names_the_file(
    tmp_path: Path, file: str, variable: str | None, reason: str
) -> None:
    content = write_netcdf(tmp_path).read_bytes()
    (tmp_path / "cut.nc").write_bytes(content[: len(content) // 3])
    (tmp_path / "junk.nc").write_bytes(b"junk" * 100)
    band = stack(tmp_path, {"file": file} | ({"variable": variable} if variable else {}))
    with pytest.raises(BadInput, match=reason):
        reflectance(band)


def test_real_layout_of_a_water_quality_product(shared: Path, tmp_path: Path) -> None:
    name = "S2A_MSIL2Agrs_20230815T104031_N0509_R008_T31TFJ_20230815T155959"
    path = shared / "conformance" / "quality" / "l2a" / f"{name}_beam.nc"
    band = stack(tmp_path, {"file": str(path), "variable": "Rrs_490"})
    assert (band.raster.scale, band.raster.offset) == (1e-5, 0.3)
    values = reflectance(band)
    assert values.shape == (120, 120) and 0 < np.isnan(values).sum() < values.size
    assert -0.03 < np.nanmin(values) < np.nanmax(values) < 1.0
