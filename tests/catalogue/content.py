"""What a catalogue holds, in a form that two of them can be compared in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thalweg.catalogue import Catalogue, Ending


def content(path: Path) -> tuple[list[dict[str, Any]], list[Ending]]:
    """Every item as a search gives it, and every ending; where the file lies is left out."""
    with Catalogue.open(path, read_only=True) as catalogue:
        items = [{**item, "links": item["links"][1:]} for item in catalogue.search()]
        return items, catalogue.endings()


def ids(items: list[dict[str, Any]]) -> list[str]:
    """Ids, in order."""
    return [item["id"] for item in items]
