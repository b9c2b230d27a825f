"""Masks, vetoes and cuts of one pixel after the other, as the specification lists them."""

from __future__ import annotations

from dataclasses import dataclass

ROLES = (
    "invalid",
    "cloud",
    "cloud_shadow",
    "snow",
    "adjacent",
    "topo_shadow",
    "sun_low",
    "saturated",
    "aerosol_high",
)
REASON_OF_ROLE = {
    "invalid": 0,
    "cloud": 1,
    "cloud_shadow": 2,
    "snow": 3,
    "adjacent": 4,
    "topo_shadow": 5,
    "sun_low": 5,
    "saturated": 8,
    "aerosol_high": 1,
}


@dataclass(frozen=True)
class Pixel:
    """What is known of a pixel, and what its detector says."""

    prob: int
    snow_like: bool
    roles: frozenset[str]
    occurrence: int
    too_high: bool
    too_steep: bool
    hidden: frozenset[int] = frozenset()
    """Bits of REASON for which the detector masks it: snow 3, low sun 5, slope 6 or ocean 15."""


def decide(
    pixel: Pixel, mask_out: frozenset[str], threshold: int, exempt: int, on_all: int
) -> tuple[int, int, int]:
    """WATER, PROB and REASON of a pixel before morphology and the archive's support."""
    masked = pixel.roles & mask_out
    if masked or pixel.prob == 255 or pixel.hidden:
        reasons = {REASON_OF_ROLE[role] for role in masked} | pixel.hidden
        if "invalid" in pixel.roles or not reasons:
            reasons = {0}
        return 255, 255, sum(1 << bit for bit in reasons)
    reason, water = on_all, pixel.prob >= threshold
    if water:
        removed = _removed_by(pixel, exempt)
        reason, water = reason | (0 if removed is None else 1 << removed), removed is None
    if 40 <= pixel.prob < 60:
        reason |= 1 << 14
    if "adjacent" in pixel.roles:
        reason |= 1 << 4
    return int(water), pixel.prob, reason


def _removed_by(pixel: Pixel, exempt: int) -> int | None:
    """The bit of REASON that says why a candidate is removed: snow, then relief shadow, height, slope."""
    if pixel.snow_like:
        return 13
    if exempt <= pixel.occurrence <= 100:
        return None
    if "topo_shadow" in pixel.roles:
        return 5
    if pixel.too_high:
        return 7
    return 6 if pixel.too_steep else None
