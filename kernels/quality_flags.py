"""Flags of the water-quality product: one 32-bit word per pixel, and the tests that set its bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.blend import BEYOND_POLE, BLENDED, CLAMPED, branch_codes
from thalweg.kernels.blend import NEAR_POLE as MARKED_NEAR_POLE
from thalweg.kernels.elementary import NAN
from thalweg.kernels.jit import kernel, row_kernel
from thalweg.kernels.reflectance import Numbers, Rho, Rrs

NODATA_IN = 1 << 0
LAND = 1 << 1
CLOUD = 1 << 2
CLOUD_SHADOW = 1 << 3
CIRRUS = 1 << 4
SNOW_ICE = 1 << 5
HIGH_SWIR = 1 << 6
GLINT_HIGH = 1 << 7
GLINT_NOT_MODELLED = 1 << 8
ADJACENCY = 1 << 9
MIXED_PIXEL = 1 << 10
NEG_RRS_BLUE = 1 << 11
NEG_RRS_OTHER = 1 << 12
NEAR_POLE = 1 << 13
SATURATED = 1 << 14
OC_CLAMPED = 1 << 15
CHLA_RANGE = 1 << 16
SPM_RANGE = 1 << 17
TUR_RANGE = 1 << 18
CDOM_RANGE = 1 << 19
TRANSP_RANGE = 1 << 20
CHLA_NOVALUE = 1 << 21
SPM_NOVALUE = 1 << 22
TUR_NOVALUE = 1 << 23
CDOM_NOVALUE = 1 << 24
TRANSP_NOVALUE = 1 << 25
OWT_UNCLASSIFIED = 1 << 26
CHLA_BLENDED = 1 << 27
SWITCH_BLENDED = 1 << 28
FLOATING_ALGAE = 1 << 29
BOTTOM_RISK = 1 << 30
MISSING = 1 << 31
"""B2, B3 or B4 is nodata; only while the product is made: a finished word never has it."""

SEGMENT = 4096
"""Pixels that are gone through bit by bit while they are in the nearest cache."""

OF_INPUT = (1 << 11) - 1
"""The bits that a pixel keeps which is not computed."""

Words = NDArray[np.uint32]


@kernel(
    "void(uint8[::1], uint32[::1], uint32[::1])",
    "void(uint16[::1], uint32[::1], uint32[::1])",
)
def mark_by_code(source: NDArray[np.uint8], table: Words, words: Words) -> None:
    """Set the bits that `table` holds for each pixel's code (256 codes, or 65536 for uint16)."""
    for i in range(words.size):
        words[i] |= table[source[i]]


@kernel("void(int32[::1], uint32[::1], uint32[::1])")
def mark_by_bits(source: NDArray[np.int32], table: Words, words: Words) -> None:
    """Set, for each bit that a pixel's flags have, the bits that `table` (32 words) holds for it."""
    for start in range(0, words.size, SEGMENT):
        segment = slice(start, start + SEGMENT)
        used = _join_codes(source[segment])
        for bit in range(32):
            if table[bit] != 0 and used >> np.uint32(bit) & np.uint32(1):
                _mark_bit(source[segment], bit, table[bit], words[segment])


@kernel()
def _mark_bit(source: NDArray[np.int32], bit: int, meaning: int, words: Words) -> None:
    mask = np.int32(np.uint32(1) << np.uint32(bit))
    for i in range(words.size):
        words[i] |= meaning if source[i] & mask else np.uint32(0)


@kernel("void(int32[::1], int64, int64, uint32[::1])")
def mark_unless(source: NDArray[np.int32], bit: int, meaning: int, words: Words) -> None:
    """Set `meaning` where the source's mask `bit` is clear and the source has a value (bit 0 clear)."""
    for i in range(words.size):
        there = (source[i] & np.int32(1)) == 0
        clear = (source[i] & np.int32(bit)) == 0
        words[i] |= np.uint32(meaning) if there & clear else np.uint32(0)


@kernel("void(uint32[::1], int64, int64)")
def withdraw(words: Words, where: int, meaning: int) -> None:
    """Clear `meaning` where a word has the bit `where`."""
    for i in range(words.size):
        words[i] &= ~np.uint32(meaning) if words[i] & np.uint32(where) else ~np.uint32(0)


@kernel("void(int32[::1], int64, int64, uint8[::1])")
def mask_unlike(source: NDArray[np.int32], needed: int, refused: int, out: NDArray[np.uint8]) -> None:
    """0 where the source has the bit `needed` and none of `refused`, else 1."""
    looked_at, wanted = np.int32(needed | refused), np.int32(needed)
    for i in range(out.size):
        out[i] = np.uint8((source[i] & looked_at) != wanted)


@kernel("uint32(int32[::1])")
def used_bits(source: NDArray[np.int32]) -> int:
    """Every bit that some pixel of the source has."""
    return _join_codes(source)


@kernel()
def _join_codes(source: NDArray[np.int32]) -> int:
    used = np.int32(0)
    for i in range(source.size):
        used |= source[i]
    return np.uint32(used)


@kernel(
    "void(int16[::1], int64, int64, uint32[::1])",
    "void(uint16[::1], int64, int64, uint32[::1])",
    "void(int32[::1], int64, int64, uint32[::1])",
)
def mark_nodata(counts: NDArray[np.int16], nodata: int, meaning: int, words: Words) -> None:
    """Set `meaning` where a band of counts is nodata."""
    fill, bits = np.int32(nodata), np.uint32(meaning)
    for i in range(words.size):
        words[i] |= bits if np.int32(counts[i]) == fill else np.uint32(0)


@row_kernel("void(float64[::1], float64, int64, uint32[::1])")
def mark_above(values: Numbers, limit: float, meaning: int, words: Words) -> None:
    """Set `meaning` where a value is above the limit; NaN is not."""
    for i in range(words.size):
        words[i] |= np.uint32(meaning) if values[i] > limit else np.uint32(0)


@kernel("void(uint32[:, ::1], int64, int64, int64, uint32[:, ::1])")
def mark_near_land(around: Words, top: int, distance: int, meaning: int, words: Words) -> None:
    """Set `meaning` where land lies within a Chebyshev distance and the pixel itself is not land.

    `around` holds the same pixels with up to `distance` rows more above (`top` of them) and below; what is outside it,
    or outside the raster, is not land. Exact whatever the height of the strip.
    """
    land = np.empty(around.shape, np.uint8)
    for row in range(around.shape[0]):
        for j in range(around.shape[1]):
            land[row, j] = (around[row, j] & np.uint32(LAND)) != 0
    bits, near = np.uint32(meaning), np.empty(words.shape[1], np.uint8)
    for row in range(words.shape[0]):
        centre = row + top
        _gather_near(land, centre, distance, near)
        for j in range(near.size):
            beside = (near[j] != 0) & (land[centre, j] == 0)
            words[row, j] |= bits if beside else np.uint32(0)


@kernel()
def _gather_near(land: NDArray[np.uint8], centre: int, distance: int, near: NDArray[np.uint8]) -> None:
    """Whether there is land within the distance of each pixel of a row."""
    tall = np.zeros(near.size, np.uint8)
    for row in range(max(0, centre - distance), min(land.shape[0], centre + distance + 1)):
        for j in range(near.size):
            tall[j] |= land[row, j]
    near[:] = tall
    for shift in range(1, min(distance, near.size - 1) + 1):
        left, right = tall[: near.size - shift], tall[shift:]
        _join(near[: near.size - shift], right)
        _join(near[shift:], left)


@kernel()
def _join(near: NDArray[np.uint8], other: NDArray[np.uint8]) -> None:
    for j in range(near.size):
        near[j] |= other[j]


@row_kernel("void(float64[:, ::1], int64, float64, uint32[::1])")
def settle_spectrum(rrs: Rrs, bands: int, limit: float, words: Words) -> None:
    """Flag negative and saturated pixels by their first `bands` bands, and blind the saturated ones.

    Rows 0 and 1 are the blue bands. Saturated: a band above `limit`, or the bit is set already. All bands of such a
    pixel become NaN here, so that no formula finds a value in it.
    """
    for band in range(bands):
        meaning = np.uint32(NEG_RRS_BLUE if band < 2 else NEG_RRS_OTHER)
        for i in range(words.size):
            negative = meaning if rrs[band, i] < 0.0 else np.uint32(0)
            words[i] |= negative | (np.uint32(SATURATED) if rrs[band, i] > limit else np.uint32(0))
    saturated = 0
    for i in range(words.size):
        saturated += np.int64(words[i] & np.uint32(SATURATED))
    if saturated == 0:
        return
    for band in range(rrs.shape[0]):
        for i in range(words.size):
            rrs[band, i] = NAN if words[i] & np.uint32(SATURATED) else rrs[band, i]


@row_kernel("void(float64[::1], float64, float64, boolean, int64, int64, uint32[::1])")
def settle_range(
    values: Numbers, lowest: float, highest: float, keep: bool, outside: int, absent: int, words: Words
) -> None:
    """Flag values outside [lowest, highest] and pixels without value; what is outside becomes NaN unless kept."""
    for i in range(words.size):
        value = values[i]
        beyond = (value < lowest) | (value > highest)
        words[i] |= np.uint32(outside) if beyond else np.uint32(0)
        words[i] |= np.uint32(0) if value == value else np.uint32(absent)
        values[i] = NAN if beyond & (not keep) else value


@row_kernel("void(float64[::1], float64[::1])")
def follow(values: Numbers, others: Numbers) -> None:
    """No other without its value."""
    for i in range(values.size):
        others[i] = others[i] if values[i] == values[i] else NAN


@row_kernel("void(float64[::1], float64[::1], float64, float64, int64, uint32[::1])")
def settle_domain(
    values: Numbers, variable: Numbers, lowest: float, highest: float, outside: int, words: Words
) -> None:
    """Take away, and flag as `outside`, values where the variable that the formula holds for leaves its domain."""
    for i in range(words.size):
        beyond = (variable[i] < lowest) | (variable[i] > highest)
        words[i] |= np.uint32(outside) if beyond else np.uint32(0)
        values[i] = NAN if beyond else values[i]


@row_kernel("void(uint8[::1], float64[:, ::1], float64, float64[::1], int64, uint32[::1], uint8[::1])")
def settle_branches(
    marks: NDArray[np.uint8],
    weights: Numbers,
    threshold: float,
    values: Numbers,
    blended: int,
    words: Words,
    codes: NDArray[np.uint8],
) -> None:
    """Turn an algorithm's marks and weights into flags and branch codes (`blend.branch_codes`).

    `blended` is the flag of a blend. Clamped and blended are said only of pixels that have a value; poles of any.
    """
    branch_codes(weights, threshold, codes)
    bits = np.uint32(blended)
    for i in range(words.size):
        there = values[i] == values[i]
        words[i] |= np.uint32(NEAR_POLE) if marks[i] & np.uint8(MARKED_NEAR_POLE) else np.uint32(0)
        words[i] |= np.uint32(SATURATED) if marks[i] & np.uint8(BEYOND_POLE) else np.uint32(0)
        clamped = there & ((marks[i] & np.uint8(CLAMPED)) != 0)
        words[i] |= np.uint32(OC_CLAMPED) if clamped else np.uint32(0)
        words[i] |= bits if there & (codes[i] == BLENDED) else np.uint32(0)


@row_kernel("void(float64[::1], float64[::1], float64, float64, uint32[::1])")
def mark_floating(index: Numbers, red: Rho, least: float, brightest_red: float, words: Words) -> None:
    """Flag floating algae: a floating-algae index above `least` over a red that is not bright."""
    for i in range(words.size):
        floats = (index[i] > least) & (red[i] < brightest_red)
        words[i] |= np.uint32(FLOATING_ALGAE) if floats else np.uint32(0)


@kernel("void(uint8[::1], int64, uint32[::1])")
def mark_zero(codes: NDArray[np.uint8], meaning: int, words: Words) -> None:
    """Set `meaning` where a code is 0."""
    for i in range(words.size):
        words[i] |= np.uint32(meaning) if codes[i] == 0 else np.uint32(0)


@row_kernel("void(float64[::1], float64[::1], uint32[::1])")
def mark_bottom(depth_seen: Numbers, depth: Numbers, words: Words) -> None:
    """Flag where one sees deeper than the water is; depths in m, positive down, NaN unknown."""
    for i in range(words.size):
        words[i] |= np.uint32(BOTTOM_RISK) if depth_seen[i] > depth[i] else np.uint32(0)


@kernel("void(uint32[::1], int64[::1])")
def count_bits(words: Words, counts: NDArray[np.int64]) -> None:
    """Add to `counts` (32) how many pixels have each bit."""
    for start in range(0, words.size, SEGMENT):
        segment = words[start : start + SEGMENT]
        used = _join_words(segment)
        for bit in range(32):
            if used >> np.uint32(bit) & np.uint32(1):
                counts[bit] += _count_bit(segment, np.uint32(bit))


@kernel()
def _join_words(words: Words) -> int:
    """Every bit that some word has."""
    used = np.uint32(0)
    for i in range(words.size):
        used |= words[i]
    return used


@kernel()
def _count_bit(words: Words, bit: int) -> int:
    # Counts of 32 bits keep the loop as narrow as the words are.
    count = np.uint32(0)
    for i in range(words.size):
        count = np.uint32(count + ((words[i] >> bit) & np.uint32(1)))
    return np.int64(count)


@kernel("void(uint8[:, ::1], uint16[:, ::1], uint32[::1], uint32[:, ::1])")
def mark_by_water(water: NDArray[np.uint8], reason: NDArray[np.uint16], table: Words, words: Words) -> None:
    """Set LAND and MIXED_PIXEL by a mask of water whose pixels are as fine or finer, and why others are undecided.

    `water` holds 0 land, 1 water, 255 undecided, in blocks of n x n pixels for each of `words`. All land: LAND; land
    and water: MIXED_PIXEL; any undecided: what `table` (16 words) holds for the bits of the block's reasons, else
    NODATA_IN.
    """
    times = water.shape[0] // words.shape[0] if words.shape[0] else 1
    for i in range(words.shape[0]):
        for j in range(words.shape[1]):
            wet, dry, why = 0, 0, np.uint16(0)
            for y in range(i * times, (i + 1) * times):
                for x in range(j * times, (j + 1) * times):
                    wet += water[y, x] == 1
                    dry += water[y, x] == 0
                    why |= reason[y, x] if water[y, x] > 1 else np.uint16(0)
            words[i, j] |= _word_of_block(wet, dry, times * times, why, table)


@kernel()
def _word_of_block(wet: int, dry: int, size: int, why: int, table: Words) -> int:
    if dry == size:
        return np.uint32(LAND)
    if wet + dry == size:
        return np.uint32(MIXED_PIXEL) if dry else np.uint32(0)
    found = np.uint32(0)
    for bit in range(table.size):
        found |= table[bit] if (np.uint32(why) >> np.uint32(bit)) & np.uint32(1) else np.uint32(0)
    return found if found else np.uint32(NODATA_IN)


@kernel(
    "void(int16[::1], int64, int64, int64, uint32[::1])",
    "void(uint16[::1], int64, int64, int64, uint32[::1])",
    "void(int32[::1], int64, int64, int64, uint32[::1])",
)
def mark_from(counts: NDArray[np.int16], least: int, nodata: int, meaning: int, words: Words) -> None:
    """Set `meaning` where a band of counts is `least` or more, and not nodata."""
    for i in range(words.size):
        above = (counts[i] >= least) & (counts[i] != nodata)
        words[i] |= np.uint32(meaning) if above else np.uint32(0)
