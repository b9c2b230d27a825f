"""Terrain with ridges, drained valleys and lakes, made by letting rivers cut into rising ground.

Rivers are run on a coarse grid of nodes; its height is then brought to the scene's pixels and roughened.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thalweg.demo.erosion import Nodes, drain, flood, gather, incise, slide
from thalweg.demo.fractal import Field, doubled, fractal, noise, smoothstep

COARSE_STEPS, FINE_STEPS = 50, 30
"""Rounds of uplift and incision on the coarse grid and on the fine one: by then valleys reach the divides."""
ERODIBILITY = 0.6
"""Share of its height above the next node that a river draining 1 km2 removes in a round, about."""
CREEP = 0.3
"""Share of the step towards the mean of the neighbours that a round of creep makes."""
REPOSE = math.tan(math.radians(36))
"""Steepest slope that rivers and slides leave on the coarse grid."""
MARGIN = 24
"""Nodes around the scene that are cut off at the end, so that its edge is no coast."""


@dataclass(frozen=True, slots=True)
class Terrain:
    """The ground, the same on every date."""

    elevation: Field
    """Metres above sea level; lakes are flat."""
    lake: NDArray[np.bool_]
    """True on lakes."""
    drainage: Field
    """Logarithm (base 10) of the area drained, km2, smooth between rivers and ridges."""


@dataclass(frozen=True, slots=True)
class Rivers:
    """How water runs over a grid of nodes."""

    receiver: Nodes
    """The node that each one drains to."""
    order: Nodes
    """All nodes, each after the one it drains to."""
    area: Field
    """Area that drains through each node, km2, flat."""


def terrain(shape: tuple[int, int], pixel: float, seed: int) -> Terrain:
    """Mountains of `shape` rows x columns on pixels of `pixel` metres; the wider the scene, the higher the relief."""
    rng = np.random.default_rng([seed, 1])
    finer = 3 if max(shape) > 2000 else 2
    nodes = (_nodes(shape[0], finer), _nodes(shape[1], finer))
    spacing = pixel * 2**finer
    height = rescaled(bent(eroded(nodes, spacing, rng), rng), *elevations(max(shape) * pixel))
    slide(height, rivers(height, spacing).order, np.float32(spacing * REPOSE))
    height = rounded(height, 0.5)
    running = rivers(height, spacing)
    aggrade(height, running)
    level = lakes(height, running, spacing, rng)
    return _refined(shape, pixel, finer, _Ground(height, level, np.log10(running.area).reshape(nodes)), rng)


def elevations(extent: float) -> tuple[float, float]:
    """Lowest and highest ground, metres, of a scene `extent` metres wide."""
    relief = min(3100.0, 600.0 * (extent / 1000) ** 0.42)
    lowest = max(300.0, 1600.0 - 0.45 * relief)
    return lowest, lowest + relief


def eroded(nodes: tuple[int, int], spacing: float, rng: np.random.Generator) -> Field:
    """Height, in arbitrary units: first the large valleys on a coarse grid, then the small ones."""
    coarse = (-(-nodes[0] // 4), -(-nodes[1] // 4))
    rough = fractal(coarse, rng, largest=max(coarse) // 2, roughness=0.7) * np.float32(10)
    height = cut(rough, 4 * spacing, COARSE_STEPS, rng)
    height = np.ascontiguousarray(doubled(doubled(height))[: nodes[0], : nodes[1]])
    height *= np.float32(4)
    return cut(height + noise(nodes, rng) * np.float32(0.1), spacing, FINE_STEPS, rng)


def cut(height: Field, spacing: float, steps: int, rng: np.random.Generator) -> Field:
    """The ground after `steps` rounds of uplift, incision and creep."""
    ease = np.exp(0.4 * fractal(height.shape, rng, largest=64, roughness=0.6)) * np.float32(ERODIBILITY)
    for _ in range(steps):
        height = np.pad(rounded(height + 1, CREEP)[1:-1, 1:-1], 1)
        running = rivers(height, spacing)
        incise(height, running.receiver, running.order, running.area, ease)
    return height


def rivers(height: Field, spacing: float) -> Rivers:
    """How water runs over the ground; its hollows are filled on the way."""
    receiver, order = drain(height, np.float32(1e-3))
    area = np.full(height.size, (spacing / 1000) ** 2, np.float32)
    gather(receiver, order, area)
    return Rivers(receiver, order, area)


def rescaled(height: Field, lowest: float, highest: float) -> Field:
    """The heights stretched so that all but the extreme thousandths lie between `lowest` and `highest`."""
    inner = height[MARGIN:-MARGIN, MARGIN:-MARGIN]
    low, high = np.quantile(inner, [0.001, 0.999])
    return np.asarray((height - low) * ((highest - lowest) / (high - low)) + lowest, np.float32)


def rounded(height: Field, share: float) -> Field:
    """The ground with every node moved by `share` towards its neighbours, as frost and debris do."""
    padded = np.pad(height, 1, mode="edge")
    around = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return np.asarray((1 - share) * height + share / 4 * around, np.float32)


def aggrade(height: Field, running: Rivers) -> None:
    """Fill the valley floors with gravel, the wider the larger the river."""
    flat = height.ravel()
    gravel = 14 * np.log10(np.maximum(running.area, 3))
    floor = np.where(running.area > 3, flat + gravel, 0).astype(np.float32)
    flood(height, running.receiver, running.order, floor)
    np.maximum(flat, floor, out=flat)


@dataclass(frozen=True, slots=True)
class Hollows:
    """A kind of lake basin."""

    drained: tuple[float, float]
    """Smallest and largest area that drains through its place, km2."""
    count: float
    """How many in 70,000 nodes."""
    radius: float
    """Metres, about."""
    depth: float
    """Metres below the valley floor."""


TARNS = Hollows((0.3, 4), 14, 180, 30)
"""Small lakes near the divides."""
VALLEY_LAKES = Hollows((8, 300), 5, 1100, 110)
"""Long lakes in the large valleys."""


def lakes(height: Field, running: Rivers, spacing: float, rng: np.random.Generator) -> Field:
    """Dig hollows as glaciers do; the level of the lake over each node, metres, 0 where there is none."""
    for hollows in (TARNS, VALLEY_LAKES):
        low, high = hollows.drained
        sites = np.argwhere(((running.area > low) & (running.area < high)).reshape(height.shape))
        count = 1 + round(hollows.count * height.size / 70_000)
        for row, column in rng.choice(sites, min(len(sites), count), replace=False):
            _dig(
                height, int(row), int(column), hollows.radius / spacing * rng.uniform(0.6, 1.6), hollows.depth
            )
    filled = height.copy()
    drain(filled, np.float32(0))
    return np.where(filled - height > 0.3, filled, np.float32(0))


def _dig(height: Field, row: int, column: int, radius: float, depth: float) -> None:
    """A hollow in the valley floor around a node; what stands well above the floor is left."""
    reach = int(3 * radius) + 1
    window = (slice(max(row - reach, 0), row + reach + 1), slice(max(column - reach, 0), column + reach + 1))
    rows = np.arange(window[0].start, min(window[0].stop, height.shape[0]))[:, None] - row
    columns = np.arange(window[1].start, min(window[1].stop, height.shape[1]))[None, :] - column
    above = np.maximum(height[window] - height[row, column], 0)
    bowl = np.exp(-(rows**2 + columns**2) / (2 * radius**2) - (above / depth) ** 2)
    height[window] -= np.float32(depth) * bowl.astype(np.float32)


def bent(height: Field, rng: np.random.Generator) -> Field:
    """The ground pulled about by a few nodes: the straight rivers that a grid makes begin to wind."""
    down, right = (fractal(height.shape, rng, largest=64, roughness=0.4) * np.float32(7) for _ in range(2))
    rows, columns = np.indices(height.shape, dtype=np.float32)
    y = np.clip(rows + down, 0, height.shape[0] - 1.001)
    x = np.clip(columns + right, 0, height.shape[1] - 1.001)
    i, j = y.astype(np.intp), x.astype(np.intp)
    y, x = y - i, x - j
    above = height[i, j] * (1 - x) + height[i, j + 1] * x
    below = height[i + 1, j] * (1 - x) + height[i + 1, j + 1] * x
    return np.asarray(above * (1 - y) + below * y, np.float32)


@dataclass(frozen=True, slots=True)
class _Ground:
    """Fields on the nodes, margin included."""

    height: Field
    """Metres."""
    level: Field
    """Level of the lake over each node, metres, 0 where there is none."""
    drainage: Field
    """Logarithm (base 10) of the area drained, km2."""


def _refined(
    shape: tuple[int, int], pixel: float, finer: int, ground: _Ground, rng: np.random.Generator
) -> Terrain:
    """Brought to the scene's pixels, with gullies and crags where the ground is steep."""
    height, drainage = _inner(ground.height), _inner(ground.drainage)
    level = _inner(_spread(ground.level, ground.height)).repeat(2**finer, 0).repeat(2**finer, 1)
    crag = 0.08 * pixel * 2 ** (finer - 1)
    for _ in range(finer):
        height, drainage = doubled(height), doubled(drainage)
        height += steepness(height) * noise(height.shape, rng) * np.float32(crag)
        crag *= 0.45
    height, level, drainage = (field[: shape[0], : shape[1]] for field in (height, level, drainage))
    lake = apart((height < level) & (level > 0), level)
    return Terrain(np.where(lake, level, height), lake, np.ascontiguousarray(drainage))


def apart(lake: NDArray[np.bool_], level: Field) -> NDArray[np.bool_]:
    """The lakes without the pixels where two of different level would touch."""
    water = np.where(lake, level, np.nan)
    dry = np.zeros(lake.shape, np.bool_)
    for first, second in ((np.s_[1:, :], np.s_[:-1, :]), (np.s_[:, 1:], np.s_[:, :-1])):
        # A difference to dry ground is no number, and no number is greater than 0.
        fall = np.abs(water[first] - water[second]) > 0
        dry[first] |= fall
        dry[second] |= fall
    return lake & ~dry


def _inner(field: Field) -> Field:
    return np.ascontiguousarray(field[MARGIN:-MARGIN, MARGIN:-MARGIN])


def steepness(height: Field) -> Field:
    """0 on flat ground, 1 on the steepest of this field."""
    down, right = np.gradient(height)
    slope = np.hypot(down, right)
    return smoothstep(slope, 0.0, float(np.quantile(slope[::4, ::4], 0.95)) + 1e-6)


def _spread(level: Field, height: Field) -> Field:
    """Lake levels also on the banks beside a lake, so that the finer terrain decides where the shore is."""
    padded = np.pad(level, 1)
    rows, columns = level.shape
    around = np.maximum.reduce([padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)])
    # Ground beside a lake that lies lower than it is beyond the outlet.
    return np.where((level > 0) | (height < around), level, around)


def _nodes(pixels: int, finer: int) -> int:
    return -(-pixels // (1 << finer)) + 2 * MARGIN
