"""A chain that reads what water reads and writes what water wrote, and computes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from snow_copy import read_layers

from thalweg.chain import Chain, Conclusion, Names, Noted, chain
from thalweg.inputs import Band, Input, Model
from thalweg.registry import find_chain


def copy_chain(product: Path, **given: Any) -> Chain:
    """The chain that reads what water reads with these parameters, once, and writes the layers of `product` again."""
    water = find_chain("water")
    _, parameters = water.prepare(given)
    layers = read_layers(product)

    def inputs(_: Any, granule: Any) -> list[Input]:
        return [plain(declared) for declared in water.inputs_for(parameters, granule)]

    def names(granule: Any, _: Any, version: str, available: frozenset[str]) -> Names:
        return water.names_for(granule, parameters, version, available)

    def conclude(_: Any) -> Conclusion:
        return Conclusion()

    @chain(
        "water-copy",
        version=water.version,
        inputs=inputs,
        outputs=water.outputs,
        grid="finest",
        survey=lambda scene: Noted(),
        conclude=conclude,
        names=names,
        main=water.main,
    )
    def copies(scene: Any) -> Any:
        """The strip's rows of layers made before."""
        first, last = scene.rows
        return {name: whole[first:last].copy() for name, whole in layers.items()}

    return copies


def plain(declared: Input) -> Input:
    """The same input in one pass, coarse bands repeated instead of blended."""
    if isinstance(declared, Band):
        return replace(declared, enlarge="nearest", step="survey")
    return declared if isinstance(declared, Model) else replace(declared, step="survey")
