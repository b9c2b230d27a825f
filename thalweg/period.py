"""Periods of time, as people write them: a day, a month, a year, or two of these with a slash between."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from thalweg.errors import UsageError

OPEN = ".."
"""The open end of a period."""

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time, open where an end is None."""

    start: datetime | None = None
    """First instant, UTC."""
    end: datetime | None = None
    """First instant after it, UTC."""

    @classmethod
    def parse(cls, text: str) -> Period:
        """The period that ``2024``, ``2024-01``, ``2024-01-15``, ``2024-01-01/2024-03-31`` or ``../2024`` means.

        Both ends belong to it: a day lasts until midnight UTC, a month until its last day. Instants such as
        ``2024-01-15T10:30:00Z`` may stand for days. Raises UsageError for anything else.
        """
        first, slash, last = text.strip().partition("/")
        period = cls(_span(first, text)[0], _span(last if slash else first, text)[1])
        if period.start and period.end and period.start >= period.end:
            raise _misread(text, "it ends before it begins")
        return period

    @classmethod
    def of_days(cls, first: date, last: date) -> Period:
        """The period from one day to another, both inside."""
        return cls(_midnight(first), _midnight(last) + timedelta(days=1))

    @property
    def first_day(self) -> date:
        """The first day; UsageError where the beginning is open."""
        if self.start is None:
            raise _misread(str(self), "a beginning is needed")
        return self.start.date()

    @property
    def last_day(self) -> date:
        """The last day; UsageError where the end is open."""
        if self.end is None:
            raise _misread(str(self), "an end is needed")
        return (self.end - _INSTANT).date()

    def months(self) -> tuple[Period, ...]:
        """The calendar months that it touches, in order."""
        first, last = self.first_day, self.last_day
        count = 12 * (last.year - first.year) + last.month - first.month + 1
        numbers = (first.month - 1 + step for step in range(count))
        return tuple(Period.month(first.year + number // 12, number % 12 + 1) for number in numbers)

    @classmethod
    def month(cls, year: int, month: int) -> Period:
        """A calendar month."""
        return cls(*_calendar_span(year, month, None))

    @classmethod
    def year(cls, year: int) -> Period:
        """A calendar year."""
        return cls(*_calendar_span(year, None, None))

    def __str__(self) -> str:
        first = self.start.date().isoformat() if self.start else OPEN
        last = self.last_day.isoformat() if self.end else OPEN
        return f"{first}/{last}"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _span(part: str, text: str) -> tuple[datetime | None, datetime | None]:
    """First instant of what one part of a period names, and the first one after it."""
    if part == OPEN and "/" in text:
        return None, None
    try:
        if found := _DATE.fullmatch(part):
            return _calendar_span(*(int(digits) if digits else None for digits in found.groups()))
        if "T" in part:
            instant = _utc(datetime.fromisoformat(part))
            return instant, instant + _INSTANT
    except (ValueError, OverflowError) as problem:
        raise _misread(text, str(problem)) from None
    raise _misread(text, f"{part!r} is no date")


def _calendar_span(year: int | None, month: int | None, day: int | None) -> tuple[datetime, datetime | None]:
    start = datetime(year or 0, month or 1, day or 1, tzinfo=UTC)
    if day:
        return start, start + timedelta(days=1)
    later = (start.year, start.month + 1) if month and month < 12 else (start.year + 1, 1)
    return start, datetime(*later, 1, tzinfo=UTC) if later[0] <= datetime.max.year else None


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _misread(text: str, why: str) -> UsageError:
    return UsageError(
        f"period {text!r}: {why}",
        advice="Write a period as 2024, 2024-01, 2024-01-15, 2024-01-01/2024-03-31, or with an open end: 2024-01/..",
    )
