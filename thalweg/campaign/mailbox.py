"""The folder of receipts as the controller reads it: every line once, while it is being written."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from thalweg.campaign.receipt import SUFFIX, Begun, Line, Receipt, read_lines
from thalweg.errors import BadInput


class Mailbox:
    """Remembers how far each file of receipts was read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, int] = {}
        self._begun: dict[str, set[str]] = {}
        self.problems: dict[str, BadInput] = {}
        """Files with a line that is none of ours: what follows it is not read."""

    def collect(self, batches: Collection[str]) -> Iterator[Line]:
        """The new lines of some batches."""
        if not self._folder.is_dir():
            return
        for entry in sorted(os.scandir(self._folder), key=lambda entry: entry.name):
            batch = batch_of(entry.name)
            if batch in batches and entry.name not in self.problems:
                yield from self._lines(batch, entry)

    def begun(self, batch: str) -> set[str]:
        """Units of a batch that were begun and have not ended, as far as it was read."""
        return self._begun.get(batch, set())

    def forget(self, batch: str) -> None:
        """Nobody will ask for this batch again."""
        self._begun.pop(batch, None)

    def _lines(self, batch: str, entry: os.DirEntry[str]) -> list[Line]:
        start = self._read.get(entry.name, 0)
        if entry.stat().st_size == start:
            return []
        try:
            lines, self._read[entry.name] = read_lines(Path(entry.path), start)
        except BadInput as problem:
            self.problems[entry.name] = problem
            return []
        open_units = self._begun.setdefault(batch, set())
        for line in lines:
            if isinstance(line, Begun):
                open_units.add(line.unit)
            elif isinstance(line, Receipt):
                open_units.discard(line.unit)
        return lines


def batch_of(name: str) -> str:
    """The batch that a file of receipts belongs to, empty where the file is none."""
    if not name.endswith(SUFFIX) or name.startswith("."):
        return ""
    batch, *attempt = name.removesuffix(SUFFIX).rsplit("-", 2)
    return batch if len(attempt) == 2 else ""
