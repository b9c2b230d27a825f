"""Uncertainty of one sigma: from the bands through derivatives, between branches, and of the algorithm itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.elementary import LN_10, NAN, log10
from thalweg.kernels.formula import formula
from thalweg.kernels.jit import row_kernel
from thalweg.kernels.reflectance import Numbers, Rrs

STEP, LEAST_STEPPED = 1e-6, 1e-4
"""A central difference steps by this share of the band, or of the least band it takes for stepping."""


LEAST = 0.001
"""Values below this are taken as this where the logarithms of two components are compared."""

SEGMENT = 256
"""Pixels that are looked at together for whether any has two components."""


@row_kernel(
    "void(float64[:, ::1], float64[:, ::1], int64[:, ::1], float64[::1], float64[:, ::1], float64[::1], "
    "float64[::1], float64[::1])",
    "void(float32[:, ::1], float32[:, ::1], int64[:, ::1], float64[::1], float32[:, ::1], float64[::1], "
    "float64[::1], float32[::1])",
)
def propagate(
    gradients: Numbers,
    weights: Numbers,
    terms: NDArray[np.int64],
    factors: Numbers,
    rrs: Rrs,
    floor: Numbers,
    relative: Numbers,
    out: Numbers,
) -> None:
    """Variance of a value: sum over bands of (sum of weight x derivative x factor)^2 x variance of the band.

    Each column of `terms` names a row of `gradients`, the component and the band (row of `rrs`) that it is a derivative
    of and by; columns of one band stand together. `factors` turns a derivative by rho into one by R (pi). The sigma of
    a band is `relative` of |R|, at least `floor`, sr-1. A component of weight 0 is not looked at.
    """
    total, last = np.empty_like(out), terms.shape[1] - 1
    out[:] = 0.0
    for j in range(last + 1):
        weight, gradient, band = weights[terms[1, j]], gradients[terms[0, j]], terms[2, j]
        begins, ends = j == 0 or band != terms[2, j - 1], j == last or band != terms[2, j + 1]
        if begins and ends:
            _add_alone(weight, gradient, factors[j], rrs[band], floor[band], relative[band], out)
            continue
        if begins:
            total[:] = 0.0
        _add_term(weight, gradient, factors[j], total)
        if ends:
            add_variance(total, rrs[band], floor[band], relative[band], out)


@row_kernel()
def _add_term(weight: Numbers, gradient: Numbers, factor: float, total: Numbers) -> None:
    for i in range(total.size):
        part = weight[i] * factor * gradient[i]
        total[i] += part if weight[i] != 0.0 else 0.0


@row_kernel()
def _add_alone(
    weight: Numbers, gradient: Numbers, factor: float, rrs: Rrs, floor: float, relative: float, out: Numbers
) -> None:
    """Add what a band contributes that has one term only."""
    for i in range(out.size):
        slope = weight[i] * factor * gradient[i]
        slope = slope if weight[i] != 0.0 else 0.0
        out[i] += _variance(slope, rrs[i], floor, relative)


@formula
def _variance(slope: float, rrs: float, floor: float, relative: float) -> float:
    sigma = relative * abs(rrs)
    part = slope * (floor if sigma < floor else sigma)
    return part * part if slope != 0.0 else 0.0


@row_kernel("void(float64[::1], float64[::1], float64, float64, float64[::1])")
def add_variance(slope: Numbers, rrs: Rrs, floor: float, relative: float, out: Numbers) -> None:
    """Add what one band contributes, given the derivative by it; nothing where that is 0."""
    for i in range(out.size):
        out[i] += _variance(slope[i], rrs[i], floor, relative)


@row_kernel("void(float64[::1], float64[::1], float64, float64[::1])")
def linear_sigma(value: Numbers, variance: Numbers, error: float, out: Numbers) -> None:
    """Sigma in the unit of the value; `error` is the algorithm's own, in units of log10."""
    for i in range(out.size):
        own = value[i] * LN_10 * error
        out[i] = math.sqrt(variance[i] + own * own)


@row_kernel(
    "void(float64[:, ::1], float64[:, ::1], float64[::1], float64[::1], float64[::1], float64, float64[::1])",
    "void(float32[:, ::1], float32[:, ::1], float32[::1], float32[::1], float64[::1], float64, float32[::1])",
)
def log_sigma(
    values: Numbers,
    weights: Numbers,
    value: Numbers,
    variance: Numbers,
    errors: Numbers,
    error: float,
    out: Numbers,
) -> None:
    """Sigma of log10(value); none unless the value is positive.

    `variance` is that of the value, from the bands. To it come the variance between the components' logarithms, with
    their weights, the components' own sigmas (`errors`; empty for none) and the algorithm's (`error`), in log10.
    """
    for i in range(out.size):
        out[i] = variance[i] / (value[i] * value[i] * (LN_10 * LN_10)) + error * error
    if values.shape[0] > 1:
        _add_spread(values, weights, out)
    for k in range(errors.size):
        _add_component(values[k], weights[k], value, errors[k], out)
    for i in range(out.size):
        sigma = math.sqrt(out[i])
        out[i] = sigma if value[i] > 0.0 else NAN


@row_kernel()
def _add_component(values: Numbers, weights: Numbers, value: Numbers, error: float, out: Numbers) -> None:
    """Add (w v s / value)^2."""
    for i in range(out.size):
        share = weights[i] * values[i] * error / value[i]
        out[i] += share * share if weights[i] != 0.0 else 0.0


@row_kernel()
def _add_spread(values: Numbers, weights: Numbers, out: Numbers) -> None:
    """Add the variance of log10(value) between the components: sum of w (l - mean l)^2."""
    logs, mean = np.empty((values.shape[0], SEGMENT), out.dtype), np.empty(SEGMENT, out.dtype)
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
            _add_apart(logs[k], mean, weights[k, segment], out[segment])


@row_kernel()
def _count_shared(weight: Numbers) -> int:
    """Pixels that have another component too: without any there is no spread."""
    shared = np.int32(0)
    for i in range(weight.size):
        shared += np.int32((weight[i] != 0.0) & (weight[i] != 1.0))
    return shared


@row_kernel()
def _add_log(value: Numbers, weight: Numbers, log: Numbers, mean: Numbers) -> None:
    for i in range(weight.size):
        log[i] = log10(value[i] if value[i] > LEAST else LEAST)
        mean[i] += weight[i] * log[i]


@row_kernel()
def _add_apart(log: Numbers, mean: Numbers, weight: Numbers, out: Numbers) -> None:
    for i in range(weight.size):
        apart = log[i] - mean[i]
        out[i] += weight[i] * (apart * apart)


def difference_gradient(
    rows: Callable[..., Any], bands: Sequence[Numbers], coefficients: Sequence[Any], out: Numbers
) -> None:
    """Derivatives of any row kernel by each of its bands, as central differences of 1e-6 relative, in float64."""
    upper, lower = np.empty(out.shape[1]), np.empty(out.shape[1])
    wide = [band.astype(np.float64) for band in bands]
    for j, band in enumerate(wide):
        step = STEP * np.maximum(np.abs(band), LEAST_STEPPED)
        rows(*wide[:j], band + step, *wide[j + 1 :], *coefficients, upper)
        rows(*wide[:j], band - step, *wide[j + 1 :], *coefficients, lower)
        np.divide(upper - lower, 2.0 * step, out=out[j])
