"""Stand-in science: durations, memory and failures drawn from a file, products of a few bytes.

Everything else is the real thing: manifests, processes, receipts, staging, items. What is drawn depends on the unit,
the seed and, for failures that pass, on the attempt's token: a campaign rehearses the same way twice. Products go to
collections of their own, whose names begin with ``simulated-``.
"""

from __future__ import annotations

import json
import math
import os
import random
import re
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from thalweg.campaign.batch import Batch, BatchGranule, BatchUnit
from thalweg.campaign.receipt import Receipt, State
from thalweg.errors import ENDINGS, BadParameters, NoData, OutOfMemory, ThalwegError, classify
from thalweg.identity import short
from thalweg.item import RECIPE
from thalweg.record import read_record
from thalweg.settings import Job
from thalweg.stac import VERSION
from thalweg.staging import is_complete, staged
from thalweg.worker.account import measured, told
from thalweg.worker.measure import Cost

COLLECTION = "simulated-"
"""How the collections of simulated products begin."""

PASSING = frozenset({"service", "node-lost", "disk"})
"""Classes of failure that another attempt may not meet."""

DEATHS = {"crash": signal.SIGSEGV, "killed": signal.SIGKILL}
"""Endings that take the process with them, beside the classes of failure."""

_DATE = re.compile(r"(?<!\d)20\d{6}")


@dataclass(frozen=True, slots=True)
class Draw:
    """A quantity that is log-normal, and differs by tile."""

    median: float = 0.0
    """Half of the units have less."""
    spread: float = 0.0
    """Standard deviation of its logarithm between the units of a tile."""
    tiles: float = 0.0
    """Standard deviation of its logarithm between tiles."""

    def __call__(self, unit: random.Random, tile: random.Random) -> float:
        """One unit's quantity."""
        if not self.median:
            return 0.0
        return self.median * math.exp(self.spread * unit.gauss() + self.tiles * tile.gauss())


@dataclass(frozen=True, slots=True)
class Manner:
    """How the units of a chain behave."""

    seconds: Draw = Draw()
    """Wall time of a unit, s."""
    memory_mb: Draw = Draw()
    """Memory that a unit needs, MB: where its job has less, it ends as `memory`."""
    allocates: bool = False
    """True where that memory is really taken, so that the system has to refuse it."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Class of failure, ``no-data``, ``crash``, ``killed`` or ``hang`` to the share of units that end so."""

    def __post_init__(self) -> None:
        known = {*ENDINGS, *DEATHS, "hang"}
        strangers = sorted(set(self.shares) - known)
        if strangers:
            raise ValueError(f"shares: no ending {strangers[0]!r}; endings: {', '.join(sorted(known))}")
        if min(self.shares.values(), default=0) < 0 or sum(self.shares.values()) > 1:
            raise ValueError("shares: each is at least 0, and their sum at most 1")


@dataclass(frozen=True, slots=True)
class StandIn:
    """What a simulation draws from."""

    usual: Manner = Manner()
    """How units behave."""
    chains: Mapping[str, Manner] = field(default_factory=dict)
    """Chains that behave otherwise."""

    def of(self, chain: str) -> Manner:
        """How units of a chain behave."""
        return self.chains.get(chain, self.usual)


def read_stand_in(path: Path) -> StandIn:
    """The content of a stand-in file; BadParameters names file and field."""
    from thalweg.parameter_files import read_sections

    sections = read_sections(path)
    try:
        return read_record(StandIn, sections)
    except BadParameters as problem:
        raise BadParameters(f"{path}: {problem.message}") from problem


class Simulator:
    """Makes the products of a batch out of thin air."""

    def __init__(self, batch: Batch, job: Job) -> None:
        if batch.simulate is None:
            raise BadParameters(f"batch {batch.id}: does not ask for stand-in science")
        self._batch, self._job, self._seed = batch, job, batch.simulate.seed
        self._stand_in = read_stand_in(Path(batch.simulate.file))
        self._versions = {chain.name: chain.version for chain in batch.chains}

    def make(self, granule: BatchGranule, units: tuple[BatchUnit, ...]) -> Iterator[Receipt]:
        """The receipts of some units of a granule, each once it has ended."""
        return (self._made(granule, unit, alone=len(units) == 1) for unit in units)

    def _made(self, granule: BatchGranule, unit: BatchUnit, alone: bool) -> Receipt:
        begun, cpu = time.time(), time.process_time()
        error: ThalwegError | None = None
        product, existed = self._target(granule, unit), False
        try:
            self._behave(granule, unit)
            existed = self._published(granule, unit, product)
        except Exception as problem:  # noqa: BLE001 - as with real science, one unit's failure is its own
            error = classify(problem)
        cost = Cost(begun, time.time(), time.process_time() - cpu, 0.0, 0)
        return self._receipt(unit, cost, error, product if error is None else None, existed, alone)

    def _behave(self, granule: BatchGranule, unit: BatchUnit) -> None:
        """Take the unit's time, then end as it is drawn to end."""
        manner = self._stand_in.of(unit.chain)
        own, tile = self._random(unit.id), self._random(granule.tile)
        needed = manner.memory_mb(own, tile)
        taken = b"1" * int(needed * 1e6) if manner.allocates else b""
        if seconds := manner.seconds(own, tile):
            time.sleep(seconds)
        if not taken and needed > self._batch.resources.memory_mb:
            raise OutOfMemory(f"{needed:.0f} MB needed")
        ending = self._ending(unit, manner, own)
        if ending in DEATHS:
            os.kill(os.getpid(), DEATHS[ending])
        if ending == "hang":
            time.sleep(1e6)
        if ending:
            raise ENDINGS[ending](f"drawn: {unit.chain} on {Path(granule.path).name}")

    def _ending(self, unit: BatchUnit, manner: Manner, own: random.Random) -> str:
        """The ending that is drawn, empty where all goes well."""
        lot = own.random()
        for ending, share in manner.shares.items():
            lot -= share
            if lot < 0:
                passes = (
                    ending in PASSING and self._random(f"{unit.id} {self._batch.token}").random() >= share
                )
                return "" if passes else ending
        return ""

    def _random(self, text: str) -> random.Random:
        return random.Random(f"{self._seed} {text}")

    def _target(self, granule: BatchGranule, unit: BatchUnit) -> Path:
        sensed = _sensed(granule.path)
        label = _label(unit.chain)
        name = f"{label}_{granule.tile}_{sensed:%Y%m%d}_{short(unit.id)}"
        place = f"{COLLECTION}{label}/{granule.tile}/{sensed:%Y}/{sensed:%m}/{name}"
        return Path(self._batch.destination) / place

    def _published(self, granule: BatchGranule, unit: BatchUnit, product: Path) -> bool:
        """Put a product into place; True where there was one already."""
        if is_complete(product):
            return True
        with staged(Path(self._batch.destination), product, unit.id) as attempt:
            text = _item(product, granule, unit, self._versions[unit.chain])
            (attempt.folder / f"{product.name}.json").write_text(text)
            attempt.publish()
        return not attempt.won

    def _receipt(
        self,
        unit: BatchUnit,
        cost: Cost,
        error: ThalwegError | None,
        product: Path | None,
        existed: bool,
        alone: bool,
    ) -> Receipt:
        state: State = "done" if error is None else "no-data" if isinstance(error, NoData) else "failed"
        made = product is not None and not existed
        return Receipt(
            unit=unit.id,
            token=self._batch.token,
            state=state,
            host=self._job.host,
            job=self._job.id,
            bytes_out=(product / f"{product.name}.json").stat().st_size if product and made else 0,
            files=int(made),
            product=product.relative_to(self._batch.destination).as_posix() if product else "",
            existed=existed,
            alone=alone,
            **measured(cost),
            **told(state, error),
        )


def _label(chain: str) -> str:
    """A chain's name as part of a path: that of a chain in a file is a path itself."""
    return re.sub(r"[^\w.-]+", "-", chain.rpartition("/")[2])


@lru_cache(maxsize=16)
def _sensed(path: str) -> datetime:
    """Day of sensing as the granule's name tells it, else some day."""
    for match in _DATE.finditer(Path(path).name):
        with suppress(ValueError):
            return datetime.strptime(match[0], "%Y%m%d").replace(tzinfo=UTC)
    return datetime(2026, 1, 1, tzinfo=UTC)


def _item(product: Path, granule: BatchGranule, unit: BatchUnit, version: str) -> str:
    """The smallest item that a catalogue takes in: it says what was rehearsed, and where nothing is to be seen."""
    sensed = f"{_sensed(granule.path):%Y-%m-%dT%H:%M:%SZ}"
    recipe = {
        "chain": unit.chain,
        "version": version,
        "granule": {"id": Path(granule.path).name, "tile": granule.tile},
    }
    item = {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": [],
        "id": product.name,
        "collection": f"{COLLECTION}{_label(unit.chain)}",
        "geometry": {"type": "Point", "coordinates": [0, 0]},
        "bbox": [0, 0, 0, 0],
        "properties": {
            "datetime": sensed,
            "platform": "simulated",
            "thalweg:unit_id": unit.id,
            "thalweg:maturity": "final",
            "processing:expression": {"format": RECIPE, "expression": recipe},
        },
        "links": [],
        "assets": {},
    }
    return json.dumps(item, sort_keys=True)
