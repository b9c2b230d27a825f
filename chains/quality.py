"""Water quality: chlorophyll, suspended matter, turbidity, dissolved matter, transparency and colour of one granule.

Survey, strip by strip, where the source has SurfWater flags: which of them it uses. Settle, once: what the granule's
bands allow. Apply, strip by strip: flags of every pixel, then all layers of the water pixels in one fused pass.

Every formula, its source and its range stands in `quality_algorithms`. Public relatives: Tristanovsk/GRSl2bgen on
github.com (Apache-2.0), which derives from the Obs2Co generator, and Tristanovsk/grs; their known defects are not
reproduced.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.chain import Chain, Conclusion, Names, Noted, Strip, chain
from thalweg.chains import quality_sources as sources
from thalweg.chains.quality_algorithms import built_in
from thalweg.chains.quality_declaration import Declaration
from thalweg.chains.quality_documents import properties_of
from thalweg.chains.quality_layers import PUBLIC, STANDARD, as_precise, of_algorithm
from thalweg.chains.quality_parameters import Quality
from thalweg.chains.quality_pass import USUAL_ZENITH, Plan, halo_of, make_public, make_strip, mask_word
from thalweg.chains.quality_plugin import extend, extra_of
from thalweg.chains.quality_recipe import make_menu, public_menu
from thalweg.errors import BadParameters, MissingInput, NoData
from thalweg.kernels import quality_flags as flags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thalweg.granule import Granule
    from thalweg.layer import Layer
    from thalweg.scene import Scene, Tileful

_BITS = 32


def survey(scene: Scene, parameters: Quality) -> Noted:
    """Which bits the GRS flags use, where these are read."""
    if "flags" not in scene:
        return Noted()
    used = int(flags.used_bits(scene["flags"].astype(np.int32, copy=False).reshape(-1)))
    return Noted(totals={"used": np.array([used >> bit & 1 for bit in range(_BITS)], np.int64)})


def settle(tile: Tileful, parameters: Quality) -> Plan:
    """What is computed of this granule, and where land comes from."""
    instrument = sources.instrument_of(tile.granule, tile.available)
    water_leaving = tile.granule.level in sources.WATER_LEAVING
    if parameters.deglint != "none" and water_leaving:
        raise BadParameters(
            f"quality.deglint = {parameters.deglint!r}: {tile.granule.path} is a {tile.granule.level} product of "
            f"{tile.granule.format}, whose glint is gone already"
        )
    if parameters.public and tile.granule.format != "grs":
        raise BadParameters("quality.profile = 'grsl2bgen': only for GRS products, whose flags it copies")
    menu = public_menu() if parameters.public else make_menu(parameters, instrument, extra_of(parameters))
    sun = tile.granule.sun
    return Plan(
        menu=menu,
        instrument=instrument,
        masked=mask_word(parameters),
        water=find_water(tile, parameters),
        zenith=USUAL_ZENITH if sun is None else sun.zenith,
        deglint=parameters.deglint == "swir",
        unit=1.0 if tile.granule.level == "Rrs" else math.pi,
        precision=parameters.compute,
    )


def find_water(tile: Tileful, parameters: Quality) -> str:
    """Where land comes from: file, product, surfwater, flags or none."""
    wanted = parameters.water_source
    if wanted in ("auto", "file"):
        for name, source in (("water_mask", "file"), ("water", "product")):
            if name in tile.available:
                return source
    if wanted == "file":
        raise MissingInput(
            f"{tile.granule.path}: quality.water_source = 'file', but there is neither a static layer 'water_mask' "
            "nor a product of the chain 'water' for this granule"
        )
    if wanted == "surfwater" and tile.granule.format != "grs":
        raise BadParameters("quality.water_source = 'surfwater': only GRS products have SurfWater flags")
    if wanted == "auto":
        return "surfwater" if _uses_surfwater(tile) else "flags" if _knows_water(tile) else "none"
    return wanted


def _uses_surfwater(tile: Tileful) -> bool:
    used = tile.totals.get("used")
    return used is not None and bool(used[8:11].any())


def _knows_water(tile: Tileful) -> bool:
    return "flags" in tile.available or bool(tile.granule.masks_with("water"))


def apply(scene: Scene, parameters: Quality) -> Strip:
    """Water-quality variables of water pixels, with a flag word and an uncertainty for each.

    Layers are stored by fixed rules that no scene changes; a pixel without a value is nodata, and a flag says why.
    """
    plan: Plan = scene.settled
    made = make_public(scene, plan) if parameters.public else make_strip(scene, plan, parameters)
    counts = np.zeros(_BITS, np.int64)
    if "quality_flags" in made.layers:
        flags.count_bits(made.layers["quality_flags"].reshape(-1), counts)
    numbers = (made.computed, made.hues_outside, made.low_suns)
    totals = {
        "bits": counts,
        "pixels": np.array(numbers, np.int64),
        "valid": np.array([made.valid[name] for name in plan.menu.stored], np.int64),
    }
    return Strip(made.layers, totals)


def conclude(tile: Tileful, parameters: Quality) -> Conclusion:
    """What was computed how, and how much of it; NoData where no pixel was worth computing."""
    plan: Plan = tile.settled
    if not tile.totals["pixels"][0]:
        shares = {name: share for name, share in flag_shares(tile).items() if share}
        found = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
        raise NoData(f"{tile.granule.path}: no water pixel that could be computed ({found or 'no flag'})")
    return Conclusion(properties_of(tile, plan, parameters, flag_shares(tile)))


def flag_shares(tile: Tileful) -> dict[str, float]:
    """Flag to the share of all pixels that have it."""
    size = tile.grid.shape[0] * tile.grid.shape[1]
    names = STANDARD["quality_flags"].layer.bits
    return {name: float(count) / size for name, count in zip(names, tile.totals["bits"], strict=False)}


def quality_names(granule: Granule, parameters: Quality, version: str, available: frozenset[str]) -> Names:
    """The name of the GRS product with its level changed, else one of our own."""
    if granule.format == "grs" and "L2Agrs" in granule.id:
        return Names(granule.id.replace("L2Agrs", "L2B"))
    tile = f"T{granule.tile}" if granule.on_mgrs else granule.tile
    return Names(f"QUALITY_{granule.platform}_{tile}_{granule.sensed:%Y%m%dT%H%M%S}_{version}")


def quality_layers(parameters: Quality) -> Sequence[Layer]:
    """Every layer that these parameters may give."""
    extra = extra_of(parameters)
    stored = {**_declared(), **{id: of_algorithm(declared) for id, declared in extra.items()}}
    precise = parameters.storage == "precise"
    return [
        (as_precise(each) if precise and name not in PUBLIC else each).layer for name, each in stored.items()
    ]


def _declared() -> Mapping[str, Any]:
    single = {id: of_algorithm(declared) for id, declared in built_in().items()}
    return {**single, **STANDARD}


def quality_gate(parameters: Quality) -> Sequence[str]:
    """Pixels that cannot be used, as far as masks tell; none where the user computes them all the same."""
    if parameters.public or not parameters.apply_mask:
        return ()
    meanings = {"NODATA_IN": ("nodata",), "CLOUD": ("cloud",), "CLOUD_SHADOW": ("cloud_shadow",)}
    return [word for bit, words in meanings.items() if bit in parameters.mask_bits for word in words]


def halo(parameters: Quality, granule: Granule | None) -> int:
    """Rows and columns of neighbours that the flags of land need."""
    return halo_of(parameters)


def extended(base: Chain, where: str, names: Mapping[str, Any]) -> Chain:
    """The chain with the algorithms that a user's file declares."""
    found = [value for value in names.values() if isinstance(value, Declaration)]
    wider = extend(base, where, found)
    layers = tuple(of_algorithm(declared).layer for declared in found)
    return replace(wider, outputs=(*base.outputs, *layers))


quality = chain(
    "quality",
    version="1.0",
    inputs=sources.quality_inputs,
    outputs=[stored.layer for stored in _declared().values()],
    parameters=Quality,
    grid=20,
    halo=halo,
    survey=survey,
    settle=settle,
    conclude=conclude,
    gate=quality_gate,
    layers=quality_layers,
    extended=extended,
    names=quality_names,
    levels=("L2A", "Rrs", "rhow"),
    main=("chla", "spm", "tur", "quality_flags"),
    summary=("quality:water_source", "quality:computed_percent"),
    references=(
        "https://doi.org/10.1002/lno.12606",
        "https://doi.org/10.1016/j.rse.2014.09.020",
        "https://doi.org/10.1364/AO.41.005755",
        "https://github.com/Tristanovsk/GRSl2bgen",
    ),
)(apply)
