"""Counts of the pixels that may become snow, packed for the time between the snow chain's two steps.

Green and SWIR are needed again where snow is found, which is known only when the snow line is: pixels that cannot
become snow need not be kept, which is half of them or more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.jit import kernel
from thalweg.kernels.snow import ANY_CLOUD, BLUE, CANDIDATE2, CLOUD1, SNOW1


@kernel("int64(uint16[:, ::1])")
def count_candidates(state: NDArray[np.uint16]) -> int:
    """How many pixels of a strip may become snow."""
    total = 0
    for i in range(state.shape[0]):
        row = state[i]
        found = np.int32(0)
        for j in range(row.size):
            found += np.int32(_may_be_snow(row[j]))
        total += found
    return total


@kernel("void(uint16[:, ::1], int16[:, ::1], int16[::1])")
def pack_candidates(state: NDArray[np.uint16], counts: NDArray[np.int16], packed: NDArray[np.int16]) -> None:
    """The counts of the pixels that may become snow, in raster order, as many as `count_candidates` says."""
    place = 0
    for i in range(state.shape[0]):
        row, values = state[i], counts[i]
        for j in range(row.size):
            if _may_be_snow(row[j]):
                packed[place] = values[j]
                place += 1


@kernel("void(uint16[:, ::1], int16[::1], int16[:, ::1])")
def unpack_candidates(
    state: NDArray[np.uint16], packed: NDArray[np.int16], counts: NDArray[np.int16]
) -> None:
    """Counts back in their places, 0 elsewhere; `state` may have gone through pass 1.5 since."""
    place = 0
    for i in range(state.shape[0]):
        row, values = state[i], counts[i]
        for j in range(row.size):
            values[j] = 0
            if _may_be_snow(row[j]):
                values[j] = packed[place]
                place += 1


@kernel()
def _may_be_snow(bits: np.uint16) -> bool:
    # Snow that pass 1.5 took for cloud is cloud of pass 1 outside the cloud mask: it counts before and after.
    taken = (bits & np.uint16(CLOUD1)) != 0 and (bits & np.uint16(ANY_CLOUD)) == 0
    return (bits & np.uint16(SNOW1 | CANDIDATE2 | BLUE)) != 0 or taken
