"""Sentinel-2 scenes as COGs beside a STAC item: Earth Search, Planetary Computer, stactools and their like."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import cast

from thalweg.bands import SENTINEL2
from thalweg.credit import sensor_credit
from thalweg.errors import BadInput
from thalweg.granule import BandFile, Granule, Level, Sun
from thalweg.masks import SCL, MaskFile
from thalweg.raster import Raster, Reflectance
from thalweg.readers.facts import (
    added_counts,
    baseline_in_name,
    brief,
    counts_per_unit,
    mgrs_tile,
    number,
    percent,
    utc,
    whole,
)
from thalweg.readers.safe import SUN_GRID
from thalweg.readers.stacasset import (
    Asset,
    assets_by_role,
    finest_staged,
    missing_grid,
    offset_rule,
    scene_classes,
)
from thalweg.readers.stacitem import StacItem, file_name, is_item, objects, parse_json, read_item
from thalweg.readers.sun import AZIMUTH, ZENITH, read_sun_grid
from thalweg.readers.xmlfile import read_xml

_LEVEL = re.compile(r"(?:S2MSI|MSIL|L)(1C|2A)(?![0-9A-Za-z])", re.IGNORECASE)
_TILE = re.compile(r"(?<![0-9A-Za-z])(?:MGRS-)?T?(\d{1,2}[A-Z]{3})(?![0-9A-Za-z])")
_PLATFORM = re.compile(r"(?:sentinel-?2|(?<![0-9a-z])s2)([a-d])(?![0-9a-z])", re.IGNORECASE)
_BASELINE = re.compile(r"(\d\d)\.(\d\d)", re.ASCII)
_URI = re.compile(r"_N(\d{4})_R(\d{3})_", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", re.ASCII)
_NATIVE = {role: native for native, role in SENTINEL2.items()}


def find_item(folder: Path) -> Path | None:
    """The one STAC item in a folder, or None; BadInput where there are several."""
    candidates = sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))
    if len(candidates) > 1:
        candidates = [path for path in candidates if is_item(_parsed(path))]
    if len(candidates) > 1:
        names = ", ".join(path.name for path in candidates[:3])
        raise BadInput(f"{folder}: holds several STAC items ({names}); give the path of one", id="SNOW-IN-02")
    return candidates[0] if candidates else None


def read_stac(path: Path, given: Path) -> Granule:
    """The granule of a Sentinel-2 STAC item: each band in its finest staged file, as `native`; mask SCL.

    `given` is the item or its folder, as the user gave it. Assets are looked for beside the item, by the last part of
    their address, and nowhere else.
    """
    item = read_item(path)
    level, sensed = _level(item), _sensed(item)
    assets, baseline = assets_by_role(item), _baseline(item)
    classes = scene_classes(item) if level == "L2A" else []
    return Granule(
        id=_id(item),
        path=given,
        format="stac",
        tile=_tile(item),
        sensed=sensed,
        platform=_platform(item),
        level=level,
        bands=_bands(item, assets, baseline),
        masks=_masks(item, classes),
        sun=_sun(item),
        baseline=baseline,
        orbit=_orbit(item),
        cloud_cover=_cloud_cover(item),
        item=_reference(item),
        expected=_expected(assets, classes),
        attribution=sensor_credit(_platform(item), sensed),
    )


def _parsed(path: Path) -> object:
    try:
        return parse_json(path)
    except BadInput:
        return None


def _id(item: StacItem) -> str:
    if not _ID.fullmatch(item.id):
        raise BadInput(f"{item.where('id')}: {brief(item.id)} is not made of letters, digits, dots, dashes")
    return item.id


def _level(item: StacItem) -> Level:
    collection = item.content.get("collection")
    evidence = (item.text("s2:product_type"), _uri(item), str(collection), item.id)
    for text in evidence:
        match = _LEVEL.search(text)
        if match:
            return cast(Level, f"L{match[1].upper()}")
    raise BadInput(f"{item.where('s2:product_type')}: neither it nor the collection or id says L1C or L2A")


def _sensed(item: StacItem) -> datetime:
    found = item.first("datetime", "start_datetime")
    if found is None:
        raise BadInput(f"{item.where('datetime')}: is missing")
    return utc(found[1], item.where(found[0]))


def _tile(item: StacItem) -> str:
    parts = ("utm_zone", "latitude_band", "grid_square")
    texts = [item.text("grid:code"), item.text("s2:mgrs_tile")]
    texts += ["".join(item.text(f"{prefix}:{part}") for part in parts) for prefix in ("mgrs", "sentinel")]
    for text in (*texts, _uri(item).replace("_", " "), item.id.replace("_", " ")):
        match = _TILE.search(text)
        if match:
            return mgrs_tile(match[1], item.where("grid:code"))
    raise BadInput(f"{item.where('grid:code')}: no MGRS tile is named there or elsewhere in the item")


def _platform(item: StacItem) -> str:
    for text in (item.text("platform"), item.id.replace("_", " ")):
        match = _PLATFORM.search(text)
        if match:
            return f"S2{match[1].upper()}"
    shown = brief(item.properties.get("platform"))
    raise BadInput(
        f"{item.where('platform')}: {shown} is no Sentinel-2; no other STAC item is read", id="SNOW-IN-03"
    )


def _baseline(item: StacItem) -> str | None:
    found = item.first("s2:processing_baseline", "sentinel:processing_baseline", "processing:version")
    if found is not None:
        match = _BASELINE.fullmatch(str(found[1]))
        if match is None:
            raise BadInput(f"{item.where(found[0])}: {brief(found[1])} is no baseline such as 05.09")
        return match[0]
    uri = _URI.search(_uri(item))
    return baseline_in_name(uri[1]) if uri else None


def _orbit(item: StacItem) -> int | None:
    found = item.first("sat:relative_orbit")
    if found is not None:
        return whole(found[1], item.where(found[0]), 1, 999)
    uri = _URI.search(_uri(item))
    return int(uri[2]) if uri else None


def _uri(item: StacItem) -> str:
    return item.text("s2:product_uri", "sentinel:product_id")


def _cloud_cover(item: StacItem) -> float | None:
    found = item.first("eo:cloud_cover")
    return percent(found[1], item.where(found[0])) if found else None


def _sun(item: StacItem) -> Sun | None:
    zenith, azimuth = _zenith(item), item.first("view:sun_azimuth", "s2:mean_solar_azimuth")
    if zenith is None or azimuth is None:
        return None
    grid = _tile_metadata(item)
    return Sun(
        zenith,
        number(azimuth[1], item.where(azimuth[0]), *AZIMUTH),
        read_sun_grid(read_xml(grid, str(grid), "Tile_ID"), SUN_GRID) if grid else None,
    )


def _zenith(item: StacItem) -> float | None:
    elevation = item.first("view:sun_elevation")
    if elevation is not None:
        return 90.0 - number(elevation[1], item.where(elevation[0]), -90, 90)
    zenith = item.first("s2:mean_solar_zenith")
    return number(zenith[1], item.where(zenith[0]), *ZENITH) if zenith else None


def _tile_metadata(item: StacItem) -> Path | None:
    """The tile's XML, where it is staged."""
    keys = (key for key in ("granule_metadata", "granule-metadata") if key in item.assets)
    return next(
        (path for key in keys if (path := item.staged(file_name(item.assets[key].get("href"))))), None
    )


def _reference(item: StacItem) -> str | None:
    """Address of the item at its catalogue, where it says one."""
    for link in objects(item.content.get("links"), item.where("links")):
        href = link.get("href")
        if (
            link.get("rel") == "self"
            and isinstance(href, str)
            and href.startswith(("https://", "http://", "s3://"))
        ):
            return href if href.isprintable() else None
    return None


def _bands(
    item: StacItem, assets: dict[str, list[Asset]], baseline: str | None
) -> dict[str, dict[str, BandFile]]:
    found = {role: finest_staged(item, candidates) for role, candidates in assets.items()}
    staged = {role: chosen for role, chosen in found.items() if chosen is not None}
    offset_of = offset_rule(item, baseline)
    per_unit = counts_per_unit([asset.scale for asset, _ in staged.values()])
    bands: dict[str, dict[str, BandFile]] = {}
    for role, (asset, path) in staged.items():
        offset = offset_of(asset)
        raster = Raster(path, 1, asset.scale, offset, asset.nodata, missing_grid(item, asset, path))
        rule = Reflectance(per_unit, added_counts(offset, per_unit))
        bands[role] = {"native": BandFile(raster, rule, _NATIVE[role])}
    return bands


def _masks(item: StacItem, classes: list[Asset]) -> tuple[MaskFile, ...]:
    chosen = finest_staged(item, classes)
    if chosen is None:
        return ()
    asset, path = chosen
    return (MaskFile("scl", Raster(path, grid=missing_grid(item, asset, path)), SCL),)


def _expected(assets: dict[str, list[Asset]], classes: list[Asset]) -> dict[str, str]:
    """What would have to be staged, for messages."""
    wanted = {role: _staging(candidates[0]) for role, candidates in assets.items()}
    return wanted | (dict.fromkeys(SCL, _staging(classes[0])) if classes else {})


def _staging(asset: Asset) -> str:
    return f"asset {asset.key!r} as {asset.file or 'a file'} beside the item: not staged"
