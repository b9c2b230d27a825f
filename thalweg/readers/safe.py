"""Sentinel-2 SAFE products: Sen2Cor L2A and L1C."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import cast

from thalweg.bands import SENTINEL2, sentinel2_role
from thalweg.credit import sensor_credit
from thalweg.errors import BadInput
from thalweg.granule import BandFile, Granule, Level
from thalweg.masks import CLASSI, SCL, MaskFile
from thalweg.raster import Raster
from thalweg.readers.facts import (
    MAX_QUANTIFICATION,
    baseline_in_name,
    mgrs_tile,
    percent,
    scaled_band,
    time_in_name,
    whole,
)
from thalweg.readers.listing import Format, Listing
from thalweg.readers.sun import read_sun
from thalweg.readers.xmlfile import XmlFile

_NAME = re.compile(
    r"(?P<platform>S2[A-D])_MSI(?P<level>L1C|L2A)_(?P<time>\d{8}T\d{6})_N(?P<baseline>\d{4})_R(?P<orbit>\d{3})"
    r"_T(?P<tile>\d\d[A-Z]{3})_[0-9A-Za-z]+(?:\.SAFE)?",
    re.ASCII | re.IGNORECASE,
)
_RASTER = r"\.(?:jp2|j2k|tif|tiff)"
_L2A_BAND = re.compile(
    rf"GRANULE/[^/]+/IMG_DATA/(?:R\d\dm/)?[^/]*_(B\d[0-9A])_(\d\d)m{_RASTER}", re.IGNORECASE
)
_L1C_BAND = re.compile(rf"GRANULE/[^/]+/IMG_DATA/[^/]*_(B\d[0-9A]){_RASTER}", re.IGNORECASE)
_CLASSES = re.compile(rf"GRANULE/[^/]+/IMG_DATA/(?:R\d\dm/)?[^/]*_SCL_(\d\d)m{_RASTER}", re.IGNORECASE)
_L1C_CLASSES = re.compile(rf"GRANULE/[^/]+/QI_DATA/MSK_CLASSI_B00{_RASTER}", re.IGNORECASE)
_TILE_METADATA = re.compile(r"GRANULE/[^/]+/MTD_TL\.xml", re.IGNORECASE)

NODATA = 0
"""Stored number of pixels without data in every Sentinel-2 band."""

QUANTIFICATION = 10000
"""Counts per unit of reflectance where there is no metadata to say it."""

OFFSET = -1000
"""Offset of every band from baseline 04.00 on where there is no metadata to say it."""

FIRST_WITH_OFFSET = 400
"""Baseline 04.00."""


@dataclass(frozen=True, slots=True)
class Tags:
    """Where a level keeps its metadata."""

    file: re.Pattern[str]
    """File of the product's metadata."""
    quantification: tuple[str, ...]
    """Elements that may hold the quantification."""
    offset: str
    """Element that holds the offset of a band."""


_TAGS: dict[Level, Tags] = {
    "L2A": Tags(
        re.compile(r"MTD_MSIL2A\.xml", re.IGNORECASE),
        ("BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE"),
        "BOA_ADD_OFFSET",
    ),
    "L1C": Tags(re.compile(r"MTD_MSIL1C\.xml", re.IGNORECASE), ("QUANTIFICATION_VALUE",), "RADIO_ADD_OFFSET"),
}


def read_safe(listing: Listing) -> Granule:
    """The granule of a SAFE product: L2A bands by resolution (``10``, ``20``, ``60``), L1C bands as ``native``.

    Reflectance is (stored number + offset of the band) / quantification, nodata 0 (Sentinel-2 Products Specification
    Document, from version 14.9). No metadata: the offset follows from the baseline in the name.
    """
    match = _NAME.fullmatch(listing.name)
    if match is None:
        raise BadInput(
            f"{listing.given}: the name {listing.name!r} is not of the form {FORMAT.form}", id="SNOW-IN-03"
        )
    level = cast(Level, match["level"].upper())
    sensed = time_in_name(match["time"].upper(), "%Y%m%dT%H%M%S", str(listing.given))
    xml = listing.xml(_TAGS[level].file, "User_Product")
    packing = _packing(xml, _TAGS[level], int(match["baseline"]))
    granule = Granule(
        id=re.sub(r"\.SAFE$", "", listing.name, flags=re.IGNORECASE),
        path=listing.given,
        format=FORMAT.word,
        tile=mgrs_tile(match["tile"], str(listing.given)),
        sensed=sensed,
        platform=match["platform"].upper(),
        level=level,
        bands=_bands(listing, level, packing),
        masks=_masks(listing, level),
        baseline=baseline_in_name(match["baseline"]),
        orbit=int(match["orbit"]),
        expected=_expected(level),
        attribution=sensor_credit(match["platform"].upper(), sensed),
    )
    return _with_metadata(granule, listing, xml)


@dataclass(frozen=True, slots=True)
class Packing:
    """How stored numbers become reflectance."""

    quantification: float
    """Counts per unit of reflectance."""
    offsets: dict[str, int]
    """Band to what is added to the stored number."""


def _packing(xml: XmlFile | None, tags: Tags, baseline: int) -> Packing:
    if xml is None:
        offset = OFFSET if baseline >= FIRST_WITH_OFFSET else 0
        return Packing(QUANTIFICATION, dict.fromkeys(SENTINEL2, offset))
    found = (xml.number(name, low=1, high=MAX_QUANTIFICATION) for name in tags.quantification)
    quantification = next((value for value in found if value is not None), None)
    if quantification is None:
        raise BadInput(f"{xml.where(tags.quantification[0])}: is missing")
    return Packing(quantification, _offsets(xml, tags.offset))


def _offsets(xml: XmlFile, tag: str) -> dict[str, int]:
    """Offset of each band; all 0 in products from before there were offsets."""
    elements = xml.elements(tag)
    if not elements:
        return dict.fromkeys(SENTINEL2, 0)
    by_id: dict[str, int] = {}
    for element in elements:
        band_id = element.get("band_id", "")
        where = f'{xml.where(tag)} band_id="{band_id[:8]}"'
        value = whole(element.text or "", where, -32768, 32767)
        if by_id.setdefault(band_id, value) != value:
            raise BadInput(f"{where}: is given twice, as {by_id[band_id]} and {value}")
    absent = [native for index, native in enumerate(SENTINEL2) if str(index) not in by_id]
    if absent:
        raise BadInput(f"{xml.where(tag)}: has offsets, but none for {', '.join(absent)}")
    return {native: by_id[str(index)] for index, native in enumerate(SENTINEL2)}


def _bands(listing: Listing, level: Level, packing: Packing) -> dict[str, dict[str, BandFile]]:
    files = listing.groups(_L2A_BAND if level == "L2A" else _L1C_BAND)
    bands: dict[str, dict[str, BandFile]] = {}
    for (name, *resolution), file in sorted(files.items(), key=lambda entry: entry[0][1:]):
        role = sentinel2_role(name)
        if role is not None:
            native = _NATIVE[role]
            raster = Raster(listing.path(file), nodata=NODATA)
            band = scaled_band(raster, native, packing.quantification, packing.offsets[native])
            bands.setdefault(role, {})[resolution[0] if resolution else "native"] = band
    return {role: bands[role] for role in SENTINEL2.values() if role in bands}


def _masks(listing: Listing, level: Level) -> tuple[MaskFile, ...]:
    if level == "L2A":
        files = sorted(listing.groups(_CLASSES).items())
        return tuple(MaskFile("scl", Raster(listing.path(file)), SCL) for _, file in files)
    classes = listing.only(_L1C_CLASSES)
    if classes is None:
        return ()
    return tuple(
        MaskFile(f"classi-{index}", Raster(listing.path(classes), index), legend)
        for index, legend in enumerate(CLASSI, start=1)
    )


def _with_metadata(granule: Granule, listing: Listing, xml: XmlFile | None) -> Granule:
    cloud = xml.text("Cloud_Coverage_Assessment") if xml else None
    if xml and cloud is not None:
        granule = replace(granule, cloud_cover=percent(cloud, xml.where("Cloud_Coverage_Assessment")))
    tile = listing.xml(_TILE_METADATA, "Tile_ID")
    return replace(granule, sun=read_sun(tile, SUN_MEAN, SUN_GRID)) if tile else granule


SUN_MEAN = ("Tile_Angles", "Mean_Sun_Angle")
"""Element of the tile's metadata that holds the mean angles."""

SUN_GRID = ("Tile_Angles", "Sun_Angles_Grid")
"""Element of the tile's metadata that holds the angle grids."""

_NATIVE = {role: native for native, role in SENTINEL2.items()}
_FINEST = dict.fromkeys(("B2", "B3", "B4", "B8"), 10) | dict.fromkeys(("B1", "B9", "B10"), 60)


def _expected(level: Level) -> dict[str, str]:
    if level == "L1C":
        return {role: f"IMG_DATA/*_{_padded(native)}.jp2" for native, role in SENTINEL2.items()}
    sizes = {native: _FINEST.get(native, 20) for native in SENTINEL2}
    bands = {
        SENTINEL2[native]: f"IMG_DATA/R{size}m/*_{_padded(native)}_{size}m.jp2"
        for native, size in sizes.items()
    }
    return {**bands, **dict.fromkeys(SCL, "IMG_DATA/R20m/*_SCL_20m.jp2")}


def _padded(native: str) -> str:
    return f"B{native[1:]:0>2}"


FORMAT = Format(
    word="safe",
    pattern=re.compile(r"S2[A-D]_MSIL(1C|2A)_"),
    form="S2A_MSIL2A_<yyyymmddThhmmss>_N<baseline>_R<orbit>_T<tile>_<time>.SAFE (or MSIL1C)",
    listed=(
        "MTD_MSIL??.xml",
        "GRANULE/*/MTD_TL.xml",
        "GRANULE/*/IMG_DATA/*",
        "GRANULE/*/IMG_DATA/R*m/*",
        "GRANULE/*/QI_DATA/MSK_CLASSI*",
    ),
    read=read_safe,
)
"""Products in ESA's SAFE layout."""
