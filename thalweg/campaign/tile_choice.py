"""Which tiles a campaign is about, and what its tile table knows of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.campaign.campaign_file import ChosenTiles
from thalweg.errors import BadInput, BadParameters, MissingInput
from thalweg.tile import Tile, bare_id, is_known, unknown_tile
from thalweg.tiletable import read_tile_table
from thalweg.tiling import find_tiles


@dataclass(frozen=True, slots=True)
class TileChoice:
    """Tiles, and the numbers that a table has for them."""

    tiles: frozenset[str] | None
    """Ids without the T; None for all."""
    facts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Tile to column to number, for the columns of numbers of the table."""


def choose_tiles(chosen: ChosenTiles, base: Path) -> TileChoice:
    """The tiles that meet every condition; files are relative to `base`.

    Raises BadParameters for a tile, column or condition that means nothing or leaves no tile, MissingInput and BadInput
    for files that are not there or unreadable.
    """
    conditions: list[set[str]] = []
    facts: Mapping[str, Mapping[str, float]] = {}
    if chosen.list:
        conditions.append({id for text in chosen.list for id in _named(text)})
    if chosen.bbox:
        west, south, east, north = chosen.bbox
        conditions.append({tile.id for tile in find_tiles(box=(west, south, east, north))})
    if chosen.area:
        conditions.append(_touching(base / chosen.area))
    if chosen.table:
        table = read_tile_table(base / chosen.table)
        kept = table.where(chosen.where) if chosen.where else table
        conditions.append(set(kept.ids))
        facts = _numbers(kept.ids, kept.columns)
    if not conditions:
        return TileChoice(None)
    tiles = frozenset.intersection(*map(frozenset, conditions))
    if not tiles:
        raise BadParameters(
            "tiles: no tile meets all conditions", advice="See `thalweg tiles` for what each one gives."
        )
    return TileChoice(tiles, {tile: facts[tile] for tile in tiles & facts.keys()})


def _named(text: str) -> list[str]:
    """The tile of an id, the tiles of the beginning of one; anything else is the name of a place off the grid."""
    id = bare_id(text)
    if is_known(id):
        return [id]
    if id[:2].isdigit() and len(id) < 5:
        tiles = [tile.id for tile in find_tiles(id)]
        if not tiles:
            raise unknown_tile(text)
        return tiles
    if len(id) == 5 and id[:2].isdigit() and id[2:].isalpha():
        raise unknown_tile(text)
    return [text.strip()]


def _numbers(ids: tuple[str, ...], columns: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, float]]:
    """Columns of numbers by tile; unknown numbers are left out."""
    of_numbers = {name: column for name, column in columns.items() if column.dtype.kind == "f"}
    return {
        id: {name: float(column[row]) for name, column in of_numbers.items() if np.isfinite(column[row])}
        for row, id in enumerate(ids)
    }


def _touching(path: Path) -> set[str]:
    """Tiles that touch a polygon of a GeoJSON file."""
    shapely = _shapely()
    area = shapely.union_all([_geometry(each, path) for each in _geometries(path)])
    west, south, east, north = area.bounds
    near = find_tiles(box=(west, south, east, north))
    return {tile.id for tile in near if area.intersects(shapely.Polygon(tile.footprint(4)))}


def _geometries(path: Path) -> list[Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise MissingInput(f"{path}: no such area", advice="Correct tiles.area of the campaign.") from None
    except (OSError, ValueError, RecursionError) as problem:
        raise BadInput(f"{path}: is no readable GeoJSON: {problem}") from None
    kind = content.get("type") if isinstance(content, dict) else None
    if kind == "FeatureCollection":
        return [each.get("geometry") for each in content.get("features", []) if isinstance(each, dict)]
    return [content.get("geometry") if kind == "Feature" else content]


def _geometry(value: Any, path: Path) -> Any:
    shapely = _shapely()
    try:
        geometry = shapely.from_geojson(json.dumps(value))
    except (shapely.errors.ShapelyError, TypeError) as problem:
        raise BadInput(f"{path}: holds a geometry that cannot be read: {problem}") from None
    if geometry is None or geometry.is_empty or not geometry.is_valid:
        raise BadInput(f"{path}: holds an empty or invalid geometry")
    return geometry


def _shapely() -> Any:
    try:
        import shapely
    except ModuleNotFoundError as problem:
        raise BadParameters(
            "tiles.area needs shapely, which is not installed",
            advice="pip install 'thalweg[science]', or use tiles.bbox.",
        ) from problem
    return shapely


def ring_of(tile: str) -> list[tuple[float, float]] | None:
    """Closed ring of longitudes and latitudes of a tile, None where it is none of the grid."""
    return Tile(tile).footprint() if is_known(tile) else None
