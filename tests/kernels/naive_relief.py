"""Cast shadow as the specification says it (3), pixel by pixel, in float32 where it says so."""

from __future__ import annotations

import math

import numpy as np

Array = np.ndarray


def radius(zmin: int, zmax: int, r: float, zenith: float) -> int:
    elevation = math.radians(90 - zenith)
    return abs(math.trunc(math.trunc((zmax - zmin) / r) / math.tan(elevation)))


def ray(azimuth: float, pixels: int) -> list[tuple[int, int, float]]:
    """Row, column and distance in pixels of each step."""
    theta = math.radians(180 - azimuth)
    dx, dy = math.cos(theta), math.sin(theta)
    sx, sy = -1 if dx < 0 else 1, -1 if dy < 0 else 1
    x = y = 0
    error, steps = 0.0, []
    while pixels > 0 and (not steps or steps[-1][2] < pixels):
        if abs(dx) > abs(dy):
            x += sx
            error += abs(math.tan(theta))
            if error > 0.5:
                y += sy
                error -= 1
        else:
            y += sy
            error += abs(math.tan(math.radians(90) - theta))
            if error > 0.5:
                x += sx
                error -= 1
        steps.append((x, y, math.sqrt(x * x + y * y)))
    return steps


def shadow(dem: Array, nodata: int | None, r: float, zenith: Array, longest: float, azimuth: Array) -> Array:
    """`zenith` and `azimuth` per pixel; `longest` is the zenith that the length of rays comes from."""
    valid = np.ones(dem.shape, bool) if nodata is None else dem != nodata
    pixels = radius(int(dem[valid].min()), int(dem[valid].max()), r, longest)
    rays = {a: ray(a, pixels) for a in np.unique(azimuth).tolist()}
    out = np.zeros(dem.shape, bool)
    for i, j in zip(*np.nonzero(valid), strict=True):
        t = steepest(dem, valid, i, j, rays[azimuth[i, j]], r)
        out[i, j] = t > math.tan(math.radians(90 - zenith[i, j]))
    return out


def steepest(
    dem: Array, valid: Array, i: int, j: int, steps: list[tuple[int, int, float]], r: float
) -> float:
    t = np.float32(0)
    for x, y, distance in steps:
        point = min(max(i + x, 0), dem.shape[0] - 1), min(max(j + y, 0), dem.shape[1] - 1)
        if valid[point]:
            rise = np.float32(dem[point]) - np.float32(dem[i, j])
            t = max(t, np.float32(rise / np.float32(distance * r)))
    return float(t)


def node(nodes: Array, axis_steps: tuple[float, float], r: float, i: int, j: int) -> float:
    """Value of the nearest node; `i` and `j` count from the tile's corner."""
    places = [
        min(max(math.floor((k + 0.5) * r / step + 0.5), 0), n - 1)
        for k, step, n in zip((i, j), axis_steps, nodes.shape, strict=True)
    ]
    return float(nodes[places[0], places[1]])


def bilinear(nodes: Array, axis_steps: tuple[float, float], r: float, i: int, j: int) -> float:
    y, x = (
        min(max((k + 0.5) * r / step, 0), n - 1)
        for k, step, n in zip((i, j), axis_steps, nodes.shape, strict=True)
    )
    a, b = math.floor(y), math.floor(x)
    a1, b1 = min(a + 1, nodes.shape[0] - 1), min(b + 1, nodes.shape[1] - 1)
    top = nodes[a, b] * (1 - x + b) + nodes[a, b1] * (x - b)
    bottom = nodes[a1, b] * (1 - x + b) + nodes[a1, b1] * (x - b)
    return float(top * (1 - y + a) + bottom * (y - a))
