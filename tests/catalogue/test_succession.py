"""Succession: who supersedes whom, whatever the order of arrival."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.catalogue.succession import Member, Successor, succession, version_key

IN_ORDER = ("0.1.dev3", "0.1a1", "0.1rc1", "0.1rc2", "0.1", "0.2", "0.10", "1", "1.0.1", "1.9", "1.10", "2")


@pytest.mark.parametrize(("older", "newer"), list(pairwise(IN_ORDER)))
def test_versions_are_compared_as_numbers(older: str, newer: str) -> None:
    assert version_key(older) < version_key(newer)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1.0", "1"), ("1.0.0", "1.0"), ("1.0rc1", "1rc1"), ("1.0+local", "1.0"), ("05.09", "5.9")],
)
def test_versions_that_are_equal(one: str, other: str) -> None:
    assert version_key(one) == version_key(other)


def test_baselines_of_both_kinds() -> None:
    assert version_key("02.14") < version_key("05.09") < version_key("05.10")
    assert version_key("V2-2") < version_key("V3-1") < version_key("V3-10")


A1 = Member("a1", "A", "1.0", "05.00")
A2 = Member("a2", "A", "1.1", "05.00")
A3 = Member("a3", "A", "2.0", "05.00")
B1 = Member("b1", "B", "1.0", "05.10")
OTHER_HALF = Member("h1", "H", "1.0", "05.00")


def test_a_newer_chain_version_supersedes() -> None:
    assert succession([A2, A1, A3]) == {"a1": Successor("a2", "a3"), "a2": Successor("a3", "a3")}


def test_a_newer_baseline_supersedes() -> None:
    assert succession([B1, A1]) == {"a1": Successor("b1", "b1")}


def test_a_newer_baseline_by_an_older_chain_does_not() -> None:
    assert succession([B1, A2]) == {}


def test_equal_versions_and_unknown_baselines_live_side_by_side() -> None:
    assert succession([A1, Member("a1b", "A", "1.0.0", "05.00")]) == {}
    assert succession([A1, Member("x", "X", "1.0", None)]) == {}


def test_the_other_half_of_an_acquisition_is_not_superseded_by_a_remake_of_this_one() -> None:
    assert succession([A1, OTHER_HALF, A2]) == {"a1": Successor("a2", "a2")}


members = st.lists(
    st.builds(
        Member,
        id=st.uuids().map(str),
        granule=st.sampled_from("ABC"),
        version=st.sampled_from(["1.0", "1.1", "2.0"]),
        baseline=st.sampled_from([None, "05.00", "05.10"]),
    ),
    max_size=8,
    unique_by=lambda member: member.id,
)


@given(members, st.randoms(use_true_random=False))
def test_order_does_not_matter_and_nothing_goes_round(some: list[Member], chance: random.Random) -> None:
    followed = succession(some)
    shuffled = chance.sample(some, len(some))
    assert succession(shuffled) == followed
    for id in followed:
        path = [id]
        while path[-1] in followed:
            path.append(followed[path[-1]].next)
            assert len(path) <= len(some)
        # What stands at the end of a succession is superseded by nothing.
        assert followed[id].latest not in followed
