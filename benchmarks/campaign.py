"""A campaign of units that take no time, through real Slurm arrays: what everything but the science costs.

    make bench-campaign                     100,000 units; needs root, for slurm/dev/slurm
    python benchmarks/campaign.py 10000     fewer
    ... --folder FOLDER                     elsewhere than on a memory disk: a disk's own work is then counted, too

Told are the processor time a unit of controller and jobs together, the memory of the controller, and how many units a
second the plan, the receipts and the catalogue take in on their own. Exit code 1 where a unit is lost or a limit of the
specification is broken.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as arrow
import yaml

from thalweg.campaign.batch import Simulation
from thalweg.campaign.controller import Controller, Manner
from thalweg.campaign.folder import CampaignFolder, write_folder
from thalweg.campaign.ledger import Ledger
from thalweg.campaign.plan import Places, Plan, plan_digest
from thalweg.campaign.planned_chain import PlannedChain
from thalweg.campaign.publisher import publish_again, publish_endings
from thalweg.campaign.site_file import Site
from thalweg.catalogue import NAME
from thalweg.providers.found import Found, table_of
from thalweg.slurm.options import Options
from thalweg.slurm.sbatch import Slurm

ROOT = Path(__file__).resolve().parent.parent
CHAINS = ("snow", "water")
MEMORY = Path("/dev/shm")
DATES = 50
UNITS_PER_BATCH = 1000
MOST_CPU, MOST_MEMORY, LEAST_RATE = 5.0, 1000.0, 500.0
"""Limits: ms of processor time a unit, MB of the controller, units a second."""


@dataclass
class Watch:
    """Time that was spent in a function."""

    seconds: float = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        def timed(*words: Any, **named: Any) -> Any:
            begin = time.perf_counter()
            try:
                return function(*words, **named)
            finally:
                self.seconds += time.perf_counter() - begin

        return timed


def a_plan(units: int, destination: Path) -> Plan:
    """A plan of granules that do not exist."""
    tiles = -(-units // (DATES * len(CHAINS)))
    letters = "ABCDEFGHJK"
    first = datetime(2024, 1, 1, 10, 50, tzinfo=UTC)
    names = sorted(
        f"{10 + n // 1000}T{letters[n // 100 % 10]}{letters[n // 10 % 10]}{n % 10}"[:5] for n in range(tiles)
    )
    found = [
        Found(
            f"G-{tile}-{number}-{day}",
            f"/archive/G-{tile}-{number}-{day}",
            "safe",
            tile,
            first + timedelta(days=day),
            "S2A",
        )
        for number, tile in enumerate(names)
        for day in range(DATES)
    ]
    chains = tuple(
        PlannedChain(name, name, "1.0", "", {}, hashlib.sha256(name.encode()).hexdigest()) for name in CHAINS
    )
    rows = [(row, chain) for row in range(len(found)) for chain in range(len(chains))]
    table = arrow.table(
        {
            "id": arrow.array(
                [hashlib.sha256(f"{found[row].id} {chain}".encode()).digest() for row, chain in rows],
                arrow.binary(32),
            ),
            "granule": arrow.array([row for row, _ in rows], arrow.int32()),
            "chain": arrow.array([chain for _, chain in rows], arrow.int8()),
        }
    )
    granules = table_of(found)
    return Plan(
        "rehearsal",
        0,
        Places(str(destination), None, {}, ()),
        chains,
        granules,
        table,
        granules.slice(0, 0).append_column("reason", arrow.array([], arrow.string())),
        {},
        plan_digest(chains, granules, table),
    )


def planned(folder: Path, plan: Plan) -> CampaignFolder:
    """The work folder of the plan."""
    asked = {
        "name": "rehearsal",
        "chains": [{"name": name} for name in CHAINS],
        "period": "2024",
        "inputs": {"provider": "folder", "at": "/archive"},
        "destination": str(folder / "to"),
    }
    file = folder / "rehearsal.yaml"
    file.write_text(yaml.safe_dump(asked))
    site = replace(Site(), engine="slurm", min_free_gb=0.0, memory_per_core_mb=500, max_jobs=400)
    return write_folder(folder / "work", file, site, plan, UNITS_PER_BATCH // len(CHAINS))


def rehearse(folder: Path, units: int) -> dict[str, Any]:
    """Plan and run a campaign; what it cost."""
    plan = a_plan(units, folder / "to")
    begin = time.perf_counter()
    work = planned(folder, plan)
    planning = time.perf_counter() - begin
    stand_in = folder / "stand-in.yaml"
    stand_in.write_text("usual: {}\n")
    taking, publishing = Watch(), Watch()
    cpu, begin = cpu_seconds(), time.perf_counter()
    with work.ledger() as ledger:
        publish = publishing.around(lambda: publish_endings(ledger, work.path, folder / "to", []))
        ledger.take_receipts = taking.around(ledger.take_receipts)  # type: ignore[method-assign]
        manner = Manner(2.0, simulate=Simulation(str(stand_in)), say=print, publish=publish)
        standing = Controller(work, ledger, Slurm(work.path, Options(largest=1000)), manner).run()
        (jobs,) = ledger.database.rows("SELECT sum(cpu) FROM accounting", [])
        head, wall = cpu_seconds() - cpu, time.perf_counter() - begin
        alone = publish_anew(ledger, work.path, folder / "to")
    total = plan.units.num_rows
    return {
        "units": total,
        "lost": total - standing.states["done"],
        "classes": dict(standing.classes),
        "wall_s": wall,
        "controller_ms_per_unit": 1000 * head / total,
        "jobs_ms_per_unit": 1000 * (jobs[0] or 0.0) / total,
        "controller_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "planned_per_s": total / planning,
        "receipts_per_s": total / taking.seconds,
        "published_beside_jobs_per_s": total / publishing.seconds,
        "published_per_s": total / alone,
    }


def publish_anew(ledger: Ledger, folder: Path, destination: Path) -> float:
    """Seconds that it takes to bring everything into a catalogue that was lost."""
    for file in destination.glob(f"{NAME}*"):
        file.unlink()
    publish_again(ledger)
    begin = time.perf_counter()
    publish_endings(ledger, folder, destination, [])
    return time.perf_counter() - begin


def cpu_seconds() -> float:
    """Processor time of this process and of the clients that it called."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def is_good(told: dict[str, Any]) -> bool:
    """True where no unit is lost and every limit is kept."""
    cpu = told["controller_ms_per_unit"] + told["jobs_ms_per_unit"]
    rates = (told["planned_per_s"], told["receipts_per_s"], told["published_per_s"])
    return (
        not told["lost"]
        and cpu <= MOST_CPU
        and told["controller_mb"] < MOST_MEMORY
        and min(rates) >= LEAST_RATE
    )


def main() -> int:
    """Start a Slurm, rehearse, stop it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("units", type=int, nargs="?", default=100_000)
    parser.add_argument("--folder", type=Path, default=MEMORY if MEMORY.is_dir() else None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="thalweg-rehearsal-", dir=arguments.folder) as name:
        cluster, command = Path(name) / "slurm", ROOT / "slurm" / "dev" / "slurm"
        started = subprocess.run([command, "start", cluster], check=True, capture_output=True, text=True)
        try:
            os.environ.update(
                line.removeprefix("export ").split("=", 1) for line in started.stdout.splitlines()
            )
            told = rehearse(Path(name), arguments.units)
        finally:
            subprocess.run([command, "stop", cluster], check=True)
    print(
        json.dumps(
            {key: round(value, 3) if isinstance(value, float) else value for key, value in told.items()},
            indent=2,
        )
    )
    return 0 if is_good(told) else 1


if __name__ == "__main__":
    sys.exit(main())
