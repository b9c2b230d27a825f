"""C2RCC products: which reflectance is taken, flags by their names, land by a mask of one's own."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import rasterio

import thalweg
from tests.readers.grs_products import place_grid
from thalweg.errors import BadInput
from thalweg.kernels import quality_flags as flags
from thalweg.readers import open_granule

netCDF4 = pytest.importorskip("netCDF4")

NAME = "S2A_MSIL1C_20220703T105619_N0400_R094_T31TCJ_20220703T125800_C2RCC"
SHAPE = (4, 5)
SPECTRUM = {
    "B1": 0.010,
    "B2": 0.015,
    "B3": 0.030,
    "B4": 0.017,
    "B5": 0.022,
    "B6": 0.008,
    "B7": 0.009,
    "B8A": 0.004,
}


def make(folder: Path, kind: str = "rhow", masks: str = "1 8") -> Path:
    path = folder / f"{NAME}.nc"
    with netCDF4.Dataset(path, "w") as file:
        place_grid(file, SHAPE, (300000.0, 4900020.0), 20.0, (443,))
        for band, value in SPECTRUM.items():
            made = file.createVariable(f"{kind}_{band}", "f4", ("y", "x"))
            made[:] = value if kind == "rhow" else value / math.pi
            made.setncatts({"grid_mapping": "spatial_ref"})
        codes = file.createVariable("c2rcc_flags", "i4", ("y", "x"))
        codes[:] = np.where(np.arange(20).reshape(SHAPE) == 7, 8, 0)
        codes.setncatts(
            {
                "flag_meanings": "Rtosa_OOR Cloud_risk",
                "flag_masks": np.array([int(mask) for mask in masks.split()], np.int32),
                "grid_mapping": "spatial_ref",
            }
        )
    return path


@pytest.mark.parametrize(("kind", "level"), [("rhow", "rhow"), ("rrs", "Rrs")])
def test_either_reflectance_is_understood(tmp_path: Path, kind: str, level: str) -> None:
    granule = open_granule(make(tmp_path, kind))
    assert (granule.format, granule.level, granule.platform, granule.tile) == ("c2rcc", level, "S2A", "31TCJ")
    assert {"coastal", "blue", "green", "red", "nir08"} <= set(granule.bands)
    assert "nir" not in granule.bands


def test_both_give_the_same_water_quality_and_clouds_by_name(tmp_path: Path) -> None:
    found = []
    for kind in ("rhow", "rrs"):
        (tmp_path / kind).mkdir()
        (ending,) = thalweg.run(make(tmp_path / kind, kind), "quality", to=tmp_path / f"out-{kind}")
        assert ending.product is not None, (ending.error, ending.trace)
        assert ending.properties["quality:reflectance_type"] == "water_leaving"
        with rasterio.open(ending.product / "spm.tif") as raster:
            found.append(raster.read(1))
        with rasterio.open(ending.product / "quality_flags.tif") as raster:
            words = raster.read(1)
        assert (words & flags.CLOUD != 0).sum() == 1
        assert words[1, 2] & flags.CLOUD
        assert not (words & flags.GLINT_NOT_MODELLED).any()
    np.testing.assert_array_equal(*found)
    expected = 610.94 * 0.017 / (1 - 0.017 / 0.2324)
    assert found[0][0, 0] == round((math.log10(expected) + 3) / 0.001)


def test_flags_whose_names_and_masks_do_not_pair_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="2 flag_meanings and 1 flag_masks"):
        open_granule(make(tmp_path, masks="8"))
