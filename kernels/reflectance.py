"""Reflectance above water: exact decoding, and the two kinds that nobody may mix up.

R, the remote-sensing reflectance in sr-1, and rho = pi R, the water reflectance without a unit, differ by a factor of
three: enough to look plausible and to be wrong. Here they are two types. A kernel says by its annotations which one it
takes (or `Reflectance`, when its formula is free of scale), and `kind_of` reads that back, so that nothing declares it
a second time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NewType, get_type_hints

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.jit import kernel, row_kernel

PI, NAN = math.pi, math.nan

Numbers = NDArray[np.floating[Any]]
"""One float64, or float32, per pixel; NaN where there is no value."""

Rrs = NewType("Rrs", np.ndarray[Any, np.dtype[np.floating[Any]]])
"""Remote-sensing reflectance R, sr-1."""

Rho = NewType("Rho", np.ndarray[Any, np.dtype[np.floating[Any]]])
"""Water reflectance rho = pi R, dimensionless."""

Reflectance = Rrs | Rho
"""Either: for formulas in which a common factor of all bands cancels out."""

Kind = Literal["rrs", "rho", "rrs_or_rho"]
"""What a formula wants, in the words of the registry."""

_KINDS: dict[Any, Kind] = {Rrs: "rrs", Rho: "rho", Reflectance: "rrs_or_rho"}


def kind_of(rows: Callable[..., Any], declared: Kind | None = None) -> Kind:
    """The reflectance that a row kernel takes: what the annotation of its first argument says, else `declared`.

    Raises TypeError where both speak and differ, or neither speaks (a function of plain numbers must be declared).
    """
    function = getattr(rows, "py_func", rows)
    first = next(iter(get_type_hints(function).values()), None)
    stated = _KINDS.get(first)
    if stated and declared and stated != declared:
        raise TypeError(f"{function.__name__}: declared {declared}, but its formula takes {stated}")
    kind = stated or declared
    if kind is None:
        raise TypeError(f"{function.__name__}: say whether it takes rrs, rho or, being free of scale, either")
    return kind


@row_kernel("void(float64[::1], float64[::1])")
def to_rho(rrs: Rrs, out: Rho) -> None:
    """rho = pi R."""
    for i in range(out.size):
        out[i] = PI * rrs[i]


@row_kernel(
    "void(int16[::1], int32[::1], float64, float64, float64, float64, float64[::1])",
    "void(uint16[::1], int32[::1], float64, float64, float64, float64, float64[::1])",
    "void(int32[::1], int32[::1], float64, float64, float64, float64, float64[::1])",
)
def gather_counts(
    counts: NDArray[Any],
    index: NDArray[np.int32],
    nodata: float,
    offset: float,
    divisor: float,
    unit: float,
    out: Numbers,
) -> None:
    """Decode the pixels `index` of a band exactly: (count + offset) / divisor / unit; NaN for `nodata`.

    The sum is one of integers, which float64 and, of counts of 16 bits, float32 hold exactly, and it is divided by an
    integer: a product with the scale, or a sum of fractions, would move pixels across thresholds. `unit` is 1 for bands
    stored as R and pi for bands stored as rho.
    """
    _gather(counts, index, out)
    for i in range(out.size):
        value = (out[i] + offset) / divisor
        out[i] = value if out[i] != nodata else NAN
    if unit != 1.0:
        for i in range(out.size):
            out[i] = out[i] / unit


@kernel()
def _gather(counts: NDArray[Any], index: NDArray[np.int32], out: Numbers) -> None:
    """The stored numbers of the pixels `index`."""
    first, last = run_of(index)
    if last > first:
        run = counts[first:last]
        for i in range(out.size):
            out[i] = run[i]
    else:
        for i in range(out.size):
            out[i] = counts[index[i]]


@kernel()
def copy(values: NDArray[Any], out: NDArray[Any]) -> None:
    """The same numbers; an assignment to a slice does without vector instructions."""
    for i in range(values.size):
        out[i] = values[i]


@kernel()
def run_of(index: NDArray[np.int32]) -> tuple[int, int]:
    """First position and the one after the last, where positions follow each other without a gap; else 0 and 0."""
    size = index.size
    if size > 0 and index[size - 1] - index[0] == size - 1:
        return np.int64(index[0]), np.int64(index[0]) + size
    return 0, 0


@kernel(
    "void(int16[::1], int32[::1], float64, float64, float64, float64, float64[::1])",
    "void(uint16[::1], int32[::1], float64, float64, float64, float64, float64[::1])",
    "void(int16[::1], int32[::1], float64, float64, float64, float64, float32[::1])",
    "void(uint16[::1], int32[::1], float64, float64, float64, float64, float32[::1])",
)
def gather_scaled(
    counts: NDArray[Any],
    index: NDArray[np.int32],
    nodata: float,
    scale: float,
    offset: float,
    unit: float,
    out: Numbers,
) -> None:
    """Decode the pixels `index` of a band whose scale and offset are no whole fractions, such as Landsat's.

    In float64, whatever `out` is: the sum of a product and an offset of its size loses digits.
    """
    _gather(counts, index, out)
    for i in range(out.size):
        value = (out[i] * scale + offset) / unit
        out[i] = value if out[i] != nodata else NAN


@kernel(
    "void(float32[::1], int32[::1], float64, float64[::1])",
    "void(float32[::1], int32[::1], float64, float32[::1])",
    "void(float64[::1], int32[::1], float64, float32[::1])",
    "void(float64[::1], int32[::1], float64, float64[::1])",
)
def gather_values(values: NDArray[Any], index: NDArray[np.int32], unit: float, out: Numbers) -> None:
    """Take the pixels `index` of a band of floats; NaN stays NaN."""
    _gather(values, index, out)
    for i in range(out.size):
        out[i] = out[i] / unit


def exact_decoding(scale: float, offset: float) -> tuple[int, int] | None:
    """Offset and divisor for `gather_counts`, when 1/scale and offset/scale are integers within 1e-6 relative.

    None where they are not: decode in float64 then.
    """
    divisor, added = round(1.0 / scale), round(offset / scale)
    whole = abs(divisor * scale - 1.0) <= 1e-6 and abs(added - offset / scale) <= 1e-6 * max(1.0, abs(added))
    return (added, divisor) if whole else None
