"""What covers reflect, by band of Sentinel-2: published class statistics, rounded.

SNOW, SHADED_SNOW, ICE, ROCK and WATER are the medians of 11,729 hand-labelled pixels of Sentinel-2 surface
reflectance on glaciers (R. Aberle, repository RaineyAbe/glacier-snow-cover-mapping, MIT licence). CLOUD is the mean of
the brighter quarter of 49,597 labelled cloud pixels (DLR, repository dlr-eoc/ukis-csmask, Apache-2.0; red edge
interpolated). FOREST and GRASS are rounded figures within the range of the conifer and dormant-grass spectra of the
ECOSTRESS library (Meerdink et al. 2019, doi:10.1016/j.rse.2019.05.015).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BANDS = ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")
"""The bands of a MUSCATE product, by wavelength."""

FINE = ("B2", "B3", "B4", "B8")
"""Bands on pixels of 10 m (group R1); the others have 20 m (group R2)."""

Spectrum = NDArray[np.float32]
"""Reflectance, 0 to 1, in the order of `BANDS`."""


def _spectrum(*values: float) -> Spectrum:
    return np.array(values, np.float32)


SNOW = _spectrum(0.8094, 0.8324, 0.8288, 0.8517, 0.7926, 0.7294, 0.6941, 0.6612, 0.0186, 0.0165)
SHADED_SNOW = _spectrum(0.4656, 0.4052, 0.3286, 0.3172, 0.2966, 0.2649, 0.2320, 0.2260, 0.0099, 0.0095)
ICE = _spectrum(0.3458, 0.3552, 0.3375, 0.3435, 0.3049, 0.2673, 0.2412, 0.2272, 0.0139, 0.0133)
ROCK = _spectrum(0.1224, 0.1504, 0.1560, 0.1689, 0.1615, 0.1813, 0.1668, 0.1710, 0.2189, 0.2222)
WATER = _spectrum(0.1118, 0.1656, 0.1052, 0.0813, 0.0397, 0.0362, 0.0287, 0.0206, 0.0114, 0.0109)
CLOUD = _spectrum(0.637, 0.622, 0.664, 0.690, 0.720, 0.750, 0.779, 0.785, 0.598, 0.455)
FOREST = _spectrum(0.018, 0.032, 0.022, 0.052, 0.130, 0.155, 0.165, 0.175, 0.075, 0.035)
GRASS = _spectrum(0.045, 0.070, 0.085, 0.130, 0.180, 0.200, 0.215, 0.230, 0.270, 0.190)

SKYLIGHT = SHADED_SNOW / SNOW
"""Light in the open shade as a share of full sunlight; its square is about the diffuse share on a clear day."""

FRESH_SWIR = _spectrum(1, 1, 1, 1, 1, 1, 1, 1, 2.5, 2.5)
"""Small grains: dry winter snow is brighter in the short-wave infrared than the summer snow of the labelled pixels."""
