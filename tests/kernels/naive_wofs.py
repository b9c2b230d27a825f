"""The WOfS tree one pixel after the other, in float32, and its flags."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def ratio(first: int, second: int) -> np.float32:
    """(first - second) / (first + second) by IEEE float32 division."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.float32(first - second) / np.float32(first + second)


def leaf(blue: int, green: int, red: int, nir: int, swir1: int, swir2: int) -> int:
    """The leaf of a pixel; a comparison with NaN is false."""
    n52, n43, n72 = ratio(swir1, green), ratio(nir, red), ratio(swir2, green)
    f = np.float32
    if n52 <= f(-0.01):
        if not blue <= 2083.5:
            return 3
        if swir2 <= 323.5:
            return 6 if n43 <= f(0.61) else 7
        if blue > 1400.5:
            return 10 if n43 <= f(-0.01) else 11
        if not n72 <= f(-0.23):
            return 14 if blue <= 379 else 15
        if n43 <= f(0.22):
            return 17
        return 19 if blue <= 473 else 20
    if n52 <= f(0.23):
        if blue > 334.5:
            return 23
        if not n43 <= f(0.54):
            return 25
        if n52 <= f(0.12):
            return 27
        if red <= 364.5:
            return 31 if blue <= 129.5 else 32
        return 33 if blue <= 300.5 else 34
    if not n52 <= f(0.34):
        return 36
    if blue > 249.5:
        return 38
    if not n43 <= f(0.45):
        return 40
    if red > 364.5:
        return 42
    return 44 if blue <= 129.5 else 45


def is_wet(*bands: int) -> bool:
    return leaf(*bands) in (6, 10, 14, 17, 19, 27, 31, 33, 44)


def flagged(decision: int, flags: int, bands: list[int], nodata: int) -> int:
    """A decision with its flags: exactly 1 where there is no data."""
    empty = [band == nodata for band in bands]
    value = decision | flags | (1 if all(empty) else 0) | (2 if any(empty) else 0)
    return 1 if value & 1 else value


def dilated(mask: NDArray[np.uint8], squared_radius: float) -> NDArray[np.uint8]:
    """OR over a disc."""
    out = np.zeros_like(mask)
    for i, j in np.ndindex(mask.shape):
        for k, m in np.ndindex(mask.shape):
            if (k - i) ** 2 + (m - j) ** 2 <= squared_radius:
                out[i, j] |= mask[k, m]
    return out


def terrain_angles(
    dem: Any, row: int, column: int, zenith: float, azimuth: float, pixel: float
) -> tuple[float, float]:
    """Slope, and height of the sun above the relief, degrees: Sobel gradients, edges reflected at half a sample."""
    z = np.pad(dem.astype(float), 1, mode="symmetric")[row : row + 3, column : column + 3]
    to_east = (z[:, 2] - z[:, 0]) @ [1, 2, 1] / (8 * pixel)
    to_north = (z[0] - z[2]) @ [1, 2, 1] / (8 * pixel)
    norm = math.sqrt(to_east**2 + to_north**2 + 1)
    zen, az = math.radians(zenith), math.radians(azimuth)
    sun = (math.sin(az) * math.sin(zen), math.cos(az) * math.sin(zen), math.cos(zen))
    cosine = (sun[2] - to_east * sun[0] - to_north * sun[1]) / norm
    slope = math.degrees(math.acos(min(1.0, 1 / norm)))
    return slope, 90 - math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
