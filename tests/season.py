"""A small season: six granules of a tile, one corrupt and one hidden by clouds, and what a plain run makes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

import thalweg
from tests.campaign.batches import unit_named
from tests.summer import half_a_lake, write_lake_statics
from tests.winter import rasters
from thalweg.campaign.batch import Batch, BatchChain, BatchGranule, BatchStatics, BatchUnit, Resources
from thalweg.demo.muscate import ALL_BANDS, write_product
from thalweg.demo.scene import view
from thalweg.demo.series import TILE, VISITS
from thalweg.parameter_files import gather
from thalweg.preparation import write_digest
from thalweg.registry import find_chain

SIZE = 96
"""Rows and columns at 20 m."""

GRANULES = 6


@dataclass(frozen=True)
class Season:
    """Where it is, and what a plain run makes of it."""

    granules: tuple[Path, ...]
    static: Path
    chains: tuple[str, ...]
    units: dict[tuple[str, str], str]
    """Granule and chain to the identity of the unit."""
    states: dict[str, str]
    """Unit to state, or class of its failure."""
    rasters: dict[str, bytes]
    """Every raster, by its path under the destination."""

    @property
    def account(self) -> dict[str, int]:
        """How many units a campaign has in which state, and of which class those are that failed or were skipped."""
        found = Counter(self._ending(granule, chain) for granule, chain in self.units)
        ended = {state: found.pop(state) for state in ("done", "no-data") if state in found}
        skipped = found["missing-input"]
        failed = found.total() - skipped
        return {**ended, **({"skipped": skipped} if skipped else {}), "failed": failed, **+found}

    def _ending(self, granule: str, chain: str) -> str:
        """State or class of failure; a campaign leaves out what was to read a product that could not be made."""
        water = self.states.get(self.units.get((granule, "water"), ""), "done")
        if chain == "quality" and water not in ("done", "no-data"):
            return "missing-input"
        return self.states[self.units[granule, chain]]

    def batch(self, destination: Path, granules: Sequence[Path] | None = None, **changes: Any) -> Batch:
        """The whole season, or some granules of it, as one batch."""
        values = {
            "campaign": "season",
            "id": "b0001",
            "token": 1,
            "destination": str(destination),
            "scratch": None,
            "statics": BatchStatics(folder=str(self.static)),
            "chains": tuple(self._chain(name) for name in self.chains),
            "resources": Resources(memory_mb=1500, seconds=600, cores=1),
            "granules": tuple(map(self._granule, granules or self.granules)),
        }
        return Batch(**(values | changes))

    def _granule(self, path: Path) -> BatchGranule:
        units = (BatchUnit(self.units[path.name, chain], chain) for chain in self.chains)
        return BatchGranule(str(path), TILE.id, tuple(units))

    @staticmethod
    def _chain(name: str) -> BatchChain:
        chain = find_chain(name)
        values, _ = chain.prepare(gather(chain, None, {}))
        return BatchChain(name, chain.version, values)


def make_season(folder: Path, chains: tuple[str, ...] = ("snow",)) -> Season:
    """Write the granules and run the chains on them, plainly."""
    where, static = half_a_lake(SIZE), folder / "static"
    write_lake_statics(where, static)
    for path in static.rglob("*.tif"):
        write_digest(path)
    days = [VISITS[1].sensed + timedelta(days=5 * number) for number in range(GRANULES)]
    granules = tuple(_granule(where, day, folder / "granules") for day in days)
    _cut(granules[2])
    _cover(granules[4])
    endings = thalweg.run(granules, chains, to=folder / "plain", static=static)
    units = {
        (Path(ending.granule).name, ending.chain): ending.unit or unit_named(ending.granule + ending.chain)
        for ending in endings
    }
    states = {
        units[Path(each.granule).name, each.chain]: each.error.kind if each.error else each.state
        for each in endings
    }
    return Season(granules, static, chains, units, states, rasters(folder / "plain"))


def _granule(where: Any, day: datetime, folder: Path) -> Path:
    return write_product(view(where, day, VISITS[1].weather), folder, ALL_BANDS).path


def _cut(granule: Path) -> None:
    """Cut a band in half, with and without correction of slopes."""
    for band in granule.glob("*RE_B3.tif"):
        band.write_bytes(band.read_bytes()[: band.stat().st_size // 2])


def _cover(granule: Path) -> None:
    """Put clouds everywhere, outside of the swath by the same mask."""
    for mask in granule.rglob("*CLM*.tif"):
        _fill(mask, 0b10000111)
    for mask in granule.rglob("*EDG*.tif"):
        _fill(mask, 1)


def _fill(path: Path, value: int) -> None:
    with rasterio.open(path, "r+") as raster:
        raster.write(np.full(raster.shape, value, raster.dtypes[0]), 1)
