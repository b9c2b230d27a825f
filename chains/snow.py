"""Snow: mask and fractional cover from one L2A granule, as Let-it-snow 1.11 makes them or with its defects corrected.

Survey, strip by strip: what each pixel may be (`state`), and the red band at coarse resolution. Settle, once: the snow
line from the histogram of elevations. Apply, strip by strip: clouds refined, pass 2 above the snow line, shaded snow
where relief casts a shadow, then the layers.

Detection: Gascoin et al. 2019, doi:10.5194/essd-11-493-2019; fraction: Gascoin et al. 2020, doi:10.3390/rs12182904;
reference program: Let-it-snow 1.11.0 (CNES/CESBIO, Apache-2.0).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from thalweg.chain import Conclusion, Names, Noted, Strip, chain
from thalweg.chains.snow_documents import lis_metadata
from thalweg.chains.snow_layers import CLOUD, LAYERS, NODATA, SNOW, WATER, default_names, lis_names
from thalweg.errors import BadInput, BadParameters, NoData
from thalweg.granule import Sun, SunGrid
from thalweg.inputs import NO_DATA, Band, Codes, Input, Mask, Static
from thalweg.kernels import components, fraction, relief, resample, snowline
from thalweg.kernels import kept as candidates
from thalweg.kernels import snow as detection
from thalweg.parameters import Within
from thalweg.scene import WholeLayer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.granule import Granule
    from thalweg.scene import Scene, Tileful

    Bands = tuple[NDArray[np.int16], NDArray[np.int16]]


LIS = "lis-1.11"
"""The profile that equals Let-it-snow 1.11.0, pixel for pixel."""

_DEFAULT_ONLY = (
    "swir_pass1_max",
    "zs_mode",
    "zs_grid_m",
    "zs_min_pixels",
    "sun_angles",
    "fsc_all_missions",
    "tcd_cap",
    "fsc_rmse",
    "fsc_rmse_shaded",
    "tcd_sigma",
)
_COMPLETE_DEM = 32768
_COUNTED = (SNOW, CLOUD, WATER, NODATA)
_COARSE = {"sen2cor": 12, "maja": 12, "s2_muscate": 12, "l89_muscate": 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Snow:
    """Parameters of the snow chain; mr is thousandths of reflectance."""

    profile: Annotated[
        Literal["default", "lis-1.11"], Within(note="default: corrected; lis-1.11: as LIS 1.11.0")
    ] = "default"
    mission_regex: Annotated[
        dict[str, str] | None,
        Within(note="mission key to a regular expression on the product name, where it differs"),
    ] = None
    no_data: Annotated[int, Within(-32768, 32767, "DN", "stored number of missing reflectance")] = -10000
    ndsi_pass1: Annotated[float, Within(-1, 1, note="least NDSI of pass 1")] = 0.4
    red_pass1: Annotated[float, Within(0, 1000, "mr", "least red reflectance of pass 1")] = 200.0
    ndsi_pass2: Annotated[float, Within(-1, 1, note="least NDSI of pass 2, above the snow line")] = 0.15
    red_pass2: Annotated[float, Within(0, 1000, "mr", "least red reflectance of pass 2")] = 40.0
    swir_pass1_max: Annotated[
        float | None, Within(0, 1000, "mr", "greatest SWIR reflectance of pass 1: removes bright cold clouds")
    ] = None
    dz: Annotated[int, Within(2, 10000, "m", "height of an elevation bin, even")] = 100
    fsnow_lim: Annotated[float, Within(0, 1, note="least snow share of a bin at the snow line")] = 0.1
    fclear_lim: Annotated[float, Within(0, 1, note="least clear share of a bin at the snow line")] = 0.1
    fsnow_total_lim: Annotated[
        float, Within(-1, 1, note="least snow share of the tile for pass 2; -1: always")
    ] = 0.001
    zs_mode: Annotated[Literal["tile", "grid"], Within(note="one snow line a tile, or one a cell")] = "tile"
    zs_grid_m: Annotated[float, Within(1, note="cell of zs_mode grid", unit="m")] = 27450.0
    zs_min_pixels: Annotated[int, Within(1, note="least pixels of a bin at the snow line")] = 50
    red_dark_cloud: Annotated[float, Within(0, 1000, "mr", "coarse red above which a cloud is not dark")] = (
        300.0
    )
    red_back_to_cloud: Annotated[
        float, Within(0, 1000, "mr", "red above which a dark cloud is cloud again")
    ] = 100.0
    resize_factor: Annotated[
        int | None, Within(2, 64, note="coarse red: pixels a side; null: as the mission has it")
    ] = None
    strict_cloud_mask: Annotated[bool, Within(note="no snow where a dark cloud is cloud again")] = False
    rm_snow_inside_cloud: Annotated[
        bool, Within(note="drop snow of pass 1 that cloud surrounds (pass 1.5)")
    ] = False
    rm_snow_inside_cloud_dilation_radius: Annotated[
        int, Within(1, 100, "px", "radius of the ring around it")
    ] = 5
    rm_snow_inside_cloud_threshold: Annotated[
        float, Within(0, 1, note="cloud share of the ring above which")
    ] = 0.85
    rm_snow_inside_cloud_min_area: Annotated[
        int, Within(0, unit="px", note="only areas larger than this")
    ] = 25000
    detect_shaded_snow: Annotated[
        bool | None, Within(note="null: where blue, NIR and sun angles (or a relief shadow mask) are there")
    ] = None
    shaded_snow_pass: Annotated[
        float | None,
        Within(0, 1000, note="least blue - NIR; mr in default (null: 16), DN in lis-1.11 (null: 160)"),
    ] = None
    sun_angles: Annotated[Literal["mean", "grid"], Within(note="mean of the product, or its angle grid")] = (
        "mean"
    )
    water_mask_raster_values: Annotated[
        tuple[int, ...], Within(0, 255, note="codes of water in the water mask")
    ] = (1,)
    aux_resample: Annotated[bool, Within(note="static layers on another grid are warped, not refused")] = (
        False
    )
    safe_resolution: Annotated[
        Literal[10, 20], Within(note="which green and red of a SAFE product, metres")
    ] = 10
    fsc_toc_eq: Annotated[tuple[float, float], Within(note="a and b of FSC = 0.5 tanh(a NDSI + b) + 0.5")] = (
        2.65,
        -1.42,
    )
    fsc_all_missions: Annotated[bool, Within(note="fraction for Landsat too (not validated)")] = False
    tcd_cap: Annotated[float, Within(0, 99, "%", "tree cover is not taken for denser than this")] = 90.0
    fsc_rmse: Annotated[float, Within(0, 100, "% FSC", "standard error of the fraction")] = 25.0
    fsc_rmse_shaded: Annotated[float, Within(0, 100, "% FSC", "the same for uncalibrated shaded snow")] = 50.0
    tcd_sigma: Annotated[float, Within(0, 1, note="standard error of the tree cover, as a share")] = 0.10
    write_expert: Annotated[bool, Within(note="intermediate layers, in expert/")] = False
    write_vectors: Annotated[bool, Within(note="polygons of the snow mask as GeoPackage")] = False
    chain_version: Annotated[str | None, Within(note="version in file names; null: that of the program")] = (
        None
    )
    product_counter: Annotated[str | None, Within(note="text appended to the version in file names")] = None

    def __post_init__(self) -> None:
        if self.dz % 2:
            raise BadParameters(f"snow.dz = {self.dz}: must be even", id="SNOW-CFG-01")
        if self.lis:
            self._refuse_foreign_keys()
        for name in ("chain_version", "product_counter"):
            text = getattr(self, name)
            if text is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", text):
                raise BadParameters(
                    f"snow.{name} = {text!r}: letters, digits, dots and hyphens", id="SNOW-CFG-01"
                )

    @property
    def lis(self) -> bool:
        """True in the profile `lis-1.11`."""
        return self.profile == LIS

    def _refuse_foreign_keys(self) -> None:
        defaults = {field.name: field.default for field in fields(self)}
        given = [name for name in _DEFAULT_ONLY if getattr(self, name) != defaults[name]]
        if given:
            raise BadParameters(
                f"snow.{given[0]} = {getattr(self, given[0])!r}: exists in the profile 'default' only, not in {LIS!r}",
                id="SNOW-CFG-01",
            )


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


@dataclass(frozen=True, slots=True)
class Shadow:
    """Sun and terrain, ready for casting shadows on strips."""

    ground: relief.Terrain
    """The elevation model."""
    row: int
    """Row of it where the tile begins."""
    column: int
    """Column of it where the tile begins."""
    steps: tuple[NDArray[np.int32], NDArray[np.int32]]
    """Rows down and columns right of the steps towards the sun; of all rays with an angle grid."""
    rises: NDArray[np.int32] | None = None
    """Least rise that hides the sun at each step; None with an angle grid."""
    distances: NDArray[np.float32] | None = None
    """Metres to each step, with an angle grid."""
    starts: NDArray[np.int64] | None = None
    """First step of each ray, with an angle grid."""
    sun: SunGrid | None = None
    """The angle grid, None where the mean angles rule."""


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


def mission_of(granule: Granule, parameters: Snow) -> str:
    """The row of table 1.1 that a granule follows, by the name of its product."""
    for key, expression in (parameters.mission_regex or {}).items():
        if key not in _COARSE:
            raise BadParameters(
                f"snow.mission_regex: no mission {key!r}; known: {', '.join(_COARSE)}", id="SNOW-CFG-01"
            )
        if re.search(expression, granule.id):
            return key
    if granule.format == "muscate":
        return "s2_muscate" if granule.platform.startswith("S2") else "l89_muscate"
    return "maja" if granule.format == "maja" else "sen2cor"


def snow_inputs(parameters: Snow, granule: Granule | None) -> Sequence[Input]:
    """Bands, masks and static layers, as mission and profile want them."""
    mission = mission_of(granule, parameters) if granule else "s2_muscate"
    as_stored = parameters.lis and mission == "sen2cor"
    encoding: Any = "stored" if as_stored else "counts"
    fine = 20 if mission == "sen2cor" and not parameters.lis and parameters.safe_resolution == 20 else None
    overruled = parameters.no_data if parameters.no_data != -10000 and not as_stored else None

    def band(
        role: str, correction: Any = "flat", resolution: int | None = None, required: bool = True
    ) -> Band:
        return Band(role, resolution, encoding, correction, required, "cubic", overruled, "survey")

    inputs: list[Input] = [band("green", resolution=fine), band("red", resolution=fine), band("swir16")]
    if wants_shaded(parameters, mission):
        inputs += [band("blue", "surface", required=False), band("nir08", "surface", required=False)]
    inputs += [
        Mask("cloud", ("any_cloud", "cloud_shadow", "high_cloud", "marked"), step="survey"),
        Mask("slope", ("sun_low", "sun_tangent"), required=mission.endswith("muscate"), step="apply"),
        Static(
            "dem", "int16", whole=True, margin=True, warp="cubic_spline", allow_warp=parameters.aux_resample
        ),
        _static("water", parameters, "nearest", "survey"),
        _static("relief_shadow", parameters, "nearest", "apply"),
    ]
    if gives_fraction(parameters, mission):
        inputs.append(_static("tcd", parameters, "bilinear", "apply"))
    if not parameters.lis:
        inputs.append(Static("dem_buffer", "int16", required=False, whole=True, margin=True))
    if parameters.write_expert:
        inputs.append(Codes("codes", "marked", step="apply"))
    return inputs


def _static(role: str, parameters: Snow, warp: Any, step: Any) -> Static:
    valid = (0.0, 100.0) if role == "tcd" else None
    burn = parameters.water_mask_raster_values[0] if parameters.water_mask_raster_values else 1
    return Static(
        role, "uint8", False, warp=warp, allow_warp=parameters.aux_resample, valid=valid, burn=burn, step=step
    )


def wants_shaded(parameters: Snow, mission: str) -> bool:
    """True where the mission's row has blue and near infrared for shaded snow, and the user did not refuse it."""
    possible = mission.endswith("muscate") or (mission == "sen2cor" and not parameters.lis)
    if parameters.detect_shaded_snow and not possible:
        raise BadParameters(
            f"snow.detect_shaded_snow = true: no blue and near infrared for {mission} in {parameters.profile!r}",
            id="SNOW-CFG-02",
        )
    return possible and parameters.detect_shaded_snow is not False


def gives_fraction(parameters: Snow, mission: str) -> bool:
    """True where fractional snow cover is made: Sentinel-2, or every mission on request."""
    return mission != "l89_muscate" or parameters.fsc_all_missions


def snow_gate(parameters: Snow) -> Sequence[str]:
    """Pixels that cannot be used; the conformance profile makes its product whatever it sees."""
    return () if parameters.lis else ("any_cloud", "nodata")


def snow_names(granule: Granule, parameters: Snow, version: str, available: frozenset[str]) -> Names:
    """File names of the profile."""
    text = parameters.chain_version or version
    if parameters.product_counter:
        text = f"{text}_{parameters.product_counter}"
    if not parameters.lis:
        return default_names(granule, text)
    if mission_of(granule, parameters) == "l89_muscate":
        return lis_names(granule, text, "seb")
    return lis_names(granule, text, "fsc_og" if "tcd" in available else "fsc_toc_hs")


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


def limits(granule: Granule, parameters: Snow) -> detection.Limits:
    """Thresholds of the survey, in counts."""
    multi = granule.per_milli
    blue = parameters.shaded_snow_pass
    if blue is None:
        blue = 160.0 if parameters.lis else 16.0
    return detection.limits(
        ndsi_pass1=parameters.ndsi_pass1,
        red_pass1=parameters.red_pass1 * multi,
        ndsi_pass2=parameters.ndsi_pass2,
        red_pass2=parameters.red_pass2 * multi,
        red_back_to_cloud=parameters.red_back_to_cloud * multi,
        shaded_snow_pass=blue if parameters.lis else blue * multi,
        swir_pass1_max=None if parameters.swir_pass1_max is None else parameters.swir_pass1_max * multi,
    )


def water_bits(parameters: Snow) -> NDArray[np.uint8]:
    """Code of the water mask to bits: 0 water, 1 the flag of QCFLAGS, which `lis-1.11` sets for code 1 only."""
    table = np.zeros(256, np.uint8)
    table[list(parameters.water_mask_raster_values)] = 1
    if parameters.lis:
        table[1] |= 2
        return table
    return table * np.uint8(3)


def coarse_shape(granule: Granule, shape: tuple[int, int], parameters: Snow) -> tuple[int, int]:
    """Rows and columns of the coarse red; BadInput where the grid is smaller than one of its pixels."""
    factor = parameters.resize_factor or _COARSE[mission_of(granule, parameters)]
    if min(shape) < factor:
        raise BadInput(
            f"{granule.path}: {shape[0]} x {shape[1]} pixels are fewer than resize_factor = {factor}",
            id="SNOW-GRID-03",
        )
    return (shape[0] // factor, shape[1] // factor)


def shaded_possible(granule: Granule, parameters: Snow, has_relief: bool) -> bool:
    """True where shaded snow can be looked for: sun angles or a relief shadow mask are there."""
    if parameters.detect_shaded_snow is False:
        return False
    possible = granule.sun is not None or has_relief
    if parameters.detect_shaded_snow and not possible:
        raise BadParameters(
            f"{granule.path}: snow.detect_shaded_snow = true, but the product has no sun angles and there is no static "
            "layer 'relief_shadow'",
            id="SNOW-CFG-02",
        )
    return possible


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


def barred(parameters: Snow) -> int:
    """State bits of pixels that take part in nothing."""
    return 0 if parameters.lis else detection.NODATA | detection.WATER


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
    shadow = relief_shadow(scene, settled, None if parameters.write_expert else candidate)
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


def relief_shadow(scene: Scene, settled: Settled, candidate: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """Where relief hides the sun: from the static layer, else computed where a candidate waits for it (None: all)."""
    if "relief_shadow" in scene:
        return scene.relief_shadow
    shadow = settled.shadow
    if shadow is None:
        raise ValueError("no sun angles and no relief shadow mask: `settle` should have said so")
    out = np.empty(scene.shape, np.uint8)
    row, column = shadow.row + scene.rows[0], shadow.column
    ground = shadow.ground
    if shadow.rises is not None:
        relief.cast_shadow(*ground, row, column, *shadow.steps, shadow.rises, candidate, out)
        return out
    if shadow.sun is None:
        raise ValueError("a shadow has either rises or an angle grid")
    pixel, step, nodes = scene.grid.resolution, shadow.sun.step, shadow.sun.zenith.shape
    corner = (scene.rows[0] - scene.corner[0], -scene.corner[1])
    relief.cast_shadow_grid(
        ground.elevation,
        ground.heights,
        row,
        column,
        *shadow.steps,
        shadow.distances,
        shadow.starts,
        relief.nearest_nodes(corner[0], scene.shape[0], pixel, step[0], nodes[0]),
        relief.nearest_nodes(corner[1], scene.shape[1], pixel, step[1], nodes[1]),
        nodes[1],
        relief.tangents(shadow.sun.zenith, corner, scene.shape, pixel, step),
        candidate,
        out,
    )
    return out


def find_shadow(tile: Tileful, parameters: Snow) -> Shadow:
    """Sun and terrain of a tile: the elevation model, with what lies around the tile where the profile looks at it."""
    layer = tile.whole["dem"] if parameters.lis else tile.whole.get("dem_buffer", tile.whole["dem"])
    if parameters.lis:
        layer = WholeLayer(np.ascontiguousarray(layer.within(tile.grid)))
    nodata = None if layer.nodata is None else int(layer.nodata)
    ground = relief.terrain(layer.values, nodata)
    sun, pixel, shape = checked_sun(tile.granule, parameters), tile.grid.resolution, layer.values.shape
    grid = sun.grid if parameters.sun_angles == "grid" else None
    if grid is None:
        ray = relief.sun_ray(sun.azimuth, relief.reach(ground, pixel, sun.zenith), pixel, shape)
        rises = relief.rises(ray, relief.sun_tangent(sun.zenith))
        return Shadow(ground, layer.row, layer.column, (ray.rows, ray.columns), rises=rises)
    longest = relief.reach(ground, pixel, float(grid.zenith.max()))
    rays = relief.sun_grid(grid.azimuth, longest, pixel, shape)
    return Shadow(
        ground,
        layer.row,
        layer.column,
        (rays.rows, rays.columns),
        distances=rays.distances,
        starts=rays.starts,
        sun=grid,
    )


def checked_sun(granule: Granule, parameters: Snow) -> Sun:
    """The sun of a granule, missing nodes of its grid filled with the mean; an error where it is below the horizon."""
    sun = granule.sun
    if sun is None or (parameters.sun_angles == "grid" and sun.grid is None):
        raise BadParameters(
            f"{granule.path}: snow.sun_angles = 'grid', but the product has no angle grid", id="SNOW-CFG-02"
        )
    grid = sun.grid
    if grid is not None:
        zenith = np.where(np.isnan(grid.zenith), sun.zenith, grid.zenith)
        grid = SunGrid(zenith, np.where(np.isnan(grid.azimuth), sun.azimuth, grid.azimuth), grid.step)
    highest = max(
        sun.zenith, float(grid.zenith.max()) if grid is not None and parameters.sun_angles == "grid" else 0.0
    )
    if highest >= 90:
        raise BadInput(
            f"{granule.path}: sun zenith of {highest:g} degrees: the sun is below the horizon",
            id="SNOW-CFG-02",
        )
    return Sun(sun.zenith, sun.azimuth, grid)


def lis_fractions(
    scene: Scene, seb: NDArray[np.uint8], bands: Bands, parameters: Snow
) -> dict[str, NDArray[np.uint8]]:
    """Fraction and quality layers of `lis-1.11`."""

    def layer() -> NDArray[np.uint8]:
        return np.empty(scene.shape, np.uint8)

    ndsi, toc, shaded = layer(), layer(), layer()
    fraction.ndsi_lis(seb, *bands, ndsi)
    fraction.fsc_toc_lis(seb, ndsi, fraction.toc_table(*parameters.fsc_toc_eq), toc)
    fraction.fsc_toc_hs_lis(scene.state, toc, shaded)
    layers = {"ndsi": ndsi, "fsc_toc": toc, "fsc_toc_hs": shaded}
    if "tcd" not in scene:
        return layers
    ground, flags, toc_class, ground_class = layer(), layer(), layer(), layer()
    fraction.fsc_og_lis(seb, shaded, scene.tcd, _lis_ground_table(), ground)
    fraction.qcflags_lis(scene.state, scene.values.get("slope"), scene.tcd, shaded, flags)
    fraction.qc_toc(flags, shaded, _toc_classes(), toc_class)
    fraction.qc_og(flags, scene.tcd, ground, _ground_classes(), ground_class)
    return {**layers, "fsc_og": ground, "qcflags": flags, "qctoc": toc_class, "qcog": ground_class}


def fractions(
    scene: Scene, seb: NDArray[np.uint8], bands: Bands, parameters: Snow
) -> dict[str, NDArray[np.uint8]]:
    """Fraction, uncertainty and quality layers of `default`."""
    tcd = scene.values.get("tcd")
    names = ["ndsi", "fsc_toc", "fsc_toc_unc", "qcflags", "qctoc"]
    names += ["fsc_og", "fsc_og_unc", "qcog"] if tcd is not None else []
    layers = {name: np.empty(scene.shape, np.uint8) for name in names}
    fraction.fractions(
        scene.state,
        seb,
        *bands,
        tcd,
        fraction.canopy_table(parameters.tcd_cap, parameters.tcd_sigma),
        (*parameters.fsc_toc_eq, parameters.fsc_rmse, parameters.fsc_rmse_shaded),
        layers["ndsi"],
        layers["fsc_toc"],
        layers["fsc_toc_unc"],
        layers.get("fsc_og"),
        layers.get("fsc_og_unc"),
    )
    fraction.qcflags(scene.state, scene.values.get("slope"), tcd, seb, layers["qcflags"])
    fraction.qc_toc(layers["qcflags"], seb, _toc_classes(), layers["qctoc"])
    if tcd is not None:
        fraction.qc_og(layers["qcflags"], tcd, seb, _ground_classes(), layers["qcog"])
    return layers


_lis_ground_table = cache(fraction.og_table)
_toc_classes = cache(fraction.qc_toc_table)
_ground_classes = cache(fraction.qc_og_table)


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
