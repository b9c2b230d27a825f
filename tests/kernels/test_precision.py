"""Kernels among float32 and among float64: elementary functions, what is compiled, and how far results lie apart."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit, typeof
from numba.core.sigutils import normalize_signature

from thalweg.chains import quality_pass
from thalweg.chains.quality_layers import SETS
from thalweg.chains.quality_parameters import Quality
from thalweg.chains.quality_recipe import Instrument, Menu, make_menu, public_menu
from thalweg.kernels import (
    blend,
    cdom,
    chlorophyll,
    colour,
    indices,
    owt,
    packing,
    quality_flags,
    transparency,
    turbidity,
    uncertainty,
)
from thalweg.kernels import quality as fused
from thalweg.kernels.elementary import PI, atan2, exp, exp10, ln, nearest, power, sin
from thalweg.kernels.jit import row_kernel
from thalweg.kernels.precision import InRowPrecision
from thalweg.kernels.quality import Batch
from thalweg.kernels.recipe import BANDS, Algorithm, Blend, Product, Recipe, Templates
from thalweg.kernels.reflectance import Numbers, Rrs
from thalweg.raster import Packing

Array = np.ndarray[Any, Any]

in_both_precisions = pytest.mark.parametrize("precision", ["float64", "float32"])


@row_kernel()
def ln_rows(x: Array, out: Array) -> None:
    for i in range(out.size):
        out[i] = ln(x[i])


@row_kernel()
def exp_rows(x: Array, out: Array) -> None:
    for i in range(out.size):
        out[i] = exp(x[i])


@row_kernel()
def exp10_rows(x: Array, out: Array) -> None:
    for i in range(out.size):
        out[i] = exp10(x[i])


@row_kernel()
def sin_rows(x: Array, out: Array) -> None:
    for i in range(out.size):
        out[i] = sin(x[i])


@row_kernel()
def nearest_rows(x: Array, out: Array) -> None:
    for i in range(out.size):
        out[i] = nearest(x[i])


@row_kernel()
def atan2_rows(y: Array, x: Array, out: Array) -> None:
    for i in range(out.size):
        out[i] = atan2(y[i], x[i])


@row_kernel()
def power_rows(x: Array, exponent: Array, out: Array) -> None:
    for i in range(out.size):
        out[i] = power(x[i], exponent[i])


def of(rows: Callable[..., None], *given: Array) -> Array:
    """What a row kernel makes of rows of one precision."""
    out = np.full_like(given[0], 7)
    rows(*given, out)
    return out


def values_of(rows: Callable[..., None], precision: str, *given: list[float]) -> list[float]:
    """The same of plain numbers."""
    return [float(value) for value in of(rows, *(np.array(row, precision) for row in given))]


def places(found: Array, expected: Array) -> Array:
    """Distance in units of the last place of the precision that was computed in."""
    apart: Array = np.abs(found - expected) / np.spacing(np.abs(expected).astype(found.dtype))
    return apart


def spread(lowest: float, highest: float, precision: str) -> Array:
    """Many numbers between two, none of them round."""
    return np.random.default_rng(7).uniform(lowest, highest, 50_000).astype(precision)


# Least normal number, its logarithm and that of the greatest, as powers of 10.
DECADES = {"float32": (-37.9, 38.5), "float64": (-307.6, 308.2)}


@in_both_precisions
def test_logarithms_are_right_to_four_units_of_the_last_place(precision: str) -> None:
    for x in (10.0 ** spread(*DECADES[precision], "float64"), 1.0 + spread(-0.4, 0.6, "float64")):
        row = x.astype(precision)
        assert places(of(ln_rows, row), np.log(row.astype(np.longdouble))).max() <= 4


@in_both_precisions
def test_exponentials_are_right_to_four_units_of_the_last_place(precision: str) -> None:
    last = {"float32": 87.0, "float64": 708.0}[precision]
    for row in (spread(-last, last, precision), spread(-2.0, 2.0, precision)):
        assert places(of(exp_rows, row), np.exp(row.astype(np.longdouble))).max() <= 4


@in_both_precisions
def test_sines_are_right_to_four_units_of_the_last_place(precision: str) -> None:
    row = spread(-math.pi / 2, math.pi / 2, precision)
    assert places(of(sin_rows, row), np.sin(row.astype(np.longdouble))).max() <= 4


@in_both_precisions
def test_angles_are_right_to_four_units_of_the_last_place(precision: str) -> None:
    sizes = 10.0 ** spread(-12.0, 12.0, "float64")
    y, x = (each.astype(precision) for each in (spread(-1.0, 1.0, "float64") * sizes, sizes[::-1]))
    for left in (x, -x):
        exact = np.arctan2(y.astype(np.longdouble), left.astype(np.longdouble))
        assert places(of(atan2_rows, y, left), exact).max() <= 4


@in_both_precisions
def test_powers_lose_as_many_units_as_their_logarithm_is_long(precision: str) -> None:
    """What the logarithm is rounded by becomes an error of the power, relative to it: as many units as it is long."""
    unit = np.finfo(precision).eps
    x, exponent = (10.0 ** spread(-4.0, 3.0, "float64")).astype(precision), spread(-5.0, 5.0, precision)
    exact = x.astype(np.longdouble) ** exponent[::-1]
    bound = unit * (4 + 2 * np.abs(np.log(exact)))
    assert np.all(np.abs(of(power_rows, x, exponent[::-1].copy()) / exact - 1) <= bound)
    tens = spread(-20.0, 20.0, precision)
    exact = np.longdouble(10) ** tens
    bound = unit * (4 + 2 * np.abs(np.log(exact)))
    assert np.all(np.abs(of(exp10_rows, tens) / exact - 1) <= bound)


@given(st.floats(-(2.0**22), 2.0**22, width=32))
def test_the_nearest_whole_number_is_that_of_ieee(x: float) -> None:
    for halved in (x, math.floor(x) + 0.5):
        row = np.array([halved], np.float32)
        assert of(nearest_rows, row)[0] == np.rint(row)[0]


@given(st.floats(1.1754943508222875e-38, 3.4028234663852886e38, width=32))
def test_an_exponential_undoes_a_logarithm(x: float) -> None:
    row = np.array([x], np.float32)
    log = of(ln_rows, row)
    assert abs(log[0] - math.log(x)) <= 4 * np.spacing(np.float32(abs(math.log(x)) or 1e-8))
    if -87.0 <= log[0] < 88.0:
        # Half a unit of a logarithm of 87 is 4e-6 of the number.
        assert math.isclose(of(exp_rows, log)[0], x, rel_tol=1e-5)


@in_both_precisions
def test_logarithms_of_special_numbers(precision: str) -> None:
    least = float(np.finfo(precision).smallest_normal)
    none = values_of(ln_rows, precision, [0.0, -0.0, -1.0, -math.inf, math.nan, least / 2, least / 1024])
    assert all(math.isnan(value) for value in none)
    one, lowest, highest = values_of(ln_rows, precision, [1.0, least, float(np.finfo(precision).max)])
    assert one == 0.0
    assert math.isclose(lowest, math.log(least), rel_tol=1e-6)
    assert math.isclose(highest, math.log(np.finfo(precision).max), rel_tol=1e-6)


@in_both_precisions
def test_exponentials_beyond_what_the_precision_holds(precision: str) -> None:
    low, high = {"float32": (-87.0, 88.0), "float64": (-708.0, 709.0)}[precision]
    below = [np.nextafter(np.dtype(precision).type(low), -np.inf), 2 * low, -1e9, -1e30, -math.inf]
    assert values_of(exp_rows, precision, below) == [0.0] * 5
    above = [high, 2 * high, 1e9, 1e30, math.inf]
    assert values_of(exp_rows, precision, above) == [math.inf] * 5
    assert values_of(exp_rows, precision, [0.0, -0.0]) == [1.0, 1.0]
    assert math.isnan(values_of(exp_rows, precision, [math.nan])[0])
    inside = values_of(exp_rows, precision, [low, float(np.nextafter(np.dtype(precision).type(high), 0.0))])
    assert inside[0] > 0.0 and inside[1] < math.inf
    assert values_of(exp10_rows, precision, [-math.inf, 0.0, math.inf]) == [0.0, 1.0, math.inf]


@in_both_precisions
def test_powers_of_special_numbers(precision: str) -> None:
    none = values_of(power_rows, precision, [0.0, -1.0, math.nan, 2.0], [1.0, 2.0, 1.0, math.nan])
    assert all(math.isnan(value) for value in none)
    assert values_of(power_rows, precision, [2.0, 2.0, 3.0, 1.0], [5e3, -5e3, 0.0, 9.0]) == [
        math.inf,
        0.0,
        1.0,
        1.0,
    ]


@in_both_precisions
def test_angles_of_the_axes(precision: str) -> None:
    y, x = [0.0, 1.0, 0.0, -1.0, 1.0, -1.0], [1.0, 0.0, -1.0, 0.0, -1.0, -1.0]
    quarters = np.array([0.0, 2.0, 4.0, -2.0, 3.0, -3.0]) * (math.pi / 4)
    assert values_of(atan2_rows, precision, y, x) == list(quarters.astype(precision).astype(float))
    none = values_of(atan2_rows, precision, [0.0, math.nan, 1.0], [0.0, 1.0, math.nan])
    assert all(math.isnan(value) for value in none)


@row_kernel("void(float64[::1], float64, float64[::1])")
def bent(x: Numbers, scale: float, out: Numbers) -> None:
    """Constants, a scalar, an intrinsic and elementary functions."""
    for i in range(out.size):
        out[i] = 0.5 * exp(scale * ln(x[i])) / math.sqrt(x[i] + PI) - scale


AMONG_SINGLE: Mapping[str, tuple[Any, str]] = {
    "bent": (bent, "void(float32[::1], float64, float32[::1])"),
    "nechad": (turbidity.nechad, "void(float32[::1], float64, float64, float32[::1])"),
    "band_ratio": (cdom.band_ratio, "void(float32[::1], float32[::1], float64, float64, float32[::1])"),
    "ocx": (chlorophyll.ocx, "void(float32[::1], float32[::1], " + 7 * "float64, " + "float32[::1])"),
    "linear_sigma": (
        uncertainty.linear_sigma,
        "void(float32[::1], float32[::1], float64, float32[::1])",
    ),
    "secchi_lee": (
        transparency.secchi_lee,
        "void(float32[:, ::1], float32[::1])",
    ),
    "memberships": (
        owt.memberships,
        "void(float32[:, ::1], float64[:, ::1], float64[:, ::1], uint8[::1], uint8[::1], float32[::1], "
        "float32[::1], float32[:, ::1])",
    ),
}
"""Kernels with the types that the fused pass calls them with: rows of float32, scalars and tables of float64."""

DOUBLE_ARITHMETIC = re.compile(
    r" = (?:\w+ )*f(?:add|sub|mul|div|rem|neg) (?:\w+ )*(?:<\d+ x )?double\b.*"
    r"| fpext (?:<\d+ x )?float\b.*"
    r"| call .*@(?:llvm\.\w+(?:\.\w+)*\.(?:v\d+)?f64|sqrt|exp|log|pow|sin|cos|atan2?)\(.*"
)


def code_of(kernel: Any, signature: str, **options: Any) -> str:
    """The instructions of a kernel, compiled here and now: one from the cache does not have them."""
    compiled = njit(nogil=True, error_model="numpy", **options)(kernel.py_func)
    compiled.compile(signature)
    (code,) = compiled.inspect_llvm().values()
    return str(code)


@pytest.mark.parametrize("name", AMONG_SINGLE)
def test_no_arithmetic_of_double_precision_among_float32(name: str) -> None:
    kernel, signature = AMONG_SINGLE[name]
    code = code_of(kernel, signature, pipeline_class=InRowPrecision)
    assert re.search(r"f(?:mul|div|sub) (?:<\d+ x )?float\b", code)
    assert DOUBLE_ARITHMETIC.findall(code) == []


@pytest.mark.parametrize("name", ["bent", "nechad", "ocx"])
def test_without_narrowing_there_would_be_some(name: str) -> None:
    kernel, signature = AMONG_SINGLE[name]
    assert DOUBLE_ARITHMETIC.findall(code_of(kernel, signature))


@pytest.mark.parametrize("name", ["bent", "nechad", "band_ratio", "ocx", "linear_sigma"])
def test_among_float64_nothing_is_changed(name: str) -> None:
    kernel, signature = AMONG_SINGLE[name]
    plain = njit(nogil=True, error_model="numpy")(kernel.py_func)
    types, _ = normalize_signature(signature)
    random = np.random.default_rng(11)
    scalars = random.uniform(0.1, 0.5, sum(not hasattr(each, "ndim") for each in types))
    rows = [random.uniform(1e-5, 0.06, 4000) for _ in range(len(types) - len(scalars) - 1)]
    np.testing.assert_array_equal(of_both(kernel, rows, scalars), of_both(plain, rows, scalars))


def of_both(kernel: Any, rows: list[Array], scalars: Array) -> Array:
    out = np.full_like(rows[0], 7)
    kernel(*rows, *scalars, out)
    return out


def test_both_precisions_are_built() -> None:
    for text in bent.signatures_to_build:
        bent.compile(text)
    built = len(bent.signatures)
    for precision in ("float64", "float32"):
        row = np.ones(3, precision)
        bent(row, 0.5, np.empty_like(row))
    assert len(bent.signatures) == built == 2
    # Where a kernel names float32 itself, because its tables stay float64, nothing is added.
    assert len(owt.features.signatures_to_build) == 2


COUNT = 1000
"""Pixels of an example."""

MENU = make_menu(Quality(sets=tuple(SETS)), Instrument("S2A", frozenset(BANDS)), {})

BOUNDS: Mapping[str, tuple[float, float]] = {
    "chla": (4e-4, 2e-3),
    "tsi_chl": (4e-4, 2e-3),
    "spm": (2e-4, 0.0),
    "tur": (2e-4, 0.0),
    "acdom440": (4e-5, 0.0),
    "kd490": (1e-3, 0.0),
    "zsd": (1e-3, 0.0),
    "zsd_jiang2019": (1e-3, 0.0),
    "tsi_zsd": (1e-3, 0.0),
    "hue": (4e-5, 4e-3),
    "owt_membership": (2e-4, 2e-4),
    "owt_sum": (2e-4, 2e-4),
    "ndci": (4e-5, 2e-6),
    "ndti": (4e-5, 2e-6),
    "fai": (4e-5, 2e-7),
    "afai": (4e-5, 2e-7),
    "slh": (4e-5, 2e-7),
    "mci": (4e-5, 2e-8),
}
"""Relative and absolute: twice the tolerance of the algorithm behind a layer, as the conformance set asks for."""


def spectra(seed: int) -> Array:
    """Counts of 1e-5 sr-1 between -200 and 6000: half of them without order, half like water from dark to bright."""
    random, half = np.random.default_rng(seed), COUNT // 2
    level = 10.0 ** random.uniform(1.3, 3.6, half)
    walk = np.cumsum(random.normal(0.0, 0.35, (len(BANDS), half)), axis=0)
    noise = random.normal(0.0, 20.0, walk.shape)
    smooth = np.clip(np.rint(level * np.exp(walk - walk[3]) + noise), -200, 6000).astype(np.int64)
    return np.hstack([random.integers(-200, 6001, walk.shape), smooth])


def batch_in(precision: str, counts: Array) -> Batch:
    suns = np.linspace(5.0, 80.0, COUNT).astype(np.float32).astype(precision)
    return Batch(Rrs((counts / 1e5).astype(precision)), suns, np.zeros(COUNT, np.uint32))


def computed(precision: str, counts: Array) -> Batch:
    batch = batch_in(precision, counts)
    fused.compute(MENU.recipe, batch)
    return batch


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_float32_lies_within_its_bounds_of_float64(seed: int) -> None:
    counts = spectra(seed)
    wide, narrow = computed("float64", counts), computed("float32", counts)
    differing = wide.words != narrow.words
    codes = [name for name in MENU.stored if wide.layers[name].dtype == np.uint8]
    for name in codes:
        differing |= wide.layers[name] != narrow.layers[name]
    assert np.count_nonzero(differing) < COUNT / 100
    for name in MENU.stored.keys() - set(codes):
        values, expected = narrow.layers[name][~differing], wide.layers[name][~differing]
        assert values.dtype == np.float32
        rtol, atol = (2e-3, 0.0) if name.endswith("_unc") else BOUNDS[name]
        np.testing.assert_allclose(values, expected, rtol=rtol, atol=atol, err_msg=name)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from(public_menu().recipe.templates))
def test_spectral_angles_in_float32_name_the_same_template(seed: int, table: Templates) -> None:
    counts = spectra(seed)
    found = {}
    for precision in ("float64", "float32"):
        batch = batch_in(precision, counts)
        index, distance = np.empty(COUNT, np.uint8), batch.empty()
        owt.spectral_angle(batch.rrs[:7], table.spectra, index, distance)
        found[precision] = index, distance.astype(float)
    (index, distance), (index_32, distance_32) = found["float64"], found["float32"]
    with np.errstate(invalid="ignore"):
        cosines = table.spectra @ counts[:7] / np.linalg.norm(counts[:7], axis=0)
    angles = np.sort(np.arccos(np.clip(cosines, -1.0, 1.0)), axis=0)
    alike = angles[1] - angles[0] < 1e-6
    np.testing.assert_array_equal(index_32[~alike], index[~alike])
    np.testing.assert_allclose(distance_32, distance, rtol=0.0, atol=2e-5)


@dataclass(frozen=True, eq=False)
class Watched:
    """A kernel that notes types which it is called with, and which are not built ahead of time."""

    kernel: Any
    """What is called."""
    missed: set[str]
    """Where that is noted."""

    @property
    def py_func(self) -> Any:
        """The function, whose annotations are read."""
        return self.kernel.py_func

    def __call__(self, *given: Any) -> Any:
        types = tuple(typeof(each) for each in given)
        if types not in {normalize_signature(text)[0] for text in self.kernel.signatures_to_build}:
            self.missed.add(f"{self.py_func.__name__}({', '.join(map(str, types))})")
        return self.kernel(*given)


CALLERS = (
    quality_pass,
    fused,
    blend,
    colour,
    indices,
    owt,
    packing,
    quality_flags,
    transparency,
    uncertainty,
)
"""Modules in which the chain finds the kernels that it calls."""

INSTRUMENTS = {
    "S2A": Instrument("S2A", frozenset(BANDS)),
    "no coastal band": Instrument("S2A", frozenset(BANDS) - {"B1"}),
    "OLI": Instrument("OLI", frozenset(("B1", "B2", "B3", "B4", "B8A", "B11", "B12"))),
}


class Watch:
    """Puts `Watched` in the place of kernels."""

    def __init__(self) -> None:
        self.missed: set[str] = set()

    def __call__(self, held: Any) -> Any:
        return Watched(held, self.missed) if getattr(held, "signatures_to_build", ()) else held

    def modules(self, patch: pytest.MonkeyPatch) -> None:
        """Of the modules that call them."""
        for module in CALLERS:
            for name, held in list(vars(module).items()):
                patch.setattr(module, name, self(held))

    def algorithm(self, of: Algorithm) -> Algorithm:
        """Of an algorithm."""
        return replace(of, value=self(of.value), gradient=self(of.gradient), mark=self(of.mark))

    def product(self, of: Product) -> Product:
        """Of the algorithm or blend of a product."""
        held: Algorithm | Blend = of.algorithm
        if isinstance(held, Blend):
            parts = tuple(self.algorithm(each) for each in held.components)
            weights = replace(held.weights, rows=self(held.weights.rows))
            return replace(of, algorithm=replace(held, components=parts, weights=weights))
        return replace(of, algorithm=self.algorithm(held))

    def recipe(self, of: Recipe) -> Recipe:
        """Of all products."""
        products, extra = (tuple(self.product(each) for each in row) for row in (of.products, of.extra))
        floating = of.floating and self.algorithm(of.floating)
        return replace(of, products=products, extra=extra, floating=floating)


def go_through(menu: Menu, recipe: Recipe, precision: str) -> None:
    """Decode, compute and pack some pixels."""
    batch, index = batch_in(precision, spectra(1)), np.arange(COUNT, dtype=np.int32)
    for packing_of in (Packing(1e-5, 0.3, -32768), Packing(2.75e-5, -0.2, 0)):
        read = quality_pass.reader_of(np.zeros(COUNT, np.int16), packing_of, 1.0)
        read(index, batch.rrs[BANDS.index("B8")])
    read = quality_pass.reader_of(np.zeros(COUNT, np.float32), Packing(), math.pi)
    read(index, batch.rrs[BANDS.index("B8")])
    found = fused.compute(recipe, batch)
    for name, stored in menu.stored.items():
        quality_pass.writer_of(stored, np.empty(COUNT, stored.layer.dtype))(found[name], index)


@pytest.mark.parametrize("sensor", INSTRUMENTS)
@in_both_precisions
def test_all_that_is_called_is_built_ahead_of_time(
    sensor: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    instrument, watch = INSTRUMENTS[sensor], Watch()
    menu = make_menu(Quality(sets=tuple(SETS)), instrument, {})
    # Kernels are compiled before others are put in the place of those that they call.
    go_through(menu, menu.recipe, precision)
    watch.modules(monkeypatch)
    go_through(menu, watch.recipe(menu.recipe), precision)
    assert not watch.missed, "\n".join(sorted(watch.missed))
