"""Random fields: fractal noise made by doubling a small field again and again, with new detail each time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
"""Rows x columns of numbers."""


def doubled_rows(field: Field) -> Field:
    """Twice as many rows, half as high, smooth between the old ones (quadratic B-spline); edges are repeated."""
    rows, columns = field.shape
    near = field * np.float32(0.75)
    far = field * np.float32(0.25)
    fine = np.empty((2 * rows, columns), np.float32)
    np.add(near[1:], far[:-1], out=fine[2::2])
    np.add(near[:-1], far[1:], out=fine[1:-1:2])
    fine[0], fine[-1] = field[0], field[-1]
    return fine


def doubled_columns(field: Field) -> Field:
    """Twice as many columns, half as wide; see `doubled_rows`."""
    rows, columns = field.shape
    near = field * np.float32(0.75)
    far = field * np.float32(0.25)
    fine = np.empty((rows, 2 * columns), np.float32)
    np.add(near[:, 1:], far[:, :-1], out=fine[:, 2::2])
    np.add(near[:, :-1], far[:, 1:], out=fine[:, 1:-1:2])
    fine[:, 0], fine[:, -1] = field[:, 0], field[:, -1]
    return fine


def doubled(field: Field) -> Field:
    """The same field on pixels half as large."""
    return doubled_columns(doubled_rows(field))


def halved(field: Field) -> Field:
    """Means of 2 x 2 pixels; the shape must be even."""
    pairs = field[0::2] + field[1::2]
    return (pairs[:, 0::2] + pairs[:, 1::2]) * np.float32(0.25)


def noise(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """White noise of mean 0 and standard deviation 1."""
    return rng.standard_normal(shape, dtype=np.float32)


def fractal(
    shape: tuple[int, int], rng: np.random.Generator, *, largest: int, roughness: float = 0.5
) -> Field:
    """Fractal noise of mean 0 and standard deviation 1.

    `largest` is the size of its largest features in pixels; each octave below has `roughness` (0 to 1) times the
    amplitude of the one above: 0.35 is smooth, 0.5 like terrain, 0.7 rough.
    """
    octaves = max(1, largest.bit_length() - 1)
    field = np.zeros(_shape_at(shape, octaves), np.float32)
    amplitude = 1.0
    for octave in range(octaves, -1, -1):
        rows, columns = _shape_at(shape, octave)
        if octave < octaves:
            field = np.ascontiguousarray(doubled(field)[:rows, :columns])
        field += noise(field.shape, rng) * np.float32(amplitude)
        amplitude *= roughness
    return standardised(field)


def standardised(field: Field) -> Field:
    """The field with mean 0 and standard deviation 1, in place."""
    field -= np.float32(field.mean(dtype=np.float64))
    spread = np.float32(field.std(dtype=np.float64))
    if spread > 0:
        field /= spread
    return field


def smoothstep(field: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, a smooth rise between them."""
    share = np.clip((field - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def _shape_at(shape: tuple[int, int], octave: int) -> tuple[int, int]:
    return (
        -(-shape[0] >> octave) + 1 if octave else shape[0],
        -(-shape[1] >> octave) + 1 if octave else shape[1],
    )
