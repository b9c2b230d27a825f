"""Products of the water chain as they lie on disk, made from masks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.cog import write_cog
from thalweg.grid import Grid
from thalweg.item import item_file, write_item
from thalweg.layer import Layer

WATER = Layer("water", "uint8", "Surface water", nodata=255)


def grid_of(shape: tuple[int, int]) -> Grid:
    """A grid of the tile 31TFJ."""
    return Grid("EPSG:32631", 600000.0, 4900020.0, (10.0, 10.0), shape)


def write_product(
    destination: Path,
    mask: NDArray[np.uint8],
    *,
    platform: str,
    sensed: datetime,
    orbit: int,
    version: str,
    tile: str = "31TFJ",
    changed: Mapping[str, Any] | None = None,
    **properties: Any,
) -> Path:
    """A product folder with its raster and item, under the names of the chain; gives the folder."""
    when = f"{sensed:%Y%m%dT%H%M%S}"
    name = f"SURFWATER_OPTICAL-SINGLE_T{tile}_{when}_{when}_{version.replace('.', '-')}"
    id = f"{name}_{hashlib.sha256(mask.tobytes() + name.encode()).hexdigest()[:8]}"
    folder = (destination / item_file("water-1.0", tile, sensed, id)).parent
    folder.mkdir(parents=True, exist_ok=True)
    write_cog(folder / f"{name}_WATER.tif", mask, WATER, grid_of(mask.shape))
    recipe = {
        "chain": "water",
        "version": "1.0",
        "changed": dict(changed or {}),
        "granule": {"id": f"granule_{when}", "tile": tile, "orbit": orbit},
    }
    item = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": id,
        "collection": "water-1.0",
        "properties": {
            "datetime": sensed.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "platform": {"S2A": "sentinel-2a", "S2B": "sentinel-2b", "L8": "landsat-8"}[platform],
            "grid:code": f"MGRS-{tile}",
            "version": "1.0",
            "processing:expression": {"format": "thalweg", "expression": recipe},
            **properties,
        },
        "assets": {"water": {"href": f"./{name}_WATER.tif"}},
        "links": [],
    }
    write_item(folder / f"{id}.json", item)
    return folder
