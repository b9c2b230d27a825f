"""The fused pass: every wanted layer of a batch of pixels while its bands are in cache.

What is computed is a table (`recipe`), not code: each product is an algorithm or a blend of several, and the row
kernels they name run one after the other on a batch of a few thousand pixels. A scientist's own function joins as one
more algorithm (`formula.rows_of` compiles it). Batches are large enough that the interpreter does not matter, and small
enough that the memory does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels import blend, colour, indices, owt, quality_flags, transparency, uncertainty
from thalweg.kernels.recipe import (
    BANDS,
    TESTED,
    Algorithm,
    Blend,
    Product,
    Recipe,
    Terms,
    Weights,
    leading_terms,
)
from thalweg.kernels.reflectance import Numbers, Rho, Rrs, to_rho

_ROWS = {band: row for row, band in enumerate(BANDS)}


@dataclass(slots=True)
class Batch:
    """Some pixels of a strip: their bands, and what has been found for them."""

    rrs: Rrs
    """R, bands x pixels, in the order of `recipe.BANDS`; NaN where missing. All is computed in its precision."""
    zenith: Numbers
    """Sun's zenith angle, degrees."""
    words: NDArray[np.uint32]
    """Flags."""
    depth: Numbers | None = None
    """Depth of the bottom, m, NaN where unknown; None without bathymetry."""
    layers: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Name to values; code layers are uint8."""
    shares: Numbers | None = None
    """Memberships of the water types by component, NaN where unclassified."""
    size: int = field(init=False)
    """Pixels."""
    whole: Numbers = field(init=False)
    """The share of an algorithm that is alone."""
    rho: dict[str, Rho] = field(default_factory=dict)
    """pi R of the bands that were asked for."""
    inputs: dict[Algorithm | Weights, list[Rrs | Rho]] = field(default_factory=dict)
    """Bands of what was computed."""

    def __post_init__(self) -> None:
        self.size = self.words.size
        self.whole = np.ones((1, self.size), self.rrs.dtype)

    def empty(self, *rows: int) -> Numbers:
        """Room for one number per pixel, or for rows of them, in the precision of the bands."""
        return np.empty((*rows, self.size), self.rrs.dtype)

    def bands_of(self, user: Algorithm | Weights) -> list[Rrs | Rho]:
        """The bands that a kernel takes, each as the reflectance that it wants."""
        if user not in self.inputs:
            take = self.as_rho if user.kind == "rho" else self.as_rrs
            self.inputs[user] = [take(band) for band in user.bands]
        return self.inputs[user]

    def as_rrs(self, band: str) -> Rrs:
        """A band as R."""
        return Rrs(self.rrs[_ROWS[band]])

    def as_rho(self, band: str) -> Rho:
        """A band as rho."""
        if band not in self.rho:
            self.rho[band] = Rho(self.empty())
            to_rho(self.rrs[_ROWS[band]], self.rho[band])
        return self.rho[band]


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
    """All wanted layers of a batch, by name, and some more; the flags end up in `batch.words`.

    Layers of codes are uint8, all others float64 or float32, as the bands are, with NaN for nodata.
    """
    if recipe.flagged:
        quality_flags.settle_spectrum(batch.rrs, TESTED, recipe.greatest_rrs, batch.words)
    _classify(recipe, batch)
    for product in recipe.products:
        _make(product, recipe, batch)
    _see_through(recipe, batch)
    _colour(recipe, batch)
    _find_floating(recipe, batch)
    for product in recipe.extra:
        _make(product, recipe, batch)
    _compare(recipe, batch)
    _grade(recipe, batch)
    return batch.layers


def evaluate(algorithm: Algorithm | Blend, batch: Batch) -> Estimate:
    """The value of every pixel, with those of the components and their shares."""
    values = batch.empty(len(algorithm.components))
    for component, row in zip(algorithm.components, values, strict=True):
        component.value(*batch.bands_of(component), *component.coefficients, row)
    if isinstance(algorithm, Algorithm):
        return Estimate(values[0], values, batch.whole)
    weights, value = _weigh(algorithm, batch), batch.empty()
    blend.mix(values, weights, algorithm.drops, value)
    return Estimate(value, values, weights)


def _weigh(algorithm: Blend, batch: Batch) -> Numbers:
    sharing = algorithm.weights
    shares = (batch.shares,) if sharing.by_type else ()
    out = batch.empty(len(algorithm.components))
    sharing.rows(*batch.bands_of(sharing), *shares, *sharing.coefficients, out)
    return out


def sigma(product: Product, estimate: Estimate, recipe: Recipe, batch: Batch) -> Numbers:
    """One sigma of a product, in its own unit or, where it says so, of log10(value); NaN where it has no value."""
    components, out = product.algorithm.components, batch.empty()
    gradients = _differentiate(components, estimate, batch)
    variance = _propagate(gradients, estimate.weights, product.algorithm.terms, recipe, batch)
    if product.logarithmic:
        uncertainty.log_sigma(
            estimate.values, estimate.weights, estimate.value, variance, product.errors, product.error, out
        )
    else:
        uncertainty.linear_sigma(estimate.value, variance, product.error, out)
    return out


def _differentiate(components: tuple[Algorithm, ...], estimate: Estimate, batch: Batch) -> Numbers:
    """Derivatives of every component by its bands, as rows."""
    gradients = batch.empty(sum(len(component.bands) for component in components))
    first = 0
    for component, value in zip(components, estimate.values, strict=True):
        bands, out = batch.bands_of(component), gradients[first:]
        if component.gradient is None:
            out = out[: len(bands)]
            uncertainty.difference_gradient(component.value, bands, component.coefficients, out)
        else:
            component.gradient(*bands, *component.coefficients, value, out)
        first += len(bands)
    return gradients


def _propagate(gradients: Numbers, weights: Numbers, terms: Terms, recipe: Recipe, batch: Batch) -> Numbers:
    """Variance of a value from those of the bands; the shares are held."""
    out = batch.empty()
    uncertainty.propagate(
        gradients, weights, terms.table, terms.factors, batch.rrs, recipe.floor, recipe.relative, out
    )
    return out


def _make(product: Product, recipe: Recipe, batch: Batch) -> None:
    """A product with its flags, branch code and uncertainty, as far as they are wanted."""
    estimate = evaluate(product.algorithm, batch)
    value, words = estimate.value, batch.words
    if product.needs_sun:
        quality_flags.settle_domain(value, batch.zenith, 0.0, transparency.GREATEST_ZENITH, 0, words)
    codes = _mark_branches(product, estimate, batch) if product.absent else None
    keep = recipe.keep and not product.strict
    limits = float(product.lowest), float(product.highest)
    quality_flags.settle_range(value, *limits, keep, product.outside, product.absent, words)
    if product.domain:
        variable, lowest, highest = product.domain
        found = evaluate(variable, batch).value
        quality_flags.settle_domain(value, found, lowest, highest, product.outside, words)
    batch.layers[product.name] = value
    if codes is not None and f"{product.name}_alg" in recipe.layers:
        batch.layers[f"{product.name}_alg"] = np.where(np.isnan(value), np.uint8(0), codes)
    if f"{product.name}_unc" in recipe.layers:
        batch.layers[f"{product.name}_unc"] = sigma(product, estimate, recipe, batch)


def _mark_branches(product: Product, estimate: Estimate, batch: Batch) -> NDArray[np.uint8]:
    """Flag poles, clamps and blends; the codes of the branches."""
    algorithm = product.algorithm
    codes, marks = np.empty(batch.size, np.uint8), np.zeros(batch.size, np.uint8)
    for component, weight in zip(algorithm.components, estimate.weights, strict=True):
        if component.mark:
            component.mark(*batch.bands_of(component), *component.coefficients, weight, marks)
    quality_flags.settle_branches(
        marks, estimate.weights, algorithm.threshold, estimate.value, product.blended, batch.words, codes
    )
    return codes


def _classify(recipe: Recipe, batch: Batch) -> None:
    """Optical water types and their shares."""
    types = recipe.types
    if types is None:
        return
    found, batch.shares = batch.empty(3), batch.empty(3)
    best, highest, total = np.empty(batch.size, np.uint8), batch.empty(), batch.empty()
    owt.features(batch.rrs[:8], types.wavelengths, types.polynomial, types.box_cox, found)
    owt.memberships(found, types.means, types.inverses, types.groups, best, highest, total, batch.shares)
    quality_flags.mark_zero(best, quality_flags.OWT_UNCLASSIFIED, batch.words)
    batch.layers |= {"owt": best, "owt_membership": highest, "owt_sum": total}


def _see_through(recipe: Recipe, batch: Batch) -> None:
    """Attenuation and Secchi depths, where the sensor has 443 nm."""
    if recipe.water is None:
        return
    found = batch.empty(5)
    slanted = "zsd_jiang2019" in recipe.layers
    doubts = bool(recipe.layers & {"kd490_unc", "zsd_unc"})
    errors = recipe.kd490_error, recipe.zsd_error
    transparency.see_through(
        batch.rrs,
        batch.zenith,
        recipe.water,
        recipe.floor,
        recipe.relative,
        np.array(errors),
        slanted,
        doubts,
        found,
    )
    outside, absent = quality_flags.TRANSP_RANGE, quality_flags.TRANSP_NOVALUE
    _settle_depth("kd490", found[0], found[3], recipe.kd490_range, (outside, absent), recipe, batch)
    if slanted:
        _settle_depth("zsd_jiang2019", found[2], None, recipe.zsd_range, (0, 0), recipe, batch)
    if recipe.secchi_by_water:
        _settle_depth("zsd", found[1], found[4], recipe.zsd_range, (outside, absent), recipe, batch)


def _settle_depth(
    name: str,
    value: Numbers,
    sigma: Numbers | None,
    limits: tuple[float, float],
    bits: tuple[int, int],
    recipe: Recipe,
    batch: Batch,
) -> None:
    quality_flags.settle_range(value, *limits, recipe.keep, *bits, batch.words)
    batch.layers[name] = value
    if sigma is not None and f"{name}_unc" in recipe.layers:
        quality_flags.follow(value, sigma)
        batch.layers[f"{name}_unc"] = sigma


def _colour(recipe: Recipe, batch: Batch) -> None:
    """Hue and Forel-Ule class."""
    table = recipe.hue
    if table is None or not recipe.layers & {"hue", "fui", "hue_unc"}:
        return
    spectrum = batch.rrs[: table.weights.shape[1]]
    alpha, hue = batch.empty(), batch.empty()
    classes = np.empty(batch.size, np.uint8)
    colour.chromaticity_angle(spectrum, table.weights, alpha)
    colour.hue(alpha, table.polynomial, *table.domain, hue)
    colour.forel_ule(hue, table.limits, classes)
    batch.layers |= {"alpha": alpha, "hue": hue, "fui": classes}
    if "hue_unc" in recipe.layers:
        gradient, out = batch.empty(len(spectrum)), batch.empty()
        colour.hue_gradient(spectrum, table.weights, table.polynomial, *table.domain, gradient)
        variance = _propagate(gradient, batch.whole, leading_terms(len(gradient)), recipe, batch)
        uncertainty.linear_sigma(hue, variance, 0.0, out)
        batch.layers["hue_unc"] = out


def _find_floating(recipe: Recipe, batch: Batch) -> None:
    """Floating algae, and where one sees the bottom."""
    if recipe.floating is None:
        return
    index = evaluate(recipe.floating, batch).value
    quality_flags.mark_floating(
        index, batch.as_rho("B4"), recipe.floating_least, recipe.floating_red, batch.words
    )
    batch.layers["fai"] = index
    if batch.depth is not None and "zsd" in batch.layers:
        quality_flags.mark_bottom(batch.layers["zsd"], batch.depth, batch.words)


def _compare(recipe: Recipe, batch: Batch) -> None:
    """Nearest template by angle."""
    for table in recipe.templates:
        index, distance = np.empty(batch.size, np.uint8), batch.empty()
        owt.spectral_angle(batch.rrs[:7], table.spectra, index, distance)
        batch.layers |= {table.index: index, table.distance: distance}


_TROPHIC = (("tsi_chl", "chla", 9.81, 30.6), ("tsi_zsd", "zsd", -14.41, 60.0))


def _grade(recipe: Recipe, batch: Batch) -> None:
    """Trophic state and bloom class."""
    for name, source, slope, intercept in _TROPHIC:
        if name in recipe.layers and source in batch.layers:
            batch.layers[name] = batch.empty()
            indices.log_index(batch.layers[source], slope, intercept, batch.layers[name])
    if "bloom_class" in recipe.layers and "chla" in batch.layers:
        classes = np.empty(batch.size, np.uint8)
        floating = quality_flags.FLOATING_ALGAE
        indices.bloom_class(batch.layers["chla"], batch.words, floating, *recipe.bloom_limits, classes)
        batch.layers["bloom_class"] = classes
