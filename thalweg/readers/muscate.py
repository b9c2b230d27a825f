"""MUSCATE L2A products of Theia: Sentinel-2 and Landsat 8 and 9, a folder of one-band GeoTIFFs with masks and XML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from thalweg.bands import OLI, SENTINEL2
from thalweg.credit import sensor_credit
from thalweg.errors import BadInput
from thalweg.granule import BandFile, Granule
from thalweg.masks import CLM, EDG, MG2, SAT, MaskFile, saturation
from thalweg.raster import Raster
from thalweg.readers.facts import (
    MAX_QUANTIFICATION,
    mgrs_tile,
    percent,
    scaled_band,
    time_in_name,
    utc,
    whole,
)
from thalweg.readers.listing import Format, Listing
from thalweg.readers.sun import read_sun
from thalweg.readers.xmlfile import XmlFile

_NAME = re.compile(
    r"(?P<sensor>SENTINEL2[A-D]|LANDSAT[89]-OLITIRS2?-XS)_(?P<time>\d{8}-\d{6}-\d{3})_(?P<level>[^_]+)"
    r"_(?P<tile>[A-Za-z0-9-]+)(?:_[A-Za-z])?(?:_(?P<version>V[\d-]+))?",
    re.ASCII,
)
_BAND = re.compile(r"[^/]*_(FRE|SRE)_(B\d{1,2}A?)\.tif", re.IGNORECASE | re.ASCII)
_MASK = re.compile(r"MASKS/[^/]*_(CLM|MG2|EDG|SAT)_(R1|R2|XS)\.tif", re.IGNORECASE)
_METADATA = re.compile(r"[^/]*_MTD_ALL\.xml", re.IGNORECASE)

_CORRECTIONS = {"FRE": "flat", "SRE": "surface"}
_LEGENDS = {"CLM": CLM, "MG2": MG2, "EDG": EDG, "SAT": SAT}
# Bands by group of files, in the order of their bits in the saturation masks.
_GROUPS = {"R1": ("B2", "B3", "B4", "B8"), "R2": ("B5", "B6", "B7", "B8A", "B11", "B12"), "XS": tuple(OLI)}
_NODATA = -10000
# The 60 m bands are not part of the product.
_ROLES = {native: role for native, role in SENTINEL2.items() if native not in ("B1", "B9", "B10")}
_SYNTHETIC = "Synthetic scene: contains no satellite data"
_ONE_DAY = timedelta(days=1)
_LAST_RELATIVE_ORBIT = 233


@dataclass(frozen=True, slots=True)
class Sensor:
    """What differs between the satellites of MUSCATE products."""

    platform: str
    """S2A to S2D, L8 or L9."""
    roles: Mapping[str, str]
    """Band to role."""
    quantification: int
    """Counts per unit of reflectance where the metadata does not say it."""
    group: str
    """Mask files of the chains' resolution: R2 at 20 m, XS at 30 m."""


def read_muscate(listing: Listing) -> Granule:
    """The granule of a MUSCATE product: FRE as `flat`, SRE as `surface`; masks CLM, MG2, EDG and SAT."""
    fields = _fields(listing)
    sensor = _sensor(fields["sensor"])
    sensed = time_in_name(fields["time"], "%Y%m%d-%H%M%S-%f", str(listing.given))
    xml = listing.xml(_METADATA, "Muscate_Metadata_Document")
    on_mgrs = sensor.platform.startswith("S2") or re.fullmatch(r"T\d\d[A-Z]{3}", fields["tile"]) is not None
    tile = mgrs_tile(fields["tile"], str(listing.given)) if on_mgrs else fields["tile"]
    bands = _bands(listing, sensor, xml)
    granule = Granule(
        id=listing.name,
        path=listing.given,
        format=FORMAT.word,
        tile=tile,
        sensed=sensed,
        platform=sensor.platform,
        level="L2A",
        bands=bands,
        masks=_masks(listing, sensor, xml),
        baseline=fields["version"],
        on_mgrs=on_mgrs,
        expected=_expected(sensor),
        attribution=sensor_credit(sensor.platform, sensed),
    )
    return _with_metadata(granule, xml) if xml else granule


def _fields(listing: Listing) -> dict[str, str]:
    match = _NAME.fullmatch(listing.name)
    if match is None or match["level"] != "L2A":
        raise BadInput(
            f"{listing.given}: the name {listing.name!r} is not of the form {FORMAT.form}", id="SNOW-IN-03"
        )
    return match.groupdict()


def _sensor(name: str) -> Sensor:
    if name.startswith("SENTINEL2"):
        return Sensor(f"S2{name[-1]}", _ROLES, 10000, "R2")
    return Sensor(f"L{name[len('LANDSAT')]}", OLI, 1000, "XS")


def _bands(listing: Listing, sensor: Sensor, xml: XmlFile | None) -> dict[str, dict[str, BandFile]]:
    quantification, nodata = _packing(sensor, xml)
    files = listing.groups(_BAND)
    bands: dict[str, dict[str, BandFile]] = {}
    for native, role in sensor.roles.items():
        for kind, correction in _CORRECTIONS.items():
            file = files.get((kind, native))
            if file is not None:
                raster = Raster(listing.path(file), nodata=nodata)
                bands.setdefault(role, {})[correction] = scaled_band(raster, native, quantification)
    return bands


def _packing(sensor: Sensor, xml: XmlFile | None) -> tuple[float, int]:
    """Quantification and nodata number."""
    if xml is None:
        return sensor.quantification, _NODATA
    declared = xml.number("REFLECTANCE_QUANTIFICATION_VALUE", low=1, high=MAX_QUANTIFICATION)
    special = [e for e in xml.elements("Special_Values_List", "SPECIAL_VALUE") if e.get("name") == "nodata"]
    nodata = whole(special[0].text or "", xml.where("SPECIAL_VALUE"), -32768, 32767) if special else _NODATA
    return declared or sensor.quantification, nodata


def _masks(listing: Listing, sensor: Sensor, xml: XmlFile | None) -> tuple[MaskFile, ...]:
    masks = []
    for (kind, group), file in listing.groups(_MASK).items():
        raster = Raster(listing.path(file))
        if kind == "SAT":
            masks.append(saturation(f"sat_{group.lower()}", raster, _saturation_bits(sensor, group, xml)))
        else:
            masks.append(MaskFile(kind.lower(), raster, _LEGENDS[kind]))
    return tuple(masks)


def _saturation_bits(sensor: Sensor, group: str, xml: XmlFile | None) -> dict[str, int]:
    """Role to bit in the saturation mask of a group: as the metadata numbers them, from 1, else in their order."""
    declared = _bit_numbers(xml) if xml else {}
    return {
        sensor.roles[native]: 1 << declared.get(native, position) - 1
        for position, native in enumerate(_GROUPS[group], start=1)
    }


def _bit_numbers(xml: XmlFile) -> dict[str, int]:
    where = xml.where("Saturation", "MASK_FILE", "bit_number")
    return {
        file.get("band_id", ""): whole(file.get("bit_number"), where, 1, 8)
        for mask in xml.elements("Mask")
        if mask.findtext("Mask_Properties/NATURE") == "Saturation"
        for file in mask.iterfind("Mask_File_List/MASK_FILE")
        if file.get("bit_number") is not None
    }


def _with_metadata(granule: Granule, xml: XmlFile) -> Granule:
    _check_agreement(granule, xml)
    return replace(
        granule,
        sun=read_sun(xml, ("Mean_Value_List", "Sun_Angles"), ("Angles_Grids_List", "Sun_Angles_Grids")),
        orbit=_orbit(xml),
        cloud_cover=_cloud_cover(xml),
        attribution=_SYNTHETIC if xml.text("AUTHORITY") == "SYNTHETIC" else granule.attribution,
    )


def _orbit(xml: XmlFile) -> int | None:
    """Relative orbit; a larger number is an absolute one, which is not what is wanted."""
    number = xml.number("ORBIT_NUMBER", low=0, high=10**7)
    return int(number) if number is not None and 1 <= number <= _LAST_RELATIVE_ORBIT else None


def _check_agreement(granule: Granule, xml: XmlFile) -> None:
    """The name rules; metadata that speaks of another day or tile belongs to another product."""
    acquired = xml.text("ACQUISITION_DATE")
    if acquired is not None:
        where = xml.where("ACQUISITION_DATE")
        if abs(utc(acquired, where) - granule.sensed) > _ONE_DAY:
            raise BadInput(
                f"{where}: {acquired} contradicts {granule.sensed.isoformat()} in the product's name"
            )
    zone = xml.text("GEOGRAPHICAL_ZONE")
    if zone is not None and granule.on_mgrs and zone.upper().removeprefix("T") != granule.tile:
        raise BadInput(
            f"{xml.where('GEOGRAPHICAL_ZONE')}: {zone!r} contradicts T{granule.tile} in the product's name"
        )


def _cloud_cover(xml: XmlFile) -> float | None:
    for index in xml.elements("Global_Index_List", "QUALITY_INDEX"):
        if index.get("name") == "CloudPercent" and index.text:
            return percent(index.text, xml.where("QUALITY_INDEX CloudPercent"))
    return None


def _expected(sensor: Sensor) -> dict[str, str]:
    bands = {role: f"*_FRE_{native}.tif or *_SRE_{native}.tif" for native, role in sensor.roles.items()}
    masks = {
        meaning: f"MASKS/*_{kind}_{sensor.group}.tif"
        for kind, legend in reversed(_LEGENDS.items())
        for meaning in legend
    }
    return {**bands, **masks}


FORMAT = Format(
    word="muscate",
    pattern=re.compile(r"SENTINEL2[A-D]_|LANDSAT[89]-OLITIRS2?-XS_"),
    form="SENTINEL2A_<yyyymmdd>-<hhmmss>-<mmm>_L2A_T<tile>_C_V<version> or LANDSAT8-OLITIRS-XS_<same> (MUSCATE)",
    listed=("*", "MASKS/*"),
    read=read_muscate,
)
"""Folders and zips of Theia."""
