"""Landsat 8 and 9 Collection 2 Level 2 products of USGS: one GeoTIFF of 30 m for each band, MTL metadata."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from thalweg.bands import OLI
from thalweg.credit import sensor_credit
from thalweg.errors import BadInput
from thalweg.granule import BandFile, Granule, Sun
from thalweg.masks import QA_PIXEL, MaskFile, saturation
from thalweg.raster import Raster, Reflectance
from thalweg.readers.facts import added_counts, percent, time_in_name, utc
from thalweg.readers.listing import Format, Listing
from thalweg.readers.mtl import Mtl, read_mtl
from thalweg.readers.sun import AZIMUTH

_STEM = r"LC0[89]_L2S[PR]_\d{6}_\d{8}_\d{8}_02_(?:T1|T2|RT)"
_NAME = re.compile(
    r"LC0(?P<number>[89])_L2S[PR]_(?P<tile>\d{6})_(?P<day>\d{8})_(?P<processed>\d{8})_02_(?:T1|T2|RT)",
    re.ASCII,
)
_RASTER = re.compile(rf"({_STEM})_(?i:SR_B\d|QA_PIXEL|QA_RADSAT)\.(?i:tif)", re.ASCII)
_BAND = re.compile(r"[^/]*_SR_(B\d)\.tif", re.IGNORECASE | re.ASCII)
_PIXEL = re.compile(r"[^/]*_QA_PIXEL\.tif", re.IGNORECASE)
_SATURATION = re.compile(r"[^/]*_QA_RADSAT\.tif", re.IGNORECASE)

_SCALE = 2.75e-5
_OFFSET = -0.2
_NODATA = 0
_COUNTS = 10000
_PATHS, _ROWS = 233, 248
# Bits 0 to 6 of QA_RADSAT are bands 1 to 7; bit 8 is the cirrus band, bit 11 terrain that hides the ground.
_SATURATION_BITS = {role: 1 << int(native[1:]) - 1 for native, role in OLI.items()}

CONTENTS, IMAGE = "PRODUCT_CONTENTS", "IMAGE_ATTRIBUTES"
"""Groups of the MTL that say which product it is, and when and how it was taken."""

PACKING = "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"
"""Group of the MTL with scale and offset; the group of Level 1 has other numbers under the same keys."""


def read_landsat(listing: Listing) -> Granule:
    """The granule of a Landsat product: bands as `30`, masks QA_PIXEL and QA_RADSAT, path and row as its tile.

    Reflectance is stored number x 0.0000275 - 0.2, nodata 0 (LSDS-1619), or as the MTL says for the band. The name
    holds a day only; the time (the middle of the scene), sun angles and cloud share come from the MTL, if there is one.
    """
    match = _NAME.fullmatch(listing.name)
    if match is None:
        raise BadInput(
            f"{listing.given}: the name {listing.name!r} is not of the form {FORMAT.form}", id="SNOW-IN-03"
        )
    mtl = read_mtl(listing)
    sensed = time_in_name(match["day"], "%Y%m%d", str(listing.given))
    platform = f"L{match['number']}"
    granule = Granule(
        id=listing.name,
        path=listing.given,
        format=FORMAT.word,
        tile=_tile(match["tile"], str(listing.given)),
        sensed=sensed,
        platform=platform,
        level="L2A",
        bands=_bands(listing, mtl),
        masks=_masks(listing),
        baseline=match["processed"],
        on_mgrs=False,
        expected=_expected(),
        attribution=sensor_credit(platform, sensed),
    )
    return _with_metadata(granule, mtl) if mtl else granule


def _tile(text: str, where: str) -> str:
    """Path and row of WRS-2, six digits."""
    if not (1 <= int(text[:3]) <= _PATHS and 1 <= int(text[3:]) <= _ROWS):
        raise BadInput(f"{where}: {text} is no path (001 to {_PATHS}) and row (001 to {_ROWS}) of WRS-2")
    return text


def _bands(listing: Listing, mtl: Mtl | None) -> dict[str, dict[str, BandFile]]:
    files = {native: file for (native,), file in listing.groups(_BAND).items()}
    bands: dict[str, dict[str, BandFile]] = {}
    for native, role in OLI.items():
        if native in files:
            scale, offset = _packing(mtl, native)
            raster = Raster(listing.path(files[native]), 1, scale, offset, _NODATA)
            bands[role] = {
                "30": BandFile(raster, Reflectance(_COUNTS, added_counts(offset, _COUNTS)), native)
            }
    return bands


def _packing(mtl: Mtl | None, native: str) -> tuple[float, float]:
    """Scale and offset of a band."""
    if mtl is None:
        return _SCALE, _OFFSET
    scale = mtl.number(PACKING, f"REFLECTANCE_MULT_BAND_{native[1:]}", 1e-9, 1.0)
    offset = mtl.number(PACKING, f"REFLECTANCE_ADD_BAND_{native[1:]}", -1.0, 1.0)
    return _SCALE if scale is None else scale, _OFFSET if offset is None else offset


def _masks(listing: Listing) -> tuple[MaskFile, ...]:
    pixel, radiometric = listing.only(_PIXEL), listing.only(_SATURATION)
    masks = [MaskFile("qa_pixel", Raster(listing.path(pixel)), QA_PIXEL)] if pixel else []
    if radiometric:
        masks.append(saturation("qa_radsat", Raster(listing.path(radiometric)), _SATURATION_BITS))
    return tuple(masks)


def _with_metadata(granule: Granule, mtl: Mtl) -> Granule:
    _check_agreement(granule, mtl)
    cloud = mtl.number(IMAGE, "CLOUD_COVER", -1.0, 100.001)
    return replace(
        granule,
        sensed=_time(granule, mtl),
        sun=_sun(mtl),
        # -1: not computed.
        cloud_cover=None if cloud is None or cloud < 0 else percent(cloud, mtl.where(IMAGE, "CLOUD_COVER")),
    )


def _check_agreement(granule: Granule, mtl: Mtl) -> None:
    """The name rules; metadata that names another product belongs to it."""
    said = mtl.text(CONTENTS, "LANDSAT_PRODUCT_ID")
    if said is not None and said != granule.id:
        raise BadInput(f"{mtl.where(CONTENTS, 'LANDSAT_PRODUCT_ID')}: {said[:60]!r} is not {granule.id!r}")


def _time(granule: Granule, mtl: Mtl) -> datetime:
    day, time = mtl.text(IMAGE, "DATE_ACQUIRED"), mtl.text(IMAGE, "SCENE_CENTER_TIME")
    if day is None or time is None:
        return granule.sensed
    sensed = utc(f"{day}T{time}", mtl.where(IMAGE, "SCENE_CENTER_TIME"))
    if sensed.date() != granule.sensed.date():
        raise BadInput(
            f"{mtl.where(IMAGE, 'DATE_ACQUIRED')}: {day!r} contradicts the day {granule.sensed:%Y%m%d} in the name"
        )
    return sensed


def _sun(mtl: Mtl) -> Sun | None:
    elevation = mtl.number(IMAGE, "SUN_ELEVATION", -90.0, 90.0)
    azimuth = mtl.number(IMAGE, "SUN_AZIMUTH", *AZIMUTH)
    if (elevation is None) != (azimuth is None):
        raise BadInput(f"{mtl.where(IMAGE, 'SUN_*')}: gives one of elevation and azimuth without the other")
    return None if elevation is None or azimuth is None else Sun(90.0 - elevation, azimuth)


def _expected() -> dict[str, str]:
    bands = {role: f"*_SR_{native}.TIF" for native, role in OLI.items()}
    return {**bands, "saturated": "*_QA_RADSAT.TIF", **dict.fromkeys(QA_PIXEL, "*_QA_PIXEL.TIF")}


FORMAT = Format(
    word="landsat",
    pattern=re.compile(r"LC0[89]_L2S[PR]_"),
    form="LC08_L2SP_<path><row>_<yyyymmdd>_<processed>_02_T1 (Landsat 8 and 9 Collection 2), or one of its rasters",
    listed=("*",),
    read=read_landsat,
    raster=_RASTER,
)
"""Folders and tars of USGS, or their files lying loose."""
