"""Spectral tests shared by the detectors that learn, and the samples that they learn from.

A sample is chosen by a keyed hash of its place, not by a random generator: the n pixels of a stratum with the smallest
hashes, whatever the order, the blocks or the number of threads that they are met in. Spectra are DN4 (reflectance x
10000, int16); every test is made on integers, so that none depends on rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

from thalweg.kernels.formula import formula
from thalweg.kernels.jit import kernel

SNOW_LIKE, MAY_BE_WATER, CERTAIN_LAND, WET, GREENER = 1, 2, 4, 8, 16
"""Bits of `spectral_tests`; GREENER: green above short-wave infrared 1, that is MNDWI > 0."""

NO_STRATUM = 255
"""Stratum of a pixel that is no sample."""

HELD_OUT = 4
"""What is added to the stratum of a pixel in a hold-out block."""

WATER, NEAR_LAND, HIGH_LAND, BRIGHT_LAND = 0, 1, 2, 3
"""Strata of `forest_strata`: water, land up to the HAND limit or without HAND, land above it, snow-like land."""

CANDIDATE, REST = 0, 1
"""Strata of `cluster_strata`."""

_BANDS = "UniTuple(int16[:, ::1], 6)"


@dataclass(frozen=True, slots=True)
class SpectralLimits:
    """Limits of the tests: indices in thousandths, reflectances in DN4."""

    snow_mndwi: int = 400
    """MNDWI above which a pixel may be snow-like."""
    snow_nir: int = 2000
    """Near infrared above which it may."""
    snow_green: int = 2000
    """Green above which it may."""
    water_mndwi: int = -100
    """MNDWI from which a pixel may be water."""
    water_ndwi: int = -150
    """NDWI from which it may."""
    water_swir2: int = 750
    """Short-wave infrared 2 up to which it may."""
    land_mndwi: int = -100
    """MNDWI below which a pixel may be certain land."""
    land_ndwi: int = -150
    """NDWI below which it then is."""
    wet_mndwi: int = 100
    """MNDWI above which a pixel may be wet."""
    wet_ndwi: int = 100
    """NDWI above which it may too."""
    wet_swir1: int = 1500
    """Short-wave infrared 1 below which it then is."""

    def as_array(self) -> npt.NDArray[np.int32]:
        """The limits in the order of the fields, as `spectral_tests` takes them."""
        return np.array(astuple(self), dtype=np.int32)


@kernel(f"void({_BANDS}, int32[::1], uint8[:, ::1])")
def spectral_tests(bands, limits, tests):  # type: ignore[no-untyped-def]
    """The test bits of every pixel, uint8 (h, w); indices are (a - b) / (a + b + 0.02) on reflectances of at least 0.

    `bands`: blue, green, red, near infrared, short-wave infrared 1 and 2, int16 (h, w); `limits`:
    `SpectralLimits.as_array()`. Pixels without data get meaningless bits.
    """
    _, green, _, nir, swir1, swir2 = bands
    snow_mndwi, snow_nir, snow_green, water_mndwi, water_ndwi, water_swir2 = limits[:6]
    land_mndwi, land_ndwi, wet_mndwi, wet_ndwi, wet_swir1 = limits[6:]
    for i in range(tests.shape[0]):
        green_row, nir_row, swir1_row, swir2_row = green[i], nir[i], swir1[i], swir2[i]
        for j in range(tests.shape[1]):
            g, n = np.int32(max(green_row[j], 0)), np.int32(max(nir_row[j], 0))
            s, t = np.int32(max(swir1_row[j], 0)), np.int32(max(swir2_row[j], 0))
            mndwi, mndwi_unit = np.int32(1000 * (g - s)), np.int32(g + s + 200)
            ndwi, ndwi_unit = np.int32(1000 * (g - n)), np.int32(g + n + 200)
            snow = (mndwi > np.int32(snow_mndwi * mndwi_unit)) & (n > snow_nir) & (g > snow_green)
            water = (mndwi >= np.int32(water_mndwi * mndwi_unit)) & (ndwi >= np.int32(water_ndwi * ndwi_unit))
            land = (mndwi < np.int32(land_mndwi * mndwi_unit)) & (ndwi < np.int32(land_ndwi * ndwi_unit))
            wet = (mndwi > np.int32(wet_mndwi * mndwi_unit)) | (ndwi > np.int32(wet_ndwi * ndwi_unit))
            low = np.uint8(snow) | (np.uint8(water & (t <= water_swir2)) << 1) | (np.uint8(land) << 2)
            high = (np.uint8(wet & (not snow) & (s < wet_swir1)) << 3) | (np.uint8(g > s) << 4)
            tests[i, j] = np.uint8(low | high)


@kernel("UniTuple(int64, 4)(uint8[:, ::1], uint16[:, ::1], uint16)")
def tally(tests, roles, unusable):  # type: ignore[no-untyped-def]
    """Pixels with no role of `unusable`; of these: certain land, may be water, snow-like."""
    valid, land, water, snow = 0, 0, 0, 0
    for i in range(tests.shape[0]):
        for j in range(tests.shape[1]):
            usable = (roles[i, j] & unusable) == 0
            valid += usable
            land += usable & ((tests[i, j] & CERTAIN_LAND) != 0)
            water += usable & ((tests[i, j] & MAY_BE_WATER) != 0)
            snow += usable & ((tests[i, j] & SNOW_LIKE) != 0)
    return valid, land, water, snow


@formula
def mix(z):  # type: ignore[no-untyped-def]
    """Finaliser of the splitmix64 generator (Steele, Lea and Flood 2014): every input bit moves every output bit."""
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@formula
def place(row, column):  # type: ignore[no-untyped-def]
    """A pixel of the absolute grid as one number; row and column are taken modulo 2^32."""
    low = np.uint64(0xFFFFFFFF)
    return ((np.uint64(row) & low) << np.uint64(32)) | (np.uint64(column) & low)


@formula
def keyed_hash(seed, pixel):  # type: ignore[no-untyped-def]
    """The hash of a `place` under a seed; `mix` can be undone, so that two places never share one."""
    return mix(mix(np.uint64(seed) ^ pixel))


@kernel("void(uint64, uint64, int64, int64, uint8[::1])")
def _held_out_row(seed, row, left, block, held_out):  # type: ignore[no-untyped-def]
    """1 in the columns of a row whose block is a hold-out block: one block in five, by its hash."""
    low = np.uint64(0xFFFFFFFF)
    size = np.uint64(block)
    block_row = (row & low) // size
    for j in range(held_out.size):
        block_column = (np.uint64(left + j) & low) // size
        if j == 0 or (np.uint64(left + j) & low) % size == 0:
            held = keyed_hash(seed, place(block_row, block_column)) % np.uint64(5) == 0
        held_out[j] = held


@kernel(
    "void(uint8[:, ::1], uint16[:, ::1], uint16, uint8[:, ::1], float32[:, ::1], uint8, float32, int64, int64, uint64,"
    " int64, uint8[:, ::1])"
)
def forest_strata(  # type: ignore[no-untyped-def]
    tests, roles, unusable, occurrence, hand, water_min, hand_max, top, left, holdout_seed, block, strata
):
    """The stratum of every pixel for `forest`, `HELD_OUT` added in hold-out blocks; `NO_STRATUM` elsewhere.

    `tests`: of `spectral_tests`; `roles`: mask bits, a pixel with one of `unusable` is no sample; `occurrence`: 0-100 %,
    255 unknown; `hand`: metres, NaN or negative unknown; `top`, `left`: place of the first pixel on the absolute grid;
    `block`: side of a hold-out block in pixels.
    """
    height, width = strata.shape
    held_out = np.empty(width, np.uint8)
    for i in range(height):
        row = np.uint64(top + i)
        if i == 0 or (row & np.uint64(0xFFFFFFFF)) % np.uint64(block) == 0:
            _held_out_row(holdout_seed, row, left, block, held_out)
        for j in range(width):
            test, percent = tests[i, j], occurrence[i, j]
            usable = (roles[i, j] & unusable) == 0
            water = usable & (percent >= water_min) & (percent <= 100) & ((test & WET) != 0)
            dry = usable & (percent == 0)
            bright = dry & ((test & SNOW_LIKE) != 0)
            land = dry & ((test & (SNOW_LIKE | MAY_BE_WATER)) == 0)
            stratum = np.uint8(HIGH_LAND) if hand[i, j] > hand_max else np.uint8(NEAR_LAND)
            stratum = np.uint8(BRIGHT_LAND) if bright else stratum
            stratum = np.uint8(WATER) if water else stratum
            stratum = np.uint8(stratum + HELD_OUT * held_out[j])
            strata[i, j] = stratum if water | bright | land else np.uint8(NO_STRATUM)


@kernel("void(uint8[:, ::1], uint16[:, ::1], uint16, uint8[:, ::1])")
def cluster_strata(tests, roles, unusable, strata):  # type: ignore[no-untyped-def]
    """The stratum of every pixel for `cluster`: `CANDIDATE` where MNDWI > 0, else `REST`; `NO_STRATUM` if unusable."""
    for i in range(strata.shape[0]):
        for j in range(strata.shape[1]):
            stratum = np.uint8(CANDIDATE) if tests[i, j] & GREENER else np.uint8(REST)
            strata[i, j] = stratum if (roles[i, j] & unusable) == 0 else np.uint8(NO_STRATUM)


@dataclass(frozen=True, slots=True)
class Reservoir:
    """The pixels with the smallest hashes of each stratum among those met so far; its arrays are filled in place.

    A stratum has room for twice its capacity. When it is full, the half with the larger hashes is thrown away and
    nothing above the others is let in again, so that a tile of any size costs a few sorts.
    """

    seeds: npt.NDArray[np.uint64]
    """Seed of each stratum, (strata,)."""
    seen: npt.NDArray[np.int64]
    """Pixels met of each stratum, (strata,)."""
    kept: npt.NDArray[np.int64]
    """Pixels kept now, (strata,)."""
    highest: npt.NDArray[np.uint64]
    """Largest hash that a stratum still lets in, (strata,)."""
    hashes: npt.NDArray[np.uint64]
    """Hash of each kept pixel, (strata, 2 x capacity). Two pixels of a stratum never have the same."""
    places: npt.NDArray[np.uint64]
    """Its `place`, (strata, 2 x capacity)."""
    spectra: npt.NDArray[np.int16]
    """Its six bands, (strata, 2 x capacity, 6)."""

    @classmethod
    def empty(cls, seeds: Sequence[int], capacity: int) -> Reservoir:
        """A reservoir for one stratum per seed, from each of which `capacity` pixels can be drawn."""
        shape = (len(seeds), 2 * capacity)
        return cls(
            seeds=np.array(seeds, dtype=np.uint64),
            seen=np.zeros(len(seeds), dtype=np.int64),
            kept=np.zeros(len(seeds), dtype=np.int64),
            highest=np.full(len(seeds), 2**64 - 1, dtype=np.uint64),
            hashes=np.zeros(shape, dtype=np.uint64),
            places=np.zeros(shape, dtype=np.uint64),
            spectra=np.zeros((*shape, 6), dtype=np.int16),
        )

    @property
    def capacity(self) -> int:
        """Pixels that can be drawn from a stratum at most."""
        return self.hashes.shape[1] // 2


@kernel("uint64(uint64[::1], uint64[::1], int16[:, ::1])")
def _halve(hashes, places, spectra):  # type: ignore[no-untyped-def]
    """Move the half with the smaller hashes to the front; returns the largest of them."""
    half = hashes.size // 2
    smaller = np.argsort(hashes)[:half]
    hashes[:half], places[:half], spectra[:half] = hashes[smaller], places[smaller], spectra[smaller]
    return hashes[half - 1]


@kernel(
    f"void({_BANDS}, uint8[:, ::1], int64, int64, uint64[::1], int64[::1], int64[::1], uint64[::1], uint64[:, ::1],"
    " uint64[:, ::1], int16[:, :, ::1])"
)
def _collect(bands, strata, top, left, seeds, seen, kept, highest, hashes, places, spectra):  # type: ignore[no-untyped-def]
    blue, green, red, nir, swir1, swir2 = bands
    for i in range(strata.shape[0]):
        for j in range(strata.shape[1]):
            c = strata[i, j]
            if c == NO_STRATUM:
                continue
            seen[c] += 1
            pixel = place(top + i, left + j)
            key = keyed_hash(seeds[c], pixel)
            if key > highest[c]:
                continue
            slot = kept[c]
            hashes[c, slot], places[c, slot] = key, pixel
            spectrum = spectra[c, slot]
            spectrum[0], spectrum[1], spectrum[2] = blue[i, j], green[i, j], red[i, j]
            spectrum[3], spectrum[4], spectrum[5] = nir[i, j], swir1[i, j], swir2[i, j]
            kept[c] = slot + 1
            if kept[c] == hashes.shape[1]:
                highest[c] = _halve(hashes[c], places[c], spectra[c])
                kept[c] = hashes.shape[1] // 2


def collect(
    bands: tuple[npt.NDArray[np.int16], ...],
    strata: npt.NDArray[np.uint8],
    top: int,
    left: int,
    into: Reservoir,
) -> None:
    """Offer a block to a reservoir; every pixel of a tile must be offered once, in any order and any blocks.

    `bands`: six int16 (h, w); `strata`: uint8 (h, w), 0 to len(seeds) - 1 or `NO_STRATUM`; `top`, `left`: place of the
    block's first pixel on the absolute grid.
    """
    state = (into.seeds, into.seen, into.kept, into.highest, into.hashes, into.places, into.spectra)
    _collect(bands, strata, top, left, *state)


@dataclass(frozen=True, slots=True)
class Table:
    """A drawn sample, sorted by row, then column."""

    rows: npt.NDArray[np.int64]
    """Row on the absolute grid, modulo 2^32."""
    columns: npt.NDArray[np.int64]
    """Column on it."""
    classes: npt.NDArray[np.int64]
    """Class: the position in `draw`'s lists."""
    spectra: npt.NDArray[np.int16]
    """The six bands, (n, 6)."""

    def as_int32(self, *, with_classes: bool) -> npt.NDArray[np.int32]:
        """Row, column and, if asked, class as one int32 table: the bytes that a digest is taken of."""
        columns = (self.rows, self.columns, self.classes) if with_classes else (self.rows, self.columns)
        return np.stack(columns, axis=1).astype(np.uint32).view(np.int32)


def draw(reservoirs: Sequence[Reservoir], groups: Sequence[Sequence[int]], counts: Sequence[int]) -> Table:
    """The `counts[c]` pixels with the smallest hashes of the strata `groups[c]`, for every class c.

    Several reservoirs are those of disjoint parts of one tile, in any order. Raises ValueError when a class has fewer
    pixels than asked for, or more are asked for than a reservoir keeps.
    """
    drawn = [_smallest(reservoirs, group, count) for group, count in zip(groups, counts, strict=True)]
    places = np.concatenate([found[0] for found in drawn])
    spectra = np.concatenate([found[1] for found in drawn])
    classes = np.repeat(np.arange(len(counts)), counts)
    order = np.argsort(places, kind="stable")
    return Table(
        rows=(places[order] >> np.uint64(32)).astype(np.int64),
        columns=(places[order] & np.uint64(0xFFFFFFFF)).astype(np.int64),
        classes=classes[order],
        spectra=spectra[order],
    )


def _smallest(
    reservoirs: Sequence[Reservoir], group: Sequence[int], count: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int16]]:
    parts = [(r, stratum, slice(r.kept[stratum])) for r in reservoirs for stratum in group]
    hashes = np.concatenate([r.hashes[stratum, slots] for r, stratum, slots in parts])
    places = np.concatenate([r.places[stratum, slots] for r, stratum, slots in parts])
    spectra = np.concatenate([r.spectra[stratum, slots] for r, stratum, slots in parts])
    if count > hashes.size or any(count > r.capacity for r in reservoirs):
        raise ValueError(f"{count} samples asked for, {hashes.size} kept, {reservoirs[0].capacity} to be drawn at most")
    chosen = np.argsort(hashes)[:count]
    return places[chosen], spectra[chosen]


def filled_quotas(available: Sequence[int], quotas: Sequence[int]) -> list[int]:
    """How many to draw of each class: its quota, and in the order of the classes what the others leave of the total."""
    counts = [min(have, quota) for have, quota in zip(available, quotas, strict=True)]
    left = sum(quotas) - sum(counts)
    for c, have in enumerate(available):
        more = min(left, have - counts[c])
        counts[c], left = counts[c] + more, left - more
    return counts
