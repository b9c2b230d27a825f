"""Connected areas by flooding, pixel after pixel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

SIDES = ((-1, 0), (1, 0), (0, -1), (0, 1))
CORNERS = (*SIDES, (-1, -1), (-1, 1), (1, -1), (1, 1))

Pixels = set[tuple[int, int]]


def areas(belongs: np.ndarray, steps: tuple[tuple[int, int], ...]) -> Iterator[Pixels]:
    """The pixels of every connected area of a boolean plane."""
    left: Pixels = {(int(i), int(j)) for i, j in zip(*np.nonzero(belongs), strict=True)}
    while left:
        area, fresh = set(), [left.pop()]
        while fresh:
            i, j = fresh.pop()
            area.add((i, j))
            neighbours = {(i + di, j + dj) for di, dj in steps} & left
            left -= neighbours
            fresh += neighbours
        yield area


def surroundings(area: Pixels, steps: tuple[tuple[int, int], ...]) -> Pixels:
    """The places beside an area, beyond the edge of the plane too."""
    return {(i + di, j + dj) for i, j in area for di, dj in steps} - area


def close(water: np.ndarray, masked: np.ndarray, radius: int) -> np.ndarray:
    """Closing with a disc: masked pixels are no water when it grows, water when it shrinks, and stay masked.

    So is what lies outside.
    """
    offsets = [
        (di, dj)
        for di in range(-radius, radius + 1)
        for dj in range(-radius, radius + 1)
        if di * di + dj * dj <= radius * radius
    ]
    grown = _any(water & ~masked, offsets, outside=False)
    shrunk = ~_any(~grown & ~masked, offsets, outside=False)
    return shrunk & ~masked


def _any(plane: np.ndarray, offsets: list[tuple[int, int]], *, outside: bool) -> np.ndarray:
    rows, columns = plane.shape
    found = np.zeros_like(plane)
    for i in range(rows):
        for j in range(columns):
            for di, dj in offsets:
                inside = 0 <= i + di < rows and 0 <= j + dj < columns
                found[i, j] |= plane[i + di, j + dj] if inside else outside
    return found
