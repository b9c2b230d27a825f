"""Packing of values into the integers of a layer: fixed rules, the same for every scene.

Rounding is half to even in float64; what is not finite becomes nodata, and no finite value does. Layers are scattered
as they are packed: `out[index[i]]` gets value i.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.elementary import LOG10_E, NAN, ROUNDER, clamp, exp10, ln
from thalweg.kernels.formula import formula
from thalweg.kernels.jit import kernel
from thalweg.kernels.reflectance import Numbers

NODATA_UINT16, NODATA_INT16, NODATA_UINT8 = 65535, -32768, 255
LOG_LEAST, LOG_STEP, LOG_START = 0.001, 0.001, 3.0
KEPT_BITS = 12
"""Bits of the mantissa that `round_bits` keeps."""


@formula
def _step_of(value: float, scale: float, lowest: float, highest: float) -> float:
    """Nearest step, clipped; half to even."""
    return clamp(value / scale, lowest, highest) + ROUNDER - ROUNDER


@kernel("void(float64[::1], int32[::1], float64, uint16[::1])")
def scatter_uint16(values: Numbers, index: NDArray[np.int32], scale: float, out: NDArray[np.uint16]) -> None:
    """Linear packing, 0 to 65534; 65535 is nodata."""
    packed = np.empty(values.size, np.int32)
    for i in range(values.size):
        finite = values[i] - values[i] == 0.0
        packed[i] = np.int32(_step_of(values[i], scale, 0.0, 65534.0)) if finite else np.int32(NODATA_UINT16)
    for i in range(values.size):
        out[index[i]] = np.uint16(packed[i])


@kernel("void(float64[::1], int32[::1], float64, int16[::1])")
def scatter_int16(values: Numbers, index: NDArray[np.int32], scale: float, out: NDArray[np.int16]) -> None:
    """Linear packing, -32767 to 32767; -32768 is nodata."""
    packed = np.empty(values.size, np.int32)
    for i in range(values.size):
        finite = values[i] - values[i] == 0.0
        packed[i] = (
            np.int32(_step_of(values[i], scale, -32767.0, 32767.0)) if finite else np.int32(NODATA_INT16)
        )
    for i in range(values.size):
        out[index[i]] = np.int16(packed[i])


@kernel("void(float64[::1], int32[::1], float64, uint8[::1])")
def scatter_uint8(values: Numbers, index: NDArray[np.int32], scale: float, out: NDArray[np.uint8]) -> None:
    """Linear packing, 0 to 254; 255 is nodata."""
    packed = np.empty(values.size, np.int32)
    for i in range(values.size):
        finite = values[i] - values[i] == 0.0
        packed[i] = np.int32(_step_of(values[i], scale, 0.0, 254.0)) if finite else np.int32(NODATA_UINT8)
    for i in range(values.size):
        out[index[i]] = np.uint8(packed[i])


@kernel("void(float64[::1], int32[::1], uint16[::1])")
def scatter_log(values: Numbers, index: NDArray[np.int32], out: NDArray[np.uint16]) -> None:
    """Logarithmic packing: steps of 0.001 of log10 from 0.001 upwards, 0 below; 65535 is nodata."""
    packed = np.empty(values.size, np.int32)
    for i in range(values.size):
        finite = values[i] - values[i] == 0.0
        step = _step_of(ln(values[i]) * LOG10_E + LOG_START, LOG_STEP, 0.0, 65534.0)
        step = step if values[i] > LOG_LEAST else 0.0
        packed[i] = np.int32(step) if finite else np.int32(NODATA_UINT16)
    for i in range(values.size):
        out[index[i]] = np.uint16(packed[i])


@kernel("void(float64[::1], int32[::1], float32[::1])")
def scatter_rounded(values: Numbers, index: NDArray[np.int32], out: NDArray[np.float32]) -> None:
    """Float32 with 12 bits of mantissa, half to even, so that it compresses; NaN is nodata."""
    rounded = np.empty(values.size, np.float32)
    for i in range(values.size):
        rounded[i] = _round_bits(np.float32(values[i]))
    for i in range(values.size):
        out[index[i]] = rounded[i]


@formula
def _round_bits(value: np.float32) -> np.float32:
    dropped = np.int32(23 - KEPT_BITS)
    bits = np.float32(value).view(np.int32)
    even = (bits >> dropped) & np.int32(1)
    kept = np.int32(bits + even + np.int32((1 << (22 - KEPT_BITS)) - 1)) >> dropped
    rounded = np.int32(kept << dropped).view(np.float32)
    return rounded if value - value == np.float32(0.0) else np.float32(np.nan)


@kernel("void(uint8[::1], float64[::1], int32[::1], uint8, uint8[::1])")
def scatter_codes(
    codes: NDArray[np.uint8],
    values: Numbers,
    index: NDArray[np.int32],
    nodata: int,
    out: NDArray[np.uint8],
) -> None:
    """Codes as they are, `nodata` where the value that they speak of is NaN."""
    for i in range(codes.size):
        out[index[i]] = codes[i] if values[i] == values[i] else np.uint8(nodata)


@kernel("void(uint16[::1], float64[::1])")
def unpack_log(packed: NDArray[np.uint16], out: Numbers) -> None:
    """Values of a logarithmic layer: 10^(0.001 DN - 3), 0 for DN 0, NaN for nodata."""
    for i in range(packed.size):
        step = np.float64(packed[i])
        value = exp10(LOG_STEP * step - LOG_START)
        value = value if packed[i] > 0 else 0.0
        out[i] = value if packed[i] != NODATA_UINT16 else NAN
