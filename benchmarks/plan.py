"""A year of ten thousand tiles: the plan, its ledger, and how quickly both answer.

    python benchmarks/plan.py [--tiles 10000] [--dates 73] [--receipts 60000] [--ledger postgresql://...]

A stac-geoparquet of tiles x dates granules is written first. Each plan is then made in a process of its own, whose peak
memory and time are told; the two digests must be equal. Three chains run on every granule: snow, and two that only
declare themselves. Then the plan is entered into a ledger (SQLite in a temporary folder, unless an address is given),
batches are leased and receipts taken, and the status is asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pyarrow.parquet as parquet
import yaml

from thalweg.campaign.campaign_file import read_campaign
from thalweg.campaign.ledger import Ledger, open_ledger
from thalweg.campaign.plan import Plan, make_plan
from thalweg.campaign.receipt import Receipt
from thalweg.campaign.site_file import Site
from thalweg.campaign.status import read_status
from thalweg.tile import tile_ids

FIRST = datetime(2024, 1, 1, 10, 53, 29, tzinfo=UTC)
CHAINS = '''
"""Chains that only declare themselves."""

from thalweg import Band, Layer, chain


@chain("lab.one", version="1.0", inputs=[Band("red", 20)], outputs=[Layer("one", "float32")])
def one(scene, *, factor: float = 1.0):
    """The red band."""
    return {"one": factor * scene.red}


@chain("lab.two", version="1.0", inputs=[Band("red", 20)], outputs=[Layer("two", "float32")])
def two(scene, *, factor: float = 1.0):
    """The red band again."""
    return {"two": factor * scene.red}
'''


def write_items(path: Path, tiles: int, dates: int) -> None:
    """A stac-geoparquet of so many granules, in no order."""
    known = list(tile_ids())
    chosen = known[:: len(known) // tiles][:tiles]
    rows = [(tile, day) for day in range(0, 5 * dates, 5) for tile in chosen]
    stamps = {day: f"{FIRST + timedelta(days=day):%Y%m%dT%H%M%S}" for day in range(0, 5 * dates, 5)}
    count = len(rows)
    table = arrow.table(
        {
            "id": [f"S2A_MSIL2A_{stamps[day]}_N0510_R051_T{tile}_{stamps[day]}" for tile, day in rows],
            "datetime": arrow.array(
                [FIRST + timedelta(days=day) for _, day in rows], arrow.timestamp("us", tz="UTC")
            ),
            "grid:code": [f"MGRS-{tile}" for tile, _ in rows],
            "platform": ["sentinel-2a"] * count,
            "s2:processing_baseline": ["05.10"] * count,
            "eo:cloud_cover": np.random.default_rng(1).uniform(0, 100, count),
        }
    )
    shuffled = np.random.default_rng(2).permutation(count)
    parquet.write_table(table.take(arrow.array(shuffled)), path)


def write_campaign(folder: Path) -> Path:
    """The campaign file."""
    (folder / "lab.py").write_text(CHAINS)
    asked = {
        "name": "year",
        "chains": [{"name": "snow"}, {"name": "lab.py:one"}, {"name": "lab.py:two"}],
        "period": f"{FIRST.year}",
        "inputs": {
            "provider": "geoparquet",
            "at": "items.parquet",
            "path": "archive/{tile}/{year}/{id}.SAFE",
        },
        "destination": "products",
    }
    path = folder / "year.yaml"
    path.write_text(yaml.safe_dump(asked))
    return path


def plan_once(path: Path) -> Plan:
    """The plan."""
    return make_plan(read_campaign(path), Site(), path.parent).plan


def measured_plan(path: Path) -> dict[str, Any]:
    """Digest, time and peak memory of a plan that is made in a process of its own."""
    command = [sys.executable, __file__, "--inner", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def tell_plan(path: Path) -> None:
    """What `measured_plan` is told by its process."""
    begun = time.perf_counter()
    plan = plan_once(path)
    seconds = time.perf_counter() - begun
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    cpu = time.process_time()
    print(
        json.dumps(
            {"digest": plan.digest, **plan.counts, "seconds": seconds, "cpu": cpu, "memory_gb": memory}
        )
    )


@contextmanager
def timed(what: str, count: int = 1) -> Iterator[None]:
    """Tell how long something took, and its rate where it was done many times."""
    begun = time.perf_counter()
    yield
    seconds = time.perf_counter() - begun
    rate = f"{count / seconds:12,.0f} a second" if count > 1 else ""
    print(f"{what:34} {seconds:9.3f} s {rate}", flush=True)


def receipts(ledger: Ledger, count: int) -> Iterator[Receipt]:
    """Receipts of units that are leased on the way."""
    while batches := ledger.next_batches(50):
        for batch in batches:
            lease = ledger.lease(batch)
            yield from (
                Receipt(unit.id, lease.token, "done", "done", 1.0, 2.0, "n1") for unit in lease.waiting.units
            )


def exercise(ledger: Ledger, plan: Plan, count: int) -> None:
    """Load, lease, take receipts, and ask."""
    units = plan.units.num_rows
    with timed("plan into the ledger", units):
        ledger.load_plan(plan, granules_per_part=40)
    with timed("leases and receipts", count):
        ledger.take_receipts(islice(receipts(ledger, count), count))
    with timed("status"):
        status = read_status(ledger, plan.name)
    with timed("account by counting every unit"):
        wrong = ledger.wrong_counts()
    print(f"{status.standing.states} wrong counters: {len(wrong)}")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description="plan and ledger of a year of ten thousand tiles")
    parser.add_argument("--tiles", type=int, default=10_000)
    parser.add_argument("--dates", type=int, default=73)
    parser.add_argument("--receipts", type=int, default=60_000)
    parser.add_argument("--ledger", help="PostgreSQL address")
    parser.add_argument("--inner", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inner:
        tell_plan(arguments.inner)
        return
    with tempfile.TemporaryDirectory(prefix="plan-") as name:
        folder = Path(name)
        write_items(folder / "items.parquet", arguments.tiles, arguments.dates)
        path = write_campaign(folder)
        first, second = measured_plan(path), measured_plan(path)
        for told in (first, second):
            print(
                "plan of {units:,} units in {seconds:.1f} s ({cpu:.1f} s CPU), {memory_gb:.2f} GB".format(
                    **told
                )
            )
        print(
            f"digests are {'equal' if first['digest'] == second['digest'] else 'DIFFERENT'}: {first['digest'][:16]}"
        )
        with open_ledger(arguments.ledger or folder / "ledger.sqlite", "year") as ledger:
            exercise(ledger, plan_once(path), arguments.receipts)


if __name__ == "__main__":
    main()
