"""Layers of the snow chain: codes, colours and file names in both profiles (specification sections 5 and 5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from thalweg.chain import Names
from thalweg.layer import Class, Colour, Layer

if TYPE_CHECKING:
    from thalweg.granule import Granule

NO_SNOW, SNOW, NOT_ESTIMATED, CLOUD, WATER, NODATA = 0, 100, 254, 205, 210, 255
"""Codes of the result layers."""

_CODES = (
    Class(CLOUD, "cloud", "cloud or cloud shadow"),
    Class(WATER, "water", "permanent water"),
    Class(NODATA, "nodata", "no observation"),
)
_CODE_COLOURS: Mapping[int, Colour] = {
    CLOUD: (165, 165, 165, 255),
    WATER: (0, 90, 130, 255),
    NODATA: (0, 0, 0, 0),
}
_GROUND: Colour = (166, 150, 120, 255)

_MASK_COLOURS: Mapping[int, Colour] = {NO_SNOW: _GROUND, SNOW: (120, 200, 255, 255), **_CODE_COLOURS}
_FRACTION_COLOURS: Mapping[int, Colour] = {
    0: _GROUND,
    1: (49, 54, 149, 255),
    50: (69, 160, 210, 255),
    100: (240, 252, 255, 255),
    **_CODE_COLOURS,
}
_QUALITY_COLOURS: Mapping[int, Colour] = {
    0: (26, 150, 65, 255),
    1: (166, 217, 106, 255),
    2: (253, 174, 97, 255),
    3: (215, 25, 28, 255),
    **_CODE_COLOURS,
}
_UNCERTAINTY_COLOURS: Mapping[int, Colour] = {
    0: (255, 255, 255, 255),
    50: (140, 45, 160, 255),
    100: (45, 0, 75, 255),
    NOT_ESTIMATED: _GROUND,
    **_CODE_COLOURS,
}
_FLAG_COLOURS: Mapping[int, Colour] = {0: (0, 0, 0, 0), 1: (0, 0, 0, 255)}
# An NDSI byte of 101 to 204 occurs in `lis-1.11` only, where green is nodata: it must strike the eye.
_NDSI_COLOURS: Mapping[int, Colour] = {
    **_FRACTION_COLOURS,
    **{value: (255, 0, 255, 255) for value in range(101, CLOUD)},
}


def _fraction(name: str, description: str, colours: Mapping[int, Colour] = _FRACTION_COLOURS) -> Layer:
    classes = (Class(NO_SNOW, "no_snow", "no snow"), *_CODES)
    return Layer(
        name, "uint8", description, "percent", NODATA, classes=classes, colours=colours, ramp=(1, 100)
    )


def _quality(name: str, description: str) -> Layer:
    grades = [Class(i, n, n) for i, n in enumerate(("highest", "medium", "low", "minimal"))]
    return Layer(
        name, "uint8", description, nodata=NODATA, classes=(*grades, *_CODES), colours=_QUALITY_COLOURS
    )


def _uncertainty(name: str, description: str) -> Layer:
    classes = (Class(NOT_ESTIMATED, "not_estimated", "no snow: not estimated"), *_CODES)
    return Layer(
        name,
        "uint8",
        description,
        "percent",
        NODATA,
        classes=classes,
        colours=_UNCERTAINTY_COLOURS,
        ramp=(0, 100),
    )


def _flag(name: str, description: str) -> Layer:
    classes = (Class(0, "no", "no"), Class(1, "yes", "yes"))
    return Layer(name, "uint8", description, classes=classes, colours=_FLAG_COLOURS, role="metadata")


SEB = Layer(
    "seb",
    "uint8",
    "Snow mask",
    nodata=NODATA,
    classes=(Class(NO_SNOW, "no_snow", "no snow"), Class(SNOW, "snow", "snow"), *_CODES),
    colours=_MASK_COLOURS,
)
SNOW_ALL = Layer(
    "snow_all",
    "uint8",
    "How each pixel was decided, a bit field",
    bits=(
        "pass1",
        "pass2",
        "cloud_pass1",
        "cloud_refined",
        "cloud_input",
        "slope",
        "shaded",
        "shaded_uncalibrated",
    ),
    role="metadata",
)
QCFLAGS = Layer(
    "qcflags",
    "uint8",
    "What may weaken the fraction, a bit field",
    bits=(
        "sun_too_low",
        "sun_tangent",
        "water",
        "dense_forest",
        "thin_cloud",
        "tree_cover_undefined",
        "shaded",
        "uncalibrated",
    ),
    role="metadata",
)
RED_COARSE = Layer("red_coarse", "int16", "Red at coarse resolution, counts", nodata=-10000, role="metadata")

LAYERS = (
    SEB,
    SNOW_ALL,
    _fraction("ndsi", "Normalised difference snow index x 100 of snow pixels", _NDSI_COLOURS),
    _fraction("fsc_toc", "Fractional snow cover, top of canopy"),
    _fraction("fsc_toc_hs", "Fractional snow cover, top of canopy, shaded snow included"),
    _fraction("fsc_og", "Fractional snow cover on the ground"),
    QCFLAGS,
    _quality("qctoc", "Quality class of the fraction at the top of the canopy"),
    _quality("qcog", "Quality class of the fraction on the ground"),
    _uncertainty("fsc_toc_unc", "Standard uncertainty of the fraction at the top of the canopy"),
    _uncertainty("fsc_og_unc", "Standard uncertainty of the fraction on the ground"),
    Layer("cld", "uint8", "Cloud mask of the input product, its own codes", role="metadata"),
    _flag("snow_pass1", "Snow of pass 1"),
    _flag("snow_pass2", "Snow of pass 2"),
    _flag("snow_pass3", "Snow of pass 1, pass 2 and shaded snow"),
    _flag("cloud_pass1", "Cloud after pass 1"),
    _flag("cloud_refine", "Cloud that stays closed to pass 2"),
    _flag("back_to_cloud", "Dark cloud that is cloud again where no snow was found"),
    _flag("shaded_snow", "Snow in the cast shadow of relief"),
    _flag("uncalibrated_shaded_snow", "Shaded snow that neither pass found"),
    _flag("relief_shadow", "Cast shadow of relief"),
    RED_COARSE,
)
"""Every layer that the chain can give."""

_EXPERT = {
    "cld": "LIS_CLD.tif",
    "snow_pass1": "snow_pass1.tif",
    "snow_pass2": "snow_pass2.tif",
    "snow_pass3": "snow_pass3.tif",
    "cloud_pass1": "cloud_pass1.tif",
    "cloud_refine": "cloud_refine.tif",
    "back_to_cloud": "back_to_cloud.tif",
    "shaded_snow": "shaded_snow.tif",
    "uncalibrated_shaded_snow": "uncalibrated_shaded_snow.tif",
    "relief_shadow": "hillshade_mask.tif",
    "red_coarse": "red_nn.tif",
}
_LIS_EXPERT = {
    "seb": "LIS_SEB.TIF",
    "snow_all": "LIS_SNOW_ALL.TIF",
    "ndsi": "LIS_NDSI.TIF",
    "fsc_toc": "LIS_FSCTOC.TIF",
    "fsc_toc_hs": "LIS_FSCTOCHS.TIF",
    "qctoc": "LIS_FSC_QCTOC.tif",
    "qcog": "LIS_FSC_QCOG.tif",
}
_DEFAULT = {
    "seb": "SEB",
    "snow_all": "SNOW_ALL",
    "ndsi": "NDSI",
    "fsc_toc": "FSCTOC",
    "fsc_og": "FSCOG",
    "qcflags": "QCFLAGS",
    "qctoc": "QCTOC",
    "qcog": "QCOG",
    "fsc_toc_unc": "FSCTOC_UNC",
    "fsc_og_unc": "FSCOG_UNC",
}


def default_names(granule: Granule, version: str) -> Names:
    """Names of the `default` profile: ``SNOW_<layer>_<S2|L8|L9>_<tile>_<time>_<version>.tif``."""
    tail = f"{sensor(granule)}_{tile_name(granule)}_{granule.sensed:%Y%m%dT%H%M%S}_{version}"
    files = {layer: f"SNOW_{name}_{tail}.tif" for layer, name in _DEFAULT.items()}
    return Names(f"SNOW_{tail}", {**_in_expert(_EXPERT), **files})


def lis_names(granule: Granule, version: str, main: str) -> Names:
    """Names of LIS 1.11; `main` is the layer that bears the product's name: fsc_og, fsc_toc_hs or seb."""
    head = f"LIS_{sensor(granule)}-SNOW"
    tail = f"{tile_name(granule)}_{granule.sensed:%Y%m%dT%H%M%S}_{version}"
    kind = {"fsc_og": "FSC", "fsc_toc_hs": "FSC-TOC", "seb": "MSK"}[main]
    product = f"{head}-{kind}_{tail}"
    files = {**_in_expert(_EXPERT), **_in_expert(_LIS_EXPERT), "qcflags": f"{head}-FSC-QCFLAGS_{tail}.tif"}
    files["fsc_og"] = f"{head}-FSC_{tail}.tif"
    return Names(product, {**files, main: f"{product}.tif"})


def sensor(granule: Granule) -> str:
    """``S2``, ``L8`` or ``L9``, as it stands in file names."""
    return "S2" if granule.platform.startswith("S2") else granule.platform


def tile_name(granule: Granule) -> str:
    """The tile as it stands in file names: with the T where it is an MGRS tile."""
    return f"T{granule.tile}" if granule.on_mgrs else granule.tile


def _in_expert(files: Mapping[str, str]) -> dict[str, str]:
    return {layer: f"expert/{name}" for layer, name in files.items()}
