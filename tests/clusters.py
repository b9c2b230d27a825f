"""Real schedulers on this machine, started for the session of tests that asks for them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def started(name: str, folder: Path) -> Iterator[dict[str, str]]:
    """The environment of a development cluster, which is stopped afterwards."""
    if os.geteuid() != 0:
        pytest.skip(f"slurm/dev/{name} needs root to run a scheduler's daemons")
    command = ROOT / "slurm" / "dev" / name
    begun = subprocess.run(
        [command, "start", folder], capture_output=True, text=True, check=False, timeout=300
    )
    if begun.returncode:
        pytest.fail(f"slurm/dev/{name} start: {begun.stderr[-2000:]}")
    try:
        yield dict(line.removeprefix("export ").split("=", 1) for line in begun.stdout.splitlines())
    finally:
        subprocess.run([command, "stop", folder], check=True, capture_output=True, timeout=120)


def daemons(folder: Path) -> list[int]:
    """Process ids of a cluster's daemons that run; zombies do not."""
    pids = [int(path.read_text()) for path in (folder / "pid").glob("*")] if folder.exists() else []
    return [pid for pid in pids if state_of(pid) not in ("", "Z")]


def state_of(pid: int) -> str:
    """State of a process, empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
