"""Blends: a value made of several components or branches, each with a weight per pixel.

A switching algorithm is a blend of its branches, a chlorophyll blend one of its components. Weights (components x
pixels) add up to 1; a component of weight 0 is never looked at, so it may be NaN or beyond its pole there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.elementary import NAN, log10
from thalweg.kernels.jit import kernel
from thalweg.kernels.reflectance import Numbers

# Bits that an algorithm's `mark` kernel sets in the marks of its pixels.
NEAR_POLE, BEYOND_POLE, CLAMPED = 1, 2, 4

SHARE = 0.05
"""Weight above which a component of a chlorophyll blend counts."""

LEAST = 0.001
"""Values below this are taken as this where the logarithms of two branches are compared."""

SEGMENT = 128
"""Pixels that are looked at together for whether anything is shared."""

FIRST, OTHER, BLENDED = 1, 2, 3
"""Codes of `branch_codes`: one branch alone, the first or another, or several at once."""


@kernel("void(float64[:, ::1], float64[:, ::1])")
def drop_missing(values: Numbers, weights: Numbers) -> None:
    """Give the weight of components without value to the others; all weights NaN where none is left."""
    total = np.zeros(weights.shape[1])
    for k in range(weights.shape[0]):
        for i in range(total.size):
            there = (weights[k, i] > 0.0) & (values[k, i] == values[k, i])
            total[i] += weights[k, i] if there else 0.0
    for k in range(weights.shape[0]):
        for i in range(total.size):
            share, some = weights[k, i] / total[i], total[i] > 0.0
            share = share if some else NAN
            weights[k, i] = 0.0 if some & (values[k, i] != values[k, i]) else share


@kernel("void(float64[:, ::1], float64[:, ::1], float64[::1])")
def mix(values: Numbers, weights: Numbers, out: Numbers) -> None:
    """Weighted sum of the components; NaN where a component that counts has no value, or a weight is NaN."""
    out[:] = 0.0
    for k in range(values.shape[0]):
        for i in range(out.size):
            weight = weights[k, i]
            part = weight * values[k, i]
            out[i] += part if weight != 0.0 else 0.0


@kernel("void(float64[:, ::1], float64[:, ::1], float64[::1])")
def add_spread(values: Numbers, weights: Numbers, out: Numbers) -> None:
    """Add the variance of log10(value) between the components: sum of w (l - mean l)^2."""
    logs, mean = np.empty((values.shape[0], SEGMENT)), np.empty(SEGMENT)
    for start in range(0, out.size, SEGMENT):
        segment = slice(start, start + SEGMENT)
        shared = 0
        for k in range(values.shape[0]):
            shared += _count_shared(weights[k, segment])
        if shared == 0:
            continue
        mean[:] = 0.0
        for k in range(values.shape[0]):
            _add_log(values[k, segment], weights[k, segment], logs[k], mean)
        for k in range(values.shape[0]):
            _add_square(logs[k], mean, weights[k, segment], out[segment])


@kernel()
def _count_shared(weight: Numbers) -> int:
    """Pixels that have another component too: without any there is no spread."""
    shared = 0
    for i in range(weight.size):
        shared += np.int64((weight[i] != 0.0) & (weight[i] != 1.0))
    return shared


@kernel()
def _add_log(value: Numbers, weight: Numbers, log: Numbers, mean: Numbers) -> None:
    for i in range(weight.size):
        log[i] = log10(value[i] if value[i] > LEAST else LEAST)
        mean[i] += weight[i] * log[i]


@kernel()
def _add_square(log: Numbers, mean: Numbers, weight: Numbers, out: Numbers) -> None:
    for i in range(weight.size):
        apart = log[i] - mean[i]
        out[i] += weight[i] * (apart * apart)


@kernel("void(float64[:, ::1], float64[:, ::1], float64[::1], float64[::1], float64[::1])")
def add_component_errors(
    values: Numbers, weights: Numbers, value: Numbers, errors: Numbers, out: Numbers
) -> None:
    """Add sum of (w v s / value)^2 with one log10 error `s` per component."""
    for k in range(values.shape[0]):
        error = errors[k]
        for i in range(out.size):
            share = weights[k, i] * values[k, i] * error / value[i]
            square = share * share
            out[i] += square if weights[k, i] != 0.0 else 0.0


@kernel("void(float64[:, ::1], float64, uint8[::1])")
def branch_codes(weights: Numbers, threshold: float, out: NDArray[np.uint8]) -> None:
    """Which branch made the value: the first (1), another (2), or several that weigh more than `threshold` (3)."""
    for i in range(out.size):
        out[i] = FIRST if weights[0, i] > threshold else OTHER
    for k in range(weights.shape[0]):
        for i in range(out.size):
            shared = (weights[k, i] > threshold) & (weights[k, i] < 1.0 - threshold)
            out[i] = BLENDED if shared else out[i]
