"""Snow on a full tile: the chain beside its own reader and writer, a cold process, and whole-array numpy.

    make bench-snow        (python benchmarks/snow.py [--folder FOLDER] [--rounds 5])

FOLDER (.cache/benchmarks) receives a full winter tile, 5490 x 5490 at 20 m, from the demo's generator, once. Four ways
are run in turn, `rounds` times, each in a process of its own, and their medians are printed:

(a) copy   reader and writer of the product with copies in between: same files, layers, overviews, threads
(b) warm   the chain in a process that has run it before
(c) cold   a new process with a warm kernel cache, from `import thalweg` to the product
(d) numpy  the same detection on whole arrays, read and written by rasterio

CPU is user + system time of the process and its threads; memory is its peak resident set.
"""

from __future__ import annotations

import argparse
import json
import platform
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

TILE = "31TCH"
WAYS = ("copy", "warm", "cold", "numpy")
TITLES = {
    "copy": "(a) reader + writer, copies between",
    "warm": "(b) chain, warm",
    "cold": "(c) chain, cold process",
    "numpy": "(d) whole-array numpy",
}


def main() -> int:
    """Prepare the tile, run the ways in turn, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path(".cache/benchmarks"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=5490, help="rows and columns at 20 m")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--serve", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments.serve, arguments.folder)
    granule = prepare(arguments.folder, arguments.size)
    print(machine())
    print(f"tile {granule.name}, {arguments.size} x {arguments.size} at 20 m; {bits_per_pixel(granule)}")
    figures = measure(arguments)
    report(figures)
    print(detection_ratio(min(arguments.size, 2048)))
    return 0


def prepare(folder: Path, size: int) -> Path:
    """The granule of the benchmark, made on the first call."""
    from thalweg.demo.show import write_winter_tile

    return write_winter_tile(folder / f"tile-{size}", size)


def statics(folder: Path) -> Path:
    """Folder of static layers of a prepared tile."""
    return folder / "STATIC"


def measure(arguments: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Figures of every way, interleaved: what the machine does beside touches all of them alike."""
    folder = arguments.folder / f"tile-{arguments.size}"
    figures: dict[str, list[dict[str, float]]] = {way: [] for way in arguments.ways}
    with servers([way for way in arguments.ways if way != "cold"], folder) as ask:
        for way in figures:
            if way != "cold":
                ask(way)
        for _ in range(arguments.rounds):
            for way, found in figures.items():
                found.append(run_cold(folder) if way == "cold" else ask(way))
    return figures


@contextmanager
def servers(
    ways: list[str], folder: Path, script: Path = Path(__file__)
) -> Iterator[Callable[[str], dict[str, float]]]:
    """One process a way that runs it each time it is asked, and says what that cost."""
    command = [sys.executable, str(script), "--folder", str(folder), "--serve"]
    running = {
        way: subprocess.Popen([*command, way], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for way in ways
    }

    def ask(way: str) -> dict[str, float]:
        process = running[way]
        assert process.stdin and process.stdout
        process.stdin.write("go\n")
        process.stdin.flush()
        answer: dict[str, float] = json.loads(process.stdout.readline())
        return answer

    try:
        yield ask
    finally:
        for process in running.values():
            if process.stdin:
                process.stdin.close()
            process.wait()


def serve(way: str, folder: Path) -> int:
    """Run one way whenever a line comes in; a line of figures goes out."""
    work = {"copy": copy_work, "warm": chain_work, "numpy": numpy_work}[way](folder)
    for _ in sys.stdin:
        clock, cpu = time.perf_counter(), cpu_seconds()
        work()
        print(json.dumps(figures_since(clock, cpu)), flush=True)
    return 0


def run_cold(folder: Path) -> dict[str, float]:
    """A new process that runs the chain once."""
    clock = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out, granule = folder / "out", next(folder.glob("SENTINEL2*"))
    shutil.rmtree(out, ignore_errors=True)
    code = (
        f"import thalweg; (ending,) = thalweg.run({str(granule)!r}, 'snow', to={str(out)!r}, "
        f"static={str(statics(folder))!r}); assert ending.product, ending; "
        "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    memory = int(process.stdout.split()[-1]) / 1024
    wall = time.perf_counter() - clock
    shutil.rmtree(out)
    return {"wall": wall, "cpu": cpu, "memory": memory}


def chain_work(folder: Path) -> Callable[[], None]:
    """The snow chain through the product's own door."""
    import thalweg

    granule = next(folder.glob("SENTINEL2*"))

    def work() -> None:
        run_chain(thalweg.run, granule, "snow", folder)

    return work


def copy_work(folder: Path) -> Callable[[], None]:
    """The same files read, layers of the same content written, and nothing computed."""
    from snow_copy import copy_chain

    import thalweg

    granule = next(folder.glob("SENTINEL2*"))
    product = run_chain(thalweg.run, granule, "snow", folder, keep=True)
    copies = copy_chain(product)
    shutil.rmtree(folder / "out")

    def work() -> None:
        run_chain(thalweg.run, granule, copies, folder)

    return work


def numpy_work(folder: Path) -> Callable[[], None]:
    """Whole arrays."""
    from snow_numpy import detect_on_whole_arrays

    granule = next(folder.glob("SENTINEL2*"))
    out = folder / "out-numpy"

    def work() -> None:
        out.mkdir(exist_ok=True)
        detect_on_whole_arrays(granule, statics(folder) / TILE, out)
        shutil.rmtree(out)

    return work


def run_chain(run: Callable[..., Any], granule: Path, chain: Any, folder: Path, keep: bool = False) -> Path:
    """One product, removed again unless it is kept; its folder comes back."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    (ending,) = run(granule, chain, to=out, static=statics(folder))
    if ending.product is None:
        raise SystemExit(f"{ending.error}\n{ending.trace}")
    if not keep:
        shutil.rmtree(out)
    return Path(ending.product)


def report(figures: dict[str, list[dict[str, float]]]) -> None:
    """Medians, and each way against the first."""
    middle = {
        way: {key: statistics.median(run[key] for run in runs) for key in ("cpu", "wall", "memory")}
        for way, runs in figures.items()
    }
    floor = middle.get("copy", next(iter(middle.values())))["cpu"]
    print(f"{'':36} {'CPU s':>8} {'wall s':>8} {'peak MB':>8} {'CPU / (a)':>10}")
    for way, found in middle.items():
        ratio = found["cpu"] / floor
        print(
            f"{TITLES[way]:36} {found['cpu']:8.2f} {found['wall']:8.2f} {found['memory']:8.0f} {ratio:10.2f}"
        )
    print(f"medians of {len(next(iter(figures.values())))} interleaved runs")


def detection_ratio(size: int) -> str:
    """The detection kernel against numpy on the same arrays."""
    from snow_numpy import detection_times

    kernel, numpy = detection_times(size)
    return f"detection alone: kernel {kernel:.2f} ns/px, numpy {numpy:.1f} ns/px, ratio {numpy / kernel:.0f}"


def bits_per_pixel(granule: Path) -> str:
    """How well the bands compress, beside real Sentinel-2 (9.5 to 13 bits per pixel)."""
    import rasterio

    found = []
    for path in sorted(granule.glob("*_[FS]RE_B*.tif")):
        with rasterio.open(path) as raster:
            bits = 8 * path.stat().st_size / (raster.width * raster.height)
        found.append(f"{path.stem.split('_', 6)[-1]} {bits:.1f}")
    return "bits per pixel: " + ", ".join(found)


def machine() -> str:
    """What the figures were measured on."""
    import numba
    import numpy

    versions = f"numpy {numpy.__version__}, numba {numba.__version__}"
    return f"python {platform.python_version()}, {versions}, {platform.machine()}"


def figures_since(clock: float, cpu: float) -> dict[str, float]:
    """Wall, CPU and peak memory."""
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall": time.perf_counter() - clock, "cpu": cpu_seconds() - cpu, "memory": memory}


def cpu_seconds() -> float:
    """User and system time of this process and its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
