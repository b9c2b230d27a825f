"""Parameters of the water-quality chain (specification section 12)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

from thalweg.chains.quality_algorithms import built_in
from thalweg.chains.quality_layers import FLAGS, SETS
from thalweg.errors import BadParameters
from thalweg.parameters import Within, suggest

GRS_PROFILE = "grsl2bgen"
COMPONENTS = ("oc2", "blend", "gilerson2")
"""What an optical water type takes for chlorophyll-a."""

_BY_OWT = ("oc2",) * 4 + ("blend",) * 2 + ("gilerson2",) * 4
_MASK = ("NODATA_IN", "LAND", "CLOUD", "CLOUD_SHADOW", "SNOW_ICE", "HIGH_SWIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Parameters of the water-quality chain; bands are named as on Sentinel-2, whatever the sensor."""

    sets: Annotated[tuple[str, ...], Within(note="sets of layers: " + ", ".join(SETS))] = (
        "default",
        "uncertainty",
    )
    algorithms: Annotated[tuple[str, ...], Within(note="ids of single algorithms, a layer each")] = ()
    chla_algorithm: Annotated[str, Within(note="algorithm of chla")] = "chl_owt_blend"
    chl_by_owt: Annotated[
        tuple[str, ...], Within(note="for each optical water type what chla takes: oc2, blend or gilerson2")
    ] = _BY_OWT
    chl_blend_limits: Annotated[
        tuple[float, float], Within(1e-6, note="B5/B4 between which blue-green gives way to the red edge")
    ] = (0.75, 1.15)
    oc_clamp: Annotated[
        tuple[float, float], Within(note="log10 of the blue-green ratio is clamped to this")
    ] = (
        -0.5,
        0.9,
    )
    spm_algorithm: Annotated[str, Within(note="algorithm of spm")] = "spm_get2018"
    tur_algorithm: Annotated[str, Within(note="algorithm of tur")] = "tur_dogliotti15"
    nir_band: Annotated[
        Literal["B8A", "B8", "nir08", "nir"], Within(note="near infrared of switching algorithms; nir is B8")
    ] = "B8A"
    acdom_algorithm: Annotated[str, Within(note="algorithm of acdom440")] = "acdom440_brezonik"
    zsd_algorithm: Annotated[
        Literal["zsd_lee2015", "zsd_p3qaa_s2a"],
        Within(note="algorithm of zsd; without 443 nm always zsd_p3qaa_s2a"),
    ] = "zsd_lee2015"
    water_source: Annotated[
        Literal["auto", "file", "surfwater", "flags", "none"],
        Within(note="where land comes from; auto: the first of file or water product, surfwater, flags"),
    ] = "auto"
    mask_bits: Annotated[tuple[str, ...], Within(note="flags of pixels that are not computed")] = _MASK
    apply_mask: Annotated[bool, Within(note="false: compute wherever blue, green and red exist")] = True
    glint_max: Annotated[float, Within(0, note="sun glint above which GLINT_HIGH is set")] = 0.05
    adjacency_px: Annotated[int, Within(0, 64, "px", "distance to land of ADJACENCY")] = 2
    rrs_max: Annotated[float, Within(0, unit="sr-1", note="reflectance above which a pixel is saturated")] = (
        0.2
    )
    fai_min: Annotated[float, Within(0, note="floating-algae index above which algae float")] = 0.02
    fai_red_max: Annotated[float, Within(0, note="rho of red below which they are algae")] = 0.08
    range_policy: Annotated[
        Literal["nodata", "keep"], Within(note="what becomes of values outside a range")
    ] = "nodata"
    sigma_floor: Annotated[float, Within(0, unit="sr-1", note="least standard uncertainty of a band")] = 5e-4
    sigma_rel: Annotated[float, Within(0, note="relative standard uncertainty of a band")] = 0.05
    s_alg: Annotated[
        dict[str, float] | None, Within(0, note="own uncertainty of algorithms or variables, log10 units")
    ] = None
    storage: Annotated[Literal["packed", "precise"], Within(note="integers, or float32 of 12 bits")] = (
        "packed"
    )
    compute: Annotated[
        Literal["float32", "float64"], Within(note="arithmetic; float64 for comparisons to the last digit")
    ] = "float32"
    deglint: Annotated[
        Literal["none", "swir"],
        Within(note="sun glint of surface reflectance taken off by the short-wave infrared"),
    ] = "none"
    profile: Annotated[
        Literal["standard", "grsl2bgen"], Within(note="grsl2bgen: the layers of GRSl2bgen")
    ] = "standard"
    maja_reflectance: Annotated[
        Literal["SRE", "FRE"], Within(note="FRE: slope-corrected, with a warning")
    ] = "SRE"
    scl_water: Annotated[tuple[int, ...], Within(0, 255, note="codes of water in Sen2Cor's classes")] = (6,)
    bloom_limits: Annotated[
        tuple[float, float, float],
        Within(0, unit="mg m-3", note="chlorophyll-a at which a bloom class begins"),
    ] = (3.0, 12.0, 24.0)

    def __post_init__(self) -> None:
        _check_names("sets", self.sets, list(SETS))
        _check_names("mask_bits", self.mask_bits, list(FLAGS))
        _check_names("chl_by_owt", self.chl_by_owt, list(COMPONENTS))
        if len(self.chl_by_owt) != len(_BY_OWT):
            raise BadParameters(f"quality.chl_by_owt: {len(_BY_OWT)} components, not {len(self.chl_by_owt)}")
        for name, variable in (("chla", "chla"), ("spm", "spm"), ("tur", "tur"), ("acdom", "acdom440")):
            ids = [id for id, declared in built_in().items() if declared.variable == variable]
            _check_names(f"{name}_algorithm", [getattr(self, f"{name}_algorithm")], ids)
        for name in ("chl_blend_limits", "oc_clamp", "bloom_limits"):
            _check_increasing(name, getattr(self, name))

    @property
    def nir(self) -> str:
        """The near infrared of switching algorithms: B8A or B8."""
        return "B8" if self.nir_band in ("B8", "nir") else "B8A"

    @property
    def public(self) -> bool:
        """True in the profile `grsl2bgen`."""
        return self.profile == GRS_PROFILE


def _check_names(key: str, given: Sequence[str], known: list[str]) -> None:
    for name in given:
        if name not in known:
            raise BadParameters(f"quality.{key}: unknown {name!r}. {suggest(name, known)}")


def _check_increasing(key: str, limits: Sequence[float]) -> None:
    rising = all(a < b for a, b in pairwise(limits))
    if not rising or not all(math.isfinite(limit) for limit in limits):
        raise BadParameters(f"quality.{key} = {tuple(limits)}: the numbers must rise")
