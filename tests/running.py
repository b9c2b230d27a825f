"""Runs a chain on a granule and keeps its layers in memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from thalweg.chain import Chain, Conclusion
from thalweg.engine import compute
from thalweg.granule import Granule
from thalweg.grid import Bounds
from thalweg.layer import Layer
from thalweg.scenery import open_scenery
from thalweg.static import StaticLayers
from thalweg.strips import Run


class Kept:
    """Takes layers and keeps them."""

    def __init__(self) -> None:
        self.rows: dict[str, list[np.ndarray]] = {}

    def append(self, layer: Layer, rows: np.ndarray) -> None:
        self.rows.setdefault(layer.name, []).append(rows.copy())

    def __getitem__(self, name: str) -> np.ndarray:
        return np.concatenate(self.rows[name])


def run_chain(
    what: Chain,
    granule: Granule,
    layers: StaticLayers | None = None,
    rows: int | None = None,
    box: Bounds | None = None,
    **given: Any,
) -> tuple[Kept, Conclusion]:
    """The layers of a chain, whose strips have this many rows, and what it concludes."""
    kept = Kept()
    _, parameters = what.prepare(given)
    with (
        open_scenery(what, granule, parameters, layers or StaticLayers(), box) as scenery,
        ThreadPoolExecutor(2) as pool,
    ):
        conclusion = compute(scenery, parameters, kept, Run(rows), pool)
    return kept, conclusion
