"""Surface water from one optical granule: mask, probability, source and reason of every pixel.

Sample, strip by strip, and learn, where the detector needs a model (bands are then decoded twice). Survey: probability,
vetoes and cuts, two bytes a pixel. Settle, once, on these bytes: gaps, holes and areas of the whole tile. Apply: the
layers. Principle after SurfWater (Pena-Luque et al. 2021, doi:10.3390/rs13163279), whose internal parameters are not
public: its products are not reproduced. Detectors: `thalweg.chains.water_detectors`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.chain import Conclusion, Noted, Strip, chain
from thalweg.chains.water_detectors import (
    DETECTORS,
    Block,
    Predicted,
    dem_input,
    halo_of,
    make_block,
    mark_ground_steep,
    masked_by,
)
from thalweg.chains.water_exact import dswx_layers, wofs_layers
from thalweg.chains.water_forest import kept_forest
from thalweg.chains.water_layers import LAYERS, source_bits, water_names
from thalweg.chains.water_parameters import DSWX, ROLES, Water
from thalweg.chains.water_training import Learnt, gather, learn, learners, own_rows
from thalweg.errors import NoData
from thalweg.inputs import Band, Input, Mask, Static
from thalweg.kernels import areas, samples
from thalweg.kernels import water as decision

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.granule import Granule
    from thalweg.scene import Scene, Tileful

_MEANINGS: Mapping[str, tuple[str, ...]] = {
    "invalid": ("nodata",),
    "cloud": ("cloud", "high_cloud"),
    "cloud_shadow": ("cloud_shadow",),
    "snow": ("snow",),
    "adjacent": ("adjacent",),
    "topo_shadow": ("topographic_shadow", "hidden"),
    "sun_low": ("sun_low", "sun_tangent"),
    "saturated": ("saturated",),
    "aerosol_high": ("aerosol_high",),
}
"""Meanings of the masks that make a role, for every format but as `_OTHERWISE` says."""

_OTHERWISE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "landsat": {"cloud": ("cloud", "high_cloud", "dilated_cloud")},
    "safe": {"invalid": ("nodata", "saturated"), "saturated": ()},
    "stac": {"invalid": ("nodata", "saturated"), "saturated": ()},
}


@dataclass(frozen=True, slots=True)
class Settled:
    """What the last step needs, and what is said of the whole tile."""

    learnt: Learnt
    """The detector and its model."""
    counts: Mapping[str, int]
    """Valid pixels, those for which a model was asked, those where candidate and spectral test differ."""


def role_meanings(parameters: Water, granule: Granule | None) -> tuple[tuple[str, ...], ...]:
    """The meanings of each mask role, from bit 0, in a product of this format."""
    table = {**_MEANINGS, **(_OTHERWISE.get(granule.format, {}) if granule else {})}
    if parameters.scl_dark_is_shadow:
        table["topo_shadow"] = (*table["topo_shadow"], "dark")
    return tuple(table[role] for role in ROLES)


def water_inputs(parameters: Water, granule: Granule | None) -> Sequence[Input]:
    """Six bands on the grid of the finest, mask roles, and the static layers that the detectors and cuts want."""
    learns = learners(parameters)
    step: Any = "apply" if parameters.exact else ("sample", "survey") if learns else "survey"
    inputs: list[Input] = [
        Band(
            role,
            encoding="dn4",
            correction="flat" if parameters.maja_reflectance == "FRE" else "surface",
            enlarge=parameters.upsample,
            step=step,
        )
        for role in band_roles(parameters, granule)
    ]
    masks_are_due = granule is not None and granule.format != "stack"
    inputs.append(Mask("roles", role_meanings(parameters, granule), required=masks_are_due, step=step))
    more = [entry for name in parameters.chosen for entry in DETECTORS[name].inputs(parameters, granule)]
    if not parameters.exact:
        more += archive_inputs(parameters, learns)
    if parameters.profile == DSWX or parameters.slope_cut_deg is not None:
        more.append(dem_input(parameters))
    return [*inputs, *{entry.name: entry for entry in more}.values()]


def band_roles(parameters: Water, granule: Granule | None) -> tuple[str, ...]:
    """Roles of the six bands: of Sentinel-2 the wide near infrared, of others the narrow one."""
    visible, swir = ("blue", "green", "red"), ("swir16", "swir22")
    if granule is None:
        return (*visible, "nir", "nir08", *swir)
    wide = "nir" in granule.bands and granule.format != "hls" and parameters.s2_nir == "B8"
    narrow_only = "nir08" not in granule.bands and "nir" in granule.bands and granule.format == "stack"
    return (*visible, "nir" if wide or narrow_only else "nir08", *swir)


def archive_inputs(parameters: Water, learns: Sequence[str]) -> list[Input]:
    """Water occurrence, and height above drainage where land is taught or water is cut by it (then it is required)."""
    warp, taught, is_cut = parameters.aux_resample, "forest" in learns, parameters.hand_cut_m is not None
    steps: Any = (("sample",) if taught else ()) + (("survey",) if is_cut else ())
    found: list[Input] = [
        Static(
            "gsw_occurrence",
            required=False,
            warp="nearest",
            allow_warp=warp,
            valid=(0, 100),
            step=("sample", "survey") if taught else "survey",
        )
    ]
    if steps:
        found.append(Static("hand", "float32", required=is_cut, warp="bilinear", allow_warp=warp, step=steps))
    return found


def water_gate(parameters: Water) -> Sequence[str]:
    """Pixels that cannot be used; the exact profiles make their product whatever they see."""
    if parameters.exact:
        return ()
    roles = dict.fromkeys(("invalid", *parameters.mask_out_roles))
    return tuple(meaning for role in roles for meaning in _MEANINGS[role])


def survey(scene: Scene, parameters: Water) -> Noted:
    """Probability and state of each pixel."""
    if parameters.exact:
        return Noted()
    learnt: Learnt = scene.settled
    block = make_block(scene, parameters)
    predicted = DETECTORS[learnt.detector].predict(block, learnt.model)
    prob, state = decide(block, predicted, learnt.detector)
    tests = block.tests[block.own]
    valid, differ = decision.tally(prob, tests, state, parameters.prob_threshold)
    counts = {"valid": valid, "asked": predicted.asked, "disagree": differ}
    return Noted({"prob": prob, "state": state}, {name: np.array(count) for name, count in counts.items()})


def decide(block: Block, predicted: Predicted, detector: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Probability and state of the rows of a block, without neighbours: masks, spectral veto, terrain cuts."""
    scene, parameters = block.scene, block.parameters
    # Copies: what is carried must not keep the neighbours alive.
    prob, state = predicted.prob[block.own].copy(), predicted.hidden[block.own].copy()
    decision.decide(
        prob,
        block.tests[block.own],
        block.roles[block.own],
        own_rows(scene, "gsw_occurrence", 255, np.uint8),
        ground_of(scene, parameters, detector),
        np.uint16(masked_by(parameters, detector)),
        np.uint8(parameters.prob_threshold),
        np.uint8(parameters.terrain_exempt_occ),
        np.uint8(samples.SNOW_LIKE if parameters.snow_veto else 0),
        state,
    )
    return prob, state


def ground_of(scene: Scene, parameters: Water, detector: str) -> NDArray[np.uint8]:
    """Where water is cut for the height above drainage or the slope."""
    ground = np.zeros(scene.shape, np.uint8)
    if parameters.hand_cut_m is not None:
        decision.mark_high(own_rows(scene, "hand", -9999, np.float32), parameters.hand_cut_m, ground)
    if parameters.slope_cut_deg is not None and detector != "wofs":
        mark_ground_steep(scene, scene.rows[0], ground, parameters.slope_cut_deg)
    return ground


def settle(tile: Tileful, parameters: Water) -> Settled:
    """Gaps, holes and small areas of the whole tile, and water where the archive knows of none."""
    if parameters.exact:
        return Settled(tile.settled, {})
    counts = {name: int(total) for name, total in tile.totals.items()}
    if not counts["valid"]:
        raise NoData(f"{tile.granule.path}: not one valid pixel")
    reshape_water(tile, parameters)
    if "gsw_occurrence" in tile.available and parameters.gsw_touch != "off":
        flag_new_water(tile.carry["state"], delete=parameters.gsw_touch == "delete")
    return Settled(tile.settled, counts)


def reshape_water(tile: Tileful, parameters: Water) -> None:
    """Closing, then holes, then small areas, where they are asked for."""
    if parameters.closing_radius or parameters.fill_holes_px:
        whole = np.concatenate(tile.carry["state"])
        if parameters.closing_radius:
            decision.close_gaps(whole, parameters.closing_radius)
        if parameters.fill_holes_px:
            fill_holes(whole, parameters.fill_holes_px)
        tile.carry["state"][:] = [whole[first:last] for first, last in tile.strips]
    if parameters.min_area_px:
        remove_small(tile.carry["state"], parameters.min_area_px)


_KIND = decision.MASKED | decision.WATER


def fill_holes(whole: NDArray[np.uint8], least: int) -> None:
    """Land of fewer pixels that water surrounds on all sides becomes water, but for pixels that are not to be water.

    Beside a masked pixel or the edge of the tile nobody knows how large a hole is: it stays.
    """
    holes = areas.find_areas([whole], _KIND, 0, areas.SIDES)
    is_open = holes.that_have(areas.mark_open(whole, holes, decision.MASKED))
    put = decision.WATER | decision.CHANGED
    areas.paint([whole], holes, ~is_open & (holes.sizes() < least), 0, put, decision.CAUSE)


def remove_small(strips: Sequence[NDArray[np.uint8]], least: int) -> None:
    """Water of fewer pixels becomes land."""
    waters = areas.find_areas(strips, _KIND, decision.WATER, areas.CORNERS)
    areas.paint(strips, waters, waters.sizes() < least, decision.WATER, decision.CHANGED)


def flag_new_water(strips: Sequence[NDArray[np.uint8]], *, delete: bool) -> None:
    """Mark water of which the archive has not seen one pixel, and remove it where it is to be deleted."""
    waters = areas.find_areas(strips, _KIND, decision.WATER, areas.CORNERS)
    known = waters.that_have(areas.mark(strips, waters, decision.SUPPORT))
    areas.paint(strips, waters, ~known, decision.WATER if delete else 0, decision.NEW)


def apply(scene: Scene, parameters: Water) -> Strip:
    """Surface water with its probability, source and reasons."""
    if parameters.exact:
        return exact_strip(scene, parameters)
    settled: Settled = scene.settled
    water, source, reason = (np.empty(scene.shape, dtype) for dtype in (np.uint8, np.uint8, np.uint16))
    counts = decision.write(
        scene.prob,
        scene.state,
        np.uint16(DETECTORS[settled.learnt.detector].of_place),
        np.uint16(decision.NO_TRAINING if settled.learnt.untrained else 0),
        np.uint8(source_bits(scene.granule)),
        water,
        source,
        reason,
    )
    return Strip(
        {"water": water, "prob": scene.prob, "source": source, "reason": reason},
        {name: np.array(count) for name, count in zip(("valid", "water"), counts, strict=True)},
    )


def exact_strip(scene: Scene, parameters: Water) -> Strip:
    """Layers of a conformance profile."""
    if parameters.profile == DSWX:
        layers = dswx_layers(scene, parameters)
        return Strip(layers, _totals(layers["bwtr"] <= 1, layers["bwtr"] == 1))
    layers = wofs_layers(scene, parameters)
    return Strip(layers, _totals((layers["wofl"] & 127) == 0, layers["wofl"] == 128))


def _totals(valid: NDArray[np.bool_], water: NDArray[np.bool_]) -> dict[str, NDArray[np.int64]]:
    return {name: np.array(np.count_nonzero(plane)) for name, plane in (("valid", valid), ("water", water))}


def conclude(tile: Tileful, parameters: Water) -> Conclusion:
    """Shares of valid and of water pixels, and which detector decided, trained on what."""
    rows, columns = tile.grid.shape
    valid, wet = (int(tile.totals[name]) for name in ("valid", "water"))
    properties: dict[str, Any] = {
        "water:profile": parameters.profile,
        "water:detector": parameters.detector,
        "water:valid_fraction": valid / (rows * columns),
        "water:water_fraction": wet / valid if valid else None,
        "water:reflectance": "top-of-atmosphere" if tile.granule.level == "L1C" else "surface",
    }
    if not parameters.exact:
        properties |= training_properties(tile, tile.settled, parameters)
    return Conclusion(properties, empty=valid == 0, models=kept_models(tile, parameters))


def kept_models(tile: Tileful, parameters: Water) -> dict[str, dict[str, NDArray[Any]]]:
    """The forest that the product is to carry."""
    grown = tile.settled.learnt.grown if parameters.write_model and not parameters.exact else None
    if grown is None:
        return {}
    origin = {"tile": tile.granule.tile, "date": tile.granule.sensed.isoformat()}
    return {"forest_model": kept_forest(grown, parameters, origin)}


def training_properties(tile: Tileful, settled: Settled, parameters: Water) -> dict[str, Any]:
    """What is said of the detector, its model and the pixels for which it was not needed."""
    learnt, counts = settled.learnt, settled.counts
    models = learnt.model is not None
    certain = counts["valid"] - counts["asked"] if models else None
    training = {**learnt.training, "n_disagree": counts["disagree"]}
    if models:
        training |= {"n_gated": certain, "n_asked": counts["asked"]}
    return {
        "water:detector_used": learnt.detector,
        "water:detector_version": DETECTORS[learnt.detector].version,
        "water:fallback": [{"detector": one.detector, "reason": one.reason} for one in learnt.fallbacks],
        "water:untrained": learnt.untrained,
        "water:seed": parameters.seed,
        "water:certain_fraction": certain / counts["valid"] if certain is not None else None,
        "water:occurrence_known": "gsw_occurrence" in tile.available,
        "water:training": training,
    }


water = chain(
    "water",
    version="1.0",
    inputs=water_inputs,
    outputs=LAYERS,
    parameters=Water,
    grid="finest",
    halo=halo_of,
    sample=gather,
    learn=learn,
    survey=survey,
    settle=settle,
    conclude=conclude,
    gate=water_gate,
    names=water_names,
    levels=("L2A", "L1C"),
    codes={"missing": "E_INPUT", "grid": "E_GRID"},
    main=("water", "wtr", "wofl"),
    summary=("water:detector_used", "water:water_fraction", "water:valid_fraction"),
    references=(
        "https://doi.org/10.3390/rs13163279",
        "https://doi.org/10.1016/j.rse.2020.112209",
        "https://doi.org/10.1038/nature20584",
        "https://doi.org/10.1016/j.rse.2015.11.003",
    ),
)(apply)
