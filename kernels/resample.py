"""Resampling between grids whose pixels fit into each other: cubic reduction of bands, coarse red of the snow chain.

Everything is exact arithmetic on integers (the weights are fractions with a common denominator), hence independent of
the order of summation, of the strip height and of the CPU. The rules are those of GDAL's warper where it knows about
nodata: weights of missing source pixels are left out of numerator and denominator, and a target is nodata where the
source pixel under its centre is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.jit import kernel

# Cubic weights at 0.5, 1.5, 2.5 and 3.5 source pixels from the centre, in 1/128, for two source pixels per target.
W0, W1, W2, W3 = 111, 29, -9, -3
# The weighted sum of an 8 x 8 window fits 32 bits when every value lies within 23236 of this bias: -13705 and above.
BIAS = 9531
LOWEST_FAST = -13705
# Target pixels per segment of a row: the unit in which missing pixels send the work to the exact masked sums.
SEGMENT = 32


@kernel("void(int16[:, ::1], int64, int64, int64, int16[:, ::1])")
def reduce_cubic_2(
    source: NDArray[np.int16], top: int, target_top: int, nodata: int, out: NDArray[np.int16]
) -> None:
    """Halve the resolution of a band by cubic convolution, leaving missing pixels out.

    `source` holds image rows from `top`, all columns: every row from 2 * target_top - 3 to 2 * (target_top + rows of
    `out`) + 2 that exists in the image; rows that are not in it, and columns beside it, do not exist. `out` gets the
    target rows from `target_top`, rounded half up and clamped to int16. A `nodata` outside int16 stands for none.
    Source: cubic convolution of GDAL's warper (a = -0.5, support of two target pixels).
    """
    rows, columns = out.shape
    weights, sums = cubic_weights(2), _scratch(source.shape[1], columns, 2)
    marks, column_sums = _mark_segments(source, nodata), np.empty(source.shape[1], np.int32)
    joined = np.zeros(marks.shape[1] + 2, np.uint8)
    for i in range(rows):
        first = 2 * (target_top + i) - 3 - top
        if first < 0 or first + 8 > source.shape[0] or columns < 5:
            _reduce_masked(source, top, target_top + i, 0, columns, weights, nodata, sums, out[i])
            continue
        _weigh_rows(source, first, column_sums)
        _weigh_columns(column_sums, out[i])
        _weigh_ends(column_sums, weights, out[i])
        if _join_marks(marks, first, joined):
            for s in range(marks.shape[1]):
                # Windows reach a little into the neighbours.
                if joined[s] or joined[s + 1] or joined[s + 2]:
                    j, last = s * SEGMENT, min((s + 1) * SEGMENT, columns)
                    _reduce_masked(source, top, target_top + i, j, last, weights, nodata, sums, out[i])


@kernel("void(int16[:, ::1], int64, int64, int64, int64, int16[:, ::1])")
def reduce_cubic(
    source: NDArray[np.int16],
    top: int,
    target_top: int,
    factor: int,
    nodata: int,
    out: NDArray[np.int16],
) -> None:
    """Reduce a band by a whole factor (2 to 24) by cubic convolution; else as `reduce_cubic_2`.

    `source` needs one and a half target pixels more on every side, where the image has them.
    """
    rows, columns = out.shape
    weights, sums = cubic_weights(factor), _scratch(source.shape[1], columns, factor)
    for i in range(rows):
        _reduce_masked(source, top, target_top + i, 0, columns, weights, nodata, sums, out[i])


@kernel()
def cubic_weights(factor: int) -> NDArray[np.int32]:
    """Weights of the 4 * factor source pixels around a target's centre, times 16 * factor**3 (a = -0.5)."""
    weights = np.empty(4 * factor, np.int32)
    unit = 2 * factor
    for n in range(4 * factor):
        # Distance from the centre in half source pixels; the centre of an odd factor lies on a pixel, not between two.
        far = abs(2 * n + 1 - factor % 2 - 2 * unit)
        if far <= unit:
            weights[n] = 3 * far**3 - 5 * far**2 * unit + 2 * unit**3
        else:
            weights[n] = -(far**3) + 5 * far**2 * unit - 8 * far * unit**2 + 4 * unit**3
    return weights


@kernel()
def _weigh_rows(source: NDArray[np.int16], first: int, sums: NDArray[np.int32]) -> None:
    """Sum eight rows with their weights."""
    a, b, c, d = source[first], source[first + 1], source[first + 2], source[first + 3]
    e, f, g, h = source[first + 4], source[first + 5], source[first + 6], source[first + 7]
    for x in range(sums.size):
        inner = W0 * (np.int32(d[x]) + e[x]) + W1 * (np.int32(c[x]) + f[x])
        outer = W2 * (np.int32(b[x]) + g[x]) + W3 * (np.int32(a[x]) + h[x])
        sums[x] = np.int32(inner + outer)


@kernel()
def _weigh_columns(sums: NDArray[np.int32], out: NDArray[np.int16]) -> None:
    """Sum eight columns of weighted rows and round, in 32 bits that may wrap: the biased sum is the same number."""
    for j in range(out.size - 4):
        x = 2 * j + 1
        inner = W0 * (sums[x + 3] + sums[x + 4]) + W1 * (sums[x + 2] + sums[x + 5])
        outer = W2 * (sums[x + 1] + sums[x + 6]) + W3 * (sums[x] + sums[x + 7])
        total = np.int32(inner + outer + (32768 - 65536 * BIAS))
        value = np.int32(np.int32(total >> 16) + BIAS)
        out[j + 2] = min(max(value, np.int32(-32768)), np.int32(32767))


@kernel()
def _weigh_ends(sums: NDArray[np.int32], weights: NDArray[np.int32], out: NDArray[np.int16]) -> None:
    """As `_weigh_columns` for the two targets at either end, whose windows reach beyond the image."""
    for j in (0, 1, out.size - 2, out.size - 1):
        above, below = 0, 0
        for n in range(max(3 - 2 * j, 0), min(8, sums.size + 3 - 2 * j)):
            above += np.int64(weights[n]) * sums[2 * j - 3 + n]
            below += 256 * np.int64(weights[n])
        out[j] = round_ratio(above, below)


@kernel()
def _mark_segments(source: NDArray[np.int16], nodata: int) -> NDArray[np.uint8]:
    """1 for each segment of each source row that may hold nodata or values too low for the 32-bit sums."""
    rows, columns = source.shape
    width = 2 * SEGMENT
    marks = np.empty((rows, (columns + width - 1) // width), np.uint8)
    # One comparison finds both: nodata is negative, or there is none, or everything goes the exact way.
    suspect = LOWEST_FAST - 1 if nodata > 32767 else max(nodata, LOWEST_FAST - 1)
    if 0 < nodata <= 32767:
        suspect = 32767
    for i in range(rows):
        for s in range(marks.shape[1]):
            row = source[i, s * width : (s + 1) * width]
            lowest = row[0]
            for x in range(row.size):
                lowest = min(lowest, row[x])
            marks[i, s] = lowest <= suspect
    return marks


@kernel()
def _join_marks(marks: NDArray[np.uint8], first: int, joined: NDArray[np.uint8]) -> bool:
    """The marks of the eight rows from `first`, with one more segment at either end; whether there are any."""
    inner = joined[1:-1]
    inner[:] = 0
    for i in range(first, first + 8):
        row = marks[i]
        for s in range(row.size):
            inner[s] |= row[s]
    return bool(inner.any())


@kernel()
def _scratch(columns: int, targets: int, factor: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Room for the sums of one row: numerator and denominator, down the columns and then across."""
    return np.empty((2, columns + 4 * factor), np.int64), np.empty((2, targets), np.int64)


@kernel()
def _reduce_masked(
    source: NDArray[np.int16],
    top: int,
    target: int,
    start: int,
    stop: int,
    weights: NDArray[np.int32],
    nodata: int,
    sums: tuple[NDArray[np.int64], NDArray[np.int64]],
    out: NDArray[np.int16],
) -> None:
    """Target pixels `start` to before `stop` of target row `target`, counting only pixels that exist and are valid."""
    factor = weights.size // 4
    down, across = sums
    first = (2 * target + 1) * factor // 2 - 2 * factor - top
    left = (2 * start + 1) * factor // 2 - 2 * factor
    right = (2 * stop - 1) * factor // 2 + 2 * factor
    centres = source[first + 2 * factor, left + 2 * factor :]
    if _is_empty(centres, factor, stop - start, nodata):
        out[start:stop] = nodata
        return
    _sum_down(source, first, left, right, weights, nodata, down)
    for j in range(stop - start):
        above, below = np.int64(0), np.int64(0)
        for n in range(weights.size):
            above += np.int64(weights[n]) * down[0, factor * j + n]
            below += np.int64(weights[n]) * down[1, factor * j + n]
        across[0, j], across[1, j] = above, below
    tiny = 256 * factor**6 // 1_000_000
    for j in range(stop - start):
        missing = centres[factor * j] == nodata or abs(across[1, j]) <= tiny
        out[start + j] = nodata if missing else round_ratio(across[0, j], across[1, j])


@kernel()
def _is_empty(centres: NDArray[np.int16], factor: int, count: int, nodata: int) -> bool:
    """Whether all of the first `count` pixels under target centres are missing: swath edges leave many such rows."""
    found = 0
    for j in range(count):
        found += centres[factor * j] != nodata
    return found == 0


@kernel()
def _sum_down(
    source: NDArray[np.int16],
    first: int,
    left: int,
    right: int,
    weights: NDArray[np.int32],
    nodata: int,
    sums: NDArray[np.int64],
) -> None:
    """Weighted sums down the columns `left` to before `right`, of values and of the weights of valid pixels.

    Columns beside the image are 0 in both sums, as if missing.
    """
    sums[:, : right - left] = 0
    missing = np.int32(nodata)
    skip = max(-left, 0)
    numerator, denominator = sums[0, skip:], sums[1, skip:]
    for n in range(max(-first, 0), min(weights.size, source.shape[0] - first)):
        row, weight = source[first + n, left + skip : min(right, source.shape[1])], weights[n]
        for x in range(row.size):
            value = np.int32(row[x])
            counted = weight if value != missing else np.int32(0)
            numerator[x] += np.int64(counted) * np.int64(value)
            denominator[x] += np.int64(counted)


@kernel()
def round_ratio(above: int, below: int) -> int:
    """The integer nearest to above / below, halves up, clamped to int16; `below` has either sign."""
    if below < 0:
        above, below = -above, -below
    top, bottom = 2 * above + below, 2 * below
    # A float quotient is one off at most in this range, and many times faster than an integer one.
    quotient = int(min(max(np.floor(top / bottom), -32769.0), 32768.0))
    quotient += int(top >= (quotient + 1) * bottom) - int(top < quotient * bottom)
    return min(max(quotient, -32768), 32767)


@kernel(
    "void(int16[:, ::1], uint16[:, ::1], int64, int64, int64, int64, int64[:, ::1], int64[:, ::1], uint8[:, ::1])"
)
def accumulate_coarse(
    band: NDArray[np.int16],
    state: NDArray[np.uint16],
    excluded: int,
    top: int,
    height: int,
    nodata: int,
    numerator: NDArray[np.int64],
    denominator: NDArray[np.int64],
    centre: NDArray[np.uint8],
) -> None:
    """Add a strip's part to the sums of a bilinear reduction to the h x w pixels of `numerator`.

    `band` holds the rows from `top` of an image of `height` rows; pixels that are `nodata` or whose `state` has one of
    the `excluded` bits do not count. The three grids begin as zeros and add up over strips, in any order: weights are
    integers, 2 * height * (1 - distance) down and likewise across. `centre` gets 1 where the pixel under the centre
    of a coarse pixel counts.
    """
    coarse_rows = numerator.shape[0]
    rows, columns = band.shape
    sums = np.zeros((4, columns), np.int32)
    between = _between(top, height, coarse_rows)
    rank = 0
    for i in range(rows):
        now = _between(top + i, height, coarse_rows)
        if now != between:
            _flush_rows(sums, between, top + i - rank, height, numerator, denominator)
            between, rank = now, 0
        _add_row(band[i], state[i], excluded, nodata, rank, sums)
        rank += 1
    _flush_rows(sums, between, top + rows - rank, height, numerator, denominator)
    _mark_centres(band, state, excluded, top, height, nodata, centre)


@kernel()
def _between(k: int, size: int, coarse: int) -> int:
    """The coarse line whose centre is the last at or before the centre of line `k`: -1 to coarse - 1."""
    return ((2 * k + 1) * coarse - size) // (2 * size)


@kernel()
def _add_row(
    band: NDArray[np.int16],
    state: NDArray[np.uint16],
    excluded: int,
    nodata: int,
    rank: int,
    sums: NDArray[np.int32],
) -> None:
    """Add a row to four sums: values, values times rank, valid pixels, valid pixels times rank.

    Between two coarse centres weights are linear in the row's rank, so that these sums are all that is needed. Two
    loops, because the compiler vectorises none that writes more than a few arrays.
    """
    order, missing, bits = np.int32(rank), np.int32(nodata), np.uint16(excluded)
    plain, ranked = sums[0], sums[1]
    for x in range(band.size):
        value = np.int32(band[x])
        kept = np.int32(value * np.int32((value != missing) & ((state[x] & bits) == 0)))
        plain[x] += kept
        ranked[x] += np.int32(order * kept)
    plain, ranked = sums[2], sums[3]
    for x in range(band.size):
        valid = np.int32((np.int32(band[x]) != missing) & ((state[x] & bits) == 0))
        plain[x] += valid
        ranked[x] += np.int32(order * valid)


@kernel()
def _flush_rows(
    sums: NDArray[np.int32],
    between: int,
    first: int,
    height: int,
    numerator: NDArray[np.int64],
    denominator: NDArray[np.int64],
) -> None:
    """Give the sums of the rows from `first` to the coarse rows `between` and `between` + 1, and begin anew."""
    rows = numerator.shape[0]
    start = (2 * first + 1) * rows - height - 2 * height * between
    upper, lower = np.empty(sums.shape[1], np.int64), np.empty(sums.shape[1], np.int64)
    for grid, values, ranked in (
        (numerator, sums[0], sums[1]),
        (denominator, sums[2], sums[3]),
    ):
        for x in range(values.size):
            value = np.int64(values[x])
            down = start * value + 2 * rows * np.int64(ranked[x])
            lower[x] = down
            upper[x] = 2 * height * value - down
        if between >= 0:
            _flush_columns(upper, grid[between])
        if between + 1 < rows:
            _flush_columns(lower, grid[between + 1])
    sums[:] = 0


@kernel()
def _flush_columns(values: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    """Add the weighted values of a row to the coarse columns on either side of each."""
    columns, coarse = values.size, out.size
    x = 0
    for between in range(-1, coarse):
        total, weighted = 0, 0
        right = (2 * x + 1) * coarse - columns - 2 * columns * between
        while x < columns and right < 2 * columns:
            total += values[x]
            weighted += right * values[x]
            right += 2 * coarse
            x += 1
        if between >= 0:
            out[between] += 2 * columns * total - weighted
        if between + 1 < coarse:
            out[between + 1] += weighted


@kernel()
def _mark_centres(
    band: NDArray[np.int16],
    state: NDArray[np.uint16],
    excluded: int,
    top: int,
    height: int,
    nodata: int,
    centre: NDArray[np.uint8],
) -> None:
    """Mark the coarse pixels whose centre lies on a pixel of this strip that counts."""
    rows, columns = centre.shape
    for i in range(rows):
        k = (2 * i + 1) * height // (2 * rows) - top
        if 0 <= k < band.shape[0]:
            for j in range(columns):
                x = (2 * j + 1) * band.shape[1] // (2 * columns)
                centre[i, j] = band[k, x] != nodata and (state[k, x] & excluded) == 0


def settle_coarse(
    numerator: NDArray[np.int64], denominator: NDArray[np.int64], centre: NDArray[np.uint8], nodata: int
) -> NDArray[np.int16]:
    """The coarse band from its sums, rounded half up; `nodata` where the pixel under a centre does not count."""
    below = np.where(centre == 1, denominator, 1)
    whole, rest = np.divmod(numerator, below)
    return np.where(centre == 1, whole + (2 * rest >= below), nodata).astype(np.int16)


def coarse_lines(
    shape: tuple[int, int], coarse_shape: tuple[int, int]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """For each row, and each column, of the fine grid the coarse one under its centre, exactly."""
    rows, columns = (
        ((2 * np.arange(size) + 1) * coarse // (2 * size)).astype(np.int32)
        for size, coarse in zip(shape, coarse_shape, strict=True)
    )
    return rows, columns


def coarse_lines_lis(
    shape: tuple[int, int], coarse_shape: tuple[int, int], pixel: float
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """As `coarse_lines`, on the square pixels that GDAL gives the coarse raster: shifted where the tile is not square.

    `pixel` is the fine pixel's size in metres. Lines that fall beyond the coarse raster are -1. LIS 1.11.0 does this.
    """
    extent = [size * pixel for size in shape]
    coarse_pixel = np.hypot(extent[1], extent[0]) / np.hypot(coarse_shape[1], coarse_shape[0])
    rows, columns = (
        _shifted_lines(size, coarse, length, coarse_pixel, pixel)
        for size, coarse, length in zip(shape, coarse_shape, extent, strict=True)
    )
    return rows, columns


def _shifted_lines(
    size: int, coarse: int, length: float, coarse_pixel: float, pixel: float
) -> NDArray[np.int32]:
    seen = np.trunc(length / coarse_pixel + 0.5) * coarse_pixel
    lines = np.floor((np.arange(size) + 0.5) * (seen / size) / (length / coarse)).astype(np.int32)
    return np.where(lines >= coarse, np.int32(-1), lines)


@kernel("void(int16[:, ::1], int32[::1], int32[::1], int64, int16[:, ::1])")
def spread_coarse(
    coarse: NDArray[np.int16],
    rows: NDArray[np.int32],
    columns: NDArray[np.int32],
    nodata: int,
    out: NDArray[np.int16],
) -> None:
    """The coarse band on the fine grid: `out[i, j]` is `coarse[rows[i], columns[j]]`, `nodata` where either is -1."""
    for i in range(out.shape[0]):
        spread_row(coarse, rows[i], columns, nodata, out[i])


@kernel()
def spread_row(
    coarse: NDArray[np.int16], row: int, columns: NDArray[np.int32], nodata: int, out: NDArray[np.int16]
) -> None:
    """One row of `spread_coarse`."""
    for j in range(out.size):
        out[j] = coarse[row, columns[j]] if row >= 0 and columns[j] >= 0 else nodata


@kernel("void(int16[:, ::1], int64, int64, int64, int64, int64, int64, int16[:, ::1])")
def enlarge_bilinear(
    source: NDArray[np.int16],
    top: int,
    left: int,
    factor: int,
    row: int,
    column: int,
    nodata: int,
    out: NDArray[np.int16],
) -> None:
    """A band on pixels that are `factor` times (2 or more) as fine: bilinear between centres, missing pixels left out.

    `source[0, 0]` is image pixel (`top`, `left`); it holds the two rows and columns around every target's centre that
    the image has: beyond its edge the last ones repeat. `out[0, 0]` is pixel (`row`, `column`) of the fine grid.
    Rounded half up; a target is `nodata` where the source pixel in which it lies is.
    """
    unit = 2 * factor
    lefts, shares = _columns_between(source.shape[1], left, factor, column, out.shape[1])
    down = np.empty(source.shape[1], np.int32)
    for i in range(out.shape[0]):
        place = 2 * (row + i) + 1 - factor
        above, share = place // unit, place % unit
        first = source[max(above - top, 0)]
        second = source[min(above + 1 - top, source.shape[0] - 1)]
        if _has(first, nodata) or _has(second, nodata):
            own = first if share < factor else second
            _blend_masked(first, second, own, unit, share, lefts, shares, nodata, out[i])
            continue
        for x in range(down.size):
            down[x] = np.int32((unit - share) * first[x] + share * second[x])
        if factor == 2:
            _blend_quarters(down, lefts, shares, out[i])
        else:
            _blend(down, unit, lefts, shares, out[i])


@kernel()
def _columns_between(
    width: int, left: int, factor: int, column: int, count: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """For each target column the source columns left and right of its centre, and the share of the right."""
    lefts, shares = np.empty((2, count), np.int32), np.empty(count, np.int32)
    for j in range(count):
        place = 2 * (column + j) + 1 - factor
        before = place // (2 * factor) - left
        lefts[0, j], lefts[1, j] = max(before, 0), min(before + 1, width - 1)
        shares[j] = place % (2 * factor)
    return lefts, shares


@kernel()
def _has(row: NDArray[np.int16], value: int) -> bool:
    """Whether a number occurs in a row."""
    wanted, found = np.int32(value), np.int32(0)
    for x in range(row.size):
        found |= np.int32(np.int32(row[x]) == wanted)
    return found != 0


@kernel()
def _blend_quarters(
    down: NDArray[np.int32], lefts: NDArray[np.int32], shares: NDArray[np.int32], out: NDArray[np.int16]
) -> None:
    """`_blend` for pixels twice as fine, where the division is a shift."""
    for j in range(out.size):
        total = np.int32((4 - shares[j]) * down[lefts[0, j]] + shares[j] * down[lefts[1, j]])
        out[j] = np.int16(np.int32(total + 8) >> 4)


@kernel()
def _blend(
    down: NDArray[np.int32],
    unit: int,
    lefts: NDArray[np.int32],
    shares: NDArray[np.int32],
    out: NDArray[np.int16],
) -> None:
    """A target row from the weighted sum of two source rows."""
    whole = unit * unit
    for j in range(out.size):
        total = np.int64(unit - shares[j]) * down[lefts[0, j]] + np.int64(shares[j]) * down[lefts[1, j]]
        out[j] = (2 * total + whole) // (2 * whole)


@kernel()
def _blend_masked(
    first: NDArray[np.int16],
    second: NDArray[np.int16],
    own: NDArray[np.int16],
    unit: int,
    share: int,
    lefts: NDArray[np.int32],
    shares: NDArray[np.int32],
    nodata: int,
    out: NDArray[np.int16],
) -> None:
    """A target row of which some source pixels are missing; `own` is the source row in which it lies."""
    for j in range(out.size):
        total, weight = 0, 0
        for side in range(2):
            x = lefts[side, j]
            across = shares[j] if side else unit - shares[j]
            for value, down in ((first[x], unit - share), (second[x], share)):
                counted = across * down if value != nodata else 0
                total, weight = total + counted * np.int64(value), weight + counted
        lies_in = lefts[0, j] if 2 * shares[j] < unit else lefts[1, j]
        missing = own[lies_in] == nodata
        out[j] = nodata if missing else (2 * total + weight) // (2 * weight)


@kernel("void(int16[:, ::1], int64, int32[:, ::1])", "void(uint16[:, ::1], int64, int32[:, ::1])")
def sum_2x2(fine: NDArray[Any], nodata: int, out: NDArray[np.int32]) -> None:
    """Sum of the four pixels under each coarser one; `nodata` if any of the four is.

    `fine` has twice the rows and columns of `out`. The mean is this sum decoded with four times the divisor and four
    times the offset, which rounds nothing. `nodata` must lie outside the sums of four valid counts, or be given to
    `gather_counts` as the `NO_SUM` that is written here.
    """
    for i in range(out.shape[0]):
        upper, lower = fine[2 * i], fine[2 * i + 1]
        for j in range(out.shape[1]):
            a, b = np.int32(upper[2 * j]), np.int32(upper[2 * j + 1])
            c, d = np.int32(lower[2 * j]), np.int32(lower[2 * j + 1])
            missing = (a == nodata) | (b == nodata) | (c == nodata) | (d == nodata)
            out[i, j] = NO_SUM if missing else a + b + c + d


NO_SUM = -(2**31)
"""What `sum_2x2` writes for a missing pixel: no sum of four counts reaches it."""
