"""What is searched for, and the condition that it means in SQL."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from thalweg.catalogue.entry import sortable
from thalweg.errors import UsageError
from thalweg.period import Period
from thalweg.tile import bare_id

Condition = tuple[str, list[Any]]
"""A condition with question marks, and the values that these stand for."""


class Conditions(TypedDict, total=False):
    """What products may be searched by; each condition may be left out."""

    tile: str | None
    """Tile, with or without the T, or a site name."""
    period: Period | str | None
    """What the product's time must touch, as `Period.parse` reads it."""
    collection: str | None
    """Id of the collection."""
    bbox: Sequence[float] | None
    """West, south, east, north, degrees: what the product's box must touch; west may be greater than east."""
    current: bool
    """True to leave out what is superseded."""


@dataclass(frozen=True, slots=True)
class Search:
    """Conditions that products meet all at once, as in `Conditions`; None where there is none."""

    tile: str | None = None
    """See `Conditions`."""
    period: Period | None = None
    """See `Conditions`."""
    collection: str | None = None
    """See `Conditions`."""
    bbox: Sequence[float] | None = None
    """See `Conditions`."""
    current: bool = False
    """See `Conditions`."""

    @classmethod
    def of(cls, **conditions: Unpack[Conditions]) -> Search:
        """The search that conditions mean; UsageError where one of them means nothing."""
        period = conditions.get("period")
        return cls(
            tile=conditions.get("tile"),
            period=Period.parse(period) if isinstance(period, str) else period,
            collection=conditions.get("collection"),
            bbox=conditions.get("bbox"),
            current=conditions.get("current", False),
        )

    def __post_init__(self) -> None:
        if self.bbox is not None:
            _check_box(self.bbox)

    def where(self) -> Condition:
        """The condition on the table of items."""
        parts = [
            *self._by_tile(),
            *self._by_period(),
            *self._by_collection(),
            *self._by_box(),
            *self._by_age(),
        ]
        if not parts:
            return "1", []
        return " AND ".join(text for text, _ in parts), [value for _, values in parts for value in values]

    def _by_tile(self) -> list[Condition]:
        return [] if self.tile is None else [("tile IN (?, ?)", [self.tile, bare_id(self.tile)])]

    def _by_period(self) -> list[Condition]:
        period = self.period or Period()
        conditions: list[Condition] = []
        if period.end:
            start = "start" if self.bbox is None or self.tile else "+start"
            conditions.append((f"{start} < ?", [sortable(period.end)]))
        if period.start:
            conditions.append(("until >= ?", [sortable(period.start)]))
        return conditions

    def _by_collection(self) -> list[Condition]:
        # SQLite knows nothing of the values: a plus keeps it from the index that would find the most items.
        column = "+collection" if self.tile or self.bbox is not None else "collection"
        return [] if self.collection is None else [(f"{column} = ?", [self.collection])]

    def _by_box(self) -> list[Condition]:
        if self.bbox is None:
            return []
        exact, values = _touching(self.bbox)
        # A tile has few items: looking at all of them is faster than asking the tree first.
        if self.tile is not None:
            return [(exact, values)]
        tree, bounds = _in_tree(self.bbox)
        return [(f"number IN (SELECT box / 2 FROM boxes WHERE {tree})", bounds), (exact, values)]

    def _by_age(self) -> list[Condition]:
        return [("successor IS NULL", [])] if self.current else []


def halves(west: float, east: float) -> list[tuple[float, float]]:
    """Longitudes of a box as one span, or as two where it crosses 180 degrees."""
    return [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]


def _touching(box: Sequence[float]) -> Condition:
    west, south, east, north = box
    one = "(west <= ? AND east >= ? OR west > east AND (west <= ? OR east >= ?))"
    spans = halves(west, east)
    across = " OR ".join(one for _ in spans)
    values = [value for left, right in spans for value in (right, left, right, left)]
    return f"south <= ? AND north >= ? AND ({across})", [north, south, *values]


def _in_tree(box: Sequence[float]) -> Condition:
    # The tree keeps 32-bit numbers, rounded outwards: it finds all that touch, and a few that do not.
    west, south, east, north = box
    spans = halves(west, east)
    across = " OR ".join("(west <= ? AND east >= ?)" for _ in spans)
    values = [value for left, right in spans for value in (right, left)]
    return f"south <= ? AND north >= ? AND ({across})", [north, south, *values]


def _check_box(box: Sequence[float]) -> None:
    if len(box) != 4 or not all(math.isfinite(value) for value in box):
        raise UsageError(f"box {list(box)}: give west, south, east, north in degrees")
    west, south, east, north = box
    if max(abs(west), abs(east)) > 180 or not -90 <= south <= north <= 90:
        raise UsageError(
            f"box {list(box)}: longitudes in [-180, 180], latitudes in [-90, 90], south before north"
        )
