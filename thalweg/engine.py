"""The engine: feeds a chain with strips of a granule and hands its layers on; blocked and whole results are equal.

A chain is run in one of three ways, as it declares: strip by strip (with a halo or without), on the
whole tile at once, or survey then apply, where the survey reduces strips to integer totals and keeps a few bytes a
pixel, so that no band is decoded twice and no raster is written in between.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Executor, Future
from contextlib import closing
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from thalweg.chain import Chain, Conclusion, Noted, Strip
from thalweg.dataset import wants_dataset
from thalweg.errors import BadParameters, NoData
from thalweg.layer import Layer
from thalweg.scene import Scene, Tileful
from thalweg.strips import SOURCE_ROWS, Consume, Rows, Run, Walk, Work, strip_bounds, strips_of, walk_strips

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.holding import Held
    from thalweg.inputs import Step
    from thalweg.raster import Raster
    from thalweg.scenery import Scenery


class Sink(Protocol):
    """What takes the layers of a product, rows in order."""

    def append(self, layer: Layer, rows: NDArray[Any]) -> None:
        """Add rows to a layer; may be called from several threads, for one layer never from two."""
        ...


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
    for first, last in strip_bounds(height, SOURCE_ROWS, 0):
        if not np.all(feed.rows(first, last)):
            return
    raise NoData(f"{scenery.granule.path}: every pixel is {' or '.join(meanings).replace('_', ' ')}")


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
        layer = self.chain.layer(name, self.parameters)
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
            scenery.packings,
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
            packings=scenery.packings,
            upstream={name: produced.unit for name, produced in scenery.produced.items()},
            models=scenery.models,
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
