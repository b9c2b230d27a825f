"""Installing on a node without network, from a wheelhouse."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_packaging import build, clone, distributions  # noqa: F401 - fixtures

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def wheelhouse(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811 - the fixture
    """A wheelhouse of thalweg's own wheel: what it depends on would have to be fetched."""
    house = tmp_path_factory.mktemp("offline") / "wheelhouse"
    house.mkdir()
    for wheel in (distributions / "direct").glob("*.whl"):
        shutil.copy(wheel, house)
    (house / "requirements.txt").write_text("")
    shutil.copy(ROOT / "scripts" / "install-offline", house)
    return house


def install(house: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Run the script of a wheelhouse, with a mask that would keep the group out."""
    environment = os.environ | {"PYTHON": sys.executable, "PIP_INDEX_URL": "http://127.0.0.1:9/none"}
    command = ["bash", "-c", f"umask 077; {house}/install-offline {target}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_one_command_installs_what_the_group_can_read(wheelhouse: Path, tmp_path: Path) -> None:
    target = tmp_path / "thalweg"
    done = install(wheelhouse, target)
    assert done.returncode == 0, done.stderr
    look = "from importlib.util import find_spec; print(find_spec('thalweg').origin)"
    found = subprocess.run(
        [target / "bin" / "python", "-I", "-c", look], capture_output=True, text=True, check=True
    )
    assert found.stdout.startswith(str(target))
    closed = [path for path in target.rglob("*") if not path.is_symlink() and not path.stat().st_mode & 0o040]
    assert closed == []


def test_a_folder_that_is_there_is_left_alone(wheelhouse: Path, tmp_path: Path) -> None:
    done = install(wheelhouse, tmp_path)
    assert done.returncode == 1
    assert "is there already" in done.stderr


def test_a_folder_without_wheels_is_refused(tmp_path: Path) -> None:
    shutil.copy(ROOT / "scripts" / "install-offline", tmp_path)
    done = install(tmp_path, tmp_path / "to")
    assert "make one with scripts/wheelhouse" in done.stderr
