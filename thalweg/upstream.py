"""Products that another chain made of the same acquisition: found in the destination, or named by the user."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.errors import BadInput, ThalwegError
from thalweg.item import read_item
from thalweg.raster import Raster

if TYPE_CHECKING:
    from thalweg.granule import Granule


@dataclass(frozen=True, slots=True)
class Produced:
    """A product of another chain, as one reads it."""

    unit: str
    """Identity of its unit: part of the identity of whatever is made from it."""
    product: str
    """Its name, for metadata."""
    layers: Mapping[str, Raster] = field(default_factory=dict)
    """Layer to raster."""


Find = Callable[[str, "Granule"], Produced | None]
"""Gives the product of a chain for a granule, or None where there is none."""


def finder(destination: Path, named: Mapping[str, Path], known: Collection[str] | None = None) -> Find:
    """Looks for products among those that the user named (chain to folder), then in the destination.

    `known` are the chains whose products are looked for there; None: any.
    """

    def find(chain: str, granule: Granule) -> Produced | None:
        if chain in named:
            return read_product(named[chain])
        if known is not None and chain not in known:
            return None
        return find_product(destination, chain, granule)

    return find


def find_product(destination: Path, chain: str, granule: Granule) -> Produced | None:
    """The complete product of a chain for a granule's acquisition, or None.

    One of this very granule comes before one of the same tile, platform and day (another processor's granule of the
    same pass); of several the highest version of the chain wins, then the last one made, then the name.
    """
    found = sorted(_candidates(destination, chain, granule), key=lambda candidate: candidate[0])
    return read_product(found[-1][1]) if found else None


def read_product(folder: Path) -> Produced:
    """A product by its folder; BadInput where it is none of ours."""
    item = read_item(folder / f"{folder.name}.json")
    unit = item.get("properties", {}).get("thalweg:unit_id")
    if not isinstance(unit, str):
        raise BadInput(f"{folder}: its item names no unit; only products of this program can be read")
    layers = {name: Raster(_inside(folder, asset)) for name, asset in _rasters(item)}
    return Produced(unit, folder.name, layers)


def _rasters(item: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, asset in item.get("assets", {}).items():
        href = asset.get("href") if isinstance(asset, dict) else None
        if isinstance(href, str) and href.lower().endswith(".tif"):
            yield name, href


def _inside(folder: Path, href: str) -> Path:
    """The file of an asset, which may not lie outside its product: items are untrusted."""
    path = (folder / href).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise BadInput(f"{folder}: its item refers to {href!r}, outside the product")
    return path


def _candidates(destination: Path, chain: str, granule: Granule) -> Iterator[tuple[tuple[Any, ...], Path]]:
    when = granule.sensed
    pattern = f"{chain}-*/{granule.tile}/{when:%Y}/{when:%m}/*"
    for folder in destination.glob(pattern):
        try:
            item = read_item(folder / f"{folder.name}.json")
        except ThalwegError:
            # A folder without a readable item is no product.
            continue
        rank = _rank(item, granule)
        if rank is not None:
            yield (*rank, folder.name), folder


def _rank(item: Mapping[str, Any], granule: Granule) -> tuple[Any, ...] | None:
    properties = item.get("properties", {})
    recipe = properties.get("processing:expression", {}).get("expression", {})
    own = recipe.get("granule", {}).get("id") == granule.id
    same_day = str(properties.get("datetime", ""))[:10] == f"{granule.sensed:%Y-%m-%d}"
    same_craft = str(properties.get("platform", ""))[-1:].upper() == granule.platform[-1:]
    if not own and not (same_day and same_craft):
        return None
    return own, _version(properties.get("version")), str(properties.get("created", ""))


def _version(text: object) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in str(text).split("."))
