"""JSON Schema of records: made from their fields, types, defaults and the line that documents each field."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Mapping
from itertools import pairwise
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from thalweg.record import plain_record

_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}


def record_schema(kind: type[Any], title: str) -> dict[str, Any]:
    """The schema of a file that holds one record; unknown keys are refused as the reader refuses them."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **_object(kind)}


def _object(kind: type[Any]) -> dict[str, Any]:
    hints, notes = get_type_hints(kind), field_notes(kind)
    fields = dataclasses.fields(kind)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            field.name: {
                **_schema(hints[field.name]),
                "description": notes.get(field.name, ""),
                **_default(field),
            }
            for field in fields
        },
        "additionalProperties": False,
    }
    required = [field.name for field in fields if not _default(field) and _is_needed(field)]
    return {**schema, "required": required} if required else schema


def _schema(hint: Any) -> dict[str, Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _object(hint)  # type: ignore[arg-type]  # it is a class here
    if origin in (Union, UnionType):
        kinds = [argument for argument in arguments if argument is not NoneType]
        return {"anyOf": [*map(_schema, kinds), {"type": "null"}]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0])}
    if origin is not None and issubclass(origin, Mapping):
        inner = arguments[1]
        return {"type": "object", **({} if inner is Any else {"additionalProperties": _schema(inner)})}
    return {} if hint is Any else {"type": _SCALARS[hint]}


def _default(field: dataclasses.Field[Any]) -> dict[str, Any]:
    if field.default is dataclasses.MISSING:
        return {}
    return {"default": plain_record(field.default)}


def _is_needed(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def field_notes(kind: type[Any]) -> dict[str, str]:
    """The text below each field of a class."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    notes: dict[str, str] = {}
    for field, note in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(note, ast.Expr)
        ):
            text = note.value.value if isinstance(note.value, ast.Constant) else ""
            notes[field.target.id] = " ".join(str(text).split())
    return notes
