"""Cleaning up: orphaned staging, logs of batches that ended well, and products that newer ones superseded.

Nothing is removed that the rules do not name, and a dry run tells the same list.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from thalweg.campaign.folder import CampaignFolder
from thalweg.campaign.ledger import Ledger
from thalweg.catalogue import NAME, Catalogue
from thalweg.errors import UsageError

Rule = Literal["staging", "logs", "superseded"]
"""What may be removed."""

RULES: tuple[Rule, ...] = ("staging", "logs", "superseded")

_DAY = 86_400.0
_WELL = "SELECT batches.id, batches.token FROM batches WHERE state = 'ended' AND ended < ?"
_BADLY = "SELECT DISTINCT token FROM attempts WHERE state = 'failed'"


@dataclass(frozen=True, slots=True)
class Rubbish:
    """Something that a rule names."""

    rule: Rule
    """The rule."""
    path: Path
    """File or folder."""
    bytes: int
    """Its size."""


def find_rubbish(
    ledger: Ledger,
    folder: CampaignFolder,
    destination: Path,
    rules: tuple[Rule, ...],
    days: float,
    now: float,
) -> list[Rubbish]:
    """What the rules name, at least so many days old.

    ``staging``: folders of attempts that nobody holds locked. ``logs``: those of batches that ended, none of whose
    attempts failed. ``superseded``: products that the catalogue knows a newer version of.
    """
    for rule in rules:
        if rule not in RULES:
            raise UsageError(f"rule {rule!r} is none of {', '.join(RULES)}")
    before = now - days * _DAY
    found: list[tuple[Rule, Path]] = []
    if "staging" in rules:
        found += [("staging", path) for path in _orphans(destination, before)]
    if "logs" in rules:
        found += [("logs", path) for path in _finished_logs(ledger, folder, before)]
    if "superseded" in rules:
        found += [("superseded", path) for path in _superseded(destination, before)]
    return [Rubbish(rule, path, _size(path)) for rule, path in found]


def remove_rubbish(rubbish: list[Rubbish]) -> int:
    """Remove it; the bytes that were freed come back. An attempt that has come alive meanwhile is left alone."""
    from thalweg.staging import remove_orphan

    freed = 0
    for each in rubbish:
        if each.rule == "staging":
            if not remove_orphan(each.path):
                continue
        elif each.path.is_dir():
            _remove_product(each.path)
        else:
            each.path.unlink(missing_ok=True)
        freed += each.bytes
    return freed


def _orphans(destination: Path, before: float) -> Iterator[Path]:
    from thalweg.staging import STAGING, is_orphan

    for path in sorted((destination / STAGING).glob("*.*/")):
        if path.stat().st_mtime < before and is_orphan(path):
            yield path


def _finished_logs(ledger: Ledger, folder: CampaignFolder, before: float) -> Iterator[Path]:
    failed = {token for (token,) in ledger.database.rows(_BADLY)}
    for id, token in ledger.database.rows(_WELL, [before]):
        if token not in failed:
            yield from sorted(folder.logs.glob(f"{id}*"))


def _superseded(destination: Path, before: float) -> Iterator[Path]:
    if not (destination / NAME).is_file():
        return
    with Catalogue.open(destination / NAME, read_only=True) as catalogue:
        found = catalogue.find()
    for each in sorted(found, key=lambda each: each.file):
        if each.superseded and each.file.is_file() and each.file.stat().st_mtime < before:
            yield each.file.parent


def _remove_product(product: Path) -> None:
    """Remove a product's item first: what is left by a kill in between is rubbish to everybody."""
    (product / f"{product.name}.json").unlink(missing_ok=True)
    shutil.rmtree(product)


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    size = 0
    for file in files:
        with suppress(FileNotFoundError):
            size += file.lstat().st_size
    return size
