"""Frozen values from plain data of unknown origin, and back: every key known, every value of its declared type."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from thalweg.errors import BadParameters
from thalweg.parameters import suggest

T = TypeVar("T")

_Check = Callable[[Any, str], Any]
"""Takes a plain value and the name of its field, gives the value in its declared type."""


def read_record(kind: type[T], data: Any, where: str = "") -> T:
    """The dataclass `kind` from a mapping as JSON or YAML have it; lists become tuples, mappings become dataclasses.

    A field may be a dataclass, text, a finite number, a truth value, a choice of texts, None, any value, or a tuple or
    mapping of these. Raises BadParameters that names the field as ``where.field``, and the nearest known key.
    """
    fields = _fields(kind)  # type: ignore[arg-type]  # mypy does not know that a class can be hashed
    if not isinstance(data, Mapping):
        raise BadParameters(f"{where or kind.__name__}: expected a mapping, not {_shown(data)}")
    for key in data:
        if key not in fields:
            raise BadParameters(
                f"{_inside(where, key)}: unknown key {key!r}. {suggest(str(key), list(fields))}"
            )
    values = {}
    for name, (check, needed) in fields.items():
        if name in data:
            values[name] = check(data[name], _inside(where, name))
        elif needed:
            raise BadParameters(f"{_inside(where, name)}: is missing")
    try:
        return kind(**values)
    except ValueError as problem:
        raise BadParameters(f"{where or kind.__name__}: {problem}") from problem


def plain_record(value: Any) -> Any:
    """A dataclass, or whatever holds some, as mappings with text for keys, lists and plain values."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain_record(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain_record(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_record(item) for item in value]
    return value


@cache
def _fields(kind: type[Any]) -> dict[str, tuple[_Check, bool]]:
    """Every field of a dataclass: what checks it, and whether it must be given."""
    hints = get_type_hints(kind)
    return {
        field.name: (
            _check(hints[field.name]),
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(kind)
    }


def _check(hint: Any) -> _Check:
    origin, arguments = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        return lambda value, where: read_record(hint, value, where)  # type: ignore[arg-type]  # it is a class here
    if origin in (Union, UnionType):
        return _check_optional(hint, arguments)
    if origin is Literal:
        return _check_choice(arguments)
    if origin is tuple and arguments[1:] == (Ellipsis,):
        return _check_list(_check(arguments[0]))
    if origin is not None and issubclass(origin, Mapping):
        return _check_mapping(_check(arguments[1]))
    return _check_scalar(hint)


def _check_optional(hint: Any, arguments: tuple[Any, ...]) -> _Check:
    kinds = [argument for argument in arguments if argument is not NoneType]
    if len(kinds) != 1:
        raise TypeError(f"a record's field has one type, and may be None: not {hint}")
    inner = _check(kinds[0])
    return lambda value, where: None if value is None else inner(value, where)


def _check_choice(choices: tuple[Any, ...]) -> _Check:
    def check(value: Any, where: str) -> Any:
        if not isinstance(value, str) or value not in choices:
            raise BadParameters(f"{where}: {_shown(value)}: expected one of {', '.join(choices)}")
        return value

    return check


def _check_list(inner: _Check) -> _Check:
    def check(value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise BadParameters(f"{where}: expected a list, not {_shown(value)}")
        return tuple(inner(item, f"{where}[{index}]") for index, item in enumerate(value))

    return check


def _check_mapping(inner: _Check) -> _Check:
    def check(value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise BadParameters(f"{where}: expected a mapping with text for keys, not {_shown(value)}")
        return {key: inner(item, _inside(where, key)) for key, item in value.items()}

    return check


def _check_scalar(hint: Any) -> _Check:
    if hint is Any:
        return lambda value, where: value
    word = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}[hint]
    accepted = (int, float) if hint is float else (hint,)

    def check(value: Any, where: str) -> Any:
        # True is a number to Python, and to nobody else.
        if type(value) not in accepted or (type(value) is float and not math.isfinite(value)):
            raise BadParameters(f"{where}: expected {word}, not {_shown(value)}")
        return hint(value)

    return check


def _inside(where: str, name: object) -> str:
    return f"{where}.{name}" if where else str(name)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
