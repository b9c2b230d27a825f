"""Optical water types: memberships of Bi and Hieronymi 2024, and the spectral angle to a table of types."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.elementary import NAN, acos, clamp, exp, ln
from thalweg.kernels.formula import formula
from thalweg.kernels.jit import kernel
from thalweg.kernels.reflectance import Numbers, Reflectance, Rrs, copy

LEAST_SUM = 1e-4
"""Sum of memberships from which a pixel counts as classified."""

FAR = 80.0
"""Squared distance from which a membership, below 1e-16, is 0."""

SEGMENT = 512
"""Pixels that are compared with a type only if one of them is near it, while they are in the fastest cache."""

ANGLES = 256
"""Pixels whose bands stay in the nearest cache while all templates pass over them."""

_TWO_OVER_ROOT_PI = 1.1283791670955126


@kernel("void(float64[:, ::1], float64[::1], float64[::1], float64, float64[:, ::1])")
def features(spectrum: Rrs, wavelengths: Numbers, polynomial: Numbers, box_cox: float, out: Numbers) -> None:
    """Apparent visible wavelength (nm), transformed area and NDI of every pixel: the three rows of `out`.

    `spectrum` holds R at the eight wavelengths (443, 492, 560, 665, 704, 740, 783, 865 nm); `polynomial` is the
    sensor's, lowest power first. NaN where a band is missing, or the sum, the weighted sum, the area or the sum of
    560 and 665 nm is not positive. Source: 10.1002/lno.12606.
    """
    s, w, p = spectrum, 1.0 / wavelengths, polynomial
    w0, w1, w2, w3, w4, w5, w6, w7 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
    p0, p1, p2, p3, p4, p5 = p[0], p[1], p[2], p[3], p[4], p[5]
    for i in range(spectrum.shape[1]):
        blue, green, red = s[0, i], s[2, i], s[3, i]
        total = (blue + s[1, i]) + (green + red) + ((s[4, i] + s[5, i]) + (s[6, i] + s[7, i]))
        weighted = (w0 * blue + w1 * s[1, i]) + (w2 * green + w3 * red)
        weighted = weighted + ((w4 * s[4, i] + w5 * s[5, i]) + (w6 * s[6, i] + w7 * s[7, i]))
        x = total / weighted
        area = 58.5 * (blue + green) + 52.5 * (green + red)
        usable = (total > 0.0) & (weighted > 0.0) & (area > 0.0) & (green + red > 0.0)
        wavelength = p0 + x * (p1 + x * (p2 + x * (p3 + x * (p4 + x * p5))))
        out[0, i] = wavelength if usable else NAN
        out[1, i] = ln(area)
        out[2, i] = (green - red) / (green + red)
    for i in range(spectrum.shape[1]):
        out[1, i] = (exp(box_cox * out[1, i]) - 1.0) / box_cox


@kernel(
    "void(float64[:, ::1], float64[:, ::1], float64[:, ::1], uint8[::1], uint8[::1], float64[::1], float64[::1], "
    "float64[:, ::1])"
)
def memberships(
    found: Numbers,
    means: Numbers,
    inverses: Numbers,
    group: NDArray[np.uint8],
    best: NDArray[np.uint8],
    highest: Numbers,
    total: Numbers,
    shares: Numbers,
) -> None:
    """Compare the features of every pixel with all types.

    `means` is types x 3 and `inverses` types x 6 (`inverse_covariances`). Writes the code of the most likely type
    (1, 2, ...; lowest on ties; 0 where the sum of memberships is below `LEAST_SUM` or the features are NaN), its
    membership, the sum of all memberships, and in `shares` the sums over the types of each group (0, 1 or 2).
    Memberships and sums are NaN where the code is 0. Source: 10.1002/lno.12606.
    """
    # Codes are numbers as wide as all others here, for the loops to be plain.
    codes, most, part, distance = (
        np.empty(SEGMENT),
        np.empty(SEGMENT),
        np.empty((3, SEGMENT)),
        np.empty(SEGMENT),
    )
    for start in range(0, total.size, SEGMENT):
        segment = slice(start, start + SEGMENT)
        size = total[segment].size
        codes[:], most[:], part[:] = 0.0, -1.0, 0.0
        for k in range(means.shape[0]):
            near = _measure(
                found[0, segment], found[1, segment], found[2, segment], means[k], inverses[k], distance
            )
            if near:
                _join(distance[:size], k + 1.0, codes, most, part[group[k]])
        _sum_up(codes, most, part, total[segment])
        for i in range(size):
            best[start + i] = np.uint8(codes[i])
        copy(most[:size], highest[segment])
        for k in range(3):
            copy(part[k, :size], shares[k, segment])


@kernel()
def _sum_up(codes: Numbers, most: Numbers, part: Numbers, total: Numbers) -> None:
    """Sum of all memberships; no code, membership or share where it is too little."""
    for i in range(total.size):
        whole = part[0, i] + part[1, i] + part[2, i]
        known = whole >= LEAST_SUM
        codes[i] = codes[i] if known else 0.0
        most[i] = most[i] if known else NAN
        total[i] = whole if known else NAN
        part[0, i] = part[0, i] if known else NAN
        part[1, i] = part[1, i] if known else NAN
        part[2, i] = part[2, i] if known else NAN


@kernel()
def _measure(
    wavelength: Numbers, area: Numbers, ndi: Numbers, mean: Numbers, inverse: Numbers, out: Numbers
) -> int:
    """Squared Mahalanobis distances; how many are near enough to matter."""
    mx, my, mz = mean[0], mean[1], mean[2]
    xx, xy, xz = inverse[0], 2.0 * inverse[1], 2.0 * inverse[2]
    yy, yz, zz = inverse[3], 2.0 * inverse[4], inverse[5]
    for i in range(wavelength.size):
        x, y, z = wavelength[i] - mx, area[i] - my, ndi[i] - mz
        out[i] = x * (xx * x + xy * y + xz * z) + (y * (yy * y + yz * z) + z * (zz * z))
    near = 0
    for i in range(wavelength.size):
        near += np.int64(out[i] < FAR)
    return near


@kernel()
def _join(distance: Numbers, code: float, codes: Numbers, most: Numbers, share: Numbers) -> None:
    for i in range(distance.size):
        scaled = _survival_scaled(math.sqrt(0.5 * distance[i]))
        membership = exp(-0.5 * distance[i]) * scaled
        membership = membership if distance[i] < FAR else 0.0
        share[i] += membership
        codes[i] = code if membership > most[i] else codes[i]
        most[i] = membership if membership > most[i] else most[i]


@formula
def _survival_scaled(s: float) -> float:
    """exp(s^2) erfc(s) + 2/sqrt(pi) s within 1e-12, for s from 0 to 6.4.

    Times exp(-s^2), this is the chance that a chi-square of three degrees of freedom exceeds 2 s^2. The polynomial, in
    (s - 3) / (s + 3), is a Chebyshev interpolation of the first term.
    """
    t = (s - 3.0) / (s + 3.0)
    tt = t * t
    t4 = tt * tt
    a = (0.17900115118161108 + t * -0.32623356004601556) + tt * (
        0.2456038016487889 + t * -0.15011593631636894
    )
    b = (0.07166584032827346 + t * -0.024392499455672064) + tt * (
        0.004269082354705733 + t * 0.0007076621536449718
    )
    c = (-0.0005967463447530692 + t * 4.6282045718385466e-05) + tt * (
        6.434062508088055e-05 + t * -1.573619944679325e-05
    )
    d = -1.3414363949822149e-05 + t * -2.1567520250357488e-06
    return a + t4 * (b + t4 * (c + t4 * d)) + _TWO_OVER_ROOT_PI * s


@kernel("void(float64[:, :, ::1], float64[:, ::1])")
def inverse_covariances(covariances: Numbers, out: Numbers) -> None:
    """Upper triangle of the inverse of each symmetric 3 x 3 matrix: xx, xy, xz, yy, yz, zz."""
    for k in range(covariances.shape[0]):
        m = covariances[k]
        a, b, c, d, e, f = m[0, 0], m[0, 1], m[0, 2], m[1, 1], m[1, 2], m[2, 2]
        xx, xy, xz = d * f - e * e, c * e - b * f, b * e - c * d
        determinant = a * xx + b * xy + c * xz
        out[k, 0], out[k, 1], out[k, 2] = xx / determinant, xy / determinant, xz / determinant
        out[k, 3] = (a * f - c * c) / determinant
        out[k, 4] = (b * c - a * e) / determinant
        out[k, 5] = (a * d - b * b) / determinant


@kernel("void(float64[:, ::1], float64[:, ::1], uint8[::1], float64[::1])")
def spectral_angle(
    spectrum: Reflectance, templates: Numbers, index: NDArray[np.uint8], distance: Numbers
) -> None:
    """Negative angle over pi between each spectrum and the nearest template, and the template's number (1, 2, ...).

    `templates` is types x 7 bands, each of length 1 (`unit_templates`). Number 0 and NaN where a band is missing or the
    spectrum is null. Source: types of 10.1002/lno.10674 or 10.1002/lno.12606.
    """
    near, best, number = np.full((7, ANGLES), NAN), np.empty(ANGLES), np.empty(ANGLES)
    codes, cosines = np.empty(ANGLES, np.uint8), np.empty(ANGLES)
    last = templates.shape[0] - 1
    for start in range(0, distance.size, ANGLES):
        size = min(ANGLES, distance.size - start)
        # What the pixels before left behind the last one does no harm.
        for band in range(7):
            copy(spectrum[band, start : start + size], near[band])
        best[:] = -math.inf
        number[:] = 0.0
        for k in range(0, last + 1, 2):
            # The last of an odd number is compared with itself, which it never beats.
            _compare_two(near, templates[k], templates[min(k + 1, last)], k + 1.0, best, number)
        _write_distances(near, best, number, codes, cosines)
        copy(codes[:size], index[start : start + size])
        copy(cosines[:size], distance[start : start + size])


@kernel()
def _compare_two(s: Numbers, one: Numbers, two: Numbers, code: float, best: Numbers, number: Numbers) -> None:
    """Keep the nearest of what was known and two more templates; products with unit templates grow as angles fall."""
    a0, a1, a2, a3, a4, a5, a6 = one[0], one[1], one[2], one[3], one[4], one[5], one[6]
    b0, b1, b2, b3, b4, b5, b6 = two[0], two[1], two[2], two[3], two[4], two[5], two[6]
    for i in range(best.size):
        s0, s1, s2, s3, s4, s5, s6 = s[0, i], s[1, i], s[2, i], s[3, i], s[4, i], s[5, i], s[6, i]
        first = ((a0 * s0 + a1 * s1) + (a2 * s2 + a3 * s3)) + ((a4 * s4 + a5 * s5) + a6 * s6)
        second = ((b0 * s0 + b1 * s1) + (b2 * s2 + b3 * s3)) + ((b4 * s4 + b5 * s5) + b6 * s6)
        greatest, which = best[i], number[i]
        which = code if first > greatest else which
        greatest = first if first > greatest else greatest
        which = code + 1.0 if second > greatest else which
        greatest = second if second > greatest else greatest
        best[i] = greatest
        number[i] = which


@kernel()
def _write_distances(
    s: Numbers, best: Numbers, number: Numbers, index: NDArray[np.uint8], out: Numbers
) -> None:
    for i in range(out.size):
        s0, s1, s2, s3, s4, s5, s6 = s[0, i], s[1, i], s[2, i], s[3, i], s[4, i], s[5, i], s[6, i]
        square = ((s0 * s0 + s1 * s1) + (s2 * s2 + s3 * s3)) + ((s4 * s4 + s5 * s5) + s6 * s6)
        cosine = clamp(best[i] / math.sqrt(square), -1.0, 1.0)
        out[i] = cosine if square > 0.0 else NAN
    for i in range(out.size):
        index[i] = np.uint8(number[i] if out[i] == out[i] else 0.0)
    for i in range(out.size):
        out[i] = acos(out[i]) / -math.pi


@kernel("void(float64[:, ::1], float64[:, ::1])")
def unit_templates(table: Numbers, out: Numbers) -> None:
    """Each row divided by its length."""
    for k in range(table.shape[0]):
        length = 0.0
        for band in range(table.shape[1]):
            length += table[k, band] * table[k, band]
        for band in range(table.shape[1]):
            out[k, band] = table[k, band] / math.sqrt(length)
