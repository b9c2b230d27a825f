"""A raster that has not been read yet: which band of which file, and how its numbers decode."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from thalweg.grid import Grid


@dataclass(frozen=True, slots=True)
class Raster:
    """One band of one file; value = stored number x scale + offset where it is not nodata."""

    path: Path
    """File that GDAL can open."""
    band: int = 1
    """Band number in the file, from 1."""
    scale: float = 1.0
    """Factor from stored number to value."""
    offset: float = 0.0
    """Added after scaling."""
    nodata: float | None = None
    """Stored number that means nodata, or None where the file says it (or nothing does)."""
    grid: Grid | None = None
    """Grid given by the product where the file itself has none; None: the file's own."""
    variable: str | None = None
    """Variable of a NetCDF file, or None for files that hold one raster."""

    @property
    def source(self) -> str:
        """What GDAL is asked to open: the file, or a variable of it."""
        return str(self.path) if self.variable is None else f'NETCDF:"{self.path}":{self.variable}'

    @property
    def name(self) -> str:
        """File name, for messages."""
        return self.path.name


@dataclass(frozen=True, slots=True)
class Packing:
    """How the numbers of an exact input decode: value = stored number / pixels x scale + offset."""

    scale: float = 1.0
    """Factor from stored number to value."""
    offset: float = 0.0
    """Added after scaling."""
    nodata: float | None = None
    """Number that means nodata, None where there is none or NaN says it."""
    pixels: int = 1
    """How many pixels were added up."""


@dataclass(frozen=True, slots=True)
class Reflectance:
    """How a product stores reflectance: what turns a stored integer into counts of a fixed quantification."""

    quantification: int = 10000
    """Counts per unit of reflectance: 10000 or 1000."""
    add: int = 0
    """Added to the stored integer before use, such as -1000 from Sen2Cor baseline 04.00 on."""
