"""Preparing static layers: brought to a tile's grid once, with a digest sidecar that plans can trust."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.chain import Chain
from thalweg.cog import write_cog
from thalweg.errors import BadParameters
from thalweg.grid import Grid
from thalweg.inputs import Static
from thalweg.layer import Layer
from thalweg.opened import open_raster, raster_environment
from thalweg.parameters import suggest
from thalweg.polygons import burn_polygons
from thalweg.raster import Raster
from thalweg.registry import list_chains
from thalweg.static import RASTERS, digest_of, is_vector, sidecar_of, warp
from thalweg.tile import Tile

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Prepared:
    """A static layer of a tile, ready for use."""

    path: Path
    """Its file."""
    digest: str
    """SHA-256 of the file."""


def prepare(
    layers: Mapping[str, Path], tile: str, folder: Path, resolution: int = 20, margin: int = 0
) -> dict[str, Prepared]:
    """Bring layers to a tile's grid as ``<folder>/<tile>/<role>.tif``, and write digests of all layers that are there.

    A role is warped as the chains declare it (elevation by cubic spline, tree cover bilinearly, classes by the nearest
    pixel). Raises BadParameters for an unknown role, BadInput where a layer does not cover the tile.
    """
    known = declared_roles()
    for role in layers:
        if role not in known:
            raise BadParameters(f"static layer {role!r}: {suggest(role, known)}")
    place = folder / Tile.parse(tile).id
    place.mkdir(parents=True, exist_ok=True)
    with raster_environment():
        for role, source in layers.items():
            _bring(known[role], source, _grid_of(tile, resolution, margin), place / f"{role}.tif")
    files = sorted(path for path in place.iterdir() if path.suffix in RASTERS)
    return {path.stem: Prepared(path, write_digest(path)) for path in files}


def write_digest(path: Path) -> str:
    """Write a layer's digest beside it, computed where none is there or it is older than the layer."""
    digest = digest_of(path)
    sidecar = sidecar_of(path)
    draft = sidecar.with_name(f".{sidecar.name}.part")
    draft.write_text(f"{digest}  {path.name}\n")
    draft.replace(sidecar)
    return digest


def declared_roles() -> dict[str, Static]:
    """Every role that a chain declares, and how."""
    return {static.role: static for static in _declared()}


def _declared() -> Iterator[Static]:
    for listing in list_chains():
        if isinstance(listing.chain, Chain):
            _, parameters = listing.chain.prepare({})
            yield from (entry for entry in listing.chain.inputs_for(parameters) if isinstance(entry, Static))


def _bring(static: Static, source: Path, grid: Grid, target: Path) -> None:
    values, nodata = _on_grid(static, source, grid)
    part = target.with_name(f".{target.name}.part")
    write_cog(
        part, values, Layer(static.role, static.dtype, f"Static layer {static.role}", nodata=nodata), grid
    )
    part.replace(target)


def _on_grid(static: Static, source: Path, grid: Grid) -> tuple[NDArray[Any], float | None]:
    if is_vector(source):
        return burn_polygons(source, grid, static.burn).astype(static.dtype), None
    opened = open_raster(Raster(source))
    try:
        values, _, _, nodata = warp(static, opened, grid)
        return values, nodata
    finally:
        opened.close()


def _grid_of(tile: str, resolution: int, margin: int) -> Grid:
    grid = Tile.parse(tile).grid(resolution)
    rows, columns = grid.shape
    return grid.window(-margin, -margin, (rows + 2 * margin, columns + 2 * margin))
