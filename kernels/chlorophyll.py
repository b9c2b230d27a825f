"""Chlorophyll-a, mg m-3: blue-green ratio, red edge, and the weights with which the two are blended.

A loop ends at each logarithm, so that several pixels are under way at once, and its second half starts the next.

Row kernels: ``value(*bands, *coefficients, out)``; ``gradient(*bands, *coefficients, value, out)``, which is given the
value and fills one row of `out` per band; ``mark(*bands, *coefficients, weight, marks)``. Bands are float64 or float32,
NaN where there is no value; nothing is clamped to a product's range here. R and rho serve alike where the annotation
says `Reflectance`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.blend import CLAMPED, SHARE
from thalweg.kernels.elementary import INFINITY, LN_10, LOG10_E, NAN, clamp, exp, exp10, ln, power
from thalweg.kernels.formula import formula
from thalweg.kernels.jit import row_kernel
from thalweg.kernels.reflectance import Numbers, Reflectance, Rho


@formula
def _log_ratio(blue: float, green: float) -> float:
    """log10 of the ratio; NaN unless both are positive."""
    value = ln(blue / green) * LOG10_E
    return value if (blue > 0.0) & (green > 0.0) else NAN


@formula
def _is_clamped(blue: float, green: float, least: float, most: float) -> bool:
    """Whether a ratio of positive bands lies outside [least, most]."""
    ratio = blue / green
    return (blue > 0.0) & (green > 0.0) & ((ratio < least) | (ratio > most))


@formula
def _quartic(c0: float, c1: float, c2: float, c3: float, c4: float, x: float) -> float:
    return c0 + x * (c1 + x * (c2 + x * (c3 + x * c4)))


@formula
def _quartic_slope(c1: float, c2: float, c3: float, c4: float, x: float) -> float:
    return c1 + x * (2.0 * c2 + x * (3.0 * c3 + x * (4.0 * c4)))


@formula
def _greatest(a: float, b: float) -> float:
    """The greater of two bands, of which one may be missing."""
    return a if (a > b) | (b != b) else b


@row_kernel("void(float64[::1], float64[::1], " + 7 * "float64, " + "float64[::1])")
def ocx(
    blue: Reflectance,
    green: Reflectance,
    c0: float,
    c1: float,
    c2: float,
    c3: float,
    c4: float,
    lowest: float,
    highest: float,
    out: Numbers,
) -> None:
    """Quartic of x = log10(blue / green), clamped to [lowest, highest], as exponent of 10; no value unless both > 0.

    Source: NASA OBPG OCx; 10.1016/j.rse.2019.111604 (MSI), 10.1117/1.JRS.9.096070 and 10.1016/j.rse.2019.04.021 (OLI).
    The unclamped forms take infinite limits.
    """
    for i in range(out.size):
        out[i] = clamp(_log_ratio(blue[i], green[i]), lowest, highest)
    for i in range(out.size):
        out[i] = exp(LN_10 * _quartic(c0, c1, c2, c3, c4, out[i]))


@row_kernel("void(float64[::1], float64[::1], " + 7 * "float64, " + "float64[::1], float64[:, ::1])")
def ocx_gradient(
    blue: Reflectance,
    green: Reflectance,
    c0: float,
    c1: float,
    c2: float,
    c3: float,
    c4: float,
    lowest: float,
    highest: float,
    value: Numbers,
    out: Numbers,
) -> None:
    """Derivatives of `ocx` by blue and green; beyond a clamp the slope at the clamp, so that sigma does not vanish."""
    for i in range(blue.size):
        x = clamp(_log_ratio(blue[i], green[i]), lowest, highest)
        slope = value[i] * _quartic_slope(c1, c2, c3, c4, x)
        out[0, i] = slope / blue[i]
        out[1, i] = -slope / green[i]


@row_kernel("void(float64[::1], float64[::1], " + 7 * "float64, " + "float64[::1], uint8[::1])")
def ocx_mark(
    blue: Reflectance,
    green: Reflectance,
    c0: float,
    c1: float,
    c2: float,
    c3: float,
    c4: float,
    lowest: float,
    highest: float,
    weight: Numbers,
    marks: NDArray[np.uint8],
) -> None:
    """Mark where the clamp acts on a component that weighs more than `SHARE`."""
    least, most = exp10(lowest), exp10(highest)
    for i in range(marks.size):
        acts = _is_clamped(blue[i], green[i], least, most) & (weight[i] > SHARE)
        marks[i] |= np.uint8(CLAMPED) if acts else np.uint8(0)


@row_kernel("void(float64[::1], float64[::1], float64[::1], " + 7 * "float64, " + "float64[::1])")
def ocx3(
    coastal: Reflectance,
    blue: Reflectance,
    green: Reflectance,
    c0: float,
    c1: float,
    c2: float,
    c3: float,
    c4: float,
    lowest: float,
    highest: float,
    out: Numbers,
) -> None:
    """As `ocx` with the greater of two blue bands, or the one that is not missing."""
    for i in range(out.size):
        out[i] = clamp(_log_ratio(_greatest(coastal[i], blue[i]), green[i]), lowest, highest)
    for i in range(out.size):
        out[i] = exp(LN_10 * _quartic(c0, c1, c2, c3, c4, out[i]))


@row_kernel(
    "void(float64[::1], float64[::1], float64[::1], " + 7 * "float64, " + "float64[::1], float64[:, ::1])"
)
def ocx3_gradient(
    coastal: Reflectance,
    blue: Reflectance,
    green: Reflectance,
    c0: float,
    c1: float,
    c2: float,
    c3: float,
    c4: float,
    lowest: float,
    highest: float,
    value: Numbers,
    out: Numbers,
) -> None:
    """Derivatives of `ocx3`; the blue band that is not taken has none."""
    for i in range(blue.size):
        taken = _greatest(coastal[i], blue[i])
        x = clamp(_log_ratio(taken, green[i]), lowest, highest)
        slope = value[i] * _quartic_slope(c1, c2, c3, c4, x)
        by_blue = slope / taken
        first = (coastal[i] > blue[i]) | (blue[i] != blue[i])
        out[0, i] = by_blue if first else 0.0
        out[1, i] = 0.0 if first else by_blue
        out[2, i] = -slope / green[i]


@row_kernel("void(float64[::1], float64[::1], float64[::1], " + 7 * "float64, " + "float64[::1], uint8[::1])")
def ocx3_mark(
    coastal: Reflectance,
    blue: Reflectance,
    green: Reflectance,
    c0: float,
    c1: float,
    c2: float,
    c3: float,
    c4: float,
    lowest: float,
    highest: float,
    weight: Numbers,
    marks: NDArray[np.uint8],
) -> None:
    """As `ocx_mark`, of `ocx3`."""
    least, most = exp10(lowest), exp10(highest)
    for i in range(marks.size):
        taken = _greatest(coastal[i], blue[i])
        acts = _is_clamped(taken, green[i], least, most) & (weight[i] > SHARE)
        marks[i] |= np.uint8(CLAMPED) if acts else np.uint8(0)


@row_kernel("void(float64[::1], float64[::1], float64, float64, float64, float64[::1])")
def ratio_polynomial(
    red: Reflectance, edge: Reflectance, c0: float, c1: float, c2: float, out: Numbers
) -> None:
    """c0 + c1 r + c2 r^2 with r = edge / red; no value unless red > 0.

    Source: Moses 2009 (10.1088/1748-9326/4/4/045005), Gurlin 2011 (10.1016/j.rse.2011.08.011), Gitelson 2008 and 2011
    (10.1016/j.rse.2008.04.015, 10.1016/j.jag.2010.07.011), Lins 2017 (10.3390/rs9060516).
    """
    for i in range(out.size):
        r = edge[i] / red[i]
        value = c0 + r * (c1 + r * c2)
        out[i] = value if red[i] > 0.0 else NAN


@row_kernel("void(float64[::1], float64[::1], float64, float64, float64, float64[::1])")
def ratio_power(
    red: Reflectance, edge: Reflectance, slope: float, intercept: float, exponent: float, out: Numbers
) -> None:
    """(slope edge / red + intercept)^exponent; no value unless red and the base are positive.

    Source: Gilerson 2010 (10.1364/OE.18.024109).
    """
    for i in range(out.size):
        log = ln(slope * (edge[i] / red[i]) + intercept)
        out[i] = log if red[i] > 0.0 else NAN
    for i in range(out.size):
        out[i] = exp(exponent * out[i])


@row_kernel(
    "void(float64[::1], float64[::1], float64, float64, float64, float64[::1], float64[:, ::1])",
)
def ratio_power_gradient(
    red: Reflectance,
    edge: Reflectance,
    slope: float,
    intercept: float,
    exponent: float,
    value: Numbers,
    out: Numbers,
) -> None:
    """Derivatives of `ratio_power` by red and edge."""
    for i in range(red.size):
        r = edge[i] / red[i]
        by_edge = value[i] * exponent * slope / ((slope * r + intercept) * red[i])
        out[0, i] = -r * by_edge
        out[1, i] = by_edge


@formula
def _inverse_difference(red: float, edge: float, nir: float) -> float:
    """x = (1/red - 1/edge) nir; NaN unless red and edge are positive."""
    value = (1.0 / red - 1.0 / edge) * nir
    return value if (red > 0.0) & (edge > 0.0) else NAN


@row_kernel("void(float64[::1], float64[::1], float64[::1], float64, float64, float64, float64[::1])")
def difference_polynomial(
    red: Reflectance, edge: Reflectance, nir: Reflectance, c0: float, c1: float, c2: float, out: Numbers
) -> None:
    """c0 + c1 x + c2 x^2 with x = (1/red - 1/edge) nir; no value unless red and edge are positive.

    Source: as `ratio_polynomial`.
    """
    for i in range(out.size):
        x = _inverse_difference(red[i], edge[i], nir[i])
        out[i] = c0 + x * (c1 + x * c2)


@row_kernel("void(float64[::1], float64[::1], float64[::1], float64, float64, float64, float64[::1])")
def difference_power(
    red: Reflectance,
    edge: Reflectance,
    nir: Reflectance,
    slope: float,
    intercept: float,
    exponent: float,
    out: Numbers,
) -> None:
    """(slope x + intercept)^exponent with x as in `difference_polynomial`; no value unless the base is positive."""
    for i in range(out.size):
        out[i] = ln(slope * _inverse_difference(red[i], edge[i], nir[i]) + intercept)
    for i in range(out.size):
        out[i] = exp(exponent * out[i])


@formula
def _ndci(red: float, edge: float) -> float:
    value = (edge - red) / (edge + red)
    return value if edge + red > 0.0 else NAN


@row_kernel("void(float64[::1], float64[::1], float64, float64, float64, float64, float64[::1])")
def ndci_polynomial(
    red: Reflectance, edge: Reflectance, c0: float, c1: float, c2: float, c3: float, out: Numbers
) -> None:
    """Cubic of N = (edge - red) / (edge + red); no value unless the sum is positive.

    Source: Mishra 2012 (10.1016/j.rse.2011.10.016), which holds for N >= -0.22157 only; domains are checked elsewhere.
    """
    for i in range(out.size):
        n = _ndci(red[i], edge[i])
        out[i] = c0 + n * (c1 + n * (c2 + n * c3))


@row_kernel(
    "void(float64[::1], float64[::1], float64, float64, float64, float64, float64[::1], float64[:, ::1])",
)
def ndci_polynomial_gradient(
    red: Reflectance,
    edge: Reflectance,
    c0: float,
    c1: float,
    c2: float,
    c3: float,
    value: Numbers,
    out: Numbers,
) -> None:
    """Derivatives of `ndci_polynomial` by red and edge."""
    for i in range(red.size):
        n = _ndci(red[i], edge[i])
        total = edge[i] + red[i]
        slope = 2.0 * (c1 + n * (2.0 * c2 + n * (3.0 * c3))) / (total * total)
        out[0, i] = -slope * edge[i]
        out[1, i] = slope * red[i]


@row_kernel("void(float64[::1], float64[::1], float64[::1], " + 5 * "float64, " + "float64[::1])")
def gons(
    red: Rho,
    edge: Rho,
    nir: Rho,
    exponent: float,
    divisor: float,
    outer: float,
    least_red: float,
    least_ratio: float,
    out: Numbers,
) -> None:
    """(r (0.7 + bb) - 0.4 - bb^exponent)^outer / divisor, r = edge / red, bb = 1.61 nir / (0.082 - 0.6 nir).

    No value unless red > 0 and 0 <= nir < 0.136667 (bands of rho). Checked forms also ask for red > `least_red`,
    r > `least_ratio` and a result that is not negative; for the unchecked pass -inf twice. With `outer` 1 the base may
    be negative, else it must be positive. Source: Gons 2005 and 2008 (10.1093/plankt/fbh151,
    10.1016/j.rse.2007.06.003), Bramich 2021 (10.1080/01431161.2021.1938738).
    """
    checked = least_red > -INFINITY
    for i in range(out.size):
        r = edge[i] / red[i]
        bb = 1.61 * nir[i] / (0.082 - 0.6 * nir[i])
        attenuated = power(bb, exponent) if bb != 0.0 else 0.0
        base = r * (0.7 + bb) - 0.4 - attenuated
        value = (base if outer == 1.0 else power(base, outer)) / divisor
        good = (red[i] > 0.0) & (red[i] > least_red) & (nir[i] >= 0.0) & (nir[i] < GONS_POLE)
        good = good & ((not checked) | ((value >= 0.0) & (r > least_ratio)))
        out[i] = value if good else NAN


GONS_POLE = 0.136667
"""rho at which 0.082 - 0.6 rho vanishes, as published."""


@formula
def _edge_weight(red: float, edge: float, lowest: float, highest: float) -> float:
    """Weight of the red-edge component: 0 to 1 while edge / red goes from `lowest` to `highest`; 0 where unknown."""
    weight = clamp((edge / red - lowest) / (highest - lowest), 0.0, 1.0)
    return weight if (red > 0.0) & (edge == edge) else 0.0


@row_kernel("void(float64[::1], float64[::1], float64, float64, float64[:, ::1])")
def edge_weights(red: Reflectance, edge: Reflectance, lowest: float, highest: float, out: Numbers) -> None:
    """Weights of the blue-green (row 0) and the red-edge component (row 1) from the ratio edge / red.

    Source: limits 0.75 to 1.15 of 10.1016/j.rse.2018.06.002.
    """
    for i in range(red.size):
        weight = _edge_weight(red[i], edge[i], lowest, highest)
        out[0, i] = 1.0 - weight
        out[1, i] = weight


@row_kernel("void(float64[::1], float64[::1], float64[:, ::1], float64, float64, float64[:, ::1])")
def type_weights(
    red: Reflectance,
    edge: Reflectance,
    shares: Numbers,
    lowest: float,
    highest: float,
    out: Numbers,
) -> None:
    """As `edge_weights`, weighted by optical water type.

    `shares` holds per pixel the sums of memberships of the types that take the blue-green component (row 0), the blend
    of `edge_weights` (row 1) and the red-edge component (row 2); where they are NaN the blend alone decides.
    Source: memberships of 10.1002/lno.12606; which type takes which component is a choice of the product.
    """
    for i in range(red.size):
        weight = _edge_weight(red[i], edge[i], lowest, highest)
        total = shares[0, i] + shares[1, i] + shares[2, i]
        edges = (shares[2, i] + weight * shares[1, i]) / total
        blues = (shares[0, i] + (1.0 - weight) * shares[1, i]) / total
        known = total == total
        out[0, i] = blues if known else 1.0 - weight
        out[1, i] = edges if known else weight
