"""A random forest as flat arrays, and its prediction on six bands, equal to scikit-learn's.

A decision compares a float32 feature with a float64 threshold; rounding the threshold down to float32 changes no
decision. Leaf values are added in the order of the trees, in float64, so that the result depends neither on blocks nor on
threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from thalweg.kernels.formula import formula
from thalweg.kernels.jit import kernel

FEATURES = ("blue", "green", "red", "nir", "swir1", "swir2", "ndvi", "ndwi", "mndwi")
"""The features that `features` computes, in this order."""

MASKED = 255
"""Probability of a pixel that is masked out."""

_WANTED = 254
_BATCH = 256
_BANDS = "UniTuple(int16[:, ::1], 6)"


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees one behind the other; `left` and `right` count from a tree's first node, as scikit-learn's do."""

    tree_start: npt.NDArray[np.int64]
    """First node of each tree, and the number of nodes, (trees + 1,)."""
    feature: npt.NDArray[np.int16]
    """Index of the feature that a node tests, -1: leaf, (nodes,)."""
    threshold: npt.NDArray[np.float64]
    """Value up to which a pixel goes left, (nodes,)."""
    left: npt.NDArray[np.int32]
    """Left child, (nodes,)."""
    right: npt.NDArray[np.int32]
    """Right child, (nodes,)."""
    value: npt.NDArray[np.float64]
    """Share of water in a leaf, 0-1, (nodes,)."""


@dataclass(frozen=True, slots=True)
class CompiledForest:
    """A forest in the order that prediction wants: a right child stands behind its left sibling."""

    roots: npt.NDArray[np.int64]
    """First node of each tree, (trees,)."""
    depths: npt.NDArray[np.int64]
    """Steps from each root to its deepest leaf, (trees,)."""
    child: npt.NDArray[np.int32]
    """Left child; a leaf is its own, (nodes,)."""
    feature: npt.NDArray[np.int32]
    """Position of the tested feature in `FEATURES`, (nodes,)."""
    threshold: npt.NDArray[np.float32]
    """Value up to which a pixel goes left, rounded down; infinite in a leaf, (nodes,)."""
    value: npt.NDArray[np.float64]
    """Share of water in a leaf, (nodes,)."""


def compiled(forest: Forest, features: Sequence[str] = FEATURES) -> CompiledForest:
    """The forest ready for `predict`; `features` names those that it was trained on, in their order.

    Raises ValueError for a feature that is not one of `FEATURES`.
    """
    unknown = sorted(set(features) - set(FEATURES))
    if unknown:
        raise ValueError(f"unknown features {unknown}; known: {', '.join(FEATURES)}")
    positions = np.array([FEATURES.index(name) for name in features], dtype=np.int32)
    trees, base = [], 0
    for start, stop in zip(forest.tree_start[:-1], forest.tree_start[1:], strict=True):
        trees.append(_compiled_tree(forest, slice(start, stop), positions, base))
        base += trees[-1].child.size
    return CompiledForest(*(np.concatenate(parts) for parts in zip(*map(_arrays, trees), strict=True)))


def _compiled_tree(
    forest: Forest, nodes: slice, positions: npt.NDArray[np.int32], base: int
) -> CompiledForest:
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


def _arrays(tree: CompiledForest) -> tuple[npt.NDArray[np.generic], ...]:
    return tree.roots, tree.depths, tree.child, tree.feature, tree.threshold, tree.value


def _siblings_together(
    left: npt.NDArray[np.int32], right: npt.NDArray[np.int32], is_leaf: npt.NDArray[np.bool_]
) -> tuple[list[int], list[int], int]:
    """The nodes of a tree from the root down, for each the new position of its left child, and the depth."""
    order, levels, child = [0], [0], []
    for position, node in enumerate(order):
        child.append(position if is_leaf[node] else len(order))
        if not is_leaf[node]:
            order += [int(left[node]), int(right[node])]
            levels += [levels[position] + 1] * 2
    return order, child, max(levels)


def _rounded_down(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    rounded = values.astype(np.float32)
    return np.where(rounded > values, np.nextafter(rounded, np.float32(-np.inf)), rounded)


@formula
def _reflectance(dn):  # type: ignore[no-untyped-def]
    """Reflectance of at least 0."""
    return np.float32(max(dn, np.int16(0))) / np.float32(10000.0)


@formula
def _index(a, b):  # type: ignore[no-untyped-def]
    """Normalised difference, kept stable on dark pixels by a constant."""
    return (a - b) / (a + b + np.float32(0.02))


@kernel("void(int16[:, ::1], float32[:, ::1])")
def features(spectra, out):  # type: ignore[no-untyped-def]
    """`FEATURES` of spectra, float32 (9, n), in float32 arithmetic; `spectra`: DN4 of the six bands, int16 (6, n)."""
    for k in range(6):
        band, row = spectra[k], out[k]
        for j in range(band.size):
            row[j] = _reflectance(band[j])
    green, red, nir, swir1 = out[1], out[2], out[3], out[4]
    ndvi, ndwi, mndwi = out[6], out[7], out[8]
    for j in range(ndvi.size):
        ndvi[j] = _index(nir[j], red[j])
    for j in range(ndwi.size):
        ndwi[j] = _index(green[j], nir[j])
    for j in range(mndwi.size):
        mndwi[j] = _index(green[j], swir1[j])


@kernel("void(float32[::1], int64, int64, int64, int64, int32[::1], int32[::1], float32[::1], int32[::1])")
def _descend(values, stride, n, root, depth, child, feature, threshold, nodes):  # type: ignore[no-untyped-def]
    """The leaf of each of `n` pixels in one tree; `values` are the features, one row of `stride` after the other."""
    for p in range(n):
        nodes[p] = root
    for _ in range(depth):
        for p in range(n):
            node = np.uint32(nodes[p])
            goes_right = values[np.uint32(feature[node] * stride + p)] > threshold[node]
            nodes[p] = child[node] + np.int32(goes_right)


@kernel(
    "void(float32[:, ::1], int64, int64[::1], int64[::1], int32[::1], int32[::1], float32[::1], float64[::1],"
    " float64[::1], int32[::1])"
)
def _add_trees(values, n, roots, depths, child, feature, threshold, value, total, nodes):  # type: ignore[no-untyped-def]
    """Sum of the leaf values of `n` pixels over all trees, in the order of the trees."""
    flat = values.reshape(-1)
    total[:n] = 0.0
    for k in range(roots.size):
        _descend(flat, values.shape[1], n, roots[k], depths[k], child, feature, threshold, nodes)
        for p in range(n):
            total[p] += value[np.uint32(nodes[p])]


@kernel("int64(uint8[::1], int32[::1])")
def _wanted_row(prob, columns):  # type: ignore[no-untyped-def]
    """The columns of a row that are to be predicted, those with `_WANTED`, and how many they are."""
    n = 0
    for j in range(prob.size):
        columns[n] = j
        n += prob[j] == _WANTED
    return n


@kernel("void(uint8[::1], uint16[::1], uint16, uint8, uint8, uint8[::1])")
def _mark_row(tests, roles, masked_by, certain, certain_prob, prob):  # type: ignore[no-untyped-def]
    """What is known of a row before any tree: masked, certain, or wanted."""
    for j in range(prob.size):
        known = np.uint8(certain_prob) if tests[j] & certain else np.uint8(_WANTED)
        prob[j] = np.uint8(MASKED) if roles[j] & masked_by else known


@kernel("void(UniTuple(int16[::1], 6), int32[::1], int64, int64, int16[:, ::1])")
def _gather(rows, columns, first, n, spectra):  # type: ignore[no-untyped-def]
    """The spectra of `n` listed columns of a row."""
    blue, green, red, nir, swir1, swir2 = rows
    for p in range(n):
        j = columns[first + p]
        spectra[0, p], spectra[1, p], spectra[2, p] = blue[j], green[j], red[j]
        spectra[3, p], spectra[4, p], spectra[5, p] = nir[j], swir1[j], swir2[j]


@kernel(
    f"int64({_BANDS}, uint8[:, ::1], uint16[:, ::1], uint16, uint8, uint8, int64[::1], int64[::1], int32[::1],"
    " int32[::1], float32[::1], float64[::1], uint8[:, ::1])"
)
def _predict(  # type: ignore[no-untyped-def]
    bands, tests, roles, masked_by, certain, certain_prob, roots, depths, child, feature, threshold, value, prob
):
    height, width = prob.shape
    blue, green, red, nir, swir1, swir2 = bands
    columns, nodes = np.empty(width + 1, np.int32), np.empty(_BATCH, np.int32)
    spectra, values = np.zeros((6, _BATCH), np.int16), np.empty((9, _BATCH), np.float32)
    total, predicted = np.empty(_BATCH), 0
    for i in range(height):
        _mark_row(tests[i], roles[i], masked_by, certain, certain_prob, prob[i])
        wanted = _wanted_row(prob[i], columns)
        predicted += wanted
        for first in range(0, wanted, _BATCH):
            n = min(_BATCH, wanted - first)
            _gather((blue[i], green[i], red[i], nir[i], swir1[i], swir2[i]), columns, first, n, spectra)
            features(spectra, values)
            _add_trees(values, n, roots, depths, child, feature, threshold, value, total, nodes)
            for p in range(n):
                prob[i, columns[first + p]] = np.uint8(np.floor(100.0 * (total[p] / roots.size) + 0.5))
    return predicted


def predict(
    bands: tuple[npt.NDArray[np.int16], ...],
    tests: npt.NDArray[np.uint8],
    roles: npt.NDArray[np.uint16],
    forest: CompiledForest,
    prob: npt.NDArray[np.uint8],
    *,
    masked_by: int,
    certain: int = 0,
    certain_prob: int = 0,
) -> int:
    """PROB of a block, uint8 (h, w), 0-100 or 255; returns the number of pixels for which the trees were asked.

    `bands`: six int16 (h, w), DN4; `tests`: bits of `samples.spectral_tests`; `roles`: mask bits. A pixel with a role of
    `masked_by` is 255; one with a test of `certain` (CERTAIN_LAND, or 0: none) is `certain_prob`, no tree visited.
    """
    trees = (forest.roots, forest.depths, forest.child, forest.feature, forest.threshold, forest.value)
    limits = (np.uint16(masked_by), np.uint8(certain), np.uint8(certain_prob))
    return int(_predict(bands, tests, roles, *limits, *trees, prob))
