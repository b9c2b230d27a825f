"""What is decided once a detector has spoken, against the specification pixel by pixel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.kernels import naive_areas
from tests.kernels.naive_water import ROLES, Pixel, decide
from thalweg.kernels import samples, water

HIDING = {3: water.HIDDEN_BY_SNOW, 5: water.HIDDEN_BY_SUN, 15: water.HIDDEN_BY_PLACE}
MASK_OUT = (
    frozenset({"invalid", "cloud", "cloud_shadow", "snow", "adjacent", "sun_low", "saturated"}),
    frozenset({"invalid", "cloud"}),
    frozenset(ROLES),
)
PIXELS = st.builds(
    Pixel,
    prob=st.one_of(st.integers(0, 100), st.just(255)),
    snow_like=st.booleans(),
    roles=st.frozensets(st.sampled_from(ROLES), max_size=2),
    occurrence=st.sampled_from([0, 1, 49, 50, 100, 255]),
    too_high=st.booleans(),
    too_steep=st.booleans(),
    hidden=st.one_of(st.just(frozenset[int]()), st.frozensets(st.sampled_from([3, 5, 15]), max_size=2)),
)


def plane(values: list[int], dtype: type) -> np.ndarray:
    return np.array([values], dtype)


def decided(
    pixels: list[Pixel], mask_out: frozenset[str], threshold: int, exempt: int, on_all: int
) -> tuple[np.ndarray, ...]:
    """WATER, PROB, REASON and SOURCE of a row by the kernels; how many are decided and water."""
    roles = plane([sum(1 << ROLES.index(role) for role in pixel.roles) for pixel in pixels], np.uint16)
    prob = plane([255 if pixel.hidden else pixel.prob for pixel in pixels], np.uint8)
    state = plane([sum(HIDING[bit] for bit in pixel.hidden) for pixel in pixels], np.uint8)
    tests = plane([samples.SNOW_LIKE if pixel.snow_like else 0 for pixel in pixels], np.uint8)
    occurrence = plane([pixel.occurrence for pixel in pixels], np.uint8)
    ground = plane(
        [water.TOO_HIGH * pixel.too_high + water.TOO_STEEP * pixel.too_steep for pixel in pixels], np.uint8
    )
    by = np.uint16(sum(1 << ROLES.index(role) for role in mask_out))
    limits = (by, np.uint8(threshold), np.uint8(exempt), np.uint8(samples.SNOW_LIKE))
    water.decide(prob, tests, roles, occurrence, ground, *limits, state)
    out, source, reason = np.empty_like(prob), np.empty_like(prob), np.empty_like(roles)
    counts = water.write(
        prob, state, np.uint16(water.OCEAN), np.uint16(on_all), np.uint8(4), out, source, reason
    )
    return out[0], prob[0], reason[0], source[0], np.array(counts)


@given(
    pixels=st.lists(PIXELS, min_size=1, max_size=40),
    mask_out=st.sampled_from(MASK_OUT),
    threshold=st.sampled_from([1, 50, 80]),
    exempt=st.sampled_from([0, 50, 100]),
    on_all=st.sampled_from([0, water.NO_TRAINING]),
)
def test_decisions_are_those_of_the_specification(
    pixels: list[Pixel], mask_out: frozenset[str], threshold: int, exempt: int, on_all: int
) -> None:
    found, prob, reason, source, counts = decided(pixels, mask_out, threshold, exempt, on_all)
    expected = [decide(pixel, mask_out, threshold, exempt, on_all) for pixel in pixels]
    assert list(zip(found.tolist(), prob.tolist(), reason.tolist(), strict=True)) == expected
    assert source.tolist() == [0 if code == 255 else 4 for code, _, _ in expected]
    assert counts.tolist() == [
        sum(code != 255 for code, *_ in expected),
        sum(code == 1 for code, *_ in expected),
    ]


@given(
    bands=npst.arrays(np.int16, (6, 2, 9), elements=st.sampled_from([-10000, 0, 500])),
    roles=npst.arrays(np.uint16, (2, 9), elements=st.integers(0, 511)),
)
def test_a_pixel_without_data_in_one_band_is_invalid(bands: Any, roles: Any) -> None:
    out = np.empty_like(roles)
    water.mark_invalid(tuple(bands), -10000, roles, out)
    np.testing.assert_array_equal(out, roles | (bands == -10000).any(axis=0))


@given(
    state=npst.arrays(
        np.uint8,
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
        elements=st.sampled_from([0, 0, water.WATER, water.BY_HAND, water.MASKED, water.MASKED | 1]),
    ),
    radius=st.integers(1, 3),
)
def test_closing_is_that_of_the_specification(state: Any, radius: int) -> None:
    masked, wet = (state & water.MASKED) != 0, (state & (water.WATER | water.MASKED)) == water.WATER
    expected = state.copy()
    new = naive_areas.close(wet, masked, radius) & (state == 0)
    expected[new] = water.WATER | water.CHANGED
    water.close_gaps(state, radius)
    np.testing.assert_array_equal(state, expected)


def test_tally_counts_what_is_decided_and_where_candidate_and_test_differ() -> None:
    prob = np.array([[90, 90, 10, 10, 255, 10]], np.uint8)
    tests = np.array([[0, 2, 2, 0, 2, 2 | samples.SNOW_LIKE]], np.uint8)
    assert samples.MAY_BE_WATER == 2
    state = np.array([[1, 1, 0, 0, 128, 0]], np.uint8)
    assert water.tally(prob, tests, state, 50) == (5, 2)


def test_ocean_and_snow_of_dswx_hide_and_clouds_do_not() -> None:
    wtr = np.array([[0, 1, 2, 252, 253, 254, 255]], np.uint8)
    prob, hidden = np.full_like(wtr, 80), np.empty_like(wtr)
    water.hidden_in_dswx(wtr, prob, hidden)
    assert prob.tolist() == [[80, 80, 80, 255, 80, 255, 255]]
    assert hidden.tolist() == [[0, 0, 0, water.HIDDEN_BY_SNOW, 0, water.HIDDEN_BY_PLACE, 0]]


@pytest.mark.parametrize("slope", [5.0, 11.9, 12.1, 40.0])
def test_slopes_are_central_differences(slope: float) -> None:
    rise = math.tan(math.radians(slope)) * 10
    dem = np.add.outer(np.zeros(9), rise * np.arange(11)).astype(np.float32)
    for relief in (dem, np.ascontiguousarray(dem.T)):
        ground = np.zeros((5, 5), np.uint8)
        water.mark_steep(relief, 2, 3, ground, pixel=10.0, max_slope=12.0)
        assert (ground == (water.TOO_STEEP if slope > 12 else 0)).all()


def test_height_is_cut_strictly_and_unknown_height_never() -> None:
    hand = np.array([[-9999, np.nan, 0, 25, 25.5]], np.float32)
    ground = np.zeros(hand.shape, np.uint8)
    water.mark_high(hand, 25.0, ground)
    assert ground.tolist() == [[0, 0, 0, 0, water.TOO_HIGH]]
