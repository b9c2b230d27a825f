"""Entries: what the catalogue knows of an item without reading it again, and of a unit that ended without a product."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from thalweg.catalogue.form import split
from thalweg.errors import ENDINGS, BadInput, BadParameters
from thalweg.item import RECIPE, check_collection, item_file, read_item

_compact = json.JSONEncoder(
    check_circular=False, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


# No coordinate in degrees is larger; NaN and infinity are refused by the same comparison.
_FURTHEST = 360


class Entry(NamedTuple):
    """One item and the values that it is found by; times are text that sorts as time does (`sortable`)."""

    id: str
    """Id of the item."""
    collection: str
    """Id of its collection."""
    tile: str
    """Tile, without the T."""
    start: str
    """First instant."""
    until: str
    """Last instant, that of `start` for a single acquisition."""
    west: float
    """Western longitude, degrees; greater than `east` across 180 degrees."""
    south: float
    """Southern latitude, degrees."""
    east: float
    """Eastern longitude, degrees."""
    north: float
    """Northern latitude, degrees."""
    platform: str
    """Spacecraft, empty where unknown."""
    facility: str
    """Who made the product, empty where unknown."""
    unit: str
    """Identity of the unit."""
    chain: str
    """Name of the chain."""
    granule: str
    """Granule that the product was made from."""
    version: str
    """Version of the chain."""
    baseline: str | None
    """Processing baseline of the granule, None where unknown."""
    series: str
    """What stays the same when the product is made anew (`thalweg.catalogue.succession`), as a digest."""
    item: str
    """The item without its form, as JSON."""
    form: Mapping[str, Any]
    """What the item has in common with others (`thalweg.catalogue.form`)."""

    @classmethod
    def of(cls, item: Mapping[str, Any], source: str = "item") -> Entry:
        """The entry of an item of unknown origin; BadInput names `source` and the field that is wrong."""
        fields = _Fields(item, source)
        properties = fields.within("properties")
        recipe = _recipe(properties)
        granule = recipe.within("granule")
        fields.check_lists()
        fields.check_prototype(properties.text("thalweg:maturity"))
        start, until = _times(properties)
        form, rest = split(item)
        return cls(
            fields.name("id"),
            fields.name("collection"),
            granule.name("tile"),
            start,
            until,
            *_box(fields),
            properties.text("platform", ""),
            properties.text("processing:facility", ""),
            properties.text("thalweg:unit_id"),
            recipe.text("chain"),
            granule.text("id"),
            recipe.text("version"),
            granule.text("baseline", "") or None,
            _series(properties, recipe, granule, start, until),
            encoded(rest, source),
            form,
        )

    @property
    def file(self) -> str:
        """Where the item lies, relative to the destination."""
        return item_file(self.collection, self.tile, datetime.fromisoformat(self.start), self.id)


class Reader:
    """Looks at items of unknown origin one by one: what it lets through can be entered."""

    def __init__(self) -> None:
        # Most items have the form of the one before in their collection, which need not be looked at twice.
        self._forms: dict[str, Mapping[str, Any]] = {}

    def read(self, path: Path, item: Mapping[str, Any] | None = None) -> Entry:
        """The entry of the item in a file, or of `item` where it is at hand; BadInput names file and field."""
        entry = Entry.of(read_item(path) if item is None else item, str(path))
        if entry.form != self._forms.get(entry.collection):
            encoded(entry.form, str(path))
            self._forms[entry.collection] = entry.form
        return entry


def encoded(value: Mapping[str, Any] | list[Any], source: str) -> str:
    """JSON of one form for equal values; BadInput, naming `source`, where the value has none."""
    try:
        text = _compact(value)
        text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as problem:
        raise BadInput(f"{source}: is no JSON: {problem}") from None
    return text


@dataclass(frozen=True, slots=True)
class Ending:
    """How a unit ended that has no product."""

    unit: str
    """Identity of the unit; empty where it ended before that could be known."""
    chain: str
    """Name of the chain."""
    granule: str
    """Name of the granule, without folder and suffix."""
    kind: str
    """Class of the ending, one of `thalweg.errors.ENDINGS`."""
    message: str
    """What happened."""
    advice: str
    """What to do about it."""
    when: datetime
    """When it ended."""
    tile: str = ""
    """Tile, without the T; empty where unknown."""
    sensed: datetime | None = None
    """Start of sensing, None where unknown."""

    def __post_init__(self) -> None:
        if self.kind not in ENDINGS:
            raise BadParameters(f"ending of {self.granule}: {self.kind!r} is none of {', '.join(ENDINGS)}")

    @property
    def key(self) -> str:
        """What the ending is known by: the unit, else chain and granule."""
        return self.unit or f"{self.chain} {self.granule}"

    @property
    def row(self) -> tuple[str, ...]:
        """The values in the order of the columns."""
        sensed = sortable(self.sensed) if self.sensed else ""
        facts = (self.unit, self.chain, self.granule, self.kind, self.message, self.advice)
        return (self.key, *facts, sortable(self.when), self.tile, sensed)

    @classmethod
    def of_row(cls, row: tuple[str, ...]) -> Ending:
        """The ending that `row` describes."""
        _, unit, chain, granule, kind, message, advice, when, tile, sensed = row
        time = datetime.fromisoformat(sensed) if sensed else None
        return cls(unit, chain, granule, kind, message, advice, datetime.fromisoformat(when), tile, time)


def sortable(time: datetime) -> str:
    """A time as text in UTC, of one length, so that text sorts as time does."""
    utc = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    return utc.isoformat(timespec="microseconds")


class _Fields(NamedTuple):
    """An object of unknown origin, read field by field."""

    values: Mapping[str, Any]
    source: str

    def wrong(self, field: str, why: str) -> BadInput:
        return BadInput(f"{self.source}: field {field!r} {why}")

    def within(self, field: str) -> _Fields:
        value = self.values.get(field)
        if not isinstance(value, dict):
            raise self.wrong(field, "is no object")
        return _Fields(value, self.source)

    def text(self, field: str, default: str | None = None) -> str:
        value = self.values.get(field)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or (default is None and not value):
            raise self.wrong(field, "is no text")
        return value

    def name(self, field: str) -> str:
        """Text that may name a folder."""
        text = self.text(field)
        if text.startswith(".") or "/" in text or "\0" in text or len(text) > 200:
            raise self.wrong(field, "cannot name a folder")
        return text

    def time(self, field: str) -> str:
        try:
            return sortable(datetime.fromisoformat(self.text(field)))
        except (ValueError, OverflowError):
            raise self.wrong(field, "is no time") from None

    def check_lists(self) -> None:
        """Links and assets hold objects only."""
        links, assets = self.values.get("links"), self.within("assets").values
        if not isinstance(links, list) or not all(isinstance(link, dict) for link in links):
            raise self.wrong("links", "is no list of objects")
        if not all(isinstance(asset, dict) for asset in assets.values()):
            raise self.wrong("assets", "holds something that is no object")

    def check_prototype(self, maturity: str) -> None:
        try:
            check_collection(self.text("collection"), maturity)
        except BadParameters as problem:
            raise BadInput(f"{self.source}: {problem.message}") from None


def _recipe(properties: _Fields) -> _Fields:
    """How the product was made; an item that does not say is none of ours."""
    expression = properties.within("processing:expression")
    if expression.values.get("format") != RECIPE:
        raise properties.wrong("processing:expression", f"has not the format {RECIPE!r}: no product of ours")
    return expression.within("expression")


def _times(properties: _Fields) -> tuple[str, str]:
    if properties.values.get("start_datetime") is None:
        instant = properties.time("datetime")
        return instant, instant
    start, until = properties.time("start_datetime"), properties.time("end_datetime")
    if start > until:
        raise properties.wrong("end_datetime", "lies before 'start_datetime'")
    return start, until


def _box(fields: _Fields) -> tuple[float, float, float, float]:
    box = fields.values.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(value) for value in box):
        raise fields.wrong("bbox", "is no list of four numbers")
    west, south, east, north = map(float, box)
    if max(abs(west), abs(east)) > 180 or not -90 <= south <= north <= 90:
        raise fields.wrong("bbox", f"is no box on the globe: {box}")
    return west, south, east, north


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _FURTHEST


def _series(properties: _Fields, recipe: _Fields, granule: _Fields, start: str, until: str) -> str:
    orbit = granule.values.get("orbit")
    acquisition = [start[:10], orbit] if isinstance(orbit, int) else [start[:16], None]
    # A month and the year that it begins have one start and are not one product.
    acquisition += [until] if until != start else []
    same = [
        recipe.values.get("chain"),
        recipe.values.get("changed"),
        granule.values.get("tile"),
        properties.values.get("platform"),
        acquisition,
        granule.values.get("format"),
        granule.values.get("level"),
        properties.values.get("proj:code"),
        properties.values.get("proj:bbox"),
    ]
    return hashlib.sha256(encoded(same, properties.source).encode("utf-8")).hexdigest()[:32]
