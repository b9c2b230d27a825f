"""Water quality on real pixels, and public tables as smoke tests: they prove that things run, not skill."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import rasterio

import thalweg
from thalweg.kernels import quality_flags as flags


def unpacked(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        stored = raster.read(1)
    return np.where(stored == 65535, np.nan, 10 ** (stored * 0.001 - 3))


def test_33twm_with_the_broad_near_infrared(shared: Path, tmp_path: Path) -> None:
    granule = shared / "data" / "s2-l2a-two-tiles-33TWL-33TWM" / "S2B_33TWM_20230813_0_L2A"
    (ending,) = thalweg.run(granule, "quality", to=tmp_path, nir_band="nir")
    assert ending.product is not None, (ending.error, ending.trace)
    valid = ending.properties["quality:valid_pixels"]
    assert 2900 < valid["chla"] < 3200
    assert {"acdom440", "fui", "owt"} <= set(ending.properties["quality:absent_layers"])
    with rasterio.open(ending.product / "quality_flags.tif") as raster:
        words = raster.read(1)
    inner = (words & (flags.ADJACENCY | flags.MIXED_PIXEL | flags.LAND)) == 0
    reservoir = {name: unpacked(ending.product / f"{name}.tif")[inner] for name in ("chla", "spm", "tur")}
    medians = {name: float(np.nanmedian(values)) for name, values in reservoir.items()}
    assert 2 < medians["chla"] < 8 and 40 < medians["spm"] < 90 and 100 < medians["tur"] < 300


def test_without_it_suspended_matter_is_absent_and_said(shared: Path, tmp_path: Path) -> None:
    granule = shared / "data" / "s2-l2a-two-tiles-33TWL-33TWM" / "S2B_33TWM_20230813_0_L2A"
    (ending,) = thalweg.run(granule, "quality", to=tmp_path)
    assert ending.product is not None, (ending.error, ending.trace)
    assert {"spm", "tur"} <= set(ending.properties["quality:absent_layers"])


STACK = """\
level: L2A
time: 2019-07-01T16:00:00Z
site: harsha
platform: S2A
file: {file}
scale: 0.0001
nodata: {nodata}
bands:
  coastal: {{band: 1}}
  blue: {{band: 2}}
  green: {{band: 3}}
  red: {{band: 4}}
  rededge071: {{band: 5}}
  rededge075: {{band: 6}}
  rededge078: {{band: 7}}
  nir: {{band: 8}}
"""


def test_a_float_stack_of_a_lake_runs(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "s2-waterquality-harsha"
    with rasterio.open(folder / "S2_Harsha.tif") as raster:
        nodata, valid = raster.nodata, int(raster.dataset_mask().astype(bool).sum())
    path = tmp_path / "harsha.yaml"
    path.write_text(STACK.format(file=folder / "S2_Harsha.tif", nodata=repr(nodata)))
    (ending,) = thalweg.run(path, "quality", to=tmp_path / "out", nir_band="B8", algorithms=["chl_moses2b"])
    assert ending.product is not None, (ending.error, ending.trace)
    assert ending.properties["quality:warnings"] == [
        "nothing says where land is: every pixel counts as water"
    ]
    assert 0 < ending.properties["quality:valid_pixels"]["chla"] <= valid


def test_the_stations_of_the_lake_are_a_table(shared: Path) -> None:
    with (shared / "data" / "s2-waterquality-harsha" / "waterquality_data.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 14


def test_a_band_asked_for_by_name_that_is_not_there(shared: Path, tmp_path: Path) -> None:
    granule = shared / "data" / "s2-l2a-two-tiles-33TWL-33TWM" / "S2B_33TWM_20230813_0_L2A"
    (ending,) = thalweg.run(granule, "quality", to=tmp_path, algorithms=["chl_gilerson2"])
    assert ending.error is not None
    assert ending.code == 12
    assert "layer 'chl_gilerson2': needs B5" in str(ending.error)
