"""The assets of a Sentinel-2 STAC item: which band each holds, how it is packed, and where its pixels lie."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from thalweg.bands import ROLES, SENTINEL2, sentinel2_role
from thalweg.errors import BadInput
from thalweg.grid import Grid, grid_from_transform
from thalweg.readers.facts import brief, number, whole
from thalweg.readers.header import read_header
from thalweg.readers.safe import FIRST_WITH_OFFSET, NODATA, OFFSET, QUANTIFICATION
from thalweg.readers.stacitem import Json, StacItem, file_name, objects

_EPSG = re.compile(r"EPSG:(\d{4,5})", re.ASCII)
# Suffixes of asset keys: resolution (blue_20m, B02-10m) and other copies of one band (blue-jp2).
_KEY_SUFFIX = re.compile(r"(?:[-_](\d\d)m)?(?:-jp2)?$", re.IGNORECASE | re.ASCII)

# ``rededge`` alone is left out, for three bands bear it.
_NAMED = {"rededge1": "rededge071", "rededge2": "rededge075", "rededge3": "rededge078"} | {
    role: role for role in ROLES
}


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset that may hold a band or the scene classes."""

    key: str
    """Key in the item."""
    content: Json
    """The asset."""
    where: str
    """File and asset, for messages."""

    @property
    def file(self) -> str | None:
        """Name of its file."""
        return file_name(self.content.get("href"))

    @property
    def bare_key(self) -> str:
        """Key without resolution and copy."""
        return _KEY_SUFFIX.sub("", self.key)

    def described(self, *names: str) -> tuple[Json, ...]:
        """The first of these lists of bands that the asset has."""
        lists = (objects(self.content.get(name), f"{self.where}: {name}") for name in names)
        return tuple(next((found for found in lists if found), ()))

    def value(self, name: str) -> object:
        """A fact of the raster extension: ``raster:bands`` of STAC 1.0, ``bands`` or asset of STAC 1.1."""
        sources = [
            *self.described("raster:bands", "bands")[:1],
            {f"raster:{name}": self.content.get(f"raster:{name}")},
        ]
        found = (source.get(key) for source in sources for key in (name, f"raster:{name}"))
        return next((value for value in found if value is not None), None)

    @property
    def role(self) -> str | None:
        """Role of the one band that it holds: by the band's name, the asset's key, the common name, in this order."""
        spectral = self.described("eo:bands", "bands")
        if len(spectral) > 1:
            return None
        band: Json = spectral[0] if spectral else {}
        names = (band.get("name"), self.bare_key, band.get("common_name"), band.get("eo:common_name"))
        return next((role for name in names if isinstance(name, str) and (role := _named(name))), None)

    @property
    def resolution(self) -> float:
        """Declared pixel size in metres; infinite where nothing is declared."""
        transform = self.content.get("proj:transform")
        first = transform[0] if isinstance(transform, list) and transform else None
        suffix = _KEY_SUFFIX.search(self.key)
        declared = (self.value("spatial_resolution"), self.content.get("gsd"), suffix and suffix[1], first)
        found = next((value for value in declared if value is not None), None)
        return math.inf if found is None else number(found, f"{self.where}: resolution", 1e-9, 1e9)

    @property
    def scale(self) -> float:
        """Reflectance per stored number."""
        scale = self.value("scale")
        return 1 / QUANTIFICATION if scale is None else number(scale, f"{self.where}: scale", 1e-9, 1.0)

    @property
    def nodata(self) -> float:
        """Stored number that means nodata."""
        nodata = self.value("nodata")
        if nodata == "nan":
            return math.nan
        return NODATA if nodata is None else number(nodata, f"{self.where}: nodata", -1e9, 1e9)


def assets_by_role(item: StacItem) -> dict[str, list[Asset]]:
    """Role to the assets that hold it, best first."""
    assets = _assets(item)
    found: dict[str, list[Asset]] = {role: [] for role in SENTINEL2.values()}
    for asset in assets:
        if asset.role in found:
            found[asset.role].append(asset)
    return {role: in_order(candidates) for role, candidates in found.items() if candidates}


def scene_classes(item: StacItem) -> list[Asset]:
    """Assets of the scene classification, best first."""
    return in_order([asset for asset in _assets(item) if asset.bare_key.lower() == "scl"])


def in_order(assets: list[Asset]) -> list[Asset]:
    """Finest first; of equals the COG before the JPEG 2000, which decodes 20 times slower."""
    return sorted(
        assets, key=lambda asset: (asset.resolution, (asset.file or "").endswith(".jp2"), asset.key)
    )


def finest_staged(item: StacItem, candidates: list[Asset]) -> tuple[Asset, Path] | None:
    """The first asset whose file lies beside the item, and that file."""
    return next(((asset, path) for asset in candidates if (path := item.staged(asset.file))), None)


def offset_rule(item: StacItem, baseline: str | None) -> Callable[[Asset], float]:
    """Says the offset of an asset, in reflectance.

    ``boa_offset_applied: true`` means that the offset is out of the pixels already, even where ``raster:bands`` still
    declares it (Earth Search). Where nothing is declared, Sen2Cor's rule by baseline holds.
    """
    applied = item.first("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
    if applied is not None and not isinstance(applied[1], bool):
        raise BadInput(f"{item.where(applied[0])}: {brief(applied[1])} is neither true nor false")
    if applied is not None and applied[1]:
        return lambda asset: 0.0
    return lambda asset: _declared_offset(asset, baseline)


def _declared_offset(asset: Asset, baseline: str | None) -> float:
    declared = asset.value("offset")
    if declared is not None:
        return number(declared, f"{asset.where}: offset", -1.0, 1.0)
    if baseline is None:
        raise BadInput(f"{asset.where}: offset: neither it nor a processing baseline is given")
    return OFFSET / QUANTIFICATION if int(baseline.replace(".", "")) >= FIRST_WITH_OFFSET else 0.0


def missing_grid(item: StacItem, asset: Asset, path: Path) -> Grid | None:
    """The item's grid, scaled to the file's own shape, where the file does not know its place; else None."""
    header = read_header(path)
    if header is None or header.is_placed:
        return None
    sources = (asset.content, item.properties)
    crs = next((crs for source in sources if (crs := _crs(source, asset.where))), None)
    if crs is None:
        raise BadInput(
            f"{path}: has no coordinate reference system, and {asset.where} gives neither proj:code nor epsg"
        )
    rows, columns = _numbers(sources, "proj:shape", 2, asset.where)
    a, b, c, d, e, f = _numbers(sources, "proj:transform", 6, asset.where)
    # Decimated copies keep the item of the full product: what is equal is the footprint.
    down, right = rows / header.shape[0], columns / header.shape[1]
    grid = grid_from_transform(crs, (a * right, b * down, c, d * right, e * down, f), header.shape)
    if grid is None:
        raise BadInput(
            f"{asset.where}: proj:transform {[a, b, c, d, e, f]} with proj:shape is no north-up grid"
        )
    return grid


def _assets(item: StacItem) -> list[Asset]:
    return [Asset(key, content, item.where(f"asset {key[:60]!r}")) for key, content in item.assets.items()]


def _named(name: str) -> str | None:
    return sentinel2_role(name) or _NAMED.get(name.lower())


def _crs(source: Json, where: str) -> str | None:
    """``EPSG:<code>`` of ``proj:code`` or ``proj:epsg``."""
    code, epsg = source.get("proj:code"), source.get("proj:epsg")
    if code is None:
        return None if epsg is None else f"EPSG:{whole(epsg, f'{where}: proj:epsg', 1024, 32767)}"
    if not isinstance(code, str) or not _EPSG.fullmatch(code):
        raise BadInput(f"{where}: proj:code: {brief(code)} is no code such as EPSG:32631")
    return code


def _numbers(sources: tuple[Json, ...], name: str, count: int, where: str) -> list[float]:
    value = next((source[name] for source in sources if source.get(name) is not None), None)
    if not isinstance(value, list) or len(value) < count:
        raise BadInput(f"{where}: {name}: {brief(value)} is not a list of {count} numbers")
    return [number(entry, f"{where}: {name}", -1e9, 1e9) for entry in value[:count]]
