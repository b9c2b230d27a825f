"""thalweg lakes: statistics of lakes from water-quality products."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from thalweg.cli.report import print_table

if TYPE_CHECKING:
    from thalweg.lakes import Row


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "products", nargs="+", type=Path, metavar="PRODUCT", help="product folder, or a destination to search"
    )
    parser.add_argument(
        "--polygons",
        required=True,
        type=Path,
        metavar="FILE",
        help="GeoPackage or GeoJSON, polygons or points with a field id",
    )
    parser.add_argument(
        "--to", type=Path, metavar="FILE", help="table to write or add to: .parquet, or .csv (written anew)"
    )
    parser.add_argument("--plot", type=Path, metavar="DIR", help="one picture a polygon and variable")
    parser.add_argument(
        "--variable",
        action="append",
        default=[],
        metavar="LAYER",
        help="only this one, such as chla; repeatable",
    )
    parser.add_argument(
        "--exclude", metavar="BITS", help="flags of pixels to leave out, such as CIRRUS,ADJACENCY (or none)"
    )
    parser.add_argument(
        "--min-valid", type=int, default=10, metavar="N", help="fewest pixels for statistics (10)"
    )
    parser.add_argument(
        "--window", type=int, default=3, metavar="N", help="pixels across, around a point (3)"
    )
    parser.add_argument(
        "--keep-duplicates", action="store_true", help="keep all products of one pass, marked"
    )
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")


def execute(arguments: argparse.Namespace) -> int:
    """Make the table, and say what is in it."""
    from thalweg.lakes import measure_lakes
    from thalweg.lakes.product import EXCLUDED

    given = arguments.exclude
    rows = measure_lakes(
        arguments.products,
        arguments.polygons,
        arguments.to,
        plot=arguments.plot,
        variables=arguments.variable,
        exclude_bits=EXCLUDED
        if given is None
        else [bit for bit in given.split(",") if bit not in ("", "none")],
        min_valid=arguments.min_valid,
        window=arguments.window,
        keep_duplicates=arguments.keep_duplicates,
    )
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], default=str))
    else:
        _print(rows)
    return 0


def _print(rows: list[Row]) -> None:
    shown = [
        (
            row.polygon_id,
            f"{row.datetime:%Y-%m-%d}",
            row.variable,
            f"{row.n_valid}",
            *map(_number, _main(row)),
        )
        for row in rows
    ]
    columns = ("polygon", "date", "variable", "valid", "p10", "median", "p90", "cloud")
    print_table("", columns, shown)


def _main(row: Row) -> tuple[float | None, ...]:
    middle = row.median if row.histogram is None else row.mode
    return (row.p10, middle, row.p90, row.cloud_fraction)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
