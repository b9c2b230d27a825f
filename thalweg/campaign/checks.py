"""The check before any job: inputs, static layers, parameters, room on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from thalweg.campaign.disk import room_at
from thalweg.campaign.forecast import Forecast
from thalweg.campaign.plan import Planned
from thalweg.campaign.site_file import Site
from thalweg.errors import BadInput, BadParameters, DiskFull, MissingInput, ThalwegError

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    subject: str
    """What."""
    told: str
    """What was found, for people."""
    problem: ThalwegError | None = None
    """What is wrong; None where nothing is."""


def check_plan(planned: Planned, expected: Forecast, site: Site) -> list[Check]:
    """Everything that can be known to go wrong before a job starts."""
    return [
        *_parameters(planned),
        *_found(planned),
        *_granules(planned),
        *_statics(planned),
        *_room(planned, expected, site),
        *_writable(planned),
    ]


def _parameters(planned: Planned) -> Iterator[Check]:
    for chain in planned.plan.chains:
        used = f"{chain.chain} {chain.version}, set {chain.set or 'none'}, digest {chain.digest[:12]}"
        yield Check("parameters", used)


def _found(planned: Planned) -> Iterator[Check]:
    counts = planned.plan.counts
    yield Check("plan", ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items()))
    for problem in planned.problems:
        yield Check("provider", str(problem), BadInput(problem.message))


def _granules(planned: Planned) -> Iterator[Check]:
    paths = planned.plan.granules["path"].to_pylist()
    missing = [path for path in paths if not os.path.exists(path)]
    told = f"{len(paths) - len(missing)} of {len(paths)} are there"
    problem = None
    if missing:
        problem = MissingInput(
            f"{len(missing)} granules are not there: {_some(missing)}",
            advice="Stage them, correct inputs.path, or go on: their units are skipped.",
        )
    yield Check("granules", told, problem)


def _statics(planned: Planned) -> Iterator[Check]:
    places = planned.plan.places
    for role, tiles in planned.statics.missing.items():
        where = places.static_folder or "(no static folder)"
        yield Check(
            f"static {role}",
            f"missing for {len(tiles)} tiles",
            MissingInput(
                f"static layer {role!r} is missing under {where} for {len(tiles)} tiles: {_some(list(tiles))}",
                advice="Run `thalweg static prepare`, then plan again: the layers are part of each unit's identity.",
            ),
        )
    if not planned.statics.missing:
        yield Check("static layers", "all that are required are there")


def _room(planned: Planned, expected: Forecast, site: Site) -> Iterator[Check]:
    destination = Path(planned.plan.places.destination)
    room = room_at(destination)
    needed = expected.bytes_out + site.min_free_gb * 1e9
    short = room.bytes < needed
    told = f"{room.bytes / 1e9:.1f} GB free, {expected.bytes_out / 1e9:.1f} GB expected"
    yield Check(
        "disk", told, DiskFull(f"{destination}: {told}, {site.min_free_gb:g} GB to stay") if short else None
    )
    if room.inodes is not None:
        told = f"room for {room.inodes} files, {expected.files:.0f} expected"
        short = room.inodes < expected.files + site.min_free_inodes
        yield Check("inodes", told, DiskFull(f"{destination}: {told}") if short else None)


def _writable(planned: Planned) -> Iterator[Check]:
    destination = Path(planned.plan.places.destination)
    place = next(each for each in (destination, *destination.parents) if each.exists())
    problem = None
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        problem = BadParameters(
            f"{place}: cannot be written", advice="Name another destination in the campaign."
        )
    yield Check("destination", str(destination), problem)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
