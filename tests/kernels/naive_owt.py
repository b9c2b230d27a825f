"""Optical water types of one pixel, straight from the specification; None is no value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Maybe = float | None


def features(r: Sequence[Maybe], table: dict[str, Any], sensor: str) -> tuple[float, float, float] | None:
    if any(x is None for x in r):
        return None
    values = [x for x in r if x is not None]
    weighted = sum(x / w for x, w in zip(values, table["avw_wavelengths"], strict=True))
    area = 0.5 * (values[0] + values[2]) * 117 + 0.5 * (values[2] + values[3]) * 105
    if sum(values) <= 0 or weighted <= 0 or area <= 0 or values[2] + values[3] <= 0:
        return None
    raw = sum(values) / weighted
    avw = sum(k * raw**i for i, k in enumerate(table["avw_polynomial_lowest_first"][sensor]))
    power = table["boxcox_lambda"]
    return avw, (area**power - 1) / power, (values[2] - values[3]) / (values[2] + values[3])


def memberships(found: Sequence[float], table: dict[str, Any]) -> list[float]:
    return [
        survival(float(apart @ np.linalg.solve(np.array(covariance), apart)))
        for mean, covariance in zip(table["means"], table["covariances"], strict=True)
        for apart in [np.array(found) - np.array(mean)]
    ]


def survival(d: float) -> float:
    """Of a chi-square with three degrees of freedom."""
    return math.erfc(math.sqrt(d / 2)) + math.sqrt(2 * d / math.pi) * math.exp(-d / 2)


def classify(u: Sequence[float]) -> int:
    return 1 + max(range(len(u)), key=lambda k: (u[k], -k)) if sum(u) >= 1e-4 else 0


def nearest_angle(r: Sequence[Maybe], spectra: Sequence[Sequence[float]]) -> tuple[int, Maybe]:
    """Number of the nearest spectrum, and the angle."""
    if any(x is None for x in r) or not any(r):
        return 0, None
    values = [x for x in r if x is not None]
    angles = []
    for spectrum in spectra:
        product = math.fsum(a * b for a, b in zip(values, spectrum, strict=True))
        lengths = math.sqrt(math.fsum(a * a for a in values) * math.fsum(b * b for b in spectrum))
        angles.append(math.acos(min(max(product / lengths, -1), 1)))
    return 1 + angles.index(min(angles)), min(angles)
