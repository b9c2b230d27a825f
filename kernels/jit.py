"""How every kernel of this folder is compiled: one decorator, one set of flags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

from thalweg.kernels.precision import InRowPrecision


def kernel(*signatures: str) -> Callable[[Callable[..., Any]], Any]:
    """Compile a loop on arrays without the GIL, on first use, with results that no CPU changes.

    `signatures` are numba signatures such as ``"void(int16[:, ::1], uint8[:, ::1])"``; they are what
    ``thalweg kernels build`` compiles ahead of time. No fastmath: blocked and whole results must be equal, and so must
    those of two kinds of CPU.
    """

    def compile_lazily(function: Callable[..., Any]) -> Any:
        compiled: Any = njit(nogil=True, cache=True, error_model="numpy")(function)
        compiled.signatures_to_build = signatures
        return compiled

    return compile_lazily


def row_kernel(*signatures: str) -> Callable[[Callable[..., Any]], Any]:
    """As `kernel`, for loops that compute in float64 or float32, whichever their rows are (`precision`).

    `signatures` name float64; each is also compiled with arrays of float32 in their place, unless one names float32
    itself, as where some arrays are tables, which stay float64. Scalars are float64 always: Python has no others.
    """

    def compile_lazily(function: Callable[..., Any]) -> Any:
        compiled: Any = njit(nogil=True, cache=True, error_model="numpy", pipeline_class=InRowPrecision)(
            function
        )
        narrow = [each.replace("float64[", "float32[") for each in signatures]
        compiled.signatures_to_build = (
            signatures if "float32" in "".join(signatures) else (*signatures, *narrow)
        )
        return compiled

    return compile_lazily
