"""Optical water types: memberships of Bi and Hieronymi 2024, and the spectral angle to a table of types."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels import single
from thalweg.kernels.elementary import INFINITY, NAN, PI, acos, clamp, exp, ln
from thalweg.kernels.formula import formula, with_twin
from thalweg.kernels.jit import kernel, row_kernel
from thalweg.kernels.reflectance import Numbers, Reflectance, Rrs, copy

LEAST_SUM = 1e-4
"""Sum of memberships from which a pixel counts as classified."""

FAR, FAR_IN_SINGLE = 80.0, 50.0
"""Squared distance from which a membership, below 1e-16, or 1e-10 among float32, is 0."""

SEGMENT = 512
"""Pixels that are compared with a type only if one of them is near it, while they are in the fastest cache."""

ANGLES = 256
"""Pixels whose bands stay in the nearest cache while all templates pass over them."""

TOLD_APART = 1e-6
"""Difference of two products with unit templates, relative to the spectrum, that float32 is sure of."""

PARALLEL = 0.9999
"""Cosine above which an angle is computed in float64: float32 would err by more than 1.4e-5."""

_TWO_OVER_ROOT_PI = 1.1283791670955126


@row_kernel(
    "void(float64[:, ::1], float64[::1], float64[::1], float64, float64[:, ::1])",
    "void(float32[:, ::1], float64[::1], float64[::1], float64, float32[:, ::1])",
)
def features(spectrum: Rrs, wavelengths: Numbers, polynomial: Numbers, box_cox: float, out: Numbers) -> None:
    """Apparent visible wavelength (nm), transformed area and NDI of every pixel: the three rows of `out`.

    `spectrum` holds R at the eight wavelengths (443, 492, 560, 665, 704, 740, 783, 865 nm); `polynomial` is the
    sensor's, lowest power first, and evaluated in float64: its terms cancel out. NaN where a band is missing, or the
    sum, the weighted sum, the area or the sum of 560 and 665 nm is not positive. Source: 10.1002/lno.12606.
    """
    s, w, p = spectrum, wavelengths.astype(spectrum.dtype), polynomial
    w0, w1, w2, w3 = 1.0 / w[0], 1.0 / w[1], 1.0 / w[2], 1.0 / w[3]
    w4, w5, w6, w7 = 1.0 / w[4], 1.0 / w[5], 1.0 / w[6], 1.0 / w[7]
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


@row_kernel(
    "void(float64[:, ::1], float64[:, ::1], float64[:, ::1], uint8[::1], uint8[::1], float64[::1], float64[::1], "
    "float64[:, ::1])",
    "void(float32[:, ::1], float64[:, ::1], float64[:, ::1], uint8[::1], uint8[::1], float32[::1], float32[::1], "
    "float32[:, ::1])",
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
    kind, far = found.dtype, FAR if found.itemsize == 8 else FAR_IN_SINGLE
    centres, spreads = means.astype(kind), inverses.astype(kind)
    codes, most = np.empty(SEGMENT, np.int32), np.empty(SEGMENT, kind)
    part, distance = np.empty((3, SEGMENT), kind), np.empty(SEGMENT, kind)
    for start in range(0, total.size, SEGMENT):
        segment = slice(start, start + SEGMENT)
        size = total[segment].size
        codes[:], most[:], part[:] = 0, -1.0, 0.0
        for k in range(means.shape[0]):
            near = _measure(
                found[0, segment], found[1, segment], found[2, segment], centres[k], spreads[k], far, distance
            )
            if near:
                _join(distance[:size], far, k + 1, codes, most, part[group[k]])
        _sum_up(codes, most, part, total[segment])
        for i in range(size):
            best[start + i] = np.uint8(codes[i])
        copy(most[:size], highest[segment])
        for k in range(3):
            copy(part[k, :size], shares[k, segment])


@row_kernel()
def _sum_up(codes: NDArray[np.int32], most: Numbers, part: Numbers, total: Numbers) -> None:
    """Sum of all memberships; no code, membership or share where it is too little."""
    for i in range(total.size):
        whole = part[0, i] + part[1, i] + part[2, i]
        known = whole >= LEAST_SUM
        codes[i] = codes[i] if known else np.int32(0)
        most[i] = most[i] if known else NAN
        total[i] = whole if known else NAN
        part[0, i] = part[0, i] if known else NAN
        part[1, i] = part[1, i] if known else NAN
        part[2, i] = part[2, i] if known else NAN


@row_kernel()
def _measure(
    wavelength: Numbers,
    area: Numbers,
    ndi: Numbers,
    mean: Numbers,
    inverse: Numbers,
    far: float,
    out: Numbers,
) -> int:
    """Squared Mahalanobis distances; how many are near enough to matter."""
    mx, my, mz = mean[0], mean[1], mean[2]
    xx, xy, xz = inverse[0], 2.0 * inverse[1], 2.0 * inverse[2]
    yy, yz, zz = inverse[3], 2.0 * inverse[4], inverse[5]
    for i in range(wavelength.size):
        x, y, z = wavelength[i] - mx, area[i] - my, ndi[i] - mz
        out[i] = x * (xx * x + xy * y + xz * z) + (y * (yy * y + yz * z) + z * (zz * z))
    near = np.int32(0)
    for i in range(wavelength.size):
        near = np.int32(near + np.int32(out[i] < far))
    return near


@row_kernel()
def _join(
    distance: Numbers, far: float, number: int, codes: NDArray[np.int32], most: Numbers, share: Numbers
) -> None:
    code = np.int32(number)
    for i in range(distance.size):
        scaled = _survival_scaled(math.sqrt(0.5 * distance[i]))
        membership = exp(-0.5 * distance[i]) * scaled
        membership = membership if distance[i] < far else 0.0
        share[i] += membership
        codes[i] = code if membership > most[i] else codes[i]
        most[i] = membership if membership > most[i] else most[i]


@with_twin(single.survival_scaled)
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


@row_kernel(
    "void(float64[:, ::1], float64[:, ::1], uint8[::1], float64[::1])",
    "void(float32[:, ::1], float64[:, ::1], uint8[::1], float32[::1])",
)
def spectral_angle(
    spectrum: Reflectance, templates: Numbers, index: NDArray[np.uint8], distance: Numbers
) -> None:
    """Negative angle over pi between each spectrum and the nearest template, and the template's number (1, 2, ...).

    `templates` is types x 7 bands, each of length 1 (`unit_templates`). Number 0 and NaN where a band is missing or the
    spectrum is null. Source: types of 10.1002/lno.10674 or 10.1002/lno.12606.

    Among float32, a pixel is looked at again in float64 where two templates are almost as near, and where the angle is
    so small that its cosine, almost 1, says little of it.
    """
    kind = spectrum.dtype
    rough = templates.astype(kind)
    near, number = np.full((7, ANGLES), NAN, kind), np.empty(ANGLES, np.int32)
    best, second = np.empty(ANGLES, kind), np.empty(ANGLES, kind)
    codes = np.empty(ANGLES, np.uint8)
    last = templates.shape[0] - 1
    for start in range(0, distance.size, ANGLES):
        size = min(ANGLES, distance.size - start)
        # What the pixels before left behind the last one does no harm.
        for band in range(7):
            copy(spectrum[band, start : start + size], near[band])
        best[:], second[:] = -INFINITY, -INFINITY
        number[:] = 0
        for k in range(0, last, 2):
            _compare_two(near, rough[k], rough[k + 1], k, best, second, number)
        if last % 2 == 0:
            _compare(near, rough[last], last, best, second, number)
        doubts = _turn_to_cosines(near, best, second)
        _write_distances(best, number, codes)
        if doubts:
            _look_again(near, templates, second, best, codes)
        copy(codes[:size], index[start : start + size])
        copy(best[:size], distance[start : start + size])


@row_kernel()
def _compare_two(
    s: Numbers,
    one: Numbers,
    two: Numbers,
    first_row: int,
    best: Numbers,
    second: Numbers,
    number: NDArray[np.int32],
) -> None:
    """Keep the nearest, and how near the next is, of what was known and two more templates.

    Products with unit templates grow as angles fall; on ties the first template stays.
    """
    a0, a1, a2, a3, a4, a5, a6 = one[0], one[1], one[2], one[3], one[4], one[5], one[6]
    b0, b1, b2, b3, b4, b5, b6 = two[0], two[1], two[2], two[3], two[4], two[5], two[6]
    row, next_row = np.int32(first_row), np.int32(first_row + 1)
    for i in range(best.size):
        s0, s1, s2, s3, s4, s5, s6 = s[0, i], s[1, i], s[2, i], s[3, i], s[4, i], s[5, i], s[6, i]
        p = ((a0 * s0 + a1 * s1) + (a2 * s2 + a3 * s3)) + ((a4 * s4 + a5 * s5) + a6 * s6)
        q = ((b0 * s0 + b1 * s1) + (b2 * s2 + b3 * s3)) + ((b4 * s4 + b5 * s5) + b6 * s6)
        greatest, runner, which = best[i], second[i], number[i]
        which = row if p > greatest else which
        runner = _middle(p, greatest, runner)
        greatest = p if p > greatest else greatest
        which = next_row if q > greatest else which
        second[i] = _middle(q, greatest, runner)
        best[i] = q if q > greatest else greatest
        number[i] = which


@formula
def _middle(p: float, greatest: float, runner: float) -> float:
    """The second of three numbers of which two are ordered."""
    less = greatest if p > greatest else p
    return less if less > runner else runner


@row_kernel()
def _compare(
    s: Numbers, one: Numbers, row: int, best: Numbers, second: Numbers, number: NDArray[np.int32]
) -> None:
    """As `_compare_two`, with a single template."""
    for i in range(best.size):
        low = (one[0] * s[0, i] + one[1] * s[1, i]) + (one[2] * s[2, i] + one[3] * s[3, i])
        p = low + ((one[4] * s[4, i] + one[5] * s[5, i]) + one[6] * s[6, i])
        number[i] = np.int32(row) if p > best[i] else number[i]
        second[i] = _middle(p, best[i], second[i])
        best[i] = p if p > best[i] else best[i]


@row_kernel()
def _turn_to_cosines(s: Numbers, best: Numbers, second: Numbers) -> int:
    """Make cosines of the greatest products; `second` becomes 1 where they are in doubt, else 0. How many are."""
    doubts = np.int32(0)
    for i in range(best.size):
        s0, s1, s2, s3, s4, s5, s6 = s[0, i], s[1, i], s[2, i], s[3, i], s[4, i], s[5, i], s[6, i]
        square = ((s0 * s0 + s1 * s1) + (s2 * s2 + s3 * s3)) + ((s4 * s4 + s5 * s5) + s6 * s6)
        length = math.sqrt(square)
        cosine = best[i] / length
        doubted = (best[i] - second[i] <= TOLD_APART * length) | (cosine > PARALLEL)
        second[i] = 1.0 if doubted else 0.0
        best[i] = cosine if square > 0.0 else NAN
        doubts = np.int32(doubts + np.int32(doubted))
    return doubts


@row_kernel()
def _write_distances(cosines: Numbers, number: NDArray[np.int32], index: NDArray[np.uint8]) -> None:
    """Turn cosines into distances, in place; numbers of templates from 1, 0 where there is no cosine."""
    for i in range(index.size):
        known = np.int32(cosines[i] == cosines[i])
        index[i] = np.uint8((number[i] + np.int32(1)) * known)
    for i in range(index.size):
        cosines[i] = acos(clamp(cosines[i], -1.0, 1.0)) / -PI


@kernel()
def _look_again(
    s: Numbers, templates: Numbers, doubted: Numbers, distance: Numbers, index: NDArray[np.uint8]
) -> None:
    """Nearest template and distance of the pixels that are doubted, in float64."""
    for i in range(index.size):
        if doubted[i] != 0.0 and index[i] != 0:
            square, best = 0.0, -math.inf
            for band in range(7):
                square += np.float64(s[band, i]) * np.float64(s[band, i])
            for k in range(templates.shape[0]):
                product = 0.0
                for band in range(7):
                    product += np.float64(s[band, i]) * templates[k, band]
                index[i] = np.uint8(k + 1) if product > best else index[i]
                best = product if product > best else best
            distance[i] = acos(clamp(best / math.sqrt(square), -1.0, 1.0)) / -math.pi


@kernel("void(float64[:, ::1], float64[:, ::1])")
def unit_templates(table: Numbers, out: Numbers) -> None:
    """Each row divided by its length."""
    for k in range(table.shape[0]):
        length = 0.0
        for band in range(table.shape[1]):
            length += table[k, band] * table[k, band]
        for band in range(table.shape[1]):
            out[k, band] = table[k, band] / math.sqrt(length)
