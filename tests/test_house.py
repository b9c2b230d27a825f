"""The house itself: no path of a machine, no registry, no second list that could go stale."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAPPED = ("chains", "configs", "kernels", "slurm", "workflows")
FLAT = ("chains", "kernels", "slurm")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

SOMEONES_FOLDER = re.compile(r"(?:^|[^\w.])/(?:work|root|farm|home|Users|mnt|scratch|datalake)/")
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "manager", "handler"}


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Text files that are, or would be, in the repository."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git clone: which files belong to the repository is not known")
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in listing.split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()]


def lines_of(path: Path) -> list[str]:
    return path.read_text("utf-8", errors="replace").splitlines()


def test_no_file_holds_a_path_of_a_machine(tracked: list[Path]) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked
        for number, line in enumerate(lines_of(path), start=1)
        if SOMEONES_FOLDER.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("line", ["cp /" + "home/me/x .", "/" + "work/data", 'path = "/' + 'scratch/a"'])
def test_paths_of_a_machine_are_seen(line: str) -> None:
    assert SOMEONES_FOLDER.search(line)


@pytest.mark.parametrize(
    "line", ["../home/x", "catalogue/work/a", "https://example.org/work/a", "framework/x"]
)
def test_other_paths_are_not_taken_for_one(line: str) -> None:
    assert not SOMEONES_FOLDER.search(line)


def test_requirements_are_pinned_with_hashes_and_name_no_host() -> None:
    files = sorted((ROOT / "requirements").glob("*.txt"))
    assert [path.stem for path in files] == ["run", "site", "test"]
    for path in files:
        text = path.read_text("utf-8")
        assert "://" not in text
        assert not re.search(
            r"^\s*-", re.sub(r"^    --hash=sha256:[0-9a-f]{64}.*$", "", text, flags=re.M), flags=re.M
        )
        for entry in re.split(r"\n(?=\S)", text.strip()):
            assert re.match(r"[a-z0-9-]+(\[[a-z,]+\])?==\S+", entry), entry.splitlines()[0]
            assert "--hash=sha256:" in entry, entry.splitlines()[0]


def test_what_runs_is_what_was_tested() -> None:
    run, site, test = (set(pins(ROOT / "requirements" / f"{name}.txt")) for name in ("run", "site", "test"))
    assert run <= site <= test


def pins(path: Path) -> list[str]:
    return re.findall(r"^([a-z0-9-]+==[^\s;]+)", path.read_text("utf-8"), flags=re.M)


def test_every_dependency_is_pinned() -> None:
    declared = {re.split(r"[<>=\[ ]", name)[0].lower() for name in PROJECT["project"]["dependencies"]}
    assert declared <= {pin.partition("==")[0] for pin in pins(ROOT / "requirements" / "run.txt")}


def test_list_of_packages_is_that_of_the_folders() -> None:
    inner = {path.parent for path in (ROOT / "thalweg").rglob("*.py")}
    folders = {".".join(path.relative_to(ROOT).parts) for path in inner}
    folders |= {
        f"thalweg.{'.'.join(path.parent.relative_to(ROOT).parts)}"
        for room in MAPPED
        for path in python_in(room)
    }
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(folders)


def python_in(room: str) -> list[Path]:
    return list((ROOT / room).rglob("*.py"))


def test_every_package_has_an_init() -> None:
    mapping = PROJECT["tool"]["setuptools"]["package-dir"]
    for package in PROJECT["tool"]["setuptools"]["packages"]:
        room = ".".join(package.split(".")[:2])
        folder = mapping.get(room, room.replace(".", "/"))
        inner = package.removeprefix(room).replace(".", "/").lstrip("/")
        assert (ROOT / folder / inner / "__init__.py").is_file(), package


def test_some_rooms_stay_flat() -> None:
    deeper = [path for room in FLAT for path in python_in(room) if path.parent != ROOT / room]
    assert deeper == []


def test_no_module_has_a_vague_name() -> None:
    modules = [path for room in ("thalweg", "tests", *MAPPED) for path in python_in(room)]
    assert [path.name for path in modules if VAGUE_NAMES & set(path.stem.split("_"))] == []


def test_decisions_are_numbered_and_dated() -> None:
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [path.name[:4] for path in decisions]
    assert numbers == [f"{number:04}" for number in range(1, len(decisions) + 1)]
    for path in decisions:
        assert re.search(r"^Date: \d{4}-\d\d-\d\d$", path.read_text("utf-8"), flags=re.M), path.name


def test_project_states_its_licence_and_version() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert re.fullmatch(r"\d+\.\d+\.\d+", PROJECT["project"]["version"])
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
