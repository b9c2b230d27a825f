"""A season of one pixel, day by day, in exact fractions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby
from typing import Any

NONE = 65535


def linear(dates: Sequence[Any], values: Sequence[Any], day: Any) -> Any:
    """Value at a day, interpolated between clear dates, the nearest outside them; 0 without any."""
    if not dates:
        return 0
    before = [k for k, date in enumerate(dates) if date <= day]
    after = [k for k, date in enumerate(dates) if date >= day]
    if not before or not after:
        return values[after[0] if after else before[-1]]
    first, second = before[-1], after[0]
    if first == second:
        return values[first]
    x1, x2 = Fraction(dates[first]), Fraction(dates[second])
    y1, y2 = Fraction(values[first]), Fraction(values[second])
    return y1 + (y2 - y1) * (Fraction(day) - x1) / (x2 - x1)


def gap(dates: Sequence[int], day: int) -> int:
    """Days between the clear dates around a day; twice the distance outside them; 0 on one."""
    before = [date for date in dates if date <= day]
    after = [date for date in dates if date >= day]
    if before and after:
        return after[0] - before[-1]
    return 2 * (day - before[-1]) if before else 2 * (after[0] - day)


def is_clear(value: int, lis: bool) -> bool:
    return value not in (205, 254, 255) if lis else value <= 100


def cover(value: int, fsc: bool) -> int:
    """What is interpolated for a clear value."""
    if fsc:
        return value
    return 100 if 0 < value <= 100 else 0


def daily(
    dates: Sequence[int],
    values: Sequence[int],
    outputs: Sequence[int],
    *,
    lis: bool = False,
    fsc: bool = False,
    max_gap_days: int | None = None,
) -> list[int]:
    """0, 1 or 255 for each output day."""
    seen = [(x, cover(v, fsc)) for x, v in zip(dates, values, strict=True) if is_clear(v, lis)]
    if not seen:
        return [0 if lis else 255] * len(outputs)
    clear, covers = [x for x, _ in seen], [y for _, y in seen]
    snow = [int(linear(clear, covers, day) >= 50) for day in outputs]
    if max_gap_days is None:
        return snow
    return [255 if gap(clear, day) > max_gap_days else s for day, s in zip(outputs, snow, strict=True)]


def runs(days: Sequence[int]) -> list[tuple[int, int]]:
    """First index and length of each run of snow days."""
    found, index = [], 0
    for value, group in groupby(days):
        length = len(list(group))
        found += [(index, length)] if value == 1 else []
        index += length
    return found


def layers(
    dates: Sequence[int],
    values: Sequence[int],
    outputs: Sequence[int],
    start: int,
    stop: int,
    *,
    lis: bool = False,
    fsc: bool = False,
    max_gap_days: int | None = None,
    min_snow_days: int = 10,
) -> dict[str, int]:
    """The ten layers of the `default` profile; in `lis-1.11` those that it has mean what it says."""
    days = daily(dates, values, outputs, lis=lis, fsc=fsc, max_gap_days=max_gap_days)
    counted = [v for x, v in zip(dates, values, strict=True) if lis or start <= x <= stop]
    clear = [x for x, v in zip(dates, values, strict=True) if is_clear(v, lis)]
    none = 0 if lis else NONE
    n_clear = sum(is_clear(v, lis) for v in counted)
    out = {"NOBS": n_clear, "CCD": len(counted) - n_clear}
    names = ("SCD", "SOD", "SMOD", "NSP", "LRUN", "GAPMAX", "NUNK", "DSLC")
    if not clear:
        return out | dict.fromkeys(names, none)
    found = runs(days)
    first, longest = max(found, key=lambda run: run[1], default=(0, 0))
    lasting = sum(length for _, length in found) > min_snow_days
    until_stop = [x for x in clear if x <= stop]
    return out | {
        "SCD": sum(length for _, length in found),
        "SOD": first if lasting else none,
        "SMOD": first + longest - 1 if lasting else none,
        "NSP": len([run for run in found if not (lis and run[0] == 0)]),
        "LRUN": longest,
        "GAPMAX": max(gap(clear, day) for day in outputs),
        "NUNK": days.count(255),
        "DSLC": stop - until_stop[-1] if until_stop else none,
    }


def merged_day(values: Sequence[int]) -> int:
    """First value up to 100, else the last one."""
    return next((value for value in values if value <= 100), values[-1])
