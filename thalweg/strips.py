"""Strips: the rows of a tile in pieces, read, worked on and consumed one after the other.

Reading, computing and writing overlap in one small pool: while a strip is computed, the next one is decoded and the
last one encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.feed import Feed
    from thalweg.scenery import Scenery

Rows = tuple[int, int]
"""First row of a strip, and the one after its last."""

Progress = Callable[[float], None]
"""Told the share of the work that is done, 0 to 1."""

Work = Callable[[int, Mapping[str, "NDArray[Any]"]], Any]
"""Number of a strip and its inputs to a result; a job of the pool."""

Consume = Callable[[Rows, Any], Iterable["Future[None]"]]
"""Takes the result of a strip; what it leaves to the pool comes back."""

Walk = Generator[float, None, None]
"""A pass over the strips of a tile, a strip each time it is advanced."""

SOURCE_ROWS = 256
"""Rows of a strip on the finest grid that is read."""


@dataclass(frozen=True, slots=True)
class Run:
    """How a chain is run, which never changes its results."""

    strip_rows: int | None = None
    """Rows of a strip on the chain's grid; None: what suits the files."""
    progress: Progress = field(default=lambda share: None)
    """Told how far the work is."""


def strip_bounds(rows: int, height: int, shift: int) -> list[Rows]:
    """Strips of `height` rows; the first is `shift` rows shorter.

    A band that is reduced needs rows beyond its strip: the shift makes these end where a block of the file does, so
    that no block is decoded before its strip.
    """
    edges = [0, *range(height - shift if height > shift else height, rows, height), rows]
    return [(first, last) for first, last in pairwise(edges) if last > first]


def strips_of(scenery: Scenery, run: Run) -> list[Rows]:
    """The strips in which the rows of a scenery are asked for."""
    finest = scenery.finest
    height = run.strip_rows or max(1, SOURCE_ROWS // finest)
    return strip_bounds(scenery.part.grid.shape[0], height, scenery.halo + (2 if finest > 1 else 0))


def walk_strips(
    feeds: Sequence[Feed], strips: Sequence[Rows], pool: Executor, work: Work, consume: Consume
) -> Walk:
    """Read, work on and consume strip after strip.

    Given to whoever drives it, before each strip: the share of the tile, 0 to 1, that is asked for once the strip is
    read. Whoever drives several walks may so keep them abreast.
    """
    pending: list[Future[Any]] = []
    reads: dict[str, Future[NDArray[Any]]] = {}

    def read(index: int) -> dict[str, Future[NDArray[Any]]]:
        if index >= len(strips):
            return {}
        return {feed.name: pool.submit(feed.rows, *strips[index]) for feed in feeds}

    try:
        for index, strip in enumerate(strips):
            yield strip[1] / strips[-1][1]
            reads = reads or read(index)
            values = {name: future.result() for name, future in reads.items()}
            computed = pool.submit(work, index, values)
            del values
            reads = read(index + 1)
            wait([computed])
            for future in pending:
                future.result()
            pending = list(consume(strip, computed.result()))
            # What is consumed is freed before the next result takes its place.
            del computed
        for future in pending:
            future.result()
    except BaseException:
        # Nothing may still read or write when the files are closed.
        wait([*reads.values(), *pending])
        raise
