"""The engine: feeds a chain with strips of a granule and hands its layers on; blocked and whole results are equal.

Reading, computing and writing overlap in one small pool: while a strip is computed, the next one is decoded and the
last one encoded. A chain is run in one of three ways, as it declares: strip by strip (with a halo or without), on the
whole tile at once, or survey then apply, where the survey reduces strips to integer totals and keeps a few bytes a
pixel, so that no band is decoded twice and no raster is written in between.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from thalweg.chain import Chain, Conclusion, Noted, Strip
from thalweg.dataset import wants_dataset
from thalweg.errors import BadParameters, NoData
from thalweg.layer import Layer
from thalweg.scene import Scene, Tileful

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.feed import Feed
    from thalweg.granule import BandFile
    from thalweg.inputs import Band, Step
    from thalweg.raster import Raster
    from thalweg.scenery import Scenery

Rows = tuple[int, int]
"""First row of a strip, and the one after its last."""

Progress = Callable[[float], None]
"""Told the share of the work that is done, 0 to 1."""

Work = Callable[[int, Mapping[str, "NDArray[Any]"]], Any]
"""Number of a strip and its inputs to a result; a job of the pool."""

Consume = Callable[[Rows, Any], Iterable["Future[None]"]]
"""Takes the result of a strip; what it leaves to the pool comes back."""

Walk = Generator[float, None, None]
"""A pass over the strips of a tile, a strip each time it is advanced."""

_SOURCE_ROWS = 256


class Sink(Protocol):
    """What takes the layers of a product, rows in order."""

    def append(self, layer: Layer, rows: NDArray[Any]) -> None:
        """Add rows to a layer; may be called from several threads, for one layer never from two."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """How a chain is run, which never changes its results."""

    strip_rows: int | None = None
    """Rows of a strip on the chain's grid; None: what suits the files."""
    progress: Progress = field(default=lambda share: None)
    """Told how far the work is."""


def compute(scenery: Scenery, parameters: Any, sink: Sink, run: Run, pool: Executor) -> Conclusion:
    """Run a chain on opened inputs and hand its layers to `sink`; what it says about the product comes back.

    Reading, computing and writing are jobs of `pool`. Raises NoData where the chain's gate or the chain itself finds
    nothing usable, before anything reaches the sink.
    """
    pass_gate(scenery, parameters)
    course = Course(scenery, parameters, sink, run, pool)
    for step in course.steps:
        for _ in course.walk(step):
            pass
    return course.conclude()


def pass_gate(scenery: Scenery, parameters: Any) -> None:
    """Read the masks of the chain's gate only; NoData where they leave not one usable pixel."""
    meanings = scenery.chain.gate_for(parameters)
    feed = scenery.gate_feed(meanings) if meanings else None
    if feed is None:
        return
    height = scenery.part.grid.shape[0]
    for first, last in strip_bounds(height, _SOURCE_ROWS, 0):
        if not np.all(feed.rows(first, last)):
            return
    raise NoData(f"{scenery.granule.path}: every pixel is {' or '.join(meanings).replace('_', ' ')}")


def strip_bounds(rows: int, height: int, shift: int) -> list[Rows]:
    """Strips of `height` rows; the first is `shift` rows shorter.

    A band that is reduced needs rows beyond its strip: the shift makes these end where a block of the file does, so
    that no block is decoded before its strip.
    """
    edges = [0, *range(height - shift if height > shift else height, rows, height), rows]
    return [(first, last) for first, last in pairwise(edges) if last > first]


def strips_of(scenery: Scenery, run: Run) -> list[Rows]:
    """The strips in which the rows of a scenery are asked for."""
    finest = scenery.finest
    height = run.strip_rows or max(1, _SOURCE_ROWS // finest)
    return strip_bounds(scenery.part.grid.shape[0], height, scenery.halo + (2 if finest > 1 else 0))


def walk_strips(
    feeds: Sequence[Feed], strips: Sequence[Rows], pool: Executor, work: Work, consume: Consume
) -> Walk:
    """Read, work on and consume strip after strip.

    Given to whoever drives it, before each strip: the share of the tile, 0 to 1, that is asked for once the strip is
    read. Whoever drives several walks may so keep them abreast.
    """
    pending: list[Future[Any]] = []
    reads: dict[str, Future[NDArray[Any]]] = {}

    def read(index: int) -> dict[str, Future[NDArray[Any]]]:
        if index >= len(strips):
            return {}
        return {feed.name: pool.submit(feed.rows, *strips[index]) for feed in feeds}

    try:
        for index, strip in enumerate(strips):
            yield strip[1] / strips[-1][1]
            reads = reads or read(index)
            values = {name: future.result() for name, future in reads.items()}
            computed = pool.submit(work, index, values)
            del values
            reads = read(index + 1)
            result = computed.result()
            for future in pending:
                future.result()
            pending = list(consume(strip, result))
        for future in pending:
            future.result()
    except BaseException:
        # Nothing may still read or write when the files are closed.
        wait([*reads.values(), *pending])
        raise


@dataclass(slots=True)
class Held:
    """Rows of bands that were read when other chains read the same files, kept until their chain's turn comes."""

    step: Step
    """The step that would read them."""
    bands: Mapping[str, tuple[Band, BandFile]]
    """Name to declaration and file."""
    strips: list[Rows]
    """The strips in which they are read."""
    size: int
    """Bytes that they take up in the end."""
    rows: dict[str, list[NDArray[Any] | None]] = field(default_factory=dict)
    """Name to one array a strip, as the feed gave it; None once it is taken."""

    def walk(self, scenery: Scenery, pool: Executor) -> Walk:
        """Read the bands; as `walk_strips` does."""
        feeds = [scenery.band_feed(name) for name in self.bands]
        try:
            yield from walk_strips(feeds, self.strips, pool, lambda index, values: values, self._keep)
        finally:
            for name in self.bands:
                scenery.bands[name][2].leave()

    def serves(self, scenery: Scenery, run: Run) -> bool:
        """True where all rows are there, and are those that a chain on this scenery asks for."""
        is_whole = all(len(self.rows.get(name, ())) == len(self.strips) for name in self.bands)
        are_same = all(scenery.bands.get(name, ())[:2] == found for name, found in self.bands.items())
        return is_whole and are_same and strips_of(scenery, run) == self.strips

    def take(self, strips: slice) -> dict[str, NDArray[Any]]:
        """The rows of some strips, each given only once."""
        taken = {}
        for name, rows in self.rows.items():
            parts = [part for part in rows[strips] if part is not None]
            rows[strips] = [None] * len(rows[strips])
            taken[name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return taken

    def _keep(self, strip: Rows, values: Mapping[str, NDArray[Any]]) -> Iterable[Future[None]]:
        for name, rows in values.items():
            self.rows.setdefault(name, []).append(rows)
        return ()


def hold(scenery: Scenery, run: Run, step: Step, names: Iterable[str]) -> Held:
    """What is to be held of a scenery's bands for a step: nothing yet."""
    bands = {name: scenery.bands[name][:2] for name in names}
    return Held(step, bands, strips_of(scenery, run), sum(held_bytes(scenery, name) for name in bands))


def held_bytes(scenery: Scenery, name: str) -> int:
    """What the rows of a band on the chain's grid take up."""
    rows, columns = scenery.part.grid.shape
    return rows * columns * (4 if scenery.bands[name][0].encoding == "reflectance" else 2)


def steps_of(chain: Chain) -> tuple[Step, ...]:
    """Sample, survey, apply: those that a chain declares, in order."""
    declared: tuple[tuple[Step, Any], ...] = (("sample", chain.sample), ("survey", chain.survey))
    return (*(step for step, function in declared if function), "apply")


class Course:
    """One chain on one granule, from the first strip to the conclusion: its steps are walked in order."""

    def __init__(
        self,
        scenery: Scenery,
        parameters: Any,
        sink: Sink,
        run: Run,
        pool: Executor,
    ) -> None:
        self.scenery, self.parameters, self.sink, self.run, self.pool = scenery, parameters, sink, run, pool
        self.chain: Chain = scenery.chain
        self.strips = [(0, scenery.part.grid.shape[0])] if self.chain.whole else strips_of(scenery, run)
        self.held: Held | None = None
        """Rows that need not be read again, where there are any."""
        self.carry: dict[str, list[Any]] = {}
        self.settled: Any = None
        self.layers: tuple[str, ...] = ()
        self._noted, self._summed = Totals(), Totals()
        self._done = 0

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps to be walked, in order."""
        return steps_of(self.chain)

    def bands(self, step: Step) -> dict[str, Raster]:
        """Name to raster of the bands that a step decodes."""
        bands = self.scenery.band_rasters(step)
        return {name: raster for name, raster in bands.items() if name not in self._held_for(step)}

    def walk(self, step: Step) -> Walk:
        """Walk one step over all strips, and settle what it is for; as `walk_strips` does."""
        parts: Mapping[Step, tuple[Work, Consume]] = {
            "sample": (self._gather, self._grow),
            "survey": (self._note, self._keep),
            "apply": (self._apply, self._hand_on),
        }
        work, consume = parts[step]
        feeds = self.scenery.feeds(step, without=self._held_for(step))

        def work_on(index: int, values: Mapping[str, NDArray[Any]]) -> Any:
            return work(index, {**values, **self._take_held(step, index)})

        try:
            with closing(walk_strips(feeds, self.strips, self.pool, work_on, consume)) as shares:
                for done, share in enumerate(shares):
                    self._advance(min(done, 1))
                    yield share
        finally:
            self.scenery.leave(self.bands(step))
        self._advance()
        self._close(step)

    def conclude(self) -> Conclusion:
        """What the chain says about the product, once its last step is walked."""
        if self.chain.conclude is None:
            return Conclusion()
        conclusion: Conclusion = self._call(self.chain.conclude, self._tileful(self._summed.sums))
        return conclusion

    def _held_for(self, step: Step) -> Collection[str]:
        held = self.held
        return held.bands if held and held.step == step and held.serves(self.scenery, self.run) else ()

    def _take_held(self, step: Step, index: int) -> dict[str, NDArray[Any]]:
        if self.held is None or not self._held_for(step):
            return {}
        return self.held.take(slice(None) if self.chain.whole else slice(index, index + 1))

    def _close(self, step: Step) -> None:
        if step == "sample" and self.chain.learn:
            self.settled = self._call(self.chain.learn, self._tileful({}))
        if step == "survey" and self.chain.settle:
            self.settled = self._call(self.chain.settle, self._tileful(self._noted.sums))

    def _advance(self, strips: int = 1) -> None:
        self._done += strips
        self.run.progress(self._done / (len(self.strips) * len(self.steps)))

    def _gather(self, index: int, values: Mapping[str, NDArray[Any]]) -> Any:
        sample = self.chain.sample
        if sample is None:
            raise BadParameters(f"chain {self.chain.name!r} has no sample")
        return self._call(sample, self._scene(index, values))

    def _grow(self, strip: Rows, grown: Any) -> Iterable[Future[None]]:
        self.settled = grown
        return ()

    def _note(self, index: int, values: Mapping[str, NDArray[Any]]) -> Noted:
        survey = self.chain.survey
        if survey is None:
            raise BadParameters(f"chain {self.chain.name!r} has no survey")
        noted: Noted = self._call(survey, self._scene(index, values))
        return noted

    def _keep(self, strip: Rows, noted: Noted) -> Iterable[Future[None]]:
        for name, rows in noted.carry.items():
            self.carry.setdefault(name, []).append(rows)
        self._noted.add(noted.totals, self.chain.name)
        return ()

    def _apply(self, index: int, values: Mapping[str, NDArray[Any]]) -> Strip:
        kept = {name: strips[index] for name, strips in self.carry.items()}
        result = self._call(self.chain.function, self._scene(index, {**values, **kept}))
        for strips in self.carry.values():
            strips[index] = None
        return result if isinstance(result, Strip) else Strip(result)

    def _hand_on(self, rows: Rows, strip: Strip) -> Iterable[Future[None]]:
        self._summed.add(strip.totals, self.chain.name)
        names = tuple(strip.layers)
        if not names:
            raise BadParameters(f"chain {self.chain.name!r} gave back no layer")
        if self.layers and set(names) != set(self.layers):
            raise BadParameters(
                f"chain {self.chain.name!r} gave other layers for one strip than for the first: {names}"
            )
        self.layers = self.layers or names
        shape = (rows[1] - rows[0], self.scenery.part.grid.shape[1])
        # Nothing is handed on before all is known to be in order: what is under way cannot be called back.
        packed = [self._packed(name, np.asarray(values), shape) for name, values in strip.layers.items()]
        return [self.pool.submit(self.sink.append, layer, values) for layer, values in packed]

    def _packed(self, name: str, values: NDArray[Any], shape: tuple[int, int]) -> tuple[Layer, NDArray[Any]]:
        layer = self.chain.layer(name)
        if values.shape != shape:
            raise BadParameters(
                f"chain {self.chain.name!r} gave {values.shape} pixels of {name!r} for a strip of {shape}"
            )
        return layer, pack(layer, values)

    def _scene(self, index: int, values: Mapping[str, NDArray[Any]]) -> Scene:
        scenery = self.scenery
        corner = (-scenery.part.row, -scenery.part.column)
        return Scene(
            scenery.granule,
            scenery.part.grid,
            self.strips[index],
            values,
            scenery.whole,
            self.settled,
            corner,
            scenery.tags,
            scenery.nodata,
            scenery.available,
        )

    def _tileful(self, totals: Mapping[str, NDArray[np.int64]]) -> Tileful:
        scenery = self.scenery
        return Tileful(
            granule=scenery.granule,
            grid=scenery.part.grid,
            totals=totals,
            strips=tuple(self.strips),
            carry=self.carry,
            whole=scenery.whole,
            available=scenery.available,
            settled=self.settled,
            corner=(-scenery.part.row, -scenery.part.column),
            tags=scenery.tags,
        )

    def _call(self, step: Callable[..., Any], scene: Scene | Tileful) -> Any:
        if isinstance(scene, Scene) and wants_dataset(step):
            from thalweg.dataset import from_dataset, to_dataset

            result = self.chain.call(step, to_dataset(scene), self.parameters)
            return from_dataset(result, scene.shape)
        return self.chain.call(step, scene, self.parameters)


class Totals:
    """Integer totals of strips, added up as they come."""

    def __init__(self) -> None:
        self.sums: dict[str, NDArray[np.int64]] = {}

    def add(self, more: Mapping[str, NDArray[np.int64]], chain: str) -> None:
        """Add those of one strip; only integers, whose sum no order of strips can change."""
        for name, value in more.items():
            array = np.asarray(value)
            if array.dtype.kind not in "iu":
                raise BadParameters(
                    f"chain {chain!r}: the total {name!r} is {array.dtype}; totals are integers"
                )
            if name in self.sums:
                self.sums[name] += array
            else:
                self.sums[name] = array.astype(np.int64)


def pack(layer: Layer, rows: NDArray[Any]) -> NDArray[Any]:
    """Rows as the layer stores them.

    Integers, and numbers in the layer's own type, are stored values already. Floats for an integer layer are unpacked
    ones: (value - offset) / scale, rounded half up. What is not finite or beyond the type's range becomes nodata, never
    a clipped value; BadParameters where the layer has no nodata. NaN in a float layer becomes its nodata likewise.
    """
    dtype = np.dtype(layer.dtype)
    if dtype.kind == "f":
        return _without_nan(layer, np.ascontiguousarray(rows, dtype))
    if rows.dtype == dtype or np.can_cast(rows.dtype, dtype):
        return np.ascontiguousarray(rows, dtype)
    packed = rows
    if rows.dtype.kind == "f":
        packed = np.floor((rows.astype(np.float64) - layer.offset) / layer.scale + 0.5)
    limits = np.iinfo(dtype)
    beyond = ~((packed >= limits.min) & (packed <= limits.max))
    if not beyond.any():
        return packed.astype(dtype)
    if layer.nodata is None:
        raise BadParameters(
            f"layer {layer.name!r}: values that {layer.dtype} cannot hold, and no nodata declared"
        )
    return np.where(beyond, layer.nodata, packed).astype(dtype)


def _without_nan(layer: Layer, rows: NDArray[Any]) -> NDArray[Any]:
    if layer.nodata is None or np.isnan(layer.nodata):
        return rows
    return np.where(np.isnan(rows), rows.dtype.type(layer.nodata), rows)
