"""Samples that detectors learn from, and what is learnt: a forest, clusters, or why neither can be."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.chains.water_detectors import DETECTORS, Block, make_block, masked_by
from thalweg.chains.water_forest import grow_forest, installed_forest, library_versions, model_digest
from thalweg.chains.water_parameters import Water
from thalweg.errors import MissingInput, NoData
from thalweg.footprint import is_geographic
from thalweg.kernels import cluster, forest, samples
from thalweg.kernels.water import TOPO_SHADOW

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.grid import Grid
    from thalweg.kernels.forest import Forest
    from thalweg.scene import Scene, Tileful

CLASSES = ("water", "land_near", "land_high", "land_bright")
"""Sample classes of the forest, by number."""

_FALSE_NORTHING = 10_000_000.0


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the sample step has met so far; its arrays are filled in place."""

    counts: NDArray[np.int64]
    """Valid pixels; of these: certain land, may be water, snow-like."""
    forest: samples.Reservoir | None
    """Samples of the forest, by class, then those in hold-out blocks."""
    cluster: samples.Reservoir | None
    """Samples of the clusters: candidates, rest."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """Why a detector cannot be trained."""

    detector: str
    """Which one."""
    reason: str
    """In words, with counts."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """The detector of a tile, with its model."""

    detector: str
    """Its id."""
    model: Any = None
    """What its `predict` takes."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """What is said of the training in the item."""
    fallbacks: tuple[Fallback, ...] = ()
    """Those in whose place it stands."""
    grown: Forest | None = None
    """The forest that was grown, as it may be kept."""
    low: bool = False
    """True where it scored low on what was held out."""

    @property
    def untrained(self) -> bool:
        """True where no good model of the wanted detector, learnt from the tile, decides."""
        return self.low or bool(self.fallbacks) or self.detector == "forest_model"


def learners(parameters: Water) -> list[str]:
    """The detectors that may have to learn from a sample, in order."""
    return [] if parameters.exact else [name for name in parameters.chosen if DETECTORS[name].learns]


def gather(scene: Scene, parameters: Water) -> Gathered | None:
    """Offer the pixels of a strip to the samples; None where nothing is to be learnt."""
    names = learners(parameters)
    if not names:
        return None
    gathered: Gathered = scene.settled or _empty(names, scene.available, parameters)
    block = make_block(scene, parameters)
    bands, roles, tests = _own(block)
    barred = masked_by(parameters, names[0])
    gathered.counts[:] += samples.tally(tests, roles, barred)
    top, left = place_on_grid(scene.grid, scene.rows[0], scene.corner, parameters.grid_origin)
    strata = np.empty(tests.shape, np.uint8)
    if gathered.forest is not None:
        _forest_strata(scene, parameters, tests, roles, top, left, strata)
        samples.collect(bands, strata, top, left, gathered.forest)
    if gathered.cluster is not None:
        samples.cluster_strata(tests, roles, barred | TOPO_SHADOW, strata)
        samples.collect(bands, strata, top, left, gathered.cluster)
    return gathered


def _empty(names: Sequence[str], available: frozenset[str], parameters: Water) -> Gathered:
    seed, most = parameters.seed, max(parameters.water_quota, parameters.land_quota)
    by_class = [seed + number for number in range(len(CLASSES))]
    wants_forest = "forest" in names and "gsw_occurrence" in available
    return Gathered(
        np.zeros(4, np.int64),
        samples.Reservoir.empty(by_class * 2, most) if wants_forest else None,
        samples.Reservoir.empty([seed, seed + 1], parameters.n_sample) if "cluster" in names else None,
    )


def _own(block: Block) -> tuple[Any, NDArray[np.uint16], NDArray[np.uint8]]:
    """Bands, roles and tests of a block without its neighbours."""
    return tuple(band[block.own] for band in block.bands), block.roles[block.own], block.tests[block.own]


def _forest_strata(
    scene: Scene,
    parameters: Water,
    tests: NDArray[np.uint8],
    roles: NDArray[np.uint16],
    top: int,
    left: int,
    strata: NDArray[np.uint8],
) -> None:
    samples.forest_strata(
        tests,
        roles,
        masked_by(parameters, "forest") | TOPO_SHADOW,
        own_rows(scene, "gsw_occurrence", 255, np.uint8),
        own_rows(scene, "hand", -9999, np.float32),
        parameters.water_occ_min,
        parameters.land_hand_max_m,
        top,
        left,
        parameters.seed + 100,
        parameters.holdout_block_px,
        strata,
    )


def own_rows(scene: Scene, name: str, otherwise: float, dtype: type) -> NDArray[Any]:
    """A static layer of a strip without neighbours, `otherwise` everywhere where it is absent."""
    if name not in scene:
        return np.full(scene.shape, otherwise, dtype)
    values = scene[name]
    halo = (values.shape[0] - scene.shape[0]) // 2
    return np.ascontiguousarray(values[halo : halo + scene.shape[0], halo : halo + scene.shape[1]])


def place_on_grid(grid: Grid, row: int, corner: tuple[int, int], origin: tuple[int, int]) -> tuple[int, int]:
    """Row and column, on the absolute grid, of the first pixel of a tile's row.

    In a projected CRS they count pixels from (0, 10,000 km); in a geographic one from the tile's own corner, which
    stands at `origin`.
    """
    if is_geographic(grid.crs):
        return origin[0] - corner[0] + row, origin[1] - corner[1]
    width, height = grid.pixel
    first = math.floor((_FALSE_NORTHING - grid.top + height / 2) / height)
    return first + row, math.floor((grid.left + width / 2) / width)


def learn(tile: Tileful, parameters: Water) -> Learnt:
    """The model of the first detector that can be trained.

    Raises NoData where not one pixel is valid, MissingInput where none can be trained and no other may stand in.
    """
    gathered: Gathered | None = tile.settled
    if gathered is not None and gathered.counts[0] == 0:
        raise NoData(f"{tile.granule.path}: not one valid pixel")
    failed: list[Fallback] = []
    for name in parameters.chosen:
        outcome = _fit(name, gathered, tile, parameters)
        if isinstance(outcome, Learnt):
            return replace(outcome, fallbacks=tuple(failed))
        failed.append(outcome)
    raise _untrainable(tile, failed)


def _fit(name: str, gathered: Gathered | None, tile: Tileful, parameters: Water) -> Learnt | Fallback:
    if name == "forest":
        return fit_forest(gathered.forest if gathered else None, tile, parameters)
    if name == "cluster":
        return fit_cluster(gathered.cluster if gathered else None, parameters)
    return reuse_forest(tile, parameters) if name == "forest_model" else Learnt(name)


def reuse_forest(tile: Tileful, parameters: Water) -> Learnt | Fallback:
    """The forest that an operator installed; BadInput or BadParameters where it is none, or one of other features."""
    arrays = tile.models.get("forest_model")
    if arrays is None:
        return Fallback("forest_model", "no static layer 'forest_model'")
    grown, meta = installed_forest(arrays, parameters)
    training = {"model_sha256": model_digest(grown), "model": meta, "quality": "unknown"}
    return Learnt("forest_model", forest.compiled(grown, parameters.features), training)


def _untrainable(tile: Tileful, failed: Sequence[Fallback]) -> MissingInput:
    granule, first = tile.granule, failed[0]
    if first.detector == "forest" and "gsw_occurrence" not in tile.available:
        return MissingInput(
            f"{granule.path} ({granule.format} product): the detector 'forest' needs the static layer 'gsw_occurrence' "
            f"(gsw_occurrence.tif of tile {granule.tile}), and water.fallback names nothing that does without",
            id="E_INPUT",
        )
    reasons = "; ".join(f"{one.detector}: {one.reason}" for one in failed)
    return MissingInput(
        f"{granule.path}: {reasons}; water.fallback names nothing that does without", id="E_TRAINING"
    )


def fit_cluster(reservoir: samples.Reservoir | None, parameters: Water) -> Learnt | Fallback:
    """Clusters of the sample, half of it candidates where there are as many."""
    seen = [0, 0] if reservoir is None else reservoir.seen.tolist()
    if reservoir is None or sum(seen) < parameters.cluster_min_valid:
        return Fallback("cluster", f"{sum(seen)} valid pixels, fewer than {parameters.cluster_min_valid}")
    half = parameters.n_sample // 2
    counts = samples.filled_quotas(seen, [half, parameters.n_sample - half])
    table = samples.draw([reservoir], [[samples.CANDIDATE], [samples.REST]], counts)
    model = cluster.fit(table.spectra, parameters.k, parameters.min_cluster)
    training = {
        "n_available": dict(zip(("candidates", "rest"), seen, strict=True)),
        "n_drawn": dict(zip(("candidates", "rest"), counts, strict=True)),
        "clusters": int(model.size.size),
        "water_clusters": int(model.is_water.sum()),
        "snow_clusters": int(model.is_snow.sum()),
        "table_sha256": table_digest(table, with_classes=False),
    }
    return Learnt("cluster", model, training)


def fit_forest(reservoir: samples.Reservoir | None, tile: Tileful, parameters: Water) -> Learnt | Fallback:
    """A forest of the sample, and how it does on the blocks that were held out."""
    if reservoir is None:
        return Fallback("forest", "no static layer 'gsw_occurrence'")
    kept, held = (np.array(reservoir.seen[part]) for part in (slice(0, 4), slice(4, 8)))
    available = kept + held
    if _too_few(available, parameters.n_min):
        found = ", ".join(f"{n} {name}" for n, name in zip(available, CLASSES, strict=True))
        return Fallback("forest", f"too few samples ({found}), n_min = {parameters.n_min}")
    split = not (_too_few(kept, parameters.n_min) or _too_few(held, parameters.n_min))
    groups = [[number] if split else [number, number + samples.HELD_OUT] for number in range(4)]
    table = _drawn(reservoir, groups, kept if split else available, parameters, 1)
    grown = grow_forest(table, parameters)
    compiled = forest.compiled(grown, parameters.features)
    scores = _score(reservoir, held, compiled, parameters) if split else None
    low = scores is not None and scores["f1"] < parameters.min_f1
    training = {
        "n_available": dict(zip(CLASSES, available.tolist(), strict=True)),
        "n_drawn": _drawn_counts(table),
        "n_kept": {"water": int(kept[0]), "land": int(kept[1:].sum())},
        "n_held_out": {"water": int(held[0]), "land": int(held[1:].sum())},
        "holdout": scores,
        "gate": _gate_agreement(table, compiled, parameters),
        "quality": "low" if low else "good" if scores else "unknown",
        "water_occ_min": parameters.water_occ_min,
        "gsw_version": tile.tags.get("gsw_occurrence", {}).get("VERSION", "unknown"),
        "table_sha256": table_digest(table, with_classes=True),
        "model_sha256": model_digest(grown),
        "libraries": library_versions(),
    }
    return Learnt("forest", compiled, training, grown=grown, low=low)


def _too_few(counts: NDArray[np.int64], least: int) -> bool:
    return int(counts[0]) < least or int(counts[1:].sum()) < least


def _drawn(
    reservoir: samples.Reservoir,
    groups: Sequence[Sequence[int]],
    available: NDArray[np.int64],
    parameters: Water,
    divisor: int,
) -> samples.Table:
    """The samples of each class within its quota."""
    water = min(int(available[0]), parameters.water_quota // divisor)
    quotas = [quota // divisor for quota in parameters.land_split]
    land = samples.filled_quotas(available[1:].tolist(), quotas)
    return samples.draw([reservoir], groups, [water, *land])


def _drawn_counts(table: samples.Table) -> dict[str, int]:
    counts = np.bincount(table.classes, minlength=len(CLASSES)).tolist()
    return dict(zip(CLASSES, counts, strict=True))


def table_digest(table: samples.Table, *, with_classes: bool) -> str:
    """SHA-256 of a sample table as the conformance set has it."""
    return hashlib.sha256(table.as_int32(with_classes=with_classes).astype("<i4").tobytes()).hexdigest()


def _score(
    reservoir: samples.Reservoir, held: NDArray[np.int64], compiled: forest.CompiledForest, parameters: Water
) -> dict[str, Any]:
    """Agreement with the archive on held-out samples: it is not accuracy, for the ambiguous pixels are left out."""
    groups = [[number + samples.HELD_OUT] for number in range(4)]
    table = _drawn(reservoir, groups, held, parameters, 4)
    found, _ = _candidates(table, compiled, parameters, parameters.certain_land_gate)
    return {
        **_precision_and_recall(found, table.classes == samples.WATER),
        "n_drawn": _drawn_counts(table),
        "table_sha256": table_digest(table, with_classes=True),
    }


def _gate_agreement(
    table: samples.Table, compiled: forest.CompiledForest, parameters: Water
) -> dict[str, Any]:
    """How often the trees, where they are asked, call certain land of the sample land."""
    found, certain = _candidates(table, compiled, parameters, False)
    count = int(certain.sum())
    return {"n": count, "agreement": float((~found[certain]).mean()) if count else None}


def _candidates(
    table: samples.Table, compiled: forest.CompiledForest, parameters: Water, gated: bool
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which samples the forest calls water, and which are certain land."""
    bands: Any = tuple(np.ascontiguousarray(band.reshape(1, -1)) for band in table.spectra.T)
    tests, prob = np.empty((2, 1, len(table.classes)), np.uint8)
    samples.spectral_tests(bands, parameters.limits().as_array(), tests)
    known = forest.gate(0 if gated else None)
    forest.predict(bands, tests, np.zeros(tests.shape, np.uint16), compiled, prob, masked_by=1, known=known)
    return prob[0] >= parameters.prob_threshold, (tests[0] & samples.CERTAIN_LAND) != 0


def _precision_and_recall(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> dict[str, float]:
    hits, called, real = int((found & truth).sum()), int(found.sum()), int(truth.sum())
    return {
        "precision": hits / called if called else 0.0,
        "recall": hits / real if real else 0.0,
        "f1": 2 * hits / (called + real) if called + real else 0.0,
    }
