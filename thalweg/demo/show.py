"""The demonstration: three dates of one synthetic landscape, and their snow products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from thalweg.demo.muscate import product_name, write_product, write_statics
from thalweg.demo.scene import Place, place, view
from thalweg.tile import Tile

if TYPE_CHECKING:
    from thalweg.processing import Ending

TILE = "31TCH"
"""A tile in the Pyrenees; only its place on the grid is real."""

DATES = (
    datetime(2024, 11, 18, 10, 30, tzinfo=UTC),
    datetime(2025, 1, 22, 10, 30, tzinfo=UTC),
    datetime(2025, 4, 22, 10, 30, tzinfo=UTC),
)
"""Early winter, mid-winter, melt."""


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
    marks = [made / f".{moment:%Y%m%d}-{size}" for moment in DATES]
    if all(mark.exists() for mark in marks):
        return Scenes(tuple(made / mark.read_text() for mark in marks), statics)
    say("terrain, forest and lakes")
    where = place(Tile(TILE), size)
    write_statics(where, statics)
    granules = [
        _make_granule(where, moment, made, mark, say) for moment, mark in zip(DATES, marks, strict=True)
    ]
    return Scenes(tuple(granules), statics)


def _make_granule(
    where: Place, moment: datetime, folder: Path, mark: Path, say: Callable[[str], None]
) -> Path:
    say(f"what a satellite would see on {moment:%Y-%m-%d}")
    seen = view(where, moment)
    written = write_product(seen, folder)
    mark.write_text(product_name(seen))
    return written.path


def write_winter_tile(folder: Path, size: int) -> Path:
    """The mid-winter granule on its own, with static layers in ``STATIC``, for the benchmark; made once."""
    found = [path for path in folder.glob("SENTINEL2*") if (folder / "STATIC").exists()]
    if found:
        return found[0]
    where = place(Tile(TILE), size)
    seen = view(where, DATES[1])
    write_product(seen, folder / "unfinished")
    write_statics(where, folder / "unfinished" / "STATIC")
    for path in (folder / "unfinished").iterdir():
        path.rename(folder / path.name)
    (folder / "unfinished").rmdir()
    return folder / product_name(seen)


def table_of(endings: list[Ending]) -> list[tuple[str, ...]]:
    """Date, snow, cloud and snow line of each product, for people."""
    rows = []
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
