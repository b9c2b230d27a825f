"""Packed candidates: everything that may become snow comes back, and nothing else is kept."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from thalweg.kernels.kept import count_candidates, pack_candidates, unpack_candidates
from thalweg.kernels.snow import ANY_CLOUD, BLUE, CANDIDATE2, CLOUD1, SNOW1

states = arrays(np.uint16, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 65535))


def may_be_snow(state: np.ndarray) -> np.ndarray:
    taken = ((state & CLOUD1) != 0) & ((state & ANY_CLOUD) == 0)
    return ((state & (SNOW1 | CANDIDATE2 | BLUE)) != 0) | taken


@given(states)
def test_candidates_come_back_in_their_places(state: np.ndarray) -> None:
    counts = np.arange(1, state.size + 1, dtype=np.int16).reshape(state.shape)
    packed = np.empty(count_candidates(state), np.int16)
    pack_candidates(state, counts, packed)
    np.testing.assert_array_equal(packed, counts[may_be_snow(state)])
    back = np.empty_like(counts)
    unpack_candidates(state, packed, back)
    np.testing.assert_array_equal(back, np.where(may_be_snow(state), counts, 0))


@given(states, st.data())
def test_pass_1_5_moves_no_candidate(state: np.ndarray, data: st.DataObject) -> None:
    # As the survey leaves it: cloud of pass 1 is the cloud mask, and snow of pass 1 lies outside.
    wide = state.astype(int)
    state = np.where(wide & ANY_CLOUD, (wide | CLOUD1) & ~SNOW1, wide & ~CLOUD1).astype(np.uint16)
    drop = data.draw(arrays(np.bool_, state.shape)) & ((state & SNOW1) != 0)
    after = np.where(drop, (state.astype(int) & ~SNOW1) | CLOUD1, state).astype(np.uint16)
    np.testing.assert_array_equal(may_be_snow(after), may_be_snow(state))
    assert count_candidates(after) == count_candidates(state)
