"""What a chain declares that it needs: bands by role, masks by meaning, static layers by role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from thalweg.bands import ROLES
from thalweg.errors import BadParameters
from thalweg.masks import MEANINGS

Encoding = Literal["reflectance", "counts", "stored", "dn4", "exact"]
"""`reflectance`: float32, NaN where nodata. `counts`: int16, reflectance x quantification (10000, or 1000 where the
product has that), offset of the product applied, -10000 where nodata. `stored`: int16 as in the file, nothing applied;
a reduction takes -10000 for nodata, whatever the product says. `dn4`: int16, reflectance x 10000 of every product,
rounded half up in exact arithmetic and clipped to [-2000, 32767], -10000 where nodata. `exact`: the stored numbers in
the file's own type, to be decoded as `scene.packings` says; a mean of finer pixels comes as their sum, an int32."""

Step = Literal["sample", "survey", "apply"]
"""The passes of a chain over its strips: chains without a sample and a survey have only `apply`."""

Steps = Step | Literal["both"] | tuple[Step, ...]
"""In which passes an input is read; `both` is survey and apply."""

NO_DATA = -10000
"""Nodata of the encoding `counts`."""

FIELDS = ("sun_zenith", "sun_glint")
"""Quantities that a product may give for each pixel beside its bands: degrees, and reflectance of the sun's glint."""


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
    step: Steps = "both"
    """When it is read; `both` in a chain with a survey costs a second decode."""
    enlarge: Literal["bilinear", "nearest"] | None = None
    """How a coarser band comes to the chain's grid; None: it is refused."""
    halo: bool = True
    """False where the band is wanted without the neighbours that the chain's halo gives to others."""

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise BadParameters(f"unknown band role {self.role!r}; roles: {', '.join(ROLES)}")
        if self.reduce == "cubic" and self.encoding == "reflectance":
            raise BadParameters(
                f"band {self.role!r}: cubic reduction is exact on integers only; ask for counts"
            )
        if self.enlarge == "bilinear" and self.encoding == "reflectance":
            raise BadParameters(
                f"band {self.role!r}: enlarged bilinearly it is exact on integers only; ask for dn4"
            )

    @property
    def name(self) -> str:
        """Attribute of the scene that holds the band."""
        return self.role


@dataclass(frozen=True, slots=True)
class Mask:
    """A bit field per pixel: bit i says whether meaning i, or one of group i, holds."""

    name: str
    """Attribute of the scene that holds the bits: uint8, or uint16 where there are more than eight."""
    meanings: tuple[str | tuple[str, ...], ...]
    """At most sixteen of `thalweg.masks.MEANINGS`, or groups of them, from bit 0; an empty group is a bit never set."""
    required: bool = True
    """True where at least one meaning must be known to the product."""
    step: Steps = "both"
    """When it is read."""

    def __post_init__(self) -> None:
        unknown = sorted({meaning for group in self.groups for meaning in group} - set(MEANINGS))
        if unknown or not 1 <= len(self.meanings) <= 16 or not any(self.groups):
            raise BadParameters(
                f"mask {self.name!r}: 1 to 16 of these meanings: {', '.join(MEANINGS)}; not {unknown}"
            )

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The meanings of each bit."""
        return tuple((group,) if isinstance(group, str) else group for group in self.meanings)


@dataclass(frozen=True, slots=True)
class Codes:
    """The product's own codes of the first mask that carries a meaning, unchanged, in the type of the file."""

    name: str
    """Attribute of the scene that holds the codes."""
    meaning: str
    """Which mask file."""
    required: bool = True
    """False where the chain can do without."""
    step: Steps = "both"
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
    finer: int = 1
    """Pixels of the layer, across, in one of the chain's grid: a strip brings that many times its rows and columns."""
    step: Steps = "both"
    """When it is read."""

    def __post_init__(self) -> None:
        if self.finer > 1 and self.whole:
            raise BadParameters(f"static layer {self.role!r}: finer layers come in strips, not whole")

    @property
    def name(self) -> str:
        """Attribute of the scene that holds the layer."""
        return self.role


@dataclass(frozen=True, slots=True)
class Field:
    """A quantity that a product gives for each pixel beside its bands, as exact numbers without a halo."""

    name: str
    """One of `FIELDS`, and the attribute of the scene that holds it."""
    required: bool = False
    """False where the chain can do without."""
    step: Steps = "both"
    """When it is read."""

    def __post_init__(self) -> None:
        if self.name not in FIELDS:
            raise BadParameters(f"unknown field {self.name!r}; fields: {', '.join(FIELDS)}")


@dataclass(frozen=True, slots=True)
class Upstream:
    """Layers of another chain's product of the same acquisition: made in the same job, or there already.

    They arrive unchanged on the grid of that product, as `attribute` names them: where it is finer than the chain's
    grid by a whole factor, a strip (halo included) brings that many times its rows and columns.
    """

    chain: str
    """Name of the other chain."""
    layers: tuple[str, ...]
    """Its layers."""
    required: bool = True
    """False where the chain can do without."""
    step: Steps = "both"
    """When they are read."""

    @property
    def name(self) -> str:
        """What the chain's available inputs call it: the chain."""
        return self.chain

    def attribute(self, layer: str) -> str:
        """Attribute of the scene that holds a layer."""
        return f"{self.chain}_{layer}"


@dataclass(frozen=True, slots=True)
class Model:
    """Named arrays that an operator installs beside the static layers, such as a trained model."""

    role: str
    """File name without suffix, such as ``forest_model`` for ``forest_model.npz``."""
    required: bool = True
    """False where the chain can do without."""

    @property
    def name(self) -> str:
        """Key of its arrays in `Tileful.models`."""
        return self.role


Input = Band | Mask | Codes | Static | Field | Upstream | Model


def is_read_in(declared: Band | Mask | Codes | Static | Field | Upstream, step: str) -> bool:
    """True where a pass of the chain reads an input."""
    if declared.step == "both":
        return step in ("survey", "apply")
    return step in (declared.step if isinstance(declared.step, tuple) else (declared.step,))
