"""Forms: what the products of a chain have in common is stored once, which makes the catalogue three times smaller.

A form is the part of an item that describes rather than identifies: bands, classes and titles of the assets, licence,
software, parameters. Which part that is follows from the item alone, so that form and rest are the same whoever enters
the item, and after whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]

_OF_ITEM = frozenset({"type", "stac_version", "stac_extensions"})
_OF_PROPERTIES = frozenset(
    {
        *("attribution", "constellation", "gsd", "instruments", "license", "version"),
        *("processing:facility", "processing:level", "processing:software", "processing:version"),
        *("thalweg:campaign", "thalweg:maturity", "thalweg:parameter_digest", "thalweg:run"),
    }
)
_OF_RECIPE = frozenset({"chain", "version", "parameters", "changed"})
_OF_ONE_ASSET = frozenset(
    {"href", "file:size", "file:checksum", "proj:bbox", "proj:code", "proj:shape", "proj:transform"}
)
_RECIPE = "processing:expression"


def split(item: Mapping[str, Any]) -> tuple[Object, Object]:
    """The form of an item and the rest; `join` puts them together again.

    The item must have objects where items of ours have objects: `properties`, their recipe, `assets` and each of them.
    """
    form, rest = _parted(item, _OF_ITEM)
    form["properties"], rest["properties"] = _parted(item["properties"], _OF_PROPERTIES)
    expression = item["properties"][_RECIPE]
    shared, own = _parted(expression["expression"], _OF_RECIPE)
    form["properties"][_RECIPE] = {"expression": shared}
    rest["properties"][_RECIPE] = {**expression, "expression": own}
    parts = {key: _parted(asset, _OF_ONE_ASSET) for key, asset in item["assets"].items()}
    form["assets"] = {key: shared for key, (_, shared) in parts.items()}
    rest["assets"] = {key: own for key, (own, _) in parts.items()}
    return form, rest


def join(form: Mapping[str, Any], rest: Mapping[str, Any]) -> Object:
    """The item of a form and a rest; what it takes from the form it shares with other items of that form."""
    both = {**form, **rest}
    for key in form.keys() & rest.keys():
        both[key] = join(form[key], rest[key])
    return both


def _parted(fields: Mapping[str, Any], chosen: frozenset[str]) -> tuple[Object, Object]:
    """The chosen fields, and the others."""
    inside = {key: fields[key] for key in chosen if key in fields}
    return inside, {key: value for key, value in fields.items() if key not in chosen}
