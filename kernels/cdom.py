"""Coloured dissolved organic matter, as absorption at 440 nm, m-1; called as the kernels of `chlorophyll`."""

from __future__ import annotations

from thalweg.kernels.elementary import NAN, exp, ln
from thalweg.kernels.jit import row_kernel
from thalweg.kernels.reflectance import Numbers, Reflectance


@row_kernel("void(float64[::1], float64[::1], float64, float64, float64[::1])")
def band_ratio(upper: Reflectance, lower: Reflectance, factor: float, exponent: float, out: Numbers) -> None:
    """factor (upper / lower)^exponent; no value unless both are positive.

    Source: Brezonik 2015 (10.1016/j.rse.2014.04.033): exp(1.872) and -0.830 on blue / 740 nm, exp(1.582) and -1.507 on
    green / red; Ficek 2011 (10.5697/oc.53-4.947): 3.65 and -1.93 on green / red.
    """
    for i in range(out.size):
        log = ln(upper[i] / lower[i])
        out[i] = log if (upper[i] > 0.0) & (lower[i] > 0.0) else NAN
    for i in range(out.size):
        out[i] = factor * exp(exponent * out[i])


@row_kernel("void(float64[::1], float64[::1], float64, float64, float64[::1], float64[:, ::1])")
def band_ratio_gradient(
    upper: Reflectance,
    lower: Reflectance,
    factor: float,
    exponent: float,
    value: Numbers,
    out: Numbers,
) -> None:
    """Derivatives of `band_ratio` by the two bands."""
    for i in range(upper.size):
        slope = exponent * value[i]
        out[0, i] = slope / upper[i]
        out[1, i] = -slope / lower[i]
