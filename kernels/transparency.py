"""Light in the water: absorption and backscattering by QAA, diffuse attenuation Kd (m-1) and Secchi depth (m).

All formulas but that of a plain ratio take R, never rho. `spectrum` holds R at 443, 490, 560 and 665 nm in its first
four rows, and `water` the pure water's absorption (row 0) and backscattering (row 1), m-1, at these. Sources:
10.1364/AO.41.005755 (QAA, version 6), 10.1002/jgrc.20308 (Kd), 10.1016/j.rse.2015.08.002 (Secchi depth), Jiang 2019
(its second form).

Derivatives are analytic, by the chain rule backwards from Kd, with the mode and the clearest band held: two more
inversions for each difference would cost more, and might cross from one mode to the other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.elementary import INFINITY, LN_10, LOG10_E, NAN, exp, ln, sin
from thalweg.kernels.formula import formula
from thalweg.kernels.jit import row_kernel
from thalweg.kernels.reflectance import Numbers, Reflectance, Rrs, copy
from thalweg.kernels.uncertainty import add_variance, linear_sigma

# Rows of what `look_below`, `invert`, `invert_gradient` and `attenuation` write; the first of four where it is by band.
BELOW, U = 0, 4
A0, BBP0, ETA, LOG = 0, 1, 2, 3
A0_BY_BAND, U0_BY_R0, ETA_BY_COASTAL, ETA_BY_GREEN = 0, 4, 5, 6
SHARE, A, FADED, KD = 0, 4, 8, 12

# Rows of `take_band`: R, reflectance below the surface, u, share, faded light, Kd, pure water's backscattering.
OWN_R, OWN_BELOW, OWN_U, OWN_SHARE, OWN_FADED, OWN_KD, OWN_BBW = 0, 1, 2, 3, 4, 5, 6

CHUNK = 512
"""Pixels that go through all steps while they are in the nearest caches."""

RED_REFERENCE = 0.0015
"""R of red, sr-1, from which the reference wavelength is 665 nm (version 6) and not 560 nm (version 5)."""

G0, G1 = 0.08945, 0.1247
CONTRAST_SEEN = 0.013
TARGET = 0.14
WATER_INDEX_SQUARED = 1.34 * 1.34
GREATEST_ZENITH = 85.0
RADIANS = math.pi / 180.0

# Logarithm of reference wavelength over wavelength, for the references 560 and 665 nm.
_LN_443_560, _LN_490_560, _LN_665_560 = math.log(560 / 443), math.log(560 / 490), math.log(560 / 665)
_LN_443_665, _LN_490_665, _LN_560_665 = math.log(665 / 443), math.log(665 / 490), math.log(665 / 560)
_LN_039 = math.log(0.39)


@formula
def below_surface(rrs: float) -> float:
    """Reflectance just below the surface, sr-1."""
    return rrs / (0.52 + 1.7 * rrs)


@formula
def below_slope(below: float) -> float:
    """Derivative of `below_surface` by R, from its result."""
    rest = 1.0 - 1.7 * below
    return rest * rest * (1.0 / 0.52)


@formula
def _u(below: float) -> float:
    """Backscattering over absorption plus backscattering."""
    return (math.sqrt(G0 * G0 + 4.0 * G1 * below) - G0) * (0.5 / G1)


@formula
def _u_slope(below: float, u: float) -> float:
    """Derivative of u by R."""
    return below_slope(below) / (2.0 * G1 * u + G0)


@formula
def _chosen(band: int, first: float, second: float, third: float, fourth: float) -> float:
    """One of four numbers by selects, which vector instructions have; not by an indirect load."""
    upper = first if band == 0 else second
    lower = third if band == 2 else fourth
    return upper if band < 2 else lower


@formula
def _of_band(rows: Numbers, first: int, band: int, i: int) -> float:
    """Row `first + band` of pixel `i`."""
    return _chosen(band, rows[first, i], rows[first + 1, i], rows[first + 2, i], rows[first + 3, i])


@formula
def _log_reference(band: int, red: bool) -> float:
    """Logarithm of the reference wavelength over the band's."""
    by_green = _chosen(band, _LN_443_560, _LN_490_560, 0.0, _LN_665_560)
    by_red = _chosen(band, _LN_443_665, _LN_490_665, _LN_560_665, 0.0)
    return by_red if red else by_green


@row_kernel("void(float64[:, ::1], float64[:, ::1])")
def look_below(spectrum: Rrs, out: Numbers) -> None:
    """Reflectance below the surface (rows 0 to 3) and backscattering ratio u (rows 4 to 7) of the four bands."""
    for band in range(4):
        for i in range(out.shape[1]):
            below = below_surface(spectrum[band, i])
            out[BELOW + band, i] = below
            out[U + band, i] = _u(below)


@row_kernel("void(float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1])")
def invert(spectrum: Rrs, seen: Numbers, water: Numbers, out: Numbers) -> None:
    """Absorption and particles' backscattering at the reference wavelength, m-1, and the spectral slope.

    These are the first rows of `out`, NaN where one of the four R is not positive or the backscattering is negative;
    the fourth is the logarithm that the absorption was found by. `seen` comes from `look_below`.
    """
    pure = water.astype(out.dtype)
    aw3, aw4, bbw3, bbw4 = pure[0, 2], pure[0, 3], pure[1, 2], pure[1, 3]
    for i in range(spectrum.shape[1]):
        r1, r2, r3, r4 = spectrum[0, i], spectrum[1, i], spectrum[2, i], spectrum[3, i]
        b1, b2, b3, b4 = seen[BELOW, i], seen[BELOW + 1, i], seen[BELOW + 2, i], seen[BELOW + 3, i]
        red = r4 >= RED_REFERENCE
        blues, blues_below, beside = r1 + r2, b1 + b2, b3 + 5.0 * b4 * b4 / b2
        out[A0, i] = (r4 if red else blues_below) / (blues if red else beside)
    for i in range(spectrum.shape[1]):
        red = spectrum[3, i] >= RED_REFERENCE
        log = ln(out[A0, i])
        out[LOG, i] = log
        q = log * LOG10_E
        by_green, by_red = LN_10 * (-1.146 + q * (-1.366 - 0.469 * q)), _LN_039 + 1.14 * log
        out[A0, i] = by_red if red else by_green
    for i in range(spectrum.shape[1]):
        r1, r2, r3, r4 = spectrum[0, i], spectrum[1, i], spectrum[2, i], spectrum[3, i]
        red = r4 >= RED_REFERENCE
        a = (aw4 if red else aw3) + exp(out[A0, i])
        u3, u4 = seen[U + 2, i], seen[U + 3, i]
        u = u4 if red else u3
        particles = u * a / (1.0 - u) - (bbw4 if red else bbw3)
        good = (r1 > 0.0) & (r2 > 0.0) & (r3 > 0.0) & (r4 > 0.0) & (particles >= 0.0)
        out[A0, i] = a if good else NAN
        out[BBP0, i] = particles if good else NAN
    for i in range(spectrum.shape[1]):
        out[ETA, i] = 2.0 * (1.0 - 1.2 * exp(-0.9 * (seen[BELOW, i] / seen[BELOW + 2, i])))


@row_kernel("void(float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1])")
def invert_gradient(spectrum: Rrs, seen: Numbers, water: Numbers, inverted: Numbers, out: Numbers) -> None:
    """Derivatives by R of what `invert` found: the seven rows of `out`.

    Absorption by the four bands, u at the reference wavelength by its band, slope by 443 and by 560 nm.
    """
    pure = water.astype(out.dtype)
    aw3, aw4 = pure[0, 2], pure[0, 3]
    for i in range(spectrum.shape[1]):
        b2, b4 = seen[BELOW + 1, i], seen[BELOW + 3, i]
        red = spectrum[3, i] >= RED_REFERENCE
        beside = seen[BELOW + 2, i] + 5.0 * b4 * b4 / b2
        blues, red_blues = seen[BELOW, i] + b2, spectrum[0, i] + spectrum[1, i]
        out[0, i] = red_blues if red else blues
        out[1, i] = spectrum[3, i] if red else beside
    for i in range(spectrum.shape[1]):
        red = spectrum[3, i] >= RED_REFERENCE
        q = inverted[LOG, i] * LOG10_E
        green = (inverted[A0, i] - aw3) * (-1.366 - 2.0 * 0.469 * q)
        by_log = -1.14 * (inverted[A0, i] - aw4) if red else green
        # In both modes the logarithm is of a ratio: blues over others, or red over blues.
        out[0, i] = by_log / out[0, i]
        out[1, i] = -by_log / out[1, i]
    for i in range(spectrum.shape[1]):
        red = spectrum[3, i] >= RED_REFERENCE
        b2, b4 = seen[BELOW + 1, i], seen[BELOW + 3, i]
        by_blues, by_others, part = out[0, i], out[1, i], b4 / b2
        s1, s2 = below_slope(seen[BELOW, i]), below_slope(b2)
        s3, s4 = below_slope(seen[BELOW + 2, i]), below_slope(b4)
        first, second = by_blues * s1, (by_blues - by_others * 5.0 * part * part) * s2
        third, fourth = by_others * s3, by_others * 10.0 * part * s4
        out[0, i] = by_blues if red else first
        out[1, i] = by_blues if red else second
        out[2, i] = 0.0 if red else third
        out[3, i] = by_others if red else fourth
    _slope_gradient(spectrum, seen, inverted, out)


@row_kernel()
def _slope_gradient(spectrum: Rrs, seen: Numbers, inverted: Numbers, out: Numbers) -> None:
    for i in range(spectrum.shape[1]):
        red = spectrum[3, i] >= RED_REFERENCE
        b3, b4 = seen[BELOW + 2, i], seen[BELOW + 3, i]
        u3, u4 = seen[U + 2, i], seen[U + 3, i]
        out[U0_BY_R0, i] = _u_slope(b4 if red else b3, u4 if red else u3)
    for i in range(spectrum.shape[1]):
        b1, b3 = seen[BELOW, i], seen[BELOW + 2, i]
        over = 1.0 / b3
        t = b1 * over
        # 2 - slope is 2.4 exp(-0.9 t).
        by_t = 0.9 * (2.0 - inverted[ETA, i]) * over
        out[ETA_BY_COASTAL, i] = by_t * below_slope(b1)
        out[ETA_BY_GREEN, i] = -by_t * t * below_slope(b3)


@formula
def _path(zenith: float) -> float:
    """Lengthening of the way of sunlight; NaN unless the sun's zenith angle is 0 to 85 degrees."""
    path = 1.0 + 0.005 * zenith
    return path if (zenith >= 0.0) & (zenith <= GREATEST_ZENITH) else NAN


@formula
def _is_reference(band: int, red: bool) -> bool:
    return (red & (band == 3)) | ((not red) & (band == 2))


@row_kernel(
    "void(float64[:, ::1], float64[:, ::1], float64[::1], float64[:, ::1], float64[:, ::1], float64[:, ::1])"
)
def attenuation(
    spectrum: Rrs, seen: Numbers, zenith: Numbers, water: Numbers, inverted: Numbers, out: Numbers
) -> None:
    """Kd of the four bands, m-1, and what it is made of: sixteen rows, four of each.

    SHARE is the particles' backscattering over that at the reference wavelength, A the absorption, FADED 0.52
    exp(-10.8 a), KD the attenuation, which is NaN in all bands where it is positive in none. `inverted` comes from
    `invert`; `zenith` is the sun's zenith angle, 0 to 85 degrees, else there is no Kd.
    """
    _share(spectrum, inverted, out)
    pure = water.astype(out.dtype)
    for band in range(4):
        bbw = pure[1, band]
        for i in range(zenith.size):
            red, u = spectrum[3, i] >= RED_REFERENCE, seen[U + band, i]
            a0, derived = (
                inverted[A0, i],
                (1.0 - u) * (inverted[BBP0, i] * out[SHARE + band, i] + bbw) / u,
            )
            out[A + band, i] = a0 if _is_reference(band, red) else derived
        for i in range(zenith.size):
            out[FADED + band, i] = 0.52 * exp(-10.8 * out[A + band, i])
        for i in range(zenith.size):
            net = inverted[BBP0, i] * out[SHARE + band, i] + (1.0 - 0.265) * bbw
            direct = _path(zenith[i]) * out[A + band, i]
            out[KD + band, i] = direct + 4.259 * net * (1.0 - out[FADED + band, i])
    for i in range(zenith.size):
        a, b, c, d = out[KD, i], out[KD + 1, i], out[KD + 2, i], out[KD + 3, i]
        some = (a > 0.0) | (b > 0.0) | (c > 0.0) | (d > 0.0)
        out[KD, i] = a if some else NAN
        out[KD + 1, i] = b if some else NAN
        out[KD + 2, i] = c if some else NAN
        out[KD + 3, i] = d if some else NAN


@row_kernel()
def _share(spectrum: Rrs, inverted: Numbers, out: Numbers) -> None:
    """Rows SHARE of `attenuation`; of 560 and 665 nm one is the reference, whose share is 1."""
    number = out.dtype.type
    for band in range(2):
        log_green, log_red = number(_log_reference(band, False)), number(_log_reference(band, True))
        for i in range(spectrum.shape[1]):
            red = spectrum[3, i] >= RED_REFERENCE
            out[SHARE + band, i] = exp(inverted[ETA, i] * (log_red if red else log_green))
    for i in range(spectrum.shape[1]):
        red = spectrum[3, i] >= RED_REFERENCE
        other = exp(inverted[ETA, i] * (_LN_560_665 if red else _LN_665_560))
        out[SHARE + 2, i] = other if red else 1.0
        out[SHARE + 3, i] = 1.0 if red else other


@row_kernel("void(float64[:, ::1], int32[::1])")
def clearest_band(kd: Numbers, out: NDArray[np.integer[Any]]) -> None:
    """Row of the least positive Kd of each pixel; the shortest wavelength on ties."""
    least = np.full(out.size, INFINITY, kd.dtype)
    out[:] = 0
    for band in range(kd.shape[0]):
        for i in range(out.size):
            less = (kd[band, i] > 0.0) & (kd[band, i] < least[i])
            least[i] = kd[band, i] if less else least[i]
            out[i] = np.int32(band) if less else out[i]


@formula
def _visibility(rrs: float) -> float:
    """Logarithm of a white disc's contrast over the least that is seen; NaN where none is seen."""
    contrast = abs(TARGET - rrs)
    log = ln(contrast / CONTRAST_SEEN)
    return log if contrast > CONTRAST_SEEN else NAN


@row_kernel(
    "void(float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], int32[::1], float64[:, ::1])",
    "void(float32[:, ::1], float32[:, ::1], float32[:, ::1], float64[:, ::1], int32[::1], float32[:, ::1])",
)
def take_band(
    spectrum: Rrs,
    seen: Numbers,
    light: Numbers,
    water: Numbers,
    band: NDArray[np.integer[Any]],
    out: Numbers,
) -> None:
    """What is known of each pixel's `band`: seven rows, from R to pure water's backscattering (`OWN_R` and the others).

    `seen` comes from `look_below` and `light` from `attenuation`.
    """
    pure = water.astype(out.dtype)
    bbw1, bbw2, bbw3, bbw4 = pure[1, 0], pure[1, 1], pure[1, 2], pure[1, 3]
    for i in range(band.size):
        m = band[i]
        out[OWN_R, i] = _of_band(spectrum, 0, m, i)
        out[OWN_BELOW, i] = _of_band(seen, BELOW, m, i)
        out[OWN_U, i] = _of_band(seen, U, m, i)
    for i in range(band.size):
        m = band[i]
        out[OWN_SHARE, i] = _of_band(light, SHARE, m, i)
        out[OWN_FADED, i] = _of_band(light, FADED, m, i)
        out[OWN_KD, i] = _of_band(light, KD, m, i)
        out[OWN_BBW, i] = _chosen(m, bbw1, bbw2, bbw3, bbw4)


@row_kernel()
def _take_490(spectrum: Rrs, seen: Numbers, light: Numbers, water: Numbers, out: Numbers) -> None:
    """As `take_band`, of 490 nm everywhere."""
    copy(spectrum[1], out[OWN_R])
    copy(seen[BELOW + 1], out[OWN_BELOW])
    copy(seen[U + 1], out[OWN_U])
    copy(light[SHARE + 1], out[OWN_SHARE])
    copy(light[FADED + 1], out[OWN_FADED])
    copy(light[KD + 1], out[OWN_KD])
    out[OWN_BBW, :] = water[1, 1]


@row_kernel("void(float64[:, ::1], float64[::1])")
def secchi_lee(own: Numbers, out: Numbers) -> None:
    """Secchi depth, m, from Kd and R of the clearest band (`take_band`). Source: 10.1016/j.rse.2015.08.002."""
    for i in range(out.size):
        out[i] = _visibility(own[OWN_R, i]) / (2.5 * own[OWN_KD, i])


@row_kernel("void(float64[:, ::1], float64[::1], float64[::1])")
def secchi_jiang(own: Numbers, zenith: Numbers, out: Numbers) -> None:
    """As `secchi_lee`, with an upward attenuation that depends on the water and the sun. Source: Jiang 2019."""
    for i in range(out.size):
        sine = sin(zenith[i] * RADIANS)
        slant = math.sqrt(1.0 - sine * sine * (1.0 / WATER_INDEX_SQUARED))
        upward = 1.04 * math.sqrt(1.0 + 5.4 * own[OWN_U, i]) * slant
        out[i] = _visibility(own[OWN_R, i]) / ((1.0 + upward) * own[OWN_KD, i])


@row_kernel()
def _attenuation_gradient(
    spectrum: Rrs,
    seen: Numbers,
    zenith: Numbers,
    inverted: Numbers,
    slopes: Numbers,
    own: Numbers,
    band: NDArray[np.integer[Any]],
    through: Numbers,
    out: Numbers,
) -> None:
    """Derivatives by the four R of Kd of each pixel's `band`: the rows of `out`.

    `slopes` comes from `invert_gradient`, `own` from `take_band`; `through` is room for five rows. The mode is held.
    """
    _through_band(spectrum, zenith, inverted, own, band, through)
    _through_reference(spectrum, seen, inverted, own, band, through)
    _reach_bands(spectrum, slopes, band, through, out)


# Derivatives of Kd on the way back to the bands: by u of the band, by backscattering of the band, by a0, by u0 and by
# the slope; the second is used up on the way.
BY_OWN, BY_BB, BY_A0, BY_U0, BY_ETA = 0, 1, 2, 3, 4


@row_kernel()
def _through_band(
    spectrum: Rrs,
    zenith: Numbers,
    inverted: Numbers,
    own: Numbers,
    band: NDArray[np.integer[Any]],
    out: Numbers,
) -> None:
    """By absorption, backscattering and u of the band; absorption itself comes from the other two, or is a0."""
    for i in range(zenith.size):
        reference = _is_reference(band[i], spectrum[3, i] >= RED_REFERENCE)
        bbw, u, faded = own[OWN_BBW, i], own[OWN_U, i], own[OWN_FADED, i]
        bb, over = inverted[BBP0, i] * own[OWN_SHARE, i] + bbw, 1.0 / u
        by_a = _path(zenith[i]) + 4.259 * 10.8 * (bb - 0.265 * bbw) * faded
        through_a, through_u = by_a * (over - 1.0), -by_a * bb * over * over * _u_slope(own[OWN_BELOW, i], u)
        out[BY_BB, i] = 4.259 * (1.0 - faded) + (0.0 if reference else through_a)
        out[BY_A0, i] = by_a if reference else 0.0
        out[BY_OWN, i] = 0.0 if reference else through_u


@row_kernel()
def _through_reference(
    spectrum: Rrs,
    seen: Numbers,
    inverted: Numbers,
    own: Numbers,
    band: NDArray[np.integer[Any]],
    out: Numbers,
) -> None:
    """Backscattering of the band comes from that at the reference wavelength, and this from a0 and u0."""
    number = out.dtype.type
    for i in range(band.size):
        red = spectrum[3, i] >= RED_REFERENCE
        u3, u4 = seen[U + 2, i], seen[U + 3, i]
        u0 = u4 if red else u3
        over = 1.0 / (1.0 - u0)
        by_bbp0 = out[BY_BB, i] * own[OWN_SHARE, i]
        out[BY_A0, i] += by_bbp0 * u0 * over
        out[BY_U0, i] = by_bbp0 * inverted[A0, i] * over * over
        out[BY_ETA, i] = by_bbp0 * inverted[BBP0, i] * number(_log_reference(band[i], red))


@row_kernel()
def _reach_bands(
    spectrum: Rrs, slopes: Numbers, band: NDArray[np.integer[Any]], through: Numbers, out: Numbers
) -> None:
    for i in range(band.size):
        by_a0, by_eta = through[BY_A0, i], through[BY_ETA, i]
        own, at_reference = through[BY_OWN, i], through[BY_U0, i] * slopes[U0_BY_R0, i]
        m, red = band[i], spectrum[3, i] >= RED_REFERENCE
        first = by_a0 * slopes[0, i] + by_eta * slopes[ETA_BY_COASTAL, i]
        third = by_a0 * slopes[2, i] + by_eta * slopes[ETA_BY_GREEN, i]
        out[0, i] = first + (own if m == 0 else 0.0)
        out[1, i] = by_a0 * slopes[1, i] + (own if m == 1 else 0.0)
        out[2, i] = third + (own if m == 2 else 0.0) + (0.0 if red else at_reference)
        out[3, i] = by_a0 * slopes[3, i] + (own if m == 3 else 0.0) + (at_reference if red else 0.0)


@row_kernel()
def _secchi_lee_gradient(
    own: Numbers, band: NDArray[np.integer[Any]], depth: Numbers, gradient: Numbers
) -> None:
    """Turn derivatives of Kd of the clearest band into those of the Secchi depth, in place."""
    for i in range(depth.size):
        m, over = band[i], 1.0 / own[OWN_KD, i]
        by_kd = -depth[i] * over
        by_own = over / ((TARGET - own[OWN_R, i]) * 2.5)
        gradient[0, i] = by_kd * gradient[0, i] - (by_own if m == 0 else 0.0)
        gradient[1, i] = by_kd * gradient[1, i] - (by_own if m == 1 else 0.0)
        gradient[2, i] = by_kd * gradient[2, i] - (by_own if m == 2 else 0.0)
        gradient[3, i] = by_kd * gradient[3, i] - (by_own if m == 3 else 0.0)


# Rows of what `see_through` writes.
KD490, LEE, JIANG, KD490_SIGMA, LEE_SIGMA = 0, 1, 2, 3, 4


@row_kernel(
    "void(float64[:, ::1], float64[::1], float64[:, ::1], float64[::1], float64[::1], float64[::1], boolean, "
    "boolean, float64[:, ::1])",
    "void(float32[:, ::1], float32[::1], float64[:, ::1], float64[::1], float64[::1], float64[::1], boolean, "
    "boolean, float32[:, ::1])",
)
def see_through(
    rrs: Rrs,
    zenith: Numbers,
    water: Numbers,
    floor: Numbers,
    relative: Numbers,
    errors: Numbers,
    slanted: bool,
    doubts: bool,
    out: Numbers,
) -> None:
    """Kd at 490 nm (m-1), the Secchi depths of Lee 2015 and, if `slanted`, of Jiang 2019 (m), and, if `doubts`, sigmas.

    These are the five rows of `out`; what is not asked for is NaN. Sigmas are those of the first two, linear, from
    `floor` and `relative` of each band (`uncertainty`) and `errors`, the algorithms' own sigmas of kd490 and depth in
    units of log10.
    """
    kind = rrs.dtype
    spectrum, seen, inverted = (
        np.full((4, CHUNK), NAN, kind),
        np.empty((8, CHUNK), kind),
        np.empty((4, CHUNK), kind),
    )
    light, slopes, sun = np.empty((16, CHUNK), kind), np.empty((7, CHUNK), kind), np.full(CHUNK, NAN, kind)
    band, own, found = np.empty(CHUNK, np.int32), np.empty((7, CHUNK), kind), np.full((5, CHUNK), NAN, kind)
    gradient, through = np.empty((4, CHUNK), kind), np.empty((5, CHUNK), kind)
    at_490 = np.ones(CHUNK, np.int32)
    for start in range(0, zenith.size, CHUNK):
        size = min(CHUNK, zenith.size - start)
        # What the chunk before left behind the last pixel does no harm.
        for row in range(4):
            copy(rrs[row, start : start + size], spectrum[row])
        copy(zenith[start : start + size], sun)
        look_below(spectrum, seen)
        invert(spectrum, seen, water, inverted)
        attenuation(spectrum, seen, sun, water, inverted, light)
        clearest_band(light[KD:], band)
        copy(light[KD + 1], found[KD490])
        take_band(spectrum, seen, light, water, band, own)
        secchi_lee(own, found[LEE])
        if slanted:
            secchi_jiang(own, sun, found[JIANG])
        if doubts:
            invert_gradient(spectrum, seen, water, inverted, slopes)
            _attenuation_gradient(spectrum, seen, sun, inverted, slopes, own, band, through, gradient)
            _secchi_lee_gradient(own, band, found[LEE], gradient)
            _add_up(gradient, spectrum, floor, relative, found[LEE], errors[1], found[LEE_SIGMA])
            _take_490(spectrum, seen, light, water, own)
            _attenuation_gradient(spectrum, seen, sun, inverted, slopes, own, at_490, through, gradient)
            _add_up(gradient, spectrum, floor, relative, found[KD490], errors[0], found[KD490_SIGMA])
        for row in range(5):
            copy(found[row, :size], out[row, start : start + size])


@row_kernel()
def _add_up(
    gradient: Numbers,
    spectrum: Rrs,
    floor: Numbers,
    relative: Numbers,
    value: Numbers,
    error: float,
    out: Numbers,
) -> None:
    out[:] = 0.0
    for row in range(4):
        add_variance(gradient[row], spectrum[row], floor[row], relative[row], out)
    linear_sigma(value, out, error, out)


@row_kernel("void(float64[::1], float64[::1], float64, float64, float64[::1])")
def attenuation_difference(blue: Rrs, red: Rrs, factor: float, slope: float, out: Numbers) -> None:
    """factor exp(slope (blue - red)): attenuation of visible light, m-1, of turbid water.

    Source: Roy and Das 2022 (10.1016/j.jhydrol.2022.127762): 3.09 and -90.17; 1 to 2 m-1 in clear water.
    """
    for i in range(out.size):
        out[i] = factor * exp(slope * (blue[i] - red[i]))


@row_kernel("void(float64[::1], float64[::1], " + 6 * "float64, " + "float64[::1])")
def attenuation_ratio(
    blue: Reflectance,
    green: Reflectance,
    least: float,
    c0: float,
    c1: float,
    c2: float,
    c3: float,
    c4: float,
    out: Numbers,
) -> None:
    """least + 10^(quartic of log10(blue / green)), m-1; no value unless both are positive. Source: NASA Kd2."""
    for i in range(out.size):
        log = ln(blue[i] / green[i]) * LOG10_E
        x = log if (blue[i] > 0.0) & (green[i] > 0.0) else NAN
        out[i] = least + exp(LN_10 * (c0 + x * (c1 + x * (c2 + x * (c3 + x * c4)))))
