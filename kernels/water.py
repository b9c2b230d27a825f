"""What a water chain decides of a pixel once its detector has spoken: masks, vetoes and cuts, as one byte per pixel.

The byte, `state`, of a pixel that is decided: WATER, SUPPORT (satellite archives have seen water there), why a
candidate was refused (`CAUSE`), CHANGED by morphology, NEW water. Of a masked pixel: MASKED and what hides it
(``BY_``); nothing hides what has no data. So neither masks nor bands are needed again when the layers are written.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.dswx import difference_row, rise_east_row
from thalweg.kernels.formula import formula
from thalweg.kernels.jit import kernel
from thalweg.kernels.samples import MAY_BE_WATER, SNOW_LIKE
from thalweg.kernels.wofs import dilate

INVALID, CLOUD, CLOUD_SHADOW, SNOW, ADJACENT, TOPO_SHADOW, SUN_LOW, SATURATED, AEROSOL_HIGH = (
    1 << bit for bit in range(9)
)
"""Bits of the mask roles."""

WATER, SUPPORT, CHANGED, NEW, MASKED = 1, 2, 32, 64, 128
"""Bits of `state`."""

CAUSE = 28
"""Bits of `state` that say why a pixel is not to be water, 0: nothing does."""

BY_SNOW, BY_SHADOW, BY_HAND, BY_SLOPE, BARRED = 4, 8, 12, 16, 20
"""Values of `CAUSE`: what removed a candidate; BARRED: one of these holds, but the detector saw no water."""

(
    HIDDEN_BY_CLOUD,
    HIDDEN_BY_SHADOW,
    HIDDEN_BY_SNOW,
    HIDDEN_BY_ADJACENT,
    HIDDEN_BY_SUN,
    HIDDEN_BY_GLARE,
    HIDDEN_BY_PLACE,
) = (1 << bit for bit in range(7))
"""Bits of `state` of a masked pixel: cloud, its shadow, snow, beside a cloud, low sun or relief shadow, saturated, and
what only a detector knows of: ocean (dswx) or steep ground (wofs). None: it has no data."""

BESIDE_CLOUD = 128
"""Bit of the kept percentage of a pixel that is decided though it lies beside a cloud."""

TOO_HIGH, TOO_STEEP = 1, 2
"""Bits of `ground`: above the drainage by more than the limit, steeper than the limit."""

REASONS = (
    "invalid",
    "cloud",
    "cloud_shadow",
    "snow",
    "adjacent_to_cloud",
    "topo_shadow_or_sun_low",
    "slope_cut",
    "hand_cut",
    "saturated",
    "reserved",
    "no_training",
    "new_water",
    "morphology",
    "snow_like",
    "low_confidence",
    "ocean",
)
"""Bits of REASON, from bit 0."""

UNDECIDED = 255
"""WATER and PROB of a masked pixel."""

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint16]
Reflectances = NDArray[np.int16]
Bands = tuple[Reflectances, Reflectances, Reflectances, Reflectances, Reflectances, Reflectances]

_BANDS = "UniTuple(int16[:, ::1], 6)"
_BY_SNOW, _LOW_CONFIDENCE = 1 << 13, 1 << 14

SLOPE, NO_TRAINING, OCEAN = 1 << 6, 1 << 10, 1 << 15
"""Bits of REASON: too steep; a fallback decided, or a model of low quality; ocean."""


@formula
def _hidden_by(roles: np.uint16) -> np.uint8:
    """What hides a pixel with these mask roles; heavy aerosol hides the ground as a cloud does."""
    same = (roles & (CLOUD | CLOUD_SHADOW | SNOW | ADJACENT | TOPO_SHADOW)) >> 1
    sun, glare = (roles & SUN_LOW) >> 2, (roles & SATURATED) >> 2
    return np.uint8(same | sun | glare | ((roles & AEROSOL_HIGH) >> 8))


@formula
def _reason_of_hidden(state: np.uint16, of_place: np.uint16) -> np.uint16:
    """REASON of a masked pixel; `of_place`: what the detector's own mask means."""
    sky = HIDDEN_BY_CLOUD | HIDDEN_BY_SHADOW | HIDDEN_BY_SNOW | HIDDEN_BY_ADJACENT | HIDDEN_BY_SUN
    place = of_place if (state & HIDDEN_BY_PLACE) != 0 else np.uint16(0)
    reasons = np.uint16(((state & sky) << 1) | ((state & HIDDEN_BY_GLARE) << 3) | place)
    return np.uint16(INVALID) if reasons == 0 else reasons


@formula
def _reason_of_state(state: np.uint16) -> np.uint16:
    """REASON of the state of a decided pixel: what removed a candidate, morphology, new water."""
    cause = state & CAUSE
    snow = np.uint16(_BY_SNOW) if cause == BY_SNOW else np.uint16(0)
    relief = np.uint16(32) if cause == BY_SHADOW else snow
    height = np.uint16(128) if cause == BY_HAND else relief
    removed = np.uint16(64) if cause == BY_SLOPE else height
    return np.uint16(removed | ((state & CHANGED) << 7) | ((state & NEW) << 5))


@kernel(f"void({_BANDS}, int64, uint16[:, ::1], uint16[:, ::1])")
def mark_invalid(bands: Bands, nodata: int, roles: Words, out: Words) -> None:
    """The `roles`, uint16 (h, w), with INVALID added where any band is `nodata`."""
    blue, green, red, nir, swir1, swir2 = bands
    empty = np.int16(nodata)
    for i in range(out.shape[0]):
        b, g, r, n, s, t, row, marked = (
            blue[i],
            green[i],
            red[i],
            nir[i],
            swir1[i],
            swir2[i],
            roles[i],
            out[i],
        )
        for j in range(marked.size):
            hole = (b[j] == empty) | (g[j] == empty) | (r[j] == empty)
            hole = hole | (n[j] == empty) | (s[j] == empty) | (t[j] == empty)
            marked[j] = np.uint16(hole)
        # A second loop: a compiler vectorises few arrays at a time.
        for j in range(marked.size):
            marked[j] |= row[j]


@kernel("void(uint8[:, ::1], uint8[:, ::1], uint8[:, ::1])")
def hidden_in_dswx(wtr: Bytes, prob: Bytes, hidden: Bytes) -> None:
    """What DSWx-HLS masks itself, from its layer WTR, in the bits ``HIDDEN_BY_``; `prob` becomes 255 there.

    Clouds and what they shade are mask roles already: only snow, ocean and pixels without data are said again.
    """
    for i in range(hidden.shape[0]):
        for j in range(hidden.shape[1]):
            code = wtr[i, j]
            snow = np.uint8(HIDDEN_BY_SNOW) if code == 252 else np.uint8(0)
            hidden[i, j] = np.uint8(HIDDEN_BY_PLACE) if code == 254 else snow
            prob[i, j] = np.uint8(UNDECIDED) if (code == 252) | (code >= 254) else prob[i, j]


@kernel("void(float32[:, ::1], float64, uint8[:, ::1])")
def mark_high(hand: NDArray[np.float32], limit: float, ground: Bytes) -> None:
    """Add TOO_HIGH to `ground` where the height above drainage, metres, exceeds `limit`; NaN and negative: unknown."""
    highest = np.float32(limit)
    for i in range(ground.shape[0]):
        for j in range(ground.shape[1]):
            ground[i, j] |= np.uint8(hand[i, j] > highest) * np.uint8(TOO_HIGH)


@kernel("void(float32[:, ::1], int64, int64, float64, uint8[:, ::1])")
def _mark_steep(dem: NDArray[np.float32], top: int, left: int, squared: float, ground: Bytes) -> None:
    height, width = ground.shape
    last = dem.shape[0] - 1
    east, south = np.zeros(width), np.empty(width)
    for i in range(height):
        row, columns = top + i, slice(left, left + width)
        above, below = max(row - 1, 0), min(row + 1, last)
        rise_east_row(dem[row], left, east)
        difference_row(dem[below, columns], dem[above, columns], 2.0 if below - above == 1 else 1.0, south)
        for j in range(width):
            steep = east[j] * east[j] + south[j] * south[j] > squared
            ground[i, j] |= np.uint8(steep) * np.uint8(TOO_STEEP)


def mark_steep(
    dem: NDArray[np.float32], top: int, left: int, ground: Bytes, *, pixel: float, max_slope: float
) -> None:
    """Add TOO_STEEP to `ground` where the relief rises over `max_slope`, degrees: central differences, float64.

    `ground` pixel (i, j) is `dem` pixel (`top` + i, `left` + j); at an edge of `dem` differences are one-sided; where a
    neighbour is NaN nothing is steep. `pixel` and `dem` in metres.
    """
    rise = 2.0 * pixel * math.tan(math.radians(max_slope))
    _mark_steep(dem, top, left, rise * rise, ground)


@kernel(
    "void(uint8[:, ::1], uint8[:, ::1], uint16[:, ::1], uint8[:, ::1], uint8[:, ::1], uint16, uint8, uint8, uint8,"
    " uint8[:, ::1])"
)
def decide(
    prob: Bytes,
    tests: Bytes,
    roles: Words,
    occurrence: Bytes,
    ground: Bytes,
    masked_by: np.uint16,
    threshold: np.uint8,
    exempt: np.uint8,
    vetoed_by: np.uint8,
    state: Bytes,
) -> None:
    """Masks, spectral veto and terrain cuts of a block; `state` holds what the detector hides and is written.

    All (h, w). `prob`: percent, 255 where the detector masks; becomes 255 wherever a role of `masked_by` is, and gets
    BESIDE_CLOUD where a cloud is near. `tests`:
    of `samples.spectral_tests`, `vetoed_by` the bits of it that forbid water. `roles`: mask bits; `occurrence`:
    percent, 255 unknown; `ground`: TOO_HIGH, TOO_STEEP. Candidates have at least `threshold`. Cuts are not made
    where the occurrence is at least `exempt`.
    """
    for i in range(state.shape[0]):
        for j in range(state.shape[1]):
            role, percent, chance = roles[i, j], occurrence[i, j], prob[i, j]
            masked = ((role & masked_by) != 0) | (chance == UNDECIDED)
            candidate = chance >= threshold
            known = percent <= 100
            cut = not (known & (percent >= exempt))
            cause = np.uint8(BY_SLOPE) if cut & ((ground[i, j] & TOO_STEEP) != 0) else np.uint8(0)
            cause = np.uint8(BY_HAND) if cut & ((ground[i, j] & TOO_HIGH) != 0) else cause
            cause = np.uint8(BY_SHADOW) if cut & ((role & TOPO_SHADOW) != 0) else cause
            cause = np.uint8(BY_SNOW) if (tests[i, j] & vetoed_by) != 0 else cause
            water = np.uint8(candidate & (cause == 0))
            cause = cause if candidate | (cause == 0) else np.uint8(BARRED)
            support = np.uint8(known & (percent > 0)) << 1
            hidden = np.uint8(state[i, j] | _hidden_by(role & masked_by))
            hidden = np.uint8(0) if (role & INVALID) != 0 else hidden
            beside = np.uint8(BESIDE_CLOUD) if (role & ADJACENT) != 0 else np.uint8(0)
            state[i, j] = np.uint8(MASKED | hidden) if masked else np.uint8(water | cause | support)
            prob[i, j] = np.uint8(UNDECIDED) if masked else np.uint8(chance | beside)


@kernel("UniTuple(int64, 2)(uint8[:, ::1], uint8[:, ::1], uint8[:, ::1], int64)")
def tally(prob: Bytes, tests: Bytes, state: Bytes, threshold: int) -> tuple[int, int]:
    """Decided pixels; of these, without snow-like ones, those where candidate and MAY_BE_WATER differ."""
    valid, differ = 0, 0
    for i in range(prob.shape[0]):
        for j in range(prob.shape[1]):
            decided = (state[i, j] & MASKED) == 0
            test = tests[i, j]
            unlike = ((prob[i, j] & 127) >= threshold) != ((test & MAY_BE_WATER) != 0)
            valid += decided
            differ += decided & unlike & ((test & SNOW_LIKE) == 0)
    return valid, differ


def close_gaps(state: Bytes, radius: int) -> None:
    """Closing of the water of a whole tile with a disc, in place: what becomes water gets CHANGED.

    Masked pixels and what lies outside are no water when it grows and water when it shrinks; they stay as they are, and
    so does a pixel that has a `CAUSE`.
    """
    water = ((state & (WATER | MASKED)) == WATER).astype(np.uint8)
    grown = np.empty_like(state)
    dilate(water, float(radius * radius), grown)
    gap = ((grown == 0) & ((state & MASKED) == 0)).astype(np.uint8)
    dilate(gap, float(radius * radius), grown)
    closed = (grown == 0) & ((state & (WATER | MASKED | CAUSE)) == 0)
    state[closed] |= np.uint8(WATER | CHANGED)


@kernel(
    "UniTuple(int64, 2)(uint8[:, ::1], uint8[:, ::1], uint16, uint16, uint8, uint8[:, ::1], uint8[:, ::1],"
    " uint16[:, ::1])"
)
def write(
    prob: Bytes,
    state: Bytes,
    of_place: np.uint16,
    on_all: np.uint16,
    sensor: np.uint8,
    water: Bytes,
    source: Bytes,
    reason: Words,
) -> tuple[int, int]:
    """WATER and SOURCE, uint8, and REASON, uint16, of a block (h, w); gives back how many are decided, and water.

    `of_place`: REASON of what the detector masks itself; `on_all`: bits of it that every decided pixel gets; `sensor`:
    SOURCE of a decided pixel. `prob` loses BESIDE_CLOUD.
    """
    decided, wet = 0, 0
    for i in range(water.shape[0]):
        _reason_row(prob[i], state[i], of_place, on_all, reason[i])
        _code_row(state[i], np.uint8(UNDECIDED), np.uint8(WATER), np.uint8(0), water[i])
        _code_row(state[i], np.uint8(0), np.uint8(0), sensor, source[i])
        for j in range(water.shape[1]):
            prob[i, j] = np.uint8(prob[i, j] & 127) if water[i, j] != UNDECIDED else np.uint8(UNDECIDED)
        for j in range(water.shape[1]):
            decided += water[i, j] != UNDECIDED
        for j in range(water.shape[1]):
            wet += water[i, j] == WATER
    return decided, wet


@kernel()
def _reason_row(prob: Bytes, state: Bytes, of_place: np.uint16, on_all: np.uint16, reason: Words) -> None:
    for j in range(reason.size):
        held, percent = np.uint16(state[j]), np.uint8(prob[j] & 127)
        unsure = np.uint16(_LOW_CONFIDENCE) if (percent >= 40) & (percent < 60) else np.uint16(0)
        beside = np.uint16((prob[j] & BESIDE_CLOUD) >> 3)
        why = np.uint16(_reason_of_state(held) | on_all | unsure | beside)
        reason[j] = _reason_of_hidden(held, of_place) if (held & MASKED) != 0 else why


@kernel()
def _code_row(state: Bytes, masked: np.uint8, shown: np.uint8, put: np.uint8, out: Bytes) -> None:
    """`masked` in masked pixels, in others the bits `shown` of the state, and `put`."""
    for j in range(out.size):
        code = np.uint8(np.uint8(state[j] & shown) | put)
        out[j] = masked if (state[j] & np.uint8(MASKED)) != 0 else code
