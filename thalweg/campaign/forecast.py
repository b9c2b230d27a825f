"""The forecast: what a plan will cost, and how long it will take on its site."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from thalweg.campaign.costs import QUANTITIES, Costs, granule_facts
from thalweg.campaign.plan import Plan
from thalweg.campaign.site_file import Site


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the units of a plan will cost together."""

    units: int
    """Number of units."""
    cpu_hours: float
    """CPU time."""
    bytes_in: float
    """Bytes that will be read."""
    bytes_out: float
    """Bytes that will be written."""
    files: float
    """Files that will be made."""
    hours: Mapping[str, float]
    """Duration as each limit of the site has it: ``cpu``, ``bandwidth`` and ``files``."""
    measured: Mapping[str, int]
    """Chain to the number of measured units that the forecast rests on; 0 for a guess."""

    @property
    def duration_hours(self) -> float:
        """The longest of the three."""
        return max(self.hours.values())

    @property
    def limit(self) -> str:
        """Which of the three it is."""
        return max(self.hours, key=lambda name: self.hours[name])


def forecast(plan: Plan, costs: Costs, site: Site) -> Forecast:
    """The forecast of all units of a plan; those that turn out to have no data cost less, and count as measured."""
    totals = dict.fromkeys(QUANTITIES, 0.0)
    facts = granule_facts(plan)
    granules, chains = plan.units["granule"].to_numpy(), plan.units["chain"].to_numpy()
    for number, chain in enumerate(plan.chains):
        of_chain = [facts[row] for row in granules[chains == number].tolist()]
        for quantity in QUANTITIES:
            totals[quantity] += float(np.sum(costs.of(chain.chain, quantity, of_chain)))
    moved = totals["bytes_in"] + totals["bytes_out"]
    return Forecast(
        units=plan.units.num_rows,
        cpu_hours=totals["cpu_seconds"] / 3600,
        bytes_in=totals["bytes_in"],
        bytes_out=totals["bytes_out"],
        files=totals["files"],
        hours={
            "cpu": totals["cpu_seconds"] / site.cores / 3600,
            "bandwidth": moved / (site.bandwidth_mb_s * 1e6) / 3600,
            "files": totals["files"] / site.files_per_second / 3600,
        },
        measured={
            chain.chain: costs.chains[chain.chain].units if chain.chain in costs.chains else 0
            for chain in plan.chains
        },
    )


def heavy_tiles(plan: Plan, costs: Costs, site: Site) -> dict[str, int]:
    """Tiles whose batches would last longer than the site wants, with how many of their granules fit one."""
    usual = granules_per_batch(tuple(chain.chain for chain in plan.chains), costs, site)
    tiles = plan.granules["tile"].to_pylist()
    seconds = dict.fromkeys(tiles, 0.0)
    number = Counter(tiles)
    facts = granule_facts(plan)
    for chain in plan.chains:
        if chain.chain in costs.chains:
            for tile, each in zip(tiles, costs.of(chain.chain, "wall_seconds", facts).tolist(), strict=True):
                seconds[tile] += each / number[tile]
    fitting = {tile: max(1, int(site.job_seconds / each)) for tile, each in seconds.items() if each > 0}
    return {tile: granules for tile, granules in fitting.items() if granules < usual}


def granules_per_batch(plan_chains: tuple[str, ...], costs: Costs, site: Site) -> int:
    """How many granules of a tile one job takes, so that it lasts as long as the site wants."""
    seconds = sum(costs.seconds(chain) for chain in plan_chains)
    return max(1, int(site.job_seconds / max(seconds, 1e-3)))
