"""A tile table: what the user knows of each tile, such as its land share, and conditions on that."""

from __future__ import annotations

import csv
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.errors import BadInput, BadParameters, MissingInput
from thalweg.tile import Tile, bare_id, tile_ids

Column = NDArray[Any]
"""One value per tile: float64 (NaN where unknown), bool or str."""

_ORDER: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">=": operator.ge,
    ">": operator.gt,
}
_EQUALITY: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}
_COMPARISON = re.compile(
    r"""\s*(?P<column>[A-Za-z_]\w*)\s*(?P<sign><=|>=|!=|==|=|<|>)\s*"""
    r"""(?P<value>'[^']*'|"[^"]*"|[^\s'"<>=!]+)\s*"""
)
_AND = re.compile(r"and\b", re.IGNORECASE)
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One column against one value."""

    column: str
    """Name of the column."""
    sign: str
    """One of <, <=, =, ==, !=, >=, >."""
    value: str
    """What the column is compared with, as written; the column says whether that is a number."""

    def of(self, column: Column) -> NDArray[np.bool_]:
        """Which rows of the column satisfy the comparison; an unknown number never does."""
        operators = {**_ORDER, **_EQUALITY} if column.dtype.kind == "f" else _EQUALITY
        if self.sign not in operators:
            raise BadParameters(f"column {self.column!r} has no order: compare with = or !=, not {self.sign}")
        flags: NDArray[np.bool_] = operators[self.sign](column, self._value(column.dtype.kind))
        return flags & ~np.isnan(column) if column.dtype.kind == "f" else flags

    def _value(self, kind: str) -> float | bool | str:
        if kind not in "fb":
            return self.value
        try:
            return float(self.value) if kind == "f" else _TRUTH[self.value.lower()]
        except (ValueError, KeyError):
            holds = "numbers" if kind == "f" else "true or false"
            raise BadParameters(f"column {self.column!r} holds {holds}, not {self.value!r}") from None


@dataclass(frozen=True, slots=True)
class TileTable:
    """Tiles and what is known of each."""

    ids: tuple[str, ...]
    """MGRS ids without the T, in the order of the file."""
    columns: Mapping[str, Column]
    """Column name to one value per tile."""

    def tiles(self) -> tuple[Tile, ...]:
        """The tiles as values."""
        return tuple(Tile(id) for id in self.ids)

    def where(self, condition: str) -> TileTable:
        """The tiles that satisfy ``column op value [and column op value ...]``, such as ``land_frac > 0.2``.

        Operators are <, <=, =, ==, !=, >= and >; values are numbers, true, false or text, which takes
        quotes where it has spaces.
        """
        flags = np.ones(len(self.ids), bool)
        for comparison in parse_condition(condition):
            flags &= comparison.of(self._column(comparison.column))
        ids = tuple(id for id, flag in zip(self.ids, flags.tolist(), strict=True) if flag)
        return TileTable(ids, {name: column[flags] for name, column in self.columns.items()})

    def _column(self, name: str) -> Column:
        if name in self.columns:
            return self.columns[name]
        near = get_close_matches(name, list(self.columns), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise BadParameters(f"unknown column {name!r}.{hint} Known: {', '.join(self.columns)}.")


def parse_condition(condition: str) -> tuple[Comparison, ...]:
    """The comparisons of ``column op value [and ...]``; `BadParameters` points at what was not understood."""
    return tuple(_comparisons(condition))


def read_tile_table(path: Path | str) -> TileTable:
    """Read a table with a column ``tile`` from a CSV or Parquet file (Parquet needs pyarrow)."""
    path = Path(path)
    if not path.is_file():
        raise MissingInput(f"{path}: no such tile table", advice="Name a CSV or Parquet file.")
    readers = {".csv": _read_csv, ".parquet": _read_parquet}
    if path.suffix.lower() not in readers:
        raise BadInput(f"{path}: a tile table is a .csv or a .parquet file")
    columns = dict(readers[path.suffix.lower()](path))
    if "tile" not in columns:
        raise BadInput(f"{path}: no column 'tile'; it has: {', '.join(columns) or 'none'}")
    ids = tuple(bare_id(str(id)) for id in columns["tile"].tolist())
    _check_ids(path, ids)
    return TileTable(ids, columns | {"tile": np.array(ids, dtype=str)})


def _comparisons(condition: str) -> Iterator[Comparison]:
    at = 0
    while True:
        found = _COMPARISON.match(condition, at)
        if found is None:
            raise _misread(condition, at)
        value = found["value"]
        yield Comparison(found["column"], found["sign"], value[1:-1] if value[0] in "'\"" else value)
        at = found.end()
        if at == len(condition):
            return
        joint = _AND.match(condition, at)
        if joint is None:
            raise _misread(condition, at)
        at = joint.end()


def _misread(condition: str, at: int) -> BadParameters:
    rest = condition[at:].strip() or "its end"
    return BadParameters(
        f"condition {condition!r}: not understood from {rest!r}",
        advice="Write: column op value [and column op value], such as land_frac > 0.2 and theia_l2a = true",
    )


def _read_csv(path: Path) -> Iterator[tuple[str, Column]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path}: not a CSV file in UTF-8 ({error})") from error
    ragged = next((row for row in rows if len(row) != len(header)), None)
    if ragged is not None:
        raise BadInput(f"{path}: the row of {ragged[0]!r} has {len(ragged)} values, the header {len(header)}")
    for at, name in enumerate(header):
        yield name.strip(), _typed([row[at].strip() for row in rows], text=name.strip() == "tile")


def _typed(texts: list[str], text: bool) -> Column:
    """Texts as numbers or truths where all of them are; an empty one is an unknown number."""
    if text:
        return np.array(texts, dtype=str)
    if texts and all(value.lower() in _TRUTH for value in texts):
        return np.array([_TRUTH[value.lower()] for value in texts])
    try:
        return np.array([float(value or "nan") for value in texts], np.float64)
    except ValueError:
        return np.array(texts, dtype=str)


def _read_parquet(path: Path) -> Iterator[tuple[str, Column]]:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ModuleNotFoundError as error:
        advice = "pip install 'thalweg[catalogue]', or give the table as CSV."
        raise BadParameters(f"{path}: reading Parquet needs pyarrow", advice=advice) from error
    try:
        table = parquet.read_table(path)
    except (arrow.ArrowException, OSError) as error:
        raise BadInput(f"{path}: not a readable Parquet file ({error})") from error
    for name in table.column_names:
        values = table.column(name).to_numpy()
        yield name, values if values.dtype == bool else _plain(values)


def _plain(values: NDArray[Any]) -> Column:
    """Numbers as float64 and anything else as text."""
    if values.dtype.kind in "iuf":
        return values.astype(np.float64)
    return np.array(["" if value is None else str(value) for value in values], dtype=str)


def _check_ids(path: Path, ids: tuple[str, ...]) -> None:
    known = set(tile_ids())
    unknown = next((id for id in ids if id not in known), None)
    if unknown is not None:
        raise BadInput(f"{path}: {unknown!r} is no tile of the Sentinel-2 grid")
    twice = [id for id, count in Counter(ids).items() if count > 1]
    if twice:
        raise BadInput(f"{path}: more than one row for tile {', '.join(twice[:5])}")
