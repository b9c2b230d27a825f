"""Small granules made on the spot: bands and masks as files, for tests of what reads and runs them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import Affine

from thalweg.granule import BandFile, Granule, Sun
from thalweg.masks import CLM, MaskFile
from thalweg.raster import Raster, Reflectance

CORNER = (300_000.0, 4_800_000.0)
"""Upper-left corner of tile 31TCH."""


def write_raster(path: Path, values: np.ndarray, pixel: float = 20.0, **options: Any) -> Path:
    """A GeoTIFF in the CRS and at the corner of tile 31TCH."""
    path.parent.mkdir(parents=True, exist_ok=True)
    left, top = options.pop("corner", CORNER)
    profile = {
        "driver": "GTiff",
        "dtype": values.dtype,
        "height": values.shape[0],
        "width": values.shape[1],
        "count": 1,
        "crs": "EPSG:32631",
        "transform": Affine(pixel, 0, left, 0, -pixel, top),
        **options,
    }
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(values, 1)
    return path


def make_granule(
    folder: Path,
    bands: Mapping[str, tuple[np.ndarray, float]],
    clouds: np.ndarray | None = None,
    **options: Any,
) -> Granule:
    """A granule of tile 31TCH whose bands, role to counts (x 10000) and pixel size, are written into `folder`."""
    reflectance = Reflectance()
    files = {
        role: {
            "native": BandFile(
                Raster(write_raster(folder / f"{role}.tif", counts, pixel, nodata=-10000), scale=1e-4),
                reflectance,
                role,
            )
        }
        for role, (counts, pixel) in bands.items()
    }
    masks: tuple[MaskFile, ...] = ()
    if clouds is not None:
        masks = (MaskFile("clm", Raster(write_raster(folder / "clm.tif", clouds)), CLM),)
    facts: dict[str, Any] = {
        "id": "TEST_31TCH",
        "path": folder,
        "format": "stack",
        "tile": "31TCH",
        "sensed": datetime(2021, 4, 15, 10, 59, 10, tzinfo=UTC),
        "platform": "S2A",
        "level": "L2A",
        "sun": Sun(60.0, 150.0),
        **options,
    }
    return Granule(bands=files, masks=masks, **facts)
