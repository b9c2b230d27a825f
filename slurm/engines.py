"""Places where batches run, by the names that a site file and the command line have for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from thalweg.campaign.dispatch import Dispatcher
from thalweg.errors import UsageError
from thalweg.slurm.options import Options

ENGINES = ("here", "processes[:N]", "slurm", "drmaa", "drmaa-single", "jobs:PROFILE")
"""Names: N says how many at once, PROFILE is one of Snakemake's (local, slurm, drmaa, or a folder)."""


def open_dispatcher(
    engine: str, folder: Path, options: Options, work: Callable[[Path], int], cores: int = 1
) -> Dispatcher:
    """The dispatcher of that name for a campaign's folder.

    `work` makes the units of a manifest in this process; `cores` is how many processes run at once where the name does
    not say it. Raises UsageError for an unknown name, MissingInput where a library is not there.
    """
    name, mark, detail = engine.partition(":")
    is_known = {"processes": not mark or (detail.isdigit() and int(detail) > 0), "jobs": bool(detail)}
    if not is_known.get(name, engine in ENGINES):
        raise UsageError(f"no engine {engine!r}; engines: {', '.join(ENGINES)}")
    if name == "here":
        from thalweg.slurm.here import Here

        return Here(work)
    if name == "processes":
        from thalweg.slurm.processes import Processes

        return Processes(folder, int(detail or cores))
    if name == "slurm":
        from thalweg.slurm.sbatch import Slurm

        return Slurm(folder, options)
    from thalweg.slurm.drmaa_session import Drmaa, load_library

    if name == "jobs":
        from thalweg.slurm.shards import Shards

        if detail == "drmaa":
            # Snakemake inherits what the library needs, and a library that is missing is told before any job.
            load_library()
        return Shards(folder, detail)
    return Drmaa(folder, options, bulk=name == "drmaa")
