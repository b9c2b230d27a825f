"""Products of the water chain against the conformance set: exact profiles, sample tables, and guards on the masks."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import thalweg
from tests.lakes import Lake, frozen, layer, run_lake, write_plane

FLAG_BITS = {"no_training": 1 << 10, "new_water": 1 << 11}
RAW = {"snow_veto": False, "gsw_touch": "off"}
SCENES = ("clear_turbid", "lagoon", "snow", "snow_with_snow", "little_gsw", "all_water", "no_water")
FALLEN = {"little_gsw", "all_water", "no_water"}
"""Scenes on which `forest` cannot be trained."""

VARIANTS = {
    "default": {},
    "ignore": {"adjacent_mode": "ignore"},
    "cover": {"adjacent_mode": "cover"},
    "ocean": {"ocean_mask": True},
    "noaerosol": {"aerosol_remap": False},
}

# Scene and detector to least precision, least recall, greatest share of false positives; None: free (T6).
GUARDS: dict[str, dict[str, tuple[float | None, float | None, float | None]]] = {
    "clear_turbid": {
        "forest": (0.98, 0.98, None),
        "cluster": (0.98, 0.98, None),
        "dswx": (0.99, 0.99, None),
        "wofs": (0.90, 0.99, None),
    },
    "lagoon": {
        "forest": (0.98, 0.98, None),
        "cluster": (0.98, 0.98, None),
        "dswx": (0.99, 0.99, None),
        "wofs": (0.99, 0.99, None),
    },
    "snow": {
        "forest": (0.96, 0.98, None),
        "cluster": (0.96, 0.98, None),
        "dswx": (None, 0.99, None),
        "wofs": (0.80, 0.99, None),
    },
    "snow_with_snow": {
        "forest": (0.96, 0.98, None),
        "cluster": (0.96, 0.98, None),
        "dswx": (0.96, 0.99, None),
        "wofs": (0.80, 0.99, None),
    },
    "little_gsw": {
        "forest": (0.98, 0.98, None),
        "cluster": (0.98, 0.98, None),
        "dswx": (0.99, 0.99, None),
        "wofs": (0.75, 0.99, None),
    },
    "all_water": {
        "forest": (None, 0.98, None),
        "cluster": (None, 0.98, None),
        "dswx": (None, 0.99, None),
        "wofs": (None, 0.99, None),
    },
    "no_water": {
        "forest": (None, None, 0.005),
        "cluster": (None, None, 0.005),
        "dswx": (None, None, None),
        "wofs": (None, None, None),
    },
}


def scene(shared: Path, name: str) -> Lake:
    """A frozen scene by the name that the expected tables give it."""
    if name == "clear_turbid_first_28_rows":
        lake = frozen(shared, "clear_turbid")
        mask = lake.mask.copy()
        mask[28:] = 1
        return replace(lake, mask=mask)
    return frozen(shared, "snow", "mask_with_snow") if name == "snow_with_snow" else frozen(shared, name)


@cache
def truth(shared: Path, name: str) -> np.ndarray:
    with np.load(
        shared / "conformance" / "water" / "sanity" / f"{name.removesuffix('_with_snow')}.npz"
    ) as file:
        found: np.ndarray = file["truth"]
        return found


@cache
def expected_samples(shared: Path) -> Any:
    return json.loads((shared / "conformance/water/sanity/expected_samples.json").read_text())["scenes"]


@pytest.mark.parametrize("strip_rows", [None, 97])
@pytest.mark.parametrize("variant", VARIANTS)
def test_dswx_layers_are_equal(shared: Path, tmp_path: Path, variant: str, strip_rows: int | None) -> None:
    folder = shared / "conformance" / "water" / "dswx"
    with np.load(folder / "expected_default.npz") as file:
        expected = {name: file[name] for name in file.files}
    with np.load(folder / "expected_variants.npz") as file:
        expected |= {
            name.split("__")[1]: file[name] for name in file.files if name.startswith(f"{variant}__")
        }
        ocean = file["ocean_land_mask"]
    with (
        rasterio.open(folder / "inputs" / "cgls.tif") as cgls,
        rasterio.open(tmp_path / "ocean_land.tif", "w", **cgls.profile) as raster,
    ):
        raster.write(ocean, 1)
    (ending,) = thalweg.run(
        folder / "inputs",
        "water",
        to=tmp_path / "out",
        static=folder / "inputs",
        static_files={"ocean_land": tmp_path / "ocean_land.tif"},
        strip_rows=strip_rows,
        profile="dswx-conformance",
        **VARIANTS[variant],
    )
    differing = {name: int((layer(ending, name) != values).sum()) for name, values in expected.items()}
    assert differing == dict.fromkeys(expected, 0)


def test_dswx_as_a_detector_says_what_its_product_says(shared: Path, tmp_path: Path) -> None:
    folder = shared / "conformance" / "water" / "dswx"
    with np.load(folder / "expected_default.npz") as file:
        wtr = file["WTR"]
    (ending,) = thalweg.run(
        folder / "inputs",
        "water",
        to=tmp_path / "out",
        static=folder / "inputs",
        detector="dswx",
        dswx_land=True,
        dswx_shad=True,
        **RAW,
    )
    found, reason = layer(ending, "WATER"), layer(ending, "REASON")
    np.testing.assert_array_equal(found, np.where(wtr >= 252, 255, wtr == 1))
    assert ((reason[wtr == 252] & 8) != 0).all()
    assert ((reason[wtr == 253] & (2 | 4 | 16)) != 0).all()
    assert (reason[wtr == 255] == 1).all()
    assert set(np.unique(layer(ending, "SOURCE"))) == {0, 8}


def test_wofs_sample_is_equal(shared: Path, tmp_path: Path) -> None:
    with np.load(shared / "conformance" / "water" / "wofs" / "sample_pair.npz") as file:
        bands, fmask, expected, compare = (
            file[name] for name in ("bands", "fmask", "expected_wofl", "compare")
        )
    write_plane(tmp_path / "bands.tif", bands, nodata=-999)
    write_plane(tmp_path / "mask.tif", np.nan_to_num(fmask, nan=1).astype(np.uint8))
    granule = tmp_path / "sample.yaml"
    granule.write_text(
        "level: L2A\ntime: 2015-06-01T00:00:00Z\nplatform: L8\nsite: sample\nfile: bands.tif\nscale: 0.0001\n"
        "nodata: -999\nbands: {blue: {band: 1}, green: {band: 2}, red: {band: 3}, nir08: {band: 4}, swir16: {band: 5}, "
        "swir22: {band: 6}}\nmasks: {file: mask.tif, meanings: {nodata: [0], cloud: [2], cloud_shadow: [3]}}\n"
    )
    (ending,) = thalweg.run(granule, "water", to=tmp_path / "out", profile="wofs-conformance")
    assert compare.sum() == 1521
    np.testing.assert_array_equal(layer(ending, "WOFL")[compare], expected[compare])


def test_wofs_decisions_are_equal(shared: Path, tmp_path: Path) -> None:
    with np.load(shared / "conformance" / "water" / "wofs" / "decision_vectors.npz") as file:
        bands, decision = file["bands"], file["decision"]
    count = bands.shape[1] // 100 * 100
    lake = Lake(bands[:, :count].reshape(6, -1, 100), np.zeros((count // 100, 100), np.uint8))
    ending = run_lake(tmp_path, lake, profile="wofs-conformance")
    np.testing.assert_array_equal(layer(ending, "WOFL").ravel(), decision[:count])


@pytest.mark.parametrize("name", [*SCENES, "clear_turbid_first_28_rows"])
def test_samples_are_those_of_the_frozen_tables(shared: Path, tmp_path: Path, name: str) -> None:
    expected = expected_samples(shared)[name]
    lake = scene(shared, name)
    clusters = run_lake(tmp_path / "cluster", lake, detector="cluster").properties["water:training"]
    assert list(clusters["n_available"].values()) == [
        expected["cluster"]["candidates"],
        expected["cluster"]["rest"],
    ]
    assert list(clusters["n_drawn"].values()) == expected["cluster"]["n"]
    assert clusters["table_sha256"] == expected["cluster"]["sha256"]
    ending = run_lake(tmp_path / "forest", lake)
    assert (ending.properties["water:detector_used"] == "cluster") == expected["forest"]["fallback"]
    if not expected["forest"]["fallback"]:
        _check_forest_table(ending.properties["water:training"], expected["forest"])


def _check_forest_table(training: Any, expected: Any) -> None:
    assert list(training["n_available"].values()) == expected["available"]
    sides = [training[side][kind] for side in ("n_kept", "n_held_out") for kind in ("water", "land")]
    assert sides == expected["train_water_land_holdout_water_land"]
    assert list(training["n_drawn"].values()) == expected["training"]["n"]
    assert training["table_sha256"] == expected["training"]["sha256"]
    assert (training["holdout"] is None) == (expected["holdout"] is None)
    if expected["holdout"]:
        assert list(training["holdout"]["n_drawn"].values()) == expected["holdout"]["n"]
        assert training["holdout"]["table_sha256"] == expected["holdout"]["sha256"]


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("detector", ["forest", "cluster", "dswx", "wofs"])
def test_masks_keep_within_their_guards(shared: Path, tmp_path: Path, detector: str, name: str) -> None:
    raw = RAW if detector in ("dswx", "wofs") else {"gsw_touch": "off"}
    check_guards(shared, tmp_path, detector, name, **raw)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", ["clear_turbid", "snow"])
@pytest.mark.parametrize("detector", ["forest", "cluster"])
def test_other_seeds_keep_within_the_guards_too(
    shared: Path, tmp_path: Path, detector: str, name: str, seed: int
) -> None:
    check_guards(shared, tmp_path, detector, name, gsw_touch="off", seed=seed)


def check_guards(shared: Path, folder: Path, detector: str, name: str, **parameters: Any) -> None:
    """Precision, recall and false positives of a detector on a scene, where the truth is certain and nothing masked."""
    lake = scene(shared, name)
    ending = run_lake(folder, lake, detector=detector, **parameters)
    found, real = layer(ending, "WATER"), truth(shared, name)
    scored = (real <= 1) & (lake.mask == 0)
    assert (found[scored] <= 1).all()
    hits = ((found == 1) & (real == 1) & scored).sum()
    false = ((found == 1) & (real == 0) & scored).sum()
    precision, recall, most_false = GUARDS[name][detector]
    assert precision is None or hits / (hits + false) >= precision
    assert recall is None or hits / ((real == 1) & scored).sum() >= recall
    assert most_false is None or false / ((real == 0) & scored).sum() <= most_false
    flagged = (layer(ending, "REASON")[found <= 1] & FLAG_BITS["no_training"]) != 0
    assert flagged.all() if detector == "forest" and name in FALLEN else not flagged.any()


@pytest.mark.parametrize("detector", ["forest", "cluster", "dswx", "wofs"])
def test_a_scene_under_clouds_ends_without_data(shared: Path, tmp_path: Path, detector: str) -> None:
    ending = run_lake(tmp_path, frozen(shared, "all_cloud"), detector=detector)
    assert ending.state == "no-data", ending.error


@pytest.mark.parametrize("mode", ["flag", "delete"])
def test_a_new_reservoir_is_flagged_or_deleted_and_a_dry_one_is_no_water(
    shared: Path, tmp_path: Path, mode: str
) -> None:
    lake = frozen(shared, "clear_turbid")
    ending = run_lake(tmp_path, lake, gsw_touch=mode)
    found, reason, real = layer(ending, "WATER"), layer(ending, "REASON"), truth(shared, "clear_turbid")
    new = (real == 1) & (lake.mask == 0) & (lake.static["gsw_occurrence"] == 0)
    near = np.zeros_like(new)
    near[25:56, 135:166] = True
    new &= near
    assert new.sum() > 100
    assert ((reason[new] & FLAG_BITS["new_water"]) != 0).mean() > 0.98
    assert (found[new] == (1 if mode == "flag" else 0)).mean() > 0.98
    dry = (
        (real == 0)
        & (lake.mask == 0)
        & (lake.static["gsw_occurrence"] >= 50)
        & (lake.static["gsw_occurrence"] <= 100)
    )
    assert dry.sum() > 100
    assert (found[dry] == 1).mean() < 0.02
