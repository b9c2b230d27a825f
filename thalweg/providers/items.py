"""Granules from STAC items of strangers: the facts that a plan needs, each checked where it is taken."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from thalweg.errors import BadInput
from thalweg.providers.found import Found
from thalweg.providers.place import Place
from thalweg.tile import bare_id, is_known

TILE_IN_ID = r"_T(\d\d[A-Z]{3})(?:_|$)"
"""How names of Sentinel-2 products hold their tile."""

TILES = ("grid:code", "s2:mgrs_tile", "s2:tile_id", "tileIdentifier")
"""Properties that may hold the tile, the first one first; `s2:tile_id` ends with it."""

BASELINES = ("s2:processing_baseline", "processing:version", "processing_baseline", "version")
"""Properties that may hold the processing baseline."""

_TILE = re.compile(TILE_IN_ID)
_TILE_AT_END = re.compile(r"(?:^|_T|MGRS-|T)(\d\d[A-Z]{3})(?:_N[\d.]+)?$")
_BARE = re.compile(r"\d\d[A-Z]{3}")


def found_of(item: Mapping[str, Any], place: Place) -> Found:
    """The granule that an item describes, at its place on disk; BadInput where a fact is missing or absurd."""
    properties = item.get("properties")
    id = item.get("id")
    if not isinstance(id, str) or not isinstance(properties, Mapping):
        raise BadInput(f"item {str(id)[:80]!r}: has no text for an id, or no properties")
    sensed, tile = _sensed(id, properties), _tile(id, properties)
    path = place.of(id, tile, sensed)
    name, format = product_name(path, id)
    orbit = properties.get("sat:relative_orbit")
    return Found(
        id=name,
        path=path,
        format=format,
        tile=tile,
        sensed=sensed,
        platform=platform_name(str(properties.get("platform") or "")),
        level=level_of(id, str(item.get("collection") or "")),
        baseline=next((str(properties[key]) for key in BASELINES if properties.get(key)), ""),
        orbit=orbit if isinstance(orbit, int) and not isinstance(orbit, bool) else None,
        cloud_cover=_percent(properties.get("eo:cloud_cover")),
    )


def product_name(path: str, id: str) -> tuple[str, str]:
    """Id that a granule at `path` will have when it is opened, and its format: that of its product's name.

    A path that is no product's leads to a STAC item or a raster stack: the one keeps `id`, the other its file's name.
    """
    from thalweg.readers.naming import product_of_name

    name = path.rpartition("/")[2]
    product = product_of_name(name)
    if product is None:
        stem, _, suffix = name.rpartition(".")
        product = (stem, "stack") if suffix in ("yaml", "yml") else (id, "stac")
    return product


def platform_name(text: str) -> str:
    """S2A for ``sentinel-2a`` and ``Sentinel-2A``, L8 for ``landsat-8``; anything else as it is."""
    short = text.lower().replace("sentinel-", "s").replace("landsat-", "l").replace("sentinel", "s")
    return short.upper()


def level_of(id: str, collection: str) -> str:
    """Processing level by the words of a product's id and collection: L1C where one says so, else L2A."""
    return "L1C" if re.search(r"(?i)(?:MSI|\b|_|-)L1C", f"{id} {collection}") else "L2A"


def tile_of_text(text: str) -> str:
    """The tile that a property's text names, empty where none."""
    bare = bare_id(text)
    if _BARE.fullmatch(bare):
        return bare
    match = _TILE_AT_END.search(text)
    return match[1] if match else ""


def _tile(id: str, properties: Mapping[str, Any]) -> str:
    texts = [str(properties[key]) for key in TILES if properties.get(key)]
    codes = [properties.get(f"mgrs:{part}") for part in ("utm_zone", "latitude_band", "grid_square")]
    if isinstance(codes[0], int) and all(codes):
        texts.append(f"{codes[0]:02d}{codes[1]}{codes[2]}")
    match = _TILE.search(id)
    texts += [match[1]] if match else []
    for text in texts:
        if is_known(tile := tile_of_text(text)):
            return tile
    raise BadInput(f"item {id[:80]!r}: neither {', '.join(TILES)} nor its id names a tile")


def _sensed(id: str, properties: Mapping[str, Any]) -> datetime:
    for key in ("datetime", "start_datetime"):
        text = properties.get(key)
        try:
            time = datetime.fromisoformat(text) if isinstance(text, str) else None
        except ValueError:
            time = None
        if time is not None:
            return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    raise BadInput(f"item {id[:80]!r}: datetime is no date and time")


def _percent(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= 100 else None
