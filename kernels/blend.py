"""Blends: a value made of several components or branches, each with a weight per pixel.

A switching algorithm is a blend of its branches, a chlorophyll blend one of its components. Weights (components x
pixels) add up to 1; a component of weight 0 is never looked at, so it may be NaN or beyond its pole there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.elementary import NAN
from thalweg.kernels.jit import row_kernel
from thalweg.kernels.reflectance import Numbers

# Bits that an algorithm's `mark` kernel sets in the marks of its pixels.
NEAR_POLE, BEYOND_POLE, CLAMPED = 1, 2, 4

SHARE = 0.05
"""Weight above which a component of a chlorophyll blend counts."""

FIRST, OTHER, BLENDED = 1, 2, 3
"""Codes of `branch_codes`: one branch alone, the first or another, or several at once."""


@row_kernel("void(float64[:, ::1], float64[:, ::1], boolean, float64[::1])")
def mix(values: Numbers, weights: Numbers, drops: bool, out: Numbers) -> None:
    """Weighted sum of the components; NaN where one that counts has no value, or a weight is NaN.

    With `drops`, a component without value gives its weight to the others; NaN only where none is left.
    """
    if drops:
        _drop_missing(values, weights)
    out[:] = 0.0
    for k in range(values.shape[0]):
        for i in range(out.size):
            part = weights[k, i] * values[k, i]
            out[i] += part if weights[k, i] != 0.0 else 0.0


@row_kernel()
def _drop_missing(values: Numbers, weights: Numbers) -> None:
    """Give the weight of components without value to the others; all weights NaN where none is left."""
    total = np.zeros(weights.shape[1], weights.dtype)
    for k in range(weights.shape[0]):
        for i in range(total.size):
            there = (weights[k, i] > 0.0) & (values[k, i] == values[k, i])
            total[i] += weights[k, i] if there else 0.0
    for k in range(weights.shape[0]):
        for i in range(total.size):
            share, some = weights[k, i] / total[i], total[i] > 0.0
            share = share if some else NAN
            weights[k, i] = 0.0 if some & (values[k, i] != values[k, i]) else share


@row_kernel("void(float64[:, ::1], float64, uint8[::1])")
def branch_codes(weights: Numbers, threshold: float, out: NDArray[np.uint8]) -> None:
    """Which branch made the value: the first (1), another (2), or several that weigh more than `threshold` (3)."""
    for i in range(out.size):
        out[i] = FIRST if weights[0, i] > threshold else OTHER
    for k in range(weights.shape[0]):
        for i in range(out.size):
            shared = (weights[k, i] > threshold) & (weights[k, i] < 1.0 - threshold)
            out[i] = BLENDED if shared else out[i]
