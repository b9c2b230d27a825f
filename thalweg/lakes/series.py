"""Rows of many products as a time series: duplicates, climatology and anomalies (quality specification, section 11)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import median

from thalweg.lakes.statistics import Row

LEAST_YEARS = 5
"""Fewest medians of a calendar month from which its climatology is made."""

_ROBUST = 1.4826


@dataclass(frozen=True, slots=True)
class Month:
    """Climatology of a polygon and a variable in one calendar month."""

    polygon_id: str
    """Id of the polygon."""
    variable: str
    """Name of the layer."""
    month: int
    """1 to 12."""
    n: int
    """Rows with a median."""
    median: float | None
    """Median of their medians, None where they are too few."""
    sigma: float | None
    """1.4826 x median absolute deviation, None where they are too few."""


def series_of(rows: Iterable[Row], *, keep_duplicates: bool = False) -> list[Row]:
    """The rows in order of polygon, time, variable and product; of several products of one pass only the best one.

    Of one polygon and variable on the same day (UTC) and relative orbit that is the one with more valid pixels, then
    the one processed later, then the greater product id. `keep_duplicates` keeps the others too, and marks them.
    """
    best: dict[tuple[object, ...], Row] = {}
    once = {(row.polygon_id, row.variable, row.product_id): row for row in rows}.values()
    for row in once:
        key = _pass(row)
        if key not in best or _rank(row) > _rank(best[key]):
            best[key] = row
    marked = [replace(row, duplicate=best[_pass(row)] is not row) for row in once]
    kept = [row for row in marked if keep_duplicates or not row.duplicate]
    return sorted(kept, key=lambda row: (row.polygon_id, row.datetime, row.variable, row.product_id))


def climatology(rows: Iterable[Row], period: tuple[datetime, datetime] | None = None) -> list[Month]:
    """Median and spread of each polygon, variable and calendar month, over rows that are no duplicates.

    `period` is a half-open reference period; None: all rows.
    """
    medians: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for row in rows:
        is_meant = period is None or period[0] <= row.datetime < period[1]
        if is_meant and not row.duplicate and row.median is not None:
            medians[row.polygon_id, row.variable, row.datetime.month].append(row.median)
    return [Month(*key, len(found), *_spread(found)) for key, found in sorted(medians.items())]


def with_anomalies(rows: Sequence[Row], months: Iterable[Month]) -> list[Row]:
    """The rows with their anomaly against the climatology; None where one of the two is not known, or has no spread."""
    known = {(month.polygon_id, month.variable, month.month): month for month in months}
    return [
        replace(row, qi=_anomaly(row, known.get((row.polygon_id, row.variable, row.datetime.month))))
        for row in rows
    ]


def _pass(row: Row) -> tuple[object, ...]:
    return (row.polygon_id, row.variable, row.datetime.date(), row.relative_orbit)


def _rank(row: Row) -> tuple[int, str, str]:
    return (row.n_valid, row.processing, row.product_id)


def _spread(values: list[float]) -> tuple[float | None, float | None]:
    if len(values) < LEAST_YEARS:
        return None, None
    middle = median(values)
    return middle, _ROBUST * median(abs(value - middle) for value in values)


def _anomaly(row: Row, month: Month | None) -> float | None:
    if month is None or row.median is None or month.median is None or not month.sigma:
        return None
    return (row.median - month.median) / month.sigma
