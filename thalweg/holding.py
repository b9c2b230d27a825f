"""Rows of bands that are kept in memory from when they are read for others until their own chain's turn comes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Executor, Future
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.strips import Rows, Run, Walk, strips_of, walk_strips

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.granule import BandFile
    from thalweg.inputs import Band, Step
    from thalweg.scenery import Scenery

_MISSING = np.iinfo(np.int32).min
"""What sums of pixels hold where there is none."""

_NARROW_MISSING = np.iinfo(np.uint16).max


@dataclass(frozen=True, slots=True)
class _Kept:
    """Rows of a band, without loss in half the space where they are sums of pixels that lie close together."""

    values: NDArray[Any]
    """What is stored."""
    low: int | None = None
    """What 0 stands for; None where the rows are stored as they were."""

    def rows(self) -> NDArray[Any]:
        """As the feed gave them."""
        if self.low is None:
            return self.values
        wide = self.values.astype(np.int32) + np.int32(self.low)
        wide[self.values == _NARROW_MISSING] = _MISSING
        return wide


def _kept(rows: NDArray[Any]) -> _Kept:
    if rows.dtype != np.int32:
        return _Kept(rows)
    missing = rows == _MISSING
    low = int(rows.min(where=~missing, initial=np.iinfo(np.int32).max))
    high = int(rows.max(where=~missing, initial=low))
    if high - low >= _NARROW_MISSING:
        return _Kept(rows)
    narrow = (rows - np.int32(low)).astype(np.uint16)
    narrow[missing] = _NARROW_MISSING
    return _Kept(narrow, low)


@dataclass(slots=True)
class Held:
    """Rows of bands that were read when other chains read the same files, kept until their chain's turn comes."""

    step: Step
    """The step that would read them."""
    bands: Mapping[str, tuple[Band, BandFile]]
    """Name to declaration and file."""
    strips: list[Rows]
    """The strips in which they are read."""
    size: int
    """Bytes that they may take up; where they would be more, none is kept."""
    kept: dict[str, list[_Kept | None]] = field(default_factory=dict)
    """Name to the rows of each strip; None once they are taken."""

    def walk(self, scenery: Scenery, pool: Executor) -> Walk:
        """Read the bands; as `walk_strips` does."""
        feeds = [scenery.band_feed(name) for name in self.bands]
        try:
            with closing(walk_strips(feeds, self.strips, pool, _keep_all, self._add)) as shares:
                for share in shares:
                    yield share
                    if self._used > self.size:
                        self.kept.clear()
                        return
        finally:
            for name in self.bands:
                scenery.bands[name][2].leave()

    def serves(self, scenery: Scenery, run: Run) -> bool:
        """True where all rows are there, and are those that a chain on this scenery asks for."""
        is_whole = all(len(self.kept.get(name, ())) == len(self.strips) for name in self.bands)
        are_same = all(scenery.bands.get(name, ())[:2] == found for name, found in self.bands.items())
        return is_whole and are_same and strips_of(scenery, run) == self.strips

    def take(self, strips: slice) -> dict[str, NDArray[Any]]:
        """The rows of some strips, each given only once."""
        taken = {}
        for name, kept in self.kept.items():
            parts = [part.rows() for part in kept[strips] if part is not None]
            kept[strips] = [None] * len(kept[strips])
            taken[name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return taken

    @property
    def _used(self) -> int:
        return sum(part.values.nbytes for kept in self.kept.values() for part in kept if part)

    def _add(self, strip: Rows, values: Mapping[str, _Kept]) -> Iterable[Future[None]]:
        for name, rows in values.items():
            self.kept.setdefault(name, []).append(rows)
        return ()


def _keep_all(index: int, values: Mapping[str, NDArray[Any]]) -> dict[str, _Kept]:
    return {name: _kept(rows) for name, rows in values.items()}


def hold(scenery: Scenery, run: Run, step: Step, names: Iterable[str]) -> Held:
    """What is to be held of a scenery's bands for a step: nothing yet."""
    bands = {name: scenery.bands[name][:2] for name in names}
    strips = strips_of(scenery, run)
    return Held(step, bands, strips, sum(held_bytes(scenery, name, len(strips)) for name in bands))


def held_bytes(scenery: Scenery, name: str, strips: int) -> int:
    """What the rows of a band on the chain's grid take up at most, the halo of each strip included."""
    rows, columns = scenery.part.grid.shape
    band, _, opened, _ = scenery.bands[name]
    is_float = band.encoding == "reflectance" or (
        band.encoding == "exact" and opened.dtype.startswith("float")
    )
    halo = scenery.halo if band.halo else 0
    return (rows + 2 * halo * strips) * (columns + 2 * halo) * (4 if is_float else 2)
