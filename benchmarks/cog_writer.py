"""Our COG writer beside GDAL's COG driver: same pixels, block size, codec, predictor and overviews.

    python benchmarks/cog_writer.py [--runs 7] [--side 5490] [--threads 1]

Every measurement is a process of its own, and the two writers take turns. The table gives medians of wall and CPU
seconds, of the process's peak memory, and of the file's size. What is timed: for ours, the appending of strips of
1024 rows and the closing; for GDAL, the copy of a dataset that already lies in memory (filling it is left out). Both
processes have imported their libraries and written a small file before; neither holds the source but strip by strip.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.transform import Affine

from thalweg.cog import CogWriter
from thalweg.grid import Grid
from thalweg.layer import Class, Layer

STRIP = 1024
CODES = (Class(0, "no_snow"), Class(100, "snow"), Class(205, "cloud"), Class(255, "no_data"))
LAYERS = {
    "classes": Layer("classes", "uint8", nodata=255, classes=CODES),
    "fraction": Layer("fraction", "uint8", nodata=255, classes=CODES),
    "int16": Layer("int16", "int16", nodata=-10000),
}
WRITERS = ("ours", "gdal")

Array = NDArray[Any]


@dataclass
class Cost:
    """What one writing took."""

    wall: float = 0.0
    """Seconds."""
    cpu: float = 0.0
    """Seconds of all threads."""
    peak: float = 0.0
    """Largest resident memory of the process, in MB."""
    size: float = 0.0
    """Of the file, in MB."""

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Add the time spent inside."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall += time.perf_counter() - wall
        self.cpu += time.process_time() - cpu


def main() -> None:
    """Read the command line; a child measures once, the parent makes the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--side", type=int, default=5490)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--measure", nargs=3, metavar=("WRITER", "LAYER", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        writer, name, folder = options.measure
        print(json.dumps(asdict(measure(writer, name, Path(folder), options.side, options.threads))))
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), options)


def compare(folder: Path, options: argparse.Namespace) -> None:
    """Write every raster with both writers, in turns, and print the medians."""
    print(f"{options.side} x {options.side} pixels, {options.runs} runs, {options.threads} thread(s) each")
    print(f"{'raster':10}{'writer':8}{'wall s':>8}{'CPU s':>8}{'peak MB':>9}{'file MB':>9}")
    field = fractal(options.side)
    for name in LAYERS:
        raster(name, field).tofile(folder / name)
        costs: dict[str, list[Cost]] = {writer: [] for writer in WRITERS}
        for _ in range(options.runs):
            for writer in WRITERS:
                costs[writer].append(in_a_process(writer, name, folder, options))
        require_equal(folder, name)
        for writer in WRITERS:
            print(row(name, writer, costs[writer]))


def in_a_process(writer: str, name: str, folder: Path, options: argparse.Namespace) -> Cost:
    """One measurement by a fresh interpreter."""
    command = [sys.executable, __file__, "--measure", writer, name, str(folder)]
    command += ["--side", str(options.side), "--threads", str(options.threads)]
    return Cost(**json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def measure(writer: str, name: str, folder: Path, side: int, threads: int) -> Cost:
    """Warm up on a small raster, then write the large one."""
    write: Callable[..., Cost] = write_ours if writer == "ours" else write_gdal
    dtype = LAYERS[name].dtype
    write(folder / "small.tif", name, lambda: iter([np.zeros((600, 600), dtype)]), 600, threads)
    target = folder / f"{name}.{writer}.tif"
    target.unlink(missing_ok=True)
    cost = write(target, name, lambda: strips(folder / name, dtype, side), side, threads)
    cost.peak = peak_memory()
    cost.size = target.stat().st_size / 1e6
    return cost


def peak_memory() -> float:
    """Largest resident memory of this program, in MB; getrusage would count the parent's, from before exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def write_ours(path: Path, name: str, source: Callable[[], Iterator[Array]], side: int, threads: int) -> Cost:
    """Append the strips as an engine does."""
    cost = Cost()
    grid = Grid("EPSG:32631", 300000.0, 4900020.0, (20.0, 20.0), (side, side))
    with ThreadPoolExecutor(threads) if threads > 1 else nullcontext() as pool:
        cog = CogWriter(path, LAYERS[name], grid, pool=pool)
        for strip in source():
            with cost.timed():
                cog.append(strip)
        with cost.timed():
            cog.close()
    return cost


def write_gdal(path: Path, name: str, source: Callable[[], Iterator[Array]], side: int, threads: int) -> Cost:
    """Fill a dataset in memory, untimed, then let the driver copy it."""
    cost = Cost()
    layer = LAYERS[name]
    transform = Affine(20.0, 0.0, 300000.0, 0.0, -20.0, 4900020.0)
    shape = {"height": side, "width": side, "count": 1, "dtype": layer.dtype, "nodata": layer.nodata}
    with rasterio.open("", "w", driver="MEM", crs="EPSG:32631", transform=transform, **shape) as memory:
        at = 0
        for strip in source():
            memory.write(strip, 1, window=((at, at + len(strip)), (0, side)))
            at += len(strip)
        with cost.timed():
            rasterio.shutil.copy(
                memory,
                path,
                driver="COG",
                compress="ZSTD",
                level=1,
                blocksize=512,
                predictor="NO" if layer.classes else "YES",
                overview_resampling="NEAREST",
                num_threads=threads,
            )
    return cost


def strips(path: Path, dtype: str, side: int) -> Iterator[Array]:
    """The raster from disk, some rows at a time."""
    with path.open("rb") as file:
        while (values := np.fromfile(file, dtype, STRIP * side)).size:
            yield values.reshape(-1, side)


def fractal(side: int) -> Array:
    """A field of mean 0 and deviation 1 with detail at every scale, like terrain and snow cover."""
    random = np.random.default_rng(1)
    spectrum = np.fft.rfft2(random.standard_normal((side, side), np.float32))
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = np.inf
    field = np.fft.irfft2(spectrum / frequency**1.45, (side, side)).astype(np.float32)
    return np.asarray((field - field.mean()) / field.std())


def raster(name: str, field: Array) -> Array:
    """Patches of codes; such patches with a noisy snow fraction from 1 to 100; noisy reflectance."""
    random = np.random.default_rng(2)
    if name == "int16":
        noise = random.normal(0, 60, field.shape).astype(np.float32)
        return np.clip(2500 + 1200 * field + noise, 1, 12000).astype(np.int16)
    codes = np.select([field > 1.2, field > -0.2], [205, 100], 0).astype(np.uint8)
    codes[:, : field.shape[1] // 12] = 255
    if name == "fraction":
        noise = random.normal(0, 6, field.shape).astype(np.float32)
        codes = np.where(codes == 100, np.clip(50 + 60 * field + noise, 1, 100), codes).astype(np.uint8)
    return codes


def require_equal(folder: Path, name: str) -> None:
    """Stop where the two files do not hold the same pixels."""
    read = []
    for writer in WRITERS:
        with rasterio.open(folder / f"{name}.{writer}.tif") as source:
            read.append((source.read(1), source.overviews(1), source.profile["compress"]))
    (ours, *our_structure), (gdals, *gdals_structure) = read
    if our_structure != gdals_structure or not np.array_equal(ours, gdals):
        raise SystemExit(f"{name}: the two writers do not agree: {our_structure}, {gdals_structure}")


def row(name: str, writer: str, costs: list[Cost]) -> str:
    """One line of the table."""
    wall, cpu, peak, size = (
        median(getattr(cost, key) for cost in costs) for key in ("wall", "cpu", "peak", "size")
    )
    return f"{name:10}{writer:8}{wall:8.3f}{cpu:8.3f}{peak:9.0f}{size:9.2f}"


if __name__ == "__main__":
    main()
