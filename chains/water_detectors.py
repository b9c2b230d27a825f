"""Detectors of water behind one contract: from a block of pixels, and a model if it has one, to probabilities.

`predict` is pure, per block and safe in threads. What it masks itself (ocean, snow that grew under clouds, steep ground
of WOfS) it says in the bits ``HIDDEN_BY_`` of `thalweg.kernels.water`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.chains.water_parameters import ROLES, Water
from thalweg.errors import BadInput
from thalweg.inputs import NO_DATA, Codes, Input, Model, Static
from thalweg.kernels import cluster, dswx, forest, samples, water, wofs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.granule import Granule, Sun
    from thalweg.scene import Scene

    Bands = tuple[
        NDArray[np.int16],
        NDArray[np.int16],
        NDArray[np.int16],
        NDArray[np.int16],
        NDArray[np.int16],
        NDArray[np.int16],
    ]

LANDSAT_DISC = 12.25
"""Squared radius of the disc by which WOfS grows cloud shadows of Landsat: 7 x 7 pixels."""

_YEAR = re.compile(r"20\d\d")


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of a tile, with the neighbours that exist, all columns."""

    scene: Scene
    """Where they come from."""
    parameters: Water
    """Of the run."""
    first: int
    """First row, neighbours included."""
    bands: Bands
    """Blue, green, red, near infrared, short-wave infrared 1 and 2, DN4."""
    roles: NDArray[np.uint16]
    """Mask roles; `invalid` where a band has no data too."""
    tests: NDArray[np.uint8]
    """Bits of the spectral tests."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, neighbours included."""
        rows, columns = self.roles.shape
        return (rows, columns)

    @property
    def own(self) -> slice:
        """The rows without neighbours."""
        start, stop = self.scene.rows
        return slice(start - self.first, stop - self.first)

    def layer(self, name: str, times: int = 1) -> NDArray[Any]:
        """An input on the rows of the block, `times` as fine."""
        return existing(self.scene, name, times)


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a detector says of a block."""

    prob: NDArray[np.uint8]
    """Percent, 255 where it decides nothing."""
    hidden: NDArray[np.uint8]
    """What hides the ground from it alone, bits ``HIDDEN_BY_``."""
    asked: int
    """Pixels for which a model was asked."""


@dataclass(frozen=True, slots=True)
class Detector:
    """A way to tell water from land."""

    id: str
    """Its name as a parameter."""
    version: str
    """Changes when its results may."""
    learns: bool
    """True where it learns from a sample of the tile."""
    inputs: Callable[[Water, Granule | None], Sequence[Input]]
    """What it requires beside the six bands, the mask roles and the occurrence."""
    halo: Callable[[Water, Granule | None], int]
    """Neighbours that it needs."""
    predict: Callable[[Block, Any], Predicted]
    """From block and model to probabilities."""
    of_place: int = 0
    """REASON of what it masks for the place where it lies."""
    exact_profile: str | None = None
    """The profile in which it gives the layers of the program that it is named after."""


def existing(scene: Scene, name: str, times: int = 1) -> NDArray[Any]:
    """An input without the rows and columns that the engine put beyond the edges of the tile."""
    values = scene[name]
    halo = (values.shape[1] // times - scene.grid.shape[1]) // 2
    if halo == 0:
        return values
    above = max(halo - scene.rows[0], 0) * times
    below = max(scene.rows[1] + halo - scene.grid.shape[0], 0) * times
    beside = halo * times
    return np.ascontiguousarray(values[above : values.shape[0] - below, beside : values.shape[1] - beside])


def roles_of(scene: Scene, parameters: Water) -> NDArray[np.uint16]:
    """Mask roles of a strip with its neighbours, clouds grown where the parameters ask for it."""
    if "roles" not in scene:
        halo = halo_of(parameters, scene.granule)
        first, last = max(scene.rows[0] - halo, 0), min(scene.rows[1] + halo, scene.grid.shape[0])
        return np.zeros((last - first, scene.grid.shape[1]), np.uint16)
    roles = existing(scene, "roles")
    radius = float(parameters.mask_dilate_px**2)
    if radius:
        roles = _grown(_grown(roles, water.CLOUD, radius), water.CLOUD_SHADOW, radius)
    if parameters.detector == "wofs" and scene.granule.format == "landsat":
        roles = _grown(roles, water.CLOUD_SHADOW, LANDSAT_DISC)
    return roles


def _grown(roles: NDArray[np.uint16], bit: int, squared_radius: float) -> NDArray[np.uint16]:
    grown = np.empty(roles.shape, np.uint8)
    wofs.dilate(((roles & bit) != 0).astype(np.uint8), squared_radius, grown)
    return roles | grown.astype(np.uint16) * np.uint16(bit)


def halo_of(parameters: Water, granule: Granule | None) -> int:
    """Neighbours that the chain needs: of the detectors, and of growing masks."""
    wanted = [DETECTORS[name].halo(parameters, granule) for name in parameters.chosen]
    return max(*wanted, 0) + parameters.mask_dilate_px


def make_block(scene: Scene, parameters: Water) -> Block:
    """The bands, masks and spectral tests of a strip."""
    nir = "nir" if "nir" in scene else "nir08"
    blue, green, red, infrared, swir1, swir2 = (
        existing(scene, name) for name in ("blue", "green", "red", nir, "swir16", "swir22")
    )
    bands = (blue, green, red, infrared, swir1, swir2)
    roles = np.empty(blue.shape, np.uint16)
    water.mark_invalid(bands, NO_DATA, roles_of(scene, parameters), roles)
    tests = np.empty(roles.shape, np.uint8)
    samples.spectral_tests(bands, parameters.limits().as_array(), tests)
    first = max(scene.rows[0] - halo_of(parameters, scene.granule), 0)
    return Block(scene, parameters, first, bands, roles, tests)


def masked_by(parameters: Water, detector: str) -> int:
    """Bits of the roles under which nothing is decided; dswx masks what its product masks."""
    roles = {"invalid", *parameters.mask_out_roles}
    if detector == "dswx":
        roles |= {"cloud", "cloud_shadow", "snow"}
        roles |= {"adjacent"} if parameters.adjacent_mode == "mask" else set()
    if detector == "wofs":
        roles |= {"cloud", "cloud_shadow"}
    return sum(1 << ROLES.index(role) for role in roles)


def sun_of(granule: Granule) -> Sun:
    """The mean sun of a granule; BadInput where it has none above the horizon."""
    sun = granule.sun
    if sun is None or not 0 <= sun.zenith < 90:
        said = "has no sun angles" if sun is None else f"has a sun zenith of {sun.zenith:g} degrees"
        raise BadInput(f"{granule.path}: {said} in its metadata, and relief shadow needs them", id="E_SUN")
    return sun


def relief(scene: Scene, first: int, last: int) -> tuple[NDArray[np.float32], int, int]:
    """Elevation of rows and of those beside them, NaN where unknown; row and column of the first pixel."""
    layer = scene.whole["dem"]
    top = layer.row + first
    start = max(top - 1, 0)
    heights = layer.values[start : layer.row + last + 1].copy()
    if layer.nodata is not None:
        heights[heights == layer.nodata] = np.nan
    return np.ascontiguousarray(heights, np.float32), top - start, layer.column


# --- dswx -----------------------------------------------------------------------------------------------------------


def dswx_inputs(parameters: Water, granule: Granule | None) -> list[Input]:
    """Fmask of HLS, and the static layers of relief shadow, land cover and ocean that are asked for."""
    warp = parameters.aux_resample
    inputs: list[Input] = []
    step: Any = "apply" if parameters.exact else "survey"
    if granule is not None and granule.format == "hls":
        inputs.append(Codes("fmask", "cloud", step=step))
    if parameters.dswx_land:
        inputs.append(Static("worldcover", warp="nearest", allow_warp=warp, finer=3, step=step))
        inputs.append(Static("cgls", warp="nearest", allow_warp=warp, step=step))
    if parameters.dswx_shad:
        inputs.append(dem_input(parameters))
    if parameters.ocean_mask:
        inputs.append(Static("ocean_land", warp="nearest", allow_warp=warp, step=step))
    return inputs


def dem_input(parameters: Water) -> Static:
    """The elevation model, with what it holds around the tile."""
    return Static(
        "dem",
        "float32",
        whole=True,
        margin=True,
        warp="cubic_spline",
        allow_warp=parameters.aux_resample,
        step="survey",
    )


def dswx_halo(parameters: Water, granule: Granule | None) -> int:
    """Only mode `cover` looks around."""
    return dswx.COVER_HALO if parameters.adjacent_mode == "cover" else 0


def dswx_rules(parameters: Water, fmask_fill: int) -> dswx.Rules:
    """How the bands and Fmask are read."""
    reading = dswx.FmaskRules(parameters.adjacent_mode)
    percents = dswx.Probabilities.partial_as_water() if parameters.partial_as_water else dswx.Probabilities()
    return dswx.Rules(
        fmask=reading if parameters.aerosol_remap else reading.without_aerosol(),
        percents=percents,
        fill=NO_DATA,
        fmask_fill=fmask_fill,
    )


def fmask_of(block: Block) -> tuple[NDArray[np.uint8], int]:
    """Fmask, or what the mask roles say in its terms, and its fill."""
    if "fmask" in block.scene:
        nodata = block.scene.nodata.get("fmask")
        return block.layer("fmask"), -1 if nodata is None else int(nodata)
    fmask = np.empty(block.shape, np.uint8)
    dswx.fmask_of_roles(block.roles, fmask)
    return fmask, dswx.FMASK_FILL


def land_of(block: Block) -> NDArray[np.uint8]:
    """LAND of a block."""
    land = np.empty(block.shape, np.uint8)
    year = map_year(block.scene.tags.get("worldcover", {})) - 2000
    dswx.land_classes(block.layer("worldcover", 3), block.layer("cgls"), year, land)
    return land


def lit_of(block: Block) -> NDArray[np.uint8]:
    """SHAD of a block."""
    lit = np.empty(block.shape, np.uint8)
    sun = sun_of(block.scene.granule)
    heights, top, left = relief(block.scene, block.first, block.first + block.shape[0])
    pixel = block.scene.grid.resolution
    dswx.light(heights, top, left, lit, zenith=sun.zenith, azimuth=sun.azimuth, pixel=pixel)
    return lit


def map_year(tags: Mapping[str, str]) -> int:
    """Year of a land cover map, 2000 to 2099: the middle of its time span, else the one that it is described by."""
    try:
        span = [datetime.strptime(tags[key], "%Y-%m-%dT%H:%M:%SZ") for key in ("time_start", "time_end")]
        year = (span[0] + (span[1] - span[0]) / 2).year
    except (KeyError, ValueError):
        found = _YEAR.search(tags.get("TIFFTAG_IMAGEDESCRIPTION", ""))
        year = int(found[0]) if found else 2000
    return year if 2000 <= year <= 2099 else 2000


def classify(
    block: Block,
    names: Sequence[str],
    land: NDArray[np.uint8] | None,
    lit: NDArray[np.uint8] | None,
    diag: NDArray[np.uint16] | None = None,
) -> NDArray[np.uint8]:
    """Layers of DSWx-HLS of a block, uint8 (layers, h, w), and DIAG into `diag`; LAND or SHAD of None are off."""
    fmask, fill = fmask_of(block)
    layers = np.empty((len(names), *block.shape), np.uint8)
    ground = ground_of(block, land, lit)
    dswx.classify(block.bands, fmask, ground, names, layers, diag, dswx_rules(block.parameters, fill))
    return layers


def ground_of(
    block: Block, land: NDArray[np.uint8] | None, lit: NDArray[np.uint8] | None
) -> NDArray[np.uint8]:
    """What DSWx-HLS must know of the ground; None: off."""
    if land is None and lit is None and not block.parameters.ocean_mask:
        return np.full(block.shape, dswx.PLAIN, np.uint8)
    ones, ground = np.ones(block.shape, np.uint8), np.empty(block.shape, np.uint8)
    is_land = block.layer("ocean_land") if block.parameters.ocean_mask else ones
    classes = np.full(block.shape, 255, np.uint8) if land is None else land
    dswx.mark_ground(classes, ones if lit is None else lit, is_land, ground)
    return ground


def predict_dswx(block: Block, _model: None = None) -> Predicted:
    """Nominal percentages of the classes of DSWx-HLS."""
    land = land_of(block) if block.parameters.dswx_land else None
    lit = lit_of(block) if block.parameters.dswx_shad else None
    prob, wtr = classify(block, ("PROB", "WTR"), land, lit)
    hidden = np.empty(block.shape, np.uint8)
    water.hidden_in_dswx(wtr, prob, hidden)
    return Predicted(prob, hidden, 0)


# --- wofs -----------------------------------------------------------------------------------------------------------


def wofs_inputs(parameters: Water, granule: Granule | None) -> list[Input]:
    """The elevation model, where terrain flags are asked for."""
    return [dem_input(parameters)] if parameters.wofs_terrain else []


def wofs_halo(parameters: Water, granule: Granule | None) -> int:
    """Cloud shadows of Landsat grow by three pixels."""
    return 3 if granule is not None and granule.format == "landsat" and parameters.detector == "wofs" else 0


def wofs_terrain(block: Block) -> NDArray[np.uint8]:
    """Flags of grazing sun and steep slopes, 0 where they are off."""
    flags = np.zeros(block.shape, np.uint8)
    if block.parameters.wofs_terrain:
        sun = sun_of(block.scene.granule)
        heights, top, left = relief(block.scene, block.first, block.first + block.shape[0])
        pixel = block.scene.grid.resolution
        wofs.terrain_flags(heights, top, left, flags, zenith=sun.zenith, azimuth=sun.azimuth, pixel=pixel)
    return flags


def predict_wofs(block: Block, _model: None = None) -> Predicted:
    """90 % where the tree of WOfS says water, 10 % elsewhere."""
    prob = np.empty(block.shape, np.uint8)
    wofs.observe(block.bands, _wofs_table(90, 10), prob)
    hidden = wofs_masks(block)
    prob[hidden != 0] = water.UNDECIDED
    return Predicted(prob, hidden, 0)


def wofs_masks(block: Block) -> NDArray[np.uint8]:
    """Grazing sun and steep slopes, where they are asked for, in the bits ``HIDDEN_BY_``."""
    parameters, hidden = block.parameters, np.zeros(block.shape, np.uint8)
    if parameters.wofs_terrain:
        flags = wofs_terrain(block)
        hidden |= ((flags & wofs.LOW_SUN) != 0).astype(np.uint8) * np.uint8(water.HIDDEN_BY_SUN)
        hidden |= ((flags & wofs.STEEP) != 0).astype(np.uint8) * np.uint8(water.HIDDEN_BY_PLACE)
    if parameters.slope_cut_deg is not None:
        steep = np.zeros(block.shape, np.uint8)
        mark_ground_steep(block.scene, block.first, steep, parameters.slope_cut_deg)
        hidden |= (steep != 0).astype(np.uint8) * np.uint8(water.HIDDEN_BY_PLACE)
    return hidden


def mark_ground_steep(scene: Scene, first: int, ground: NDArray[np.uint8], max_slope: float) -> None:
    """Mark the pixels of rows from `first` that are steeper than `max_slope`, degrees."""
    heights, top, left = relief(scene, first, first + ground.shape[0])
    water.mark_steep(heights, top, left, ground, pixel=scene.grid.resolution, max_slope=max_slope)


@cache
def _wofs_table(wet: int, dry: int) -> NDArray[np.uint8]:
    return wofs.wet_table(wet, dry)


# --- those that learn -----------------------------------------------------------------------------------------------


def predict_cluster(block: Block, model: cluster.ClusterModel) -> Predicted:
    """Posterior of the water clusters; certain land and certain other things are not asked for."""
    prob = np.empty(block.shape, np.uint8)
    asked = cluster.predict(
        block.bands,
        block.tests,
        block.roles,
        model,
        prob,
        masked_by=masked_by(block.parameters, "cluster"),
        known=cluster.gate(),
    )
    return Predicted(prob, np.zeros(block.shape, np.uint8), asked)


def predict_forest(block: Block, model: forest.CompiledForest) -> Predicted:
    """Mean share of water of the trees; certain land is not asked for."""
    prob = np.empty(block.shape, np.uint8)
    asked = forest.predict(
        block.bands,
        block.tests,
        block.roles,
        model,
        prob,
        masked_by=masked_by(block.parameters, "forest"),
        known=forest.gate(0 if block.parameters.certain_land_gate else None),
    )
    return Predicted(prob, np.zeros(block.shape, np.uint8), asked)


def forest_model_inputs(parameters: Water, granule: Granule | None) -> list[Input]:
    """The forest that an operator installed: required where the user wants no other."""
    return [Model("forest_model", required=parameters.train == "static")]


def _nothing_more(parameters: Water, granule: Granule | None) -> list[Input]:
    return []


def _no_halo(parameters: Water, granule: Granule | None) -> int:
    return 0


DETECTORS: Mapping[str, Detector] = {
    detector.id: detector
    for detector in (
        Detector("forest", "1", True, _nothing_more, _no_halo, predict_forest),
        Detector("forest_model", "1", False, forest_model_inputs, _no_halo, predict_forest),
        Detector("cluster", "1", True, _nothing_more, _no_halo, predict_cluster),
        Detector("dswx", "1", False, dswx_inputs, dswx_halo, predict_dswx, water.OCEAN, "dswx-conformance"),
        Detector("wofs", "1", False, wofs_inputs, wofs_halo, predict_wofs, water.SLOPE, "wofs-conformance"),
    )
}
"""Every detector by its id."""
