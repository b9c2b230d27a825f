"""Uncertainty of one sigma: from the bands through derivatives, between branches, and of the algorithm itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.elementary import LN_10, NAN
from thalweg.kernels.jit import kernel
from thalweg.kernels.reflectance import Numbers, Rrs

STEP, LEAST_STEPPED = 1e-6, 1e-4
"""A central difference steps by this share of the band, or of the least band it takes for stepping."""


@kernel("void(float64[::1], float64, float64, float64[::1])")
def band_variance(rrs: Rrs, floor: float, relative: float, out: Numbers) -> None:
    """Variance of R of a band, sr-2: max(floor, relative |R|)^2."""
    for i in range(out.size):
        sigma = relative * abs(rrs[i])
        sigma = floor if sigma < floor else sigma
        out[i] = sigma * sigma


@kernel("void(float64[:, ::1], float64[:, ::1], int64[:, ::1], float64[::1], float64[:, ::1], float64[::1])")
def add_propagated(
    gradients: Numbers,
    weights: Numbers,
    terms: NDArray[np.int64],
    factors: Numbers,
    variances: Numbers,
    out: Numbers,
) -> None:
    """Add sum over bands of (sum over components of weight x derivative x factor)^2 x variance of the band.

    Each column of `terms` names a row of `gradients`, the component and the band that it is a derivative of and by;
    columns of one band stand together. `factors` turns a derivative by rho into one by R (pi). A component of weight 0
    is not looked at.
    """
    total = np.empty(out.size)
    last = terms.shape[1] - 1
    for j in range(last + 1):
        row, band = terms[0, j], terms[2, j]
        if j == 0 or band != terms[2, j - 1]:
            total[:] = 0.0
        weight, gradient, factor = weights[terms[1, j]], gradients[row], factors[j]
        for i in range(out.size):
            part = weight[i] * factor * gradient[i]
            total[i] += part if weight[i] != 0.0 else 0.0
        if j == last or band != terms[2, j + 1]:
            variance = variances[band]
            for i in range(out.size):
                part = total[i] * total[i] * variance[i]
                out[i] += part if total[i] != 0.0 else 0.0


@kernel("void(float64[::1], float64[::1], float64, float64[::1])")
def linear_sigma(value: Numbers, variance: Numbers, error: float, out: Numbers) -> None:
    """Sigma in the unit of the value; `error` is the algorithm's own, in units of log10."""
    for i in range(out.size):
        own = value[i] * LN_10 * error
        out[i] = math.sqrt(variance[i] + own * own)


@kernel("void(float64[::1], float64[::1], float64[::1], float64, float64[::1])")
def log_sigma(value: Numbers, variance: Numbers, spread: Numbers, error: float, out: Numbers) -> None:
    """Sigma of log10(value); none unless the value is positive.

    `variance` is that of the value, from the bands; `spread` is in units of log10 squared, as is `error` squared.
    """
    for i in range(out.size):
        relative = variance[i] / (value[i] * value[i] * (LN_10 * LN_10))
        sigma = math.sqrt(relative + spread[i] + error * error)
        out[i] = sigma if value[i] > 0.0 else NAN


def difference_gradient(
    rows: Callable[..., Any], bands: Sequence[Numbers], coefficients: Sequence[Any], out: Numbers
) -> None:
    """Derivatives of any row kernel by each of its bands, as central differences of 1e-6 relative."""
    upper, lower = np.empty(out.shape[1]), np.empty(out.shape[1])
    for j, band in enumerate(bands):
        step = STEP * np.maximum(np.abs(band), LEAST_STEPPED)
        rows(*bands[:j], band + step, *bands[j + 1 :], *coefficients, upper)
        rows(*bands[:j], band - step, *bands[j + 1 :], *coefficients, lower)
        np.divide(upper - lower, 2.0 * step, out=out[j])
