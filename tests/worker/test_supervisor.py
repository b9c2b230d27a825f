"""The worker makes what a plain run makes, and loses no unit whatever happens to the process that makes them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.campaign.batches import a_batch, unit_named
from tests.clusters import state_of
from tests.season import Season
from tests.test_processing import FORBIDDEN, MODULES
from tests.waiting import await_that
from tests.winter import rasters
from thalweg.campaign.batch import (
    Batch,
    BatchChain,
    BatchGranule,
    BatchUnit,
    Resources,
    Simulation,
    write_batch,
)
from thalweg.campaign.receipt import Begun, Receipt, read_lines, receipts_of
from thalweg.cli.main import main
from thalweg.errors import UNITS_LEFT
from thalweg.staging import STAGING
from thalweg.worker.supervisor import Pace

ROOT = Path(__file__).resolve().parents[2]


def written(folder: Path, batch: Batch) -> Path:
    """The manifest of a batch, with receipts to go to ``folder/receipts``."""
    manifest = folder / "batches" / f"{batch.id}.json"
    manifest.parent.mkdir(exist_ok=True)
    write_batch(manifest, batch)
    return manifest


def work(folder: Path, batch: Batch, *options: str) -> int:
    """Exit code of the worker on a batch."""
    return main(["work", str(written(folder, batch)), *options])


def receipts(folder: Path, batch: str = "b0001") -> list[Receipt]:
    """Every receipt of a batch."""
    lines = [line for path in receipts_of(folder / "receipts", batch) for line in read_lines(path)[0]]
    begun = {line.unit for line in lines if isinstance(line, Begun)}
    ended = [line for line in lines if isinstance(line, Receipt)]
    assert {line.unit for line in ended} <= begun
    return ended


def kinds(folder: Path, batch: str = "b0001") -> dict[str, str]:
    """Unit to class; a unit has one receipt."""
    found = receipts(folder, batch)
    assert len({receipt.unit for receipt in found}) == len(found)
    return {receipt.unit: receipt.kind for receipt in found}


@pytest.mark.parametrize("options", [(), ("--here",)])
def test_a_batch_gives_what_a_plain_run_gives(
    season: Season, tmp_path: Path, options: tuple[str, ...]
) -> None:
    assert work(tmp_path, season.batch(tmp_path / "to"), *options) == 0
    assert kinds(tmp_path) == season.states
    assert Counter(season.states.values()) == {"done": 4, "bad-input": 1, "no-data": 1}
    assert rasters(tmp_path / "to") == season.rasters
    assert not (tmp_path / "to" / STAGING).exists()


def test_a_receipt_tells_what_the_unit_cost_and_gave(season: Season, tmp_path: Path) -> None:
    work(tmp_path, season.batch(tmp_path / "to", season.granules[:1]))
    (receipt,) = receipts(tmp_path)
    product = tmp_path / "to" / receipt.product
    item = json.loads((product / f"{product.name}.json").read_text())
    files = {path.relative_to(product).as_posix(): path.stat().st_size for path in product.rglob("*.*")}
    del files[f"{product.name}.json"]
    assert receipt.bytes_out == sum(files.values())
    assert set(receipt.checksums) == set(files)
    assert receipt.bytes_in > 100_000
    assert 0 < receipt.cpu_seconds < 100 and 0 < receipt.seconds < 100
    assert 50 < receipt.peak_memory_mb < 1500
    assert item["properties"]["thalweg:campaign"] == "season"


def test_what_is_done_is_found_done(season: Season, tmp_path: Path) -> None:
    batch = season.batch(tmp_path / "to", season.granules[:2])
    work(tmp_path, batch)
    assert work(tmp_path, replace(batch, token=2, id="b0002")) == 0
    assert [receipt.existed for receipt in receipts(tmp_path, "b0002")] == [True, True]
    assert work(tmp_path, batch) == 0
    assert len(receipts(tmp_path)) == 2, "a unit that has its receipt gets no other one"


def test_a_unit_that_is_not_the_planned_one_is_not_made(season: Season, tmp_path: Path) -> None:
    units = {key: unit_named(unit) for key, unit in season.units.items()}
    stale = replace(season, units=units)
    assert work(tmp_path, stale.batch(tmp_path / "to", season.granules[:1])) == 0
    (receipt,) = receipts(tmp_path)
    assert (receipt.kind, receipt.product) == ("bad-input", "")
    assert "planned as unit" in receipt.error and "Plan the campaign again" in receipt.advice
    assert rasters(tmp_path / "to") == {}


def test_another_version_than_the_planned_one_is_refused(season: Season, tmp_path: Path) -> None:
    batch = season.batch(tmp_path / "to", season.granules[:1])
    other = replace(batch, chains=(replace(batch.chains[0], version="0.0"),))
    assert work(tmp_path, other) == 0
    (receipt,) = receipts(tmp_path)
    assert receipt.kind == "bad-parameters" and "planned with version 0.0" in receipt.error


FRAGILE = """
import ctypes, os, signal, sys
from thalweg import Band, Layer, chain

def die(how, granule):
    if how not in granule: return
    if how == "segfault": ctypes.string_at(0)
    if how == "abort": os.abort()
    if how == "exit": sys.exit(3)
    if how == "kill": os.kill(os.getpid(), signal.SIGKILL)
    if how == "greedy": raise MemoryError("no more")
    if how == "bug": raise ZeroDivisionError("one over nothing")

def make(name, deadly):
    @chain(name, version="1", inputs=[Band("red", 20)], outputs=[Layer("red", "float32")])
    def fragile(scene):
        "The red band, if nothing happens."
        for how in deadly: die(how, os.environ["FRAGILE"])
        return {"red": scene.red}
    return fragile

good = make("lab.good", [])
bad = make("lab.bad", ["segfault", "abort", "exit", "kill", "greedy", "bug"])
"""


def fragile(tmp_path: Path, season: Season, granules: int = 2) -> Batch:
    """Two chains of a plug-in, of which one dies as the environment says."""
    plug_in = tmp_path / "fragile.py"
    plug_in.write_text(FRAGILE)
    names = (f"{plug_in}:bad", f"{plug_in}:good")
    return replace(
        season.batch(tmp_path / "to"),
        chains=tuple(BatchChain(name, "1", {}) for name in names),
        granules=tuple(
            BatchGranule(str(path), "31TCH", tuple(BatchUnit(identity(path, name), name) for name in names))
            for path in season.granules[:granules]
        ),
    )


def identity(granule: Path, name: str) -> str:
    """Identity of a unit of the plug-in."""
    from thalweg.identity import unit_id
    from thalweg.parameters import digest

    return unit_id(f"lab.{name.rpartition(':')[2]}", "1", digest({}), [granule.name], {})


FATAL = {"segfault": "SIGSEGV", "abort": "SIGABRT"}


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("segfault", "bug"),
        ("abort", "bug"),
        ("exit", "bug"),
        ("kill", "memory"),
        ("greedy", "memory"),
        ("bug", "bug"),
    ],
)
def test_a_death_costs_its_own_unit_only(
    season: Season, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, kind: str
) -> None:
    monkeypatch.setenv("FRAGILE", how)
    batch = fragile(tmp_path, season)
    assert work(tmp_path, batch) == 0
    assert kinds(tmp_path) == {
        unit.id: kind if unit.chain.endswith("bad") else "done" for unit in batch.units()
    }
    died = [receipt for receipt in receipts(tmp_path) if receipt.kind != "done"]
    if how in FATAL:
        assert all("Fatal Python error" in receipt.trace for receipt in died)
        assert all(FATAL[how] in receipt.error for receipt in died)


def simulated(tmp_path: Path, stand_in: str, units: int = 20, **changes: Any) -> Batch:
    """A batch of stand-in science."""
    (tmp_path / "stand-in.yaml").write_text(stand_in)
    changes = {"destination": str(tmp_path / "to")} | changes
    return a_batch(units, simulate=Simulation(str(tmp_path / "stand-in.yaml"), seed=1), **changes)


def test_a_simulation_has_receipts_and_items_of_its_own(tmp_path: Path) -> None:
    batch = simulated(tmp_path, "usual: {shares: {no-data: 0.2, bad-input: 0.2, crash: 0.1}}\n", units=100)
    assert work(tmp_path, batch) == 0
    counts = Counter(kinds(tmp_path).values())
    assert sum(counts.values()) == 100
    assert set(counts) == {"done", "no-data", "bad-input", "bug"}
    items = list((tmp_path / "to" / "simulated-snow").rglob("*.json"))
    assert len(items) == counts["done"]
    again = replace(batch, id="b0002", destination=str(tmp_path / "again"))
    work(tmp_path, again)
    assert kinds(tmp_path, "b0002") == kinds(tmp_path), "the same draw gives the same endings"


def test_a_chain_of_a_file_is_rehearsed_in_one_collection(tmp_path: Path) -> None:
    batch = simulated(tmp_path, "usual: {}\n", units=3)
    file = "/lab/tur.py:turbidity"
    chains = (replace(batch.chains[0], name=file),)
    granules = tuple(
        replace(each, units=tuple(replace(unit, chain=file) for unit in each.units))
        for each in batch.granules
    )
    assert work(tmp_path, replace(batch, chains=chains, granules=granules)) == 0
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["simulated-tur.py-turbidity"]


def test_memory_that_a_bigger_job_has_is_enough(tmp_path: Path) -> None:
    text = "usual: {memory_mb: {median: 1000, spread: 0.3}}\n"
    batch = simulated(tmp_path, text)
    work(tmp_path, batch)
    assert set(kinds(tmp_path).values()) == {"done", "memory"}
    larger = replace(batch, id="b0002", resources=Resources(memory_mb=10_000, seconds=600))
    work(tmp_path, larger)
    assert set(kinds(tmp_path, "b0002").values()) == {"done"}


def test_a_unit_that_hangs_ends_with_the_walltime(tmp_path: Path) -> None:
    batch = simulated(tmp_path, "usual: {shares: {hang: 1.0}}\n", resources=Resources(100, seconds=2))
    assert work(tmp_path, batch) == UNITS_LEFT
    assert list(kinds(tmp_path).values()) == ["time"]


def test_no_unit_is_begun_that_will_not_end_in_time(tmp_path: Path) -> None:
    batch = simulated(tmp_path, "usual: {seconds: {median: 0.5}}\n", resources=Resources(100, seconds=3))
    assert work(tmp_path, batch) == UNITS_LEFT
    assert set(kinds(tmp_path).values()) == {"done"}
    # How many depends on how fast the process starts; the first always fits.
    assert 1 <= len(kinds(tmp_path)) <= 5
    assert work(tmp_path, replace(batch, resources=Resources(100, seconds=600))) == 0
    assert len(kinds(tmp_path)) == 20


def test_pace_asks_for_twice_the_95th_percentile() -> None:
    pace = Pace()
    assert pace.fits(0.1)
    for seconds in [*[1.0] * 95, *[9.0] * 5]:
        pace.note(seconds)
    assert pace.fits(2.0) and not pace.fits(1.9)


@pytest.mark.parametrize(("number", "ended"), [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_the_schedulers_signals_leave_units(tmp_path: Path, number: signal.Signals, ended: bool) -> None:
    batch = simulated(tmp_path, "usual: {seconds: {median: 1.0}}\n")
    manifest = written(tmp_path, batch)
    process = subprocess.Popen([sys.executable, "-m", "thalweg.cli.main", "work", str(manifest)], cwd=ROOT)
    while not any((tmp_path / "receipts").glob("*")) or not begun(tmp_path):
        assert process.poll() is None
    process.send_signal(number)
    assert process.wait(timeout=30) == UNITS_LEFT
    assert len(receipts(tmp_path)) == int(ended)


def begun(folder: Path) -> list[Any]:
    return [line for path in receipts_of(folder / "receipts", "b0001") for line in read_lines(path)[0]]


def test_the_making_process_ends_with_its_supervisor(tmp_path: Path) -> None:
    batch = simulated(tmp_path, "usual: {shares: {hang: 1.0}}\n")
    manifest = written(tmp_path, batch)
    process = subprocess.Popen([sys.executable, "-m", "thalweg.cli.main", "work", str(manifest)], cwd=ROOT)
    while not (children := children_of(process.pid)) or not begun(tmp_path):
        assert process.poll() is None
    process.kill()
    process.wait()
    await_that(lambda: not any(state_of(child).strip("Z") for child in children), 60)


def children_of(parent: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def test_a_duplicate_of_a_running_batch_makes_no_second_product(season: Season, tmp_path: Path) -> None:
    manifest = written(tmp_path, season.batch(tmp_path / "to"))
    command = [sys.executable, "-m", "thalweg.cli.main", "work", str(manifest)]
    processes = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    found = receipts(tmp_path)
    assert {receipt.unit: receipt.kind for receipt in found} == season.states
    assert sum(receipt.kind == "done" and not receipt.existed for receipt in found) == 4
    assert rasters(tmp_path / "to") == season.rasters


HEAVY = {
    "numpy",
    "rasterio",
    "numba",
    "yaml",
    "pyproj",
    "sqlite3",
    "http",
    "pyarrow",
    "psycopg",
    "drmaa",
}


def test_the_supervisor_is_light(tmp_path: Path) -> None:
    batch = simulated(tmp_path, "usual: {}\n")
    manifest = written(tmp_path, batch)
    program = (
        "import sys\n"
        "from thalweg.cli.main import main\n"
        f"assert main(['work', {str(manifest)!r}]) == 0\n"
        "print(len(sys.modules), *{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )
    count, *names = done.stdout.split()
    assert HEAVY & set(names) == set()
    assert int(count) <= 200


def test_the_process_that_makes_units_is_as_light_as_a_run(season: Season, tmp_path: Path) -> None:
    manifest = written(tmp_path, season.batch(tmp_path / "to", season.granules[:1]))
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from thalweg.worker import bench\n"
        f"batch = bench.read_batch(Path({str(manifest)!r}))\n"
        "(granule,) = batch.granules\n"
        "(receipt,) = bench.bench_for(batch).make(granule, granule.units)\n"
        "assert receipt.state == 'done', receipt\n"
        "roots = [name.partition('.')[0] for name in sys.modules]\n"
        "print(sum(root not in ('scipy', 'thalweg') for root in roots), *set(roots))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    count, *names = done.stdout.split()
    assert FORBIDDEN & set(names) == set()
    assert int(count) <= MODULES
