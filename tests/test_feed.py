"""Feeds: conversion, reduction, enlargement and halo, whatever the strips."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.rasters import in_memory
from thalweg.feed import (
    ArrayFeed,
    BandFeed,
    CodeFeed,
    Feed,
    MaskFeed,
    MaskSource,
    Part,
    ratio,
    reduce_mean,
    to_counts,
    to_reflectance,
)
from thalweg.granule import BandFile
from thalweg.grid import Grid
from thalweg.inputs import NO_DATA, Band
from thalweg.raster import Reflectance

RANDOM = np.random.default_rng(3)


def band_file(scale: float = 1e-4, offset: float = 0.0, quantification: int = 10000) -> BandFile:
    """A band file as the readers describe it: the offset as reflectance, and as counts to add."""
    raster = in_memory(np.zeros((1, 1), np.int16), scale=scale, offset=offset).raster
    return BandFile(raster, Reflectance(quantification, math.floor(offset * quantification + 0.5)))


# --- stored numbers to counts and reflectance


def naive_count(number: int, file: BandFile) -> Fraction:
    """Reflectance x quantification, exactly; it may lie beyond int16."""
    scale, offset = (Fraction(str(value)) for value in (file.raster.scale, file.raster.offset))
    return (number * scale + offset) * file.reflectance.quantification


STATES = {
    "never there": (1e-4, 0.0, 10000),
    "still inside, declared": (1e-4, -0.1, 10000),
    "per milli": (1e-3, 0.0, 1000),
    "Landsat": (2.75e-5, -0.2, 10000),
    "reflectance itself": (1.0, 0.0, 10000),
    "counts of counts": (1e-3, 0.0, 10000),
}
TYPES = {
    "uint8": 0,
    "int16": -10000,
    "uint16": 65535,
    "int32": -10000,
    "float32": -9999.0,
    "float64": -3.4e38,
}
INTEGERS = [name for name in TYPES if "int" in name]


@pytest.mark.parametrize("nodata", ["none", "own", "zero", "not a number", "-99"])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_become_counts(dtype: str, state: str, nodata: str) -> None:
    file = band_file(*STATES[state])
    own = {"none": None, "own": TYPES[dtype], "zero": 0, "not a number": math.nan, "-99": -99}[nodata]
    limits = np.iinfo(dtype)
    usual = RANDOM.integers(max(limits.min, -20000), min(limits.max, 66000), 60).tolist()
    special = [limits.min, limits.max, 0, 1, -10000, -99, 9999, 65535]
    stored = np.array(
        [[*usual, *(number for number in special if limits.min <= number <= limits.max)]], dtype
    )
    counts = to_counts(stored, file, own)
    assert counts.dtype == np.int16
    # Only a scale that is not the quantification itself is decoded in floats, which may miss an exact half.
    slack = 0 if file.raster.scale * file.reflectance.quantification == 1 else Fraction(1, 10**6)
    for number, count in zip(stored[0].tolist(), counts[0].tolist(), strict=True):
        if number == own:
            assert count == NO_DATA
        else:
            exact = min(max(naive_count(number, file), Fraction(-32768)), Fraction(32767))
            assert -Fraction(1, 2) - slack < count - exact <= Fraction(1, 2) + slack


@given(
    hnp.arrays(
        np.float32, (1, 8), elements=st.floats(-4, 4, width=32) | st.sampled_from([math.nan, math.inf])
    ),
    st.sampled_from([None, -9999.0, 0.0, math.nan]),
)
def test_floats_become_counts(stored: np.ndarray, nodata: float | None) -> None:
    file = band_file(scale=1.0, offset=-0.1)
    counts = to_counts(stored, file, nodata)[0]
    missing = ~np.isfinite(stored[0]) | (stored[0] == nodata)
    assert (counts[missing] == NO_DATA).all()
    exact = (stored[0][~missing].astype(np.float64) - 0.1) * 10000
    assert (np.abs(counts[~missing] - np.clip(exact, -32768, 32767)) <= 0.5 + 1e-6).all()


@pytest.mark.parametrize("nodata", [-3.4e38, -3.4028234663852886e38, math.nan, -9999.0])
def test_nodata_of_floats_is_found_however_it_is_written(nodata: float) -> None:
    stored = np.array([[nodata, 0.25]], np.float32)
    assert to_counts(stored, band_file(scale=1.0), nodata).tolist() == [[NO_DATA, 2500]]


def test_reflectance_is_decoded_and_nan_where_nodata() -> None:
    stored = np.array([[0, 1000, 11000, 65535]], np.uint16)
    found = to_reflectance(stored, band_file(offset=-0.1), 0)
    np.testing.assert_allclose(found, [[np.nan, 0.0, 1.0, 6.4535]], rtol=1e-6, atol=1e-8)
    assert found.dtype == np.float32


def test_counts_as_they_are_are_not_copied() -> None:
    stored = np.array([[5, -10000]], np.int16)
    assert to_counts(stored, band_file(), -10000) is stored


# --- reduction


def naive_mean(values: np.ndarray, factor: int) -> list[list[int]]:
    """Mean of each block, halves up; nodata where a pixel of it is."""
    rows, columns = (size // factor for size in values.shape)
    out = []
    for i in range(rows):
        line = []
        for j in range(columns):
            block = values[i * factor : (i + 1) * factor, j * factor : (j + 1) * factor].ravel().tolist()
            mean = math.floor(Fraction(sum(block), len(block)) + Fraction(1, 2))
            line.append(NO_DATA if NO_DATA in block else mean)
        out.append(line)
    return out


@given(st.integers(1, 6), st.tuples(st.integers(1, 4), st.integers(1, 4)), st.data())
def test_counts_are_averaged(factor: int, shape: tuple[int, int], data: st.DataObject) -> None:
    numbers = st.integers(-32768, 32767) | st.just(NO_DATA)
    fine = (shape[0] * factor, shape[1] * factor)
    values = data.draw(hnp.arrays(np.int16, fine, elements=numbers, fill=st.just(5)))
    assert reduce_mean(values, factor).tolist() == naive_mean(values, factor)


@given(st.integers(1, 6), st.tuples(st.integers(1, 4), st.integers(1, 4)), st.data())
def test_reflectance_is_averaged(factor: int, shape: tuple[int, int], data: st.DataObject) -> None:
    fine = (shape[0] * factor, shape[1] * factor)
    numbers = st.floats(-1, 2, width=32) | st.just(math.nan)
    values = data.draw(hnp.arrays(np.float32, fine, elements=numbers))
    blocks = values.reshape(shape[0], factor, shape[1], factor).astype(np.float64)
    found = reduce_mean(values, factor)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, blocks.mean(axis=(1, 3)), rtol=1e-6, atol=1e-9)


# --- strips: what any feed gives


ROWS, COLUMNS = 23, 17
WHOLE = Grid("EPSG:32631", 300_000.0, 4_800_000.0, (20.0, 20.0), (ROWS, COLUMNS))
PARTS = {
    "whole": Part(WHOLE, 0, 0, WHOLE),
    "part": Part(WHOLE, 5, 3, WHOLE.window(5, 3, (13, 11))),
}

strips = st.lists(st.integers(1, ROWS), min_size=0, max_size=6)


def check_strips(make: Any, heights: list[int], halo: int, part: Part, nodata: float) -> None:
    """Strips of any height give what the whole gives; beyond the part is nodata."""
    rows, columns = part.grid.shape
    whole = make(0).rows(0, rows)
    assert whole.shape == (rows, columns)
    surrounded = np.pad(whole, halo, constant_values=nodata)
    edges = [0, *sorted({height for height in np.cumsum(heights).tolist() if height < rows}), rows]
    feed: Feed = make(halo)
    for first, last in pairwise(edges):
        found = feed.rows(first, last)
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, surrounded[first : last + 2 * halo])


@pytest.mark.parametrize("place", PARTS)
@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize(
    "how", ["counts mean", "counts cubic", "counts nearest", "stored cubic", "reflectance mean"]
)
@settings(max_examples=15)
@given(heights=strips, halo=st.integers(0, 4), block_rows=st.sampled_from([1, 4, 7, 64]))
def test_no_strips_change_a_band(
    place: str, factor: int, how: str, heights: list[int], halo: int, block_rows: int
) -> None:
    encoding, reduce = how.split()
    band = Band("red", encoding=encoding, reduce=reduce)  # type: ignore[arg-type]
    stored = np.random.default_rng(1).integers(0, 9000, (ROWS * factor, COLUMNS * factor)).astype(np.int16)
    stored[3:7, 2:9] = -10000

    def make(halo: int) -> Feed:
        opened = in_memory(stored, 20 / factor, -10000, block_rows)
        return BandFeed(band, band_file(), opened, PARTS[place], factor, halo)

    check_strips(make, heights, halo, PARTS[place], math.nan if encoding == "reflectance" else NO_DATA)


def test_a_band_on_the_grid_is_what_is_stored() -> None:
    stored = RANDOM.integers(0, 9000, (ROWS, COLUMNS)).astype(np.int16)
    feed = BandFeed(Band("red", encoding="counts"), band_file(), in_memory(stored), PARTS["part"], 1, 0)
    np.testing.assert_array_equal(feed.rows(0, 13), stored[5:18, 3:14])


def test_a_nodata_that_the_chain_gives_overrules_the_files() -> None:
    stored = np.array([[7, 0, 5]], np.int16)
    part = Part(WHOLE.window(0, 0, (1, 3)), 0, 0, WHOLE.window(0, 0, (1, 3)))
    for given_, expected in ((None, [[7, NO_DATA, 5]]), (7, [[NO_DATA, 0, 5]])):
        band = Band("red", encoding="counts", nodata=given_)
        feed = BandFeed(band, band_file(), in_memory(stored, nodata=0), part, 1, 0)
        assert feed.rows(0, 1).tolist() == expected


def test_nearest_takes_the_upper_left_pixel() -> None:
    stored = np.arange(4 * ROWS * COLUMNS, dtype=np.int16).reshape(2 * ROWS, 2 * COLUMNS)
    band = Band("red", encoding="counts", reduce="nearest")
    feed = BandFeed(band, band_file(), in_memory(stored, 10.0), PARTS["part"], 2, 0)
    np.testing.assert_array_equal(feed.rows(0, 13), stored[10:36:2, 6:28:2])


TABLE = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize("place", PARTS)
@pytest.mark.parametrize("enlarge", [1, 2, 3, 6])
@settings(max_examples=15)
@given(
    heights=strips, halo=st.integers(0, 3), excess=st.integers(0, 2), block_rows=st.sampled_from([1, 3, 64])
)
def test_coarse_codes_are_enlarged(
    place: str, enlarge: int, heights: list[int], halo: int, excess: int, block_rows: int
) -> None:
    part = PARTS[place]
    size = [-(-n // enlarge) + excess for n in (ROWS, COLUMNS)]
    stored = np.random.default_rng(2).integers(0, 256, size).astype(np.uint8)
    expected = np.kron(stored, np.ones((enlarge, enlarge), np.uint8))[part.row :, part.column :]
    rows, columns = part.grid.shape

    def codes(halo: int) -> Feed:
        return CodeFeed(
            "codes", in_memory(stored, 20.0 * enlarge, block_rows=block_rows), part, enlarge, halo
        )

    def mask(halo: int) -> Feed:
        source = MaskSource(in_memory(stored, 20.0 * enlarge, block_rows=block_rows), TABLE, enlarge)
        return MaskFeed("mask", [source], part, halo)

    np.testing.assert_array_equal(codes(0).rows(0, rows), expected[:rows, :columns])
    check_strips(codes, heights, halo, part, 0)
    check_strips(mask, heights, halo, part, 0)


@pytest.mark.parametrize("place", PARTS)
@pytest.mark.parametrize("factor", [2, 3])
@settings(max_examples=15)
@given(heights=strips, halo=st.integers(0, 3))
def test_bits_of_a_finer_mask_are_joined(place: str, factor: int, heights: list[int], halo: int) -> None:
    part = PARTS[place]
    stored = np.left_shift(
        1, np.random.default_rng(2).integers(0, 9, (ROWS * factor, COLUMNS * factor))
    ).astype(np.uint8)

    def mask(halo: int) -> Feed:
        return MaskFeed(
            "mask", [MaskSource(in_memory(stored, 20 / factor), TABLE, reduce=factor)], part, halo
        )

    rows, columns = part.grid.shape
    for i, j in ((0, 0), (rows - 1, columns - 1), (rows // 2, columns // 3)):
        top, left = (part.row + i) * factor, (part.column + j) * factor
        bits = {int(code) for code in stored[top : top + factor, left : left + factor].ravel()}
        assert mask(0).rows(0, rows)[i, j] == sum(bits)
    check_strips(mask, heights, halo, part, 0)


def test_meanings_of_several_masks_are_joined() -> None:
    one, other = (RANDOM.integers(0, 4, (ROWS, COLUMNS)).astype(np.uint8) for _ in range(2))
    sources = [MaskSource(in_memory(one), TABLE), MaskSource(in_memory(other), TABLE << np.uint8(4))]
    feed = MaskFeed("mask", sources, PARTS["whole"], 0)
    np.testing.assert_array_equal(feed.rows(0, ROWS), one | other << 4)
    feed.close()
    assert all(source.opened.dataset.closed for source in sources)


@pytest.mark.parametrize("kind", ["file", "array"])
@settings(max_examples=15)
@given(heights=strips, halo=st.integers(0, 3))
def test_beyond_the_tile_a_static_layer_has_its_nodata(kind: str, heights: list[int], halo: int) -> None:
    values = np.random.default_rng(2).integers(0, 3000, (ROWS, COLUMNS)).astype(np.int16)

    def make(halo: int) -> Feed:
        if kind == "array":
            return ArrayFeed("dem", values, -32768, halo)
        return CodeFeed("dem", in_memory(values), PARTS["whole"], 1, halo, nodata=-32768)

    check_strips(make, heights, halo, PARTS["whole"], -32768)


# --- ratio


@given(st.sampled_from([10.0, 20.0, 15.0]), st.integers(1, 12), st.integers(1, 6000), st.integers(1, 6000))
def test_a_whole_ratio_is_found(pixel: float, factor: int, rows: int, columns: int) -> None:
    coarse = Grid("EPSG:32631", 0.0, 0.0, (pixel * factor, pixel * factor), (rows, columns))
    assert ratio(coarse.finer(factor), coarse) == factor
    assert ratio(coarse, coarse.finer(factor)) == (1 if factor == 1 else None)


@pytest.mark.parametrize("fine", [(15.0, 15.0), (10.0, 20.0), (10.001, 10.001), (13.0, 13.0), (40.0, 40.0)])
def test_other_ratios_are_none(fine: tuple[float, float]) -> None:
    coarse = Grid("EPSG:32631", 0.0, 0.0, (20.0, 20.0), (5490, 5490))
    assert ratio(Grid("EPSG:32631", 0.0, 0.0, fine, (10980, 10980)), coarse) is None


def test_a_feed_closes_its_file() -> None:
    opened = in_memory(np.zeros((ROWS, COLUMNS), np.int16))
    BandFeed(Band("red"), band_file(), opened, PARTS["whole"], 1, 0).close()
    assert opened.dataset.closed


def test_an_encoding_is_one_of_three() -> None:
    kinds: tuple[Literal["stored", "counts", "reflectance"], ...] = ("stored", "counts", "reflectance")
    stored = np.full((ROWS, COLUMNS), 1500, np.uint16)
    file = band_file(offset=-0.1)
    feeds = [
        BandFeed(Band("red", encoding=kind), file, in_memory(stored), PARTS["whole"], 1, 0) for kind in kinds
    ]
    found = [feed.rows(0, 1)[0, 0] for feed in feeds]
    assert [value.dtype.name for value in found] == ["int16", "int16", "float32"]
    assert found == [1500, 500, pytest.approx(0.05)]


def test_stored_numbers_beyond_int16_are_its_limits() -> None:
    stored = np.full((ROWS, COLUMNS), 40000, np.uint16)
    feed = BandFeed(Band("red", encoding="stored"), band_file(), in_memory(stored), PARTS["whole"], 1, 0)
    assert feed.rows(0, 1)[0, 0] == 32767
