"""Where a granule that is known by its STAC item lies on disk: a template that the campaign gives."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from string import Formatter

from thalweg.errors import BadInput, BadParameters
from thalweg.parameters import suggest

WORDS = ("id", "tile", "year", "month", "day")
"""What stands in braces in a template."""

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,250}")
"""Ids that may become part of a path: an item's id is a stranger's text."""

_TILE = re.compile(r"[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True, slots=True)
class Place:
    """A checked template, such as ``archive/{tile}/{year}/{id}.SAFE``."""

    template: str
    """The template."""

    def __post_init__(self) -> None:
        try:
            words = [name for _, name, _, _ in Formatter().parse(self.template) if name is not None]
        except ValueError as problem:
            raise BadParameters(f"inputs.path = {self.template!r}: {problem}") from None
        for word in words:
            if word not in WORDS:
                raise BadParameters(f"inputs.path: unknown word {{{word}}}. {suggest(word, list(WORDS))}")
        if "id" not in words:
            raise BadParameters(f"inputs.path = {self.template!r}: without {{id}} all granules would be one")

    def of(self, id: str, tile: str, sensed: datetime) -> str:
        """The path of a granule; BadInput where its id or tile cannot be part of one."""
        if not ID.fullmatch(id) or not _TILE.fullmatch(tile):
            raise BadInput(f"item {id[:80]!r} of tile {tile[:40]!r}: these cannot be part of a path")
        day = {"year": f"{sensed:%Y}", "month": f"{sensed:%m}", "day": f"{sensed:%d}"}
        return self.template.format(id=id, tile=tile, **day)

    def parts(self) -> list[tuple[str, str | None]]:
        """Text and the word that follows it, in order."""
        return [(text, word) for text, word, _, _ in Formatter().parse(self.template)]
