from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.kernels import naive_samples as naive
from thalweg.kernels import samples

SHAPE = (3, 7)
MASKED_OUT = 15
SEED = 20170101
COUNTS = st.one_of(
    st.integers(-2000, 12000),
    st.sampled_from([-10000, -1, 0, 1, 199, 200, 750, 751, 1499, 1500, 2000, 2001, 32767]),
)
BANDS = hnp.arrays(np.int16, (6, *SHAPE), elements=COUNTS, fill=st.nothing()).map(tuple)
TESTS = hnp.arrays(np.uint8, SHAPE, elements=st.integers(0, 31), fill=st.nothing())
ROLES = hnp.arrays(
    np.uint16, SHAPE, elements=st.sampled_from([0, 0, 0, 1, 2, 8, 16, 32, 256]), fill=st.nothing()
)
PERCENTS = hnp.arrays(
    np.uint8, SHAPE, elements=st.sampled_from([0, 0, 1, 49, 50, 100, 101, 255]), fill=st.nothing()
)
HANDS = hnp.arrays(
    np.float32,
    SHAPE,
    elements=st.sampled_from([0.0, 25.0, 25.5, 300.0, -9999.0, float("nan")]),
    fill=st.nothing(),
)
ORIGINS = st.sampled_from([0, 1000, 993, -3, 2**32 - 3])


def bits_of(bands: Any) -> Any:
    tests = np.empty(bands[0].shape, np.uint8)
    samples.spectral_tests(bands, samples.SpectralLimits().as_array(), tests)
    return tests


def forest_strata(tests: Any, roles: Any, percents: Any, hand: Any, top: int = 0, left: int = 0) -> Any:
    strata = np.empty(tests.shape, np.uint8)
    samples.forest_strata(
        tests, roles, MASKED_OUT, percents, hand, 50, 25.0, top, left, SEED + 100, 64, strata
    )
    return strata


@given(BANDS)
def test_spectral_tests_equal_exact_fractions(bands: Any) -> None:
    tests = bits_of(bands)
    for p in np.ndindex(SHAPE):
        values = [int(bands[k][p]) for k in (1, 3, 4, 5)]
        assert tests[p] == naive.tests_of(*values)


@given(TESTS, ROLES)
def test_tally_counts_usable_pixels(tests: Any, roles: Any) -> None:
    usable = (roles & MASKED_OUT) == 0
    bits = (samples.CERTAIN_LAND, samples.MAY_BE_WATER, samples.SNOW_LIKE)
    expected = (usable.sum(), *((usable & ((tests & bit) != 0)).sum() for bit in bits))
    assert samples.tally(tests, roles, MASKED_OUT) == expected


HASHES = {
    (20170101, 0, 0): 0x0D73E939B5EEE547,
    (20170101, 0, 1): 0x06AEA4524FE5C97C,
    (20170101, 1, 0): 0x4509E69D99F14B00,
    (20170101, 123, 456): 0x5D4BA3CCE17F0712,
    (7, 5000, 10979): 0x218C0ABDBDFFEDD9,
    (20170201, 0, 0): 0x6B6331300568CFFC,
    (20170201, 0, 1): 0x499155F076B17260,
    (20170201, 1, 0): 0x524B1F24897DC390,
    (20170201, 2, 3): 0x8C8BAC47BB510B19,
    (20170201, 81, 171): 0x9B0E74B93144A820,
}


@pytest.mark.parametrize(("key", "expected"), HASHES.items())
def test_hashes_of_the_specification(key: tuple[int, int, int], expected: int) -> None:
    seed, row, column = key
    assert naive.keyed_hash(*key) == expected
    assert samples.keyed_hash(seed, samples.place(row, column)) == expected


@given(TESTS, ROLES, PERCENTS, HANDS, ORIGINS, ORIGINS)
def test_forest_strata_equal_naive(
    tests: Any, roles: Any, percents: Any, hand: Any, top: int, left: int
) -> None:
    strata = forest_strata(tests, roles, percents, hand, top, left)
    for i, j in np.ndindex(SHAPE):
        usable = not roles[i, j] & MASKED_OUT
        args = (int(tests[i, j]), int(percents[i, j]), float(hand[i, j]))
        stratum = naive.forest_stratum(*args) if usable else None
        held_out = naive.is_held_out(SEED + 100, top + i, left + j, 64)
        expected = samples.NO_STRATUM if stratum is None else stratum + samples.HELD_OUT * held_out
        assert strata[i, j] == expected


@given(TESTS, ROLES)
def test_cluster_strata_follow_the_greener_bit(tests: Any, roles: Any) -> None:
    strata = np.empty(SHAPE, np.uint8)
    samples.cluster_strata(tests, roles, MASKED_OUT, strata)
    usable = (roles & MASKED_OUT) == 0
    np.testing.assert_array_equal(strata != samples.NO_STRATUM, usable)
    np.testing.assert_array_equal(
        (strata == samples.CANDIDATE)[usable], (tests & samples.GREENER != 0)[usable]
    )


@given(
    hnp.arrays(np.uint8, (9, 8), elements=st.sampled_from([0, 0, 1, 255]), fill=st.nothing()),
    ORIGINS,
    ORIGINS,
    st.integers(1, 20),
    st.sampled_from([(9, 8), (1, 8), (4, 3), (2, 5)]),
    st.randoms(use_true_random=False),
    st.integers(1, 3),
)
def test_drawn_samples_equal_naive_whatever_the_blocks(
    strata: Any, top: int, left: int, capacity: int, block: tuple[int, int], random: Any, parts: int
) -> None:
    bands = tuple(np.arange(k, k + strata.size, dtype=np.int16).reshape(strata.shape) for k in range(6))
    reservoirs = [samples.Reservoir.empty([SEED, SEED + 1], capacity) for _ in range(parts)]
    corners = [(i, j) for i in range(0, 9, block[0]) for j in range(0, 8, block[1])]
    for k, (i, j) in enumerate(random.sample(corners, len(corners))):
        window = np.s_[i : i + block[0], j : j + block[1]]
        cut = tuple(np.ascontiguousarray(band[window]) for band in bands)
        samples.collect(cut, np.ascontiguousarray(strata[window]), top + i, left + j, reservoirs[k % parts])
    seen = [sum(int(r.seen[c]) for r in reservoirs) for c in (0, 1)]
    assert seen == [int((strata == c).sum()) for c in (0, 1)]
    table = samples.draw(reservoirs, [[0], [1]], [min(capacity, n) for n in seen])
    expected = []
    for c in (0, 1):
        places = [(top + i, left + j) for i, j in np.argwhere(strata == c).tolist()]
        chosen = naive.drawn(places, SEED + c, capacity)
        expected += [
            (row % 2**32, column % 2**32, c, (row - top) * 8 + column - left) for row, column in chosen
        ]
    found = zip(table.rows, table.columns, table.classes, table.spectra[:, 0], strict=True)
    assert [tuple(map(int, row)) for row in found] == sorted(expected)
    np.testing.assert_array_equal(
        table.spectra - table.spectra[:, :1], np.tile(np.arange(6), (len(expected), 1))
    )


@given(ORIGINS, ORIGINS, st.integers(1, 12))
def test_a_class_may_be_drawn_from_several_strata(top: int, left: int, count: int) -> None:
    strata = np.tile(np.array([0, 1], np.uint8), (3, 4))
    bands = tuple(np.zeros(strata.shape, np.int16) for _ in range(6))
    reservoir = samples.Reservoir.empty([SEED, SEED], 24)
    samples.collect(bands, strata, top, left, reservoir)
    table = samples.draw([reservoir], [[0, 1]], [count])
    places = [(top + i, left + j) for i in range(3) for j in range(8)]
    expected = [(row % 2**32, column % 2**32) for row, column in naive.drawn(places, SEED, count)]
    assert list(zip(table.rows.tolist(), table.columns.tolist(), strict=True)) == sorted(expected)


def test_more_samples_than_there_are_cannot_be_drawn() -> None:
    reservoir = samples.Reservoir.empty([SEED], 3)
    strata = np.zeros((2, 4), np.uint8)
    samples.collect(tuple(np.zeros((2, 4), np.int16) for _ in range(6)), strata, 0, 0, reservoir)
    with pytest.raises(ValueError, match="4 samples asked for"):
        samples.draw([reservoir], [[0]], [4])


QUOTAS = {
    (14994, 15695, 0): [7000, 3000, 0],
    (2000, 9000, 0): [2000, 8000, 0],
    (1000, 500, 20000): [1000, 500, 8500],
    (1000, 2000, 300): [1000, 2000, 300],
}


@pytest.mark.parametrize(("available", "drawn"), QUOTAS.items())
def test_quotas_of_the_specification(available: tuple[int, ...], drawn: list[int]) -> None:
    assert samples.filled_quotas(available, (6000, 3000, 1000)) == drawn


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=4))
def test_filled_quotas_equal_naive(pairs: list[tuple[int, int]]) -> None:
    available, quotas = [have for have, _ in pairs], [quota for _, quota in pairs]
    assert samples.filled_quotas(available, quotas) == naive.filled_quotas(available, quotas)


@given(hnp.arrays(np.int16, (6, 5), elements=COUNTS, fill=st.nothing()))
def test_features_equal_naive(spectra: Any) -> None:
    out = np.empty((len(samples.FEATURES), 5), np.float32)
    samples.features(spectra, out)
    expected = np.array([naive.features(spectra[:, j]) for j in range(5)], np.float32).T
    np.testing.assert_array_equal(out, expected)


@pytest.fixture(scope="module")
def sanity(shared: Path) -> Path:
    return shared / "conformance" / "water" / "sanity"


def scene(folder: Path, name: str) -> dict[str, Any]:
    """Bands, mask roles, test bits and static layers of a frozen scene, by the name of the expected samples."""
    base = name.removesuffix("_with_snow").removesuffix("_first_28_rows")
    loaded = np.load(folder / f"{base}.npz")
    bands = tuple(np.ascontiguousarray(band) for band in loaded["bands"])
    roles = loaded["mask_with_snow" if name.endswith("_with_snow") else "mask"].astype(np.uint16)
    if name.endswith("_first_28_rows"):
        roles[28:] = 1
    hand = loaded["hand_m"].astype(np.float32)
    return {
        "bands": bands,
        "roles": roles,
        "tests": bits_of(bands),
        "gsw": loaded["gsw_occurrence"],
        "hand": hand,
    }


SCENES = (
    "clear_turbid",
    "lagoon",
    "snow",
    "snow_with_snow",
    "little_gsw",
    "no_water",
    "all_water",
    "all_cloud",
    "clear_turbid_first_28_rows",
)


def described(table: samples.Table, counts: list[int], *, with_classes: bool) -> dict[str, Any]:
    content = table.as_int32(with_classes=with_classes).astype("<i4").tobytes()
    return {"n": counts, "sha256": hashlib.sha256(content).hexdigest()}


def forest_table(reservoir: samples.Reservoir, groups: list[list[int]], divisor: int) -> dict[str, Any]:
    available = [int(reservoir.seen[group].sum()) for group in groups]
    water = min(available[0], 2000 // divisor)
    counts = [water, *samples.filled_quotas(available[1:], [q // divisor for q in (6000, 3000, 1000)])]
    return described(samples.draw([reservoir], groups, counts), counts, with_classes=True)


def forest_samples(scene: dict[str, Any]) -> dict[str, Any]:
    strata = forest_strata(scene["tests"], scene["roles"], scene["gsw"], scene["hand"])
    reservoir = samples.Reservoir.empty([SEED + c for c in range(4)] * 2, 10000)
    samples.collect(scene["bands"], strata, 0, 0, reservoir)
    seen = reservoir.seen
    available = (seen[:4] + seen[4:]).tolist()
    result: dict[str, Any] = {"available": available, "fallback": min(available[0], sum(available[1:])) < 200}
    if result["fallback"]:
        return result
    sides = [int(n) for n in (seen[0], seen[1:4].sum(), seen[4], seen[5:].sum())]
    result["train_water_land_holdout_water_land"] = sides
    if min(sides) < 200:
        return result | {
            "training": forest_table(reservoir, [[c, c + 4] for c in range(4)], 1),
            "holdout": None,
        }
    training, holdout = ([[c + side] for c in range(4)] for side in (0, samples.HELD_OUT))
    return result | {
        "training": forest_table(reservoir, training, 1),
        "holdout": forest_table(reservoir, holdout, 4),
    }


def cluster_samples(scene: dict[str, Any]) -> dict[str, Any]:
    strata = np.empty(scene["tests"].shape, np.uint8)
    samples.cluster_strata(scene["tests"], scene["roles"], MASKED_OUT, strata)
    reservoir = samples.Reservoir.empty([SEED, SEED + 1], 4000)
    samples.collect(scene["bands"], strata, 0, 0, reservoir)
    candidates, rest = reservoir.seen.tolist()
    counts = samples.filled_quotas([candidates, rest], [2000, 2000])
    table = samples.draw([reservoir], [[0], [1]], counts)
    return {"candidates": candidates, "rest": rest, **described(table, counts, with_classes=False)}


@pytest.mark.parametrize("name", SCENES)
def test_frozen_samples(sanity: Path, name: str) -> None:
    expected = json.loads((sanity / "expected_samples.json").read_text("utf-8"))["scenes"]
    assert set(expected) == set(SCENES)
    loaded = scene(sanity, name)
    counts = samples.tally(loaded["tests"], loaded["roles"], MASKED_OUT)
    names = ("valid_px", "gated_px", "may_be_water_px", "snow_like_px")
    found: dict[str, Any] = dict(zip(names, counts, strict=True))
    if "forest" in expected[name]:
        found |= {"forest": forest_samples(loaded), "cluster": cluster_samples(loaded)}
    assert found == expected[name]
