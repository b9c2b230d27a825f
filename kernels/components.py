"""Pass 1.5 of snow detection: patches of pass-1 snow that lie inside clouds are taken for cloud.

Patches are connected through sides of pixels and numbered by their first pixel in reading order. Their pixels are kept
as runs of a row, a few numbers each, so that a whole tile needs no label image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.jit import kernel
from thalweg.kernels.snow import ANY_CLOUD, CLOUD1, SNOW1


@kernel("int64(uint16[:, ::1], int64, float64, int64, int64)")
def drop_cloud_patches(
    state: NDArray[np.uint16], radius: int, threshold: float, min_area: int, barred: int
) -> int:
    """Turn patches of snow that cloud surrounds to cloud, in the whole tile's `state`; gives the number of patches.

    The surroundings of a patch are what a disc of `radius` pixels adds to it, without snow. In order, each patch of
    more than `min_area` pixels whose surroundings hold a share of cloud above `threshold` turns from SNOW1 to CLOUD1,
    and belongs to the surroundings of those that follow. Pixels with a `barred` bit do not count as surroundings: none
    in ``lis``, NODATA | WATER otherwise.
    """
    rows, starts, stops, first = find_runs(state)
    parents = join_runs(starts, stops, first)
    order, bounds = group_runs(parents)
    widths = disc_widths(radius)
    dropped = 0
    for label in range(bounds.size - 1):
        runs = order[bounds[label] : bounds[label + 1]]
        area = 0
        for run in runs:
            area += stops[run] - starts[run]
        if area > min_area:
            cloudy, size = _look_around(state, rows, starts, stops, runs, widths, barred)
            if size > 0 and cloudy / size > threshold:
                _turn_to_cloud(state, rows, starts, stops, runs)
                dropped += 1
    return dropped


@kernel()
def find_runs(
    state: NDArray[np.uint16],
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    """Runs of snow in reading order: row, first column, the column after the last; and the first run of each row."""
    height = state.shape[0]
    first = np.zeros(height + 1, np.int64)
    for i in range(height):
        first[i + 1] = first[i] + _count_runs(state[i])
    rows, starts, stops = (
        np.empty(first[-1], np.int32),
        np.empty(first[-1], np.int32),
        np.empty(first[-1], np.int32),
    )
    for i in range(height):
        run, inside = first[i] - 1, False
        for j in range(state.shape[1]):
            snow = (state[i, j] & SNOW1) != 0
            if snow and not inside:
                run += 1
                rows[run], starts[run] = i, j
            if snow:
                stops[run] = j + 1
            inside = snow
    return rows, starts, stops, first


@kernel()
def _count_runs(row: NDArray[np.uint16]) -> int:
    """How many runs of snow a row holds."""
    count = np.int32((row[0] & np.uint16(SNOW1)) != 0)
    for j in range(row.size - 1):
        count += np.int32((row[j + 1] & ~row[j] & np.uint16(SNOW1)) != 0)
    return int(count)


@kernel()
def join_runs(
    starts: NDArray[np.int32], stops: NDArray[np.int32], first: NDArray[np.int64]
) -> NDArray[np.int64]:
    """For each run the first run of its patch: runs of neighbouring rows that share a column join."""
    parents = np.arange(starts.size)
    for i in range(1, first.size - 1):
        above, below = first[i - 1], first[i]
        while above < first[i] and below < first[i + 1]:
            if starts[above] < stops[below] and starts[below] < stops[above]:
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
    """The first run of a patch as far as it is joined; paths are halved on the way."""
    while parents[run] != run:
        parents[run] = parents[parents[run]]
        run = parents[run]
    return run


@kernel()
def group_runs(parents: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Runs sorted by patch, patches by their first run; and where each patch begins (and the last one ends)."""
    labels = np.empty(parents.size, np.int64)
    count = 0
    for run in range(parents.size):
        if parents[run] == run:
            labels[run] = count
            count += 1
        else:
            labels[run] = labels[parents[run]]
    bounds = np.zeros(count + 1, np.int64)
    for run in range(parents.size):
        bounds[labels[run] + 1] += 1
    bounds = np.cumsum(bounds)
    place, order = bounds[:-1].copy(), np.empty(parents.size, np.int64)
    for run in range(parents.size):
        order[place[labels[run]]] = run
        place[labels[run]] += 1
    return order, bounds


@kernel()
def disc_widths(radius: int) -> NDArray[np.int64]:
    """Half widths of the rows of a disc, from -radius to radius: dx**2 + dy**2 <= radius**2."""
    widths = np.empty(2 * radius + 1, np.int64)
    for y in range(-radius, radius + 1):
        x = 0
        while (x + 1) ** 2 + y**2 <= radius**2:
            x += 1
        widths[y + radius] = x
    return widths


@kernel()
def _look_around(
    state: NDArray[np.uint16],
    rows: NDArray[np.int32],
    starts: NDArray[np.int32],
    stops: NDArray[np.int32],
    runs: NDArray[np.int64],
    widths: NDArray[np.int64],
    barred: int,
) -> tuple[int, int]:
    """Cloudy pixels, and all pixels, of a patch's surroundings.

    Row by row, the widened runs that reach the row are added up as steps: up where one begins, down where it ends.
    """
    height, width = state.shape
    radius = widths.size // 2
    steps = np.zeros(width + 1, np.int32)
    cloudy, size = 0, 0
    begin, end = 0, 0
    for i in range(max(rows[runs[0]] - radius, 0), min(rows[runs[-1]] + radius + 1, height)):
        while end < runs.size and rows[runs[end]] <= i + radius:
            end += 1
        while begin < end and rows[runs[begin]] < i - radius:
            begin += 1
        left, right = width, 0
        for n in range(begin, end):
            run = runs[n]
            wide = widths[rows[run] - i + radius]
            start, stop = max(starts[run] - wide, 0), min(stops[run] + wide, width)
            steps[start] += 1
            steps[stop] -= 1
            left, right = min(left, start), max(right, stop)
        if left < right:
            found = _count_row(state[i], left, right, barred, steps)
            cloudy, size = cloudy + found[0], size + found[1]
    return cloudy, size


@kernel()
def _count_row(
    row: NDArray[np.uint16], left: int, right: int, barred: int, steps: NDArray[np.int32]
) -> tuple[int, int]:
    """Cloudy and all pixels of the surroundings in a row; `steps` is cleared."""
    depth, cloudy, size = 0, 0, 0
    for j in range(left, right):
        depth += steps[j]
        steps[j] = 0
        if depth > 0 and (row[j] & (SNOW1 | barred)) == 0:
            size += 1
            cloudy += (row[j] & ANY_CLOUD) != 0
    steps[right] = 0
    return cloudy, size


@kernel()
def _turn_to_cloud(
    state: NDArray[np.uint16],
    rows: NDArray[np.int32],
    starts: NDArray[np.int32],
    stops: NDArray[np.int32],
    runs: NDArray[np.int64],
) -> None:
    """Snow of pass 1 becomes cloud of pass 1."""
    for run in runs:
        stretch = state[rows[run], starts[run] : stops[run]]
        for j in range(stretch.size):
            stretch[j] = (stretch[j] & ~np.uint16(SNOW1)) | np.uint16(CLOUD1)
