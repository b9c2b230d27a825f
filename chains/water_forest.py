"""The random forest: scikit-learn grows the trees, flat arrays keep them, and a file of these may be used again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.errors import BadInput, BadParameters
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


def kept_forest(grown: Forest, parameters: Water, origin: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """The arrays of a forest as a product carries them, with JSON text about it; `origin`: tile and date."""
    growth = {
        name: getattr(parameters, name) for name in ("n_trees", "max_depth", "max_features", "water_occ_min")
    }
    said = {
        "features": parameters.features,
        "parameters": growth,
        "seed": parameters.seed,
        "versions": library_versions(),
        **origin,
    }
    return {**_arrays(grown), "meta": np.array(json.dumps(said, sort_keys=True))}


def installed_forest(arrays: Mapping[str, NDArray[Any]], parameters: Water) -> tuple[Forest, dict[str, Any]]:
    """The forest that `kept_forest` kept, and what is said of it.

    Raises BadInput where the arrays are no forest, BadParameters where it sees other features than the run's.
    """
    try:
        found = {
            of.name: arrays[of.name].astype(_TYPES[of.name], casting="same_kind") for of in fields(Forest)
        }
        meta = dict(json.loads(str(arrays["meta"])))
        features = tuple(meta["features"])
    except (KeyError, TypeError, ValueError) as problem:
        raise _no_forest(f"{type(problem).__name__}: {problem}") from None
    if features != parameters.features:
        raise BadParameters(
            f"water.features = {', '.join(parameters.features)}, but the installed forest_model sees "
            f"{', '.join(map(str, features))}",
            id="E_PARAM",
        )
    grown = Forest(**found)
    _check_forest(grown, len(features))
    return grown, meta


_TYPES = {
    "tree_start": np.int64,
    "feature": np.int16,
    "threshold": np.float64,
    "left": np.int32,
    "right": np.int32,
    "value": np.float64,
}


def _arrays(grown: Forest) -> dict[str, NDArray[Any]]:
    return {of.name: getattr(grown, of.name) for of in fields(grown)}


def _check_forest(grown: Forest, features: int) -> None:
    """BadInput where following the arrays could leave them, or go round in a circle."""
    start, nodes = grown.tree_start, grown.feature.size
    sizes = {array.size for name, array in _arrays(grown).items() if name != "tree_start"}
    if any(array.ndim != 1 for array in _arrays(grown).values()) or sizes != {nodes} or start.size < 2:
        raise _no_forest("its arrays have different lengths")
    if start[0] != 0 or start[-1] != nodes or (np.diff(start) < 1).any():
        raise _no_forest("tree_start does not divide the nodes into trees")
    inner = grown.feature >= 0
    tree = np.repeat(np.arange(start.size - 1), np.diff(start))
    own, size = np.arange(nodes) - start[tree], np.diff(start)[tree]
    for child in (grown.left, grown.right):
        if ((child <= own) | (child >= size))[inner].any():
            raise _no_forest("a child does not stand behind its parent in its tree")
    if (grown.feature >= features).any() or not np.isfinite(grown.threshold[inner]).all():
        raise _no_forest("a test has no feature or no threshold")
    if not ((grown.value >= 0) & (grown.value <= 1)).all():
        raise _no_forest("a share of water is not from 0 to 1")


def _no_forest(why: str) -> BadInput:
    return BadInput(
        f"static layer 'forest_model' is no forest of this program: {why}",
        advice="Install forest_model.npz of a product that was made with water.write_model=true.",
    )
