"""Granules from a stac-geoparquet file: only the columns that a plan needs are read, and all rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.errors import BadInput, MissingInput
from thalweg.providers.found import Granules, Wanted, need_arrow, schema
from thalweg.providers.items import (
    BASELINES,
    TILE_IN_ID,
    TILES,
    level_of,
    platform_name,
    product_name,
    tile_of_text,
)
from thalweg.providers.place import ID, Place

if TYPE_CHECKING:
    import pyarrow as arrow

_OTHERS = ("id", "datetime", "collection", "platform", "sat:relative_orbit", "eo:cloud_cover")


def find_in_geoparquet(path: Path, wanted: Wanted, collections: Sequence[str], place: Place) -> Granules:
    """Granules that a stac-geoparquet file (or a folder of them) lists, at their places on disk.

    Raises MissingInput where there is no such file, BadInput where it is none, or lacks id, datetime or tile.
    """
    arrow = need_arrow()
    if not path.exists():
        raise MissingInput(f"{path}: no such stac-geoparquet", advice="Correct inputs.at of the campaign.")
    try:
        items = _read(path)
    except (arrow.ArrowException, OSError) as problem:
        raise BadInput(f"{path}: no readable stac-geoparquet: {problem}") from problem
    for name in ("id", "datetime"):
        if name not in items.column_names:
            raise BadInput(f"{path}: has no column {name!r}: no stac-geoparquet")
    items = _chosen(items, wanted, collections)
    tiles = _tiles(items, path)
    if wanted.tiles is not None:
        keep = _compute().is_in(tiles, value_set=arrow.array(sorted(wanted.tiles), arrow.string()))
        items, tiles = items.filter(keep), tiles.filter(keep)
    return Granules(_as_found(items, tiles, place, path))


def _compute() -> Any:
    import pyarrow.compute

    return pyarrow.compute


def _read(path: Path) -> arrow.Table:
    import pyarrow.dataset as dataset

    source = dataset.dataset(path, format="parquet")
    wanted = (*_OTHERS, *TILES, *BASELINES)
    return source.to_table(columns=[name for name in source.schema.names if name in wanted])


def _chosen(items: arrow.Table, wanted: Wanted, collections: Sequence[str]) -> arrow.Table:
    """The rows of the wanted collections and period."""
    arrow, compute = need_arrow(), _compute()
    time = arrow.timestamp("us", tz="UTC")
    sensed = items["datetime"].cast(time)
    keep = compute.is_valid(sensed)
    if wanted.period.start:
        keep = compute.and_(keep, compute.greater_equal(sensed, arrow.scalar(wanted.period.start, time)))
    if wanted.period.end:
        keep = compute.and_(keep, compute.less(sensed, arrow.scalar(wanted.period.end, time)))
    if collections and "collection" in items.column_names:
        listed = arrow.array(list(collections), arrow.string())
        keep = compute.and_(keep, compute.is_in(items["collection"], value_set=listed))
    return items.set_column(items.column_names.index("datetime"), "datetime", sensed).filter(keep)


def _tiles(items: arrow.Table, path: Path) -> arrow.Array:
    """The tile of each row: of the first column that has it, else of the id."""
    arrow, compute = need_arrow(), _compute()
    found = arrow.nulls(items.num_rows, arrow.string())
    for name in (column for column in TILES if column in items.column_names):
        found = compute.coalesce(found, _mapped(items[name].cast(arrow.string()), tile_of_text))
    named = compute.extract_regex(items["id"], pattern=TILE_IN_ID.replace("(", "(?P<tile>", 1))
    found = compute.coalesce(found, compute.struct_field(named, "tile"))
    if found.null_count:
        row = int(np.flatnonzero(compute.is_null(found).to_numpy(zero_copy_only=False))[0])
        raise BadInput(
            f"{path}: item {items['id'][row].as_py()!r}: neither {', '.join(TILES)} nor its id names a tile"
        )
    return found.combine_chunks() if isinstance(found, arrow.ChunkedArray) else found


def _mapped(column: arrow.ChunkedArray, function: Any) -> arrow.Array:
    """A function of text on every value, called once for each that differs; empty text becomes null."""
    arrow = need_arrow()
    coded = column.combine_chunks().dictionary_encode()
    values = [None if text is None else function(text) or None for text in coded.dictionary.to_pylist()]
    return arrow.array(values, arrow.string()).take(coded.indices)


def _as_found(items: arrow.Table, tiles: arrow.Array, place: Place, path: Path) -> arrow.Table:
    arrow, compute = need_arrow(), _compute()
    ids = items["id"].combine_chunks()
    wrong = compute.invert(compute.match_substring_regex(ids, f"^(?:{ID.pattern})$"))
    if compute.any(wrong).as_py():
        row = ids.filter(wrong)[0].as_py()
        raise BadInput(f"{path}: item {row[:80]!r}: its id cannot be part of a path")
    paths = _paths(ids, tiles, items["datetime"].combine_chunks(), place)
    products = [product_name(path, id) for path, id in zip(paths.to_pylist(), ids.to_pylist(), strict=True)]
    names, formats = zip(*products, strict=True) if products else ((), ())
    columns: dict[str, Any] = {
        "id": arrow.array(names, arrow.string()),
        "path": paths,
        "format": arrow.array(formats, arrow.string()),
        "tile": tiles,
        "sensed": items["datetime"].combine_chunks(),
        "platform": _texts(items, ("platform",), platform_name),
        "level": _levels(items),
        "baseline": _texts(items, BASELINES, str),
        "orbit": _numbers(items, "sat:relative_orbit", arrow.int32()),
        "cloud_cover": _numbers(items, "eo:cloud_cover", arrow.float64()),
    }
    return arrow.table(columns, schema=schema())


def _paths(ids: arrow.Array, tiles: arrow.Array, sensed: arrow.Array, place: Place) -> arrow.Array:
    """The template filled in, all rows at once."""
    compute = _compute()
    days = {
        word: compute.strftime(sensed, format=form)
        for word, form in _FORMS
        if f"{{{word}}}" in place.template
    }
    values = {"id": ids, "tile": tiles, **days}
    parts: list[Any] = []
    for text, word in place.parts():
        parts += [text] if text else []
        parts += [values[word]] if word else []
    return compute.binary_join_element_wise(*parts, "")


_FORMS = (("year", "%Y"), ("month", "%m"), ("day", "%d"))


def _texts(items: arrow.Table, names: Sequence[str], function: Any) -> arrow.Array:
    """The first of these columns that has a value, as text; empty where none has."""
    arrow, compute = need_arrow(), _compute()
    found = arrow.nulls(items.num_rows, arrow.string())
    for name in (column for column in names if column in items.column_names):
        found = compute.coalesce(found, _mapped(items[name].cast(arrow.string()), function))
    return compute.fill_null(found, "")


def _levels(items: arrow.Table) -> arrow.Array:
    arrow, compute = need_arrow(), _compute()
    collections = _texts(items, ("collection",), str)
    top = compute.or_(
        _mapped_flags(collections), compute.match_substring_regex(items["id"].combine_chunks(), "MSIL1C")
    )
    return compute.if_else(top, arrow.scalar("L1C"), arrow.scalar("L2A"))


def _mapped_flags(collections: arrow.Array) -> Any:
    levels = _mapped(need_arrow().chunked_array([collections]), lambda text: level_of("", text))
    return _compute().fill_null(_compute().equal(levels, "L1C"), False)


def _numbers(items: arrow.Table, name: str, kind: Any) -> arrow.Array:
    arrow = need_arrow()
    if name not in items.column_names:
        return arrow.nulls(items.num_rows, kind)
    return items[name].cast(kind, safe=False).combine_chunks()
