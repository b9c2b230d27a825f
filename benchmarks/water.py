"""Water on a full tile: every detector beside the chain's own reader and writer, and what gates and kernels save.

    make bench-water        (python benchmarks/water.py [--folder FOLDER] [--rounds 3])

FOLDER (.cache/benchmarks) receives two tiles of 10980 x 10980 pixels of 10 m from the demo's generator, once: a summer
landscape, and one that is nearly all water. These ways are run in turn, `rounds` times, each in a process of its own
that has run it before, and their medians are printed:

copy                    reader and writer of the product with copies in between: inputs read once, same layers, threads
dswx wofs forest cluster    the chain with this detector
flood ...               the same on the tile of water, where no gate can spare a pixel

Then the dswx kernel alone, and what it costs to ask the forest of scikit-learn for every pixel. CPU is user + system
time of the process and its threads; memory is its peak resident set.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from snow import bits_per_pixel, cpu_seconds, figures_since, machine, servers
from water_kernels import dswx_cost, scikit_learn_cost

WAYS = ("copy", "dswx", "wofs", "forest", "cluster", "flood-copy", "flood-forest", "flood-cluster")
LIMITS = {"dswx": 1.25, "wofs": 1.25, "forest": 4, "cluster": 4, "flood-forest": 6, "flood-cluster": 6}
"""CPU against that of the copies, at most."""


def main() -> int:
    """Prepare the tiles, run the ways in turn, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path(".cache/benchmarks"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=5490, help="rows and columns at 20 m")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--serve", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments.serve, arguments.folder)
    granule = prepare(arguments.folder, arguments.size)
    print(machine())
    side = 2 * arguments.size
    print(f"tile {granule.name}, {side} x {side} at 10 m; {bits_per_pixel(granule)}")
    report(measure(arguments), side * side / 1e6)
    print(dswx_cost(granule))
    print(scikit_learn_cost(granule, granule.parent / "STATIC"))
    return 0


def prepare(folder: Path, size: int) -> Path:
    """Both tiles, made on the first call; the landscape's granule comes back."""
    from water_tile import flooded, write_tile

    write_tile(folder / f"flood-{size}", size, flooded)
    return write_tile(folder / f"water-{size}", size)


def measure(arguments: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Figures of every way, interleaved: what the machine does beside touches all of them alike."""
    figures: dict[str, list[dict[str, Any]]] = {way: [] for way in arguments.ways}
    place = arguments.folder / f"water-{arguments.size}"
    with servers(list(arguments.ways), place, Path(__file__)) as ask:
        for way in figures:
            ask(way)
        for _ in range(arguments.rounds):
            for way, found in figures.items():
                found.append(ask(way))
    return figures


def serve(way: str, folder: Path) -> int:
    """Run one way whenever a line comes in; a line of figures goes out."""
    tile, _, what = way.rpartition("-")
    place = folder.with_name(folder.name.replace("water", tile)) if tile else folder
    work = copy_work(place) if what == "copy" else chain_work(place, what)
    for _ in sys.stdin:
        clock, cpu = time.perf_counter(), cpu_seconds()
        said = work()
        print(json.dumps({**figures_since(clock, cpu), **said}), flush=True)
    return 0


def chain_work(folder: Path, detector: str) -> Callable[[], dict[str, Any]]:
    """The water chain through the product's own door; the share of pixels that were asked for comes back."""

    def work() -> dict[str, Any]:
        ending = run(folder, "water", f"out-{detector}", detector=detector)
        training = ending.properties["water:training"]
        asked = (
            training["n_asked"] / (training["n_asked"] + training["n_gated"])
            if "n_asked" in training
            else None
        )
        return {"asked": asked, "used": ending.properties["water:detector_used"]}

    return work


def copy_work(folder: Path) -> Callable[[], dict[str, Any]]:
    """The same files read, layers of the same content written, and nothing computed."""
    from water_copy import copy_chain

    copies = copy_chain(run(folder, "water", "out-copy", keep=True, detector="wofs").product, detector="wofs")
    shutil.rmtree(folder / "out-copy")

    def work() -> dict[str, Any]:
        run(folder, copies, "out-copy")
        return {}

    return work


def run(folder: Path, chain: Any, out: str, keep: bool = False, **parameters: Any) -> Any:
    """The ending of one unit whose product is removed again unless it is kept."""
    import thalweg

    shutil.rmtree(folder / out, ignore_errors=True)
    granule = next(folder.glob("SENTINEL2*"))
    (ending,) = thalweg.run(granule, chain, to=folder / out, static=folder / "STATIC", **parameters)
    if ending.product is None:
        raise SystemExit(f"{ending.error}\n{ending.trace}")
    if not keep:
        shutil.rmtree(folder / out)
    return ending


def report(figures: dict[str, list[dict[str, Any]]], megapixels: float) -> None:
    """Medians, and each way against the copies of its tile."""
    middle = {
        way: {key: statistics.median(run[key] for run in runs) for key in ("cpu", "wall", "memory")}
        for way, runs in figures.items()
    }
    columns = ("CPU s", "CPU-ms/Mpx", "wall s", "peak MB", "CPU / copy", "at most", "asked")
    print(f"{'':16}" + "".join(f"{column:>12}" for column in columns))
    for way, found in middle.items():
        copy = middle.get("flood-copy" if way.startswith("flood") else "copy", found)
        asked, limit = figures[way][-1].get("asked"), LIMITS.get(way)
        cells = (
            f"{found['cpu']:.1f}",
            f"{1000 * found['cpu'] / megapixels:.0f}",
            f"{found['wall']:.1f}",
            f"{found['memory']:.0f}",
            f"{found['cpu'] / copy['cpu']:.2f}",
            "" if limit is None else f"{limit:.2f}",
            "" if asked is None else f"{100 * asked:.1f} %",
        )
        print(f"{way:16}" + "".join(f"{cell:>12}" for cell in cells))
    print(f"medians of {len(next(iter(figures.values())))} interleaved runs")


if __name__ == "__main__":
    sys.exit(main())
