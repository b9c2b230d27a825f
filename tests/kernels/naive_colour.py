"""Hue and Forel-Ule class of one pixel, straight from the specification; None is no value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Maybe = float | None


def angle(bands: Sequence[Maybe], table: dict[str, Any]) -> Maybe:
    """alpha, 0 to 360."""
    if any(band is None for band in bands):
        return None
    x, y, z = (
        sum(w * band for w, band in zip(table[axis], bands, strict=True) if band is not None)
        for axis in ("X", "Y", "Z")
    )
    if x + y + z <= 0:
        return None
    across, up = x / (x + y + z) - 1 / 3, y / (x + y + z) - 1 / 3
    return None if across == up == 0 else math.degrees(math.atan2(up, across)) % 360


def hue(alpha: Maybe, table: dict[str, Any]) -> Maybe:
    if alpha is None:
        return None
    d = min(max(alpha, table["alpha_domain"][0]), table["alpha_domain"][1]) / 100
    value = alpha + sum(c * d ** (5 - k) for k, c in enumerate(table["poly_highest_first"]))
    return value if 0 <= value <= 360 else None


def forel_ule(value: Maybe, angles: Sequence[float]) -> int:
    if value is None:
        return 0
    for number in range(1, 21):
        if value >= (angles[number - 1] + angles[number]) / 2:
            return number
    return 21
