"""Small strict YAML: every scalar is text that its reader interprets, every key is known, every error has a line.

YAML 1.1 turns ``no`` into false, ``12:30`` into 750 and ``2021-13-45`` into an exception; here nothing turns into
anything. Anchors and aliases are refused, for they let ten lines mean a billion.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import yaml

from thalweg.errors import BadInput
from thalweg.readers.facts import brief, number, whole
from thalweg.readers.xmlfile import read_metadata

MAX_BYTES = 2**20
"""The largest YAML that is read: pure Python parses 1 MB in seconds."""


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping of a YAML file that knows where it stands."""

    file: str
    """How messages call the file."""
    name: str
    """Dotted name of the section; empty at the top."""
    values: Mapping[str, yaml.Node]
    """Key to value."""
    lines: Mapping[str, int]
    """Key to line, from 1."""

    def where(self, key: str) -> str:
        """File, line and key, for messages."""
        line = f":{self.lines[key]}" if key in self.lines else ""
        return f"{self.file}{line}: {self.name}{'.' if self.name else ''}{key}"

    def check_keys(self, known: Iterable[str]) -> None:
        """Refuse a key that is not known, naming the nearest that is."""
        known = tuple(known)
        for key in self.values:
            if key not in known:
                raise unknown(f"{self.file}:{self.lines[key]}", "key", key, known)

    def text(self, key: str) -> str | None:
        """The text of a key, or None where it is absent or empty."""
        node = self.values.get(key)
        if node is None:
            return None
        if not isinstance(node, yaml.ScalarNode):
            raise BadInput(f"{self.where(key)}: one value is wanted, not a list or a mapping")
        return None if node.value in ("", "~", "null") else str(node.value)

    def number(self, key: str, low: float, high: float) -> float | None:
        """The number of a key, or None where it is absent."""
        text = self.text(key)
        return None if text is None else number(text, self.where(key), low, high)

    def whole(self, key: str, low: int, high: int) -> int | None:
        """The whole number of a key, or None where it is absent."""
        text = self.text(key)
        return None if text is None else whole(text, self.where(key), low, high)

    def section(self, key: str) -> Section | None:
        """The mapping of a key, or None where it is absent."""
        node = self.values.get(key)
        return None if node is None else _section(node, self.file, self._inside(key), self.where(key))

    def sections(self, key: str) -> list[Section]:
        """The mappings of a key that holds one mapping or a list of them."""
        node = self.values.get(key)
        if node is None:
            return []
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        return [_section(entry, self.file, self._inside(key), self.where(key)) for entry in nodes]

    def texts(self, key: str) -> list[str]:
        """The texts of a key that holds a list; one value is a list of one, an absent key an empty list."""
        node = self.values.get(key)
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [] if node is None else [node]
        if not all(isinstance(entry, yaml.ScalarNode) for entry in nodes):
            raise BadInput(f"{self.where(key)}: a list of plain values is wanted")
        return [str(entry.value) for entry in nodes]

    def is_mapping(self, key: str) -> bool:
        """True where the key holds a mapping."""
        return isinstance(self.values.get(key), yaml.MappingNode)

    def is_list(self, key: str) -> bool:
        """True where the key holds a list."""
        return isinstance(self.values.get(key), yaml.SequenceNode)

    def _inside(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key


def read_yaml(path: Path) -> Section:
    """The mapping at the top of a YAML file; BadInput where it is not YAML, no mapping, or uses anchors."""
    content = read_metadata(path, str(path), MAX_BYTES)
    try:
        node = yaml.compose(content, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise BadInput(f"{path}: is no readable YAML: {' '.join(str(problem).split())[:200]}") from None
    if node is None:
        raise BadInput(f"{path}: is empty")
    return _section(node, str(path), "", str(path))


def unknown(where: str, what: str, value: str, known: Iterable[str]) -> BadInput:
    """The error for a word that is not among the known ones."""
    known = tuple(known)
    near = get_close_matches(value, known, 1, 0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return BadInput(f"{where}: unknown {what} {brief(value)}.{hint} Known: {', '.join(known)}.")


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # the package yaml is untyped
    """Composes nodes only; an alias is an error."""

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"aliases are not used here, line {self.peek_event().start_mark.line + 1}")
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def _section(node: yaml.Node, file: str, name: str, where: str) -> Section:
    if not isinstance(node, yaml.MappingNode):
        raise BadInput(f"{where}: a mapping (key: value) is wanted")
    values: dict[str, yaml.Node] = {}
    lines: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise BadInput(f"{file}:{line}: a key must be a plain word")
        if key.value in values:
            raise BadInput(f"{file}:{line}: key {brief(key.value)} is given twice")
        values[key.value], lines[key.value] = value, line
    return Section(file, name, values, lines)
