"""GRS L2A products: remote-sensing reflectance of Sentinel-2 and Landsat in a NetCDF file, in either layout.

``datacube`` has one variable of all wavelengths, ``beam`` one a band. Sources: github.com/Tristanovsk/grs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from thalweg.credit import sensor_credit
from thalweg.errors import BadInput
from thalweg.granule import BandFile, Granule, Sun
from thalweg.masks import GRS, MaskFile
from thalweg.raster import Raster
from thalweg.readers.facts import number
from thalweg.readers.netcdf import SUFFIX, NetcdfFile
from thalweg.readers.sun import AZIMUTH, ZENITH

NAME = re.compile(r"(?:S2[A-D]_MSIL2Agrs_|LC0[89]_.*grs)", re.ASCII)
"""Beginning of the names of its folders."""

FORM = "S2A_MSIL2Agrs_<time>_N0509_R008_T31TFJ_<time> (GRS L2A: a folder or its .nc)"
"""What a name looks like, for messages."""

WAVELENGTHS: Mapping[int, str] = {
    443: "coastal",
    490: "blue",
    560: "green",
    665: "red",
    705: "rededge071",
    740: "rededge075",
    783: "rededge078",
    842: "nir",
    865: "nir08",
    1610: "swir16",
    2190: "swir22",
}
"""Nominal wavelength, nm, to role; 590 is Landsat's panchromatic band, which nobody reads."""

FIELDS = {"sun_zenith": "sza", "sun_glint": "BRDFg"}
"""Field to its variable."""

_BAND = re.compile(r"Rrs_(\d{3,4})", re.ASCII)
_PROFILES = ("datacube", "beam")


def find_file(folder: Path) -> Path:
    """The file of a product that is a folder."""
    path = folder / f"{folder.name}{SUFFIX}"
    if not path.is_file():
        raise BadInput(f"{folder}: holds no {path.name}, the file of a GRS product")
    return path


def recognises(file: NetcdfFile) -> bool:
    """True for a file that holds reflectance as GRS writes it."""
    return "Rrs" in file.names or any(_BAND.fullmatch(name) for name in file.names)


def read(file: NetcdfFile) -> Granule:
    """The granule: R as stored, int16 with its scale and offset; flags, sun and glint of each pixel."""
    profile = file.attributes.get("metadata_profile")
    if profile is not None and profile not in _PROFILES:
        raise BadInput(f"{file.where('metadata_profile')}: {profile!r} is neither {' nor '.join(_PROFILES)}")
    platform, sensed = file.platform(), file.sensed()
    tile, on_mgrs = file.tile()
    return Granule(
        id=file.id,
        path=file.given,
        format="grs",
        tile=tile,
        sensed=sensed,
        platform=platform,
        level="Rrs",
        bands=_datacube(file) if "Rrs" in file.names else _beam(file),
        masks=_flags(file),
        sun=_sun(file),
        baseline=file.baseline(),
        orbit=file.orbit(),
        on_mgrs=on_mgrs,
        expected={role: f"Rrs at {wavelength} nm" for wavelength, role in WAVELENGTHS.items()},
        fields={field: file.packed(name) for field, name in FIELDS.items() if name in file.names},
        attribution=sensor_credit(platform, sensed),
    )


def _datacube(file: NetcdfFile) -> dict[str, dict[str, BandFile]]:
    said = file.details("Rrs").get("NETCDF_DIM_wl_VALUES", "").strip("{}")
    if not re.fullmatch(r"\d+(,\d+)*", said):
        raise BadInput(f"{file.path}: the variable 'Rrs' has no wavelengths 'wl' in whole nanometres")
    first = file.packed("Rrs")
    bands: dict[str, dict[str, BandFile]] = {}
    for index, wavelength in enumerate(map(int, said.split(",")), start=1):
        if wavelength in WAVELENGTHS:
            raster = Raster(file.path, index, first.scale, first.offset, first.nodata, variable="Rrs")
            bands[WAVELENGTHS[wavelength]] = {"native": BandFile(raster, native=f"{wavelength} nm")}
    return bands


def _beam(file: NetcdfFile) -> dict[str, dict[str, BandFile]]:
    bands: dict[str, dict[str, BandFile]] = {}
    for name in file.names:
        match = _BAND.fullmatch(name)
        role = WAVELENGTHS.get(int(match[1])) if match else None
        if role:
            bands[role] = {"native": BandFile(file.packed(name), native=name)}
    return bands


def _flags(file: NetcdfFile) -> tuple[MaskFile, ...]:
    if "flags" not in file.names:
        raise BadInput(f"{file.path}: holds no variable 'flags'; its variables are: {', '.join(file.names)}")
    return (MaskFile("grs", Raster(file.path, variable="flags"), GRS),)


def _sun(file: NetcdfFile) -> Sun | None:
    zenith, azimuth = (file.attributes.get(key) for key in ("mean_solar_zenith_angle", "mean_solar_azimuth"))
    if zenith is None or azimuth is None:
        return None
    angle = number(azimuth, file.where("mean_solar_azimuth"), -360.0, 720.0)
    return Sun(
        number(zenith, file.where("mean_solar_zenith_angle"), *ZENITH),
        min(max(math.fmod(angle + 360.0, 360.0), AZIMUTH[0]), AZIMUTH[1]),
    )
