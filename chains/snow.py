"""Snow: mask and fractional cover from one L2A granule, as Let-it-snow 1.11 makes them or with its defects corrected.

Survey, strip by strip: what each pixel may be (`state`), and the red band at coarse resolution. Settle, once: the snow
line from the histogram of elevations. Apply, strip by strip: clouds refined, pass 2 above the snow line, shaded snow
where relief casts a shadow, then the layers.

Detection: Gascoin et al. 2019, doi:10.5194/essd-11-493-2019; fraction: Gascoin et al. 2020, doi:10.3390/rs12182904;
reference program: Let-it-snow 1.11.0 (CNES/CESBIO, Apache-2.0).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.chain import Conclusion, Noted, Strip, chain
from thalweg.chains.snow_documents import lis_metadata
from thalweg.chains.snow_fractions import fractions, lis_fractions
from thalweg.chains.snow_inputs import snow_gate, snow_inputs, snow_names
from thalweg.chains.snow_layers import CLOUD, LAYERS, NODATA, SNOW, WATER
from thalweg.chains.snow_parameters import (
    Snow,
    barred,
    coarse_shape,
    gives_fraction,
    limits,
    mission_of,
    shaded_possible,
    wants_shaded,
    water_bits,
)
from thalweg.chains.snow_shadow import Shadow, find_shadow, relief_shadow
from thalweg.errors import BadInput, BadParameters, NoData
from thalweg.inputs import NO_DATA
from thalweg.kernels import components, resample, snowline
from thalweg.kernels import kept as candidates
from thalweg.kernels import snow as detection

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.granule import Granule
    from thalweg.scene import Scene, Tileful

_COMPLETE_DEM = 32768
_COUNTED = (SNOW, CLOUD, WATER, NODATA)


@dataclass(frozen=True, slots=True)
class Line:
    """The snow line of a tile."""

    elevation: int | None
    """Metres, None where no elevation bin qualifies."""
    rows: Sequence[Sequence[int]]
    """Histogram, a row a bin; of `lis-1.11` as LIS writes it."""
    text: str = ""
    """``LIS_HISTO.TXT``."""
    raw: NDArray[np.float64] | None = None
    """Snow lines of cells, NaN where there is none."""
    cells: NDArray[np.float64] | None = None
    """The same without gaps."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What the second step needs of the whole tile."""

    coarse: NDArray[np.int16]
    """Red at coarse resolution."""
    rows: NDArray[np.int32]
    """Coarse row of each row."""
    columns: NDArray[np.int32]
    """Coarse column of each column."""
    line: Line
    """Snow line and histogram."""
    fraction: float
    """Share of snow of pass 1."""
    second: bool
    """True where pass 2 is run."""
    shaded: bool
    """True where shaded snow is looked for."""
    shadow: Shadow | None
    """Sun and terrain, where the relief shadow is computed."""
    empty: bool
    """True where not one pixel is valid."""


def survey(scene: Scene, parameters: Snow) -> Noted:
    """What each pixel may be, and the sums from which the coarse red follows."""
    state = np.empty(scene.shape, np.uint16)
    shaded = "blue" in scene and "nir08" in scene
    detection.survey(
        scene.green,
        scene.red,
        scene.swir16,
        scene.blue if shaded else None,
        scene.nir08 if shaded else None,
        scene.cloud,
        water_bits(parameters)[scene.water] if "water" in scene else None,
        NO_DATA,
        limits(scene.granule, parameters),
        parameters.lis,
        state,
    )
    shape = coarse_shape(scene.granule, scene.grid.shape, parameters)
    sums = {name: np.zeros(shape, np.int64) for name in ("numerator", "denominator")}
    centre = np.zeros(shape, np.uint8)
    top, height = scene.rows[0], scene.grid.shape[0]
    resample.accumulate_coarse(
        scene.red, state, detection.WATER, top, height, NO_DATA, *sums.values(), centre
    )
    kept = {name: pack(state, scene[name]) for name in ("green", "swir16")}
    return Noted({"state": state, **kept}, {**sums, "centre": centre.astype(np.int64)})


def pack(state: NDArray[np.uint16], counts: NDArray[np.int16]) -> NDArray[np.int16]:
    """The counts of the pixels that may become snow."""
    packed = np.empty(candidates.count_candidates(state), np.int16)
    candidates.pack_candidates(state, counts, packed)
    return packed


def unpack(state: NDArray[np.uint16], packed: NDArray[np.int16]) -> NDArray[np.int16]:
    """Counts in their places, 0 where snow is impossible."""
    counts = np.empty(state.shape, np.int16)
    candidates.unpack_candidates(state, packed, counts)
    return counts


def settle(tile: Tileful, parameters: Snow) -> Settled:
    """Coarse red, pass 1.5, snow line and sun of the whole tile."""
    check_dem(tile, parameters)
    if parameters.rm_snow_inside_cloud:
        drop_patches(tile, parameters)
    census = take_census(tile, parameters)
    empty = not any(np.any((state & detection.NODATA) == 0) for state in tile.carry["state"])
    fraction = snowline.snow_fraction(census)
    if not parameters.lis and not census[:, :4].any():
        raise NoData(f"{tile.granule.path}: not one valid pixel beside water")
    second = fraction > parameters.fsnow_total_lim
    shaded = second and {"blue", "nir08"} <= tile.available
    shaded = shaded and shaded_possible(tile.granule, parameters, "relief_shadow" in tile.available)
    rows, columns = coarse_lines(tile, parameters)
    totals = tile.totals
    centre = totals["centre"].astype(np.uint8)
    return Settled(
        coarse=resample.settle_coarse(totals["numerator"], totals["denominator"], centre, NO_DATA),
        rows=rows,
        columns=columns,
        line=find_line(tile, census, parameters),
        fraction=fraction,
        second=second,
        shaded=shaded,
        shadow=find_shadow(tile, parameters) if shaded or wants_relief(tile, parameters) else None,
        empty=empty,
    )


def wants_relief(tile: Tileful, parameters: Snow) -> bool:
    """True where the relief shadow is shown for its own sake: among the expert layers of a granule that has a sun."""
    mission = mission_of(tile.granule, parameters)
    return parameters.write_expert and tile.granule.sun is not None and wants_shaded(parameters, mission)


def check_dem(tile: Tileful, parameters: Snow) -> None:
    """BadInput where the elevation model has not one valid pixel on the tile."""
    dem = tile.whole["dem"]
    if not parameters.lis and dem.nodata is not None and np.all(dem.within(tile.grid) == dem.nodata):
        raise BadInput("static layer 'dem': not one valid pixel on the tile", id="SNOW-DEM-01")


def dem_nodata(tile: Scene | Tileful, parameters: Snow) -> int | None:
    """Nodata of the elevation model; `lis-1.11` takes every stored number for an elevation."""
    nodata = tile.whole["dem"].nodata
    return None if parameters.lis or nodata is None else int(nodata)


def drop_patches(tile: Tileful, parameters: Snow) -> None:
    """Pass 1.5 on the kept state: snow of pass 1 that cloud surrounds becomes cloud."""
    state = np.concatenate(tile.carry["state"])
    components.drop_cloud_patches(
        state,
        parameters.rm_snow_inside_cloud_dilation_radius,
        parameters.rm_snow_inside_cloud_threshold,
        parameters.rm_snow_inside_cloud_min_area,
        barred(parameters),
    )
    tile.carry["state"][:] = [state[first:last] for first, last in tile.strips]


def take_census(tile: Tileful, parameters: Snow) -> NDArray[np.int64]:
    """Pixels by elevation and by what pass 1 found."""
    census = snowline.new_census()
    dem = tile.whole["dem"].within(tile.grid)
    for (first, last), state in zip(tile.strips, tile.carry["state"], strict=True):
        snowline.count_elevations(state, np.ascontiguousarray(dem[first:last]), barred(parameters), census)
    return census


def find_line(tile: Tileful, census: NDArray[np.int64], parameters: Snow) -> Line:
    """The snow line, of the tile or of cells too."""
    shares = parameters.fclear_lim, parameters.fsnow_lim
    if parameters.lis:
        found = snowline.lis_snowline(census, parameters.dz, *shares)
        return Line(found.elevation, histogram_rows(found.text), found.text)
    nodata = dem_nodata(tile, parameters)
    line = snowline.find_snowline(census, parameters.dz, parameters.zs_min_pixels, *shares, nodata)
    if parameters.zs_mode == "tile":
        return Line(line.elevation, line.rows)
    if parameters.zs_grid_m < 2 * tile.grid.resolution:
        raise BadParameters(
            f"snow.zs_grid_m = {parameters.zs_grid_m:g}: at least two pixels of {tile.grid.resolution:g}",
            id="SNOW-CFG-01",
        )
    raw = snowline.grid_snowlines(
        np.concatenate(tile.carry["state"]),
        np.ascontiguousarray(tile.whole["dem"].within(tile.grid)),
        barred(parameters),
        nodata,
        parameters.zs_grid_m,
        tile.grid.resolution,
        parameters.dz,
        parameters.zs_min_pixels,
        *shares,
    )
    return Line(line.elevation, line.rows, raw=raw, cells=snowline.fill_snowlines(raw, line.elevation))


def histogram_rows(text: str) -> list[list[int]]:
    """The rows of a ``LIS_HISTO.TXT``."""
    return [[int(number) for number in line.split(",")] for line in text.splitlines()[2:]]


def coarse_lines(tile: Tileful, parameters: Snow) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Which coarse row and column each row and column reads."""
    shape = coarse_shape(tile.granule, tile.grid.shape, parameters)
    if parameters.lis:
        return resample.coarse_lines_lis(tile.grid.shape, shape, tile.grid.resolution)
    return resample.coarse_lines(tile.grid.shape, shape)


def apply(scene: Scene, parameters: Snow) -> Strip:
    """Snow mask and fractional snow cover, as Let-it-snow 1.11 makes them or with its defects corrected.

    This step makes the layers of a strip, counts its codes, and adds what the user wants to see of the way there.
    """
    settled: Settled = scene.settled
    shadow = find_snow(scene, settled, parameters)
    seb, snow_all = np.empty(scene.shape, np.uint8), np.empty(scene.shape, np.uint8)
    detection.seb(scene.state, parameters.strict_cloud_mask, seb)
    detection.snow_all(scene.state, scene.values.get("slope"), not parameters.lis, snow_all)
    layers: dict[str, NDArray[Any]] = {"seb": seb, "snow_all": snow_all}
    if gives_fraction(parameters, mission_of(scene.granule, parameters)):
        bands = (unpack(scene.state, scene.green), unpack(scene.state, scene.swir16))
        layers |= (lis_fractions if parameters.lis else fractions)(scene, seb, bands, parameters)
    if parameters.write_expert:
        layers |= expert_layers(scene, settled, shadow)
    counts = {f"code_{code}": np.array(detection.count_code(seb, code)) for code in _COUNTED}
    return Strip({name: layers[name] for name in written(layers, parameters, scene.granule)}, counts)


def find_snow(scene: Scene, settled: Settled, parameters: Snow) -> NDArray[np.uint8] | None:
    """Refine clouds, run pass 2, add shaded snow: in the strip's state; the relief shadow comes back where computed."""
    first, last = scene.rows
    nodata = dem_nodata(scene, parameters)
    candidate = np.empty(scene.shape, np.uint8) if settled.shaded else None
    pass2, shaded = lowest_elevations(scene, settled, parameters)
    detection.detect(
        scene.state,
        settled.coarse,
        settled.rows[first:last],
        settled.columns,
        int(parameters.red_dark_cloud * scene.granule.per_milli),
        scene.dem,
        _COMPLETE_DEM if nodata is None else nodata,
        pass2,
        shaded,
        parameters.lis,
        candidate,
    )
    if settled.shadow is None and "relief_shadow" not in scene:
        return None
    shadow = relief_shadow(scene, settled.shadow, None if parameters.write_expert else candidate)
    if candidate is not None:
        detection.merge(scene.state, candidate, shadow)
    return shadow


def lowest_elevations(
    scene: Scene, settled: Settled, parameters: Snow
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Least elevations of pass 2 and of shaded snow: one row for all, or a row each."""
    first, last = scene.rows
    line, columns = settled.line, scene.grid.shape[1]
    if settled.second and line.cells is not None:
        cell, pixel = parameters.zs_grid_m, scene.grid.resolution
        lowest = snowline.lowest_rows(line.cells, cell, pixel, first, last - first, columns)
        return lowest, lowest
    found = settled.second and line.elevation is not None
    lowest = np.full((1, columns), line.elevation if found else snowline.NEVER, np.int32)
    # LIS takes pass 2 above the snow line, and shaded snow from it on.
    return (lowest + np.int32(1) if parameters.lis else lowest), lowest


def expert_layers(
    scene: Scene, settled: Settled, shadow: NDArray[np.uint8] | None
) -> dict[str, NDArray[np.uint8] | NDArray[np.int16]]:
    """What the decision went through."""
    bits = {
        "snow_pass1": detection.SNOW1,
        "cloud_pass1": detection.CLOUD1,
        "cloud_refine": detection.REFINE,
        "back_to_cloud": detection.BACK,
        "snow_pass2": detection.SNOW2,
    }
    if settled.second:
        bits["snow_pass3"] = detection.SNOW3
    if settled.shaded:
        bits |= {"shaded_snow": detection.SHADED, "uncalibrated_shaded_snow": detection.UNCALIBRATED}
    layers: dict[str, NDArray[Any]] = {}
    for name, bit in bits.items():
        layers[name] = np.empty(scene.shape, np.uint8)
        detection.flag(scene.state, bit, layers[name])
    first, last = scene.rows
    layers["red_coarse"] = np.empty(scene.shape, np.int16)
    resample.spread_coarse(
        settled.coarse, settled.rows[first:last], settled.columns, NO_DATA, layers["red_coarse"]
    )
    layers["cld"] = scene.codes.astype(np.uint8)
    if shadow is not None:
        layers["relief_shadow"] = (shadow != 0).astype(np.uint8)
    return layers


def written(layers: Mapping[str, Any], parameters: Snow, granule: Granule) -> list[str]:
    """The layers that go into the product."""
    if not parameters.lis or parameters.write_expert:
        return list(layers)
    main = next(name for name in ("fsc_og", "fsc_toc_hs", "seb") if name in layers)
    wanted = [main, "qcflags"] + (["seb"] if parameters.write_vectors else [])
    return [name for name in layers if name in wanted]


def conclude(tile: Tileful, parameters: Snow) -> Conclusion:
    """Snow line, shares and histogram of the product, and the documents of LIS."""
    settled: Settled = tile.settled
    counts = {code: int(tile.totals[f"code_{code}"]) for code in _COUNTED}
    rows, columns = tile.grid.shape
    valid = rows * columns - counts[NODATA] - (0 if parameters.lis else counts[WATER])
    snow, cloud = (counts[code] / valid * 100 if valid else 0 for code in (SNOW, CLOUD))
    properties: dict[str, Any] = {
        "snow:zs": settled.line.elevation,
        "snow:snow_percent": float(snow),
        "snow:cloud_percent": float(cloud),
        "snow:snow_fraction_pass1": settled.fraction,
        "snow:profile": parameters.profile,
        "snow:shaded_snow": settled.shaded,
        "snow:histogram": [list(row) for row in settled.line.rows],
    }
    if settled.line.raw is not None:
        cells = settled.line.raw.tolist()
        properties["snow:zs_grid"] = [
            [None if math.isnan(line) else int(line) for line in row] for row in cells
        ]
    if gives_fraction(
        parameters, mission_of(tile.granule, parameters)
    ) and not tile.granule.platform.startswith("S2"):
        properties["snow:fsc_validated"] = False
    documents = lis_documents(tile, settled, snow, cloud, parameters) if parameters.lis else {}
    polygons = {"seb": "SEB"} if parameters.write_vectors else {}
    return Conclusion(properties, documents, polygons, settled.empty)


def lis_documents(
    tile: Tileful, settled: Settled, snow: float, cloud: float, parameters: Snow
) -> dict[str, str]:
    """``LIS_METADATA.XML``, and the histogram among the expert files."""
    found = settled.line.elevation
    zs = str(found) if found is not None else "1000000000.0" if settled.second else "-1000"
    documents = {"LIS_METADATA.XML": lis_metadata(tile.granule.path.name, zs, snow, cloud)}
    if parameters.write_expert:
        documents["expert/LIS_HISTO.TXT"] = settled.line.text
    return documents


snow = chain(
    "snow",
    version="1.0",
    inputs=snow_inputs,
    outputs=LAYERS,
    parameters=Snow,
    grid="coarsest",
    survey=survey,
    settle=settle,
    conclude=conclude,
    gate=snow_gate,
    names=snow_names,
    main=("fsc_og", "fsc_toc", "fsc_toc_hs", "seb"),
    summary=("snow:zs", "snow:snow_percent", "snow:cloud_percent"),
    references=(
        "https://doi.org/10.5194/essd-11-493-2019",
        "https://doi.org/10.3390/rs12182904",
    ),
)(apply)
