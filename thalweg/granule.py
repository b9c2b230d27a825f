"""A granule: one acquisition of one tile, as a reader found it; nothing of it has been decoded yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from thalweg.errors import BadInput, MissingInput
from thalweg.masks import MaskFile
from thalweg.raster import Raster, Reflectance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Level = Literal["L1C", "L2A", "Rrs", "rhow"]
"""Top-of-atmosphere reflectance, surface reflectance, remote-sensing reflectance, water-leaving reflectance."""

Correction = Literal["flat", "surface"]
"""`flat`: corrected for the slope of the ground (FRE); `surface`: not (SRE)."""

PROMISING = ("muscate", "maja", "safe")
"""Formats that promise every band of their sensor: without one the product is damaged."""


@dataclass(frozen=True, slots=True)
class Sun:
    """Where the sun stood."""

    zenith: float
    """Mean zenith angle of the granule, degrees."""
    azimuth: float
    """Mean azimuth, degrees clockwise from north."""
    grid: SunGrid | None = None
    """Angles on a coarse grid, where the product has them."""


@dataclass(frozen=True, slots=True)
class SunGrid:
    """Sun angles at nodes counted from the upper-left corner of the tile; NaN where the product has none."""

    zenith: NDArray[np.float64]
    """Degrees, rows x columns of nodes."""
    azimuth: NDArray[np.float64]
    """Degrees clockwise from north, rows x columns of nodes."""
    step: tuple[float, float]
    """Distance of nodes down and right, metres."""


@dataclass(frozen=True, slots=True)
class BandFile:
    """One band of a granule in one correction."""

    raster: Raster
    """Where its numbers are."""
    reflectance: Reflectance = field(default_factory=Reflectance)
    """How they become counts."""
    native: str = ""
    """The sensor's own name of the band, such as ``B8A``."""


@dataclass(frozen=True, slots=True)
class Granule:
    """One acquisition of one tile (tile x sensing time x orbit x processing baseline), as one input product."""

    id: str
    """Name of the product, without folder and suffix."""
    path: Path
    """Where the product is, as the user gave it."""
    format: str
    """Reader that opened it: muscate, maja, safe, stac, hls, landsat, stack."""
    tile: str
    """MGRS tile without the T, WRS-2 path and row, or a site name."""
    sensed: datetime
    """Start of sensing, UTC."""
    platform: str
    """S2A to S2D, L8, L9, HLS-S30 or HLS-L30 where the product does not say which, or what the user said."""
    level: Level
    """Processing level."""
    bands: Mapping[str, Mapping[str, BandFile]] = field(default_factory=dict)
    """Role to key to band; a key is a correction, ``native`` or a resolution in metres such as ``20``."""
    masks: tuple[MaskFile, ...] = ()
    """Masks with their legends."""
    sun: Sun | None = None
    """Sun angles, or None where the product does not say."""
    baseline: str | None = None
    """Processing baseline or product version, such as 05.09 or V3-1."""
    orbit: int | None = None
    """Relative orbit."""
    cloud_cover: float | None = None
    """Cloud share by the provider, percent."""
    on_mgrs: bool = True
    """False where the tile is no MGRS tile, so that the footprint is not checked against one."""
    item: str | None = None
    """Reference to the input's own STAC item, for `derived_from`."""
    expected: Mapping[str, str] = field(default_factory=dict)
    """Role or mask meaning to the file name pattern that would hold it, for messages about what is missing."""
    fields: Mapping[str, Raster] = field(default_factory=dict)
    """One of `thalweg.inputs.FIELDS` to where the product gives it for each pixel."""
    attribution: str = ""
    """Credit that the input's licence asks for, such as "Contains modified Copernicus Sentinel data 2021"."""

    @property
    def per_milli(self) -> int:
        """Counts per thousandth of reflectance: 10 for x 10000, 1 for x 1000 (`multi` of LIS)."""
        files = [band for keys in self.bands.values() for band in keys.values()]
        return files[0].reflectance.quantification // 1000 if files else 10

    def band(
        self, role: str, correction: str | None = None, resolution: int | None = None
    ) -> BandFile | None:
        """The file of a role, or None where the granule has none that fits.

        A correction is asked only of products that know of them; without one, `flat` comes first. Of several
        resolutions the wanted one is taken, else the next finer one, else the finest.
        """
        keys = self.bands.get(role, {})
        if correction is not None and set(keys) & {"flat", "surface"}:
            return keys.get(correction)
        sizes = sorted(int(key) for key in keys if key.isdigit())
        if not sizes:
            return keys.get("flat", next(iter(keys.values()), None))
        fitting = [size for size in sizes if resolution is not None and size <= resolution]
        return keys[str(fitting[-1] if fitting else sizes[0])]

    def masks_with(self, meaning: str) -> tuple[MaskFile, ...]:
        """The masks that know of a meaning."""
        return tuple(mask for mask in self.masks if meaning in mask.legend)

    def missing(
        self, what: str | Sequence[str], chain: str, id: str | None = None
    ) -> MissingInput | BadInput:
        """The error for roles or meanings that the granule does not have, naming the files that would hold them.

        `id`: what the chain's specification calls it.
        """
        lacking = (what,) if isinstance(what, str) else what
        patterns = [self.expected[one] for one in lacking if one in self.expected]
        expected = f": expected {', '.join(patterns)}" if patterns else ""
        names = ", ".join(map(repr, lacking))
        message = (
            f"{self.path}: chain '{chain}' needs {names}, which the granule does not hold "
            f"({self.format} product{expected}); it holds: {', '.join(self.bands) or 'none'}"
        )
        if patterns and self.format in PROMISING:
            return BadInput(message, id="SNOW-IN-02" if chain == "snow" else id)
        return MissingInput(message, id=id)
