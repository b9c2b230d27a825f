"""Batches: the units that one scheduler job runs, as a manifest that a worker needs nothing beside."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thalweg.document import read_document, write_document
from thalweg.errors import BadParameters
from thalweg.record import plain_record, read_record

VERSION = 1
"""Version of the manifest's form; a worker refuses every other."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_UNIT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class BatchUnit:
    """One chain on one granule."""

    id: str
    """Identity of the unit: 64 hexadecimal digits, as planned."""
    chain: str
    """One of the batch's chains."""

    def __post_init__(self) -> None:
        if not _UNIT.fullmatch(self.id):
            raise ValueError(f"unit {self.id!r}: expected 64 hexadecimal digits")


@dataclass(frozen=True, slots=True)
class BatchGranule:
    """A granule and the units that read it: they share its decoded bands."""

    path: str
    """File or folder of the granule."""
    tile: str
    """Tile of the granule."""
    units: tuple[BatchUnit, ...]
    """What is to be made of it."""


@dataclass(frozen=True, slots=True)
class BatchChain:
    """A chain as the plan froze it."""

    name: str
    """Name that finds it: built in, ``FILE.py:object``, ``package.module:object`` or an entry point."""
    version: str
    """Version that the plan was made with; a worker that has another refuses the batch."""
    parameters: Mapping[str, Any]
    """Every parameter with its value."""


@dataclass(frozen=True, slots=True)
class BatchStatics:
    """Where static layers are."""

    folder: str | None = None
    """Folder of static layers, ``<tile>/<role>.tif`` or ``<role>.tif`` in it."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Single layers by role."""
    without: tuple[str, ...] = ()
    """Roles to leave out."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a job of this batch is given."""

    memory_mb: int
    """Memory, MB."""
    seconds: int
    """Walltime, s."""
    cores: int = 1
    """Processor cores."""

    def __post_init__(self) -> None:
        if min(self.memory_mb, self.seconds, self.cores) < 1:
            raise ValueError("memory_mb, seconds and cores are at least 1")


@dataclass(frozen=True, slots=True)
class Simulation:
    """Stand-in science: nothing is read, durations and failures are drawn."""

    file: str
    """What is drawn, and how (`thalweg.worker.simulation`)."""
    seed: int = 0
    """Together with the unit's id it decides every draw."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Units for one scheduler job."""

    campaign: str
    """Name of the campaign."""
    id: str
    """Name of the batch, fit for a file name, unique in its campaign."""
    token: int
    """Fencing token of the lease: receipts that bear an older one are refused."""
    destination: str
    """Where products go."""
    scratch: str | None
    """Folder for what must be unpacked, None for the worker's own."""
    statics: BatchStatics
    """Where static layers are."""
    chains: tuple[BatchChain, ...]
    """The chains of its units."""
    resources: Resources
    """What its job is given."""
    granules: tuple[BatchGranule, ...]
    """The work, in order."""
    simulate: Simulation | None = None
    """Stand-in science in place of the chains."""
    version: int = VERSION
    """Version of the manifest's form."""

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ValueError(
                f"version {self.version}: this worker reads version {VERSION}; plan the campaign again"
            )
        for what, name in (("campaign", self.campaign), ("batch", self.id)):
            if not _ID.fullmatch(name):
                raise ValueError(
                    f"{what} {name!r}: letters, digits, dots, underlines and hyphens only, at most 128"
                )
        known = {chain.name for chain in self.chains}
        strangers = sorted({unit.chain for unit in self.units()} - known)
        if strangers:
            raise ValueError(
                f"chain {strangers[0]!r} of a unit is none of the batch's: {', '.join(sorted(known))}"
            )
        ids = [unit.id for unit in self.units()]
        if len(set(ids)) < len(ids):
            raise ValueError("a unit is named twice")

    def units(self) -> Iterator[BatchUnit]:
        """Every unit, in order."""
        return (unit for granule in self.granules for unit in granule.units)


def write_batch(path: Path, batch: Batch) -> None:
    """Write a manifest: whole or not at all."""
    write_document(path, plain_record(batch))


def read_batch(path: Path) -> Batch:
    """The batch of a manifest; BadParameters, BadInput or MissingInput, naming file and field, where it is none."""
    document = read_document(path, largest=_LARGEST)
    try:
        return read_record(Batch, document)
    except BadParameters as problem:
        raise BadParameters(
            f"{path}: {problem.message}", advice="Plan the campaign again: it writes its batches anew."
        ) from problem


_LARGEST = 256 << 20
"""Bytes of the largest manifest: a hundred thousand units are thirty million."""
