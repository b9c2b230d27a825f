"""C2RCC products of SNAP as NetCDF-CF: water-leaving reflectance ``rhow_B*``, or ``rrs_B*``, and named flags."""

from __future__ import annotations

import re

from thalweg.bands import OLI, sentinel2_role
from thalweg.credit import sensor_credit
from thalweg.errors import BadInput
from thalweg.granule import BandFile, Granule
from thalweg.masks import Codes, MaskFile
from thalweg.raster import Raster
from thalweg.readers.facts import number
from thalweg.readers.netcdf import NetcdfFile

FLAGS = "c2rcc_flags"
"""Variable of the flags."""

_MEANINGS = {"Cloud_risk": "cloud"}
_BAND = re.compile(r"(rhow|rrs)_(B\d{1,2}A?)", re.ASCII)


def recognises(file: NetcdfFile) -> bool:
    """True for a file that holds reflectance as C2RCC writes it."""
    return any(_BAND.fullmatch(name) for name in file.names)


def read(file: NetcdfFile) -> Granule:
    """The granule; of both kinds of reflectance R is taken, which needs no conversion."""
    platform, sensed = file.platform(), file.sensed()
    tile, on_mgrs = file.tile()
    has_rrs = any(name.startswith("rrs_B") for name in file.names)
    return Granule(
        id=file.id,
        path=file.given,
        format="c2rcc",
        tile=tile,
        sensed=sensed,
        platform=platform,
        level="Rrs" if has_rrs else "rhow",
        bands=_bands(file, "rrs" if has_rrs else "rhow", platform),
        masks=_masks(file),
        baseline=file.baseline(),
        orbit=file.orbit(),
        on_mgrs=on_mgrs,
        attribution=sensor_credit(platform, sensed),
    )


def _bands(file: NetcdfFile, kind: str, platform: str) -> dict[str, dict[str, BandFile]]:
    bands: dict[str, dict[str, BandFile]] = {}
    for name in file.names:
        match = _BAND.fullmatch(name)
        if match is None or match[1] != kind:
            continue
        role = sentinel2_role(match[2]) if platform.startswith("S2") else OLI.get(match[2])
        if role:
            bands[role] = {"native": BandFile(_raster(file, name), native=name)}
    return bands


def _raster(file: NetcdfFile, name: str) -> Raster:
    """Floats as they are, integers by their CF attributes."""
    details, where = file.details(name), f"{file.path}: variable {name!r}"
    scale = number(details.get(f"{name}#scale_factor", "1"), f"{where}, scale_factor", 1e-12, 1e9)
    offset = number(details.get(f"{name}#add_offset", "0"), f"{where}, add_offset", -1e9, 1e9)
    return Raster(file.path, 1, scale, offset, variable=name)


def _masks(file: NetcdfFile) -> tuple[MaskFile, ...]:
    """The flags by name: their order is that of the file's own attributes."""
    if FLAGS not in file.names:
        return ()
    details = file.details(FLAGS)
    names = details.get(f"{FLAGS}#flag_meanings", "").split()
    bits = re.findall(r"-?\d+", details.get(f"{FLAGS}#flag_masks", ""))
    if len(names) != len(bits):
        raise BadInput(f"{file.path}: {FLAGS} has {len(names)} flag_meanings and {len(bits)} flag_masks")
    legend = {
        _MEANINGS[name]: Codes(bits=(int(bit),))
        for name, bit in zip(names, bits, strict=True)
        if name in _MEANINGS
    }
    return (MaskFile("c2rcc", Raster(file.path, variable=FLAGS), legend),)
