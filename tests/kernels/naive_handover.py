"""What a coarser pixel learns from the finer ones of the water chain, one by one (water specification, section 7)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def handed_over(
    water: np.ndarray,
    reason: np.ndarray,
    shape: tuple[int, int],
    meanings: Mapping[int, int],
    own: Mapping[str, int],
) -> np.ndarray:
    """Flags of each coarser pixel: `meanings` is bit of a reason to flags, `own` the flags land, mixed and nodata."""
    times = water.shape[0] // shape[0]
    words = np.zeros(shape, np.uint32)
    for i in range(shape[0]):
        for j in range(shape[1]):
            block = (slice(i * times, (i + 1) * times), slice(j * times, (j + 1) * times))
            words[i, j] = _flags(water[block].ravel(), reason[block].ravel(), meanings, own)
    return words


def _flags(water: np.ndarray, reason: np.ndarray, meanings: Mapping[int, int], own: Mapping[str, int]) -> int:
    if any(value not in (0, 1) for value in water):
        found = 0
        for value, bits in zip(water, reason, strict=True):
            if value not in (0, 1):
                for bit, flags in meanings.items():
                    if int(bits) >> bit & 1:
                        found |= flags
        return found or own["nodata"]
    if all(value == 1 for value in water):
        return 0
    return own["land"] if all(value == 0 for value in water) else own["mixed"]
