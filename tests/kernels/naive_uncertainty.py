"""Blends and their uncertainty of one pixel, straight from the specification; None is no value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

Maybe = float | None


def settle(weights: Sequence[float], values: Sequence[Maybe]) -> list[float] | None:
    """Weights after components without value are dropped; None where none is left."""
    kept = [w if v is not None else 0.0 for w, v in zip(weights, values, strict=True)]
    return [w / sum(kept) for w in kept] if sum(kept) > 0 else None


def mean(weights: Sequence[float], values: Sequence[Maybe]) -> Maybe:
    """Weighted sum; a component of weight 0 is not looked at."""
    active = [(w, v) for w, v in zip(weights, values, strict=True) if w != 0]
    return None if any(v is None for _, v in active) else sum(w * v for w, v in active if v is not None)


def spread(weights: Sequence[float], values: Sequence[Maybe]) -> float:
    """Variance of log10 between the branches."""
    logs = [
        (w, math.log10(max(v, 0.001)))
        for w, v in zip(weights, values, strict=True)
        if w != 0 and v is not None
    ]
    centre = sum(w * log for w, log in logs)
    return sum(w * (log - centre) ** 2 for w, log in logs)


def band_sigma(r: float, floor: float = 5e-4, relative: float = 0.05) -> float:
    return max(floor, relative * abs(r))


def slope(f: Callable[[Mapping[str, float]], Maybe], bands: Mapping[str, float], name: str) -> Maybe:
    """Central difference by one band."""
    step = 1e-6 * max(abs(bands[name]), 1e-4)
    upper, lower = f({**bands, name: bands[name] + step}), f({**bands, name: bands[name] - step})
    return None if upper is None or lower is None else (upper - lower) / (2 * step)
