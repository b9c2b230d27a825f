"""Kernels compiled for a CPU without special instructions give the same bytes as those for this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import thalweg
from tests.winter import Winter, rasters

CASES = ("default", "lis-1.11")


def test_generic_cpu_gives_the_same_rasters(winter: Winter, tmp_path: Path) -> None:
    code = (
        "import sys, thalweg\n"
        "for profile in sys.argv[4:]:\n"
        "    (ending,) = thalweg.run(sys.argv[1], 'snow', to=sys.argv[3], static=sys.argv[2], profile=profile,"
        " write_expert=True)\n"
        "    assert ending.state == 'done', ending\n"
    )
    arguments = [str(winter.granule), str(winter.static), str(tmp_path / "generic"), *CASES]
    generic = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    subprocess.run([sys.executable, "-c", code, *arguments], env=generic, check=True)
    for profile in CASES:
        thalweg.run(
            winter.granule,
            "snow",
            to=tmp_path / "own",
            static=winter.static,
            profile=profile,
            write_expert=True,
        )
    assert rasters(tmp_path / "generic") == rasters(tmp_path / "own")
    assert len(rasters(tmp_path / "own")) > 30
