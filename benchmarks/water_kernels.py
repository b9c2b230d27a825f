"""Kernels of the water chain alone: the tests of DSWx-HLS, and the forest beside scikit-learn's own prediction."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window

BANDS = ("B2", "B3", "B4", "B8", "B11", "B12")
ROWS, REPEATS = 256, 21


def read_bands(granule: Path) -> tuple[Any, ...]:
    """A strip from the middle of a tile: six bands on pixels of 10 m."""
    found = []
    for band in BANDS:
        with rasterio.open(next(granule.glob(f"*_FRE_{band}.tif"))) as raster:
            times = 2 if band in ("B11", "B12") else 1
            top = raster.height // 2
            values = raster.read(1, window=Window(0, top, raster.width, ROWS // times))
            found.append(np.ascontiguousarray(values.repeat(times, 0).repeat(times, 1)))
    return tuple(found)


def cost(work: Callable[[], object], pixels: int, repeats: int = REPEATS) -> float:
    """CPU-ms per million pixels, the median of several calls after one."""
    work()
    took = []
    for _ in range(repeats):
        start = time.thread_time()
        work()
        took.append(time.thread_time() - start)
    return statistics.median(took) * 1e9 / pixels


def dswx_cost(granule: Path) -> str:
    """What the chain asks of DSWx-HLS, and all of its layers."""
    from thalweg.kernels import dswx

    bands = read_bands(granule)
    shape, rules = bands[0].shape, dswx.Rules(fill=-10000)
    fmask, ground = np.full(shape, 64, np.uint8), np.full(shape, dswx.PLAIN, np.uint8)
    diag = np.empty(shape, np.uint16)
    found = []
    for names, digits in (
        (("PROB", "WTR"), None),
        (("WTR", "BWTR", "CONF", "WTR-1", "WTR-2", "CLOUD"), diag),
    ):
        layers = np.empty((len(names), *shape), np.uint8)

        def classify(names: Any = names, digits: Any = digits, layers: Any = layers) -> None:
            dswx.classify(bands, fmask, ground, names, layers, digits, rules)

        found.append(cost(classify, fmask.size))
    return f"dswx kernel: {found[0]:.1f} CPU-ms/Mpx as a detector, {found[1]:.1f} with all layers (at most 4)"


def scikit_learn_cost(granule: Path, static: Path) -> str:
    """A forest of the chain's size on a strip: its kernel and scikit-learn, every pixel asked."""
    from sklearn.tree import DecisionTreeClassifier

    from thalweg.kernels import forest, samples

    bands = read_bands(granule)
    tests, shape = np.empty(bands[0].shape, np.uint8), bands[0].shape
    samples.spectral_tests(bands, samples.SpectralLimits().as_array(), tests)
    flat = np.stack([band.ravel() for band in bands])
    values = np.empty((len(samples.FEATURES), flat.shape[1]), np.float32)
    samples.features(flat, values)
    truth = ((tests & samples.MAY_BE_WATER) != 0).ravel()
    drawn = np.random.default_rng(1).permutation(truth.size)[:12_000]
    features = np.ascontiguousarray(values.T)
    trees = [
        DecisionTreeClassifier(max_depth=6, max_features=3, random_state=k).fit(features[drawn], truth[drawn])
        for k in range(20)
    ]
    compiled = forest.compiled(kept(trees))
    prob, roles = np.empty(shape, np.uint8), np.zeros(shape, np.uint16)

    def ask_kernel() -> None:
        forest.predict(bands, tests, roles, compiled, prob, masked_by=1, known=forest.gate(None))

    def ask_library() -> Any:
        return sum(tree.predict_proba(features) for tree in trees)

    ours, theirs = cost(ask_kernel, tests.size, 5), cost(ask_library, tests.size, 3)
    return (
        f"every pixel asked of 20 trees of depth 6: kernel {ours:.0f}, scikit-learn {theirs:.0f} CPU-ms/Mpx"
    )


def kept(trees: list[Any]) -> Any:
    """The trees as flat arrays."""
    from thalweg.kernels.forest import Forest

    grown = [tree.tree_ for tree in trees]
    return Forest(
        np.cumsum([0, *(tree.node_count for tree in grown)]).astype(np.int64),
        np.concatenate([np.where(tree.children_left < 0, -1, tree.feature) for tree in grown]).astype(
            np.int16
        ),
        np.concatenate([tree.threshold for tree in grown]),
        np.concatenate([tree.children_left for tree in grown]).astype(np.int32),
        np.concatenate([tree.children_right for tree in grown]).astype(np.int32),
        np.concatenate([tree.value[:, 0, -1] / tree.value[:, 0, :].sum(axis=1) for tree in grown]),
    )
