"""Places where batches run, by the names that a site file and the command line have for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from thalweg.campaign.dispatch import Dispatcher
from thalweg.errors import UsageError
from thalweg.slurm.options import Options

ENGINES = ("here", "processes", "slurm", "drmaa", "drmaa-single")
"""Names; ``processes:4`` says how many at once."""


def open_dispatcher(
    engine: str, folder: Path, options: Options, work: Callable[[Path], int], cores: int = 1
) -> Dispatcher:
    """The dispatcher of that name for a campaign's folder.

    `work` makes the units of a manifest in this process; `cores` is how many processes run at once where the name does
    not say it. Raises UsageError for an unknown name, MissingInput where a library is not there.
    """
    name, _, number = engine.partition(":")
    if name not in ENGINES or (number and (name != "processes" or not number.isdigit() or int(number) < 1)):
        raise UsageError(f"no engine {engine!r}; engines: {', '.join(ENGINES)}; processes:4 runs 4 at once")
    if name == "here":
        from thalweg.slurm.here import Here

        return Here(work)
    if name == "processes":
        from thalweg.slurm.processes import Processes

        return Processes(folder, int(number or cores))
    if name == "slurm":
        from thalweg.slurm.sbatch import Slurm

        return Slurm(folder, options)
    from thalweg.slurm.drmaa_session import Drmaa

    return Drmaa(folder, options, bulk=name == "drmaa")
