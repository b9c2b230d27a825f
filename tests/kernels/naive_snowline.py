"""The snow line as the specification says it (2.7, 8.1 D4, D5, D8), pixel by pixel."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

Array = np.ndarray


class Pixel(NamedTuple):
    z: int
    snow: bool
    cloud: bool


def lis(
    pixels: list[Pixel],
    dz: int,
    fclear_lim: float,
    fsnow_lim: float,
    offset: int,
    center_offset: float,
    reverse: bool,
) -> tuple[int | None, str]:
    """Snow line and ``LIS_HISTO.TXT``."""
    zmin, zmax = min(p.z for p in pixels), max(p.z for p in pixels)
    n = math.trunc((zmax - zmin) / dz)
    if n < 1:
        return None, "Number of bins=0\n"
    width = np.float32(np.float32(zmax - zmin) / np.float32(n))
    edges = [zmin + float(np.float32(np.float32(j) * width)) for j in range(n)] + [zmax]
    bins: list[list[Pixel]] = [[] for _ in range(n)]
    for pixel in pixels:
        bins[max(j for j in range(n) if edges[j] <= pixel.z)].append(pixel)
    centres = [(edges[j] + edges[j + 1]) / 2 for j in range(n)]
    lines = [
        f"Number of bins={4 * n}-Total frequency={len(pixels)}-Dimension sizes=[{n}, 2, 2]",
        "z_center,tot_z,fcloud_z,fsnow_z,fnosnow_z",
    ]
    for centre, inside in zip(centres, bins, strict=True):
        cloud, snow = sum(p.cloud for p in inside), sum(p.snow for p in inside)
        bare = sum(not p.cloud and not p.snow for p in inside)
        lines.append(f"{math.trunc(centre)},{len(inside)},{cloud},{snow},{bare}")
    limits = float(np.float32(fclear_lim)), float(np.float32(fsnow_lim))
    order = range(n - 1, -1, -1) if reverse else range(n)
    for j in order:
        if centres[j] >= -413 and qualifies(bins[j], *limits):
            i = min(max(j + offset, 0), n - 1)
            return math.floor(centres[i] + center_offset), "\n".join(lines) + "\n"
    return None, "\n".join(lines) + "\n"


def qualifies(pixels: list[Pixel], fclear_lim: float, fsnow_lim: float) -> bool:
    clear = [p for p in pixels if not p.cloud]
    if not clear:
        return False
    return len(clear) / len(pixels) > fclear_lim and sum(p.snow for p in clear) / len(clear) > fsnow_lim


def default(
    pixels: Iterable[Pixel],
    dz: int,
    min_pixels: int,
    fclear_lim: float,
    fsnow_lim: float,
    dem_nodata: int | None,
) -> tuple[int | None, list[tuple[int, ...]]]:
    """Snow line and histogram rows of the pixels, all of them valid."""
    bins: dict[int, list[Pixel]] = defaultdict(list)
    for pixel in pixels:
        if -413 <= pixel.z <= 8850 and pixel.z != dem_nodata:
            bins[math.floor(pixel.z / dz)].append(pixel)
    if not bins:
        return None, []
    rows, found = [], None
    for k in range(min(bins), max(bins) + 1):
        inside = bins[k]
        cloud = sum(p.cloud for p in inside)
        snow = sum(p.snow and not p.cloud for p in inside)
        rows.append((k * dz, k * dz + dz, len(inside), cloud, snow, len(inside) - cloud - snow))
        if found is None and len(inside) >= min_pixels and qualifies(inside, fclear_lim, fsnow_lim):
            found = dz * (k - 2)
    return found, rows


def grid(
    pixels: list[list[Pixel | None]],
    cell: float,
    r: float,
    dz: int,
    min_pixels: int,
    fclear_lim: float,
    fsnow_lim: float,
    dem_nodata: int | None,
) -> list[list[int | None]]:
    """Snow line of each cell; None in `pixels` stands for one that does not count."""
    height, width = len(pixels), len(pixels[0])

    def window(a: int, size: int) -> range:
        first = max(0, math.floor((a - 0.5) * cell / r))
        return range(first, min(size, math.ceil((a + 1.5) * cell / r)))

    def line(a: int, b: int) -> int | None:
        inside = [pixels[i][j] for i in window(a, height) for j in window(b, width)]
        counted = [pixel for pixel in inside if pixel is not None]
        return default(counted, dz, min_pixels, fclear_lim, fsnow_lim, dem_nodata)[0]

    return [
        [line(a, b) for b in range(math.ceil(width * r / cell))] for a in range(math.ceil(height * r / cell))
    ]


def surface(lines: Array, cell: float, r: float, i: int, j: int) -> float:
    """Bilinear between cell centres, clamped outside the outer ones."""
    fy = min(max((i + 0.5) * r / cell - 0.5, 0), lines.shape[0] - 1)
    fx = min(max((j + 0.5) * r / cell - 0.5, 0), lines.shape[1] - 1)
    y, x = math.floor(fy), math.floor(fx)
    y1, x1 = min(y + 1, lines.shape[0] - 1), min(x + 1, lines.shape[1] - 1)
    top = lines[y, x] * (1 - fx + x) + lines[y, x1] * (fx - x)
    bottom = lines[y1, x] * (1 - fx + x) + lines[y1, x1] * (fx - x)
    return float(top * (1 - fy + y) + bottom * (fy - y))
