"""What the surroundings say: the only module that reads the environment."""

from __future__ import annotations

import ctypes
import getpass
import os
import socket
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from thalweg.errors import BadParameters

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


@dataclass(frozen=True, slots=True)
class Settings:
    """Facts of this process's surroundings."""

    scratch: Path
    """Folder for what must be unpacked; private subfolders are made and removed in it."""
    kernel_cache: Path
    """Folder for compiled kernels, one per kind of CPU inside."""
    threads: int
    """Threads of the pool that reads, computes and writes."""
    host: str
    """Name of this machine, for provenance."""
    facility: str
    """Who processes, for `processing:facility`."""


@dataclass(frozen=True, slots=True)
class Job:
    """The scheduler's job that this process belongs to."""

    id: str
    """Its id as the scheduler's own commands take it, empty outside of a job."""
    host: str
    """The node: its name to the scheduler, else that of the machine."""


def read_job() -> Job:
    """The job that this process belongs to, from what Slurm or Grid Engine tells it."""
    node = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    if array and task:
        return Job(f"{array}_{task}", node)
    if slurm := os.environ.get("SLURM_JOB_ID"):
        return Job(slurm, node)
    job, task = os.environ.get("JOB_ID", ""), os.environ.get("SGE_TASK_ID", "undefined")
    return Job(f"{job}.{task}" if job and task != "undefined" else job, node)


def read_settings() -> Settings:
    """The settings, from THALWEG_SCRATCH, THALWEG_KERNEL_CACHE, THALWEG_THREADS and THALWEG_FACILITY.

    What is not set has a default. Raises BadParameters where THALWEG_THREADS is no number of threads.
    """
    scratch = os.environ.get("THALWEG_SCRATCH") or os.environ.get("TMPDIR") or tempfile.gettempdir()
    return Settings(
        scratch=Path(scratch),
        kernel_cache=Path(os.environ.get("THALWEG_KERNEL_CACHE") or _default_cache()),
        threads=_threads(os.environ.get("THALWEG_THREADS")),
        host=socket.gethostname(),
        facility=os.environ.get("THALWEG_FACILITY", ""),
    )


def use_kernel_cache(folder: Path) -> None:
    """Make numba keep compiled kernels in `folder`: beside the source, where it would put them, may be read-only.

    Must run before the first kernel module is imported; numba's own NUMBA_CACHE_DIR wins where it is set.
    """
    if os.environ.get("NUMBA_CACHE_DIR"):
        return
    if not _is_usable(folder):
        folder = _temporary_cache()
    if not _is_usable(folder):
        folder = Path(tempfile.mkdtemp(prefix="thalweg-kernels-"))
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    if "numba" in sys.modules:
        from numba import config

        config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]  # numba makes it when it is imported


def keep_eodag_offline() -> None:
    """Make EODAG look up nothing on the network when it is imported: by default it fetches a list of collections."""
    os.environ.setdefault("EODAG_EXT_COLLECTIONS_CFG_URI", "")
    os.environ.setdefault("EODAG_EXT_PRODUCT_TYPES_CFG_URI", "")


def restart_with(name: str, value: str) -> None:
    """Start this very command anew with a variable that must be there before it starts; does nothing where it is."""
    before = os.environ.get(name, "")
    if value in before.split(":"):
        return
    os.environ[name] = f"{before}:{value}" if before else value
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def return_large_blocks(large: int = 9 << 15) -> None:
    """Make glibc give freed arrays of `large` bytes and more back to the system at once, until it is told otherwise.

    By default it keeps blocks of up to 32 MB for itself once some have been freed; strips of rasters are of that size,
    and what it keeps is a third of a unit's memory. Smaller ones, such as rows of a batch or a mask's blocks of 256 kB,
    are kept up to 8 MB: to ask for each of them anew costs more than what is computed in them. Other C libraries are
    left as they are.
    """
    try:
        library = ctypes.CDLL("libc.so.6")
        library.mallopt(_MMAP_THRESHOLD, large)
        library.mallopt(_TRIM_THRESHOLD, 1 << 23)
    except (OSError, AttributeError):
        return


def _default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "thalweg" / "kernels"
    home = os.environ.get("HOME")
    if home and os.access(home, os.W_OK):
        return Path(home) / ".cache" / "thalweg" / "kernels"
    return _temporary_cache()


def _is_usable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # What lies in it is run: where everybody may make a folder of this name, it must be this user's.
        is_safe = folder.lstat().st_uid == os.getuid() or not folder.parent.stat().st_mode & stat.S_IWOTH
    except OSError:
        return False
    return is_safe and os.access(folder, os.W_OK)


def _temporary_cache() -> Path:
    return Path(tempfile.gettempdir()) / f"thalweg-kernels-{_user()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _threads(text: str | None) -> int:
    if not text:
        return max(1, min(4, len(os.sched_getaffinity(0))))
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise BadParameters(f"THALWEG_THREADS={text!r}: a number of threads, at least 1, is wanted")
    return int(text)
