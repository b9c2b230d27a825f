"""What a raster file says about itself, where the product cannot: shape, place, tags, scale."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError

# The file is untrusted: drivers that follow references to other files are left out. Many a JPEG 2000 is called .tif.
_DRIVERS = ("GTiff", "JP2OpenJPEG")

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Header:
    """The part of a raster's header that a reader may need."""

    shape: tuple[int, int]
    """Rows and columns."""
    is_placed: bool
    """True where the file has a coordinate reference system."""
    tags: Mapping[str, str]
    """Metadata of the file, keys in upper case."""


def read_header(path: Path) -> Header | None:
    """The header of a file, or None where it is no raster: who needs its pixels will say so."""
    headers = (_seen(str(path), driver, _header) for driver in _DRIVERS)
    return next((header for header in headers if header is not None), None)


def read_scaling(source: str) -> tuple[float, float] | None:
    """Scale and offset of a NetCDF variable by its CF attributes, 1 and 0 where it has none; None as above.

    `source` is the name by which GDAL knows the variable, as `Raster.source` gives it.
    """
    return _seen(source, "netCDF", _scaling)


@dataclass(frozen=True, slots=True)
class Variables:
    """What a NetCDF file says about itself."""

    names: tuple[str, ...]
    """Its variables that are rasters."""
    attributes: Mapping[str, str]
    """Its global attributes."""


def read_variables(path: Path) -> Variables | None:
    """Rasters and global attributes of a NetCDF file, None as above."""
    return _seen(str(path), "netCDF", _variables)


def read_attributes(source: str) -> Mapping[str, str] | None:
    """Attributes of a NetCDF variable and of its coordinates, as ``name#attribute``, None as above."""
    return _seen(source, "netCDF", lambda dataset: dict(dataset.tags()))


def _variables(dataset: Any) -> Variables:
    names = tuple(name.rpartition(":")[2] for name in dataset.subdatasets)
    prefix = "NC_GLOBAL#"
    attributes = {
        key.removeprefix(prefix): text for key, text in dataset.tags().items() if key.startswith(prefix)
    }
    return Variables(names, attributes)


def _header(dataset: Any) -> Header:
    tags = {key.upper(): value for key, value in dataset.tags().items()}
    return Header((int(dataset.height), int(dataset.width)), dataset.crs is not None, tags)


def _scaling(dataset: Any) -> tuple[float, float]:
    return (float(dataset.scales[0]), float(dataset.offsets[0]))


def _seen(source: str, driver: str, look: Callable[[Any], Found]) -> Found | None:
    """What there is to see in an opened file, or None where this driver cannot open it."""
    with (
        warnings.catch_warnings(),
        rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED="NO", CPL_LOG_ERRORS="OFF"),
    ):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(source, driver=driver) as dataset:
                return look(dataset)
        except (RasterioError, CPLE_BaseError, OSError, RuntimeError, ValueError, LookupError):
            return None
