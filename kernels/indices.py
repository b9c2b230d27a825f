"""Spectral indices: normalised differences, line heights, trophic state and the classes of algal biomass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.elementary import NAN, ln
from thalweg.kernels.jit import row_kernel
from thalweg.kernels.reflectance import Numbers, Reflectance

FLOATING, NO_CLASS = 4, 255
"""Classes of `bloom_class` beside the degrees 0 to 3: floating algae, and no class."""


@row_kernel("void(float64[::1], float64[::1], float64[::1])")
def normalised_difference(first: Reflectance, second: Reflectance, out: Numbers) -> None:
    """(second - first) / (second + first); no value unless the sum is positive.

    It leaves [-1, 1] where one band is negative. Source: NDCI 10.1016/j.rse.2011.10.016 (665, 705 nm), NDTI
    10.1016/j.rse.2006.07.012 (560, 665 nm).
    """
    for i in range(out.size):
        total = second[i] + first[i]
        value = (second[i] - first[i]) / total
        out[i] = value if total > 0.0 else NAN


@row_kernel("void(float64[::1], float64[::1], float64[::1], float64, float64[::1])")
def line_height(left: Numbers, centre: Numbers, right: Numbers, position: float, out: Numbers) -> None:
    """Height of the centre above the line from left to right, in the unit of the bands: R for MCI, rho for the others.

    `position` is the way of the centre from left to right: (lc - ll) / (lr - ll) of the wavelengths, differences and
    not sums. Source: FAI 10.1016/j.rse.2009.05.012, AFAI 10.1016/j.rse.2016.04.019, MCI 10.1080/014311699212470, SLH
    10.1016/j.rse.2015.01.025.
    """
    for i in range(out.size):
        out[i] = centre[i] - left[i] - (right[i] - left[i]) * position


@row_kernel("void(float64[::1], float64, float64, float64[::1])")
def log_index(values: Numbers, slope: float, intercept: float, out: Numbers) -> None:
    """slope ln(value) + intercept; no value unless the argument is positive.

    Source: trophic state indices of Carlson 1977 (10.4319/lo.1977.22.2.0361).
    """
    for i in range(out.size):
        out[i] = slope * ln(values[i]) + intercept


@row_kernel("void(float64[::1], uint32[::1], int64, float64, float64, float64, uint8[::1])")
def bloom_class(
    chlorophyll: Numbers,
    words: NDArray[np.uint32],
    floating: int,
    low: float,
    middle: float,
    high: float,
    out: NDArray[np.uint8],
) -> None:
    """Degree of algal biomass: 0 to 3 by three limits (a limit belongs to the upper class), 4 for floating algae.

    `floating` is the bit of `words` that says floating algae, which also holds where chlorophyll has no value; 255 is
    no class. Biomass only: neither toxin nor taxon.
    """
    for i in range(out.size):
        value = chlorophyll[i]
        degree = np.uint8(value >= low) + np.uint8(value >= middle) + np.uint8(value >= high)
        degree = np.uint8(degree) if value == value else np.uint8(NO_CLASS)
        out[i] = np.uint8(FLOATING) if words[i] & floating else degree
