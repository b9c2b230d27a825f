"""Removal of sunglint from bottom-of-atmosphere reflectance rho, by the near infrared or by the short-wave infrared."""

from __future__ import annotations

import math

from thalweg.kernels.jit import kernel, row_kernel
from thalweg.kernels.reflectance import Numbers, Rho

LEAST_SAMPLE = 30
"""Pixels of deep, glinted water without which no slope is trusted."""


@row_kernel("void(float64[::1], float64[::1], float64, float64, float64[::1])")
def remove_by_nir(rho: Rho, nir: Rho, slope: float, least: float, out: Rho) -> None:
    """rho - slope (nir - least). Source: Hedley 2005 (10.1080/01431160500034086)."""
    for i in range(out.size):
        out[i] = rho[i] - slope * (nir[i] - least)


@row_kernel("void(float64[::1], float64[::1], float64, float64, float64[::1])")
def swir_glint(swir16: Rho, swir22: Rho, factor16: float, factor22: float, out: Numbers) -> None:
    """Spectrally flat glint: the lesser of the two bands over their factors, at least 0; NaN where both are missing.

    Source: Fresnel factors of Harmel 2018 (10.1016/j.rse.2017.10.022).
    """
    for i in range(out.size):
        first, second = swir16[i] / factor16, swir22[i] / factor22
        less = first if (first < second) | (second != second) else second
        out[i] = 0.0 if less < 0.0 else less


@row_kernel("void(float64[::1], float64[::1], float64, float64[::1])")
def remove_glint(rho: Rho, glint: Numbers, factor: float, out: Rho) -> None:
    """rho - factor x glint, with transmittance and Fresnel factor in one; unchanged where glint is not known."""
    for i in range(out.size):
        known = glint[i] == glint[i]
        corrected = rho[i] - factor * glint[i]
        out[i] = corrected if known else rho[i]


@kernel("Tuple((int64, float64, float64))(float64[::1], float64[::1])")
def nir_slope(rho: Rho, nir: Rho) -> tuple[int, float, float]:
    """Number of valid pixels of a sample, least-squares slope of rho on nir, and least nir.

    Pixels where either is NaN do not count. The slope is NaN where nir does not vary.
    """
    count, least = 0, math.inf
    mean, mean_nir = 0.0, 0.0
    for i in range(rho.size):
        if rho[i] == rho[i] and nir[i] == nir[i]:
            count += 1
            mean += rho[i]
            mean_nir += nir[i]
            least = min(least, nir[i])
    if count == 0:
        return count, math.nan, math.nan
    mean, mean_nir = mean / count, mean_nir / count
    along, spread = 0.0, 0.0
    for i in range(rho.size):
        if rho[i] == rho[i] and nir[i] == nir[i]:
            along += (nir[i] - mean_nir) * (rho[i] - mean)
            spread += (nir[i] - mean_nir) * (nir[i] - mean_nir)
    return count, along / spread, least
