"""Spectral tests, hashes and samples as the specification writes them: floats, Python integers, sorted lists."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

SNOW_LIKE, MAY_BE_WATER, CERTAIN_LAND, WET, GREENER = 1, 2, 4, 8, 16
MASK_64 = 2**64 - 1


def index(a: int, b: int) -> Fraction:
    """(a - b) / (a + b + 0.02) of reflectances given as DN4 of at least 0."""
    return Fraction(max(a, 0) - max(b, 0), max(a, 0) + max(b, 0) + 200)


def tests_of(green: int, nir: int, swir1: int, swir2: int) -> int:
    """The test bits of a pixel."""
    mndwi, ndwi, hundredth = index(green, swir1), index(green, nir), Fraction(1, 100)
    snow = mndwi > 40 * hundredth and nir > 2000 and green > 2000
    water = mndwi >= -10 * hundredth and ndwi >= -15 * hundredth and swir2 <= 750
    land = mndwi < -10 * hundredth and ndwi < -15 * hundredth
    wet = (ndwi > 10 * hundredth or mndwi > 10 * hundredth) and not snow and swir1 < 1500
    greener = max(green, 0) > max(swir1, 0)
    return snow * SNOW_LIKE | water * MAY_BE_WATER | land * CERTAIN_LAND | wet * WET | greener * GREENER


def mix(z: int) -> int:
    z = (z + 0x9E3779B97F4A7C15) & MASK_64
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK_64
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK_64
    return z ^ z >> 31


def keyed_hash(seed: int, row: int, column: int) -> int:
    return mix(mix(seed ^ ((row % 2**32) << 32 | column % 2**32)))


def is_held_out(seed: int, row: int, column: int, block: int) -> bool:
    return keyed_hash(seed, row % 2**32 // block, column % 2**32 // block) % 5 == 0


def forest_stratum(
    test: int, occurrence: int, hand: float, water_min: int = 50, hand_max: float = 25
) -> int | None:
    """0 water, 1 near land, 2 high land, 3 bright land, None: no sample."""
    if water_min <= occurrence <= 100 and test & WET:
        return 0
    if occurrence != 0:
        return None
    if test & SNOW_LIKE:
        return 3
    if test & MAY_BE_WATER:
        return None
    return 2 if hand > hand_max else 1


def drawn(pixels: list[tuple[int, int]], seed: int, count: int) -> list[tuple[int, int]]:
    """The pixels with the smallest hashes, then by row, then by column."""
    return sorted(pixels, key=lambda p: (keyed_hash(seed, *p), p[0] % 2**32, p[1] % 2**32))[:count]


def filled_quotas(available: list[int], quotas: list[int]) -> list[int]:
    """Quotas, what some cannot fill given to the first that can, pixel by pixel."""
    counts = [min(pair) for pair in zip(available, quotas, strict=True)]
    for _ in range(sum(quotas) - sum(counts)):
        more = [c for c in range(len(counts)) if counts[c] < available[c]]
        if more:
            counts[more[0]] += 1
    return counts


def features(spectrum: Any) -> list[np.float32]:
    """The nine features of a spectrum in float32."""
    f = np.float32
    blue, green, red, nir, swir1, swir2 = (f(max(int(value), 0)) / f(10000) for value in spectrum)
    indices = [(a - b) / (a + b + f(0.02)) for a, b in ((nir, red), (green, nir), (green, swir1))]
    return [blue, green, red, nir, swir1, swir2, *indices]
