"""The demonstration: three dates of one synthetic landscape, and their snow products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from thalweg.demo.muscate import write_product, write_statics
from thalweg.demo.scene import Place, place, view
from thalweg.demo.series import SEED, TILE, VISITS, Visit, write_scene

if TYPE_CHECKING:
    from thalweg.ending import Ending


@dataclass(frozen=True, slots=True)
class Scenes:
    """Synthetic granules on disk."""

    granules: tuple[Path, ...]
    """One product folder a date."""
    statics: Path
    """Folder of static layers."""


def make_scenes(folder: Path, size: int, say: Callable[[str], None]) -> Scenes:
    """Three granules of `size` x `size` pixels of 20 m, and the static layers of their place; what is there is kept."""
    statics, made = folder / "static", folder / "granules"
    marks = [made / f".{visit.sensed:%Y%m%d}-{size}" for visit in VISITS]
    if all(mark.exists() for mark in marks):
        return Scenes(tuple(made / mark.read_text() for mark in marks), statics)
    say("terrain, forest and lakes")
    where = place(TILE, size, SEED)
    write_statics(where, statics)
    granules = [
        _make_granule(where, visit, made, mark, say) for visit, mark in zip(VISITS, marks, strict=True)
    ]
    return Scenes(tuple(granules), statics)


def _make_granule(where: Place, visit: Visit, folder: Path, mark: Path, say: Callable[[str], None]) -> Path:
    say(f"what a satellite would see on {visit.sensed:%Y-%m-%d}")
    written = write_product(view(where, visit.sensed, visit.weather), folder)
    mark.write_text(written.path.name)
    return written.path


def write_winter_tile(folder: Path, size: int) -> Path:
    """The mid-winter granule on its own, with static layers in ``STATIC``, for the benchmark; made once."""
    if (folder / "STATIC").exists() and (made := sorted(folder.glob("SENTINEL2*"))):
        return made[0]
    visit, making = VISITS[1], folder / "unfinished"
    written = write_scene(making, TILE, visit.sensed, size=size, weather=visit.weather)
    for path in making.iterdir():
        path.rename(folder / path.name)
    making.rmdir()
    return folder / written.path.name


def table_of(endings: list[Ending]) -> list[tuple[str, ...]]:
    """Date, snow, cloud and snow line of each product, for people."""
    rows: list[tuple[str, ...]] = []
    for ending in endings:
        facts = ending.properties
        line = facts.get("snow:zs")
        rows.append(
            (
                f"{ending.sensed:%Y-%m-%d}" if ending.sensed else "",
                ending.state,
                f"{facts.get('snow:snow_percent', 0):.1f} %",
                f"{facts.get('snow:cloud_percent', 0):.1f} %",
                "none" if line is None else f"{line} m",
                f"{ending.seconds:.1f} s",
            )
        )
    return rows
