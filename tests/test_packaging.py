"""The package as users get it: wheel, source distribution and editable install hold everything, under one name."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAPPED = ("chains", "configs", "kernels", "slurm", "workflows")
SHIPPED = ("*.py", "*.yaml", "*.json", "*.gz", "*.smk", "Snakefile", "py.typed")

LOOK = """
import importlib, importlib.metadata, importlib.resources, importlib.util, pkgutil, sys
import thalweg
print("from", thalweg.__file__ or thalweg.__path__[0])
for folder in {mapped}:
    package = importlib.import_module(f"thalweg.{{folder}}")
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if folder in ("chains", "kernels"):
            importlib.import_module(module.name)
        print("module", module.name)
for folder in ("configs", "workflows"):
    held = importlib.resources.files(f"thalweg.{{folder}}").iterdir()
    print("held", folder, *sorted(each.name for each in held if not each.name.startswith("__")))
print("top", *(name for name in {mapped} if importlib.util.find_spec(name)))
print("version", importlib.metadata.version("thalweg"))
scripts = importlib.metadata.distribution("thalweg").entry_points.select(group="console_scripts")
print("command", *(script.value for script in scripts))
"""


def shipped_files() -> set[str]:
    """What the package must hold, as paths inside it."""
    rooms = {ROOT / "thalweg": Path("thalweg")} | {ROOT / name: Path("thalweg") / name for name in MAPPED}
    return {
        (inside / path.relative_to(folder)).as_posix()
        for folder, inside in rooms.items()
        for pattern in SHIPPED
        for path in folder.rglob(pattern)
    }


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository: building leaves its traces there."""
    copy = tmp_path_factory.mktemp("packaging") / "clone"
    for name in ("thalweg", *MAPPED):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="session")
def distributions(clone: Path) -> Path:
    """A folder with the source distribution, the wheel made of it in ``sdist`` and one of the clone in ``direct``."""
    made = clone.parent
    build(clone, made / "sdist")
    build(clone, made / "direct", "--wheel")
    return made


def build(source: Path, target: Path, *options: str) -> None:
    """Build without network, with the tools that are installed."""
    program = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        str(target),
        *options,
        str(source),
    ]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def wheel_in(folder: Path) -> zipfile.ZipFile:
    """The only wheel of a folder."""
    [wheel] = folder.glob("*.whl")
    return zipfile.ZipFile(wheel)


def look(import_path: Path, elsewhere: Path) -> dict[str, list[str]]:
    """What an interpreter sees that knows the package only from `import_path`."""
    # Without -S, the editable install of the running environment would answer for the one under test.
    libraries = sysconfig.get_path("purelib")
    program = f"import site, sys; site.addsitedir({str(import_path)!r}); sys.path.append({libraries!r})\n"
    command = [sys.executable, "-I", "-S", "-B", "-c", program + LOOK.format(mapped=MAPPED)]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        word, *rest = line.split(" ")
        seen.setdefault(word, []).extend(rest)
    return seen


def expected_modules() -> list[str]:
    """Modules of the mapped folders, by name."""
    return [f"thalweg.{room}.{path.stem}" for room in MAPPED for path in modules_of(room)]


def modules_of(room: str) -> list[Path]:
    return sorted(path for path in (ROOT / room).glob("*.py") if path.stem != "__init__")


def check_seen(seen: dict[str, list[str]]) -> None:
    """Modules and files are there under `thalweg`, and under no other name."""
    assert sorted(seen["module"]) == sorted(expected_modules())
    assert seen["top"] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert seen["version"] == [project["version"]]
    assert seen["command"] == ["thalweg.cli.main:main"]
    for room in ("configs", "workflows"):
        files = {path.name for path in (ROOT / room).iterdir() if not path.name.startswith("__")}
        at = seen["held"].index(room)
        assert files <= set(seen["held"][at:]), room


def test_wheel_holds_every_file(distributions: Path) -> None:
    with wheel_in(distributions / "direct") as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == shipped_files()


def test_wheel_of_the_source_distribution_is_the_same(distributions: Path) -> None:
    with wheel_in(distributions / "sdist") as one, wheel_in(distributions / "direct") as other:
        assert sorted(one.namelist()) == sorted(other.namelist())
        for name in one.namelist():
            assert one.read(name) == other.read(name), name


def test_wheel_works_where_it_is_unpacked(distributions: Path, tmp_path: Path) -> None:
    with wheel_in(distributions / "direct") as wheel:
        wheel.extractall(tmp_path / "site")
    seen = look(tmp_path / "site", tmp_path)
    assert seen["from"][0].startswith(str(tmp_path / "site"))
    check_seen(seen)


def test_editable_install_works(clone: Path, tmp_path: Path) -> None:
    program = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    target = ["--target", str(tmp_path / "site"), "--editable", str(clone)]
    done = subprocess.run([*program, *target], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = look(tmp_path / "site", tmp_path)
    assert seen["from"][0].startswith(str(clone))
    check_seen(seen)
