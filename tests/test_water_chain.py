"""The water chain beyond its conformance set: roles of every format, fallbacks, reused models, cuts, errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg
from tests.lakes import PIXEL, Lake, layer, run_lake, write_lake, write_plane
from tests.readers import products
from thalweg.chains.water import role_meanings
from thalweg.chains.water_parameters import ROLES, Water
from thalweg.ending import Ending
from thalweg.errors import BadParameters
from thalweg.granule import Granule
from thalweg.kernels.water import REASONS
from thalweg.registry import find_chain

WET = (400, 600, 500, 250, 120, 80)
"""Clear water, DN4 of the six bands."""
SOIL = (900, 1200, 1500, 2300, 2900, 2200)
SNOW = (8000, 8200, 8100, 7500, 700, 600)
SIDE = 128
BIT = {name: 1 << place for place, name in enumerate(REASONS)}
ROLE = {name: 1 << place for place, name in enumerate(ROLES)}
HIDDEN = sum(BIT[name] for name in REASONS[:9]) | BIT["ocean"]
OF_DECISIONS = sum(
    BIT[name] for name in ("no_training", "new_water", "morphology", "snow_like", "low_confidence")
)


def disc(row: int, column: int, radius: int) -> np.ndarray:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.asarray((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)


OLD, NEW, PEAK = disc(40, 40, 24), disc(96, 96, 12), disc(20, 100, 10)


def country() -> Lake:
    """Soil with a lake that the archive knows, one that it does not, a snowy peak and a cloud."""
    noise = np.random.default_rng(5).integers(-40, 41, (6, SIDE, SIDE))
    bands = np.empty((6, SIDE, SIDE), np.int16)
    for k in range(6):
        bands[k] = np.where(OLD | NEW, WET[k], np.where(PEAK, SNOW[k], SOIL[k])) + noise[k]
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[100:110, 10:30] = 2
    occurrence = np.where(OLD, 90, 0).astype(np.uint8)
    hand = np.where(OLD | NEW, 0, 15).astype(np.float32)
    return Lake(bands, mask, {"gsw_occurrence": occurrence, "hand": hand})


def without(lake: Lake, *roles: str) -> Lake:
    return replace(lake, static={role: held for role, held in lake.static.items() if role not in roles})


def failure(ending: Ending) -> dict[str, Any]:
    assert ending.error is not None, ending.state
    return ending.error.to_dict()


def check_reasons(ending: Ending) -> None:
    """P5 and the rules of REASON."""
    found, percent, reason = (layer(ending, name) for name in ("WATER", "PROB", "REASON"))
    source = layer(ending, "SOURCE")
    hidden = found == 255
    assert np.isin(found, (0, 1, 255)).all()
    np.testing.assert_array_equal(percent == 255, hidden)
    assert (percent[~hidden] <= 100).all()
    assert ((reason[hidden] & HIDDEN) != 0).all()
    assert ((reason[hidden] & OF_DECISIONS) == 0).all()
    unsure = (percent >= 40) & (percent < 60)
    np.testing.assert_array_equal((reason & BIT["low_confidence"]) != 0, unsure)
    np.testing.assert_array_equal(source != 0, ~hidden)
    removed = BIT["slope_cut"] | BIT["hand_cut"] | BIT["snow_like"]
    assert not ((reason & removed) != 0)[found == 1].any()


# --- roles ----------------------------------------------------------------------------------------------------------


def _bits(code: int, table: Mapping[int, str]) -> set[str]:
    return {role for bit, role in table.items() if code & bit}


def clm(code: int) -> set[str]:
    roles = _bits(code, {2: "cloud", 128: "cloud", 32: "cloud_shadow", 64: "cloud_shadow"})
    return roles or ({"adjacent"} if code else set())


def cld(code: int) -> set[str]:
    roles = _bits(code, {2: "cloud", 128: "cloud", 4: "cloud_shadow", 8: "cloud_shadow"})
    return roles or ({"adjacent"} if code else set())


def mg2(code: int) -> set[str]:
    return _bits(code, {4: "snow", 16: "topo_shadow", 32: "topo_shadow", 64: "sun_low", 128: "sun_low"})


def scl(code: int) -> set[str]:
    classes = {0: "invalid", 1: "invalid", 3: "cloud_shadow", 11: "snow"}
    return {classes[code]} if code in classes else {"cloud"} if code in (8, 9, 10) else set()


def fmask(code: int) -> set[str]:
    if code == 255:
        return {"invalid"}
    aerosol = {"aerosol_high"} if code >> 6 == 3 else set()
    return _bits(code, {2: "cloud", 8: "cloud_shadow", 16: "snow", 4: "adjacent"}) | aerosol


def qa_pixel(code: int) -> set[str]:
    return _bits(code, {1: "invalid", 2: "cloud", 4: "cloud", 8: "cloud", 16: "cloud_shadow", 32: "snow"})


def nonzero(role: str) -> Callable[[int], set[str]]:
    return lambda code: {role} if code else set()


FORMATS: Mapping[str, tuple[Callable[[Path], Path], Mapping[str, Callable[[int], set[str]]]]] = {
    "muscate": (products.make_muscate, {"clm": clm, "mg2": mg2, "edg": nonzero("invalid")}),
    "landsat by Theia": (
        lambda folder: products.make_muscate(folder, products.LANDSAT, products.LANDSAT_FILES),
        {"clm": clm, "mg2": mg2, "edg": nonzero("invalid")},
    ),
    "maja": (products.make_maja, {"cld": cld}),
    "sen2cor": (lambda folder: products.make_safe(folder, xml=products.product_xml()), {"scl": scl}),
    "stac": (lambda folder: products.make_stac(folder, products.stac_item()), {"scl": scl}),
    "hls": (products.make_hls, {"fmask": fmask}),
    "landsat": (products.make_landsat, {"qa_pixel": qa_pixel}),
}


def roles_of_codes(granule: Granule, kind: str, parameters: Water) -> list[set[str]]:
    """The roles of every code of one of a granule's masks."""
    mask = next(mask for mask in granule.masks if mask.kind == kind)
    tables = [
        {meaning: mask.legend[meaning].table(256) for meaning in group if meaning in mask.legend}
        for group in role_meanings(parameters, granule)
    ]
    return [
        {
            role
            for role, group in zip(ROLES, tables, strict=True)
            if any(held[code] for held in group.values())
        }
        for code in range(256)
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_every_code_has_the_roles_of_the_table(tmp_path: Path, name: str) -> None:
    make, expected = FORMATS[name]
    granule = thalweg.open_granule(make(tmp_path))
    for kind, roles in expected.items():
        assert roles_of_codes(granule, kind, Water()) == [roles(code) for code in range(256)], kind


def test_dark_pixels_of_sen2cor_are_shadow_on_demand_only(tmp_path: Path) -> None:
    granule = thalweg.open_granule(products.make_safe(tmp_path, xml=products.product_xml()))
    assert roles_of_codes(granule, "scl", Water())[2] == set()
    assert roles_of_codes(granule, "scl", Water(scl_dark_is_shadow=True))[2] == {"topo_shadow"}


@pytest.mark.parametrize("name", FORMATS)
def test_no_role_holds_the_water_of_the_provider(tmp_path: Path, name: str) -> None:
    granule = thalweg.open_granule(FORMATS[name][0](tmp_path))
    assert not any("water" in group for group in role_meanings(Water(), granule))


# --- detectors and fallbacks ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Ending:
    return run_lake(tmp_path_factory.mktemp("trained"), country(), write_model=True)


def test_a_trained_forest_finds_both_lakes_and_says_how_it_was_trained(trained: Ending) -> None:
    found = layer(trained, "WATER")
    assert (found[OLD] == 1).mean() > 0.98 and (found[NEW] == 1).mean() > 0.98
    assert (found[~(OLD | NEW)] != 1).all()
    check_reasons(trained)
    facts, training = trained.properties, trained.properties["water:training"]
    assert facts["water:detector_used"] == "forest" and facts["water:fallback"] == []
    assert training["n_available"]["water"] == OLD.sum()
    assert training["holdout"] is None or training["holdout"]["f1"] > 0.95
    assert {"scikit-learn", "numpy"} == set(training["libraries"])


def test_certain_pixels_are_counted_and_the_trees_agree_with_them(trained: Ending, tmp_path: Path) -> None:
    training, valid = trained.properties["water:training"], (layer(trained, "WATER") != 255).sum()
    assert training["n_gated"] + training["n_asked"] == valid
    assert training["n_gated"] > 0.8 * (~(OLD | NEW)).sum() - 200
    assert training["gate"]["agreement"] == 1.0 and training["gate"]["n"] > 100
    everything = run_lake(tmp_path, country(), certain_land_gate=False)
    assert everything.properties["water:training"]["n_gated"] == 0
    np.testing.assert_array_equal(layer(everything, "WATER"), layer(trained, "WATER"))


def test_without_the_archive_clusters_stand_in_and_say_so(tmp_path: Path) -> None:
    ending = run_lake(tmp_path, without(country(), "gsw_occurrence"))
    alone = run_lake(tmp_path / "alone", without(country(), "gsw_occurrence"), detector="cluster")
    found, reason = layer(ending, "WATER"), layer(ending, "REASON")
    np.testing.assert_array_equal(found, layer(alone, "WATER"))
    assert (((reason & BIT["no_training"]) != 0) == (found <= 1)).all()
    assert not (layer(alone, "REASON") & BIT["no_training"]).any()
    assert ending.properties["water:fallback"] == [
        {"detector": "forest", "reason": "no static layer 'gsw_occurrence'"}
    ]
    assert ending.properties["water:occurrence_known"] is False
    assert not (reason & BIT["new_water"]).any()
    check_reasons(ending)


def test_too_few_pixels_to_cluster_leave_the_rules(tmp_path: Path) -> None:
    ending = run_lake(tmp_path, country(), n_min=10**6, cluster_min_valid=10**6)
    assert ending.properties["water:detector_used"] == "dswx"
    assert [one["detector"] for one in ending.properties["water:fallback"]] == ["forest", "cluster"]
    assert "n_min = 1000000" in ending.properties["water:fallback"][0]["reason"]


def test_a_low_score_is_kept_and_said(tmp_path: Path) -> None:
    lake = country()
    blind = lake.bands.copy()
    blind[0] = np.random.default_rng(0).integers(300, 1200, OLD.shape)
    learning = {"features": ("blue",), "max_features": 1, "n_min": 50, "holdout_block_px": 16}
    ending = run_lake(tmp_path, replace(lake, bands=blind), **learning)
    training = ending.properties["water:training"]
    assert training["holdout"]["f1"] < 0.8 and training["quality"] == "low"
    assert ending.properties["water:detector_used"] == "forest" and ending.properties["water:untrained"]
    found = layer(ending, "WATER")
    assert (((layer(ending, "REASON") & BIT["no_training"]) != 0) == (found <= 1)).all()


@pytest.mark.parametrize(
    ("lake", "parameters", "code", "words"),
    [
        (
            without(country(), "gsw_occurrence"),
            {},
            "E_INPUT",
            ("gsw_occurrence", "stack", ".tif", "fallback"),
        ),
        (country(), {"n_min": 10**6}, "E_TRAINING", ("water", "n_min = 1000000")),
    ],
)
def test_without_fallback_no_training_is_a_missing_input(
    tmp_path: Path, lake: Lake, parameters: dict[str, Any], code: str, words: tuple[str, ...]
) -> None:
    error = failure(run_lake(tmp_path, lake, fallback=(), **parameters))
    assert (error["id"], error["code"]) == (code, 11)
    assert all(word in error["message"] for word in words), error["message"]


# --- a model used again ---------------------------------------------------------------------------------------------


def install(
    trained: Ending, folder: Path, change: Callable[[dict[str, Any]], None] = lambda arrays: None
) -> Path:
    """The model of a product as a static layer."""
    assert trained.product is not None
    with np.load(trained.product / "forest_model.npz") as file:
        arrays = dict(file)
    change(arrays)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "forest_model.npz", **arrays)
    return folder / "forest_model.npz"


def run_with(folder: Path, lake: Lake, model: Path, **parameters: Any) -> Ending:
    granule = write_lake(folder / "in", lake)
    (ending,) = thalweg.run(
        granule,
        "water",
        to=folder / "out",
        static=folder / "in" / "static",
        static_files={"forest_model": model},
        **parameters,
    )
    return ending


def test_a_reused_model_gives_the_same_mask_and_is_flagged(trained: Ending, tmp_path: Path) -> None:
    again = run_with(tmp_path, country(), install(trained, tmp_path / "models"), train="static")
    np.testing.assert_array_equal(layer(again, "PROB"), layer(trained, "PROB"))
    found = layer(again, "WATER")
    assert (((layer(again, "REASON") & BIT["no_training"]) != 0) == (found <= 1)).all()
    assert again.properties["water:detector_used"] == "forest_model"
    digest = trained.properties["water:training"]["model_sha256"]
    assert again.properties["water:training"]["model_sha256"] == digest
    assert again.properties["water:training"]["model"]["tile"] == "lake"


def test_a_reused_model_may_stand_in(trained: Ending, tmp_path: Path) -> None:
    lake, model = without(country(), "gsw_occurrence"), install(trained, tmp_path / "models")
    ending = run_with(tmp_path, lake, model, fallback=("forest_model", "cluster"))
    assert ending.properties["water:detector_used"] == "forest_model"
    assert ending.properties["water:fallback"][0]["detector"] == "forest"
    absent = run_lake(tmp_path / "absent", lake, fallback=("forest_model", "cluster"))
    assert absent.properties["water:detector_used"] == "cluster"


def test_another_model_makes_another_unit(trained: Ending, tmp_path: Path) -> None:
    def prune(arrays: dict[str, Any]) -> None:
        arrays["value"] = np.round(arrays["value"])

    first = run_with(tmp_path / "a", country(), install(trained, tmp_path / "m"), train="static")
    second = run_with(tmp_path / "b", country(), install(trained, tmp_path / "n", prune), train="static")
    assert first.unit != second.unit


def test_a_model_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    error = failure(run_lake(tmp_path, country(), train="static"))
    assert (error["id"], error["code"]) == ("E_INPUT", 11)
    assert "forest_model.npz" in error["message"]


def test_a_model_of_other_features_is_refused(trained: Ending, tmp_path: Path) -> None:
    model = install(trained, tmp_path / "models")
    error = failure(
        run_with(
            tmp_path, country(), model, train="static", features=("blue", "green", "nir"), max_features=2
        )
    )
    assert (error["id"], error["code"]) == ("E_PARAM", 12)


def _circle(arrays: dict[str, Any]) -> None:
    arrays["left"] = np.zeros_like(arrays["left"])


def _far(arrays: dict[str, Any]) -> None:
    arrays["right"] = arrays["right"] + 10_000


def _feature(arrays: dict[str, Any]) -> None:
    arrays["feature"] = np.where(arrays["feature"] >= 0, 9, -1)


def _share(arrays: dict[str, Any]) -> None:
    arrays["value"] = arrays["value"] + 2


def _short(arrays: dict[str, Any]) -> None:
    arrays["threshold"] = arrays["threshold"][:-1]


def _trees(arrays: dict[str, Any]) -> None:
    arrays["tree_start"] = arrays["tree_start"] + 1


def _absent(arrays: dict[str, Any]) -> None:
    del arrays["value"]


def _text(arrays: dict[str, Any]) -> None:
    arrays["meta"] = np.array("no JSON")


@pytest.mark.parametrize("change", [_circle, _far, _feature, _share, _short, _trees, _absent, _text])
def test_arrays_that_are_no_forest_are_refused(
    trained: Ending, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    error = failure(run_with(tmp_path, country(), install(trained, tmp_path / "m", change), train="static"))
    assert error["code"] == 10 and "forest_model" in error["message"]


def test_a_file_that_is_no_archive_or_holds_objects_is_refused(trained: Ending, tmp_path: Path) -> None:
    model = tmp_path / "forest_model.npz"
    model.write_bytes(b"nothing of the kind")
    assert failure(run_with(tmp_path / "a", country(), model, train="static"))["code"] == 10
    np.savez(model, value=np.array([{}, None], object))
    assert failure(run_with(tmp_path / "b", country(), model, train="static"))["code"] == 10


# --- after the detector ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("detector", ["forest", "cluster", "dswx", "wofs"])
def test_new_water_is_flagged_deleted_or_left(tmp_path: Path, detector: str) -> None:
    for mode in ("flag", "delete", "off"):
        ending = run_lake(tmp_path / mode, country(), detector=detector, gsw_touch=mode)
        found, flag = layer(ending, "WATER"), (layer(ending, "REASON") & BIT["new_water"]) != 0
        check_reasons(ending)
        assert (found[NEW] == (0 if mode == "delete" else 1)).mean() > 0.98
        assert flag[NEW].mean() > 0.98 if mode != "off" else not flag.any()
        assert not flag[OLD].any() and (found[OLD] == 1).mean() > 0.98


def test_snow_is_vetoed_with_its_reason(tmp_path: Path) -> None:
    ending = run_lake(tmp_path / "on", country(), detector="wofs")
    free = run_lake(tmp_path / "off", country(), detector="wofs", snow_veto=False)
    flag = (layer(ending, "REASON") & BIT["snow_like"]) != 0
    called = layer(free, "WATER") == 1
    assert (layer(ending, "WATER")[PEAK] == 0).all()
    np.testing.assert_array_equal(flag, called & PEAK)


@pytest.mark.parametrize("detector", ["dswx", "wofs", "cluster"])
def test_high_water_is_cut_but_where_the_archive_knows_of_it(tmp_path: Path, detector: str) -> None:
    lake = country()
    high = replace(lake, static={**lake.static, "hand": np.full(OLD.shape, 80, np.float32)})
    ending = run_lake(tmp_path, high, detector=detector, hand_cut_m=25.0)
    found, cut = layer(ending, "WATER"), (layer(ending, "REASON") & BIT["hand_cut"]) != 0
    assert (found[OLD] == 1).mean() > 0.98 and (found[NEW] == 0).all()
    assert cut[NEW].mean() > 0.98 and not cut[~(NEW | PEAK)].any()
    check_reasons(ending)


def test_steep_water_is_cut_and_masked_by_wofs(tmp_path: Path) -> None:
    lake = country()
    steep = np.cumsum(np.full(OLD.shape, 5, np.float32), axis=1)
    known = replace(lake, static={**lake.static, "dem": steep})
    cut = run_lake(tmp_path / "dswx", known, crs="EPSG:32631", detector="dswx", slope_cut_deg=12.0)
    assert (layer(cut, "WATER")[NEW] == 0).all() and (layer(cut, "WATER")[OLD] == 1).mean() > 0.98
    assert ((layer(cut, "REASON") & BIT["slope_cut"]) != 0)[NEW].mean() > 0.98
    half = replace(known, static={**known.static, "dem": np.where(NEW, steep, 0).astype(np.float32)})
    masked = run_lake(tmp_path / "wofs", half, crs="EPSG:32631", detector="wofs", slope_cut_deg=12.0)
    inside = disc(96, 96, 10)
    assert (layer(masked, "WATER")[inside] == 255).all() and (layer(masked, "WATER")[OLD] == 1).mean() > 0.98
    assert (layer(masked, "REASON")[inside] == BIT["slope_cut"]).all()


def test_a_cut_needs_its_layer(tmp_path: Path) -> None:
    for role, parameters in (("hand", {"hand_cut_m": 25.0}), ("dem", {"slope_cut_deg": 12.0})):
        error = failure(run_lake(tmp_path / role, without(country(), "hand"), **parameters))
        assert (error["id"], error["code"]) == ("E_INPUT", 11) and repr(role) in error["message"]


def test_gaps_and_holes_are_filled_and_specks_removed(tmp_path: Path) -> None:
    lake, speck = country(), disc(100, 60, 1)
    bands = lake.bands.copy()
    bands[:, 40, 40] = SOIL
    bands[:, speck] = np.array(WET, np.int16)[:, None]
    pierced = replace(lake, bands=bands)
    plain = layer(run_lake(tmp_path / "plain", pierced, detector="dswx"), "WATER")
    assert plain[40, 40] == 0 and (plain[speck] == 1).all()
    for number, parameters in enumerate(({"closing_radius": 2}, {"fill_holes_px": 5})):
        ending = run_lake(tmp_path / str(number), pierced, detector="dswx", min_area_px=10, **parameters)
        found, changed = layer(ending, "WATER"), (layer(ending, "REASON") & BIT["morphology"]) != 0
        assert found[40, 40] == 1 and changed[40, 40]
        assert (found[speck] == 0).all() and changed[speck].all()
        check_reasons(ending)


def test_the_sky_is_masked_and_never_water(tmp_path: Path) -> None:
    lake = country()
    mask = np.where(OLD, 2, 0).astype(np.uint8) | np.where(NEW, 4, 0).astype(np.uint8)
    hidden = replace(lake, mask=mask)
    for detector in ("cluster", "dswx", "wofs"):
        ending = run_lake(tmp_path / detector, hidden, detector=detector)
        found, reason = layer(ending, "WATER"), layer(ending, "REASON")
        assert (found[OLD | NEW] == 255).all()
        assert (reason[OLD] == BIT["cloud"]).all() and (reason[NEW] == BIT["cloud_shadow"]).all()


# --- levels, names, parameters --------------------------------------------------------------------------------------


def test_top_of_atmosphere_is_taken_and_said(tmp_path: Path) -> None:
    granule = write_lake(tmp_path / "in", country(), level="L1C")
    (ending,) = thalweg.run(granule, "water", to=tmp_path / "out", detector="dswx")
    assert ending.properties["water:reflectance"] == "top-of-atmosphere"
    assert ending.product is not None
    item = json.loads((ending.product / f"{ending.product.name}.json").read_text())
    assert item["properties"]["water:reflectance"] == "top-of-atmosphere"
    (refused,) = thalweg.run(granule, "snow", to=tmp_path / "out")
    assert failure(refused)["code"] == 10 and "L1C" in failure(refused)["message"]


def test_names_are_those_of_the_specification(trained: Ending) -> None:
    assert trained.product is not None
    assert trained.product.name.startswith(
        "SURFWATER_OPTICAL-SINGLE_Tlake_20210415T105910_20210415T105910_0-1-0_"
    )
    files = {path.name.rpartition("_")[2] for path in trained.product.glob("*.tif")}
    assert files == {"WATER.tif", "PROB.tif", "SOURCE.tif", "REASON.tif"}
    assert trained.product.parts[-4:-1] == ("lake", "2021", "04")


def test_a_name_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    error = failure(run_lake(tmp_path, country(), detector="dswx", name_pattern="^LAKES_.*$"))
    assert (error["id"], error["code"]) == ("E_NAME", 10) and "SURFWATER" in error["message"]


def test_relief_shadow_needs_a_sun(tmp_path: Path) -> None:
    lake = country()
    flat = replace(lake, static={**lake.static, "dem": np.zeros(OLD.shape, np.float32)})
    error = failure(run_lake(tmp_path, flat, detector="dswx", dswx_shad=True))
    assert (error["id"], error["code"]) == ("E_SUN", 10) and "sun" in error["message"]


def test_a_missing_band_is_named_by_its_role(tmp_path: Path) -> None:
    granule = write_lake(tmp_path / "in", country())
    granule.write_text(granule.read_text().replace("  swir22:\n    band: 6\n", ""))
    (ending,) = thalweg.run(granule, "water", to=tmp_path / "out", detector="dswx")
    error = failure(ending)
    assert (error["id"], error["code"]) == ("E_INPUT", 11) and "'swir22'" in error["message"]


def test_an_archive_on_another_grid_is_refused(tmp_path: Path) -> None:
    granule = write_lake(tmp_path / "in", country())
    write_plane(tmp_path / "in" / "static" / "gsw_occurrence.tif", np.zeros((SIDE - 8, SIDE), np.uint8))
    (ending,) = thalweg.run(granule, "water", to=tmp_path / "out", static=tmp_path / "in" / "static")
    error = failure(ending)
    assert (error["id"], error["code"]) == ("E_GRID", 10)
    assert f"{PIXEL:g}" in error["message"] and "gsw_occurrence" in error["message"]


@pytest.mark.parametrize(
    "given",
    [
        {"detector": "forrest"},
        {"prob_treshold": 50},
        {"prob_threshold": 0},
        {"mask_out_roles": ("clouds",)},
        {"features": ("blue", "ndsi")},
        {"features": ()},
        {"land_split": (1, 2, 3)},
        {"max_features": 7, "features": ("blue", "green")},
        {"name_pattern": "("},
        {"product_version": "one"},
        {"fallback": ("water_index",)},
        {"k": 1},
    ],
)
def test_parameters_that_cannot_be_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(BadParameters) as caught:
        find_chain("water").prepare(given)
    assert any(key in caught.value.message for key in given)


def test_slurp_changes_defaults_but_not_choices() -> None:
    _, slurp = find_chain("water").prepare({"profile": "slurp", "n_trees": 30})
    assert (slurp.closing_radius, slurp.gsw_touch, slurp.hand_cut_m, slurp.max_depth) == (
        2,
        "delete",
        25.0,
        8,
    )
    assert slurp.n_trees == 30 and not slurp.certain_land_gate
    assert slurp.features == ("blue", "green", "red", "nir", "ndvi", "ndwi")


# --- products of other formats --------------------------------------------------------------------------------------


def landsat_lake(folder: Path, lake: Lake) -> Path:
    """The scene as a product of Landsat Collection 2: reflectance x 36363.6 + 7272.7, bits of QA_PIXEL."""
    home = products.make_landsat(folder, files=())
    for number, band in enumerate(lake.bands, start=2):
        stored = np.floor((band / 10000 + 0.2) / 2.75e-05 + 0.5).astype(np.uint16)
        write_plane(home / f"{home.name}_SR_B{number}.TIF", stored, crs="EPSG:32631", nodata=0)
    clouds = np.where(lake.mask == 2, 8, 64).astype(np.uint16)
    write_plane(home / f"{home.name}_QA_PIXEL.TIF", clouds, crs="EPSG:32631")
    write_plane(home / f"{home.name}_QA_RADSAT.TIF", np.zeros(OLD.shape, np.uint16), crs="EPSG:32631")
    return home


@pytest.mark.parametrize("detector", ["cluster", "dswx"])
def test_landsat_gives_the_water_of_the_same_reflectances(tmp_path: Path, detector: str) -> None:
    """One step of its numbers is a quarter of a count: rounding gives back the counts that they were made of."""
    lake = without(country(), "gsw_occurrence", "hand")
    granule = landsat_lake(tmp_path / "in", lake)
    (ending,) = thalweg.run(granule, "water", to=tmp_path / "out", detector=detector)
    stack = run_lake(tmp_path / "stack", lake, crs="EPSG:32631", detector=detector)
    for name in ("WATER", "PROB", "REASON"):
        np.testing.assert_array_equal(layer(ending, name), layer(stack, name), err_msg=name)
    assert ending.product is not None and "_T198030_20240115T103040_" in ending.product.name
    assert set(np.unique(layer(ending, "SOURCE"))) == {0, 4}
    assert (layer(ending, "REASON")[lake.mask == 2] == BIT["cloud"]).all()
