"""Static layers: auxiliary rasters of a tile, found by role, checked against the granule's grid.

They are brought to that grid only where the chain and its user allow it.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.errors import BadInput, BadParameters, MissingInput
from thalweg.inputs import Static
from thalweg.opened import OpenRaster, blaming, open_raster
from thalweg.raster import Raster
from thalweg.scene import WholeLayer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.grid import Bounds, Grid

RASTERS = (".tif", ".tiff")
VECTORS = (".gpkg", ".geojson", ".shp")
LAYERS = RASTERS + VECTORS
MODELS = (".npz",)

_SHA256 = re.compile(rb"[0-9a-f]{64}\b")
# Source pixels around the tile that a warp takes in: more than any of its kernels reaches.
_AROUND = 16
_LARGEST_MODEL = 1 << 28


@dataclass(frozen=True, slots=True)
class StaticLayers:
    """Where a user keeps static layers: a folder, named files, and what is to be left out."""

    folder: Path | None = None
    """``<folder>/<tile>/<role>.tif``, or ``<folder>/<role>.tif`` for a single tile."""
    files: Mapping[str, Path] | None = None
    """Role to file: wins over the folder."""
    without: frozenset[str] = frozenset()
    """Roles that are not used even where a file is there."""

    def __post_init__(self) -> None:
        if self.folder is not None and not self.folder.is_dir():
            raise MissingInput(f"{self.folder}: no such folder of static layers")
        both = sorted(self.without & set(self.files or {}))
        if both:
            raise BadParameters(f"static layer {both[0]!r} is both named and left out")

    def find(self, role: str, tile: str, suffixes: Sequence[str] = LAYERS) -> Path | None:
        """The file of a role for a tile, or None; a named file that is not there is an error."""
        if role in self.without:
            return None
        if self.files and role in self.files:
            if not self.files[role].exists():
                raise MissingInput(f"static layer {role!r}: {self.files[role]}: no such file")
            return self.files[role]
        candidates = (path for path in self.candidates(role, tile, suffixes) if path.exists())
        return next(candidates, None)

    def candidates(self, role: str, tile: str, suffixes: Sequence[str] = LAYERS) -> Iterable[Path]:
        """Every place where the file of a role may be, in order."""
        if self.folder is None:
            return
        for place in (self.folder / tile, self.folder / f"T{tile}", self.folder):
            for suffix in suffixes:
                yield place / f"{role}{suffix}"

    def missing(
        self, role: str, tile: str, chain: str, suffix: str = ".tif", id: str | None = None
    ) -> MissingInput:
        """The error for a role that a chain needs, naming where it was looked for."""
        needs = f"chain {chain!r} needs the static layer {role!r}"
        if role in self.without:
            return MissingInput(f"{needs}, which was left out (--without)", id=id)
        if self.folder is None:
            return MissingInput(f"{needs}: give --static FOLDER or {role}=FILE", id=id)
        return MissingInput(
            f"{needs} of tile {tile}: neither {self.folder / tile / role}{suffix} nor {self.folder / role}{suffix} "
            "is there",
            id=id,
        )


def digest_of(path: Path) -> str:
    """SHA-256 of a static layer: from the sidecar that `thalweg static prepare` wrote, else of the file.

    A sidecar older than its file is not believed.
    """
    return prepared_digest(path) or checksum(path)


def prepared_digest(path: Path) -> str | None:
    """SHA-256 of a static layer as its sidecar has it; None where there is none that can be believed."""
    sidecar = sidecar_of(path)
    if sidecar.exists() and sidecar.stat().st_mtime_ns >= path.stat().st_mtime_ns:
        digits = _SHA256.match(sidecar.read_bytes())
        return digits[0].decode() if digits else None
    return None


def sidecar_of(path: Path) -> Path:
    """Where the digest of a static layer is kept, in the form that ``sha256sum -c`` reads."""
    return path.with_name(path.name + ".sha256")


def checksum(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_static(static: Static, path: Path, grid: Grid, code: str) -> OpenRaster | WholeLayer:
    """The layer on `grid`: opened where it lies on it, else read (with a margin, warped, or from polygons).

    `code` identifies the error. Raises BadInput where CRS, corner, pixel size or extent differ and
    neither margin nor warp is allowed.
    """
    if is_vector(path):
        from thalweg.polygons import burn_polygons

        return WholeLayer(burn_polygons(path, grid, static.burn))
    opened = open_raster(Raster(path))
    if opened.grid.equals(grid):
        return opened
    try:
        if static.margin and opened.grid.is_aligned(grid) and opened.grid.contains(grid):
            return _with_margin(static, opened, grid)
        if static.warp and static.allow_warp:
            return WholeLayer(*warp(static, opened, grid))
        raise _mismatch(static, opened, grid, code)
    finally:
        opened.close()


def read_model(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an NPZ file by name.

    Raises BadInput where it is none, holds objects, or more than 256 MB.
    """
    with blaming(path, "cannot be read as a file of arrays (NPZ)"):
        try:
            with zipfile.ZipFile(path) as archive:
                size = sum(member.file_size for member in archive.infolist())
            if size > _LARGEST_MODEL:
                raise BadInput(
                    f"{path}: {size >> 20} MB of arrays; a model has {_LARGEST_MODEL >> 20} at most"
                )
            with np.load(path, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (zipfile.BadZipFile, EOFError) as problem:
            raise BadInput(f"{path}: is no file of arrays (NPZ): {problem}") from problem


def is_vector(path: Path) -> bool:
    """True for a file of polygons, by its suffix."""
    return path.suffix.lower() in VECTORS


def read_whole(static: Static, opened: OpenRaster) -> WholeLayer:
    """A layer that lies on the grid, in the declared type."""
    values, nodata = as_declared(opened.read(0, 0, opened.grid.shape), static, opened.nodata)
    return WholeLayer(values, nodata=nodata)


def as_declared(
    stored: NDArray[Any], static: Static, nodata: float | None
) -> tuple[NDArray[Any], float | None]:
    """Stored numbers in the declared type, with the nodata number that goes with them.

    Floats become integers by rounding half up; NaN becomes the smallest int16 or 255.
    """
    dtype = np.dtype(static.dtype)
    if stored.dtype == dtype:
        return stored, nodata
    if dtype.kind == "f":
        return stored.astype(dtype), nodata
    fill = -32768 if dtype == np.int16 else 255
    limits = np.iinfo(dtype)
    invalid = np.zeros(stored.shape, bool)
    if stored.dtype.kind == "f":
        invalid = ~np.isfinite(stored)
        if nodata is not None:
            invalid |= stored == nodata
        stored = np.floor(np.where(invalid, 0, stored) + 0.5)
        nodata = None
    elif nodata is not None and not limits.min <= nodata <= limits.max:
        invalid = stored == nodata
        nodata = None
    values = np.clip(stored, limits.min, limits.max).astype(dtype)
    if invalid.any():
        values[invalid] = fill
        nodata = fill
    return values, nodata


def warp(static: Static, opened: OpenRaster, grid: Grid) -> tuple[NDArray[Any], int, int, float | None]:
    """The layer brought to `grid` by GDAL's exact warp: values, row 0, column 0 and nodata, as `WholeLayer` wants.

    Raises BadInput where the layer does not cover the grid, or is required and has pixels without a value on it.
    """
    with blaming(opened.path, f"cannot be brought to {grid.describe()}"):
        _check_coverage(static, opened, grid)
        stored, corner = _around(opened, grid)
        source = opened.grid.window(*corner, stored.shape)
        target = _reproject(_valid(static, stored, opened.nodata), source, grid, static.warp or "nearest")
    missing = int(np.isnan(target).sum())
    if static.required and missing:
        raise BadInput(
            f"{opened.path}: static layer {static.role!r} has no value for {missing} of {target.size} pixels"
        )
    values, nodata = as_declared(target, static, np.nan)
    return values, 0, 0, nodata


def _valid(static: Static, stored: NDArray[Any], nodata: float | None) -> NDArray[np.float32]:
    values = stored.astype(np.float32)
    if nodata is not None:
        values[stored == nodata] = np.nan
    if static.valid is not None:
        values[(values < static.valid[0]) | (values > static.valid[1])] = np.nan
    return values


def _reproject(values: NDArray[np.float32], source: Grid, grid: Grid, resampling: str) -> NDArray[np.float32]:
    from rasterio.enums import Resampling
    from rasterio.transform import Affine
    from rasterio.warp import reproject

    target = np.full(grid.shape, np.nan, np.float32)
    reproject(
        values,
        target,
        src_transform=Affine(*source.transform),
        src_crs=source.crs,
        src_nodata=np.nan,
        dst_transform=Affine(*grid.transform),
        dst_crs=grid.crs,
        dst_nodata=np.nan,
        resampling=Resampling[resampling],
        tolerance=0.0,
    )
    return target


def _check_coverage(static: Static, opened: OpenRaster, grid: Grid) -> None:
    half = max(opened.grid.pixel) / 2
    left, bottom, right, top = opened.grid.bounds
    for l, b, r, t in grid.bounds_in(opened.grid.crs):  # noqa: E741
        if l < left - half or b < bottom - half or r > right + half or t > top + half:
            raise BadInput(
                f"{opened.path}: static layer {static.role!r} does not cover the whole tile: it lies on "
                f"{opened.grid.describe()}, the tile on {grid.describe()}"
            )


def _around(opened: OpenRaster, grid: Grid) -> tuple[NDArray[Any], tuple[int, int]]:
    """What of a raster, perhaps far larger than the tile, can matter to it, and its first row and column."""
    windows = [_window(opened.grid, box) for box in grid.bounds_in(opened.grid.crs)]
    # West of the 180th meridian, then east of it: side by side they are one raster.
    parts = [opened.read(row, column, shape) for row, column, shape in windows]
    return np.hstack(parts), windows[0][:2]


def _window(source: Grid, box: Bounds) -> tuple[int, int, tuple[int, int]]:
    left, bottom, right, top = box
    width, height = source.pixel
    rows, columns = source.shape
    row = max(0, int((source.top - top) / height) - _AROUND)
    column = max(0, int((left - source.left) / width) - _AROUND)
    last_row = min(rows, int((source.top - bottom) / height) + _AROUND + 1)
    last_column = min(columns, int((right - source.left) / width) + _AROUND + 1)
    return row, column, (last_row - row, last_column - column)


def _with_margin(static: Static, opened: OpenRaster, grid: Grid) -> WholeLayer:
    row, column = (round(value) for value in opened.grid.offset_of(grid))
    whole = read_whole(static, opened)
    return WholeLayer(whole.values, row, column, whole.nodata)


def _mismatch(static: Static, opened: OpenRaster, grid: Grid, code: str) -> BadInput:
    return BadInput(
        f"{opened.path}: static layer {static.role!r} is on {opened.grid.describe()}, the granule on {grid.describe()}",
        id=code,
        advice="Make it fit with `thalweg static prepare`, or allow the warp for this run where the chain has a "
        "parameter for it (snow: --set snow.aux_resample=true).",
    )
