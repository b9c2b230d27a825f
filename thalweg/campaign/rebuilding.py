"""The ledger made anew from what jobs left: plan, manifests, receipts, and the items of products."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from thalweg.campaign.batch import Batch, read_batch
from thalweg.campaign.folder import CampaignFolder
from thalweg.campaign.ledger import Ledger
from thalweg.campaign.receipt import Receipt, read_lines, receipts_of
from thalweg.errors import ThalwegError, UsageError

_LEVELS = 5
"""Folders between the destination and an item: collection, tile, year, month, product."""


@dataclass(frozen=True, slots=True)
class RebuiltLedger:
    """What a rebuild found."""

    batches: int
    """Batches that had been leased."""
    receipts: int
    """Receipts that ended an attempt."""
    products: int
    """Units without a receipt whose product was found."""
    problems: tuple[ThalwegError, ...]
    """Manifests and receipts that could not be read."""


def rebuild_ledger(folder: CampaignFolder) -> RebuiltLedger:
    """Fill the empty ledger of a campaign from its plan, manifests, receipts and products.

    Batches without all their receipts stay leased, with a lease that has expired: their jobs may still run, and the
    dispatcher finds that out. Raises UsageError where the ledger holds a plan already.
    """
    facts = folder.read_facts()
    problems: list[ThalwegError] = []
    with folder.ledger() as ledger:
        if ledger.plan_digest is not None:
            raise UsageError(
                f"{ledger.database.name}: holds the plan already",
                advice="Move the old ledger away first; a rebuild fills an empty one.",
            )
        ledger.load_plan(folder.read_plan(), facts.granules_per_part)
        batches = sorted(_manifests(folder.batches, problems), key=lambda batch: batch.token)
        taken = sum(_replay(ledger, folder, batch, problems) for batch in batches)
        products = _adopt_products(ledger, Path(facts.places.destination))
        ledger.settle_adopted()
    return RebuiltLedger(len(batches), taken, products, tuple(problems))


def _manifests(folder: Path, problems: list[ThalwegError]) -> Iterator[Batch]:
    for path in sorted(folder.glob("b*.json")):
        try:
            yield read_batch(path)
        except ThalwegError as problem:
            problems.append(problem)


def _replay(ledger: Ledger, folder: CampaignFolder, batch: Batch, problems: list[ThalwegError]) -> int:
    """Lease a batch as it was leased, and take its receipts; how many ended an attempt comes back."""
    ledger.adopt(batch.id, batch.token, [unit.id for unit in batch.units()])
    taken = 0
    for path in receipts_of(folder.receipts, batch.id, batch.token):
        try:
            lines, _ = read_lines(path)
        except ThalwegError as problem:
            problems.append(problem)
            continue
        result = ledger.take_receipts(lines)
        taken += result.ended + result.again
    return taken


def _adopt_products(ledger: Ledger, destination: Path) -> int:
    """Mark units done whose product is there although no receipt says so: a worker may die between the two."""
    found = {unit: product for unit, product in _products(destination)}
    lost = [unit for unit in ledger.units_without_ending() if unit in found]
    if not lost:
        return 0
    token = ledger.adopt_new(lost)
    now = time.time()
    lines = [
        Receipt(unit, token, "done", "done", now, now, "", product=found[unit], existed=True) for unit in lost
    ]
    ledger.take_receipts(lines)
    return len(lost)


def _products(destination: Path) -> Iterator[tuple[str, str]]:
    """Unit and folder, relative to the destination, of every complete product."""
    for item in destination.glob("/".join(["[!.]*"] * _LEVELS) + "/*.json"):
        if item.stem == item.parent.name:
            unit = _unit_of(item)
            if unit:
                yield unit, item.parent.relative_to(destination).as_posix()


def _unit_of(item: Path) -> str:
    try:
        return str(json.loads(item.read_bytes())["properties"]["thalweg:unit_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
