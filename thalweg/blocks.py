"""Turns square blocks of pixels into the bytes of a TIFF: predictor, then codec."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import zstandard
from numpy.typing import NDArray

from thalweg.errors import BadParameters
from thalweg.layer import DTYPES, Layer

Array = NDArray[Any]
Codec = Literal["zstd", "deflate"]
"""zstd, or deflate for readers that know nothing newer, at several times the CPU time."""

COMPRESSION_TAG: Mapping[str, int] = {"zstd": 50000, "deflate": 8}
"""Codec to the value of TIFF's Compression tag."""

COMPRESSION_LEVEL = 1
"""Of either codec: six and more cost many times the time for files no smaller."""

PLAIN, HORIZONTAL, FLOATING = 1, 2, 3
"""Values of TIFF's Predictor tag: none, differences along a row, differences of byte planes."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """Blocks to bytes; one serves all levels and threads of a writer."""

    codec: Codec
    """Compression of the bytes."""
    predictor: int
    """What is done to the values before: PLAIN, HORIZONTAL or FLOATING."""
    uniform: dict[bytes, bytes] = field(default_factory=dict)
    """Encodings of the blocks that hold one value only, by that value."""

    def encode(self, blocks: Array) -> list[bytes]:
        """Encode each block of a contiguous array of (any number, rows, columns)."""
        compress = _compressor(self.codec)
        return [self._encode_block(block, compress) for block in blocks]

    def _encode_block(self, block: Array, compress: Callable[[memoryview], bytes]) -> bytes:
        if not _is_uniform(block):
            return compress(_predicted(block, self.predictor).data)
        value = block[0, 0].tobytes()
        if value not in self.uniform:
            self.uniform[value] = compress(_predicted(block, self.predictor).data)
        return self.uniform[value]


def encoder_of(layer: Layer, codec: Codec) -> Encoder:
    """The encoder that suits a layer: no predictor for codes and bits, else the one of its type.

    Raises BadParameters where type, no-data value or codec cannot be stored.
    """
    if layer.dtype not in DTYPES:
        raise BadParameters(f"layer {layer.name} is {layer.dtype}; a raster holds {', '.join(DTYPES)}")
    if codec not in COMPRESSION_TAG:
        raise BadParameters(f"unknown codec {codec!r}; known: {', '.join(COMPRESSION_TAG)}")
    if layer.nodata is not None and not _holds(np.dtype(layer.dtype), layer.nodata):
        raise BadParameters(f"layer {layer.name}: nodata {layer.nodata} is no value of {layer.dtype}")
    if layer.classes or layer.bits:
        return Encoder(codec, PLAIN)
    return Encoder(codec, FLOATING if layer.dtype == "float32" else HORIZONTAL)


def _holds(dtype: np.dtype[Any], value: float) -> bool:
    if dtype.kind == "f":
        return math.isnan(value) or float(dtype.type(value)) == value
    limits = np.iinfo(dtype)
    return limits.min <= value <= limits.max and value == int(value)


def _is_uniform(block: Array) -> bool:
    # Compared as integers, so that NaN equals itself; the first row settles it for nearly every other block.
    bits = block.view(f"u{block.itemsize}")
    return bool((bits[0] == bits[0, 0]).all() and (bits == bits[0, 0]).all())


def _compressor(codec: Codec) -> Callable[[memoryview], bytes]:
    """A function for one thread: a zstd context may not be shared."""
    if codec == "zstd":
        return zstandard.ZstdCompressor(level=COMPRESSION_LEVEL).compress
    return partial(zlib.compress, level=COMPRESSION_LEVEL)


def _predicted(block: Array, predictor: int) -> Array:
    if predictor == PLAIN:
        return block
    return _differences(block if predictor == HORIZONTAL else _byte_planes(block))


def _differences(rows: Array) -> Array:
    """Each value less its left neighbour, modulo the range of the type."""
    result = np.empty_like(rows)
    result[:, 0] = rows[:, 0]
    np.subtract(rows[:, 1:], rows[:, :-1], out=result[:, 1:])
    return result


def _byte_planes(rows: Array) -> Array:
    """Per row of float32 the highest bytes of all values, then the next ones, down to the lowest."""
    bits = rows.view(np.uint32)
    return np.concatenate([(bits >> shift).astype(np.uint8) for shift in (24, 16, 8, 0)], axis=1)
