from __future__ import annotations

import json
from collections import defaultdict
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.kernels import naive_occurrence as naive
from thalweg.kernels import occurrence

SHAPE = (3, 5)
MASKS = hnp.arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, 255]), fill=st.nothing())
OBSERVATIONS = st.lists(st.tuples(st.integers(1, 65535), MASKS), min_size=1, max_size=6)
LAYERS = ("n_water", "n_valid", "last_date", "last_water_date")


def empty(shape: tuple[int, ...] = SHAPE) -> list[Any]:
    return [np.zeros(shape, np.uint16) for _ in LAYERS]


def counted(observations: Any, shape: tuple[int, ...] = SHAPE) -> list[Any]:
    state = empty(shape)
    for day, mask in observations:
        assert occurrence.count(mask, day, *state) == 0
    return state


def merged(masks: list[Any]) -> Any:
    out = masks[0].copy()
    for mask in masks[1:]:
        occurrence.merge_pass(out, mask)
    return out


@given(OBSERVATIONS, st.randoms(use_true_random=False))
def test_counters_equal_naive_in_any_order(observations: Any, random: Any) -> None:
    shuffled = random.sample(observations, len(observations))
    for found, expected in zip(counted(shuffled), naive.state(observations, SHAPE), strict=True):
        np.testing.assert_array_equal(found, expected)


@given(OBSERVATIONS, st.integers(0, 6))
def test_periods_add_up_to_the_whole(observations: Any, cut: int) -> None:
    first, second = counted(observations[:cut]), counted(observations[cut:])
    assert occurrence.add_period(*first, *second) == 0
    for found, expected in zip(first, counted(observations), strict=True):
        np.testing.assert_array_equal(found, expected)


@given(st.lists(MASKS, min_size=1, max_size=4))
def test_merged_pass_equals_naive(masks: Any) -> None:
    np.testing.assert_array_equal(merged(masks), naive.merged(masks))


def test_full_counts_are_reported_and_stay() -> None:
    state = empty((1, 3))
    state[1][:] = [65535, 65535, 65534]
    water = np.array([[1, 255, 1]], np.uint8)
    assert occurrence.count(water, 9, *state) == 1
    assert state[1].tolist() == [[65535, 65535, 65535]]
    assert state[0].tolist() == [[0, 0, 1]]
    assert occurrence.add_period(*state, *[layer.copy() for layer in state]) == 3
    assert state[1].tolist() == [[65535, 65535, 65535]]


@st.composite
def counts(draw: st.DrawFn) -> tuple[Any, Any]:
    small = st.integers(0, 300)
    valid = draw(
        hnp.arrays(np.uint16, SHAPE, elements=st.one_of(small, st.integers(0, 65535)), fill=st.nothing())
    )
    share = draw(hnp.arrays(np.float64, SHAPE, elements=st.floats(0, 1), fill=st.nothing()))
    return np.floor(valid * share).astype(np.uint16), valid


@given(counts(), st.integers(1, 40))
def test_occurrence_equals_exact_fractions(pair: Any, min_valid: int) -> None:
    n_water, n_valid = pair
    out = np.empty(SHAPE, np.uint8)
    occurrence.occurrence(n_water, n_valid, min_valid, out)
    for p in np.ndindex(SHAPE):
        assert out[p] == naive.percent(int(n_water[p]), int(n_valid[p]), min_valid)


def test_occurrence_of_every_count_up_to_200_equals_exact_fractions() -> None:
    n_valid, n_water = (axis.astype(np.uint16) for axis in np.mgrid[0:201, 0:201])
    n_water = np.minimum(n_water, n_valid)
    out = np.empty(n_valid.shape, np.uint8)
    occurrence.occurrence(n_water, n_valid, 1, out)
    expected = [naive.percent(int(w), int(v)) for w, v in zip(n_water.flat, n_valid.flat, strict=True)]
    assert out.ravel().tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=12))
def test_monthly_mean_equals_exact_fractions(months: Any) -> None:
    months = [(min(wet, valid), valid) for wet, valid in months]
    share, number, out = np.zeros((1, 1)), np.zeros((1, 1), np.uint8), np.empty((1, 1), np.uint8)
    for wet, valid in months:
        occurrence.add_month(
            np.full((1, 1), wet, np.uint16), np.full((1, 1), valid, np.uint16), share, number
        )
    occurrence.monthly_mean(share, number, out)
    assert out[0, 0] == naive.monthly_percent(months)


@given(OBSERVATIONS)
def test_last_water_is_what_the_last_valid_day_saw(observations: Any) -> None:
    state, out = counted(observations), np.empty(SHAPE, np.uint8)
    occurrence.last_water(state[2], state[3], out)
    for p in np.ndindex(SHAPE):
        seen = [(day, int(mask[p])) for day, mask in observations if mask[p] != 255]
        last = max((day for day, _ in seen), default=0)
        assert out[p] == (max(value for day, value in seen if day == last) if seen else 255)


@pytest.fixture(scope="module")
def frozen(shared: Path) -> dict[str, Any]:
    folder = shared / "conformance" / "water" / "synthesis"
    arrivals = json.loads((folder / "arrivals.json").read_text("utf-8"))
    arrivals = arrivals if isinstance(arrivals, list) else arrivals["arrivals"]
    masks = np.load(folder / "masks.npz")["masks"]
    return {
        "arrivals": list(zip(arrivals, masks, strict=True)),
        "expected": dict(np.load(folder / "expected.npz")),
    }


def observations_of(arrivals: Any) -> dict[str, tuple[datetime, Any]]:
    """Newest version of each acquisition, merged into passes: earliest start and mask of each."""
    winners: dict[str, Any] = {}
    for arrival, mask in arrivals:
        version = tuple(map(int, arrival["version"].split(".")))
        if version >= winners.get(arrival["acquisition_id"], ((),))[0]:
            winners[arrival["acquisition_id"]] = (version, arrival, mask)
    passes = defaultdict(list)
    for _, arrival, mask in winners.values():
        passes[arrival["observation_id"]].append((datetime.fromisoformat(arrival["sensing_start"]), mask))
    return {
        name: (min(start for start, _ in parts), merged([mask for _, mask in parts]))
        for name, parts in passes.items()
    }


def days_since_1970(moment: datetime) -> int:
    return (moment.date() - date(1970, 1, 1)).days


def state_of(arrivals: Any, month: int | None = None) -> list[Any]:
    seen = observations_of(arrivals).values()
    chosen = [(days_since_1970(start), mask) for start, mask in seen if month in (None, start.month)]
    return counted(chosen, arrivals[0][1].shape)


def test_frozen_state_after_every_arrival(frozen: dict[str, Any]) -> None:
    arrivals, expected = frozen["arrivals"], frozen["expected"]
    for n in range(len(arrivals)):
        for name, layer in zip(LAYERS, state_of(arrivals[: n + 1]), strict=True):
            np.testing.assert_array_equal(layer, expected[f"prefix_{name}"][n], err_msg=f"{name} {n}")


def test_frozen_months_and_year(frozen: dict[str, Any]) -> None:
    arrivals, expected = frozen["arrivals"], frozen["expected"]
    shape = arrivals[0][1].shape
    year, share, months = empty(shape), np.zeros(shape), np.zeros(shape, np.uint8)
    percent = np.empty(shape, np.uint8)
    for month in (1, 2, 3):
        state = state_of(arrivals, month)
        assert occurrence.add_period(*year, *state) == 0
        occurrence.add_month(state[0], state[1], share, months)
        occurrence.occurrence(state[0], state[1], 1, percent)
        for name, layer in zip((*LAYERS, "occurrence"), (*state, percent), strict=True):
            np.testing.assert_array_equal(layer, expected[f"m{month:02}_{name}"], err_msg=name)
    occurrence.occurrence(year[0], year[1], 1, percent)
    for name, layer in zip((*LAYERS, "occurrence"), (*year, percent), strict=True):
        np.testing.assert_array_equal(layer, expected[f"annual_{name}"], err_msg=name)
    occurrence.monthly_mean(share, months, percent)
    np.testing.assert_array_equal(percent, expected["annual_occurrence_monthly_mean"])
