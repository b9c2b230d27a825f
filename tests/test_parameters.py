"""Parameters: checked by type and range, described by a schema that says the same, digested by value."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import BadParameters
from thalweg.parameters import Parameters, Within, canonical_json, digest, parameters_of, parse_text

if TYPE_CHECKING:
    import xarray

Percent = Annotated[float, Within(0, 100, "%", "a share")]


def example(
    scene: xarray.Dataset,
    *,
    flag: bool = False,
    word: str = "a",
    whole: Annotated[int, Within(-3, 9)] = 0,
    share: Percent = 1,
    maybe: Annotated[int | None, Within(0)] = None,
    old: Optional[Percent] = None,  # noqa: UP045 - laboratories write it so
    choice: Literal["red", 1, True] = "red",
    pair: Annotated[tuple[float, int], Within(-1, 1)] = (0.5, 1),
    many: Annotated[tuple[int, ...], Within(0, 255)] = (),
    each: tuple[Percent, ...] = (),
    names: dict[str, str] | None = None,
    limits: Annotated[dict[str, float], Within(0, 1)] = {},  # noqa: B006 - never changed
    either: bool | float = 0.5,
) -> None:
    """Has a parameter of every kind."""


EXAMPLE = parameters_of("lab.example", example, None)
NAMES = [parameter.name for parameter in EXAMPLE.declared]

numbers = st.one_of(
    st.integers(-300, 300), st.floats(-300, 300), st.sampled_from([0, 1, 1.0, -0.0, 1e300, 0.5])
)
scalars = st.one_of(st.none(), st.booleans(), numbers, st.sampled_from(["red", "a", "", "1", "true"]))
values = st.one_of(
    scalars, st.lists(scalars, max_size=3), st.dictionaries(st.sampled_from("abc"), scalars, max_size=2)
)


def one(function: Callable[..., Any], **given: Any) -> Any:
    """The resolved values of the parameters that a function declares."""
    return parameters_of("lab.one", function, None).resolve(given)


@given(st.sampled_from(NAMES), values)
def test_the_schema_accepts_what_is_accepted_and_nothing_else(name: str, value: Any) -> None:
    try:
        found = EXAMPLE.resolve({name: value})
    except BadParameters as problem:
        assert str(problem).startswith(f"lab.example.{name} = {value!r}: ")
        found = None
    is_valid = jsonschema.Draft202012Validator(EXAMPLE.schema()).is_valid({name: value})
    assert is_valid is (found is not None)


@given(st.sampled_from(NAMES), values)
def test_what_is_accepted_is_accepted_again_and_has_one_digest(name: str, value: Any) -> None:
    try:
        first = EXAMPLE.resolve({name: value})
    except BadParameters:
        return
    again = EXAMPLE.resolve(json.loads(canonical_json(first)))
    assert again == first
    assert digest(again) == digest(first)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_has_no_json_has_no_digest(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        digest({"a": (1, value)})


def test_defaults_have_their_type_and_are_valid_against_the_schema() -> None:
    resolved = EXAMPLE.resolve({})
    assert isinstance(resolved["share"], float)
    assert resolved["pair"] == (0.5, 1)
    schema = EXAMPLE.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(canonical_json(resolved)), schema)
    assert {name: part["default"] for name, part in schema["properties"].items()} == json.loads(
        canonical_json(resolved)
    )


def test_the_schema_holds_range_unit_and_meaning() -> None:
    share = EXAMPLE.schema()["properties"]["share"]
    expected = {
        "type": "number",
        "minimum": 0,
        "maximum": 100,
        "unit": "%",
        "description": "a share",
        "default": 1.0,
    }
    assert share == expected


def test_equal_values_have_one_digest() -> None:
    def function(scene: Any, *, a: float = 1, b: float = 0.0) -> None:
        """Has a default that is written as a whole number."""

    given: list[dict[str, Any]] = [
        {},
        {"a": 1},
        {"a": 1.0},
        {"a": np.float32(1)},
        {"a": np.int64(1)},
        {"b": -0.0},
    ]
    assert len({digest(one(function, **values)) for values in given}) == 1


@given(st.sampled_from(NAMES), values)
def test_other_values_have_another_digest(name: str, value: Any) -> None:
    try:
        changed = EXAMPLE.resolve({name: value})
    except BadParameters:
        return
    first = EXAMPLE.resolve({})
    assert (digest(changed) == digest(first)) is (canonical_json(changed) == canonical_json(first))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"wole": 1}, r"lab\.example: unknown key 'wole'\. Did you mean 'whole'\? Known: choice, "),
        ({3: 1}, r"unknown key 3\. Known: "),
        ({"whole": True}, r"lab\.example\.whole = True: expected a number"),
        ({"whole": 1.5}, "whole = 1.5: expected a whole number"),
        ({"whole": 10}, r"must be in \[-3, 9\]$"),
        ({"share": 100.5}, r"must be in \[0, 100\] %$"),
        ({"share": math.nan}, "expected a number"),
        ({"share": math.inf}, "expected a number"),
        ({"share": "1"}, "expected a number"),
        ({"whole": 10**400}, "too large"),
        ({"flag": 1}, "expected true or false"),
        ({"word": 1}, "expected text"),
        ({"choice": "blue"}, "expected one of 'red', 1, True"),
        ({"pair": [0.5]}, "expected 2 values"),
        ({"pair": 0.5}, "expected a list"),
        ({"many": [1, 256]}, r"must be in \[0, 255\]"),
        ({"names": ["a"]}, "expected a mapping"),
        ({"word": None}, "expected text"),
        ({"either": None}, "a value is needed"),
    ],
)
def test_a_wrong_value_is_refused_by_name(given: dict[Any, Any], words: str) -> None:
    with pytest.raises(BadParameters, match=words):
        EXAMPLE.resolve(given)


def test_a_number_is_never_taken_for_a_flag_nor_a_flag_for_a_number() -> None:
    assert EXAMPLE.resolve({"choice": 1.0})["choice"] == 1
    assert EXAMPLE.resolve({"choice": True})["choice"] is True
    assert EXAMPLE.resolve({"either": True})["either"] is True
    assert EXAMPLE.resolve({"either": 1})["either"] is not True


def no_star(scene: Any, a: float = 0.5) -> None: ...
def no_scene(*, a: float = 0.5) -> None: ...
def no_type(scene: Any, *, a=0.5) -> None: ...  # type: ignore[no-untyped-def]
def no_default(scene: Any, *, a: float) -> None: ...
def wrong_default(scene: Any, *, a: Percent = 101) -> None: ...
def bare_list(scene: Any, *, a: list[int] | None = None) -> None: ...
def array(scene: Any, *, a: np.ndarray | None = None) -> None: ...
def unknown_type(scene: Any, *, a: Nothing = 0) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (no_star, "keyword-only parameters; it takes: scene, a"),
        (no_scene, "it takes: no scene"),
        (no_type, "'a' needs a type and a default"),
        (no_default, "'a' needs a type and a default"),
        (wrong_default, r"lab\.one\.a = 101: must be in \[0, 100\] %"),
        (bare_list, "'a': parameters of type list"),
        (array, "'a': parameters of type .*ndarray"),
        (unknown_type, "'Nothing'"),
    ],
)
def test_a_wrong_declaration_shows_at_once(function: Callable[..., Any], words: str) -> None:
    with pytest.raises(BadParameters, match=words):
        one(function)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Parameters as a record that checks itself."""

    low: Annotated[int, Within(0)] = 1
    high: int = 2
    many: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low = {self.low} lies above high = {self.high}")


def test_a_record_is_built_and_checks_itself() -> None:
    declared = parameters_of("lab.record", lambda scene, parameters: None, Record)
    assert declared.built(declared.resolve({"many": [1, 2]})) == Record(many=(1, 2))
    with pytest.raises(BadParameters, match=r"lab\.record: low = 3 lies above high = 2"):
        declared.built(declared.resolve({"low": 3}))


def test_without_a_record_the_functions_get_keywords() -> None:
    assert Parameters("lab.none", ()).built({"a": 1}) == {"a": 1}


@given(values)
def test_text_of_the_command_line_is_json_where_it_can_be(value: Any) -> None:
    assert parse_text(json.dumps(value)) == value


@pytest.mark.parametrize("text", ["lis-1.11", "", "[1, 2", "1" * 5000, "[" * 100_000, "tRue"])
def test_other_text_is_itself(text: str) -> None:
    assert parse_text(text) == text
