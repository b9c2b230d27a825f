"""Which of the granules that were found enter the plan, and why the others do not."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from thalweg.campaign.campaign_file import Gates
from thalweg.providers.found import need_arrow

if TYPE_CHECKING:
    import pyarrow as arrow

SAME_ACQUISITION = 60
"""Granules of one tile and spacecraft whose sensing starts at most so many seconds apart are one acquisition."""

REASONS = ("level", "cloud", "duplicate", "baseline")
"""Why a granule is passed over, in the order in which it is asked: no chain takes its level; more cloud than the gate
allows; the same granule in another place; a newer baseline of the same acquisition."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Granules sorted by tile, time and id."""

    kept: arrow.Table
    """Those that enter the plan."""
    passed_over: arrow.Table
    """The others, with a column ``reason``."""


def select(granules: arrow.Table, gates: Gates, levels: Collection[str]) -> Selection:
    """The granules that a plan is made of.

    Of several baselines of one acquisition the newest is kept; two granules of one baseline are both kept, for they
    may be the halves of a tile at the seam of two data strips. The order in which granules were found decides nothing.
    """
    arrow = need_arrow()
    table = granules.sort_by(
        [(name, "ascending") for name in ("tile", "sensed", "id", "path")]
    ).combine_chunks()
    reason = np.full(table.num_rows, -1, np.int8)
    marks = (
        ~np.isin(_coded(table, "level"), _codes_of(table, "level", levels)),
        _cloudy(table, gates),
        _repeated(table),
    )
    for number, mark in enumerate(marks):
        reason[mark & (reason < 0)] = number
    reason[_outdated(table, reason < 0)] = REASONS.index("baseline")
    keep = arrow.array(reason < 0)
    passed = table.filter(arrow.array(reason >= 0))
    words = arrow.array([REASONS[number] for number in reason[reason >= 0].tolist()], arrow.string())
    return Selection(table.filter(keep).combine_chunks(), passed.append_column("reason", words))


def _coded(table: arrow.Table, name: str) -> NDArray[np.int64]:
    """A column of texts as numbers that sort as the texts do, so that numpy can compare them."""
    coded = table[name].combine_chunks().dictionary_encode()
    texts = coded.dictionary.to_pylist()
    ranks = np.empty(len(texts), np.int64)
    ranks[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts))
    return _ranked(ranks, coded)


def _ranked(ranks: NDArray[np.int64], coded: Any) -> NDArray[np.int64]:
    codes: NDArray[np.int64] = ranks[coded.indices.to_numpy()] if len(ranks) else np.empty(0, np.int64)
    return codes


def _codes_of(table: arrow.Table, name: str, texts: Collection[str]) -> list[int]:
    present = sorted(set(table[name].unique().to_pylist()))
    return [number for number, text in enumerate(present) if text in texts]


def _cloudy(table: arrow.Table, gates: Gates) -> NDArray[np.bool_]:
    if gates.cloud_cover is None:
        return np.zeros(table.num_rows, bool)
    cover = table["cloud_cover"].to_numpy()
    flags: NDArray[np.bool_] = np.nan_to_num(cover.astype(np.float64), nan=-1.0) > gates.cloud_cover
    return flags


def _repeated(table: arrow.Table) -> NDArray[np.bool_]:
    """Rows whose tile and id stood in the row before."""
    tile, id = _coded(table, "tile"), _coded(table, "id")
    flags = np.zeros(table.num_rows, bool)
    flags[1:] = (tile[1:] == tile[:-1]) & (id[1:] == id[:-1])
    return flags


def _outdated(table: arrow.Table, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows, of those in question, that a newer baseline of the same acquisition replaces."""
    rows = np.flatnonzero(among)
    outdated = np.zeros(table.num_rows, bool)
    if not rows.size:
        return outdated
    keys = [_coded(table, name)[rows] for name in ("tile", "platform", "level", "format")]
    seconds = table["sensed"].cast(need_arrow().int64()).to_numpy()[rows] // 1_000_000
    baseline = _baseline_ranks(table)[rows]
    order = np.lexsort((seconds, *reversed(keys)))
    new = np.ones(rows.size, bool)
    same = np.all([key[order][1:] == key[order][:-1] for key in keys], axis=0)
    new[1:] = ~same | (np.diff(seconds[order]) > SAME_ACQUISITION)
    group = np.cumsum(new) - 1
    newest = np.full(group[-1] + 1, -1, np.int64)
    np.maximum.at(newest, group, baseline[order])
    outdated[rows[order]] = baseline[order] < newest[group]
    return outdated


def _baseline_ranks(table: arrow.Table) -> NDArray[np.int64]:
    """Baselines as numbers that grow as they get newer: 05.10 is newer than 05.09, V3-1 than V2-2."""
    coded = table["baseline"].combine_chunks().dictionary_encode()
    keys = [tuple(map(int, re.findall(r"\d+", text))) for text in coded.dictionary.to_pylist()]
    place = {key: rank for rank, key in enumerate(sorted(set(keys)))}
    return _ranked(np.array([place[key] for key in keys], np.int64), coded)
