"""Plans written by hand, and receipts for their units."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as arrow

from tests.campaign.batches import unit_named
from thalweg.campaign.lease import Lease
from thalweg.campaign.plan import Places, Plan, plan_digest
from thalweg.campaign.planned_chain import PlannedChain
from thalweg.campaign.receipt import Receipt
from thalweg.providers.found import Found, table_of

FIRST_DAY = datetime(2024, 1, 1, 10, 50, tzinfo=UTC)


def a_plan(
    tiles: Sequence[str] = ("31TCH", "31TCJ"), dates: int = 3, chains: Sequence[str] = ("snow", "water")
) -> Plan:
    """A plan of granules that do not exist."""
    found = [
        Found(
            f"G-{tile}-{day}",
            f"/archive/G-{tile}-{day}",
            "safe",
            tile,
            FIRST_DAY + timedelta(days=day),
            "S2A",
        )
        for tile in sorted(tiles)
        for day in range(dates)
    ]
    planned = tuple(PlannedChain(chain, chain, "1.0", "", {"a": 1}, unit_named(chain)) for chain in chains)
    rows = [(row, number) for row in range(len(found)) for number in range(len(planned))]
    units = arrow.table(
        {
            "id": arrow.array(
                [bytes.fromhex(unit_named(f"{found[row].id} {chains[number]}")) for row, number in rows],
                arrow.binary(32),
            ),
            "granule": arrow.array([row for row, _ in rows], arrow.int32()),
            "chain": arrow.array([number for _, number in rows], arrow.int8()),
        }
    )
    granules = table_of(found)
    return Plan(
        name="alps",
        priority=0,
        places=Places("/products", None, {}, ()),
        chains=planned,
        granules=granules,
        units=units,
        passed_over=granules.slice(0, 0).append_column("reason", arrow.array([], arrow.string())),
        facts={},
        digest=plan_digest(planned, granules, units),
    )


def receipt(unit: str, token: int, kind: str = "done", **more: Any) -> Receipt:
    """The receipt of an attempt; a class that is neither `done` nor `no-data` means failed."""
    state: Any = kind if kind in ("done", "no-data") else "failed"
    return Receipt(unit, token, state, kind, begun=100.0, ended=101.0, host="n1", **more)


def receipts(lease: Lease, kind: str = "done", **more: Any) -> list[Receipt]:
    """Receipts of all units of a lease."""
    return [receipt(unit.id, lease.token, kind, **more) for unit in lease.waiting.units]
