"""A chain that reads what quality reads and writes what quality wrote, and computes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snow_copy import read_layers

from thalweg.chain import Chain, Conclusion, Names, Noted, chain
from thalweg.inputs import Input
from thalweg.registry import find_chain


def copy_chain(product: Path) -> Chain:
    """The chain that writes the layers of `product` again, from memory."""
    quality = find_chain("quality")
    _, parameters = quality.prepare({})
    layers = read_layers(product)

    def names(granule: Any, given: Any, version: str, available: frozenset[str]) -> Names:
        return quality.names_for(granule, parameters, version, available)

    def inputs(given: Any, granule: Any) -> tuple[Input, ...]:
        return quality.inputs_for(parameters, granule)

    @chain(
        "quality-copy",
        version=quality.version,
        inputs=inputs,
        outputs=quality.outputs,
        grid=quality.grid,
        halo=quality.halo_for(parameters),
        survey=lambda scene: Noted(),
        conclude=lambda tile: Conclusion(),
        names=names,
        main=quality.main,
        levels=quality.levels,
    )
    def copies(scene: Any) -> Any:
        """The strip's rows of layers made before."""
        first, last = scene.rows
        return {name: whole[first:last].copy() for name, whole in layers.items()}

    return copies
