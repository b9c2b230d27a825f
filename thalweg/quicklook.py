"""Writes the small picture of a layer, in the layer's own colours."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.layer import Colour, Layer

LONGEST_SIDE = 1024
"""Of a picture, in pixels."""

TRANSPARENT: Colour = (0, 0, 0, 0)

_GREY_STEPS = 254
_INDEXED, _TRUECOLOUR_ALPHA = 3, 6
_COMPRESSION_LEVEL = 6


def write_quicklook(path: str | Path, overview: NDArray[Any], layer: Layer) -> None:
    """Write `overview`, stored values of the layer, as a PNG of at most 1024 pixels a side.

    uint8 layers become palette images; others take the layer's colours, interpolated between its stops.
    No-data, and values that have no colour, are transparent. A layer without colours is shown in greys from
    its least value to its greatest. Equal input gives equal bytes.
    """
    step = -(-max(overview.shape) // LONGEST_SIDE)
    picture = overview[::step, ::step]
    if not layer.colours:
        picture, layer = _greys(picture, layer)
    if picture.dtype == np.uint8:
        data = _indexed_png(picture, _palette(layer))
    else:
        data = _png(_true_colours(picture, layer), _TRUECOLOUR_ALPHA, b"")
    Path(path).write_bytes(data)


def _palette(layer: Layer) -> list[Colour]:
    colours = layer.palette()
    if layer.nodata is not None:
        colours[int(layer.nodata)] = TRANSPARENT
    return [colours.get(value, TRANSPARENT) for value in range(256)]


def _true_colours(values: NDArray[Any], layer: Layer) -> NDArray[np.uint8]:
    """Red, green, blue and alpha of stored values of any type."""
    picture = np.zeros((*values.shape, 4), np.uint8)
    missing = _missing(values, layer)
    if layer.ramp is not None:
        first, last = layer.ramp
        stops = sorted(value for value in layer.colours if first <= value <= last)
        for channel in range(4):
            levels = np.interp(
                np.where(missing, 0, values), stops, [layer.colours[stop][channel] for stop in stops]
            )
            picture[..., channel] = np.floor(levels + 0.5)
    for value, colour in layer.colours.items():
        picture[values == value] = colour
    picture[missing] = TRANSPARENT
    return picture


def _missing(values: NDArray[Any], layer: Layer) -> NDArray[np.bool_]:
    missing: NDArray[np.bool_] = ~np.isfinite(values)
    if layer.nodata is not None:
        missing |= values == layer.nodata
    return missing


def _greys(values: NDArray[Any], layer: Layer) -> tuple[NDArray[np.uint8], Layer]:
    """The values as 0 to 254, 255 being no-data, and a layer of such greys."""
    missing = _missing(values, layer)
    valid = values[~missing].astype(np.float64)
    low, high = (valid.min(), valid.max()) if valid.size else (0.0, 0.0)
    share = (np.where(missing, low, values) - low) / max(high - low, np.finfo(np.float64).tiny)
    levels = np.floor(share * _GREY_STEPS + 0.5).astype(np.uint8)
    colours = {0: (0, 0, 0, 255), _GREY_STEPS: (255, 255, 255, 255)}
    greys = Layer(layer.name, "uint8", nodata=255, colours=colours, ramp=(0, _GREY_STEPS))
    return np.where(missing, np.uint8(255), levels), greys


def _indexed_png(indices: NDArray[np.uint8], palette: list[Colour]) -> bytes:
    colours = bytes(channel for colour in palette for channel in colour[:3])
    alphas = bytes(colour[3] for colour in palette)
    return _png(indices, _INDEXED, _chunk(b"PLTE", colours) + _chunk(b"tRNS", alphas))


def _png(pixels: NDArray[np.uint8], colour_type: int, chunks: bytes) -> bytes:
    """A PNG file of 8 bits per channel; its rows are stored unfiltered, which suits flat colours."""
    rows, columns = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", columns, rows, 8, colour_type, 0, 0, 0)
    filters = np.zeros((rows, 1), np.uint8)
    lines = np.concatenate([filters, pixels.reshape(rows, -1)], axis=1)
    data = zlib.compress(lines.tobytes(), _COMPRESSION_LEVEL)
    return (
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + chunks + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
