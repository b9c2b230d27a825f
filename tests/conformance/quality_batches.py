"""Batches of the fused pass from the spectra of the conformance set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.chains.quality_numbers import QAA_AW, QAA_BBW
from thalweg.kernels.quality import Batch
from thalweg.kernels.recipe import BANDS
from thalweg.kernels.reflectance import Rrs

Spectrum = Mapping[str, float | None]

WATER = np.array((QAA_AW, QAA_BBW))
"""Pure water of QAA."""


def batch_of(
    spectra: Sequence[Spectrum],
    zenith: float = 30.0,
    renamed: Mapping[str, str] | None = None,
    precision: str = "float64",
) -> Batch:
    """A batch of one pixel a spectrum, whose bands are called as `renamed` says, computed in `precision`."""
    rrs = np.full((len(BANDS), len(spectra)), np.nan, precision)
    for pixel, spectrum in enumerate(spectra):
        for band, value in spectrum.items():
            row = (renamed or {}).get(band, band)
            if row in BANDS and value is not None:
                rrs[BANDS.index(row), pixel] = value
    suns = np.full(len(spectra), zenith, precision)
    return Batch(Rrs(rrs), suns, np.zeros(len(spectra), np.uint32))


def is_close(value: Any, expected: Any, rtol: float, atol: float = 1e-12) -> bool:
    """The comparison of the conformance set: null is NaN, whole numbers and text are exact."""
    if expected is None:
        return bool(np.isnan(value))
    if isinstance(expected, float):
        # In float64 whatever the value is: float32 would round what is expected.
        return bool(abs(float(value) - expected) <= rtol * abs(expected) + atol)
    return bool(value == expected)
