"""One algorithm of the water-quality chain as it is declared: built in, or in a scientist's own file.

Adding an algorithm is one declaration; docs/guide/add-a-water-quality-algorithm.md shows it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from thalweg.errors import BadParameters
from thalweg.kernels.formula import rows_of
from thalweg.kernels.recipe import BANDS, Algorithm, Blend
from thalweg.kernels.reflectance import Kind

Group = Literal["core", "profile", "expert", "user"]
Sensor = Literal["msi", "oli", "any"]

VARIABLES = ("chla", "spm", "tur", "acdom440", "kd490", "kd_par", "zsd", "index")
"""Variables whose packing is known."""

_ID = re.compile(r"[a-z][a-zA-Z0-9_]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Domain:
    """Where a formula holds."""

    variable: Algorithm
    """What is looked at."""
    lowest: float
    """Least value of it."""
    highest: float = math.inf
    """Greatest value of it."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """An algorithm: what it is called, what it computes from what, and where it comes from."""

    id: str
    """Name, which is that of its layer."""
    variable: str
    """What it estimates: one of `VARIABLES`, or a word of the user's."""
    units: str
    """Unit of the value; 1 where it has none."""
    lowest: float
    """Least value that is kept."""
    highest: float
    """Greatest value that is kept."""
    formula: str
    """The formula, for people."""
    source: str
    """DOI, or whatever names the source."""
    algorithm: Algorithm | Blend
    """What computes it."""
    group: Group = "expert"
    """`core`: what default products need; `profile`: what GRSl2bgen makes; `expert`; `user`."""
    sensor: Sensor = "msi"
    """For which sensor's bands the coefficients hold."""
    domain: Domain | None = None
    """Where the formula holds, None for everywhere."""
    scale: float | None = None
    """Step of the stored integers; None: that of the variable."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands that are needed, without repetition, in the order of `recipe.BANDS`."""
        used = {band for part in self.algorithm.components for band in part.bands} | set(
            getattr(getattr(self.algorithm, "weights", None), "bands", ())
        )
        return tuple(band for band in BANDS if band in used)

    @property
    def kind(self) -> str:
        """Reflectance that the formula takes: rrs, rho or rrs_or_rho."""
        weights = getattr(self.algorithm, "weights", None)
        if weights is not None and weights.by_type:
            return "rrs"
        kinds = {part.kind for part in self.algorithm.components} - {"rrs_or_rho"}
        return kinds.pop() if len(kinds) == 1 else "rrs_or_rho" if not kinds else "rrs and rho"


def algorithm(
    id: str,
    *,
    variable: str,
    units: str,
    kind: Kind,
    bands: Sequence[str],
    range: tuple[float, float],
    parameters: Mapping[str, float] | None = None,
    source: str = "",
    scale: float | None = None,
    slow: bool = False,
    block: bool = False,
) -> Callable[[Callable[..., Any]], Declaration]:
    """Declare a function of one pixel as an algorithm of the water-quality chain.

    The function takes the bands in the order declared (Sentinel-2 names such as ``B8A``; R in sr-1 for `kind` rrs,
    pi R for rho), then the parameters in theirs, and returns the value or NaN. It is compiled into the chain's one
    pass; `slow` leaves it to Python, `block` hands it whole arrays and takes one back. A variable that the chain does
    not know needs a `scale`, the step of its stored integers. Raises BadParameters where the declaration contradicts
    itself or the function cannot be compiled.
    """
    numbers = dict(parameters or {})
    _check(id, variable, bands, range, numbers, scale)

    def declare(function: Callable[..., Any]) -> Declaration:
        rows = _rows(id, function, len(bands) + len(numbers), slow, block)
        formula = (function.__doc__ or function.__name__).strip().split("\n")[0]
        computed = Algorithm(tuple(bands), rows, tuple(numbers.values()), declared=kind)
        return Declaration(id, variable, units, *range, formula, source, computed, "user", "any", scale=scale)

    return declare


def _check(
    id: str,
    variable: str,
    bands: Sequence[str],
    range: tuple[float, float],
    numbers: Mapping[str, float],
    scale: float | None,
) -> None:
    if not _ID.fullmatch(id):
        raise BadParameters(f"algorithm {id!r}: an id is a letter, then letters, digits and underscores")
    for band in bands:
        if band not in BANDS:
            raise BadParameters(f"algorithm {id!r}: unknown band {band!r}; bands: {', '.join(BANDS)}")
    if not bands:
        raise BadParameters(f"algorithm {id!r}: needs at least one band")
    if not range[0] < range[1]:
        raise BadParameters(f"algorithm {id!r}: the range {range} is not from low to high")
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise BadParameters(f"algorithm {id!r}: parameter {name!r} is {value}")
    if variable not in VARIABLES and not (scale and scale > 0):
        raise BadParameters(
            f"algorithm {id!r}: the variable {variable!r} is none of {', '.join(VARIABLES)}: give its layer's scale"
        )


def _rows(
    id: str, function: Callable[..., Any], arguments: int, slow: bool, block: bool
) -> Callable[..., None]:
    if block:
        return _rows_of_block(function)
    if slow:
        return _rows_of_block(np.vectorize(function, otypes=[np.float64]))
    try:
        return rows_of(function, arguments)
    except Exception as problem:
        raise BadParameters(
            f"algorithm {id!r}: its function cannot be compiled: {problem}",
            advice="Use only numbers and the math module, or declare it with slow=True.",
        ) from problem


def _rows_of_block(function: Callable[..., Any]) -> Callable[..., None]:
    def rows(*given: Any) -> None:
        *bands_and_parameters, out = given
        out[:] = function(*bands_and_parameters)

    vars(rows)["formula"] = getattr(function, "pyfunc", function)
    return rows
