"""DSWx-HLS surface water: five spectral tests per pixel, then one table of decisions.

Source of the rules: OPERA DSWx-HLS, repository nasa/PROTEUS (commit 426a9e7, version 1.0.2, Apache-2.0), and the
DSWE tests of Jones 2019, doi:10.3390/rs11040374. Every comparison is made on integers; only the light on the relief
is float64, with multiplications alone.

The rules are worked out on bytes, row by row: a handful of bits per pixel say which tests hold, what Fmask tells and
what the ground is, and every layer follows from them by comparisons that turn into vector instructions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.formula import formula
from thalweg.kernels.jit import kernel

FILL = -9999
"""DN of a pixel without data, where the product declares none."""

FMASK_FILL = 255
"""Fmask value of a pixel without data; -1 where the file declares none."""

DIAG_INVALID = 65535
"""DIAG of a pixel without data."""

INVALID = 255
"""Code of a pixel without data, in every 8-bit layer."""

OCEAN = 254
"""Code of an ocean pixel."""

LAYERS = ("WTR", "BWTR", "CONF", "WTR-1", "WTR-2", "CLOUD", "PROB")
"""The 8-bit layers that follow from the tests; PROB is a percentage of `Probabilities`, 255 where WTR-2 is no class."""

ADJACENT_MODES = ("mask", "ignore", "cover")
"""What a pixel next to a cloud is: masked, ordinary, or snow or ground as its neighbours are."""

COVER_HALO = 17
"""Pixels that mode `cover` needs around a block: 10 steps of snow and 7 of ground."""

_FMASK_CLOUD, _FMASK_ADJACENT, _FMASK_SHADOW, _FMASK_SNOW = 2, 4, 8, 16
_CLOUD, _SHADOW, _SNOW, _AEROSOL_OPEN, _AEROSOL_PARTIAL = 1, 2, 4, 8, 16
_HOLE = 32
_KEPT = 34
_STRETCH = 64
_NIR_LOW, _NIR_HIGH = 1, 2
_LIT, _LAND_SHIFT, _OCEAN_BIT = 1, 1, 8
_WATER_LAND, _SOFT_LAND, _BUILT_LAND = 1, 2, 3
_CLEAR_BIT, _WET_BIT = 1, 2

PLAIN = _LIT
"""`ground` of lit land of no class that matters."""

_COVER = len(LAYERS)
_WTR, _BWTR, _CONF, _WTR_1, _WTR_2, _CLOUD_LAYER, _PROB = range(len(LAYERS))

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint16]
Numbers = NDArray[np.float64]
Elevations = NDArray[np.float32]
Reflectances = NDArray[np.int16]
Bands = tuple[Reflectances, ...]
"""Six bands: blue, green, red, near infrared, short-wave infrared 1 and 2, DN x 0.0001."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Limits of the tests: ratios in thousandths, reflectances in DN x 0.0001."""

    mndwi: int = 124
    """MNDWI above which test 1 holds."""
    awesh: int = 0
    """Four times the AWESH index, in DN, above which test 3 holds."""
    partial_1_mndwi: int = -440
    """MNDWI above which test 4 may hold."""
    partial_1_swir1: int = 900
    """Short-wave infrared 1 below which test 4 may hold."""
    partial_1_nir: int = 1500
    """Near infrared below which test 4 may hold."""
    partial_1_ndvi: int = 700
    """NDVI below which test 4 may hold."""
    partial_2_mndwi: int = -500
    """MNDWI above which test 5 may hold."""
    partial_2_blue: int = 1000
    """Blue below which test 5 may hold."""
    partial_2_swir1: int = 3000
    """Short-wave infrared 1 below which test 5 may hold."""
    partial_2_swir2: int = 1000
    """Short-wave infrared 2 below which test 5 may hold."""
    partial_2_nir: int = 2500
    """Near infrared below which test 5 may hold."""
    aerosol_nir: int = 1000
    """Near infrared up to which a pixel under heavy aerosol may be water after all."""
    land_nir: int = 1200
    """Near infrared above which partial water on forest or built-up land is removed."""

    def as_array(self) -> NDArray[np.int16]:
        """The limits in the order of the fields, as `classify` takes them."""
        return np.array(astuple(self), dtype=np.int16)


@dataclass(frozen=True, slots=True)
class FmaskRules:
    """How an Fmask value is read."""

    adjacent: str = "mask"
    """One of `ADJACENT_MODES`."""
    aerosol_open: frozenset[int] = frozenset({96, 160, 224})
    """Values under which classes 0 and 2 become open water; empty: no remap."""
    aerosol_partial: frozenset[int] = frozenset({96, 128, 160, 192, 224})
    """Values under which classes 3 and 4 become open water; empty: no remap."""

    def without_aerosol(self) -> FmaskRules:
        """The same reading, with the aerosol remap off."""
        return FmaskRules(self.adjacent, frozenset(), frozenset())

    def classes(self) -> Bytes:
        """What each Fmask value says, as bits, uint8 (256,); ValueError for an unknown mode."""
        if self.adjacent not in ADJACENT_MODES:
            raise ValueError(f"adjacent mode {self.adjacent!r} is none of {', '.join(ADJACENT_MODES)}")
        value = np.arange(256)
        shadow = _FMASK_SHADOW | (_FMASK_ADJACENT if self.adjacent == "mask" else 0)
        flags = (
            ((value & _FMASK_CLOUD) != 0, _CLOUD),
            ((value & shadow) != 0, _SHADOW),
            ((value & _FMASK_SNOW) != 0, _SNOW),
            (np.isin(value, sorted(self.aerosol_open)), _AEROSOL_OPEN),
            (np.isin(value, sorted(self.aerosol_partial)), _AEROSOL_PARTIAL),
        )
        return sum((np.where(flag, bit, 0) for flag, bit in flags), np.zeros(256, int)).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Probabilities:
    """Nominal percentage of each inner class of WTR-2, not calibrated."""

    dry: int = 5
    """Class 0."""
    open_high: int = 95
    """Class 1, open water, high confidence."""
    open_moderate: int = 80
    """Class 2, open water, moderate confidence."""
    partial_conservative: int = 40
    """Class 3; 60 where partial surface water counts as water."""
    partial_aggressive: int = 30
    """Class 4; 50 where partial surface water counts as water."""

    @classmethod
    def partial_as_water(cls) -> Probabilities:
        """The percentages with which partial surface water passes a threshold of 50."""
        return cls(partial_conservative=60, partial_aggressive=50)


@dataclass(frozen=True, slots=True)
class Rules:
    """All that `classify` must know beside the pixels."""

    thresholds: Thresholds = field(default_factory=Thresholds)
    """Limits of the tests."""
    fmask: FmaskRules = field(default_factory=FmaskRules)
    """How Fmask is read."""
    percents: Probabilities = field(default_factory=Probabilities)
    """What PROB says."""
    fill: int = FILL
    """DN of a pixel without data."""
    fmask_fill: int = FMASK_FILL
    """Fmask value of a pixel without data; -1: there is none."""


@kernel()
def _test_row(
    bands: Bands,
    fmask: Bytes,
    fill: np.int16,
    fmask_fill: np.int16,
    limit: NDArray[np.int16],
    tests: Bytes,
    nir_class: Bytes,
) -> None:
    """The five test bits and the invalid bit (32) of a row; its near infrared against two limits (1 low, 2 high).

    A ratio (a - b) / (a + b) > m / 1000 is tested as (1000 - m) a > (1000 + m) b: factors of 16 bits make products of
    32 that a CPU has cheap instructions for.
    """
    blue, green, red, nir, swir1, swir2 = bands
    # A limit read inside the loop might be changed by a store to `tests`: the compiler would not vectorise.
    mndwi, awesh, low_nir, high_nir = limit[0], np.int32(limit[1]), limit[11], limit[12]
    mndwi_1, swir1_1, nir_1, ndvi_1 = limit[2], limit[3], limit[4], limit[5]
    mndwi_2, blue_2, swir1_2, swir2_2, nir_2 = limit[6], limit[7], limit[8], limit[9], limit[10]
    less, more = np.int16(1000 - mndwi), np.int16(1000 + mndwi)
    less_1, more_1 = np.int16(1000 - mndwi_1), np.int16(1000 + mndwi_1)
    less_2, more_2 = np.int16(1000 - mndwi_2), np.int16(1000 + mndwi_2)
    less_green, more_green = np.int16(1000 - ndvi_1), np.int16(1000 + ndvi_1)
    one, four, six, ten = np.int16(1), np.int16(4), np.int16(6), np.int16(10)
    # Two loops: one in 16 bits, one whose products have 32.
    for j in range(blue.size):
        hole = (blue[j] == fill) | (green[j] == fill) | (red[j] == fill) | (nir[j] == fill)
        hole = hole | (swir1[j] == fill) | (swir2[j] == fill) | (fmask[j] == fmask_fill)
        b, g, r = max(blue[j], one), max(green[j], one), max(red[j], one)
        n, s, t = max(nir[j], one), max(swir1[j], one), max(swir2[j], one)
        visible = np.uint16(np.uint16(g) + np.uint16(r)) > np.uint16(np.uint16(n) + np.uint16(s))
        dark_1 = (s < swir1_1) & (n < nir_1)
        dark_2 = (b < blue_2) & (s < swir1_2) & (t < swir2_2) & (n < nir_2)
        low = (np.uint8(visible) << 1) | (np.uint8(dark_1) << 3)
        tests[j] = np.uint8(low | (np.uint8(dark_2) << 4) | (np.uint8(hole) << 5))
        nir_class[j] = np.uint8(np.uint8(n <= low_nir) | (np.uint8(n > high_nir) << 1))
    for j in range(blue.size):
        b, g, r = max(blue[j], one), max(green[j], one), max(red[j], one)
        n, s, t = max(nir[j], one), max(swir1[j], one), max(swir2[j], one)
        lit = np.int32(
            np.int32(np.int32(b) * np.int32(four)) + np.int32(np.int32(g) * np.int32(ten))
        ) - np.int32(np.int32(np.int32(n) * np.int32(six)) + np.int32(np.int32(s) * np.int32(six)))
        water = np.int32(np.int32(np.int32(g) * np.int32(less)) - np.int32(np.int32(s) * np.int32(more))) > 0
        wet_1 = (
            np.int32(np.int32(np.int32(g) * np.int32(less_1)) - np.int32(np.int32(s) * np.int32(more_1))) > 0
        )
        wet_2 = (
            np.int32(np.int32(np.int32(g) * np.int32(less_2)) - np.int32(np.int32(s) * np.int32(more_2))) > 0
        )
        bare = (
            np.int32(
                np.int32(np.int32(n) * np.int32(less_green)) - np.int32(np.int32(r) * np.int32(more_green))
            )
            < 0
        )
        low = np.uint8(water) | (np.uint8(np.int32(lit - t) > awesh) << 2)
        high = (np.uint8(wet_1 & bare) << 3) | (np.uint8(wet_2) << 4)
        tests[j] = np.uint8(low | (tests[j] & _KEPT) | (tests[j] & high))


@kernel()
def _inner_row(tests: Bytes, ground: Bytes, inner: Bytes) -> None:
    """The class of WTR-1 before it is collapsed: 0 to 4, ocean or invalid."""
    for j in range(inner.size):
        passed = np.uint8(tests[j] & 31)
        low = np.uint8(np.uint8(passed & 1) + np.uint8((passed >> 1) & 1) + np.uint8((passed >> 2) & 1))
        count = np.uint8(low + np.uint8((passed >> 3) & 1) + np.uint8(passed >> 4))
        few = np.uint8(4) if (count == 2) | (passed == 0b10000) else np.uint8(0)
        few = np.uint8(3) if passed == 0b11000 else few
        some = np.uint8(2) if count == 3 else few
        known = np.uint8(1) if count >= 4 else some
        known = np.uint8(OCEAN) if ground[j] & _OCEAN_BIT else known
        inner[j] = np.uint8(INVALID) if tests[j] & _HOLE else known


@kernel()
def _look_up_row(codes: Bytes, table: Bytes, out: Bytes) -> None:
    """`table` at every code, a whole stretch at once where its codes are the same."""
    for first in range(0, out.size, _STRETCH):
        stretch, target = codes[first : first + _STRETCH], out[first : first + _STRETCH]
        differing = np.uint8(0)
        for j in range(stretch.size):
            differing = np.uint8(differing | np.uint8(stretch[j] ^ stretch[0]))
        if differing == 0:
            target[:] = table[stretch[0]]
            continue
        for j in range(stretch.size):
            target[j] = table[stretch[j]]


@kernel()
def _mask_row(inner: Bytes, said: Bytes, nir_class: Bytes, ground: Bytes, wtr_2: Bytes, cloud: Bytes) -> None:
    """From WTR-1 to WTR-2: the aerosol remap, then relief and land; and CLOUD without snow."""
    for j in range(inner.size):
        before, bits, place = inner[j], said[j], ground[j]
        under_open = ((before == 0) | (before == 2)) & ((bits & _AEROSOL_OPEN) != 0)
        under_partial = ((before == 3) | (before == 4)) & ((bits & _AEROSOL_PARTIAL) != 0)
        remapped = (under_open | under_partial) & ((nir_class[j] & _NIR_LOW) != 0)
        after = np.uint8(1) if remapped else before
        wet, partial, land = _is_wet(after), (after == 3) | (after == 4), np.uint8((place >> _LAND_SHIFT) & 3)
        in_shadow = wet & ((place & _LIT) == 0) & (land != _WATER_LAND)
        on_soft_land = partial & ((nir_class[j] & _NIR_HIGH) != 0) & (land == _SOFT_LAND)
        wtr_2[j] = np.uint8(0) if in_shadow | on_soft_land | (wet & (land == _BUILT_LAND)) else after
        shadow, thick = np.uint8((bits & _SHADOW) >> 1), np.uint8((bits & _CLOUD) << 2)
        cloud[j] = np.uint8(shadow | thick | (np.uint8(8) if remapped else np.uint8(0)))


@formula
def _is_wet(inner: np.uint8) -> bool:
    """Whether an inner class is one of the four of water."""
    return (inner >= 1) & (inner <= 4)


@formula
def _collapsed(inner: np.uint8) -> np.uint8:
    """Open water 1, partial surface water 2, anything else as it is."""
    rest = np.uint8(2) if (inner == 3) | (inner == 4) else inner
    return np.uint8(1) if (inner == 1) | (inner == 2) else rest


@kernel()
def _collapse_row(inner: Bytes, out: Bytes) -> None:
    for j in range(out.size):
        out[j] = _collapsed(inner[j])


@kernel()
def _copy_row(values: Bytes, out: Bytes) -> None:
    for j in range(out.size):
        out[j] = values[j]


@kernel()
def _cloud_row(wtr_2: Bytes, cloud: Bytes, said: Bytes, out: Bytes) -> None:
    """CLOUD as written: with snow, 255 where WTR-2 is."""
    for j in range(out.size):
        with_snow = np.uint8(cloud[j] + np.uint8((said[j] & _SNOW) >> 1))
        out[j] = np.uint8(INVALID) if wtr_2[j] == INVALID else with_snow


@kernel()
def _wtr_row(wtr_2: Bytes, cloud: Bytes, out: Bytes) -> None:
    """WTR from WTR-2 and CLOUD as written; the aerosol bit of CLOUD hides nothing."""
    for j in range(out.size):
        hidden = np.uint8(cloud[j] & 7)
        seen = np.uint8(252) if hidden == 2 else np.uint8(253)
        seen = _collapsed(wtr_2[j]) if hidden == 0 else seen
        out[j] = wtr_2[j] if wtr_2[j] >= OCEAN else seen


@kernel()
def _bwtr_row(wtr: Bytes, out: Bytes) -> None:
    """BWTR from WTR."""
    for j in range(out.size):
        out[j] = np.uint8(1) if wtr[j] == 2 else wtr[j]


@kernel()
def _conf_row(wtr_2: Bytes, cloud: Bytes, out: Bytes) -> None:
    """CONF from WTR-2 and CLOUD as written."""
    for j in range(out.size):
        clear = (cloud[j] == 0) | (cloud[j] == 8) | (cloud[j] == 10)
        shift = np.uint8(0) if clear else np.uint8(10)
        shift = np.uint8(20) if cloud[j] == 2 else shift
        out[j] = wtr_2[j] if wtr_2[j] >= OCEAN else np.uint8(wtr_2[j] + shift)


@kernel()
def _prob_row(wtr_2: Bytes, percents: Bytes, out: Bytes) -> None:
    """PROB: the percentage of the inner class."""
    p0, p1, p2, p3, p4 = percents
    for j in range(out.size):
        low = p1 if wtr_2[j] == 1 else p0
        high = p3 if wtr_2[j] == 3 else p4
        percent = p2 if wtr_2[j] == 2 else (low if wtr_2[j] < 2 else high)
        out[j] = np.uint8(INVALID) if wtr_2[j] >= OCEAN else percent


@kernel()
def _cover_row(wtr_2: Bytes, cloud: Bytes, out: Bytes) -> None:
    """What the growth of mode ``cover`` asks: whether CLOUD without snow is 0, and whether WTR-2 is water."""
    for j in range(out.size):
        clear, wet = np.uint8(cloud[j] == 0), np.uint8(_is_wet(wtr_2[j]))
        out[j] = np.uint8(clear * _CLEAR_BIT | wet * _WET_BIT)


@kernel()
def _diag_row(tests: Bytes, diag: Words) -> None:
    """The five tests as decimal digits."""
    for j in range(diag.size):
        bits = np.uint16(tests[j])
        tens, hundreds = np.uint16(10 * ((bits >> 1) & 1)), np.uint16(100 * ((bits >> 2) & 1))
        thousands, more = np.uint16(1000 * ((bits >> 3) & 1)), np.uint16(10000 * ((bits >> 4) & 1))
        digits = np.uint16(np.uint16((bits & 1) + tens) + np.uint16(hundreds + np.uint16(thousands + more)))
        diag[j] = np.uint16(DIAG_INVALID) if bits & _HOLE else digits


@kernel()
def _write_row(
    codes: Bytes,
    inner: Bytes,
    wtr_2: Bytes,
    cloud: Bytes,
    said: Bytes,
    percents: Bytes,
    layers: Bytes,
    row: int,
) -> None:
    """The layers `codes` of a row."""
    written = np.empty(inner.size, np.uint8)
    _cloud_row(wtr_2, cloud, said, written)
    for k in range(codes.size):
        code, layer = codes[k], layers[k, row]
        if code in (_WTR, _BWTR):
            _wtr_row(wtr_2, written, layer)
        if code == _BWTR:
            _bwtr_row(layer, layer)
        if code == _CONF:
            _conf_row(wtr_2, written, layer)
        if code in (_WTR_1, _WTR_2):
            _collapse_row(inner if code == _WTR_1 else wtr_2, layer)
        if code == _CLOUD_LAYER:
            _copy_row(written, layer)
        if code == _PROB:
            _prob_row(wtr_2, percents, layer)
        if code == _COVER:
            _cover_row(wtr_2, cloud, layer)


@kernel(
    *(
        "void(UniTuple(int16[:, ::1], 6), uint8[:, ::1], uint8[:, ::1], int64, int64, int16[::1], uint8[::1],"
        f" uint8[::1], uint8[::1], uint8[:, :, ::1], {diag})"
        for diag in ("uint16[:, ::1]", "none")
    )
)
def _classify(
    bands: Bands,
    fmask: Bytes,
    ground: Bytes,
    fill: int,
    fmask_fill: int,
    limits: NDArray[np.int16],
    fmask_classes: Bytes,
    percents: Bytes,
    codes: Bytes,
    layers: Bytes,
    diag: Words | None,
) -> None:
    height, width = fmask.shape
    tests, nir_class = np.empty(width, np.uint8), np.empty(width, np.uint8)
    inner, wtr_2 = np.empty(width, np.uint8), np.empty(width, np.uint8)
    said, cloud = np.empty(width, np.uint8), np.empty(width, np.uint8)
    blue, green, red, nir, swir1, swir2 = bands
    for i in range(height):
        rows = (blue[i], green[i], red[i], nir[i], swir1[i], swir2[i])
        _test_row(rows, fmask[i], np.int16(fill), np.int16(fmask_fill), limits, tests, nir_class)
        _inner_row(tests, ground[i], inner)
        _look_up_row(fmask[i], fmask_classes, said)
        _mask_row(inner, said, nir_class, ground[i], wtr_2, cloud)
        _write_row(codes, inner, wtr_2, cloud, said, percents, layers, i)
        if diag is not None:
            _diag_row(tests, diag[i])


def classify(
    bands: Bands,
    fmask: Bytes,
    ground: Bytes,
    names: Sequence[str],
    layers: Bytes,
    diag: Words | None = None,
    rules: Rules | None = None,
) -> None:
    """Write the `LAYERS` called `names` of a strip into `layers`, uint8 (n, h, w), and DIAG if `diag` is given.

    `bands`: six int16 (h, w), DN x 0.0001, values below 1 count as 1; `fmask`: uint8 (h, w); `ground`: uint8 (h, w) of
    `mark_ground`; `diag`: uint16 (h, w), the five tests as decimal digits. A pixel is invalid where a band or Fmask has
    its fill value. In adjacent mode ``cover`` the outer `COVER_HALO` pixels are right only at the edges of the tile.
    Raises ValueError for an unknown name.
    """
    rules = rules or Rules()
    limits, classes = rules.thresholds.as_array(), rules.fmask.classes()
    percents, fmask_fill = np.array(astuple(rules.percents), dtype=np.uint8), rules.fmask_fill
    unknown = [name for name in names if name not in LAYERS]
    if unknown:
        raise ValueError(f"unknown layers {unknown}; known: {', '.join(LAYERS)}")
    codes = np.array([LAYERS.index(name) for name in names], dtype=np.uint8)
    if rules.fmask.adjacent == "cover":
        state = np.empty((1, *fmask.shape), dtype=np.uint8)
        first = np.array([_COVER], dtype=np.uint8)
        _classify(bands, fmask, ground, rules.fill, fmask_fill, limits, classes, percents, first, state, None)
        fmask = _covered(fmask, state[0], classes, fmask_fill)
        classes, fmask_fill = np.arange(256, dtype=np.uint8), FMASK_FILL
    _classify(bands, fmask, ground, rules.fill, fmask_fill, limits, classes, percents, codes, layers, diag)


@kernel("void(uint8[:, ::1], uint8[:, ::1], uint8[:, ::1], uint8[:, ::1])")
def mark_ground(land: Bytes, lit: Bytes, ocean_land: Bytes, ground: Bytes) -> None:
    """What `classify` must know of the ground: lit 1, land group (2 bits) 2 and 4, ocean 8; all uint8 (h, w).

    `land`: LAND of `land_classes`; `lit`: SHAD of `light`; `ocean_land`: 1 land, 0 ocean. Where one is off it is
    constant: 255, 1 and 1; `PLAIN` is what all three off make.
    """
    for i in range(land.shape[0]):
        for j in range(land.shape[1]):
            code = land[i, j]
            soft = (code == 201) | (code < 100)
            built = (code >= 100) & (code < 200)
            group = (code == 200) * _WATER_LAND + soft * _SOFT_LAND + built * _BUILT_LAND
            ocean = (ocean_land[i, j] == 0) * _OCEAN_BIT
            ground[i, j] = np.uint8((lit[i, j] & _LIT) | (group << _LAND_SHIFT) | ocean)


@kernel("void(uint16[:, ::1], uint8[:, ::1])")
def fmask_of_roles(roles: Words, fmask: Bytes) -> None:
    """The Fmask value that says what the mask roles say (`roles`: uint16 (h, w), bits of water.md 2.2), low aerosol."""
    for i in range(roles.shape[0]):
        for j in range(roles.shape[1]):
            role = roles[i, j]
            cloud, adjacent = role & 2, (role & 16) >> 2
            shadow_and_snow = (role & 12) << 1
            value = np.uint8(64 | cloud | adjacent | shadow_and_snow)
            fmask[i, j] = np.uint8(FMASK_FILL) if role & 1 else value


@kernel()
def difference_row(first: Elevations, second: Elevations, scale: float, out: Numbers) -> None:
    """`scale` times the differences of two rows."""
    for j in range(out.size):
        out[j] = scale * (np.float64(first[j]) - np.float64(second[j]))


@kernel()
def rise_east_row(here: Elevations, column: int, east: Numbers) -> None:
    """Rise eastwards over two pixels, doubled where only one neighbour exists; pixel 0 stands at `column`."""
    last = here.size - 1
    first, stop = max(0, 1 - column), min(east.size, last - column)
    if stop > first:
        eastern, western = (
            here[column + first + 1 : column + stop + 1],
            here[column + first - 1 : column + stop - 1],
        )
        difference_row(eastern, western, 1.0, east[first:stop])
    if column == 0 and last > 0:
        difference_row(here[1:2], here[0:1], 2.0, east[0:1])
    if column + east.size > last > 0:
        difference_row(here[last:], here[last - 1 : last], 2.0, east[east.size - 1 :])


@kernel()
def _light_row(east: Numbers, south: Numbers, sun: Numbers, lit: Bytes) -> None:
    """1 where the sun stands high enough above the relief, or the slope does not fall away from it too much."""
    to_east, to_north, up, squared, ahead_east, ahead_north, back, flat = sun
    for j in range(lit.size):
        x, y = -east[j], south[j]
        towards_sun = x * to_east + y * to_north + up
        facing = towards_sun * abs(towards_sun) >= squared * (x * x + y * y + flat)
        falling_away = x * ahead_east + y * ahead_north <= back
        lit[j] = np.uint8(facing | (falling_away ^ True))


@kernel("void(float32[:, ::1], int64, int64, float64[::1], uint8[:, ::1])")
def _light(dem: Elevations, top: int, left: int, sun: Numbers, lit: Bytes) -> None:
    height, width = lit.shape
    last = dem.shape[0] - 1
    east, south = np.zeros(width), np.empty(width)
    for i in range(height):
        row = top + i
        above, below = max(row - 1, 0), min(row + 1, last)
        vertical, columns = 2.0 if below - above == 1 else 1.0, slice(left, left + width)
        rise_east_row(dem[row], left, east)
        difference_row(dem[below, columns], dem[above, columns], vertical, south)
        _light_row(east, south, sun, lit[i])


def light(
    dem: Elevations,
    top: int,
    left: int,
    lit: Bytes,
    *,
    zenith: float,
    azimuth: float,
    pixel: float,
    max_incidence: float = 40.0,
    min_slope: float = -5.0,
) -> None:
    """SHAD: 1 where the sun falls on the relief at up to `max_incidence`, or the slope towards it exceeds `min_slope`.

    `lit`: uint8 (h, w), written; its pixel (i, j) is `dem` pixel (`top` + i, `left` + j), so that a block sees its
    neighbours; at an edge of `dem` differences are one-sided. Angles in degrees, azimuth clockwise from north, `pixel`
    and `dem` in metres; NaN elevations are lit. The tests are those of arccosine and arctangent, turned into
    comparisons of products of float64, with every length doubled.
    """
    z, a = math.radians(zenith), math.radians(azimuth)
    limit = math.cos(math.radians(max_incidence))
    sun = np.array(
        [
            math.sin(a) * math.sin(z),
            math.cos(a) * math.sin(z),
            2.0 * pixel * math.cos(z),
            limit * abs(limit),
            math.sin(a),
            math.cos(a),
            2.0 * pixel * math.tan(math.radians(min_slope)),
            4.0 * pixel * pixel,
        ]
    )
    _light(dem, top, left, sun, lit)


@dataclass(frozen=True, slots=True)
class LandRules:
    """How WorldCover cells and a CGLS class become a LAND class."""

    tree_cells: int = 6
    """Tree cells of nine from which an evergreen CGLS class counts."""
    built_cells: int = 3
    """Built-up cells from which a pixel is low-intensity developed."""
    dense_cells: int = 7
    """Built-up cells from which it is high-intensity developed."""
    water_cells: int = 3
    """Water, wetland and mangrove cells from which it is water; 1 in mode "water heavy"."""
    evergreen: frozenset[int] = frozenset({20, 50, 111, 113, 115, 116, 121, 123, 125, 126})
    """CGLS classes of shrub, built-up and evergreen or mixed forest."""

    def counts(self) -> Bytes:
        """The four counts in the order of the fields."""
        counts = (self.tree_cells, self.built_cells, self.dense_cells, self.water_cells)
        return np.array(counts, dtype=np.uint8)

    def is_evergreen(self) -> Bytes:
        """1 at each evergreen CGLS class, shape (256,)."""
        return np.isin(np.arange(256), sorted(self.evergreen)).astype(np.uint8)


@kernel("void(uint8[:, ::1], uint8[:, ::1], uint8[::1], uint8[::1], uint8, uint8[:, ::1])")
def _land(
    worldcover: Bytes, cgls: Bytes, is_evergreen: Bytes, counts: Bytes, year: np.uint8, land: Bytes
) -> None:
    height, width = land.shape
    cells, wet_cells = np.empty(3 * width, np.uint8), np.empty(3 * width, np.uint8)
    trees, built, dense, water = counts
    for i in range(height):
        cells[:] = 0
        wet_cells[:] = 0
        for k in range(3 * i, 3 * i + 3):
            for j in range(3 * width):
                code = worldcover[k, j]
                cells[j] += np.uint8(code == 10) | (np.uint8(code == 50) << 4)
                wet_cells[j] += np.uint8((code == 80) | (code == 90) | (code == 95))
        for j in range(width):
            both = np.uint8(cells[3 * j] + cells[3 * j + 1] + cells[3 * j + 2])
            wet = np.uint8(wet_cells[3 * j] + wet_cells[3 * j + 1] + wet_cells[3 * j + 2])
            evergreen = ((both & 15) >= trees) & (is_evergreen[cgls[i, j]] != 0)
            code = 201 if evergreen else 255
            code = year if (both >> 4) >= built else code
            code = 100 + year if (both >> 4) >= dense else code
            land[i, j] = 200 if wet >= water else code


def land_classes(
    worldcover: Bytes, cgls: Bytes, year: int, land: Bytes, rules: LandRules | None = None
) -> None:
    """LAND from the 3 x 3 WorldCover cells of each pixel and its CGLS class; later rules override earlier ones.

    `worldcover`: uint8 (3h, 3w); `cgls` and `land` (written): uint8 (h, w); `year`: year of the WorldCover map less
    2000, 0 to 99. 255 none, 201 evergreen, `year` low-intensity developed, 100 + `year` high-intensity, 200 water or
    wetland.
    """
    rules = rules or LandRules()
    _land(worldcover, cgls, rules.is_evergreen(), rules.counts(), np.uint8(year), land)


@kernel("void(uint8[:, ::1], uint8[:, ::1], int64)")
def grow(grown: Bytes, allowed: Bytes, steps: int) -> None:
    """Grow the ones of `grown` in place by `steps` of the 4-neighbour cross, new ones only where `allowed` is 1.

    Both uint8 (h, w), 0 or 1; nothing grows in from outside the array.
    """
    height, width = grown.shape
    before = np.empty((height, width), np.uint8)
    touched = np.empty(width, np.uint8)
    for _ in range(steps):
        before[:] = grown
        for i in range(height):
            here, above, below = before[i], before[max(i - 1, 0)], before[min(i + 1, height - 1)]
            for j in range(width):
                touched[j] = above[j] | below[j]
            for j in range(1, width):
                touched[j] |= here[j - 1]
            for j in range(width - 1):
                touched[j] |= here[j + 1]
            for j in range(width):
                grown[i, j] |= touched[j] & allowed[i, j]


def _covered(fmask: Bytes, state: Bytes, classes: Bytes, fmask_fill: int) -> Bytes:
    """What Fmask says in mode ``cover``: snow and ground grow into the pixels next to clouds; 255 without data.

    `state` is the layer `_COVER` of a first pass over the same block.
    """
    clear, wet = (state & _CLEAR_BIT) != 0, (state & _WET_BIT) != 0
    near_cloud = ((fmask & _FMASK_ADJACENT) != 0) & clear
    snow = ((fmask & _FMASK_SNOW) != 0).astype(np.uint8)
    grow(snow, near_cloud.astype(np.uint8), 10)
    free = ((snow == 0) & clear).astype(np.uint8)
    grow(free, (near_cloud & wet).astype(np.uint8), 7)
    is_snow = (snow != 0) & (free == 0)
    said = (classes[fmask] & ~np.uint8(_SNOW)) | np.where(is_snow, _SNOW, 0).astype(np.uint8)
    return np.where(fmask == fmask_fill, FMASK_FILL, said).astype(np.uint8)
