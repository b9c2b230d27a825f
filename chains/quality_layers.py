"""Layers of the water-quality chain: packing, flags, classes and colours (specification sections 2 and 8)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from thalweg.chains import quality_numbers as numbers
from thalweg.chains.quality_declaration import Declaration
from thalweg.layer import Class, Colour, Layer

Kind = Literal["log", "linear", "codes", "words"]

FLAGS = (
    "NODATA_IN",
    "LAND",
    "CLOUD",
    "CLOUD_SHADOW",
    "CIRRUS",
    "SNOW_ICE",
    "HIGH_SWIR",
    "GLINT_HIGH",
    "GLINT_NOT_MODELLED",
    "ADJACENCY",
    "MIXED_PIXEL",
    "NEG_RRS_BLUE",
    "NEG_RRS_OTHER",
    "NEAR_POLE",
    "SATURATED",
    "OC_CLAMPED",
    "CHLA_RANGE",
    "SPM_RANGE",
    "TUR_RANGE",
    "CDOM_RANGE",
    "TRANSP_RANGE",
    "CHLA_NOVALUE",
    "SPM_NOVALUE",
    "TUR_NOVALUE",
    "CDOM_NOVALUE",
    "TRANSP_NOVALUE",
    "OWT_UNCLASSIFIED",
    "CHLA_BLENDED",
    "SWITCH_BLENDED",
    "FLOATING_ALGAE",
    "BOTTOM_RISK",
)
"""Bits of quality_flags, from bit 0."""

SETS: Mapping[str, tuple[str, ...]] = {
    "default": ("chla", "spm", "tur", "acdom440", "zsd", "fui", "owt"),
    "uncertainty": ("chla_unc", "spm_unc", "tur_unc", "acdom440_unc", "zsd_unc", "kd490_unc"),
    "optics": ("kd490", "zsd_jiang2019", "hue"),
    "owt_detail": ("owt_membership", "owt_sum"),
    "indices": ("ndci", "ndti", "fai", "afai", "slh", "mci"),
    "trophic": ("tsi_chl", "tsi_zsd", "bloom_class"),
    "branches": ("chla_alg", "spm_alg", "tur_alg"),
}
"""Set to its layers; quality_flags is always written."""

PUBLIC = (
    "Chla_OC2nasa",
    "Chla_M09B",
    "SPM_nechad",
    "SPM_obs2co",
    "TURB_dogliotti",
    "acdom_B15",
    "Kd_par",
    "owt_index_Spyrakos2018",
    "owt_dist_Spyrakos2018",
    "owt_index_Bi2024",
    "owt_dist_Bi2024",
    "flags",
    "mask",
)
"""Layers of the profile grsl2bgen, by their public names."""

STANDARD_NAMES: Mapping[str, str] = {
    "chla": "mass_concentration_of_chlorophyll_a_in_sea_water",
    "spm": "mass_concentration_of_suspended_matter_in_sea_water",
    "tur": "sea_water_turbidity",
    "acdom440": "volume_absorption_coefficient_of_radiative_flux_in_sea_water_due_to_dissolved_organic_matter",
    "zsd": "secchi_depth_of_sea_water",
    "kd490": "volume_attenuation_coefficient_of_downwelling_radiative_flux_in_sea_water",
    "quality_flags": "quality_flag",
}
"""Layer to its CF standard name."""


@dataclass(frozen=True, slots=True)
class Stored:
    """How a layer is stored."""

    layer: Layer
    """Its description."""
    kind: Kind
    """Rule by which values become integers."""


LOG_STEP, LOG_OFFSET = 0.001, -3.0
_SCALES: Mapping[str, tuple[str, float]] = {
    "acdom440": ("uint16", 0.001),
    "kd490": ("uint16", 0.0005),
    "kd_par": ("uint16", 0.005),
    "zsd": ("uint16", 0.001),
    "index": ("int16", 1e-4),
}
_NODATA = {"uint8": 255, "uint16": 65535, "int16": -32768}
_LOGARITHMIC = ("chla", "spm", "tur")


def _ramp(text: str, lowest: float, highest: float, dn: str) -> tuple[dict[int, Colour], tuple[int, int]]:
    """Colour stops at stored numbers that lie evenly on the logarithm of the value; `dn` is `log` or a scale."""
    colours = [_colour(word) for word in text.split()]
    first, last = math.log10(lowest), math.log10(highest)
    logs = [first + (last - first) * i / (len(colours) - 1) for i in range(len(colours))]
    if dn == "log":
        stops = [round((log - LOG_OFFSET) / LOG_STEP) for log in logs]
    else:
        stops = [round(10**log / float(dn)) for log in logs]
    return dict(zip(stops, colours, strict=True)), (stops[0], stops[-1])


def _colour(word: str) -> Colour:
    return (int(word[1:3], 16), int(word[3:5], 16), int(word[5:7], 16), 255)


def _codes(text: str, first: int = 1) -> dict[int, Colour]:
    return {first + i: _colour(word) for i, word in enumerate(text.split())}


_GREENS = "#0b2a5b #1f6f8b #3fa796 #8cc152 #d9d53a #e08a1e #a3261b"
_BROWNS = "#12355b #2a7f9e #7fc4b8 #e8dfb0 #cf9b5a #8f5a2b #4d2a12"
_TEAS = "#e8f3f1 #bcd9c2 #c9b458 #9a6b22 #4a2b0c"
_DEPTHS = "#5b3a1a #b59b5b #a8cfae #3d9bb3 #0d3b78"
_FOREL_ULE = (
    "#2158bc #316dc5 #327cbb #4b80a0 #568f96 #6d9298 #698c86 #759e72 #7ba654 #7dae38 #95b645 #94b660 #a5bc76 #aab86d "
    "#adb55f #a8a965 #ae9f5c #b3a053 #af8a44 #a46905 #a14d04"
)
_TYPES = "#2b0d7a #1f45c0 #1fa3b8 #7fd6d8 #3f9b57 #9fd94a #5f7d1f #d6c21f #a5682a #2a1a10"
_BLOOMS = "#2f7fb8 #7fc36b #f2c230 #d9532c #7a1fa2"
_RAMPS = {
    "chla": _ramp(_GREENS, 0.1, 100, "log"),
    "spm": _ramp(_BROWNS, 0.5, 500, "log"),
    "tur": _ramp(_BROWNS, 0.5, 500, "log"),
    "acdom440": _ramp(_TEAS, 0.1, 20, "0.001"),
    "zsd": _ramp(_DEPTHS, 0.1, 30, "0.001"),
}


def logarithmic(name: str, description: str, units: str) -> Stored:
    """Steps of 0.001 of log10 from 0.001 upwards."""
    colours, ramp = _RAMPS.get(name, ({}, None))
    layer = Layer(
        name,
        "uint16",
        description,
        f"lg({units})",
        65535,
        LOG_STEP,
        LOG_OFFSET,
        "log10",
        colours=colours,
        ramp=ramp,
    )
    return Stored(layer, "log")


def linear(name: str, dtype: str, scale: float, description: str, units: str = "1") -> Stored:
    """Multiples of `scale`."""
    colours, ramp = _RAMPS.get(name, ({}, None))
    layer = Layer(name, dtype, description, units, _NODATA[dtype], scale, colours=colours, ramp=ramp)
    return Stored(layer, "linear")


def coded(
    name: str, description: str, classes: Sequence[Class], nodata: int, colours: str, first: int = 1
) -> Stored:
    """Codes as they are."""
    found = _codes(colours, first) if colours else {}
    layer = Layer(name, "uint8", description, "1", nodata, classes=tuple(classes), colours=found)
    return Stored(layer, "codes")


def _unit_of_log(name: str, what: str) -> Stored:
    return linear(name, "uint16", 0.0001, f"Standard uncertainty of log10 of {what}")


_BRANCHES = {
    "chla": ("blue_green", "red_edge", "blended"),
    "spm": ("low", "high", "blended"),
    "tur": ("low", "high", "blended"),
}


def _standard() -> Iterator[Stored]:
    yield logarithmic("chla", "Chlorophyll-a", "mg m-3")
    yield logarithmic("spm", "Suspended particulate matter", "g m-3")
    yield logarithmic("tur", "Turbidity", "FNU")
    yield linear(
        "acdom440", "uint16", 0.001, "Absorption of coloured dissolved organic matter at 440 nm", "m-1"
    )
    yield linear("zsd", "uint16", 0.001, "Secchi depth", "m")
    colours = [Class(code, f"forel_ule_{code}") for code in range(1, 22)]
    yield coded("fui", "Forel-Ule colour, 1 blue to 21 brown", colours, 0, _FOREL_ULE)
    types = [Class(0, "unclassified", "no type fits")]
    types += [Class(code, f"type_{name}") for code, name in enumerate(numbers.OWT_NAMES, 1)]
    yield coded("owt", "Optical water type of Bi and Hieronymi 2024", types, 255, f"#9a9a9a {_TYPES}", 0)
    for name, what in (("chla", "chlorophyll-a"), ("spm", "suspended matter"), ("tur", "turbidity")):
        yield _unit_of_log(f"{name}_unc", what)
    yield linear("acdom440_unc", "uint16", 0.001, "Standard uncertainty of acdom440", "m-1")
    yield linear("zsd_unc", "uint16", 0.001, "Standard uncertainty of the Secchi depth", "m")
    yield linear("kd490_unc", "uint16", 0.0005, "Standard uncertainty of kd490", "m-1")
    yield linear("kd490", "uint16", 0.0005, "Diffuse attenuation at 490 nm", "m-1")
    yield linear("zsd_jiang2019", "uint16", 0.001, "Secchi depth, second form of Jiang 2019", "m")
    yield linear("hue", "uint16", 0.01, "Hue angle", "degree")
    yield linear("owt_membership", "uint8", 0.004, "Membership of the optical water type")
    yield linear("owt_sum", "uint16", 0.0002, "Sum of the memberships of all optical water types")
    yield from _optional()


def _optional() -> Iterator[Stored]:
    for name, title in (
        ("ndci", "Normalised difference chlorophyll index"),
        ("ndti", "Normalised difference turbidity index"),
        ("fai", "Floating algae index"),
        ("afai", "Alternative floating algae index"),
        ("slh", "Scattering line height"),
    ):
        yield linear(name, "int16", 1e-4, title)
    yield linear("mci", "int16", 1e-5, "Maximum chlorophyll index", "sr-1")
    yield linear("tsi_chl", "int16", 0.01, "Trophic state index by chlorophyll-a")
    yield linear("tsi_zsd", "int16", 0.01, "Trophic state index by Secchi depth")
    words = ("low", "moderate", "high", "very_high", "floating_algae")
    classes = [Class(code, word) for code, word in enumerate(words)]
    yield coded("bloom_class", "Phytoplankton biomass class; not toxin, not taxon", classes, 255, _BLOOMS, 0)
    for name, branches in _BRANCHES.items():
        classes = [Class(code, branch) for code, branch in enumerate(branches, 1)]
        yield coded(f"{name}_alg", f"Branch of the algorithm of {name}", classes, 0, "")


def _public() -> Iterator[Stored]:
    for name, scale, units in (
        ("Chla_OC2nasa", 0.02, "mg m-3"),
        ("Chla_M09B", 0.02, "mg m-3"),
        ("SPM_nechad", 0.06, "g m-3"),
        ("SPM_obs2co", 0.06, "g m-3"),
        ("TURB_dogliotti", 0.04, "FNU"),
        ("acdom_B15", 0.001, "m-1"),
        ("Kd_par", 0.05, "m-1"),
    ):
        yield linear(name, "uint16", scale, f"{name} of GRSl2bgen", units)
    for name in ("Spyrakos2018", "Bi2024"):
        yield coded(f"owt_index_{name}", f"Nearest spectrum of {name} by angle", (), 0, "")
        yield linear(f"owt_dist_{name}", "int16", 5e-5, "Negative spectral angle over pi")
    yield Stored(Layer("flags", "int32", "Flags of the GRS product", role="metadata"), "words")
    classes = (Class(0, "good"), Class(1, "bad"))
    yield Stored(
        Layer("mask", "uint8", "Default selection of GRS", classes=classes, role="metadata"), "codes"
    )


QUALITY_FLAGS = Stored(
    Layer(
        "quality_flags", "uint32", "What is known about each pixel, a bit field", bits=FLAGS, role="metadata"
    ),
    "words",
)

STANDARD: Mapping[str, Stored] = {each.layer.name: each for each in (*_standard(), QUALITY_FLAGS, *_public())}
"""Every layer but those of single algorithms."""


def of_algorithm(declared: Declaration) -> Stored:
    """The layer of a single algorithm, stored as its variable is."""
    if declared.id in STANDARD:
        return STANDARD[declared.id]
    title = f"{declared.variable} by {declared.id}"
    if declared.variable in _LOGARITHMIC and declared.scale is None:
        return logarithmic(declared.id, title, declared.units)
    dtype, scale = _SCALES.get(declared.variable, ("uint16" if declared.lowest >= 0 else "int16", 1.0))
    return linear(declared.id, dtype, declared.scale or scale, title, declared.units)


def as_precise(stored: Stored) -> Stored:
    """The layer as float32 with 12 bits of mantissa, where it is scaled 16-bit integers."""
    layer = stored.layer
    if stored.kind not in ("log", "linear") or layer.dtype == "uint8":
        return stored
    units = layer.units[3:-1] if layer.units and layer.transform else layer.units
    precise = replace(
        layer,
        dtype="float32",
        units=units,
        nodata=math.nan,
        scale=1.0,
        offset=0.0,
        transform=None,
        colours={},
        ramp=None,
    )
    return Stored(precise, stored.kind)
