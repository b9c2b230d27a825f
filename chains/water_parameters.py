"""Parameters of the water chain, and what the profiles make of them (specification section 9)."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from thalweg.errors import BadParameters
from thalweg.kernels.samples import FEATURES, SpectralLimits
from thalweg.parameters import Within, suggest

DSWX, WOFS = "dswx-conformance", "wofs-conformance"
"""Profiles that give the layers of OPERA DSWx-HLS and of WOfS, bit by bit."""

READY = ("dswx", "wofs")
"""Detectors that need no training."""

ROLES = (
    "invalid",
    "cloud",
    "cloud_shadow",
    "snow",
    "adjacent",
    "topo_shadow",
    "sun_low",
    "saturated",
    "aerosol_high",
)
"""Mask roles, from bit 0."""

NAME_PATTERN = (
    r"^SURFWATER_(OPTICAL|RADAR|FUSED)-(SINGLE|MONTHLY|ANNUAL)_T([0-9]{2}[A-Z]{3}|[0-9]{6}|[A-Za-z][A-Za-z0-9-]{0,31})"
    r"_\d{8}(T\d{6})?_\d{8}(T\d{6})?_\d+-\d+-\d+$"
)
"""What a product may be called."""

# What `slurp` puts in the place of a default.
_SLURP: dict[str, Any] = {
    "closing_radius": 2,
    "gsw_touch": "delete",
    "hand_cut_m": 25.0,
    "n_trees": 100,
    "max_depth": 8,
    "certain_land_gate": False,
    "features": ("blue", "green", "red", "nir", "ndvi", "ndwi"),
}

DetectorId = Literal["forest", "cluster", "dswx", "wofs"]
FallbackId = Literal["forest", "cluster", "dswx", "wofs", "forest_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Water:
    """Parameters of the water chain."""

    profile: Annotated[
        Literal["surfwater", "slurp", "dswx-conformance", "wofs-conformance"],
        Within(
            note="slurp puts the values of CNES/slurp in the place of defaults; the last two are bit-exact"
        ),
    ] = "surfwater"
    detector: Annotated[DetectorId, Within(note="what tells water from land")] = "forest"
    fallback: Annotated[
        tuple[FallbackId, ...],
        Within(note="in whose place these stand, in order, where it cannot be trained"),
    ] = ("cluster", "dswx")
    train: Annotated[
        Literal["tile", "static"],
        Within(note="the forest learns from the tile, or is the installed forest_model.npz"),
    ] = "tile"
    write_model: Annotated[
        bool, Within(note="the product carries its forest, which may be installed as a forest_model")
    ] = False
    seed: Annotated[int, Within(0, 2**32 - 1, note="of the samples and of the forest")] = 20170101
    grid_origin: Annotated[
        tuple[int, int],
        Within(-(2**32), 2**32, "px", "row and column of the first pixel where the CRS counts in degrees"),
    ] = (0, 0)
    prob_threshold: Annotated[int, Within(1, 100, "%", "least probability of water")] = 50
    mask_out_roles: Annotated[tuple[str, ...], Within(note="mask roles under which nothing is decided")] = (
        "invalid",
        "cloud",
        "cloud_shadow",
        "snow",
        "adjacent",
        "sun_low",
        "saturated",
    )
    scl_dark_is_shadow: Annotated[
        bool, Within(note="SCL class 2 is relief shadow; it takes dark water too")
    ] = False
    mask_dilate_px: Annotated[int, Within(0, 100, "px", "how far clouds and their shadows are grown")] = 0
    water_occ_min: Annotated[int, Within(1, 100, "%", "occurrence from which water is taught")] = 50
    water_quota: Annotated[int, Within(200, 1_000_000, note="samples of water")] = 2000
    land_quota: Annotated[int, Within(200, 1_000_000, note="samples of land")] = 10000
    land_split: Annotated[
        tuple[int, int, int], Within(0, 1_000_000, note="of these: near drainage, high above it, bright")
    ] = (6000, 3000, 1000)
    land_hand_max_m: Annotated[float, Within(0, 10_000, "m", "height above drainage of near land")] = 25.0
    n_trees: Annotated[int, Within(1, 1000, note="trees of the forest")] = 20
    max_depth: Annotated[int, Within(1, 30, note="their depth")] = 6
    max_features: Annotated[int, Within(1, 9, note="features tried at a split")] = 3
    features: Annotated[tuple[str, ...], Within(note="what the forest sees of a pixel, in this order")] = (
        FEATURES
    )
    certain_land_gate: Annotated[bool, Within(note="certain land is not asked of the forest: PROB 0")] = True
    certain_land: Annotated[
        tuple[float, float], Within(-1, 1, note="MNDWI and NDWI below which land is certain")
    ] = (-0.1, -0.15)
    may_be_water: Annotated[
        tuple[float, float, float],
        Within(-1, 1, note="least MNDWI and NDWI, greatest SWIR 2 reflectance of water"),
    ] = (-0.1, -0.15, 0.075)
    n_min: Annotated[int, Within(1, 1_000_000, note="least pixels of water, and of land, to train on")] = 200
    min_f1: Annotated[float, Within(0, 1, note="hold-out F1 below which the training is of low quality")] = (
        0.80
    )
    holdout_block_px: Annotated[int, Within(1, 100_000, "px", "side of the blocks that are held out")] = 64
    snow_veto: Annotated[bool, Within(note="what looks like snow is no water")] = True
    hand_cut_m: Annotated[
        float | None, Within(0, 10_000, "m", "no water higher above drainage; null: anywhere")
    ] = None
    slope_cut_deg: Annotated[
        float | None, Within(0, 90, "degree", "no water on steeper ground; null: anywhere")
    ] = None
    terrain_exempt_occ: Annotated[
        int, Within(0, 100, "%", "occurrence from which neither shadow nor cut of relief forbids water")
    ] = 50
    closing_radius: Annotated[int, Within(0, 100, "px", "disc that closes gaps in water")] = 0
    fill_holes_px: Annotated[int, Within(0, note="holes of fewer pixels are filled")] = 0
    min_area_px: Annotated[int, Within(0, note="water of fewer pixels is removed")] = 0
    gsw_touch: Annotated[
        Literal["flag", "delete", "off"],
        Within(note="what befalls water where the archive has never seen any"),
    ] = "flag"
    k: Annotated[int, Within(2, 50, note="clusters")] = 20
    n_sample: Annotated[int, Within(50, 20_000, note="pixels that are clustered")] = 4000
    min_cluster: Annotated[int, Within(1, 10_000, note="least samples of a cluster")] = 5
    cluster_min_valid: Annotated[int, Within(1, note="least pixels to cluster")] = 500
    partial_as_water: Annotated[bool, Within(note="partial surface water of dswx is water")] = False
    dswx_land: Annotated[bool, Within(note="dswx uses land cover (static layers worldcover, cgls)")] = False
    dswx_shad: Annotated[bool, Within(note="dswx uses relief shadow (static layer dem, sun angles)")] = False
    adjacent_mode: Annotated[
        Literal["mask", "ignore", "cover"], Within(note="what dswx makes of pixels beside clouds")
    ] = "mask"
    aerosol_remap: Annotated[bool, Within(note="under heavy aerosol dark pixels are water (dswx on HLS)")] = (
        True
    )
    ocean_mask: Annotated[bool, Within(note="dswx leaves the ocean out (static layer ocean_land)")] = False
    wofs_terrain: Annotated[
        bool, Within(note="wofs masks grazing sun and steep slopes (static layer dem)")
    ] = False
    upsample: Annotated[
        Literal["bilinear", "nearest"], Within(note="how coarser bands come to the finest grid")
    ] = "bilinear"
    s2_nir: Annotated[
        Literal["B8", "B8A"], Within(note="near infrared of Sentinel-2; HLS always has B8A")
    ] = "B8"
    maja_reflectance: Annotated[
        Literal["FRE", "SRE"], Within(note="reflectance with or without correction for slope")
    ] = "FRE"
    aux_resample: Annotated[bool, Within(note="static layers on another grid are warped, not refused")] = (
        False
    )
    product_version: Annotated[str | None, Within(note="M.m.p in names; null: that of the program")] = None
    name_pattern: Annotated[str, Within(note="regular expression that every product's name fits")] = (
        NAME_PATTERN
    )

    def __post_init__(self) -> None:
        if self.profile == "slurp":
            self._take(_SLURP)
        if self.profile == DSWX:
            self._take({"detector": "dswx", "dswx_land": True, "dswx_shad": True})
        if self.profile == WOFS:
            self._take({"detector": "wofs"})
        self._check_roles()
        self._check_samples()
        _check_pattern(self.name_pattern)
        if self.product_version is not None and not re.fullmatch(r"\d+[.-]\d+[.-]\d+", self.product_version):
            raise _wrong(f"product_version = {self.product_version!r}: three numbers such as 1.0.0")

    @property
    def exact(self) -> bool:
        """True in the profiles that give the layers of another program."""
        return self.profile in (DSWX, WOFS)

    @property
    def chosen(self) -> tuple[str, ...]:
        """The detectors in the order in which they are tried, up to the first that needs no training."""
        if self.exact:
            return (self.detector,)
        if self.detector == "forest" and self.train == "static":
            return ("forest_model",)
        names = list(dict.fromkeys((self.detector, *self.fallback)))
        ready = next((place for place, name in enumerate(names) if name in READY), len(names))
        return tuple(names[: ready + 1])

    def limits(self) -> SpectralLimits:
        """The limits of the spectral tests, in the units of the kernels."""
        water, land = self.may_be_water, self.certain_land
        return SpectralLimits(
            water_mndwi=round(1000 * water[0]),
            water_ndwi=round(1000 * water[1]),
            water_swir2=round(10000 * water[2]),
            land_mndwi=round(1000 * land[0]),
            land_ndwi=round(1000 * land[1]),
        )

    def _take(self, values: dict[str, Any]) -> None:
        """Put values in the place of defaults; what the user chose otherwise stays."""
        defaults = {field.name: field.default for field in fields(self)}
        for name, value in values.items():
            if getattr(self, name) == defaults[name]:
                object.__setattr__(self, name, value)

    def _check_roles(self) -> None:
        for role in self.mask_out_roles:
            if role not in ROLES:
                raise _wrong(f"mask_out_roles: {role!r}. {suggest(role, list(ROLES))}")
        for feature in self.features:
            if feature not in FEATURES:
                raise _wrong(f"features: {feature!r}. {suggest(feature, list(FEATURES))}")
        if not self.features or len(set(self.features)) < len(self.features):
            raise _wrong(f"features = {self.features!r}: at least one, none twice")

    def _check_samples(self) -> None:
        if sum(self.land_split) != self.land_quota:
            raise _wrong(f"land_split = {self.land_split}: its sum must be land_quota = {self.land_quota}")
        if self.max_features > len(self.features):
            raise _wrong(f"max_features = {self.max_features}: there are {len(self.features)} features")


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as problem:
        raise _wrong(f"name_pattern = {pattern!r}: no regular expression: {problem}") from problem


def _wrong(what: str) -> BadParameters:
    return BadParameters(f"water.{what}", id="E_PARAM")
