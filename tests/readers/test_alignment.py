"""Rasters on another grid: the pixel that contains the centre, of two that meet there the one with the larger index."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.cog import write_cog
from thalweg.errors import BadInput
from thalweg.grid import Grid
from thalweg.layer import Layer
from thalweg.opened import open_raster
from thalweg.raster import Raster
from thalweg.readers.alignment import OUTSIDE, Aligned

CODES = Layer("codes", "uint8")


def naive(values: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """Pixel by pixel, in exact fractions."""
    out = np.full(target.shape, OUTSIDE, np.uint8)
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            y = Fraction(source.top) - (
                Fraction(target.top) - (i + Fraction(1, 2)) * Fraction(target.pixel[1])
            )
            x = (
                Fraction(target.left)
                + (j + Fraction(1, 2)) * Fraction(target.pixel[0])
                - Fraction(source.left)
            )
            row, column = y // Fraction(source.pixel[1]), x // Fraction(source.pixel[0])
            if 0 <= row < source.shape[0] and 0 <= column < source.shape[1]:
                out[i, j] = values[row, column]
    return out


@given(
    pixel=st.sampled_from([10.0, 15.0, 20.0, 30.0, 60.0]),
    shift=st.tuples(st.integers(-9, 9), st.integers(-9, 9)),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    cut=st.integers(0, 7),
)
def test_the_nearest_pixel_is_taken(
    pixel: float,
    shift: tuple[int, int],
    shape: tuple[int, int],
    cut: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    target = Grid("EPSG:32631", 300000.0, 4900020.0, (20.0, 20.0), (7, 6))
    source = Grid("EPSG:32631", 300000.0 + 10 * shift[0], 4900020.0 + 10 * shift[1], (pixel, pixel), shape)
    values = np.arange(shape[0] * shape[1], dtype=np.uint8).reshape(shape)
    path: Path = tmp_path_factory.mktemp("nearest") / "codes.tif"
    write_cog(path, values, CODES, source)
    opened = open_raster(Raster(path))
    aligned = Aligned(opened, target)
    out = np.empty(target.shape, np.uint8)
    aligned.read(0, cut, out[:cut])
    aligned.read(cut, 7, out[cut:])
    opened.close()
    assert np.array_equal(out, naive(values, source, target))


def test_numbers_that_are_no_codes_are_refused(tmp_path: Path) -> None:
    grid = Grid("EPSG:32631", 300000.0, 4900020.0, (20.0, 20.0), (7, 6))
    write_cog(tmp_path / "x.tif", np.zeros(grid.shape, np.int16), Layer("x", "int16"), grid)
    opened = open_raster(Raster(tmp_path / "x.tif"))
    with pytest.raises(BadInput, match="int16"):
        Aligned(opened, grid)
    opened.close()
