"""Training of the random forest: scikit-learn grows the trees, flat arrays keep them."""

from __future__ import annotations

import hashlib
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.errors import BadParameters
from thalweg.kernels import samples
from thalweg.kernels.forest import Forest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.chains.water_parameters import Water


def grow_forest(table: samples.Table, parameters: Water) -> Forest:
    """A forest of the samples: the same table, parameters and library versions give the same trees.

    Tree k draws its bootstrap and its seed from a generator of its own, of (seed, k). Raises BadParameters where
    scikit-learn is not installed.
    """
    values = feature_table(table.spectra, parameters.features)
    is_water = (table.classes == samples.WATER).astype(np.int8)
    trees = [_grow_tree(values, is_water, number, parameters) for number in range(parameters.n_trees)]
    sizes = [tree.node_count for tree in trees]
    return Forest(
        tree_start=np.cumsum([0, *sizes]).astype(np.int64),
        feature=np.concatenate([np.where(tree.children_left < 0, -1, tree.feature) for tree in trees]).astype(
            np.int16
        ),
        threshold=np.concatenate([tree.threshold for tree in trees]).astype(np.float64),
        left=np.concatenate([tree.children_left for tree in trees]).astype(np.int32),
        right=np.concatenate([tree.children_right for tree in trees]).astype(np.int32),
        value=np.concatenate([_water_share(tree.value) for tree in trees]),
    )


def feature_table(spectra: NDArray[np.int16], names: tuple[str, ...]) -> NDArray[np.float32]:
    """The named features of spectra, int16 (n, 6): float32 (n, features)."""
    values = np.empty((len(samples.FEATURES), len(spectra)), np.float32)
    samples.features(np.ascontiguousarray(spectra.T), values)
    return np.ascontiguousarray(values[[samples.FEATURES.index(name) for name in names]].T)


def _grow_tree(
    values: NDArray[np.float32], is_water: NDArray[np.int8], number: int, parameters: Water
) -> Any:
    """The inner tree of scikit-learn, grown on a bootstrap of the samples."""
    try:
        from sklearn.tree import DecisionTreeClassifier
    except ImportError:
        raise BadParameters(
            "the detector 'forest' is trained by scikit-learn, which is not installed",
            advice="pip install 'thalweg[science]', or choose another detector: --set water.detector=cluster.",
        ) from None
    source = np.random.PCG64(np.random.SeedSequence([parameters.seed, number]))
    generator = np.random.Generator(source)
    drawn = generator.integers(0, len(values), len(values))
    weights = np.bincount(drawn, minlength=len(values)).astype(np.float64)
    tree = DecisionTreeClassifier(
        max_depth=parameters.max_depth,
        max_features=parameters.max_features,
        random_state=int(generator.integers(2**31)),
    )
    return tree.fit(values, is_water, sample_weight=weights).tree_


def _water_share(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of water of each node, of counts or shares of land and water, (nodes, 1, 2)."""
    weights = value[:, 0, :]
    return np.asarray(weights[:, 1] / weights.sum(axis=1), np.float64)


def model_digest(grown: Forest) -> str:
    """SHA-256 of a forest's arrays, in the order of its fields."""
    digest = hashlib.sha256()
    for array in astuple(grown):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def library_versions() -> dict[str, str]:
    """Versions of what grows the trees."""
    import sklearn

    return {"scikit-learn": str(sklearn.__version__), "numpy": str(np.__version__)}
