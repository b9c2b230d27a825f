"""Layers of the water chain: codes, colours and file names (specification sections 3 and 6.2.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from thalweg.chain import Names
from thalweg.chains.water_parameters import DSWX, Water
from thalweg.errors import BadInput
from thalweg.kernels.water import REASONS
from thalweg.layer import Class, Colour, Layer

if TYPE_CHECKING:
    from thalweg.granule import Granule

UNDECIDED = 255
"""Nodata of the 8-bit layers."""

S2, S1, LANDSAT, HLS = 1, 2, 4, 8
"""Bits of SOURCE."""

_CLEAR: Colour = (0, 0, 0, 0)
_WHITE: Colour = (255, 255, 255, 255)
_BLUE: Colour = (0, 0, 255, 255)
_SNOW: Colour = (0, 255, 255, 255)

WATER = Layer(
    "water",
    "uint8",
    "Surface water",
    nodata=UNDECIDED,
    classes=(
        Class(0, "no_water", "no water"),
        Class(1, "water", "water"),
        Class(UNDECIDED, "nodata", "no decision"),
    ),
    colours={0: _WHITE, 1: _BLUE, UNDECIDED: _CLEAR},
)
PROB = Layer(
    "prob",
    "uint8",
    "Probability of water",
    "percent",
    UNDECIDED,
    colours={0: _WHITE, 100: (8, 48, 107, 255), UNDECIDED: _CLEAR},
    ramp=(0, 100),
)
SOURCE = Layer(
    "source",
    "uint8",
    "Sensors that the decision rests on, a bit field",
    nodata=0,
    bits=("sentinel_2", "sentinel_1", "landsat", "hls"),
    colours={0: _CLEAR, S2: (31, 120, 180, 255), LANDSAT: (51, 160, 44, 255), HLS: (106, 61, 154, 255)},
    role="metadata",
)
REASON = Layer(
    "reason",
    "uint16",
    "Why a pixel is as it is, a bit field; 0 is a clear decision",
    bits=REASONS,
    role="metadata",
)

_SKY: Mapping[int, Colour] = {
    252: _SNOW,
    253: (175, 175, 175, 255),
    254: (0, 0, 127, 0),
    255: _CLEAR,
}
_PARTIAL: Colour = (180, 213, 244, 255)
_CONFIDENCE: tuple[Colour, ...] = (
    _WHITE,
    _BLUE,
    (95, 127, 255, 255),
    (0, 195, 0, 255),
    (150, 255, 150, 255),
)
_CLOUDS: tuple[Colour, ...] = (
    _WHITE,
    (64, 64, 64, 255),
    _SNOW,
    (0, 127, 127, 255),
    (192, 192, 192, 255),
    (127, 127, 127, 255),
    (255, 0, 255, 255),
    (127, 127, 255, 255),
)
_SKY_CLASSES = (
    Class(252, "snow", "snow"),
    Class(253, "cloud", "cloud, cloud shadow or beside a cloud"),
    Class(254, "ocean", "ocean"),
    Class(255, "nodata", "no observation"),
)
_OPEN = (Class(0, "no_water", "not water"), Class(1, "open_water", "open water"))


def _under_cloud(colour: Colour) -> Colour:
    red, green, blue = (int(0.52 * 175 + 0.48 * band) for band in colour[:3])
    return (red, green, blue, 255)


def _confidence() -> dict[int, Colour]:
    clear = dict(enumerate(_CONFIDENCE))
    cloudy = {10 + code: _under_cloud(colour) for code, colour in clear.items()}
    snowy = {20 + code: _SNOW for code in clear}
    return {**clear, **cloudy, **snowy, 254: _SKY[254], 255: _CLEAR}


def _wtr(name: str, description: str, masked: bool = True, partial: bool = True) -> Layer:
    classes = _OPEN + ((Class(2, "partial_water", "partial surface water"),) if partial else ())
    sky = _SKY_CLASSES if masked else _SKY_CLASSES[2:]
    colours = {0: _WHITE, 1: _BLUE, 2: _PARTIAL, **_SKY}
    return Layer(name, "uint8", description, nodata=255, classes=(*classes, *sky), colours=colours)


_LAND_COLOURS: Mapping[int, Colour] = {
    **{code: (255, 0, 255, 255) for code in range(100)},
    **{code: (255, 0, 0, 255) for code in range(100, 200)},
    200: _BLUE,
    201: (0, 255, 0, 255),
    255: _CLEAR,
}

DSWX_LAYERS = (
    _wtr("wtr", "Water classification"),
    _wtr("bwtr", "Binary water", partial=False),
    Layer("conf", "uint8", "Confidence of the water classification", nodata=255, colours=_confidence()),
    Layer("diag", "uint16", "Results of the five tests as decimal digits", nodata=65535, role="metadata"),
    _wtr("wtr_1", "Interpretation of the tests, unmasked", masked=False),
    _wtr("wtr_2", "Interpretation of the tests, relief and land cover considered", masked=False),
    Layer(
        "land",
        "uint8",
        "Land cover classes that matter to water",
        nodata=255,
        colours=_LAND_COLOURS,
        role="metadata",
    ),
    Layer(
        "shad",
        "uint8",
        "Light on the relief",
        classes=(Class(0, "masked", "in shadow"), Class(1, "lit", "lit")),
        colours={0: (64, 64, 64, 255), 1: _WHITE},
        role="metadata",
    ),
    Layer(
        "cloud",
        "uint8",
        "Cloud, snow and aerosol, a bit field",
        nodata=255,
        bits=("shadow_or_adjacent", "snow", "cloud", "aerosol"),
        colours={
            **dict(enumerate(_CLOUDS)),
            **{8 + code: colour for code, colour in enumerate(_CLOUDS) if code},
            8: (228, 205, 167, 255),
            255: _CLEAR,
        },
        role="metadata",
    ),
    Layer("dem", "float32", "Elevation", "m", float("nan"), overview="average", role="metadata"),
)
"""Layers of DSWx-HLS, B01 to B10."""

WOFL = Layer(
    "wofl",
    "uint8",
    "Water observation, a bit field",
    nodata=1,
    bits=("nodata", "noncontiguous", "low_sun", "terrain_shadow", "steep", "cloud_shadow", "cloud", "wet"),
)

LAYERS = (WATER, PROB, SOURCE, REASON, *DSWX_LAYERS, WOFL)
"""Every layer that the chain can give."""


def water_names(granule: Granule, parameters: Water, version: str, available: frozenset[str]) -> Names:
    """Names of section 3.1; the profile of DSWx-HLS names its files as that product does.

    Raises BadInput where the tile's name makes the product's one unfit for `name_pattern`.
    """
    numbers = re.findall(r"\d+", parameters.product_version or version)[:3]
    number = "-".join([*numbers, "0", "0", "0"][:3])
    when = f"{granule.sensed:%Y%m%dT%H%M%S}"
    product = f"SURFWATER_OPTICAL-SINGLE_T{granule.tile}_{when}_{when}_{number}"
    if not re.fullmatch(parameters.name_pattern, product):
        raise BadInput(
            f"{granule.path}: the product's name {product!r} does not fit {parameters.name_pattern!r}",
            id="E_NAME",
            advice="Call the site by a letter, then letters, digits and hyphens, 32 at most; or set "
            "water.name_pattern.",
        )
    if parameters.profile == DSWX:
        return Names(product, _dswx_files(granule, number.replace("-", ".")))
    return Names(product, {layer.name: f"{product}_{layer.name.upper()}.tif" for layer in LAYERS})


def _dswx_files(granule: Granule, version: str) -> dict[str, str]:
    names = [layer.name.upper().replace("_", "-") for layer in DSWX_LAYERS]
    return {
        layer.name: f"{granule.id}_v{version}_B{number:02}_{name}.tif"
        for number, (layer, name) in enumerate(zip(DSWX_LAYERS, names, strict=True), start=1)
    }


def source_bits(granule: Granule) -> int:
    """SOURCE of a granule: which sensor it comes from, 0 where nobody says."""
    if granule.format == "hls" or granule.platform.startswith("HLS"):
        return HLS
    if granule.platform.startswith("S2"):
        return S2
    return LANDSAT if granule.platform.startswith("L") else 0
