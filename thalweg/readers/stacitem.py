"""A STAC item as JSON, read without trust: types are checked where a value is asked for, never assumed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from thalweg.errors import BadInput
from thalweg.readers.facts import brief
from thalweg.readers.xmlfile import read_metadata

Json = Mapping[str, Any]
"""A JSON object."""

_MAX_ASSETS = 1000
_MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class StacItem:
    """A STAC item whose frame was checked, and the folder of files beside it."""

    path: Path
    """The item as the user gave it."""
    content: Json
    """All of it."""
    properties: Json
    """Its properties."""
    assets: Mapping[str, Json]
    """Key to asset."""

    @property
    def id(self) -> str:
        """Identifier of the item."""
        return str(self.content["id"])

    def where(self, name: str) -> str:
        """File and place, for messages."""
        return f"{self.path}: {name}"

    def first(self, *names: str) -> tuple[str, Any] | None:
        """Name and value of the first of these properties that the item has."""
        return next(
            ((name, self.properties[name]) for name in names if self.properties.get(name) is not None), None
        )

    def text(self, *names: str) -> str:
        """Text of the first of these properties that the item has; empty where it has none."""
        found = self.first(*names)
        return str(found[1]) if found and isinstance(found[1], str | int) else ""

    def staged(self, name: str | None) -> Path | None:
        """The file of this name beside the item, or beside the file that the item's link leads to."""
        if name is None:
            return None
        places = (self.path.parent, self.path.resolve().parent)
        return next((place / name for place in places if (place / name).exists()), None)


def read_item(path: Path) -> StacItem:
    """Parse a STAC item; BadInput where it is no JSON, no item, or its frame has wrong types."""
    content = parse_json(path)
    if not isinstance(content, dict) or not is_item(content):
        raise BadInput(f"{path}: is no STAC item (a Feature with stac_version and assets)", id="SNOW-IN-03")
    if not isinstance(content.get("id"), str) or not content["id"]:
        raise BadInput(f"{path}: id: is missing or no text")
    properties = content.get("properties")
    if not isinstance(properties, dict):
        raise BadInput(f"{path}: properties: is missing or no object")
    assets = content["assets"]
    if len(assets) > _MAX_ASSETS or not all(isinstance(asset, dict) for asset in assets.values()):
        raise BadInput(f"{path}: assets: holds something else than assets, or more than {_MAX_ASSETS}")
    return StacItem(path, content, properties, assets)


def parse_json(path: Path, label: str = "") -> object:
    """The content of a JSON file; BadInput where it is damaged. NaN and Infinity are no JSON.

    `label` is how messages call the file, where not by its path.
    """
    content = read_metadata(path, label or str(path))
    try:
        return json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError) as problem:
        raise BadInput(f"{label or path}: is no readable JSON: {str(problem)[:200]}") from None


def is_item(content: object) -> bool:
    """True where parsed JSON looks like a STAC item."""
    return (
        isinstance(content, dict)
        and content.get("type") == "Feature"
        and isinstance(content.get("stac_version"), str)
        and isinstance(content.get("assets"), dict)
    )


def file_name(href: object) -> str | None:
    """Last part of an address's path, which alone is looked for beside the item; None where it is no file name."""
    if not isinstance(href, str):
        return None
    try:
        name = unquote(urlsplit(href).path, errors="strict").rpartition("/")[2]
    except ValueError:
        return None
    if name in ("", ".", "..") or "\\" in name or not name.isprintable() or len(name.encode()) > _MAX_NAME:
        return None
    return name


def objects(value: object, where: str) -> Sequence[Json]:
    """A list of JSON objects; an absent one is empty."""
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise BadInput(f"{where}: {brief(value)} is not a list of objects")
    return value


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")
