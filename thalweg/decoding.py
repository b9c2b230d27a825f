"""Stored numbers to DN4, reflectance x 10000 as integers, exactly."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.inputs import NO_DATA
from thalweg.kernels.decoding import DN4_HIGH, DN4_LOW, look_up, shift

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.raster import Raster

_NOWHERE = 1 << 20


def to_dn4(stored: NDArray[Any], raster: Raster, nodata: float | None) -> NDArray[np.int16]:
    """Reflectance x 10000, rounded half up and clipped to [-2000, 32767], as int16; -10000 where nodata or not finite.

    16-bit and 8-bit integers are decoded in exact arithmetic, other types in float64.
    """
    if stored.dtype.kind not in "iu" or stored.dtype.itemsize > 2:
        return _from_floats(stored, raster, nodata)
    signed = stored.dtype.kind == "i"
    stored = np.ascontiguousarray(stored, np.int16 if signed else np.uint16)
    missing = int(nodata) if nodata is not None and float(nodata).is_integer() else _NOWHERE
    out = np.empty(stored.shape, np.int16)
    add = _whole_offset(raster.scale, raster.offset)
    if add is not None:
        shift(stored, add, missing, NO_DATA, out)
    else:
        look_up(stored.view(np.uint16), dn4_table(signed, raster.scale, raster.offset, missing), out)
    return out


def _from_floats(stored: NDArray[Any], raster: Raster, nodata: float | None) -> NDArray[np.int16]:
    value = stored.astype(np.float64) * raster.scale + raster.offset
    counts = np.floor(value * 10000 + 0.5)
    missing = ~np.isfinite(counts)
    if nodata is not None:
        missing |= stored == nodata
    return np.where(missing, NO_DATA, np.clip(np.where(missing, 0, counts), DN4_LOW, DN4_HIGH)).astype(
        np.int16
    )


def _decimal(number: float) -> Fraction:
    """The number as it is written: one of metadata is decimal, its float is not."""
    return Fraction(repr(float(number)))


@cache
def _whole_offset(scale: float, offset: float) -> int | None:
    """What is added to stored numbers that are counts of 1/10000 already; None where they are not."""
    add = _decimal(offset) * 10000
    return int(add) if _decimal(scale) * 10000 == 1 and add.denominator == 1 else None


@cache
def dn4_table(signed: bool, scale: float, offset: float, missing: int) -> NDArray[np.int16]:
    """DN4 of every 16-bit number, int16 (65536,), a signed one at the place of its unsigned equal.

    The arithmetic is exact: 0.275 of a count, the step of Landsat, makes ties of which floats decide some one way and
    some the other.
    """
    step, start = _decimal(scale) * 10000, _decimal(offset) * 10000 + Fraction(1, 2)
    below = step.denominator * start.denominator
    slope, base = step.numerator * start.denominator, start.numerator * step.denominator
    numbers = range(65536) if not signed else (*range(32768), *range(-32768, 0))
    values = [
        NO_DATA if number == missing else min(max((slope * number + base) // below, DN4_LOW), DN4_HIGH)
        for number in numbers
    ]
    return np.array(values, np.int16)
