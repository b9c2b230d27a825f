"""What a chain declares that it needs: bands by role, masks by meaning, static layers by role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from thalweg.bands import ROLES
from thalweg.errors import BadParameters
from thalweg.masks import MEANINGS

Encoding = Literal["reflectance", "counts", "stored"]
"""`reflectance`: float32, NaN where nodata. `counts`: int16, reflectance x quantification (10000, or 1000 where the
product has that), offset of the product applied, -10000 where nodata. `stored`: int16 as in the file, nothing applied;
a reduction takes -10000 for nodata, whatever the product says."""

Step = Literal["survey", "apply", "both"]
"""Which step of a chain reads an input: chains without a survey have only `apply`."""

NO_DATA = -10000
"""Nodata of the encoding `counts`."""


@dataclass(frozen=True, slots=True)
class Band:
    """A spectral band, brought to the chain's grid."""

    role: str
    """One of `thalweg.bands.ROLES`."""
    resolution: int | None = None
    """Pixel size in metres of the file to read where a product holds several, or None for the finest."""
    encoding: Encoding = "reflectance"
    """What the numbers are."""
    correction: Literal["flat", "surface"] | None = None
    """Which surface reflectance of a MUSCATE or MAJA product; None: flat first."""
    required: bool = True
    """False where the chain can do without."""
    reduce: Literal["cubic", "mean", "nearest"] = "mean"
    """How a finer band comes to the chain's grid; `nearest` takes the upper left pixel of each block."""
    nodata: int | None = None
    """Stored number that means nodata, where the user overrules the product."""
    step: Step = "both"
    """When it is read; `both` in a chain with a survey costs a second decode."""

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise BadParameters(f"unknown band role {self.role!r}; roles: {', '.join(ROLES)}")
        if self.reduce == "cubic" and self.encoding == "reflectance":
            raise BadParameters(
                f"band {self.role!r}: cubic reduction is exact on integers only; ask for counts"
            )

    @property
    def name(self) -> str:
        """Attribute of the scene that holds the band."""
        return self.role


@dataclass(frozen=True, slots=True)
class Mask:
    """A bit field per pixel: bit i says whether meaning i holds."""

    name: str
    """Attribute of the scene that holds the bits, uint8."""
    meanings: tuple[str, ...]
    """At most eight of `thalweg.masks.MEANINGS`, from bit 0."""
    required: bool = True
    """True where at least one meaning must be known to the product."""
    step: Step = "both"
    """When it is read."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.meanings) - set(MEANINGS))
        if unknown or not 1 <= len(self.meanings) <= 8:
            raise BadParameters(
                f"mask {self.name!r}: 1 to 8 of these meanings: {', '.join(MEANINGS)}; not {unknown}"
            )


@dataclass(frozen=True, slots=True)
class Codes:
    """The product's own codes of the first mask that carries a meaning, unchanged, uint8 or uint16."""

    name: str
    """Attribute of the scene that holds the codes."""
    meaning: str
    """Which mask file."""
    required: bool = True
    """False where the chain can do without."""
    step: Step = "both"
    """When it is read."""


@dataclass(frozen=True, slots=True)
class Static:
    """A static layer of the tile, on the chain's grid."""

    role: str
    """File name without suffix in the folder of static layers, such as ``dem``."""
    dtype: Literal["uint8", "int16", "float32"] = "uint8"
    """What the numbers become; a float file read as int16 is rounded half up."""
    required: bool = True
    """False where the chain can do without."""
    whole: bool = False
    """True where every strip needs the whole raster, which the engine then holds."""
    margin: bool = False
    """True where pixels around the tile are wanted too, if the file has them."""
    warp: Literal["nearest", "bilinear", "cubic_spline"] | None = None
    """How a layer on another grid may be brought to this one; None: refused."""
    allow_warp: bool = False
    """True where the user allows that warp for this run."""
    valid: tuple[float, float] | None = None
    """Smallest and largest stored value that is data; others do not enter a warp."""
    burn: int = 1
    """Value given to the polygons of a vector file."""
    step: Step = "both"
    """When it is read."""

    @property
    def name(self) -> str:
        """Attribute of the scene that holds the layer."""
        return self.role


Input = Band | Mask | Codes | Static
