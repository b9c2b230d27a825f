"""Kernels that compute in the precision of the rows they are given: one source for float64 and for float32.

numba takes the number 0.5 for a float64, and float32 times float64 for a float64: a loop over float32 would compute as
slowly as one over float64, and convert on top. Where a kernel is compiled for float32, its constants and its scalar
arguments become float32 before types are inferred, and functions of `elementary` give way to their twins of single
precision. Tables of float64 stay what they are: what is computed with them is float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numba.core import ir, types
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.untyped_passes import IRProcessing

SINGLE_TWIN = "in_single_precision"
"""Attribute of a compiled function: the one that takes its place among float32."""


@register_pass(mutates_CFG=False, analysis_only=False)
class _Narrow(FunctionPass):
    """Makes float32 of the constants and scalars of a function that is given float32."""

    _name = "narrow_among_single_precision"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        """Rewrite the function, unless it is to compute in float64."""
        if not self.narrows(state.args):
            return False
        for block in state.func_ir.blocks.values():
            block.body = [each for statement in block.body for each in _narrowed(statement, state.args)]
        return True

    def narrows(self, given: tuple[Any, ...]) -> bool:
        """Whether anything of the arguments is float32."""
        return any(getattr(each, "dtype", each) == types.float32 for each in given)


@register_pass(mutates_CFG=False, analysis_only=False)
class _NarrowAlways(_Narrow):
    """Makes float32 of them whatever the function is given."""

    _name = "narrow_to_single_precision"

    def narrows(self, given: tuple[Any, ...]) -> bool:
        """Always."""
        return True


class InRowPrecision(CompilerBase):
    """numba's compiler, with constants as narrow as the arguments."""

    narrowing: ClassVar[type[_Narrow]] = _Narrow

    def define_pipelines(self) -> list[Any]:
        """The usual passes, and the narrowing one before types are looked at."""
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.add_pass_after(self.narrowing, IRProcessing)
        passes.finalize()
        return [passes]


class InSinglePrecision(InRowPrecision):
    """numba's compiler, with arguments and constants of float32."""

    narrowing = _NarrowAlways


def _narrowed(statement: Any, given: tuple[Any, ...]) -> Iterator[Any]:
    value: Any = statement.value if isinstance(statement, ir.Assign) else None
    if isinstance(value, ir.Const | ir.Global | ir.FreeVar) and isinstance(value.value, float):
        statement.value = ir.Const(np.float32(value.value), value.loc)
    elif isinstance(value, ir.Global | ir.FreeVar) and hasattr(value.value, SINGLE_TWIN):
        statement.value = ir.Global(value.name, getattr(value.value, SINGLE_TWIN), value.loc)
    elif isinstance(value, ir.Arg) and given[value.index] == types.float64:
        yield from _narrowed_argument(statement)
        return
    yield statement


def _narrowed_argument(statement: Any) -> Iterator[Any]:
    """``name = float32(argument)`` in place of ``name = argument``."""
    target, place = statement.target, statement.loc
    wide, cast = (ir.Var(target.scope, f"{target.name}.{word}", place) for word in ("wide", "cast"))
    yield ir.Assign(statement.value, wide, place)
    yield ir.Assign(ir.Global("float32", np.float32, place), cast, place)
    yield ir.Assign(ir.Expr.call(cast, [wide], (), place), target, place)
