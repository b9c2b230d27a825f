"""The layers of OPERA DSWx-HLS and of WOfS as these programs give them, bit by bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.chains.water_detectors import (
    classify,
    land_of,
    lit_of,
    make_block,
    relief,
    roles_of,
    wofs_terrain,
)
from thalweg.inputs import NO_DATA
from thalweg.kernels import water, wofs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.chains.water_parameters import Water
    from thalweg.scene import Scene

_NAMES = ("WTR", "BWTR", "CONF", "WTR-1", "WTR-2", "CLOUD")
_KEYS = ("wtr", "bwtr", "conf", "wtr_1", "wtr_2", "cloud")


def dswx_layers(scene: Scene, parameters: Water) -> dict[str, NDArray[Any]]:
    """B01 to B10 of a DSWx-HLS product."""
    block = make_block(scene, parameters)
    land, lit, diag = land_of(block), lit_of(block), np.empty(block.shape, np.uint16)
    layers = classify(block, _NAMES, land, lit, diag)
    found: dict[str, NDArray[Any]] = dict(zip(_KEYS, layers, strict=True))
    found |= {"diag": diag, "land": land, "shad": lit}
    found = {name: values[block.own] for name, values in found.items()}
    heights, top, left = relief(scene, *scene.rows)
    rows, columns = scene.shape
    found["dem"] = heights[top : top + rows, left : left + columns]
    return found


def wofs_layers(scene: Scene, parameters: Water) -> dict[str, NDArray[Any]]:
    """The water observation byte: wet, and why a pixel is not to be trusted."""
    block = make_block(scene, parameters)
    observation = np.empty(block.shape, np.uint8)
    wofs.observe(block.bands, wofs.wet_table(), observation)
    flags = wofs_terrain(block) | _mask_flags(roles_of(scene, parameters))
    wofs.add_flags(block.bands, NO_DATA, flags, observation)
    return {"wofl": observation[block.own]}


def _mask_flags(roles: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Flags of the mask roles; those of snow and of pixels beside clouds mean nothing to WOfS."""
    flags = np.zeros(roles.shape, np.uint8)
    for role, flag in (
        (water.INVALID, wofs.NODATA),
        (water.CLOUD, wofs.CLOUD),
        (water.CLOUD_SHADOW, wofs.CLOUD_SHADOW),
        (water.TOPO_SHADOW, wofs.TERRAIN_SHADOW),
    ):
        flags |= ((roles & role) != 0).astype(np.uint8) * np.uint8(flag)
    return flags
