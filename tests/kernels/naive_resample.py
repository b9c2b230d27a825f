"""Resampling as the specification of the snow chain says it (2.2 and 2.3), pixel by pixel, in exact fractions."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

Array = np.ndarray
HALF = Fraction(1, 2)


def cubic(t: Fraction) -> Fraction:
    t = abs(t)
    if t <= 1:
        return Fraction(3, 2) * t**3 - Fraction(5, 2) * t**2 + 1
    if t < 2:
        return -HALF * t**3 + Fraction(5, 2) * t**2 - 4 * t + 2
    return Fraction(0)


def triangle(t: Fraction) -> Fraction:
    return max(Fraction(0), 1 - abs(t))


def weights(
    target: int, scale: Fraction, size: int, shape: Callable[[Fraction], Fraction]
) -> dict[int, Fraction]:
    centre = (target + HALF) * scale
    found = {k: shape((k + HALF - centre) / scale) for k in range(size)}
    return {k: weight for k, weight in found.items() if weight}


def reduce_image(
    image: Array, valid: Array, shape: tuple[int, int], kind: Callable[[Fraction], Fraction], nodata: int
) -> Array:
    """`image` on `shape` pixels: weighted means of valid pixels, nodata where that under the centre is not valid."""
    scales = [Fraction(size, target) for size, target in zip(image.shape, shape, strict=True)]
    out = np.full(shape, nodata)
    for i in range(shape[0]):
        down = weights(i, scales[0], image.shape[0], kind)
        for j in range(shape[1]):
            across = weights(j, scales[1], image.shape[1], kind)
            centre = math.floor((i + HALF) * scales[0]), math.floor((j + HALF) * scales[1])
            pairs = [(y, x, v * w) for y, v in down.items() for x, w in across.items() if valid[y, x]]
            total = sum((weight for *_, weight in pairs), Fraction(0))
            if valid[centre] and abs(total) > Fraction(1, 10**6):
                value = sum((weight * int(image[y, x]) for y, x, weight in pairs), Fraction(0)) / total
                out[i, j] = min(max(math.floor(value + HALF), -32768), 32767)
    return out


def reduce_cubic(image: Array, factor: int, nodata: int) -> Array:
    shape = (image.shape[0] // factor, image.shape[1] // factor)
    return reduce_image(image, image != nodata, shape, cubic, nodata)


def coarse_band(band: Array, excluded: Array, shape: tuple[int, int], nodata: int) -> Array:
    return reduce_image(band, (band != nodata) & ~excluded, shape, triangle, nodata)


def coarse_line(i: int, size: int, coarse: int) -> int:
    return math.floor((i + HALF) * coarse / size)


def coarse_line_lis(i: int, axis: int, shape: tuple[int, int], coarse: tuple[int, int], pixel: float) -> int:
    height, width = shape
    p = math.sqrt((width * pixel) ** 2 + (height * pixel) ** 2) / math.sqrt(coarse[1] ** 2 + coarse[0] ** 2)
    length = shape[axis] * pixel
    extent = math.trunc(length / p + 0.5) * p
    line = math.floor((i + 0.5) * (extent / shape[axis]) / (length / coarse[axis]))
    return -1 if line >= coarse[axis] else line


def enlarge_bilinear(image: Array, factor: int, nodata: int) -> Array:
    """`image` on pixels `factor` times as fine: bilinear between centres, missing pixels left out, edges repeated."""
    rows, columns = (size * factor for size in image.shape)
    out = np.empty((rows, columns), np.int16)
    for i, j in np.ndindex(rows, columns):
        around = [
            (image[y, x], down * across)
            for y, down in _beside(i, factor, image.shape[0])
            for x, across in _beside(j, factor, image.shape[1])
            if image[y, x] != nodata
        ]
        total = sum((weight * int(value) for value, weight in around), Fraction(0))
        missing = image[i // factor, j // factor] == nodata
        out[i, j] = nodata if missing else math.floor(total / sum(w for _, w in around) + HALF)
    return out


def _beside(target: int, factor: int, size: int) -> list[tuple[int, Fraction]]:
    """The two source lines between whose centres a target's centre lies, and their weights."""
    centre = (target + HALF) / factor - HALF
    before = math.floor(centre)
    share = centre - before
    return [(max(before, 0), 1 - share), (min(before + 1, size - 1), share)]


def sum_2x2(fine: Array, nodata: int, missing: int) -> Array:
    """Sums of blocks of four pixels, `missing` where one is nodata."""
    rows, columns = len(fine) // 2, len(fine[0]) // 2
    return np.array(
        [[_sum_of(fine, 2 * i, 2 * j, nodata, missing) for j in range(columns)] for i in range(rows)]
    )


def _sum_of(fine: Array, row: int, column: int, nodata: int, missing: int) -> int:
    block = [int(fine[row + i][column + j]) for i in range(2) for j in range(2)]
    return missing if nodata in block else sum(block)
