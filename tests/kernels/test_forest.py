from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.kernels import naive_forest as naive
from tests.kernels import naive_samples
from thalweg.kernels import forest, samples

SHAPE = (2, 5)
COUNTS = st.one_of(st.integers(-2000, 9000), st.sampled_from([-10000, 0, 1, 999, 1000, 1001, 2000, 32767]))
BANDS = hnp.arrays(np.int16, (6, *SHAPE), elements=COUNTS, fill=st.nothing()).map(tuple)
TESTS = hnp.arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 2, 4, 5]), fill=st.nothing())
ROLES = hnp.arrays(np.uint16, SHAPE, elements=st.sampled_from([0, 0, 0, 2, 32]), fill=st.nothing())
# 0.1 is no float32: thresholds on and beside the value of a feature show how it is rounded.
NEAR_A_TENTH = [0.1, float(np.float32(0.1)), float(np.nextafter(np.float32(0.1), np.float32(0)))]
THRESHOLDS = st.one_of(st.sampled_from(NEAR_A_TENTH), st.floats(-1, 1))


@st.composite
def trees(draw: st.DrawFn, features: int = 9) -> dict[str, list[Any]]:
    """A tree grown by splitting leaves; children stand wherever they were made."""
    tree: dict[str, list[Any]] = {"feature": [-1], "threshold": [-2.0], "left": [-1], "right": [-1]}
    for split in draw(st.lists(st.integers(0, 100), max_size=12)):
        leaves = [node for node, feature in enumerate(tree["feature"]) if feature < 0]
        node, size = leaves[split % len(leaves)], len(tree["feature"])
        tree["feature"][node] = draw(st.integers(0, features - 1))
        tree["threshold"][node] = draw(THRESHOLDS)
        first = draw(st.integers(0, 1))
        tree["left"][node], tree["right"][node] = size + first, size + 1 - first
        for key, value in (("feature", -1), ("threshold", -2.0), ("left", -1), ("right", -1)):
            tree[key] += [value, value]
    size = len(tree["feature"])
    tree["value"] = draw(st.lists(st.floats(0, 1), min_size=size, max_size=size))
    return tree


def flat(grown: list[dict[str, list[Any]]]) -> forest.Forest:
    def joined(key: str, dtype: Any) -> Any:
        return np.concatenate([np.array(tree[key], dtype) for tree in grown])

    return forest.Forest(
        tree_start=np.cumsum([0, *(len(tree["feature"]) for tree in grown)]),
        feature=joined("feature", np.int16),
        threshold=joined("threshold", np.float64),
        left=joined("left", np.int32),
        right=joined("right", np.int32),
        value=joined("value", np.float64),
    )


FORESTS = st.lists(trees(), min_size=1, max_size=4).map(flat)


def predicted(
    bands: Any, compiled: forest.CompiledForest, tests: Any, roles: Any, known: Any
) -> tuple[Any, int]:
    prob = np.empty(bands[0].shape, np.uint8)
    return prob, forest.predict(bands, tests, roles, compiled, prob, masked_by=2, known=known)


@given(BANDS, FORESTS, TESTS, ROLES, st.sampled_from([None, 0, 7]))
def test_prediction_equals_naive(bands: Any, grown: Any, tests: Any, roles: Any, certain: int | None) -> None:
    prob, asked = predicted(bands, forest.compiled(grown), tests, roles, forest.gate(certain))
    expected = np.empty(SHAPE, int)
    for p in np.ndindex(SHAPE):
        values = naive_samples.features([band[p] for band in bands])
        gated = certain is not None and tests[p] & samples.CERTAIN_LAND
        expected[p] = 255 if roles[p] & 2 else certain if gated else naive.probability(grown, values)
    np.testing.assert_array_equal(prob, expected)
    gates = (tests & samples.CERTAIN_LAND != 0) if certain is not None else np.zeros(SHAPE, bool)
    assert asked == int(((roles & 2 == 0) & ~gates).sum())


@given(st.lists(trees(features=3), min_size=1, max_size=3).map(flat), BANDS)
def test_a_forest_may_know_some_features_in_its_own_order(grown: Any, bands: Any) -> None:
    names = ("ndwi", "red", "blue")
    nothing, anywhere = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint16)
    prob, _ = predicted(bands, forest.compiled(grown, names), nothing, anywhere, forest.gate())
    for p in np.ndindex(SHAPE):
        values = naive_samples.features([band[p] for band in bands])
        chosen = [values[samples.FEATURES.index(name)] for name in names]
        assert prob[p] == naive.probability(grown, chosen)


def test_unknown_features_are_named() -> None:
    tree: dict[str, list[Any]] = {"feature": [-1], "threshold": [0.0], "left": [-1], "right": [-1]}
    tree["value"] = [1.0]
    with pytest.raises(ValueError, match="nd_glint"):
        forest.compiled(flat([tree]), ("blue", "nd_glint"))


def scene(seed: int, shape: tuple[int, int]) -> Any:
    random = np.random.Generator(np.random.PCG64(seed))
    return tuple(random.integers(-100, 6000, shape).astype(np.int16) for _ in range(6))


def flattened(estimators: Any) -> forest.Forest:
    """The flat arrays of fitted scikit-learn trees."""
    grown = [
        {
            "feature": np.where(tree.children_left < 0, -1, tree.feature),
            "threshold": tree.threshold,
            "left": tree.children_left,
            "right": tree.children_right,
            "value": tree.value[:, 0, 1] / tree.value[:, 0].sum(axis=1),
        }
        for tree in (estimator.tree_ for estimator in estimators)
    ]
    return flat(grown)


@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="scikit-learn is not installed")
@pytest.mark.parametrize(("n_trees", "depth"), [(20, 6), (30, 12)])
def test_prediction_equals_that_of_scikit_learn(n_trees: int, depth: int) -> None:
    from sklearn.ensemble import RandomForestClassifier

    bands = scene(3, (40, 300))
    values = np.empty((9, 12000), np.float32)
    samples.features(np.stack([band.ravel() for band in bands]), values)
    table = np.ascontiguousarray(values.T)
    is_water = (values[8] + 0.3 * values[0] > 0.1) ^ (values[3] > 0.35)
    model = RandomForestClassifier(n_trees, max_depth=depth, max_features=3, random_state=1, n_jobs=1)
    model.fit(table[:4000], is_water[:4000])
    compiled = forest.compiled(flattened(model.estimators_))
    nothing, anywhere = np.zeros((40, 300), np.uint8), np.zeros((40, 300), np.uint16)
    prob, asked = predicted(bands, compiled, nothing, anywhere, forest.gate())
    expected = np.floor(100.0 * model.predict_proba(table)[:, 1] + 0.5)
    np.testing.assert_array_equal(prob.ravel(), expected)
    assert asked == prob.size
    assert compiled.depths.max() == depth
    assert len(np.unique(prob)) > 50


@given(FORESTS, st.integers(1, 7), st.integers(1, 600))
def test_blocks_equal_the_whole(grown: Any, rows: int, width: int) -> None:
    bands, compiled = scene(5, (7, width)), forest.compiled(grown)
    tests, roles = (scene(6, (7, width))[0] & 4).astype(np.uint8), np.zeros((7, width), np.uint16)
    whole, asked = predicted(bands, compiled, tests, roles, forest.gate())
    parts = [
        predicted(
            tuple(band[top : top + rows] for band in bands),
            compiled,
            tests[top : top + rows],
            roles[top : top + rows],
            forest.gate(),
        )
        for top in range(0, 7, rows)
    ]
    np.testing.assert_array_equal(np.concatenate([prob for prob, _ in parts]), whole)
    assert sum(n for _, n in parts) == asked
