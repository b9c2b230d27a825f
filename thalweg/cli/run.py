"""thalweg run: chains on granules."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.cli.report import Reporter
from thalweg.errors import UsageError
from thalweg.parameters import parse_text

if TYPE_CHECKING:
    from thalweg.ending import Ending
    from thalweg.grid import Bounds

_EPILOG = """\
A granule is a product folder or zip (MUSCATE, native MAJA, .SAFE), a STAC item (.json) with its files beside it,
or the YAML of a raster stack. For a synthesis it is a product, or a folder that holds products, such as the
destination of an earlier run; one product is made for every tile and period. The exit code is 0 where every unit is
done or has no data, else that of the failure class: 10 bad input, 11 missing input, 12 bad parameters, 20 memory,
22 disk, 24 service, 30 bug.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("granules", nargs="+", type=Path, metavar="GRANULE", help="product to process")
    parser.add_argument(
        "--chain",
        action="append",
        required=True,
        metavar="CHAIN",
        help="snow, another built-in chain, ./file.py:function, or package.module:function; repeatable",
    )
    parser.add_argument(
        "--period",
        metavar="PERIOD",
        help="of a synthesis: 2021-09-01/2022-08-31, 2021, 2021-01, monthly or annual",
    )
    parser.add_argument("--to", required=True, type=Path, metavar="DIR", help="where products go")
    parser.add_argument(
        "--static",
        action="append",
        default=[],
        metavar="DIR|ROLE=FILE",
        help="folder of static layers (DIR/<tile>/<role>.tif or DIR/<role>.tif), or one layer; repeatable",
    )
    parser.add_argument(
        "--without", action="append", default=[], metavar="ROLE", help="static layer to leave out; repeatable"
    )
    parser.add_argument(
        "--product",
        action="append",
        default=[],
        metavar="CHAIN=DIR",
        help="product of another chain to read, such as water=DIR; else the destination is searched; repeatable",
    )
    parser.add_argument(
        "--algorithms",
        action="append",
        default=[],
        metavar="FILE.py",
        help="declarations of your own that a chain takes up, such as algorithms of quality; repeatable",
    )
    parser.add_argument(
        "--parameters", type=Path, metavar="FILE", help="YAML: one section of parameters a chain"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="chosen",
        metavar="CHAIN.KEY=VALUE",
        help="one parameter, such as snow.profile=lis-1.11; wins over the file; repeatable",
    )
    parser.add_argument(
        "--bbox", type=_box, metavar="WEST,SOUTH,EAST,NORTH", help="only this part of the tile, degrees"
    )
    parser.add_argument("--codec", choices=("zstd", "deflate"), default="zstd", help="compression of rasters")
    parser.add_argument(
        "--strip-rows", type=_positive, metavar="N", help="rows of a strip; changes no result"
    )
    parser.add_argument("--json", action="store_true", help="print the endings as JSON")
    parser.add_argument("--traceback", action="store_true", help="show the traceback of a bug")


def execute(arguments: argparse.Namespace) -> int:
    """Run, report each unit, and give back the exit code."""
    from thalweg.ending import exit_code
    from thalweg.processing import run

    folder, files = split_static(arguments.static)
    parameters = choose(arguments.chosen, arguments.chain)
    chains = arguments.chain
    with Reporter(quiet=arguments.json, traces=arguments.traceback) as reporter:
        endings = run(
            arguments.granules,
            chains if len(chains) > 1 else chains[0],
            to=arguments.to,
            static=folder,
            static_files=files,
            without=arguments.without,
            parameters_file=arguments.parameters,
            bbox=arguments.bbox,
            codec=arguments.codec,
            strip_rows=arguments.strip_rows,
            products=split_products(arguments.product),
            period=arguments.period,
            algorithm_files=arguments.algorithms,
            report=reporter.ended,
            progress=reporter.progress,
            **parameters,
        )
    if arguments.json:
        _print_json(endings)
    else:
        reporter.summary(endings)
    return exit_code(endings)


def split_static(words: list[str]) -> tuple[Path | None, dict[str, Path]]:
    """The folder and the single files of ``--static``; UsageError where two folders are given."""
    files = {role: Path(path) for role, mark, path in (word.partition("=") for word in words) if mark}
    folders = [Path(word) for word in words if "=" not in word]
    if len(folders) > 1:
        raise UsageError(
            f"--static: one folder of static layers, not {len(folders)}: {', '.join(map(str, folders))}"
        )
    return (folders[0] if folders else None), files


def split_products(words: list[str]) -> dict[str, Path]:
    """Chain to folder of ``--product``; UsageError where a word has no ``CHAIN=DIR``."""
    parts = [word.partition("=") for word in words]
    for chain, mark, folder in parts:
        if not (chain and mark and folder):
            raise UsageError(f"--product {chain!r}: expected CHAIN=DIR, such as water=products/...")
    return {chain: Path(folder) for chain, _, folder in parts}


def choose(words: list[str], chains: list[str]) -> dict[str, Any]:
    """Parameters of ``--set``: those of the chain itself with one chain, one mapping a chain with several.

    A plug-in is called by the name that it declares, which is known only once it is loaded: with one chain, any name
    in front of the key is that chain's. UsageError where a word has no ``CHAIN.KEY=VALUE``.
    """
    chosen: dict[str, dict[str, Any]] = {}
    for word in words:
        key, mark, text = word.partition("=")
        name, dot, key = key.rpartition(".")
        if not (mark and dot and name and key):
            raise UsageError(f"--set {word!r}: expected CHAIN.KEY=VALUE, such as snow.dz=50")
        chosen.setdefault(name, {})[key] = parse_text(text)
    if len(chains) > 1:
        return chosen
    strangers = [name for name in chosen if name != chains[0] and ":" not in chains[0]]
    if strangers:
        raise UsageError(f"--set {strangers[0]}...: the chain of this run is {chains[0]!r}")
    return {key: value for section in chosen.values() for key, value in section.items()}


def _print_json(endings: list[Ending]) -> None:
    json.dump([ending.to_dict() for ending in endings], sys.stdout, indent=2, default=str)
    print()


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _box(text: str) -> Bounds:
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError("expected four numbers: west,south,east,north") from None
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90 and west < east):
        raise argparse.ArgumentTypeError("west < east and south < north, in degrees")
    return (west, south, east, north)
