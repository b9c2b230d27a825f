"""Published JSON Schemas: generated from the declarations of the chains, and tested to be fresh."""

from __future__ import annotations

import json
from pathlib import Path

from thalweg.registry import list_chains

BUILT_IN = "built in"


def published_schemas() -> dict[str, str]:
    """Chain name to the text of the schema of its parameters, for every chain that is built in."""
    return {
        listing.chain.name: json.dumps(listing.chain.parameters.schema(), indent=2) + "\n"
        for listing in list_chains()
        if listing.chain and listing.origin == BUILT_IN
    }


def write_schemas(folder: Path) -> list[Path]:
    """Write ``<folder>/<chain>/schema.json`` of every built-in chain."""
    written = []
    for name, text in published_schemas().items():
        path = folder / name / "schema.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        written.append(path)
    return written
