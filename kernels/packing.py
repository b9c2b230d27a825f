"""Packing of values into the integers of a layer: fixed rules, the same for every scene.

Rounding is half to even; what is not finite becomes nodata, and no finite value does. Layers are scattered
as they are packed: `out[index[i]]` gets value i. How many became something else than nodata comes back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.elementary import LOG10_E, NAN, clamp, exp10, ln, nearest
from thalweg.kernels.formula import formula
from thalweg.kernels.jit import kernel, row_kernel
from thalweg.kernels.reflectance import Numbers, copy, run_of

LOG_LEAST, LOG_STEP, LOG_START = 0.001, 0.001, 3.0
LOG_HIGHEST, LOG_NODATA = 65534.0, 65535.0
KEPT_BITS = 12
"""Bits of the mantissa that `scatter_rounded` keeps."""


@row_kernel(
    "int64(float64[::1], int32[::1], float64, float64, uint16[::1])",
    "int64(float64[::1], int32[::1], float64, float64, int16[::1])",
    "int64(float64[::1], int32[::1], float64, float64, uint8[::1])",
)
def scatter_linear(
    values: Numbers, index: NDArray[np.int32], scale: float, nodata: float, out: NDArray[Any]
) -> int:
    """Nearest multiple of `scale`, clipped to what the type holds besides `nodata`, its least or greatest number."""
    limits, number = np.iinfo(out.dtype), values.dtype.type
    lowest: Any = number(limits.min)
    highest: Any = number(limits.max)
    lowest += 1.0 if nodata == lowest else 0.0
    highest -= 1.0 if nodata == highest else 0.0
    packed = _place(index, out)
    for i in range(values.size):
        step = _nearest_step(values[i] / scale, lowest, highest)
        packed[i] = np.int32(step if values[i] - values[i] == 0.0 else nodata)
    _spread(packed, index, out)
    return _count_unlike(packed, np.int32(nodata))


@formula
def _nearest_step(step: float, lowest: float, highest: float) -> float:
    """Whole number nearest to a finite one, half to even, clipped."""
    return nearest(clamp(step, lowest, highest))


@row_kernel("int64(float64[::1], int32[::1], uint16[::1])")
def scatter_log(values: Numbers, index: NDArray[np.int32], out: NDArray[np.uint16]) -> int:
    """Steps of 0.001 of log10 from 0.001 upwards, 0 for less; 65535 is nodata."""
    packed = _place(index, out)
    for i in range(values.size):
        value = values[i]
        step = _nearest_step((ln(value) * LOG10_E + LOG_START) / LOG_STEP, 0.0, LOG_HIGHEST)
        step = step if value > LOG_LEAST else 0.0
        packed[i] = np.int32(step if value - value == 0.0 else LOG_NODATA)
    _spread(packed, index, out)
    return _count_unlike(packed, np.int32(LOG_NODATA))


@kernel()
def _place(index: NDArray[np.int32], out: NDArray[Any]) -> NDArray[Any]:
    """Where values are packed: in the layer itself where positions follow each other without a gap."""
    first, last = run_of(index)
    return out[first:last] if last > first else np.empty(index.size, out.dtype)


@kernel()
def _spread(packed: NDArray[Any], index: NDArray[np.int32], out: NDArray[Any]) -> None:
    """Bring packed values to their positions, unless they are there already."""
    first, last = run_of(index)
    if last > first:
        return
    for i in range(index.size):
        out[index[i]] = packed[i]


@kernel()
def _count_unlike(packed: NDArray[Any], nodata: int) -> int:
    # Counts of 32 bits keep the loop narrow.
    count = np.uint32(0)
    for i in range(packed.size):
        count = np.uint32(count + np.uint32(np.int32(packed[i]) != nodata))
    return np.int64(count)


@kernel(
    "int64(float64[::1], int32[::1], float32[::1])",
    "int64(float32[::1], int32[::1], float32[::1])",
)
def scatter_rounded(values: Numbers, index: NDArray[np.int32], out: NDArray[np.float32]) -> int:
    """Float32 with 12 bits of mantissa, half to even, so that it compresses; NaN is nodata."""
    rounded = _place(index, out)
    for i in range(values.size):
        rounded[i] = _round_bits(np.float32(values[i]))
    _spread(rounded, index, out)
    count = np.uint32(0)
    for i in range(rounded.size):
        count = np.uint32(count + np.uint32(rounded[i] == rounded[i]))
    return np.int64(count)


@formula
def _round_bits(value: np.float32) -> np.float32:
    dropped = np.int32(23 - KEPT_BITS)
    bits = np.float32(value).view(np.int32)
    even = (bits >> dropped) & np.int32(1)
    kept = np.int32(bits + even + np.int32((1 << (22 - KEPT_BITS)) - 1)) >> dropped
    rounded = np.int32(kept << dropped).view(np.float32)
    return rounded if value - value == np.float32(0.0) else np.float32(np.nan)


@kernel("int64(uint8[::1], int32[::1], int64, uint8[::1])")
def scatter_codes(
    codes: NDArray[np.uint8], index: NDArray[np.int32], nodata: int, out: NDArray[np.uint8]
) -> int:
    """Codes as they are; `nodata` is -1 where all count."""
    placed = _place(index, out)
    copy(codes, placed)
    _spread(placed, index, out)
    return _count_unlike(placed, np.int32(nodata))


@kernel("void(uint16[::1], float64[::1])")
def unpack_log(packed: NDArray[np.uint16], out: Numbers) -> None:
    """Values of a logarithmic layer: 10^(0.001 DN - 3), 0 for DN 0, NaN for nodata."""
    for i in range(packed.size):
        step = np.float64(packed[i])
        value = exp10(LOG_STEP * step - LOG_START)
        value = value if step > 0.0 else 0.0
        out[i] = value if step != LOG_NODATA else NAN
