"""The contract of a chain: one decorated function from a scene to layers, and what it declares about itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from thalweg.errors import BadParameters
from thalweg.inputs import Band, Input
from thalweg.layer import DTYPES, Layer
from thalweg.masks import MEANINGS
from thalweg.parameters import Parameters, parameters_of, suggest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from thalweg.granule import Granule
    from thalweg.scene import Scene, Tileful

Arrays = Mapping[str, "NDArray[Any]"]


@dataclass(frozen=True, slots=True)
class Noted:
    """What the survey step gives back for one strip."""

    carry: Arrays = field(default_factory=dict)
    """Per-pixel arrays kept for the second step: a few bytes a pixel, no more."""
    totals: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """Integer arrays that are added up over the strips, so that no strip height can change the sum."""


@dataclass(frozen=True, slots=True)
class Strip:
    """Layers of one strip together with integer totals to add up; a plain mapping of layers will do without."""

    layers: Arrays
    """Layer name to rows."""
    totals: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """As in `Noted`."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What is said about a whole product once its last strip is done."""

    properties: Mapping[str, Any] = field(default_factory=dict)
    """STAC properties."""
    documents: Mapping[str, str] = field(default_factory=dict)
    """File name inside the product to text."""
    polygons: Mapping[str, str] = field(default_factory=dict)
    """Layers to be given as polygons too: name to the field that holds the value."""
    empty: bool = False
    """True for a product without one valid pixel, which a conformance profile writes all the same."""
    models: Mapping[str, Arrays] = field(default_factory=dict)
    """Role to arrays that the product is to carry as ``<role>.npz``, ready to be installed as a `Model`."""


@dataclass(frozen=True, slots=True)
class Names:
    """How a product and its files are called."""

    product: str
    """Name of the product, without the digits of the unit."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Layer name to file name; a layer that is absent is called ``<layer>.tif``."""


Grid = Literal["coarsest", "finest"]


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """A versioned function with declared parameters to declared layers, whatever its unit is."""

    name: str
    """Lower case, dots for a laboratory's own: ``snow``, ``lab.turbidity``."""
    version: str
    """Version of the algorithm: changes when results may change."""
    function: Callable[..., Any]
    """What computes the layers, strip by strip or of the whole tile."""
    outputs: tuple[Layer, ...]
    """Every layer that it can give."""
    parameters: Parameters
    """Declared parameters."""
    main: tuple[str, ...] = ()
    """Layers that the quicklook may show: the first of these that was made, else the first layer."""
    summary: tuple[str, ...] = ()
    """STAC properties that say most about a product, for people."""
    licence: str = "CC-BY-4.0"
    """Licence of its products, an SPDX identifier."""
    references: tuple[str, ...] = ()
    """Papers and code, a DOI or address each."""

    @property
    def description(self) -> str:
        """First sentence of the function's documentation."""
        return (self.function.__doc__ or "").strip().split("\n")[0]

    @property
    def collection(self) -> str:
        """Identifier of the STAC collection of its products."""
        return f"{self.name}-{self.version}"

    def prepare(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
        """Checked parameters as a mapping, and as the object that the functions receive."""
        values = self.parameters.resolve(given)
        return values, self.parameters.built(values)

    def outputs_for(self, parameters: Any) -> tuple[Layer, ...]:
        """Every layer that it can give with these parameters."""
        return self.outputs

    def layer(self, name: str, parameters: Any) -> Layer:
        """The declared layer of that name."""
        outputs = self.outputs_for(parameters)
        for layer in outputs:
            if layer.name == name:
                return layer
        known = ", ".join(layer.name for layer in outputs)
        raise BadParameters(
            f"chain {self.name!r} gave back the layer {name!r}, which it does not declare: {known}"
        )


@dataclass(frozen=True, kw_only=True)
class Chain(Declaration):
    """A chain whose unit is a granule: declared inputs to declared layers."""

    inputs: Sequence[Input] | Callable[[Any, Granule | None], Sequence[Input]]
    """Declared inputs, or a function of parameters and granule (None: in general) where they depend on these."""
    grid: Grid | int = "coarsest"
    """Working grid: that of the coarsest or finest band that is read, or a pixel size in metres."""
    halo: int | Callable[[Any, Granule | None], int] = 0
    """Rows and columns of neighbours that a strip needs, or a function of parameters and granule (None: in general)."""
    whole: bool = False
    """True where the function needs the whole tile at once."""
    sample: Callable[..., Any] | None = None
    """Before the survey, strip by strip from the top: `scene.settled` is what it gave back for the strip above (None at
    first), and it gives back the same, grown. Inputs read in `sample` and again later are decoded twice."""
    learn: Callable[..., Any] | None = None
    """After the sample, once: from it, as `tile.settled`, to what the survey sees as `scene.settled`."""
    survey: Callable[..., Noted] | None = None
    """First step, strip by strip."""
    settle: Callable[..., Any] | None = None
    """Between the steps, once: from totals, carry and whole static layers to what the second step needs."""
    conclude: Callable[..., Conclusion] | None = None
    """After the last strip, once."""
    gate: Sequence[str] | Callable[[Any], Sequence[str]] = ()
    """Mask meanings that make a pixel unusable: a granule without any other pixel ends as `no data` before a band is
    read."""
    layers: Callable[[Any], Sequence[Layer]] | None = None
    """Layers with given parameters, where these decide how a layer is stored or add some; None: always `outputs`."""
    extended: Callable[[Chain, str, Mapping[str, Any]], Chain] | None = None
    """Takes up what a user's file declares (its path, its names to values) and gives back the chain with it; None: the
    chain takes nothing up."""
    names: Callable[[Granule, Any, str, frozenset[str]], Names] | None = None
    """Product and file names from granule, parameters, software version and the names of the inputs that are there;
    None: ``<chain>_<tile>_<time>``."""
    levels: tuple[str, ...] = ("L2A",)
    """Processing levels that the chain accepts."""
    codes: Mapping[str, str] = field(default_factory=dict)
    """What its specification calls two errors of its inputs: `missing` ones, and those whose `grid` does not fit."""

    def __call__(self, scene: Scene, *arguments: Any, **keywords: Any) -> Any:
        """What the function itself gives back: a chain is called like the function that it was made of."""
        return self.function(scene, *arguments, **keywords)

    def inputs_for(self, parameters: Any, granule: Granule | None = None) -> tuple[Input, ...]:
        """Inputs with these parameters on this granule."""
        return tuple(self.inputs(parameters, granule) if callable(self.inputs) else self.inputs)

    def halo_for(self, parameters: Any, granule: Granule | None = None) -> int:
        """Neighbours that a strip needs with these parameters on this granule."""
        return self.halo(parameters, granule) if callable(self.halo) else self.halo

    def gate_for(self, parameters: Any) -> tuple[str, ...]:
        """Mask meanings of the gate with these parameters."""
        return tuple(self.gate(parameters) if callable(self.gate) else self.gate)

    def names_for(self, granule: Granule, parameters: Any, version: str, available: frozenset[str]) -> Names:
        """Names of the product of a granule and of its files."""
        if self.names is not None:
            return self.names(granule, parameters, version, available)
        return Names(f"{self.name}_{granule.tile}_{granule.sensed:%Y%m%dT%H%M%S}")

    def outputs_for(self, parameters: Any) -> tuple[Layer, ...]:
        """Every layer that the chain can give with these parameters."""
        return self.outputs if self.layers is None else tuple(self.layers(parameters))

    def call(self, step: Callable[..., Any], scene: Scene | Tileful, parameters: Any) -> Any:
        """Run a step with the parameters in the form that it declares: one object, or keywords."""
        return step(scene, parameters) if self.parameters.build else step(scene, **parameters)


_NAME = re.compile(r"[a-z][a-z0-9]*([._-][a-z0-9]+)*")
_VERSION = re.compile(r"[A-Za-z0-9]+([._+-][A-Za-z0-9]+)*")


def chain(
    name: str,
    *,
    version: str,
    inputs: Sequence[Input] | Callable[[Any, Granule | None], Sequence[Input]],
    outputs: Sequence[Layer],
    parameters: type | None = None,
    **options: Any,
) -> Callable[[Callable[..., Any]], Chain]:
    """Declare a function as a chain.

    The function receives a scene and its parameters as keywords; with `parameters`, a frozen dataclass, it receives
    that object instead. Further options are the fields of `Chain`. Raises BadParameters where the declaration
    contradicts itself, so that a mistake shows at import, not in a job.
    """

    def declare(function: Callable[..., Any]) -> Chain:
        declared = Chain(
            name=name,
            version=version,
            function=function,
            inputs=inputs,
            outputs=tuple(outputs),
            parameters=parameters_of(name, function, parameters),
            **options,
        )
        check_declaration(declared, _contradictions(declared))
        return declared

    return declare


def check_declaration(declared: Declaration, contradictions: Iterable[str]) -> None:
    """BadParameters for the first thing that is wrong with a declaration: its own `contradictions` come last."""
    for problem in (*_misnamed(declared), *_wrong_outputs(declared), *contradictions):
        raise BadParameters(f"chain {declared.name!r}: {problem}")


def _misnamed(chain: Declaration) -> Iterator[str]:
    if not _NAME.fullmatch(chain.name):
        yield "its name is made of lower case letters, digits and single . _ - between them"
    if not _VERSION.fullmatch(chain.version):
        yield f"its version {chain.version!r} is not made of letters, digits and single . _ + - between them"
    if not chain.function.__doc__:
        yield "its function needs a docstring that says what it computes"


def _contradictions(chain: Chain) -> Iterator[str]:
    if chain.settle and not chain.survey:
        yield "settle without survey"
    if bool(chain.sample) != bool(chain.learn) or (chain.sample and not chain.survey):
        yield "sample and learn go together, before a survey"
    if chain.whole and (chain.survey or chain.halo):
        yield "a whole-tile chain has neither survey nor halo"
    if isinstance(chain.halo, int) and chain.halo < 0:
        yield f"a halo of {chain.halo} pixels"
    yield from _wrong_inputs(chain)


def _wrong_outputs(chain: Declaration) -> Iterator[str]:
    names = [layer.name for layer in chain.outputs]
    if not names or len(set(names)) != len(names):
        yield f"needs outputs with different names, not {names}"
    for layer in chain.outputs:
        if layer.dtype not in DTYPES:
            yield f"layer {layer.name!r} is {layer.dtype}; layers are {', '.join(DTYPES)}"
    for name in chain.main:
        if name not in names:
            yield f"main layer {name!r} is not among its outputs: {', '.join(names)}"


def _wrong_inputs(chain: Chain) -> Iterator[str]:
    if not callable(chain.inputs):
        names = [declared.name for declared in chain.inputs]
        if len(set(names)) != len(names):
            yield f"needs inputs with different names, not {names}"
        if not any(isinstance(declared, Band) for declared in chain.inputs):
            yield "needs at least one band, whose grid is its own"
    if not callable(chain.gate):
        for meaning in chain.gate:
            if meaning not in MEANINGS:
                yield f"unknown meaning {meaning!r} in its gate. {suggest(meaning, list(MEANINGS))}"
