"""The STAC collection of a chain's products: one for each chain and version."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from thalweg.item import LEVEL, PROTOTYPE, Maturity
from thalweg.stac import VERSION, extensions_of, layer_fields, render, rfc3339

if TYPE_CHECKING:
    from thalweg.chain import Declaration
    from thalweg.grid import Bounds

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
"""Media type of a layer's file."""

_DOI = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|doi:)?(10\.[0-9A-Za-z]{4,}/\S+)")
_AGENCIES = {
    "sentinel": {
        "name": "Copernicus, European Space Agency",
        "roles": ["producer", "licensor"],
        "url": "https://sentinels.copernicus.eu",
    },
    "landsat": {
        "name": "U.S. Geological Survey",
        "roles": ["producer", "licensor"],
        "url": "https://www.usgs.gov/landsat-missions",
    },
}


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a collection holds, as the catalogue counts it."""

    count: int = 0
    """Number of items."""
    box: Bounds | None = None
    """West, south, east, north, degrees, around all items; west greater than east across 180 degrees."""
    start: datetime | None = None
    """Earliest time of an item."""
    end: datetime | None = None
    """Latest time of an item."""
    platforms: tuple[str, ...] = ()
    """Spacecraft of the items, sorted."""
    facilities: tuple[str, ...] = ()
    """Who made the items, sorted."""


def collection_id(chain: Declaration, maturity: Maturity = "final") -> str:
    """Identifier of the collection that a chain's products of some maturity belong to."""
    return chain.collection + (PROTOTYPE if maturity == "prototype" else "")


def build_collection(chain: Declaration, holdings: Holdings, id: str | None = None) -> dict[str, Any]:
    """The collection of a chain's products; `id` names another one than the chain's own, such as that of prototypes."""
    collection: dict[str, Any] = {
        "type": "Collection",
        "stac_version": VERSION,
        "id": id or chain.collection,
        "title": f"{chain.name} {chain.version}",
        "description": chain.description,
        "license": chain.licence,
        "version": chain.version,
        "item_assets": _item_assets(chain),
        "links": [],
    }
    if renders := _renders(chain):
        collection["renders"] = renders
    _cite(collection, chain.references)
    return with_holdings(collection, holdings)


def with_holdings(collection: Mapping[str, Any], holdings: Holdings) -> dict[str, Any]:
    """The collection with extent, summaries, keywords and providers that are true of what it holds."""
    summaries = {"processing:level": [LEVEL], "platform": list(holdings.platforms)}
    described = {
        **collection,
        "extent": _extent(holdings),
        "summaries": {key: values for key, values in summaries.items() if values},
        "keywords": [str(collection.get("title", "")).partition(" ")[0], *holdings.platforms],
        "providers": _providers(holdings),
    }
    assets = described.get("item_assets", {}).values()
    return {**described, "stac_extensions": extensions_of(described, described["summaries"], *assets)}


def union(boxes: Iterable[Bounds]) -> Bounds | None:
    """The narrowest box around boxes on the globe, or None around none; west is greater than east across 180 degrees.

    Its longitudes are all but the widest gap between those of the boxes.
    """
    ordered = sorted(set(boxes))
    if not ordered:
        return None
    gap, west, east = 0.0, -180.0, 180.0
    reach, edge = max((_end(box) - 360.0, box[2]) for box in ordered)
    for box in ordered:
        if box[0] - reach > gap:
            gap, west, east = box[0] - reach, box[0], edge
        reach, edge = max((reach, edge), (_end(box), box[2]))
    return (west, min(box[1] for box in ordered), east, max(box[3] for box in ordered))


def _end(box: Bounds) -> float:
    """Eastern longitude of a box, beyond 180 degrees where it crosses that meridian."""
    west, _, east, _ = box
    return east + 360.0 if east < west else east


def _item_assets(chain: Declaration) -> dict[str, Any]:
    assets: dict[str, Any] = {
        layer.name: {
            "type": COG,
            "title": layer.description or layer.name,
            "roles": [layer.role],
            **layer_fields(layer),
        }
        for layer in chain.outputs
    }
    return {
        **assets,
        "quicklook": {"type": "image/png", "title": "Quicklook", "roles": ["thumbnail", "overview"]},
    }


def _renders(chain: Declaration) -> dict[str, Any]:
    hints = {layer.name: render(layer) for layer in chain.outputs}
    return {name: hint for name, hint in hints.items() if hint}


def _cite(collection: dict[str, Any], references: Iterable[str]) -> None:
    """Enter references: those with a DOI as publications, addresses as links."""
    publications = []
    for reference in references:
        if found := _DOI.search(reference):
            doi = found[1].rstrip(".,;)")
            publications.append({"doi": doi, "citation": reference})
            collection["links"].append({"rel": "cite-as", "href": f"https://doi.org/{doi}"})
        elif "://" in reference:
            collection["links"].append({"rel": "about", "href": reference.split()[-1], "title": reference})
    if publications:
        collection["sci:publications"] = publications


def _extent(holdings: Holdings) -> dict[str, Any]:
    times = [rfc3339(time) if time else None for time in (holdings.start, holdings.end)]
    box = holdings.box or (-180.0, -90.0, 180.0, 90.0)
    return {"spatial": {"bbox": [list(box)]}, "temporal": {"interval": [times]}}


def _providers(holdings: Holdings) -> list[dict[str, Any]]:
    agencies = [
        agency
        for name, agency in _AGENCIES.items()
        if any(platform.startswith(name) for platform in holdings.platforms)
    ]
    return [*agencies, *({"name": name, "roles": ["processor"]} for name in holdings.facilities)]
