"""Snow detection of the `default` profile on whole arrays, as one writes it first: numpy, read and written whole."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import rasterio
from numpy.typing import NDArray

Array = NDArray[Any]
NODATA = -10000


def detect_on_whole_arrays(granule: Path, statics: Path, out: Path) -> None:
    """Read everything, compute everything, write everything."""
    bands = {name: read(next(granule.glob(f"*_{name}.tif"))) for name in ("FRE_B11", "SRE_B8A")}
    for name in ("FRE_B3", "FRE_B4", "SRE_B2"):
        bands[name] = reduce_cubic(read(next(granule.glob(f"*_{name}.tif"))))
    cloud = read(next(granule.glob("MASKS/*_CLM_R2.tif")))
    dem, tcd, water = (read(statics / f"{role}.tif") for role in ("dem", "tcd", "water"))
    sun = sun_angles(next(granule.glob("*_MTD_ALL.xml")))
    layers = detect(bands, cloud, dem, tcd, water == 1, sun)
    with rasterio.open(statics / "dem.tif") as raster:
        profile = {"crs": raster.crs, "transform": raster.transform}
    for name, layer in layers.items():
        write(out / f"{name}.tif", layer, profile)


def detect(
    bands: Mapping[str, Array], cloud: Array, dem: Array, tcd: Array, water: Array, sun: tuple[float, float]
) -> dict[str, Array]:
    """Layers of the product."""
    green, red, swir = bands["FRE_B3"], bands["FRE_B4"], bands["FRE_B11"]
    blue, nir = bands["SRE_B2"], bands["SRE_B8A"]
    nodata = (green == NODATA) | (red == NODATA) | (swir == NODATA)
    valid = ~nodata & ~water
    index, snow1, candidate = passes(green, red, swir, cloud, valid)
    zs = snow_line(dem, valid, cloud > 0, snow1)
    dark = coarse(red, valid) <= 3000
    refined = valid & (((cloud > 0) & ~dark) | ((cloud & 0b11100000) != 0))
    snow2 = candidate & ~refined & (dem >= zs)
    bluish = (blue.astype(np.int32) - nir > 160) & (blue != NODATA) & (nir != NODATA) & valid
    shaded = bluish & ~refined & (dem >= zs) & cast_shadow(dem, sun)
    snow = snow1 | snow2 | shaded
    alone = shaded & ~snow1 & ~snow2
    seb = np.where(snow, 100, np.where(refined | (valid & (cloud > 0) & (red > 1000)), 205, 0)).astype(
        np.uint8
    )
    seb[water], seb[nodata] = 210, 255
    bits = [snow1, snow2, cloud > 0, refined, cloud > 0, np.zeros_like(snow), shaded, alone]
    snow_all = sum(bit.astype(np.uint8) << np.uint8(i) for i, bit in enumerate(bits))
    return {"seb": seb, "snow_all": snow_all, **fractions(seb, index, alone, tcd)}


def passes(green: Array, red: Array, swir: Array, cloud: Array, valid: Array) -> tuple[Array, Array, Array]:
    """NDSI, snow of pass 1 and candidates of pass 2: what the detection kernel computes."""
    g, s = green.astype(np.float64), swir.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        index = np.where(g + s == 0, -1.0, (g - s) / (g + s))
    snow1 = valid & (cloud == 0) & (index > 0.4) & (red > 2000)
    return index, snow1, valid & (index > 0.15) & (red > 400)


def snow_line(dem: Array, valid: Array, cloud: Array, snow: Array) -> float:
    """Snow line of the tile, infinite where there is none."""
    bins = np.arange(0, 9000, 100)
    total = np.histogram(dem[valid], bins)[0]
    clear = np.histogram(dem[valid & ~cloud], bins)[0]
    white = np.histogram(dem[snow], bins)[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.flatnonzero((total >= 50) & (clear / total > 0.1) & (white / clear > 0.1))
    return float(bins[found[0]] - 200) if found.size else np.inf


def coarse(red: Array, valid: Array) -> Array:
    """Red over 12 x 12 pixels, back on the grid."""
    rows, columns = (n // 12 for n in red.shape)
    part = np.where(valid, red, 0)[: rows * 12, : columns * 12].reshape(rows, 12, columns, 12)
    known = valid[: rows * 12, : columns * 12].reshape(rows, 12, columns, 12)
    mean = part.sum(axis=(1, 3)) / np.maximum(known.sum(axis=(1, 3)), 1)
    i = np.arange(red.shape[0]) * rows // red.shape[0]
    j = np.arange(red.shape[1]) * columns // red.shape[1]
    return mean[i[:, None], j]


def cast_shadow(dem: Array, sun: tuple[float, float]) -> Array:
    """Where the terrain hides the sun: one shifted array a step."""
    zenith, azimuth = np.radians(sun)
    height = np.tan(np.pi / 2 - zenith)
    reach = int((int(dem.max()) - int(dem.min())) / 20 / height)
    z = np.pad(dem.astype(np.float32), reach + 1, mode="edge")
    steepest = np.zeros(dem.shape, np.float32)
    rows, columns = dem.shape
    for step in range(1, reach + 1):
        down, right = (round(step * value) for value in (np.cos(np.pi - azimuth), np.sin(np.pi - azimuth)))
        top, left = reach + 1 + down, reach + 1 + right
        slope = (z[top : top + rows, left : left + columns] - dem) / np.float32(20 * np.hypot(down, right))
        np.maximum(steepest, slope, out=steepest)
    return steepest > height


def fractions(seb: Array, index: Array, alone: Array, tcd: Array) -> dict[str, Array]:
    """Fractional snow cover and what goes with it."""
    snow = seb == 100
    share = np.where(alone, 1.0, np.minimum(0.5 * np.tanh(2.65 * index - 1.42) + 0.5, 1))
    t = np.where(tcd > 100, 0, np.minimum(tcd, 90) / 100)
    sigma = np.where(alone, 50.0, 25.0)
    numbers = {
        "ndsi": np.clip(100 * index, 0, 100),
        "fsctoc": np.clip(100 * share, 1, 100),
        "fscog": np.clip(100 * np.minimum(share / (1 - t), 1), 1, 100),
        "fsctoc_unc": sigma,
        "fscog_unc": np.minimum(
            100, np.hypot(sigma / (1 - t), np.where(tcd > 100, 0, 10 * share / (1 - t) ** 2))
        ),
        "qctoc": np.where(alone, 3, 0),
        "qcog": np.minimum(3, 4 - np.maximum(0, (100 - 0.8 * tcd) / 25)),
        "qcflags": (tcd > 90) * 8.0,
    }
    return {
        name: np.where(snow, np.floor(value + 0.5), seb).astype(np.uint8) for name, value in numbers.items()
    }


def reduce_cubic(band: Array) -> Array:
    """Cubic convolution of 2 x 2 pixels to one, on floats; nodata where a pixel of the window is."""
    weights = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256
    padded = np.pad(np.where(band == NODATA, np.nan, band), 3, mode="edge")
    rows = sum(w * padded[i : i + band.shape[0] : 2] for i, w in enumerate(weights))
    both = sum(w * rows[:, j : j + band.shape[1] : 2] for j, w in enumerate(weights))
    return np.where(np.isnan(both), NODATA, np.floor(both + 0.5)).astype(np.int16)


def sun_angles(path: Path) -> tuple[float, float]:
    """Mean zenith and azimuth, degrees."""
    mean = ElementTree.parse(path).getroot().find(".//Mean_Value_List/Sun_Angles")
    assert mean is not None
    return float(mean.findtext("ZENITH_ANGLE", "")), float(mean.findtext("AZIMUTH_ANGLE", ""))


def read(path: Path) -> Array:
    """The first band."""
    with rasterio.open(path) as raster:
        return raster.read(1)


def write(path: Path, layer: Array, profile: Mapping[str, Any]) -> None:
    """A COG by GDAL's own driver."""
    rows, columns = layer.shape
    options = {
        "driver": "COG",
        "compress": "ZSTD",
        "level": 1,
        "blocksize": 512,
        "overview_resampling": "nearest",
    }
    with rasterio.open(
        path, "w", height=rows, width=columns, count=1, dtype=layer.dtype, **profile, **options
    ) as raster:
        raster.write(layer, 1)


def state_by_numpy(green: Array, red: Array, swir: Array, blue: Array, nir: Array, cloud: Array) -> Array:
    """The state of every pixel as the detection kernel gives it, array by array."""
    from thalweg.kernels import snow

    nodata = (green == NODATA) | (red == NODATA) | (swir == NODATA)
    _, snow1, candidate = passes(green, red, swir, cloud & 1, ~nodata)
    bluish = (blue.astype(np.int32) - nir > 160) & (blue != NODATA) & (nir != NODATA) & ~nodata
    any_cloud = (cloud & 1) != 0
    flags = {
        snow.NODATA: nodata,
        snow.ANY_CLOUD: any_cloud,
        snow.HARD_CLOUD: (cloud & 6) != 0,
        snow.BACK: any_cloud & (red > 1000) & ~nodata,
        snow.SNOW1: snow1,
        snow.CANDIDATE2: candidate,
        snow.BLUE: bluish,
        snow.CLOUD1: any_cloud,
        snow.MARKED: (cloud & 8) != 0,
    }
    state = np.zeros(green.shape, np.uint16)
    for bit, flag in flags.items():
        state |= flag.astype(np.uint16) * np.uint16(bit)
    return state


def detection_times(size: int, rounds: int = 7) -> tuple[float, float]:
    """Nanoseconds per pixel of the detection: kernel and numpy on the same arrays, medians of interleaved rounds."""
    from thalweg.kernels import snow

    random = np.random.default_rng(1)
    green, red, swir = (random.integers(100, 9000, (size, size)).astype(np.int16) for _ in range(3))
    blue, nir = red, swir
    cloud = (random.random((size, size)) < 0.2) * random.integers(0, 16, (size, size)).astype(np.uint8)
    state = np.empty(green.shape, np.uint16)
    limits = snow.limits(
        ndsi_pass1=0.4,
        red_pass1=2000,
        ndsi_pass2=0.15,
        red_pass2=400,
        red_back_to_cloud=1000,
        shaded_snow_pass=160,
    )

    def kernel() -> None:
        snow.survey(green, red, swir, blue, nir, cloud, None, NODATA, limits, False, state)

    found = np.empty(green.shape, np.uint16)

    def whole() -> None:
        found[:] = state_by_numpy(green, red, swir, blue, nir, cloud)

    kernel()
    whole()
    if not np.array_equal(found, state):
        raise SystemExit("the kernel and numpy disagree")
    times: dict[str, list[float]] = {"kernel": [], "numpy": []}
    for _ in range(rounds):
        for name, work in (("kernel", kernel), ("numpy", whole)):
            begin = time.process_time()
            work()
            times[name].append(time.process_time() - begin)
    medians = {name: float(np.median(found)) * 1e9 / green.size for name, found in times.items()}
    return medians["kernel"], medians["numpy"]
