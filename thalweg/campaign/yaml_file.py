"""YAML files of operators: read strictly into frozen values, every error with its file, line and field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from thalweg.errors import BadParameters, MissingInput
from thalweg.record import read_record

T = TypeVar("T")

_LARGEST = 8 << 20
_FIELD = re.compile(r"[^:\s]+")
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


@dataclass(frozen=True, slots=True)
class Document:
    """The content of a YAML file."""

    file: str
    """How messages call the file."""
    content: Any
    """Mappings, lists and plain values."""
    lines: dict[str, int]
    """Line of every field, from 1, by its name as `read_record` says it, such as ``chains[0].set.dz``."""

    def read(self, kind: type[T]) -> T:
        """The content as a record; BadParameters names file, line and field."""
        try:
            return read_record(kind, self.content)
        except BadParameters as problem:
            raise BadParameters(f"{self._where(problem.message)}: {problem.message}") from problem

    def _where(self, message: str) -> str:
        """File and line of the field that a message begins with, or of the innermost field around it."""
        found = _FIELD.match(message)
        name = found[0] if found else ""
        while name and name not in self.lines:
            name = name[: max(name.rfind("."), name.rfind("["), 0)]
        return f"{self.file}:{self.lines[name]}" if name else self.file


def read_yaml_file(path: Path, as_written: frozenset[str] = frozenset()) -> Document:
    """The content of a YAML file; values of the keys `as_written` stay text, whatever they look like.

    Dates stay text everywhere. Raises MissingInput where there is no such file, BadParameters where it is no YAML, a
    key is given twice, or it uses anchors, with which ten lines can mean a billion.
    """
    text = _text(path)
    try:
        node = yaml.compose(text, Loader=_Loader)
        if node is None:
            raise BadParameters(f"{path}: is empty")
        reading = _Reading(str(path), as_written, {})
        return Document(str(path), reading.value(node, "", False), reading.lines)
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        said = " ".join(str(problem).split())[:200]
        raise BadParameters(f"{path}: is no readable YAML: {said}") from None


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise BadParameters(f"{path}: more than {_LARGEST >> 20} MB")
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise MissingInput(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise BadParameters(f"{path}: cannot be read: {problem}") from problem


@dataclass(frozen=True, slots=True)
class _Reading:
    """Turns nodes into values and notes where they stood."""

    file: str
    as_written: frozenset[str]
    lines: dict[str, int]

    def value(self, node: yaml.Node, name: str, written: bool) -> Any:
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, name))
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, f"{name}[{at}]", written) for at, item in enumerate(node.value)]
        if written and node.value not in ("", "~", "null"):
            return str(node.value)
        return _Loader("").construct_object(node)

    def _pairs(self, node: yaml.MappingNode, name: str) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise BadParameters(f"{self.file}:{line}: a key must be a plain word")
            if key.value in seen:
                raise BadParameters(f"{self.file}:{line}: key {key.value!r} is given twice")
            seen.add(key.value)
            inside = f"{name}.{key.value}" if name else str(key.value)
            self.lines[inside] = line
            yield str(key.value), self.value(value, inside, key.value in self.as_written)

    def _item(self, node: yaml.Node, name: str, written: bool) -> Any:
        self.lines[name] = node.start_mark.line + 1
        return self.value(node, name, written)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # the package yaml is untyped
    """Knows no dates and no aliases."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the parent's own form
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"aliases are not used here, line {self.peek_event().start_mark.line + 1}")
        node: yaml.Node | None = super().compose_node(parent, index)
        return node
