"""One strip of the water-quality chain: flags of all pixels, then batches of those that are worth computing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from thalweg.chains import quality_sources as sources
from thalweg.chains.quality_layers import FLAGS, Stored
from thalweg.chains.quality_numbers import FRESNEL
from thalweg.chains.quality_parameters import Quality
from thalweg.chains.quality_recipe import Instrument, Menu
from thalweg.errors import BadInput
from thalweg.kernels import colour, deglint, packing, pixels
from thalweg.kernels import quality as fused
from thalweg.kernels import quality_flags as flags
from thalweg.kernels.recipe import BANDS
from thalweg.kernels.reflectance import (
    Numbers,
    Rho,
    Rrs,
    exact_decoding,
    gather_counts,
    gather_scaled,
    gather_values,
)
from thalweg.kernels.transparency import GREATEST_ZENITH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.raster import Packing
    from thalweg.scene import Scene

HIGH_SWIR = 0.2
"""Reflectance at 2190 nm above which a pixel is no water."""

ALIGNED = 64
"""Bytes of a cache line, at which each layer begins."""

USUAL_ZENITH = 30.0
"""Zenith angle of the sun where a product says nothing, degrees."""

_SWIR = ("B11", "B12")
_COUNTS = (np.dtype("int16"), np.dtype("uint16"), np.dtype("int32"))
_NONE = -(2**40)


Reader = Callable[["NDArray[np.int32]", Numbers], None]
"""Fills numbers with the decoded pixels of an index."""

Writer = Callable[["NDArray[Any]", "NDArray[np.int32]"], int]
"""Stores values at the pixels of an index, and says how many there are."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done to every strip of a granule."""

    menu: Menu
    """What is computed and written."""
    instrument: Instrument
    """Sensor and bands."""
    masked: int
    """Flags of pixels that are not computed."""
    water: str
    """Where land comes from: file, product, surfwater, flags or none."""
    zenith: float
    """Zenith angle of the sun where the granule does not give it for each pixel, degrees."""
    deglint: bool
    """Whether sun glint is taken off."""
    unit: float
    """1 where bands are stored as R, pi where they are stored as rho."""
    precision: Literal["float32", "float64"]
    """What bands are decoded to, and all is computed in."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a strip became."""

    layers: Mapping[str, NDArray[Any]]
    """Layer to stored numbers."""
    valid: Mapping[str, int]
    """Layer of the menu to the pixels that have a value."""
    computed: int
    """Pixels that were computed."""
    hues_outside: int
    """Pixels whose hue lies outside the domain of its correction."""
    low_suns: int
    """Pixels over which the sun is too low."""


def make_strip(scene: Scene, plan: Plan, parameters: Quality) -> Made:
    """The layers of a strip."""
    words = mark_pixels(scene, plan, parameters)
    out = blank_layers(plan.menu.stored, scene.shape)
    writers = {name: writer_of(stored, out[name]) for name, stored in plan.menu.stored.items()}
    valid, computed, outside, low = dict.fromkeys(writers, 0), 0, 0, 0
    for index, batch in batches(scene, plan, words):
        found = fused.compute(plan.menu.recipe, batch)
        pixels.scatter_words(batch.words, index, words.reshape(-1))
        for name, write in writers.items():
            valid[name] += write(found[name], index)
        computed += index.size
        outside += _hues_outside(plan, found)
        low += int(np.count_nonzero(~(batch.zenith <= GREATEST_ZENITH)))
    masked = plan.masked | flags.MISSING
    pixels.finish_words(words.reshape(-1), masked, flags.OF_INPUT, words.reshape(-1))
    return Made({**out, "quality_flags": words}, valid, computed, outside, low)


def make_public(scene: Scene, plan: Plan) -> Made:
    """The layers of GRSl2bgen: wherever there is input, whatever its flags."""
    codes = np.ascontiguousarray(_inside(scene, scene["flags"])).astype(np.int32, copy=False)
    words = np.zeros(scene.shape, np.uint32)
    out = blank_layers(plan.menu.stored, scene.shape)
    writers = {name: writer_of(stored, out[name]) for name, stored in plan.menu.stored.items()}
    valid, computed = dict.fromkeys(writers, 0), 0
    for index, batch in batches(scene, plan, words):
        found = fused.compute(plan.menu.recipe, batch)
        for name, write in writers.items():
            valid[name] += write(found[name], index)
        computed += index.size
    mask = np.empty(scene.shape, np.uint8)
    flags.mask_unlike(codes.reshape(-1), sources.GRS_WATER, sources.GRS_BAD, mask.reshape(-1))
    return Made({**out, "flags": codes, "mask": mask}, valid, computed, 0, 0)


def _inside(scene: Scene, padded: NDArray[Any]) -> NDArray[Any]:
    """A padded input without its halo."""
    rows, columns = scene.shape
    halo = (padded.shape[1] - columns) // 2
    return padded[halo : halo + rows, halo : halo + columns]


def _hues_outside(plan: Plan, found: Mapping[str, NDArray[Any]]) -> int:
    table = plan.menu.recipe.hue
    if table is None or "hue" not in found:
        return 0
    return int(colour.count_outside(found["alpha"], found["hue"], *table.domain))


def blank_layers(stored: Mapping[str, Stored], shape: tuple[int, int]) -> dict[str, NDArray[Any]]:
    """Layers of nodata in one piece of memory, which the system hands out in large pages, at a tenth of the cost."""
    sizes = {name: np.dtype(each.layer.dtype).itemsize * math.prod(shape) for name, each in stored.items()}
    places = [0, *accumulate(-(-size // ALIGNED) * ALIGNED for size in sizes.values())]
    memory, layers = np.empty(places[-1], np.uint8), {}
    for place, (name, each) in zip(places, stored.items(), strict=False):
        nodata = each.layer.nodata
        layers[name] = memory[place : place + sizes[name]].view(each.layer.dtype).reshape(shape)
        layers[name].fill(0 if nodata is None else nodata)
    return layers


def writer_of(stored: Stored, out: NDArray[Any]) -> Writer:
    """What packs values as a layer is stored, and puts them where an index says."""
    layer, flat = stored.layer, out.reshape(-1)
    if stored.kind == "codes":
        absent = -1 if layer.nodata is None else int(layer.nodata)
        return lambda values, index: packing.scatter_codes(values, index, absent, flat)
    if layer.dtype == "float32":
        return lambda values, index: packing.scatter_rounded(values, index, flat)
    if stored.kind == "log":
        return lambda values, index: packing.scatter_log(values, index, flat)
    scale, nodata = layer.scale, float(layer.nodata or 0)
    return lambda values, index: packing.scatter_linear(values, index, scale, nodata, flat)


def mark_pixels(scene: Scene, plan: Plan, parameters: Quality) -> NDArray[np.uint32]:
    """Flags that need no computation, land around included."""
    around, top = _mark_sources(scene, plan, parameters)
    height = scene.shape[0]
    words = np.ascontiguousarray(around[top : top + height])
    for distance, word in ((parameters.adjacency_px, flags.ADJACENCY), (1, flags.MIXED_PIXEL)):
        if distance:
            flags.mark_near_land(around, top, distance, word, words)
    flat = words.reshape(-1)
    for band in sources.MISSING_BANDS:
        _mark_missing(scene, sources.ROLES[band], flat)
    if scene.granule.format != "grs" and "swir22" in scene:
        unit = math.pi if scene.granule.level == "Rrs" else 1.0
        _mark_above(scene, "swir22", HIGH_SWIR / unit, flags.HIGH_SWIR, flat)
    if "sun_glint" in scene:
        _mark_above(scene, "sun_glint", parameters.glint_max, flags.GLINT_HIGH, flat)
    return words


def _mark_sources(scene: Scene, plan: Plan, parameters: Quality) -> tuple[NDArray[np.uint32], int]:
    """Flags by the masks of the product and by whatever says where land is, with the rows around that exist."""
    rows, columns, top = _around(scene, parameters)
    words = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint32)
    flat = words.reshape(-1)

    def part(name: str, times: int = 1) -> NDArray[Any]:
        inside = scene[name][_times(rows, times), _times(columns, times)]
        return np.ascontiguousarray(inside)

    if "flags" in scene:
        _mark_grs(part("flags").astype(np.int32, copy=False).reshape(-1), plan, flat)
    elif "source" in scene:
        unmodelled = 0 if scene.granule.level in sources.WATER_LEAVING else flags.GLINT_NOT_MODELLED
        by_source = plan.water == "flags" and "classes" not in scene
        table = sources.source_words(by_source, unmodelled)
        flags.mark_by_code(part("source").reshape(-1), table, flat)
    else:
        words |= np.uint32(0 if scene.granule.level in sources.WATER_LEAVING else flags.GLINT_NOT_MODELLED)
    if plan.water == "flags" and "classes" in scene:
        table = sources.class_words(parameters.scl_water)
        flags.mark_by_code(part("classes").astype(np.uint8).reshape(-1), table, flat)
    elif plan.water == "file":
        flags.mark_by_code(part("water_mask").reshape(-1), sources.file_words(), flat)
    elif plan.water == "product":
        times = _finer(scene, parameters)
        water, reason = part("water_water", times), part("water_reason", times)
        flags.mark_by_water(water, reason.astype(np.uint16), sources.reason_words(), words)
    # The source's own nodata is never land, whoever says where land is.
    flags.withdraw(flat, flags.NODATA_IN, flags.LAND)
    return words, top


def _finer(scene: Scene, parameters: Quality) -> int:
    """How many pixels of the water product, across, there are in one of the scene."""
    return int(scene["water_water"].shape[1]) // (scene.shape[1] + 2 * halo_of(parameters))


def halo_of(parameters: Quality) -> int:
    """Neighbours that the flags of land need."""
    return max(parameters.adjacency_px, 1)


def _around(scene: Scene, parameters: Quality) -> tuple[slice, slice, int]:
    """Rows and columns of a padded mask that exist, and how many rows of these lie above the strip."""
    halo, (first, last) = halo_of(parameters), scene.rows
    top = min(halo, first)
    below = min(halo, scene.grid.shape[0] - last)
    return slice(halo - top, halo + last - first + below), slice(halo, halo + scene.shape[1]), top


def _times(lines: slice, times: int) -> slice:
    return slice(lines.start * times, lines.stop * times)


def _mark_grs(codes: NDArray[np.int32], plan: Plan, words: NDArray[np.uint32]) -> None:
    flags.mark_by_bits(codes, sources.grs_words(), words)
    if plan.water == "flags":
        flags.mark_unless(codes, sources.GRS_WATER, flags.LAND, words)
    elif plan.water == "surfwater":
        land = np.zeros(32, np.uint32)
        land[8] = flags.LAND
        flags.mark_by_bits(codes, land, words)


def _mark_missing(scene: Scene, role: str, words: NDArray[np.uint32]) -> None:
    band, nodata = scene[role].reshape(-1), scene.packings[role].nodata
    word = flags.NODATA_IN | flags.MISSING
    if band.dtype.kind == "f":
        words |= np.where(_blind(band, nodata), np.uint32(word), np.uint32(0))
    elif nodata is not None:
        flags.mark_nodata(_counts(band), int(nodata), word, words)


def _mark_above(scene: Scene, name: str, limit: float, word: int, words: NDArray[np.uint32]) -> None:
    values, packed = scene[name].reshape(-1), scene.packings[name]
    if values.dtype.kind == "f":
        above = (values * packed.scale + packed.offset > limit) & ~_blind(values, packed.nodata)
        words |= np.where(above, np.uint32(word), np.uint32(0))
        return
    nodata = _NONE if packed.nodata is None else int(packed.nodata)
    flags.mark_from(_counts(values), least_above(packed, limit), nodata, word, words)


def _blind(values: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    missing: NDArray[np.bool_] = ~np.isfinite(values)
    if nodata is not None and not math.isnan(nodata):
        missing |= values == nodata
    return missing


def least_above(packed: Packing, limit: float) -> int:
    """The least stored integer whose decoded value is above a limit."""
    start = math.floor((limit - packed.offset) / packed.scale * packed.pixels) - 2
    candidates = np.arange(start, start + 6, dtype=np.int32)
    values = np.empty(candidates.size)
    reader_of(candidates, packed, 1.0)(np.arange(candidates.size, dtype=np.int32), values)
    return int(candidates[np.argmax(values > limit)])


def batches(
    scene: Scene, plan: Plan, words: NDArray[np.uint32]
) -> Iterator[tuple[NDArray[np.int32], fused.Batch]]:
    """The pixels worth computing, some thousands at a time."""
    flat, masked = words.reshape(-1), plan.masked | flags.MISSING
    gather = _gatherer(scene, plan)
    places, start = np.empty(pixels.BATCH, np.int32), 0
    while start < flat.size:
        count, start = pixels.find_usable(flat, masked, start, places)
        if count:
            index = places[:count]
            yield index, gather(flat, index)


def _gatherer(scene: Scene, plan: Plan) -> Callable[[NDArray[np.uint32], NDArray[np.int32]], fused.Batch]:
    """What makes a batch of the pixels of a strip; all that does not depend on the pixels is found here, once."""
    used = plan.menu.recipe.bands | (set(_SWIR) if plan.deglint else set())
    roles = [(row, sources.ROLES[band]) for row, band in enumerate(BANDS) if band in used]
    readers = [
        (row, reader_of(scene[role], scene.packings[role], plan.unit)) for row, role in roles if role in scene
    ]
    by_pixel = plan.menu.recipe.by_sun and "sun_zenith" in scene
    zenith = reader_of(scene["sun_zenith"], scene.packings["sun_zenith"], 1.0) if by_pixel else None
    # One batch is done with before the next is gathered: all share the same memory. Rows without reader stay NaN.
    memory = np.full(len(BANDS) * pixels.BATCH, math.nan, plan.precision)
    suns = np.full(pixels.BATCH, plan.zenith, plan.precision)

    def gather(words: NDArray[np.uint32], index: NDArray[np.int32]) -> fused.Batch:
        rrs = memory[: len(BANDS) * index.size].reshape(len(BANDS), index.size)
        if index.size < pixels.BATCH:
            rrs[:] = math.nan
        for row, read in readers:
            read(index, rrs[row])
        own, sun = np.empty(index.size, np.uint32), suns[: index.size]
        pixels.gather_words(words, index, own)
        if plan.deglint:
            remove_glint(rrs, own)
        if zenith is not None:
            zenith(index, sun)
        return fused.Batch(Rrs(rrs), sun, own, _depth(scene, index, plan))

    return gather


def remove_glint(rrs: Numbers, words: NDArray[np.uint32]) -> None:
    """Take sun glint off B1 to B8A by the short-wave infrared, and the flag off the pixels where this was possible."""
    glint, row = np.empty_like(rrs[0]), np.empty_like(rrs[0])
    swir = [Rho(math.pi * rrs[BANDS.index(band)]) for band in _SWIR]
    deglint.swir_glint(*swir, *(FRESNEL[band] for band in _SWIR), glint)
    for number, band in enumerate(BANDS):
        if band not in _SWIR:
            deglint.remove_glint(Rho(math.pi * rrs[number]), glint, FRESNEL[band], Rho(row))
            rrs[number] = row / math.pi
    known = ~np.isnan(glint)
    words[known] &= ~np.uint32(flags.GLINT_NOT_MODELLED)


def _depth(scene: Scene, index: NDArray[np.int32], plan: Plan) -> Numbers | None:
    """Depth of the bottom, NaN where unknown; the halo of a static layer is left out."""
    if "bathymetry" not in scene:
        return None
    inside = _inside(scene, scene["bathymetry"]).reshape(-1)[index]
    return np.where(_blind(inside, scene.nodata.get("bathymetry")), math.nan, inside).astype(plan.precision)


def reader_of(stored: NDArray[Any], packed: Packing, unit: float) -> Reader:
    """What decodes the pixels of an index of an exact input and divides them by `unit`; NaN where nodata."""
    flat = stored.reshape(-1)
    if flat.dtype.kind == "f":
        return lambda index, out: _gather_floats(flat, index, packed, unit, out)
    nodata = _NONE if packed.nodata is None else float(packed.nodata)
    counts, exact = _counts(flat), exact_decoding(packed.scale, packed.offset)
    if exact is not None:
        added, divisor = (float(number * packed.pixels) for number in exact)
        return lambda index, out: gather_counts(counts, index, nodata, added, divisor, unit, out)
    scale, offset = packed.scale / packed.pixels, packed.offset
    return lambda index, out: gather_scaled(counts, index, nodata, scale, offset, unit, out)


def _gather_floats(
    stored: NDArray[Any], index: NDArray[np.int32], packed: Packing, unit: float, out: Numbers
) -> None:
    gather_values(stored, index, unit, out)
    if packed.nodata is not None and math.isfinite(packed.nodata):
        out[stored[index] == packed.nodata] = math.nan
    if (packed.scale, packed.offset) != (1.0, 0.0):
        out *= packed.scale
        out += packed.offset / unit


def _counts(stored: NDArray[Any]) -> NDArray[Any]:
    """Integers of a type that the kernels take."""
    if stored.dtype in _COUNTS:
        return stored
    if stored.dtype.itemsize > 4 or stored.dtype == np.uint32:
        raise BadInput(f"bands of type {stored.dtype} are not read; store them as 16-bit integers or floats")
    return stored.astype(np.int32)


def mask_word(parameters: Quality) -> int:
    """Flags of pixels that are not computed."""
    if not parameters.apply_mask:
        return 0
    return sum(1 << FLAGS.index(name) for name in set(parameters.mask_bits))
