"""Removal of sunglint from one pixel, straight from the specification; None is no value."""

from __future__ import annotations

from collections.abc import Sequence

Maybe = float | None


def swir_glint(swir16: Maybe, swir22: Maybe, factor16: float, factor22: float) -> Maybe:
    candidates = [
        band / factor for band, factor in ((swir16, factor16), (swir22, factor22)) if band is not None
    ]
    return max(0.0, min(candidates)) if candidates else None


def slope(rho: Sequence[float], nir: Sequence[float]) -> float:
    """Ordinary least squares of rho on nir."""
    n = len(rho)
    centre, centre_nir = sum(rho) / n, sum(nir) / n
    along = sum((x - centre_nir) * (y - centre) for x, y in zip(nir, rho, strict=True))
    return along / sum((x - centre_nir) ** 2 for x in nir)
