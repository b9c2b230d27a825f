"""DSWx-HLS one pixel after the other, in the floating-point form of its rules."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

AEROSOL_OPEN = {96, 160, 224}
AEROSOL_PARTIAL = {96, 128, 160, 192, 224}
EVERGREEN = {20, 50, 111, 113, 115, 116, 121, 123, 125, 126}
CONF_10 = {1, 3, 4, 5, 6, 7, 9, 11, 12, 13, 14, 15}


def tests_of(blue: int, green: int, red: int, nir: int, swir1: int, swir2: int) -> list[bool]:
    """The five tests of a pixel; band values below 1 become 1."""
    b, g, r, n, s1, s2 = (max(int(value), 1) for value in (blue, green, red, nir, swir1, swir2))
    mndwi, ndvi = (g - s1) / (g + s1), (n - r) / (n + r)
    return [
        mndwi > 0.124,
        g + r > n + s1,
        b + 2.5 * g - 1.5 * (n + s1) - 0.25 * s2 > 0,
        mndwi > -0.44 and s1 < 900 and n < 1500 and ndvi < 0.7,
        mndwi > -0.5 and b < 1000 and s1 < 3000 and s2 < 1000 and n < 2500,
    ]


def inner_class(passed: list[bool]) -> int:
    """The class of WTR-1 before it is collapsed."""
    count = sum(passed)
    if count >= 4:
        return 1
    if count == 3:
        return 2
    if passed == [False, False, False, True, True]:
        return 3
    return 4 if count == 2 or passed == [False, False, False, False, True] else 0


def collapse(value: int) -> int:
    return {1: 1, 2: 1, 3: 2, 4: 2}.get(value, value)


def preliminary_cloud(fmask: int, adjacent: str) -> int:
    shadow = fmask & 8 or (adjacent == "mask" and fmask & 4)
    return (1 if shadow else 0) + (4 if fmask & 2 else 0)


def after_aerosol(inner: int, nir: int, fmask: int) -> int:
    if max(nir, 1) > 1000:
        return inner
    if inner in (0, 2) and fmask in AEROSOL_OPEN:
        return 1
    return 1 if inner in (3, 4) and fmask in AEROSOL_PARTIAL else inner


def masked_by_land(inner: int, nir: int, land: int, lit: int) -> int:
    if not 1 <= inner <= 4:
        return inner
    if lit == 0 and land != 200:
        return 0
    if inner >= 3 and nir > 1200 and (land == 201 or land <= 99):
        return 0
    return 0 if 100 <= land <= 199 else inner


def conf(inner: int, cloud: int) -> int:
    if inner > 4:
        return inner
    return inner + (20 if cloud == 2 else 10 if cloud in CONF_10 else 0)


def wtr(inner: int, cloud: int) -> int:
    if inner >= 254:
        return inner
    if cloud in (2, 10):
        return 252
    return inner if cloud in (0, 8) else 253


def pixels(bands: tuple[Any, ...]) -> Iterator[tuple[int, int]]:
    height, width = bands[0].shape
    return ((i, j) for i in range(height) for j in range(width))


def layers(
    bands: tuple[Any, ...],
    fmask: Any,
    land: Any,
    lit: Any,
    ocean_land: Any,
    *,
    fill: int = -9999,
    fmask_fill: int = 255,
    adjacent: str = "mask",
    aerosol: bool = True,
) -> dict[str, NDArray[Any]]:
    """Every layer but SHAD and LAND; in mode ``cover`` snow and ground grow over the whole array."""
    names = ("DIAG", "WTR-1", "WTR-2", "CLOUD", "WTR", "BWTR", "CONF")
    out = {name: np.zeros(fmask.shape, np.uint16 if name == "DIAG" else np.uint8) for name in names}
    snow, inner_2, cloud_1 = (fmask & 16) != 0, np.zeros(fmask.shape, int), np.zeros(fmask.shape, int)
    for p in pixels(bands):
        values = [int(band[p]) for band in bands]
        value, passed = int(fmask[p]), tests_of(*values)
        invalid = fill in values or value == fmask_fill
        inner = 255 if invalid else 254 if ocean_land[p] == 0 else inner_class(passed)
        remapped = after_aerosol(inner, values[3], value) if aerosol else inner
        cloud_1[p] = preliminary_cloud(value, adjacent) + (8 if remapped != inner else 0)
        inner_2[p] = masked_by_land(remapped, values[3], int(land[p]), int(lit[p]))
        out["DIAG"][p] = 65535 if invalid else sum(10**k for k in range(5) if passed[k])
        out["WTR-1"][p] = collapse(inner)
    if adjacent == "cover":
        snow = covered(snow, (fmask & 4) != 0, cloud_1 == 0, (inner_2 >= 1) & (inner_2 <= 4))
    for p in pixels(bands):
        inner = int(inner_2[p])
        cloud = 255 if inner == 255 else int(cloud_1[p]) + (2 if snow[p] else 0)
        out["CLOUD"][p], out["WTR-2"][p] = cloud, collapse(inner)
        decided = wtr(inner, cloud)
        out["WTR"][p], out["BWTR"][p] = collapse(decided), 1 if 1 <= decided <= 4 else decided
        out["CONF"][p] = conf(inner, cloud)
    return out


def covered(snow: Any, near: Any, clear: Any, wet: Any) -> NDArray[np.bool_]:
    """Snow of adjacent mode ``cover``."""
    area = near & clear
    snow = grown(snow, area, 10)
    free = grown(~snow & clear, area & wet, 7)
    return np.asarray(snow & ~free)


def grown(seed: Any, allowed: Any, steps: int) -> NDArray[np.bool_]:
    """Growth by the 4-neighbour cross, new pixels only where allowed."""
    for _ in range(steps):
        padded = np.pad(seed, 1)
        touched = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
        seed = seed | (touched & allowed)
    return np.asarray(seed)


def rises(dem: Any, row: int, column: int, pixel: float) -> tuple[float, float]:
    """dz/dx with the sign of nx and dz/dy with that of ny, one-sided at an edge."""
    height, width = dem.shape
    west, east = max(column - 1, 0), min(column + 1, width - 1)
    north, south = max(row - 1, 0), min(row + 1, height - 1)
    dx = float(dem[row, east]) - float(dem[row, west])
    dy = float(dem[south, column]) - float(dem[north, column])
    return -dx / max((east - west) * pixel, pixel), dy / max((south - north) * pixel, pixel)


def light_angles(
    dem: Any, row: int, column: int, zenith: float, azimuth: float, pixel: float
) -> tuple[float, float]:
    """Incidence of the sun and slope towards it, degrees."""
    z, a = math.radians(zenith), math.radians(azimuth)
    nx, ny = rises(dem, row, column, pixel)
    along = nx * math.sin(a) + ny * math.cos(a)
    cosine = (along * math.sin(z) + math.cos(z)) / math.sqrt(nx * nx + ny * ny + 1)
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine)))), math.degrees(math.atan(along))


def land_class(cells: Any, cgls: int, year: int, water_cells: int = 3) -> int:
    """LAND of a pixel from its nine WorldCover cells."""
    trees, built = int((cells == 10).sum()), int((cells == 50).sum())
    land = 201 if trees >= 6 and cgls in EVERGREEN else 255
    land = year if built >= 3 else land
    land = 100 + year if built >= 7 else land
    return 200 if int(np.isin(cells, (80, 90, 95)).sum()) >= water_cells else land
