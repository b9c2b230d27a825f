"""The workflow of a campaign's stages, run by Snakemake."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from thalweg.errors import MissingInput, ServiceUnavailable
from thalweg.slurm.script import WORK


def run_workflow(folder: Path, engine: str) -> int:
    """Run the stages that are not done yet; the exit code is 0, for a stage that fails is raised.

    Raises MissingInput where Snakemake is not installed, ServiceUnavailable where a stage fails: its log says why.
    """
    if find_spec("snakemake") is None:
        raise MissingInput("snakemake is not installed", advice="Install thalweg with its extra `hpc`.")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake"),
            *("--snakefile", str(files("thalweg.workflows") / "Snakefile")),
            *("--directory", str(folder)),
            *("--cores", "1"),
            *("--rerun-triggers", "mtime"),
            *("--config", f"engine={engine}", f"thalweg={' '.join(WORK[:-1])}"),
        ],
        check=False,
    )
    if done.returncode:
        raise ServiceUnavailable(
            f"{folder}: a stage of the workflow failed",
            advice=f"Read {folder}/logs/stage-*.log, then run the same command again.",
        )
    return 0
