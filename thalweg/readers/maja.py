"""Native MAJA products: a ``.DBL.DIR`` folder of multi-band GeoTIFFs, its header beside it."""

from __future__ import annotations

import re
from dataclasses import replace

from thalweg.bands import SENTINEL2
from thalweg.credit import sensor_credit
from thalweg.errors import BadInput
from thalweg.granule import BandFile, Granule
from thalweg.masks import CLD, MaskFile
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

_SUFFIX = ".DBL.DIR"
_NAME = re.compile(r"(S2[A-D])_[^_]+_SSC_L2VALD_(\d\d[A-Z]{3})_+(\d{8})\.DBL\.DIR", re.ASCII)
_BANDS = re.compile(r"[^/]*(FRE|SRE)_(R1|R2)\.DBL\.TIF", re.IGNORECASE)
_CLOUDS = re.compile(r"[^/]*CLD_(R1|R2)\.DBL\.TIF", re.IGNORECASE)

_CORRECTIONS = {"FRE": "flat", "SRE": "surface"}
# Order of the bands in the files: headers of MAJA's own product template, github.com/CNES/MAJA.
_ORDER = {"R1": ("B2", "B3", "B4", "B8"), "R2": ("B5", "B6", "B7", "B8A", "B11", "B12")}
_QUANTIFICATION = 10000
_NODATA = -10000


def read_maja(listing: Listing) -> Granule:
    """The granule of a native MAJA product: FRE as `flat`, SRE as `surface`, mask CLD.

    The name holds a day only; time, sun angles, nodata and quantification come from the header where there is one.
    """
    match = _NAME.fullmatch(listing.name)
    if match is None:
        raise BadInput(
            f"{listing.given}: the name {listing.name!r} is not of the form {FORMAT.form}", id="SNOW-IN-03"
        )
    platform, tile, day = match.groups()
    stem = listing.name.removesuffix(_SUFFIX)
    header = listing.xml_beside((f"{stem}.HDR", f"{stem}.DBL.HDR"), "Earth_Explorer_Header")
    sensed = time_in_name(day, "%Y%m%d", str(listing.given))
    granule = Granule(
        id=stem,
        path=listing.given,
        format=FORMAT.word,
        tile=mgrs_tile(tile, str(listing.given)),
        sensed=sensed,
        platform=platform,
        level="L2A",
        bands=_bands(listing, header),
        masks=tuple(
            MaskFile("cld", Raster(listing.path(file)), CLD) for file in listing.groups(_CLOUDS).values()
        ),
        expected=_expected(),
        attribution=sensor_credit(platform, sensed),
    )
    return _with_header(granule, header) if header else granule


def _bands(listing: Listing, header: XmlFile | None) -> dict[str, dict[str, BandFile]]:
    quantification, nodata = _packing(header)
    bands: dict[str, dict[str, BandFile]] = {}
    files = listing.groups(_BANDS)
    for kind, correction in _CORRECTIONS.items():
        for group, order in _ORDER.items():
            file = files.get((kind, group))
            for index, native in enumerate(order if file else (), start=1):
                raster = Raster(listing.path(file or ""), index, nodata=nodata)
                bands.setdefault(SENTINEL2[native], {})[correction] = scaled_band(
                    raster, native, quantification
                )
    return bands


def _packing(header: XmlFile | None) -> tuple[float, int]:
    """Quantification and nodata number; the header gives the former as such (10000) or as a step (0.0001)."""
    if header is None:
        return _QUANTIFICATION, _NODATA
    declared = header.number(
        "Reflectance_Quantification_Value", low=1 / MAX_QUANTIFICATION, high=MAX_QUANTIFICATION
    )
    if declared is not None and declared < 1:
        declared = float(round(1 / declared))
    nodata = header.text("Image_Information", "Nodata_Value")
    where = header.where("Nodata_Value")
    return declared or _QUANTIFICATION, _NODATA if nodata is None else whole(nodata, where, -32768, 32767)


def _with_header(granule: Granule, header: XmlFile) -> Granule:
    time, cloud = header.text("Acquisition_Date_Time"), header.text("Cloud_Percentage")
    where = header.where("Acquisition_Date_Time")
    sensed = granule.sensed if time is None else utc(time, where)
    if sensed.date() != granule.sensed.date():
        raise BadInput(f"{where}: {time} contradicts the day {granule.sensed:%Y%m%d} in the product's name")
    return replace(
        granule,
        sensed=sensed,
        sun=read_sun(
            header, ("Product_Information", "Mean_Sun_Angle"), ("Product_Information", "Solar_Angles")
        ),
        cloud_cover=None if cloud is None else percent(cloud, header.where("Cloud_Percentage")),
    )


def _expected() -> dict[str, str]:
    bands = {
        SENTINEL2[native]: f"*FRE_{group}.DBL.TIF band {index}"
        for group, order in _ORDER.items()
        for index, native in enumerate(order, start=1)
    }
    return {**bands, **dict.fromkeys(CLD, "*CLD_R2.DBL.TIF")}


FORMAT = Format(
    word="maja",
    pattern=re.compile(r"(?=.*S2[A-D]).*\.DBL\.DIR$"),
    form="S2A_OPER_SSC_L2VALD_<tile>____<yyyymmdd>.DBL.DIR (native MAJA)",
    listed=("*",),
    read=read_maja,
)
"""Folders as MAJA itself writes them."""
