"""Spectral tests shared by the detectors that learn, and the samples that they learn from.

A sample is chosen by a keyed hash of its place, not by a random generator: the n pixels of a stratum with the smallest
hashes, whatever the order, the blocks or the number of threads that they are met in. Spectra are DN4 (reflectance x
10000, int16); every test is made on integers, so that none depends on rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.formula import formula
from thalweg.kernels.jit import kernel

SNOW_LIKE, MAY_BE_WATER, CERTAIN_LAND, WET, GREENER = 1, 2, 4, 8, 16
"""Bits of `spectral_tests`; GREENER: green above short-wave infrared 1, that is MNDWI > 0."""

FEATURES = ("blue", "green", "red", "nir", "swir1", "swir2", "ndvi", "ndwi", "mndwi")
"""The features that `features` computes, in this order."""

MASKED = 255
"""Probability of a pixel that is masked out."""

UNKNOWN = 254
"""Entry of a table of known probabilities that says: ask the model."""

NO_STRATUM = 255
"""Stratum of a pixel that is no sample."""

HELD_OUT = 4
"""What is added to the stratum of a pixel in a hold-out block."""

WATER, NEAR_LAND, HIGH_LAND, BRIGHT_LAND = 0, 1, 2, 3
"""Strata of `forest_strata`: water, land up to the HAND limit or without HAND, land above it, snow-like land."""

CANDIDATE, REST = 0, 1
"""Strata of `cluster_strata`."""

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint16]
Hashes = NDArray[np.uint64]
Spectra = NDArray[np.int16]
Bands = tuple[Spectra, ...]
"""Six bands: blue, green, red, near infrared, short-wave infrared 1 and 2, DN4."""

_LOW = 0xFFFFFFFF
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

    def as_array(self) -> NDArray[np.int32]:
        """The limits in the order of the fields, as `spectral_tests` takes them."""
        return np.array(astuple(self), dtype=np.int32)


@kernel(f"void({_BANDS}, int32[::1], uint8[:, ::1])")
def spectral_tests(bands: Bands, limits: NDArray[np.int32], tests: Bytes) -> None:
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


@kernel("UniTuple(int64, 4)(uint8[:, ::1], uint16[:, ::1], int64)")
def tally(tests: Bytes, roles: Words, unusable: int) -> tuple[int, int, int, int]:
    """Pixels with no role of `unusable`; of these: certain land, may be water, snow-like."""
    valid, land, water, snow = 0, 0, 0, 0
    barred = np.uint16(unusable)
    for i in range(tests.shape[0]):
        for j in range(tests.shape[1]):
            usable = (roles[i, j] & barred) == 0
            valid += usable
            land += usable & ((tests[i, j] & CERTAIN_LAND) != 0)
            water += usable & ((tests[i, j] & MAY_BE_WATER) != 0)
            snow += usable & ((tests[i, j] & SNOW_LIKE) != 0)
    return valid, land, water, snow


@formula
def _reflectance(dn: np.int16) -> np.float32:
    """Reflectance of at least 0."""
    return np.float32(max(dn, np.int16(0))) / np.float32(10000.0)


@formula
def _index(a: np.float32, b: np.float32) -> np.float32:
    """Normalised difference, kept stable on dark pixels by a constant."""
    return (a - b) / (a + b + np.float32(0.02))


@kernel("void(int16[:, ::1], float32[:, ::1])")
def features(spectra: Spectra, out: NDArray[np.float32]) -> None:
    """`FEATURES` of spectra, float32 (9, n), in float32 arithmetic; `spectra`: DN4 of the six bands, int16 (6, n)."""
    for k in range(6):
        band, row = spectra[k], out[k]
        for j in range(band.size):
            row[j] = _reflectance(band[j])
    green, red, nir, swir1 = out[1], out[2], out[3], out[4]
    ndvi, ndwi, mndwi = out[6], out[7], out[8]
    for j in range(ndvi.size):
        ndvi[j] = _index(nir[j], red[j])
    for j in range(ndwi.size):
        ndwi[j] = _index(green[j], nir[j])
    for j in range(mndwi.size):
        mndwi[j] = _index(green[j], swir1[j])


@kernel()
def mark_known_row(tests: Bytes, roles: Words, masked_by: np.uint16, known: Bytes, prob: Bytes) -> None:
    """PROB of a row as far as no model is asked: 255 with a role of `masked_by`, else `known` of the test bits.

    `known`: uint8 (256,), `UNKNOWN` where the model is to be asked.
    """
    for j in range(prob.size):
        prob[j] = known[tests[j]]
    for j in range(prob.size):
        prob[j] = np.uint8(MASKED) if roles[j] & masked_by else prob[j]


@kernel()
def list_unknown_row(prob: Bytes, columns: NDArray[np.int32]) -> int:
    """List the columns of a row for which a model must be asked; returns their number. One more column is written."""
    n = 0
    for j in range(prob.size):
        columns[n] = j
        n += prob[j] == UNKNOWN
    return n


@kernel()
def gather(rows: Bands, columns: NDArray[np.int32], first: int, n: int, spectra: Spectra) -> None:
    """The spectra, int16 (6, n or more), of `n` listed columns of a row, from the position `first` of the list on."""
    blue, green, red, nir, swir1, swir2 = rows
    for p in range(n):
        j = columns[first + p]
        spectra[0, p], spectra[1, p], spectra[2, p] = blue[j], green[j], red[j]
        spectra[3, p], spectra[4, p], spectra[5, p] = nir[j], swir1[j], swir2[j]


@formula
def mix(z: np.uint64) -> np.uint64:
    """Finaliser of the splitmix64 generator (Steele, Lea and Flood 2014): every input bit moves every output bit."""
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@formula
def place(row: int, column: int) -> np.uint64:
    """A pixel of the absolute grid as one number; row and column are taken modulo 2^32."""
    return (np.uint64(row & _LOW) << np.uint64(32)) | np.uint64(column & _LOW)


@formula
def keyed_hash(seed: int, pixel: np.uint64) -> np.uint64:
    """The hash of a `place` under a seed; `mix` can be undone, so that two places never share one."""
    return mix(mix(np.uint64(seed) ^ np.uint64(pixel)))


@kernel()
def _held_out_row(seed: int, row: int, left: int, block: int, held_out: Bytes) -> None:
    """1 in the columns of a row whose block is a hold-out block: one block in five, by its hash."""
    held = False
    for j in range(held_out.size):
        column = (left + j) & _LOW
        if j == 0 or column % block == 0:
            held = keyed_hash(seed, place(row // block, column // block)) % np.uint64(5) == 0
        held_out[j] = held


@kernel(
    "void(uint8[:, ::1], uint16[:, ::1], int64, uint8[:, ::1], float32[:, ::1], int64, float64, int64, int64, int64,"
    " int64, uint8[:, ::1])"
)
def forest_strata(
    tests: Bytes,
    roles: Words,
    unusable: int,
    occurrence: Bytes,
    hand: NDArray[np.float32],
    water_min: int,
    hand_max: float,
    top: int,
    left: int,
    holdout_seed: int,
    block: int,
    strata: Bytes,
) -> None:
    """The stratum of every pixel for `forest`, `HELD_OUT` added in hold-out blocks; `NO_STRATUM` elsewhere.

    `tests`: of `spectral_tests`; `roles`: mask bits, a pixel with one of `unusable` is no sample; `occurrence`:
    percent, 255 unknown; `hand`: metres, NaN or negative unknown; `water_min`: percent from which water is taught;
    `hand_max`: highest near land; `top`, `left`: place of the first pixel on the absolute grid; `block`: side of a
    hold-out block.
    """
    height, width = strata.shape
    held_out = np.empty(width, np.uint8)
    barred, least = np.uint16(unusable), np.uint8(water_min)
    for i in range(height):
        row = (top + i) & _LOW
        if i == 0 or row % block == 0:
            _held_out_row(holdout_seed, row, left, block, held_out)
        for j in range(width):
            test, percent = tests[i, j], occurrence[i, j]
            usable = (roles[i, j] & barred) == 0
            water = usable & (percent >= least) & (percent <= 100) & ((test & WET) != 0)
            dry = usable & (percent == 0)
            bright = dry & ((test & SNOW_LIKE) != 0)
            land = dry & ((test & (SNOW_LIKE | MAY_BE_WATER)) == 0)
            stratum = np.uint8(HIGH_LAND) if hand[i, j] > hand_max else np.uint8(NEAR_LAND)
            stratum = np.uint8(BRIGHT_LAND) if bright else stratum
            stratum = np.uint8(WATER) if water else stratum
            stratum = np.uint8(stratum + HELD_OUT * held_out[j])
            strata[i, j] = stratum if water | bright | land else np.uint8(NO_STRATUM)


@kernel("void(uint8[:, ::1], uint16[:, ::1], int64, uint8[:, ::1])")
def cluster_strata(tests: Bytes, roles: Words, unusable: int, strata: Bytes) -> None:
    """The stratum of every pixel for `cluster`: `CANDIDATE` where MNDWI > 0, else `REST`; `NO_STRATUM` if unusable."""
    barred = np.uint16(unusable)
    for i in range(strata.shape[0]):
        for j in range(strata.shape[1]):
            stratum = np.uint8(CANDIDATE) if tests[i, j] & GREENER else np.uint8(REST)
            strata[i, j] = stratum if (roles[i, j] & barred) == 0 else np.uint8(NO_STRATUM)


@dataclass(frozen=True, slots=True)
class Reservoir:
    """The pixels with the smallest hashes of each stratum among those met so far; its arrays are filled in place.

    A stratum has room for twice its capacity. When it is full, the half with the larger hashes is thrown away and
    nothing above the others is let in again, so that a tile of any size costs a few sorts.
    """

    seeds: Hashes
    """Seed of each stratum, (strata,)."""
    seen: NDArray[np.int64]
    """Pixels met of each stratum, (strata,)."""
    kept: NDArray[np.int64]
    """Pixels kept now, (strata,)."""
    highest: Hashes
    """Largest hash that a stratum still lets in, (strata,)."""
    hashes: Hashes
    """Hash of each kept pixel, (strata, 2 x capacity). Two pixels of a stratum never have the same."""
    places: Hashes
    """Its `place`, (strata, 2 x capacity)."""
    spectra: Spectra
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
        return int(self.hashes.shape[1]) // 2


@kernel()
def _halve(hashes: Hashes, places: Hashes, spectra: Spectra) -> np.uint64:
    """Move the half with the smaller hashes to the front; returns the largest of them."""
    half = hashes.size // 2
    smaller = np.argsort(hashes)[:half]
    hashes[:half], places[:half], spectra[:half] = hashes[smaller], places[smaller], spectra[smaller]
    return np.uint64(hashes[half - 1])


@kernel(
    f"void({_BANDS}, uint8[:, ::1], int64, int64, uint64[::1], int64[::1], int64[::1], uint64[::1], uint64[:, ::1],"
    " uint64[:, ::1], int16[:, :, ::1])"
)
def _collect(
    bands: Bands,
    strata: Bytes,
    top: int,
    left: int,
    seeds: Hashes,
    seen: NDArray[np.int64],
    kept: NDArray[np.int64],
    highest: Hashes,
    hashes: Hashes,
    places: Hashes,
    spectra: Spectra,
) -> None:
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


def collect(bands: Bands, strata: Bytes, top: int, left: int, into: Reservoir) -> None:
    """Offer a block to a reservoir; every pixel of a tile must be offered once, in any order and any blocks.

    `bands`: six int16 (h, w); `strata`: uint8 (h, w), 0 to len(seeds) - 1 or `NO_STRATUM`; `top`, `left`: place of the
    block's first pixel on the absolute grid.
    """
    state = (into.seeds, into.seen, into.kept, into.highest, into.hashes, into.places, into.spectra)
    _collect(bands, strata, top, left, *state)


@dataclass(frozen=True, slots=True)
class Table:
    """A drawn sample, sorted by row, then column."""

    rows: NDArray[np.int64]
    """Row on the absolute grid, modulo 2^32."""
    columns: NDArray[np.int64]
    """Column on it."""
    classes: NDArray[np.int64]
    """Class: the position in `draw`'s lists."""
    spectra: Spectra
    """The six bands, (n, 6)."""

    def as_int32(self, *, with_classes: bool) -> NDArray[np.int32]:
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
) -> tuple[NDArray[np.uint64], NDArray[np.int16]]:
    parts = [(r, stratum, slice(r.kept[stratum])) for r in reservoirs for stratum in group]
    hashes = np.concatenate([r.hashes[stratum, slots] for r, stratum, slots in parts])
    places = np.concatenate([r.places[stratum, slots] for r, stratum, slots in parts])
    spectra = np.concatenate([r.spectra[stratum, slots] for r, stratum, slots in parts])
    if count > hashes.size or any(count > r.capacity for r in reservoirs):
        raise ValueError(
            f"{count} samples asked for, {hashes.size} kept, {reservoirs[0].capacity} to be drawn at most"
        )
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
