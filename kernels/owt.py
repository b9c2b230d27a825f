"""Optical water types: memberships of Bi and Hieronymi 2024, and the spectral angle to a table of types."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.elementary import NAN, acos, exp, power, scaled_erfc
from thalweg.kernels.formula import formula
from thalweg.kernels.jit import kernel
from thalweg.kernels.reflectance import Numbers, Reflectance, Rrs

LEAST_SUM = 1e-4
"""Sum of memberships from which a pixel counts as classified."""

CHUNK = 512
"""Pixels that are compared with all types while they are in the fastest cache."""

# Distances from which a membership is 0 in any number of digits.
_FAR = 1400.0
_TWO_OVER_ROOT_PI = 1.1283791670955126


@kernel("void(float64[:, ::1], float64[::1], float64[::1], float64, float64[:, ::1])")
def features(spectrum: Rrs, wavelengths: Numbers, polynomial: Numbers, box_cox: float, out: Numbers) -> None:
    """Apparent visible wavelength (nm), transformed area and NDI of every pixel: the three rows of `out`.

    `spectrum` holds R at the eight wavelengths (443, 492, 560, 665, 704, 740, 783, 865 nm); `polynomial` is the
    sensor's, lowest power first. NaN where a band is missing, or the sum, the weighted sum, the area or the sum of
    560 and 665 nm is not positive. Source: 10.1002/lno.12606.
    """
    size = spectrum.shape[1]
    total, weighted = np.zeros(size), np.zeros(size)
    for band in range(spectrum.shape[0]):
        inverse = 1.0 / wavelengths[band]
        for i in range(size):
            total[i] += spectrum[band, i]
            weighted[i] += spectrum[band, i] * inverse
    _write_features(spectrum, total, weighted, polynomial, box_cox, out)


@kernel()
def _write_features(
    spectrum: Rrs, total: Numbers, weighted: Numbers, p: Numbers, box_cox: float, out: Numbers
) -> None:
    p0, p1, p2, p3, p4, p5 = p[0], p[1], p[2], p[3], p[4], p[5]
    for i in range(total.size):
        coastal, green, red = spectrum[0, i], spectrum[2, i], spectrum[3, i]
        w = total[i] / weighted[i]
        wavelength = p0 + w * (p1 + w * (p2 + w * (p3 + w * (p4 + w * p5))))
        area = 0.5 * (coastal + green) * 117.0 + 0.5 * (green + red) * 105.0
        usable = (total[i] > 0.0) & (weighted[i] > 0.0) & (area > 0.0) & (green + red > 0.0)
        out[0, i] = wavelength if usable else NAN
        out[1, i] = (power(area, box_cox) - 1.0) / box_cox
        out[2, i] = (green - red) / (green + red)


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
    best[:] = 0
    highest[:] = -1.0
    shares[:] = 0.0
    for k in range(means.shape[0]):
        _compare(found, means[k], inverses[k], k + 1, best, highest, shares[group[k]])
    for i in range(total.size):
        total[i] = shares[0, i] + shares[1, i] + shares[2, i]
        known = total[i] >= LEAST_SUM
        best[i] = best[i] if known else np.uint8(0)
        highest[i] = highest[i] if known else NAN
        total[i] = total[i] if known else NAN
    for k in range(shares.shape[0]):
        for i in range(total.size):
            shares[k, i] = shares[k, i] if best[i] else NAN


@kernel()
def _compare(
    found: Numbers,
    mean: Numbers,
    inverse: Numbers,
    code: int,
    best: NDArray[np.uint8],
    highest: Numbers,
    share: Numbers,
) -> None:
    """Take one type into account."""
    for i in range(share.size):
        x, y, z = found[0, i] - mean[0], found[1, i] - mean[1], found[2, i] - mean[2]
        distance = (
            x * (inverse[0] * x + 2.0 * (inverse[1] * y + inverse[2] * z))
            + y * (inverse[3] * y + 2.0 * inverse[4] * z)
            + inverse[5] * (z * z)
        )
        membership = _survival(distance)
        share[i] += membership
        better = membership > highest[i]
        best[i] = np.uint8(code) if better else best[i]
        highest[i] = membership if better else highest[i]


@formula
def _survival(distance: float) -> float:
    """Chance that a chi-square of three degrees of freedom exceeds `distance` (>= 0)."""
    near = distance if distance < _FAR else _FAR
    near = near if near > 0.0 else 0.0
    s = math.sqrt(0.5 * near)
    value = exp(-0.5 * near) * (scaled_erfc(s) + _TWO_OVER_ROOT_PI * s)
    return value if distance == distance else NAN


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
    spectrum: Reflectance, templates: Numbers, index: NDArray[np.uint8], angle: Numbers
) -> None:
    """Angle between each spectrum and the nearest template, radians, and the template's number (1, 2, ...).

    `templates` is types x bands, each of length 1 (`unit_templates`). Number 0 and NaN where a band is missing or the
    spectrum is null. Source: types of 10.1002/lno.10674 or 10.1002/lno.12606.
    """
    cosine, best = np.empty(CHUNK), np.empty(CHUNK)
    for start in range(0, angle.size, CHUNK):
        stop = min(start + CHUNK, angle.size)
        best[:] = -math.inf
        index[start:stop] = 0
        for k in range(templates.shape[0]):
            _project(spectrum, start, stop, templates[k], cosine)
            _keep_greater(cosine, k + 1, best, index[start:stop])
        _write_angles(spectrum, start, best, index[start:stop], angle[start:stop])


@kernel()
def _project(spectrum: Numbers, start: int, stop: int, template: Numbers, out: Numbers) -> None:
    """Product of each spectrum with one template."""
    t0, t1, t2, t3, t4, t5, t6 = (
        template[0],
        template[1],
        template[2],
        template[3],
        template[4],
        template[5],
        template[6],
    )
    for i in range(stop - start):
        j = start + i
        out[i] = (
            ((t0 * spectrum[0, j] + t1 * spectrum[1, j]) + (t2 * spectrum[2, j] + t3 * spectrum[3, j]))
            + (t4 * spectrum[4, j] + t5 * spectrum[5, j])
            + t6 * spectrum[6, j]
        )


@kernel()
def _keep_greater(cosine: Numbers, number: int, best: Numbers, index: NDArray[np.uint8]) -> None:
    for i in range(index.size):
        greater = cosine[i] > best[i]
        best[i] = cosine[i] if greater else best[i]
        index[i] = np.uint8(number) if greater else index[i]


@kernel()
def _write_angles(
    spectrum: Numbers, start: int, best: Numbers, index: NDArray[np.uint8], angle: Numbers
) -> None:
    for i in range(angle.size):
        j = start + i
        length = 0.0
        for band in range(7):
            length += spectrum[band, j] * spectrum[band, j]
        cosine = best[i] / math.sqrt(length)
        cosine = 1.0 if cosine > 1.0 else (-1.0 if cosine < -1.0 else cosine)
        angle[i] = acos(cosine) if length > 0.0 else NAN
        index[i] = index[i] if length > 0.0 else np.uint8(0)


@kernel("void(float64[:, ::1], float64[:, ::1])")
def unit_templates(table: Numbers, out: Numbers) -> None:
    """Each row divided by its length."""
    for k in range(table.shape[0]):
        length = 0.0
        for band in range(table.shape[1]):
            length += table[k, band] * table[k, band]
        for band in range(table.shape[1]):
            out[k, band] = table[k, band] / math.sqrt(length)
