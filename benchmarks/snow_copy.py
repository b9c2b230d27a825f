"""A chain that reads what snow reads and writes what snow wrote, and computes nothing."""

from __future__ import annotations

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
    files = {path.name: path for path in product.rglob("*.tif")}
    layers: dict[str, np.ndarray] = {}

    def names(granule: Any, given: Any, version: str, available: frozenset[str]) -> Names:
        return snow.names_for(granule, parameters, version, available)

    def inputs(given: Any, granule: Any) -> list[Input]:
        return [plain(declared) for declared in snow.inputs_for(parameters, granule)]

    def survey(scene: Any) -> Noted:
        if not layers:
            layers.update(read_layers(snow.names_for(scene.granule, parameters, version_of(product), frozenset({"tcd"})), files))
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


def read_layers(names: Names, files: dict[str, Path]) -> dict[str, np.ndarray]:
    """Layer name to raster."""
    found = {layer: files[Path(name).name] for layer, name in names.files.items() if Path(name).name in files}
    return {layer: rasterio.open(path).read(1) for layer, path in found.items()}


def version_of(product: Path) -> str:
    """The version in the product's name."""
    return product.name.split("_")[-2]
