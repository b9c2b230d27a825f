"""thalweg demo: a synthetic winter, three snow products, and where their pictures are."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from thalweg.cli.report import Reporter, print_table


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "--to", type=Path, default=Path("demo"), metavar="DIR", help="where everything goes (demo/)"
    )
    parser.add_argument(
        "--size", type=int, default=1098, metavar="PX", help="pixels of 20 m a side (default 1098)"
    )
    parser.add_argument("--json", action="store_true", help="print the endings as JSON")


def execute(arguments: argparse.Namespace) -> int:
    """Make the scenes, run snow on them, show the table and the pictures."""
    from thalweg.demo.show import make_scenes, table_of
    from thalweg.ending import exit_code
    from thalweg.processing import run

    scenes = make_scenes(arguments.to, arguments.size, _say)
    with Reporter(quiet=arguments.json) as reporter:
        endings = run(
            scenes.granules,
            "snow",
            to=arguments.to / "products",
            static=scenes.statics,
            report=reporter.ended,
            progress=reporter.progress,
        )
    if arguments.json:
        json.dump([ending.to_dict() for ending in endings], sys.stdout, indent=2, default=str)
        return exit_code(endings)
    print(
        "\nSynthetic scenes (invented terrain and weather, published snow spectra), genuine MUSCATE layout\n"
    )
    print_table("", ("date", "state", "snow", "cloud", "snow line", "time"), table_of(endings))
    print("\npictures:")
    for ending in endings:
        for picture in sorted(ending.product.glob("*.png")) if ending.product else []:
            print(f"  {picture}")
    print(f"\nthe same by hand:\n  {_command(scenes.granules[1], scenes.statics, arguments.to)}")
    print(f"what is there:\n  thalweg catalogue search --to {arguments.to / 'products'} --tile 31TCH")
    return exit_code(endings)


def _command(granule: Path, statics: Path, to: Path) -> str:
    return f"thalweg run {granule} --chain snow --static {statics} --to {to / 'products'}"


def _say(text: str) -> None:
    print(f"making {text}", file=sys.stderr, flush=True)
