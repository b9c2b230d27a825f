"""Areas of runs against flooding, whatever the strips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.kernels import naive_areas as naive
from thalweg.kernels import areas

PLANES = npst.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 7))
REACH = {areas.SIDES: naive.SIDES, areas.CORNERS: naive.CORNERS}


def strips_of(plane: np.ndarray, height: int) -> list[np.ndarray]:
    return [np.ascontiguousarray(plane[first : first + height]) for first in range(0, len(plane), height)]


def flooded(plane: np.ndarray, mask: int, value: int, reach: int, chosen: Any, put: int) -> np.ndarray:
    """`put` added to the areas of a class that `chosen` likes."""
    out = plane.copy()
    for area in naive.areas((plane & mask) == value, REACH[reach]):
        if chosen(area):
            for place in area:
                out[place] |= put
    return out


@given(plane=PLANES, height=st.integers(1, 12), reach=st.sampled_from([0, 1]), least=st.integers(1, 20))
def test_small_areas_are_those_of_flooding(plane: Any, height: int, reach: int, least: int) -> None:
    strips = strips_of(plane, height)
    found = areas.find_areas(strips, 3, 1, reach)
    areas.paint(strips, found, found.sizes() < least, 0, 64)
    expected = flooded(plane, 3, 1, reach, lambda area: len(area) < least, 64)
    np.testing.assert_array_equal(np.concatenate(strips), expected)


@given(plane=PLANES, height=st.integers(1, 12), reach=st.sampled_from([0, 1]))
def test_marked_areas_are_those_with_a_marked_pixel(plane: Any, height: int, reach: int) -> None:
    strips = strips_of(plane, height)
    found = areas.find_areas(strips, 3, 1, reach)
    areas.paint(strips, found, found.that_have(areas.mark(strips, found, 4)), 1, 64)
    expected = flooded(plane, 3, 1, reach, lambda area: any(plane[place] & 4 for place in area), 64)
    expected[(expected & 64) != 0] &= 254
    np.testing.assert_array_equal(np.concatenate(strips), expected)


@given(plane=PLANES, reach=st.just(areas.SIDES))
def test_open_areas_touch_a_masked_pixel_or_the_edge(plane: Any, reach: int) -> None:
    found = areas.find_areas([plane], 3, 0, reach)
    is_open = found.that_have(areas.mark_open(plane, found, 4))
    painted = plane.copy()
    areas.paint([painted], found, is_open, 0, 64)

    def touches(area: naive.Pixels) -> bool:
        around = naive.surroundings(area, naive.SIDES)
        rows, columns = plane.shape
        beyond = [not (0 <= i < rows and 0 <= j < columns) for i, j in around]
        return any(beyond) or any(plane[place] & 4 for place in around)

    np.testing.assert_array_equal(painted, flooded(plane, 3, 0, reach, touches, 64))


def test_spared_pixels_are_not_painted() -> None:
    plane = np.array([[1, 9, 1]], np.uint8)
    found = areas.find_areas([plane], 1, 1, areas.SIDES)
    areas.paint([plane], found, found.sizes() == 3, 1, 64, 8)
    assert plane.tolist() == [[64, 9, 64]]


@pytest.mark.parametrize("value", [0, 1])
def test_a_plane_of_one_class_is_one_area_or_none(value: int) -> None:
    plane = np.full((5, 7), value, np.uint8)
    sizes = areas.find_areas(strips_of(plane, 2), 1, 1, areas.CORNERS).sizes()
    assert sizes.tolist() == ([35] * 5 if value else [])
