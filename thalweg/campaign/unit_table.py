"""The units of a plan: every chain on every granule that it takes, with the identity that the run will compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from thalweg.campaign.planned_chain import ReadyChain
from thalweg.granule import Granule, Level
from thalweg.identity import unit_ids
from thalweg.providers.found import need_arrow

if TYPE_CHECKING:
    import pyarrow as arrow

    from thalweg.static import StaticLayers

Kind = tuple[str, str, str]
"""Format, platform and level of a granule: what static layers a chain reads depends on nothing else of it."""


@dataclass(frozen=True, slots=True)
class StaticsFound:
    """Static layers of the tiles of a plan, and what is amiss with them."""

    missing: Mapping[str, tuple[str, ...]]
    """Role that a chain requires to the tiles that lack it."""
    unprepared: tuple[Path, ...]
    """Layers without a digest that can be believed."""


@dataclass(frozen=True, slots=True)
class UnitTable:
    """Units in the order of the plan."""

    units: arrow.Table
    """Columns id (32 bytes), granule and chain (rows of the tables of these)."""
    statics: StaticsFound
    """What they need beside granules."""


def make_units(granules: arrow.Table, chains: Sequence[ReadyChain], layers: StaticLayers) -> UnitTable:
    """Units of granules that are sorted by tile; those of one granule stand together, in the order of the chains.

    Digests of static layers are those of their sidecars, never computed here.
    """
    arrow = need_arrow()
    statics = _Statics(layers, chains)
    ids = bytearray()
    rows: list[int] = []
    numbers: list[int] = []
    names = granules["id"].to_pylist()
    kinds, codes = _kinds(granules)
    for tile, first, last in _runs(granules):
        for kind, row in zip(codes[first:last].tolist(), range(first, last), strict=True):
            for number, of in statics.identities(tile, kinds[kind]):
                ids += of(names[row])
                rows.append(row)
                numbers.append(number)
    columns = {
        "id": arrow.Array.from_buffers(arrow.binary(32), len(rows), [None, arrow.py_buffer(ids)]),
        "granule": arrow.array(rows, arrow.int32()),
        "chain": arrow.array(numbers, arrow.int8()),
    }
    return UnitTable(arrow.table(columns), statics.found())


def _kinds(granules: arrow.Table) -> tuple[list[Kind], Any]:
    """The kinds of granule that there are, and the number of each granule's kind."""
    columns = [
        granules[name].combine_chunks().dictionary_encode() for name in ("format", "platform", "level")
    ]
    code = np.zeros(granules.num_rows, np.int64)
    for column in columns:
        code = code * max(len(column.dictionary), 1) + column.indices.to_numpy()
    _, first, codes = np.unique(code, return_index=True, return_inverse=True)
    kinds = [cast(Kind, tuple(column[int(row)].as_py() for column in columns)) for row in first]
    return kinds, codes


def _runs(granules: arrow.Table) -> Iterator[tuple[str, int, int]]:
    """Each tile with its first row and the one after its last."""
    encoded = granules["tile"].combine_chunks()
    if not len(encoded):
        return
    import pyarrow.compute as compute

    runs = compute.run_end_encode(encoded)
    first = 0
    for tile, last in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        yield tile, first, last
        first = last


@dataclass(slots=True)
class _Statics:
    """Finds static layers and their digests, each once."""

    layers: StaticLayers
    chains: Sequence[ReadyChain]
    digests: dict[Path, str] = field(default_factory=dict)
    unprepared: dict[Path, None] = field(default_factory=dict)
    missing: dict[str, dict[str, None]] = field(default_factory=dict)
    needs: dict[Kind, list[tuple[int, tuple[tuple[str, bool], ...]]]] = field(default_factory=dict)
    tile: str = ""
    of_tile: dict[Kind, list[tuple[int, Callable[[str], bytes]]]] = field(default_factory=dict)

    def identities(self, tile: str, kind: Kind) -> list[tuple[int, Callable[[str], bytes]]]:
        """The chains that take such a granule, each with what makes ids of granules of the tile."""
        if tile != self.tile:
            self.tile, self.of_tile = tile, {}
        if kind not in self.of_tile:
            self.of_tile[kind] = [
                (number, self._identity(number, roles)) for number, roles in self._needs(kind)
            ]
        return self.of_tile[kind]

    def found(self) -> StaticsFound:
        """What was found to be amiss."""
        return StaticsFound(
            {role: tuple(tiles) for role, tiles in sorted(self.missing.items())}, tuple(self.unprepared)
        )

    def _needs(self, kind: Kind) -> list[tuple[int, tuple[tuple[str, bool], ...]]]:
        """The chains that take granules of a kind, with the roles that they read and whether they must be there."""
        if kind not in self.needs:
            sample = sample_granule(kind)
            self.needs[kind] = [
                (number, tuple((static.role, static.required) for static in ready.statics(sample)))
                for number, ready in enumerate(self.chains)
                if kind[2] in ready.chain.levels
            ]
        return self.needs[kind]

    def _identity(self, number: int, roles: tuple[tuple[str, bool], ...]) -> Callable[[str], bytes]:
        digests = {role: digest for role, required in roles if (digest := self._digest(role, required))}
        planned = self.chains[number].planned
        return unit_ids(planned.chain, planned.version, planned.digest, digests)

    def _digest(self, role: str, required: bool) -> str:
        """Digest of the layer of the present tile; empty where there is none."""
        path = self.layers.find(role, self.tile)
        if path is None:
            if required:
                self.missing.setdefault(role, {})[self.tile] = None
            return ""
        if path not in self.digests:
            self.digests[path] = self._read(path)
        return self.digests[path]

    def _read(self, path: Path) -> str:
        from thalweg.static import prepared_digest

        digest = prepared_digest(path)
        if digest is None:
            self.unprepared[path] = None
        return digest or ""


def sample_granule(kind: Kind) -> Granule:
    """A granule of a kind, without bands: what chains are asked about when no granule is opened."""
    format, platform, level = kind
    return Granule(
        id="sample",
        path=Path("sample"),
        format=format,
        tile="",
        sensed=datetime(2000, 1, 1, tzinfo=UTC),
        platform=platform,
        level=cast(Level, level),
    )
