"""Batches written by hand."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from thalweg.campaign.batch import Batch, BatchChain, BatchGranule, BatchStatics, BatchUnit, Resources


def unit_named(name: str) -> str:
    """A unit's id made of any text."""
    return hashlib.sha256(name.encode()).hexdigest()


def a_batch(granules: int = 3, chains: tuple[str, ...] = ("snow",), **changes: Any) -> Batch:
    """A batch of granules that do not exist."""
    batch = Batch(
        campaign="alps",
        id="b0001",
        token=1,
        destination="/nowhere/products",
        scratch=None,
        statics=BatchStatics(folder="/nowhere/static"),
        chains=tuple(BatchChain(chain, "1.0", {"dz": 100}) for chain in chains),
        resources=Resources(memory_mb=1000, seconds=600),
        granules=tuple(
            BatchGranule(
                path=f"/nowhere/G{number}",
                tile="31TCH",
                units=tuple(BatchUnit(unit_named(f"{chain} {number}"), chain) for chain in chains),
            )
            for number in range(granules)
        ),
    )
    return replace(batch, **changes)
