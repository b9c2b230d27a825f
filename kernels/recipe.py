"""What the water-quality pass computes, as tables: algorithms, blends of them, products, coefficients of a sensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.reflectance import Kind, Numbers, kind_of

BANDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8A", "B8", "B11", "B12")
"""Rows of a batch, in the names of Sentinel-2; the first 4, 5, 7 or 8 of them are what whole-spectrum kernels take."""

TESTED = 9
"""Bands that are tested for negative and saturated values: all but the short-wave infrared."""

Rows = Callable[..., Any]
"""A row kernel: ``rows(*bands, *coefficients, out)``."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The derivatives of an algorithm or blend, in the order of the bands."""

    table: NDArray[np.int64]
    """Columns of row, component and band (`uncertainty.propagate`)."""
    factors: Numbers
    """What turns each derivative into one by R."""


@dataclass(frozen=True, slots=True, eq=False)
class Algorithm:
    """One formula on named bands, with its coefficients."""

    bands: tuple[str, ...]
    """Bands in the order of the kernel's arguments."""
    value: Rows
    """Fills one number per pixel, NaN for no value."""
    coefficients: tuple[Any, ...] = ()
    """Numbers, or tables, that follow the bands."""
    gradient: Rows | None = None
    """Given the value before `out`, fills the derivatives by each band as rows; None: central differences."""
    mark: Rows | None = None
    """Sets bits of `blend` for poles and clamps: takes the component's weight and the marks instead of `out`."""
    declared: Kind | None = None
    """What a function takes whose arguments are plain numbers; for a kernel of ours its annotation says so."""
    threshold: ClassVar[float] = 0.0
    """As in `Blend`."""
    kind: Kind = field(init=False)
    """Reflectance that the formula takes; TypeError if declaration and annotation differ or both are missing."""
    components: tuple[Algorithm, ...] = field(init=False)
    """Itself: what a blend has several of."""
    terms: Terms = field(init=False)
    """Its derivatives."""

    def __post_init__(self) -> None:
        numbers = (float(x) if isinstance(x, int | float) else x for x in self.coefficients)
        object.__setattr__(self, "coefficients", tuple(numbers))
        object.__setattr__(self, "kind", kind_of(self.value, self.declared))
        object.__setattr__(self, "components", (self,))
        object.__setattr__(self, "terms", order_terms((self,)))

    @property
    def looked_at(self) -> set[str]:
        """Bands that it takes."""
        return set(self.bands)


@dataclass(frozen=True, slots=True, eq=False)
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
    kind: Kind = field(init=False)
    """Reflectance that the kernel takes."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", kind_of(self.rows))


@dataclass(frozen=True, slots=True, eq=False)
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
    terms: Terms = field(init=False)
    """Its derivatives."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", order_terms(self.components))

    @property
    def looked_at(self) -> set[str]:
        """Bands that its components and weights take."""
        return set(self.weights.bands).union(*(component.bands for component in self.components))


def order_terms(components: tuple[Algorithm, ...]) -> Terms:
    """The derivatives by each band of each component; rows are counted through all components."""
    found: list[tuple[int, int, int, float]] = []
    for number, component in enumerate(components):
        factor = math.pi if component.kind == "rho" else 1.0
        for band in component.bands:
            found.append((BANDS.index(band), len(found), number, factor))
    found.sort()
    bands, rows, numbers, factors = zip(*found, strict=True)
    return Terms(np.array([rows, numbers, bands], np.int64), np.array(factors))


def leading_terms(count: int) -> Terms:
    """The derivatives of one quantity by the first bands."""
    return Terms(np.array([range(count), [0] * count, range(count)], np.int64), np.ones(count))


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
    """Flag of a pixel without value; 0 for a layer that sets no flags."""
    blended: int = 0
    """Flag of a value that several components made."""
    logarithmic: bool = False
    """Whether the uncertainty is that of log10(value)."""
    error: float = 0.0
    """The algorithm's own sigma, in units of log10."""
    errors: Numbers = field(default_factory=lambda: np.empty(0))
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
class Templates:
    """Table of spectra, of which the nearest by angle is looked for."""

    index: str
    """Layer of its number, 1 and up; 0 for none."""
    distance: str
    """Layer of the negative angle over pi; nearer to 0 is better."""
    spectra: Numbers
    """Types x 7, each of length 1 (`owt.unit_templates`)."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that the pass computes, for one sensor and one set of parameters."""

    layers: frozenset[str]
    """Names of the layers that are wanted."""
    products: tuple[Product, ...] = ()
    """Products whose flags are always set: chla, spm, tur, acdom440, and zsd where QAA does not give it."""
    floating: Algorithm | None = None
    """The floating-algae index."""
    types: WaterTypes | None = None
    """None where the sensor lacks a band for them."""
    water: Numbers | None = None
    """Pure water's absorption and backscattering (`transparency`); None where the sensor lacks 443 nm."""
    hue: Colour | None = None
    """None where the sensor lacks a band for it."""
    extra: tuple[Product, ...] = ()
    """Single algorithms and indices asked for by name; they set no flag."""
    templates: tuple[Templates, ...] = ()
    """Tables of spectra that each pixel is compared with by angle."""
    flagged: bool = True
    """Whether negative and saturated spectra are looked for."""
    keep: bool = False
    """Whether values outside a range are kept."""
    floor: Numbers = field(default_factory=lambda: np.full(len(BANDS), 5e-4))
    """Least sigma of R per band, sr-1."""
    relative: Numbers = field(default_factory=lambda: np.full(len(BANDS), 0.05))
    """Relative sigma of R per band."""
    kd490_error: float = 0.20
    """Own sigma of kd490, in units of log10."""
    zsd_error: float = 0.20
    """That of the Secchi depth."""
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

    @property
    def bands(self) -> frozenset[str]:
        """Bands that anything of this looks at."""
        first = TESTED if self.flagged else 0
        for table, count in ((self.types, 8), (self.water, 4), (self.hue, 5), (self.templates or None, 7)):
            first = first if table is None else max(first, count)
        used = set(BANDS[:first])
        for product in (*self.products, *self.extra):
            algorithms = (
                [product.algorithm] if product.domain is None else [product.algorithm, product.domain[0]]
            )
            for algorithm in algorithms:
                used |= algorithm.looked_at
        return frozenset(used | (self.floating.looked_at if self.floating else set()))

    @property
    def by_sun(self) -> bool:
        """Whether anything depends on the height of the sun."""
        products = (*self.products, *self.extra)
        return self.water is not None or any(product.needs_sun for product in products)

    @property
    def secchi_by_water(self) -> bool:
        """Whether zsd comes with the attenuation, and is not one of the products."""
        return all(product.name != "zsd" for product in self.products)
