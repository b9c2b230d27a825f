from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.kernels import naive_components as naive
from thalweg.kernels import components, snow

CLOUD = snow.ANY_CLOUD | snow.CLOUD1
BARRED = snow.NODATA | snow.WATER
PIXELS = st.sampled_from(
    [0, snow.SNOW1, snow.SNOW1 | snow.BLUE, CLOUD, CLOUD, snow.NODATA, snow.WATER | CLOUD]
)
SHAPES = st.tuples(st.integers(1, 14), st.integers(1, 16))
STATES = SHAPES.flatmap(lambda shape: hnp.arrays(np.uint16, shape, elements=PIXELS))
SHARES = st.sampled_from([0.0, 0.3, 0.5, 0.75, 1.0])


@given(STATES, st.integers(1, 6), SHARES, st.integers(0, 9), st.sampled_from([0, BARRED]))
def test_dropped_patches_equal_naive(
    state: np.ndarray, radius: int, threshold: float, min_area: int, barred: int
) -> None:
    valid = (state & barred) == 0
    exact = naive.drop(
        (state & snow.SNOW1) != 0, (state & snow.ANY_CLOUD) != 0, valid, radius, threshold, min_area
    )
    done = state.copy()
    dropped = components.drop_cloud_patches(done, radius, threshold, min_area, barred)
    np.testing.assert_array_equal((done & snow.SNOW1) != 0, exact[0])
    np.testing.assert_array_equal((done & snow.CLOUD1) != 0, exact[1])
    assert dropped == exact[2]
    others = np.uint16(0xFFFF ^ (snow.SNOW1 | snow.CLOUD1))
    np.testing.assert_array_equal(done & others, state & others)


@given(STATES)
def test_runs_are_grouped_by_patch_in_reading_order(state: np.ndarray) -> None:
    rows, starts, stops, first = components.find_runs(state)
    order, bounds = components.group_runs(components.join_runs(starts, stops, first))
    made = [
        {(int(rows[run]), j) for run in order[a:b] for j in range(starts[run], stops[run])}
        for a, b in pairwise(bounds)
    ]
    assert made == naive.patches((state & snow.SNOW1) != 0)


def test_a_dropped_patch_is_a_neighbour_without_snow() -> None:
    """Once the first patch is gone it thins out the cloud around the second, which stays."""
    state = np.full((9, 20), CLOUD, np.uint16)
    state[3:6, 3:9] = snow.SNOW1
    state[4, 10] = snow.SNOW1
    alone = state.copy()
    alone[3:6, 3:9] = CLOUD
    assert components.drop_cloud_patches(alone, 2, 0.95, 0, 0) == 1
    assert components.drop_cloud_patches(state, 2, 0.95, 0, 0) == 1
    assert state[4, 10] == snow.SNOW1
    assert (state[3:6, 3:9] == snow.CLOUD1).all()


def test_a_spiral_is_one_patch() -> None:
    spiral = ["#######", "......#", "#####.#", "#...#.#", "#.###.#", "#.....#", "#######"]
    snowy = np.array([[character == "#" for character in row] for row in spiral])
    _, starts, stops, first = components.find_runs((snowy * snow.SNOW1).astype(np.uint16))
    assert (components.join_runs(starts, stops, first) == 0).all()


def test_a_tile_without_snow_has_no_patch() -> None:
    state = np.full((5, 5), CLOUD, np.uint16)
    assert components.drop_cloud_patches(state, 5, 0.5, 0, 0) == 0
