"""Suspended matter, g m-3, and turbidity, FNU: their branches and the weights between them.

The row kernels are called as those of `chlorophyll`. Everything here takes rho, except Jiang's algorithm.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.blend import BEYOND_POLE, NEAR_POLE
from thalweg.kernels.elementary import LOG10_E, NAN, exp, exp10, ln, power
from thalweg.kernels.formula import formula
from thalweg.kernels.jit import row_kernel
from thalweg.kernels.reflectance import Numbers, Rho, Rrs


@row_kernel("void(float64[::1], float64, float64, float64[::1])")
def nechad(rho: Rho, a: float, c: float, out: Numbers) -> None:
    """a rho / (1 - rho / c), increasing below the pole `c`; no value at the pole and above.

    Negative rho gives a negative value, which is for the range to refuse. Source: Nechad 2010 and 2009
    (10.1016/j.rse.2009.11.022, 10.1117/12.830700), without the published offsets.
    """
    for i in range(out.size):
        value = a * rho[i] / (1.0 - rho[i] / c)
        out[i] = value if rho[i] < c else NAN


@row_kernel("void(float64[::1], float64, float64, float64[::1], float64[:, ::1])")
def nechad_gradient(rho: Rho, a: float, c: float, value: Numbers, out: Numbers) -> None:
    """Derivative of `nechad` by rho."""
    for i in range(rho.size):
        rest = 1.0 - rho[i] / c
        slope = a / (rest * rest)
        out[0, i] = slope if rho[i] < c else NAN


@row_kernel("void(float64[::1], float64, float64, float64[::1], uint8[::1])")
def nechad_mark(rho: Rho, a: float, c: float, weight: Numbers, marks: NDArray[np.uint8]) -> None:
    """Mark the second half of the way to the pole, and the pole and beyond, where the branch counts."""
    for i in range(marks.size):
        active = weight[i] != 0.0
        near = active & (rho[i] >= 0.5 * c) & (rho[i] < c)
        beyond = active & (rho[i] >= c)
        marks[i] |= (np.uint8(NEAR_POLE) if near else np.uint8(0)) | (
            np.uint8(BEYOND_POLE) if beyond else np.uint8(0)
        )


@row_kernel("void(float64[::1], float64[::1], float64, float64, float64[::1])")
def ratio_law(red: Rho, nir: Rho, factor: float, exponent: float, out: Numbers) -> None:
    """factor (nir / red)^exponent; no value unless both are positive.

    Source: high branch of GET/OBS2CO (Morin 2019).
    """
    for i in range(out.size):
        log = ln(nir[i] / red[i])
        out[i] = log if (nir[i] > 0.0) & (red[i] > 0.0) else NAN
    for i in range(out.size):
        out[i] = factor * exp(exponent * out[i])


@row_kernel("void(float64[::1], float64[::1], float64, float64, float64[::1], float64[:, ::1])")
def ratio_law_gradient(
    red: Rho, nir: Rho, factor: float, exponent: float, value: Numbers, out: Numbers
) -> None:
    """Derivatives of `ratio_law` by red and nir."""
    for i in range(red.size):
        slope = exponent * value[i]
        out[0, i] = -slope / red[i]
        out[1, i] = slope / nir[i]


@row_kernel("void(float64[::1], float64, float64, float64[::1])")
def quadratic(rho: Rho, linear: float, square: float, out: Numbers) -> None:
    """linear rho + square rho^2. Source: branches of Novoa 2017 (10.3390/rs9010061)."""
    for i in range(out.size):
        out[i] = rho[i] * (linear + square * rho[i])


@row_kernel("void(float64[::1], float64, float64, float64[::1], float64[:, ::1])")
def quadratic_gradient(rho: Rho, linear: float, square: float, value: Numbers, out: Numbers) -> None:
    """Derivative of `quadratic` by rho."""
    for i in range(rho.size):
        out[0, i] = linear + 2.0 * square * rho[i]


@row_kernel("void(float64[::1], float64, float64, float64[:, ::1])")
def ramp_weights(rho: Rho, lowest: float, highest: float, out: Numbers) -> None:
    """Weights of a low (row 0) and a high branch (row 1): linear in rho between the two limits.

    Source: 0.07 to 0.14 of GET 2018, 0.05 to 0.07 of Dogliotti 2015 (10.1016/j.rse.2014.09.020), both on rho665.
    """
    for i in range(rho.size):
        high = (rho[i] - lowest) / (highest - lowest)
        high = 0.0 if rho[i] <= lowest else high
        high = 1.0 if rho[i] >= highest else high
        out[0, i] = 1.0 - high
        out[1, i] = high


@formula
def _log_ramp(x: float, lowest: float, highest: float) -> float:
    """0 to 1 between the limits, linear in the logarithm of x."""
    value = ln(x / lowest) / math.log(highest / lowest)
    value = 0.0 if x <= lowest else value
    return 1.0 if x >= highest else value


@row_kernel("void(float64[::1], float64, float64, float64[:, ::1])")
def log_ramp_weights(rrs: Rrs, lowest: float, highest: float, out: Numbers) -> None:
    """As `ramp_weights`, linear in the logarithm, on R. Source: Han 2016 (10.3390/rs8030211)."""
    for i in range(rrs.size):
        high = _log_ramp(rrs[i], lowest, highest)
        out[0, i] = 1.0 - high
        out[1, i] = high


@row_kernel("void(float64[::1], float64, float64, float64, float64, float64[:, ::1])")
def three_way_weights(
    rho: Rho, lowest: float, second: float, third: float, highest: float, out: Numbers
) -> None:
    """Weights of three branches, changing over from `lowest` to `second` and from `third` to `highest`.

    Source: Novoa 2017 (10.3390/rs9010061), 0.007 to 0.016 and 0.080 to 0.120 of rho665.
    """
    for i in range(rho.size):
        upper = _log_ramp(rho[i], lowest, second)
        last = _log_ramp(rho[i], third, highest)
        out[0, i] = 1.0 - upper
        out[1, i] = upper - last
        out[2, i] = last


# Which band tells suspended matter best in water of this brightness (`jiang_band`): green, red, 740 nm, 865 nm.
GREEN, RED, EDGE, NIR = 0, 1, 2, 3


@row_kernel(
    "void(float64[::1], float64[::1], float64[::1], float64[::1], float64[::1], float64[::1], float64[:, ::1], "
    "float64[::1])",
    "void(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float64[:, ::1], "
    "float32[::1])",
)
def jiang(
    coastal: Rrs, blue: Rrs, green: Rrs, red: Rrs, edge: Rrs, nir: Rrs, table: Numbers, out: Numbers
) -> None:
    """Suspended matter from one of four bands, chosen by the spectrum; no value where one of the first four is <= 0.

    `table` has a row per reference band (green, red, 740, 865 nm) and the columns absorption and backscattering of
    pure water, m-1, and g m-3 per m-1. Source: Jiang 2023 (10.1016/j.isprsjprs.2023.09.020).
    """
    for i in range(out.size):
        band = _jiang_band(blue[i], green[i], red[i], edge[i], nir[i])
        if band == GREEN:
            rrs, a = green[i], table[GREEN, 0] + _jiang_green(coastal[i], blue[i], green[i], red[i])
        elif band == RED:
            rrs, a = red[i], table[RED, 0] + 0.39 * power(red[i] / (coastal[i] + blue[i]), 1.14)
        else:
            rrs, a = (edge[i] if band == EDGE else nir[i]), table[band, 0]
        u = _jiang_u(_below_surface(rrs))
        value = table[band, 2] * (u * a / (1.0 - u) - table[band, 1])
        good = (coastal[i] > 0.0) & (blue[i] > 0.0) & (green[i] > 0.0) & (red[i] > 0.0)
        out[i] = value if good else NAN


@row_kernel("void(float64[::1], float64[::1], float64[::1], float64[::1], float64[::1], uint8[::1])")
def jiang_band(blue: Rrs, green: Rrs, red: Rrs, edge: Rrs, nir: Rrs, out: NDArray[np.uint8]) -> None:
    """Which reference band `jiang` takes: 0 green, 1 red, 2 740 nm, 3 865 nm."""
    for i in range(out.size):
        out[i] = _jiang_band(blue[i], green[i], red[i], edge[i], nir[i])


@formula
def _jiang_band(blue: float, green: float, red: float, edge: float, nir: float) -> int:
    near_620 = 1.484814e-4 + red * (1.316727 + red * (-15.57556 + red * 169.3846))
    if blue > green:
        return GREEN
    if blue > near_620:
        return RED
    return NIR if (edge > blue) & (edge > 0.010) else EDGE


@formula
def _below_surface(rrs: float) -> float:
    return rrs / (0.52 + 1.7 * rrs)


@formula
def _jiang_u(rrs: float) -> float:
    """Backscattering over absorption plus backscattering; NaN where the root is negative."""
    return (-0.089 + math.sqrt(0.089 * 0.089 + 4.0 * 0.125 * rrs)) / (2.0 * 0.125)


@formula
def _jiang_green(coastal: float, blue: float, green: float, red: float) -> float:
    r1, r2, r3, r4 = _below_surface(coastal), _below_surface(blue), _below_surface(green), _below_surface(red)
    q = ln((r1 + r2) / (r3 + 5.0 * r4 * r4 / r2)) * LOG10_E
    return exp10(-1.146 + q * (-1.366 - 0.469 * q))
