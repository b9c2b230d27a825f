"""Manifests of leased batches: everything that a worker must know, so that it needs no database and no network."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from thalweg.campaign.batch import (
    Batch,
    BatchChain,
    BatchGranule,
    BatchStatics,
    BatchUnit,
    Resources,
    Simulation,
    write_batch,
)
from thalweg.campaign.folder import CampaignFolder, PlanFacts
from thalweg.campaign.lease import Lease
from thalweg.campaign.planned_chain import PlannedChain
from thalweg.campaign.site_file import Site


def write_manifest(
    folder: CampaignFolder, facts: PlanFacts, site: Site, lease: Lease, simulate: Simulation | None = None
) -> Path:
    """Write the manifest of a lease into the campaign's folder; its path comes back."""
    path = folder.batches / f"{lease.batch}.json"
    write_batch(path, batch_of(facts, site, lease, simulate))
    return path


def batch_of(facts: PlanFacts, site: Site, lease: Lease, simulate: Simulation | None = None) -> Batch:
    """The manifest of a lease; units of one granule stand together, in the order of the plan."""
    waiting, places = lease.waiting, facts.places
    names = {unit.chain for unit in waiting.units}
    called = {chain.chain: chain.name for chain in facts.chains}
    return Batch(
        campaign=facts.name,
        id=lease.batch,
        token=lease.token,
        destination=places.destination,
        scratch=site.scratch,
        statics=BatchStatics(places.static_folder, places.static_files, places.without),
        chains=tuple(_chain(chain) for chain in facts.chains if chain.chain in names),
        resources=Resources(
            memory_mb=waiting.memory_mb or site.memory_mb,
            seconds=waiting.seconds or min(2 * site.job_seconds, site.max_seconds),
            cores=site.cores_per_job,
        ),
        granules=tuple(
            BatchGranule(path, tile, tuple(BatchUnit(unit.id, called[unit.chain]) for unit in units))
            for (path, tile), units in groupby(waiting.units, key=lambda unit: (unit.path, unit.tile))
        ),
        simulate=simulate,
    )


def _chain(chain: PlannedChain) -> BatchChain:
    return BatchChain(chain.name, chain.version, chain.parameters)
