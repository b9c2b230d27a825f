"""WOfS water observations: the decision tree of Mueller et al. 2016, doi:10.1016/j.rse.2015.11.003, and its flags.

Source of the rules: package `wofs` 1.6.8 (Apache-2.0). The tree compares float32 ratios with limits of two decimals; on
16-bit bands the cross products compared here give the same answer for every sign and for zero denominators, and they
do so without a division.

A pixel's leaf depends only on how many limits each of its three ratios and three bands exceeds: these ranks make 13
bits, and `leaf_table` walks the tree once for every combination.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.jit import kernel

NODATA, NONCONTIGUOUS, LOW_SUN, TERRAIN_SHADOW, STEEP, CLOUD_SHADOW, CLOUD, WET = 1, 2, 4, 8, 16, 32, 64, 128
"""Bits of a water observation; a pixel with NODATA has no other."""

WET_LEAVES = frozenset({6, 10, 14, 17, 19, 27, 31, 33, 44})
"""Leaves of the tree that are water."""

_SWIR1_GREEN = (-1, 12, 23, 34)
_NIR_RED = (-1, 22, 45, 54, 61)
_SWIR2_GREEN = (-23,)
_BLUE = (129, 249, 300, 334, 379, 473, 1400, 2083)
_RED = (364,)
_SWIR2 = (323,)
"""Limits of the tree, percent for the ratios, DN for the bands; a rank is the number of limits exceeded."""

Bytes = NDArray[np.uint8]
Reflectances = NDArray[np.int16]
Bands = tuple[Reflectances, ...]
"""Six bands: blue, green, red, near infrared, short-wave infrared 1 and 2, DN x 0.0001."""


def _leaf(swir1_green: int, nir_red: int, swir2_green: int, blue: int, red: int, swir2: int) -> int:
    """The leaf of the tree that a pixel falls in: ratios in percent, bands in DN."""
    if swir1_green <= -1:
        return _leaf_a(nir_red, swir2_green, blue, swir2)
    if swir1_green <= 23:
        return _leaf_b(swir1_green, nir_red, blue, red)
    return _leaf_c(swir1_green, nir_red, blue, red)


def _leaf_a(nir_red: int, swir2_green: int, blue: int, swir2: int) -> int:
    if blue > 2083:
        return 3
    if swir2 <= 323:
        return 6 if nir_red <= 61 else 7
    if blue > 1400:
        return 10 if nir_red <= -1 else 11
    if swir2_green > -23:
        return 14 if blue <= 379 else 15
    if nir_red <= 22:
        return 17
    return 19 if blue <= 473 else 20


def _leaf_b(swir1_green: int, nir_red: int, blue: int, red: int) -> int:
    if blue > 334:
        return 23
    if nir_red > 54:
        return 25
    if swir1_green <= 12:
        return 27
    if red <= 364:
        return 31 if blue <= 129 else 32
    return 33 if blue <= 300 else 34


def _leaf_c(swir1_green: int, nir_red: int, blue: int, red: int) -> int:
    if swir1_green > 34:
        return 36
    if blue > 249:
        return 38
    if nir_red > 45:
        return 40
    if red > 364:
        return 42
    return 44 if blue <= 129 else 45


def _ranked(limits: Sequence[int], size: int) -> list[int]:
    """A value of each rank: the limit that it does not exceed, or one above the last limit."""
    values = [*limits, limits[-1] + 1]
    return values + [values[-1]] * (size - len(values))


def leaf_table() -> Bytes:
    """The leaf of every combination of ranks, uint8 (8192,), in the order that `observe` looks it up."""
    bands = [
        (blue, red, swir2)
        for blue in _ranked(_BLUE, 16)
        for red in _ranked(_RED, 2)
        for swir2 in _ranked(_SWIR2, 2)
    ]
    leaves = [
        _leaf(swir1_green, nir_red, swir2_green, *values)
        for swir1_green in _ranked(_SWIR1_GREEN, 8)
        for nir_red in _ranked(_NIR_RED, 8)
        for swir2_green in _ranked(_SWIR2_GREEN, 2)
        for values in bands
    ]
    return np.array(leaves, dtype=np.uint8)


def wet_table(wet: int = WET, dry: int = 0) -> Bytes:
    """What every combination of ranks is worth, uint8 (8192,): `wet` where the tree says water, else `dry`."""
    return np.where(np.isin(leaf_table(), sorted(WET_LEAVES)), wet, dry).astype(np.uint8)


_RATIO_LIMITS = tuple(np.array(limits, dtype=np.int32) for limits in (_SWIR1_GREEN, _NIR_RED, _SWIR2_GREEN))
_BAND_LIMITS = tuple(np.array(limits, dtype=np.int16) for limits in (_BLUE, _RED, _SWIR2))


@kernel()
def _rank_ratio_row(
    first: Reflectances, second: Reflectances, percents: NDArray[np.int32], rank: Bytes
) -> None:
    """How many percentages the ratio (first - second) / (first + second) exceeds, by the rules of IEEE division.

    x / 0 is below or above all limits by the sign of x; 0 / 0 is NaN, no comparison with which is true: above all.
    """
    rank[:] = 0
    for k in range(percents.size):
        percent = percents[k]
        for j in range(first.size):
            difference, total = np.int32(first[j] - second[j]), np.int32(first[j] + second[j])
            up = np.int32(-difference if total < 0 else difference)
            down = np.int32(-total if total < 0 else total)
            above = np.int32(100 * up) > np.int32(percent * down)
            rank[j] += np.uint8(above | ((difference | total) == 0))


@kernel()
def _rank_band_row(band: Reflectances, limits: NDArray[np.int16], rank: Bytes) -> None:
    """How many limits a band exceeds."""
    rank[:] = 0
    for k in range(limits.size):
        limit = limits[k]
        for j in range(band.size):
            rank[j] += np.uint8(band[j] > limit)


@kernel()
def _append_row(index: NDArray[np.uint16], rank: Bytes, bits: int) -> None:
    """Put a rank behind the ranks that an index holds."""
    for j in range(index.size):
        index[j] = np.uint16(np.uint16(index[j] << bits) | np.uint16(rank[j]))


@kernel("void(UniTuple(int16[:, ::1], 6), uint8[::1], uint8[:, ::1])")
def observe(bands: Bands, table: Bytes, out: Bytes) -> None:
    """What `table` says of every pixel: `wet_table()` for the decision, `leaf_table()` for the leaf.

    `bands`: blue, green, red, near infrared, short-wave infrared 1 and 2, int16 (h, w), DN x 0.0001, no value of which
    is special here; `out`: uint8 (h, w), written.
    """
    height, width = out.shape
    blue, green, red, nir, swir1, swir2 = bands
    index, rank = np.empty(width, np.uint16), np.empty(width, np.uint8)
    for i in range(height):
        index[:] = 0
        _rank_ratio_row(swir1[i], green[i], _RATIO_LIMITS[0], rank)
        _append_row(index, rank, 3)
        _rank_ratio_row(nir[i], red[i], _RATIO_LIMITS[1], rank)
        _append_row(index, rank, 3)
        _rank_ratio_row(swir2[i], green[i], _RATIO_LIMITS[2], rank)
        _append_row(index, rank, 1)
        _rank_band_row(blue[i], _BAND_LIMITS[0], rank)
        _append_row(index, rank, 4)
        _rank_band_row(red[i], _BAND_LIMITS[1], rank)
        _append_row(index, rank, 1)
        _rank_band_row(swir2[i], _BAND_LIMITS[2], rank)
        _append_row(index, rank, 1)
        for j in range(width):
            out[i, j] = table[index[j]]


FMASK_FLAGS = np.zeros(256, dtype=np.uint8)
"""Flag bits of each class of the ARD fmask: 0 no data, 2 cloud, 3 cloud shadow; 1 clear, 4 snow, 5 water: none."""
FMASK_FLAGS[[0, 2, 3]] = (NODATA, CLOUD, CLOUD_SHADOW)
FMASK_FLAGS.flags.writeable = False


@kernel("void(UniTuple(int16[:, ::1], 6), int64, uint8[:, ::1], uint8[:, ::1])")
def add_flags(bands: Bands, nodata: int, flags: Bytes, observation: Bytes) -> None:
    """Add `flags` and those of the bands' `nodata` to a decision, in place; with NODATA the value is exactly 1.

    NODATA where all six bands are `nodata`, NONCONTIGUOUS where any is. `flags` and `observation`: uint8 (h, w).
    """
    height, width = observation.shape
    blue, green, red, nir, swir1, swir2 = bands
    empty = np.int32(nodata)
    for i in range(height):
        b, g, r, n, s, t = blue[i], green[i], red[i], nir[i], swir1[i], swir2[i]
        for j in range(width):
            some = (b[j] == empty) | (g[j] == empty) | (r[j] == empty)
            some = some | (n[j] == empty) | (s[j] == empty) | (t[j] == empty)
            every = (b[j] == empty) & (g[j] == empty) & (r[j] == empty)
            every = every & (n[j] == empty) & (s[j] == empty) & (t[j] == empty)
            flag = flags[i, j] | np.uint8(every) | (np.uint8(some) << 1)
            observation[i, j] = NODATA if flag & NODATA else np.uint8(observation[i, j] | flag)


@kernel("void(uint8[:, ::1], float64, uint8[:, ::1])")
def dilate(mask: Bytes, squared_radius: float, out: Bytes) -> None:
    """OR of `mask` over the disc dx^2 + dy^2 <= `squared_radius` (pixels); the reference's 7 x 7 disc has 12.25.

    Both uint8 (h, w); what lies outside the array is 0, so a block needs a halo of the radius.
    """
    height, width = mask.shape
    reach = int(math.sqrt(squared_radius))
    for i in range(height):
        out[i, :] = 0
        for k in range(max(0, i - reach), min(height, i + reach + 1)):
            side = int(math.sqrt(squared_radius - (k - i) * (k - i)))
            for shift in range(-min(side, width), min(side, width) + 1):
                for j in range(max(0, -shift), min(width, width - shift)):
                    out[i, j] |= mask[k, j + shift]


@kernel()
def _sobel_row(
    dem: NDArray[np.float32], row: int, column: int, east: NDArray[np.float64], south: NDArray[np.float64]
) -> None:
    """Eight times the rise per pixel, eastwards and southwards; outside the edge stands the edge's own pixel."""
    last_row, last_column = dem.shape[0] - 1, dem.shape[1] - 1
    above, here, below = dem[max(row - 1, 0)], dem[row], dem[min(row + 1, last_row)]
    for j in range(east.size):
        w, c, e = max(column + j - 1, 0), column + j, min(column + j + 1, last_column)
        aw, ac, ae = np.float64(above[w]), np.float64(above[c]), np.float64(above[e])
        bw, bc, be = np.float64(below[w]), np.float64(below[c]), np.float64(below[e])
        east[j] = (ae - aw) + 2.0 * (np.float64(here[e]) - np.float64(here[w])) + (be - bw)
        south[j] = (bw - aw) + 2.0 * (bc - ac) + (be - ae)


@kernel("void(float32[:, ::1], int64, int64, float64[::1], uint8[:, ::1])")
def _terrain(dem: NDArray[np.float32], top: int, left: int, sun: NDArray[np.float64], flags: Bytes) -> None:
    height, width = flags.shape
    east, south = np.empty(width), np.empty(width)
    to_east, to_north, up, low, flat, steep = sun
    for i in range(height):
        _sobel_row(dem, top + i, left, east, south)
        for j in range(width):
            x, y = -east[j], south[j]
            rise = x * x + y * y
            towards_sun = x * to_east + y * to_north + up
            grazing = towards_sun * abs(towards_sun) < low * (rise + flat)
            flags[i, j] = np.uint8(grazing) * LOW_SUN | np.uint8(rise > steep) * STEEP


def terrain_flags(
    dem: NDArray[np.float32],
    top: int,
    left: int,
    flags: Bytes,
    *,
    zenith: float,
    azimuth: float,
    pixel: float,
    max_slope: float = 12.0,
    min_incidence: float = 10.0,
) -> None:
    """LOW_SUN where the sun stands less than `min_incidence` above the relief, STEEP where that rises over `max_slope`.

    `flags`: uint8 (h, w), written; its pixel (i, j) is `dem` pixel (`top` + i, `left` + j), so that a block sees its
    neighbours. Angles in degrees, azimuth clockwise from north, `pixel` and `dem` in metres; NaN elevations get no
    flag. Sobel gradients; the tests are those of arccosine, turned into comparisons of products of float64.
    """
    z, a, rise = math.radians(zenith), math.radians(azimuth), 8.0 * pixel
    limit = math.sin(math.radians(min_incidence))
    sun = np.array(
        [
            math.sin(a) * math.sin(z),
            math.cos(a) * math.sin(z),
            rise * math.cos(z),
            limit * abs(limit),
            rise * rise,
            (rise * math.tan(math.radians(max_slope))) ** 2,
        ]
    )
    _terrain(dem, top, left, sun, flags)
