"""What a raster file says about itself, where the product cannot: shape and whether it knows its place."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

# The file is untrusted: drivers that follow references to other files are left out. Many a JPEG 2000 is called .tif.
_DRIVERS = ("GTiff", "JP2OpenJPEG")


@dataclass(frozen=True, slots=True)
class Header:
    """The part of a raster's header that a reader may need."""

    shape: tuple[int, int]
    """Rows and columns."""
    is_placed: bool
    """True where the file has a coordinate reference system."""


def read_header(path: Path) -> Header | None:
    """The header of a file, or None where it is no raster: who needs its pixels will say so."""
    with (
        warnings.catch_warnings(),
        rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED="NO", CPL_LOG_ERRORS="OFF"),
    ):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        headers = (_header(path, driver) for driver in _DRIVERS)
        return next((header for header in headers if header is not None), None)


def _header(path: Path, driver: str) -> Header | None:
    try:
        with rasterio.open(path, driver=driver) as dataset:
            return Header((int(dataset.height), int(dataset.width)), dataset.crs is not None)
    except (RasterioError, OSError, ValueError):
        return None
