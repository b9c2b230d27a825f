"""Snow detection per pixel: from bands and masks to a bit field, and from the bit field to the classes of the products.

The bit field (uint16, one per pixel) is all that the snow chain keeps between its two steps. `survey` fills the bits
that need the bands; `detect` and `merge` those that need the snow line, the terrain and the relief shadow. Thresholds
are integers and NDSI is never divided: q * (G - S) is compared with p * (G + S).

Profile ``lis``: bit for bit as Let-it-snow 1.11.0 (Gascoin et al. 2019, doi:10.5194/essd-11-493-2019), its quirks
included; otherwise pixels without data and water take part in nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.jit import kernel
from thalweg.kernels.resample import spread_row

NODATA = 1
"""Without data: any of green, red and SWIR; in ``lis`` SWIR only, and water."""
WATER = 2
"""In the water mask."""
ANY_CLOUD = 4
"""In the cloud mask: clouds of any kind and their shadows."""
HARD_CLOUD = 8
"""Cloud shadow or high cloud: never looked through."""
BACK = 16
"""In the cloud mask, and too bright in red to be given back."""
SNOW1 = 32
"""Snow of pass 1."""
CANDIDATE2 = 64
"""Passes the spectral tests of pass 2."""
BLUE = 128
"""Blue minus near infrared is high, as in shaded snow."""
CLOUD1 = 256
"""Cloud of pass 1: the cloud mask, and snow that pass 1.5 took for cloud."""
REFINE = 512
"""Cloud that stays cloud: all but the dark clouds."""
SNOW2 = 1024
"""Snow of pass 2."""
SHADED = 2048
"""Shaded snow."""
UNCALIBRATED = 4096
"""Shaded snow that neither pass found: its NDSI says nothing about its fraction."""
SNOW3 = 8192
"""Snow of any kind."""
INLAND = 16384
"""Water as QCFLAGS means it."""
MARKED = 32768
"""The code of the cloud mask is not 0 (QCFLAGS of ``lis``)."""

Limits = tuple[int, int, int, int, int, int, int, int, int]
"""Thresholds of `survey`: what `limits` gives."""

SURVEY = (
    "void(int16[:, ::1], int16[:, ::1], int16[:, ::1], {blue}, {blue}, uint8[:, ::1], {water}, int64, "
    "UniTuple(int64, 9), boolean, uint16[:, ::1])"
)
OPTIONAL = [(b, w) for b in ("int16[:, ::1]", "none") for w in ("uint8[:, ::1]", "none")]


def limits(
    *,
    ndsi_pass1: float,
    red_pass1: float,
    ndsi_pass2: float,
    red_pass2: float,
    red_back_to_cloud: float,
    shaded_snow_pass: float,
    swir_pass1_max: float | None = None,
) -> Limits:
    """Thresholds of `survey` as integers that decide exactly as the given numbers do.

    NDSI -1 to 1; the others in stored counts (milli-reflectance times `multi`), fractions allowed. `swir_pass1_max`
    None: no such test.
    """
    swir = 32767 if swir_pass1_max is None else math.ceil(swir_pass1_max) - 1
    reds = (red_pass1, red_pass2, red_back_to_cloud)
    red1, red2, back = (min(math.floor(red), 32767) for red in reds)
    shaded = math.floor(shaded_snow_pass)
    return (*ndsi_ratio(ndsi_pass1), red1, min(swir, 32767), *ndsi_ratio(ndsi_pass2), red2, back, shaded)


def ndsi_ratio(threshold: float) -> tuple[int, int]:
    """The fraction p / q that decides as `threshold` does: (G - S) / (G + S) in float64 exceeds either or neither.

    It is the largest fraction with a denominator that two int16 counts can have (to 65536) whose float64 is not above
    `threshold`.
    """
    low, high = (math.floor(threshold), 1), (math.floor(threshold) + 1, 1)
    while low[0] / low[1] != threshold and low[1] + high[1] <= 65536:
        between = (low[0] + high[0], low[1] + high[1])
        if between[0] / between[1] <= threshold:
            low = between
        else:
            high = between
    return low


@kernel(*(SURVEY.format(blue=blue, water=water) for blue, water in OPTIONAL))
def survey(
    green: NDArray[np.int16],
    red: NDArray[np.int16],
    swir: NDArray[np.int16],
    blue: NDArray[np.int16] | None,
    nir: NDArray[np.int16] | None,
    cloud: NDArray[np.uint8],
    water: NDArray[np.uint8] | None,
    nodata: int,
    limits: Limits,
    lis: bool,
    state: NDArray[np.uint16],
) -> None:
    """Fill `state` with all bits that the bands and masks of a strip decide: NODATA to CLOUD1, INLAND and MARKED.

    `cloud` bits: 1 any cloud, 2 cloud shadow, 4 high cloud, 8 the mask's code is not 0. `water` bits: 1 water, 2 what
    QCFLAGS counts as water. Blue and near infrared are both given or both None; `nodata` is at most 0.
    """
    passed = np.empty(state.shape[1], np.uint8)
    for i in range(state.shape[0]):
        if max(limits[1] + abs(limits[0]), limits[5] + abs(limits[4])) <= 32767:
            _test_row(green[i], red[i], swir[i], limits, lis, passed)
        else:
            _test_row_wide(green[i], red[i], swir[i], limits, lis, passed)
        _survey_row(green[i], red[i], swir[i], cloud[i], passed, nodata, limits[7], lis, state[i])
        if water is not None:
            _flood_row(water[i], lis, state[i])
        if blue is not None and nir is not None:
            _survey_blue(blue[i], nir[i], nodata, limits[8], lis, state[i])


@kernel()
def _test_row(
    green: NDArray[np.int16],
    red: NDArray[np.int16],
    swir: NDArray[np.int16],
    limits: Limits,
    lis: bool,
    passed: NDArray[np.uint8],
) -> None:
    """The spectral tests of pass 1 (bit 1) and pass 2 (bit 2), for q + |p| to 32767.

    (G - S) / (G + S) > p / q without dividing; a sum of 0 passes in ``lis`` where G > 0 (infinity), else never. Factors
    of 16 bits make products of 32 that a CPU has cheap instructions for.
    """
    p1, q1, red1, swir1, p2, q2, red2, _, _ = limits
    less1, more1, less2, more2 = np.int16(q1 - p1), np.int16(q1 + p1), np.int16(q2 - p2), np.int16(q2 + p2)
    dark1, dark2, bright1 = np.int16(red1), np.int16(red2), np.int16(min(swir1, 32767))
    least = np.int32(0 if lis else 1)
    for j in range(passed.size):
        g, r, s = np.int32(green[j]), red[j], np.int32(swir[j])
        excess1 = np.int32(np.int32(np.int32(less1) * g) - np.int32(np.int32(more1) * s))
        excess2 = np.int32(np.int32(np.int32(less2) * g) - np.int32(np.int32(more2) * s))
        up, down = np.int32(g + s) >= least, np.int32(g + s) < 0
        snow1 = (((excess1 > 0) & up) | ((excess1 < 0) & down)) & (r > dark1) & (swir[j] <= bright1)
        snow2 = (((excess2 > 0) & up) | ((excess2 < 0) & down)) & (r > dark2)
        passed[j] = np.uint8(snow1) | np.uint8(snow2) << np.uint8(1)


@kernel()
def _test_row_wide(
    green: NDArray[np.int16],
    red: NDArray[np.int16],
    swir: NDArray[np.int16],
    limits: Limits,
    lis: bool,
    passed: NDArray[np.uint8],
) -> None:
    """As `_test_row` in 64 bits: for thresholds whose fraction has larger numbers."""
    p1, q1, red1, swir1, p2, q2, red2, _, _ = limits
    least = 0 if lis else 1
    for j in range(passed.size):
        g, r, s = np.int64(green[j]), red[j], swir[j]
        excess1 = (q1 - p1) * g - (q1 + p1) * s
        excess2 = (q2 - p2) * g - (q2 + p2) * s
        up, down = g + s >= least, g + s < 0
        snow1 = (((excess1 > 0) & up) | ((excess1 < 0) & down)) & (r > red1) & (s <= swir1)
        snow2 = (((excess2 > 0) & up) | ((excess2 < 0) & down)) & (r > red2)
        passed[j] = np.uint8(snow1) | np.uint8(snow2) << np.uint8(1)


@kernel()
def _survey_row(
    green: NDArray[np.int16],
    red: NDArray[np.int16],
    swir: NDArray[np.int16],
    cloud: NDArray[np.uint8],
    passed: NDArray[np.uint8],
    nodata: int,
    red_back: int,
    lis: bool,
    state: NDArray[np.uint16],
) -> None:
    """Bits of a row on land; in ``lis`` pixels without data pass tests too, for it looks at SWIR only, and last."""
    missing, bright = np.int16(nodata), np.int16(red_back)
    loose = np.uint16(lis)
    for j in range(state.size):
        any_cloud = np.uint16(cloud[j]) & np.uint16(1)
        other = np.uint16(green[j] == missing) | np.uint16(red[j] == missing)
        gone = np.uint16(swir[j] == missing) | (other & (loose ^ np.uint16(1)))
        counts = (gone ^ np.uint16(1)) | loose
        hard = (np.uint16(cloud[j]) >> np.uint16(1) | np.uint16(cloud[j]) >> np.uint16(2)) & np.uint16(1)
        bits = gone | any_cloud << np.uint16(2) | hard << np.uint16(3) | any_cloud << np.uint16(8)
        bits |= (np.uint16(red[j] > bright) & any_cloud & counts) << np.uint16(4)
        bits |= (np.uint16(passed[j]) & counts & (any_cloud ^ np.uint16(1))) << np.uint16(5)
        bits |= (np.uint16(passed[j]) >> np.uint16(1) & counts) << np.uint16(6)
        state[j] = bits | (np.uint16(cloud[j]) >> np.uint16(3)) << np.uint16(15)


@kernel()
def _flood_row(water: NDArray[np.uint8], lis: bool, state: NDArray[np.uint16]) -> None:
    """Water takes part in no test; in ``lis`` it is without data."""
    dry = np.uint16(0xFFFF ^ (BACK | SNOW1 | CANDIDATE2))
    wet = np.uint16(WATER | NODATA if lis else WATER)
    for j in range(state.size):
        flooded = (state[j] & dry) | wet
        inland = np.uint16((water[j] >> 1) & 1) << np.uint16(14)
        state[j] = (flooded if water[j] & 1 else state[j]) | inland


@kernel()
def _survey_blue(
    blue: NDArray[np.int16],
    nir: NDArray[np.int16],
    nodata: int,
    shaded: int,
    lis: bool,
    state: NDArray[np.uint16],
) -> None:
    """Mark pixels that are bluish, as shaded snow is; in ``lis`` a near infrared without data makes them so."""
    missing, least = np.int32(nodata), np.int32(shaded)
    barred = np.uint16(WATER if lis else WATER | NODATA)
    loose = np.uint16(lis)
    for j in range(state.size):
        b, n = np.int32(blue[j]), np.int32(nir[j])
        known = (np.uint16(b != missing) & np.uint16(n != missing)) | loose
        bluish = np.uint16(np.int32(b - n) > least) & known & np.uint16((state[j] & barred) == 0)
        state[j] |= bluish << np.uint16(7)


DETECT = (
    "void(uint16[:, ::1], int16[:, ::1], int32[::1], int32[::1], int64, int16[:, ::1], int64, int32[:, ::1], "
    "int32[:, ::1], boolean, {candidate})"
)


@kernel(DETECT.format(candidate="uint8[:, ::1]"), DETECT.format(candidate="none"))
def detect(
    state: NDArray[np.uint16],
    coarse_red: NDArray[np.int16],
    rows: NDArray[np.int32],
    columns: NDArray[np.int32],
    red_dark_cloud: int,
    dem: NDArray[np.int16],
    dem_nodata: int,
    lowest2: NDArray[np.int32],
    lowest_shaded: NDArray[np.int32],
    lis: bool,
    candidate: NDArray[np.uint8] | None,
) -> None:
    """Set REFINE, SNOW2 and SNOW3 of a strip, and mark where cast shadow would make shaded snow.

    `rows` and `columns` say which pixel of `coarse_red` each row of the strip and each column reads (-1: none).
    `lowest2` and `lowest_shaded` are the lowest elevations in metres of pass 2 and of shaded snow: one row that holds
    for all, or one per row of the strip. Pixels at `dem_nodata` are left to pass 1 (32768: the DEM is complete).
    """
    bright = np.zeros(state.shape[1], np.int16)
    for i in range(state.shape[0]):
        if i == 0 or rows[i] != rows[i - 1]:
            spread_row(coarse_red, rows[i], columns, -32768, bright)
        _refine_row(bright, red_dark_cloud, lis, state[i])
        _detect_row(dem[i], dem_nodata, lowest2[min(i, lowest2.shape[0] - 1)], state[i])
        if candidate is not None:
            lowest = lowest_shaded[min(i, lowest_shaded.shape[0] - 1)]
            _mark_candidates(dem[i], dem_nodata, lowest, state[i], candidate[i])


@kernel()
def _refine_row(
    coarse_red: NDArray[np.int16], red_dark_cloud: int, lis: bool, state: NDArray[np.uint16]
) -> None:
    """Set REFINE: bright clouds, shadows, high clouds and what pass 1.5 gave to the clouds; dark clouds stay open."""
    dark = np.int32(red_dark_cloud)
    kept = np.uint16(0xFFFF ^ (REFINE | SNOW2 | SHADED | UNCALIBRATED | SNOW3))
    barred = np.uint16(0 if lis else NODATA | WATER)
    for j in range(state.size):
        bits = state[j]
        any_cloud = bits >> np.uint16(2)
        cloud = any_cloud & np.uint16(np.int32(coarse_red[j]) > dark)
        cloud |= bits >> np.uint16(3) | (bits >> np.uint16(8) ^ any_cloud)
        cloud &= np.uint16((bits & barred) == 0)
        state[j] = (bits & kept) | (cloud & np.uint16(1)) << np.uint16(9)


@kernel()
def _detect_row(
    dem: NDArray[np.int16], dem_nodata: int, lowest: NDArray[np.int32], state: NDArray[np.uint16]
) -> None:
    """Set SNOW2 above the snow line, and SNOW3."""
    missing = np.int32(dem_nodata)
    for j in range(state.size):
        bits, z = state[j], np.int32(dem[j])
        high = np.uint16(z >= lowest[j]) & np.uint16(z != missing)
        snow2 = (bits >> np.uint16(6)) & (bits >> np.uint16(9) ^ np.uint16(1)) & high
        snow3 = (bits >> np.uint16(5) & np.uint16(1)) | snow2
        state[j] = bits | snow2 << np.uint16(10) | snow3 << np.uint16(13)


@kernel()
def _mark_candidates(
    dem: NDArray[np.int16],
    dem_nodata: int,
    lowest: NDArray[np.int32],
    state: NDArray[np.uint16],
    candidate: NDArray[np.uint8],
) -> None:
    """1 where all conditions of shaded snow hold but the shadow."""
    missing = np.int32(dem_nodata)
    for j in range(state.size):
        bits, z = state[j], np.int32(dem[j])
        bluish = (bits >> np.uint16(7)) & (bits >> np.uint16(9) ^ np.uint16(1)) & np.uint16(1)
        candidate[j] = bluish & np.uint16(z >= lowest[j]) & np.uint16(z != missing)


@kernel("void(uint16[:, ::1], uint8[:, ::1], uint8[:, ::1])")
def merge(state: NDArray[np.uint16], candidate: NDArray[np.uint8], shadow: NDArray[np.uint8]) -> None:
    """Set SHADED, UNCALIBRATED and SNOW3 where a candidate lies in relief shadow (`shadow` is not 0)."""
    for i in range(state.shape[0]):
        bits, wanted, dark = state[i], candidate[i], shadow[i]
        for j in range(bits.size):
            shaded = np.uint16(wanted[j] != 0) & np.uint16(dark[j] != 0)
            passed = np.uint16((bits[j] & np.uint16(SNOW1 | SNOW2)) != 0)
            added = shaded << np.uint16(11) | (shaded & (passed ^ np.uint16(1))) << np.uint16(12)
            bits[j] |= added | shaded << np.uint16(13)


@kernel("void(uint16[:, ::1], boolean, uint8[:, ::1])")
def seb(state: NDArray[np.uint16], strict: bool, out: NDArray[np.uint8]) -> None:
    """The snow map: 100 snow, 205 cloud or shadow, 0 no snow, 210 water, 255 no data (water is that in ``lis``).

    `strict`: no snow where a cloud is too bright in red to be given back.
    """
    cloudy = np.uint16(BACK if strict else 0)
    for i in range(state.shape[0]):
        bits, codes = state[i], out[i]
        for j in range(bits.size):
            code = np.uint8(205) if bits[j] & np.uint16(REFINE | BACK) else np.uint8(0)
            is_snow = np.uint8((bits[j] & np.uint16(SNOW3)) != 0) & np.uint8((bits[j] & cloudy) == 0)
            code = np.uint8(100) if is_snow else code
            code = np.uint8(210) if bits[j] & np.uint16(WATER) else code
            codes[j] = np.uint8(255) if bits[j] & np.uint16(NODATA) else code


SNOW_ALL = "void(uint16[:, ::1], {slope}, boolean, uint8[:, ::1])"


@kernel(SNOW_ALL.format(slope="uint8[:, ::1]"), SNOW_ALL.format(slope="none"))
def snow_all(
    state: NDArray[np.uint16], slope: NDArray[np.uint8] | None, shaded_bits: bool, out: NDArray[np.uint8]
) -> None:
    """What each step found, as bits: 1 pass 1, 2 pass 2, 4 cloud of pass 1, 8 refined cloud, 16 cloud mask.

    32 slope flag (`slope` is not 0); with `shaded_bits` also 64 shaded snow and 128 uncalibrated shaded snow.
    """
    shaded = np.uint16(3 if shaded_bits else 0)
    for i in range(state.shape[0]):
        bits, steps = state[i], out[i]
        for j in range(bits.size):
            found = (bits[j] >> np.uint16(5) & np.uint16(1)) | (bits[j] >> np.uint16(9) & np.uint16(2))
            found |= (bits[j] >> np.uint16(6) & np.uint16(12)) | (bits[j] << np.uint16(2) & np.uint16(16))
            steps[j] = found | (bits[j] >> np.uint16(11) & shaded) << np.uint16(6)
        if slope is not None:
            flags = slope[i]
            for j in range(bits.size):
                steps[j] |= np.uint8(flags[j] != 0) << np.uint8(5)


@kernel("void(uint16[:, ::1], int64, uint8[:, ::1])")
def flag(state: NDArray[np.uint16], bit: int, out: NDArray[np.uint8]) -> None:
    """1 where a bit of `state` is set, else 0: an expert layer."""
    wanted = np.uint16(bit)
    for i in range(state.shape[0]):
        bits, marks = state[i], out[i]
        for j in range(bits.size):
            marks[j] = (bits[j] & wanted) != 0


@kernel("int64(uint8[:, ::1], int64)")
def count_code(layer: NDArray[np.uint8], code: int) -> int:
    """How many pixels of a layer have the code."""
    total = 0
    wanted = np.uint8(code)
    for i in range(layer.shape[0]):
        row = layer[i]
        found = np.int32(0)
        for j in range(row.size):
            found += np.int32(row[j] == wanted)
        total += int(found)
    return total
