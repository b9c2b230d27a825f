"""Connected areas of snow, and the rings around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.jit import kernel
from thalweg.kernels.snow import ANY_CLOUD, CLOUD1, SNOW1

_REMOVED = -1


def drop_cloud_islands(
    state: NDArray[np.uint16], radius: int, threshold: float, min_area: int, barred: int
) -> int:
    """Turn snow of pass 1 that cloud surrounds into cloud of pass 1, in the state of a whole tile; count the areas.

    Areas are 4-connected and taken in the raster order of their first pixel; those of more than `min_area` pixels are
    judged by their ring: the pixels within `radius` of the area that are no snow any more at that moment, `barred`
    ones left out. An area goes where more than `threshold` (0-1) of its ring is cloud; an empty ring keeps it.
    """
    labels = np.zeros(state.shape, np.int32)
    areas = _label_snow(state, labels)
    rows, columns = _disc(radius)
    ring = np.zeros(state.shape, np.int32)
    removed = 0
    for label in np.flatnonzero(areas > min_area):
        clouds, size = _count_ring(state, labels, int(label), areas, rows, columns, barred, ring)
        if size and clouds / size > threshold:
            _remove(state, labels, int(label))
            removed += 1
    return removed


def _disc(radius: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the pixels of a disc around its centre."""
    line = np.arange(-radius, radius + 1)
    down, right = np.meshgrid(line, line, indexing="ij")
    inside = down**2 + right**2 <= radius**2
    return down[inside].astype(np.int64), right[inside].astype(np.int64)


@kernel("int64[::1](uint16[:, ::1], int32[:, ::1])")
def _label_snow(state: NDArray[np.uint16], labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """Number the 4-connected areas of snow from 1, in raster order of their first pixels; sizes by number."""
    rows, columns = state.shape
    sizes = np.zeros(rows * columns // 2 + 2, np.int64)
    stack = np.empty(rows * columns, np.int64)
    count = 0
    for start in range(rows * columns):
        i, j = start // columns, start % columns
        if labels[i, j] != 0 or (state[i, j] & SNOW1) == 0:
            continue
        count += 1
        labels[i, j] = count
        stack[0] = start
        top = 1
        while top > 0:
            top -= 1
            y, x = stack[top] // columns, stack[top] % columns
            sizes[count] += 1
            for step in range(4):
                v = y + (step == 1) - (step == 0)
                u = x + (step == 3) - (step == 2)
                if 0 <= v < rows and 0 <= u < columns and labels[v, u] == 0 and (state[v, u] & SNOW1) != 0:
                    labels[v, u] = count
                    stack[top] = v * columns + u
                    top += 1
    return sizes[: count + 1].copy()


@kernel(
    "UniTuple(int64, 2)(uint16[:, ::1], int32[:, ::1], int64, int64[::1], int64[::1], int64[::1], int64, int32[:, ::1])"
)
def _count_ring(
    state: NDArray[np.uint16],
    labels: NDArray[np.int32],
    label: int,
    areas: NDArray[np.int64],
    down: NDArray[np.int64],
    right: NDArray[np.int64],
    barred: int,
    ring: NDArray[np.int32],
) -> tuple[int, int]:
    """Clouds and pixels of an area's ring; `ring` marks by label what was counted."""
    rows, columns = state.shape
    clouds, size = 0, 0
    for i in range(rows):
        for j in range(columns):
            if labels[i, j] != label or not _is_border(labels, i, j, label):
                continue
            for n in range(down.size):
                v, u = i + down[n], j + right[n]
                if 0 <= v < rows and 0 <= u < columns and ring[v, u] != label:
                    ring[v, u] = label
                    if (state[v, u] & SNOW1) == 0 and (state[v, u] & barred) == 0:
                        size += 1
                        clouds += (state[v, u] & ANY_CLOUD) != 0
    return clouds, size


@kernel()
def _is_border(labels: NDArray[np.int32], i: int, j: int, label: int) -> bool:
    """True where a neighbour is not of the area: pixels inside reach nothing that those of the border do not."""
    rows, columns = labels.shape
    for v in range(max(i - 1, 0), min(i + 2, rows)):
        for u in range(max(j - 1, 0), min(j + 2, columns)):
            if labels[v, u] != label:
                return True
    return False


@kernel("void(uint16[:, ::1], int32[:, ::1], int64)")
def _remove(state: NDArray[np.uint16], labels: NDArray[np.int32], label: int) -> None:
    """Snow of an area becomes cloud of pass 1."""
    for i in range(state.shape[0]):
        for j in range(state.shape[1]):
            if labels[i, j] == label:
                state[i, j] = (state[i, j] & ~np.uint16(SNOW1)) | np.uint16(CLOUD1)
