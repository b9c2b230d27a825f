"""One chain on one granule: opened, computed, written and published, beside the other chains of the granule."""

from __future__ import annotations

import traceback
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg import engine
from thalweg.attempt import Clock, provenance_of, raster_tags, software_versions
from thalweg.chain import Chain, Conclusion, Names
from thalweg.ending import Ending, State
from thalweg.errors import BadInput, Bug, MissingInput, NoData, classify
from thalweg.footprint import footprint
from thalweg.fusion import Pass, Passes
from thalweg.holding import Held, hold
from thalweg.identity import short, unit_id
from thalweg.inputs import Upstream
from thalweg.item import InputFile, Provenance, build_item, read_item, write_item
from thalweg.metering import Meter, MeteredPool
from thalweg.opened import to_lonlat
from thalweg.order import Assignment, Order
from thalweg.product import ProductWriter, describe_files, run_document
from thalweg.scenery import Scenery, open_scenery
from thalweg.sharing import Sharing
from thalweg.staging import is_complete, staged
from thalweg.static import digest_of
from thalweg.strips import Run, Walk
from thalweg.upstream import Find, Produced, read_product

if TYPE_CHECKING:
    from thalweg.granule import Granule
    from thalweg.inputs import Step
    from thalweg.raster import Raster

HELD_BYTES = 128 << 20
"""What rows that are held for a later pass may take up in memory; bands beyond that are decoded again."""


@dataclass(slots=True)
class Job:
    """What the units of one granule have in common."""

    granule: Granule
    """Which granule."""
    order: Order
    """What is asked of each."""
    chains: frozenset[str]
    """Names of the chains that are run."""
    threads: Executor
    """Reads, computes and writes for all of them."""
    sharing: Sharing = field(default_factory=Sharing)
    """Decoded rows."""
    checksums: dict[Path, Future[str]] = field(default_factory=dict)
    """Of the inputs: each file is read once for that."""
    room: int = HELD_BYTES
    """Bytes that rows may still take up that are held for a later pass."""

    def admit(self, scenery: Scenery) -> None:
        """Share decoded rows with the other chains, where there are any."""
        if len(self.chains) > 1:
            self.sharing.admit(scenery)

    def checksum(self, path: Path) -> Future[str]:
        """Checksum of an input file."""
        if path not in self.checksums:
            self.checksums[path] = self.threads.submit(crc32, path)
        return self.checksums[path]

    def make_room(self, scenery: Scenery, run: Run, step: Step, names: Iterable[str]) -> Held | None:
        """What is to be held of these bands: those whose files are largest first, as far as there is room."""
        chosen: list[str] = []
        for name in sorted(names, key=lambda name: -scenery.bands[name][3]):
            if hold(scenery, run, step, [*chosen, name]).size <= self.room:
                chosen.append(name)
        held = hold(scenery, run, step, chosen)
        self.room -= held.size
        return held if chosen else None


@contextmanager
def open_job(granule: Granule, order: Order, chains: frozenset[str]) -> Iterator[Job]:
    """What the units of a granule have in common, and threads for them until the end."""
    pool = ThreadPoolExecutor(order.settings.threads, thread_name_prefix="strip")
    try:
        yield Job(granule, order, chains, pool)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class Unit:
    """One attempt at one unit: a task of `thalweg.fusion`."""

    def __init__(self, assignment: Assignment[Chain], job: Job) -> None:
        self.assignment, self.job = assignment, job
        self.granule, self.order, self.chain = job.granule, job.order, assignment.chain
        self.id = ""
        self.meter = Meter()
        self.pool = MeteredPool(job.threads, self.meter)
        self._course: engine.Course | None = None
        self._step: Step = "sample"
        self._held: Held | None = None
        self._clock = Clock()

    @property
    def name(self) -> str:
        """Name of the chain."""
        return self.chain.name

    @property
    def after(self) -> frozenset[str]:
        """Chains of this job whose products this one reads."""
        read = frozenset(upstream.chain for upstream in self._upstreams())
        return (read & self.job.chains) - self.order.products.keys() - {self.name}

    def _upstreams(self) -> list[Upstream]:
        try:
            inputs = self.chain.inputs_for(self.assignment.parameters, self.granule)
        except Exception:  # noqa: BLE001 - it is met again, and told, when the unit begins
            return []
        return [declared for declared in inputs if isinstance(declared, Upstream)]

    def at_work(self) -> AbstractContextManager[object]:
        """Counts what this thread does as this unit's."""
        return self.meter

    def hold(self, rasters: frozenset[Raster]) -> Walk | None:
        """Rows that a later step will want of bands that are being read; None where that is nothing."""
        course = self._course
        if self._held:
            return None
        if course is None:
            return self._hold_before(rasters)
        here = frozenset(course.bands(self._step).values())
        later = course.steps[course.steps.index(self._step) + 1 :]
        self._held = self._worth_holding(course.scenery, later, rasters - here)
        return self._held.walk(course.scenery, self.pool) if self._held else None

    def _hold_before(self, rasters: frozenset[Raster]) -> Walk:
        """As `hold`, of a unit that waits for another one's product: its bands are opened for that alone."""
        order, parameters = self.order, self.assignment.parameters
        with open_scenery(
            self.chain, self.granule, parameters, order.static, order.box, bands_only=True
        ) as scenery:
            self.job.admit(scenery)
            self._held = self._worth_holding(scenery, engine.steps_of(self.chain), rasters)
            if self._held:
                yield from self._held.walk(scenery, self.pool)

    def _worth_holding(
        self, scenery: Scenery, steps: Sequence[Step], rasters: frozenset[Raster]
    ) -> Held | None:
        """What the first of these steps that reads a band reads of the rasters, as far as there is room."""
        for step in steps:
            wanted = scenery.band_rasters(step)
            if wanted:
                names = [name for name, raster in wanted.items() if raster in rasters]
                return self.job.make_room(scenery, self._run(), step, names)
        return None

    def begin(self, ended: Mapping[str, Ending]) -> Passes[Ending]:
        """Make the product, pass by pass; whatever fails is an ending."""
        self._clock = Clock()
        try:
            return (yield from self._complete(self._find(ended)))
        except NoData as problem:
            return self.ending("no-data", error=problem)
        except Exception as problem:  # noqa: BLE001 - one unit's failure, whatever it is, must not harm the others
            error = classify(problem)
            trace = traceback.format_exc() if isinstance(error, Bug) else ""
            return self.ending("failed", error=error, trace=trace)
        finally:
            self.job.room += self._held.size if self._held else 0
            self._course = self._held = None

    def _find(self, ended: Mapping[str, Ending]) -> Find:
        """Gives products of other chains: of those that ran in this job what they made there, and nothing older."""
        for upstream in self._upstreams():
            # A plan counts on the product, also where the chain could do without.
            if (upstream.required or self.order.commission) and upstream.chain in self.after:
                _check_ended(ended[upstream.chain], self.name)

        def find(chain: str, granule: Granule) -> Produced | None:
            if chain not in self.after:
                return self.order.find(chain, granule)
            product = ended[chain].product
            return read_product(product) if product else None

        return find

    def _complete(self, find: Find) -> Passes[Ending]:
        order, parameters = self.order, self.assignment.parameters
        with open_scenery(self.chain, self.granule, parameters, order.static, order.box, find) as scenery:
            statics = {role: digest_of(path) for role, path in sorted(scenery.static_files.items())}
            self.id = unit_id(
                self.chain.name,
                self.chain.version,
                self.assignment.digest,
                [self.granule.id],
                {**statics, **scenery.identity},
                list(order.box) if order.box else None,
            )
            self._check_plan()
            names = self.chain.names_for(self.granule, parameters, version("thalweg"), scenery.available)
            target = self._target(names)
            if is_complete(target):
                # The item comes along, so that a catalogue that lost it gets it back.
                item = read_item(target / f"{target.name}.json")
                return self.ending(
                    "done", product=target, existed=True, item=item, properties=item["properties"]
                )
            return (yield from self._make(scenery, statics, names, target))

    def ending(self, state: State, **more: Any) -> Ending:
        """The ending of this unit."""
        return Ending(
            self.chain.name,
            str(self.granule.path),
            state,
            unit=self.id,
            seconds=self._clock.seconds,
            cpu_seconds=self.meter.seconds,
            tile=self.granule.tile,
            sensed=self.granule.sensed,
            summary=self.chain.summary,
            **more,
        )

    def _check_plan(self) -> None:
        """BadInput where this is not the unit that was planned: the account would wait for that one for ever."""
        commission = self.order.commission
        planned = commission.planned.get(self.chain.name, self.id) if commission else self.id
        if planned != self.id:
            raise BadInput(
                f"{self.granule.id}: planned as unit {short(planned)}, and is {short(self.id)} by now: the granule, "
                f"a static layer or the chain is not the one that was planned",
                advice="Plan the campaign again: what is done stays done.",
            )

    def _target(self, names: Names) -> Path:
        when = self.granule.sensed
        folder = (
            self.order.destination / self.chain.collection / self.granule.tile / f"{when:%Y}" / f"{when:%m}"
        )
        return folder / f"{names.product}_{short(self.id)}"

    def _make(
        self, scenery: Scenery, statics: Mapping[str, str], names: Names, target: Path
    ) -> Passes[Ending]:
        order = self.order
        engine.pass_gate(scenery, self.assignment.parameters)
        self.job.admit(scenery)
        with staged(order.destination, target, self.id) as attempt:
            sums = self._checksums(scenery)
            tags = raster_tags(self.chain, self.assignment.values)
            writer = ProductWriter(attempt.folder, names, scenery.part.grid, order.codec, tags)
            try:
                conclusion = yield from self._walk(scenery, writer)
                item = self._finish(scenery, statics, conclusion, writer, attempt.folder, target, sums)
            finally:
                writer.abandon()
            write_item(attempt.folder / f"{target.name}.json", item)
            attempt.publish()
        return self.ending(
            "done", product=target, properties=conclusion.properties, item=item, existed=not attempt.won
        )

    def _walk(self, scenery: Scenery, writer: ProductWriter) -> Passes[Conclusion]:
        course = self._course = engine.Course(
            scenery, self.assignment.parameters, writer, self._run(), self.pool
        )
        if self.chain.whole and len(self.job.chains) > 1:
            yield self._read_beside_others(scenery)
        for step in course.steps:
            self._step, course.held = step, self._held
            yield Pass(frozenset(course.bands(step).values()), partial(course.walk, step))
        return course.conclude()

    def _read_beside_others(self, scenery: Scenery) -> Pass:
        """The bands of a whole-tile chain strip by strip, so that they can be read with those of other chains."""
        bands = scenery.band_rasters("apply")
        self._held = hold(scenery, self._run(), "apply", bands)
        self.job.room -= self._held.size
        return Pass(frozenset(bands.values()), partial(self._held.walk, scenery, self.pool))

    def _run(self) -> Run:
        told = self.order.progress
        if told is None:
            return Run(strip_rows=self.order.strip_rows)
        return Run(self.order.strip_rows, lambda share: told(self.granule.id, self.chain.name, share))

    def _finish(
        self,
        scenery: Scenery,
        statics: Mapping[str, str],
        conclusion: Conclusion,
        writer: ProductWriter,
        folder: Path,
        target: Path,
        sums: Mapping[str, tuple[Path, Future[str]]],
    ) -> dict[str, Any]:
        inputs = tuple(
            InputFile(role, path.name, path.stat().st_size, done.result())
            for role, (path, done) in sums.items()
        )
        layers = tuple(
            InputFile(role, path.name, path.stat().st_size, f"sha256:{statics[role]}")
            for role, path in sorted(scenery.static_files.items())
        )
        documents = {
            **conclusion.documents,
            f"{self.chain.name}_run.json": self._run_document(inputs, layers, scenery.produced),
        }
        written = writer.finish(replace(conclusion, documents=documents), self.chain.main, self.pool)
        assets = describe_files(written, folder, scenery.part.grid, self.pool)
        return build_item(
            target.name,
            self.chain.collection,
            self.granule,
            scenery.part.grid,
            assets,
            {**conclusion.properties, **({"thalweg:status": "empty"} if conclusion.empty else {})},
            self._provenance(inputs, layers),
            self.chain,
            footprint(scenery.part.grid, to_lonlat),
        )

    def _run_document(
        self,
        inputs: tuple[InputFile, ...],
        statics: tuple[InputFile, ...],
        produced: Mapping[str, Produced],
    ) -> str:
        return run_document(
            {
                "unit": self.id,
                "chain": self.chain.name,
                "chain_version": self.chain.version,
                "parameters": self.assignment.values,
                "parameter_digest": self.assignment.digest,
                "granule": self.granule.id,
                "box": self.order.box,
                "inputs": {file.role: {"file": file.file, "checksum": file.checksum} for file in inputs},
                "statics": {file.role: {"file": file.file, "checksum": file.checksum} for file in statics},
                "products": {
                    chain: {"product": found.product, "unit": found.unit} for chain, found in produced.items()
                },
                "software": software_versions(),
            }
        )

    def _provenance(self, inputs: tuple[InputFile, ...], statics: tuple[InputFile, ...]) -> Provenance:
        return provenance_of(
            self.id,
            self.chain,
            self.assignment.values,
            inputs,
            statics,
            self.order.settings,
            self._clock,
            self.meter.seconds,
            self.order.commission,
        )

    def _checksums(self, scenery: Scenery) -> dict[str, tuple[Path, Future[str]]]:
        files = {name: opened.path for name, (_, _, opened, _) in scenery.bands.items()}
        for name, (_, sources) in scenery.masks.items():
            files.update({f"{name}-{index}": source[0].path for index, source in enumerate(sources)})
        return {name: (path, self.job.checksum(path)) for name, path in sorted(files.items())}


def _check_ended(upstream: Ending, chain: str) -> None:
    """MissingInput or NoData where a chain that another one cannot do without made no product in this job."""
    if upstream.state == "no-data":
        raise NoData(
            f"{upstream.granule}: chain {upstream.chain!r}, whose product {chain!r} reads, has no data"
        )
    if upstream.product is None:
        raise MissingInput(
            f"{upstream.granule}: chain {chain!r} reads the product of chain {upstream.chain!r}, which failed in this "
            f"job: {upstream.error}",
            advice=f"Mend what made {upstream.chain!r} fail, and run both again.",
        )


def crc32(path: Path) -> str:
    """Checksum of an input, as ``crc32:<8 digits>``: it tells one file from another at a tenth of the cost of SHA-256,
    which on half a gigabyte of bands would be a fifth of the whole unit's work."""
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return f"crc32:{value:08x}"
