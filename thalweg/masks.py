"""Masks by meaning: what a code of a product's mask file says about a pixel.

A chain asks for meanings (`cloud_shadow`, `snow`), never for codes; the reader says which codes of which file have
which meaning. Sources of the legends: CLM and MG2 the MUSCATE product format description (theia-land.fr) and LIS;
SCL the Sen2Cor product definition; GRS github.com/Tristanovsk/grs;
MAJA native CLD the MAJA product format; Fmask the HLS 2.0 user guide (lpdaac.usgs.gov);
QA_PIXEL and QA_RADSAT the Landsat 8-9 Collection 2 Level 2 science product guide (LSDS-1619).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from thalweg.raster import Raster

MEANINGS = (
    "nodata",
    "marked",
    "any_cloud",
    "cloud",
    "thin_cloud",
    "high_cloud",
    "dilated_cloud",
    "cloud_shadow",
    "adjacent",
    "projected_shadow",
    "topographic_shadow",
    "hidden",
    "dark",
    "sun_low",
    "sun_tangent",
    "snow",
    "water",
    "saturated",
    "aerosol_high",
)
"""Every meaning that a reader may declare.

`projected_shadow` is a cloud's shadow as the geophysical mask says it, where the cloud mask has shadows of its own.
`any_cloud` is every code that the product counts as cloud or its shadow, `marked` every code but 0 of the file that
holds the clouds.
"""


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes that carry one meaning: any of what the fields say."""

    values: frozenset[int] = frozenset()
    """Codes equal to one of these."""
    bits: tuple[int, ...] = ()
    """Codes that have all bits of one of these masks set."""
    nonzero: bool = False
    """Every code but 0."""

    def table(self, size: int) -> NDArray[np.bool_]:
        """True for each code 0 to size - 1 that carries the meaning."""
        import numpy as np

        codes = np.arange(size)
        held = np.isin(codes, list(self.values))
        if self.nonzero:
            held |= codes != 0
        for bit in self.bits:
            held |= (codes & bit) == bit
        return held

    def __or__(self, other: Codes) -> Codes:
        """The codes that are among these or among the other ones."""
        return Codes(self.values | other.values, self.bits + other.bits, self.nonzero or other.nonzero)


@dataclass(frozen=True, slots=True)
class MaskFile:
    """A mask of a product: codes on a grid, and what they mean."""

    kind: str
    """Name of the file's format, such as clm, scl or fmask; files of one kind are one mask in several resolutions."""
    raster: Raster
    """Where the codes are."""
    legend: Mapping[str, Codes] = field(default_factory=dict)
    """Meaning to codes; a meaning that is absent is one the file knows nothing of."""
    bands: Mapping[str, Codes] = field(default_factory=dict)
    """Band role to the codes that say it is saturated; empty where the file does not tell bands apart."""

    def seen_by(self, roles: Iterable[str]) -> MaskFile:
        """The mask as it matters to somebody who reads only these bands: `saturated` is that one of them is."""
        if not self.bands:
            return self
        legend = {meaning: codes for meaning, codes in self.legend.items() if meaning != "saturated"}
        used = [self.bands[role] for role in roles if role in self.bands]
        return replace(self, legend={**legend, "saturated": reduce(or_, used)} if used else legend)


def saturation(kind: str, raster: Raster, bits: Mapping[str, int]) -> MaskFile:
    """A mask of saturated pixels that has a bit for each of these band roles."""
    bands = {role: _bits(bit) for role, bit in bits.items()}
    return MaskFile(kind, raster, {"saturated": reduce(or_, bands.values())}, bands)


def _values(*codes: int) -> Codes:
    return Codes(values=frozenset(codes))


def _bits(*masks: int) -> Codes:
    return Codes(bits=masks)


CLM = {
    "marked": Codes(nonzero=True),
    # Every code counts, the thinnest clouds (16) and shadows included: LIS does so on purpose.
    "any_cloud": Codes(nonzero=True),
    "cloud": _bits(2),
    "thin_cloud": _bits(16),
    "cloud_shadow": _bits(32, 64),
    "high_cloud": _bits(128),
    # Marked, and neither cloud, shadow nor cirrus: the margin around clouds, and haze.
    "adjacent": _values(*(code for code in range(1, 256) if not code & 0b1110_0010)),
}
"""Cloud mask of MUSCATE products (``CLM_R2``, ``CLM_XS``)."""

MG2 = {
    "water": _bits(1),
    "snow": _bits(4),
    "projected_shadow": _bits(8),
    "topographic_shadow": _bits(16),
    "hidden": _bits(32),
    "sun_low": _bits(64),
    "sun_tangent": _bits(128),
}
"""Geophysical mask of MUSCATE products."""

EDG = {"nodata": Codes(nonzero=True)}
"""Edge mask of MUSCATE products."""

SAT = {"saturated": Codes(nonzero=True)}
"""Saturation mask of MUSCATE products: a bit per band of its group."""

GRS = {
    "nodata": _bits(1),
    "cloud": _bits(1 << 1, 1 << 2, 1 << 10, 1 << 13),
    "water": _bits(1 << 3),
    "high_cloud": _bits(1 << 5, 1 << 6, 1 << 12),
    "cloud_shadow": _bits(1 << 14),
    "snow": _bits(1 << 15),
}
"""Flags of GRS (32-bit)."""

CLD = {
    "marked": Codes(nonzero=True),
    "any_cloud": Codes(nonzero=True),
    "cloud": _bits(2),
    "cloud_shadow": _bits(4, 8),
    "high_cloud": _bits(128),
    "adjacent": _values(*(code for code in range(1, 256) if not code & 0b1000_1110)),
}
"""Cloud mask of native MAJA products (``CLD_R2.DBL.TIF``)."""

SCL = {
    "marked": Codes(nonzero=True),
    "nodata": _values(0),
    "any_cloud": _values(3, 8, 9, 10),
    "cloud": _values(8, 9),
    "high_cloud": _values(10),
    "cloud_shadow": _values(3),
    "saturated": _values(1),
    "dark": _values(2),
    "water": _values(6),
    "snow": _values(11),
}
"""Scene classification of Sen2Cor."""

CLASSI = (
    {"any_cloud": Codes(nonzero=True), "cloud": Codes(nonzero=True)},
    {"any_cloud": Codes(nonzero=True), "high_cloud": Codes(nonzero=True)},
    {"snow": Codes(nonzero=True)},
)
"""The three bands of the classification mask of L1C products from baseline 04.00 on: opaque cloud, cirrus, snow."""

# The fill 255 has every bit set: it is nothing but fill.
FMASK = {
    "nodata": _values(255),
    "any_cloud": _values(*(code for code in range(255) if code & 0b1010)),
    "cloud": _values(*(code for code in range(255) if code & 0b10)),
    "adjacent": _values(*(code for code in range(255) if code & 0b100)),
    "cloud_shadow": _values(*(code for code in range(255) if code & 0b1000)),
    "snow": _values(*(code for code in range(255) if code & 0b1_0000)),
    "water": _values(*(code for code in range(255) if code & 0b10_0000)),
    "aerosol_high": _values(*(code for code in range(255) if code >> 6 == 0b11)),
}
"""Quality mask of HLS products."""

QA_PIXEL = {
    "nodata": _bits(1),
    "any_cloud": _bits(2, 4, 8, 16),
    "cloud": _bits(8),
    "high_cloud": _bits(4),
    "dilated_cloud": _bits(2),
    "cloud_shadow": _bits(16),
    "snow": _bits(32),
    "water": _bits(128),
}
"""Quality mask of Landsat Collection 2; bit 6 says clear, bits 8 to 15 how sure the others are."""
