"""What a season of snow and a month of water cost on a full tile.

    make bench-synthesis        (python benchmarks/synthesis.py [--folder FOLDER] [--rounds 3])

FOLDER (.cache/benchmarks) receives 73 snow products of 5490 x 5490 pixels (a year, one every five days) and 13 water
products of 10980 x 10980 (a month, two orbits), once: a mountain whose snow comes and goes, a lake that rises, noise of
the fraction, clouds of every size. Each way is a process of its own with a warm kernel cache; medians of `rounds`.

snow     the ten layers of a year, without daily masks
daily    the same with daily masks
month    a month of water: the state made from nothing, and the product of the month
update   one more product received by that state, and the product again

CPU is user + system time of the process and its threads; memory is its peak resident set.
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
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WAYS = ("snow", "daily", "month", "update")
YEAR = datetime(2020, 9, 2, 10, 50, 31, tzinfo=UTC)
MONTH = datetime(2021, 1, 1, 10, 50, 31, tzinfo=UTC)


def main() -> int:
    """Prepare the products, run the ways in turn, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path(".cache/benchmarks"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=5490, help="rows and columns at 20 m")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--run", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = arguments.folder / f"synthesis-{arguments.size}"
    if arguments.run:
        return run_way(arguments.run, folder)
    prepare(folder, arguments.size)
    found: dict[str, list[dict[str, float]]] = {way: [] for way in arguments.ways}
    for _ in range(arguments.rounds):
        for way, figures in found.items():
            figures.append(measured(way, arguments))
    report(found)
    return 0


def measured(way: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Figures of a process that runs a way once."""
    command = [sys.executable, __file__, "--folder", str(arguments.folder), "--size", str(arguments.size)]
    process = subprocess.run([*command, "--run", way], capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(process.stdout.splitlines()[-1])
    return figures


def run_way(way: str, folder: Path) -> int:
    """Run a way and print what it cost."""
    import thalweg

    out = folder / "out"
    if way != "update":
        shutil.rmtree(out, ignore_errors=True)
    products = sorted((folder / "water").glob("water-1.0/*/*/*/*"))
    asked: dict[str, Any] = {
        "snow": {"granules": folder / "snow", "chain": "snow_synthesis", "period": "2020-09-01/2021-08-31"},
        "daily": {
            "granules": folder / "snow",
            "chain": "snow_synthesis",
            "period": "2020-09-01/2021-08-31",
            "daily_masks": True,
        },
        "month": {"granules": products[:-1], "chain": "water_synthesis", "period": "2021-01"},
        "update": {"granules": products[-1], "chain": "water_synthesis", "period": "2021-01"},
    }[way]
    if way == "update" and not (out / "state").is_dir():
        thalweg.run(**{**asked, "granules": products[:-1]}, to=out)
    clock, before = time.perf_counter(), cpu_seconds()
    (ending,) = thalweg.run(**asked, to=out)
    if ending.product is None:
        raise SystemExit(f"{ending.error}\n{ending.trace}")
    size = sum(path.stat().st_size for path in ending.product.rglob("*") if path.is_file())
    memory = peak_megabytes()
    figures = {
        "cpu": cpu_seconds() - before,
        "wall": time.perf_counter() - clock,
        "memory": memory,
        "size": size / 1e6,
    }
    print(json.dumps(figures))
    if way == "update" or "snow" in asked["chain"]:
        shutil.rmtree(out)
    return 0


def cpu_seconds() -> float:
    """CPU time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_megabytes() -> float:
    """Peak resident set of this program; that of `getrusage` begins with its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def report(found: dict[str, list[dict[str, float]]]) -> None:
    """The table, as it stands in docs/performance.md."""
    print("| | CPU s | wall s | peak MB | product MB |\n|---|---|---|---|---|")
    for way, figures in found.items():
        cpu, wall, memory, size = (
            statistics.median(one[name] for one in figures) for name in ("cpu", "wall", "memory", "size")
        )
        print(f"| {way} | {cpu:.1f} | {wall:.1f} | {memory:.0f} | {size:.0f} |")


def prepare(folder: Path, size: int) -> None:
    """Write the products, on the first call."""
    if (folder / "complete").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    write_snow(folder / "snow", size)
    write_water(folder / "water", 2 * size)
    (folder / "complete").touch()


def write_snow(folder: Path, size: int) -> None:
    """A year of products named as Let-it-snow names them."""
    from thalweg.cog import write_cog
    from thalweg.grid import Grid
    from thalweg.layer import Layer

    layer = Layer("fsc", "uint8", "Fractional snow cover", "percent", 255)
    grid = Grid("EPSG:32631", 300000.0, 4900020.0, (20.0, 20.0), (size, size))
    height = smooth(size, 0)
    noise = np.random.default_rng(1).integers(0, 60, (size, size), np.uint8)
    for number in range(73):
        day = YEAR + timedelta(days=5 * number)
        line = 0.5 + 0.45 * np.cos(2 * np.pi * (number - 30) / 73)
        cover = np.where(height > 1 - line, 100 - noise, 0).astype(np.uint8)
        cover[smooth(size, 100 + number) > 0.55] = 205
        name = f"LIS_S2-SNOW-FSC_T31TCH_{day:%Y%m%dT%H%M%S}_1.11.0"
        (folder / name).mkdir(parents=True)
        write_cog(folder / name / f"{name}.tif", cover, layer, grid)


def write_water(folder: Path, size: int) -> None:
    """A month of products of the water chain."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tests.water_products import write_product

    height = smooth(size, 0)
    for number in range(13):
        water = (height < 0.3 + 0.01 * number).astype(np.uint8)
        water[smooth(size, 200 + number) > 0.55] = 255
        orbit, day = (51, 108)[number % 2], MONTH + timedelta(days=2 * number, hours=number % 2)
        write_product(folder, water, platform="S2A", sensed=day, orbit=orbit, version="1.0.0")


def smooth(size: int, seed: int) -> NDArray[np.float32]:
    """A field from 0 to 1 with structures of every size down to six pixels."""
    generator = np.random.default_rng(seed)
    whole, size = size, -(-size // 6)
    field = np.zeros((size, size), np.float32)
    for cells, weight in layers_of_noise():
        coarse = generator.random((cells + 1, cells + 1), np.float32)
        place = np.linspace(0, cells, size, endpoint=False, dtype=np.float32)
        low = place.astype(np.int32)
        share = place - low
        rows = coarse[low] * (1 - share)[:, None] + coarse[low + 1] * share[:, None]
        field += weight * (rows[:, low] * (1 - share) + rows[:, low + 1] * share)
    return field.repeat(6, axis=0).repeat(6, axis=1)[:whole, :whole]


def layers_of_noise() -> Iterator[tuple[int, float]]:
    """Cells across the tile, and weight; the weights add up to 1."""
    weights = [1 / 2**octave for octave in range(7)]
    return ((4 * 2**octave, weight / sum(weights)) for octave, weight in enumerate(weights))


if __name__ == "__main__":
    sys.exit(main())
