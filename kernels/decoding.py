"""Decoding of stored reflectance to DN4: reflectance x 10000, rounded half up, within what a sensor can mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.jit import kernel

DN4_LOW, DN4_HIGH = -2000, 32767
"""Range of DN4: what lies beyond is clipped."""


@kernel(
    "void(int16[:, ::1], int64, int64, int64, int16[:, ::1])",
    "void(uint16[:, ::1], int64, int64, int64, int16[:, ::1])",
)
def shift(stored: NDArray[Any], add: int, nodata: int, fill: int, out: NDArray[np.int16]) -> None:
    """Stored number + `add`, clipped to the range of DN4; `fill` where it is `nodata` (beyond 16 bits: nowhere)."""
    more, missing, empty = np.int32(add), np.int32(nodata), np.int32(fill)
    low, high = np.int32(DN4_LOW), np.int32(DN4_HIGH)
    for i in range(out.shape[0]):
        row, target = stored[i], out[i]
        for j in range(target.size):
            number = np.int32(row[j])
            value = min(max(np.int32(number + more), low), high)
            target[j] = np.int16(empty if number == missing else value)


@kernel(
    "void(uint8[:, ::1], uint8[::1], int64, uint8[:, ::1])",
    "void(uint16[:, ::1], uint8[::1], int64, uint8[:, ::1])",
    "void(uint8[:, ::1], uint16[::1], int64, uint16[:, ::1])",
    "void(uint16[:, ::1], uint16[::1], int64, uint16[:, ::1])",
)
def join_meanings(codes: NDArray[Any], table: NDArray[Any], factor: int, out: NDArray[Any]) -> None:
    """Set in `out` the bits that `table`, an entry a code, holds for any of a pixel's `factor` x `factor` codes."""
    for i in range(out.shape[0]):
        target = out[i]
        for row in range(i * factor, (i + 1) * factor):
            for column in range(factor):
                line = codes[row, column:]
                for j in range(target.size):
                    target[j] |= table[line[np.uint64(j * factor)]]


@kernel("void(uint16[:, ::1], int16[::1], int16[:, ::1])")
def look_up(stored: NDArray[np.uint16], table: NDArray[np.int16], out: NDArray[np.int16]) -> None:
    """`table` (65536) at every stored number."""
    for i in range(out.shape[0]):
        row, target = stored[i], out[i]
        for j in range(target.size):
            target[j] = table[row[j]]
