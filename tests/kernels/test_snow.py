from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.kernels import naive_snow as naive
from thalweg.kernels import snow, snowline

NODATA = -10000
SHAPE = (6, 11)
BITS = {
    "nodata": snow.NODATA,
    "water": snow.WATER,
    "any_cloud": snow.ANY_CLOUD,
    "hard_cloud": snow.HARD_CLOUD,
    "back": snow.BACK,
    "snow1": snow.SNOW1,
    "candidate2": snow.CANDIDATE2,
    "blue": snow.BLUE,
    "cloud1": snow.CLOUD1,
    "refine": snow.REFINE,
    "snow2": snow.SNOW2,
    "shaded": snow.SHADED,
    "uncalibrated": snow.UNCALIBRATED,
    "snow3": snow.SNOW3,
    "inland": snow.INLAND,
    "marked": snow.MARKED,
}
COUNTS = st.one_of(
    st.integers(0, 9000), st.sampled_from([NODATA, 0, 1, -1, -700, 700, 2000, 2001, 400, 401, 32767, -32768])
)
QUOTIENTS = st.tuples(COUNTS, COUNTS).map(lambda pair: quotient(*pair))
NDSI = st.one_of(st.sampled_from([0.4, 0.15, 0.0, -1.0, 1.0, 0.37]), st.floats(-1, 1), QUOTIENTS)


def quotient(green: int, swir: int) -> float:
    return min(max((green - swir) / (green + swir), -1.0), 1.0) if green + swir else 0.0


def counts() -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.int16, SHAPE, elements=COUNTS)


def codes(most: int) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.uint8, SHAPE, elements=st.one_of(st.just(0), st.integers(0, most)))


SCENES = st.builds(
    naive.Bands, counts(), counts(), counts(), counts(), counts(), codes(15), st.one_of(st.none(), codes(3))
)
LIMITS = st.builds(
    naive.Limits,
    ndsi_pass1=NDSI,
    red_pass1=st.sampled_from([0.0, 2000, 199.5]),
    ndsi_pass2=NDSI,
    red_pass2=st.sampled_from([0.0, 400, 40000]),
    red_back_to_cloud=st.sampled_from([1000.0, 99.9]),
    shaded_snow_pass=st.sampled_from([160.0, 0, 15.5]),
    swir_pass1_max=st.sampled_from([None, 700, 700.5, 50000]),
)


def survey(bands: naive.Bands, limits: naive.Limits, lis: bool, nodata: int = NODATA) -> np.ndarray:
    state = np.empty(bands.green.shape, np.uint16)
    numbers: dict[str, Any] = asdict(limits)
    snow.survey(
        bands.green,
        bands.red,
        bands.swir,
        bands.blue,
        bands.nir,
        bands.cloud,
        bands.water,
        nodata,
        snow.limits(**numbers),
        lis,
        state,
    )
    return state


def check(state: np.ndarray, masks: naive.Masks) -> None:
    for name in masks.keys() & BITS.keys():
        np.testing.assert_array_equal((state & BITS[name]) != 0, masks[name], err_msg=name)


@given(SCENES, LIMITS, st.booleans(), st.booleans())
def test_survey_equals_naive(bands: naive.Bands, limits: naive.Limits, lis: bool, shaded: bool) -> None:
    bands = bands if shaded else replace(bands, blue=None, nir=None)
    state = survey(bands, limits, lis)
    masks = naive.survey(bands, NODATA, limits, lis)
    check(state, masks)
    assert (state & sum(BITS[name] for name in BITS.keys() - masks.keys()) == 0).all()


@given(COUNTS, COUNTS, NDSI, st.booleans())
def test_ndsi_is_compared_as_in_float64(green: int, swir: int, threshold: float, lis: bool) -> None:
    pixel = np.array([[green]], np.int16), np.array([[swir]], np.int16)
    bands = naive.Bands(
        pixel[0], np.full((1, 1), 9, np.int16), pixel[1], None, None, np.zeros((1, 1), np.uint8), None
    )
    limits = naive.Limits(ndsi_pass1=threshold, ndsi_pass2=threshold, red_pass1=0, red_pass2=0)
    state = survey(bands, limits, lis, nodata=-32768)
    if lis or -32768 not in (green, swir):
        passed = bool(naive.ndsi(*pixel, lis)[0, 0] > threshold)
        assert bool(state[0, 0] & snow.CANDIDATE2) == passed


@given(st.integers(1, 65536), st.data())
def test_thresholds_next_to_a_quotient_are_told_apart(below: int, data: st.DataObject) -> None:
    above = data.draw(st.integers(0, below - 1))
    threshold = above / below
    for limit in (threshold, math.nextafter(threshold, 1), math.nextafter(threshold, -1)):
        p, q = snow.ndsi_ratio(limit)
        assert (above * q > p * below) == (threshold > limit)


def test_the_usual_thresholds_are_small_fractions() -> None:
    fractions = {0.4: (2, 5), 0.15: (3, 20), 0.0: (0, 1), 1.0: (1, 1), -1.0: (-1, 1)}
    assert {limit: snow.ndsi_ratio(limit) for limit in fractions} == fractions


STATES = hnp.arrays(np.uint16, SHAPE, elements=st.integers(0, 65535))
ELEVATIONS = hnp.arrays(
    np.int16, SHAPE, elements=st.sampled_from([-32768, -100, 0, 1199, 1200, 1201, 1300, 32767])
)


def apply(
    state: np.ndarray,
    coarse: np.ndarray,
    dem: np.ndarray,
    dem_nodata: int | None,
    zs: np.ndarray,
    shadow: np.ndarray,
    lis: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """The finished state and the candidates, by a coarse red as fine as the pixels."""
    lines = np.arange(SHAPE[0], dtype=np.int32), np.arange(SHAPE[1], dtype=np.int32)
    missing = 32768 if dem_nodata is None else dem_nodata
    done, candidate = state.copy(), np.empty(SHAPE, np.uint8)
    snow.detect(done, coarse, *lines, 3000, dem, missing, zs + np.int32(lis), zs, lis, candidate)
    snow.merge(done, candidate, shadow)
    return done, candidate


def masks_of(state: np.ndarray) -> naive.Masks:
    early = ("nodata", "water", "any_cloud", "hard_cloud", "back", "snow1", "candidate2", "blue", "cloud1")
    return {name: (state & BITS[name]) != 0 for name in early}


@given(
    STATES,
    hnp.arrays(np.int16, SHAPE, elements=st.sampled_from([NODATA, 0, 3000, 3001, 9000])),
    ELEVATIONS,
    st.sampled_from([None, -32768, 32767, 1201]),
    st.one_of(
        st.sampled_from([1200, -32768, snowline.NEVER]).map(lambda z: np.full((1, SHAPE[1]), z, np.int32)),
        hnp.arrays(np.int32, SHAPE, elements=st.integers(1199, 1301)),
    ),
    hnp.arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, 255])),
    st.booleans(),
)
def test_second_step_equals_naive(
    state: np.ndarray,
    coarse: np.ndarray,
    dem: np.ndarray,
    dem_nodata: int | None,
    zs: np.ndarray,
    shadow: np.ndarray,
    lis: bool,
) -> None:
    masks = masks_of(state)
    masks |= naive.detect(masks, coarse, 3000, dem.astype(int), dem_nodata, zs, lis)
    masks |= naive.merge(masks, shadow != 0)
    done, candidate = apply(state, coarse, dem, dem_nodata, zs, shadow, lis)
    check(done, masks)
    np.testing.assert_array_equal(candidate != 0, masks["candidate"])
    again, _ = apply(done, coarse, dem, dem_nodata, zs, shadow, lis)
    np.testing.assert_array_equal(again, done)
    check_layers(done, masks, shadow)


def check_layers(state: np.ndarray, masks: naive.Masks, slope: np.ndarray) -> None:
    out = np.empty(SHAPE, np.uint8)
    for strict in (False, True):
        snow.seb(state, strict, out)
        np.testing.assert_array_equal(out, naive.seb(masks, strict))
        snow.snow_all(state, slope if strict else None, strict, out)
        np.testing.assert_array_equal(out, naive.snow_all(masks, slope if strict else None, strict))
    snow.flag(state, snow.SNOW3, out)
    np.testing.assert_array_equal(out, masks["snow3"])
    assert snow.count_code(out, 1) == np.count_nonzero(masks["snow3"])


@given(SCENES, counts(), ELEVATIONS, st.booleans(), st.booleans())
def test_what_the_masks_never_do(
    bands: naive.Bands, coarse: np.ndarray, dem: np.ndarray, dark: bool, lis: bool
) -> None:
    bands = replace(bands, cloud=np.where(bands.cloud != 0, bands.cloud | 1, 0).astype(np.uint8))
    state = survey(bands, naive.Limits(), lis)
    shadow = np.full(SHAPE, dark, np.uint8)
    done, _ = apply(state, coarse, dem, None, np.full((1, SHAPE[1]), 1200, np.int32), shadow, lis)
    masks = {name: (done & bit) != 0 for name, bit in BITS.items()}
    seb, strict = np.empty(SHAPE, np.uint8), np.empty(SHAPE, np.uint8)
    snow.seb(done, False, seb)
    snow.seb(done, True, strict)
    assert not (masks["refine"] & ~masks["any_cloud"]).any()
    assert not (masks["snow1"] & masks["any_cloud"]).any()
    assert not ((masks["snow2"] | masks["shaded"]) & masks["refine"]).any()
    assert not (masks["uncalibrated"] & (masks["snow1"] | masks["snow2"])).any()
    assert masks["snow3"][seb == 100].all()
    assert (seb[strict == 100] == 100).all()
    assert set(np.unique(seb)) <= {0, 100, 205, 255} | (set() if lis else {210})


@given(SCENES, ELEVATIONS, st.integers(0, 5000), st.booleans())
def test_brighter_red_never_removes_snow(bands: naive.Bands, dem: np.ndarray, more: int, lis: bool) -> None:
    known = bands.red != NODATA
    brighter = np.where(known, np.minimum(bands.red.astype(int) + more, 32767), NODATA).astype(np.int16)
    brighter[known & (brighter == NODATA)] = NODATA + 1
    before, after = (found(b, dem, lis) for b in (bands, replace(bands, red=brighter)))
    assert not (before & ~after).any()


@given(SCENES, ELEVATIONS, st.integers(0, 5000), st.booleans())
def test_darker_swir_never_removes_snow(bands: naive.Bands, dem: np.ndarray, less: int, lis: bool) -> None:
    sums = bands.green.astype(int) + bands.swir - less
    darker = np.where((bands.green > 0) & (sums > 0) & (bands.swir != NODATA), bands.swir - less, bands.swir)
    before, after = (found(b, dem, lis) for b in (bands, replace(bands, swir=darker.astype(np.int16))))
    assert not (before & ~after).any()


def found(bands: naive.Bands, dem: np.ndarray, lis: bool) -> np.ndarray:
    """Snow of passes 1 and 2, under a coarse red that does not change."""
    coarse, zs = np.zeros(SHAPE, np.int16), np.full((1, SHAPE[1]), 1200, np.int32)
    done, _ = apply(survey(bands, naive.Limits(), lis), coarse, dem, None, zs, np.zeros(SHAPE, np.uint8), lis)
    return (done & (snow.SNOW1 | snow.SNOW2)) != 0


@pytest.mark.parametrize("lis", [True, False])
def test_no_shaded_snow_without_candidates(lis: bool) -> None:
    state = np.full((1, 3), snow.BLUE | snow.CANDIDATE2, np.uint16)
    coarse, low = np.zeros((1, 1), np.int16), np.zeros((1, 3), np.int32)
    rows, columns = np.zeros(1, np.int32), np.zeros(3, np.int32)
    snow.detect(state, coarse, rows, columns, 0, np.ones((1, 3), np.int16), 32768, low, low, lis, None)
    assert (state == snow.BLUE | snow.CANDIDATE2 | snow.SNOW2 | snow.SNOW3).all()
