"""Packing of one value, straight from the specification."""

from __future__ import annotations

import math
import struct

Maybe = float | None

RANGES = {"uint16": (0, 65534, 65535), "int16": (-32767, 32767, -32768), "uint8": (0, 254, 255)}


def linear(value: Maybe, scale: float, dtype: str) -> int:
    lowest, highest, nodata = RANGES[dtype]
    if value is None or not math.isfinite(value):
        return nodata
    step = value / scale
    return round(step) if lowest <= step <= highest else (highest if step > highest else lowest)


def logarithmic(value: Maybe) -> int:
    if value is None or not math.isfinite(value):
        return 65535
    return 0 if value <= 0.001 else min(round((math.log10(value) + 3) / 0.001), 65534)


def round_bits(value: float) -> float:
    """Float32 with 12 bits of mantissa, half to even."""
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    unit = 1 << 11
    quotient, rest = divmod(bits, unit)
    if rest > unit // 2 or (rest == unit // 2 and quotient % 2):
        quotient += 1
    rounded: float = struct.unpack("<f", struct.pack("<I", quotient * unit))[0]
    return rounded
