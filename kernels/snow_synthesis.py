"""A season of snow observations as day counts: snow cover duration, onset, melt-out, gaps, in one pass per block.

Between two clear dates the snow of a pixel changes at most once, on a day that follows from the two values; a season is
therefore a short list of turns, however many days it has. The loops visit dates, not days: a vectorised pass per date
finds the pixels where something happens, and only those are looked at one by one. Rules: Let-it-snow 1.11.0 (profile
`lis-1.11`) and snow.md 8.2 (profile `default`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thalweg.kernels.formula import formula
from thalweg.kernels.jit import kernel

LAYERS = ("SCD", "SOD", "SMOD", "NSP", "LRUN", "NOBS", "CCD", "GAPMAX", "NUNK", "DSLC")
"""The layers that `synthesise` writes, in this order."""

NONE = 65535
"""No value, in every layer of the `default` profile except NOBS and CCD."""

UNKNOWN = 255
"""A day of which nothing is known, in the daily masks of the `default` profile."""

_MASKED = 255
_SNOWY = 50
_MAX_SPAN = 9000
_FOREVER = 2 * _MAX_SPAN
_NEVER = -_FOREVER - 1
_ENDS, _BEGINS, _GAP = 1, 2, 4
_SNOW_MARK, _UNKNOWN_MARK = 1, 2
_START, _END, _SCD, _BEST, _BEST_START, _RUNS, _GAPMAX, _NUNK = range(8)

Bytes = NDArray[np.uint8]
Counts = NDArray[np.uint16]
Days = NDArray[np.int16]
Ints = NDArray[np.int32]
Codes = NDArray[np.int64]
Whole = int | np.int64


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts as an observation, and what is made of the days between two of them."""

    lis: bool = False
    """Profile `lis-1.11`: other codes than 205, 254, 255 are clear, absent dates are 0, a run on day 0 is no melt."""
    fsc: bool = False
    """Interpolate the fractional cover instead of 0 and 100 (`default` only)."""
    max_gap_days: int | None = None
    """Days in a longer gap are unknown (`default` only); None: no limit."""
    min_snow_days: int = 10
    """SOD and SMOD exist only where SCD exceeds this."""


@dataclass(frozen=True, slots=True)
class Season:
    """The days of a synthesis, counted from the earlier of the first observation and the first output day."""

    dates: Ints
    """Days with an observation, ascending."""
    counted: Bytes
    """1 for each of them that NOBS and CCD count."""
    before: Ints
    """Number of output days before each day; the last element is the number of output days."""
    first_output: int
    """First output day."""
    last_output: int
    """Last output day."""
    stop: int
    """Last day of the period."""
    until_stop: int
    """Number of dates up to it."""

    @property
    def days(self) -> int:
        """Number of output days."""
        return int(self.before[-1])


def season(
    dates: Sequence[int], outputs: Sequence[int], start: int, stop: int, *, lis: bool = False
) -> Season:
    """The days of a synthesis of the period `start` to `stop`, all given as day numbers of one calendar.

    `dates`: one per layer of the stack; `outputs`: the listed days, within the period; both ascending and distinct. In
    profile `lis-1.11` every date is counted, else those of the period. Raises ValueError for unordered or empty lists
    and for more than 9000 days.
    """
    _check_ascending("dates", dates)
    _check_ascending("outputs", outputs)
    origin, end = min(dates[0], outputs[0]), max(dates[-1], outputs[-1]) + 1
    if end - origin > _MAX_SPAN:
        raise ValueError(f"a synthesis covers at most {_MAX_SPAN} days, not {end - origin}")
    before = np.searchsorted(np.asarray(outputs), np.arange(origin, end + 1))
    return Season(
        dates=np.array([date - origin for date in dates], dtype=np.int32),
        counted=np.array([lis or start <= date <= stop for date in dates], dtype=np.uint8),
        before=before.astype(np.int32),
        first_output=outputs[0] - origin,
        last_output=outputs[-1] - origin,
        stop=stop - origin,
        until_stop=sum(date <= stop for date in dates),
    )


def _check_ascending(name: str, days: Sequence[int]) -> None:
    if not days:
        raise ValueError(f"no {name}")
    if list(days) != sorted(set(days)):
        raise ValueError(f"{name} must ascend strictly")


@kernel("void(uint8[:, ::1], uint8[:, ::1])")
def merge_day(merged: Bytes, later: Bytes) -> None:
    """Merge a later product of the same day into `merged`: the first value up to 100, else the last product's."""
    for i in range(merged.shape[0]):
        for j in range(merged.shape[1]):
            merged[i, j] = merged[i, j] if merged[i, j] <= 100 else later[i, j]


@kernel()
def _read_row(values: Bytes, lis: bool, fsc: bool, seen: Bytes) -> None:
    """What a row says: 0 to 100 where clear, else 255."""
    for j in range(values.size):
        value = values[j]
        cover = value if fsc else np.uint8(100 * (value > 0))
        other = np.uint8(0) if lis & (value != 205) & (value < 254) else np.uint8(_MASKED)
        seen[j] = cover if value <= 100 else other


@kernel()
def _notice_row(
    seen: Bytes, day: np.int16, last: Days, value: Bytes, watch: Days, max_gap: np.int16, events: Bytes
) -> None:
    """What a clear date does to each pixel: snow ends (1), snow begins (2), a gap longer than `watch` ends (4).

    After a gap beyond `max_gap`, or without an earlier clear date, it is 4 alone.
    """
    for j in range(seen.size):
        gap = np.int16(day - last[j])
        was, now, near = value[j] >= _SNOWY, seen[j] >= _SNOWY, gap <= max_gap
        event = np.uint8(was & (not now) & near) * _ENDS | np.uint8(now & (not was) & near) * _BEGINS
        event = np.uint8(event | np.uint8((gap > watch[j]) | (gap > max_gap)) * _GAP)
        events[j] = event if seen[j] != _MASKED else np.uint8(0)


@kernel()
def _list_row(events: Bytes, width: int, ends: Ints, begins: Ints, gaps: Ints) -> tuple[int, int, int]:
    """The columns where each of the three things happens, and how many they are.

    Most groups of eight have none; in the others every column is written and the count alone decides whether it stays,
    because what happens to a pixel is nothing that a branch could foresee.
    """
    n_ends, n_begins, n_gaps = 0, 0, 0
    groups = events.view(np.uint64)
    for k in range(groups.size):
        if groups[k] == 0:
            continue
        for j in range(8 * k, min(8 * k + 8, width)):
            event = events[j]
            ends[n_ends], begins[n_begins], gaps[n_gaps] = j, j, j
            n_ends += event & 1
            n_begins += (event >> 1) & 1
            n_gaps += event >> 2
    return n_ends, n_begins, n_gaps


@kernel()
def _remember_row(seen: Bytes, day: np.int16, last: Days, value: Bytes) -> None:
    """Keep day and value of every clear pixel for its next clear date."""
    for j in range(seen.size):
        last[j] = day if seen[j] != _MASKED else last[j]
    for j in range(seen.size):
        value[j] = seen[j] if seen[j] != _MASKED else value[j]


@kernel()
def _count_row(seen: Bytes, clear: Counts) -> None:
    """Count the clear dates."""
    for j in range(seen.size):
        clear[j] += np.uint16(seen[j] != _MASKED)


@formula
def _first_bare_day(last: Whole, old: Whole, day: Whole, new: Whole) -> Whole:
    """First day without snow between two clear dates, from cover `old` to `new`; days with 50 or more are snow.

    The quotient is exact enough: its terms are far below 2^53, so that unless it is an integer it lies further from one
    than float64 can round. (An integer division takes three times as long.)
    """
    return last + 1 + np.int64(np.float64((old - _SNOWY) * (day - last)) / np.float64(old - new))


@formula
def _first_snow_day(last: Whole, old: Whole, day: Whole, new: Whole) -> Whole:
    """First day with snow between two clear dates, from cover `old` to `new`."""
    return last + np.int64(np.ceil(np.float64((_SNOWY - old) * (day - last)) / np.float64(new - old)))


@formula
def _end_run(pixel: Ints, index: Whole, first: int) -> None:
    """Snow ends before output `index`. A run that began before index `first` is no transition.

    A run may end more than once, where snow returns before the next output day; it is counted when it first has days.
    """
    length = index - pixel[_START]
    pixel[_RUNS] += (pixel[_END] <= pixel[_START]) & (length > 0) & (pixel[_START] >= first)
    pixel[_BEST_START] = pixel[_START] if length > pixel[_BEST] else pixel[_BEST_START]
    pixel[_BEST] = max(length, pixel[_BEST])
    pixel[_SCD] += index
    pixel[_END] = index


@formula
def _begin_run(pixel: Ints, index: Whole) -> None:
    """Snow begins at output `index`; where it ended there too, no output day lies between and the run goes on."""
    pixel[_START] = pixel[_START] if index == pixel[_END] else index
    pixel[_SCD] -= index


@formula
def _unknown(before: Ints, last: Whole, day: Whole, max_gap: int) -> tuple[Whole, Whole]:
    """Output indices of the unknown days before a clear date whose predecessor (negative: none) is too far."""
    if last >= 0:
        return np.int64(before[last + 1]), np.int64(before[day])
    return 0, np.int64(before[max(day - max_gap // 2, 0)]) if max_gap < _FOREVER else 0


@formula
def _gap(before: Ints, last: Whole, day: Whole, first_output: int) -> Whole:
    """The largest gap of an output day strictly between two clear dates (`last` negative: before the first one)."""
    if last < 0:
        return max(2 * (day - first_output), 0)
    return day - last if before[day] > before[last + 1] else 0


@kernel()
def _finish_row(pixels: Ints, last: Days, value: Bytes, before: Ints, rules: Codes) -> None:
    """What lies after the last clear date: the last run, the unknown days, the last gap."""
    lis, _, max_gap, _, _, last_output, _, _ = rules
    for j in range(last.size):
        if last[j] < 0:
            continue
        known = before[-1]
        if max_gap < _FOREVER:
            known = before[min(last[j] + max_gap // 2 + 1, before.size - 1)]
        if value[j] >= _SNOWY:
            _end_run(pixels[j], known, lis)
        pixels[j, _NUNK] += before[-1] - known
        pixels[j, _GAPMAX] = max(pixels[j, _GAPMAX], 2 * (last_output - last[j]))


@kernel()
def _write_row(
    pixels: Ints,
    last: Days,
    last_before_stop: Days,
    clear: Counts,
    counted: int,
    rules: Codes,
    layers: Counts,
    row: int,
) -> None:
    """The ten layers of a row."""
    lis, _, _, min_snow_days, _, _, _, stop = rules
    none = 0 if lis else NONE
    for j in range(last.size):
        pixel = pixels[j]
        observed, lasting = last[j] >= 0, pixel[_SCD] > min_snow_days
        layers[0, row, j] = pixel[_SCD] if observed else none
        layers[1, row, j] = pixel[_BEST_START] if observed & lasting else none
        layers[2, row, j] = pixel[_BEST_START] + pixel[_BEST] - 1 if observed & lasting else none
        layers[3, row, j] = pixel[_RUNS] if observed else none
        layers[4, row, j] = pixel[_BEST] if observed else none
        layers[5, row, j] = clear[j]
        layers[6, row, j] = counted - clear[j]
        layers[7, row, j] = pixel[_GAPMAX] if observed else none
        layers[8, row, j] = pixel[_NUNK] if observed else none
        layers[9, row, j] = stop - last_before_stop[j] if last_before_stop[j] >= 0 else none


@kernel()
def _end_runs(
    columns: Ints, seen: Bytes, day: int, last: Days, value: Bytes, before: Ints, first: int, pixels: Ints
) -> None:
    """The pixels that lose their snow on the way to this date."""
    for k in range(columns.size):
        j = columns[k]
        bare = _first_bare_day(np.int64(last[j]), np.int64(value[j]), day, np.int64(seen[j]))
        _end_run(pixels[j], before[bare], first)


@kernel()
def _begin_runs(
    columns: Ints, seen: Bytes, day: int, last: Days, value: Bytes, before: Ints, pixels: Ints
) -> None:
    """The pixels that get snow on the way to this date."""
    for k in range(columns.size):
        j = columns[k]
        snow = _first_snow_day(np.int64(last[j]), np.int64(value[j]), day, np.int64(seen[j]))
        _begin_run(pixels[j], before[snow])


@kernel()
def _close_gaps(
    columns: Ints,
    seen: Bytes,
    day: int,
    last: Days,
    value: Bytes,
    before: Ints,
    rules: Codes,
    watch: Days,
    pixels: Ints,
) -> None:
    """The pixels whose gap before this date is their first, is too long to know anything of, or is a record."""
    lis, _, max_gap, _, first_output, _, _, _ = rules
    for k in range(columns.size):
        j = columns[k]
        past, pixel = np.int64(last[j]), pixels[j]
        if past < 0 or day - past > max_gap:
            lost, known = _unknown(before, past, day, max_gap)
            pixel[_NUNK] += known - lost
            if value[j] >= _SNOWY:
                _end_run(pixel, lost, lis)
            if seen[j] >= _SNOWY:
                _begin_run(pixel, known)
        pixel[_GAPMAX] = max(pixel[_GAPMAX], _gap(before, past, day, first_output))
        watch[j] = watch[j] if lis else pixel[_GAPMAX]


@kernel("void(uint8[:, :, ::1], int32[::1], uint8[::1], int32[::1], int64[::1], uint16[:, :, ::1])")
def _synthesise(
    stack: Bytes, dates: Ints, counted: Bytes, before: Ints, rules: Codes, layers: Counts
) -> None:
    lis, fsc, max_gap, _, _, _, until_stop, _ = rules
    n_dates, height, width = stack.shape
    seen, value = np.empty(width, np.uint8), np.empty(width, np.uint8)
    events, columns = np.zeros((width + 7) // 8 * 8, np.uint8), np.empty((3, width + 1), np.int32)
    last, before_stop, watch = np.empty(width, np.int16), np.empty(width, np.int16), np.empty(width, np.int16)
    clear, pixels = np.empty(width, np.uint16), np.empty((width, 8), np.int32)
    for i in range(height):
        last[:], before_stop[:], watch[:] = _NEVER, _NEVER, _FOREVER if lis else 0
        value[:], clear[:], pixels[:] = 0, 0, 0
        for t in range(n_dates):
            day = np.int64(dates[t])
            _read_row(stack[t, i], lis != 0, fsc != 0, seen)
            _notice_row(seen, np.int16(day), last, value, watch, np.int16(max_gap), events)
            n_ends, n_begins, n_gaps = _list_row(events, width, columns[0], columns[1], columns[2])
            _end_runs(columns[0, :n_ends], seen, day, last, value, before, lis, pixels)
            _begin_runs(columns[1, :n_begins], seen, day, last, value, before, pixels)
            _close_gaps(columns[2, :n_gaps], seen, day, last, value, before, rules, watch, pixels)
            _remember_row(seen, np.int16(day), last, value)
            if counted[t]:
                _count_row(seen, clear)
            if t + 1 == until_stop:
                before_stop[:] = last
        _finish_row(pixels, last, value, before, rules)
        _write_row(pixels, last, before_stop, clear, counted.sum(), rules, layers, i)


@formula
def _toggle(daily: Bytes, row: int, j: int, index: Whole, mark: int) -> None:
    """Set or clear a mark at an output day, if the index is one."""
    if index < daily.shape[0]:
        daily[index, row, j] ^= np.uint8(mark)


@kernel()
def _mark_row(
    events: Bytes,
    seen: Bytes,
    day: int,
    last: Days,
    value: Bytes,
    before: Ints,
    max_gap: int,
    daily: Bytes,
    row: int,
) -> None:
    """Mark the days on which snow (1) or not knowing (2) begins or ends on the way to this date."""
    for j in range(seen.size):
        if not events[j]:
            continue
        past, old, new = np.int64(last[j]), np.int64(value[j]), np.int64(seen[j])
        if events[j] & _ENDS:
            _toggle(daily, row, j, before[_first_bare_day(past, old, day, new)], _SNOW_MARK)
        if events[j] & _BEGINS:
            _toggle(daily, row, j, before[_first_snow_day(past, old, day, new)], _SNOW_MARK)
        if events[j] & _GAP:
            lost, known = _unknown(before, past, day, max_gap)
            _toggle(daily, row, j, lost, _UNKNOWN_MARK | (_SNOW_MARK if old >= _SNOWY else 0))
            _toggle(daily, row, j, known, _UNKNOWN_MARK | (_SNOW_MARK if new >= _SNOWY else 0))


@kernel()
def _mark_end(last: Days, before: Ints, lis: int, max_gap: int, daily: Bytes, row: int) -> None:
    """Mark where the unknown days after the last clear date begin; without a clear date that is the first day."""
    for j in range(last.size):
        if last[j] < 0 and not lis:
            _toggle(daily, row, j, 0, _UNKNOWN_MARK)
        if last[j] >= 0 and max_gap < _FOREVER:
            _toggle(daily, row, j, before[min(last[j] + max_gap // 2 + 1, before.size - 1)], _UNKNOWN_MARK)


@kernel()
def _unroll_row(daily: Bytes, row: int, state: Bytes) -> None:
    """Turn the marks of a row into its days: 0, 1 or 255."""
    state[:] = 0
    for d in range(daily.shape[0]):
        days = daily[d, row]
        for j in range(state.size):
            state[j] ^= days[j]
        for j in range(state.size):
            days[j] = np.uint8(UNKNOWN) if state[j] & _UNKNOWN_MARK else np.uint8(state[j] & _SNOW_MARK)


@kernel("void(uint8[:, :, ::1], int32[::1], int32[::1], int64[::1], uint8[:, :, ::1])")
def _unroll(stack: Bytes, dates: Ints, before: Ints, rules: Codes, daily: Bytes) -> None:
    lis, fsc, max_gap = rules[0], rules[1], rules[2]
    n_dates, height, width = stack.shape
    seen, value, events = np.empty(width, np.uint8), np.empty(width, np.uint8), np.empty(width, np.uint8)
    last, watch = np.empty(width, np.int16), np.full(width, _FOREVER, np.int16)
    daily[:] = 0
    for i in range(height):
        last[:], value[:] = _NEVER, 0
        for t in range(n_dates):
            day = np.int64(dates[t])
            _read_row(stack[t, i], lis != 0, fsc != 0, seen)
            _notice_row(seen, np.int16(day), last, value, watch, np.int16(max_gap), events)
            _mark_row(events, seen, day, last, value, before, max_gap, daily, i)
            _remember_row(seen, np.int16(day), last, value)
        _mark_end(last, before, lis, max_gap, daily, i)
        _unroll_row(daily, i, seen)


def _as_array(rules: Rules, of: Season) -> Codes:
    max_gap = _FOREVER if rules.max_gap_days is None else min(rules.max_gap_days, _FOREVER)
    days = (of.first_output, of.last_output, of.until_stop, of.stop)
    return np.array([rules.lis, rules.fsc, max_gap, rules.min_snow_days, *days], dtype=np.int64)


def synthesise(stack: Bytes, of: Season, rules: Rules, layers: Counts) -> None:
    """Write the ten `LAYERS` of a block into `layers`, uint16 (10, h, w).

    `stack`: uint8 (dates, h, w), one merged observation per date of the season: fractional cover 0-100 or a code. SCD,
    SOD, SMOD, NSP, LRUN and NUNK count output days, NOBS and CCD dates, GAPMAX and DSLC calendar days.
    """
    _synthesise(stack, of.dates, of.counted, of.before, _as_array(rules, of), layers)


def unroll(stack: Bytes, of: Season, rules: Rules, daily: Bytes) -> None:
    """Write the daily masks of a block into `daily`, uint8 (output days, h, w): 0 ground, 1 snow, 255 unknown."""
    _unroll(stack, of.dates, of.before, _as_array(rules, of), daily)
