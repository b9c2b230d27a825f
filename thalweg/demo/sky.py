"""What lies between satellite and ground: clouds, their shadows, and the edge of the swath."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thalweg.demo.fractal import Field, fractal, smoothstep
from thalweg.granule import Sun

Mask = NDArray[np.bool_]
"""Rows x columns of yes and no."""

CLOUD_HEIGHT = 1100.0
"""Height of thick clouds above the ground, metres."""
LEAN = 0.2
"""How far the edge of the swath moves west with each pixel south."""


@dataclass(frozen=True, slots=True)
class Weather:
    """What hides the ground; shares of the scene, 0 to 1."""

    cloud: float = 0.1
    """Thick clouds, which cast shadows."""
    veil: float = 0.05
    """High thin clouds."""
    dark: float = 0.03
    """Snow in forests, in the shade and along the snow line that the cloud mask takes for cloud."""
    beyond: float = 0.0
    """Outside the swath, along the eastern edge."""


@dataclass(frozen=True, slots=True)
class Sky:
    """Fields of what hides the ground."""

    cloud: Field
    """Opacity of thick clouds, 0 to 1."""
    veil: Field
    """Opacity of high clouds, 0 to 1."""
    shadow: Field
    """Share of the sunlight that clouds take away, 0 to 1."""
    from_outside: Mask
    """True where the cloud that would cast a shadow lies outside the scene."""
    valid: Mask
    """Inside the swath."""


def sky_over(
    shape: tuple[int, int], pixel: float, sun: Sun, weather: Weather, rng: np.random.Generator
) -> Sky:
    """Clouds over a scene of `shape` on pixels of `pixel` metres, and the shadows that they cast away from the sun."""
    down, right = toward_cloud(pixel, sun)
    rows, columns = shape
    wide = billows((rows + abs(down), columns + abs(right)), weather.cloud, rng)
    top, left = max(-down, 0), max(-right, 0)
    cloud = wide[top : top + rows, left : left + columns]
    caster = wide[top + down : top + down + rows, left + right : left + right + columns]
    return Sky(
        cloud=np.ascontiguousarray(cloud),
        veil=streaks(shape, weather.veil, rng),
        shadow=caster * np.float32(0.85),
        from_outside=~(_inside(rows, down)[:, None] & _inside(columns, right)[None, :]),
        valid=swath(shape, weather.beyond),
    )


def toward_cloud(pixel: float, sun: Sun) -> tuple[int, int]:
    """Pixels down and right from a shadow to the cloud that casts it."""
    away = CLOUD_HEIGHT * math.tan(math.radians(sun.zenith)) / pixel
    azimuth = math.radians(sun.azimuth)
    return round(-away * math.cos(azimuth)), round(away * math.sin(azimuth))


def billows(shape: tuple[int, int], share: float, rng: np.random.Generator) -> Field:
    """Opacity of thick clouds over about `share` of the field."""
    if share <= 0:
        return np.zeros(shape, np.float32)
    field = fractal(shape, rng, largest=feature_size(shape, 256), roughness=0.55)
    edge = float(np.quantile(field[::4, ::4], 1 - share))
    return smoothstep(field, edge, edge + 0.7)


def streaks(shape: tuple[int, int], share: float, rng: np.random.Generator) -> Field:
    """Opacity, at most a third, of thin high clouds over about `share` of the field, drawn out from west to east."""
    if share <= 0:
        return np.zeros(shape, np.float32)
    rows, columns = shape
    narrow = fractal((rows, -(-columns // 4)), rng, largest=feature_size(shape, 128), roughness=0.5)
    field = np.repeat(narrow, 4, axis=1)[:, :columns]
    edge = float(np.quantile(field[::4, ::4], 1 - share))
    return smoothstep(field, edge, edge + 1.5) * np.float32(0.33)


def swath(shape: tuple[int, int], beyond: float) -> Mask:
    """True inside the swath, whose eastern edge slants as the orbit does."""
    rows, columns = shape
    slant = LEAN * (np.arange(rows) - rows / 2) if beyond > 0 else np.zeros(rows)
    edge = np.ceil(columns * (1 - beyond) - slant)
    return np.asarray(np.arange(columns)[None, :] < edge[:, None])


def feature_size(shape: tuple[int, int], wanted: int) -> int:
    """Size of the largest features of a fractal, pixels: as wanted, but at most a third of a small scene."""
    return max(4, min(wanted, max(shape) // 3))


def _inside(size: int, offset: int) -> Mask:
    places = np.arange(size) + offset
    return np.asarray((places >= 0) & (places < size))
