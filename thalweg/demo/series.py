"""The demonstration's scenes on disk: one call from a tile and a date to a product with its static layers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from thalweg.demo.muscate import ALL_BANDS, SNOW_BANDS, Written, write_product, write_statics
from thalweg.demo.scene import Season, place, view
from thalweg.demo.sky import Weather
from thalweg.tile import Tile

STATICS = "STATIC"
"""Folder of the static layers, beside the products."""
TILE = Tile("31TCH")
"""Central Pyrenees and the plain north of them."""
SEED = 11
"""The mountains of the demonstration."""


@dataclass(frozen=True, slots=True)
class Visit:
    """An acquisition of the demonstration."""

    sensed: datetime
    """When, UTC."""
    weather: Weather
    """What hides the ground."""


VISITS = (
    Visit(
        datetime(2024, 12, 3, 10, 30, 31, 24000, UTC), Weather(cloud=0.13, veil=0.06, dark=0.03, beyond=0.03)
    ),
    Visit(datetime(2025, 1, 22, 10, 30, 29, 24000, UTC), Weather(cloud=0.04, veil=0.03, dark=0.03)),
    Visit(datetime(2025, 4, 12, 10, 30, 33, 24000, UTC), Weather(cloud=0.10, veil=0.04, dark=0.02)),
)
"""Early winter, mid-winter, spring melt."""


def write_scene(
    folder: Path,
    tile: Tile,
    sensed: datetime,
    *,
    size: int = 1098,
    seed: int = SEED,
    weather: Weather | None = None,
    season: Season | None = None,
    bands: Literal["snow", "all"] = "snow",
) -> Written:
    """A product in `folder` and its static layers in ``folder/STATIC/<tile>``.

    `size` counts pixels of 20 m, a multiple of 6 up to 5490, the whole tile; the 10 m bands have twice as many.
    `bands` writes what the snow chain reads, or all ten bands in both corrections. Raises BadParameters for a size
    out of range or a date with the sun below 3 degrees.
    """
    where = place(tile, size, seed)
    write_statics(where, folder / STATICS)
    return write_product(
        view(where, sensed, weather, season), folder, ALL_BANDS if bands == "all" else SNOW_BANDS
    )
