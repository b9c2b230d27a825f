"""Parameters of the snow chain, and what follows from them and the granule before a pixel is read."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from thalweg.errors import BadInput, BadParameters
from thalweg.kernels import snow as detection
from thalweg.parameters import Within

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.granule import Granule

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


def barred(parameters: Snow) -> int:
    """State bits of pixels that take part in nothing."""
    return 0 if parameters.lis else detection.NODATA | detection.WATER
