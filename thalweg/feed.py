"""Feeds: each brings one input of a chain to the chain's grid, strip by strip, in order.

A feed decodes, converts and resamples in the thread that asks it; the engine never asks one feed from two threads at
once. Rows of neighbours are provided where the chain declares a halo: beyond the edge of the tile they are nodata.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from thalweg.decoding import to_dn4
from thalweg.inputs import NO_DATA, Band
from thalweg.kernels.decoding import join_meanings
from thalweg.kernels.resample import NO_SUM, enlarge_bilinear, reduce_cubic, reduce_cubic_2, sum_2x2
from thalweg.opened import OpenRaster, RowStream
from thalweg.raster import Packing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.granule import BandFile
    from thalweg.grid import Grid


_IMPOSSIBLE = 2**40
"""A number that no pixel holds."""


class Feed(Protocol):
    """Rows of one input on the chain's grid."""

    name: str
    """Attribute of the scene."""

    def rows(self, first: int, last: int) -> NDArray[Any]:
        """The rows from `first` to before `last`, halo included, all columns."""
        ...

    def close(self) -> None:
        """Close the files."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a granule's working grid is processed: all of it, or what lies in the user's box."""

    whole: Grid
    """The working grid of the granule."""
    row: int
    """First row of the part."""
    column: int
    """First column of the part."""
    grid: Grid
    """The part's own grid."""

    def scaled(self, factor: int) -> tuple[int, int, int, int]:
        """Row, column, rows and columns of the part on pixels `factor` times finer."""
        fine = self.finer(factor)
        return (fine.row, fine.column, *fine.grid.shape)

    def finer(self, factor: int) -> Part:
        """The same part on pixels `factor` times finer."""
        return Part(
            self.whole.finer(factor), self.row * factor, self.column * factor, self.grid.finer(factor)
        )


class MaskSource(NamedTuple):
    """One file of a mask and how it comes to the chain's grid."""

    opened: OpenRaster
    """The codes."""
    table: NDArray[Any]
    """Code to bit field of meanings, uint8 or uint16."""
    enlarge: int = 1
    """Pixels of the chain's grid, across, in one of the mask."""
    reduce: int = 1
    """Pixels of the mask, across, in one of the chain's grid."""
    rules: tuple[tuple[int, int], ...] = ()
    """Of codes too wide for a table: bits that must be set, and the bit that they mean."""


def ratio(fine: Grid, coarse: Grid) -> int | None:
    """How many pixels of `fine` make one of `coarse`, where that is a whole number in both directions; else None."""
    ratios = {round(c / f) for c, f in zip(coarse.pixel, fine.pixel, strict=True)}
    if len(ratios) != 1:
        return None
    factor = ratios.pop()
    exact = all(
        abs(c - f * factor) * n <= 1e-3 * c
        for c, f, n in zip(coarse.pixel, fine.pixel, reversed(coarse.shape), strict=True)
    )
    return factor if factor >= 1 and exact else None


class BandFeed:
    """A spectral band: counts, stored numbers or reflectance, reduced to the chain's grid where it is finer."""

    def __init__(
        self, band: Band, file: BandFile, opened: OpenRaster, part: Part, factor: int, halo: int
    ) -> None:
        self.name = band.name
        self._band, self._file, self._opened = band, file, opened
        self._factor, self._halo = factor, halo
        self._packing = packing_of(opened, factor)
        self._rows, self._columns = part.grid.shape
        # A cubic reduction reaches one and a half target pixels beyond the target's own source pixels.
        self._reach = (3 * factor + 1) // 2 if factor > 1 and band.reduce == "cubic" else 0
        overlap = 2 * self._reach + 2 * halo * factor
        self._stream = RowStream(opened, overlap, part.scaled(factor))

    def rows(self, first: int, last: int) -> NDArray[Any]:
        """As in `Feed`: int16, -10000 beyond the tile; reflectance float32, NaN beyond it."""
        start, stop = max(first - self._halo, 0), min(last + self._halo, self._rows)
        factor, reach = self._factor, self._reach
        top = max(start * factor - reach, 0)
        stored = self._stream.rows(top, stop * factor + reach)
        values = decoded(self._band, self._file, self._opened, stored)
        if factor > 1:
            values = self._reduce(values, top, start, stop)
        return pad_halo(values, self._beyond(values), first, last, self._halo, self._rows)

    def close(self) -> None:
        """As in `Feed`."""
        self._opened.close()

    def _beyond(self, values: NDArray[Any]) -> float:
        """What lies beyond the tile."""
        if values.dtype.kind == "f":
            return np.nan
        return NO_DATA if self._band.encoding != "exact" else (self._packing.nodata or 0)

    def _reduce(self, values: NDArray[Any], top: int, start: int, stop: int) -> NDArray[Any]:
        factor = self._factor
        if self._band.encoding == "exact" and values.dtype.kind != "f":
            return sum_blocks(values, factor, self._opened.nodata)
        if self._band.reduce == "mean":
            return reduce_mean(values, factor)
        if self._band.reduce == "nearest":
            return np.ascontiguousarray(values[::factor, ::factor])
        out = np.empty((stop - start, self._columns), np.int16)
        if factor == 2:
            reduce_cubic_2(values, top, start, NO_DATA, out)
        else:
            reduce_cubic(values, top, start, factor, NO_DATA, out)
        return out


class CoarseBandFeed:
    """A spectral band on larger pixels than the chain's: enlarged by a whole factor, bilinearly or by the nearest."""

    def __init__(
        self, band: Band, file: BandFile, opened: OpenRaster, part: Part, times: int, halo: int
    ) -> None:
        self.name = band.name
        self._band, self._file, self._opened = band, file, opened
        self._part, self._times, self._halo = part, times, halo
        rows, columns = part.grid.shape
        self._top, last = self._around(part.row, part.row + rows, 0)
        self._left, right = self._around(part.column, part.column + columns, 1)
        window = (self._top, self._left, last - self._top, right - self._left)
        self._stream = RowStream(opened, 2 * -(-halo // times) + 3, window)

    def rows(self, first: int, last: int) -> NDArray[Any]:
        """As in `Feed`: as `BandFeed` gives them."""
        rows, columns = self._part.grid.shape
        start, stop = max(first - self._halo, 0), min(last + self._halo, rows)
        top, bottom = self._around(self._part.row + start, self._part.row + stop, 0)
        stored = self._stream.rows(top - self._top, bottom - self._top)
        values = decoded(self._band, self._file, self._opened, stored)
        values = self._enlarge(values, top, start, (stop - start, columns))
        nodata = np.nan if values.dtype.kind == "f" else NO_DATA
        return pad_halo(values, nodata, first, last, self._halo, rows)

    def close(self) -> None:
        """As in `Feed`."""
        self._opened.close()

    def _around(self, first: int, last: int, axis: int) -> tuple[int, int]:
        """Lines of the file that the fine lines `first` to before `last` lie between."""
        unit = 2 * self._times
        before = (2 * first + 1 - self._times) // unit
        after = (2 * last - 1 - self._times) // unit + 2
        return max(before, 0), min(after, self._opened.grid.shape[axis])

    def _enlarge(self, values: NDArray[Any], top: int, start: int, shape: tuple[int, int]) -> NDArray[Any]:
        row, column, times = self._part.row + start, self._part.column, self._times
        if self._band.enlarge == "nearest":
            rows = np.arange(row, row + shape[0]) // times - top
            columns = np.arange(column, column + shape[1]) // times - self._left
            return np.ascontiguousarray(values[rows][:, columns])
        out = np.empty(shape, np.int16)
        enlarge_bilinear(values, top, self._left, times, row, column, NO_DATA, out)
        return out


class MaskFeed:
    """Meanings of the product's masks as a bit field; codes of several files are joined.

    Where a mask is finer than the chain's grid, a meaning holds as soon as it holds for one of its pixels.
    """

    def __init__(self, name: str, sources: Sequence[MaskSource], part: Part, halo: int) -> None:
        self.name = name
        self._halo, (self._rows, self._columns) = halo, part.grid.shape
        self._sources = [(_codes(name, source, part, halo), source) for source in sources]

    def rows(self, first: int, last: int) -> NDArray[Any]:
        """As in `Feed`: uint8 or uint16, no bit set beyond the tile."""
        start, stop = max(first - self._halo, 0), min(last + self._halo, self._rows)
        kind = np.result_type(*(source.table for _, source in self._sources))
        bits = np.zeros((stop - start, self._columns), kind)
        for codes, source in self._sources:
            _join(codes.rows(start * source.reduce, stop * source.reduce), source, bits)
        return pad_halo(bits, 0, first, last, self._halo, self._rows)

    def close(self) -> None:
        """As in `Feed`."""
        for codes, _ in self._sources:
            codes.close()


def _codes(name: str, source: MaskSource, part: Part, halo: int) -> CodeFeed:
    overlap = 2 * halo * source.reduce
    return CodeFeed(name, source.opened, part.finer(source.reduce), source.enlarge, overlap=overlap)


def _join(codes: NDArray[Any], source: MaskSource, out: NDArray[Any]) -> None:
    """Add the meanings of a file's codes to a bit field."""
    if codes.dtype.itemsize <= 2:
        table = source.table.astype(out.dtype, copy=False)
        join_meanings(codes.view(f"u{codes.dtype.itemsize}"), table, source.reduce, out)
        return
    kind = out.dtype.type
    for bits, bit in source.rules:
        for phase in _phases(codes, source.reduce):
            out |= ((phase & bits) == bits).astype(kind) << kind(bit)


class CodeFeed:
    """Codes of a mask file, or a static layer, on the chain's grid or one that is coarser by a whole factor."""

    def __init__(
        self,
        name: str,
        opened: OpenRaster,
        part: Part,
        enlarge: int,
        halo: int = 0,
        *,
        overlap: int = 0,
        nodata: float = 0,
    ) -> None:
        """`overlap` rows of a request may be asked for again, beside the halo; `nodata` lies beyond the tile."""
        self.name = name
        self._opened, self._enlarge, self._halo, self._nodata = opened, enlarge, halo, nodata
        self._rows, self._columns = part.grid.shape
        self._row, self._column = part.row % enlarge, part.column % enlarge
        rows = -(-(self._row + self._rows) // enlarge)
        columns = -(-(self._column + self._columns) // enlarge)
        window = (part.row // enlarge, part.column // enlarge, rows, columns)
        self._stream = RowStream(opened, 2 * halo + overlap + 1, window)

    def rows(self, first: int, last: int) -> NDArray[Any]:
        """As in `Feed`: in the type of the file."""
        start, stop = max(first - self._halo, 0), min(last + self._halo, self._rows)
        codes = self._enlarged(start, stop) if self._enlarge > 1 else self._stream.rows(start, stop)
        return pad_halo(np.ascontiguousarray(codes), self._nodata, first, last, self._halo, self._rows)

    def close(self) -> None:
        """As in `Feed`."""
        self._opened.close()

    def _enlarged(self, start: int, stop: int) -> NDArray[Any]:
        times = self._enlarge
        begin, end = (start + self._row) // times, -(-(stop + self._row) // times)
        codes = self._stream.rows(begin, end).repeat(times, axis=0).repeat(times, axis=1)
        skip = start + self._row - begin * times
        return codes[skip : skip + stop - start, self._column : self._column + self._columns]


class FinerFeed:
    """A static layer on pixels several times as fine as the chain's: as many times the rows and columns."""

    def __init__(
        self, name: str, opened: OpenRaster, part: Part, times: int, halo: int, nodata: float
    ) -> None:
        self.name = name
        self._times = times
        self._codes = CodeFeed(name, opened, part.finer(times), 1, halo * times, nodata=nodata)

    def rows(self, first: int, last: int) -> NDArray[Any]:
        """As in `Feed`, every row and column several times."""
        return self._codes.rows(first * self._times, last * self._times)

    def close(self) -> None:
        """As in `Feed`."""
        self._codes.close()


class PartialFeed:
    """A layer that covers only a part of the chain's grid, as a box of the user makes it: nodata is around it."""

    def __init__(
        self, name: str, opened: OpenRaster, part: Part, times: int, halo: int, nodata: float
    ) -> None:
        """`times` as in `FinerFeed`."""
        self.name = name
        self._times, self._halo, self._nodata = times, halo * times, nodata
        fine = part.finer(times)
        self._columns = fine.grid.shape[1]
        row, column = map(round, fine.grid.offset_of(opened.grid))
        self._first, self._left = max(row, 0), max(column, 0)
        self._last = min(row + opened.grid.shape[0], fine.grid.shape[0])
        right = min(column + opened.grid.shape[1], self._columns)
        shape = (max(self._last - self._first, 0), max(right - self._left, 0))
        place = (self._first - row, self._left - column)
        covered = Part(opened.grid, *place, opened.grid.window(*place, shape))
        self._codes = CodeFeed(name, opened, covered, 1, overlap=2 * self._halo) if all(shape) else None
        self._covered_columns, self._dtype = shape[1], opened.dtype

    def rows(self, first: int, last: int) -> NDArray[Any]:
        """As in `FinerFeed`."""
        top, bottom, halo = first * self._times - self._halo, last * self._times + self._halo, self._halo
        out = np.full((bottom - top, self._columns + 2 * halo), self._nodata, self._dtype)
        start, stop = max(top, self._first), min(bottom, self._last)
        if self._codes and start < stop:
            columns = slice(halo + self._left, halo + self._left + self._covered_columns)
            out[start - top : stop - top, columns] = self._codes.rows(start - self._first, stop - self._first)
        return out

    def close(self) -> None:
        """As in `Feed`."""
        if self._codes:
            self._codes.close()


class ArrayFeed:
    """An input that is held whole: a warped or a buffered static layer."""

    def __init__(self, name: str, values: NDArray[Any], nodata: float | None, halo: int) -> None:
        self.name = name
        self._values, self._halo = values, halo
        self._nodata = 0 if nodata is None else nodata

    def rows(self, first: int, last: int) -> NDArray[Any]:
        """As in `Feed`: in the type of the layer."""
        rows = self._values.shape[0]
        start, stop = max(first - self._halo, 0), min(last + self._halo, rows)
        part = np.ascontiguousarray(self._values[start:stop])
        return pad_halo(part, self._nodata, first, last, self._halo, rows)

    def close(self) -> None:
        """Nothing is open."""


def decoded(band: Band, file: BandFile, opened: OpenRaster, stored: NDArray[Any]) -> NDArray[Any]:
    """Stored numbers of a band in the encoding that its declaration asks for."""
    if band.encoding == "exact":
        return stored
    if band.encoding == "stored":
        return _as_int16(stored)
    nodata = opened.nodata if band.nodata is None else band.nodata
    if band.encoding == "dn4":
        return to_dn4(stored, file.raster, nodata)
    return (to_counts if band.encoding == "counts" else to_reflectance)(stored, file, nodata)


def packing_of(opened: OpenRaster, factor: int = 1) -> Packing:
    """How exact numbers decode that are sums of `factor` x `factor` pixels; floats come as their mean."""
    raster, is_sum = opened.raster, factor > 1 and not opened.dtype.startswith("float")
    nodata = NO_SUM if is_sum else opened.nodata
    return Packing(raster.scale, raster.offset, nodata, factor * factor if is_sum else 1)


def sum_blocks(values: NDArray[Any], factor: int, nodata: float | None) -> NDArray[np.int32]:
    """Sums of blocks of `factor` x `factor` integers; `NO_SUM` where any of them is nodata."""
    missing = _IMPOSSIBLE if nodata is None else int(nodata)
    if factor == 2 and values.dtype in (np.int16, np.uint16):
        out = np.empty((values.shape[0] // 2, values.shape[1] // 2), np.int32)
        sum_2x2(values, missing, out)
        return out
    wide = values.astype(np.int64)
    gone = reduce(or_, (phase == missing for phase in _phases(wide, factor)))
    return np.where(gone, NO_SUM, sum(_phases(wide, factor))).astype(np.int32)


def to_counts(stored: NDArray[Any], file: BandFile, nodata: float | None) -> NDArray[np.int16]:
    """Reflectance x quantification as int16, the product's offset applied, -10000 where nodata.

    Stored integers whose scale is the quantification itself stay integers: offset added, then clamped to int16.
    Anything else is decoded in float64 and rounded half up.
    """
    rule = file.reflectance
    if stored.dtype == np.int16 and rule.add == 0 and _is_integer_packing(file) and nodata in (None, NO_DATA):
        return stored
    if stored.dtype.kind in "iu" and _is_integer_packing(file):
        counts: NDArray[Any] = stored.astype(np.int32 if stored.itemsize < 4 else np.int64)
        counts += rule.add
        np.clip(counts, -32768, 32767, out=counts)
        result = counts.astype(np.int16)
    else:
        value = stored.astype(np.float64) * file.raster.scale + file.raster.offset
        value = np.floor(value * rule.quantification + 0.5)
        missing = ~np.isfinite(value)
        result = np.where(missing, NO_DATA, np.clip(value, -32768, 32767)).astype(np.int16)
    return _with_nodata(result, stored, nodata, NO_DATA)


def to_reflectance(stored: NDArray[Any], file: BandFile, nodata: float | None) -> NDArray[np.float32]:
    """Reflectance as float32, NaN where nodata; decoded in float64."""
    value = stored.astype(np.float64) * file.raster.scale + file.raster.offset
    return _with_nodata(value.astype(np.float32), stored, nodata, np.nan)


def reduce_mean(values: NDArray[Any], factor: int) -> NDArray[Any]:
    """Mean of blocks of `factor` x `factor` pixels; nodata where any pixel of the block is; counts rounded half up.

    Reflectance is added up in float64, pixel after pixel: in an order that no strip height changes.
    """
    size = factor * factor
    if values.dtype.kind == "f":
        total = sum(phase.astype(np.float64) for phase in _phases(values, factor))
        return np.asarray(total / size, values.dtype)
    total = sum(phase.astype(np.int32) for phase in _phases(values, factor))
    missing = reduce(or_, (phase == NO_DATA for phase in _phases(values, factor)))
    return np.where(missing, NO_DATA, (2 * total + size) // (2 * size)).astype(np.int16)


def _phases(values: NDArray[Any], factor: int) -> Iterator[NDArray[Any]]:
    """The first pixels of all blocks, the second ones, and so on, row by row of a block."""
    for row in range(factor):
        for column in range(factor):
            yield values[row::factor, column::factor]


def pad_halo(
    values: NDArray[Any], nodata: float, first: int, last: int, halo: int, rows: int
) -> NDArray[Any]:
    """`values` with `halo` columns on both sides, and rows beyond the edges of the tile, filled with nodata."""
    if halo == 0:
        return values
    above, below = max(halo - first, 0), max(last + halo - rows, 0)
    return np.pad(values, ((above, below), (halo, halo)), constant_values=nodata)


def _is_integer_packing(file: BandFile) -> bool:
    return abs(file.raster.scale * file.reflectance.quantification - 1) < 1e-9


def _as_int16(stored: NDArray[Any]) -> NDArray[np.int16]:
    return stored if stored.dtype == np.int16 else np.clip(stored, -32768, 32767).astype(np.int16)


def _with_nodata(
    result: NDArray[Any], stored: NDArray[Any], nodata: float | None, fill: float
) -> NDArray[Any]:
    if nodata is None or np.isnan(nodata) or not _holds(stored.dtype, nodata):
        return result
    result[stored == stored.dtype.type(nodata)] = fill
    return result


def _holds(dtype: np.dtype[Any], value: float) -> bool:
    if dtype.kind == "f":
        return True
    limits = np.iinfo(dtype)
    return float(value).is_integer() and limits.min <= value <= limits.max
