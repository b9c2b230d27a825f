"""The pixels of a strip that are worth computing, in batches that stay in cache.

A strip is flat here (rows x columns as one dimension). Each batch is a list of positions: bands are gathered into
dense rows, every algorithm runs on these, and layers are scattered back. What a batch holds can change no result.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.jit import kernel
from thalweg.kernels.reflectance import copy, run_of

BATCH = 32768
"""Pixels of a batch: the calls of a batch cost little, and its hottest rows stay in the second-level cache."""

SEGMENT = 512
"""Pixels that are counted before they are looked at one by one: mostly all are usable, or none."""


@kernel("UniTuple(int64, 2)(uint32[::1], int64, int64, int32[::1])")
def find_usable(
    words: NDArray[np.uint32], masked: int, start: int, index: NDArray[np.int32]
) -> tuple[int, int]:
    """Fill `index` with the next pixels, from `start`, that have none of the bits `masked`.

    Returns how many were found and where to go on; the end of the strip when there are no more.
    """
    mask = np.uint32(masked)
    found, i = 0, start
    while found < index.size and i < words.size:
        # So many pixels cannot overfill the index, whatever they are: no test is needed for each.
        stop = min(words.size, i + min(SEGMENT, index.size - found))
        usable = _count_usable(words[i:stop], mask)
        if usable == stop - i:
            _number(i, index[found : found + usable])
            found += usable
        elif usable:
            found = _list_usable(words, mask, i, stop, index, found)
        i = stop
    return found, i


@kernel()
def _count_usable(words: NDArray[np.uint32], mask: int) -> int:
    # Counts of 32 bits keep the loop as narrow as the words are.
    count = np.uint32(0)
    for i in range(words.size):
        count = np.uint32(count + np.uint32((words[i] & mask) == np.uint32(0)))
    return np.int64(count)


@kernel()
def _number(first: int, index: NDArray[np.int32]) -> None:
    start = np.int32(first)
    for i in range(index.size):
        index[i] = start + np.int32(i)


@kernel()
def _list_usable(
    words: NDArray[np.uint32], mask: int, start: int, stop: int, index: NDArray[np.int32], found: int
) -> int:
    for i in range(start, stop):
        # Written without a branch: the next one takes the place of a pixel that is not usable.
        index[found] = i
        found += np.int64((words[i] & mask) == 0)
    return found


@kernel("void(uint32[::1], int32[::1], uint32[::1])")
def gather_words(words: NDArray[np.uint32], index: NDArray[np.int32], out: NDArray[np.uint32]) -> None:
    """The flags of the pixels `index`."""
    first, last = run_of(index)
    if last > first:
        copy(words[first:last], out)
    else:
        for i in range(index.size):
            out[i] = words[index[i]]


@kernel("void(uint32[::1], int32[::1], uint32[::1])")
def scatter_words(words: NDArray[np.uint32], index: NDArray[np.int32], out: NDArray[np.uint32]) -> None:
    """Put the flags of the pixels `index` back."""
    first, last = run_of(index)
    if last > first:
        copy(words, out[first:last])
    else:
        for i in range(index.size):
            out[index[i]] = words[i]


@kernel("void(uint32[::1], int64, int64, uint32[::1])")
def finish_words(words: NDArray[np.uint32], masked: int, kept: int, out: NDArray[np.uint32]) -> None:
    """Clear all but the bits `kept` where a pixel has one of `masked`, and bit 31 everywhere."""
    for i in range(words.size):
        allowed = np.uint32(kept) if words[i] & np.uint32(masked) else np.uint32(0x7FFFFFFF)
        out[i] = words[i] & allowed
