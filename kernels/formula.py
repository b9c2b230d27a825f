"""Scalar formulas: functions of one pixel that are compiled into the loops that call them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit, vectorize

from thalweg.kernels.precision import SINGLE_TWIN, InRowPrecision, InSinglePrecision

Function = TypeVar("Function", bound=Callable[..., Any])


def formula(function: Function) -> Function:
    """Make a scalar function part of every kernel that calls it, in the precision of its arguments.

    It is inlined whatever its size, because a call inside a row loop would keep the loop from using vector
    instructions. As in kernels: no fastmath, and a division by zero gives an infinity or NaN, not an exception.
    """
    return _inlined(function, pipeline_class=InRowPrecision)


def single_formula(function: Function) -> Function:
    """As `formula`, in float32 whatever its arguments are."""
    return _inlined(function, pipeline_class=InSinglePrecision)


def _inlined(function: Function, **options: Any) -> Function:
    compiled: Function = njit(nogil=True, cache=True, error_model="numpy", forceinline=True, **options)(
        function
    )
    return compiled


def with_twin(twin: Callable[..., Any]) -> Callable[[Function], Function]:
    """As `formula`, but in float64, with another function that takes its place among float32 (`precision`)."""

    def make(function: Function) -> Function:
        compiled = _inlined(function)
        setattr(compiled, SINGLE_TWIN, twin)
        return compiled

    return make


def rows_of(function: Callable[..., float], arguments: int) -> Callable[..., None]:
    """A row kernel made of somebody's scalar function: ``rows(*bands, *coefficients, out)``.

    `function` takes `arguments` numbers, the bands in the declared order and then the coefficients, and returns a
    number or NaN. It may be plain Python or a numba function already. A function that numba cannot compile raises
    numba's own error, which names the line.
    """
    loop = vectorize([f"float64({', '.join(['float64'] * arguments)})"])(
        getattr(function, "py_func", function)
    )

    def rows(*bands_and_coefficients_and_out: Any) -> None:
        *given, out = bands_and_coefficients_and_out
        loop(*given, out)

    # Whoever wants to know what is computed finds it here.
    vars(rows)["formula"] = getattr(function, "py_func", function)
    return rows
