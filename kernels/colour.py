"""Colour of the water: hue angle, degrees, and the class of the Forel-Ule scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.elementary import NAN, atan2, clamp
from thalweg.kernels.formula import formula
from thalweg.kernels.jit import kernel, row_kernel
from thalweg.kernels.reflectance import Numbers, Reflectance

DEGREES = 57.29577951308232


@row_kernel(
    "void(float64[:, ::1], float64[:, ::1], float64[::1])",
    "void(float32[:, ::1], float64[:, ::1], float32[::1])",
)
def chromaticity_angle(spectrum: Reflectance, weights: Numbers, out: Numbers) -> None:
    """Angle alpha around white in the chromaticity diagram, 0 to 360 degrees, before any correction.

    `spectrum` is bands x pixels, `weights` 3 x bands for X, Y and Z. No value where X + Y + Z <= 0, a band is missing
    or the colour is white. Source: 10.3390/rs10020180.
    """
    across, up, total = _chromaticity(spectrum, weights)
    for i in range(out.size):
        angle = atan2(up[i], across[i]) * DEGREES
        angle = angle + 360.0 if angle < 0.0 else angle
        out[i] = angle if total[i] > 0.0 else NAN


@row_kernel()
def _chromaticity(spectrum: Numbers, weights: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """X and Y less a third of X + Y + Z, and X + Y + Z, of every pixel, from four or five bands.

    The first two are x and y less those of white, times a number that the angle does not depend on: no digits are lost
    near white.
    """
    table, last = _centred(weights).astype(spectrum.dtype), weights.shape[1] - 1
    across = np.empty(spectrum.shape[1], spectrum.dtype)
    up, total = np.empty_like(across), np.empty_like(across)
    for row, out in ((0, across), (1, up), (2, total)):
        _weigh(spectrum, spectrum[last], table[row], out)
    return across, up, total


@kernel()
def _centred(weights: Numbers) -> NDArray[np.float64]:
    """Weights of what `_chromaticity` gives, 3 x 5."""
    table = np.zeros((3, 5))
    for band in range(weights.shape[1]):
        whole = weights[0, band] + weights[1, band] + weights[2, band]
        table[0, band] = weights[0, band] - whole / 3.0
        table[1, band] = weights[1, band] - whole / 3.0
        table[2, band] = whole
    return table


@row_kernel()
def _weigh(spectrum: Numbers, last: Numbers, w: Numbers, out: Numbers) -> None:
    """Weighted sum of the first four bands and the last."""
    w0, w1, w2, w3, w4 = w[0], w[1], w[2], w[3], w[4]
    for i in range(out.size):
        blues = w0 * spectrum[0, i] + w1 * spectrum[1, i]
        out[i] = blues + (w2 * spectrum[2, i] + w3 * spectrum[3, i]) + w4 * last[i]


@formula
def _correction(p0: float, p1: float, p2: float, p3: float, p4: float, p5: float, d: float) -> float:
    return p5 + d * (p4 + d * (p3 + d * (p2 + d * (p1 + d * p0))))


@row_kernel(
    "void(float64[::1], float64[::1], float64, float64, float64[::1])",
    "void(float32[::1], float64[::1], float64, float64, float32[::1])",
)
def hue(alpha: Numbers, polynomial: Numbers, lowest: float, highest: float, out: Numbers) -> None:
    """Hue angle of the whole visible spectrum: alpha plus the sensor's correction, degrees.

    `polynomial` is highest power first, in alpha / 100. Outside [lowest, highest] the correction stays what it is at
    the nearer limit, so that hue follows alpha one to one and brown water keeps a hue. No value where hue would leave
    0 to 360. Source: 10.3390/rs10020180; the held correction is a choice of the specification.
    """
    p0, p1, p2, p3, p4, p5 = _six(polynomial.astype(alpha.dtype))
    for i in range(out.size):
        d = clamp(alpha[i], lowest, highest) / 100.0
        value = alpha[i] + _correction(p0, p1, p2, p3, p4, p5, d)
        out[i] = value if (value >= 0.0) & (value <= 360.0) else NAN


@row_kernel("int64(float64[::1], float64[::1], float64, float64)")
def count_outside(alpha: Numbers, hues: Numbers, lowest: float, highest: float) -> int:
    """Pixels with a hue whose alpha lies outside the domain of the correction."""
    count = 0
    for i in range(alpha.size):
        outside = (alpha[i] < lowest) | (alpha[i] > highest)
        count += np.int64(outside & (hues[i] == hues[i]))
    return count


@formula
def _six(p: Numbers) -> tuple[float, float, float, float, float, float]:
    return p[0], p[1], p[2], p[3], p[4], p[5]


@row_kernel(
    "void(float64[:, ::1], float64[:, ::1], float64[::1], float64, float64, float64[:, ::1])",
    "void(float32[:, ::1], float64[:, ::1], float64[::1], float64, float64, float32[:, ::1])",
)
def hue_gradient(
    spectrum: Reflectance,
    weights: Numbers,
    polynomial: Numbers,
    lowest: float,
    highest: float,
    out: Numbers,
) -> None:
    """Derivatives of hue by each band, degrees; outside the domain the correction is constant."""
    across, up, _total = _chromaticity(spectrum, weights)
    slope, table = np.empty_like(up), _centred(weights).astype(spectrum.dtype)
    p0, p1, p2, p3, p4, _unused = _six(polynomial.astype(spectrum.dtype))
    for i in range(up.size):
        u, v = across[i], up[i]
        alpha = atan2(v, u) * DEGREES
        alpha = alpha + 360.0 if alpha < 0.0 else alpha
        d = alpha / 100.0
        bent = (p4 + d * (2.0 * p3 + d * (3.0 * p2 + d * (4.0 * p1 + d * (5.0 * p0))))) / 100.0
        inside = (alpha >= lowest) & (alpha <= highest)
        slope[i] = DEGREES * (1.0 + (bent if inside else 0.0)) / (u * u + v * v)
    for band in range(weights.shape[1]):
        by_across, by_up = table[0, band], table[1, band]
        for i in range(up.size):
            out[band, i] = slope[i] * (across[i] * by_up - up[i] * by_across)


@row_kernel("void(float64[::1], float64[::1], uint8[::1])", "void(float32[::1], float64[::1], uint8[::1])")
def forel_ule(hues: Numbers, limits: Numbers, out: NDArray[np.uint8]) -> None:
    """Class of the Forel-Ule scale, 1 (blue) to 21 (brown); 0 where there is no hue.

    `limits` are the 20 falling hues that part the classes (`class_limits`); a hue at a limit is the bluer class.
    """
    for i in range(out.size):
        out[i] = 1 if hues[i] == hues[i] else 0
    falling = limits.astype(hues.dtype)
    for k in range(falling.size):
        limit = falling[k]
        for i in range(out.size):
            out[i] += np.uint8(hues[i] < limit)


def class_limits(angles: Numbers) -> Numbers:
    """Hues midway between the angles of neighbouring classes. Source of the angles: Novoa 2013."""
    limits: Numbers = (angles[:-1] + angles[1:]) / 2.0
    return limits
