"""Parameters of a chain: declared once by type, default and range; checked, described and digested from there."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Real
from types import NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from thalweg.errors import BadParameters


@dataclass(frozen=True, slots=True)
class Within:
    """The valid range of a number (or of every number of a list), and what the parameter means."""

    low: float = -math.inf
    """Smallest valid value."""
    high: float = math.inf
    """Largest valid value."""
    unit: str = ""
    """Unit, empty where there is none."""
    note: str = ""
    """One sentence for people."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One keyword of a chain."""

    name: str
    """The keyword."""
    type: Any
    """Its annotation, without the range."""
    default: Any
    """Value when the user gives none."""
    within: Within = Within()
    """Range, unit and meaning."""

    def check(self, value: Any, chain: str) -> Any:
        """The value in the declared type; BadParameters names the parameter, the value and what is valid."""
        try:
            return _coerce(value, self.type, self.within)
        except (ValueError, OverflowError) as problem:
            raise BadParameters(f"{chain}.{self.name} = {value!r}: {problem}") from None

    def schema(self) -> dict[str, Any]:
        """JSON Schema of the parameter."""
        schema = _schema(self.type, self.within)
        if self.within.note:
            schema["description"] = self.within.note
        if self.within.unit:
            schema["unit"] = self.within.unit
        schema["default"] = plain(self.default)
        return schema


@dataclass(frozen=True, slots=True)
class Parameters:
    """Every parameter of a chain, in the order of declaration."""

    chain: str
    """Name of the chain, for messages."""
    declared: tuple[Parameter, ...]
    """The parameters."""
    build: Callable[..., Any] | None = None
    """Makes the object that the chain's functions receive, or None where they receive keywords."""

    def resolve(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Checked values of all parameters, defaults filled in; an unknown key names the nearest known one."""
        known = {parameter.name: parameter for parameter in self.declared}
        for key in given:
            if key not in known:
                raise BadParameters(f"{self.chain}: unknown key {key!r}. {suggest(key, known)}")
        return {
            name: parameter.check(given[name], self.chain) if name in given else parameter.default
            for name, parameter in known.items()
        }

    def built(self, values: Mapping[str, Any]) -> Any:
        """Resolved values in the form that the chain's functions receive; what a record refuses is BadParameters."""
        if self.build is None:
            return values
        try:
            return self.build(**values)
        except ValueError as problem:
            raise BadParameters(f"{self.chain}: {problem}") from problem

    def schema(self) -> dict[str, Any]:
        """JSON Schema of a parameter file of this chain."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": f"Parameters of the chain '{self.chain}'",
            "type": "object",
            "properties": {parameter.name: parameter.schema() for parameter in self.declared},
            "additionalProperties": False,
        }


def parameters_of(chain: str, function: Callable[..., Any], record: type | None) -> Parameters:
    """The parameters that a chain declares: the fields of `record`, else the keyword-only arguments of `function`.

    Raises BadParameters for one without type or default, of a type that no parameter can have, or with a default that
    is not valid itself.
    """
    try:
        defaults, hints = _fields(record) if record is not None else _keywords(chain, function)
    except NameError as problem:
        raise BadParameters(f"chain {chain!r}: a parameter's type cannot be resolved: {problem}") from problem
    for name, default in defaults.items():
        if default is inspect.Parameter.empty or name not in hints:
            raise BadParameters(f"chain {chain!r}: parameter {name!r} needs a type and a default")
    declared = (_declare(chain, name, hints[name], default) for name, default in defaults.items())
    return Parameters(chain, tuple(declared), record)


def digest(values: Mapping[str, Any]) -> str:
    """SHA-256 of resolved parameters, as hexadecimal digits; equal values give equal digests."""
    return hashlib.sha256(canonical_json(values).encode()).hexdigest()


def canonical_json(values: Any) -> str:
    """JSON with sorted keys and no spaces: the form that digests are taken of."""
    return json.dumps(plain(values), sort_keys=True, separators=(",", ":"), allow_nan=False)


def suggest(key: str, known: Mapping[str, Any] | list[str]) -> str:
    """A hint for an unknown key: the nearest known one, and all of them."""
    near = get_close_matches(str(key), list(known), n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return f"{hint}Known: {', '.join(sorted(known))}."


def parse_text(text: str) -> Any:
    """The value that a ``key=value`` of the command line means: JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def plain(value: Any) -> Any:
    """The value as JSON and YAML have it: mappings with text for keys, lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _fields(record: type) -> tuple[dict[str, Any], dict[str, Any]]:
    """Defaults and annotations of a record's fields."""
    defaults = {field.name: _default_of(field) for field in dataclasses.fields(record)}
    return defaults, get_type_hints(record, include_extras=True)


def _keywords(chain: str, function: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Defaults and annotations of keyword-only arguments."""
    arguments = inspect.signature(function).parameters
    positional = [
        name
        for name, word in arguments.items()
        if word.kind in (word.POSITIONAL_ONLY, word.POSITIONAL_OR_KEYWORD)
    ]
    if len(positional) != 1:
        raise BadParameters(
            f"chain {chain!r}: its function takes one scene, then keyword-only parameters; it takes: "
            f"{', '.join(positional) or 'no scene'}",
            advice="Write `def chain(scene, *, parameter: float = 0.5)`: the star makes the rest keyword-only.",
        )
    words = {name: word for name, word in arguments.items() if word.kind is word.KEYWORD_ONLY}
    written = inspect.unwrap(function)
    # The scene's own annotation is left alone: a Dataset that only a type checker imports cannot be resolved.
    annotations = {name: hint for name, hint in written.__annotations__.items() if name in words}
    hints = get_type_hints(
        SimpleNamespace(__annotations__=annotations), written.__globals__, include_extras=True
    )
    return {name: word.default for name, word in words.items()}, hints


def _declare(chain: str, name: str, hint: Any, default: Any) -> Parameter:
    kind, within = _ranged(hint, Within())
    try:
        _schema(kind, within)
    except ValueError as problem:
        raise BadParameters(f"chain {chain!r}: parameter {name!r}: {problem}") from None
    parameter = Parameter(name, kind, default, within)
    # A default of 1 and a given 1.0 must be one value with one digest.
    return dataclasses.replace(parameter, default=parameter.check(default, chain))


def _ranged(hint: Any, within: Within) -> tuple[Any, Within]:
    """An annotation without its range, and that range; `within` where it has none of its own."""
    if get_origin(hint) is not Annotated:
        return hint, within
    kind, *extras = get_args(hint)
    return kind, next((extra for extra in extras if isinstance(extra, Within)), within)


def _default_of(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return inspect.Parameter.empty


def _coerce(value: Any, hint: Any, within: Within) -> Any:
    kind, within = _ranged(hint, within)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _coerce_union(value, arguments, within)
    if origin is Literal:
        return _coerce_choice(value, arguments)
    if origin is tuple:
        return _coerce_tuple(value, arguments, within)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ValueError("expected a mapping")
        return {
            _coerce(k, arguments[0], Within()): _coerce(v, arguments[1], within) for k, v in value.items()
        }
    return _coerce_scalar(value, kind, within)


def _coerce_union(value: Any, kinds: tuple[Any, ...], within: Within) -> Any:
    if value is None:
        if NoneType in kinds:
            return None
        raise ValueError("a value is needed")
    problem = ValueError("no type fits")
    for kind in kinds:
        if kind is not NoneType:
            try:
                return _coerce(value, kind, within)
            except ValueError as error:
                problem = error
    raise problem


def _coerce_choice(value: Any, choices: tuple[Any, ...]) -> Any:
    for choice in choices:
        # True equals 1, and means something else.
        if choice == value and isinstance(choice, bool) is isinstance(value, bool):
            return choice
    raise ValueError(f"expected one of {', '.join(map(repr, choices))}")


def _coerce_tuple(value: Any, kinds: tuple[Any, ...], within: Within) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("expected a list")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_coerce(item, kinds[0], within) for item in value)
    if len(value) != len(kinds):
        raise ValueError(f"expected {len(kinds)} values")
    return tuple(_coerce(item, kind, within) for item, kind in zip(value, kinds, strict=True))


def _coerce_scalar(value: Any, kind: Any, within: Within) -> Any:
    if kind is bool or kind is str:
        if not isinstance(value, kind):
            raise ValueError(f"expected {'true or false' if kind is bool else 'text'}")
        return value
    if not _is_number(value):
        raise ValueError("expected a number")
    if kind is int and value != int(value):
        raise ValueError("expected a whole number")
    if not within.low <= value <= within.high:
        raise ValueError(
            f"must be in [{within.low:g}, {within.high:g}]{' ' + within.unit if within.unit else ''}"
        )
    return kind(value) + kind(0)  # -0.0 is 0.0: equal values have equal digests


def _is_number(value: Any) -> bool:
    # Any real number will do: those of numpy are what notebooks have.
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def _schema(hint: Any, within: Within) -> dict[str, Any]:
    kind, within = _ranged(hint, within)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return {"anyOf": [_schema(argument, within) for argument in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return _tuple_schema(arguments, within)
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1], within)}
    names = {bool: "boolean", str: "string", int: "integer", float: "number", NoneType: "null"}
    if kind not in names:
        raise ValueError(f"parameters of type {kind!r} are not supported")
    schema: dict[str, Any] = {"type": names[kind]}
    if kind in (int, float):
        schema.update({"minimum": within.low} if math.isfinite(within.low) else {})
        schema.update({"maximum": within.high} if math.isfinite(within.high) else {})
    return schema


def _tuple_schema(kinds: tuple[Any, ...], within: Within) -> dict[str, Any]:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return {"type": "array", "items": _schema(kinds[0], within)}
    items = [_schema(kind, within) for kind in kinds]
    return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
