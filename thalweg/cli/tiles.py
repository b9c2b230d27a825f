"""thalweg tiles: find tiles of the Sentinel-2 grid."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.cli.report import print_table
from thalweg.errors import UsageError

if TYPE_CHECKING:
    from thalweg.tile import Tile


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "ids", nargs="*", metavar="TILE", help="tile such as 31TCH, or the beginning of one (31T)"
    )
    parser.add_argument("--point", metavar="LON,LAT", help="tiles that hold a point, degrees")
    parser.add_argument("--bbox", metavar="WEST,SOUTH,EAST,NORTH", help="tiles that touch a box, degrees")
    parser.add_argument(
        "--table", type=Path, metavar="FILE", help="tile table of yours (CSV or Parquet, column tile)"
    )
    parser.add_argument(
        "--where", metavar="CONDITION", help='with --table: such as "land_frac > 0.2 and lake_km2 > 1"'
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def execute(arguments: argparse.Namespace) -> int:
    """Print the tiles that meet all conditions."""
    from thalweg.tiling import find_tiles

    if arguments.where and not arguments.table:
        raise UsageError("--where needs --table FILE: what the condition is about")
    point: Any = _numbers("--point", arguments.point, 2)
    box: Any = _numbers("--bbox", arguments.bbox, 4)
    tiles = [tile for prefix in arguments.ids or [""] for tile in find_tiles(prefix, point=point, box=box)]
    if arguments.table:
        from thalweg.tiletable import read_tile_table

        table = read_tile_table(arguments.table)
        wanted = set((table.where(arguments.where) if arguments.where else table).ids)
        tiles = [tile for tile in tiles if tile.id in wanted]
    _print(tiles, arguments.json)
    return 0


def _print(tiles: list[Tile], as_json: bool) -> None:
    if as_json:
        print(json.dumps([{"tile": tile.id, "epsg": tile.epsg, "corner": tile.corner} for tile in tiles]))
        return
    rows = [(tile.id, str(tile.epsg), f"{tile.corner[0]}", f"{tile.corner[1]}") for tile in tiles]
    print_table("", ("tile", "epsg", "left", "top"), rows)


def _numbers(option: str, text: str | None, count: int) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != count:
        raise UsageError(f"{option} {text!r}: expected {count} numbers with commas between them")
    return values
