"""MTL metadata of Landsat products: groups of keys, in XML, JSON or ODL text; the three say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from thalweg.errors import BadInput
from thalweg.readers.facts import number
from thalweg.readers.listing import Listing
from thalweg.readers.stacitem import parse_json
from thalweg.readers.xmlfile import read_metadata, read_xml

ROOT = "LANDSAT_METADATA_FILE"
"""Name of the whole."""

_FILES = {
    ".xml": re.compile(r"[^/]*_MTL\.xml", re.IGNORECASE),
    ".json": re.compile(r"[^/]*_MTL\.json", re.IGNORECASE),
    ".txt": re.compile(r"[^/]*_MTL\.txt", re.IGNORECASE),
}
_KEY = re.compile(r"\w+", re.ASCII)

Groups = Mapping[str, Mapping[str, str]]
"""Group to key to text; equal keys of two groups (there are many) are two things."""


@dataclass(frozen=True, slots=True)
class Mtl:
    """The metadata of a Landsat product."""

    label: str
    """How messages call the file."""
    groups: Groups
    """Its content."""

    def text(self, group: str, key: str) -> str | None:
        """The text of a key, or None where it is absent or blank."""
        return self.groups.get(group, {}).get(key, "").strip() or None

    def number(self, group: str, key: str, low: float, high: float) -> float | None:
        """The number of a key, or None where it is absent; BadInput where it is out of range."""
        text = self.text(group, key)
        return None if text is None else number(text, self.where(group, key), low, high)

    def where(self, group: str, key: str) -> str:
        """File, group and key, for messages."""
        return f"{self.label}: {group}/{key}"


def read_mtl(listing: Listing) -> Mtl | None:
    """The metadata of a product in the first form that it has, or None; BadInput where that is cut or is no MTL."""
    for suffix, pattern in _FILES.items():
        file = listing.only(pattern)
        path = listing.fetch(file) if file else None
        if file and path:
            label = listing.label(file)
            return Mtl(label, _READERS[suffix](path, label))
    return None


def _from_xml(path: Path, label: str) -> Groups:
    root = read_xml(path, label, ROOT).root
    return {group.tag: {entry.tag: entry.text or "" for entry in group} for group in root}


def _from_json(path: Path, label: str) -> Groups:
    content = parse_json(path, label)
    groups = content.get(ROOT) if isinstance(content, dict) else None
    if not isinstance(groups, dict) or not all(isinstance(group, dict) for group in groups.values()):
        raise BadInput(f"{label}: is a document without groups of keys in {ROOT}")
    return {
        name: {key: str(value) for key, value in group.items() if isinstance(value, str | int | float)}
        for name, group in groups.items()
    }


def _from_text(path: Path, label: str) -> Groups:
    """ODL: groups nest, the innermost one owns a key."""
    groups: dict[str, dict[str, str]] = {}
    inside: list[str] = []
    for line, key, value in _lines(path, label):
        if key == "GROUP":
            inside.append(value)
        elif key == "END_GROUP" and inside[-1:] == [value]:
            inside.pop()
        elif key == "END_GROUP" or not inside:
            raise BadInput(f"{label}:{line}: {key} = {value[:40]!r} does not belong here")
        else:
            groups.setdefault(inside[-1], {})[key] = value
    if inside or not groups:
        raise BadInput(f"{label}: is cut, or no {ROOT}")
    return groups


def _lines(path: Path, label: str) -> Iterator[tuple[int, str, str]]:
    """Number, key and value of each line up to the word END."""
    text = read_metadata(path, label).decode("utf-8", errors="replace")
    for line, content in enumerate(text.splitlines(), start=1):
        key, sign, value = (part.strip() for part in content.partition("="))
        if key == "END" and not sign:
            return
        if sign and _KEY.fullmatch(key):
            yield line, key, value.strip('"')
        elif key or sign:
            raise BadInput(f"{label}:{line}: {content[:40]!r} is not of the form KEY = VALUE")


_READERS = {".xml": _from_xml, ".json": _from_json, ".txt": _from_text}
