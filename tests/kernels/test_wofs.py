from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.kernels import naive_wofs as naive
from thalweg.kernels import wofs

SHAPE = (2, 6)
LIMITS = [
    129,
    130,
    249,
    250,
    300,
    301,
    323,
    324,
    334,
    335,
    364,
    365,
    379,
    380,
    473,
    474,
    1400,
    1401,
    2083,
    2084,
]
COUNTS = st.one_of(
    st.integers(0, 4000),
    st.integers(-32768, 32767),
    st.sampled_from([*LIMITS, -999, -1, 0, 1, -32768, 32767]),
)
BANDS = hnp.arrays(np.int16, (6, *SHAPE), elements=COUNTS, fill=st.nothing()).map(tuple)


def observed(bands: tuple[Any, ...], table: Any) -> Any:
    out = np.empty(bands[0].shape, np.uint8)
    wofs.observe(bands, table, out)
    return out


def one_pixel(*values: int) -> tuple[Any, ...]:
    return tuple(np.full((1, 1), value, np.int16) for value in values)


@given(BANDS)
def test_leaf_equals_naive(bands: Any) -> None:
    leaves, wet = observed(bands, wofs.leaf_table()), observed(bands, wofs.wet_table())
    for p in np.ndindex(SHAPE):
        values = [int(band[p]) for band in bands]
        assert leaves[p] == naive.leaf(*values)
        assert wet[p] == (128 if naive.is_wet(*values) else 0)


@given(st.sampled_from([-23, -1, 12, 22, 23, 34, 45, 54, 61]), st.integers(1, 150), st.integers(-1, 1))
def test_ratios_on_and_beside_a_limit_equal_naive(percent: int, scale: int, step: int) -> None:
    first, second = scale * (100 + percent) + step, scale * (100 - percent)
    for values in ((100, second, 300, 300, first, 400), (100, 500, second, first, 480, 400)):
        assert observed(one_pixel(*values), wofs.leaf_table())[0, 0] == naive.leaf(*values)


@given(BANDS, st.integers(1, SHAPE[0] - 1))
def test_blocks_equal_the_whole(bands: Any, cut: int) -> None:
    whole = observed(bands, wofs.wet_table(90, 10))
    parts = [
        observed(tuple(np.ascontiguousarray(band[rows]) for band in bands), wofs.wet_table(90, 10))
        for rows in (slice(0, cut), slice(cut, None))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@given(
    hnp.arrays(np.int16, (6, *SHAPE), elements=st.sampled_from([-999, 5]), fill=st.nothing()).map(tuple),
    hnp.arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, 4, 32, 64, 96])),
    hnp.arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 128])),
)
def test_flags_equal_naive(bands: Any, flags: Any, decision: Any) -> None:
    observation = decision.copy()
    wofs.add_flags(bands, -999, flags, observation)
    for p in np.ndindex(SHAPE):
        values = [int(band[p]) for band in bands]
        assert observation[p] == naive.flagged(int(decision[p]), int(flags[p]), values, -999)


def test_fmask_classes_give_their_flags() -> None:
    assert wofs.FMASK_FLAGS[:6].tolist() == [1, 0, 64, 32, 0, 0]
    assert not wofs.FMASK_FLAGS[6:].any()


@given(
    hnp.arrays(
        np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 0, 0, 1, 32])
    ),
    st.sampled_from([0.0, 1.0, 4.0, 12.25]),
)
def test_dilation_equals_naive(mask: Any, squared_radius: float) -> None:
    out = np.full_like(mask, 7)
    wofs.dilate(mask, squared_radius, out)
    np.testing.assert_array_equal(out, naive.dilated(mask, squared_radius))


def test_the_disc_of_the_reference_is_seven_pixels_wide() -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[4, 4] = 1
    out = np.empty_like(mask)
    wofs.dilate(mask, 12.25, out)
    assert out.sum(axis=1).tolist() == [0, 3, 5, 7, 7, 7, 5, 3, 0]


DEMS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(1, 7)),
    elements=st.integers(0, 400).map(lambda q: q / 4),
)


@given(DEMS, st.floats(0, 89), st.floats(0, 360), st.data())
def test_terrain_flags_equal_naive(dem: Any, zenith: float, azimuth: float, data: st.DataObject) -> None:
    top, left = (data.draw(st.integers(0, size - 1)) for size in dem.shape)
    flags = np.empty((dem.shape[0] - top, dem.shape[1] - left), np.uint8)
    wofs.terrain_flags(dem, top, left, flags, zenith=zenith, azimuth=azimuth, pixel=10.0)
    for i, j in np.ndindex(flags.shape):
        slope, height = naive.terrain_angles(dem, top + i, left + j, zenith, azimuth, 10.0)
        if min(abs(slope - 12), abs(height - 10)) > 1e-6:
            expected = (wofs.STEEP if slope > 12 else 0) | (wofs.LOW_SUN if height < 10 else 0)
            assert flags[i, j] == expected


@pytest.fixture(scope="module")
def frozen(shared: Path) -> Path:
    return shared / "conformance" / "water" / "wofs"


def test_frozen_decision_vectors(frozen: Path) -> None:
    vectors = np.load(frozen / "decision_vectors.npz")
    bands = tuple(np.ascontiguousarray(band)[None] for band in vectors["bands"])
    np.testing.assert_array_equal(observed(bands, wofs.wet_table())[0], vectors["decision"])
    _, green, red, nir, swir1, swir2 = vectors["bands"].astype(int)
    divisible = (swir1 + green != 0) & (nir + red != 0) & (swir2 + green != 0)
    leaves = observed(bands, wofs.leaf_table())[0]
    np.testing.assert_array_equal(leaves[divisible], vectors["leaf"][divisible])
    assert set(leaves.tolist()) == set(vectors["leaf"].tolist())


def test_frozen_sample(frozen: Path) -> None:
    sample = np.load(frozen / "sample_pair.npz")
    compared = sample["compare"]
    bands = tuple(np.where(compared, band, 0).astype(np.int16) for band in sample["bands"])
    fmask = np.where(compared, sample["fmask"], 0).astype(np.uint8)
    observation = observed(bands, wofs.wet_table())
    wofs.add_flags(bands, -999, wofs.FMASK_FLAGS[fmask], observation)
    assert compared.sum() == 1521
    np.testing.assert_array_equal(observation[compared], sample["expected_wofl"][compared])
