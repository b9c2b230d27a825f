"""A synthesis at work: products found, gathered by tile and period, every period ended with its class and product."""

from __future__ import annotations

import math
import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import numpy as np

from thalweg import credit
from thalweg.attempt import Clock, provenance_of, raster_tags, software_versions
from thalweg.chain import Conclusion
from thalweg.ending import Ending, State
from thalweg.engine import pack
from thalweg.errors import BadInput, Bug, MissingInput, NoData, ThalwegError, UsageError, classify
from thalweg.footprint import footprint
from thalweg.identity import short, unit_id
from thalweg.item import InputFile, Origin, build_item, item_file, read_item, write_item
from thalweg.opened import open_raster, raster_environment, to_lonlat
from thalweg.order import Assignment, Order
from thalweg.parameters import canonical_json
from thalweg.period import Period
from thalweg.product import ProductWriter, Written, describe_files, run_document
from thalweg.readers.alignment import Aligned
from thalweg.readers.members import Source
from thalweg.series import Counted, Gathering, Member, Rejected, Series
from thalweg.settings import return_large_blocks
from thalweg.staging import is_complete, staged
from thalweg.static import checksum
from thalweg.synthesis import Daily, Synthesis

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.chain import Names
    from thalweg.cube import CubeWriter
    from thalweg.grid import Grid
    from thalweg.layer import Layer

BLOCK = 512
"""Columns of the blocks in which days are computed."""

STRIP_ROWS = 512
"""Rows of a strip: a row of blocks of our files, so that each is decoded once."""

KEPT = 4 << 20
"""Bytes of arrays that are used again once they are freed: chunks of a state come and go by the thousand."""

MONTHLY, ANNUAL = "monthly", "annual"
"""Periods that stand for every calendar month or year of which there are products."""


class Contents(Protocol):
    """What a synthesis is computed from, opened."""

    gathering: Gathering
    """Which products."""
    grid: Grid
    """Grid of the tile."""
    counted: tuple[Counted, ...]
    """What each product adds to the identity of the unit."""
    inputs: tuple[InputFile, ...]
    """The same for the item."""

    def strips(self, rows: int | None) -> Iterator[tuple[int, Any]]:
        """The row after each strip, and what the synthesis's function receives for it."""
        ...


Opening = Callable[[], AbstractContextManager[Contents]]
"""Opens what a unit is computed from."""


def process_periods(
    paths: list[Path], assignment: Assignment[Synthesis], order: Order, period: str
) -> Iterator[Ending]:
    """Endings of a synthesis on the products at some paths: one a tile, period and origin of the products.

    A product that cannot be read has a failed ending of its own, and the others are used.
    """
    chain = assignment.chain
    return_large_blocks(KEPT)
    if order.box is not None:
        raise UsageError(f"a box, which {chain.name!r} does not take: products are used whole")
    try:
        with raster_environment(), Source(chain.of, chain.takes, order.settings.scratch) as source:
            members, unreadable = _read_members(source, paths)
            for path, problem in unreadable:
                yield Ending(chain.name, path.name, "failed", error=problem)
            units = _units(members, assignment, order, period) if members else ()
            for gathering, opening in units:
                yield _Unit(gathering, opening, assignment, order).end()
    except ThalwegError as problem:
        yield Ending(chain.name, " ".join(path.name for path in paths), "failed", error=problem)


def _read_members(source: Source, paths: list[Path]) -> tuple[list[Member], list[tuple[Path, ThalwegError]]]:
    """Products at some paths; and paths, or products in them, that cannot be read, with why."""
    members: list[Member] = []
    unreadable: list[tuple[Path, ThalwegError]] = []
    for path in paths:
        try:
            members += source.members(path)
        except ThalwegError as problem:
            unreadable.append((path, problem))
    return members, [*unreadable, *source.broken]


def _units(
    members: list[Member], assignment: Assignment[Synthesis], order: Order, period: str
) -> Iterator[tuple[Gathering, Opening]]:
    """Every unit with what opens its inputs."""
    periods = periods_of(period, members, assignment.chain)
    if assignment.chain.counting is not None:
        # Its state is kept by a library that only such a synthesis needs.
        from thalweg.tallying import tally_units

        yield from tally_units(members, assignment, order, periods)
        return
    for each in periods:
        yield from series_units(members, each, assignment, order)


def periods_of(text: str, members: Iterable[Member], chain: Synthesis) -> list[Period]:
    """The periods that are asked for, in order; UsageError where the synthesis takes no such period."""
    days = [member.day for member in members]
    if text == MONTHLY:
        return [Period.month(*month) for month in sorted({(day.year, day.month) for day in days})]
    if text == ANNUAL:
        return [Period.year(year) for year in sorted({day.year for day in days})]
    period = Period.parse(text)
    first, last = period.first_day, period.last_day
    whole = (Period.month(first.year, first.month), Period.year(first.year))
    if chain.calendar and period not in whole:
        raise UsageError(
            f"period {text!r}: chain {chain.name!r} makes products of calendar months and years",
            advice="Write 2021-01, 2021, monthly or annual.",
        )
    if first > last:
        raise UsageError(f"period {text!r} holds no day", id="SYN-07")
    return [period]


def series_units(
    members: list[Member], period: Period, assignment: Assignment[Synthesis], order: Order
) -> Iterator[tuple[Gathering, Opening]]:
    """Products by tile and origin, with those that are not used and why, and what opens them.

    A product of another program has no origin and belongs to all; one of another tile was named by hand, and is told.
    """
    chain, parameters = assignment.chain, assignment.parameters
    own = [member for member in members if not chain.is_across(member, parameters)] or members
    for tile in sorted({member.tile for member in own}):
        of_tile = [member for member in members if member.tile == tile or member not in own]
        for origin in sorted({member.origin for member in of_tile if member.origin}) or [""]:
            joined = [member for member in of_tile if member.origin in ("", origin)]
            strangers = [member for member in own if member.tile != tile and not member.origin]
            try:
                gathering = _gathering(tile, joined, strangers, period, assignment)
            except ThalwegError as problem:
                yield Gathering(tile, period, tuple(joined)), partial(_refuse, problem)
            else:
                yield gathering, partial(OpenSeries, gathering, order)


def _refuse(problem: ThalwegError) -> NoReturn:
    raise problem


def _gathering(
    tile: str,
    members: list[Member],
    strangers: list[Member],
    period: Period,
    assignment: Assignment[Synthesis],
) -> Gathering:
    used, rejected = (
        [],
        [Rejected(member, f"of tile {member.tile}") for member in sorted(strangers, key=_order)],
    )
    newest = _newest(members)
    for member in sorted(members, key=_order):
        reason = _reason(member, newest) or assignment.chain.reason_against(
            member, period, assignment.parameters
        )
        if reason:
            rejected.append(Rejected(member, reason))
        else:
            used.append(member)
    return Gathering(tile, period, tuple(used), tuple(rejected), len(used) + len(rejected))


def _order(member: Member) -> tuple[Any, ...]:
    """By day, within a day Sentinel-2 first: an order that does not depend on how products were given."""
    return member.day, member.is_landsat, member.sensed, member.name, str(member.raster.path)


def _newest(members: Iterable[Member]) -> dict[str, Member]:
    """The product that counts of each acquisition."""
    ordered = sorted(members, key=lambda member: member.acquisition)
    groups = groupby(ordered, key=lambda member: member.acquisition)
    return {
        acquisition: max(sorted(group, key=_order), key=lambda member: member.rank)
        for acquisition, group in groups
    }


def _reason(member: Member, newest: dict[str, Member]) -> str:
    best = newest[member.acquisition]
    if member.rank < best.rank:
        return f"superseded by {best.name}"
    if member is not best:
        return _repetition(member, best)
    return "withdrawn" if member.withdrawn else ""


def _repetition(member: Member, best: Member) -> str:
    """Two products of one acquisition and version must be the same."""
    if member.raster == best.raster:
        return "given twice"
    first, second = checksum(best.raster.path), checksum(member.raster.path)
    if first != second:
        raise BadInput(
            f"{member.raster.path} and {best.raster.path}: one acquisition ({member.acquisition}) and version "
            f"({member.version}), but sha256 {second} and {first}",
            id="E_CONFLICT",
            advice="Name the products that are to be used, or remove one of the two.",
        )
    return f"the same as {best.raster.path}"


class OpenSeries(ExitStack):
    """The products of a gathering, opened, on the grid of the first one of Sentinel-2."""

    def __init__(self, gathering: Gathering, order: Order) -> None:
        super().__init__()
        self.gathering = gathering
        if not gathering.members:
            reasons = "; ".join(f"{one.member.name}: {one.reason}" for one in gathering.rejected[:5])
            raise MissingInput(
                f"{gathering.tile}, {gathering.period}: no product is left. {reasons}", id="SYN-01"
            )
        self.pool = self.enter_context(ThreadPoolExecutor(order.settings.threads, thread_name_prefix="read"))
        sums = list(self.pool.map(checksum, [member.raster.path for member in gathering.members]))
        self.counted = tuple(
            Counted(member.acquisition, member.version, content, member.name)
            for member, content in zip(gathering.members, sums, strict=True)
        )
        self.inputs = tuple(
            InputFile(
                member.layer, member.raster.path.name, member.raster.path.stat().st_size, f"sha256:{content}"
            )
            for member, content in zip(gathering.members, sums, strict=True)
        )
        self._aligned, self.grid = self._open()

    def _open(self) -> tuple[list[Aligned], Grid]:
        members = self.gathering.members
        opened = []
        try:
            for member in members:
                opened.append(open_raster(member.raster))
                self.callback(opened[-1].close)
            main = next(
                (one for one, member in zip(opened, members, strict=True) if not member.is_landsat), None
            )
            grid = (main or opened[0]).grid
            # A series of Landsat alone has one grid too.
            same = [main is None or not member.is_landsat for member in members]
            return [Aligned(one, grid, same=must) for one, must in zip(opened, same, strict=True)], grid
        except BaseException:
            self.close()
            raise

    def strips(self, rows: int | None) -> Iterator[tuple[int, Series]]:
        """A strip after the other, every product read by a job of its own, into the memory of the strip before."""
        height, width = self.grid.shape
        step = min(rows or STRIP_ROWS, height)
        memory = np.empty(len(self._aligned) * step * width, np.uint8)
        for first, last in pairwise([*range(0, height, step), height]):
            shape = (len(self._aligned), last - first, width)
            values = memory[: math.prod(shape)].reshape(shape)
            jobs = zip(self._aligned, values, strict=True)
            for done in [self.pool.submit(one.read, first, last, out) for one, out in jobs]:
                done.result()
            yield last, Series(self.gathering, self.grid, (first, last), values)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is known of a unit before it is computed."""

    id: str
    """Identity of the unit."""
    names: Names
    """Names of product and files."""
    target: Path
    """Folder of the product."""


@dataclass(frozen=True, slots=True)
class _Cube:
    """A layer of every day on its way to its file."""

    daily: Daily
    """What it is."""
    writer: CubeWriter
    """Where it goes."""
    parameters: Any
    """Those of the synthesis."""

    def take(self, strip: Series) -> None:
        """Compute and write a strip, a few columns at a time: all days of a whole one would fill the memory."""
        width = strip.values.shape[2]
        for first, last in pairwise([*range(0, width, BLOCK), width]):
            block = replace(strip, values=strip.values[:, :, first:last].copy())
            self.writer.write(strip.rows[0], first, self.daily.function(block, self.parameters))


class _Unit:
    """One attempt at one tile and period."""

    def __init__(
        self, gathering: Gathering, opening: Opening, assignment: Assignment[Synthesis], order: Order
    ) -> None:
        self.gathering, self.opening, self.assignment, self.order = gathering, opening, assignment, order
        self.chain = assignment.chain
        self.id = ""
        self._clock = Clock()

    def end(self) -> Ending:
        """The product in place, or the reason why there is none."""
        try:
            return self._complete()
        except NoData as problem:
            return self._ending("no-data", error=problem)
        except Exception as problem:  # noqa: BLE001 - one unit's failure, whatever it is, must not harm the others
            error = classify(problem)
            trace = traceback.format_exc() if isinstance(error, Bug) else ""
            return self._ending("failed", error=error, trace=trace)

    def _complete(self) -> Ending:
        with self.opening() as contents:
            self.gathering = contents.gathering
            plan = self._plan(contents)
            if is_complete(plan.target):
                item = read_item(plan.target / f"{plan.target.name}.json")
                return self._ending(
                    "done", product=plan.target, existed=True, item=item, properties=item["properties"]
                )
            return self._make(contents, plan)

    def _plan(self, contents: Contents) -> _Plan:
        counted = sorted([one.acquisition, one.version, one.content] for one in contents.counted)
        self.id = unit_id(
            self.chain.name,
            self.chain.version,
            self.assignment.digest,
            [canonical_json(one) for one in counted],
            {},
            period=str(self.gathering.period),
        )
        names = self.chain.names_for(self.gathering, self.assignment.parameters, version("thalweg"))
        item = item_file(
            self.chain.collection, self.gathering.tile, self._start, f"{names.product}_{short(self.id)}"
        )
        return _Plan(self.id, names, (self.order.destination / item).parent)

    @property
    def _start(self) -> datetime:
        return datetime.combine(self.gathering.period.first_day, datetime.min.time(), UTC)

    def _make(self, contents: Contents, plan: _Plan) -> Ending:
        order, chain = self.order, self.chain
        with (
            ThreadPoolExecutor(order.settings.threads, thread_name_prefix="strip") as pool,
            staged(order.destination, plan.target, self.id) as attempt,
        ):
            tags = raster_tags(chain, self.assignment.values)
            writer = ProductWriter(attempt.folder, plan.names, contents.grid, order.codec, tags)
            try:
                cube = self._cube(contents, plan, attempt.folder)
                self._compute(contents, writer, cube, pool)
                item, properties = self._finish(contents, plan, writer, attempt.folder, pool)
            finally:
                writer.abandon()
            write_item(attempt.folder / f"{plan.target.name}.json", item)
            attempt.publish()
        return self._ending(
            "done", product=plan.target, properties=properties, item=item, existed=not attempt.won
        )

    def _cube(self, contents: Contents, plan: _Plan, folder: Path) -> _Cube | None:
        daily = self.chain.daily_for(self.assignment.parameters)
        if daily is None:
            return None
        # Its library is loaded only by those who ask for it.
        from thalweg.cube import CubeWriter

        days = daily.days(self.gathering, self.assignment.parameters)
        path = folder / plan.names.files.get(daily.layer.name, f"{daily.layer.name}.zarr")
        return _Cube(daily, CubeWriter(path, daily.layer, contents.grid, days), self.assignment.parameters)

    def _compute(self, contents: Contents, writer: ProductWriter, cube: _Cube | None, pool: Executor) -> None:
        """Layers of every strip, handed to the writer while the next strip is read."""
        height = contents.grid.shape[0]
        waiting: list[Any] = []
        for row, strip in contents.strips(self.order.strip_rows):
            if cube:
                cube.take(strip)
            layers = self.chain.compute(strip, self.assignment.parameters)
            for job in waiting:
                job.result()
            waiting = [
                pool.submit(writer.append, layer, pack(layer, rows))
                for layer, rows in self._stored(layers, strip)
            ]
            if self.order.progress:
                self.order.progress(self.gathering.id, self.chain.name, row / height)
        for job in waiting:
            job.result()
        if cube:
            cube.writer.close()

    def _stored(self, layers: Mapping[str, Any], strip: Any) -> Iterator[tuple[Layer, NDArray[Any]]]:
        for name, rows in layers.items():
            values = np.asarray(rows)
            # The next strip is read into the memory of this one while its layers are written.
            is_view = isinstance(strip, Series) and np.may_share_memory(values, strip.values)
            yield self.chain.layer(name, self.assignment.parameters), values.copy() if is_view else values

    def _finish(
        self, contents: Contents, plan: _Plan, writer: ProductWriter, folder: Path, pool: Executor
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        chain, gathering = self.chain, self.gathering
        said = chain.conclude(gathering, self.assignment.parameters) if chain.conclude else Conclusion()
        documents = {**said.documents, f"{chain.name}_run.json": self._run_document(contents)}
        concluded = Conclusion(said.properties, documents, said.polygons, said.empty)
        written = writer.finish(concluded, chain.main, pool)
        if daily := chain.daily_for(self.assignment.parameters):
            file = folder / plan.names.files.get(daily.layer.name, f"{daily.layer.name}.zarr")
            written.append(
                Written(daily.layer.name, file, daily.layer.description, (daily.layer.role,), daily.layer)
            )
        assets = describe_files(written, folder, contents.grid, pool)
        provenance = provenance_of(
            self.id, chain, self.assignment.values, contents.inputs, (), self.order.settings, self._clock
        )
        origin = origin_of(gathering, plan.target, self.order.destination)
        place = footprint(contents.grid, to_lonlat)
        item = build_item(
            plan.target.name,
            chain.collection,
            origin,
            contents.grid,
            assets,
            said.properties,
            provenance,
            chain,
            place,
        )
        return item, dict(said.properties)

    def _run_document(self, contents: Contents) -> str:
        gathering = self.gathering
        return run_document(
            {
                "unit": self.id,
                "chain": self.chain.name,
                "chain_version": self.chain.version,
                "parameters": self.assignment.values,
                "parameter_digest": self.assignment.digest,
                "tile": gathering.tile,
                "period": str(gathering.period),
                "used": [
                    {
                        "acquisition": one.acquisition,
                        "version": one.version,
                        "sha256": one.content,
                        "product": one.name,
                    }
                    for one in contents.counted
                ],
                "rejected": [
                    {"product": one.member.name, "reason": one.reason} for one in gathering.rejected
                ],
                "software": software_versions(),
            }
        )

    def _ending(self, state: State, **more: Any) -> Ending:
        return Ending(
            self.chain.name,
            self.gathering.id,
            state,
            unit=self.id,
            seconds=self._clock.seconds,
            tile=self.gathering.tile,
            sensed=self._start,
            summary=self.chain.summary,
            **more,
        )


def origin_of(gathering: Gathering, product: Path, destination: Path) -> Origin:
    """A gathering as the origin of the product in a folder."""
    period, members = gathering.period, gathering.members
    sensors = [credit.sensor_credit(member.platform, member.sensed) for member in members]
    return Origin(
        id=gathering.id,
        tile=gathering.tile,
        start=datetime.combine(period.first_day, datetime.min.time(), UTC),
        end=datetime.combine(period.last_day, datetime.min.time(), UTC) + timedelta(days=1, seconds=-1),
        when=str(period),
        lineage=f"on {len(members)} products of {gathering.tile}, {period}",
        # Products of a period that differ in what had arrived follow one another as baselines of a granule do.
        recipe={
            "id": f"{gathering.id}_r{gathering.received}",
            "tile": gathering.tile,
            "format": "products",
            "level": "L2B",
            "baseline": str(gathering.received),
            "orbit": None,
            "period": str(period),
        },
        links=tuple(_link(member, product, destination) for member in members),
        platforms=tuple(sorted({member.platform for member in members})),
        on_mgrs=gathering.on_mgrs,
        credits=tuple(
            said or sensor
            for member, sensor in zip(members, sensors, strict=True)
            for said in member.credits or ("",)
        ),
    )


def _link(member: Member, product: Path, destination: Path) -> dict[str, Any]:
    """A link to a product: to its item where it lies at the same destination, else by its name."""
    folder = member.raster.path.parent
    item = next(
        (place / f"{member.name}.json" for place in (folder, folder.parent) if place.name == member.name),
        None,
    )
    link = {"rel": "derived_from", "title": member.name}
    if item is None or not item.is_file() or not item.resolve().is_relative_to(destination.resolve()):
        return {**link, "href": f"urn:thalweg:product:{member.name}"}
    href = Path(os.path.relpath(item.resolve(), (destination.resolve() / product.relative_to(destination))))
    return {**link, "href": href.as_posix(), "type": "application/geo+json"}
