"""Neighbourhood of land and negative or saturated bands, straight from the specification."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Maybe = float | None


def near_land(land: NDArray[np.bool_], distance: int) -> NDArray[np.bool_]:
    """Not land, and land within a Chebyshev distance; outside the raster is not land."""
    rows, columns = land.shape
    out = np.zeros_like(land)
    for i in range(rows):
        for j in range(columns):
            around = land[max(0, i - distance) : i + distance + 1, max(0, j - distance) : j + distance + 1]
            out[i, j] = not land[i, j] and around.any()
    return out


def spectrum_bits(blues: Sequence[Maybe], others: Sequence[Maybe], limit: float) -> set[str]:
    found = set()
    if any(band is not None and band < 0 for band in blues):
        found.add("NEG_RRS_BLUE")
    if any(band is not None and band < 0 for band in others):
        found.add("NEG_RRS_OTHER")
    if any(band is not None and band > limit for band in (*blues, *others)):
        found.add("SATURATED")
    return found


def word_of_water(water: NDArray[np.uint8], reason: NDArray[np.uint16], table: NDArray[np.uint32]) -> int:
    """Flags of a coarse pixel by the finer ones of the water chain; 1 nodata, 2 land, 1024 mixed."""
    pairs = list(zip(water.ravel().tolist(), reason.ravel().tolist(), strict=True))
    undecided = [why for value, why in pairs if value == 255]
    if undecided:
        bits = {bit for why in undecided for bit in range(16) if why >> bit & 1}
        return int(np.bitwise_or.reduce([table[bit] for bit in sorted(bits)] or [np.uint32(0)])) or 1
    values = {value for value, _ in pairs}
    return {frozenset({0}): 2, frozenset({1}): 0}.get(frozenset(values), 1024)
