"""Raster stacks of the frozen water scenes: six bands, a mask and static layers as a scientist would write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from rasterio.transform import Affine

import thalweg
from thalweg.ending import Ending

ROLES = ("blue", "green", "red", "nir", "swir16", "swir22")
"""Roles of the six bands, in the order of the frozen files."""

MEANINGS = {"nodata": 1, "cloud": 2, "cloud_shadow": 4, "snow": 8}
"""Bits of the frozen masks."""

PIXEL = 1e-4


@dataclass(frozen=True)
class Lake:
    """A water scene in memory."""

    bands: np.ndarray
    """Six bands, DN4, nodata -10000."""
    mask: np.ndarray
    """Bits of `MEANINGS`."""
    static: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Role to static layer."""

    def padded(self, rows: int, columns: int) -> Lake:
        """The scene with rows above and columns on the left that hold nothing."""
        edge = ((rows, 0), (columns, 0))
        return Lake(
            np.pad(self.bands, ((0, 0), *edge), constant_values=-10000),
            np.pad(self.mask, edge, constant_values=1),
            {
                role: np.pad(layer, edge, constant_values=_nothing(role))
                for role, layer in self.static.items()
            },
        )


def _nothing(role: str) -> float:
    return -9999 if role == "hand" else 255


def frozen(shared: Path, name: str, mask: str = "mask") -> Lake:
    """A scene of the conformance set."""
    with np.load(shared / "conformance" / "water" / "sanity" / f"{name}.npz") as file:
        static = {"gsw_occurrence": file["gsw_occurrence"], "hand": file["hand_m"].astype(np.float32)}
        return Lake(file["bands"], file[mask], static)


def write_lake(folder: Path, lake: Lake, *, crs: str = "EPSG:4326", **options: Any) -> Path:
    """The scene as GeoTIFFs with a YAML beside them, whose path comes back; static layers in ``static/``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_plane(folder / "bands.tif", lake.bands, crs=crs, nodata=-10000)
    write_plane(folder / "mask.tif", lake.mask, crs=crs)
    for role, layer in lake.static.items():
        write_plane(
            folder / "static" / f"{role}.tif", layer, crs=crs, nodata=-9999 if role == "hand" else None
        )
    (folder / "static").mkdir(exist_ok=True)
    description = {
        "level": "L2A",
        "time": "2021-04-15T10:59:10Z",
        "platform": "S2A",
        "site": "lake",
        "file": "bands.tif",
        "scale": 0.0001,
        "bands": {role: {"band": number} for number, role in enumerate(ROLES, start=1)},
        "masks": [
            {"file": "mask.tif", "meanings": {name: {"bits": [bit]} for name, bit in MEANINGS.items()}}
        ],
        **options,
    }
    path = folder / "lake.yaml"
    path.write_text(yaml.safe_dump(description))
    return path


def write_plane(
    path: Path, values: np.ndarray, *, crs: str = "EPSG:4326", nodata: float | None = None
) -> Path:
    """One or several planes as a GeoTIFF of small degrees, or of 10 m pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    planes = values if values.ndim == 3 else values[None]
    size, corner = (PIXEL, (5.0, 44.0)) if crs == "EPSG:4326" else (10.0, (600_000.0, 4_900_000.0))
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype=planes.dtype,
        count=len(planes),
        height=planes.shape[1],
        width=planes.shape[2],
        crs=crs,
        transform=Affine(size, 0, corner[0], 0, -size, corner[1]),
        nodata=nodata,
    ) as raster:
        raster.write(planes)
    return path


def run_lake(
    folder: Path, lake: Lake, *, strip_rows: int | None = None, crs: str = "EPSG:4326", **parameters: Any
) -> Ending:
    """The water chain on a scene, through its files."""
    granule = write_lake(folder / "in", lake, crs=crs)
    (ending,) = thalweg.run(
        granule,
        "water",
        to=folder / "out",
        static=folder / "in" / "static",
        strip_rows=strip_rows,
        **parameters,
    )
    return ending


def layer(ending: Ending, name: str) -> np.ndarray:
    """The pixels of a layer of a product."""
    if ending.product is None:
        raise AssertionError(f"no product: {ending.error}\n{ending.trace}")
    (path,) = ending.product.glob(f"*_{name}.tif")
    with rasterio.open(path) as raster:
        return raster.read(1)
