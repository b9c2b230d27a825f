"""QAA, attenuation and Secchi depth of one pixel, straight from the specification; None is no value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Maybe = float | None

WAVELENGTHS = (443, 490, 560, 665)


def u_of(below: float, g0: float, g1: float) -> float:
    return (-g0 + math.sqrt(g0**2 + 4 * g1 * below)) / (2 * g1)


def qaa(r: Sequence[Maybe], aw: Sequence[float], bbw: Sequence[float], sza: float) -> dict[str, Any] | None:
    """Everything that QAA v6 finds from R at 443, 490, 560 and 665 nm."""
    if any(x is None or x <= 0 for x in r):
        return None
    r = [x for x in r if x is not None]
    below = [x / (0.52 + 1.7 * x) for x in r]
    u = [u_of(x, 0.08945, 0.1247) for x in below]
    if r[3] < 0.0015:
        mode, ref = "v5", 2
        q = math.log10((below[0] + below[1]) / (below[2] + 5 * below[3] ** 2 / below[1]))
        a0 = aw[2] + 10 ** (-1.146 - 1.366 * q - 0.469 * q**2)
    else:
        mode, ref = "v6", 3
        a0 = aw[3] + 0.39 * (r[3] / (r[0] + r[1])) ** 1.14
    bbp0 = u[ref] * a0 / (1 - u[ref]) - bbw[ref]
    if bbp0 < 0:
        return None
    eta = 2 * (1 - 1.2 * math.exp(-0.9 * below[0] / below[2]))
    bbp = [bbp0 * (WAVELENGTHS[ref] / w) ** eta for w in WAVELENGTHS]
    bb = [p + w for p, w in zip(bbp, bbw, strict=True)]
    a = [a0 if k == ref else (1 - u[k]) * bb[k] / u[k] for k in range(4)]
    kd = [attenuate(a[k], bb[k], bbw[k], 1 + 0.005 * sza) for k in range(4)]
    if not 0 <= sza <= 85 or not any(k > 0 for k in kd):
        return None
    band = min((k for k in range(4) if kd[k] > 0), key=lambda k: kd[k])
    found = {"mode": mode, "a0": a0, "bbp0": bbp0, "eta": eta, "a": a, "bbp": bbp, "Kd": kd, "band": band}
    return found | {"u": u, "zsd": secchi(r[band], kd[band]), "jiang": jiang(r[band], kd[band], u[band], sza)}


def attenuate(a: float, bb: float, bbw: float, path: float) -> float:
    return path * a + (1 - 0.265 * bbw / bb) * 4.259 * (1 - 0.52 * math.exp(-10.8 * a)) * bb


def seen(r: float) -> Maybe:
    contrast = abs(0.14 - r)
    return math.log(contrast / 0.013) if contrast > 0.013 else None


def secchi(r: float, kd: float) -> Maybe:
    log = seen(r)
    return None if log is None else log / (2.5 * kd)


def jiang(r: float, kd: float, u: float, sza: float) -> Maybe:
    log = seen(r)
    slant = math.sqrt(1 - math.sin(math.radians(sza)) ** 2 / 1.34**2)
    return None if log is None else log / ((1 + 1.04 * math.sqrt(1 + 5.4 * u) * slant) * kd)


def polynomial(c: Sequence[float], x: float) -> float:
    """Highest power first."""
    value = 0.0
    for factor in c:
        value = value * x + factor
    return value


def p3qaa(blue: Maybe, green: Maybe, red: Maybe, table: dict[str, Any]) -> Maybe:
    """Secchi depth from R at 492, 560 and 665 nm."""
    if blue is None or green is None or red is None or blue <= 0 or green <= 0:
        return None
    trusted = red
    if red > 20 * green**1.5:
        trusted = 1.27 * green**1.47 + 0.00018 * (red / green) ** 3.19
    if trusted < 0:
        trusted = 0.182 * green
    t = polynomial(table["bg"], blue / green)
    v = [
        x / (1 + table["al"][k] * t + table["b1"][k] * green ** table["b2"][k])
        for k, x in enumerate((blue, green, trusted))
    ]
    u = [u_of(x / (0.52 + 1.7 * x), 0.089, 0.1245) for x in v]
    q = math.log10(2 * blue / (green + 5 * red**2 / blue))
    a_green = table["aw"][1] + 10 ** polynomial(table["chi"], q)
    bbp_green = u[1] * a_green / (1 - u[1]) - table["bbw"][1]
    eta = 2 * (1 - 1.2 * math.exp(-0.9 * t))
    kd = []
    for k, wavelength in enumerate((492, 560, 665)):
        bb = bbp_green * (560 / wavelength) ** eta + table["bbw"][k]
        a = max((1 - u[k]) * bb / u[k], table["aw"][k])
        kd.append(attenuate(a, u[k] * a / (1 - u[k]), table["bbw"][k], 1))
    if not any(k > 0 for k in kd):
        return None
    band = min((k for k in range(3) if kd[k] > 0), key=lambda k: kd[k])
    depth = secchi(v[band], kd[band])
    return None if depth is None else polynomial(table["z"], depth)
