"""The fused pass: every wanted layer of a batch of pixels while its bands are in cache.

What is computed is a table, not code: a `Recipe` lists the products, each an `Algorithm` or a `Blend` of several, and
`compute` runs the row kernels they name, one after the other, on a batch of a few thousand pixels. A scientist's own
function joins as one more `Algorithm` (``rows_of`` in `formula` compiles it). The calls are few enough, and the batches
small enough, that neither the interpreter nor the memory matters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels import blend, colour, indices, owt, quality_flags, transparency, uncertainty
from thalweg.kernels.reflectance import Kind, Numbers, Rho, Rrs, kind_of, to_rho

BANDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8A", "B8", "B11", "B12")
"""Rows of a batch, in the names of Sentinel-2; the first 4, 5, 7 or 8 of them are what whole-spectrum kernels take."""

TESTED = 9
"""Bands that are tested for negative and saturated values: all but the short-wave infrared."""

Rows = Callable[..., Any]
"""A row kernel: ``rows(*bands, *coefficients, out)``."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One formula on named bands, with its coefficients."""

    bands: tuple[str, ...]
    """Bands in the order of the kernel's arguments."""
    value: Rows
    """Fills one number per pixel, NaN for no value."""
    coefficients: tuple[Any, ...] = ()
    """Numbers, or tables, that follow the bands."""
    gradient: Rows | None = None
    """Fills the derivatives by each band, as rows; None: central differences."""
    mark: Rows | None = None
    """Sets bits of `blend` for poles and clamps; it takes the component's weight and the marks instead of `out`."""
    declared: Kind | None = None
    """What a function takes whose arguments are plain numbers; for a kernel of ours its annotation says so."""

    @property
    def kind(self) -> Kind:
        """Reflectance that the formula takes; TypeError if declaration and annotation differ or both are missing."""
        return kind_of(self.value, self.declared)


@dataclass(frozen=True, slots=True)
class Weights:
    """How the components of a blend share each pixel."""

    bands: tuple[str, ...]
    """Bands in the order of the kernel's arguments."""
    rows: Rows
    """Fills one row of weights per component."""
    coefficients: tuple[float, ...] = ()
    """Limits between which the weights change."""
    by_type: bool = False
    """Whether the kernel also takes the shares of the optical water types, after the bands."""


@dataclass(frozen=True, slots=True)
class Blend:
    """Several algorithms that share pixels by weights: a switch between branches, or a blend of components."""

    components: tuple[Algorithm, ...]
    """Branches, the low one first."""
    weights: Weights
    """Their shares."""
    drops: bool = False
    """Whether a component without value leaves its share to the others; else the pixel has no value."""
    threshold: float = 0.0
    """Share above which a component counts as having a part in the value."""


@dataclass(frozen=True, slots=True)
class Product:
    """A layer with a range, flags and an uncertainty."""

    name: str
    """Name of the layer."""
    algorithm: Algorithm | Blend
    """What computes it."""
    lowest: float
    """Least value that is kept."""
    highest: float
    """Greatest value that is kept."""
    outside: int = 0
    """Flag of a value outside the range."""
    absent: int = 0
    """Flag of a pixel without value."""
    blended: int = 0
    """Flag of a value that several components made."""
    logarithmic: bool = False
    """Whether the uncertainty is that of log10(value)."""
    error: float = 0.0
    """The algorithm's own sigma, in units of log10."""
    errors: tuple[float, ...] = ()
    """That of each component of a blend; empty where `error` stands for all."""
    domain: tuple[Algorithm, float, float] | None = None
    """A variable and its limits, beyond which the formula does not hold."""
    needs_sun: bool = False
    """Whether there is no value where the sun is below 5 degrees."""
    strict: bool = False
    """Whether the range is the formula's own, so that no policy keeps what is outside."""


@dataclass(frozen=True, slots=True)
class WaterTypes:
    """Table of the optical water types of a sensor."""

    wavelengths: Numbers
    """Of the eight bands, nm."""
    polynomial: Numbers
    """Of the apparent visible wavelength, lowest power first."""
    box_cox: float
    """Exponent of the transformed area."""
    means: Numbers
    """Types x 3."""
    inverses: Numbers
    """Types x 6, from `owt.inverse_covariances`."""
    groups: NDArray[np.uint8]
    """Component of chlorophyll that each type takes: 0 blue-green, 1 blend, 2 red edge."""


@dataclass(frozen=True, slots=True)
class Colour:
    """Table of the hue of a sensor."""

    weights: Numbers
    """3 x bands: X, Y and Z from the first bands."""
    polynomial: Numbers
    """Correction of alpha / 100, highest power first."""
    domain: tuple[float, float]
    """Limits of alpha between which the correction varies, degrees."""
    limits: Numbers
    """Hues that part the Forel-Ule classes, falling (`colour.class_limits`)."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that the pass computes, for one sensor and one set of parameters."""

    products: tuple[Product, ...]
    """Products whose flags are always set: chla, spm, tur, acdom440, and zsd where QAA does not give it."""
    floating: Algorithm
    """The floating-algae index."""
    layers: frozenset[str]
    """Names of the layers that are wanted."""
    types: WaterTypes | None = None
    """None where the sensor lacks a band for them."""
    water: Numbers | None = None
    """Pure water's absorption and backscattering (`transparency`); None where the sensor lacks 443 nm."""
    hue: Colour | None = None
    """None where the sensor lacks a band for it."""
    secchi_by_water: bool = True
    """Whether zsd is that of `transparency`, and not one of `products`."""
    extra: tuple[Product, ...] = ()
    """Single algorithms and indices asked for by name; they set no flag."""
    keep: bool = False
    """Whether values outside a range are kept."""
    floor: Numbers = field(default_factory=lambda: np.full(len(BANDS), 5e-4))
    """Least sigma of R per band, sr-1."""
    relative: Numbers = field(default_factory=lambda: np.full(len(BANDS), 0.05))
    """Relative sigma of R per band."""
    errors: Mapping[str, float] = field(default_factory=dict)
    """Own sigma of kd490 and zsd, in units of log10."""
    kd490_range: tuple[float, float] = (0.01, 20.0)
    """Range of kd490, m-1."""
    zsd_range: tuple[float, float] = (0.05, 60.0)
    """Range of the Secchi depths, m."""
    greatest_rrs: float = 0.2
    """R above which a pixel is saturated, sr-1."""
    floating_least: float = 0.02
    """Floating-algae index above which algae float."""
    floating_red: float = 0.08
    """rho of red below which they are algae."""
    bloom_limits: tuple[float, float, float] = (3.0, 12.0, 24.0)
    """Chlorophyll at which a bloom class begins, mg m-3."""


@dataclass(slots=True)
class Batch:
    """Some pixels of a strip: their bands, and what has been found for them."""

    rrs: Rrs
    """R, bands x pixels, in the order of `BANDS`; NaN where missing."""
    zenith: Numbers
    """Sun's zenith angle, degrees."""
    words: NDArray[np.uint32]
    """Flags."""
    depth: Numbers | None = None
    """Depth of the bottom, m, NaN where unknown; None without bathymetry."""
    rho: Rho = field(init=False)
    """pi R."""
    variances: Numbers = field(init=False)
    """Variance of R, bands x pixels."""
    shares: Numbers = field(init=False)
    """Memberships of the water types by component, NaN where unclassified."""
    layers: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Name to values; code layers are uint8."""

    @property
    def size(self) -> int:
        """Pixels."""
        return self.words.size

    def rows_of(self, bands: Iterable[str], kind: Kind) -> list[Numbers]:
        """The named bands as the reflectance that a formula takes."""
        source: Numbers = self.rho if kind == "rho" else self.rrs
        return [source[BANDS.index(band)] for band in bands]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an algorithm or a blend found."""

    value: Numbers
    """One number per pixel."""
    values: Numbers
    """Those of the components, as rows."""
    weights: Numbers
    """Shares of the components, as rows."""


def compute(recipe: Recipe, batch: Batch) -> dict[str, NDArray[Any]]:
    """All wanted layers of a batch, by name; the flags end up in `batch.words`.

    Layers of codes are uint8, all others float64 with NaN for nodata.
    """
    quality_flags.settle_spectrum(batch.rrs, TESTED, recipe.greatest_rrs, batch.words)
    batch.rho = Rho(np.empty_like(batch.rrs))
    to_rho(batch.rrs, batch.rho)
    if any(name.endswith("_unc") for name in recipe.layers):
        batch.variances = np.empty_like(batch.rrs)
        uncertainty.band_variances(batch.rrs, recipe.floor, recipe.relative, batch.variances)
    _classify(recipe, batch)
    for product in recipe.products:
        _make(product, recipe, batch)
    _see_through(recipe, batch)
    _colour(recipe, batch)
    _find_floating(recipe, batch)
    for product in recipe.extra:
        _make(product, recipe, batch)
    _grade(recipe, batch)
    return batch.layers


def evaluate(algorithm: Algorithm | Blend, batch: Batch) -> Estimate:
    """The value of every pixel, with those of the components and their shares."""
    components = algorithm.components if isinstance(algorithm, Blend) else (algorithm,)
    values = np.empty((len(components), batch.size))
    for component, row in zip(components, values, strict=True):
        component.value(*batch.rows_of(component.bands, component.kind), *component.coefficients, row)
    if not isinstance(algorithm, Blend):
        return Estimate(values[0], values, np.ones((1, batch.size)))
    weights = _weigh(algorithm.weights, batch, np.empty_like(values))
    if algorithm.drops:
        blend.drop_missing(values, weights)
    value = np.empty(batch.size)
    blend.mix(values, weights, value)
    return Estimate(value, values, weights)


def _weigh(weights: Weights, batch: Batch, out: Numbers) -> Numbers:
    bands = batch.rows_of(weights.bands, kind_of(weights.rows))
    shares = (batch.shares,) if weights.by_type else ()
    weights.rows(*bands, *shares, *weights.coefficients, out)
    return out


def propagate(algorithm: Algorithm | Blend, estimate: Estimate, batch: Batch) -> Numbers:
    """Variance of the value from the variances of the bands; the shares are held."""
    components = algorithm.components if isinstance(algorithm, Blend) else (algorithm,)
    terms, factors = _terms(components)
    gradients = np.empty((factors.size, batch.size))
    first = 0
    for component in components:
        out = gradients[first : first + len(component.bands)]
        bands = batch.rows_of(component.bands, component.kind)
        if component.gradient is None:
            uncertainty.difference_gradient(component.value, bands, component.coefficients, out)
        else:
            component.gradient(*bands, *component.coefficients, out)
        first += len(component.bands)
    variance = np.zeros(batch.size)
    uncertainty.add_propagated(gradients, estimate.weights, terms, factors, batch.variances, variance)
    return variance


def _terms(components: Sequence[Algorithm]) -> tuple[NDArray[np.int64], Numbers]:
    """For each derivative, by band: its row, its component, its band, and its factor to R."""
    found = []
    for number, component in enumerate(components):
        factor = math.pi if component.kind == "rho" else 1.0
        for band in component.bands:
            found.append((BANDS.index(band), len(found), number, factor))
    found.sort()
    columns = [(row, number, band) for band, row, number, _ in found]
    return np.array(columns, np.int64).T.copy(), np.array([factor for *_, factor in found])


def sigma(product: Product, estimate: Estimate, batch: Batch) -> Numbers:
    """One sigma of a product, in its own unit or, where it says so, of log10(value); NaN where it has no value."""
    variance = propagate(product.algorithm, estimate, batch)
    out = np.empty(batch.size)
    if not product.logarithmic:
        uncertainty.linear_sigma(estimate.value, variance, product.error, out)
        return out
    spread = np.zeros(batch.size)
    blend.add_spread(estimate.values, estimate.weights, spread)
    if product.errors:
        errors = np.array(product.errors)
        blend.add_component_errors(estimate.values, estimate.weights, estimate.value, errors, spread)
    uncertainty.log_sigma(estimate.value, variance, spread, product.error, out)
    return out


def _make(product: Product, recipe: Recipe, batch: Batch) -> None:
    """A product with its flags, branch code and uncertainty, as far as they are wanted."""
    estimate = evaluate(product.algorithm, batch)
    value = estimate.value
    if product.needs_sun:
        quality_flags.settle_domain(value, batch.zenith, 0.0, transparency.GREATEST_ZENITH, 0, batch.words)
    codes = _find_branches(product, estimate, batch)
    keep = recipe.keep and not product.strict
    quality_flags.settle_range(
        value, product.lowest, product.highest, keep, product.outside, product.absent, batch.words
    )
    if product.domain:
        variable, lowest, highest = product.domain
        found = evaluate(variable, batch).value
        quality_flags.settle_domain(value, found, lowest, highest, product.outside, batch.words)
    batch.layers[product.name] = value
    if f"{product.name}_alg" in recipe.layers:
        batch.layers[f"{product.name}_alg"] = np.where(np.isnan(value), np.uint8(0), codes)
    if f"{product.name}_unc" in recipe.layers:
        batch.layers[f"{product.name}_unc"] = sigma(product, estimate, batch)


def _find_branches(product: Product, estimate: Estimate, batch: Batch) -> NDArray[np.uint8]:
    """Codes of the branches; poles, clamps and blends are flagged."""
    algorithm = product.algorithm
    components = algorithm.components if isinstance(algorithm, Blend) else (algorithm,)
    threshold = algorithm.threshold if isinstance(algorithm, Blend) else 0.0
    codes, marks = np.empty(batch.size, np.uint8), np.zeros(batch.size, np.uint8)
    blend.branch_codes(estimate.weights, threshold, codes)
    if not product.absent:
        return codes
    for component, weight in zip(components, estimate.weights, strict=True):
        if component.mark:
            bands = batch.rows_of(component.bands, component.kind)
            component.mark(*bands, *component.coefficients, weight, marks)
    quality_flags.mark_branches(marks, codes, estimate.value, product.blended, batch.words)
    return codes


def _classify(recipe: Recipe, batch: Batch) -> None:
    """Optical water types and their shares."""
    types = recipe.types
    if types is None:
        return
    found, batch.shares = np.empty((3, batch.size)), np.empty((3, batch.size))
    best, highest, total = np.empty(batch.size, np.uint8), np.empty(batch.size), np.empty(batch.size)
    owt.features(batch.rrs[:8], types.wavelengths, types.polynomial, types.box_cox, found)
    owt.memberships(found, types.means, types.inverses, types.groups, best, highest, total, batch.shares)
    quality_flags.mark_zero(best, quality_flags.OWT_UNCLASSIFIED, batch.words)
    batch.layers |= {"owt": best, "owt_membership": highest, "owt_sum": total}


def _see_through(recipe: Recipe, batch: Batch) -> None:
    """Attenuation and Secchi depths, where the sensor has 443 nm."""
    if recipe.water is None:
        return
    inverted, kd = np.empty((3, batch.size)), np.empty((4, batch.size))
    band = np.empty(batch.size, np.uint8)
    transparency.invert(batch.rrs, recipe.water, inverted)
    transparency.attenuation(batch.rrs, batch.zenith, recipe.water, inverted, kd)
    transparency.clearest_band(kd, band)
    kd490 = kd[1].copy()
    _settle_transparency("kd490", kd490, recipe.kd490_range, recipe, batch)
    if recipe.secchi_by_water:
        zsd = np.empty(batch.size)
        transparency.secchi_lee(batch.rrs, kd, band, zsd)
        _settle_transparency("zsd", zsd, recipe.zsd_range, recipe, batch)
    if "zsd_jiang2019" in recipe.layers:
        jiang = np.empty(batch.size)
        transparency.secchi_jiang(batch.rrs, kd, band, batch.zenith, jiang)
        quality_flags.settle_range(jiang, *recipe.zsd_range, recipe.keep, 0, 0, batch.words)
        batch.layers["zsd_jiang2019"] = jiang
    _doubt_transparency(recipe, batch, inverted, kd, band)


def _settle_transparency(
    name: str, value: Numbers, limits: tuple[float, float], recipe: Recipe, batch: Batch
) -> None:
    outside, absent = quality_flags.TRANSP_RANGE, quality_flags.TRANSP_NOVALUE
    quality_flags.settle_range(value, *limits, recipe.keep, outside, absent, batch.words)
    batch.layers[name] = value


def _doubt_transparency(
    recipe: Recipe, batch: Batch, inverted: Numbers, kd: Numbers, band: NDArray[np.uint8]
) -> None:
    """Uncertainties of kd490 and zsd, as far as they are wanted."""
    wanted = [name for name in ("kd490", "zsd") if f"{name}_unc" in recipe.layers]
    if not recipe.secchi_by_water and "zsd" in wanted:
        wanted.remove("zsd")
    if not wanted or recipe.water is None:
        return
    slopes, gradient = np.empty((7, batch.size)), np.empty((4, batch.size))
    transparency.invert_gradient(batch.rrs, recipe.water, inverted, slopes)
    for name in wanted:
        of = band if name == "zsd" else np.ones_like(band)
        transparency.attenuation_gradient(
            batch.rrs, batch.zenith, recipe.water, inverted, slopes, of, gradient
        )
        if name == "zsd":
            transparency.secchi_lee_gradient(batch.rrs, kd, band, batch.layers["zsd"], gradient)
        batch.layers[f"{name}_unc"] = _linear(name, gradient, recipe, batch)


def _linear(name: str, gradient: Numbers, recipe: Recipe, batch: Batch) -> Numbers:
    """Linear sigma from derivatives by the first bands."""
    count = gradient.shape[0]
    terms = np.array([range(count), [0] * count, range(count)], np.int64)
    variance, out = np.zeros(batch.size), np.empty(batch.size)
    weights = np.ones((1, batch.size))
    uncertainty.add_propagated(gradient, weights, terms, np.ones(count), batch.variances, variance)
    uncertainty.linear_sigma(batch.layers[name], variance, recipe.errors.get(name, 0.0), out)
    return out


def _colour(recipe: Recipe, batch: Batch) -> None:
    """Hue and Forel-Ule class."""
    table = recipe.hue
    if table is None or not recipe.layers & {"hue", "fui", "hue_unc"}:
        return
    spectrum = batch.rrs[: table.weights.shape[1]]
    alpha, hue = np.empty(batch.size), np.empty(batch.size)
    classes = np.empty(batch.size, np.uint8)
    colour.chromaticity_angle(spectrum, table.weights, alpha)
    colour.hue(alpha, table.polynomial, *table.domain, hue)
    colour.forel_ule(hue, table.limits, classes)
    batch.layers |= {"alpha": alpha, "hue": hue, "fui": classes}
    if "hue_unc" in recipe.layers:
        gradient = np.empty_like(spectrum)
        colour.hue_gradient(spectrum, table.weights, table.polynomial, *table.domain, gradient)
        batch.layers["hue_unc"] = _linear("hue", gradient, recipe, batch)


def _find_floating(recipe: Recipe, batch: Batch) -> None:
    """Floating algae, and where one sees the bottom."""
    fai = evaluate(recipe.floating, batch).value
    red = batch.rho[BANDS.index("B4")]
    quality_flags.mark_floating(fai, red, recipe.floating_least, recipe.floating_red, batch.words)
    batch.layers["fai"] = fai
    if batch.depth is not None and "zsd" in batch.layers:
        quality_flags.mark_bottom(batch.layers["zsd"], batch.depth, batch.words)


def _grade(recipe: Recipe, batch: Batch) -> None:
    """Trophic state and bloom class."""
    for name, source, slope, intercept in (("tsi_chl", "chla", 9.81, 30.6), ("tsi_zsd", "zsd", -14.41, 60.0)):
        if name in recipe.layers and source in batch.layers:
            batch.layers[name] = np.empty(batch.size)
            indices.log_index(batch.layers[source], slope, intercept, batch.layers[name])
    if "bloom_class" in recipe.layers:
        classes = np.empty(batch.size, np.uint8)
        floating = quality_flags.FLOATING_ALGAE
        indices.bloom_class(batch.layers["chla"], batch.words, floating, *recipe.bloom_limits, classes)
        batch.layers["bloom_class"] = classes
