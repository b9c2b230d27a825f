"""Three chains on one granule from one decode, beside three separate runs.

    make bench-fused        (python benchmarks/fused.py [--folder FOLDER] [--rounds 3] [--inputs muscate cog jp2])

FOLDER (.cache/benchmarks) receives the granules, once, from the demo's generator: a full tile as Theia delivers it,
with flat and surface reflectance; the same pixels as COGs beside a STAC item; and a quarter of a tile in JPEG 2000.
Snow, water (detector dswx) and quality, which reads the water product, are run in two ways, in turn, `rounds` times,
each way in a warm process of its own:

separate  one run a chain, one after the other
fused     one run of all three

CPU is user + system time of the process and its threads; bytes are those that the process read, by the system's count,
from files that the page cache holds; memory is its peak resident set. Products of both ways are compared, byte by byte.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHAINS = ("snow", "water", "quality")
WAYS = ("separate", "fused")
WARM = 546
"""Rows and columns, at 20 m, of the granule on which processes are warmed."""
PARAMETERS: dict[str, dict[str, Any]] = {"snow": {}, "water": {"detector": "dswx"}, "quality": {}}
TITLES = {
    "muscate": "MUSCATE, flat and surface reflectance",
    "cog": "COGs beside a STAC item",
    "jp2": "JPEG 2000, a quarter of a tile",
}


def main() -> int:
    """Prepare the granules, run both ways in turn, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path(".cache/benchmarks"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=5490, help="rows and columns at 20 m of the full tile")
    parser.add_argument("--quarter", type=int, default=2748, help="the same of the quarter")
    parser.add_argument("--inputs", nargs="+", choices=TITLES, default=tuple(TITLES))
    parser.add_argument("--serve", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments.serve)
    print(f"{'':40} {'CPU s':>8} {'wall s':>8} {'GB read':>8} {'peak MB':>8} {'CPU':>6} {'bytes':>6}")
    for kind in arguments.inputs:
        size = arguments.quarter if kind == "jp2" else arguments.size
        small, meant = prepare(arguments.folder, kind, WARM), prepare(arguments.folder, kind, size)
        report(TITLES[kind], measure(small, meant, arguments.rounds))
    print(f"medians of {arguments.rounds} interleaved runs")
    return 0


Place = tuple[Path, Path]
"""A granule and the folder of its static layers."""


def prepare(folder: Path, kind: str, size: int) -> Place:
    """A granule, made on the first call."""
    from fused_tile import write_muscate, write_stac

    home = folder / f"muscate-{size}"
    granule = write_muscate(home, size)
    if kind != "muscate":
        granule = write_stac(folder / f"{kind}-{size}", granule, jpeg2000=kind == "jp2")
    return granule, home / "STATIC"


def measure(small: Place, meant: Place, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Figures of both ways, interleaved: what the machine does beside touches both alike. Warmed on a small granule."""
    figures: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    with servers() as ask:
        for way in WAYS:
            ask(way, small)
        for _ in range(rounds):
            for way in WAYS:
                figures[way].append(ask(way, meant))
    return figures


@contextmanager
def servers() -> Iterator[Callable[[str, Place], dict[str, Any]]]:
    """One process a way that runs it each time it is asked, and says what that cost."""
    command = [sys.executable, __file__, "--serve"]
    running = {
        way: subprocess.Popen([*command, way], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for way in WAYS
    }

    def ask(way: str, place: Place) -> dict[str, Any]:
        process = running[way]
        if process.stdin is None or process.stdout is None:
            raise SystemExit(f"{way}: no connection")
        process.stdin.write(json.dumps([str(path) for path in place]) + "\n")
        process.stdin.flush()
        answer: dict[str, Any] = json.loads(process.stdout.readline())
        return answer

    try:
        yield ask
    finally:
        for process in running.values():
            if process.stdin:
                process.stdin.close()
            process.wait()


def serve(way: str) -> int:
    """Run one way on the granule of each line that comes in; a line of figures goes out."""
    for line in sys.stdin:
        granule, static = map(Path, json.loads(line))
        out = static.parent / f"out-{way}"
        shutil.rmtree(out, ignore_errors=True)
        clock, cpu, read = time.perf_counter(), cpu_seconds(), bytes_read()
        products = run_fused(granule, static, out) if way == "fused" else run_separately(granule, static, out)
        figures: dict[str, Any] = {
            "wall": time.perf_counter() - clock,
            "cpu": cpu_seconds() - cpu,
            "read": (bytes_read() - read) / 1e9,
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "digest": digest(products),
        }
        shutil.rmtree(out)
        print(json.dumps(figures), flush=True)
    return 0


def run_fused(granule: Path, static: Path, out: Path) -> list[Path]:
    """One run of all chains."""
    import thalweg

    return products_of(thalweg.run(granule, CHAINS, to=out, static=static, **PARAMETERS))


def run_separately(granule: Path, static: Path, out: Path) -> list[Path]:
    """One run a chain; the last one finds the product of the one before."""
    import thalweg

    runs = [thalweg.run(granule, chain, to=out, static=static, **PARAMETERS[chain]) for chain in CHAINS]
    return products_of([ending for endings in runs for ending in endings])


def products_of(endings: list[Any]) -> list[Path]:
    """Folders of the products, sorted."""
    for ending in endings:
        if ending.product is None:
            raise SystemExit(f"{ending.chain}: {ending.error}\n{ending.trace}")
    return sorted(ending.product for ending in endings)


def digest(products: list[Path]) -> str:
    """Of all rasters, by name."""
    import hashlib

    found = hashlib.sha256()
    for path in sorted(path for product in products for path in product.rglob("*.tif")):
        found.update(path.name.encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def report(title: str, figures: dict[str, list[dict[str, Any]]]) -> None:
    """Medians, and the fused run against the separate ones."""
    digests = {run["digest"] for runs in figures.values() for run in runs}
    if len(digests) > 1:
        raise SystemExit(f"{title}: products differ between fused and separate runs")
    keys = ("cpu", "wall", "read", "memory")
    middle = {
        way: {key: statistics.median(run[key] for run in runs) for key in keys}
        for way, runs in figures.items()
    }
    print(title)
    for way, found in middle.items():
        cpu, read = (found[key] / middle["separate"][key] for key in ("cpu", "read"))
        print(
            f"  {way:38} {found['cpu']:8.2f} {found['wall']:8.2f} {found['read']:8.2f} {found['memory']:8.0f}"
            f" {cpu:6.2f} {read:6.2f}",
            flush=True,
        )


def bytes_read() -> int:
    """What this process has read until now, from the page cache or not."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line.partition(":")[2] for line in lines if line.startswith("rchar")))


def cpu_seconds() -> float:
    """User and system time of this process and its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
