"""Rows that several chains read: each block of a file is decoded once, and kept until the last of them has had it.

The streams of a sweep join before it begins. What is kept are the blocks between the stream that is furthest behind and
the one that is furthest ahead; the schedule (`thalweg.fusion`) keeps these close together. A block that is asked for
after it went, or by a stream that joined too late, is decoded again: sharing changes no number, only the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.opened import OpenRaster, RowStream
    from thalweg.raster import Raster
    from thalweg.scenery import Scenery

_LEAST_ROWS = 64


@dataclass(frozen=True, slots=True)
class Place:
    """Part of a raster, in its own rows and columns."""

    row: int
    """First row."""
    column: int
    """First column."""
    last_row: int
    """The one after the last row."""
    last_column: int
    """The one after the last column."""

    def contains(self, other: Place) -> bool:
        """True where all of the other lies in this one."""
        return (
            self.row <= other.row
            and self.column <= other.column
            and self.last_row >= other.last_row
            and self.last_column >= other.last_column
        )

    def joined(self, other: Place) -> Place:
        """The smallest part that holds both."""
        return Place(
            min(self.row, other.row),
            min(self.column, other.column),
            max(self.last_row, other.last_row),
            max(self.last_column, other.last_column),
        )

    def rows_within(self, first: int, last: int) -> Place:
        """What of it lies in the rows from `first` to before `last`."""
        return Place(max(self.row, first), self.column, min(self.last_row, last), self.last_column)


@dataclass(slots=True)
class _Block:
    """Decoded rows of a raster."""

    place: Place
    """Which."""
    values: NDArray[Any]
    """Stored numbers."""

    def cut(self, place: Place) -> NDArray[Any]:
        """The stored numbers of a part that it contains."""
        rows = slice(place.row - self.place.row, place.last_row - self.place.row)
        return self.values[rows, place.column - self.place.column : place.last_column - self.place.column]


class SharedRows:
    """Blocks of one raster on behalf of the streams that read it; may be asked from several threads."""

    def __init__(self, block_rows: int) -> None:
        # Files that are stored line by line would be a block a line.
        self._height = -(-_LEAST_ROWS // block_rows) * block_rows
        self._lock = Lock()
        self._blocks: dict[int, _Block] = {}
        self._wanted: dict[RowStream, Place] = {}

    @property
    def kept_rows(self) -> int:
        """How many decoded rows are kept at this moment."""
        return sum(len(block.values) for block in self._blocks.values())

    def join(self, stream: RowStream, place: Place) -> None:
        """Keep blocks of `place` until the stream has read them, or left."""
        with self._lock:
            self._wanted[stream] = place

    def leave(self, opened: OpenRaster) -> None:
        """Forget the streams of an opened raster: whatever they have not read is not kept for them."""
        with self._lock:
            for stream in [stream for stream in self._wanted if stream.opened is opened]:
                del self._wanted[stream]
            self._drop()

    def serves(self, stream: RowStream) -> bool:
        """True where there are others to share with, or rows that were decoded for them; alone one reads the file."""
        with self._lock:
            return bool(self._blocks) or any(other is not stream for other in self._wanted)

    def passed(self, stream: RowStream, row: int) -> None:
        """Note that a stream has read all before `row` by itself."""
        with self._lock:
            self._advance(stream, row)

    def read(self, stream: RowStream, row: int, column: int, out: NDArray[Any]) -> None:
        """Fill `out` with the stored numbers from a row and column on."""
        asked = Place(row, column, row + out.shape[0], column + out.shape[1])
        with self._lock:
            for index in range(row // self._height, -(-asked.last_row // self._height)):
                part = asked.rows_within(index * self._height, (index + 1) * self._height)
                out[part.row - row : part.last_row - row] = self._block(stream, index, part).cut(part)
            self._advance(stream, asked.last_row)

    def take(self, stream: RowStream, row: int, column: int, shape: tuple[int, int]) -> NDArray[Any] | None:
        """The stored numbers of a part, without a copy, where no other stream will ask for them; else None."""
        asked = Place(row, column, row + shape[0], column + shape[1])
        index = row // self._height
        with self._lock:
            block = self._blocks.get(index)
            if block is None or not block.place.contains(asked) or self._is_wanted_by_others(stream, asked):
                return None
            part = block.cut(asked)
            if part.flags.c_contiguous:
                self._advance(stream, asked.last_row)
            return part if part.flags.c_contiguous else None

    def _is_wanted_by_others(self, stream: RowStream, asked: Place) -> bool:
        return any(place.row < asked.last_row for other, place in self._wanted.items() if other is not stream)

    def _block(self, stream: RowStream, index: int, part: Place) -> _Block:
        block = self._blocks.get(index)
        if block is None or not block.place.contains(part):
            place = part
            for wanted in self._wanted.values():
                within = wanted.rows_within(index * self._height, (index + 1) * self._height)
                place = place.joined(within) if within.row < within.last_row else place
            shape = (place.last_row - place.row, place.last_column - place.column)
            values = np.empty(shape, stream.opened.dtype)
            stream.opened.read(place.row, place.column, shape, out=values)
            block = self._blocks[index] = _Block(place, values)
        return block

    def _advance(self, stream: RowStream, row: int) -> None:
        wanted = self._wanted.pop(stream, None)
        if wanted is not None and row < wanted.last_row:
            self._wanted[stream] = wanted.rows_within(row, wanted.last_row)
        self._drop()

    def _drop(self) -> None:
        needed = min((place.row for place in self._wanted.values()), default=None)
        for index in list(self._blocks):
            if needed is None or (index + 1) * self._height <= needed:
                del self._blocks[index]


class Sharing:
    """The rasters of one granule that chains read together."""

    def __init__(self) -> None:
        self._rasters: dict[Raster, SharedRows] = {}

    def admit(self, scenery: Scenery) -> None:
        """Let the streams of a scenery's rasters share their blocks with those of others."""
        for opened in scenery.rasters:
            if opened.raster not in self._rasters:
                self._rasters[opened.raster] = SharedRows(opened.block_rows)
            opened.shared = self._rasters[opened.raster]

    @property
    def kept(self) -> dict[Raster, int]:
        """How many decoded rows of each raster are kept at this moment."""
        return {raster: rows.kept_rows for raster, rows in self._rasters.items() if rows.kept_rows}
