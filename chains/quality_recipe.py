"""From parameters and the bands of a granule to what the fused pass computes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from thalweg.chains import quality_algorithms as algorithms
from thalweg.chains import quality_numbers as numbers
from thalweg.chains.quality_declaration import Declaration
from thalweg.chains.quality_layers import SETS, STANDARD, Stored, as_precise, of_algorithm
from thalweg.chains.quality_parameters import COMPONENTS, Quality
from thalweg.errors import BadParameters
from thalweg.kernels import colour, owt
from thalweg.kernels import quality_flags as flags
from thalweg.kernels.recipe import (
    BANDS,
    Algorithm,
    Blend,
    Colour,
    Product,
    Recipe,
    Templates,
    WaterTypes,
)
from thalweg.parameters import suggest

if TYPE_CHECKING:
    from thalweg.kernels.reflectance import Numbers

OLI = "OLI"
"""Landsat 8 and 9, whose coefficients are the same."""

_TYPED = frozenset(("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8A"))
_ERRORS = {"spm": 0.40, "tur": 0.40, "acdom440": 0.30, "kd490": 0.20, "zsd": 0.20}
_CHL_OC, _CHL_OTHER = 0.30, 0.38
_OLI_LOW = (526.82, 0.2365)


@dataclass(frozen=True, slots=True)
class Instrument:
    """What the formulas must know about where the bands come from."""

    sensor: str
    """S2A, S2B, S2C or OLI."""
    bands: frozenset[str]
    """Bands that the granule has, of `recipe.BANDS`."""

    @property
    def is_oli(self) -> bool:
        """True for Landsat 8 and 9."""
        return self.sensor == OLI

    @property
    def table(self) -> str:
        """Sensor whose published tables are used: no public set exists for S2C."""
        return "S2A" if self.sensor == "S2C" else self.sensor

    def has(self, algorithm: Algorithm | Blend) -> bool:
        """True where the granule has every band of an algorithm, but for the coastal one that can be missing."""
        return _needed(algorithm) <= self.bands


@dataclass(frozen=True, slots=True)
class Menu:
    """What is computed and written."""

    recipe: Recipe
    """Of the fused pass."""
    stored: Mapping[str, Stored]
    """Layers that are written, and how; without quality_flags."""
    sources: Mapping[str, Declaration] = field(default_factory=dict)
    """Layer to the algorithm behind it, where there is one."""
    absent: tuple[str, ...] = ()
    """Layers of the sets that this granule cannot have."""


def make_menu(parameters: Quality, instrument: Instrument, extra: Mapping[str, Declaration]) -> Menu:
    """The menu of a granule; BadParameters where a layer asked for by name is impossible."""
    products = dict(_products(parameters, instrument))
    known = {**algorithms.built_in(), **extra}
    single = _single(parameters, instrument, known, extra)
    possible = set(_possible(products, instrument))
    wanted = [layer for name in parameters.sets for layer in SETS[name]]
    layers = [layer for layer in dict.fromkeys(wanted) if layer in possible]
    written = {
        **{layer: STANDARD[layer] for layer in layers},
        **{id: of_algorithm(single[id]) for id in single},
    }
    precise = parameters.storage == "precise"
    return Menu(
        _recipe(parameters, instrument, products, frozenset(written), single),
        {name: as_precise(stored) if precise else stored for name, stored in written.items()},
        {**_behind(parameters, instrument, products), **single},
        tuple(layer for layer in dict.fromkeys(wanted) if layer not in possible),
    )


def public_menu() -> Menu:
    """The menu of the profile `grsl2bgen`."""
    known = algorithms.built_in()
    rows = (
        ("Chla_OC2nasa", "chl_oc2_octs", 0.0, 1200.0, True),
        ("Chla_M09B", "chl_moses3b_740", 0.0, 1200.0, True),
        ("SPM_nechad", "spm_nechad2010_B4", 0.0, 2000.0, False),
        ("SPM_obs2co", "spm_get2018", 0.0, 2000.0, False),
        ("TURB_dogliotti", "tur_dogliotti15", 0.0, 2000.0, False),
        ("acdom_B15", "acdom440_brezonik", 0.0, 30.0, True),
        ("Kd_par", "kd_par_rd22", 0.0, 3000.0, True),
    )
    extra = tuple(_between(name, known[id], low, high, open) for name, id, low, high, open in rows)
    templates = (
        _templates("Spyrakos2018", np.array(numbers.SPYRAKOS)),
        _templates("Bi2024", np.array(numbers.BI)),
    )
    recipe = Recipe(frozenset(), extra=extra, templates=templates, flagged=False)
    names = [name for name, *_ in rows]
    names += [name for table in templates for name in (table.index, table.distance)]
    return Menu(recipe, {name: STANDARD[name] for name in names}, {name: known[id] for name, id, *_ in rows})


def _between(name: str, declared: Declaration, lowest: float, highest: float, is_open: bool) -> Product:
    """A layer kept between limits, these excluded where `is_open`."""
    if is_open:
        lowest, highest = math.nextafter(lowest, math.inf), math.nextafter(highest, -math.inf)
    return Product(name, declared.algorithm, lowest, highest, strict=True)


def _templates(name: str, spectra: Numbers) -> Templates:
    unit = np.empty_like(spectra)
    owt.unit_templates(spectra, unit)
    return Templates(f"owt_index_{name}", f"owt_dist_{name}", unit)


def _needed(algorithm: Algorithm | Blend) -> frozenset[str]:
    """Bands without which there is no value anywhere: of two blue bands either serves."""
    bands = {band for part in algorithm.components for band in part.bands}
    if isinstance(algorithm, Blend):
        bands |= set(algorithm.weights.bands)
        if algorithm.weights.by_type:
            bands |= _TYPED
    return frozenset(bands)


def _products(parameters: Quality, instrument: Instrument) -> Iterator[tuple[str, Product]]:
    chosen = (_chla, _spm, _tur, _acdom, _depth)
    for choose in chosen:
        product = choose(parameters, instrument)
        if product is not None:
            yield product.name, product


def _chla(parameters: Quality, instrument: Instrument) -> Product | None:
    algorithm = chlorophyll_algorithm(parameters, instrument)
    if algorithm is None:
        return None
    id = parameters.chla_algorithm
    errors = np.empty(0)
    error = error_of(parameters, id if id != "chl_owt_blend" else "chl_oc3_oli", "chla")
    if isinstance(algorithm, Blend):
        ids = ("chl_oc3_msi" if id == "chl_blend_oc3" else "chl_oc2_msi_clamped", "chl_gilerson2")
        errors, error = np.array([error_of(parameters, each, "chla") for each in ids]), 0.0
    return Product(
        "chla",
        algorithm,
        0.01,
        1000,
        flags.CHLA_RANGE,
        flags.CHLA_NOVALUE,
        flags.CHLA_BLENDED,
        logarithmic=True,
        error=error,
        errors=errors,
    )


def chlorophyll_algorithm(parameters: Quality, instrument: Instrument) -> Algorithm | Blend | None:
    """The algorithm of chla: that of the parameters, or what comes next where the sensor lacks a band for the default.

    BadParameters where another one was asked for and a band is missing.
    """
    clamp, limits = parameters.oc_clamp, parameters.chl_blend_limits
    if parameters.chla_algorithm != "chl_owt_blend":
        return _asked(parameters.chla_algorithm, "chla", parameters, instrument)
    if instrument.is_oli:
        three = algorithms.oc3("chl_oc3_oli", clamp)
        return three if "B1" in instrument.bands else algorithms.oc2("chl_oc2_oli", clamp)
    two = algorithms.oc2("chl_oc2_msi", clamp)
    by_type = algorithms.edge_blend(two, limits, by_type=True)
    for algorithm in (by_type, algorithms.edge_blend(two, limits), two):
        if instrument.has(algorithm):
            return algorithm
    return None


def _adapted(id: str, parameters: Quality) -> Algorithm | Blend:
    """An algorithm with the clamp and the limits that the parameters give."""
    clamped = algorithms.clamped_ratios(parameters.oc_clamp)
    if id in clamped:
        return clamped[id]
    if id == "chl_blend_oc2c":
        return algorithms.edge_blend(clamped["chl_oc2_msi_clamped"], parameters.chl_blend_limits)
    if id == "chl_blend_oc3":
        return algorithms.edge_blend(algorithms.oc3("chl_oc3_msi"), parameters.chl_blend_limits)
    return algorithms.built_in()[id].algorithm


def _asked(id: str, layer: str, parameters: Quality, instrument: Instrument) -> Algorithm | Blend:
    algorithm = _adapted(id, parameters)
    missing = sorted(_needed(algorithm) - instrument.bands)
    if missing:
        raise BadParameters(
            f"layer {layer!r}: algorithm {id!r} needs {', '.join(missing)}, which this granule of {instrument.sensor} "
            f"does not have; possible are: {', '.join(_usable(instrument))}"
        )
    return algorithm


def _usable(instrument: Instrument) -> list[str]:
    return [id for id, declared in algorithms.built_in().items() if instrument.has(declared.algorithm)]


def _spm(parameters: Quality, instrument: Instrument) -> Product | None:
    id = parameters.spm_algorithm
    if id == "spm_get2018":
        low = {"low": _OLI_LOW} if instrument.is_oli else {}
        algorithm: Algorithm | Blend = algorithms.get2018(parameters.nir, **low)
        if not instrument.has(algorithm):
            return None
    else:
        algorithm = _asked(id, "spm", parameters, instrument)
    return _matter(
        "spm", algorithm, 3500, flags.SPM_RANGE, flags.SPM_NOVALUE, error_of(parameters, id, "spm")
    )


def _tur(parameters: Quality, instrument: Instrument) -> Product | None:
    id = parameters.tur_algorithm
    if id == "tur_dogliotti15":
        algorithm: Algorithm | Blend = algorithms.dogliotti15(parameters.nir)
        if not instrument.has(algorithm):
            return None
    else:
        algorithm = _asked(id, "tur", parameters, instrument)
    return _matter(
        "tur", algorithm, 1500, flags.TUR_RANGE, flags.TUR_NOVALUE, error_of(parameters, id, "tur")
    )


def _matter(
    name: str, algorithm: Algorithm | Blend, highest: float, outside: int, absent: int, error: float
) -> Product:
    blended = flags.SWITCH_BLENDED
    return Product(name, algorithm, 0, highest, outside, absent, blended, logarithmic=True, error=error)


def _acdom(parameters: Quality, instrument: Instrument) -> Product | None:
    id = parameters.acdom_algorithm
    if id == "acdom440_brezonik":
        known = algorithms.built_in()
        algorithm = known["acdom440_brezonik_oli" if instrument.is_oli else id].algorithm
        if not instrument.has(algorithm):
            return None
    else:
        algorithm = _asked(id, "acdom440", parameters, instrument)
    error = error_of(parameters, id, "acdom440")
    return Product("acdom440", algorithm, 0, 60, flags.CDOM_RANGE, flags.CDOM_NOVALUE, error=error)


def _depth(parameters: Quality, instrument: Instrument) -> Product | None:
    """The Secchi depth by P3QAA, where it is wanted or QAA lacks 443 nm."""
    by_water = parameters.zsd_algorithm == "zsd_lee2015" and "B1" in instrument.bands
    algorithm = algorithms.p3qaa_depth()
    if instrument.is_oli or by_water or not instrument.has(algorithm):
        return None
    error = error_of(parameters, "zsd_p3qaa_s2a", "zsd")
    outside, absent = flags.TRANSP_RANGE, flags.TRANSP_NOVALUE
    return Product("zsd", algorithm, 0.05, 60, outside, absent, error=error, needs_sun=True)


def error_of(parameters: Quality, id: str, variable: str) -> float:
    """An algorithm's own uncertainty, in units of log10: by its id, else by its variable."""
    given = parameters.s_alg or {}
    if id in given:
        return given[id]
    if variable in given:
        return given[variable]
    if variable == "chla":
        return _CHL_OC if id.startswith("chl_oc") else _CHL_OTHER
    return _ERRORS.get(variable, 0.0)


def _single(
    parameters: Quality,
    instrument: Instrument,
    known: Mapping[str, Declaration],
    extra: Mapping[str, Declaration],
) -> dict[str, Declaration]:
    """Algorithms that are layers of their own: those asked for, and every one of the user's."""
    for id in parameters.algorithms:
        if id not in known:
            raise BadParameters(f"quality.algorithms: unknown {id!r}. {suggest(id, list(known))}")
    found = {}
    for id in dict.fromkeys((*parameters.algorithms, *extra)):
        declared = known[id]
        missing = sorted(_needed(declared.algorithm) - instrument.bands)
        if missing:
            raise BadParameters(
                f"layer {id!r}: needs {', '.join(missing)}, which this granule of {instrument.sensor} does not have; "
                f"possible are: {', '.join(_usable(instrument))}"
            )
        found[id] = declared
    return found


def _possible(products: Mapping[str, Product], instrument: Instrument) -> Iterator[str]:
    """Standard layers that the granule can have."""
    known = algorithms.built_in()
    yield from products
    yield from (f"{name}_unc" for name in products)
    yield from (f"{name}_alg" for name in ("chla", "spm", "tur") if name in products)
    yield from (name for name in SETS["indices"] if instrument.has(known[name].algorithm))
    if _has_water(instrument):
        yield from ("kd490", "kd490_unc", "zsd_jiang2019", "zsd", "zsd_unc")
    if _has_types(instrument):
        yield from ("owt", "owt_membership", "owt_sum")
    if _has_hue(instrument):
        yield from ("hue", "fui")
    if "chla" in products:
        yield from ("tsi_chl", "bloom_class")
    if "zsd" in products or _has_water(instrument):
        yield "tsi_zsd"


def _has_water(instrument: Instrument) -> bool:
    return not instrument.is_oli and "B1" in instrument.bands


def _has_types(instrument: Instrument) -> bool:
    return not instrument.is_oli and instrument.bands >= _TYPED


def _has_hue(instrument: Instrument) -> bool:
    weights = numbers.HUE_WEIGHTS[instrument.table]
    return instrument.bands >= set(BANDS[: len(weights[0])])


def _recipe(
    parameters: Quality,
    instrument: Instrument,
    products: Mapping[str, Product],
    layers: frozenset[str],
    single: Mapping[str, Declaration],
) -> Recipe:
    known, size = algorithms.built_in(), len(BANDS)
    indices = [known[name] for name in SETS["indices"] if name in layers and name not in ("fai", *single)]
    extra = (*(_index(each) for each in indices), *(_layer(each, parameters) for each in single.values()))
    floating = known["fai"].algorithm
    return Recipe(
        layers=layers,
        products=tuple(products.values()),
        floating=floating if isinstance(floating, Algorithm) and instrument.has(floating) else None,
        types=water_types(instrument.table, parameters.chl_by_owt) if _has_types(instrument) else None,
        water=np.array((numbers.QAA_AW, numbers.QAA_BBW)) if _has_water(instrument) else None,
        hue=hue_table(instrument.table) if _has_hue(instrument) else None,
        extra=extra,
        keep=parameters.range_policy == "keep",
        floor=np.full(size, parameters.sigma_floor),
        relative=np.full(size, parameters.sigma_rel),
        kd490_error=error_of(parameters, "kd490", "kd490"),
        zsd_error=error_of(parameters, "zsd_lee2015", "zsd"),
        greatest_rrs=parameters.rrs_max,
        floating_least=parameters.fai_min,
        floating_red=parameters.fai_red_max,
        bloom_limits=parameters.bloom_limits,
    )


def _index(declared: Declaration) -> Product:
    return Product(declared.id, declared.algorithm, declared.lowest, declared.highest, strict=True)


def _layer(declared: Declaration, parameters: Quality) -> Product:
    """A single algorithm as a layer, with the parameters' clamp where it is built in."""
    algorithm = declared.algorithm if declared.group == "user" else _adapted(declared.id, parameters)
    domain = declared.domain
    held = None if domain is None else (domain.variable, domain.lowest, domain.highest)
    needs_sun = declared.id == "zsd_p3qaa_s2a"
    return Product(
        declared.id, algorithm, declared.lowest, declared.highest, domain=held, needs_sun=needs_sun
    )


@cache
def water_types(sensor: str, components: tuple[str, ...]) -> WaterTypes:
    """Optical water types of a sensor, and the component of chlorophyll that each takes."""
    inverses = np.empty((len(numbers.OWT_NAMES), 6))
    owt.inverse_covariances(np.array(numbers.OWT_COVARIANCES), inverses)
    return WaterTypes(
        wavelengths=np.array(numbers.OWT_WAVELENGTHS),
        polynomial=np.array(numbers.OWT_POLYNOMIALS[sensor]),
        box_cox=numbers.OWT_BOX_COX,
        means=np.array(numbers.OWT_MEANS),
        inverses=inverses,
        groups=np.array([COMPONENTS.index(name) for name in components], np.uint8),
    )


@cache
def hue_table(sensor: str) -> Colour:
    """Hue of a sensor."""
    return Colour(
        np.array(numbers.HUE_WEIGHTS[sensor]),
        np.array(numbers.HUE_POLYNOMIALS[sensor]),
        numbers.HUE_DOMAINS[sensor],
        colour.class_limits(np.array(numbers.FOREL_ULE_ANGLES)),
    )


def _behind(
    parameters: Quality, instrument: Instrument, products: Mapping[str, Product]
) -> dict[str, Declaration]:
    """Product layer to the declared algorithm that makes it."""
    known = algorithms.built_in()
    oli = "_oli" if instrument.is_oli else ""
    ids = {
        "spm": parameters.spm_algorithm,
        "tur": parameters.tur_algorithm,
        "acdom440": parameters.acdom_algorithm + (oli if parameters.acdom_algorithm.endswith("nik") else ""),
        "zsd": "zsd_p3qaa_s2a",
        "chla": _chla_id(parameters, instrument, products),
    }
    if parameters.nir == "B8":
        ids |= {name: f"{ids[name]}_B8" for name in ("spm", "tur") if f"{ids[name]}_B8" in known}
    return {name: known[id] for name, id in ids.items() if name in products}


def _chla_id(parameters: Quality, instrument: Instrument, products: Mapping[str, Product]) -> str:
    if parameters.chla_algorithm != "chl_owt_blend" or "chla" not in products:
        return parameters.chla_algorithm
    algorithm = products["chla"].algorithm
    if isinstance(algorithm, Blend):
        return "chl_owt_blend" if algorithm.weights.by_type else "chl_blend_oc2c"
    if instrument.is_oli:
        return "chl_oc3_oli" if "B1" in algorithm.bands else "chl_oc2_oli"
    return "chl_oc2_msi_clamped"
