"""Identity: same id, same product."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.identity import short, unit_id

UNIT: dict[str, Any] = {
    "chain": "snow",
    "version": "1.0",
    "parameter_digest": "0f",
    "granules": ["A", "B"],
    "statics": {"dem": "1a", "tcd": "2b"},
    "box": None,
}


def test_an_id_never_changes() -> None:
    """Products on disk bear it: another digest for the same unit would make every one of them anew."""
    text = (
        b'{"box":null,"chain":"snow","granules":["A","B"],"parameters":"0f",'
        b'"statics":{"dem":"1a","tcd":"2b"},"version":"1.0"}'
    )
    assert unit_id(**UNIT) == sha256(text).hexdigest()


@given(st.permutations(["A", "B", "C"]), st.permutations([("dem", "1a"), ("tcd", "2b"), ("water", "3c")]))
def test_no_order_changes_it(granules: list[str], statics: list[tuple[str, str]]) -> None:
    first = unit_id(
        **{**UNIT, "granules": ["A", "B", "C"], "statics": {"dem": "1a", "tcd": "2b", "water": "3c"}}
    )
    assert unit_id(**{**UNIT, "granules": granules, "statics": dict(statics)}) == first


@pytest.mark.parametrize(
    "change",
    [
        {"chain": "water"},
        {"version": "1.1"},
        {"parameter_digest": "0e"},
        {"granules": ["A"]},
        {"granules": ["AB"]},
        {"statics": {"dem": "1a"}},
        {"statics": {"dem": "2b", "tcd": "1a"}},
        {"box": (1, 42, 2, 43)},
    ],
)
def test_whatever_decides_a_product_changes_it(change: dict[str, Any]) -> None:
    assert unit_id(**{**UNIT, **change}) != unit_id(**UNIT)


def test_a_box_is_the_same_however_its_numbers_are_written() -> None:
    boxes = [(1, 42, 2, 43), (1.0, 42.0, 2.0, 43.0), [1, 42.0, 2, 43]]
    assert len({unit_id(**{**UNIT, "box": box}) for box in boxes}) == 1


def test_folders_bear_the_first_eight_digits() -> None:
    unit = unit_id(**UNIT)
    assert len(unit) == 64
    assert short(unit) == unit[:8]
