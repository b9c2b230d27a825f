"""Masks by meaning: what a code of a product's mask file says about a pixel.

A chain asks for meanings (`cloud_shadow`, `snow`), never for codes; the reader says which codes of which file have
which meaning. Sources of the legends: CLM and MG2 the MUSCATE product format description (theia-land.fr) and LIS;
SCL the Sen2Cor product definition; MAJA native CLD the MAJA product format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    "cloud_shadow",
    "adjacent",
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

`any_cloud` is every code that the product counts as cloud or its shadow, `marked` every code but 0 of the file that
holds the clouds.
"""


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes that carry one meaning: listed values, or values that have certain bits set."""

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
        held = (codes != 0) if self.nonzero else np.isin(codes, list(self.values))
        for bit in self.bits:
            held |= (codes & bit) == bit
        return held


@dataclass(frozen=True, slots=True)
class MaskFile:
    """A mask of a product: codes on a grid, and what they mean."""

    kind: str
    """Name of the file's format: clm, mg2, edg, sat, cld, scl, or ``mask`` for a user's own."""
    raster: Raster
    """Where the codes are."""
    legend: Mapping[str, Codes] = field(default_factory=dict)
    """Meaning to codes; a meaning that is absent is one the file knows nothing of."""


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
}
"""Cloud mask of MUSCATE products (``CLM_R2``, ``CLM_XS``)."""

MG2 = {
    "water": _bits(1),
    "snow": _bits(4),
    "topographic_shadow": _bits(16),
    "hidden": _bits(32),
    "sun_low": _bits(64),
    "sun_tangent": _bits(128),
}
"""Geophysical mask of MUSCATE products."""

EDG = {"nodata": Codes(nonzero=True)}
"""Edge mask of MUSCATE products."""

SAT = {"saturated": Codes(nonzero=True)}
"""Saturation mask of MUSCATE products: a bit per band."""

CLD = {
    "marked": Codes(nonzero=True),
    "any_cloud": Codes(nonzero=True),
    "cloud": _bits(2),
    "cloud_shadow": _bits(4, 8),
    "high_cloud": _bits(128),
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
