"""One attempt at a unit: what it costs, and what its product says of how it was made."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from thalweg.item import InputFile, Provenance
from thalweg.opened import gdal_version
from thalweg.parameters import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thalweg.chain import Declaration
    from thalweg.settings import Settings


@dataclass(frozen=True, slots=True)
class Clock:
    """When an attempt began, and what the process had used by then."""

    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When it began."""
    wall: float = field(default_factory=time.perf_counter)
    """Wall clock at that time, seconds."""
    cpu: float = field(default_factory=lambda: cpu_seconds())
    """CPU time of the process until then, seconds."""

    @property
    def seconds(self) -> float:
        """Wall time since then."""
        return time.perf_counter() - self.wall


@dataclass(frozen=True, slots=True)
class Commission:
    """The campaign that a run belongs to, and what it planned."""

    campaign: str
    """Name of the campaign."""
    token: str
    """Token of the attempt."""
    planned: Mapping[str, str]
    """Chain to the identity that its unit has in the plan."""


def provenance_of(
    unit: str,
    chain: Declaration,
    values: Mapping[str, Any],
    inputs: tuple[InputFile, ...],
    statics: tuple[InputFile, ...],
    settings: Settings,
    clock: Clock,
    cpu: float | None = None,
    commission: Commission | None = None,
) -> Provenance:
    """How, where and when a product was made, its rasters being complete now.

    `cpu` is its CPU time, seconds; None: all that the process has used since the clock began.
    """
    return Provenance(
        unit_id=unit,
        chain=chain.name,
        chain_version=chain.version,
        software=software_versions(),
        parameters=values,
        parameter_digest=digest(values),
        inputs=inputs,
        statics=statics,
        host=settings.host,
        facility=settings.facility,
        started=clock.started,
        finished=datetime.now(UTC),
        cpu_seconds=cpu_seconds() - clock.cpu if cpu is None else cpu,
        wall_seconds=clock.seconds,
        peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        token=commission.token if commission else None,
        campaign=commission.campaign if commission else None,
    )


def raster_tags(chain: Declaration, values: Mapping[str, Any]) -> dict[str, str]:
    """What every raster of a product says of how it was made: nothing that differs between equal products."""
    return {
        "THALWEG_CHAIN": f"{chain.name} {chain.version}",
        "THALWEG_PARAMETERS": f"sha256:{digest(values)}",
    }


@cache
def software_versions() -> dict[str, str]:
    """Versions of what decides a product's pixels."""
    found = {name: version(name) for name in ("thalweg", "numpy", "numba", "rasterio")}
    return {**found, "gdal": gdal_version()}


def cpu_seconds() -> float:
    """CPU time of this process so far, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
