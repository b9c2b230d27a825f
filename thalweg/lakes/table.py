"""The table of lake statistics on disk: Parquet, or CSV where its name ends so."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from thalweg.errors import BadInput, BadParameters
from thalweg.lakes.statistics import Row

_INTEGERS = ("relative_orbit", "n_pixels", "n_masked", "n_valid", "mode")
_TEXTS = ("polygon_id", "product_id", "variable", "processing")


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows, whole or not at all; equal rows give equal bytes.

    Raises BadParameters where pyarrow is not installed and the name does not end in ``.csv``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.suffix.lower() == ".csv":
            _write_csv(making, rows)
        else:
            _write_parquet(making, rows)
        making.replace(path)
    finally:
        making.unlink(missing_ok=True)


def read_table(path: Path) -> list[Row]:
    """The rows of a Parquet table of ours; BadInput where it is another one."""
    arrow, parquet = _import_arrow()
    try:
        table = parquet.read_table(path)
        if not table.schema.equals(_schema(arrow)):
            raise BadInput(f"{path}: is no table of lake statistics of this version; name another file")
        return [_row(entry) for entry in table.to_pylist()]
    except (OSError, arrow.ArrowInvalid) as problem:
        raise BadInput(f"{path}: cannot be read as Parquet: {problem}") from problem


def _row(entry: Mapping[str, Any]) -> Row:
    histogram = entry["histogram"]
    return Row(**{**entry, "histogram": dict(histogram) if histogram is not None else None})


def _write_parquet(path: Path, rows: Sequence[Row]) -> None:
    arrow, parquet = _import_arrow()
    columns = {field.name: [getattr(row, field.name) for row in rows] for field in fields(Row)}
    columns["histogram"] = [_pairs(row.histogram) for row in rows]
    table = arrow.table(columns, schema=_schema(arrow))
    parquet.write_table(table, path, compression="zstd")


def _pairs(histogram: Mapping[int, int] | None) -> list[tuple[int, int]] | None:
    return list(histogram.items()) if histogram is not None else None


def _schema(arrow: Any) -> Any:
    types = {
        **dict.fromkeys(_TEXTS, arrow.string()),
        **dict.fromkeys(_INTEGERS, arrow.int64()),
        "datetime": arrow.timestamp("us", tz="UTC"),
        "histogram": arrow.map_(arrow.int32(), arrow.int64()),
        "duplicate": arrow.bool_(),
    }
    return arrow.schema([(field.name, types.get(field.name, arrow.float64())) for field in fields(Row)])


def _write_csv(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Row))
        writer.writerows([_text(value) for value in asdict(row).values()] for row in rows)


def _text(value: Any) -> Any:
    if isinstance(value, dict):
        return json.dumps(value, separators=(",", ":"))
    return value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value


def _import_arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise BadParameters(
            f"Parquet needs pyarrow, which cannot be imported: {error}",
            advice="Install it with `pip install thalweg[catalogue]`, or name a table that ends in .csv.",
        ) from error
    return pyarrow, pyarrow.parquet
