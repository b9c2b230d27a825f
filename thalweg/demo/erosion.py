"""Compiled loops of erosion on a grid of nodes, each in the order in which water runs.

The stream-power law is solved implicitly from the lowest node up (Braun and Willett 2013,
doi:10.1016/j.geomorph.2012.10.008); hollows are filled by a priority flood (Barnes et al. 2014,
doi:10.1016/j.cageo.2013.04.024).
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from thalweg.demo.fractal import Field
from thalweg.kernels.jit import kernel

Nodes = NDArray[np.int32]
"""Flat indices of nodes, row by row."""


@kernel("Tuple((int32[::1], int32[::1]))(float32[:, ::1], float32)")
def drain(height: Field, rise: np.float32) -> tuple[Nodes, Nodes]:
    """The node that each one drains to, and all nodes from the edge upwards; hollows are filled (priority flood).

    `rise` is how much each filled node lies above the one before: a little lets water run, 0 makes lakes flat.
    """
    rows, columns = height.shape
    flat, seen = height.ravel(), np.zeros(height.size, np.uint8)
    receiver, order = np.zeros(flat.size, np.int32), np.zeros(flat.size, np.int32)
    queue = [(flat[0], np.int32(0))]
    for here in range(flat.size):
        i, j = divmod(here, columns)
        if i == 0 or j == 0 or i == rows - 1 or j == columns - 1:
            seen[here] = 1
            if here:
                heapq.heappush(queue, (flat[here], np.int32(here)))
    for n in range(flat.size):
        low, node = heapq.heappop(queue)
        order[n], receiver[node], seen[node] = node, node, 2
        steepest = np.float32(0)
        i, j = divmod(node, columns)
        for k in range(max(i - 1, 0), min(i + 2, rows)):
            for m in range(max(j - 1, 0), min(j + 2, columns)):
                there = k * columns + m
                if seen[there] == 0:
                    seen[there] = 1
                    flat[there] = max(flat[there], low + rise)
                    heapq.heappush(queue, (flat[there], np.int32(there)))
                elif seen[there] == 2:
                    drop = low - flat[there]
                    if k != i and m != j:
                        drop *= np.float32(0.70710678)
                    if drop > steepest:
                        steepest, receiver[node] = drop, there
    return receiver, order


@kernel("void(int32[::1], int32[::1], float32[::1])")
def gather(receiver: Nodes, order: Nodes, area: Field) -> None:
    """Each node's area added to the one it drains to, from the highest node down."""
    for n in range(order.size - 1, -1, -1):
        node = order[n]
        if receiver[node] != node:
            area[receiver[node]] += area[node]


@kernel("void(float32[:, ::1], int32[::1], int32[::1], float32[::1], float32[:, ::1])")
def incise(height: Field, receiver: Nodes, order: Nodes, area: Field, strength: Field) -> None:
    """One implicit step of the stream-power law with exponents 0.6 (area) and 1 (slope), from the lowest node up."""
    flat, ease = height.ravel(), strength.ravel()
    for n in range(order.size):
        node = order[n]
        low = receiver[node]
        if low == node:
            continue
        cut = ease[node] * area[node] ** np.float32(0.6)
        flat[node] = (flat[node] + cut * flat[low]) / (1 + cut)


@kernel("void(float32[:, ::1], int32[::1], float32)")
def slide(height: Field, order: Nodes, drop: np.float32) -> None:
    """No node more than `drop` above its neighbours (and that much more on the diagonal), from the lowest node up."""
    rows, columns = height.shape
    for n in range(order.size):
        i, j = divmod(order[n], columns)
        for k in range(max(i - 1, 0), min(i + 2, rows)):
            for m in range(max(j - 1, 0), min(j + 2, columns)):
                step = drop * np.float32(1.41421356) if k != i and m != j else drop
                height[i, j] = min(height[i, j], height[k, m] + step)


@kernel("void(float32[:, ::1], int32[::1], int32[::1], float32[::1])")
def flood(height: Field, receiver: Nodes, order: Nodes, level: Field) -> None:
    """Each level that is not 0 carried up its valley, as far as the ground lies below it."""
    flat = height.ravel()
    for n in range(order.size):
        node = order[n]
        if level[node] == 0 and level[receiver[node]] > flat[node]:
            level[node] = level[receiver[node]]
