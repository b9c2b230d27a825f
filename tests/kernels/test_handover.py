"""Water of 10 m on a grid of 20 m: never the nearest neighbour, mixed pixels are neither water nor land."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.kernels.naive_handover import handed_over
from thalweg.chains.quality_sources import reason_words
from thalweg.kernels import quality_flags as flags
from thalweg.kernels.quality_flags import mark_by_water

TABLE = reason_words()
OWN = {"land": flags.LAND, "mixed": flags.MIXED_PIXEL, "nodata": flags.NODATA_IN}
MEANINGS = {bit: int(word) for bit, word in enumerate(TABLE) if word}


def marked(water: np.ndarray, reason: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    words = np.zeros(shape, np.uint32)
    mark_by_water(water, reason, TABLE, words)
    return words


@st.composite
def products(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    shape, times = (draw(st.integers(1, 6)), draw(st.integers(1, 6))), draw(st.integers(1, 3))
    fine = (shape[0] * times, shape[1] * times)
    water = draw(arrays(np.uint8, fine, elements=st.sampled_from([0, 1, 255])))
    reason = draw(arrays(np.uint16, fine, elements=st.integers(0, 65535)))
    return water, reason, shape


@given(products())
def test_each_pixel_is_marked_as_the_specification_says(
    given_product: tuple[np.ndarray, np.ndarray, tuple[int, int]],
) -> None:
    water, reason, shape = given_product
    np.testing.assert_array_equal(marked(water, reason, shape), handed_over(*given_product, MEANINGS, OWN))


@pytest.mark.parametrize(
    ("water", "expected"),
    [
        ([[1, 1], [1, 1]], 0),
        ([[0, 0], [0, 0]], flags.LAND),
        ([[1, 0], [0, 0]], flags.MIXED_PIXEL),
        ([[1, 1], [1, 0]], flags.MIXED_PIXEL),
        ([[1, 1], [1, 255]], flags.NODATA_IN),
        ([[0, 0], [0, 255]], flags.NODATA_IN),
    ],
)
def test_four_pixels_become_one(water: list[list[int]], expected: int) -> None:
    none = np.zeros((2, 2), np.uint16)
    assert marked(np.array(water, np.uint8), none, (1, 1)).item() == expected


@pytest.mark.parametrize(
    ("bit", "word"),
    [
        (1, flags.CLOUD),
        (2, flags.CLOUD_SHADOW),
        (3, flags.SNOW_ICE),
        (4, flags.CLOUD),
        (0, flags.NODATA_IN),
        (7, flags.NODATA_IN),
    ],
)
def test_reasons_carry_cloud_shadow_and_snow_over(bit: int, word: int) -> None:
    water, reason = np.array([[1, 255], [1, 1]], np.uint8), np.full((2, 2), 1 << bit, np.uint16)
    assert marked(water, reason, (1, 1)).item() == word


def test_the_reason_of_a_decided_pixel_does_not_count() -> None:
    water, reason = np.array([[1, 1], [1, 1]], np.uint8), np.full((2, 2), 2, np.uint16)
    assert marked(water, reason, (1, 1)).item() == 0


@given(products(), st.integers(1, 4))
def test_strips_are_marked_as_the_whole(
    given_product: tuple[np.ndarray, np.ndarray, tuple[int, int]], height: int
) -> None:
    water, reason, shape = given_product
    times = water.shape[0] // shape[0]
    strips = [
        marked(
            np.ascontiguousarray(water[first * times : (first + height) * times]),
            np.ascontiguousarray(reason[first * times : (first + height) * times]),
            (min(height, shape[0] - first), shape[1]),
        )
        for first in range(0, shape[0], height)
    ]
    np.testing.assert_array_equal(np.concatenate(strips), marked(water, reason, shape))
