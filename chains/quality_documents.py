"""What the item of a water-quality product says beside its rasters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from thalweg.chains import quality_sources as sources
from thalweg.chains.quality_layers import STANDARD_NAMES
from thalweg.chains.quality_parameters import Quality
from thalweg.chains.quality_pass import Plan

if TYPE_CHECKING:
    from thalweg.chains.quality_declaration import Declaration
    from thalweg.scene import Tileful


def properties_of(
    tile: Tileful, plan: Plan, parameters: Quality, shares: Mapping[str, float]
) -> dict[str, Any]:
    """Water source, reflectance, sun, algorithms of the layers, shares of the flags, and warnings."""
    computed, hues_outside, _ = (int(number) for number in tile.totals["pixels"])
    size = tile.grid.shape[0] * tile.grid.shape[1]
    water_leaving = tile.granule.level in sources.WATER_LEAVING
    properties: dict[str, Any] = {
        "quality:profile": parameters.profile,
        "quality:sensor": plan.instrument.sensor,
        "quality:reflectance_type": "water_leaving" if water_leaving else "boa",
        "quality:deglint": parameters.deglint,
        "quality:water_source": plan.water,
        "quality:sun_zenith": _sun(tile),
        "quality:computed_percent": round(100 * computed / size, 4),
        "quality:layers": {name: _layer(name, plan) for name in plan.menu.stored},
        "quality:valid_pixels": {
            name: int(count) for name, count in zip(plan.menu.stored, tile.totals["valid"], strict=True)
        },
        "quality:flags": {name: round(share, 6) for name, share in shares.items()},
        "quality:hue_out_of_domain": hues_outside,
    }
    if plan.water == "product":
        properties["quality:water_product"] = tile.upstream["water"]
    if plan.menu.absent:
        properties["quality:absent_layers"] = list(plan.menu.absent)
    warnings = list(_warnings(tile, plan, parameters))
    if warnings:
        properties["quality:warnings"] = warnings
    return properties


def _sun(tile: Tileful) -> str:
    if "sun_zenith" in tile.available:
        return "each pixel"
    return "mean of the granule" if tile.granule.sun else "30 degrees, for the product does not say"


def _layer(name: str, plan: Plan) -> dict[str, Any]:
    declared = plan.menu.sources.get(name.removesuffix("_unc").removesuffix("_alg"))
    entry: dict[str, Any] = {"standard_name": STANDARD_NAMES[name]} if name in STANDARD_NAMES else {}
    return entry | (_algorithm(declared) if declared else {})


def _algorithm(declared: Declaration) -> dict[str, Any]:
    limits = (declared.lowest, declared.highest)
    return {
        "algorithm": declared.id,
        "formula": declared.formula,
        "source": declared.source,
        "reflectance": declared.kind,
        "bands": list(declared.bands),
        "range": [limit if math.isfinite(limit) else None for limit in limits],
    }


def _warnings(tile: Tileful, plan: Plan, parameters: Quality) -> list[str]:
    computed, _, low = (int(number) for number in tile.totals["pixels"])
    found = []
    if parameters.maja_reflectance == "FRE" and tile.granule.format in ("muscate", "maja"):
        found.append("slope-corrected reflectance (FRE): wrong over water near relief")
    if low == computed:
        found.append("the sun's zenith angle is not within 0 to 85 degrees: no transparency")
    if plan.water == "none" and parameters.water_source != "none":
        found.append("nothing says where land is: every pixel counts as water")
    if plan.instrument.sensor == "S2C":
        found.append("colour and optical water types of S2C by the tables of S2A: not confirmed")
    return found
