"""HLS S30 and L30 products, version 2: a GeoTIFF of 30 m for each band on the Sentinel-2 grid, tags as metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from thalweg.bands import OLI, SENTINEL2
from thalweg.credit import sensor_credit
from thalweg.errors import BadInput
from thalweg.granule import BandFile, Granule, Sun
from thalweg.masks import FMASK, MaskFile
from thalweg.opened import open_raster
from thalweg.raster import Raster
from thalweg.readers.facts import (
    mgrs_tile,
    number,
    percent,
    scaled_band,
    time_in_name,
    utc,
)
from thalweg.readers.header import read_header
from thalweg.readers.listing import Format, Listing
from thalweg.readers.sun import AZIMUTH, ZENITH

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEM = r"HLS\.(?:S30|L30)\.T[0-9A-Z]{5}\.\d{7}T\d{6}\.v\d+\.\d+"
_NAME = re.compile(
    r"HLS\.(?P<sensor>S30|L30)\.T(?P<tile>[0-9A-Z]{5})\.(?P<time>\d{7}T\d{6})\.v(?P<version>2\.\d+)", re.ASCII
)
_RASTER = re.compile(rf"({_STEM})\.(?i:B\d[0-9A]|Fmask|[SV][ZA]A)\.(?i:tif)", re.ASCII)
_BAND = re.compile(r"[^/]*\.(B\d[0-9A])\.tif", re.IGNORECASE | re.ASCII)
_MASK = re.compile(r"[^/]*\.Fmask\.tif", re.IGNORECASE)
_ANGLE = re.compile(r"[^/]*\.(SZA|SAA)\.tif", re.IGNORECASE)
_ORBIT = re.compile(r"_R(\d{3})_")

# By sensor: the satellites' family, how their names tell them apart, and the tags that may hold a name.
_SATELLITES = {
    "S30": (
        "S2",
        re.compile(r"(?:Sentinel-2|\bS2)([A-D])", re.IGNORECASE),
        ("SPACECRAFT_NAME", "PRODUCT_URI", "DATASTRIP_ID"),
    ),
    "L30": ("L", re.compile(r"\bL[CO]0([89])_"), ("LANDSAT_PRODUCT_ID",)),
}
_NODATA = -9999
_SCALE = 1e-4
_ANGLE_FILL = 40000
_ANGLE_SCALE = 0.01
_ONE_DAY = timedelta(days=1)
# B9 and B10 of S30 are reflectances at the top of the atmosphere.
_MSI = {native: role for native, role in SENTINEL2.items() if native not in ("B9", "B10")}


@dataclass(frozen=True, slots=True)
class Tags:
    """What the rasters of a product say about all of it."""

    label: str
    """How messages call the file that says it."""
    values: Mapping[str, str]
    """Tag to text, tags in upper case."""

    def texts(self, tag: str) -> list[str]:
        """The texts of a tag: several where two acquisitions of one pass fill the tile, none where it is absent."""
        return [text for part in re.split("[;,]", self.values.get(tag, "")) if (text := part.strip())]

    def numbers(self, tag: str, low: float, high: float) -> list[float]:
        """The numbers of a tag; BadInput where one is out of range."""
        return [number(text, self.where(tag), low, high) for text in self.texts(tag)]

    def where(self, tag: str) -> str:
        """File and tag, for messages."""
        return f"{self.label}: tag {tag}"


def read_hls(listing: Listing) -> Granule:
    """The granule of an HLS product: every band as `30`, mask Fmask.

    S30 has B08 as `nir` and B8A, which matches band 5 of Landsat, as `nir08`; L30 has `nir08` alone. Scale, sun angles,
    platform and cloud share are those that the tags of a band say; no band, or one without tags: reflectance is
    stored number x 0.0001, nodata -9999 (HLS 2.0 user guide), and the angles are the means of SZA and SAA.
    """
    match = _NAME.fullmatch(listing.name)
    if match is None:
        raise BadInput(
            f"{listing.given}: the name {listing.name!r} is not of the form {FORMAT.form}", id="SNOW-IN-03"
        )
    roles = _MSI if match["sensor"] == "S30" else OLI
    files = {_native(name): file for (name,), file in listing.groups(_BAND).items()}
    tags = _tags(listing, [files[native] for native in ("B3", *roles) if native in files])
    sensed = time_in_name(match["time"], "%Y%jT%H%M%S", str(listing.given))
    platform = _platform(tags, match["sensor"])
    granule = Granule(
        id=listing.name,
        path=listing.given,
        format=FORMAT.word,
        tile=mgrs_tile(match["tile"], str(listing.given)),
        sensed=sensed,
        platform=platform,
        level="L2A",
        bands=_bands(listing, roles, files, tags),
        masks=_masks(listing),
        sun=_sun(listing, tags),
        baseline=match["version"],
        cloud_cover=_cloud_cover(tags),
        orbit=_orbit(tags),
        expected=_expected(roles),
        attribution=sensor_credit(platform, sensed),
    )
    _check_time(granule, tags)
    return granule


def _native(name: str) -> str:
    """``B03`` as B3."""
    return name if name.endswith("A") else f"B{int(name[1:])}"


def _tags(listing: Listing, files: list[str]) -> Tags:
    """The tags of the first of these files that has any; all rasters of a product have the same ones."""
    for file in files:
        path = listing.fetch(file)
        header = read_header(path) if path else None
        if header is not None:
            return Tags(listing.label(file), header.tags)
    return Tags(str(listing.given), {})


def _bands(
    listing: Listing, roles: Mapping[str, str], files: Mapping[str, str], tags: Tags
) -> dict[str, dict[str, BandFile]]:
    scale = _one(tags, "SCALE_FACTOR", 1e-6, 1.0, _SCALE)
    offset = _one(tags, "ADD_OFFSET", -1.0, 1.0, 0.0)
    bands: dict[str, dict[str, BandFile]] = {}
    for native, role in roles.items():
        if native in files:
            raster = Raster(listing.path(files[native]), nodata=_NODATA)
            bands[role] = {"30": scaled_band(raster, native, 1 / scale, round(offset / scale))}
    return bands


def _one(tags: Tags, tag: str, low: float, high: float, otherwise: float) -> float:
    """The one number of a tag; two that differ are refused."""
    found = set(tags.numbers(tag, low, high)) or {otherwise}
    if len(found) > 1:
        raise BadInput(f"{tags.where(tag)}: {tags.values[tag][:60]!r} says two things")
    return found.pop()


def _masks(listing: Listing) -> tuple[MaskFile, ...]:
    file = listing.only(_MASK)
    return () if file is None else (MaskFile("fmask", Raster(listing.path(file)), FMASK),)


def _platform(tags: Tags, sensor: str) -> str:
    """S2A to S2D, L8 or L9 as the tags say; HLS-S30 or HLS-L30 where they do not."""
    family, pattern, sources = _SATELLITES[sensor]
    matches = (pattern.search(tags.values.get(tag, "")) for tag in sources)
    which = next((match[1].upper() for match in matches if match), None)
    return f"{family}{which}" if which else f"HLS-{sensor}"


def _orbit(tags: Tags) -> int | None:
    match = _ORBIT.search(tags.values.get("PRODUCT_URI", ""))
    return int(match[1]) or None if match else None


def _cloud_cover(tags: Tags) -> float | None:
    texts = tags.texts("CLOUD_COVERAGE")
    return percent(texts[0], tags.where("CLOUD_COVERAGE")) if texts else None


def _check_time(granule: Granule, tags: Tags) -> None:
    """The name rules; tags that speak of another day belong to another product."""
    for text in tags.texts("SENSING_TIME"):
        where = tags.where("SENSING_TIME")
        if abs(utc(text, where) - granule.sensed) > _ONE_DAY:
            raise BadInput(
                f"{where}: {text!r} contradicts {granule.sensed.isoformat()} in the product's name"
            )


def _sun(listing: Listing, tags: Tags) -> Sun | None:
    """Mean angles by the tags, which have one for each acquisition; else by the rasters of angles."""
    zenith = np.array(tags.numbers("MEAN_SUN_ZENITH_ANGLE", *ZENITH))
    azimuth = np.array(tags.numbers("MEAN_SUN_AZIMUTH_ANGLE", *AZIMUTH))
    if bool(zenith.size) != bool(azimuth.size):
        raise BadInput(f"{tags.where('MEAN_SUN_*')}: gives one of zenith and azimuth without the other")
    if not zenith.size:
        files = {name: file for (name,), file in listing.groups(_ANGLE).items()}
        zenith, azimuth = _angles(listing, files.get("SZA")), _angles(listing, files.get("SAA"))
    if not zenith.size or not azimuth.size:
        return None
    return Sun(float(zenith.mean()), mean_direction(azimuth))


def _angles(listing: Listing, file: str | None) -> NDArray[np.float64]:
    """The angles of a raster, degrees, fill left out; none where there is no raster."""
    path = listing.fetch(file) if file else None
    if path is None:
        return np.empty(0)
    raster = open_raster(Raster(path))
    try:
        stored = raster.read(0, 0, raster.grid.shape)
    finally:
        raster.close()
    return stored[stored < _ANGLE_FILL] * _ANGLE_SCALE


def mean_direction(azimuths: NDArray[np.float64]) -> float:
    """Mean of directions in degrees that lie in one half of the compass: 0 for 359 and 1; one stays as it is."""
    first = float(azimuths[0])
    turns = (azimuths - first + 180.0) % 360.0 - 180.0
    return first if not turns.any() else (first + float(turns.mean())) % 360.0


def _expected(roles: Mapping[str, str]) -> dict[str, str]:
    bands = {
        role: f"*.{native if native == 'B8A' else f'B{native[1:]:0>2}'}.tif" for native, role in roles.items()
    }
    return {**bands, **dict.fromkeys(FMASK, "*.Fmask.tif")}


FORMAT = Format(
    word="hls",
    pattern=re.compile(r"HLS\.[SL]30\."),
    form="HLS.S30.T<tile>.<yyyydddThhmmss>.v2.0 or HLS.L30.<same>, or one of its rasters",
    listed=("*",),
    read=read_hls,
    raster=_RASTER,
)
"""Folders of HLS, or the files that NASA's archive hands out loose."""
