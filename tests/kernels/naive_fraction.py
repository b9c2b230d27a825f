"""Fractional snow cover, quality and uncertainty as the specification says them (4, 4.1, 8.1), in float64."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def u8(values: Array) -> Array:
    """To float32, clamped to 0-255, truncated; not a number is 0."""
    single = np.asarray(values, np.float64).astype(np.float32)
    return np.trunc(np.clip(np.where(np.isnan(single), 0, single), 0, 255)).astype(np.uint8)


def ndsi_lis(seb: Array, green: Array, swir: Array) -> Array:
    g, s = green.astype(float), swir.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(seb == 100, u8(100 * (g - s) / (g + s)), seb)


def toc_lis(seb: Array, ndsi: Array, a: float, b: float) -> Array:
    value = 0.5 * np.tanh(a * ndsi / 100 + b) + 0.5
    return np.where(seb == 100, u8(100 * np.minimum(value, 1)), seb)


def og_lis(seb: Array, hs: Array, tcd: Array) -> Array:
    t = tcd.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        ground = u8(100 * np.minimum(hs / 100 / (1 - t / 100), 1))
    return np.where(seb == 100, np.where(tcd > 100, hs, ground), seb)


def flags(
    slope: Array | None, water: Array, tcd: Array | None, cloudy: Array, shaded: Array, blind: Array
) -> Array:
    found = 4 * water + 16 * cloudy + 64 * shaded + 128 * blind
    if slope is not None:
        found = found + (slope & 3)
    if tcd is not None:
        found = found + 8 * ((tcd > 90) & (tcd <= 100)) + 32 * (tcd > 100)
    return found


def bit(flags: Array, n: int) -> Array:
    return (flags >> n & 1).astype(float)


def quality(score: Array) -> Array:
    return np.trunc(np.minimum(3, 4 - np.maximum(0, score / 25)))


def qc_toc(flags: Array) -> Array:
    flags = flags.astype(int)
    s = (
        100
        - 100 * bit(flags, 6)
        - 30 * bit(flags, 1)
        - 50 * bit(flags, 0)
        - 25 * bit(flags, 4)
        - 25 * bit(flags, 2)
    )
    return quality(s)


def qc_og(flags: Array, tcd: Array) -> Array:
    flags = flags.astype(int)
    s = 100 - 30 * bit(flags, 1) - 50 * bit(flags, 0) - 25 * bit(flags, 4) - 25 * bit(flags, 2)
    # Rounded: 0.8 is no binary fraction, and a score of exactly 25 k must be on its side.
    return quality(np.round(s - 0.8 * np.minimum(tcd.astype(float), 100), 9))


def keep_codes(values: Array, codes: Array) -> Array:
    return np.where(np.isin(codes, (205, 210, 255)), codes, values)


def half_up(values: Array) -> Array:
    return np.floor(values + 0.5)


def default_layers(
    seb: Array,
    green: Array,
    swir: Array,
    blind: Array,
    tcd: Array,
    *,
    a: float,
    b: float,
    rmse: float,
    rmse_shaded: float,
    cap: float,
    sigma: float,
) -> dict[str, Array]:
    """Layers as float64 before rounding (percent), with codes where there is no snow."""
    g, s = green.astype(float), swir.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        ndsi = np.where(g + s == 0, -1, (g - s) / (g + s))
        percent = np.where(g + s == 0, -100, 100 * (g - s) / (g + s))
    f = np.where(blind, 1, np.minimum(0.5 * np.tanh(a * ndsi + b) + 0.5, 1))
    known = tcd <= 100
    t = np.where(known, np.minimum(tcd, cap), 0) / 100
    error = np.where(blind, rmse_shaded, rmse)
    more = np.where(known, 100 * sigma * f / (1 - t) ** 2, 0)
    snow = seb == 100
    codes, unknown = seb.astype(float), np.where(seb == 0, 254.0, seb)
    return {
        "ndsi": np.where(snow, np.clip(percent, 0, 100), codes),
        "toc": np.where(snow, np.clip(100 * f, 1, 100), codes),
        "toc_error": np.where(snow, error, unknown),
        "og": np.where(snow, np.clip(100 * np.minimum(f / (1 - t), 1), 1, 100), codes),
        "og_error": np.where(snow, np.minimum(100, np.hypot(error / (1 - t), more)), unknown),
    }
