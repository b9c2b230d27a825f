"""A winter scene: mountains with forest and lakes, and what a satellite sees of them on a given day.

Everything here is a field on pixels of 20 m; `thalweg.demo.reflectance` makes bands of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from thalweg.demo.fractal import Field, fractal, noise, smoothstep
from thalweg.demo.sky import Mask, Sky, Weather, feature_size, sky_over
from thalweg.demo.sunlight import Light, light, sun_over
from thalweg.demo.terrain import terrain
from thalweg.errors import BadParameters
from thalweg.granule import Sun
from thalweg.grid import Grid
from thalweg.tile import Tile

PIXEL = 20.0
"""Pixel size of the fields, metres."""
SNOW_LINES = (1200, 1150, 1250, 1430, 2000, 2600, 3200, 3400, 3100, 2300, 1500, 1200)
"""Elevation of the snow line in the middle of each month, metres: invented for 43 degrees north, no climatology."""


@dataclass(frozen=True, slots=True)
class Place:
    """The part of a tile where the scenes lie; the same on every date."""

    tile: Tile
    """Tile whose upper-left corner is that of the place."""
    seed: int
    """From which everything random follows."""
    grid: Grid
    """Pixels of 20 m."""
    elevation: Field
    """Metres."""
    lake: Mask
    """True on lakes."""
    tree_cover: NDArray[np.uint8]
    """Tree cover density, percent."""


@dataclass(frozen=True, slots=True)
class Season:
    """How the snow lies."""

    snow_line: float
    """Elevation of the snow line on flat ground, metres."""
    age: float
    """0 for fresh dry snow, 1 for old wet snow."""

    @property
    def aspect(self) -> float:
        """How much lower than on flat ground snow lies on steep shady slopes, metres: old snow shows it most."""
        return 180 + 350 * self.age


@dataclass(frozen=True, slots=True)
class View:
    """One acquisition of a place: fields on pixels of 20 m."""

    place: Place
    """What is seen."""
    sensed: datetime
    """When, UTC."""
    sun: Sun
    """Where the sun stood."""
    season: Season
    """How the snow lay."""
    light: Light
    """How the sun lit the ground."""
    margin: Field
    """Metres above the local snow line."""
    sky: Sky
    """Clouds, their shadows and the swath."""
    taken_for_cloud: Mask
    """Clear ground that the cloud mask takes for cloud."""

    @property
    def snow(self) -> Field:
        """Share of each pixel's ground under snow, 0 to 1."""
        return snow_share(self.margin)

    @property
    def water(self) -> Mask:
        """Lakes that are not frozen."""
        return self.place.lake & (self.place.elevation < self.season.snow_line + 150)


def place(tile: Tile, size: int = 1098, seed: int = 11) -> Place:
    """Mountains on `size` x `size` pixels of 20 m at the upper-left corner of a tile.

    `size` is a multiple of 6 (120 m), from 24 to 5490, the whole tile; else BadParameters.
    """
    whole = tile.grid(PIXEL)
    if size % 6 or not 24 <= size <= whole.shape[0]:
        raise BadParameters(
            f"size {size}: must be a multiple of 6 pixels of 20 m, from 24 to {whole.shape[0]}"
        )
    grid = whole.window(0, 0, (size, size))
    ground = terrain(grid.shape, PIXEL, seed)
    trees = tree_cover(ground.elevation, ground.lake, ground.drainage, seed)
    return Place(tile, seed, grid, ground.elevation, ground.lake, trees)


def tree_cover(elevation: Field, lake: Mask, drainage: Field, seed: int) -> NDArray[np.uint8]:
    """Tree cover density, percent: dense below the tree line, with clearings, none on meadows along the rivers.

    `drainage` is the logarithm (base 10) of the area drained, km2.
    """
    rng = np.random.default_rng([seed, 2])
    stands = fractal(elevation.shape, rng, largest=32, roughness=0.7)
    line = 1850 + 110 * stands
    dense = smoothstep(line - elevation, 0, 260) * smoothstep(stands, -1.1, 0.1)
    dense *= 1 - smoothstep(drainage, 0.2, 0.9)
    cover = dense * (82 + 9 * noise(elevation.shape, rng))
    cover[lake | (cover < 8)] = 0
    return np.asarray(np.clip(cover, 0, 100).round(), np.uint8)


def season_on(sensed: datetime) -> Season:
    """The usual season of a date: new snow until mid-February, ever older until May."""
    middles = np.arange(-1, 13) * 30.44 + 15
    lines = (SNOW_LINES[-1], *SNOW_LINES, SNOW_LINES[0])
    day = sensed.timetuple().tm_yday
    age = float(np.clip((day - 40) / 70, 0, 1)) if day < 240 else 0.0
    return Season(float(np.interp(day, middles, lines)), age)


def view(
    where: Place, sensed: datetime, weather: Weather | None = None, season: Season | None = None
) -> View:
    """What there is to see of a place on a date, in the usual season and moderate weather where none is given."""
    weather, season = weather or Weather(), season or season_on(sensed)
    rng = np.random.default_rng([where.seed, 3, sensed.toordinal()])
    sun = sun_over(where.tile, sensed, where.grid.shape[0] * PIXEL)
    lit = light(where.elevation, PIXEL, sun)
    margin = snow_margin(where, season)
    sky = sky_over(where.grid.shape, PIXEL, sun, weather, rng)
    dim = (where.tree_cover > 25) | (lit.depth > 0) | (snow_share(margin) < 0.8)
    doubtful = dim & (snow_share(margin) > 0.05) & (sky.cloud <= 0)
    return View(where, sensed, sun, season, lit, margin, sky, taken_for_cloud(doubtful, weather.dark, rng))


def snow_margin(where: Place, season: Season) -> Field:
    """Metres above the local snow line: lower in the shade, patchy along its edge, no snow on cliffs."""
    rng = np.random.default_rng([where.seed, 4])
    margin = where.elevation - np.float32(season.snow_line)
    margin += fractal(margin.shape, rng, largest=32, roughness=0.75) * np.float32(45 + 40 * season.age)
    down, right = np.gradient(where.elevation, np.float32(PIXEL))
    slope = np.hypot(down, right)
    # Ground that rises to the south (`down` the rows) faces north, away from the sun of the northern hemisphere.
    shady = down if where.tile.epsg < 32700 else -down
    margin += np.float32(season.aspect) * shady / np.sqrt(1 + slope * slope)
    margin -= 700 * smoothstep(slope, 1.0, 1.7)
    margin[where.lake] -= 60
    return np.asarray(margin, np.float32)


def snow_share(margin: Field) -> Field:
    """Share of the ground under snow so many metres above the local snow line, 0 to 1."""
    return smoothstep(margin, -70, 110)


def taken_for_cloud(doubtful: Mask, share: float, rng: np.random.Generator) -> Mask:
    """Patches, about `share` of the scene, of the ground where a multi-temporal test may take new snow for cloud."""
    if share <= 0 or not doubtful.any():
        return np.zeros(doubtful.shape, np.bool_)
    field = fractal(doubtful.shape, rng, largest=feature_size(doubtful.shape, 64), roughness=0.45)
    among = min(1.0, share / float(doubtful.mean()))
    return doubtful & (field > np.quantile(field[doubtful], 1 - among))
