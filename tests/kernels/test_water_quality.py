"""Kernels of the water-quality pass against their naive twins, and the laws that each must keep."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.conformance.quality_batches import WATER, batch_of
from tests.kernels import naive_chlorophyll as chl
from tests.kernels import naive_colour, naive_deglint, naive_indices, naive_packing, naive_transparency
from tests.kernels import naive_quality_flags as naive_flags
from tests.kernels import naive_turbidity as tur
from thalweg.chains import quality_numbers as numbers
from thalweg.chains.quality_algorithms import built_in
from thalweg.chains.quality_layers import STANDARD
from thalweg.chains.quality_parameters import Quality
from thalweg.chains.quality_pass import writer_of
from thalweg.chains.quality_recipe import Instrument, hue_table, make_menu, water_types
from thalweg.kernels import colour, deglint, owt, packing, pixels, transparency
from thalweg.kernels import quality as fused
from thalweg.kernels import quality_flags as flags
from thalweg.kernels.quality import evaluate
from thalweg.kernels.recipe import BANDS, Algorithm
from thalweg.kernels.reflectance import Rho, exact_decoding, kind_of

Maybe = float | None
OPEN = (-math.inf, math.inf)
OC2 = (0.2389, -1.9369, 1.7627, -3.0777, -0.1054)

REFLECTANCE = st.one_of(st.floats(1e-5, 0.12), st.sampled_from([0.0, -1e-4, -0.01]), st.none())
POSITIVE = st.floats(1e-5, 0.1)


def value_of(id: str, **bands: Maybe) -> float:
    return float(evaluate(built_in()[id].algorithm, batch_of([bands])).value[0])


def agree(value: float, expected: Maybe, rtol: float = 1e-9) -> bool:
    return (
        math.isnan(value) if expected is None else math.isclose(value, expected, rel_tol=rtol, abs_tol=1e-12)
    )


def rho(value: Maybe) -> Maybe:
    return None if value is None else math.pi * value


@given(REFLECTANCE, REFLECTANCE, REFLECTANCE)
def test_blue_green_ratios_equal_the_plain_ones(coastal: Maybe, blue: Maybe, green: Maybe) -> None:
    clamped = chl.blue_green([blue], green, OC2, (-0.5, 0.9))
    assert agree(value_of("chl_oc2_msi_clamped", B2=blue, B3=green), clamped)
    three = (0.3308, -2.6684, 1.5990, 0.5525, -1.4876)
    expected = chl.blue_green([coastal, blue], green, three, (-0.5, 0.9))
    assert agree(value_of("chl_oc3_msi_clamped", B1=coastal, B2=blue, B3=green), expected)


@given(REFLECTANCE, REFLECTANCE, REFLECTANCE)
def test_red_edge_formulas_equal_the_plain_ones(red: Maybe, edge: Maybe, nir: Maybe) -> None:
    bands = {"B4": red, "B5": edge, "B6": nir}
    pairs = (
        ("chl_gilerson2", chl.ratio_power(red, edge, 35.75, -19.30, 1.124)),
        ("chl_gurlin2", chl.ratio_polynomial(red, edge, (-15.18, 14.85, 25.28))),
        ("chl_gurlin3", chl.difference_polynomial(red, edge, nir, (25.66, 215.95, 315.50))),
        ("chl_ndci_mishra", chl.ndci_polynomial(red, edge, (14.039, 86.115, 194.325, 0.0))),
    )
    for id, expected in pairs:
        assert agree(value_of(id, **bands), expected, 1e-7), id


@given(REFLECTANCE, REFLECTANCE)
def test_switches_equal_the_plain_ones(red: Maybe, nir: Maybe) -> None:
    assert agree(value_of("spm_get2018", B4=red, B8A=nir), tur.get2018(rho(red), rho(nir)))
    assert agree(value_of("tur_dogliotti15", B4=red, B8A=nir), tur.dogliotti15(rho(red), rho(nir)))
    assert agree(value_of("spm_han16", B4=red), tur.han16(red))


@given(REFLECTANCE, REFLECTANCE, REFLECTANCE)
def test_novoa_equals_the_plain_one(green: Maybe, red: Maybe, nir: Maybe) -> None:
    expected = tur.novoa17(rho(green), rho(red), rho(nir))
    assert agree(value_of("spm_novoa17", B3=green, B4=red, B8A=nir), expected)


HYPERBOLAS = [id for id, declared in built_in().items() if "nechad" in id and declared.sensor == "msi"]


@pytest.mark.parametrize("id", HYPERBOLAS)
def test_hyperbolas_rise_below_their_pole_and_have_no_value_from_it_on(id: str) -> None:
    algorithm = built_in()[id].algorithm
    assert isinstance(algorithm, Algorithm)
    pole = algorithm.coefficients[1]
    (band,) = algorithm.bands
    below = np.linspace(0, pole * 0.999, 500) / math.pi
    values = evaluate(algorithm, batch_of([{band: float(each)} for each in below])).value
    assert np.all(np.diff(values) > 0)
    beyond = evaluate(
        algorithm, batch_of([{band: each * pole / math.pi * 1.0001} for each in (1.0, 2.0, 10.0)])
    )
    assert np.all(np.isnan(beyond.value))


SWITCHES: Mapping[str, tuple[Callable[[float, float], dict[str, float]], tuple[float, ...], float]] = {
    "spm_get2018": (lambda red, nir: {"B4": red, "B8A": nir}, (0.07, 0.14), 1e-4),
    "tur_dogliotti15": (lambda red, nir: {"B4": red, "B8A": nir}, (0.05, 0.07), 1e-4),
    "spm_han16": (lambda red, nir: {"B4": red}, (0.03 * math.pi, 0.045 * math.pi), 1e-4),
    "spm_novoa17": (
        lambda red, nir: {"B3": red, "B4": red, "B8A": nir},
        (0.007, 0.016, 0.080, 0.120),
        1e-3,
    ),
}


@pytest.mark.parametrize("id", SWITCHES)
@pytest.mark.parametrize("nir", [0.03, 0.06])
def test_no_jump_at_any_limit_of_a_switch(id: str, nir: float) -> None:
    bands, limits, most = SWITCHES[id]
    for limit in limits:
        around = [bands((limit + step) / math.pi, nir / math.pi) for step in (-1e-7, 0.0, 1e-7)]
        low, at, high = (value_of(id, **each) for each in around)
        assert max(abs(low - at), abs(high - at)) < most * at


@given(st.floats(0.2, 3.0), POSITIVE)
def test_no_jump_where_blue_green_gives_way_to_the_red_edge(ratio: float, red: float) -> None:
    bands = {"B2": 0.8 * red, "B3": red, "B4": red}
    one = value_of("chl_blend_oc2c", **bands, B5=ratio * red)
    other = value_of("chl_blend_oc2c", **bands, B5=(ratio + 1e-9) * red)
    assert math.isclose(one, other, rel_tol=1e-6)


@given(st.lists(REFLECTANCE, min_size=4, max_size=4), st.floats(0, 85))
def test_light_in_the_water_equals_the_plain_one(spectrum: list[Maybe], zenith: float) -> None:
    batch = batch_of([dict(zip(BANDS[:4], spectrum, strict=True))], zenith)
    out = np.empty((5, 1))
    transparency.see_through(
        batch.rrs, batch.zenith, WATER, np.zeros(11), np.zeros(11), np.zeros(2), True, False, out
    )
    expected = naive_transparency.qaa(spectrum, numbers.QAA_AW, numbers.QAA_BBW, zenith)
    if expected is None:
        assert np.isnan(out[:3]).all()
        return
    assert agree(out[0, 0], expected["Kd"][1], 1e-7)


@given(st.lists(st.floats(-0.001, 0.05), min_size=5, max_size=5))
def test_colour_equals_the_plain_one(spectrum: list[float]) -> None:
    table = hue_table("S2A")
    plain = {axis: numbers.HUE_WEIGHTS["S2A"][row] for row, axis in enumerate("XYZ")}
    plain |= {
        "alpha_domain": numbers.HUE_DOMAINS["S2A"],
        "poly_highest_first": numbers.HUE_POLYNOMIALS["S2A"],
    }
    alpha, hue, fui = np.empty(1), np.empty(1), np.empty(1, np.uint8)
    colour.chromaticity_angle(np.array([[value] for value in spectrum]), table.weights, alpha)
    expected = naive_colour.angle(spectrum, plain)
    total = sum(sum(row[i] * spectrum[i] for i in range(5)) for row in numbers.HUE_WEIGHTS["S2A"])
    assume(abs(total) > 1e-6)
    assert agree(alpha[0], expected, 1e-6)
    colour.hue(alpha, table.polynomial, *table.domain, hue)
    colour.forel_ule(hue, table.limits, fui)
    found = None if math.isnan(hue[0]) else float(hue[0])
    assert fui[0] == naive_colour.forel_ule(found, numbers.FOREL_ULE_ANGLES)


@given(hnp.arrays(np.float64, (2, 20), elements=st.sampled_from([20.0, 27.0, 200.0, 300.0, math.nan])))
def test_hues_outside_the_domain_are_counted(angles: np.ndarray) -> None:
    alpha, hue = angles
    plain = sum(not 25.0 <= a <= 250.0 for a, h in zip(alpha, hue, strict=True) if a == a and h == h)
    assert colour.count_outside(alpha, hue, 25.0, 250.0) == plain


@given(st.integers(1, 40), st.booleans())
def test_values_go_to_their_pixels_with_and_without_gaps(size: int, gaps: bool) -> None:
    index = np.arange(3, 3 + size, dtype=np.int32) * (2 if gaps else 1)
    values = np.arange(size, dtype=np.float64)
    values[::3] = math.nan
    out = np.full(100, 7, np.uint16)
    assert packing.scatter_linear(values, index, 1.0, 65535.0, out) == np.count_nonzero(values == values)
    expected = np.full(100, 7, np.uint16)
    expected[index] = np.where(np.isnan(values), 65535, values)
    np.testing.assert_array_equal(out, expected)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 1500)), min_size=1, max_size=6), st.integers(600, 2000)
)
def test_long_runs_of_usable_pixels_are_found_in_any_portions(
    runs: list[tuple[bool, int]], portion: int
) -> None:
    words = np.concatenate([np.full(length, masked, np.uint32) for masked, length in runs])
    found, start, index = [], 0, np.empty(portion, np.int32)
    while start < words.size:
        count, start = pixels.find_usable(words, 1, start, index)
        found += list(index[:count])
    np.testing.assert_array_equal(found, np.flatnonzero(words == 0))


@pytest.mark.parametrize("sensor", ["S2A", "S2B", "OLI"])
def test_hue_rises_with_alpha_and_every_class_occurs(sensor: str) -> None:
    table = hue_table(sensor)
    alpha = np.linspace(0, 360, 36001)[:-1]
    hue, fui = np.empty(alpha.size), np.empty(alpha.size, np.uint8)
    colour.hue(alpha, table.polynomial, *table.domain, hue)
    colour.forel_ule(hue, table.limits, fui)
    there = ~np.isnan(hue)
    assert np.all(np.diff(hue[there]) > 0) and np.all(np.diff(hue[there]) < 0.05)
    assert hue[there].min() >= 0 and hue[there].max() <= 360
    assert set(fui) == set(range(22)) if not there.all() else set(range(1, 22))
    assert np.all(np.diff(fui[there].astype(int)) <= 0)


def test_types_know_their_own_means() -> None:
    table = water_types("S2A", Quality().chl_by_owt)
    size = len(table.means)
    best, highest, total = np.empty(size, np.uint8), np.empty(size), np.empty(size)
    shares = np.empty((3, size))
    owt.memberships(
        np.ascontiguousarray(table.means.T),
        table.means,
        table.inverses,
        table.groups,
        best,
        highest,
        total,
        shares,
    )
    np.testing.assert_array_equal(best, np.arange(1, size + 1))
    np.testing.assert_allclose(highest, 1.0)
    np.testing.assert_allclose(shares.sum(axis=0), total)


@given(st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 1000)))
def test_packing_equals_the_plain_rules(value: float) -> None:
    given_value = None if math.isnan(value) else value
    for name in ("chla", "acdom440", "ndci", "owt_membership"):
        stored = STANDARD[name]
        out = np.empty(1, stored.layer.dtype)
        there = writer_of(stored, out)(np.array([value]), np.zeros(1, np.int32))
        assert there == (out[0] != stored.layer.nodata), name
        if stored.kind == "log":
            expected = naive_packing.logarithmic(given_value)
        else:
            expected = naive_packing.linear(given_value, stored.layer.scale, stored.layer.dtype)
        assert out[0] == expected, name


@given(st.floats(0.01, 1000))
def test_a_value_within_its_range_survives_the_logarithm(value: float) -> None:
    out, back = np.empty(1, np.uint16), np.empty(1)
    packing.scatter_log(np.array([value]), np.zeros(1, np.int32), out)
    packing.unpack_log(out, back)
    assert out[0] not in (0, 65535)
    assert abs(back[0] / value - 1) <= 0.0012


@given(
    hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)),
    st.integers(1, 3),
    st.integers(1, 9),
)
def test_neighbours_of_land_in_strips_equal_the_plain_ones(
    land: np.ndarray, distance: int, height: int
) -> None:
    words = land.astype(np.uint32) * np.uint32(flags.LAND)
    found = words.copy()
    for first in range(0, land.shape[0], height):
        last, start = min(first + height, land.shape[0]), max(first - distance, 0)
        strip = np.ascontiguousarray(words[first:last])
        around = np.ascontiguousarray(words[start : last + distance])
        flags.mark_near_land(around, first - start, distance, flags.ADJACENCY, strip)
        found[first:last] = strip
    np.testing.assert_array_equal((found & flags.ADJACENCY) != 0, naive_flags.near_land(land, distance))


@given(
    hnp.arrays(np.uint8, (4, 6), elements=st.sampled_from([0, 1, 255])),
    hnp.arrays(np.uint16, (4, 6), elements=st.integers(0, 63)),
)
def test_a_finer_mask_of_water_equals_the_plain_rule(water: np.ndarray, reason: np.ndarray) -> None:
    table = np.zeros(16, np.uint32)
    table[1], table[2] = flags.CLOUD, flags.CLOUD_SHADOW
    words = np.zeros((2, 3), np.uint32)
    flags.mark_by_water(water, reason, table, words)
    for i in range(2):
        for j in range(3):
            block = (slice(2 * i, 2 * i + 2), slice(2 * j, 2 * j + 2))
            assert words[i, j] == naive_flags.word_of_water(water[block], reason[block], table)


@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=3, max_size=40))
def test_slope_on_the_near_infrared_equals_least_squares(sample: list[tuple[float, float]]) -> None:
    values, nir = (np.array(column) for column in zip(*sample, strict=True))
    assume(np.ptp(nir) > 1e-3)
    count, slope, least = deglint.nir_slope(Rho(values), Rho(nir))
    assert (count, least) == (len(sample), nir.min())
    assert math.isclose(slope, naive_deglint.slope(list(values), list(nir)), rel_tol=1e-6, abs_tol=1e-9)


@given(REFLECTANCE, REFLECTANCE)
def test_normalised_differences_equal_the_plain_ones(first: Maybe, second: Maybe) -> None:
    assert agree(
        value_of("ndci", B4=first, B5=second), naive_indices.normalised_difference(first, second), 1e-7
    )


@given(st.integers(1, 60))
def test_what_else_is_in_a_batch_changes_no_value(size: int) -> None:
    random = np.random.default_rng(size)
    spectra = [
        dict(zip(BANDS, (float(x) for x in row), strict=True))
        for row in random.uniform(-1e-3, 0.05, (size, 11))
    ]
    menu = make_menu(Quality(), Instrument("S2A", frozenset(BANDS)), {})
    together = fused.compute(menu.recipe, batch_of(spectra))
    alone = fused.compute(menu.recipe, batch_of(spectra[-1:]))
    for name in menu.stored:
        np.testing.assert_array_equal(together[name][-1:], alone[name])


@given(POSITIVE, POSITIVE, st.floats(0, 0.2), st.floats(0, 0.2))
def test_uncertainty_grows_with_that_of_the_bands(red: float, nir: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    found = []
    for relative in (low, high):
        menu = make_menu(
            Quality(sigma_rel=relative, sigma_floor=0.0, s_alg={"spm": 0.0}),
            Instrument("S2A", frozenset(BANDS)),
            {},
        )
        batch = batch_of([{**dict.fromkeys(BANDS, 0.01), "B4": red, "B8A": nir}])
        found.append(fused.compute(menu.recipe, batch)["spm_unc"][0])
    assert math.isnan(found[0]) or 0 <= found[0] <= found[1] * (1 + 1e-12)


def test_rrs_and_rho_cannot_be_mixed_up() -> None:
    def of_rho(red: Rho, out: Any) -> None:
        """Says what it takes."""

    def of_numbers(red: float, out: Any) -> None:
        """Does not."""

    assert kind_of(of_rho) == "rho"
    assert kind_of(of_numbers, "rrs") == "rrs"
    with pytest.raises(TypeError, match="declared rrs, but its formula takes rho"):
        kind_of(of_rho, "rrs")
    with pytest.raises(TypeError, match="say whether it takes rrs, rho"):
        kind_of(of_numbers)


@pytest.mark.parametrize(
    ("scale", "offset", "expected"),
    [
        (1e-5, 0.3, (30000, 100000)),
        (1e-4, -0.1, (-1000, 10000)),
        (0.01, 30.0, (3000, 100)),
        (2.75e-5, -0.2, None),
    ],
)
def test_which_packings_decode_in_integers(scale: float, offset: float, expected: Any) -> None:
    assert exact_decoding(scale, offset) == expected


@given(hnp.arrays(np.uint32, st.integers(1, 50), elements=st.integers(0, 7)), st.integers(1, 20))
def test_usable_pixels_are_found_in_any_portions(words: np.ndarray, portion: int) -> None:
    found, start, index = [], 0, np.empty(portion, np.int32)
    while start < words.size:
        count, start = pixels.find_usable(words, 3, start, index)
        found += list(index[:count])
    assert found == [i for i in range(words.size) if not words[i] & 3]
