"""Pass 1.5 as the specification says it (2.5, 8.1 D15), with label images and sets of pixels."""

from __future__ import annotations

import numpy as np

Array = np.ndarray
Pixels = set[tuple[int, int]]


def patches(snow: Array) -> list[Pixels]:
    """4-connected patches in raster order of their first pixel."""
    left = {(int(i), int(j)) for i, j in zip(*np.nonzero(snow), strict=True)}
    found = []
    for pixel in sorted(left):
        if pixel in left:
            patch, queue = set(), [pixel]
            while queue:
                i, j = queue.pop()
                if (i, j) in left:
                    left.remove((i, j))
                    patch.add((i, j))
                    queue += [(i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)]
            found.append(patch)
    return found


def dilated(patch: Pixels, radius: int, shape: tuple[int, int]) -> Pixels:
    reach = range(-radius, radius + 1)
    disc = [(dy, dx) for dy in reach for dx in reach if dx * dx + dy * dy <= radius * radius]
    near = {(i + dy, j + dx) for i, j in patch for dy, dx in disc}
    return {(i, j) for i, j in near if 0 <= i < shape[0] and 0 <= j < shape[1]}


def drop(
    snow: Array, any_cloud: Array, valid: Array, radius: int, threshold: float, min_area: int
) -> tuple[Array, Array, int]:
    """Snow and cloud of pass 1 afterwards, and how many patches went."""
    current, dropped = snow.copy(), 0
    for patch in patches(snow):
        if len(patch) > min_area:
            ring = [p for p in dilated(patch, radius, snow.shape) if not current[p] and valid[p]]
            if ring and sum(bool(any_cloud[p]) for p in ring) / len(ring) > threshold:
                for pixel in patch:
                    current[pixel] = False
                dropped += 1
    return current, any_cloud | (snow & ~current), dropped
