"""Opened rasters: checked when opened, read row by row, each block decoded once."""

from __future__ import annotations

import ctypes
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from thalweg.errors import BadInput, MissingInput, ThalwegError
from thalweg.grid import Grid, grid_from_transform
from thalweg.sharing import Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.raster import Raster
    from thalweg.sharing import SharedRows

# A product's file is untrusted: it is opened by the driver of what it is, never by one that follows references to
# other files or addresses (VRT and the like), whatever its name.
_SIGNATURES = {
    b"II*\x00": "GTiff",
    b"MM\x00*": "GTiff",
    b"II+\x00": "GTiff",
    b"MM\x00+": "GTiff",
    b"\x00\x00\x00\x0cjP": "JP2OpenJPEG",
    b"\xffO\xffQ": "JP2OpenJPEG",
    b"\x89PNG": "PNG",
    b"\x89HDF": "netCDF",
    b"CDF\x01": "netCDF",
    b"CDF\x02": "netCDF",
    b"CDF\x05": "netCDF",
}
CHUNK_CACHE = 1 << 21
"""Bytes of decoded chunks that are kept of a NetCDF variable: a chunk of the usual sizes."""

LARGE = 1 << 22
"""Bytes from which numpy has arrays backed by large pages, where the system has them."""

_CHUNK_SLOTS = 101
_NUMBERS = {"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"}


@contextmanager
def raster_environment(cache_megabytes: int = 8) -> Iterator[None]:
    """GDAL as the worker wants it: a small block cache, no side files, no listing of folders, no threads of its own."""
    with rasterio.Env(
        GDAL_CACHEMAX=cache_megabytes,
        GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR",
        GDAL_PAM_ENABLED="NO",
        GDAL_NUM_THREADS="1",
        GTIFF_IGNORE_READ_ERRORS="NO",
        CPL_LOG_ERRORS="OFF",
    ):
        yield


@cache
def limit_chunk_caches(size: int = CHUNK_CACHE) -> None:
    """Make libnetcdf keep no more than `size` bytes of decoded chunks for each variable that is opened from now on.

    Its default, 16 or 64 MB by version, is of no use where every chunk is read once, and costs as much for each band.
    GDAL has no option for it, so the library that it has loaded is told directly; nothing happens where none is found.
    """
    for library in _loaded_libraries("libnetcdf"):
        try:
            limit = ctypes.CDLL(library).nc_set_chunk_cache
        except (OSError, AttributeError):
            continue
        limit.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.c_float]
        limit(size, _CHUNK_SLOTS, 1.0)


def _loaded_libraries(name: str) -> set[str]:
    """Files of the shared libraries of this process whose name begins so."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return set()
    files = (line.split(maxsplit=5)[-1] for line in lines if "/" in line)
    return {file for file in files if Path(file).name.startswith(name)}


@dataclass
class OpenRaster:
    """One band of an opened file, with its grid; not to be read by two threads at once."""

    raster: Raster
    """What was opened."""
    dataset: Any
    """The rasterio dataset."""
    grid: Grid
    """Grid of the whole raster."""
    nodata: float | None
    """Stored number that means nodata."""
    dtype: str
    """numpy type of the stored numbers."""
    shared: SharedRows | None = None
    """Where its streams take decoded rows from, where chains read it together; None: from the file."""

    @property
    def path(self) -> Path:
        """The file."""
        return self.raster.path

    @property
    def tags(self) -> dict[str, str]:
        """What the file says about itself, tag to text."""
        return dict(self.dataset.tags())

    @property
    def block_rows(self) -> int:
        """Rows of a block: reading whole blocks decodes each once."""
        return int(self.dataset.block_shapes[self.raster.band - 1][0])

    def read(
        self, row: int, column: int, shape: tuple[int, int], out: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """The stored numbers of a window; BadInput names the file where they cannot be decoded."""
        window = Window(column, row, shape[1], shape[0])
        with blaming(self.path, f"rows {row} to {row + shape[0]} cannot be decoded"):
            values: NDArray[Any] = self.dataset.read(self.raster.band, window=window, out=out)
        return values

    def leave(self) -> None:
        """Share no more: what its streams have not read is not kept for them."""
        if self.shared:
            self.shared.leave(self)

    def close(self) -> None:
        """Close the file."""
        self.dataset.close()


@contextmanager
def blaming(path: Path, what: str) -> Iterator[None]:
    """Turn whatever GDAL and the system say of a damaged file into BadInput that names it and says `what` failed."""
    try:
        yield
    except ThalwegError:
        raise
    except (RasterioError, CPLE_BaseError, OSError, RuntimeError, ValueError, LookupError) as problem:
        raise BadInput(f"{path}: {what}: {problem}") from problem


def open_raster(raster: Raster) -> OpenRaster:
    """Open a raster and check what every raster must be.

    Raises MissingInput where there is no file, BadInput where it is empty, unreadable, complex, rotated or has no CRS.
    """
    path = raster.path
    with blaming(path, "cannot be opened as a raster"):
        if not path.exists():
            if path.is_symlink():
                raise BadInput(f"{path}: a link that leads nowhere")
            raise MissingInput(f"{path}: no such file")
        dataset = _open(raster, _driver_of(path))
        try:
            return _checked(raster, dataset)
        except BaseException:
            dataset.close()
            raise


def _driver_of(path: Path) -> str:
    if not path.is_file():
        raise BadInput(f"{path}: is no file")
    with path.open("rb") as file:
        head = file.read(8)
    if not head:
        raise BadInput(f"{path}: the file is empty (0 bytes)")
    for signature, driver in _SIGNATURES.items():
        if head.startswith(signature):
            return driver
    raise BadInput(f"{path}: is no GeoTIFF, JPEG 2000, PNG or NetCDF file (it begins with {head!r})")


def _open(raster: Raster, driver: str) -> Any:
    if raster.variable is not None and driver != "netCDF":
        raise BadInput(
            f"{raster.path}: is no NetCDF file, and variable {raster.variable!r} of it was asked for"
        )
    if driver == "netCDF":
        limit_chunk_caches()
    with warnings.catch_warnings():
        # Some products say where their pixels lie in another file.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(raster.source, driver=driver)


def _checked(raster: Raster, dataset: Any) -> OpenRaster:
    path = raster.path
    if dataset.count == 0 and dataset.subdatasets:
        names = ", ".join(name.rpartition(":")[2] for name in dataset.subdatasets)
        raise BadInput(f"{path}: holds several variables, name the one to use: {names}")
    if not 1 <= raster.band <= dataset.count:
        raise BadInput(f"{path}: has {dataset.count} band(s), band {raster.band} was asked for")
    dtype = str(dataset.dtypes[raster.band - 1])
    if dtype not in _NUMBERS:
        raise BadInput(
            f"{path}: pixels of type {dtype} are not supported; use one of {', '.join(sorted(_NUMBERS))}"
        )
    grid = _grid_of(raster, dataset)
    nodata = raster.nodata if raster.nodata is not None else dataset.nodatavals[raster.band - 1]
    return OpenRaster(raster, dataset, grid, nodata, dtype)


def _grid_of(raster: Raster, dataset: Any) -> Grid:
    shape = (int(dataset.height), int(dataset.width))
    if raster.grid is not None:
        if raster.grid.shape != shape:
            raise BadInput(f"{raster.path}: holds {shape} pixels, its product says {raster.grid.shape}")
        return raster.grid
    if dataset.crs is None:
        raise BadInput(f"{raster.path}: has no coordinate reference system, and its product gives none")
    grid = grid_from_transform(crs_name(dataset.crs), dataset.transform, shape)
    if grid is None:
        raise BadInput(
            f"{raster.path}: is rotated, not north up or absurd (transform {tuple(dataset.transform)[:6]})"
        )
    return grid.in_own_hemisphere()


def to_lonlat(crs: str, x: NDArray[Any], y: NDArray[Any]) -> tuple[list[float], list[float]]:
    """Longitudes and latitudes, degrees, of points in a CRS: by the PROJ that GDAL has loaded already."""
    from rasterio.warp import transform

    lon, lat = transform(crs, "EPSG:4326", x, y)
    return lon, lat


def gdal_version() -> str:
    """Version of the GDAL that decodes."""
    return str(rasterio.__gdal_version__)


def crs_name(crs: Any) -> str:
    """``EPSG:<code>`` of a rasterio CRS where it has one, else its WKT.

    UTM on the ellipsoid of WGS 84 with a datum of no name is WGS 84: the products of HLS say it so.
    """
    code = crs.to_epsg() or _utm_code(crs)
    return f"EPSG:{code}" if code else str(crs.to_wkt())


def _utm_code(crs: Any) -> int | None:
    said = crs.to_dict()
    ellipsoid = said.get("datum") or said.get("ellps")
    if (said.get("proj"), ellipsoid, said.get("units")) != ("utm", "WGS84", "m") or "towgs84" in said:
        return None
    return (32700 if said.get("south") else 32600) + int(said["zone"])


def _room(shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array in large pages of memory, which numpy asks for from 4 MB on: a page fault for each 4 kB costs more."""
    size = math.prod(shape) * dtype.itemsize
    if not LARGE // 4 <= size < LARGE:
        return np.empty(shape, dtype)
    return np.empty(LARGE, np.uint8)[:size].view(dtype).reshape(shape)


class RowStream:
    """Rows of a raster in order, top to bottom, each block decoded once.

    A request begins no earlier than the one before and may overlap it by `overlap` rows; these are kept, and so is what
    a block held beyond the request.
    """

    def __init__(
        self, opened: OpenRaster, overlap: int = 0, part: tuple[int, int, int, int] | None = None
    ) -> None:
        rows, columns = opened.grid.shape
        self.opened = opened
        self._overlap = overlap
        self._row, self._column, self._rows, self._columns = part or (0, 0, rows, columns)
        self._first = 0
        self._kept: NDArray[Any] = np.empty((0, self._columns), opened.dtype)
        if opened.shared:
            last = (self._row + self._rows, self._column + self._columns)
            opened.shared.join(self, Place(self._row, self._column, *last))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the part that is streamed."""
        return (self._rows, self._columns)

    def rows(self, first: int, last: int) -> NDArray[Any]:
        """Stored numbers of the rows from `first` to before `last`, clipped to those that exist."""
        first, last = max(first, 0), min(last, self._rows)
        have = self._first + len(self._kept)
        if first < self._first or first > have:
            raise ValueError(
                f"rows are streamed in order: {first} was asked for, {self._first} to {have} are kept"
            )
        kept = self._kept[first - self._first :]
        block = kept if last <= have else self._extend(kept, first, last)
        keep_from = max(first, last - self._overlap)
        self._kept, self._first = block[keep_from - first :].copy(), keep_from
        return block[: last - first]

    def write_rows(self, first: int, last: int, out: NDArray[Any]) -> None:
        """The same numbers, into `out`; rows that are whole blocks are decoded there, without a copy between."""
        follows = first == self._first + len(self._kept) and not self._overlap
        if follows and last == self._whole_blocks(last):
            self._fill(out, self._row + first)
            self._kept, self._first = self._kept[:0], last
        else:
            out[:] = self.rows(first, last)

    def _extend(self, kept: NDArray[Any], first: int, last: int) -> NDArray[Any]:
        taken = None if len(kept) else self._taken(first, last)
        if taken is not None:
            return taken
        end = last if self._is_served() else self._whole_blocks(last)
        block = _room((end - first, self._columns), kept.dtype)
        block[: len(kept)] = kept
        self._fill(block[len(kept) :], self._row + first + len(kept))
        return block

    def _taken(self, first: int, last: int) -> NDArray[Any] | None:
        """Rows that were decoded for others, who have them all: nobody minds what becomes of them here."""
        shared = self.opened.shared
        if shared is None:
            return None
        return shared.take(self, self._row + first, self._column, (last - first, self._columns))

    def _is_served(self) -> bool:
        shared = self.opened.shared
        return shared is not None and shared.serves(self)

    def _fill(self, out: NDArray[Any], row: int) -> None:
        """The stored numbers from a row of the file on."""
        shared = self.opened.shared
        if shared is not None and shared.serves(self):
            shared.read(self, row, self._column, out)
            return
        self.opened.read(row, self._column, out.shape, out=out)
        if shared is not None:
            shared.passed(self, row + len(out))

    def _whole_blocks(self, last: int) -> int:
        height = self.opened.block_rows
        in_file = self._row + last
        return min(self._rows, -(-in_file // height) * height - self._row)
