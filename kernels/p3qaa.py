"""Secchi depth, m, from three visible bands: QAA for satellites without 443 nm. Source: 10.1016/j.rse.2021.112469.

All formulas take R at 492, 560 and 665 nm. `bands` is a table of the sensor with the rows AL, B1, B2 (correction of a
band), AW and BBW (pure water, m-1) and the columns blue, green, red; `polynomials` has the rows BG, CHI and Z, highest
power first, with zeros before the shorter ones. Where the algorithm takes one of several ways (a red that is replaced,
an absorption held at pure water's, the clearest band), the derivatives hold it.

All is computed in float64, whatever the rows are: the polynomials lose digits to cancellation.
"""

from __future__ import annotations

import math

import numpy as np

from thalweg.kernels.elementary import LN_10, LOG10_E, NAN, exp, ln, power
from thalweg.kernels.formula import formula
from thalweg.kernels.jit import kernel
from thalweg.kernels.reflectance import Numbers, Rrs
from thalweg.kernels.transparency import CONTRAST_SEEN, TARGET, below_slope, below_surface, clearest_band

AL, B1, B2, AW, BBW = 0, 1, 2, 3, 4
BG, CHI, Z = 0, 1, 2
BLUE, GREEN, RED = 0, 1, 2

G0, G1 = 0.089, 0.1245
_LN_BLUE, _LN_RED = math.log(560 / 492), math.log(560 / 665)


@formula
def _quartic(p: Numbers, row: int, x: float) -> float:
    return p[row, 4] + x * (p[row, 3] + x * (p[row, 2] + x * (p[row, 1] + x * p[row, 0])))


@formula
def _quartic_slope(p: Numbers, row: int, x: float) -> float:
    return p[row, 3] + x * (2.0 * p[row, 2] + x * (3.0 * p[row, 1] + x * (4.0 * p[row, 0])))


@formula
def _u(rrs: float) -> float:
    """Backscattering over absorption plus backscattering, from R."""
    return (math.sqrt(G0 * G0 + 4.0 * G1 * below_surface(rrs)) - G0) * (0.5 / G1)


@formula
def _u_slope(rrs: float) -> float:
    below = below_surface(rrs)
    return below_slope(below) / math.sqrt(G0 * G0 + 4.0 * G1 * below)


@formula
def _log_green(band: int) -> float:
    """Logarithm of 560 nm over the band's wavelength."""
    return _LN_BLUE if band == BLUE else (0.0 if band == GREEN else _LN_RED)


@formula
def _is_doubtful(green: float, red: float) -> bool:
    """Whether red is too bright for its green and is replaced."""
    return red > 20.0 * green * math.sqrt(green)


@formula
def _trusted_red(green: float, red: float) -> float:
    """Red, or what green says it should be."""
    modelled = 1.27 * power(green, 1.47) + 0.00018 * power(red / green, 3.19)
    trusted, least = modelled if _is_doubtful(green, red) else red, 0.182 * green
    return least if trusted < 0.0 else trusted


@formula
def _absorption_ratio(blue: float, green: float, red: float) -> float:
    return 2.0 * blue / (green + 5.0 * red * red / blue)


@kernel(
    "void(float64[::1], float64[::1], float64[::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], "
    "float64[::1])"
)
def _correct(
    blue: Rrs, green: Rrs, red: Rrs, bands: Numbers, polynomials: Numbers, out: Rrs, index: Numbers
) -> None:
    """R without the effect of the band's width (rows of `out`), and the colour index."""
    for i in range(index.size):
        index[i] = _quartic(polynomials, BG, blue[i] / green[i])
        log = ln(green[i])
        out[BLUE, i] = blue[i] / (1.0 + bands[AL, 0] * index[i] + bands[B1, 0] * exp(bands[B2, 0] * log))
        out[GREEN, i] = green[i] / (1.0 + bands[AL, 1] * index[i] + bands[B1, 1] * exp(bands[B2, 1] * log))
        trusted = _trusted_red(green[i], red[i])
        out[RED, i] = trusted / (1.0 + bands[AL, 2] * index[i] + bands[B1, 2] * exp(bands[B2, 2] * log))
    for i in range(index.size):
        good = (blue[i] > 0.0) & (green[i] > 0.0) & (red[i] == red[i])
        index[i] = index[i] if good else NAN


@kernel(
    "void(float64[::1], float64[::1], float64[::1], float64[:, ::1], float64[::1], float64[:, ::1], "
    "float64[:, ::1], float64[:, ::1])"
)
def _invert(
    blue: Rrs,
    green: Rrs,
    red: Rrs,
    corrected: Rrs,
    index: Numbers,
    bands: Numbers,
    polynomials: Numbers,
    out: Numbers,
) -> None:
    """Absorption and particles' backscattering at 560 nm, m-1, and the spectral slope: the rows of `out`."""
    for i in range(index.size):
        q = ln(_absorption_ratio(blue[i], green[i], red[i])) * LOG10_E
        a = bands[AW, GREEN] + exp(LN_10 * _quartic(polynomials, CHI, q))
        u = _u(corrected[GREEN, i])
        out[0, i] = a
        out[1, i] = u * a / (1.0 - u) - bands[BBW, GREEN]
        out[2, i] = 2.0 * (1.0 - 1.2 * exp(-0.9 * index[i]))


@formula
def _kd(u: float, particles: float, aw: float, bbw: float) -> float:
    """Kd of a band; absorption is at least pure water's, and backscattering follows it."""
    free = (1.0 - u) * (particles + bbw) / u
    a = aw if free < aw else free
    bb = u * a / (1.0 - u)
    return a + (1.0 - 0.265 * bbw / bb) * 4.259 * (1.0 - 0.52 * exp(-10.8 * a)) * bb


@kernel("void(float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1])")
def _attenuate(corrected: Rrs, inverted: Numbers, bands: Numbers, out: Numbers) -> None:
    """Kd of the three bands, m-1."""
    for band in range(3):
        log, aw, bbw = _log_green(band), bands[AW, band], bands[BBW, band]
        for i in range(out.shape[1]):
            particles = inverted[1, i] * exp(inverted[2, i] * log)
            out[band, i] = _kd(_u(corrected[band, i]), particles, aw, bbw)


@formula
def _of_band(rows: Numbers, band: int, i: int) -> float:
    lower = rows[GREEN, i] if band == GREEN else rows[RED, i]
    return rows[BLUE, i] if band == BLUE else lower


@formula
def _depth(rrs: float, kd: float) -> float:
    """Depth before its last correction; NaN where nothing is seen or Kd is not positive."""
    contrast = abs(TARGET - rrs)
    depth = ln(contrast / CONTRAST_SEEN) / (2.5 * kd)
    return depth if (contrast > CONTRAST_SEEN) & (kd > 0.0) else NAN


@kernel(
    "void(float64[::1], float64[::1], float64[::1], float64[:, ::1], float64[:, ::1], float64[::1])",
    "void(float32[::1], float32[::1], float32[::1], float64[:, ::1], float64[:, ::1], float32[::1])",
)
def secchi_p3qaa(blue: Rrs, green: Rrs, red: Rrs, bands: Numbers, polynomials: Numbers, out: Numbers) -> None:
    """Secchi depth, m; no value unless blue and green are positive and the disc is seen in some band."""
    size = out.size
    corrected, inverted, kd = np.empty((3, size)), np.empty((3, size)), np.empty((3, size))
    index, band = np.empty(size), np.empty(size, np.uint8)
    b, g, r = blue.astype(np.float64), green.astype(np.float64), red.astype(np.float64)
    _correct(b, g, r, bands, polynomials, corrected, index)
    _invert(b, g, r, corrected, index, bands, polynomials, inverted)
    _attenuate(corrected, inverted, bands, kd)
    clearest_band(kd, band)
    for i in range(size):
        depth = _depth(_of_band(corrected, band[i], i), _of_band(kd, band[i], i))
        out[i] = _quartic(polynomials, Z, depth)


@kernel(
    "void(float64[::1], float64[::1], float64[::1], float64[:, ::1], float64[:, ::1], float64[::1], "
    "float64[:, ::1])",
    "void(float32[::1], float32[::1], float32[::1], float64[:, ::1], float64[:, ::1], float32[::1], "
    "float32[:, ::1])",
)
def secchi_p3qaa_gradient(
    blue: Rrs,
    green: Rrs,
    red: Rrs,
    bands: Numbers,
    polynomials: Numbers,
    value: Numbers,
    out: Numbers,
) -> None:
    """Derivatives of `secchi_p3qaa` by the three bands: rows of `out`."""
    size = blue.size
    corrected, inverted, kd = np.empty((3, size)), np.empty((3, size)), np.empty((3, size))
    index, band = np.empty(size), np.empty(size, np.uint8)
    b, g, r = blue.astype(np.float64), green.astype(np.float64), red.astype(np.float64)
    _correct(b, g, r, bands, polynomials, corrected, index)
    _invert(b, g, r, corrected, index, bands, polynomials, inverted)
    _attenuate(corrected, inverted, bands, kd)
    clearest_band(kd, band)
    by_inner = np.empty((4, size))
    _differentiate_kd(corrected, index, inverted, band, bands, by_inner)
    _differentiate_depth(corrected, kd, band, polynomials, by_inner)
    _reach_bands(b, g, r, corrected, index, inverted, band, bands, polynomials, by_inner, out)


# Rows between Kd and the bands: R of the clearest band and of green (corrected), absorption at 560 nm, colour index.
BY_OWN, BY_GREEN, BY_A, BY_INDEX = 0, 1, 2, 3


@kernel()
def _differentiate_kd(
    corrected: Rrs, index: Numbers, inverted: Numbers, band: Numbers, bands: Numbers, out: Numbers
) -> None:
    """Derivatives of Kd of the clearest band by the four inner quantities."""
    for i in range(index.size):
        m = band[i]
        aw, bbw = _chosen(bands, AW, m), _chosen(bands, BBW, m)
        own, u = _of_band(corrected, m, i), _u(_of_band(corrected, m, i))
        log = _log_green(m)
        share = exp(inverted[2, i] * log)
        free = (1.0 - u) * (inverted[1, i] * share + bbw) / u
        held = free < aw
        a = aw if held else free
        bb = u * a / (1.0 - u)
        faded = 0.52 * exp(-10.8 * a)
        by_a = 1.0 + 4.259 * 10.8 * (bb - 0.265 * bbw) * faded
        by_bb = 4.259 * (1.0 - faded)
        by_u_held, by_u_free = by_bb * a / ((1.0 - u) * (1.0 - u)), -by_a * bb / (u * u)
        by_u = by_u_held if held else by_u_free
        by_free = by_bb + by_a * (1.0 - u) / u
        by_particles = 0.0 if held else by_free
        u_green = _u(corrected[GREEN, i])
        by_green = by_particles * share * inverted[0, i] / ((1.0 - u_green) * (1.0 - u_green))
        slope = by_particles * inverted[1, i] * share * log
        out[BY_OWN, i] = by_u * _u_slope(own)
        out[BY_GREEN, i] = by_green * _u_slope(corrected[GREEN, i])
        out[BY_A, i] = by_particles * share * u_green / (1.0 - u_green)
        out[BY_INDEX, i] = slope * 2.0 * 1.2 * 0.9 * exp(-0.9 * index[i])


@formula
def _chosen(table: Numbers, row: int, band: int) -> float:
    lower = table[row, GREEN] if band == GREEN else table[row, RED]
    return table[row, BLUE] if band == BLUE else lower


@kernel()
def _differentiate_depth(
    corrected: Rrs, kd: Numbers, band: Numbers, polynomials: Numbers, by_inner: Numbers
) -> None:
    """Turn derivatives of Kd into those of the depth, in place."""
    for i in range(kd.shape[1]):
        own, k = _of_band(corrected, band[i], i), _of_band(kd, band[i], i)
        depth = _depth(own, k)
        outer = _quartic_slope(polynomials, Z, depth)
        by_kd = -outer * depth / k
        by_inner[BY_OWN, i] = by_kd * by_inner[BY_OWN, i] - outer / ((TARGET - own) * 2.5 * k)
        by_inner[BY_GREEN, i] *= by_kd
        by_inner[BY_A, i] *= by_kd
        by_inner[BY_INDEX, i] *= by_kd


@kernel()
def _reach_bands(
    blue: Rrs,
    green: Rrs,
    red: Rrs,
    corrected: Rrs,
    index: Numbers,
    inverted: Numbers,
    band: Numbers,
    bands: Numbers,
    polynomials: Numbers,
    by_inner: Numbers,
    out: Numbers,
) -> None:
    """Carry derivatives by the inner quantities on to the three bands."""
    for i in range(index.size):
        b, g, r, m = blue[i], green[i], red[i], band[i]
        # A corrected band moves with its own R, with the colour index and with green.
        own = by_inner[BY_OWN, i]
        on_blue, on_red = (own if m == BLUE else 0.0), (own if m == RED else 0.0)
        on_green = by_inner[BY_GREEN, i] + (own if m == GREEN else 0.0)
        v1, v2, v3 = corrected[BLUE, i], corrected[GREEN, i], corrected[RED, i]
        trusted = _trusted_red(g, r)
        w1, w2, w3 = on_blue * v1 / b, on_green * v2 / g, on_red * v3 / trusted
        by_index = by_inner[BY_INDEX, i] - (
            w1 * v1 * bands[AL, 0] + w2 * v2 * bands[AL, 1] + w3 * v3 * bands[AL, 2]
        )
        log = ln(g)
        f1 = bands[B1, 0] * bands[B2, 0] * exp(bands[B2, 0] * log) / g
        f2 = bands[B1, 1] * bands[B2, 1] * exp(bands[B2, 1] * log) / g
        f3 = bands[B1, 2] * bands[B2, 2] * exp(bands[B2, 2] * log) / g
        by_green = w2 - (w1 * v1 * f1 + w2 * v2 * f2 + w3 * v3 * f3)
        # The trusted red is red, or a function of red and green, or of green alone.
        doubtful, negative = _is_doubtful(g, r), r < 0.0
        cubed = 0.00018 * 3.19 * power(r / g, 2.19) / g
        modelled = 1.27 * 1.47 * power(g, 0.47) - cubed * r / g
        by_green += w3 * (modelled if doubtful else (0.182 if negative else 0.0))
        by_red = w3 * (cubed if doubtful else (0.0 if negative else 1.0))
        # The colour index is a polynomial of blue / green, absorption one of the logarithm of another ratio.
        by_ratio = by_index * _quartic_slope(polynomials, BG, b / g)
        bottom = g + 5.0 * r * r / b
        q = ln(2.0 * b / bottom) * LOG10_E
        by_log = by_inner[BY_A, i] * (inverted[0, i] - bands[AW, GREEN]) * _quartic_slope(polynomials, CHI, q)
        out[BLUE, i] = w1 + by_ratio / g + by_log * (1.0 / b + 5.0 * r * r / (b * b * bottom))
        out[GREEN, i] = by_green - by_ratio * b / (g * g) - by_log / bottom
        out[RED, i] = by_red - by_log * 10.0 * r / (b * bottom)
