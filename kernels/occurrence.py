"""Counters of water observations: they add up in any order, and occurrence is their quotient.

WATER is 0 (no water), 1 (water) or 255 (no observation). The state of a period is four uint16 layers: observations
with water, valid observations, and the days (since 1970-01-01) of the last of each, 0 = never. Periods merge by adding
counts and taking the later days; nothing else is ever needed, so that order and repetition leave no trace.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.jit import kernel

COUNT_LIMIT = 65535
"""The largest count that a layer holds; a kernel reports the pixels that would pass it."""

NO_OCCURRENCE = 255
"""Occurrence, or last water, of a pixel that was never observed."""

Bytes = NDArray[np.uint8]
Counts = NDArray[np.uint16]

_STATE = "uint16[:, ::1]"
_WATER = "uint8[:, ::1]"


@kernel(f"void({_WATER}, {_WATER})")
def merge_pass(merged: Bytes, other: Bytes) -> None:
    """Merge another mask of the same satellite pass into `merged`: 255 if both are, else the larger valid value."""
    for i in range(merged.shape[0]):
        for j in range(merged.shape[1]):
            # 255 + 1 wraps to 0: "no observation" then loses against 0 and 1.
            first, second = np.uint8(merged[i, j] + 1), np.uint8(other[i, j] + 1)
            merged[i, j] = np.uint8(max(first, second) - 1)


@kernel(f"int64({_WATER}, int64, {_STATE}, {_STATE}, {_STATE}, {_STATE})")
def count(
    water: Bytes, day: int, n_water: Counts, n_valid: Counts, last_date: Counts, last_water_date: Counts
) -> int:
    """Add one observation of `day` to the four layers in place; returns the pixels whose count was full already.

    A full count stays at 65535: when the result is not 0 the state must be thrown away.
    """
    full, date = 0, np.uint16(day)
    for i in range(water.shape[0]):
        for j in range(water.shape[1]):
            valid, wet = water[i, j] <= 1, water[i, j] == 1
            overflows = valid & (n_valid[i, j] == COUNT_LIMIT)
            full += overflows
            n_valid[i, j] += np.uint16(valid & (not overflows))
            n_water[i, j] += np.uint16(wet & (not overflows))
            last_date[i, j] = max(last_date[i, j], date if valid else np.uint16(0))
            last_water_date[i, j] = max(last_water_date[i, j], date if wet else np.uint16(0))
    return full


@kernel(f"int64({_STATE}, {_STATE}, {_STATE}, {_STATE}, {_STATE}, {_STATE}, {_STATE}, {_STATE})")
def add_period(
    n_water: Counts,
    n_valid: Counts,
    last_date: Counts,
    last_water_date: Counts,
    more_water: Counts,
    more_valid: Counts,
    date: Counts,
    water_date: Counts,
) -> int:
    """Add the state of another period in place; returns the pixels whose count would pass 65535 (and stays there)."""
    full = 0
    for i in range(n_valid.shape[0]):
        for j in range(n_valid.shape[1]):
            valid = np.uint32(np.uint32(n_valid[i, j]) + np.uint32(more_valid[i, j]))
            wet = np.uint32(np.uint32(n_water[i, j]) + np.uint32(more_water[i, j]))
            full += int(valid > COUNT_LIMIT)
            n_valid[i, j] = min(valid, np.uint32(COUNT_LIMIT))
            n_water[i, j] = min(wet, np.uint32(COUNT_LIMIT))
            last_date[i, j] = max(last_date[i, j], date[i, j])
            last_water_date[i, j] = max(last_water_date[i, j], water_date[i, j])
    return full


@kernel(f"void({_STATE}, {_STATE}, int64, {_WATER})")
def occurrence(n_water: Counts, n_valid: Counts, min_valid: int, out: Bytes) -> None:
    """OCCURRENCE: percentage of valid observations with water, half up; 255 where fewer than `min_valid` (1 or more).

    floor((200 n_water + n_valid) / (2 n_valid)), exactly: both terms stay below 2^24, so that a quotient that is no
    integer lies further from one than float64 can round.
    """
    enough = np.int32(min_valid)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            valid = np.float64(max(n_valid[i, j], np.uint16(1)))
            percent = np.floor((200.0 * n_water[i, j] + valid) / (2.0 * valid))
            out[i, j] = np.uint8(percent) if n_valid[i, j] >= enough else np.uint8(NO_OCCURRENCE)


@kernel(f"void({_STATE}, {_STATE}, float64[:, ::1], uint8[:, ::1])")
def add_month(n_water: Counts, n_valid: Counts, share: NDArray[np.float64], months: Bytes) -> None:
    """Add a month's share of water (0-1) and the month itself, where it has a valid observation.

    Float64 sums depend on their order: the caller adds the months from the first to the last.
    """
    for i in range(share.shape[0]):
        for j in range(share.shape[1]):
            seen = n_valid[i, j] > 0
            valid = np.float64(max(n_valid[i, j], np.uint16(1)))
            share[i, j] += np.float64(n_water[i, j]) / valid if seen else 0.0
            months[i, j] += np.uint8(seen)


@kernel(f"void(float64[:, ::1], uint8[:, ::1], {_WATER})")
def monthly_mean(share: NDArray[np.float64], months: Bytes, out: Bytes) -> None:
    """OCCURRENCE_MM: percentage, half up, of the mean of the monthly shares of `add_month`; 255 where no month is.

    A mean of whole counts that ends on .5 may come out a rounding below it: 1e-9 brings it back.
    """
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            mean = share[i, j] / np.float64(max(months[i, j], np.uint8(1)))
            percent = np.floor(100.0 * mean + 0.5 + 1e-9)
            out[i, j] = np.uint8(percent) if months[i, j] > 0 else np.uint8(NO_OCCURRENCE)


@kernel(f"void({_STATE}, {_STATE}, {_WATER})")
def last_water(last_date: Counts, last_water_date: Counts, out: Bytes) -> None:
    """WATER_LAST: 1 where the last valid observation's day saw water, 0 where it did not, 255 where there is none."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            wet = np.uint8(last_water_date[i, j] == last_date[i, j])
            out[i, j] = wet if last_date[i, j] > 0 else np.uint8(NO_OCCURRENCE)
