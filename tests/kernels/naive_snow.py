"""Snow detection as the specification says it (2.3 to 2.9, 8.1), on whole arrays of booleans and float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray
Masks = dict[str, Array]


@dataclass(frozen=True)
class Bands:
    green: Array
    red: Array
    swir: Array
    blue: Array | None
    nir: Array | None
    cloud: Array
    water: Array | None


@dataclass(frozen=True)
class Limits:
    """Thresholds in stored counts."""

    ndsi_pass1: float = 0.4
    red_pass1: float = 2000
    ndsi_pass2: float = 0.15
    red_pass2: float = 400
    red_back_to_cloud: float = 1000
    shaded_snow_pass: float = 160
    swir_pass1_max: float | None = None


def ndsi(green: Array, swir: Array, lis: bool) -> Array:
    above, below = green.astype(float) - swir, green.astype(float) + swir
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = above / below
    return quotient if lis else np.where(below == 0, -1, quotient)


def survey(bands: Bands, nodata: int, limits: Limits, lis: bool) -> Masks:
    nothing = np.zeros(bands.green.shape, np.uint8)
    codes = nothing if bands.water is None else bands.water
    water = (codes & 1) != 0
    if lis:
        bands = flooded(bands, water, nodata)
    missing = bands.swir == nodata
    if not lis:
        missing |= (bands.green == nodata) | (bands.red == nodata)
    valid = np.ones_like(water) if lis else ~missing & ~water
    any_cloud = (bands.cloud & 1) != 0
    index = ndsi(bands.green, bands.swir, lis)
    snow1 = ~any_cloud & (index > limits.ndsi_pass1) & (bands.red > limits.red_pass1) & valid
    if limits.swir_pass1_max is not None:
        snow1 &= bands.swir < limits.swir_pass1_max
    return {
        "nodata": missing,
        "water": water,
        "any_cloud": any_cloud,
        "hard_cloud": (bands.cloud & 6) != 0,
        "back": any_cloud & (bands.red > limits.red_back_to_cloud) & valid,
        "snow1": snow1,
        "candidate2": (index > limits.ndsi_pass2) & (bands.red > limits.red_pass2) & valid,
        "blue": bluish(bands, nodata, limits.shaded_snow_pass, lis) & valid,
        "cloud1": any_cloud,
        "inland": (codes & 2) != 0,
        "marked": (bands.cloud & 8) != 0,
    }


def flooded(bands: Bands, water: Array, nodata: int) -> Bands:
    parts = (bands.green, bands.red, bands.swir, bands.blue, bands.nir)
    dry = (None if band is None else np.where(water, nodata, band) for band in parts)
    return Bands(*dry, bands.cloud, bands.water)


def bluish(bands: Bands, nodata: int, least: float, lis: bool) -> Array:
    if bands.blue is None or bands.nir is None:
        return np.zeros(bands.green.shape, bool)
    known = (bands.blue != nodata) & (bands.nir != nodata)
    return (bands.blue.astype(int) - bands.nir > least) & (known | lis)


def detect(
    masks: Masks,
    coarse_red: Array,
    red_dark_cloud: float,
    dem: Array,
    dem_nodata: int | None,
    zs: Array,
    lis: bool,
) -> Masks:
    """`coarse_red` and `zs` on the grid of the pixels; `zs` above all elevations where there is no snow line."""
    valid = np.ones(dem.shape, bool) if lis else ~masks["nodata"] & ~masks["water"]
    refine = masks["any_cloud"] & (coarse_red > red_dark_cloud)
    refine |= masks["hard_cloud"] | (masks["cloud1"] != masks["any_cloud"])
    refine &= valid
    high = np.ones(dem.shape, bool) if dem_nodata is None else dem != dem_nodata
    above = dem > zs if lis else dem >= zs
    return {
        "refine": refine,
        "snow2": masks["candidate2"] & ~refine & above & high,
        "candidate": masks["blue"] & ~refine & (dem >= zs) & high,
    }


def merge(masks: Masks, shadow: Array) -> Masks:
    shaded = masks["candidate"] & shadow
    passed = masks["snow1"] | masks["snow2"]
    return {"shaded": shaded, "uncalibrated": shaded & ~passed, "snow3": passed | shaded}


def seb(masks: Masks, strict: bool) -> Array:
    snow = masks["snow3"] & ~(masks["back"] & strict)
    codes = np.where(masks["refine"] | masks["back"], 205, 0)
    codes = np.where(snow, 100, codes)
    codes = np.where(masks["water"], 210, codes)
    return np.where(masks["nodata"], 255, codes)


def snow_all(masks: Masks, slope: Array | None, shaded_bits: bool) -> Array:
    names = ("snow1", "snow2", "cloud1", "refine", "any_cloud")
    flags = sum(masks[name].astype(int) << n for n, name in enumerate(names))
    if slope is not None:
        flags = flags + 32 * (slope != 0)
    return flags + shaded_bits * (64 * masks["shaded"] + 128 * masks["uncalibrated"])
