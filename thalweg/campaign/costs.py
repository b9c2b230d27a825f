"""What units cost, learnt from what was measured: CPU, wall time, bytes and files, by chain and by facts of tiles.

A ridge regression on whatever numbers the tile table has, and on the cloud cover of the granule; with few measurements
it leans to their mean, with none there is a guess that says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from thalweg.document import read_document, write_document
from thalweg.record import plain_record, read_record

if TYPE_CHECKING:
    from thalweg.campaign.ledger import Ledger
    from thalweg.campaign.plan import Plan

QUANTITIES = ("cpu_seconds", "wall_seconds", "bytes_in", "bytes_out", "files")
"""What a unit costs."""

GUESS: Mapping[str, float] = {
    "cpu_seconds": 30.0,
    "wall_seconds": 30.0,
    "bytes_in": 600e6,
    "bytes_out": 60e6,
    "files": 15.0,
}
"""What a unit is taken to cost before one was measured: roughly a whole tile of Sentinel-2."""

CLOUD = "cloud_cover"
"""Name of the fact that is the granule's own."""

_MOST_SAMPLES = 20_000
_SHRINK = 1.0
_MEASURED = (
    "SELECT units.chain, units.granule, attempts.cpu, attempts.ended - attempts.begun, attempts.bytes_in,"
    " attempts.bytes_out, attempts.files FROM attempts JOIN units ON units.number = attempts.unit"
    " WHERE attempts.state IN ('done', 'no-data') AND attempts.existed = 0 ORDER BY attempts.sequence DESC LIMIT ?"
)

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Line:
    """One cost as a linear function of facts."""

    base: float
    """Cost where every fact has its mean."""
    weights: tuple[float, ...]
    """Change of the cost by one deviation of each fact."""
    low: float
    """Least that was measured: nothing is predicted below half of it."""
    high: float
    """Most that was measured: nothing is predicted above twice of it."""


@dataclass(frozen=True, slots=True)
class ChainCosts:
    """What units of one chain cost."""

    units: int
    """Units that were measured."""
    facts: tuple[str, ...]
    """Names of the facts."""
    means: tuple[float, ...]
    """Mean of each fact; stands for one that is unknown."""
    deviations: tuple[float, ...]
    """Standard deviation of each fact."""
    lines: Mapping[str, Line]
    """Quantity to its line."""
    seconds: float
    """Median wall time of a unit, s."""

    def of(self, quantity: str, facts: Sequence[Mapping[str, float]]) -> Matrix:
        """The cost of units with these facts."""
        line = self.lines[quantity]
        values = line.base + _scaled(facts, self.facts, self.means, self.deviations) @ np.array(line.weights)
        clipped: Matrix = np.clip(values, line.low / 2, line.high * 2)
        return clipped


@dataclass(frozen=True, slots=True)
class Costs:
    """What units cost, by chain; a chain that is not there has not been measured."""

    chains: Mapping[str, ChainCosts]
    """Name of the chain to its costs."""

    def of(self, chain: str, quantity: str, facts: Sequence[Mapping[str, float]]) -> Matrix:
        """The cost of units of a chain on granules with these facts."""
        if chain not in self.chains:
            return np.full(len(facts), GUESS[quantity])
        return self.chains[chain].of(quantity, facts)

    def seconds(self, chain: str) -> float:
        """Median wall time of a unit of a chain, s."""
        return self.chains[chain].seconds if chain in self.chains else GUESS["wall_seconds"]


def granule_facts(plan: Plan) -> list[Mapping[str, float]]:
    """What is known of each granule of a plan: the numbers of its tile, and its cloud cover."""
    tiles, clouds = plan.granules["tile"].to_pylist(), plan.granules["cloud_cover"].to_pylist()
    return [
        plan.facts.get(tile, {}) if cloud is None else {**plan.facts.get(tile, {}), CLOUD: cloud}
        for tile, cloud in zip(tiles, clouds, strict=True)
    ]


def learn_costs(ledger: Ledger, plan: Plan) -> Costs:
    """What the latest measured units of a ledger teach about its chains."""
    facts = granule_facts(plan)
    rows = ledger.database.rows(_MEASURED, [_MOST_SAMPLES])
    names = [chain.chain for chain in plan.chains]
    measured = {name: [row for row in rows if names[row[0]] == name] for name in names}
    return Costs(
        {
            name: _fit([facts[row[1]] for row in some], np.array([row[2:] for row in some], np.float64))
            for name, some in measured.items()
            if some
        }
    )


def write_costs(path: Path, costs: Costs) -> None:
    """Write costs for a later campaign."""
    write_document(path, plain_record(costs))


def read_costs(path: Path) -> Costs:
    """Costs from a file; MissingInput, BadInput or BadParameters, naming the file, where there are none."""
    return read_record(Costs, read_document(path), str(path))


def _fit(facts: Sequence[Mapping[str, float]], measured: Matrix) -> ChainCosts:
    names = tuple(sorted({name for each in facts for name in each}))
    means = tuple(_mean(facts, name) for name in names)
    spread = _scaled(facts, names, means, (1.0,) * len(names))
    deviations = tuple(float(value) or 1.0 for value in spread.std(axis=0))
    scaled = _scaled(facts, names, means, deviations)
    lines = {name: _line(scaled, measured[:, at]) for at, name in enumerate(QUANTITIES)}
    return ChainCosts(len(facts), names, means, deviations, lines, float(median(measured[:, 1])))


def _line(scaled: Matrix, values: Matrix) -> Line:
    """Ridge regression; an outlier counts no more than the 99th percentile."""
    kept = np.minimum(values, np.percentile(values, 99))
    base = float(kept.mean())
    square = scaled.T @ scaled + _SHRINK * np.eye(scaled.shape[1])
    weights = np.linalg.solve(square, scaled.T @ (kept - base)) if scaled.size else np.zeros(scaled.shape[1])
    return Line(base, tuple(map(float, weights)), float(values.min()), float(values.max()))


def _mean(facts: Sequence[Mapping[str, float]], name: str) -> float:
    return float(np.mean([each[name] for each in facts if name in each]))


def _scaled(
    facts: Sequence[Mapping[str, float]],
    names: Sequence[str],
    means: Sequence[float],
    deviations: Sequence[Any],
) -> Matrix:
    rows = [[each.get(name, mean) for name, mean in zip(names, means, strict=True)] for each in facts]
    matrix = np.array(rows, np.float64).reshape(len(facts), len(names))
    scaled: Matrix = (matrix - np.array(means)) / np.array(deviations)
    return scaled
