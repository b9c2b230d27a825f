"""Full tiles for the water benchmark, by the demo's generator: a summer landscape, and one that is nearly all water."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from thalweg.cog import write_cog
from thalweg.demo.muscate import write_product
from thalweg.demo.scene import Place, place, view
from thalweg.demo.series import SEED, STATICS, TILE
from thalweg.demo.sky import Weather
from thalweg.layer import Layer

BANDS = tuple(("FRE", band) for band in ("B2", "B3", "B4", "B8", "B11", "B12"))
"""What the water chain reads of a Sentinel-2 product of Theia."""
SENSED = datetime(2025, 7, 11, 10, 30, 31, 24000, UTC)
WEATHER = Weather(cloud=0.10, veil=0.04)

_SHORE = 3
_ISLAND = 20


def write_tile(folder: Path, size: int, change: Callable[[Place], Place] = lambda where: where) -> Path:
    """A granule of `size` x `size` pixels of 20 m, twice as many of 10 m, with its static layers in ``STATIC``.

    Made once, and whole or not at all.
    """
    if made := sorted(folder.glob("SENTINEL2*")):
        return made[0]
    making = folder.with_name(folder.name + ".part")
    where = change(place(TILE, size, SEED))
    write_statics(where, making / STATICS / TILE.id)
    written = write_product(view(where, SENSED, WEATHER), making, BANDS)
    making.rename(folder)
    return folder / written.path.name


def flooded(where: Place) -> Place:
    """The place as a shallow sea with an island along its upper edge, from which land can be learnt."""
    rows = where.lake.shape[0]
    lake = np.ones_like(where.lake)
    lake[: rows // _ISLAND] = False
    flat = np.where(lake, np.float32(0), np.float32(12))
    return replace(where, elevation=flat, lake=lake, tree_cover=np.zeros_like(where.tree_cover))


def write_statics(where: Place, home: Path) -> None:
    """Occurrence of water, percent, and the height above drainage, metres, on pixels of 10 m."""
    home.mkdir(parents=True, exist_ok=True)
    rows, columns = where.grid.shape
    fine = replace(where.grid, pixel=(10.0, 10.0), shape=(2 * rows, 2 * columns))
    layers = {"gsw_occurrence": (occurrence(where.lake), 255.0), "hand": (above_drainage(where), -9999.0)}
    for role, (values, nodata) in layers.items():
        layer = Layer(role, str(values.dtype), role, nodata=nodata)
        write_cog(home / f"{role}.tif", values.repeat(2, 0).repeat(2, 1), layer, fine)


def occurrence(lake: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """High on lakes, low along their shores, 0 elsewhere."""
    from scipy.ndimage import binary_dilation

    rng = np.random.default_rng(SEED)
    percent = np.where(lake, rng.integers(80, 101, lake.shape, np.uint8), 0)
    shore = binary_dilation(lake, iterations=_SHORE) & ~lake
    percent[shore] = rng.integers(1, 50, int(shore.sum()), np.uint8)
    return percent.astype(np.uint8)


def above_drainage(where: Place) -> NDArray[np.float32]:
    """Height above the lowest ground within half a kilometre, to a decimetre."""
    from scipy.ndimage import minimum_filter

    height = where.elevation - minimum_filter(where.elevation, 51)
    return np.asarray(np.round(height, 1), np.float32)
