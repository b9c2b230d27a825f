"""A layer of every day of a period as one Zarr v3 cube: dimensions (time, y, x), with CRS and days as CF has them.

Source: CF Conventions 1.11 (cfconventions.org), sections 3.5 (flags), 4.4 (time) and 5.6 (grid mappings).
"""

from __future__ import annotations

import warnings
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.errors import BadParameters
from thalweg.footprint import is_geographic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from thalweg.grid import Grid
    from thalweg.layer import Layer

BLOCK = 512
"""Side of a block that is written at once, all days of it: one file."""

DAYS = 16
"""Days that are decoded at once."""

_EPOCH = date(1970, 1, 1)


class CubeWriter:
    """A cube on its way to a folder: block by block, every day of a block at once.

    Raises BadParameters where zarr is not installed.
    """

    def __init__(self, path: Path, layer: Layer, grid: Grid, days: Sequence[date]) -> None:
        self._path, self._zarr = path, _library()
        shape = (len(days), *grid.shape)
        self._zarr.create_group(path, attributes={"Conventions": "CF-1.11", "title": layer.description})
        self._array = self._create(
            layer.name, shape, layer.dtype, ("time", "y", "x"), _meaning(layer), layer.nodata or 0
        )
        self._write_axes(grid, days)

    def write(self, row: int, column: int, values: NDArray[Any]) -> None:
        """Write a block (days, rows, columns) that begins at a row and column."""
        _, rows, columns = values.shape
        self._array[:, row : row + rows, column : column + columns] = values

    def close(self) -> None:
        """Gather the metadata, so that one read opens the cube."""
        with warnings.catch_warnings():
            # The library warns that other readers may not look at it: these read the metadata one by one.
            warnings.simplefilter("ignore")
            self._zarr.consolidate_metadata(self._path)

    def _create(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: str,
        dimensions: tuple[str, ...],
        attributes: dict[str, Any],
        fill: float,
    ) -> Any:
        codecs = self._zarr.codecs
        days = -(-shape[0] // DAYS) * DAYS
        return self._zarr.create_array(
            store=self._path / name,
            shape=shape,
            dtype=dtype,
            chunks=(DAYS, BLOCK, BLOCK),
            shards=(days, BLOCK, BLOCK),
            compressors=codecs.ZstdCodec(level=1, checksum=False),
            fill_value=np.dtype(dtype).type(fill),
            dimension_names=dimensions,
            attributes=attributes,
        )

    def _write_axes(self, grid: Grid, days: Sequence[date]) -> None:
        width, height = grid.pixel
        rows, columns = grid.shape
        numbers = np.array([(day - _EPOCH).days for day in days], np.int64)
        time = {"standard_name": "time", "units": "days since 1970-01-01", "calendar": "proleptic_gregorian"}
        self._write_axis("time", numbers, time)
        self._write_axis("y", grid.top - height * (np.arange(rows) + 0.5), _axis("y", grid))
        self._write_axis("x", grid.left + width * (np.arange(columns) + 0.5), _axis("x", grid))
        self._zarr.create_array(
            store=self._path / "spatial_ref",
            shape=(),
            dtype="int64",
            fill_value=0,
            attributes=_grid_mapping(grid),
        )

    def _write_axis(self, name: str, values: NDArray[Any], attributes: dict[str, Any]) -> None:
        axis = self._zarr.create_array(
            store=self._path / name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=values.shape,
            dimension_names=(name,),
            attributes=attributes,
        )
        axis[:] = values


def _meaning(layer: Layer) -> dict[str, Any]:
    """What the numbers mean, in the words of CF."""
    meaning: dict[str, Any] = {"long_name": layer.description, "grid_mapping": "spatial_ref"}
    if layer.nodata is not None:
        meaning["_FillValue"] = int(layer.nodata)
    named = [each for each in layer.classes if each.value != layer.nodata]
    if named:
        meaning["flag_values"] = [each.value for each in named]
        meaning["flag_meanings"] = " ".join(each.name for each in named)
    return meaning


def _axis(name: str, grid: Grid) -> dict[str, Any]:
    if is_geographic(grid.crs):
        names = {"x": ("longitude", "degrees_east"), "y": ("latitude", "degrees_north")}
    else:
        names = {"x": ("projection_x_coordinate", "m"), "y": ("projection_y_coordinate", "m")}
    standard, units = names[name]
    return {"standard_name": standard, "units": units, "axis": name.upper()}


def _grid_mapping(grid: Grid) -> dict[str, Any]:
    from pyproj import CRS

    a, b, c, d, e, f = grid.transform
    # The order of GDAL, which is that of readers of this attribute.
    return {**CRS.from_user_input(grid.crs).to_cf(), "GeoTransform": f"{c!r} {a!r} {b!r} {f!r} {d!r} {e!r}"}


def _library() -> Any:
    try:
        import zarr
        import zarr.codecs
    except ImportError:
        raise BadParameters(
            "a cube of days is written as Zarr, and zarr is not installed",
            advice="pip install 'thalweg[science]'",
        ) from None
    return zarr
