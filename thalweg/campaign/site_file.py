"""The site file: every fact of a computing centre, so that no campaign has to know one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from thalweg.campaign.yaml_file import read_yaml_file
from thalweg.errors import BadParameters
from thalweg.parameters import suggest

Engine = Literal["here", "processes", "slurm", "drmaa"]
"""Where jobs run: in the controller's process, in processes of this machine, through sbatch, through DRMAA."""


@dataclass(frozen=True, slots=True)
class Site:
    """A computing centre as a campaign sees it; the defaults are those of a workstation."""

    name: str = "workstation"
    """What people call it."""
    engine: Engine = "here"
    """Where jobs run, unless the command line says otherwise."""
    partition: str | None = None
    """Partition or queue."""
    account: str | None = None
    """Account or project that pays."""
    native: str = ""
    """Further options of the scheduler, as it takes them on its command line."""
    cores: int = 1
    """Cores that a campaign may use at once."""
    cores_per_job: int = 1
    """Cores of one job."""
    max_jobs: int = 1000
    """Jobs (elements of arrays) that may wait or run at once."""
    max_array: int = 1000
    """Largest array that the scheduler takes."""
    memory_per_core_mb: int = 3000
    """Memory of a job, MB for each of its cores, until an attempt shows that it takes more."""
    max_memory_mb: int = 48000
    """Most memory that a job may ask for, MB."""
    job_seconds: int = 2400
    """How long a job should last: batches are made of that size; 20 to 60 minutes suit most schedulers."""
    max_seconds: int = 14400
    """Longest time limit that a job may ask for, s."""
    scratch: str | None = None
    """Folder on the nodes for what must be unpacked; None: what the node's own settings say."""
    bandwidth_mb_s: float = 200.0
    """What a campaign may read and write in all, MB/s."""
    files_per_second: float = 200.0
    """Files that a campaign may make in a second: the budget of the metadata servers."""
    min_free_gb: float = 10.0
    """Submission pauses while the destination has less room, GB."""
    min_free_inodes: int = 100_000
    """Submission pauses while the destination takes fewer files."""
    ledger: str | None = None
    """PostgreSQL address of ledgers (``postgresql://host/database``); None: a SQLite file in the campaign's folder."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Names for folders of this site: a campaign writes ``archive:S2/L2A`` where ``archive`` is one of them."""

    def __post_init__(self) -> None:
        counts = ("cores", "cores_per_job", "max_jobs", "max_array", "memory_per_core_mb", "job_seconds")
        for name in (*counts, "bandwidth_mb_s", "files_per_second"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} = {getattr(self, name)}: must be above 0")
        if self.max_memory_mb < self.memory_mb:
            raise ValueError(
                f"max_memory_mb = {self.max_memory_mb}: less than the {self.memory_mb} MB of a usual job"
            )
        if self.max_seconds < self.job_seconds:
            raise ValueError(f"max_seconds = {self.max_seconds}: less than job_seconds = {self.job_seconds}")
        if self.ledger is not None and not self.ledger.startswith(("postgresql://", "postgres://")):
            raise ValueError(f"ledger = {self.ledger!r}: expected postgresql://HOST/DATABASE")

    @property
    def memory_mb(self) -> int:
        """Memory of a usual job, MB."""
        return self.memory_per_core_mb * self.cores_per_job

    def place(self, text: str, base: Path) -> Path:
        """The path that a campaign means: ``name:rest`` under a place of this site, else relative to `base`.

        Raises BadParameters for a place that this site does not have.
        """
        name, mark, rest = text.partition(":")
        if not mark or "/" in name:
            return base / text
        if name not in self.places:
            known = suggest(name, self.places) if self.places else "The site file names no places."
            raise BadParameters(f"{text!r}: the site {self.name!r} has no place {name!r}. {known}")
        return Path(self.places[name]) / rest


def read_site(path: Path) -> Site:
    """The site of a file; BadParameters names file, line and field."""
    return read_yaml_file(path, frozenset({"name", "partition", "account", "native"})).read(Site)
