"""Cast shadow of the relief: which pixels the terrain hides from the sun.

From each pixel a ray of whole-pixel steps goes towards the sun; the pixel is in shadow where a point on it rises more
steeply than the sun stands: float32(rise / distance) > tan(elevation of the sun), in metres, the elevation model
replicated beyond its edges. For one sun, that test is one on whole metres per step (`rises`), so that the kernel is
exact on integers and runs on whole stretches of a row. The answer is that of the Hillshade kernel of georastertools
(PyPI) on an unlimited window.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.jit import kernel

CELL_BITS = 4
CELL = 1 << CELL_BITS
"""Pixels on a side of the cells whose highest elevation is known beforehand."""
PART = 64
"""Columns that are tried, or skipped, together: as many as the compiler's vector loops take at once."""
PARTS = 2
"""Parts side by side that make a block."""
BLOCK = PARTS * PART
"""Columns of a block (CELL rows high): what is worked on together."""
CHUNK = 8
"""Steps of a ray that are tried, or skipped, together."""
SPAN = 64
"""Steps that are skipped together where they are out of reach of a whole block; so many chunks."""
FAR = 1 << 30
"""A rise in metres that nothing has."""


class Terrain(NamedTuple):
    """An elevation model made ready for casting shadows."""

    elevation: NDArray[np.int16]
    """Metres; pixels without data are at the lowest int16, from where they hide nothing."""
    ceiling: NDArray[np.int16]
    """Highest elevation of each cell of CELL x CELL pixels."""
    heights: tuple[int, int, int]
    """Metres: pixels below the first have no data; the lowest and the highest elevation of the others."""


class Ray(NamedTuple):
    """Steps from a pixel towards the sun, and how far they are."""

    rows: NDArray[np.int32]
    """Rows down from the pixel."""
    columns: NDArray[np.int32]
    """Columns right of the pixel."""
    distances: NDArray[np.float32]
    """Metres, increasing."""


def terrain(dem: NDArray[np.int16], nodata: int | None) -> Terrain:
    """Make an elevation model (metres, larger than the tile if there is a margin) ready for shadows.

    Pixels at `nodata` (and with it at -32768) neither cast nor receive shadow; None: the stored values are elevations.
    ValueError where no pixel has data.
    """
    elevation, bottom = np.ascontiguousarray(dem), -32768
    lowest, highest, missing = _measure(elevation, 32768 if nodata is None else nodata)
    if missing == dem.size:
        raise ValueError("the elevation model has no valid pixel")
    if missing and nodata is not None:
        elevation, bottom = elevation.copy(), -32767
        _lower(elevation, nodata)
    rows, columns = (-(-size // CELL) for size in dem.shape)
    ceiling = np.empty((rows, columns), np.int16)
    _find_ceiling(elevation, ceiling)
    return Terrain(elevation, ceiling, (bottom, lowest, highest))


@kernel("UniTuple(int64, 3)(int16[:, ::1], int64)")
def _measure(elevation: NDArray[np.int16], nodata: int) -> tuple[int, int, int]:
    """The lowest and the highest elevation, and the number of pixels at `nodata`."""
    lowest, highest, missing = np.int32(FAR), np.int32(-FAR), 0
    for i in range(elevation.shape[0]):
        row, gone = elevation[i], np.int32(0)
        for x in range(row.size):
            z, known = np.int32(row[x]), np.int32(row[x]) != np.int32(nodata)
            gone += np.int32(not known)
            lowest = min(lowest, z if known else np.int32(FAR))
            highest = max(highest, z if known else np.int32(-FAR))
        missing += int(gone)
    return int(lowest), int(highest), missing


@kernel("void(int16[:, ::1], int64)")
def _lower(elevation: NDArray[np.int16], nodata: int) -> None:
    """Put pixels at `nodata` to the lowest int16, in place."""
    for i in range(elevation.shape[0]):
        row = elevation[i]
        for x in range(row.size):
            row[x] = -32768 if row[x] == nodata else row[x]


@kernel("void(int16[:, ::1], int16[:, ::1])")
def _find_ceiling(elevation: NDArray[np.int16], ceiling: NDArray[np.int16]) -> None:
    """Highest elevation of each cell."""
    ceiling[:] = -32768
    for i in range(elevation.shape[0]):
        for c in range(ceiling.shape[1]):
            stretch = elevation[i, c * CELL : (c + 1) * CELL]
            top = ceiling[i // CELL, c]
            for x in range(stretch.size):
                top = max(top, stretch[x])
            ceiling[i // CELL, c] = top


def sun_tangent(zenith: float) -> float:
    """Tangent of the sun's elevation, from its zenith angle in degrees (0 to below 90)."""
    return math.tan(math.radians(90.0 - zenith))


def reach(ground: Terrain, pixel: float, zenith: float) -> int:
    """How many pixels of `pixel` metres away the highest terrain can still hide the lowest."""
    _, lowest, highest = ground.heights
    return abs(math.trunc(math.trunc((highest - lowest) / pixel) / sun_tangent(zenith)))


def sun_ray(azimuth: float, pixels: int, pixel: float, shape: tuple[int, int]) -> Ray:
    """The ray towards the sun (`azimuth` in degrees, clockwise from north), to the first step `pixels` or more away.

    `pixel` is its size in metres, `shape` that of the elevation model: steps that lie beyond it in both directions, or
    that repeat an edge pixel from farther away, say nothing new and are left out.
    """
    theta = math.radians(180.0 - azimuth)
    down, right = math.cos(theta), math.sin(theta)
    steep = abs(down) > abs(right)
    slope = abs(math.tan(theta if steep else math.radians(90.0) - theta))
    extents = shape if steep else shape[::-1]
    along, aside = _walk(slope, pixels, extents[0], extents[1])
    rows, columns = (along, aside) if steep else (aside, along)
    distances = np.sqrt(rows.astype(np.float64) ** 2 + columns.astype(np.float64) ** 2) * pixel
    return Ray(
        (rows * (-1 if down < 0 else 1)).astype(np.int32),
        (columns * (-1 if right < 0 else 1)).astype(np.int32),
        distances.astype(np.float32),
    )


@kernel("UniTuple(int64[::1], 2)(float64, int64, int64, int64)")
def _walk(slope: float, pixels: int, extent: int, side: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Steps along the main axis and aside of a ray that is `pixels` long."""
    size = min(pixels, extent + side + 2)
    along, aside = np.empty(size, np.int64), np.empty(size, np.int64)
    x, y, error, count, far = 0, 0, 0.0, 0, 0.0
    while far < pixels and (x <= extent or y <= side):
        x += 1
        error += slope
        moved = error > 0.5
        if moved:
            y += 1
            error -= 1.0
        far = math.sqrt(float(x * x + y * y))
        if x <= extent or moved:
            along[count], aside[count] = x, y
            count += 1
    return along[:count].copy(), aside[:count].copy()


def rises(ray: Ray, tangent: float) -> NDArray[np.int32]:
    """For each step the least rise in whole metres that hides the sun: float32(rise / distance) > `tangent`."""
    distances = ray.distances.astype(np.float64)
    first = np.maximum(np.floor(np.minimum(distances * tangent, FAR)) - 1, 0).astype(np.int64)
    trials = (first[:, None] + np.arange(4)).astype(np.float32) / ray.distances[:, None]
    hides = trials.astype(np.float64) > tangent
    return np.where(hides.any(axis=1), first + hides.argmax(axis=1), FAR).astype(np.int32)


def cast_shadow(
    elevation: NDArray[np.int16],
    ceiling: NDArray[np.int16],
    heights: tuple[int, int, int],
    row: int,
    column: int,
    down: NDArray[np.int32],
    right: NDArray[np.int32],
    rise: NDArray[np.int32],
    candidate: NDArray[np.uint8] | None,
    out: NDArray[np.uint8],
) -> None:
    """1 where the terrain hides the sun, for a strip whose first pixel is at `row` and `column` of the terrain.

    `elevation`, `ceiling` and `heights` are those of a `Terrain`; `down` and `right` the steps of a ray, `rise` its
    `rises`. Where `candidate` is 0 nothing is computed and 0 written; None: all pixels. The answer is the same with
    any candidates and any strips.
    """
    _, lowest, highest = heights
    # 16 bits hold every elevation less any rise that matters, except under wild values that stand for missing ones.
    narrow = 2 * lowest - highest > -32767 and highest < 32767
    kind, far = (np.int16, 32767) if narrow else (np.int32, FAR)
    base, best = np.empty(CELL * BLOCK, kind), np.empty(CELL * BLOCK, kind)
    cast_blocks(elevation, ceiling, heights, row, column, down, right, rise, candidate, far, base, best, out)


CAST = (
    "void(int16[:, ::1], int16[:, ::1], UniTuple(int64, 3), int64, int64, int32[::1], int32[::1], int32[::1], "
    "{candidate}, int64, {kind}[::1], {kind}[::1], uint8[:, ::1])"
)


@kernel(*(CAST.format(candidate=c, kind=k) for k in ("int16", "int32") for c in ("uint8[:, ::1]", "none")))
def cast_blocks(
    elevation: NDArray[np.int16],
    ceiling: NDArray[np.int16],
    heights: tuple[int, int, int],
    row: int,
    column: int,
    down: NDArray[np.int32],
    right: NDArray[np.int32],
    rise: NDArray[np.int32],
    candidate: NDArray[np.uint8] | None,
    far: int,
    base: NDArray[Any],
    best: NDArray[Any],
    out: NDArray[np.uint8],
) -> None:
    """`cast_shadow` block by block, in the integers of `base` and `best`; `far` is an elevation that none reaches."""
    lows, ground = np.empty(PARTS + BLOCK, base.dtype), elevation.reshape(-1)
    for i in range(0, out.shape[0], CELL):
        for j in range(0, out.shape[1], BLOCK):
            place = (row + i, column + j, min(CELL, out.shape[0] - i), min(BLOCK, out.shape[1] - j))
            _load_block(elevation, place, heights[0], far, base)
            if candidate is not None:
                _drop_unwanted(candidate[i : i + CELL, j : j + BLOCK], far, base)
            _shade_block(
                ground, elevation.shape, ceiling, heights, place, down, right, rise, far, base, best, lows
            )
            for y in range(place[2]):
                marks, zs, raised = out[i + y, j : j + BLOCK], base[y * BLOCK :], best[y * BLOCK :]
                for x in range(marks.size):
                    marks[x] = raised[x] >= zs[x]


@kernel()
def _load_block(
    elevation: NDArray[np.int16], place: tuple[int, int, int, int], bottom: int, far: int, base: NDArray[Any]
) -> None:
    """The elevations of a block; `far` for pixels without data and beside the block."""
    row, column, height, width = place
    base[:] = far
    least, nothing = np.int16(bottom), base.dtype.type(far)
    for y in range(height):
        line, zs = elevation[row + y, column : column + width], base[y * BLOCK :]
        for x in range(line.size):
            zs[x] = line[x] if line[x] >= least else nothing


@kernel()
def _drop_unwanted(candidate: NDArray[np.uint8], far: int, base: NDArray[Any]) -> None:
    """Put pixels that are no candidates out of reach."""
    nothing = base.dtype.type(far)
    for y in range(candidate.shape[0]):
        asked, zs = candidate[y], base[y * BLOCK :]
        for x in range(asked.size):
            zs[x] = zs[x] if asked[x] != 0 else nothing


@kernel()
def _shade_block(
    ground: NDArray[np.int16],
    shape: tuple[int, int],
    ceiling: NDArray[np.int16],
    heights: tuple[int, int, int],
    place: tuple[int, int, int, int],
    down: NDArray[np.int32],
    right: NDArray[np.int32],
    rise: NDArray[np.int32],
    far: int,
    base: NDArray[Any],
    best: NDArray[Any],
    lows: NDArray[Any],
) -> None:
    """Shadow of one block: in `best`, per pixel, the highest elevation that the ray would still put into shadow.

    Steps of a chunk are skipped for the parts whose lowest lit pixel is out of reach of the terrain that they meet.
    """
    best[:] = -far
    low = _find_lows(base, best, far, lows)
    for k in range(0, rise.size, CHUNK):
        if low == far:
            break
        last = min(k + CHUNK, rise.size) - 1
        if k % SPAN == 0:
            end = min(k + SPAN, rise.size) - 1
            near = low + rise[k] <= _ceiling_over(shape, ceiling, place, down, right, k, end)
        if near and low + rise[k] <= _ceiling_over(shape, ceiling, place, down, right, k, last):
            start, stop = _reached(shape, ceiling, place, down, right, rise, k, last, lows)
            for n in range(k, last + 1):
                moved = (place[0] + down[n], place[1] + right[n])
                _raise_block(ground, shape, moved, place[2], start, stop, heights, rise[n], best)
            low = _find_lows(base, best, far, lows)


@kernel()
def _find_lows(base: NDArray[Any], best: NDArray[Any], far: int, lows: NDArray[Any]) -> int:
    """The lowest elevation among pixels that are still lit, by part of the block and over all; `far` where none is."""
    nothing = base.dtype.type(far)
    columns = lows[PARTS:]
    columns[:] = nothing
    for y in range(CELL):
        origin = np.uint64(y * BLOCK)
        for x in range(np.uint64(BLOCK)):
            z = base[origin + x]
            lit = z if best[origin + x] < z else nothing
            columns[x] = lit if lit < columns[x] else columns[x]
    for part in range(PARTS):
        lows[part] = columns[part * PART : (part + 1) * PART].min()
    return int(lows[:PARTS].min())


@kernel()
def _reached(
    shape: tuple[int, int],
    ceiling: NDArray[np.int16],
    place: tuple[int, int, int, int],
    down: NDArray[np.int32],
    right: NDArray[np.int32],
    rise: NDArray[np.int32],
    first: int,
    last: int,
    lows: NDArray[Any],
) -> tuple[int, int]:
    """Columns of a block, from the first to the last part that terrain on some steps may still put into shadow."""
    row, column, height, width = place
    start, stop = width, width
    for part in range((width + PART - 1) // PART):
        x = part * PART
        top = _ceiling_over(shape, ceiling, (row, column + x, height, PART), down, right, first, last)
        if lows[part] + rise[first] <= top:
            start, stop = min(start, x), min(x + PART, width)
    return start, stop


@kernel()
def _raise_block(
    ground: NDArray[np.int16],
    shape: tuple[int, int],
    moved: tuple[int, int],
    height: int,
    start: int,
    stop: int,
    heights: tuple[int, int, int],
    rise: int,
    best: NDArray[Any],
) -> None:
    """Bring one step into columns of a block: the terrain from `moved`, its edges repeated beyond them."""
    rows, columns = shape
    kind = best.dtype.type
    floor, less = kind(heights[1]), kind(min(rise, heights[2] - heights[1] + 1))
    inside = moved[1] + start >= 0 and moved[1] + stop <= columns
    for y in range(height):
        line = min(max(moved[0] + y, 0), rows - 1) * columns
        # Flat arrays and unsigned places: no views to count references of, no negative indices to provide for.
        origin, target = np.uint64(max(line + moved[1] + start, 0)), np.uint64(y * BLOCK + start)
        if inside:
            for x in range(np.uint64(stop - start)):
                z = kind(ground[origin + x])
                value, old = kind((z if z > floor else floor) - less), best[target + x]
                best[target + x] = value if value > old else old
        else:
            for x in range(start, stop):
                z = kind(ground[line + min(max(moved[1] + x, 0), columns - 1)])
                value, old = kind((z if z > floor else floor) - less), best[y * BLOCK + x]
                best[y * BLOCK + x] = value if value > old else old


@kernel()
def _ceiling_over(
    shape: tuple[int, int],
    ceiling: NDArray[np.int16],
    place: tuple[int, int, int, int],
    down: NDArray[np.int32],
    right: NDArray[np.int32],
    first: int,
    last: int,
) -> int:
    """The highest elevation that a rectangle of pixels may meet from step `first` to step `last`."""
    row, column, height, width = place
    top = _cell(row + min(down[first], down[last]), shape[0])
    bottom = _cell(row + height - 1 + max(down[first], down[last]), shape[0])
    left = _cell(column + min(right[first], right[last]), shape[1])
    end = _cell(column + width - 1 + max(right[first], right[last]), shape[1])
    highest = np.int16(-32768)
    for i in range(top, bottom + 1):
        for j in range(left, end + 1):
            highest = max(highest, ceiling[i, j])
    return int(highest)


@kernel()
def _cell(line: int, size: int) -> int:
    """The cell of a line, the nearest edge's beyond the edges."""
    return min(max(line, 0), size - 1) >> CELL_BITS


class SunGrid(NamedTuple):
    """Rays towards a sun whose azimuth differs over the tile: one per node of the azimuth grid, end to end."""

    rows: NDArray[np.int32]
    """Rows down, of all rays."""
    columns: NDArray[np.int32]
    """Columns right, of all rays."""
    distances: NDArray[np.float32]
    """Metres."""
    starts: NDArray[np.int64]
    """First step of each ray, nodes row by row; then the number of all steps."""


def sun_grid(azimuths: NDArray[np.float64], pixels: int, pixel: float, shape: tuple[int, int]) -> SunGrid:
    """The rays of a grid of azimuths in degrees, without NaN; the other arguments are those of `sun_ray`."""
    rays = [sun_ray(float(azimuth), pixels, pixel, shape) for azimuth in azimuths.ravel()]
    starts = np.cumsum([0] + [ray.rows.size for ray in rays])
    rows, columns, distances = (np.concatenate(parts) for parts in zip(*rays, strict=True))
    return SunGrid(rows, columns, distances, starts.astype(np.int64))


def nearest_nodes(first: int, count: int, pixel: float, step: float, nodes: int) -> NDArray[np.int64]:
    """The node nearest to each of `count` pixels from the `first` one, both counted from the tile's corner.

    `pixel` and `step` (between nodes) are metres; `first` is negative in a margin of the tile.
    """
    places = (np.arange(first, first + count) + 0.5) * pixel / step
    nearest: NDArray[np.float64] = np.clip(np.floor(places + 0.5), 0, nodes - 1)
    return nearest.astype(np.int64)


def tangents(
    zeniths: NDArray[np.float64],
    corner: tuple[int, int],
    shape: tuple[int, int],
    pixel: float,
    steps: tuple[float, float],
) -> NDArray[np.float64]:
    """Tangent of the sun's elevation for each pixel of a strip of `shape` from `corner`, which counts from the tile's.

    Zenith angles (degrees, without NaN, below 90) are bilinear between nodes that lie `steps` metres apart, rows first.
    """
    (top, below, down), (left, right, across) = (
        _between_nodes(first, count, pixel, step, nodes)
        for first, count, step, nodes in zip(corner, shape, steps, zeniths.shape, strict=True)
    )
    at_columns = zeniths[:, left] + (zeniths[:, right] - zeniths[:, left]) * across
    zenith = at_columns[top] + (at_columns[below] - at_columns[top]) * down[:, None]
    return np.tan(np.radians(90.0 - zenith))


def _between_nodes(
    first: int, count: int, pixel: float, step: float, nodes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The two nodes around each pixel, and how far the pixel is towards the second (0-1)."""
    places = np.clip((np.arange(first, first + count) + 0.5) * pixel / step, 0, nodes - 1)
    low = np.floor(places).astype(np.int64)
    return low, np.minimum(low + 1, nodes - 1), places - low


CAST_GRID = (
    "void(int16[:, ::1], UniTuple(int64, 3), int64, int64, int32[::1], int32[::1], float32[::1], int64[::1], "
    "int64[::1], int64[::1], int64, float64[:, ::1], {candidate}, uint8[:, ::1])"
)


@kernel(CAST_GRID.format(candidate="uint8[:, ::1]"), CAST_GRID.format(candidate="none"))
def cast_shadow_grid(
    elevation: NDArray[np.int16],
    heights: tuple[int, int, int],
    row: int,
    column: int,
    down: NDArray[np.int32],
    right: NDArray[np.int32],
    distance: NDArray[np.float32],
    starts: NDArray[np.int64],
    node_rows: NDArray[np.int64],
    node_columns: NDArray[np.int64],
    nodes: int,
    tangent: NDArray[np.float64],
    candidate: NDArray[np.uint8] | None,
    out: NDArray[np.uint8],
) -> None:
    """As `cast_shadow` under a sun that differs over the tile: ray of the nearest node, `tangent` of the pixel.

    `down`, `right`, `distance` and `starts` are those of a `SunGrid` with `nodes` nodes a row.
    """
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            z = elevation[row + i, column + j]
            out[i, j] = 0
            if candidate is not None and candidate[i, j] == 0:
                continue
            if z >= heights[0]:
                node = node_rows[i] * nodes + node_columns[j]
                part = slice(starts[node], starts[node + 1])
                out[i, j] = _is_hidden(
                    elevation,
                    row + i,
                    column + j,
                    heights[2],
                    down[part],
                    right[part],
                    distance[part],
                    tangent[i, j],
                )


@kernel()
def _is_hidden(
    elevation: NDArray[np.int16],
    row: int,
    column: int,
    highest: int,
    down: NDArray[np.int32],
    right: NDArray[np.int32],
    distance: NDArray[np.float32],
    tangent: float,
) -> bool:
    """Whether a step of the ray rises above the sun; not even the highest terrain does from the step where it stops."""
    z = np.int32(elevation[row, column])
    rows, columns = elevation.shape
    most = np.float32(np.int32(highest) - z)
    for n in range(distance.size):
        if np.float64(most / distance[n]) <= tangent:
            return False
        point = elevation[min(max(row + down[n], 0), rows - 1), min(max(column + right[n], 0), columns - 1)]
        if np.float64(np.float32(np.int32(point) - z) / distance[n]) > tangent:
            return True
    return False
