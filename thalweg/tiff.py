"""The frame of a Cloud-Optimised GeoTIFF: header, directories, blocks; and the tags that describe a layer.

The order of things is that of GDAL's COG driver, whose readers look for it: the ghost area behind the header
announces that directories come first, that blocks lie in row-major order, and that each block has its size
in front of it and its last four bytes repeated behind it. Data of overviews precede those of full resolution,
the smallest first. (A block is what TIFF calls a tile; here a tile is a cell of the Sentinel-2 grid.)

Source: TIFF 6.0 and BigTIFF; OGC GeoTIFF 1.1 (19-008r4); "Cloud Optimized GeoTIFF" page of the GDAL manual.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from html import escape
from itertools import accumulate, pairwise
from pathlib import Path

from thalweg.errors import BadParameters
from thalweg.grid import Grid
from thalweg.layer import Layer
from thalweg.spool import Spool

Tags = Mapping[int, "Entry"]
"""TIFF tag number to value."""


class Tag(IntEnum):
    """Numbers of the tags that are written."""

    SUBFILE_TYPE = 254
    COLUMNS = 256
    ROWS = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    IMAGE_DESCRIPTION = 270
    SAMPLES = 277
    PLANES = 284
    SOFTWARE = 305
    PREDICTOR = 317
    COLOUR_MAP = 320
    BLOCK_COLUMNS = 322
    BLOCK_ROWS = 323
    BLOCK_OFFSETS = 324
    BLOCK_SIZES = 325
    SAMPLE_FORMAT = 339
    COPYRIGHT = 33432
    PIXEL_SIZE = 33550
    CORNER = 33922
    GEO_KEYS = 34735
    GDAL_METADATA = 42112
    GDAL_NODATA = 42113


class GeoKey(IntEnum):
    """Numbers of the GeoTIFF keys that are written."""

    MODEL = 1024
    RASTER = 1025
    GEOGRAPHIC = 2048
    PROJECTED = 3072


@dataclass(frozen=True, slots=True)
class Entry:
    """The value of one TIFF tag."""

    kind: int
    """TIFF type: 2 ASCII, 3 SHORT, 4 LONG, 12 DOUBLE, 16 LONG8."""
    count: int
    """Number of values of that type."""
    payload: bytes
    """The values, little-endian."""


@dataclass(frozen=True, slots=True)
class Image:
    """One resolution of a raster: its directory and its data."""

    tags: Tags
    """Every tag but the offsets and sizes of the blocks."""
    blocks: Spool
    """Encoded blocks, row by row."""


@dataclass(frozen=True, slots=True)
class Form:
    """Classic TIFF or BigTIFF: how wide counts and offsets are."""

    magic: bytes
    """What the file begins with."""
    count: str
    """Struct letter of a directory's number of entries."""
    offset: str
    """Struct letter of offsets and of numbers of values."""
    offset_kind: int
    """TIFF type of an offset."""


CLASSIC = Form(b"II*\0", "H", "I", 4)
BIG = Form(b"II+\0\x08\0\0\0", "Q", "Q", 16)

CLASSIC_LIMIT = 2**32 - 1
"""Largest file, in bytes, whose offsets fit classic TIFF."""

_LAYOUT = (
    b"LAYOUT=IFDS_BEFORE_DATA\n"
    b"BLOCK_ORDER=ROW_MAJOR\n"
    b"BLOCK_LEADER=SIZE_AS_UINT4\n"
    b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED\n"
    # The blank leaves room for a tool that edits the file to write YES.
    b"KNOWN_INCOMPATIBLE_EDITION=NO\n "
)
_GHOST = b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n" % len(_LAYOUT) + _LAYOUT

_BLOCK_FRAME = 8
_PIXEL_IS_AREA = 1
_GREY, _PALETTE = 1, 3

_TEXT_TAGS = {
    "TIFFTAG_IMAGEDESCRIPTION": Tag.IMAGE_DESCRIPTION,
    "TIFFTAG_SOFTWARE": Tag.SOFTWARE,
    "TIFFTAG_COPYRIGHT": Tag.COPYRIGHT,
}
"""Dataset tags that TIFF has a place for; not date and host: equal inputs give equal bytes."""


def write_tiff(path: Path, images: Sequence[Image], *, big: bool | None = None) -> None:
    """Write the images, full resolution first, as one file; an exception leaves nothing at `path`.

    BigTIFF is chosen where classic offsets would not reach, or as `big` says.
    """
    try:
        with path.open("wb") as file:
            file.writelines(_pieces(images, _form(images, big)))
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def ascii_entry(text: str) -> Entry:
    """Text, stored as UTF-8 with its closing NUL."""
    payload = text.encode() + b"\0"
    return Entry(2, len(payload), payload)


def short_entry(*values: int) -> Entry:
    """Integers 0 to 65535."""
    return Entry(3, len(values), struct.pack(f"<{len(values)}H", *values))


def long_entry(*values: int) -> Entry:
    """Integers 0 to 2^32 - 1."""
    return Entry(4, len(values), struct.pack(f"<{len(values)}I", *values))


def double_entry(*values: float) -> Entry:
    """Double-precision numbers."""
    return Entry(12, len(values), struct.pack(f"<{len(values)}d", *values))


def grid_tags(grid: Grid) -> dict[int, Entry]:
    """GeoTIFF tags of a grid: pixel size, corner and EPSG code, pixels being areas.

    Raises BadParameters where the CRS is not a projected or geographic one with an EPSG code.
    """
    width, height = grid.pixel
    model, code_key = _crs_keys(grid)
    keys = ((GeoKey.MODEL, model), (GeoKey.RASTER, _PIXEL_IS_AREA), (code_key, grid.epsg or 0))
    directory = [1, 1, 0, len(keys)]
    for key, value in keys:
        directory += [key, 0, 1, value]
    return {
        Tag.PIXEL_SIZE: double_entry(width, height, 0.0),
        Tag.CORNER: double_entry(0.0, 0.0, 0.0, grid.left, grid.top, 0.0),
        Tag.GEO_KEYS: short_entry(*directory),
    }


def nodata_tags(layer: Layer) -> dict[int, Entry]:
    """GDAL's no-data tag, empty where every value is a result."""
    return {} if layer.nodata is None else {Tag.GDAL_NODATA: ascii_entry(_number(layer.nodata))}


def colour_tags(layer: Layer) -> dict[int, Entry]:
    """Photometric interpretation, with the colour table of a uint8 layer that has colours.

    TIFF colour tables know no transparency: readers make the no-data value transparent, and no other one.
    """
    palette = layer.palette() if layer.dtype == "uint8" else {}
    if not palette:
        return {Tag.PHOTOMETRIC: short_entry(_GREY)}
    table = [palette.get(value, (0, 0, 0, 0)) for value in range(256)]
    return {
        Tag.PHOTOMETRIC: short_entry(_PALETTE),
        Tag.COLOUR_MAP: short_entry(*(colour[channel] * 257 for channel in range(3) for colour in table)),
    }


def meaning_tags(layer: Layer, extra: Mapping[str, str]) -> dict[int, Entry]:
    """What the values mean, as GDAL reads it: description, unit, scale and offset of the band; dataset tags.

    Class names are the dataset tags ``CLASS_<value>``, names of bits ``BIT_<number>``. `extra` are more
    dataset tags; of those beginning with ``TIFFTAG_`` only SOFTWARE, COPYRIGHT and IMAGEDESCRIPTION are
    known, and others raise BadParameters.
    """
    native = {name: text for name, text in extra.items() if name.startswith("TIFFTAG_")}
    unknown = sorted(native.keys() - _TEXT_TAGS.keys())
    if unknown:
        raise BadParameters(f"dataset tag {unknown[0]} is not written; known: {', '.join(_TEXT_TAGS)}")
    items = [_item(name, text) for name, text in (_names(layer) | dict(extra)).items() if name not in native]
    items += [_item(role.upper(), text, role) for role, text in _band_roles(layer)]
    document = "<GDALMetadata>\n" + "".join(items) + "</GDALMetadata>\n"
    texts: dict[int, Entry] = {_TEXT_TAGS[name]: ascii_entry(text) for name, text in native.items()}
    return {**texts, Tag.GDAL_METADATA: ascii_entry(document)}


def _crs_keys(grid: Grid) -> tuple[int, int]:
    """GeoTIFF model type (1 projected, 2 geographic) and the key that holds the code of such a CRS."""
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    advice = "Give the grid a projected or geographic CRS that has an EPSG code."
    if grid.epsg is None:
        raise BadParameters(f"a GeoTIFF is written with an EPSG code; {grid.crs!r} is none", advice=advice)
    try:
        kind = CRS.from_epsg(grid.epsg).to_dict(projjson=True)["type"]
    except CRSError as error:
        raise BadParameters(f"{grid.crs} is no known CRS: {error}", advice=advice) from error
    keys = {"ProjectedCRS": (1, GeoKey.PROJECTED), "GeographicCRS": (2, GeoKey.GEOGRAPHIC)}
    if kind not in keys or grid.epsg >= 32767:
        raise BadParameters(f"{grid.crs} is a {kind}, which a GeoTIFF cannot name by its code", advice=advice)
    return keys[kind]


def _names(layer: Layer) -> dict[str, str]:
    classes = {f"CLASS_{one.value}": one.name for one in layer.classes}
    if layer.transform:
        classes["transform"] = layer.transform
    return classes | {f"BIT_{number}": name for number, name in enumerate(layer.bits)}


def _band_roles(layer: Layer) -> Iterator[tuple[str, str]]:
    if layer.scale != 1 or layer.offset != 0:
        yield "offset", _number(layer.offset)
        yield "scale", _number(layer.scale)
    if layer.units:
        yield "unittype", layer.units
    yield "description", layer.description or layer.name


def _item(name: str, text: str, role: str = "") -> str:
    place = f' sample="0" role="{role}"' if role else ""
    # GDAL unescapes the text once as XML and once more as its own.
    return f'  <Item name="{escape(name)}"{place}>{escape(escape(text))}</Item>\n'


def _number(value: float) -> str:
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(float(value))


def _form(images: Sequence[Image], big: bool | None) -> Form:
    if big is None:
        data = sum(size + _BLOCK_FRAME for image in images for size in image.blocks.sizes)
        big = _directory_starts(images, CLASSIC)[-1] + data > CLASSIC_LIMIT
    return BIG if big else CLASSIC


def _pieces(images: Sequence[Image], form: Form) -> Iterator[bytes]:
    """The file from its first byte to its last."""
    starts = _directory_starts(images, form)
    head = form.magic + struct.pack("<" + form.offset, starts[0]) + _GHOST
    yield head.ljust(starts[0], b"\0")
    offsets = _block_offsets(images, starts[-1])
    for number, (start, end) in enumerate(pairwise(starts)):
        tags = _with_blocks(images[number], offsets[number], form)
        following = end if end != starts[-1] else 0
        yield _directory(tags, start, following, form)
    for image in reversed(images):
        for block in image.blocks:
            yield struct.pack("<I", len(block))
            yield block
            yield block[-4:]


def _directory_starts(images: Sequence[Image], form: Form) -> list[int]:
    """Position of each directory, and of what follows the last one."""
    first = _aligned(len(form.magic) + struct.calcsize("<" + form.offset) + len(_GHOST))
    return list(accumulate((_directory_size(image, form) for image in images), initial=first))


def _directory_size(image: Image, form: Form) -> int:
    # No size depends on a value: zeros stand for the offsets, which are not known yet.
    return len(_directory(_with_blocks(image, [0] * len(image.blocks.sizes), form), 0, 0, form))


def _block_offsets(images: Sequence[Image], start: int) -> list[list[int]]:
    """Position of every block, per image in the order given; data of the last image come first."""
    offsets: list[list[int]] = []
    for image in reversed(images):
        ends = list(accumulate((size + _BLOCK_FRAME for size in image.blocks.sizes), initial=start))
        offsets.append([end + 4 for end in ends[:-1]])
        start = ends[-1]
    return offsets[::-1]


def _with_blocks(image: Image, offsets: Sequence[int], form: Form) -> Tags:
    payload = struct.pack(f"<{len(offsets)}{form.offset}", *offsets)
    return {
        **image.tags,
        Tag.BLOCK_OFFSETS: Entry(form.offset_kind, len(offsets), payload),
        Tag.BLOCK_SIZES: long_entry(*image.blocks.sizes),
    }


def _directory(tags: Tags, start: int, following: int, form: Form) -> bytes:
    """One directory at position `start` with the values that do not fit its entries right behind it."""
    inline = struct.calcsize("<" + form.offset)
    entry_size = 4 + 2 * inline
    entries = struct.pack("<" + form.count, len(tags))
    values = b""
    values_start = _aligned(len(entries) + entry_size * len(tags) + inline)
    for code, entry in sorted(tags.items()):
        entries += struct.pack("<HH" + form.offset, code, entry.kind, entry.count)
        if len(entry.payload) <= inline:
            entries += entry.payload.ljust(inline, b"\0")
        else:
            entries += struct.pack("<" + form.offset, start + values_start + len(values))
            values += entry.payload.ljust(_aligned(len(entry.payload)), b"\0")
    return (entries + struct.pack("<" + form.offset, following)).ljust(values_start, b"\0") + values


def _aligned(size: int) -> int:
    return -(-size // 8) * 8
