"""Counters and occurrence from scratch: plain loops over observations, exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray


def merged(masks: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """One pass: 255 if all are 255, else the largest valid value."""
    out = np.full_like(masks[0], 255)
    for p in np.ndindex(out.shape):
        valid = [int(mask[p]) for mask in masks if mask[p] != 255]
        out[p] = max(valid) if valid else 255
    return out


def state(observations: list[tuple[int, Any]], shape: tuple[int, ...]) -> list[NDArray[np.uint16]]:
    """n_water, n_valid, last_date, last_water_date of (day, mask) pairs."""
    out = [np.zeros(shape, np.uint16) for _ in range(4)]
    for p in np.ndindex(*shape):
        valid = [day for day, mask in observations if mask[p] != 255]
        wet = [day for day, mask in observations if mask[p] == 1]
        for layer, value in zip(
            out, (len(wet), len(valid), max(valid, default=0), max(wet, default=0)), strict=True
        ):
            layer[p] = value
    return out


def half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def percent(n_water: int, n_valid: int, min_valid: int = 1) -> int:
    return 255 if n_valid < min_valid else half_up(Fraction(100 * n_water, n_valid))


def monthly_percent(months: list[tuple[int, int]]) -> int:
    """Mean of the shares of (n_water, n_valid) pairs with a valid observation."""
    shares = [Fraction(wet, valid) for wet, valid in months if valid > 0]
    return half_up(100 * sum(shares, Fraction(0)) / len(shares)) if shares else 255
