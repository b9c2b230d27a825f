"""Every vector of the water-quality conformance set, within its tolerance, computed in float64 and in float32."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest

from tests.conformance.quality_batches import WATER, batch_of, is_close
from tests.conftest import shared_folder
from thalweg.chains import quality_numbers as numbers
from thalweg.chains.quality_algorithms import built_in
from thalweg.chains.quality_layers import linear, logarithmic
from thalweg.chains.quality_parameters import Quality
from thalweg.chains.quality_pass import reader_of, writer_of
from thalweg.chains.quality_recipe import hue_table, public_menu, water_types
from thalweg.kernels import colour, deglint, indices, owt, packing, transparency
from thalweg.kernels import quality as fused
from thalweg.kernels.quality import Batch, evaluate, sigma
from thalweg.kernels.recipe import Product, Recipe
from thalweg.kernels.reflectance import Rho
from thalweg.raster import Packing

OLI_NEAR_INFRARED = {"B5": "B8A"}
"""Ids of single OLI bands call them by OLI's names; L5 stands in the row of B8A."""

TYPES = water_types("S2A", Quality().chl_by_owt)

in_both_precisions = pytest.mark.parametrize("precision", ["float64", "float32"])


@cache
def read(name: str) -> Any:
    folder = shared_folder()
    if folder is None:
        return None
    return json.loads((folder / "conformance" / "quality" / name).read_text())


def entries(kind: str) -> list[Any]:
    vectors = read("vectors.json")
    missing = pytest.param(None, marks=pytest.mark.skip("no shared data"), id="none")
    return [missing] if vectors is None else vectors[kind]


def name_of(entry: Any) -> str:
    return (
        "-" if entry is None else str(entry.get("id") or f"{entry.get('defect', 'at')}-{entry['algorithm']}")
    )


def batch_for(entry: Mapping[str, Any], precision: str = "float64") -> Batch:
    renamed = OLI_NEAR_INFRARED if entry["id"].endswith("_oli_LB5") else None
    return batch_of([case["inputs"] for case in entry["cases"]], renamed=renamed, precision=precision)


def bounds(entry: Mapping[str, Any], precision: str) -> tuple[float, float]:
    """Relative and absolute tolerance of an entry."""
    given = entry["tolerance"]
    return (given["rtol64"], 1e-12) if precision == "float64" else (given["rtol32"], given["atol32"])


def classified(batch: Batch) -> Batch:
    found, shares = batch.empty(3), batch.empty(3)
    best, highest, total = np.empty(batch.size, np.uint8), batch.empty(), batch.empty()
    owt.features(batch.rrs[:8], TYPES.wavelengths, TYPES.polynomial, TYPES.box_cox, found)
    owt.memberships(found, TYPES.means, TYPES.inverses, TYPES.groups, best, highest, total, shares)
    batch.shares = shares
    batch.layers |= {"best": best, "highest": highest, "total": total, "found": found}
    return batch


def algorithm_entries() -> list[Any]:
    return [
        entry for entry in entries("algorithms") if not isinstance(entry, dict) or entry["id"] in built_in()
    ]


@pytest.mark.parametrize("entry", algorithm_entries(), ids=name_of)
@in_both_precisions
def test_algorithms(entry: Any, precision: str) -> None:
    batch = classified(batch_for(entry, precision))
    values = evaluate(built_in()[entry["id"]].algorithm, batch).value
    assert values.dtype == precision
    rtol, atol = bounds(entry, precision)
    for case, value in zip(entry["cases"], values, strict=True):
        expected = case["expected"]
        expected = expected["tss"] if isinstance(expected, dict) else expected
        assert is_close(value, expected, rtol, atol), (case, value)


@pytest.mark.parametrize("entry", algorithm_entries(), ids=name_of)
def test_states_follow_range_and_domain(entry: Any) -> None:
    declared = built_in()[entry["id"]]
    batch = classified(batch_for(entry))
    values = evaluate(declared.algorithm, batch).value
    domain = declared.domain
    held = None if domain is None else evaluate(domain.variable, batch).value
    for pixel, case in enumerate(entry["cases"]):
        if "state" not in case:
            continue
        if math.isnan(values[pixel]):
            state = "no_value"
        elif domain is not None and held is not None and held[pixel] < domain.lowest:
            state = "out_of_domain"
        else:
            below, above = values[pixel] < declared.lowest, values[pixel] > declared.highest
            state = "below_range" if below else "above_range" if above else "ok"
        assert state == case["state"], case


@pytest.mark.parametrize("entry", algorithm_entries(), ids=name_of)
def test_what_is_declared_is_what_is_specified(entry: Any) -> None:
    declared = built_in()[entry["id"]]
    limits = entry["valid_range"]
    assert [declared.lowest, declared.highest] == (limits or [-math.inf, math.inf])
    assert (declared.kind, declared.group, declared.units) == (
        entry["input_type"],
        entry["group"],
        entry["units"],
    )


@pytest.mark.parametrize("entry", algorithm_entries(), ids=name_of)
def test_only_formulas_without_scale_are_equal_on_rrs_and_rho(entry: Any) -> None:
    batch = batch_for(entry)
    scaled = batch_for(entry)
    scaled.rrs[:] *= math.pi
    kernel = built_in()[entry["id"]]
    once, twice = (evaluate(kernel.algorithm, classified(each)).value for each in (batch, scaled))
    there = np.isfinite(once) & np.isfinite(twice) & (once != 0)
    same = np.allclose(once[there], twice[there], rtol=1e-9, atol=0) and np.array_equal(
        np.isnan(once), np.isnan(twice)
    )
    assert same == (kernel.kind == "rrs_or_rho")


@pytest.mark.parametrize("entry", entries("regressions"), ids=name_of)
@in_both_precisions
def test_defects_of_peers_are_not_reproduced(entry: Any, precision: str) -> None:
    batch = batch_of([entry["inputs"]], precision=precision)
    value = evaluate(built_in()[entry["algorithm"]].algorithm, batch).value[0]
    assert is_close(value, entry["expected"], *bounds(entry_of(entry["algorithm"]), precision)), value
    if entry["peer_value"] is not None:
        assert not is_close(value, float(entry["peer_value"]), 1e-3)


@pytest.mark.parametrize("entry", entries("switch_limits"), ids=name_of)
@in_both_precisions
def test_switch_limits(entry: Any, precision: str) -> None:
    spectrum = {"B4": entry["rho665"] / math.pi, "B8A": entry["rho865"] / math.pi}
    batch = batch_of([spectrum], precision=precision)
    value = evaluate(built_in()[entry["algorithm"]].algorithm, batch).value[0]
    assert is_close(value, entry["expected"], *bounds(entry_of(entry["algorithm"]), precision)), value


def entry_of(id: str) -> Any:
    found = [entry for entry in entries("algorithms") if isinstance(entry, dict) and entry["id"] == id]
    if not found:
        pytest.skip("no shared data")
    return found[0]


@in_both_precisions
def test_light_in_the_water(precision: str) -> None:
    entry = entry_of("qaa_v6_s2")
    batch, close = batch_for(entry, precision), bounds(entry, precision)
    seen, inverted, light = batch.empty(8), batch.empty(4), batch.empty(16)
    transparency.look_below(batch.rrs, seen)
    transparency.invert(batch.rrs, seen, WATER, inverted)
    transparency.attenuation(batch.rrs, seen, batch.zenith, WATER, inverted, light)
    band, lee, jiang = np.empty(batch.size, np.int32), batch.empty(), batch.empty()
    transparency.clearest_band(light[transparency.KD :], band)
    own = batch.empty(7)
    transparency.take_band(batch.rrs, seen, light, WATER, band, own)
    transparency.secchi_lee(own, lee)
    transparency.secchi_jiang(own, batch.zenith, jiang)
    for i, case in enumerate(entry["cases"]):
        expected = case["expected"]
        if expected is None:
            assert np.isnan(lee[i])
            continue
        names = ("B1", "B2", "B3", "B4")
        found = {
            "a0": inverted[0, i],
            "bbp0": inverted[1, i],
            "eta": inverted[2, i],
            "zsd_lee2015": lee[i],
            "zsd_jiang2019": jiang[i],
            "band_min": names[band[i]],
        }
        assert all(is_close(found[key], expected[key], *close) for key in found), (expected, found)
        for k, name in enumerate(names):
            assert is_close(light[transparency.KD + k, i], expected["Kd"][name], *close)
            assert is_close(light[transparency.A + k, i], expected["a"][name], *close)
            bbp = inverted[1, i] * light[transparency.SHARE + k, i]
            assert is_close(bbp, expected["bbp"][name], *close)


@pytest.mark.parametrize(("id", "sensor"), [("hue_s2a", "S2A"), ("hue_s2b", "S2B"), ("hue_oli", "OLI")])
@in_both_precisions
def test_colour(id: str, sensor: str, precision: str) -> None:
    entry, table = entry_of(id), hue_table(sensor)
    batch, close = batch_for(entry, precision), bounds(entry, precision)
    alpha, hue, fui = batch.empty(), batch.empty(), np.empty(batch.size, np.uint8)
    colour.chromaticity_angle(batch.rrs[: table.weights.shape[1]], table.weights, alpha)
    colour.hue(alpha, table.polynomial, *table.domain, hue)
    colour.forel_ule(hue, table.limits, fui)
    for i, case in enumerate(entry["cases"]):
        expected = case["expected"]
        assert is_close(alpha[i], expected and expected["alpha_raw"], *close)
        assert is_close(hue[i], expected and expected["hue"], *close)
        assert fui[i] == (expected["fui"] if expected else 0)


@in_both_precisions
def test_water_types(precision: str) -> None:
    entry = entry_of("owt_bi2024")
    batch, (rtol, atol) = classified(batch_for(entry, precision)), bounds(entry, precision)
    for i, case in enumerate(entry["cases"]):
        expected = case["expected"]
        for row, key in enumerate(("avw", "area_bc", "ndi")):
            assert is_close(batch.layers["found"][row, i], expected[key], rtol, atol)
        assert batch.layers["best"][i] == expected["index"]
        assert is_close(batch.layers["total"][i], expected["sum_u"], rtol, max(atol, 1e-9))
        assert is_close(batch.layers["highest"][i], max(expected["u"]), rtol, max(atol, 1e-9))


@pytest.mark.parametrize(("id", "number"), [("owt_sam_spyrakos", 0), ("owt_sam_bi", 1)])
@in_both_precisions
def test_spectral_angles(id: str, number: int, precision: str) -> None:
    entry, table = entry_of(id), public_menu().recipe.templates[number]
    batch, close = batch_for(entry, precision), bounds(entry, precision)
    index, distance = np.empty(batch.size, np.uint8), batch.empty()
    owt.spectral_angle(batch.rrs[:7], table.spectra, index, distance)
    for i, case in enumerate(entry["cases"]):
        expected = case["expected"]
        assert index[i] == expected["index"]
        assert is_close(-math.pi * distance[i], expected["angle_rad"], *close)
        assert is_close(distance[i], expected["dist"], *close)


def uncertainty_entries() -> list[Any]:
    return [e for e in entries("algorithms") if not isinstance(e, dict) or e["id"].startswith("unc_")]


@pytest.mark.parametrize("entry", uncertainty_entries(), ids=name_of)
@in_both_precisions
def test_uncertainties(entry: Any, precision: str) -> None:
    id = entry["id"].removeprefix("unc_")
    wanted = {"kd490_qaa": "kd490_unc", "zsd_lee2015": "zsd_unc", "hue_s2a": "hue_unc"}.get(id, "")
    recipe = Recipe(
        layers=frozenset((wanted,)), water=WATER, hue=hue_table("S2A"), kd490_error=0.0, zsd_error=0.0
    )
    batch = classified(batch_for(entry, precision))
    if wanted:
        values = fused.compute(recipe, batch)[wanted]
    else:
        logarithmic = entry["units"].startswith("1")
        product = Product("x", built_in()[id].algorithm, -math.inf, math.inf, logarithmic=logarithmic)
        values = sigma(product, evaluate(product.algorithm, batch), recipe, batch)
    assert values.dtype == precision
    for case, value in zip(entry["cases"], values, strict=True):
        assert is_close(value, case["expected"], *bounds(entry, precision)), case


def scalar(id: str) -> Any:
    found = [entry for entry in entries("scalars") if isinstance(entry, dict) and entry["id"] == id]
    if not found:
        pytest.skip("no shared data")
    return found[0]


DECODERS: Mapping[str, tuple[Any, float]] = {
    "decode_grs_rrs": (lambda given: Packing(1e-5, 0.3, -32768), 1.0),
    "decode_maja": (lambda given: Packing(1e-4, 0.0, -10000), 1.0),
    "decode_sen2cor_l2a": (
        lambda given: Packing(
            1 / given["BOA_QUANTIFICATION_VALUE"],
            given["BOA_ADD_OFFSET"] / given["BOA_QUANTIFICATION_VALUE"],
            0,
        ),
        1.0,
    ),
    "decode_landsat_c2": (lambda given: Packing(2.75e-5, -0.2, 0), 1.0),
}


@pytest.mark.parametrize("id", DECODERS)
def test_decoders(id: str) -> None:
    entry, (packing_for, unit) = scalar(id), DECODERS[id]
    for case in entry["cases"]:
        given, out = case["inputs"], np.empty(1)
        reader_of(np.array([given["DN"]], np.int32), packing_for(given), unit)(np.zeros(1, np.int32), out)
        assert is_close(out[0], case["expected"], entry["tolerance"]["rtol64"], 0.0)


def test_water_leaving_reflectance_is_divided_by_pi() -> None:
    entry = scalar("decode_c2rcc_rhow")
    for case in entry["cases"]:
        out = np.empty(1)
        reader_of(np.array([case["inputs"]["rhow"]]), Packing(), math.pi)(np.zeros(1, np.int32), out)
        assert is_close(out[0], case["expected"], 1e-12)


@pytest.mark.parametrize(
    ("id", "source", "slope", "intercept"),
    [("tsi_chl", "chla", 9.81, 30.6), ("tsi_zsd", "zsd", -14.41, 60.0)],
)
def test_trophic_indices(id: str, source: str, slope: float, intercept: float) -> None:
    entry, out = scalar(id), np.empty(1)
    for case in entry["cases"]:
        indices.log_index(np.array([case["inputs"][source]], float), slope, intercept, out)
        assert is_close(out[0], case["expected"], 1e-9)


def test_glint_by_short_wave_infrared() -> None:
    entry = scalar("glint_swir")
    for case in entry["cases"]:
        given, glint = case["inputs"], np.empty(1)
        swir = [
            np.array([given.get(band) if given.get(band) is not None else np.nan])
            for band in ("rho_B11", "rho_B12")
        ]
        deglint.swir_glint(*swir, numbers.FRESNEL["B11"], numbers.FRESNEL["B12"], glint)
        found = glint[0] * numbers.FRESNEL[given["band"]] * given["T"]
        assert is_close(found, case["expected"], 1e-9)


def test_glint_by_near_infrared() -> None:
    entry = scalar("glint_hedley")
    sample = {name: np.array(values) for name, values in entry["sample"].items() if name != "slope"}
    count, slope, least = deglint.nir_slope(Rho(sample["rho_i"]), Rho(sample["rho_nir"]))
    assert (count, least) == (5, 0.01)
    assert is_close(slope, entry["sample"]["slope"], 1e-9)
    for case in entry["cases"]:
        given, out = case["inputs"], np.empty(1)
        deglint.remove_by_nir(
            np.array([given["rho_i"]]), np.array([given["rho_nir"]]), given["b"], given["min_nir"], out
        )
        assert is_close(out[0], case["expected"], 1e-9)


def packing_cases(kind: str) -> list[Any]:
    cases = read("packing_cases.json")
    if cases is None:
        pytest.skip("no shared data")
    found: list[Any] = cases[kind]
    return found


def number(value: float | None) -> float:
    return math.nan if value is None else value


@pytest.mark.parametrize("dtype", ["uint16", "int16", "uint8"])
def test_linear_packing(dtype: str) -> None:
    for case in packing_cases(f"linear_{dtype}"):
        out = np.empty(1, dtype)
        stored = linear(case["layer"], dtype, case["scale"], "")
        writer_of(stored, out)(np.array([number(case["value"])]), np.zeros(1, np.int32))
        assert out[0] == case["dn"], case


def test_logarithmic_packing_there_and_back() -> None:
    for case in packing_cases("log_uint16"):
        out, back = np.empty(1, np.uint16), np.empty(1)
        stored = logarithmic(case["layer"], "", "1")
        writer_of(stored, out)(np.array([number(case["value"])]), np.zeros(1, np.int32))
        assert out[0] == case["dn"], case
        packing.unpack_log(out, back)
        assert is_close(back[0], case["decoded"], 1e-12, 0.0)


def test_rounding_of_floats() -> None:
    for case in packing_cases("bitround_float32"):
        out = np.empty(1, np.float32)
        packing.scatter_rounded(np.array([number(case["value"])]), np.zeros(1, np.int32), out)
        assert is_close(float(out[0]), case["expected"], 0.0, 0.0), case


def test_tables_are_those_of_the_specification() -> None:
    tables = read("tables.json")
    if tables is None:
        pytest.skip("no shared data")
    types = tables["owt_bi2024"]
    assert types["classes"] == list(numbers.OWT_NAMES)
    pairs = (
        (types["avw_wavelengths"], numbers.OWT_WAVELENGTHS),
        (types["means"], numbers.OWT_MEANS),
        (types["covariances"], numbers.OWT_COVARIANCES),
        (types["boxcox_lambda"], numbers.OWT_BOX_COX),
        *(
            (types["avw_polynomial_lowest_first"][sensor], numbers.OWT_POLYNOMIALS[sensor])
            for sensor in ("S2A", "S2B")
        ),
        (tables["sam"]["spyrakos2018"], numbers.SPYRAKOS),
        (tables["sam"]["bi2024"], numbers.BI),
        (list(tables["fresnel_spectral_factors"].values()), list(numbers.FRESNEL.values())),
        (list(tables["qaa"]["aw"].values()), numbers.QAA_AW),
        (list(tables["qaa"]["bbw"].values()), numbers.QAA_BBW),
        ([tables["p3qaa_s2a"][row] for row in ("al", "b1", "b2", "aw", "bbw")], numbers.P3QAA_BANDS),
        (tables["forel_ule_angles"], numbers.FOREL_ULE_ANGLES),
    )
    for said, ours in pairs:
        np.testing.assert_array_equal(said, ours)
    for sensor, ours in (("S2A", "S2A"), ("S2B", "S2B"), ("L8", "OLI")):
        said = tables["hue"][sensor]
        np.testing.assert_array_equal([said[axis] for axis in "XYZ"], numbers.HUE_WEIGHTS[ours])
        np.testing.assert_array_equal(said["poly_highest_first"], numbers.HUE_POLYNOMIALS[ours])
        np.testing.assert_array_equal(said["alpha_domain"], numbers.HUE_DOMAINS[ours])
