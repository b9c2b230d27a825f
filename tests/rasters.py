"""Opened rasters whose numbers are in memory and which remember what was read of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.windows import Window

from tests.granules import CORNER
from thalweg.grid import Grid
from thalweg.opened import OpenRaster
from thalweg.raster import Raster


@dataclass
class Numbers:
    """What rasterio gives, as far as an `OpenRaster` asks for it."""

    values: np.ndarray
    block_rows: int
    read_rows: list[tuple[int, int]] = field(default_factory=list)
    """First row and the one after the last of every read, in order."""
    closed: bool = False

    @property
    def block_shapes(self) -> list[tuple[int, int]]:
        return [(self.block_rows, self.values.shape[1])]

    def read(self, band: int, window: Window, out: np.ndarray | None = None) -> np.ndarray:
        rows, columns = window.toslices()
        self.read_rows.append((rows.start, rows.stop))
        values = self.values[rows, columns]
        if out is None:
            return values.copy()
        out[:] = values
        return out

    def close(self) -> None:
        self.closed = True


def in_memory(
    values: np.ndarray, pixel: float = 20.0, nodata: float | None = None, block_rows: int = 1, **raster: Any
) -> OpenRaster:
    """An opened raster at the corner of tile 31TCH."""
    grid = Grid("EPSG:32631", *CORNER, (pixel, pixel), (values.shape[0], values.shape[1]))
    numbers = Numbers(values, block_rows)
    return OpenRaster(Raster(Path("memory.tif"), **raster), numbers, grid, nodata, str(values.dtype))
