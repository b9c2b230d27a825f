"""The development clusters start and stop cleanly."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.clusters import ROOT, daemons, state_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="slurm/dev needs root to run a scheduler's daemons")


@pytest.mark.parametrize(("name", "count"), [("slurm", 8), ("gridengine", 2)])
def test_a_stopped_cluster_leaves_nothing(name: str, count: int, tmp_path: Path) -> None:
    command, folder = ROOT / "slurm" / "dev" / name, tmp_path / name
    subprocess.run([command, "start", folder], check=True, capture_output=True, timeout=300)
    running = daemons(folder)
    assert len(running) == count
    again = subprocess.run([command, "start", folder], check=True, capture_output=True, text=True)
    assert again.stdout.startswith("export ")
    assert daemons(folder) == running, "started once"
    subprocess.run([command, "stop", folder], check=True, capture_output=True, timeout=120)
    assert [pid for pid in running if state_of(pid) not in ("", "Z")] == []
    assert not folder.exists()
    for _ in range(100):
        # Whoever is process 1 here may take a moment to bury them.
        if not any(state_of(pid) for pid in running):
            break
        time.sleep(0.1)


@pytest.mark.parametrize("name", ["slurm", "gridengine"])
def test_without_root_it_says_what_is_wanted(name: str) -> None:
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", ROOT / "slurm" / "dev" / name, "start"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "TMPDIR": "/tmp"},
    )
    if "Permission denied" in done.stderr:
        pytest.skip("this clone cannot be read by another user")
    assert done.returncode == 1
    assert "needs root" in done.stderr
