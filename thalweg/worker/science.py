"""Units made by the chains."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from thalweg.attempt import Commission
from thalweg.campaign.batch import Batch, BatchChain, BatchGranule, BatchUnit
from thalweg.campaign.receipt import Receipt
from thalweg.chain import Chain
from thalweg.ending import Ending
from thalweg.errors import BadParameters, ThalwegError, classify
from thalweg.order import Assignment, Order
from thalweg.processing import process_granule
from thalweg.registry import find_granule_chain
from thalweg.settings import Job, Settings, read_settings, return_large_blocks
from thalweg.static import StaticLayers
from thalweg.worker.account import measured, told
from thalweg.worker.measure import Meter


class Science:
    """Makes the products of a batch."""

    def __init__(self, batch: Batch, job: Job) -> None:
        return_large_blocks()
        self._batch, self._job, self._meter = batch, job, Meter()
        self._assignments: dict[str, Assignment[Chain] | ThalwegError] = {
            chain.name: _assignment(chain) for chain in batch.chains
        }
        self._chains = frozenset(
            ready.chain.name for ready in self._assignments.values() if isinstance(ready, Assignment)
        )
        self._order = _order(batch)

    def make(self, granule: BatchGranule, units: tuple[BatchUnit, ...]) -> Iterator[Receipt]:
        """The receipts of some units of a granule, each once it has ended."""
        self._meter.start()
        ready = []
        for unit in units:
            match self._assignments[unit.chain]:
                case Assignment() as assignment:
                    ready.append((unit, assignment))
                case problem:
                    yield self._receipt(unit, Ending(unit.chain, granule.path, "failed", error=problem))
        yield from self._processed(granule, ready)

    def _processed(
        self, granule: BatchGranule, ready: list[tuple[BatchUnit, Assignment[Chain]]]
    ) -> Iterable[Receipt]:
        by_chain = {assignment.chain.name: unit for unit, assignment in ready}
        alone = len(ready) == 1
        for ending in self._endings(granule, ready):
            unit = by_chain.pop(ending.chain)
            yield self._receipt(unit, ending, alone)

    def _endings(
        self, granule: BatchGranule, ready: list[tuple[BatchUnit, Assignment[Chain]]]
    ) -> Iterable[Ending]:
        if isinstance(self._order, ThalwegError):
            problem = self._order
            return [Ending(each.chain.name, granule.path, "failed", error=problem) for _, each in ready]
        planned = {assignment.chain.name: unit.id for unit, assignment in ready}
        commission = Commission(self._batch.campaign, str(self._batch.token), planned, self._chains)
        order = replace(self._order, commission=commission)
        return process_granule(Path(granule.path), [assignment for _, assignment in ready], order)

    def _receipt(self, unit: BatchUnit, ending: Ending, alone: bool = True) -> Receipt:
        destination = Path(self._batch.destination)
        cost = self._meter.take()
        files = _files(ending.item) if ending.item else {}
        return Receipt(
            unit=unit.id,
            token=self._batch.token,
            state=ending.state,
            host=self._job.host,
            job=self._job.id,
            bytes_out=0 if ending.existed else sum(size for size, _ in files.values()),
            files=0 if ending.existed else len(files),
            product=ending.product.relative_to(destination).as_posix() if ending.product else "",
            existed=ending.existed,
            checksums={name: checksum for name, (_, checksum) in files.items()},
            alone=alone,
            **measured(cost),
            **told(ending.state, ending.error),
            trace=ending.trace,
        )


def _assignment(chain: BatchChain) -> Assignment[Chain] | ThalwegError:
    """The chain with its parameters, or why it is not the one that was planned."""
    try:
        found = find_granule_chain(chain.name)
        if found.version != chain.version:
            raise BadParameters(
                f"{chain.name}: planned with version {chain.version}, and version {found.version} is installed here",
                advice="Install the planned version, or plan the campaign again.",
            )
        return Assignment(found, *found.prepare(chain.parameters))
    except Exception as problem:  # noqa: BLE001 - a chain that cannot be loaded ends its own units only
        return classify(problem)


def _order(batch: Batch) -> Order | ThalwegError:
    try:
        statics = StaticLayers(
            Path(batch.statics.folder) if batch.statics.folder is not None else None,
            {role: Path(path) for role, path in batch.statics.files.items()},
            frozenset(batch.statics.without),
        )
    except ThalwegError as problem:
        return problem
    return Order(Path(batch.destination), statics, _settings(batch))


def _settings(batch: Batch) -> Settings:
    settings = read_settings()
    scratch = Path(batch.scratch) if batch.scratch else settings.scratch
    scratch.mkdir(parents=True, exist_ok=True)
    return replace(settings, scratch=scratch, threads=batch.resources.cores)


def _files(item: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """File of the product to its size and checksum."""
    return {
        asset["href"].removeprefix("./"): (asset.get("file:size", 0), asset.get("file:checksum", ""))
        for asset in item["assets"].values()
        if "file:size" in asset
    }
