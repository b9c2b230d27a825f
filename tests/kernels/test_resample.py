from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.kernels import naive_resample as naive
from thalweg.kernels import resample

NODATA = -10000
WATER = 2

COUNTS = st.one_of(
    st.integers(0, 12000),
    st.sampled_from([NODATA, -32768, 32767, -13705, -13706, NODATA + 1, NODATA - 1]),
)
CLEAN = st.integers(-13705, 32767).filter(lambda value: value != NODATA)


def images(values: st.SearchStrategy[int], factor: int, most: int) -> st.SearchStrategy[np.ndarray]:
    sides = st.tuples(st.integers(1, most), st.integers(1, most))
    return sides.flatmap(lambda s: hnp.arrays(np.int16, (s[0] * factor, s[1] * factor), elements=values))


def reduce_strips(image: np.ndarray, factor: int, height: int, nodata: int = NODATA) -> np.ndarray:
    """`image` reduced strip by strip, each with the rows around it that exist."""
    rows, columns = image.shape[0] // factor, image.shape[1] // factor
    out = np.empty((rows, columns), np.int16)
    reach = (3 * factor + 1) // 2
    for top in range(0, rows, height):
        stop = min(top + height, rows)
        first = max(top * factor - reach, 0)
        source = np.ascontiguousarray(image[first : stop * factor + reach])
        if factor == 2:
            resample.reduce_cubic_2(source, first, top, nodata, out[top:stop])
        else:
            resample.reduce_cubic(source, first, top, factor, nodata, out[top:stop])
    return out


@given(images(COUNTS, 2, 6), st.integers(1, 6))
def test_halving_equals_exact_fractions(image: np.ndarray, height: int) -> None:
    np.testing.assert_array_equal(reduce_strips(image, 2, height), naive.reduce_cubic(image, 2, NODATA))


@given(images(CLEAN, 2, 12), st.integers(1, 12))
def test_halving_without_nodata_needs_no_more_than_32_bits(image: np.ndarray, height: int) -> None:
    exact = np.empty((image.shape[0] // 2, image.shape[1] // 2), np.int16)
    resample.reduce_cubic(image, 0, 0, 2, NODATA, exact)
    np.testing.assert_array_equal(reduce_strips(image, 2, height), exact)


@given(st.integers(3, 6), images(COUNTS, 1, 20), st.integers(1, 4))
def test_any_whole_factor_equals_exact_fractions(factor: int, image: np.ndarray, height: int) -> None:
    image = image[: image.shape[0] // factor * factor, : image.shape[1] // factor * factor]
    assume(image.size)
    np.testing.assert_array_equal(
        reduce_strips(image, factor, height), naive.reduce_cubic(image, factor, NODATA)
    )


@pytest.mark.parametrize("factor", [2, 3, 7, 12, 24])
def test_weights_add_up_to_the_pixels_of_a_target(factor: int) -> None:
    weights = resample.cubic_weights(factor)
    assert weights.sum() == factor * 16 * factor**3
    exact = [16 * factor**3 * naive.cubic(t) for t in offsets(factor)]
    assert weights.tolist() == exact


def offsets(factor: int) -> list[naive.Fraction]:
    centre = naive.Fraction(factor, 2)
    first = factor // 2 - 2 * factor
    return [(first + n + naive.HALF - centre) / factor for n in range(4 * factor)]


@pytest.mark.parametrize("nodata", [-10000, 0, 77, 32767, 32768])
def test_wide_images_with_few_missing_pixels(nodata: int) -> None:
    random = np.random.default_rng(1)
    image = random.integers(-32768, 32768, (24, 2 * 400)).astype(np.int16)
    image[:, :300] = random.integers(0, 9000, (24, 300))
    image[image == nodata] = 5
    image[random.random(image.shape) < 0.002] = min(nodata, 32767)
    exact = np.empty((12, 400), np.int16)
    resample.reduce_cubic(image, 0, 0, 2, nodata, exact)
    np.testing.assert_array_equal(reduce_strips(image, 2, 5, nodata), exact)


def test_a_missing_pixel_is_left_out_and_a_missing_centre_is_missing() -> None:
    image = np.full((8, 8), 1000, np.int16)
    image[2, 2] = NODATA
    image[5, 5] = NODATA
    reduced = reduce_strips(image, 2, 4)
    assert reduced[2, 2] == NODATA
    assert (np.delete(reduced.ravel(), 2 * 4 + 2) == 1000).all()


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**9), st.booleans())
def test_rounded_ratio_is_exact(above: int, below: int, negative: bool) -> None:
    exact = naive.math.floor(naive.Fraction(above, below) + naive.HALF)
    sign = -1 if negative else 1
    assert resample.round_ratio(sign * above, sign * below) == min(max(exact, -32768), 32767)


SHAPES = st.tuples(st.integers(4, 12), st.integers(4, 12))


@given(st.data(), SHAPES, st.integers(1, 4), st.integers(1, 6))
def test_coarse_band_equals_exact_fractions_for_any_strips(
    data: st.DataObject, shape: tuple[int, int], factor: int, height: int
) -> None:
    band = data.draw(hnp.arrays(np.int16, shape, elements=COUNTS))
    water = data.draw(hnp.arrays(bool, shape))
    coarse = (shape[0] // factor, shape[1] // factor)
    numerator, denominator = np.zeros(coarse, np.int64), np.zeros(coarse, np.int64)
    centre = np.zeros(coarse, np.uint8)
    state = (water * WATER).astype(np.uint16)
    tops = list(range(0, shape[0], height))
    for top in data.draw(st.permutations(tops)):
        part = slice(top, top + height)
        resample.accumulate_coarse(
            band[part], state[part], WATER, top, shape[0], NODATA, numerator, denominator, centre
        )
    made = resample.settle_coarse(numerator, denominator, centre, NODATA)
    np.testing.assert_array_equal(made, naive.coarse_band(band, water, coarse, NODATA))


@given(SHAPES, st.integers(1, 4), st.sampled_from([10.0, 20.0, 30.0]))
def test_coarse_lines(shape: tuple[int, int], factor: int, pixel: float) -> None:
    coarse = (shape[0] // factor, shape[1] // factor)
    exact = resample.coarse_lines(shape, coarse)
    shifted = resample.coarse_lines_lis(shape, coarse, pixel)
    for axis in range(2):
        lines = range(shape[axis])
        assert exact[axis].tolist() == [naive.coarse_line(i, shape[axis], coarse[axis]) for i in lines]
        assert shifted[axis].tolist() == [naive.coarse_line_lis(i, axis, shape, coarse, pixel) for i in lines]


def test_square_tiles_have_no_shift() -> None:
    assert np.array_equal(
        resample.coarse_lines((5490, 5490), (457, 457)),
        resample.coarse_lines_lis((5490, 5490), (457, 457), 20.0),
    )


def test_spread_coarse_leaves_lines_without_source_missing() -> None:
    coarse = np.array([[1, 2], [3, 4]], np.int16)
    out = np.empty((3, 4), np.int16)
    rows, columns = np.array([0, 1, -1], np.int32), np.array([1, 1, -1, 0], np.int32)
    resample.spread_coarse(coarse, rows, columns, NODATA, out)
    assert out.tolist() == [[2, 2, NODATA, 1], [4, 4, NODATA, 3], [NODATA] * 4]


def enlarge_strips(image: np.ndarray, factor: int, height: int, left: int, width: int) -> np.ndarray:
    """`width` fine columns from `left` of `image` enlarged strip by strip, each with the rows that its centres need."""
    rows = image.shape[0] * factor
    out = np.empty((rows, width), np.int16)
    columns = slice(
        max((2 * left + 1 - factor) // (2 * factor), 0), (2 * (left + width) - 1 - factor) // (2 * factor) + 2
    )
    for top in range(0, rows, height):
        stop = min(top + height, rows)
        first = max((2 * top + 1 - factor) // (2 * factor), 0)
        last = (2 * stop - 1 - factor) // (2 * factor) + 2
        source = np.ascontiguousarray(image[first:last, columns])
        resample.enlarge_bilinear(source, first, columns.start, factor, top, left, NODATA, out[top:stop])
    return out


@given(images(COUNTS, 1, 6), st.integers(2, 5), st.integers(1, 7), st.data())
def test_enlarging_equals_exact_fractions_in_any_strips(
    image: np.ndarray, factor: int, height: int, data: st.DataObject
) -> None:
    left = data.draw(st.integers(0, image.shape[1] * factor - 1))
    width = data.draw(st.integers(1, image.shape[1] * factor - left))
    found = enlarge_strips(image, factor, height, left, width)
    whole = naive.enlarge_bilinear(image, factor, NODATA)
    np.testing.assert_array_equal(found, whole[:, left : left + width])


@given(st.integers(-2000, 32767), st.integers(2, 4))
def test_a_flat_band_stays_flat_where_it_is_enlarged(value: int, factor: int) -> None:
    image = np.full((3, 4), value, np.int16)
    image[0, 0] = NODATA
    found = enlarge_strips(image, factor, 2, 0, 4 * factor)
    assert set(found[factor:].ravel().tolist()) == {value}
    assert (found[:factor, :factor] == NODATA).all()


@given(images(COUNTS, 2, 6), st.sampled_from([NODATA, 0, 2**40]))
def test_sums_of_four_equal_the_plain_ones(image: np.ndarray, nodata: int) -> None:
    out = np.empty((image.shape[0] // 2, image.shape[1] // 2), np.int32)
    resample.sum_2x2(image, nodata, out)
    np.testing.assert_array_equal(out, naive.sum_2x2(image, nodata, resample.NO_SUM))
