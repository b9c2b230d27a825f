"""Who may import whom: every module has a room, and every import follows an arrow of the table.

The table mirrors "Who may import whom" of the house plan with the changes of docs/decisions/0003 and 0004.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAPPED = ("chains", "configs", "kernels", "slurm", "workflows")
"""Root folders that are sub-packages of thalweg."""

LANGUAGE = ("__future__", "collections", "dataclasses", "typing")
"""What typed Python needs anywhere."""

FILES_AND_PROCESSES = (
    *(
        "ftplib",
        "glob",
        "gzip",
        "http",
        "io",
        "logging",
        "mmap",
        "multiprocessing",
        "os",
        "pathlib",
        "pickle",
    ),
    *("shutil", "socket", "sqlite3", "subprocess", "tempfile", "threading", "urllib", "zipfile"),
)
"""What a chain or kernel has no business with."""


@dataclass(frozen=True)
class Room:
    """Modules that may import the same things."""

    modules: str
    """Names or patterns of modules, separated by spaces."""
    ours: str = ""
    """Rooms that may be imported, beside the room itself."""
    later: str = ""
    """Rooms that may be imported only inside functions or for type checking."""
    others: str = ""
    """Libraries that may be imported."""
    lazily: str = ""
    """Libraries that may be imported only inside functions or for type checking."""
    standard: tuple[str, ...] | None = None
    """The only standard modules that may be imported; None: all."""
    barred: tuple[str, ...] = ()
    """Standard modules that may not be imported."""


ROOMS = {
    "kernels": Room(
        modules="thalweg.kernels thalweg.kernels.*",
        others="numpy numba",
        standard=(*LANGUAGE, "math"),
    ),
    "settings": Room(
        modules="thalweg.settings",
        ours="thalweg.errors",
        lazily="numba",
    ),
    "values": Room(
        modules="thalweg.bands thalweg.chain thalweg.collection thalweg.credit thalweg.document thalweg.errors"
        " thalweg.ending thalweg.footprint thalweg.granule thalweg.grid thalweg.identity thalweg.inputs thalweg.item"
        " thalweg.layer thalweg.masks thalweg.parameter_files thalweg.parameters thalweg.period thalweg.raster"
        " thalweg.record thalweg.record_schema thalweg.registry thalweg.scene thalweg.schemas thalweg.series"
        " thalweg.stac thalweg.synthesis thalweg.tile thalweg.tiletable thalweg.tiling",
        others="numpy pyproj yaml",
        lazily="pyarrow",
    ),
    "chains": Room(
        modules="thalweg.chains thalweg.chains.*",
        ours="face kernels values",
        others="numpy",
        lazily="scipy sklearn xarray",
        barred=FILES_AND_PROCESSES,
    ),
    # The feeds bring bands to a chain's grid with the compiled resampling, once for all chains.
    "readers": Room(
        modules="thalweg.decoding thalweg.feed thalweg.opened thalweg.readers thalweg.readers.*"
        " thalweg.scenery thalweg.sharing thalweg.static thalweg.upstream",
        ours="settings values thalweg.kernels.decoding thalweg.kernels.resample",
        later="writers",
        others="defusedxml numpy pyproj rasterio yaml",
        lazily="pyogrio shapely zarr",
    ),
    "writers": Room(
        modules="thalweg.blocks thalweg.cog thalweg.cube thalweg.polygons thalweg.product thalweg.quicklook"
        " thalweg.spool thalweg.staging thalweg.state thalweg.tiff",
        ours="readers settings values",
        others="numpy pyproj rasterio zstandard",
        lazily="pyogrio shapely zarr",
    ),
    "engine": Room(
        modules="thalweg.attempt thalweg.dataset thalweg.engine thalweg.fusion thalweg.holding thalweg.kernel_build"
        " thalweg.metering thalweg.order thalweg.preparation thalweg.processing thalweg.strips thalweg.synthesising"
        " thalweg.tallying thalweg.unit",
        ours="accounts readers settings values writers",
        others="numpy",
        lazily="xarray",
    ),
    "lakes": Room(
        modules="thalweg.lakes thalweg.lakes.*",
        ours="readers settings values writers",
        others="numpy pyproj",
        lazily="matplotlib pyarrow pyogrio shapely",
    ),
    "accounts": Room(
        modules="thalweg.catalogue thalweg.catalogue.*",
        ours="settings values",
        lazily="duckdb obstore pyarrow pystac pystac_client stac_geoparquet",
    ),
    "campaign": Room(
        modules="thalweg.campaign thalweg.campaign.* thalweg.providers thalweg.providers.*",
        ours="accounts settings values",
        later="readers thalweg.staging",
        others="numpy yaml",
        lazily="eodag psycopg pyarrow shapely",
    ),
    # The job: its supervisor is light, and the process that it watches loads the chains.
    "worker": Room(
        modules="thalweg.worker thalweg.worker.*",
        ours="settings thalweg.campaign.batch thalweg.campaign.receipt thalweg.staging values",
        later="bench",
    ),
    "bench": Room(
        modules="thalweg.worker.science",
        ours="engine readers settings thalweg.campaign.batch thalweg.campaign.receipt values worker",
    ),
    "slurm": Room(
        modules="thalweg.slurm thalweg.slurm.*",
        ours="settings thalweg.campaign.batch thalweg.campaign.dispatch values",
        lazily="dask_jobqueue drmaa",
    ),
    "workflows": Room(modules="thalweg.workflows", standard=()),
    "configs": Room(modules="thalweg.configs thalweg.configs.*", standard=()),
    "demo": Room(
        modules="thalweg.demo thalweg.demo.*",
        ours="engine settings values thalweg.kernels.jit",
        others="numpy rasterio",
    ),
    "cli": Room(
        modules="thalweg.cli thalweg.cli.*",
        ours="face settings values",
        later="accounts campaign chains demo engine kernels lakes readers slurm worker writers",
        lazily="rich",
    ),
    "face": Room(
        modules="thalweg",
        ours="values",
        later="engine lakes readers settings",
    ),
}


@dataclass(frozen=True)
class Import:
    """One imported name of a module."""

    importer: str
    imported: str
    line: int
    lazy: bool


def name_of(path: Path) -> str:
    """Module name of a file of the clone."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = ("thalweg", *parts) if parts[0] in MAPPED else parts
    return ".".join(parts).removesuffix(".__init__")


def sources() -> dict[str, Path]:
    """Every module of the package and its file."""
    folders = ("thalweg", *MAPPED)
    return {name_of(path): path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))}


MODULES = sources()


def room_of(module: str) -> str | None:
    """The room of a module: the one whose pattern fits it most closely."""
    fits = [
        (len(pattern), name)
        for name, room in ROOMS.items()
        for pattern in room.modules.split()
        if fnmatchcase(module, pattern)
    ]
    return max(fits)[1] if fits else None


def imports_of(module: str, source: str) -> Iterator[Import]:
    """What a module imports, and whether that waits for a function's call (or for a type checker)."""
    is_package = module in MODULES and MODULES[module].name == "__init__.py"

    def walk(node: ast.AST, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(module, alias.name, child.lineno, lazy) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = _absolute(module, is_package, child)
                for alias in child.names:
                    whole = f"{base}.{alias.name}"
                    yield Import(module, whole if whole in MODULES else base, child.lineno, lazy)
            else:
                waits = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from walk(child, lazy or waits or _is_for_types(child))

    yield from walk(ast.parse(source), False)


def _absolute(module: str, is_package: bool, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    up = node.level - is_package
    parent = module.split(".")[: len(module.split(".")) - up]
    return ".".join([*parent, node.module] if node.module else parent)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def is_allowed(found: Import) -> bool:
    """True when the table has an arrow for the import."""
    room = ROOMS[room_of(found.importer) or ""]
    top = found.imported.partition(".")[0]
    if top == "thalweg":
        return _is_our_arrow(found, room)
    if top in sys.stdlib_module_names:
        return top not in room.barred and (room.standard is None or top in (*LANGUAGE, *room.standard))
    return top in room.others.split() or (found.lazy and top in room.lazily.split())


def _is_our_arrow(found: Import, room: Room) -> bool:
    target = room_of(found.imported)
    allowed = {room_of(found.importer), *room.ours.split(), *(room.later.split() if found.lazy else ())}
    return target in allowed or found.imported in allowed


def wrong_arrows(module: str, source: str) -> list[str]:
    """Imports of a module that no arrow allows, with their line."""
    wrong = [found for found in imports_of(module, source) if not is_allowed(found)]
    return [f"{found.importer}:{found.line} may not import {found.imported}" for found in wrong]


def calls_and_names(source: str) -> set[str]:
    """Every dotted name in a module, such as ``os.environ``, and every call as ``name()``."""
    tree = ast.parse(source)
    names = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name)}
    imported = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    called = {f"{ast.unparse(node.func)}()" for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return names | imported | called


def effects(source: str) -> list[int]:
    """Lines of calls that run when a module is imported, for their effect alone."""
    body = ast.parse(source).body
    return [
        node.lineno
        for node in body
        if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
    ]


def test_every_module_has_a_room() -> None:
    assert [name for name in MODULES if room_of(name) is None] == []


def test_every_name_of_the_table_is_a_module() -> None:
    names = {pattern for room in ROOMS.values() for pattern in room.modules.split() if "*" not in pattern}
    rooms = {arrow for room in ROOMS.values() for arrow in (*room.ours.split(), *room.later.split())}
    assert sorted(names - MODULES.keys()) == []
    assert sorted(rooms - ROOMS.keys() - MODULES.keys()) == []


def test_every_import_follows_an_arrow() -> None:
    placed = (name for name in MODULES if room_of(name))
    assert [wrong for name in placed for wrong in wrong_arrows(name, MODULES[name].read_text("utf-8"))] == []


def test_only_settings_reads_the_environment() -> None:
    doors = {"os.environ", "os.getenv", "os.environb", "os.putenv"}
    readers = {name for name, path in MODULES.items() if doors & calls_and_names(path.read_text("utf-8"))}
    assert readers <= {"thalweg.settings"}


def test_only_the_command_line_configures_logging() -> None:
    doors = ("basicConfig()", "dictConfig()", "addHandler()", "setLevel()", "logging.config")
    for name, path in MODULES.items():
        if room_of(name) != "cli":
            found = [each for each in calls_and_names(path.read_text("utf-8")) if each.endswith(doors)]
            assert found == [], name


def test_chains_and_kernels_open_no_files() -> None:
    for name, path in MODULES.items():
        if room_of(name) in ("chains", "kernels"):
            assert not {"open()", "numpy.load()", "np.load()"} & calls_and_names(path.read_text("utf-8")), (
                name
            )


def test_importing_a_module_has_no_effect() -> None:
    rooms = (path for name, path in MODULES.items() if room_of(name) != "cli")
    assert [f"{path}:{line}" for path in rooms for line in effects(path.read_text("utf-8"))] == []


HEAVY = (
    "numba",
    "rasterio",
    "typer",
    "rich",
    "pydantic",
    "xarray",
    "dask",
    "pandas",
    "sklearn",
    "scipy",
    "snakemake",
)


def test_importing_thalweg_loads_nothing_heavy() -> None:
    program = f"import sys, thalweg; print(*(name for name in {HEAVY} if name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("thalweg.kernels.ndsi", "import rasterio"),
        ("thalweg.kernels.ndsi", "from thalweg.grid import Grid"),
        ("thalweg.kernels.ndsi", "import os"),
        ("thalweg.grid", "from thalweg.chains import snow"),
        ("thalweg.grid", "def late():\n    from thalweg import engine"),
        ("thalweg.grid", "import pyarrow"),
        ("thalweg.chains.snow", "from pathlib import Path"),
        ("thalweg.chains.snow", "import sklearn.ensemble"),
        ("thalweg.chains.snow", "def read():\n    import rasterio"),
        ("thalweg.engine", "from thalweg.kernels import resample"),
        ("thalweg.engine", "import rasterio"),
        ("thalweg.feed", "from thalweg.kernels.jit import kernel"),
        ("thalweg.slurm.queue", "from ..kernels import jit"),
        ("thalweg.workflows", "import numpy"),
        ("thalweg", "from . import engine"),
        ("thalweg.cli.main", "from thalweg.engine import feed"),
    ],
)
def test_a_wrong_arrow_is_found(module: str, source: str) -> None:
    assert len(wrong_arrows(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("thalweg.kernels.ndsi", "import math\nimport numpy as np\nfrom thalweg.kernels.jit import kernel"),
        ("thalweg.chains.snow", "from thalweg import chain\nfrom thalweg.kernels import jit"),
        ("thalweg.chains.water", "def train():\n    import sklearn.ensemble"),
        ("thalweg.feed", "from thalweg.kernels.resample import reduce_cubic"),
        ("thalweg.cli.main", "import argparse\ndef run():\n    from thalweg import engine"),
        ("thalweg", "from thalweg.errors import BadInput\ndef run():\n    from thalweg import engine"),
        ("thalweg.grid", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pyarrow"),
    ],
)
def test_a_right_arrow_is_let_through(module: str, source: str) -> None:
    assert wrong_arrows(module, source) == []


def test_effects_environment_and_files_are_seen() -> None:
    assert effects('"""Words."""\nX = f()\nregister(X)\n') == [3]
    assert "os.environ" in calls_and_names("import os\nx = os.environ['HOME']")
    assert "os.environ" in calls_and_names("from os import environ")
    assert "open()" in calls_and_names("open('x')")
