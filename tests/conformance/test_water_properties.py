"""Every detector of water on the frozen scenes (P1 to P7 of the specification) and on one labelled flood (T8)."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import thalweg
from tests.lakes import Lake, frozen, layer, run_lake, write_lake
from tests.readers.products import make_stack
from tests.readers.test_real import coast, spain
from thalweg.ending import Ending

DETECTORS = ("forest", "cluster", "dswx", "wofs")
LAYERS = ("WATER", "PROB", "SOURCE", "REASON")
SHAPED: dict[str, Any] = {
    "closing_radius": 2,
    "fill_holes_px": 20,
    "min_area_px": 5,
    "mask_dilate_px": 1,
    "hand_cut_m": 40.0,
}
"""What looks at neighbours, all of it."""


def layers(ending: Ending) -> dict[str, np.ndarray]:
    return {name: layer(ending, name) for name in LAYERS}


def check_equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    for name in LAYERS:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.parametrize("name", ["clear_turbid", "snow", "little_gsw"])
@pytest.mark.parametrize("detector", DETECTORS)
def test_blocks_and_threads_change_nothing(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, detector: str, name: str
) -> None:
    lake = frozen(shared, name)
    whole = layers(run_lake(tmp_path / "whole", lake, detector=detector, **SHAPED))
    for rows, threads in ((64, 1), (64, 2), (128, 2), (200, 1), (200, 2)):
        monkeypatch.setenv("THALWEG_THREADS", str(threads))
        folder = tmp_path / f"{rows}-{threads}"
        check_equal(layers(run_lake(folder, lake, strip_rows=rows, detector=detector, **SHAPED)), whole)


_ELSEWHERE = """
import hashlib, json, sys
from pathlib import Path
import rasterio, thalweg
granule, static, out, detector = sys.argv[1:]
(ending,) = thalweg.run(granule, "water", to=out, static=static, detector=detector)
files = sorted(ending.product.glob("*.tif"))
print(json.dumps({file.name: hashlib.sha256(rasterio.open(file).read(1)).hexdigest() for file in files}))
"""


@pytest.mark.parametrize("detector", ["forest", "cluster"])
def test_another_process_gives_the_same_bits(shared: Path, tmp_path: Path, detector: str) -> None:
    lake = frozen(shared, "clear_turbid")
    here = run_lake(tmp_path, lake, detector=detector)
    assert here.product is not None
    granule = write_lake(tmp_path / "in", lake)
    arguments = [str(path) for path in (granule, tmp_path / "in" / "static", tmp_path / "elsewhere")]
    command = [sys.executable, "-c", _ELSEWHERE, *arguments, detector]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {}
    for file in here.product.glob("*.tif"):
        with rasterio.open(file) as raster:
            found[file.name] = hashlib.sha256(raster.read(1)).hexdigest()
    assert json.loads(said) == found


@pytest.mark.parametrize("detector", DETECTORS)
def test_masked_pixels_influence_nothing(shared: Path, tmp_path: Path, detector: str) -> None:
    lake = frozen(shared, "clear_turbid")
    bands = lake.bands.copy()
    hidden = lake.mask != 0
    assert hidden.sum() > 100
    bands[:, hidden] = np.random.default_rng(1).integers(-2000, 12000, (6, int(hidden.sum())))
    first = run_lake(tmp_path / "a", lake, detector=detector)
    second = run_lake(tmp_path / "b", replace(lake, bands=bands), detector=detector)
    check_equal(layers(first), layers(second))
    assert first.properties["water:training"] == second.properties["water:training"]


@pytest.mark.parametrize("detector", ["forest", "dswx", "wofs"])
def test_a_model_sees_a_part_as_it_sees_the_whole(shared: Path, tmp_path: Path, detector: str) -> None:
    """No statistic of the scene enters a prediction: a kept forest gives a part what it gave it in the whole."""
    lake = frozen(shared, "lagoon")
    part = Lake(
        lake.bands[:, 40:150, 30:],
        lake.mask[40:150, 30:],
        {k: v[40:150, 30:] for k, v in lake.static.items()},
    )
    more: dict[str, Any] = {}
    if detector == "forest":
        trained = run_lake(tmp_path / "train", lake, write_model=True)
        assert trained.product is not None
        more = {"static_files": {"forest_model": trained.product / "forest_model.npz"}, "train": "static"}
    found = []
    for name, scene in (("whole", lake), ("part", part)):
        granule = write_lake(tmp_path / name, scene)
        (ending,) = thalweg.run(granule, "water", to=tmp_path / name / "out", detector=detector, **more)
        found.append(layer(ending, "PROB"))
    np.testing.assert_array_equal(found[0][40:150, 30:], found[1])


@pytest.mark.parametrize("detector", DETECTORS)
def test_empty_rows_and_columns_around_change_nothing_inside(
    shared: Path, tmp_path: Path, detector: str
) -> None:
    lake = frozen(shared, "clear_turbid")
    plain = run_lake(tmp_path / "plain", lake, detector=detector, grid_origin=(1000, 1000))
    padded = run_lake(tmp_path / "padded", lake.padded(7, 3), detector=detector, grid_origin=(993, 997))
    check_equal(layers(plain), {name: values[7:, 3:] for name, values in layers(padded).items()})
    assert (layers(padded)["WATER"][:7] == 255).all()
    assert plain.properties["water:training"] == padded.properties["water:training"]


@cache
def flood_label(shared: Path) -> np.ndarray:
    with rasterio.open(shared / "data" / "s2-s1-flood-spain" / "Spain_7370579_LabelHand.tif") as source:
        label: np.ndarray = source.read(1)
        return label


def f1(found: np.ndarray, label: np.ndarray) -> float:
    hits, wrong = ((found == 1) & (label == 1)).sum(), ((found == 1) & (label == 0)).sum()
    return float(2 * hits / (hits + wrong + (label == 1).sum()))


def run_flood(shared: Path, folder: Path, detector: str, **parameters: Any) -> Ending:
    folder.mkdir(parents=True, exist_ok=True)
    granule = make_stack(folder, spain(shared))
    (ending,) = thalweg.run(
        granule, "water", to=folder / "out", detector=detector, s2_nir="B8A", **parameters
    )
    return ending


@pytest.mark.parametrize(("detector", "least"), [("dswx", 0.85), ("cluster", 0.85)])
def test_the_flood_is_found(shared: Path, tmp_path: Path, detector: str, least: float) -> None:
    ending = run_flood(shared, tmp_path, detector)
    assert f1(layer(ending, "WATER"), flood_label(shared)) >= least
    assert ending.properties["water:reflectance"] == "top-of-atmosphere"


def test_the_flood_is_found_with_other_seeds(shared: Path, tmp_path: Path) -> None:
    label = flood_label(shared)
    seeds = [{}, *({"seed": seed} for seed in range(1, 11))]
    scores = [
        f1(layer(run_flood(shared, tmp_path / str(k), "cluster", **seed), "WATER"), label)
        for k, seed in enumerate(seeds)
    ]
    assert min(scores) >= 0.83 and float(np.median(scores)) >= 0.845


def test_without_archive_the_forest_gives_the_clusters_and_says_so(shared: Path, tmp_path: Path) -> None:
    forest, cluster = (run_flood(shared, tmp_path / name, name) for name in ("forest", "cluster"))
    np.testing.assert_array_equal(layer(forest, "WATER"), layer(cluster, "WATER"))
    decided = layer(forest, "WATER") <= 1
    np.testing.assert_array_equal((layer(forest, "REASON") & 1024) != 0, decided)
    assert forest.properties["water:detector_used"] == "cluster"


def test_a_coast_without_visible_bands_is_refused_by_role(shared: Path, tmp_path: Path) -> None:
    (ending,) = thalweg.run(make_stack(tmp_path, coast(shared)), "water", to=tmp_path / "out")
    assert ending.error is not None and ending.error.code == 11
    assert "needs 'blue', 'green', 'red', which" in str(ending.error)
    assert "it holds: coastal" in str(ending.error)
