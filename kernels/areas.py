"""Areas of a class plane, uint8: connected pixels as runs of a row, joined by union-find; no label image is made.

A pixel belongs to a class where ``plane & mask == value``. A tile may come as several strips, top to bottom: runs are
found in each, joined over all of them, and what is decided of an area is painted back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.jit import kernel

Bytes = NDArray[np.uint8]
Places = NDArray[np.int32]

SIDES, CORNERS = 0, 1
"""What connects pixels: common sides (4 neighbours), or corners too (8)."""


@dataclass(frozen=True, slots=True)
class Areas:
    """The connected areas of a class on a tile."""

    strip_of: NDArray[np.int64]
    """First run of each strip, and the number of runs, (strips + 1,)."""
    rows: Places
    """Row of each run within its strip."""
    starts: Places
    """Its first column."""
    stops: Places
    """The column after its last."""
    area_of: NDArray[np.int64]
    """The area that it belongs to: the number of that area's first run."""

    def sizes(self) -> NDArray[np.int64]:
        """Pixels of each run's area, (runs,)."""
        return self._total(self.stops - self.starts)

    def that_have(self, marked: Bytes) -> NDArray[np.bool_]:
        """Whether the area of each run has a marked run; `marked` is 0 or 1, (runs,)."""
        return self._total(marked) > 0

    def _total(self, numbers: NDArray[np.generic]) -> NDArray[np.int64]:
        # Sums of whole numbers far below 2**53 are exact in float64.
        sums = np.bincount(self.area_of, weights=numbers, minlength=self.area_of.size)
        return sums.astype(np.int64)[self.area_of]


def find_areas(strips: Sequence[Bytes], mask: int, value: int, reach: int) -> Areas:
    """The areas of the pixels with ``plane & mask == value``, connected by `SIDES` or `CORNERS`."""
    found = [_find_runs(strip, mask, value) for strip in strips]
    counts = np.concatenate([runs[0] for runs in found])
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    rows, starts, stops = (np.concatenate([runs[k] for runs in found]) for k in (1, 2, 3))
    strip_of = np.cumsum([0, *(runs[1].size for runs in found)]).astype(np.int64)
    return Areas(strip_of, rows, starts, stops, _join(starts, stops, first, reach))


def mark(strips: Sequence[Bytes], areas: Areas, bit: int) -> Bytes:
    """1 for each run that has a pixel with `bit`, (runs,)."""
    marked = np.empty(areas.rows.size, np.uint8)
    for strip, of in _by_strip(strips, areas):
        _mark(strip, areas.rows[of], areas.starts[of], areas.stops[of], bit, marked[of])
    return marked


def mark_open(plane: Bytes, areas: Areas, masked: int) -> Bytes:
    """1 for each run beside whose pixels is one with the bit `masked`, or the edge of the plane; for a single strip."""
    marked = np.empty(areas.rows.size, np.uint8)
    _mark_open(plane, areas.rows, areas.starts, areas.stops, masked, marked)
    return marked


def paint(
    strips: Sequence[Bytes], areas: Areas, chosen: NDArray[np.bool_], clear: int, put: int, spare: int = 0
) -> None:
    """Clear and set bits in the pixels of the chosen runs, those with a bit of `spare` excepted."""
    wanted = chosen.astype(np.uint8)
    for strip, of in _by_strip(strips, areas):
        _paint(strip, areas.rows[of], areas.starts[of], areas.stops[of], wanted[of], clear, put, spare)


def _by_strip(strips: Sequence[Bytes], areas: Areas) -> list[tuple[Bytes, slice]]:
    edges = areas.strip_of.tolist()
    return [(strip, slice(edges[k], edges[k + 1])) for k, strip in enumerate(strips)]


@kernel("Tuple((int64[::1], int32[::1], int32[::1], int32[::1]))(uint8[:, ::1], int64, int64)")
def _find_runs(plane: Bytes, mask: int, value: int) -> tuple[NDArray[np.int64], Places, Places, Places]:
    """Runs of a strip in reading order: how many each row has, then row, first column and column after the last."""
    bits, wanted = np.uint8(mask), np.uint8(value)
    counts = np.zeros(plane.shape[0], np.int64)
    for i in range(plane.shape[0]):
        row = plane[i]
        found = np.int32((row[0] & bits) == wanted)
        for j in range(row.size - 1):
            found += np.int32(((row[j + 1] & bits) == wanted) & ((row[j] & bits) != wanted))
        counts[i] = found
    total = counts.sum()
    rows, starts, stops = np.empty(total, np.int32), np.empty(total, np.int32), np.empty(total, np.int32)
    run = -1
    for i in range(plane.shape[0]):
        if counts[i]:
            run = _list_runs(plane[i], bits, wanted, i, run, rows, starts, stops)
    return counts, rows, starts, stops


@kernel()
def _list_runs(
    row: Bytes,
    bits: np.uint8,
    wanted: np.uint8,
    i: int,
    run: int,
    rows: Places,
    starts: Places,
    stops: Places,
) -> int:
    """List the runs of a row behind the run `run`; gives the last one."""
    inside = False
    for j in range(row.size):
        belongs = (row[j] & bits) == wanted
        if belongs and not inside:
            run += 1
            rows[run], starts[run] = i, j
        if belongs:
            stops[run] = j + 1
        inside = belongs
    return run


@kernel("int64[::1](int32[::1], int32[::1], int64[::1], int64)")
def _join(starts: Places, stops: Places, first: NDArray[np.int64], reach: int) -> NDArray[np.int64]:
    """For each run the first run of its area: runs of neighbouring rows join that are less than `reach` apart."""
    parents = np.arange(starts.size)
    for i in range(1, first.size - 1):
        above, below = first[i - 1], first[i]
        while above < first[i] and below < first[i + 1]:
            if starts[above] < stops[below] + reach and starts[below] < stops[above] + reach:
                a, b = _root(parents, above), _root(parents, below)
                parents[max(a, b)] = min(a, b)
            if stops[above] < stops[below]:
                above += 1
            else:
                below += 1
    for run in range(parents.size):
        parents[run] = parents[parents[run]]
    return parents


@kernel()
def _root(parents: NDArray[np.int64], run: int) -> int:
    """The first run of an area as far as it is joined; paths are halved on the way."""
    while parents[run] != run:
        parents[run] = parents[parents[run]]
        run = parents[run]
    return run


@kernel("void(uint8[:, ::1], int32[::1], int32[::1], int32[::1], int64, uint8[::1])")
def _mark(plane: Bytes, rows: Places, starts: Places, stops: Places, bit: int, marked: Bytes) -> None:
    for run in range(rows.size):
        stretch = plane[rows[run], starts[run] : stops[run]]
        found = np.uint8(0)
        for j in range(stretch.size):
            found |= stretch[j]
        marked[run] = (found & bit) != 0


@kernel("void(uint8[:, ::1], int32[::1], int32[::1], int32[::1], int64, uint8[::1])")
def _mark_open(plane: Bytes, rows: Places, starts: Places, stops: Places, masked: int, marked: Bytes) -> None:
    height, width = plane.shape
    for run in range(rows.size):
        i, start, stop = rows[run], starts[run], stops[run]
        if i == 0 or start == 0 or i == height - 1 or stop == width:
            marked[run] = 1
            continue
        found = plane[i, start - 1] | plane[i, stop]
        for j in range(start, stop):
            found |= plane[i - 1, j] | plane[i + 1, j]
        marked[run] = (found & masked) != 0


@kernel("void(uint8[:, ::1], int32[::1], int32[::1], int32[::1], uint8[::1], int64, int64, int64)")
def _paint(
    plane: Bytes, rows: Places, starts: Places, stops: Places, chosen: Bytes, clear: int, put: int, spare: int
) -> None:
    kept, more, spared = np.uint8(~clear & 255), np.uint8(put), np.uint8(spare)
    for run in range(rows.size):
        if chosen[run]:
            stretch = plane[rows[run], starts[run] : stops[run]]
            for j in range(stretch.size):
                if (stretch[j] & spared) == 0:
                    stretch[j] = (stretch[j] & kept) | more
