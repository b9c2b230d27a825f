"""Batches as jobs of Snakemake, for sites that run everything that way: one workflow run a shard, any executor plug-in.

Dearer than arrays: Snakemake starts twice for each job, 7 CPU-seconds and 110 to 190 MB.
"""

from __future__ import annotations

import ctypes
import json
import signal
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from thalweg.campaign.dispatch import UNKNOWN, Element, Request
from thalweg.errors import UsageError
from thalweg.slurm.script import WORK

PROFILES = ("local", "slurm", "drmaa")
"""Profiles that come with thalweg."""

OVERHEAD_MB = 250
"""Memory that Snakemake takes inside of every job, MB."""

LOG = "snakemake.log"
"""What a workflow run says, in the folder of its shard."""

_MOST_WORDS = 300
_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class _Run:
    """A workflow run that was started."""

    folder: Path
    manifests: tuple[Path, ...]
    process: subprocess.Popen[bytes]

    def element(self, manifest: Path, is_over: bool) -> Element:
        """How a batch stands: it is done, its run goes on, or its run has ended without it.

        A job that never began is charged, later and later: where Snakemake itself fails, the next run would, too.
        """
        if (self.folder / f"{manifest.stem}.done").exists():
            return Element("ended")
        if not is_over:
            return Element("running")
        kind = "node-lost" if _log_of(manifest).exists() else "service"
        return Element("ended", kind, f"its Snakemake job failed: {self._last_words()}")

    def _last_words(self) -> str:
        lines = (self.folder / LOG).read_text(encoding="utf-8", errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return said[-1][:_MOST_WORDS] if said else f"{LOG} is empty"


class Shards:
    """Runs the workflow of a shard, in the background, with one of Snakemake's profiles."""

    largest = 1000
    at_once: int | None = None
    runs_at_once = False

    def __init__(self, folder: Path, profile: str, options: Iterable[str] = ()) -> None:
        if profile not in PROFILES and not Path(profile).is_dir():
            raise UsageError(f"no profile {profile!r}; profiles: {', '.join(PROFILES)}, or a folder")
        self._folder, self._options = folder, tuple(options)
        self._workflows = Path(str(files("thalweg.workflows")))
        self._profile = self._workflows / "profiles" / profile if profile in PROFILES else Path(profile)
        self._runs: dict[str, _Run] = {}

    def submit(self, request: Request) -> str:
        """Write the shard and start its workflow."""
        shard = self._folder / "shards" / request.name
        shard.mkdir(parents=True, exist_ok=True)
        (shard / "shard.json").write_text(json.dumps(_shard(request), indent=2), encoding="utf-8")
        with (shard / LOG).open("ab") as log:
            process = subprocess.Popen(
                self._command(shard),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_parent,
            )
        self._runs[request.name] = _Run(shard, request.manifests, process)
        return request.name

    def find(self, names: Collection[str]) -> Mapping[str, str]:
        """Shards of this controller: the workflow runs of another one have ended with it."""
        return {name: name for name in names if name in self._runs}

    def poll(self, jobs: Mapping[str, int]) -> Mapping[str, tuple[Element, ...]]:
        """How the batches of every shard stand."""
        return {name: self._elements(name, count) for name, count in jobs.items()}

    def cancel(self, ids: Iterable[str]) -> None:
        """End the workflow runs, which end their jobs."""
        for name in ids:
            if name in self._runs:
                self._runs[name].process.send_signal(signal.SIGINT)

    def close(self) -> None:
        """End what runs; Snakemake does not hear SIGTERM while it waits."""
        for run in self._runs.values():
            run.process.kill()
            run.process.wait()

    def _elements(self, name: str, count: int) -> tuple[Element, ...]:
        run = self._runs.get(name)
        if run is None:
            return (UNKNOWN,) * count
        is_over = run.process.poll() is not None
        return tuple(run.element(manifest, is_over) for manifest in run.manifests)

    def _command(self, shard: Path) -> list[str]:
        return [
            *(sys.executable, "-m", "snakemake"),
            *("--snakefile", str(self._workflows / "shard.smk")),
            *("--profile", str(self._profile)),
            *("--directory", str(shard)),
            "--nocolor",
            *self._options,
        ]


def _shard(request: Request) -> dict[str, object]:
    resources = request.resources
    return {
        "batches": [manifest.stem for manifest in request.manifests],
        "thalweg": " ".join(WORK[:-1]),
        "cores": resources.cores,
        "memory_mb": resources.memory_mb + OVERHEAD_MB,
        "minutes": -(-resources.seconds // 60),
    }


def _log_of(manifest: Path) -> Path:
    """Where the job of a batch writes, which it does first of all."""
    return manifest.parent.parent / "logs" / f"{manifest.stem}.log"


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
