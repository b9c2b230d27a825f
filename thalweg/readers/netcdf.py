"""NetCDF products of water-leaving reflectance: which one a file is, and what its variables say of their packing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from thalweg.errors import BadInput
from thalweg.granule import Granule
from thalweg.raster import Raster
from thalweg.readers.facts import brief, mgrs_tile, number, time_in_name, utc
from thalweg.readers.header import read_attributes, read_variables

SUFFIX = ".nc"

_PLATFORM = re.compile(r"(?<![A-Z0-9])(S2[A-D]|LC0[89])_", re.ASCII)
_TILE = re.compile(r"_T(\d\d[A-Z]{3})(?![A-Z0-9])", re.ASCII)
_PATH_ROW = re.compile(r"_(\d{6})_\d{8}_", re.ASCII)
_TIME = re.compile(r"_(\d{8}T\d{6})(?!\d)", re.ASCII)
_DAY = re.compile(r"_(\d{8})_", re.ASCII)
_ORBIT = re.compile(r"_R(\d{3})_", re.ASCII)
_BASELINE = re.compile(r"_N(\d{4})_", re.ASCII)


@dataclass(frozen=True, slots=True)
class NetcdfFile:
    """A NetCDF file that was looked into."""

    path: Path
    """The file."""
    given: Path
    """The product as the user gave it."""
    names: tuple[str, ...]
    """Its variables that are rasters."""
    attributes: Mapping[str, str]
    """Its global attributes."""

    @property
    def id(self) -> str:
        """Name of the product."""
        return self.path.stem

    def where(self, attribute: str) -> str:
        """How messages call a global attribute."""
        return f"{self.path}: attribute {attribute!r}"

    def details(self, variable: str) -> Mapping[str, str]:
        """Attributes of a variable and of its coordinates, ``name#attribute`` to text."""
        found = read_attributes(Raster(self.path, variable=variable).source)
        if found is None:
            raise BadInput(f"{self.path}: the variable {variable!r} cannot be read")
        return found

    def packed(self, variable: str, band: int = 1) -> Raster:
        """A raster of packed integers; BadInput where its scale is not said."""
        details = self.details(variable)
        scale = details.get(f"{variable}#scale_factor")
        if scale is None:
            raise BadInput(f"{self.path}: the integer variable {variable!r} has no attribute scale_factor")
        where = f"{self.path}: variable {variable!r}"
        offset = number(details.get(f"{variable}#add_offset", "0"), f"{where}, add_offset", -1e9, 1e9)
        fill = details.get(f"{variable}#_FillValue")
        nodata = None if fill is None else number(fill, f"{where}, _FillValue", -3.5e38, 3.5e38)
        factor = number(scale, f"{where}, scale_factor", 1e-9, 1e9)
        return Raster(self.path, band, factor, offset, nodata, variable=variable)

    def platform(self) -> str:
        """S2A to S2D, L8 or L9, by the attribute ``satellite``, else by the name."""
        said = self.attributes.get("satellite", "")
        token = re.match(r"S2[A-D]", said)
        if token:
            return token[0]
        landsat = re.search(r"[89]", said) if "andsat" in said or said.startswith(("L", "l")) else None
        if landsat:
            return f"L{landsat[0]}"
        named = _PLATFORM.search(self.path.name)
        if named is None:
            raise BadInput(
                f"{self.path}: neither the attribute 'satellite' ({brief(said)}) nor the name says which satellite; "
                "accepted are S2A, S2B, S2C, LC08 and LC09"
            )
        return named[1] if named[1].startswith("S2") else f"L{named[1][-1]}"

    def tile(self) -> tuple[str, bool]:
        """Tile, and whether it is one of the Sentinel-2 grid: by the name, else by the attribute ``tile``."""
        found = _TILE.search(self.path.name)
        said = found[1] if found else self.attributes.get("tile")
        if said:
            return mgrs_tile(said, str(self.path)), True
        landsat = _PATH_ROW.search(self.path.name)
        if landsat is None:
            raise BadInput(f"{self.path}: neither the name nor an attribute 'tile' says which tile")
        return landsat[1], False

    def sensed(self) -> datetime:
        """Start of sensing: by the attribute ``acquisition_date``, else by the name."""
        said = self.attributes.get("acquisition_date")
        if said:
            return utc(said, self.where("acquisition_date"))
        found = _TIME.search(self.path.name)
        if found:
            return time_in_name(found[1], "%Y%m%dT%H%M%S", str(self.path))
        day = _DAY.search(self.path.name)
        if day is None:
            raise BadInput(f"{self.path}: neither an attribute 'acquisition_date' nor the name says when")
        return time_in_name(day[1], "%Y%m%d", str(self.path))

    def orbit(self) -> int | None:
        """Relative orbit of Sentinel-2, path of Landsat, None where the name does not say."""
        found = _ORBIT.search(self.path.name)
        landsat = None if found else _PATH_ROW.search(self.path.name)
        return int(found[1]) if found else int(landsat[1][:3]) if landsat else None

    def baseline(self) -> str | None:
        """Processing baseline, by the name."""
        found = _BASELINE.search(self.path.name)
        return f"{found[1][:2]}.{found[1][2:]}" if found else None


def look_into(path: Path, given: Path) -> NetcdfFile:
    """What a NetCDF file holds; BadInput where it is none."""
    found = read_variables(path)
    if found is None:
        raise BadInput(f"{path}: is no readable NetCDF file")
    return NetcdfFile(path, given, found.names, found.attributes)


def read_netcdf(path: Path, given: Path | None = None) -> Granule:
    """The granule of a NetCDF file of GRS or C2RCC, which are told apart by their variables."""
    from thalweg.readers import c2rcc, grs

    file = look_into(path, given or path)
    for reader in (grs, c2rcc):
        if reader.recognises(file):
            granule: Granule = reader.read(file)
            return granule
    raise BadInput(
        f"{path}: holds neither reflectance of GRS (Rrs or Rrs_<wavelength>) nor of C2RCC (rhow_B* or rrs_B*); its "
        f"variables are: {', '.join(file.names) or 'none'}",
        advice="For any other NetCDF file write a raster-stack YAML.",
    )
