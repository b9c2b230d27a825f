"""A small synthetic winter granule with its static layers, made once a session by the demonstration's generator."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from thalweg.demo.show import write_winter_tile

SIZE = 180
"""Rows and columns at 20 m."""


@dataclass(frozen=True)
class Winter:
    """Where they are."""

    granule: Path
    static: Path

    def copy(self, folder: Path) -> Winter:
        """A copy to be damaged."""
        granule = shutil.copytree(self.granule, folder / self.granule.name)
        return Winter(granule, shutil.copytree(self.static, folder / "STATIC"))


def make_winter(folder: Path, size: int = SIZE) -> Winter:
    """The granule of a tile's upper left corner in mid-winter."""
    granule = write_winter_tile(folder, size)
    return Winter(granule, folder / "STATIC")


def rasters(product: Path) -> dict[str, bytes]:
    """Every raster of a product, by name."""
    return {
        path.relative_to(product).as_posix(): path.read_bytes() for path in sorted(product.rglob("*.tif"))
    }
