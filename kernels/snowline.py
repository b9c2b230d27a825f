"""The snow line: the elevation above which snow is looked for with weaker tests, from a census of elevations.

A census counts pixels by whole metre of elevation and by what pass 1 found. It adds up over strips, so that elevation
bins of any kind are made from it afterwards, exactly, and permuting pixels changes nothing.

Profile ``lis``: the bins of Let-it-snow 1.11.0, which cut the range of the elevation model into equal float32 parts.
Otherwise bins are aligned on multiples of their height, and a snow line may be found for every cell of a coarse grid.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.jit import kernel
from thalweg.kernels.snow import CLOUD1, SNOW1

NEVER = 2**30
"""A lowest elevation that no pixel reaches: for a snow line that was not found."""
LOWEST, HIGHEST = -413, 8850
"""Elevations on land in metres: others are errors of the elevation model."""
FIRST = -32768
"""Elevation of the census' first row."""


class Snowline(NamedTuple):
    """A snow line and the histogram that it was found in."""

    elevation: int | None
    """Metres; None where no bin qualifies."""
    rows: list[tuple[int, int, int, int, int, int]]
    """Per bin, upwards: lowest and highest elevation, pixels, clouds, clear snow, clear without snow."""


class LisSnowline(NamedTuple):
    """A snow line and its histogram as LIS 1.11.0 writes it."""

    elevation: int | None
    """Metres; None where no bin qualifies."""
    bins: int
    """Number of elevation bins; 0 where the elevations span less than one."""
    text: str
    """``LIS_HISTO.TXT``."""


def new_census() -> NDArray[np.int64]:
    """A census of nothing: a row per metre from -32768, column 1 * snow + 2 * cloud (of pass 1) + 4 * barred."""
    return np.zeros((65536, 8), np.int64)


@kernel("void(uint16[:, ::1], int16[:, ::1], int64, int64[:, ::1])")
def count_elevations(
    state: NDArray[np.uint16], dem: NDArray[np.int16], barred: int, census: NDArray[np.int64]
) -> None:
    """Add the pixels of a strip to a census; those with one of the `barred` bits are not counted by either profile.

    ``lis`` bars none, otherwise NODATA | WATER. `dem` holds metres.
    """
    classes = np.empty(state.shape[1], np.uint8)
    for i in range(state.shape[0]):
        _classify_row(state[i], barred, classes)
        heights = dem[i]
        for j in range(heights.size):
            census[np.int64(heights[j]) - FIRST, classes[j]] += 1


@kernel()
def _classify_row(state: NDArray[np.uint16], barred: int, classes: NDArray[np.uint8]) -> None:
    """The census column of each pixel."""
    bars = np.uint16(barred)
    for j in range(state.size):
        bits = state[j]
        snow, cloud = np.uint8((bits & np.uint16(SNOW1)) != 0), np.uint8((bits & np.uint16(CLOUD1)) != 0)
        classes[j] = snow | cloud << np.uint8(1) | np.uint8((bits & bars) != 0) << np.uint8(2)


def snow_fraction(census: NDArray[np.int64]) -> float:
    """Share of pass-1 snow among the pixels that count; 0 when none does."""
    counted = int(census[:, :4].sum())
    return int(census[:, 1:4:2].sum()) / counted if counted else 0.0


def lis_snowline(
    census: NDArray[np.int64],
    dz: int,
    fclear_lim: float,
    fsnow_lim: float,
    offset: int = -2,
    center_offset: float | None = None,
    reverse: bool = False,
) -> LisSnowline:
    """The snow line of LIS 1.11.0: all pixels count, and no elevation is barred but those below -413 m.

    `dz` bin height in metres, even; the limits are least shares of clear pixels and of snow among them. `offset`,
    `center_offset` (None: -dz / 2) and `reverse` (downwards) are what its snow-line program takes and its chain never
    changes.
    """
    heights = np.flatnonzero(census.any(axis=1)) + FIRST
    lowest, highest = int(heights[0]), int(heights[-1])
    bins = (highest - lowest) // dz
    if bins < 1:
        return LisSnowline(None, 0, "Number of bins=0\n")
    edges = _lis_edges(lowest, highest, bins)
    counts = _sum_bins(census, np.searchsorted(edges[:-1], heights, side="right") - 1, heights, bins)
    centres = (edges[:-1] + edges[1:]) / 2
    limits = float(np.float32(fclear_lim)), float(np.float32(fsnow_lim))
    found = np.flatnonzero(_qualify(counts, *limits) & (centres >= LOWEST))
    elevation = None
    if found.size:
        shifted = int(np.clip(found[-1 if reverse else 0] + offset, 0, bins - 1))
        elevation = math.floor(centres[shifted] + (-dz / 2 if center_offset is None else center_offset))
    return LisSnowline(elevation, bins, _lis_text(centres, counts))


def _lis_edges(lowest: int, highest: int, bins: int) -> NDArray[np.float64]:
    width = np.float32(highest - lowest) / np.float32(bins)
    edges = lowest + (np.arange(bins + 1, dtype=np.float32) * width).astype(np.float64)
    edges[-1] = highest
    return edges


def _sum_bins(
    census: NDArray[np.int64], places: NDArray[np.int64], heights: NDArray[np.int64], bins: int
) -> NDArray[np.int64]:
    """Census rows of `heights` summed into the bins of `places`."""
    counts = np.zeros((bins, 8), np.int64)
    np.add.at(counts, places, census[heights - FIRST])
    return counts


def _qualify(counts: NDArray[np.int64], fclear_lim: float, fsnow_lim: float) -> NDArray[np.bool_]:
    """Whether enough of each bin is clear, and enough of that is snow; empty bins never are."""
    clear = counts[:, :2].sum(axis=1)
    total = clear + counts[:, 2:4].sum(axis=1)
    enough = clear / np.maximum(total, 1) > fclear_lim
    snowy = counts[:, 1] / np.maximum(clear, 1) > fsnow_lim
    qualified: NDArray[np.bool_] = enough & snowy & (clear > 0)
    return qualified


def _lis_text(centres: NDArray[np.float64], counts: NDArray[np.int64]) -> str:
    bins, total = len(centres), int(counts[:, :4].sum())
    lines = [
        f"Number of bins={4 * bins}-Total frequency={total}-Dimension sizes=[{bins}, 2, 2]",
        "z_center,tot_z,fcloud_z,fsnow_z,fnosnow_z",
    ]
    for centre, (bare, snow, cloud, cloudy_snow, *_) in zip(centres, counts.tolist(), strict=True):
        total = bare + snow + cloud + cloudy_snow
        lines.append(f"{int(centre)},{total},{cloud + cloudy_snow},{snow + cloudy_snow},{bare}")
    return "\n".join(lines) + "\n"


def find_snowline(
    census: NDArray[np.int64],
    dz: int,
    min_pixels: int,
    fclear_lim: float,
    fsnow_lim: float,
    dem_nodata: int | None,
) -> Snowline:
    """The snow line from bins aligned on multiples of `dz`: two bins below the first that holds enough snow.

    Bins need `min_pixels`; the limits are least shares of clear pixels and of snow among them. Elevations outside
    -413 to 8850 m and `dem_nodata` do not count.
    """
    heights = np.arange(LOWEST, HIGHEST + 1)
    heights = heights[census[heights - FIRST, :4].any(axis=1) & (heights != dem_nodata)]
    if heights.size == 0:
        return Snowline(None, [])
    first, last = int(heights[0]) // dz, int(heights[-1]) // dz
    counts = _sum_bins(census, heights // dz - first, heights, last - first + 1)
    total = counts[:, :4].sum(axis=1)
    found = np.flatnonzero(_qualify(counts, fclear_lim, fsnow_lim) & (total >= min_pixels))
    elevation = dz * (first + int(found[0]) - 2) if found.size else None
    return Snowline(elevation, _table(counts, first, dz))


def _table(counts: NDArray[np.int64], first: int, dz: int) -> list[tuple[int, int, int, int, int, int]]:
    rows = []
    for k, (bare, snow, cloud, cloudy_snow, *_) in enumerate(counts.tolist(), start=first):
        clouds = cloud + cloudy_snow
        rows.append((k * dz, (k + 1) * dz, bare + snow + clouds, clouds, snow, bare))
    return rows


def grid_snowlines(
    state: NDArray[np.uint16],
    dem: NDArray[np.int16],
    barred: int,
    dem_nodata: int | None,
    cell: float,
    pixel: float,
    dz: int,
    min_pixels: int,
    fclear_lim: float,
    fsnow_lim: float,
) -> NDArray[np.float64]:
    """A snow line for each cell from the upper-left corner, found as by `find_snowline`; NaN where there is none.

    `state` and `dem` are the whole tile, `cell` and `pixel` sizes in metres. A cell's histogram is that of the cell and
    half a cell more on every side.
    """
    rows, columns = (_windows(size, cell, pixel) for size in state.shape)
    nodata = 32768 if dem_nodata is None else dem_nodata
    lines = np.empty((len(rows), len(columns)))
    counts = np.zeros(((HIGHEST - LOWEST) // dz + 2, 4), np.int64)
    for a in range(len(rows)):
        for b in range(len(columns)):
            first = _count_window(state, dem, rows[a], columns[b], barred, nodata, dz, counts)
            wide = np.concatenate([counts, np.zeros_like(counts)], axis=1)
            good = _qualify(wide, fclear_lim, fsnow_lim) & (counts.sum(axis=1) >= min_pixels)
            lines[a, b] = dz * (first + int(np.argmax(good)) - 2) if good.any() else np.nan
    return lines


def _windows(size: int, cell: float, pixel: float) -> NDArray[np.int64]:
    """First line and the one after the last of each cell's window."""
    index = np.arange(math.ceil(size * pixel / cell))
    starts = np.maximum(0, np.floor((index - 0.5) * cell / pixel))
    stops = np.minimum(size, np.ceil((index + 1.5) * cell / pixel))
    return np.stack([starts, stops], axis=1).astype(np.int64)


@kernel(
    "int64(uint16[:, ::1], int16[:, ::1], int64[::1], int64[::1], int64, int64, int64, int64[:, ::1])",
)
def _count_window(
    state: NDArray[np.uint16],
    dem: NDArray[np.int16],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    barred: int,
    dem_nodata: int,
    dz: int,
    counts: NDArray[np.int64],
) -> int:
    """Count the pixels of a window by aligned elevation bin; gives the first bin's number."""
    first = LOWEST // dz
    counts[:] = 0
    for i in range(rows[0], rows[1]):
        for j in range(columns[0], columns[1]):
            z = np.int64(dem[i, j])
            bits = state[i, j]
            if LOWEST <= z <= HIGHEST and z != dem_nodata and (bits & barred) == 0:
                found = int((bits & SNOW1) != 0) + 2 * int((bits & CLOUD1) != 0)
                counts[z // dz - first, found] += 1
    return first


def fill_snowlines(lines: NDArray[np.float64], tile: int | None) -> NDArray[np.float64] | None:
    """The grid without gaps: missing cells take the tile's snow line, or the highest cell's when the tile has none.

    None where there is no snow line at all.
    """
    if tile is None and np.isnan(lines).all():
        return None
    return np.where(np.isnan(lines), np.nanmax(lines) if tile is None else tile, lines)


def lowest_rows(
    lines: NDArray[np.float64], cell: float, pixel: float, top: int, rows: int, columns: int
) -> NDArray[np.int32]:
    """The lowest whole metre at or above the snow line for each pixel of a strip, bilinear between cell centres.

    `lines` is the grid without gaps, `cell` and `pixel` are metres; a pixel is at or above the snow line where its
    elevation is at least this.
    """
    low, high, down = _between_cells(np.arange(top, top + rows), cell, pixel, lines.shape[0])
    left, right, across = _between_cells(np.arange(columns), cell, pixel, lines.shape[1])
    # Along the columns first, on the few rows of cells: one product per pixel is left.
    at_columns = lines[:, left] + (lines[:, right] - lines[:, left]) * across
    surface = at_columns[low] + (at_columns[high] - at_columns[low]) * down[:, None]
    # Rounding must not lift a snow line that lies on a whole metre above it.
    return np.ceil(surface - 1e-9).astype(np.int32)


def _between_cells(
    pixels: NDArray[np.int64], cell: float, pixel: float, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The two cells around each pixel, and how far the pixel is towards the second (0-1)."""
    place = np.clip((pixels + 0.5) * pixel / cell - 0.5, 0, count - 1)
    low = np.floor(place).astype(np.int64)
    return low, np.minimum(low + 1, count - 1), place - low
