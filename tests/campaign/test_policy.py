"""The table of the classes as code: each class has a rule, and no rule lets a unit go round for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.campaign.policy import MOST_ATTEMPTS, Failed, Limits, breaker_limit, follow
from thalweg.errors import ENDINGS, BadParameters

LIMITS = Limits(memory_mb=1000, max_memory_mb=5000, seconds=600, max_seconds=3000)
KINDS = sorted(set(ENDINGS) - {"no-data"})


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_of_failure_has_a_rule(kind: str) -> None:
    assert follow(Failed(kind, 1, 1), LIMITS).state in ("pending", "failed", "skipped")


def test_a_class_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(BadParameters, match="bad-luck"):
        follow(Failed("bad-luck", 1, 1), LIMITS)


@given(kinds=st.lists(st.sampled_from(KINDS), min_size=40, max_size=40), wait=st.booleans())
def test_no_unit_is_tried_for_ever(kinds: list[str], wait: bool) -> None:
    limits = replace(LIMITS, missing_input="wait" if wait else "skip")
    failed = Failed(kinds[0], 1, 1)
    for kind in kinds[1:]:
        after = follow(failed, limits)
        assert (after.memory_mb or 0) <= limits.max_memory_mb
        assert (after.seconds or 0) <= limits.max_seconds
        assert after.delay >= 0
        if after.state != "pending":
            break
        tries = failed.tries + 1 if kind == failed.kind else 1
        failed = Failed(kind, tries, failed.attempts + 1, after.memory_mb, after.seconds, "ab")
    assert failed.attempts <= MOST_ATTEMPTS


def test_memory_and_time_keep_what_the_other_learnt() -> None:
    after = follow(Failed("memory", 1, 2, None, 1200), LIMITS)
    assert (after.memory_mb, after.seconds, after.alone) == (2000, 1200, True)
    after = follow(Failed("time", 1, 3, 4000, 1200), LIMITS)
    assert (after.memory_mb, after.seconds, after.alone) == (4000, 2400, True)


def test_the_jitter_of_two_units_differs_and_can_be_repeated() -> None:
    one, other = (follow(Failed("service", 2, 2, seed=seed), LIMITS).delay for seed in ("ab", "cd"))
    assert one != other
    assert follow(Failed("service", 2, 2, seed="ab"), LIMITS).delay == one
    assert 60 <= one <= 180


def test_missing_input_waits_where_the_campaign_waits() -> None:
    assert follow(Failed("missing-input", 1, 1), LIMITS).state == "skipped"
    after = follow(Failed("missing-input", 1, 1), replace(LIMITS, missing_input="wait"))
    assert (after.state, after.delay) == ("pending", 3600.0)


@pytest.mark.parametrize(("planned", "limit"), [(6, 5), (100, 5), (200, 10), (400, 20), (2_190_000, 20)])
def test_the_breaker_is_no_hair_trigger_in_a_small_campaign(planned: int, limit: int) -> None:
    assert breaker_limit(planned) == limit
