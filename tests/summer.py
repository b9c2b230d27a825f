"""A small granule that all chains of granules can read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tests.winter import Winter
from thalweg import Layer
from thalweg.cog import write_cog
from thalweg.demo.muscate import ALL_BANDS, write_product, write_statics
from thalweg.demo.scene import Place, place, view
from thalweg.demo.series import SEED, TILE
from thalweg.demo.sky import Weather

SIDE = 120
"""Pixels of 20 m, across."""


def make_summer(folder: Path) -> Winter:
    """Flat and surface reflectance of all bands, half of it a lake, with static layers."""
    where = half_a_lake(SIDE)
    write_lake_statics(where, folder / "STATIC")
    sensed = datetime(2025, 7, 11, 10, 30, 31, tzinfo=UTC)
    written = write_product(view(where, sensed, Weather(cloud=0.05, veil=0.02)), folder, ALL_BANDS)
    return Winter(written.path, folder / "STATIC")


def half_a_lake(side: int) -> Place:
    """A place whose eastern half is a lake."""
    where = place(TILE, side, SEED)
    lake = np.broadcast_to(np.arange(side) > side // 2, (side, side))
    return replace(where, lake=lake.copy(), elevation=np.where(lake, np.float32(300), where.elevation))


def write_lake_statics(where: Place, folder: Path) -> None:
    """The static layers of a place, its occurrence of water among them."""
    home = write_statics(where, folder)
    fine = replace(where.grid, pixel=(10.0, 10.0), shape=tuple(2 * size for size in where.grid.shape))
    known = np.where(where.lake, 90, 0).astype(np.uint8).repeat(2, 0).repeat(2, 1)
    write_cog(home / "gsw_occurrence.tif", known, Layer("gsw_occurrence", "uint8", nodata=255), fine)
