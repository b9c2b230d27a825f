"""Water quality on a full tile: the kernels alone, and the chain beside its own reader and writer.

    make bench-quality     (python benchmarks/quality.py [--folder FOLDER] [--rounds 5] [--peer PYTHON])

FOLDER (.cache/benchmarks) receives two GRS tiles, 5490 x 5490 at 20 m, of 60 % and 3 % water, made on the first call.
Kernels are timed on strips in memory, flags and packing included, with one thread; a Mpx is one of the tile. The chain
is run in a process that has run it before, in turn with a chain that reads the same files and writes the same layers
from memory. CPU is user + system time of the process and its threads; memory is its peak resident set.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from snow import cpu_seconds, figures_since, machine

SHARES = (0.60, 0.03)
WAYS = ("copy", "warm")
SETS: dict[str, dict[str, Any]] = {
    "ten layers of GRSl2bgen": {"profile": "grsl2bgen"},
    "default set": {"sets": ["default"]},
    "default set, uncertainties": {},
    "with optics and indices": {"sets": ["default", "uncertainty", "optics", "indices"]},
}
SPECTRA = (
    (0.0099, 0.0043, 0.0010, 0.0001, 0.0001, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    (0.0046, 0.0069, 0.0095, 0.0053, 0.0040, 0.0014, 0.0016, 0.0012, 0.0007, 0.0, 0.0),
    (0.0027, 0.0048, 0.0105, 0.0054, 0.0071, 0.0025, 0.0030, 0.0022, 0.0012, 0.0, 0.0),
    (0.0129, 0.0191, 0.0280, 0.0332, 0.0327, 0.0238, 0.0258, 0.0224, 0.0183, 0.0, 0.0),
)
LAND = (0.010, 0.015, 0.025, 0.022, 0.045, 0.090, 0.105, 0.110, 0.115, 0.075, 0.045)


def main() -> int:
    """Prepare the tiles, time kernels and chain, print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path(".cache/benchmarks"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=5490, help="rows and columns")
    parser.add_argument("--kernels-only", action="store_true", help="leave the chain out")
    parser.add_argument("--serve", nargs=2, metavar=("WAY", "GRANULE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve(arguments.serve[0], Path(arguments.serve[1]))
    print(machine())
    for share in SHARES:
        granule = prepare(arguments.folder, arguments.size, share)
        time_kernels(granule, share)
        if not arguments.kernels_only:
            time_chain(granule, arguments.rounds, share)
    return 0


def prepare(folder: Path, size: int, share: float) -> Path:
    """A tile of lakes, made on the first call."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tests.readers.grs_products import make_grs
    from thalweg.readers.grs import WAVELENGTHS

    name = f"S2A_MSIL2Agrs_20230815T104031_N0509_R008_T31TFJ_2023081{round(share * 100) % 10}T155959"
    place = folder / f"quality-{size}-{round(share * 100)}"
    path = place / f"{name}.nc"
    if not path.exists():
        wet, mixture = lakes(size, share)
        rrs = dict(zip(WAVELENGTHS, bands(wet, mixture), strict=True))
        flags = np.where(wet, 0b11000, 0).astype(np.int32)
        attributes = {"satellite": "S2A", "acquisition_date": "2023-08-15T10:40:31"}
        make_grs(place, rrs, flags, name=name, attributes=attributes, corner=(600000.0, 4900020.0))
    return path


def lakes(size: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Where water is, as blobs of some hundred pixels, and which water."""
    random = np.random.default_rng(7)
    coarse = random.normal(size=(size // 90 + 3, size // 90 + 3))
    lines = np.linspace(0, coarse.shape[0] - 1.001, size)
    low, part = lines.astype(int), lines % 1
    rows = coarse[low] * (1 - part)[:, None] + coarse[low + 1] * part[:, None]
    height = rows[:, low] * (1 - part) + rows[:, low + 1] * part
    return height < np.quantile(height[::7, ::7], share), (height - height.min()) / np.ptp(height)


def bands(wet: np.ndarray, mixture: np.ndarray) -> Iterator[np.ndarray]:
    """Stored reflectance of each band: water between the spectra, land, and noise of the instrument."""
    random = np.random.default_rng(8)
    places = np.linspace(0, 1, len(SPECTRA))
    for number, land in enumerate(LAND):
        water = np.interp(mixture, places, [spectrum[number] for spectrum in SPECTRA])
        values = np.where(wet, water, land * (0.6 + 0.8 * mixture))
        values += random.normal(scale=np.where(wet, 2e-4, 4e-3), size=wet.shape)
        yield (np.rint(values * 1e5) - 30000).astype(np.int16)


def time_kernels(granule: Path, share: float) -> None:
    """CPU seconds a Mpx of strips in memory."""
    print(f"\nkernels, {share:.0%} water{'':14} {'CPU s/Mpx of tile':>20} {'CPU s/Mpx of water':>20}")
    for title, parameters in SETS.items():
        work, size, wet = strip_work(granule, parameters, share)
        work()
        seconds = [cpu_of(work) for _ in range(7)]
        best = statistics.median(seconds)
        print(f"{title:36} {best / size * 1e6:20.3f} {best / wet * 1e6:20.3f}")


def strip_work(granule: Path, given: dict[str, Any], share: float) -> tuple[Callable[[], None], int, int]:
    """A strip of a tile through the chain's own functions; its pixels, and those of water."""
    from concurrent.futures import ThreadPoolExecutor

    from thalweg.chains.quality import quality
    from thalweg.engine import Run, compute
    from thalweg.opened import raster_environment
    from thalweg.readers import open_granule
    from thalweg.scenery import open_scenery
    from thalweg.static import StaticLayers

    _, parameters = quality.prepare({**given, "water_source": "flags"})
    strips: list[tuple[float, Any]] = []

    def watch(scene: Any, parameters: Any) -> Any:
        """Keep the strip whose share of water is nearest to that of the tile."""
        apart = abs(float(np.mean(scene["flags"] & 8 != 0)) - share)
        if not strips or apart < strips[0][0]:
            strips[:] = [(apart, scene)]
        return quality.function(scene, parameters)

    chain = replace(quality, function=watch)
    with raster_environment(), ThreadPoolExecutor(1) as pool:
        scenery = open_scenery(chain, open_granule(granule), parameters, StaticLayers())
        with scenery:
            compute(scenery, parameters, Nowhere(), Run(256), pool)
    scene = strips[0][1]
    rows, columns = scene.shape
    wet = int(np.count_nonzero(scene["flags"] & 8))

    def work() -> None:
        quality.function(scene, parameters)

    return work, rows * columns, max(wet, 1)


class Nowhere:
    """Takes layers and forgets them."""

    def append(self, layer: Any, rows: Any) -> None:
        """Forget the rows."""


def cpu_of(work: Callable[[], None]) -> float:
    """CPU seconds of one call."""
    before = cpu_seconds()
    work()
    return cpu_seconds() - before


def time_chain(granule: Path, rounds: int, share: float) -> None:
    """The chain and its floor in turn, each in a process of its own."""
    figures: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    command = [sys.executable, __file__, "--serve"]
    running = {
        way: subprocess.Popen(
            [*command, way, str(granule)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for way in WAYS
    }
    try:
        for turn in range(rounds + 1):
            for way, process in running.items():
                found = ask(process)
                if turn:
                    figures[way].append(found)
    finally:
        for process in running.values():
            process.communicate()
    print(f"chain, {share:.0%} water{'':16} {'CPU s':>8} {'wall s':>8} {'peak MB':>8} {'CPU / floor':>12}")
    floor = statistics.median(run["cpu"] for run in figures["copy"])
    for way, title in (("copy", "reader + writer, copies between"), ("warm", "chain, warm")):
        middle = {
            key: statistics.median(run[key] for run in figures[way]) for key in ("cpu", "wall", "memory")
        }
        cost = f"{middle['cpu']:6.2f} {middle['wall']:8.2f} {middle['memory']:8.0f}"
        print(f"{title:36} {cost} {middle['cpu'] / floor:12.2f}")


def ask(process: subprocess.Popen[str]) -> dict[str, float]:
    """One run of a serving process."""
    if process.stdin is None or process.stdout is None:
        raise SystemExit("a serving process has no pipes")
    process.stdin.write("go\n")
    process.stdin.flush()
    answer: dict[str, float] = json.loads(process.stdout.readline())
    return answer


def serve(way: str, granule: Path) -> int:
    """Run one way whenever a line comes in; a line of figures goes out."""
    work = {"copy": copy_work, "warm": chain_work}[way](granule)
    for _ in sys.stdin:
        clock, cpu = time.perf_counter(), cpu_seconds()
        work()
        print(json.dumps(figures_since(clock, cpu)), flush=True)
    return 0


def chain_work(granule: Path) -> Callable[[], None]:
    """The chain through the product's own door."""
    out = granule.parent / "out-warm"
    return lambda: discard(run_chain(granule, "quality", out), out)


def copy_work(granule: Path) -> Callable[[], None]:
    """The same files read, layers of the same content written, and nothing computed."""
    from quality_copy import copy_chain

    out = granule.parent / "out-copy"
    copies = copy_chain(run_chain(granule, "quality", out))
    shutil.rmtree(out)
    return lambda: discard(run_chain(granule, copies, out), out)


def run_chain(granule: Path, chain: Any, out: Path) -> Path:
    """One product; its folder comes back."""
    import thalweg

    shutil.rmtree(out, ignore_errors=True)
    (ending,) = thalweg.run(granule, chain, to=out)
    if ending.product is None:
        raise SystemExit(f"{ending.error}\n{ending.trace}")
    return Path(ending.product)


def discard(product: Path, out: Path) -> None:
    """Remove what was made."""
    if product.is_dir():
        shutil.rmtree(out)


if __name__ == "__main__":
    sys.exit(main())
