"""thalweg static: static layers of a tile, brought to its grid, with their digests."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from thalweg.cli.report import print_table
from thalweg.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="prepare")
    prepare = verbs.add_parser("prepare", help="warp layers to a tile's grid, and write digest sidecars")
    prepare.add_argument(
        "layers",
        nargs="*",
        metavar="ROLE=FILE",
        help="layer to bring to the tile; none: only digests of what is there",
    )
    prepare.add_argument("--tile", required=True, metavar="TILE", help="tile such as 31TCH")
    prepare.add_argument("--to", required=True, type=Path, metavar="DIR", help="folder of static layers")
    prepare.add_argument(
        "--resolution", type=int, default=20, metavar="M", help="pixel size, metres (default 20)"
    )
    prepare.add_argument(
        "--margin", type=int, default=0, metavar="PX", help="pixels around the tile, for shadows"
    )
    prepare.add_argument("--json", action="store_true", help="as JSON")


def execute(arguments: argparse.Namespace) -> int:
    """Prepare and say what was written."""
    from thalweg.preparation import prepare

    layers = {}
    for word in arguments.layers:
        role, mark, path = word.partition("=")
        if not (role and mark and path):
            raise UsageError(f"{word!r}: expected ROLE=FILE, such as dem=europe.tif")
        layers[role] = Path(path)
    prepared = prepare(layers, arguments.tile, arguments.to, arguments.resolution, arguments.margin)
    if arguments.json:
        print(
            json.dumps(
                {role: {"file": str(layer.path), "sha256": layer.digest} for role, layer in prepared.items()}
            )
        )
    else:
        print_table(
            "", ("role", "sha256", "file"), [(r, p.digest[:12], str(p.path)) for r, p in prepared.items()]
        )
    return 0
