"""DSWx-HLS surface water: five spectral tests per pixel, then one table of decisions.

Source of the rules: OPERA DSWx-HLS, repository nasa/PROTEUS (commit 426a9e7, version 1.0.2, Apache-2.0), and the
DSWE tests of Jones 2019, doi:10.3390/rs11040374. Every comparison is made on integers; only the light on the relief
is float64, with multiplications alone.

A pixel's layers are a function of 13 bits: its inner class, the class of its Fmask value, its near infrared against two
limits, its land group and whether it is lit. `decision_table` writes that function down, up to eight layers at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
from numpy.typing import NDArray

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

LAYERS = ("WTR", "BWTR", "CONF", "WTR-1", "WTR-2", "CLOUD")
"""The 8-bit layers that follow from the tests, in the order of the product."""

ADJACENT_MODES = ("mask", "ignore", "cover")
"""What a pixel next to a cloud is: masked, ordinary, or decided by `cover_classes`."""

COVER_HALO = 17
"""Pixels that mode `cover` needs around a block: 10 steps of snow and 7 of ground."""

_TABLE_SIZE = 8192

_FMASK_CLOUD, _FMASK_ADJACENT, _FMASK_SHADOW, _FMASK_SNOW = 2, 4, 8, 16
_CLOUD, _SHADOW, _SNOW, _AEROSOL_OPEN, _AEROSOL_PARTIAL = 1, 2, 4, 8, 16
_OCEAN_CLASS, _INVALID_CLASS = 5, 6
_LIT, _LAND_SHIFT, _OCEAN_BIT = 1, 1, 8
_WATER_LAND, _SOFT_LAND, _BUILT_LAND = 1, 2, 3
_CLEAR_BIT, _WET_BIT = 1, 2

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

    def as_array(self) -> NDArray[np.int32]:
        """The limits in the order of the fields, as `classify` takes them."""
        return np.array(astuple(self), dtype=np.int32)


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

    def classes(self) -> Words:
        """Class of each Fmask value, already in its place in the index, shape (256,); ValueError for another mode."""
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
        return sum((np.where(flag, bit << 5, 0) for flag, bit in flags), np.zeros(256, int)).astype(np.uint16)


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
class _Case:
    """Every combination of the 13 bits at once: arrays of shape (8192,)."""

    wtr_1: NDArray[np.int64]
    """Inner class before anything is remapped or masked."""
    wtr_2: NDArray[np.int64]
    """Inner class after the aerosol remap, relief and land."""
    preliminary_cloud: NDArray[np.int64]
    """Cloud, shadow and aerosol."""
    snow: NDArray[np.bool_]
    """Snow in Fmask."""

    @property
    def cloud(self) -> NDArray[np.int64]:
        """CLOUD as written."""
        return np.where(self.wtr_2 == INVALID, INVALID, self.preliminary_cloud + 2 * self.snow)


def _cases() -> _Case:
    index = np.arange(_TABLE_SIZE)
    inner, fmask = index >> 10, (index >> 5) & 31
    nir, land, lit = (index >> 3) & 3, (index >> 1) & 3, index & 1
    wtr_1 = np.select([inner < _OCEAN_CLASS, inner == _OCEAN_CLASS], [inner, OCEAN], INVALID)
    cloud = np.where(fmask & _SHADOW, 1, 0) + np.where(fmask & _CLOUD, 4, 0)
    remapped = _remapped(wtr_1, fmask) & ((nir & 1) != 0)
    wtr_2 = _masked_by_land(np.where(remapped, 1, wtr_1), (nir & 2) != 0, land, lit == 1)
    return _Case(wtr_1, wtr_2, cloud + 8 * remapped, (fmask & _SNOW) != 0)


def _remapped(wtr_1: NDArray[np.int64], fmask: NDArray[np.int64]) -> NDArray[np.bool_]:
    in_open = np.isin(wtr_1, (0, 2)) & ((fmask & _AEROSOL_OPEN) != 0)
    in_partial = np.isin(wtr_1, (3, 4)) & ((fmask & _AEROSOL_PARTIAL) != 0)
    remapped: NDArray[np.bool_] = in_open | in_partial
    return remapped


def _masked_by_land(
    inner: NDArray[np.int64],
    bright: NDArray[np.bool_],
    land: NDArray[np.int64],
    lit: NDArray[np.bool_],
) -> NDArray[np.int64]:
    wet, partial = (inner >= 1) & (inner <= 4), (inner == 3) | (inner == 4)
    in_shadow = wet & ~lit & (land != _WATER_LAND)
    on_soft_land = partial & bright & (land == _SOFT_LAND)
    on_built_land = wet & (land == _BUILT_LAND)
    return np.where(in_shadow | on_soft_land | on_built_land, 0, inner)


def _collapsed(inner: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.select([(inner == 1) | (inner == 2), (inner == 3) | (inner == 4)], [1, 2], inner)


def _wtr(case: _Case) -> NDArray[np.int64]:
    cloud, inner = case.cloud, case.wtr_2
    order = [inner == INVALID, inner == OCEAN, np.isin(cloud, (2, 10)), ~np.isin(cloud, (0, 8))]
    return np.select(order, [INVALID, OCEAN, 252, 253], inner)


def _conf(case: _Case) -> NDArray[np.int64]:
    cloud, inner = case.cloud, case.wtr_2
    shift = np.select([cloud == 2, np.isin(cloud, (0, 8, 10))], [20, 0], 10)
    return np.where(inner <= 4, inner + shift, inner)


def _bwtr(case: _Case) -> NDArray[np.int64]:
    wtr = _wtr(case)
    return np.where((wtr >= 1) & (wtr <= 4), 1, wtr)


def _cover_state(case: _Case) -> NDArray[np.int64]:
    clear, wet = case.preliminary_cloud == 0, (case.wtr_2 >= 1) & (case.wtr_2 <= 4)
    return np.where(clear, _CLEAR_BIT, 0) + np.where(wet, _WET_BIT, 0)


def _probability(case: _Case, percents: Probabilities) -> NDArray[np.int64]:
    of_class = np.array([*astuple(percents), INVALID])
    return np.asarray(of_class[np.minimum(case.wtr_2, 5)])


def decision_table(layers: Sequence[str], percents: Probabilities | None = None) -> NDArray[np.uint64]:
    """What each of the 8192 cases becomes in up to eight layers, one byte per layer, the first in the lowest byte.

    Known layers: `LAYERS`; ``PROB`` (percentage of the inner class of WTR-2 by `percents`, 255 outside 0 to 4) and
    ``COVER`` (what `cover_classes` needs of a first pass). Raises KeyError for any other name, ValueError for none or
    more than eight.
    """
    if not 1 <= len(layers) <= 8:
        raise ValueError(f"a decision table holds 1 to 8 layers, not {len(layers)}")
    case = _cases()
    known: dict[str, Callable[[], NDArray[np.int64]]] = {
        "WTR": lambda: _collapsed(_wtr(case)),
        "BWTR": lambda: _bwtr(case),
        "CONF": lambda: _conf(case),
        "WTR-1": lambda: _collapsed(case.wtr_1),
        "WTR-2": lambda: _collapsed(case.wtr_2),
        "CLOUD": lambda: case.cloud,
        "PROB": lambda: _probability(case, percents or Probabilities()),
        "COVER": lambda: _cover_state(case),
    }
    table = np.zeros(_TABLE_SIZE, dtype=np.uint64)
    for place, layer in enumerate(layers):
        table |= known[layer]().astype(np.uint64) << np.uint64(8 * place)
    return table


def _inner_class(tests: int) -> int:
    if tests.bit_count() >= 4:
        return 1
    if tests.bit_count() == 3:
        return 2
    if tests == 0b11000:
        return 3
    return 4 if tests.bit_count() == 2 or tests == 0b10000 else 0


def _test_classes() -> Words:
    """Inner class, already in its place in the index, of tests (5 bits), invalid (32) and ocean (64)."""
    classes = [_inner_class(tests) for tests in range(32)]
    by_state = classes + [_INVALID_CLASS] * 32 + [_OCEAN_CLASS] * 32 + [_INVALID_CLASS] * 32
    return (np.array(by_state) << 10).astype(np.uint16)


def _test_digits() -> Words:
    """DIAG of tests (5 bits), invalid (32) and ocean (64): the bits written as decimal digits."""
    digits = [int(f"{tests:b}") for tests in range(32)] + [DIAG_INVALID] * 32
    return np.array(digits * 2, dtype=np.uint16)


@dataclass(frozen=True, slots=True)
class Decisions:
    """All that `classify` must know beside the pixels."""

    limits: NDArray[np.int32]
    """Limits of the tests, `Thresholds.as_array()`."""
    fmask_classes: Words
    """What each Fmask value says, `FmaskRules.classes()`."""
    table: NDArray[np.uint64]
    """The layers of every case, `decision_table(...)`."""
    fill: int = FILL
    """DN of a pixel without data."""
    fmask_fill: int = FMASK_FILL
    """Fmask value of a pixel without data; -1: there is none."""

    def on_covered(self) -> Decisions:
        """The same decisions for a second pass, in which the result of `cover_classes` takes the place of Fmask."""
        return replace(self, fmask_classes=(np.arange(256) << 5).astype(np.uint16), fmask_fill=FMASK_FILL)


_CLASS_OF_TESTS = _test_classes()
_DIGITS_OF_TESTS = _test_digits()

_CLASSIFY = (
    "void(UniTuple(int16[:, ::1], 6), uint8[:, ::1], uint8[:, ::1], int64, int64, int32[::1], uint16[::1], uint64[::1],"
    " uint8[:, :, ::1], {diag})"
)


@kernel()
def _test_row(
    bands: Bands,
    fmask: Bytes,
    fill: np.int32,
    fmask_fill: np.int32,
    limit: NDArray[np.int32],
    tests: Bytes,
    nir_class: Bytes,
) -> None:
    """The five test bits and the invalid bit (32) of a row; its near infrared against two limits (1 low, 2 high)."""
    blue, green, red, nir, swir1, swir2 = bands
    # A limit read inside the loop might be changed by a store to `tests`: the compiler would not vectorise.
    water_mndwi, awesh, low_nir, high_nir = limit[0], limit[1], limit[11], limit[12]
    mndwi_1, swir1_1, nir_1, ndvi_1 = limit[2], limit[3], limit[4], limit[5]
    mndwi_2, blue_2, swir1_2, swir2_2, nir_2 = limit[6], limit[7], limit[8], limit[9], limit[10]
    for j in range(blue.size):
        hole = (blue[j] == fill) | (green[j] == fill) | (red[j] == fill) | (nir[j] == fill)
        hole = hole | (swir1[j] == fill) | (swir2[j] == fill) | (fmask[j] == fmask_fill)
        b, g, r = np.int32(max(blue[j], 1)), np.int32(max(green[j], 1)), np.int32(max(red[j], 1))
        n, s, t = np.int32(max(nir[j], 1)), np.int32(max(swir1[j], 1)), np.int32(max(swir2[j], 1))
        contrast, total = np.int32(1000 * (g - s)), np.int32(g + s)
        water = contrast > np.int32(water_mndwi * total)
        visible = np.int32(g + r) > np.int32(n + s)
        shadowless = np.int32(4 * b + 10 * g - 6 * (n + s) - t) > awesh
        partial_1 = (contrast > np.int32(mndwi_1 * total)) & (s < swir1_1) & (n < nir_1)
        partial_1 = partial_1 & (np.int32(1000 * (n - r)) < np.int32(ndvi_1 * (n + r)))
        partial_2 = (contrast > np.int32(mndwi_2 * total)) & (b < blue_2)
        partial_2 = partial_2 & (s < swir1_2) & (t < swir2_2) & (n < nir_2)
        low = np.uint8(water) | (np.uint8(visible) << 1) | (np.uint8(shadowless) << 2)
        high = (np.uint8(partial_1) << 3) | (np.uint8(partial_2) << 4) | (np.uint8(hole) << 5)
        tests[j] = np.uint8(low | high)
        nir_class[j] = np.uint8(np.uint8(n <= low_nir) | (np.uint8(n > high_nir) << 1))


@kernel()
def _index_row(
    tests: Bytes, nir_class: Bytes, fmask: Bytes, ground: Bytes, fmask_classes: Words, index: Words
) -> None:
    """Where each pixel of a row stands in the decision table."""
    # Three loops: those that look nothing up are vectorised.
    for j in range(tests.size):
        tests[j] |= np.uint8((ground[j] & _OCEAN_BIT) << 3)
    for j in range(tests.size):
        index[j] = _CLASS_OF_TESTS[tests[j]] | fmask_classes[fmask[j]]
    for j in range(tests.size):
        index[j] |= np.uint16(np.uint16(nir_class[j] << 3) | np.uint16(ground[j] & 7))


@kernel()
def _spread_row(
    index: Words, table: NDArray[np.uint64], decided: NDArray[np.uint64], layers: Bytes, row: int
) -> None:
    """The decisions of a row, looked up once and spread over its layers."""
    for j in range(index.size):
        decided[j] = table[index[j]]
    for k in range(layers.shape[0]):
        layer, shift = layers[k, row], np.uint64(8 * k)
        for j in range(layer.size):
            layer[j] = np.uint8(decided[j] >> shift)


@kernel(*(_CLASSIFY.format(diag=diag) for diag in ("uint16[:, ::1]", "none")))
def _classify(
    bands: Bands,
    fmask: Bytes,
    ground: Bytes,
    fill: int,
    fmask_fill: int,
    limits: NDArray[np.int32],
    fmask_classes: Words,
    table: NDArray[np.uint64],
    layers: Bytes,
    diag: Words | None,
) -> None:
    height, width = fmask.shape
    tests, nir_class = np.empty(width, np.uint8), np.empty(width, np.uint8)
    index, decided = np.empty(width, np.uint16), np.empty(width, np.uint64)
    blue, green, red, nir, swir1, swir2 = bands
    for i in range(height):
        rows = (blue[i], green[i], red[i], nir[i], swir1[i], swir2[i])
        _test_row(rows, fmask[i], np.int32(fill), np.int32(fmask_fill), limits, tests, nir_class)
        _index_row(tests, nir_class, fmask[i], ground[i], fmask_classes, index)
        _spread_row(index, table, decided, layers, i)
        if diag is not None:
            for j in range(width):
                diag[i, j] = _DIGITS_OF_TESTS[tests[j]]


def classify(
    bands: Bands, fmask: Bytes, ground: Bytes, by: Decisions, layers: Bytes, diag: Words | None = None
) -> None:
    """Write the layers of a strip, in one pass over its pixels.

    `bands`: six int16 (h, w), DN x 0.0001, values below 1 count as 1; `fmask`: uint8 (h, w); `ground`: uint8 (h, w) of
    `mark_ground`; `layers`: uint8 (n, h, w), the first n of the decision table; `diag`: uint16 (h, w) or None, the five
    tests as decimal digits. A pixel is invalid where a band or Fmask has its fill value.
    """
    rules = (by.fill, by.fmask_fill, by.limits, by.fmask_classes, by.table)
    _classify(bands, fmask, ground, *rules, layers, diag)


@kernel("void(uint8[:, ::1], uint8[:, ::1], uint8[:, ::1], uint8[:, ::1])")
def mark_ground(land: Bytes, lit: Bytes, ocean_land: Bytes, ground: Bytes) -> None:
    """What `classify` must know of the ground: lit 1, land group (2 bits) 2 and 4, ocean 8; all uint8 (h, w).

    `land`: LAND of `land_classes`; `lit`: SHAD of `light`; `ocean_land`: 1 land, 0 ocean. Where one is off it is
    constant: 255, 1 and 1.
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
def _rise_row(
    above: Elevations,
    here: Elevations,
    below: Elevations,
    vertical: float,
    column: int,
    east: Numbers,
    south: Numbers,
) -> None:
    """Rises over two pixels: eastwards and southwards, doubled where only one neighbour exists.

    Pixel j of the row stands at `column` + j of the elevations; `vertical` is 1, or 2 at the first and last row.
    """
    last = here.size - 1
    for j in range(east.size):
        south[j] = vertical * (np.float64(below[column + j]) - np.float64(above[column + j]))
    for j in range(max(0, 1 - column), min(east.size, last - column)):
        east[j] = np.float64(here[column + j + 1]) - np.float64(here[column + j - 1])
    if column == 0:
        east[0] = 2.0 * (np.float64(here[min(1, last)]) - np.float64(here[0]))
    if column + east.size > last and last > 0:
        east[east.size - 1] = 2.0 * (np.float64(here[last]) - np.float64(here[last - 1]))


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
        vertical = 2.0 if below - above == 1 else 1.0
        _rise_row(dem[above], dem[row], dem[below], vertical, left, east, south)
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


def cover_classes(fmask: Bytes, state: Bytes, by: Decisions) -> Bytes:
    """Fmask classes of adjacent mode ``cover``, uint8 (h, w): snow and ground grow into the pixels next to clouds.

    `state` is the layer ``COVER`` of a first pass over the same block, `by` its decisions. The result takes the place
    of Fmask in a second pass, `by.on_covered()`; its outer `COVER_HALO` pixels are right only at the tile's edges.
    """
    clear, wet = (state & _CLEAR_BIT) != 0, (state & _WET_BIT) != 0
    near_cloud = ((fmask & _FMASK_ADJACENT) != 0) & clear
    snow = ((fmask & _FMASK_SNOW) != 0).astype(np.uint8)
    grow(snow, near_cloud.astype(np.uint8), 10)
    free = ((snow == 0) & clear).astype(np.uint8)
    grow(free, (near_cloud & wet).astype(np.uint8), 7)
    is_snow = (snow != 0) & (free == 0)
    without_snow = (by.fmask_classes[fmask] >> 5).astype(np.uint8) & ~np.uint8(_SNOW)
    covered = without_snow | np.where(is_snow, _SNOW, 0).astype(np.uint8)
    return np.where(fmask == by.fmask_fill, FMASK_FILL, covered).astype(np.uint8)
