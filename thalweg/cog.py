"""Writes a layer as a Cloud-Optimised GeoTIFF while its rows arrive: no raster is held in between.

::

    rows -> level 0: 512 rows --halved--> level 1: 512 rows --halved--> ... until a level fits one block
                  |                             |
            encoded blocks                encoded blocks                -> file, written by close()

A level works on one whole row of blocks at a time, whatever the height of the strips that filled it: equal
rows give equal bytes. What stays in memory is a row of blocks of the finest level, half a one of each other, and few
encoded blocks (`spool`). (A block is what TIFF calls a tile; here a tile is a cell of the Sentinel-2 grid.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from thalweg.blocks import COMPRESSION_TAG, Array, Codec, Encoder, encoder_of
from thalweg.grid import Grid
from thalweg.layer import Layer
from thalweg.spool import Spool
from thalweg.tiff import (
    Entry,
    Image,
    Tag,
    colour_tags,
    grid_tags,
    long_entry,
    meaning_tags,
    nodata_tags,
    short_entry,
    write_tiff,
)

__all__ = ["BLOCK", "PICTURE", "Codec", "CogWriter", "halve_average", "halve_nearest", "write_cog"]

BLOCK = 512
"""Side of a block, in pixels."""

PICTURE = 1024
"""Longest side, in pixels, of the level that is kept for the quicklook."""

WAITING = 2
"""Rows of blocks that a level may leave waiting in a pool: memory stays bounded where encoding is slower."""

_SAMPLE_FORMAT = {"u": 1, "i": 2, "f": 3}


class CogWriter:
    """One layer on its way to a file: append its rows from top to bottom, in strips of any height.

    Used as a context manager: leaving it writes the file, leaving it by an exception writes nothing. With a
    `pool`, blocks are encoded there while the next rows are computed; the bytes are the same.
    """

    def __init__(
        self,
        path: str | Path,
        layer: Layer,
        grid: Grid,
        *,
        codec: Codec = "zstd",
        tags: Mapping[str, str] | None = None,
        pool: Executor | None = None,
    ) -> None:
        """Check layer, grid, codec and `tags` (dataset tags, see `meaning_tags`); raises BadParameters."""
        encoder = encoder_of(layer, codec)
        self._path = Path(path)
        self._dtype = np.dtype(layer.dtype)
        self._tags = _storage_tags(encoder, self._dtype) | colour_tags(layer) | nodata_tags(layer)
        self._first_tags = grid_tags(grid) | meaning_tags(layer, tags or {})
        self._levels = [
            _Level(shape, self._dtype, _Queue(encoder, pool, Spool(self._path.parent)))
            for shape in _pyramid(grid.shape)
        ]
        for finer, coarser in pairwise(self._levels):
            finer.feed(coarser, _halving(layer))
        self._picture = next(level for level in self._levels if max(level.shape) <= PICTURE).keep()

    def append(self, rows: Array) -> None:
        """Take the next rows: an array of (any height, columns of the grid) of the layer's dtype.

        The array may be used again as soon as this returns. Raises ValueError where it does not fit.
        """
        full = self._levels[0]
        if rows.ndim != 2 or rows.dtype != self._dtype or rows.shape[1] != full.shape[1]:
            expected = f"{self._dtype}, n x {full.shape[1]}"
            raise ValueError(f"{self._path.name}: rows are {rows.dtype}, {rows.shape}; expected {expected}")
        if full.received + len(rows) > full.shape[0]:
            raise ValueError(f"{self._path.name}: more than the {full.shape[0]} rows of the grid")
        full.append(rows)

    def close(self) -> None:
        """Wait for the last blocks and write the file; raises ValueError where rows are missing."""
        full = self._levels[0]
        if full.received != full.shape[0]:
            raise ValueError(f"{self._path.name}: only {full.received} of {full.shape[0]} rows were written")
        images = [Image(self._tags_of(number), level.encoded()) for number, level in enumerate(self._levels)]
        write_tiff(self._path, images)
        self.abandon()

    def abandon(self) -> None:
        """Drop what was appended; nothing is written."""
        for level in self._levels:
            level.cancel()
        self._levels = []

    def overview(self) -> Array:
        """The first level without a side over 1024 pixels, as stored; complete after `close`."""
        return self._picture

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self.abandon()

    def _tags_of(self, number: int) -> dict[int, Entry]:
        rows, columns = self._levels[number].shape
        size: dict[int, Entry] = {Tag.COLUMNS: long_entry(columns), Tag.ROWS: long_entry(rows)}
        reduced: dict[int, Entry] = {Tag.SUBFILE_TYPE: long_entry(1)}
        return self._tags | size | (reduced if number else self._first_tags)


def write_cog(
    path: str | Path,
    array: Array,
    layer: Layer,
    grid: Grid,
    *,
    codec: Codec = "zstd",
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write a whole array of the layer's dtype and the grid's shape; errors are those of `CogWriter`."""
    with CogWriter(path, layer, grid, codec=codec, tags=tags) as cog:
        cog.append(array)


def halve_nearest(blocks: Array) -> Array:
    """Every second pixel of every second row, the first ones being kept."""
    return blocks[..., ::2, ::2]


def halve_average(blocks: Array, nodata: float | None) -> Array:
    """Mean of the valid pixels of each 2 x 2 square of (n, even, even) blocks; `nodata` where none is valid.

    Integers: floor(sum / count + 1/2), and one more where that is `nodata` itself. Floats: the sums of both
    columns of the square, added in float64, divided by the count and rounded to float32.
    """
    return np.stack([_averaged(block, nodata) for block in blocks])


def _averaged(block: Array, nodata: float | None) -> Array:
    wide = _wide(block.dtype)
    if nodata is None:
        return _mean(_sum_2x2(block, wide), 4).astype(block.dtype)
    missing = block.dtype.type(nodata)
    valid = ~np.isnan(block) if np.isnan(missing) else block != missing
    if valid.all():
        return _beside(missing, _mean(_sum_2x2(block, wide), 4).astype(block.dtype))
    count = _sum_2x2(valid, np.int32)
    mean = _mean(_sum_2x2(np.where(valid, block, 0), wide), np.maximum(count, 1)).astype(block.dtype)
    return np.where(count > 0, _beside(missing, mean), missing)


def _beside(missing: Any, mean: Array) -> Array:
    # Codes may lie between values, -10000 among reflectances for one: a mean of valid pixels must stay valid.
    if mean.dtype.kind != "f":
        mean += mean == missing
    return mean


def _wide(dtype: np.dtype[Any]) -> type[np.generic]:
    """A type that holds twice the sum of four without loss."""
    if dtype.kind == "f":
        return np.float64
    return np.int32 if dtype.itemsize < 4 else np.int64


def _sum_2x2(block: Array, dtype: type[np.generic]) -> Array:
    columns = np.add(block[::2], block[1::2], dtype=dtype)
    total: Array = columns[:, ::2] + columns[:, 1::2]
    return total


def _mean(total: Array, count: int | Array) -> Array:
    result: Array = total / count if total.dtype.kind == "f" else (2 * total + count) // (2 * count)
    return result


class _Level:
    """One resolution: gathers rows into a row of blocks, queues it and passes it on, halved."""

    def __init__(self, shape: tuple[int, int], dtype: np.dtype[Any], queue: _Queue) -> None:
        self.shape = shape
        self.received = 0
        self._blocks: Array | None = None
        self._half: Array = np.empty((0, shape[1]), dtype)
        self._queue = queue
        self._coarser: _Level | None = None
        self._halve: Callable[[Array], Array] = halve_nearest
        self._kept: Array | None = None

    def feed(self, coarser: _Level, halve: Callable[[Array], Array]) -> None:
        self._coarser, self._halve = coarser, halve

    def keep(self) -> Array:
        """The array that will hold the level itself."""
        self._kept = np.empty(self.shape, self._half.dtype)
        return self._kept

    def append_half(self, rows: Array) -> None:
        """Take half a row of blocks, which is nobody else's: it stays as it is until the other half comes."""
        half, is_last = self._half, self.received + len(self._half) + len(rows) == self.shape[0]
        if not len(half) and not is_last:
            self._half = rows
            return
        self._half = half[:0].copy()
        self.append(half)
        self.append(rows)
        # Most of the time there is nothing in it.
        self._blocks = None

    def append(self, rows: Array) -> None:
        if self._kept is not None:
            self._kept[self.received : self.received + len(rows)] = rows
        while len(rows):
            at = self.received % BLOCK
            taken = rows[: BLOCK - at]
            self._store(taken, at)
            self.received += len(taken)
            if at + len(taken) == BLOCK or self.received == self.shape[0]:
                self._finish_row(at + len(taken))
            rows = rows[len(taken) :]

    def encoded(self) -> Spool:
        return self._queue.encoded()

    def cancel(self) -> None:
        self._queue.cancel()

    def _store(self, rows: Array, at: int) -> None:
        whole, rest = divmod(self.shape[1], BLOCK)
        here = self._held()[:, at : at + len(rows)]
        here[:whole] = rows[:, : whole * BLOCK].reshape(len(rows), whole, BLOCK).swapaxes(0, 1)
        if rest:
            here[whole, :, :rest] = rows[:, whole * BLOCK :]
            # Edges are repeated outwards: an average over the edge is then that of the pixels that exist.
            here[whole, :, rest:] = rows[:, -1:]

    def _held(self) -> Array:
        """The row of blocks that is filled."""
        if self._blocks is None:
            self._blocks = np.empty((-(-self.shape[1] // BLOCK), BLOCK, BLOCK), self._half.dtype)
        return self._blocks

    def _finish_row(self, filled: int) -> None:
        blocks = self._held()
        blocks[:, filled:] = blocks[:, filled - 1 : filled]
        if self._coarser is not None:
            # A copy even of a single block: what is halved may be overwritten before it is used.
            halved = np.ascontiguousarray(self._halve(blocks).swapaxes(0, 1).reshape(BLOCK // 2, -1))
            self._coarser.append_half(halved[: -(-filled // 2), : self._coarser.shape[1]])
        if self._queue.add(blocks):
            self._blocks = None


class _Queue:
    """Rows of blocks on their way to bytes, in order: encoded at once, or by a pool."""

    def __init__(self, encoder: Encoder, pool: Executor | None, spool: Spool) -> None:
        self._encoder = encoder
        self._pool = pool
        self._encoded = spool
        self._waiting: deque[tuple[Future[list[bytes]], Array]] = deque()

    def add(self, blocks: Array) -> bool:
        """True where the array now belongs to the pool and may not be written to any more."""
        if self._pool is None:
            self._encoded.add(self._encoder.encode(blocks))
            return False
        self._waiting.append((self._pool.submit(self._encoder.encode, blocks), blocks))
        if len(self._waiting) > WAITING:
            self._take()
        return True

    def encoded(self) -> Spool:
        while self._waiting:
            self._take()
        return self._encoded

    def cancel(self) -> None:
        for future, _ in self._waiting:
            future.cancel()
        self._waiting.clear()
        self._encoded.close()

    def _take(self) -> None:
        future, blocks = self._waiting.popleft()
        # A job not begun is done here: waiting for a pool that runs this very thread could last for ever.
        self._encoded.add(self._encoder.encode(blocks) if future.cancel() else future.result())


def _halving(layer: Layer) -> Callable[[Array], Array]:
    return halve_nearest if layer.overview == "nearest" else partial(halve_average, nodata=layer.nodata)


def _pyramid(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Sizes of all levels: each half of the one before, rounded up, until one fits a block."""
    shapes = [shape]
    while max(shapes[-1]) > BLOCK:
        rows, columns = shapes[-1]
        shapes.append((-(-rows // 2), -(-columns // 2)))
    return shapes


def _storage_tags(encoder: Encoder, dtype: np.dtype[Any]) -> dict[int, Entry]:
    """Tags that say how pixels become bytes, the same for all levels."""
    return {
        Tag.BITS: short_entry(8 * dtype.itemsize),
        Tag.COMPRESSION: short_entry(COMPRESSION_TAG[encoder.codec]),
        Tag.SAMPLES: short_entry(1),
        Tag.PLANES: short_entry(1),
        Tag.PREDICTOR: short_entry(encoder.predictor),
        Tag.BLOCK_COLUMNS: short_entry(BLOCK),
        Tag.BLOCK_ROWS: short_entry(BLOCK),
        Tag.SAMPLE_FORMAT: short_entry(_SAMPLE_FORMAT[dtype.kind]),
    }
