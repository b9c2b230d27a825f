"""Chlorophyll of one pixel, straight from the specification; None is no value."""

from __future__ import annotations

import math
from collections.abc import Sequence

Maybe = float | None


def there(*bands: Maybe) -> bool:
    return all(band is not None for band in bands)


def log_ratio(blues: Sequence[Maybe], green: Maybe) -> Maybe:
    """x of the blue-green ratio: the greatest of the blue bands that are not nodata."""
    valid = [blue for blue in blues if blue is not None]
    if not valid or green is None or max(valid) <= 0 or green <= 0:
        return None
    return math.log10(max(valid) / green)


def blue_green(blues: Sequence[Maybe], green: Maybe, c: Sequence[float], clamp: Sequence[float]) -> Maybe:
    x = log_ratio(blues, green)
    if x is None:
        return None
    x = min(max(x, clamp[0]), clamp[1])
    exponent = sum(c[k] * x**k for k in range(5))
    return math.inf if exponent > 307 else 10**exponent


def is_clamped(blues: Sequence[Maybe], green: Maybe, clamp: Sequence[float]) -> bool:
    x = log_ratio(blues, green)
    return x is not None and not clamp[0] <= x <= clamp[1]


def ratio_polynomial(red: Maybe, edge: Maybe, c: Sequence[float]) -> Maybe:
    if red is None or edge is None or red <= 0:
        return None
    r = edge / red
    return c[0] + c[1] * r + c[2] * r**2


def ratio_power(red: Maybe, edge: Maybe, slope: float, intercept: float, exponent: float) -> Maybe:
    if red is None or edge is None or red <= 0:
        return None
    base = slope * (edge / red) + intercept
    return base**exponent if base > 0 else None


def difference(red: Maybe, edge: Maybe, nir: Maybe) -> Maybe:
    if red is None or edge is None or nir is None or red <= 0 or edge <= 0:
        return None
    return (1 / red - 1 / edge) * nir


def difference_polynomial(red: Maybe, edge: Maybe, nir: Maybe, c: Sequence[float]) -> Maybe:
    x = difference(red, edge, nir)
    return None if x is None else c[0] + c[1] * x + c[2] * x**2


def difference_power(
    red: Maybe, edge: Maybe, nir: Maybe, slope: float, intercept: float, exponent: float
) -> Maybe:
    x = difference(red, edge, nir)
    if x is None or slope * x + intercept <= 0:
        return None
    return (slope * x + intercept) ** exponent


def ndci_polynomial(red: Maybe, edge: Maybe, c: Sequence[float]) -> Maybe:
    if red is None or edge is None or red + edge <= 0:
        return None
    n = (edge - red) / (edge + red)
    return sum(c[k] * n**k for k in range(4))


def gons(
    red: Maybe, edge: Maybe, nir: Maybe, exponent: float, divisor: float, outer: float, checked: bool
) -> Maybe:
    """Bands of rho."""
    if red is None or edge is None or nir is None or red <= 0 or nir < 0 or nir >= 0.136667:
        return None
    ratio, bb = edge / red, 1.61 * nir / (0.082 - 0.6 * nir)
    if bb < 0:
        return None
    base = ratio * (0.70 + bb) - 0.40 - bb**exponent
    if outer != 1 and base <= 0:
        return None
    value = (base if outer == 1 else base**outer) / divisor
    if checked and (value < 0 or red <= 0.005 or ratio <= 0.63):
        return None
    return value


def edge_weight(red: Maybe, edge: Maybe) -> float:
    """w of the blends, 0.75 to 1.15."""
    if red is None or edge is None or red <= 0:
        return 0.0
    return min(max((edge / red - 0.75) / 0.40, 0.0), 1.0)


def type_weights(red: Maybe, edge: Maybe, shares: Sequence[float] | None) -> tuple[float, float]:
    """W_oc2 and W_gil from sums of memberships by component, or None for an unclassified pixel."""
    w = edge_weight(red, edge)
    if shares is None:
        return 1 - w, w
    total = sum(shares)
    blue, mixed, red_edge = (share / total for share in shares)
    return blue + (1 - w) * mixed, red_edge + w * mixed
