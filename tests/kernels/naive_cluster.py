"""Ward clusters by merging the closest pair again and again; the posterior from densities in exact arithmetic order."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np

from tests.kernels import naive_samples


def features(spectrum: Any) -> list[float]:
    """The five features of a spectrum: float32, then float64."""
    values = naive_samples.features(spectrum)
    scaled = [min(np.float32(4) * values[k], np.float32(2)) for k in (3, 4, 5)]
    return [float(value) for value in (values[8], values[7], *scaled)]


def ward(first: Any, second: Any) -> float:
    """Growth of the within-cluster sum of squares when two sets of points are merged."""
    n, m = len(first), len(second)
    return float(n * m / (n + m) * ((first.mean(axis=0) - second.mean(axis=0)) ** 2).sum())


def merges(points: Any) -> list[tuple[float, set[int], set[int]]]:
    """Height and both sides of every merge, always of the closest pair; points are rows."""
    clusters, found = [{k} for k in range(len(points))], []
    while len(clusters) > 1:
        height, a, b = min(
            (ward(points[sorted(x)], points[sorted(y)]), min(x), min(y)) for x, y in combinations(clusters, 2)
        )
        first = next(c for c in clusters if min(c) == a)
        second = next(c for c in clusters if min(c) == b)
        found.append((height, first, second))
        clusters = [c for c in clusters if c not in (first, second)] + [first | second]
    return found


def labels(points: Any, k: int, tolerance: float = 1e-12) -> list[int]:
    """At most k clusters, numbered by their first points."""
    found = merges(points)
    limit = sorted(height for height, _, _ in found)[len(points) - k - 1] if len(points) > k else -1.0
    clusters = [{i} for i in range(len(points))]
    for height, first, second in found:
        if height <= limit + tolerance:
            merged = [c for c in clusters if c <= first | second]
            clusters = [c for c in clusters if c not in merged] + [set().union(*merged)]
    ordered = sorted(clusters, key=min)
    return [next(n for n, c in enumerate(ordered) if i in c) for i in range(len(points))]


def probability(spectrum: Any, groups: list[Any], is_water: list[bool]) -> float:
    """100 P of a spectrum; `groups` are the features of each kept cluster's samples."""
    x, total = np.array(features(spectrum)), sum(len(group) for group in groups)
    logs = []
    for group in groups:
        variance = group.var(axis=0) + 1e-3
        terms = np.log(2 * math.pi * variance) + (x - group.mean(axis=0)) ** 2 / variance
        logs.append(math.log(len(group) / total) - 0.5 * terms.sum())
    peak = max(logs)
    weights = [math.exp(log - peak) for log in logs]
    return 100 * sum(w for w, water in zip(weights, is_water, strict=True) if water) / sum(weights)
