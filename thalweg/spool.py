"""Encoded blocks on their way to a file: a few in memory, more in a file of their own without a name.

The data of a Cloud-Optimised GeoTIFF follow those of its overviews, which are complete at the very end. Layers that
hardly compress would fill the memory until then.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

KEPT = 1 << 18
"""Bytes of one level that stay in memory."""


class Spool:
    """Blocks in the order in which they were added; to be closed."""

    def __init__(self, folder: Path, kept: int = KEPT) -> None:
        """`folder` is where more than `kept` bytes go; the room is free again once this is closed."""
        self._folder, self._kept = folder, kept
        self.sizes: list[int] = []
        self._blocks: list[bytes] = []
        self._held = 0
        self._file: IO[bytes] | None = None
        self._spooled = 0

    def add(self, blocks: Iterable[bytes]) -> None:
        """Take encoded blocks."""
        for block in blocks:
            self.sizes.append(len(block))
            self._blocks.append(block)
            self._held += len(block)
        if self._held > self._kept:
            self._spill()

    def __iter__(self) -> Iterator[bytes]:
        """Every block, the first one first."""
        if self._file is not None:
            self._file.seek(0)
            for size in self.sizes[: self._spooled]:
                yield self._file.read(size)
        yield from self._blocks

    def close(self) -> None:
        """Forget every block."""
        if self._file is not None:
            self._file.close()
        self._file, self._blocks = None, []

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - it lives as long as this
        self._file.writelines(self._blocks)
        self._spooled, self._blocks, self._held = len(self.sizes), [], 0
