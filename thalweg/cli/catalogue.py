"""thalweg catalogue: find products, see what is missing and why, rebuild from the items."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from thalweg.cli.report import print_table
from thalweg.errors import MissingInput, UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="search|missing|rebuild")
    search = verbs.add_parser("search", help="products that meet all conditions, the newest first")
    _place(search)
    search.add_argument("--tile", metavar="TILE", help="tile such as 31TCH")
    search.add_argument(
        "--period", metavar="PERIOD", help="2024, 2024-01, 2024-01-05, or BEGIN/END with .. for open"
    )
    search.add_argument("--collection", metavar="ID", help="collection, such as snow-1.0")
    search.add_argument("--bbox", metavar="WEST,SOUTH,EAST,NORTH", help="products that touch a box, degrees")
    search.add_argument("--current", action="store_true", help="leave out what a newer version supersedes")
    search.add_argument("--limit", type=int, metavar="N", help="at most so many")
    missing = verbs.add_parser("missing", help="units that ended without a product, and why")
    _place(missing)
    missing.add_argument("--tile", metavar="TILE", help="tile such as 31TCH")
    rebuild = verbs.add_parser("rebuild", help="make the catalogue again from the items")
    _place(rebuild)


def execute(arguments: argparse.Namespace) -> int:
    """Search, list what is missing, or rebuild."""
    return {"search": _search, "missing": _missing, "rebuild": _rebuild}[arguments.verb](arguments)


def _place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="destination of the products")
    parser.add_argument("--json", action="store_true", help="as JSON")


def _search(arguments: argparse.Namespace) -> int:
    with _open(arguments.to) as catalogue:
        items = catalogue.search(
            tile=arguments.tile,
            period=arguments.period,
            collection=arguments.collection,
            bbox=_box(arguments.bbox),
            current=arguments.current,
            limit=arguments.limit,
        )
    if arguments.json:
        print(json.dumps(items, indent=2))
        return 0
    rows = [
        (item["properties"]["datetime"][:19], item["collection"], item["id"], _cover(item["properties"]))
        for item in items
    ]
    print_table("", ("sensed", "collection", "product", "cloud"), rows)
    return 0


def _missing(arguments: argparse.Namespace) -> int:
    with _open(arguments.to) as catalogue:
        endings = catalogue.endings(tile=arguments.tile)
    if arguments.json:
        facts = [{name: getattr(ending, name) for name in ending.__slots__} for ending in endings]
        print(json.dumps(facts, indent=2, default=str))
        return 0
    rows = [(ending.chain, ending.granule, ending.kind, ending.message) for ending in endings]
    print_table("", ("chain", "granule", "class", "why"), rows)
    return 0


def _rebuild(arguments: argparse.Namespace) -> int:
    from thalweg.catalogue import rebuild
    from thalweg.registry import list_chains

    rebuilt = rebuild(arguments.to, [listing.chain for listing in list_chains() if listing.chain])
    for problem in rebuilt.problems:
        print(f"left out: {problem}", file=sys.stderr)
    if rebuilt.endings_lost:
        print("the old catalogue was damaged: endings without a product are lost", file=sys.stderr)
    if arguments.json:
        print(
            json.dumps(
                {"items": rebuilt.items, "left_out": [problem.to_dict() for problem in rebuilt.problems]}
            )
        )
    else:
        print(f"{rebuilt.items} items")
    return rebuilt.problems[0].code if rebuilt.problems else 0


def _open(destination: Path) -> Any:
    from thalweg.catalogue import NAME, Catalogue

    if not (destination / NAME).exists():
        raise MissingInput(
            f"{destination / NAME}: no catalogue there",
            advice=f"Products without a catalogue? `thalweg catalogue rebuild --to {destination}` makes it.",
        )
    return Catalogue.open(destination / NAME, read_only=True)


def _cover(properties: dict[str, Any]) -> str:
    cover = properties.get("snow:cloud_percent", properties.get("eo:cloud_cover"))
    return "" if cover is None else f"{cover:.0f} %"


def _box(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != 4:
        raise UsageError(f"--bbox {text!r}: expected west,south,east,north in degrees")
    return values
