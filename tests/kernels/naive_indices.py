"""Indices of one pixel, straight from the specification; None is no value."""

from __future__ import annotations

import math

Maybe = float | None


def normalised_difference(first: Maybe, second: Maybe) -> Maybe:
    if first is None or second is None or first + second <= 0:
        return None
    return (second - first) / (second + first)


def line_height(y_l: float, y_c: float, y_r: float, l_l: float, l_c: float, l_r: float) -> float:
    return y_c - y_l - (y_r - y_l) * (l_c - l_l) / (l_r - l_l)


def band_ratio(upper: Maybe, lower: Maybe, factor: float, exponent: float) -> Maybe:
    """Absorption of dissolved matter, and other laws of a ratio."""
    if upper is None or lower is None or upper <= 0 or lower <= 0:
        return None
    return factor * (upper / lower) ** exponent


def log_index(value: Maybe, slope: float, intercept: float) -> Maybe:
    return None if value is None or value <= 0 else slope * math.log(value) + intercept


def bloom_class(chlorophyll: Maybe, floating: bool, limits: tuple[float, float, float]) -> int:
    if floating:
        return 4
    if chlorophyll is None:
        return 255
    return sum(chlorophyll >= limit for limit in limits)
