"""Rows of the ledger's tables from the columns of a plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from thalweg.campaign.plan import Plan

_AT_ONCE = 50_000

CHAIN = ("number", "name")
GRANULE = ("number", "id", "path", "tile", "sensed", "part")
UNIT = ("number", "id", "granule", "chain")
PART = ("number", "tile", "first", "last", "priority")


@dataclass(frozen=True, slots=True)
class Part:
    """Granules of one tile that stand together in the plan and are leased together."""

    number: int
    """Place in the plan."""
    tile: str
    """Their tile."""
    first: int
    """First granule."""
    after: int
    """The granule after the last one."""


def parts_of(plan: Plan, granules_per_part: int) -> Iterator[Part]:
    """Granules of each tile in parts of nearly equal size, none larger than asked; those of heavy tiles are smaller."""
    tiles = plan.granules["tile"].to_pylist()
    number, first = 0, 0
    while first < len(tiles):
        after = first
        while after < len(tiles) and tiles[after] == tiles[first]:
            after += 1
        pieces = -(
            -(after - first) // min(granules_per_part, plan.heavy.get(tiles[first], granules_per_part))
        )
        edges = [first + (after - first) * piece // pieces for piece in range(pieces + 1)]
        for start, end in pairwise(edges):
            yield Part(number, tiles[first], start, end)
            number += 1
        first = after


def granule_rows(plan: Plan, granules_per_part: int) -> Iterator[tuple[Any, ...]]:
    """Number, id, path, tile, time of sensing and part of each granule."""
    columns = [plan.granules[name].to_pylist() for name in ("id", "path", "tile")]
    sensed = [f"{time:%Y-%m-%dT%H:%M:%SZ}" for time in plan.granules["sensed"].to_pylist()]
    rows = zip(*columns, sensed, strict=True)
    for part in parts_of(plan, granules_per_part):
        for number in range(part.first, part.after):
            yield (number, *next(rows), part.number)


def unit_rows(plan: Plan) -> Iterator[tuple[int, bytes, int, int]]:
    """Number, id, granule and chain of each unit."""
    number = 0
    for batch in plan.units.to_batches(max_chunksize=_AT_ONCE):
        columns = (batch.column(name).to_pylist() for name in ("id", "granule", "chain"))
        for id, granule, chain in zip(*columns, strict=True):
            yield number, id, granule, chain
            number += 1


def part_rows(plan: Plan, granules_per_part: int) -> Iterator[tuple[int, str, int, int, int]]:
    """Number, tile, first and last unit, and priority of each part; parts without a unit are left out."""
    parts = list(parts_of(plan, granules_per_part))
    granules = plan.units["granule"].to_numpy()
    edges = [np.array([getattr(part, edge) for part in parts], granules.dtype) for edge in ("first", "after")]
    firsts, afters = (np.searchsorted(granules, edge).tolist() for edge in edges)
    for part, first, after in zip(parts, firsts, afters, strict=True):
        if after > first:
            yield part.number, part.tile, first, after - 1, plan.priority
