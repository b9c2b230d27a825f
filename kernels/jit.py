"""How every kernel of this folder is compiled: one decorator, one set of flags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


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
