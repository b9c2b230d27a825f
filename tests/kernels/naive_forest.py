"""One pixel through one tree after the other."""

from __future__ import annotations

import math
from typing import Any


def leaf_value(forest: Any, tree: int, values: Any) -> float:
    """The share of water in the leaf of a pixel; float32 values against float64 thresholds."""
    first = int(forest.tree_start[tree])
    node = 0
    while forest.feature[first + node] >= 0:
        value = float(values[forest.feature[first + node]])
        goes_left = value <= forest.threshold[first + node]
        node = int((forest.left if goes_left else forest.right)[first + node])
    return float(forest.value[first + node])


def probability(forest: Any, values: Any) -> int:
    """PROB of a pixel."""
    trees = len(forest.tree_start) - 1
    total = 0.0
    for tree in range(trees):
        total += leaf_value(forest, tree, values)
    return math.floor(100.0 * (total / trees) + 0.5)
