"""Suspended matter and turbidity of one pixel, straight from the specification; None is no value."""

from __future__ import annotations

import math
from collections.abc import Sequence

Maybe = float | None


def nechad(rho: Maybe, a: float, c: float) -> Maybe:
    return None if rho is None or rho >= c else a * rho / (1 - rho / c)


def power_law(red: Maybe, nir: Maybe, factor: float, exponent: float) -> Maybe:
    """High branch of GET 2018, on rho."""
    if red is None or nir is None or nir <= 0 or red <= 0:
        return None
    return factor * (nir / red) ** exponent


def blend(weights: Sequence[float], values: Sequence[Maybe]) -> Maybe:
    """A branch of weight 0 is not evaluated."""
    active = [(w, v) for w, v in zip(weights, values, strict=True) if w > 0]
    if any(v is None for _, v in active):
        return None
    return sum(w * v for w, v in active if v is not None)


def switch(
    red: Maybe, low: Maybe, high: Maybe, limits: tuple[float, float], *, logarithmic: bool = False
) -> Maybe:
    if red is None:
        return None
    w = ramp(red, *limits, logarithmic=logarithmic)
    return blend((1 - w, w), (low, high))


def ramp(x: float, lowest: float, highest: float, *, logarithmic: bool = False) -> float:
    if x <= lowest:
        return 0.0
    if x >= highest:
        return 1.0
    if logarithmic:
        return math.log(x / lowest) / math.log(highest / lowest)
    return (x - lowest) / (highest - lowest)


def get2018(red: Maybe, nir: Maybe) -> Maybe:
    low, high = nechad(red, 610.94, 0.2324), power_law(red, nir, 691.13, 2.5411)
    return switch(red, low, high, (0.07, 0.14))


def dogliotti15(red: Maybe, nir: Maybe) -> Maybe:
    return switch(red, nechad(red, 228.1, 0.1641), nechad(nir, 3078.9, 0.2112), (0.05, 0.07))


def han16(rrs: Maybe) -> Maybe:
    rho = None if rrs is None else math.pi * rrs
    low, high = nechad(rho, 396.005, 0.5), nechad(rho, 1208.481, 0.3375)
    return switch(rrs, low, high, (0.03, 0.045), logarithmic=True)


def novoa17(green: Maybe, red: Maybe, nir: Maybe) -> Maybe:
    if red is None:
        return None
    first = ramp(red, 0.007, 0.016, logarithmic=True)
    second = ramp(red, 0.080, 0.120, logarithmic=True)
    values = (
        None if green is None else 130.1 * green,
        531.5 * red,
        None if nir is None else 37150 * nir**2 + 1751 * nir,
    )
    return blend((1 - first, first - second, second), values)


def jiang23(bands: dict[str, Maybe], tables: dict[str, dict[str, float]]) -> tuple[Maybe, str]:
    """Value and reference band."""
    if any(bands[name] is None or bands[name] <= 0 for name in ("B1", "B2", "B3", "B4")):
        return None, ""
    r = {name: math.nan if value is None else value for name, value in bands.items()}
    near_620 = 169.3846 * r["B4"] ** 3 - 15.57556 * r["B4"] ** 2 + 1.316727 * r["B4"] + 1.484814e-4
    if r["B2"] > r["B3"]:
        band = "B3"
    elif r["B2"] > near_620:
        band = "B4"
    else:
        band = "B8A" if r["B6"] > r["B2"] and r["B6"] > 0.010 else "B6"
    a = tables["aw"][band]
    below = {name: value / (0.52 + 1.7 * value) for name, value in r.items()}
    if band == "B3":
        top, bottom = below["B1"] + below["B2"], below["B3"] + 5 * below["B4"] ** 2 / below["B2"]
        q = math.log10(top / bottom)
        a += 10 ** (-1.146 - 1.366 * q - 0.469 * q**2)
    if band == "B4":
        a += 0.39 * (r["B4"] / (r["B1"] + r["B2"])) ** 1.14
    root = 0.089**2 + 4 * 0.125 * below[band]
    if math.isnan(root) or root < 0:
        return None, band
    u = (-0.089 + math.sqrt(root)) / (2 * 0.125)
    return tables["scale"][band] * (u * a / (1 - u) - tables["bbw"][band]), band
