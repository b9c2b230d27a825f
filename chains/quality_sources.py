"""What the water-quality chain reads of each kind of product, and what the masks mean (specification section 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from thalweg.bands import SENTINEL2
from thalweg.chains.quality_parameters import Quality
from thalweg.chains.quality_recipe import OLI, Instrument
from thalweg.errors import BadInput, MissingInput
from thalweg.inputs import Band, Codes, Field, Input, Mask, Static, Upstream
from thalweg.kernels import quality_flags as flags
from thalweg.kernels.recipe import BANDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.granule import Correction, Granule

ROLES: Mapping[str, str] = {band: SENTINEL2[band] for band in BANDS}
"""Band to role: Landsat's roles are those of the rows that its bands stand in."""

SENSORS: Mapping[str, str] = {"S2A": "S2A", "S2B": "S2B", "S2C": "S2C", "L8": OLI, "L9": OLI}
"""Platform to sensor."""

MISSING_BANDS = ("B2", "B3", "B4")
"""Bands without which nothing is computed."""

WATER_LEAVING = ("Rrs", "rhow")
"""Levels whose glint of sun and sky is gone."""

_MAJA: tuple[tuple[str, ...], ...] = (
    ("hidden", "sun_low", "sun_tangent"),
    ("cloud",),
    ("cloud_shadow", "projected_shadow", "topographic_shadow"),
    ("thin_cloud", "high_cloud"),
    ("snow",),
    ("saturated",),
    ("water",),
)
_GENERAL: tuple[tuple[str, ...], ...] = (
    ("nodata",),
    ("cloud",),
    ("cloud_shadow",),
    ("high_cloud",),
    ("snow",),
    ("saturated",),
    ("water",),
)
_LANDSAT = (*_GENERAL[:1], ("cloud", "dilated_cloud"), *_GENERAL[2:])
_GROUPS = {"muscate": _MAJA, "maja": _MAJA, "landsat": _LANDSAT}
_WORDS = (
    flags.NODATA_IN,
    flags.CLOUD,
    flags.CLOUD_SHADOW,
    flags.CIRRUS,
    flags.SNOW_ICE,
    flags.SATURATED,
)
_SOURCE_NODATA, _SOURCE_WATER = 1, 1 << 6

GRS_WATER, GRS_SURFWATER_LAND, GRS_SURFWATER = 1 << 3, 1 << 8, 0b111 << 8
"""Bits of the GRS flags: water by SWIR, land and any by SurfWater."""

GRS_BAD = (1 << 0) | (1 << 1) | (1 << 10) | (1 << 13) | (1 << 14) | (1 << 18)
"""Bits that GRS's own default selection leaves out."""

_GRS_BITS = {
    flags.NODATA_IN: (0,),
    flags.CLOUD: (1, 2, 10, 13),
    flags.CLOUD_SHADOW: (14,),
    flags.CIRRUS: (5, 6, 12),
    flags.SNOW_ICE: (15,),
    flags.HIGH_SWIR: (7,),
}
# Reasons of the water chain for deciding nothing, by bit: cloud, its shadow, snow, beside a cloud, relief's shadow.
_REASONS = {
    1: flags.CLOUD,
    2: flags.CLOUD_SHADOW,
    3: flags.SNOW_ICE,
    4: flags.CLOUD,
    5: flags.CLOUD_SHADOW,
}


def instrument_of(granule: Granule, available: frozenset[str]) -> Instrument:
    """Sensor and bands of a granule; BadInput where the platform is none that has coefficients."""
    sensor = SENSORS.get(granule.platform)
    if sensor is None:
        raise BadInput(
            f"{granule.path}: the satellite is {granule.platform!r}; the chain 'quality' knows {', '.join(SENSORS)}",
            advice="In a raster stack, say platform: S2A (or S2B, S2C, L8, L9).",
        )
    return Instrument(sensor, frozenset(band for band, role in ROLES.items() if role in available))


def quality_inputs(parameters: Quality, granule: Granule | None) -> Sequence[Input]:
    """Bands, masks, angles, and where land comes from."""
    inputs: list[Input] = [_band(band, parameters, granule) for band in BANDS]
    if granule is not None and granule.format == "grs":
        inputs += [
            Codes("flags", "nodata"),
            Field("sun_zenith", step="apply"),
            Field("sun_glint", step="apply"),
        ]
    else:
        inputs.append(Mask("source", _groups(granule), required=False, step="apply"))
        if granule is not None and granule.masks_with("water") and granule.format in ("safe", "stac"):
            inputs.append(Codes("classes", "water", required=False, step="apply"))
    inputs.append(Static("bathymetry", "float32", required=False, step="apply"))
    if parameters.water_source in ("auto", "file"):
        inputs.append(Static("water_mask", "uint8", required=False, step="apply"))
        inputs.append(Upstream("water", ("water", "reason"), required=False, step="apply"))
    return inputs


def _band(band: str, parameters: Quality, granule: Granule | None) -> Band:
    role = ROLES[band]
    reflectance: Correction = "flat" if parameters.maja_reflectance == "FRE" else "surface"
    if granule is not None and reflectance == "surface":
        _check_surface(granule, role)
    fine = granule is not None and granule.format in ("safe", "stac")
    return Band(
        role,
        20 if fine else None,
        "exact",
        correction=reflectance if granule is not None else None,
        required=band in MISSING_BANDS,
        step="apply",
        enlarge="nearest",
        halo=False,
    )


def _check_surface(granule: Granule, role: str) -> None:
    keys = granule.bands.get(role, {})
    if "flat" in keys and "surface" not in keys:
        raise MissingInput(
            f"{granule.path}: {role!r} without slope correction (SRE) is not there; "
            "set maja_reflectance: FRE to accept slope-corrected reflectance"
        )


def _groups(granule: Granule | None) -> tuple[tuple[str, ...], ...]:
    return _GROUPS.get(granule.format, _GENERAL) if granule else _GENERAL


def grs_words() -> NDArray[np.uint32]:
    """Bit of the GRS flags to our flags."""
    table = np.zeros(32, np.uint32)
    for word, bits in _GRS_BITS.items():
        for bit in bits:
            table[bit] |= word
    return table


def source_words(water: bool, common: int) -> NDArray[np.uint32]:
    """Bits of the mask `source` to our flags; `water`: land is where it says none. `common` is on every pixel."""
    codes = np.arange(256, dtype=np.uint32)
    table = np.full(256, common, np.uint32)
    for bit, word in enumerate(_WORDS):
        table |= np.where(codes >> np.uint32(bit) & np.uint32(1), np.uint32(word), np.uint32(0))
    if water:
        land = (codes & (_SOURCE_WATER | _SOURCE_NODATA)) == 0
        table |= np.where(land, np.uint32(flags.LAND), np.uint32(0))
    return table


def class_words(codes: Sequence[int]) -> NDArray[np.uint32]:
    """Code of a classification to LAND where it is not one of `codes`; 0 is nodata."""
    table = np.full(256, flags.LAND, np.uint32)
    table[[0, *codes]] = 0
    return table


def file_words() -> NDArray[np.uint32]:
    """Code of a water mask to our flags: 0 land, 1 water, 255 nodata, others clouds."""
    table = np.full(256, flags.CLOUD, np.uint32)
    table[[0, 1, 255]] = flags.LAND, 0, flags.NODATA_IN
    return table


def reason_words() -> NDArray[np.uint32]:
    """Bit of the water chain's reasons to our flags."""
    table = np.zeros(16, np.uint32)
    for bit, word in _REASONS.items():
        table[bit] = word
    return table
