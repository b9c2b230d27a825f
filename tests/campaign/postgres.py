"""A real PostgreSQL server of its own, from the system's packages, on a socket in a temporary folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_USER = "postgres"


def programs() -> Path | None:
    """Folder of initdb and pg_ctl, None where PostgreSQL is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def install() -> None:
    """Install the server where the system's packages can be installed."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "postgresql"]
        subprocess.run(command, env=environment, capture_output=True, check=False, timeout=600)


@contextmanager
def server() -> Iterator[str]:
    """The address of a server that lives as long as the context; RuntimeError says why there is none."""
    if programs() is None:
        install()
    folder = programs()
    if folder is None:
        raise RuntimeError(
            "PostgreSQL is not installed, and only root can install it (apt-get install postgresql)"
        )
    user = _USER if os.geteuid() == 0 else None
    # A socket's path is limited to 107 bytes, so that pytest's own folders are too deep; and root's temporary folder
    # may be closed to the user that the server runs as.
    home = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp" if user else None))
    if user:
        shutil.chown(home, user)
    data = home / "data"
    try:
        _run([folder / "initdb", "-D", data, "-A", "trust", "-U", _USER, "--no-sync"], user, home)
        options = f"-c listen_addresses='' -c fsync=off -k {home}"
        _run([folder / "pg_ctl", "-D", data, "-w", "-o", options, "-l", home / "log", "start"], user, home)
        try:
            yield f"postgresql://{_USER}@/postgres?host={home}"
        finally:
            _run([folder / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop"], user, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _run(command: list[str | Path], user: str | None, folder: Path) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        user=user,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip()[-300:]}")
