"""Faults injected for real: whatever breaks, no unit is lost, none is made twice, and each has the right class."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.campaign.folders import account_of, made_once, receipts_in, simulated_campaign, stand_in
from tests.campaign.test_controller import run
from tests.clusters import state_of
from tests.waiting import await_that
from thalweg.campaign.batch import Simulation
from thalweg.campaign.controller import Controller, Manner
from thalweg.campaign.dispatch import Request
from thalweg.campaign.folder import CampaignFolder
from thalweg.campaign.mailbox import Mailbox
from thalweg.campaign.manifest import write_manifest
from thalweg.slurm.options import Options
from thalweg.slurm.sbatch import Slurm

ROOT = Path(__file__).resolve().parents[2]
SLOWLY = "usual: {seconds: {median: 0.3, spread: 0.3}}\n"


class Cluster:
    """The daemons of the development Slurm."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.folder = Path(environment["SLURM_CONF"]).parent

    def kill(self, name: str) -> None:
        """End a daemon without warning."""
        pid = int((self.folder / "pid" / name).read_text())
        os.kill(pid, signal.SIGKILL)
        while state_of(pid) not in ("", "Z"):
            pass

    def start(self, name: str) -> None:
        """Start a daemon again."""
        program, _, node = name.partition("-")
        command = [shutil.which(program) or f"/usr/sbin/{program}", "-D", *(["-N", node] if node else [])]
        log = (self.folder / "log" / f"{name}.out").open("ab")
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        (self.folder / "pid" / name).write_text(f"{process.pid}\n")

    def end_node(self, node: str, *, leaves_orphans: bool) -> None:
        """Kill a node's daemon and what watches its jobs there, and the jobs' own processes unless they are left."""
        jobs = squeue("squeue", "-h", "-t", "running", "-w", node, "-o", "%A").split()
        self.kill(f"slurmd-{node}")
        doomed = [pid for job in jobs for pid in self.processes(f"slurmstepd: [{job}.")]
        doomed += [] if leaves_orphans else self.processes("thalweg.", f"SLURMD_NODENAME={node}")
        for pid in doomed:
            # The maker goes with its supervisor.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def processes(self, words: str, variable: str = "") -> list[int]:
        """Processes of this cluster whose command has these words, and whose environment this variable."""
        ours = f"{self.folder}/slurm.conf\0".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                environment = (folder / "environ").read_bytes()
            except OSError:  # gone by now, or not to be looked into
                continue
            if ours in environment and variable.encode() in environment and words in command:
                found.append(int(folder.name))
        return found

    def await_saved_state(self) -> None:
        """Wait until the scheduler, which does so some seconds late, has written down the jobs that it knows by now."""
        now, file = time.time(), self.folder / "state" / "job_state"
        await_that(lambda: file.exists() and file.stat().st_mtime > now, 60)

    def await_nodes(self) -> None:
        """Wait until all nodes can be used."""
        await_that(lambda: squeue("sinfo", "-h", "-t", "idle,alloc,mix", "-o", "%D").strip() == "4", 60)


def squeue(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stdout


@pytest.fixture
def cluster(on_slurm: dict[str, str]) -> Cluster:
    """The real Slurm, which a test may break, and has to mend."""
    return Cluster(on_slurm)


@contextmanager
def running(folder: CampaignFolder, file: Path, engine: str = "slurm") -> Iterator[subprocess.Popen[bytes]]:
    """A controller in a process of its own."""
    words = [str(folder.path), "--on", engine, "--interval", "0.5", "--simulate", str(file)]
    process = subprocess.Popen(
        [sys.executable, "-m", "thalweg.cli.main", "campaign", "run", *words], cwd=ROOT
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def check(folder: CampaignFolder, units: int) -> None:
    """Every unit is done, and was made once."""
    assert account_of(folder) == {"done": units}
    assert made_once(folder)
    products = list((folder.path.parent / "to").glob("simulated-snow/*/*/*/*"))
    assert len(products) == units
    assert all((product / f"{product.name}.json").exists() for product in products)


def test_the_scheduler_restarts_and_the_accounts_go_down(cluster: Cluster, tmp_path: Path) -> None:
    folder = simulated_campaign(tmp_path, tiles=4, dates=10, granules_per_part=5)
    with running(folder, stand_in(tmp_path, SLOWLY)) as controller:
        await_that(lambda: receipts_in(folder), 60)
        cluster.await_saved_state()
        cluster.kill("slurmctld")
        cluster.start("slurmctld")
        await_that(lambda: "UP" in squeue("scontrol", "ping"), 60)
        cluster.kill("slurmdbd")
        assert controller.wait(timeout=150) == 0
    cluster.start("slurmdbd")
    await_that(lambda: "thalweg" in squeue("sacctmgr", "-n", "show", "cluster"), 60)
    check(folder, 40)


def test_controller_dies_between_submitting_and_recording(cluster: Cluster, tmp_path: Path) -> None:
    folder = simulated_campaign(tmp_path)
    manner = Manner(0.5, simulate=Simulation(str(stand_in(tmp_path, SLOWLY))))

    class Dying(Slurm):
        def submit(self, request: Request) -> str:
            super().submit(request)
            raise KeyboardInterrupt

    with folder.ledger() as ledger, pytest.raises(KeyboardInterrupt):
        Controller(folder, ledger, Dying(folder.path, Options()), manner).run()
    with folder.ledger() as ledger:
        (lost,) = ledger.submissions()
        assert lost.scheduler_id is None
        Controller(folder, ledger, Slurm(folder.path, Options()), manner).run()
    check(folder, 20)
    assert len(receipts_in(folder)) == 20, "the jobs were found, and nothing was sent again"


def kill_controllers(folder: CampaignFolder, file: Path, times: int, seed: int, engine: str) -> int:
    """Kill the controller at random moments, then let one finish; how many were killed at work comes back."""
    moments, killed = random.Random(seed), 0
    for _ in range(times):
        with running(folder, file, engine) as controller:
            try:
                controller.wait(timeout=moments.uniform(0.5, 5.0))
            except subprocess.TimeoutExpired:
                killed += 1
    with running(folder, file, engine) as controller:
        assert controller.wait(timeout=300) == 0
    return killed


def test_killed_controllers_lose_nothing(cluster: Cluster, tmp_path: Path) -> None:
    folder = simulated_campaign(tmp_path, tiles=4, dates=10, granules_per_part=5)
    assert kill_controllers(folder, stand_in(tmp_path, SLOWLY), 3, 2026, "slurm") >= 1
    check(folder, 40)


@pytest.mark.faults
def test_twenty_killed_controllers_lose_nothing(cluster: Cluster, tmp_path: Path) -> None:
    folder = simulated_campaign(tmp_path, tiles=20, dates=20, granules_per_part=10)
    killed = kill_controllers(folder, stand_in(tmp_path, SLOWLY), 20, 7, "slurm")
    assert killed >= 10
    check(folder, 400)
    again = len(receipts_in(folder)) - 400
    assert again <= 4 + 4 * killed * 0.01, "more was computed again than what was in flight"


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system is mounted by root only")
def test_a_full_disk_leaves_no_half_product(tmp_path: Path) -> None:
    folder = simulated_campaign(tmp_path, tiles=4, dates=10, granules_per_part=10)
    destination, file = tmp_path / "to", stand_in(tmp_path, "usual: {}\n")
    destination.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "none", destination], check=True)
    try:
        with running(folder, file, "processes:1") as controller, folder.ledger() as ledger:
            await_that(lambda: ledger.control().mode == "paused", 60)
            assert ledger.control().cause == "disk"
            assert Counter(receipt.kind for receipt in receipts_in(folder))["disk"] >= 1
            subprocess.run(["mount", "-o", "remount,size=8m", destination], check=True)
            # It would go on by itself after five minutes: a job's own failure is no figure that can be looked at.
            ledger.steer("running")
            assert controller.wait(timeout=100) == 0
        check(folder, 40)
    finally:
        subprocess.run(["umount", destination], check=True)


def test_a_worker_that_was_paused_past_its_lease_is_refused(tmp_path: Path) -> None:
    folder = simulated_campaign(tmp_path, tiles=1, dates=5)
    simulate = Simulation(str(stand_in(tmp_path, SLOWLY)))
    with folder.ledger() as ledger:
        lease = ledger.lease(ledger.next_batches(1)[0])
        manifest = write_manifest(folder, folder.read_facts(), folder.site(), lease, simulate)
        command = [sys.executable, "-m", "thalweg.cli.main", "work", str(manifest)]
        worker = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
        await_that(lambda: receipts_in(folder), 60)
        os.killpg(worker.pid, signal.SIGSTOP)
        ledger.take_receipts(Mailbox(folder.receipts).collect({lease.batch}))
        (late,) = ledger.overdue(datetime.now(UTC) + timedelta(hours=3))
        ledger.release(late, "node-lost", "no sign of life")
    assert run(folder.path, "--on", "here", "--simulate", simulate.file) == 0
    os.killpg(worker.pid, signal.SIGCONT)
    assert worker.wait(timeout=60) == 0
    with folder.ledger() as ledger:
        taken = ledger.take_receipts(Mailbox(folder.receipts).collect({lease.batch}))
    assert taken.refused >= 1 and taken.ended == 0
    check(folder, 5)


def test_memory_that_the_kernel_refuses_is_asked_for(cluster: Cluster, tmp_path: Path) -> None:
    folder = simulated_campaign(
        tmp_path, tiles=1, dates=2, granules_per_part=2, memory_per_core_mb=150, max_memory_mb=1200
    )
    text = "usual: {memory_mb: {median: 260}, seconds: {median: 2}, allocates: true}\n"
    with running(folder, stand_in(tmp_path, text)) as controller:
        assert controller.wait(timeout=200) == 0
    check(folder, 2)
    assert "memory" in kinds_of_attempts(folder)


def kinds_of_attempts(folder: CampaignFolder) -> Counter[str]:
    """Classes of the attempts that the ledger knows."""
    with folder.ledger() as ledger:
        return Counter(kind for (kind,) in ledger.database.rows("SELECT kind FROM attempts", []))


@pytest.mark.faults
@pytest.mark.parametrize("leaves_orphans", [False, True])
def test_a_dead_node_costs_nothing(cluster: Cluster, tmp_path: Path, leaves_orphans: bool) -> None:
    folder = simulated_campaign(tmp_path, tiles=4, dates=10, granules_per_part=10)
    with running(folder, stand_in(tmp_path, "usual: {seconds: {median: 4}}\n")) as controller:
        await_that(lambda: receipts_in(folder), 60)
        node = squeue("squeue", "-h", "-t", "running", "-o", "%N").split()[0]
        cluster.end_node(node, leaves_orphans=leaves_orphans)
        assert controller.wait(timeout=300) == 0
    cluster.start(f"slurmd-{node}")
    cluster.await_nodes()
    check(folder, 40)


@pytest.mark.faults
def test_a_node_that_returns_too_early_costs_nothing(cluster: Cluster, tmp_path: Path) -> None:
    folder = simulated_campaign(tmp_path, tiles=4, dates=10, granules_per_part=10)
    with running(folder, stand_in(tmp_path, "usual: {seconds: {median: 2}}\n")) as controller:
        await_that(lambda: receipts_in(folder), 60)
        node = squeue("squeue", "-h", "-t", "running", "-o", "%N").split()[0]
        cluster.end_node(node, leaves_orphans=False)
        cluster.start(f"slurmd-{node}")
        assert controller.wait(timeout=300) == 0
    cluster.await_nodes()
    check(folder, 40)


@pytest.mark.faults
def test_walltime_keeps_what_was_finished(cluster: Cluster, tmp_path: Path) -> None:
    folder = simulated_campaign(
        tmp_path, tiles=1, dates=6, granules_per_part=6, job_seconds=30, max_seconds=240
    )
    with running(folder, stand_in(tmp_path, "usual: {seconds: {median: 15}}\n")) as controller:
        assert controller.wait(timeout=400) == 0
    check(folder, 6)
    assert len({receipt.token for receipt in receipts_in(folder)}) >= 2


@pytest.mark.faults
def test_a_stopped_worker_is_ended_by_the_walltime(cluster: Cluster, tmp_path: Path) -> None:
    folder = simulated_campaign(
        tmp_path, tiles=1, dates=3, granules_per_part=3, job_seconds=30, max_seconds=240
    )
    with running(folder, stand_in(tmp_path, "usual: {seconds: {median: 3}}\n")) as controller:
        await_that(lambda: receipts_in(folder), 60)
        for pid in cluster.processes("thalweg.worker.bench") + cluster.processes("thalweg.cli.main work"):
            os.kill(pid, signal.SIGSTOP)
        assert controller.wait(timeout=400) == 0
    check(folder, 3)
    assert "time" in kinds_of_attempts(folder)
