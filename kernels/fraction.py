"""Fractional snow cover, its quality and its uncertainty, per pixel, from the snow map and the state of `kernels.snow`.

Fraction at the top of the canopy: f = 0.5 tanh(a NDSI + b) + 0.5 with a = 2.65, b = -1.42 (Gascoin et al. 2020,
doi:10.3390/rs12182904); on the ground: f / (1 - t) with the tree cover density t. Profile ``lis`` quantises NDSI to a
byte first, so that everything after it is a table; else NDSI is not quantised.

Codes of all layers: 0 no snow, 1-100 percent, 205 cloud or shadow, 210 water, 255 no data.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.jit import kernel
from thalweg.kernels.snow import ANY_CLOUD, INLAND, MARKED, SHADED, UNCALIBRATED

SNOW = 100
"""Code of snow in the snow map."""
EXPONENTIAL = tuple(1 / math.factorial(n) for n in range(11))
"""Taylor coefficients of exp: enough below 0.15."""
STRETCH = 1024
"""Columns of a row that are worked on together."""


@kernel("void(uint8[:, ::1], int16[:, ::1], int16[:, ::1], uint8[:, ::1])")
def ndsi_lis(
    seb: NDArray[np.uint8], green: NDArray[np.int16], swir: NDArray[np.int16], out: NDArray[np.uint8]
) -> None:
    """100 NDSI on snow, truncated and clamped to 0-255 (0 where it is not a number); elsewhere the snow map's code.

    The quotient of two integers below 2**24 in float32 is what LIS gets by rounding a float64 quotient to float32.
    """
    for i in range(out.shape[0]):
        codes, g, s, values = seb[i], green[i], swir[i], out[i]
        for j in range(codes.size):
            above = np.float32(100 * (np.int32(g[j]) - np.int32(s[j])))
            value = above / np.float32(np.int32(g[j]) + np.int32(s[j]))
            value = value if value > np.float32(0) else np.float32(0)
            value = value if value < np.float32(255) else np.float32(255)
            byte = np.uint8(np.int32(value))
            values[j] = byte if codes[j] == np.uint8(SNOW) else codes[j]


def toc_table(a: float, b: float) -> NDArray[np.uint8]:
    """FSC-TOC in percent for each NDSI byte."""
    ndsi = np.arange(256) / 100
    return to_byte(100 * np.minimum(0.5 * np.tanh(a * ndsi + b) + 0.5, 1))


def og_table() -> NDArray[np.uint8]:
    """FSC-OG in percent for each FSC-TOC-HS (rows, 0-255) and tree cover density (columns; above 100 undefined)."""
    toc, tcd = np.meshgrid(np.arange(256.0), np.arange(256.0), indexing="ij")
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = toc / 100 / (1 - tcd / 100)
    return to_byte(np.where(tcd > 100, toc, 100 * np.minimum(seen, 1)))


def to_byte(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """float64 to float32, clamped to 0-255 (not a number: 0), truncated: 28.9999999999 becomes 29."""
    single = np.nan_to_num(values.astype(np.float32), nan=0)
    return np.clip(single, 0, 255).astype(np.uint8)


@kernel("void(uint8[:, ::1], uint8[:, ::1], uint8[::1], uint8[:, ::1])")
def fsc_toc_lis(
    seb: NDArray[np.uint8], ndsi: NDArray[np.uint8], table: NDArray[np.uint8], out: NDArray[np.uint8]
) -> None:
    """FSC-TOC by `toc_table` on snow, elsewhere the snow map's code."""
    for i in range(out.shape[0]):
        codes, bytes_, values = seb[i], ndsi[i], out[i]
        for j in range(codes.size):
            value = table[bytes_[j]]
            values[j] = value if codes[j] == np.uint8(SNOW) else codes[j]


@kernel("void(uint16[:, ::1], uint8[:, ::1], uint8[:, ::1])")
def fsc_toc_hs_lis(state: NDArray[np.uint16], toc: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """FSC-TOC-HS: 100 on uncalibrated shaded snow, whatever the snow map says there, elsewhere FSC-TOC."""
    for i in range(out.shape[0]):
        bits, seen, values = state[i], toc[i], out[i]
        for j in range(bits.size):
            values[j] = np.uint8(100) if bits[j] & np.uint16(UNCALIBRATED) else seen[j]


@kernel("void(uint8[:, ::1], uint8[:, ::1], uint8[:, ::1], uint8[:, ::1], uint8[:, ::1])")
def fsc_og_lis(
    seb: NDArray[np.uint8],
    hs: NDArray[np.uint8],
    tcd: NDArray[np.uint8],
    table: NDArray[np.uint8],
    out: NDArray[np.uint8],
) -> None:
    """FSC-OG by `og_table` of FSC-TOC-HS and tree cover density on snow, elsewhere the snow map's code."""
    for i in range(out.shape[0]):
        codes, seen, trees, values = seb[i], hs[i], tcd[i], out[i]
        for j in range(codes.size):
            value = table[seen[j], trees[j]]
            values[j] = value if codes[j] == np.uint8(SNOW) else codes[j]


QCFLAGS_LIS = "void(uint16[:, ::1], {slope}, uint8[:, ::1], uint8[:, ::1], uint8[:, ::1])"


@kernel(QCFLAGS_LIS.format(slope="uint8[:, ::1]"), QCFLAGS_LIS.format(slope="none"))
def qcflags_lis(
    state: NDArray[np.uint16],
    slope: NDArray[np.uint8] | None,
    tcd: NDArray[np.uint8],
    hs: NDArray[np.uint8],
    out: NDArray[np.uint8],
) -> None:
    """QCFLAGS: bit 0 sun too low, 1 sun tangent, 2 water, 3 TCD above 90, 4 snow under cloud, 5 no TCD, 6 shaded snow.

    Bits 0 and 1 are those of `slope`; `hs` is FSC-TOC-HS.
    """
    for i in range(out.shape[0]):
        _flag_ground(state[i], out[i])
        _flag_trees(tcd[i], out[i])
        if slope is not None:
            _flag_slope(slope[i], out[i])
        bits, seen, flags = state[i], hs[i], out[i]
        for j in range(bits.size):
            is_snow = np.uint8(seen[j] >= 1) & np.uint8(seen[j] <= 100)
            flags[j] |= (is_snow & np.uint8((bits[j] & np.uint16(MARKED)) != 0)) << np.uint8(4)


QCFLAGS = "void(uint16[:, ::1], {slope}, {tcd}, uint8[:, ::1], uint8[:, ::1])"


@kernel(
    *(QCFLAGS.format(slope=s, tcd=t) for s in ("uint8[:, ::1]", "none") for t in ("uint8[:, ::1]", "none"))
)
def qcflags(
    state: NDArray[np.uint16],
    slope: NDArray[np.uint8] | None,
    tcd: NDArray[np.uint8] | None,
    seb: NDArray[np.uint8],
    out: NDArray[np.uint8],
) -> None:
    """As `qcflags_lis`; bit 4 is snow of the snow map inside the cloud mask, bit 7 uncalibrated shaded snow."""
    for i in range(out.shape[0]):
        _flag_ground(state[i], out[i])
        if tcd is not None:
            _flag_trees(tcd[i], out[i])
        if slope is not None:
            _flag_slope(slope[i], out[i])
        bits, codes, flags = state[i], seb[i], out[i]
        for j in range(bits.size):
            hidden = np.uint8(codes[j] == np.uint8(SNOW)) & np.uint8((bits[j] & np.uint16(ANY_CLOUD)) != 0)
            blind = np.uint8((bits[j] & np.uint16(UNCALIBRATED)) != 0)
            flags[j] |= hidden << np.uint8(4) | blind << np.uint8(7)


@kernel()
def _flag_ground(state: NDArray[np.uint16], flags: NDArray[np.uint8]) -> None:
    """Begin a row of QCFLAGS: water and shaded snow."""
    for j in range(flags.size):
        water = np.uint8((state[j] & np.uint16(INLAND)) != 0)
        shaded = np.uint8((state[j] & np.uint16(SHADED)) != 0)
        flags[j] = water << np.uint8(2) | shaded << np.uint8(6)


@kernel()
def _flag_trees(tcd: NDArray[np.uint8], flags: NDArray[np.uint8]) -> None:
    """Dense forest, and tree cover density undefined."""
    for j in range(flags.size):
        unknown = np.uint8(tcd[j] > 100)
        dense = np.uint8(tcd[j] > 90) & (unknown ^ np.uint8(1))
        flags[j] |= dense << np.uint8(3) | unknown << np.uint8(5)


@kernel()
def _flag_slope(slope: NDArray[np.uint8], flags: NDArray[np.uint8]) -> None:
    """Sun too low for slope correction, and sun tangent."""
    for j in range(flags.size):
        flags[j] |= slope[j] & np.uint8(3)


def qc_toc_table() -> NDArray[np.uint8]:
    """Quality of FSC-TOC for each QCFLAGS byte: 0 best, 3 worst."""
    flags = np.arange(256)
    return _quality(500 - 500 * (flags >> 6 & 1) - _flag_cost(flags))


def qc_og_table() -> NDArray[np.uint8]:
    """Quality of FSC-OG for each QCFLAGS byte (rows) and tree cover density (columns): 0 best, 3 worst."""
    flags, tcd = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    return _quality(500 - _flag_cost(flags) - 4 * np.minimum(tcd, 100))


def _flag_cost(flags: NDArray[np.int64]) -> NDArray[np.int64]:
    """What the flags common to both qualities take off, in fifths of a percent."""
    cost: NDArray[np.int64] = (
        250 * (flags & 1) + 150 * (flags >> 1 & 1) + 125 * ((flags >> 2 & 1) + (flags >> 4 & 1))
    )
    return cost


def _quality(score: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Class of a score in fifths of a percent: trunc(min(3, 4 - max(0, s / 25))), exactly."""
    classes: NDArray[np.int64] = np.minimum(3, (500 - np.maximum(score, 0)) // 125)
    return classes.astype(np.uint8)


@kernel("void(uint8[:, ::1], uint8[:, ::1], uint8[::1], uint8[:, ::1])")
def qc_toc(
    flags: NDArray[np.uint8], codes: NDArray[np.uint8], table: NDArray[np.uint8], out: NDArray[np.uint8]
) -> None:
    """QC-TOC by `qc_toc_table`; 205, 210 and 255 are copied from `codes`."""
    for i in range(out.shape[0]):
        bits, kept, classes = flags[i], codes[i], out[i]
        for j in range(bits.size):
            value = table[bits[j]]
            classes[j] = value if kept[j] < np.uint8(205) else kept[j]


@kernel("void(uint8[:, ::1], uint8[:, ::1], uint8[:, ::1], uint8[:, ::1], uint8[:, ::1])")
def qc_og(
    flags: NDArray[np.uint8],
    tcd: NDArray[np.uint8],
    codes: NDArray[np.uint8],
    table: NDArray[np.uint8],
    out: NDArray[np.uint8],
) -> None:
    """QC-OG by `qc_og_table`; 205, 210 and 255 are copied from `codes`."""
    for i in range(out.shape[0]):
        bits, trees, kept, classes = flags[i], tcd[i], codes[i], out[i]
        for j in range(bits.size):
            value = table[bits[j], trees[j]]
            classes[j] = value if kept[j] < np.uint8(205) else kept[j]


def canopy_table(tcd_cap: float, tcd_sigma: float) -> NDArray[np.float64]:
    """For each tree cover density the seen share 1 - t of the ground, and the weight of f in the error of FSC-OG.

    `tcd_cap` in percent (0-99) bounds t; above 100 the density is undefined, counts as 0 and adds no error.
    """
    tcd = np.arange(256.0)
    known = tcd <= 100
    seen = 1 - np.where(known, np.minimum(tcd, tcd_cap), 0) / 100
    return np.stack([seen, np.where(known, 100 * tcd_sigma / seen**2, 0)])


FRACTIONS = (
    "void(uint16[:, ::1], uint8[:, ::1], int16[:, ::1], int16[:, ::1], {tcd}, float64[:, ::1], UniTuple(float64, 4), "
    "uint8[:, ::1], uint8[:, ::1], uint8[:, ::1], {tcd}, {tcd})"
)


@kernel(FRACTIONS.format(tcd="uint8[:, ::1]"), FRACTIONS.format(tcd="none"))
def fractions(
    state: NDArray[np.uint16],
    seb: NDArray[np.uint8],
    green: NDArray[np.int16],
    swir: NDArray[np.int16],
    tcd: NDArray[np.uint8] | None,
    canopy: NDArray[np.float64],
    curve: tuple[float, float, float, float],
    ndsi: NDArray[np.uint8],
    toc: NDArray[np.uint8],
    toc_error: NDArray[np.uint8],
    og: NDArray[np.uint8] | None,
    og_error: NDArray[np.uint8] | None,
) -> None:
    """NDSI, FSC-TOC, FSC-OG and their 1-sigma errors, in percent rounded half up; elsewhere the snow map's codes.

    `curve` is a, b, error of FSC and error of uncalibrated shaded snow (percent); `canopy` is `canopy_table`. Errors
    are 254 where the snow map is 0. Without `tcd` there is no `og` and no `og_error`.
    """
    # Only snow pixels are computed, gathered by stretches so that the sums run without branches in the nearest cache.
    where, percent = np.empty(STRETCH, np.int64), np.empty(STRETCH, np.uint8)
    fraction, spread = np.empty(STRETCH), np.empty(STRETCH)
    columns = seb.shape[1]
    for i in range(seb.shape[0]):
        _round_ndsi(seb[i], green[i], swir[i], ndsi[i])
        _spread_error(seb[i], state[i], curve, toc_error[i])
        for start in range(0, columns, STRETCH):
            part = slice(start, min(start + STRETCH, columns))
            codes = seb[i, part]
            index = where[: _gather(codes, where)]
            f, error = fraction[: index.size], spread[: index.size]
            _cover(state[i, part], green[i, part], swir[i, part], index, curve, f, error)
            _round_percent(f, percent)
            _put(codes, index, percent, np.uint8(0), toc[i, part])
            if tcd is not None and og is not None and og_error is not None:
                _uncover(tcd[i, part], index, canopy, f, error)
                _round_percent(f, percent)
                _put(codes, index, percent, np.uint8(0), og[i, part])
                _round_error(error, percent)
                _put(codes, index, percent, np.uint8(254), og_error[i, part])


@kernel()
def _round_ndsi(
    seb: NDArray[np.uint8], green: NDArray[np.int16], swir: NDArray[np.int16], out: NDArray[np.uint8]
) -> None:
    """100 NDSI on snow, rounded and clamped to 0-100 (0 where G + S is 0); elsewhere the snow map's code.

    float32 rounds no quotient of such integers onto or across a half.
    """
    for j in range(seb.size):
        g, s = np.int32(green[j]), np.int32(swir[j])
        value = np.float32(np.int32(100 * np.int32(g - s))) / np.float32(np.int32(g + s))
        value = value if np.int32(g + s) != 0 else np.float32(0)
        value = value if value > np.float32(0) else np.float32(0)
        value = value if value < np.float32(100) else np.float32(100)
        byte = np.uint8(np.int32(value + np.float32(0.5)))
        out[j] = byte if seb[j] == np.uint8(SNOW) else seb[j]


@kernel()
def _gather(seb: NDArray[np.uint8], index: NDArray[np.int64]) -> int:
    """List the columns that hold snow, and count them; what lies beyond the count is rubbish."""
    count = 0
    for j in range(seb.size):
        index[count] = j
        count += seb[j] == np.uint8(SNOW)
    return count


@kernel()
def _spread_error(
    seb: NDArray[np.uint8],
    state: NDArray[np.uint16],
    curve: tuple[float, float, float, float],
    out: NDArray[np.uint8],
) -> None:
    """Error of FSC-TOC: one figure for shaded snow that is not calibrated, another for all other snow."""
    plain, shaded = np.uint8(np.floor(curve[2] + 0.5)), np.uint8(np.floor(curve[3] + 0.5))
    for j in range(seb.size):
        error = shaded if state[j] & np.uint16(UNCALIBRATED) else plain
        code = np.uint8(254) if seb[j] == 0 else seb[j]
        out[j] = error if seb[j] == np.uint8(SNOW) else code


@kernel()
def _cover(
    state: NDArray[np.uint16],
    green: NDArray[np.int16],
    swir: NDArray[np.int16],
    index: NDArray[np.int64],
    curve: tuple[float, float, float, float],
    fraction: NDArray[np.float64],
    error: NDArray[np.float64],
) -> None:
    """Fraction at the top of the canopy and its error in percent; 1 on uncalibrated shaded snow."""
    a, b = curve[0], curve[1]
    for k in range(index.size):
        g, s = np.int32(green[index[k]]), np.int32(swir[index[k]])
        fraction[k], error[k] = g - s, g + s
    for k in range(index.size):
        ndsi = fraction[k] / error[k]
        fraction[k] = sigmoid(a * (ndsi if error[k] != 0 else -1.0) + b)
    for k in range(index.size):
        # Looked up, for a branch is mispredicted where shade is patchy.
        blind = np.int64((state[index[k]] & np.uint16(UNCALIBRATED)) != 0)
        fraction[k] = max(fraction[k], float(blind))
        error[k] = curve[2 + blind]


@kernel("float64(float64)")
def sigmoid(x: float) -> float:
    """0.5 tanh(x) + 0.5, to 2e-14, by basic operations only: the same on every machine, and in vector code."""
    # It is 1 / (1 + exp(-2x)), with exp(z) = exp(z / 256) ** 256; beyond 36 the last bit no longer changes.
    z = -2.0 * x
    z = -36.0 if z < -36.0 else z
    z = (36.0 if z > 36.0 else z) * (1.0 / 256.0)
    power = EXPONENTIAL[10]
    for n in range(9, -1, -1):
        power = power * z + EXPONENTIAL[n]
    for _ in range(8):
        power *= power
    return 1.0 / (1.0 + power)


@kernel()
def _uncover(
    tcd: NDArray[np.uint8],
    index: NDArray[np.int64],
    canopy: NDArray[np.float64],
    fraction: NDArray[np.float64],
    error: NDArray[np.float64],
) -> None:
    """From the top of the canopy to the ground, in place: fraction, and error in percent."""
    seen, weight = np.empty(index.size), np.empty(index.size)
    for k in range(index.size):
        trees = tcd[index[k]]
        seen[k], weight[k] = canopy[0, trees], canopy[1, trees]
    for k in range(index.size):
        above, doubt = error[k] / seen[k], weight[k] * fraction[k]
        error[k] = math.sqrt(above * above + doubt * doubt)
        ground = fraction[k] / seen[k]
        fraction[k] = ground if ground < 1.0 else 1.0


@kernel()
def _round_percent(fraction: NDArray[np.float64], percent: NDArray[np.uint8]) -> None:
    """Percent of snow: at least 1, for these pixels hold snow."""
    for k in range(fraction.size):
        percent[k] = np.uint8(min(max(np.floor(100 * fraction[k] + 0.5), 1.0), 100.0))


@kernel()
def _round_error(error: NDArray[np.float64], percent: NDArray[np.uint8]) -> None:
    """Errors in whole percent, at most 100."""
    for k in range(error.size):
        percent[k] = np.uint8(np.floor(min(error[k], 100.0) + 0.5))


@kernel()
def _put(
    seb: NDArray[np.uint8],
    index: NDArray[np.int64],
    percent: NDArray[np.uint8],
    snowless: np.uint8,
    out: NDArray[np.uint8],
) -> None:
    """A row of a layer: `snowless` where the snow map is 0, its codes, and the listed pixels' values."""
    for j in range(seb.size):
        out[j] = snowless if seb[j] == 0 else seb[j]
    for k in range(index.size):
        out[index[k]] = percent[k]
