"""Rasters of several products on the grid of one of them: equal grids row for row, others by the nearest pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thalweg.errors import BadInput
from thalweg.opened import OpenRaster, RowStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.grid import Grid

OUTSIDE = 255
"""Given to pixels that a raster does not cover."""


class Aligned:
    """A uint8 raster as rows of another grid in the same CRS, top to bottom.

    The pixel taken is the one that contains the target's centre; of two that meet there, the one with the larger index.
    Raises BadInput (SYN-05) where the CRS differs, or the grid does and `same` is asked for.
    """

    def __init__(self, opened: OpenRaster, grid: Grid, *, same: bool = False) -> None:
        if opened.dtype != "uint8":
            raise BadInput(f"{opened.path}: holds {opened.dtype}, where codes of 8 bits are expected")
        is_equal = opened.grid.equals(grid)
        if opened.grid.crs != grid.crs or (same and not is_equal):
            raise BadInput(
                f"{opened.path} lies on {opened.grid.describe()}, the first product on {grid.describe()}",
                id="SYN-05",
            )
        self._opened, self._stream = opened, RowStream(opened)
        self._rows = None if is_equal else _nearest(grid, opened.grid, axis=0)
        self._columns = None if is_equal else _nearest(grid, opened.grid, axis=1)

    def read(self, first: int, last: int, out: NDArray[np.uint8]) -> None:
        """Write rows `first` to before `last` of the grid into `out`."""
        if self._rows is None or self._columns is None:
            self._stream.write_rows(first, last, out)
            return
        out[:] = OUTSIDE
        rows, columns = self._rows[first:last], self._columns
        height, width = self._opened.grid.shape
        inside = (rows >= 0) & (rows < height)
        across = (columns >= 0) & (columns < width)
        if not (inside.any() and across.any()):
            return
        top, bottom = int(rows[inside].min()), int(rows[inside].max()) + 1
        source = self._opened.read(top, 0, (bottom - top, width))
        out[np.ix_(inside, across)] = source[np.ix_(rows[inside] - top, columns[across])]


def _nearest(target: Grid, source: Grid, axis: int) -> NDArray[np.int64]:
    """Row (axis 0) or column (axis 1) of the source that contains the centre of each of the target's."""
    size = target.pixel[1 - axis]
    centres = (np.arange(target.shape[axis]) + 0.5) * size
    start = source.top - target.top if axis == 0 else target.left - source.left
    indices: NDArray[np.int64] = np.floor((start + centres) / source.pixel[1 - axis]).astype(np.int64)
    return indices
