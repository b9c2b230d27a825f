"""Plain data becomes frozen values only where every key is known and every value is of its type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import BadParameters
from thalweg.record import plain_record, read_record


@dataclass(frozen=True)
class Leaf:
    name: str
    weight: float = 1.0


@dataclass(frozen=True)
class Tree:
    leaves: tuple[Leaf, ...]
    kind: Literal["oak", "fir"]
    age: int
    felled: bool = False
    owner: str | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    best: Leaf | None = None

    def __post_init__(self) -> None:
        if self.age < 0:
            raise ValueError("age: no tree is younger than nothing")


LEAVES = st.builds(Leaf, st.text(), st.floats(allow_nan=False, allow_infinity=False))
TREES = st.builds(
    Tree,
    st.lists(LEAVES).map(tuple),
    st.sampled_from(["oak", "fir"]),
    st.integers(0, 10**12),
    st.booleans(),
    st.none() | st.text(),
    st.dictionaries(st.text(), st.integers() | st.none()),
    st.none() | LEAVES,
)


@given(TREES)
def test_a_record_survives_json(tree: Tree) -> None:
    assert read_record(Tree, json.loads(json.dumps(plain_record(tree)))) == tree


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"agee": 3}, r"unknown key 'agee'. Did you mean 'age'"),
        ({"age": "old"}, r"age: expected a whole number, not 'old'"),
        ({"age": True}, r"age: expected a whole number, not True"),
        ({"age": 3.0}, r"age: expected a whole number, not 3.0"),
        ({"age": -1}, r"no tree is younger"),
        ({"kind": "ash"}, r"kind: 'ash': expected one of oak, fir"),
        ({"kind": []}, r"kind: \[\]: expected one of"),
        ({"leaves": "many"}, r"leaves: expected a list, not 'many'"),
        ({"leaves": [{"name": "a"}, {"nam": "b"}]}, r"leaves\[1\].nam: unknown key 'nam'"),
        ({"leaves": [{}]}, r"leaves\[0\].name: is missing"),
        ({"leaves": [{"name": "a", "weight": float("nan")}]}, r"weight: expected a number, not nan"),
        ({"notes": {1: 2}}, r"notes: expected a mapping"),
        ({"felled": 1}, r"felled: expected true or false, not 1"),
        ({"best": "x" * 100}, r"best: expected a mapping, not 'xxx.*\.\.\.$"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[Any, Any], message: str) -> None:
    good = {"leaves": [], "kind": "oak", "age": 7}
    assert read_record(Tree, good).age == 7
    with pytest.raises(BadParameters, match=message):
        read_record(Tree, good | changes)
