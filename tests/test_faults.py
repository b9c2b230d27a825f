"""Runs that are killed at any moment: the same command then completes, and nothing tells that it was disturbed."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.winter import Winter, rasters
from thalweg.staging import STAGING

FEW, MANY = 3, 50


def command(winter: Winter, to: Path) -> list[str]:
    words = ["run", str(winter.granule), "--chain", "snow", "--static", str(winter.static), "--to", str(to)]
    return [sys.executable, "-m", "thalweg.cli.main", *words, "--strip-rows", "8"]


@pytest.fixture(scope="module")
def undisturbed(winter: Winter, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], float]:
    """The rasters of a run that nobody disturbs, and how long it takes with compiled kernels."""
    to = tmp_path_factory.mktemp("undisturbed")
    subprocess.run(command(winter, to / "first"), check=True, capture_output=True)
    begin = time.perf_counter()
    subprocess.run(command(winter, to / "second"), check=True, capture_output=True)
    return rasters(to / "second"), time.perf_counter() - begin


def check_killed_run(winter: Winter, to: Path, seconds: float, undisturbed: dict[str, bytes]) -> bool:
    """Kill a run after so many seconds, run again, compare; True where it was killed in time."""
    process = subprocess.Popen(command(winter, to), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(timeout=seconds)
        killed = False
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        killed = True
    for product in to.glob("snow-*/*/*/*/*"):
        assert (product / f"{product.name}.json").exists(), "a product without its item"
    subprocess.run(command(winter, to), check=True, capture_output=True)
    assert rasters(to) == undisturbed
    assert not list((to / STAGING).glob("*")), "rubbish of a dead attempt"
    return killed


@pytest.mark.parametrize("seed", range(FEW))
def test_killed_run_leaves_nothing_half(
    seed: int, winter: Winter, tmp_path: Path, undisturbed: tuple[dict[str, bytes], float]
) -> None:
    expected, duration = undisturbed
    check_killed_run(winter, tmp_path, random.Random(seed).uniform(0.4, 1.0) * duration, expected)


@pytest.mark.faults
def test_fifty_killed_runs_leave_nothing_half(
    winter: Winter, tmp_path: Path, undisturbed: tuple[dict[str, bytes], float]
) -> None:
    expected, duration = undisturbed
    moments = random.Random(2026)
    killed = [
        check_killed_run(winter, tmp_path / str(number), moments.uniform(0.1, 1.0) * duration, expected)
        for number in range(MANY)
    ]
    assert sum(killed) >= MANY * 0.8, "too few runs were hit: the moments no longer fit the duration"
