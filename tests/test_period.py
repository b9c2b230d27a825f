"""Periods as people write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import UsageError
from thalweg.period import Period


def utc(*numbers: int) -> datetime:
    return datetime(*numbers, tzinfo=UTC)  # type: ignore[arg-type, misc]


def test_days_and_months_of_a_period() -> None:
    season = Period.parse("2021-09-15/2022-02")
    assert (str(season), season.last_day) == ("2021-09-15/2022-02-28", date(2022, 2, 28))
    assert [str(month)[:7] for month in season.months()] == [
        *("2021-09", "2021-10", "2021-11", "2021-12", "2022-01", "2022-02"),
    ]
    assert Period.of_days(date(2021, 9, 15), date(2022, 2, 28)) == season
    assert (Period.month(2021, 12), Period.year(2021)) == (Period.parse("2021-12"), Period.parse("2021"))


@pytest.mark.parametrize(("text", "words"), [("../2021", "a beginning"), ("2021/..", "an end")])
def test_an_open_period_has_no_days(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Period.parse(text).months()


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024", utc(2024, 1, 1), utc(2025, 1, 1)),
        ("2024-02", utc(2024, 2, 1), utc(2024, 3, 1)),
        ("2024-12", utc(2024, 12, 1), utc(2025, 1, 1)),
        ("2024-02-29", utc(2024, 2, 29), utc(2024, 3, 1)),
        ("2024-01-01/2024-03-31", utc(2024, 1, 1), utc(2024, 4, 1)),
        ("2024-11/2025-01", utc(2024, 11, 1), utc(2025, 2, 1)),
        ("2023/2024-06", utc(2023, 1, 1), utc(2024, 7, 1)),
        ("../2024-06-30", None, utc(2024, 7, 1)),
        ("2024-06-30/..", utc(2024, 6, 30), None),
        ("../..", None, None),
        (" 2024 ", utc(2024, 1, 1), utc(2025, 1, 1)),
        ("2024-01-01T10:00:00Z/2024-01-01T12:00:00+01:00", utc(2024, 1, 1, 10), utc(2024, 1, 1, 11, 0, 0, 1)),
        ("2024-01-01T10:00:00Z", utc(2024, 1, 1, 10), utc(2024, 1, 1, 10, 0, 0, 1)),
        ("9999-12/..", utc(9999, 12, 1), None),
        ("9999", utc(9999, 1, 1), None),
    ],
)
def test_what_a_period_means(text: str, start: datetime | None, end: datetime | None) -> None:
    assert Period.parse(text) == Period(start, end)


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "..", "2024-13", "2024-02-30", "24", "2024-1", "20240101", "yesterday", "2024/", "/2024"),
        *(
            "2024-01-01/2024-01-31/2024-02-01",
            "2024-03/2024-01",
            "2024-01-02T10:00:00Z/2024-01-01",
            "2024-W05",
        ),
        *("2024-01-01T25:00:00Z", "9999-12-31", "0000", "٢٠٢٤", "2024-01-01 / 2024-02-01"),
    ],
)
def test_what_is_no_period_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Period.parse(text)
    assert repr(text) in caught.value.message
    assert "2024-01-01/2024-03-31" in caught.value.what_to_do


@given(st.dates(max_value=datetime(9999, 12, 30).date()), st.dates(max_value=datetime(9999, 12, 30).date()))
def test_both_days_belong_to_a_period(first: object, last: object) -> None:
    first, last = sorted([first, last])  # type: ignore[type-var]
    period = Period.parse(f"{first}/{last}")
    assert period.start == datetime.fromisoformat(f"{first}T00:00:00+00:00")
    assert period.end == datetime.fromisoformat(f"{last}T00:00:00+00:00") + timedelta(days=1)


@given(st.text(max_size=30))
def test_any_text_is_a_period_or_a_usage_error(text: str) -> None:
    try:
        Period.parse(text)
    except UsageError as problem:
        assert problem.code == 2
