"""A random forest as flat arrays, and its prediction on six bands, equal to scikit-learn's.

A decision compares a float32 feature with a float64 threshold; rounding the threshold down to float32 changes no
decision. Leaf values are added in the order of the trees, in float64, so that the result depends neither on blocks nor
on threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.jit import kernel
from thalweg.kernels.samples import (
    CERTAIN_LAND,
    FEATURES,
    UNKNOWN,
    Bands,
    Bytes,
    Words,
    features,
    gather,
    list_unknown_row,
    mark_known_row,
)

_BATCH = 256
_BANDS = "UniTuple(int16[:, ::1], 6)"


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees one behind the other; `left` and `right` count from a tree's first node, as scikit-learn's do."""

    tree_start: NDArray[np.int64]
    """First node of each tree, and the number of nodes, (trees + 1,)."""
    feature: NDArray[np.int16]
    """Index of the feature that a node tests, -1: leaf, (nodes,)."""
    threshold: NDArray[np.float64]
    """Value up to which a pixel goes left, (nodes,)."""
    left: NDArray[np.int32]
    """Left child, (nodes,)."""
    right: NDArray[np.int32]
    """Right child, (nodes,)."""
    value: NDArray[np.float64]
    """Share of water in a leaf, 0-1, (nodes,)."""


@dataclass(frozen=True, slots=True)
class CompiledForest:
    """A forest in the order that prediction wants: a right child stands behind its left sibling."""

    roots: NDArray[np.int64]
    """First node of each tree, (trees,)."""
    depths: NDArray[np.int64]
    """Steps from each root to its deepest leaf, (trees,)."""
    child: NDArray[np.int32]
    """Left child; a leaf is its own, (nodes,)."""
    feature: NDArray[np.int32]
    """Position of the tested feature in `FEATURES`, (nodes,)."""
    threshold: NDArray[np.float32]
    """Value up to which a pixel goes left, rounded down; infinite in a leaf, (nodes,)."""
    value: NDArray[np.float64]
    """Share of water in a leaf, (nodes,)."""


def compiled(forest: Forest, names: Sequence[str] = FEATURES) -> CompiledForest:
    """The forest ready for `predict`; `names` are the features that it was trained on, in their order.

    Raises ValueError for a feature that is not one of `FEATURES`.
    """
    unknown = sorted(set(names) - set(FEATURES))
    if unknown:
        raise ValueError(f"unknown features {unknown}; known: {', '.join(FEATURES)}")
    positions = np.array([FEATURES.index(name) for name in names], dtype=np.int32)
    trees, base = [], 0
    for start, stop in zip(forest.tree_start[:-1], forest.tree_start[1:], strict=True):
        trees.append(_compiled_tree(forest, slice(start, stop), positions, base))
        base += trees[-1].child.size
    return CompiledForest(*(np.concatenate(parts) for parts in zip(*map(_arrays, trees), strict=True)))


def _compiled_tree(forest: Forest, nodes: slice, positions: NDArray[np.int32], base: int) -> CompiledForest:
    feature, threshold = forest.feature[nodes], forest.threshold[nodes]
    order, child, depth = _siblings_together(forest.left[nodes], forest.right[nodes], feature < 0)
    is_leaf = feature[order] < 0
    return CompiledForest(
        roots=np.array([base]),
        depths=np.array([depth]),
        child=np.array(child, dtype=np.int32) + np.int32(base),
        feature=np.where(is_leaf, 0, positions[feature[order]]).astype(np.int32),
        threshold=np.where(is_leaf, np.float32(np.inf), _rounded_down(threshold[order])),
        value=forest.value[nodes][order],
    )


def _arrays(tree: CompiledForest) -> tuple[NDArray[np.generic], ...]:
    return tree.roots, tree.depths, tree.child, tree.feature, tree.threshold, tree.value


def _siblings_together(
    left: NDArray[np.int32], right: NDArray[np.int32], is_leaf: NDArray[np.bool_]
) -> tuple[list[int], list[int], int]:
    """The nodes of a tree from the root down, for each the new position of its left child, and the depth."""
    order, levels, child = [0], [0], []
    for position, node in enumerate(order):
        child.append(position if is_leaf[node] else len(order))
        if not is_leaf[node]:
            order += [int(left[node]), int(right[node])]
            levels += [levels[position] + 1] * 2
    return order, child, max(levels)


def _rounded_down(values: NDArray[np.float64]) -> NDArray[np.float32]:
    rounded = values.astype(np.float32)
    return np.where(rounded > values, np.nextafter(rounded, np.float32(-np.inf)), rounded)


@kernel()
def _descend(
    values: NDArray[np.float32],
    stride: int,
    n: int,
    root: int,
    depth: int,
    child: NDArray[np.int32],
    feature: NDArray[np.int32],
    threshold: NDArray[np.float32],
    nodes: NDArray[np.int32],
) -> None:
    """The leaf of each of `n` pixels in one tree; `values` are the features, one row of `stride` after the other."""
    for p in range(n):
        nodes[p] = root
    for _ in range(depth):
        for p in range(n):
            node = np.uint32(nodes[p])
            goes_right = values[np.uint32(feature[node] * stride + p)] > threshold[node]
            nodes[p] = child[node] + np.int32(goes_right)


@kernel()
def _add_trees(
    values: NDArray[np.float32],
    n: int,
    roots: NDArray[np.int64],
    depths: NDArray[np.int64],
    child: NDArray[np.int32],
    feature: NDArray[np.int32],
    threshold: NDArray[np.float32],
    value: NDArray[np.float64],
    total: NDArray[np.float64],
    nodes: NDArray[np.int32],
) -> None:
    """Sum of the leaf values of `n` pixels over all trees, in the order of the trees."""
    flat = values.reshape(-1)
    total[:n] = 0.0
    for k in range(roots.size):
        _descend(flat, values.shape[1], n, roots[k], depths[k], child, feature, threshold, nodes)
        for p in range(n):
            total[p] += value[np.uint32(nodes[p])]


@kernel(
    f"int64({_BANDS}, uint8[:, ::1], uint16[:, ::1], uint16, uint8[::1], int64[::1], int64[::1], int32[::1],"
    " int32[::1], float32[::1], float64[::1], uint8[:, ::1])"
)
def _predict(
    bands: Bands,
    tests: Bytes,
    roles: Words,
    masked_by: np.uint16,
    known: Bytes,
    roots: NDArray[np.int64],
    depths: NDArray[np.int64],
    child: NDArray[np.int32],
    feature: NDArray[np.int32],
    threshold: NDArray[np.float32],
    value: NDArray[np.float64],
    prob: Bytes,
) -> int:
    height, width = prob.shape
    blue, green, red, nir, swir1, swir2 = bands
    columns, nodes = np.empty(width + 1, np.int32), np.empty(_BATCH, np.int32)
    spectra, values = np.zeros((6, _BATCH), np.int16), np.empty((9, _BATCH), np.float32)
    total, predicted = np.empty(_BATCH), 0
    for i in range(height):
        mark_known_row(tests[i], roles[i], masked_by, known, prob[i])
        wanted = list_unknown_row(prob[i], columns)
        predicted += wanted
        for first in range(0, wanted, _BATCH):
            n = min(_BATCH, wanted - first)
            gather((blue[i], green[i], red[i], nir[i], swir1[i], swir2[i]), columns, first, n, spectra)
            features(spectra, values)
            _add_trees(values, n, roots, depths, child, feature, threshold, value, total, nodes)
            for p in range(n):
                prob[i, columns[first + p]] = np.uint8(np.floor(100.0 * (total[p] / roots.size) + 0.5))
    return predicted


def gate(certain_land: int | None = 0) -> Bytes:
    """Known probability of each combination of test bits, uint8 (256,): `certain_land`, or None: no tree is spared."""
    is_land = (np.arange(256) & CERTAIN_LAND) != 0
    return np.where(is_land, UNKNOWN if certain_land is None else certain_land, UNKNOWN).astype(np.uint8)


def predict(
    bands: Bands,
    tests: Bytes,
    roles: Words,
    forest: CompiledForest,
    prob: Bytes,
    *,
    masked_by: int,
    known: Bytes,
) -> int:
    """Write PROB of a block, uint8 (h, w), 0-100 or 255; returns the number of pixels for which the trees were asked.

    `tests`: bits of `samples.spectral_tests`; `roles`: mask bits, a pixel with a role of `masked_by` is 255; `known`:
    of `gate`. PROB = floor(100 p + 0.5), p the mean of the trees' shares of water.
    """
    trees = (forest.roots, forest.depths, forest.child, forest.feature, forest.threshold, forest.value)
    return int(_predict(bands, tests, roles, np.uint16(masked_by), known, *trees, prob))
