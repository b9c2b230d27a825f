"""Water by clustering: Ward clusters of a sample, a naive Bayes model of them, its posterior per pixel.

The formulation is our own; the idea of clustering water indices on a sample and carrying the result to every pixel by
naive Bayes is that of Cordeiro, Martinez and Pena-Luque 2021, doi:10.1016/j.rse.2020.112209. Everything here is made of
additions, multiplications, divisions and the functions of `elementary`, in a fixed order: the same sample gives the
same bits on every machine.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.elementary import exp, ln
from thalweg.kernels.formula import formula
from thalweg.kernels.jit import kernel
from thalweg.kernels.samples import (
    FEATURES,
    MAY_BE_WATER,
    SNOW_LIKE,
    UNKNOWN,
    Bands,
    Bytes,
    Spectra,
    Words,
    features,
    gather,
    list_unknown_row,
    mark_known_row,
)

_BATCH = 256
_SPREAD = 1e-3
_BANDS = "UniTuple(int16[:, ::1], 6)"
_MNDWI, _NDWI = FEATURES.index("mndwi"), FEATURES.index("ndwi")
_NIR, _SWIR1, _SWIR2 = FEATURES.index("nir"), FEATURES.index("swir1"), FEATURES.index("swir2")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClusterLimits:
    """Limits on the means of a cluster: indices from -1 to 1, reflectances 0-1."""

    snow_mndwi: float = 0.4
    """MNDWI above which a cluster may be snow."""
    snow_nir: float = 0.20
    """Near infrared above which it may."""
    snow_green: float = 0.20
    """Green above which it then is."""
    water_mndwi: float = 0.0
    """MNDWI from which a cluster that is no snow may be water."""
    water_ndwi: float = -0.15
    """NDWI from which it may."""
    water_swir2: float = 0.075
    """Short-wave infrared 2 up to which it may."""
    water_nir: float = 0.20
    """Near infrared up to which it then is."""


@dataclass(frozen=True, slots=True)
class ClusterModel:
    """A Gaussian per cluster, features independent; small clusters are left out."""

    mean: Floats
    """Mean of each feature, (clusters, 5)."""
    half_precision: Floats
    """Half the inverse of its variance, (clusters, 5)."""
    offset: Floats
    """Logarithm of the cluster's share and of its density at the mean, (clusters,)."""
    is_water: NDArray[np.bool_]
    """Whether the cluster is water, (clusters,)."""
    is_snow: NDArray[np.bool_]
    """Whether it is snow, (clusters,)."""
    size: NDArray[np.int64]
    """Its number of samples, (clusters,)."""


@kernel()
def _scaled(values: NDArray[np.float32], out: Floats) -> None:
    """The five features of the clusters, float64 (5, n), of `samples.features`."""
    mndwi, ndwi = values[_MNDWI], values[_NDWI]
    for j in range(mndwi.size):
        out[0, j] = mndwi[j]
    for j in range(ndwi.size):
        out[1, j] = ndwi[j]
    _capped_row(values[_NIR], out[2])
    _capped_row(values[_SWIR1], out[3])
    _capped_row(values[_SWIR2], out[4])


@kernel()
def _capped_row(reflectance: NDArray[np.float32], out: Floats) -> None:
    """Four times a reflectance, at most 2."""
    for j in range(out.size):
        out[j] = min(np.float32(4.0) * reflectance[j], np.float32(2.0))


def cluster_features(spectra: Spectra) -> Floats:
    """MNDWI, NDWI and four times near infrared and short-wave infrared 1 and 2, capped at 2: float64 (5, n).

    `spectra`: DN4 of the six bands, int16 (n, 6), as a sample table holds them. Computed in float32.
    """
    bands = np.ascontiguousarray(spectra.T)
    values = np.empty((len(FEATURES), len(spectra)), dtype=np.float32)
    features(bands, values)
    out = np.empty((5, len(spectra)))
    _scaled(values, out)
    return out


@formula
def _ward(count: float, other_count: float, squared: float) -> float:
    """Growth of the within-cluster sum of squares when two clusters are merged."""
    return count * other_count / (count + other_count) * squared


@kernel()
def _distances(centre: Floats, count: Floats, n: int, tip: int, out: Floats) -> None:
    """Ward distance of a cluster to each of the first `n`."""
    c0, c1, c2, c3, c4 = centre[0, tip], centre[1, tip], centre[2, tip], centre[3, tip], centre[4, tip]
    x0, x1, x2, x3, x4 = centre[0], centre[1], centre[2], centre[3], centre[4]
    own = count[tip]
    for j in range(n):
        d0, d1, d2, d3, d4 = x0[j] - c0, x1[j] - c1, x2[j] - c2, x3[j] - c3, x4[j] - c4
        out[j] = _ward(own, count[j], d0 * d0 + d1 * d1 + d2 * d2 + d3 * d3 + d4 * d4)
    out[tip] = np.inf


@kernel()
def _nearest(distance: Floats, n: int, previous: int) -> int:
    """The nearest of the first `n`: `previous` if none is nearer, so that a chain cannot go round in a circle."""
    best = previous if previous >= 0 else 0
    for j in range(n):
        if distance[j] < distance[best]:
            best = j
    return best


@kernel()
def _merge(
    centre: Floats, count: Floats, member: NDArray[np.int64], active: int, first: int, second: int
) -> int:
    """Merge two clusters in the place of the first and move the last one to the second's; returns how many are left."""
    total = count[first] + count[second]
    for k in range(centre.shape[0]):
        mean = (count[first] * centre[k, first] + count[second] * centre[k, second]) / total
        centre[k, first] = mean
        centre[k, second] = centre[k, active - 1]
    count[first] = total
    count[second], member[second] = count[active - 1], member[active - 1]
    return active - 1


@kernel("void(float64[:, ::1], int64[:, ::1], float64[::1])")
def _ward_tree(points: Floats, pairs: NDArray[np.int64], height: Floats) -> None:
    """Every merge of the Ward tree: one sample of either cluster, and the growth of the sum of squares.

    Follows chains of nearest neighbours (Murtagh 1983): O(n^2) time, O(n) memory, merges not in order of height.
    """
    n = points.shape[1]
    centre, count, member = points.copy(), np.ones(n), np.arange(n)
    distance, chain, length, active = np.empty(n), np.empty(n + 1, np.int64), 0, n
    for m in range(n - 1):
        if length == 0:
            chain[0], length = 0, 1
        tip, previous = chain[length - 1], chain[length - 2] if length > 1 else -1
        while True:
            _distances(centre, count, active, tip, distance)
            best = _nearest(distance, active, previous)
            if best == previous:
                break
            chain[length] = best
            length += 1
            tip, previous = best, tip
        first, second = min(tip, previous), max(tip, previous)
        pairs[m, 0], pairs[m, 1], height[m] = member[first], member[second], distance[previous]
        active = _merge(centre, count, member, active, first, second)
        length -= 2
        for k in range(length):
            chain[k] = second if chain[k] == active else chain[k]


@kernel()
def _root(parent: NDArray[np.int64], sample: int) -> int:
    """The smallest sample of a cluster."""
    while parent[sample] != sample:
        parent[sample] = parent[parent[sample]]
        sample = parent[sample]
    return sample


@kernel("void(int64[:, ::1], float64[::1], float64, int64[::1])")
def _cut(pairs: NDArray[np.int64], height: Floats, limit: float, labels: NDArray[np.int64]) -> None:
    """Cluster of each sample after all merges up to a height, numbered by their first samples."""
    parent = np.arange(labels.size)
    for m in range(height.size):
        if height[m] <= limit:
            first, second = _root(parent, pairs[m, 0]), _root(parent, pairs[m, 1])
            parent[max(first, second)] = min(first, second)
    found = 0
    for sample in range(labels.size):
        root = _root(parent, sample)
        labels[sample] = labels[root] if root < sample else found
        found += root == sample


def ward_labels(points: Floats, k: int) -> NDArray[np.int64]:
    """At most `k` clusters of `points`, float64 (5, n), by Ward's criterion: labels from 0, by first appearance.

    The tree is cut at the lowest height that leaves no more than `k`: fewer, where merges have the same height.
    """
    n = points.shape[1]
    pairs, height = np.empty((max(n - 1, 0), 2), dtype=np.int64), np.empty(max(n - 1, 0))
    _ward_tree(points, pairs, height)
    labels = np.empty(n, dtype=np.int64)
    limit = np.sort(height)[n - k - 1] if n > k else -1.0
    _cut(pairs, height, limit, labels)
    return labels


def fit(
    spectra: Spectra, k: int = 20, min_cluster: int = 5, limits: ClusterLimits | None = None
) -> ClusterModel:
    """The model of a sample, int16 (n, 6), DN4 of the six bands, in the order of its table.

    Clusters of fewer than `min_cluster` samples are left out; the shares are those of the others.
    """
    points = cluster_features(spectra)
    labels = ward_labels(points, k)
    sizes = np.bincount(labels, minlength=1)
    kept = np.flatnonzero(sizes >= min_cluster)
    members = [labels == c for c in kept]
    mean = np.array([points[:, of].mean(axis=1) for of in members]).reshape(-1, 5)
    variance = np.array([points[:, of].var(axis=1) for of in members]).reshape(-1, 5) + _SPREAD
    is_snow, is_water = _kinds(mean, np.maximum(spectra, 0), members, limits or ClusterLimits())
    return ClusterModel(
        mean=mean,
        half_precision=0.5 / variance,
        offset=np.array(
            [_offset(sizes[c] / sizes[kept].sum(), of) for c, of in zip(kept, variance, strict=True)]
        ),
        is_water=is_water,
        is_snow=is_snow,
        size=sizes[kept],
    )


def _offset(share: float, variance: Floats) -> float:
    offset = float(ln(share))
    for spread in variance:
        offset -= 0.5 * float(ln(2.0 * math.pi * spread))
    return offset


def _kinds(
    mean: Floats, dn4: Spectra, members: list[NDArray[np.bool_]], limits: ClusterLimits
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which clusters are snow, and which are water."""
    snow_mndwi, snow_nir, snow_green, water_mndwi, water_ndwi, water_swir2, water_nir = astuple(limits)
    means = np.array([dn4[of].mean(axis=0) for of in members]).reshape(-1, 6) / 10000.0
    green, nir, swir2 = means[:, 1], means[:, 3], means[:, 5]
    is_snow = (mean[:, 0] > snow_mndwi) & (nir > snow_nir) & (green > snow_green)
    is_water = ~is_snow & (mean[:, 0] >= water_mndwi) & (mean[:, 1] >= water_ndwi)
    return is_snow, is_water & (swir2 <= water_swir2) & (nir <= water_nir)


@kernel()
def _density_row(
    points: Floats, mean: Floats, half_precision: Floats, offset: float, density: Floats, peak: Floats
) -> None:
    """Logarithm of a cluster's share times its density at each point; `peak` keeps the largest of all clusters."""
    m0, m1, m2, m3, m4 = mean
    h0, h1, h2, h3, h4 = half_precision
    x0, x1, x2, x3, x4 = points[0], points[1], points[2], points[3], points[4]
    for j in range(density.size):
        d0, d1, d2, d3, d4 = x0[j] - m0, x1[j] - m1, x2[j] - m2, x3[j] - m3, x4[j] - m4
        density[j] = offset - (d0 * d0 * h0 + d1 * d1 * h1 + d2 * d2 * h2 + d3 * d3 * h3 + d4 * d4 * h4)
    for j in range(density.size):
        peak[j] = max(peak[j], density[j])


@kernel()
def _share_row(density: Floats, peak: Floats, is_water: float, water: Floats, total: Floats) -> None:
    """Add a cluster's weight, relative to the largest one, to the total and, if it is water, to the water."""
    for j in range(density.size):
        weight = exp(density[j] - peak[j])
        total[j] += weight
        water[j] += weight * is_water


@kernel(
    f"int64({_BANDS}, uint8[:, ::1], uint16[:, ::1], uint16, uint8[::1], float64[:, ::1], float64[:, ::1],"
    " float64[::1], float64[::1], uint8[:, ::1])"
)
def _predict(
    bands: Bands,
    tests: Bytes,
    roles: Words,
    masked_by: np.uint16,
    known: Bytes,
    mean: Floats,
    half_precision: Floats,
    offset: Floats,
    is_water: Floats,
    prob: Bytes,
) -> int:
    height, width = prob.shape
    blue, green, red, nir, swir1, swir2 = bands
    columns, predicted = np.empty(width + 1, np.int32), 0
    spectra, values = np.zeros((6, _BATCH), np.int16), np.empty((len(FEATURES), _BATCH), np.float32)
    points, densities = np.empty((5, _BATCH)), np.empty((offset.size, _BATCH))
    peak, water, total = np.empty(_BATCH), np.empty(_BATCH), np.empty(_BATCH)
    for i in range(height):
        mark_known_row(tests[i], roles[i], masked_by, known, prob[i])
        unknown = list_unknown_row(prob[i], columns)
        predicted += unknown
        for first in range(0, unknown, _BATCH):
            n = min(_BATCH, unknown - first)
            gather((blue[i], green[i], red[i], nir[i], swir1[i], swir2[i]), columns, first, n, spectra)
            features(spectra, values)
            _scaled(values, points)
            peak[:], water[:], total[:] = -np.inf, 0.0, 0.0
            for c in range(offset.size):
                _density_row(points, mean[c], half_precision[c], offset[c], densities[c, :n], peak)
            for c in range(offset.size):
                _share_row(densities[c, :n], peak, is_water[c], water, total)
            for p in range(n):
                prob[i, columns[first + p]] = np.uint8(np.floor(100.0 * (water[p] / total[p]) + 0.5))
    return predicted


def gate() -> Bytes:
    """Known probability of each combination of test bits, uint8 (256,): 0 where neither water nor snow-like."""
    bits = np.arange(256)
    return np.where((bits & (MAY_BE_WATER | SNOW_LIKE)) == 0, 0, UNKNOWN).astype(np.uint8)


def predict(
    bands: Bands,
    tests: Bytes,
    roles: Words,
    model: ClusterModel,
    prob: Bytes,
    *,
    masked_by: int,
    known: Bytes,
) -> int:
    """Write PROB of a block, uint8 (h, w), 0-100 or 255; returns the number of pixels whose posterior was computed.

    `tests`: bits of `samples.spectral_tests`; `roles`: mask bits, a pixel with a role of `masked_by` is 255; `known`:
    of `gate`. PROB = floor(100 P + 0.5), P the posterior of the water clusters together.
    """
    of = (model.mean, model.half_precision, model.offset, model.is_water.astype(np.float64))
    return int(_predict(bands, tests, roles, np.uint16(masked_by), known, *of, prob))
