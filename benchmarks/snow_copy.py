"""A chain that reads what snow reads and writes what snow wrote, and computes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from thalweg.chain import Chain, Conclusion, Names, Noted, chain
from thalweg.inputs import Band, Input
from thalweg.registry import find_chain


def copy_chain(product: Path) -> Chain:
    """The chain that writes the layers of `product` again, from memory."""
    snow = find_chain("snow")
    _, parameters = snow.prepare({})
    layers = read_layers(product)

    def names(granule: Any, given: Any, version: str, available: frozenset[str]) -> Names:
        return snow.names_for(granule, parameters, version, available)

    def inputs(given: Any, granule: Any) -> list[Input]:
        return [plain(declared) for declared in snow.inputs_for(parameters, granule)]

    def survey(scene: Any) -> Noted:
        kept = {"green": scene.green.copy(), "swir16": scene.swir16.copy()}
        return Noted({**kept, "state": np.empty(scene.shape, np.uint16)})

    @chain(
        "snow-copy",
        version=snow.version,
        inputs=inputs,
        outputs=snow.outputs,
        survey=survey,
        conclude=lambda tile: Conclusion(),
        names=names,
        main=snow.main,
    )
    def copies(scene: Any) -> Any:
        """The strip's rows of layers made before."""
        first, last = scene.rows
        return {name: whole[first:last].copy() for name, whole in layers.items()}

    return copies


def plain(declared: Input) -> Input:
    """The same input without resampling: a finer band gives every second pixel."""
    return replace(declared, reduce="nearest") if isinstance(declared, Band) else declared


def read_layers(product: Path) -> dict[str, np.ndarray]:
    """Layer name to raster, as the product's item lists them."""
    item = json.loads((product / f"{product.name}.json").read_text())
    files = {name: asset["href"] for name, asset in item["assets"].items() if asset["href"].endswith(".tif")}
    return {name: read(product / file) for name, file in files.items()}


def read(path: Path) -> np.ndarray:
    """The first band."""
    with rasterio.open(path) as raster:
        return raster.read(1)
