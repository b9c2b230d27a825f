"""Layers: what a chain gives back, and how it is stored and shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

Colour = tuple[int, int, int, int]
"""Red, green, blue, alpha, each 0 to 255."""

Overview = Literal["nearest", "average"]

DTYPES = ("uint8", "int16", "uint16", "int32", "uint32", "float32")
"""Types that a layer may have."""


@dataclass(frozen=True, slots=True)
class Class:
    """One value of a class layer."""

    value: int
    """The stored integer."""
    name: str
    """Machine name, lower case with underscores, such as ``no_snow``."""
    description: str = ""
    """What the value means to a reader."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A result raster: type, meaning, packing and colours."""

    name: str
    """Name of the layer in the chain's result and key of the asset."""
    dtype: str
    """numpy type as stored, one of `DTYPES`."""
    description: str = ""
    """One sentence for people."""
    units: str | None = None
    """Unit of the unpacked value, such as ``FNU`` or ``percent``."""
    nodata: float | None = None
    """Stored value of pixels without a result, or None where every value is one."""
    scale: float = 1.0
    """Unpacked value = stored value x scale + offset."""
    offset: float = 0.0
    """See `scale`."""
    transform: Literal["log10"] | None = None
    """`log10`: what scale and offset give is the logarithm of the value, and stored 0 means the value 0."""
    classes: tuple[Class, ...] = ()
    """Names of single values; a layer may mix classes with a range of numbers."""
    bits: tuple[str, ...] = ()
    """Names of the bits of a bit field, from bit 0."""
    colours: Mapping[int, Colour] = field(default_factory=dict)
    """Colour stops; values between two stops are interpolated where `ramp` says so."""
    ramp: tuple[int, int] | None = None
    """First and last value between which colour stops are interpolated linearly."""
    overview: Overview = "nearest"
    """How overviews are made: nearest for codes and bits, average for quantities."""
    role: Literal["data", "metadata"] = "data"
    """STAC asset role."""

    def palette(self) -> dict[int, Colour]:
        """Colour of every value 0 to 255 that has one, ramps filled in; empty where the layer has no colours."""
        colours = dict(self.colours)
        if self.ramp is None:
            return colours
        first, last = self.ramp
        stops = sorted(value for value in colours if first <= value <= last)
        for low, high in pairwise(stops):
            for value in range(low + 1, high):
                colours[value] = _between(colours[low], colours[high], value - low, high - low)
        return dict(sorted(colours.items()))


def _between(low: Colour, high: Colour, step: int, steps: int) -> Colour:
    red, green, blue, alpha = (
        (2 * (a * (steps - step) + b * step) + steps) // (2 * steps) for a, b in zip(low, high, strict=True)
    )
    return (red, green, blue, alpha)
