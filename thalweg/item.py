"""The STAC item of a product: what it is, where and when, which files it has, and how it can be made again.

Items are plain dictionaries in STAC 1.1.0. The prefix `thalweg:` is used only for what no extension has a word for:
unit id, campaign, run, maturity, parameter digest, quality figures and resources. The recipe (chain, parameters, inputs
and static layers with their checksums) stands in `processing:expression`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from thalweg import credit
from thalweg.document import read_document, write_document
from thalweg.errors import BadInput, BadParameters
from thalweg.footprint import Footprint, footprint, is_geographic
from thalweg.stac import VERSION, extensions_of, layer_fields, rfc3339

if TYPE_CHECKING:
    from thalweg.chain import Declaration
    from thalweg.granule import Granule, Sun
    from thalweg.grid import Grid
    from thalweg.layer import Layer

Maturity = Literal["nrt", "interim", "final", "prototype"]
"""How far a product may be relied on; prototypes live in collections of their own."""

PROTOTYPE = "-prototype"
"""How the collection of prototypes ends."""

RECIPE = "thalweg"
"""Format of our `processing:expression`."""

LEVEL = "L2B"
"""Processing level of a product made from one granule: a geophysical variable on the grid of its input."""

_SPACECRAFT = {
    **{f"S2{letter}": (f"sentinel-2{letter.lower()}", "sentinel-2", "msi") for letter in "ABCD"},
    **{f"L{digit}": (f"landsat-{digit}", "landsat", "oli") for digit in "89"},
}
_METRES_PER_DEGREE = 111_320


@dataclass(frozen=True, slots=True)
class Origin:
    """What a product was made from, as its item tells it: one granule, or the products of a tile and period."""

    id: str
    """Identifier of the granule or of the gathering."""
    tile: str
    """Tile, without the T."""
    start: datetime
    """Instant of sensing, or first instant of a period."""
    when: str
    """Day or period, for people."""
    lineage: str
    """What it was, as the item's lineage says it: "on <granule> (L2A)"."""
    recipe: Mapping[str, Any]
    """What is needed to find it again; holds at least `id` and `tile`."""
    links: tuple[Mapping[str, Any], ...]
    """Links to the inputs."""
    end: datetime | None = None
    """Last instant of a period; None for one granule."""
    platforms: tuple[str, ...] = ()
    """Spacecraft: S2A to S2D, L8, L9, or what the user said."""
    on_mgrs: bool = True
    """True where the tile is one of MGRS."""
    credits: tuple[str | None, ...] = ()
    """What the licences of the inputs ask to be said."""
    cloud_cover: float | None = None
    """Cloud share, percent."""
    sun: Sun | None = None
    """Sun angles."""


def origin_of(granule: Granule) -> Origin:
    """A granule as the origin of a product."""
    return Origin(
        id=granule.id,
        tile=granule.tile,
        start=granule.sensed,
        when=f"{granule.sensed:%Y-%m-%d}",
        lineage=f"on {granule.id} ({granule.level})",
        recipe={
            "id": granule.id,
            "tile": granule.tile,
            "format": granule.format,
            "level": granule.level,
            "baseline": granule.baseline,
            "orbit": granule.orbit,
        },
        links=(_input_link(granule),),
        platforms=(granule.platform,) if granule.platform else (),
        on_mgrs=granule.on_mgrs,
        credits=(credit.granule_credit(granule),),
        cloud_cover=granule.cloud_cover,
        sun=granule.sun,
    )


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of a product."""

    key: str
    """Key in the item: the layer's name, or a word for the document."""
    file: str
    """Path inside the product, with slashes."""
    media_type: str
    """Media type."""
    roles: tuple[str, ...]
    """STAC roles."""
    title: str
    """For people."""
    layer: Layer | None
    """The layer that it holds, None for other files."""
    size: int
    """Bytes."""
    sha256: str
    """SHA-256 of the file, hexadecimal."""
    grid: Grid | None = None
    """Grid of the raster, None for other files."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that a product was made from."""

    role: str
    """Band role, name of a mask, or role of a static layer."""
    file: str
    """File name, without folder."""
    size: int
    """Bytes."""
    checksum: str
    """Algorithm and hexadecimal digits, such as ``sha256:9f86...`` or ``crc32:cbf43926``."""
    credit: str | None = None
    """What the licence of this very file demands to be said; None: the usual credit of its role."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """How, where and when a product was made."""

    unit_id: str
    """Identity of the unit, hexadecimal."""
    chain: str
    """Name of the chain."""
    chain_version: str
    """Version of the chain."""
    software: Mapping[str, str]
    """Program to version, for whatever decides a pixel."""
    parameters: Mapping[str, Any]
    """Every parameter with the value that was used."""
    parameter_digest: str
    """SHA-256 of the parameters, hexadecimal."""
    inputs: tuple[InputFile, ...]
    """Files of the granule that were read."""
    statics: tuple[InputFile, ...]
    """Static layers that were read."""
    host: str
    """Machine that made the product."""
    facility: str
    """Who made it, empty where nobody says."""
    started: datetime
    """When the attempt began."""
    finished: datetime
    """When its rasters were complete."""
    cpu_seconds: float
    """CPU time, user and system."""
    wall_seconds: float
    """Elapsed time."""
    peak_memory_mb: float
    """Largest resident memory, MB."""
    run: str | None = None
    """Run of a plan that the unit belonged to."""
    token: str | None = None
    """Token of the attempt."""
    campaign: str | None = None
    """Campaign that the run belonged to."""
    maturity: Maturity = "final"
    """How far the product may be relied on."""


def build_item(
    id: str,
    collection: str,
    made_from: Granule | Origin,
    grid: Grid,
    assets: Sequence[Asset],
    properties: Mapping[str, Any],
    provenance: Provenance,
    chain: Declaration,
    place: Footprint | None = None,
) -> dict[str, Any]:
    """The STAC item of a product made from a granule, or from whatever `Origin` says.

    `grid` is that of the rasters, `place` its footprint (None: found out here); `properties` are the chain's own and
    win over the general ones, but for identity.
    Raises BadInput where an asset lies outside the product or two share a key, BadParameters where a prototype would
    enter an operational collection.
    """
    check_collection(collection, provenance.maturity)
    place = place or footprint(grid)
    origin = made_from if isinstance(made_from, Origin) else origin_of(made_from)
    described = {
        **_times(origin, provenance),
        **_mission(origin),
        **_general(origin, grid, provenance, chain),
        **_grid_fields(grid),
        **_tile_fields(origin),
        **_sun_fields(origin.sun),
        **_processing(origin, provenance, chain),
        **properties,
        **_own(provenance),
    }
    files = {asset.key: _asset(asset, grid) for asset in assets}
    if len(files) < len(assets):
        raise BadInput(f"{id}: two assets share a key: {', '.join(sorted(asset.key for asset in assets))}")
    return {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": extensions_of(described, *files.values()),
        "id": id,
        "collection": collection,
        "geometry": place.geometry,
        "bbox": list(place.bbox),
        "properties": described,
        "links": _links(collection, origin, provenance),
        "assets": files,
    }


def write_item(path: Path, item: Mapping[str, Any]) -> None:
    """Write an item durably: whole or not at all, equal items as equal bytes."""
    write_document(path, item)


def read_item(path: Path) -> dict[str, Any]:
    """An item from a file of unknown origin; BadInput or MissingInput, which name the file, where there is none."""
    item = read_document(path)
    if item.get("type") != "Feature" or not isinstance(item.get("stac_version"), str):
        raise BadInput(f"{path}: no STAC item")
    return item


def item_file(collection: str, tile: str, start: datetime, id: str) -> str:
    """Where the item of a product lies, relative to the destination; its folder is the product."""
    return f"{collection}/{tile}/{start.year:04d}/{start.month:02d}/{id}/{id}.json"


def check_collection(collection: str, maturity: str) -> None:
    """BadParameters where prototypes and operational products would share a collection."""
    if (maturity == "prototype") != collection.endswith(PROTOTYPE):
        raise BadParameters(
            f"collection {collection!r} and maturity {maturity!r}: prototypes, and only these, belong to a collection "
            f"whose name ends with {PROTOTYPE!r}"
        )


def spacecraft(platform: str) -> str:
    """S2A to S2D, L8 or L9 of a platform as items call it; others as they are."""
    return next((short for short, names in _SPACECRAFT.items() if names[0] == platform), platform)


def _times(origin: Origin, provenance: Provenance) -> dict[str, Any]:
    times = {"datetime": rfc3339(origin.start), "created": rfc3339(provenance.finished)}
    if origin.end is None:
        return times
    return {**times, "start_datetime": rfc3339(origin.start), "end_datetime": rfc3339(origin.end)}


def _mission(origin: Origin) -> dict[str, Any]:
    """Platform of one granule; constellation, as far as there is only one; every instrument."""
    platforms = origin.platforms
    known = [_SPACECRAFT[name] for name in platforms if name in _SPACECRAFT]
    fields: dict[str, Any] = {}
    # A period may have seen one platform so far, and two tomorrow.
    if len(platforms) == 1 and origin.end is None:
        fields["platform"] = known[0][0] if known else platforms[0].lower()
    if known and len({constellation for _, constellation, _ in known}) == 1:
        fields["constellation"] = known[0][1]
    if known:
        fields["instruments"] = sorted({instrument for *_, instrument in known})
    return fields


def _general(origin: Origin, grid: Grid, provenance: Provenance, chain: Declaration) -> dict[str, Any]:
    credits = list(origin.credits)
    credits += [file.credit or credit.STATIC_CREDITS.get(file.role) for file in provenance.statics]
    credits += [file.credit for file in provenance.inputs]
    said = credit.attribution(credits)
    fields: dict[str, Any] = {
        "title": f"{chain.name} of {origin.tile} on {origin.when}",
        "license": chain.licence,
        "version": provenance.chain_version,
        "gsd": _metres(grid),
    }
    if said:
        fields["attribution"] = said
    if origin.cloud_cover is not None and math.isfinite(origin.cloud_cover):
        fields["eo:cloud_cover"] = min(max(origin.cloud_cover, 0.0), 100.0)
    return fields


def _metres(grid: Grid) -> float:
    """Pixel size in metres, at the equator where the grid counts in degrees."""
    return round(grid.resolution * _METRES_PER_DEGREE, 1) if is_geographic(grid.crs) else grid.resolution


def _grid_fields(grid: Grid) -> dict[str, Any]:
    return {
        "proj:code": grid.crs,
        "proj:shape": list(grid.shape),
        "proj:transform": list(grid.transform),
        "proj:bbox": list(grid.bounds),
    }


def _tile_fields(origin: Origin) -> dict[str, Any]:
    if not origin.on_mgrs:
        return {}
    return {
        "grid:code": f"MGRS-{origin.tile}",
        "mgrs:utm_zone": int(origin.tile[:2]),
        "mgrs:latitude_band": origin.tile[2],
        "mgrs:grid_square": origin.tile[3:],
    }


def _sun_fields(sun: Sun | None) -> dict[str, Any]:
    if sun is None or not (math.isfinite(sun.zenith) and math.isfinite(sun.azimuth)):
        return {}
    return {
        "view:sun_azimuth": round(sun.azimuth % 360.0, 6),
        "view:sun_elevation": round(90.0 - sun.zenith, 6),
    }


def _processing(origin: Origin, provenance: Provenance, chain: Declaration) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "processing:level": LEVEL,
        "processing:version": provenance.chain_version,
        "processing:software": dict(provenance.software),
        "processing:datetime": rfc3339(provenance.finished),
        "processing:lineage": _lineage(origin, provenance, chain),
        "processing:expression": {"format": RECIPE, "expression": _recipe(origin, provenance, chain)},
    }
    if provenance.facility:
        fields["processing:facility"] = provenance.facility
    return fields


def _lineage(origin: Origin, provenance: Provenance, chain: Declaration) -> str:
    statics = ", ".join(file.role for file in provenance.statics) or "none"
    return (
        f"Chain {chain.name} {provenance.chain_version} {origin.lineage}. {chain.description} "
        f"Static layers: {statics}."
    )


def _recipe(origin: Origin, provenance: Provenance, chain: Declaration) -> dict[str, Any]:
    """From what, by what and with which values the product was made, and can be made again."""
    return {
        "chain": provenance.chain,
        "version": provenance.chain_version,
        "parameters": _plain(provenance.parameters),
        "changed": _plain(_changed(provenance.parameters, chain)),
        "granule": dict(origin.recipe),
        "inputs": [_input(file) for file in provenance.inputs],
        "statics": [_input(file) for file in provenance.statics],
    }


def _changed(parameters: Mapping[str, Any], chain: Declaration) -> dict[str, Any]:
    """The parameters that differ from the chain's defaults: what was asked for, whatever the chain's version."""
    defaults = {declared.name: declared.default for declared in chain.parameters.declared}
    return {
        name: value for name, value in parameters.items() if name not in defaults or defaults[name] != value
    }


def _input(file: InputFile) -> dict[str, Any]:
    return {
        "role": file.role,
        "file": PurePosixPath(file.file).name,
        "size": file.size,
        "checksum": file.checksum,
    }


def _own(provenance: Provenance) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "thalweg:unit_id": provenance.unit_id,
        "thalweg:maturity": provenance.maturity,
        "thalweg:parameter_digest": provenance.parameter_digest,
        "thalweg:resources": _resources(provenance),
    }
    if provenance.campaign:
        fields["thalweg:campaign"] = provenance.campaign
    if provenance.run:
        fields["thalweg:run"] = provenance.run
    return fields


def _resources(provenance: Provenance) -> dict[str, Any]:
    used: dict[str, Any] = {
        "host": provenance.host,
        "started": rfc3339(provenance.started),
        "finished": rfc3339(provenance.finished),
        "cpu_seconds": round(provenance.cpu_seconds, 3),
        "wall_seconds": round(provenance.wall_seconds, 3),
        "peak_memory_mb": round(provenance.peak_memory_mb, 1),
    }
    return {**used, "attempt": provenance.token} if provenance.token else used


def _links(collection: str, origin: Origin, provenance: Provenance) -> list[dict[str, Any]]:
    # From the folder of a product up to that of its collection: month, year, tile, collection.
    above = {"href": "../../../../collection.json", "type": "application/json", "title": collection}
    links = [{"rel": "collection", **above}, {"rel": "parent", **above}, *map(dict, origin.links)]
    if provenance.run:
        links.append(
            {
                "rel": "via",
                "href": f"urn:thalweg:run:{quote(provenance.run)}",
                "title": f"Run {provenance.run}",
            }
        )
    return links


def _input_link(granule: Granule) -> dict[str, Any]:
    """The link to the input: to its own item where that has an address on the web, else by its name."""
    scheme, _, rest = (granule.item or "").partition("://")
    is_address = bool(rest) and scheme in ("http", "https", "s3", "gs")
    href = granule.item if is_address else f"urn:thalweg:granule:{quote(granule.id)}"
    link = {"rel": "derived_from", "href": href, "title": granule.id}
    return {**link, "type": "application/geo+json"} if is_address else link


def _asset(asset: Asset, grid: Grid) -> dict[str, Any]:
    file = PurePosixPath(asset.file)
    if file.is_absolute() or ".." in file.parts or "\\" in asset.file or not file.name:
        raise BadInput(f"asset {asset.key!r}: {asset.file!r} is no path inside a product")
    fields: dict[str, Any] = {
        "href": f"./{file}",
        "type": asset.media_type,
        "title": asset.title,
        "roles": list(asset.roles),
        "file:size": asset.size,
        "file:checksum": f"1220{asset.sha256}",
    }
    if asset.layer is not None:
        fields.update(layer_fields(asset.layer))
    if asset.grid is not None and asset.grid != grid:
        fields.update(_grid_fields(asset.grid))
    return fields


def _plain(value: Any) -> Any:
    """The value as JSON has it: tuples become lists, keys text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
