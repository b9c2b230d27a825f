"""Settings: what the surroundings say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from thalweg import settings
from thalweg.errors import BadParameters
from thalweg.settings import read_settings, use_kernel_cache

NAMES = ("SCRATCH", "KERNEL_CACHE", "THREADS", "FACILITY")


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable is set, and what numba was told before comes back afterwards."""
    numba = pytest.importorskip("numba")
    monkeypatch.setattr(numba.config, "CACHE_DIR", numba.config.CACHE_DIR)
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    for name in (*(f"THALWEG_{name}" for name in NAMES), "TMPDIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(settings.tempfile, "gettempdir", lambda: str(tmp_path / "public"))
    (tmp_path / "home").mkdir()
    (tmp_path / "public").mkdir()
    (tmp_path / "public").chmod(0o1777)


def test_what_is_said_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(NAMES, ("/a/scratch", "/a/cache", "3", "CESBIO"), strict=True):
        monkeypatch.setenv(f"THALWEG_{name}", value)
    found = read_settings()
    assert (found.scratch, found.kernel_cache) == (Path("/a/scratch"), Path("/a/cache"))
    assert (found.threads, found.facility) == (3, "CESBIO")


def test_what_is_not_said_has_a_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = read_settings()
    assert found.scratch == tmp_path / "public"
    assert found.kernel_cache == tmp_path / "home" / ".cache" / "thalweg" / "kernels"
    assert 1 <= found.threads <= 4
    monkeypatch.setenv("TMPDIR", "/node/tmp")
    monkeypatch.setenv("XDG_CACHE_HOME", "/a/caches")
    assert read_settings().scratch == Path("/node/tmp")
    assert read_settings().kernel_cache == Path("/a/caches/thalweg/kernels")


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (3, 3), (64, 4)])
def test_threads_are_as_many_as_cores_but_few(
    cores: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings.os, "sched_getaffinity", lambda process: set(range(cores)))
    assert read_settings().threads == threads
    monkeypatch.setenv("THALWEG_THREADS", "1")
    assert read_settings().threads == 1


@pytest.mark.parametrize("home", ["", "/nonexistent"])
def test_without_a_home_the_cache_is_temporary(
    home: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", home)
    assert read_settings().kernel_cache.parent == tmp_path / "public"


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "²", " "])
def test_what_is_no_number_of_threads_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THALWEG_THREADS", text)
    with pytest.raises(BadParameters, match=f"THALWEG_THREADS={text!r}"):
        read_settings()


def chosen(folder: Path) -> Path:
    use_kernel_cache(folder)
    return Path(os.environ["NUMBA_CACHE_DIR"])


def test_kernels_are_kept_where_the_settings_say(tmp_path: Path) -> None:
    import numba

    assert chosen(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").is_dir()
    assert str(tmp_path / "a" / "b") == numba.config.CACHE_DIR


def test_numbas_own_variable_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/site/cache")
    assert chosen(tmp_path / "a") == Path("/site/cache")
    assert not (tmp_path / "a").exists()


def test_a_folder_that_cannot_be_made_or_written_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    assert chosen(tmp_path / "file" / "cache").parent == tmp_path / "public"
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    monkeypatch.setattr(settings.os, "access", lambda path, mode: "site" not in str(path))
    assert chosen(tmp_path / "site").parent == tmp_path / "public"


def test_a_public_folder_that_somebody_else_made_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "public" / "thalweg-kernels-me"
    theirs.mkdir()
    monkeypatch.setattr(settings, "_user", lambda: "me")
    monkeypatch.setattr(settings.os, "getuid", lambda: theirs.stat().st_uid + 1)
    own = chosen(theirs)
    assert own != theirs
    assert own.is_dir()
    own.rmdir()


@pytest.mark.parametrize(
    ("said", "job"),
    [
        ({}, ("", "vm")),
        ({"SLURM_JOB_ID": "7", "SLURMD_NODENAME": "n3"}, ("7", "n3")),
        ({"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"}, ("7_2", "vm")),
        ({"JOB_ID": "5", "SGE_TASK_ID": "undefined"}, ("5", "vm")),
        ({"JOB_ID": "5", "SGE_TASK_ID": "4"}, ("5.4", "vm")),
    ],
)
def test_the_job_is_the_schedulers(
    said: dict[str, str], job: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = (
        "SLURM_JOB_ID",
        "SLURM_ARRAY_JOB_ID",
        "SLURM_ARRAY_TASK_ID",
        "SLURMD_NODENAME",
        "JOB_ID",
        "SGE_TASK_ID",
    )
    for name in names:
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(settings.socket, "gethostname", lambda: "vm")
    found = settings.read_job()
    assert (found.id, found.host) == job


def test_a_command_is_started_anew_once(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(settings.os, "execv", lambda program, words: started.append(words))
    monkeypatch.setattr(settings.sys, "orig_argv", ["python", "-m", "thalweg"])
    monkeypatch.setenv("LD_PRELOAD", "other.so")
    settings.restart_with("LD_PRELOAD", "libjemalloc.so.2")
    settings.restart_with("LD_PRELOAD", "libjemalloc.so.2")
    assert started == [[settings.sys.executable, "-m", "thalweg"]]
    assert os.environ["LD_PRELOAD"] == "other.so:libjemalloc.so.2"
