"""Validation of STAC documents without a network: the core schemas of pystac, and ours of the extensions."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator  # type: ignore[import-untyped]
from referencing import Registry
from referencing.jsonschema import DRAFT7

CORE = "https://schemas.stacspec.org/v1.1.0"
EXTENSIONS = Path(__file__).parent / "schemas"


def errors(document: dict[str, Any]) -> list[str]:
    """What is wrong with an item or a collection, by the core schema and by that of each extension it names."""
    kind = "collection" if document["type"] == "Collection" else "item"
    schemas = [f"{CORE}/{kind}-spec/json-schema/{kind}.json", *document["stac_extensions"]]
    return [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]} ({schema})"
        for schema in schemas
        for error in _validator(schema).iter_errors(document)
    ]


@cache
def _validator(schema: str) -> Draft7Validator:
    return Draft7Validator(_registry().contents(schema), registry=_registry())


@cache
def _registry() -> Registry[Any]:
    shipped = files("pystac") / "validation" / "jsonschemas"
    core = shipped / "stac-spec" / "v1.1.0"
    found = {f"https://geojson.org/schema/{file.name}": file for file in (shipped / "geojson").iterdir()}
    for folder in ("item-spec", "collection-spec"):
        found |= {f"{CORE}/{folder}/json-schema/{file.name}": file for file in core.iterdir()}
    schemas = {url: _load(file) for url, file in found.items() if file.name.endswith(".json")}
    # The ids inside the core schemas are not all where others refer to them.
    schemas = {url: {**schema, "$id": url} for url, schema in schemas.items()}
    schemas |= {schema["$id"]: schema for schema in map(_load, sorted(EXTENSIONS.glob("*.json")))}
    resources = [(url, DRAFT7.create_resource(schema)) for url, schema in schemas.items()]
    registry: Registry[Any] = Registry()
    return registry.with_resources(resources)


def _load(file: Traversable | Path) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema
