"""Tiles for the benchmark of fused chains, by the demo's generator: as Theia delivers them, as COGs or JPEG 2000."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from water_tile import SENSED, WEATHER
from water_tile import write_statics as write_water_statics

from thalweg.demo.muscate import write_product, write_statics
from thalweg.demo.scene import place, view
from thalweg.demo.series import SEED, STATICS, TILE

FLAT = ("B2", "B3", "B4", "B8", "B11", "B12")
"""What snow and water read with the correction for slope."""
SURFACE = ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")
"""What quality reads, without it."""
BANDS = (*(("FRE", band) for band in FLAT), *(("SRE", band) for band in SURFACE))

_ROLES = {
    "coastal": ("B1", 60),
    "blue": ("B2", 10),
    "green": ("B3", 10),
    "red": ("B4", 10),
    "rededge1": ("B5", 20),
    "rededge2": ("B6", 20),
    "rededge3": ("B7", 20),
    "nir": ("B8", 10),
    "nir08": ("B8A", 20),
    "swir16": ("B11", 20),
    "swir22": ("B12", 20),
}
_COMMON = {"rededge1": "rededge", "rededge2": "rededge", "rededge3": "rededge"}
_TILED = {"tiled": True, "blockxsize": 1024, "blockysize": 1024, "compress": "deflate", "predictor": 2}


def write_muscate(folder: Path, size: int) -> Path:
    """A granule of Theia, `size` x `size` pixels of 20 m, flat and surface reflectance, with all static layers.

    Made once, and whole or not at all.
    """
    if made := sorted(folder.glob("SENTINEL2*")):
        return made[0]
    making = folder.with_name(folder.name + ".part")
    where = place(TILE, size, SEED)
    home = write_statics(where, making / STATICS)
    write_water_statics(where, home)
    written = write_product(view(where, SENSED, WEATHER), making, BANDS)
    making.rename(folder)
    return folder / written.path.name


def write_stac(folder: Path, muscate: Path, *, jpeg2000: bool = False) -> Path:
    """The same pixels as one file a band beside a STAC item, in the layout of Earth Search; made once."""
    name = f"S2A_{TILE.id}_{SENSED:%Y%m%d}_0_L2A"
    item = folder / name / f"{name}.json"
    if item.exists():
        return item
    item.parent.mkdir(parents=True, exist_ok=True)
    suffix = "jp2" if jpeg2000 else "tif"
    assets = {}
    for key, (band, pixel) in _ROLES.items():
        path = item.parent / f"{key}.{suffix}"
        _write(path, _band(muscate, band), f"{muscate.name} {band}")
        assets[key] = _asset(path, key, pixel, "uint16")
    _write(item.parent / f"scl.{suffix}", _classes(muscate), "SCL")
    assets["scl"] = _asset(item.parent / f"scl.{suffix}", "scl", 20, "uint8")
    item.write_text(json.dumps(_item(name, assets), indent=1))
    return item


def _write(path: Path, found: tuple[NDArray[Any], dict[str, Any]], title: str) -> None:
    values, profile = found
    plain = path.with_suffix(".part.tif")
    with rasterio.open(plain, "w", **profile, **_TILED) as image:
        image.write(values, 1)
        image.update_tags(TITLE=title)
    if path.suffix == ".tif":
        plain.rename(path)
        return
    options = {"QUALITY": "100", "REVERSIBLE": "YES", "BLOCKXSIZE": "1024", "BLOCKYSIZE": "1024"}
    rasterio.shutil.copy(plain, path, driver="JP2OpenJPEG", **options)
    plain.unlink()


def _band(muscate: Path, band: str) -> tuple[NDArray[np.uint16], dict[str, Any]]:
    """Counts with 0 for nodata; the coastal band is a darker blue one of 60 m."""
    source = "B2" if band == "B1" else band
    kind = "FRE" if source in FLAT else "SRE"
    with rasterio.open(muscate / f"{muscate.name}_{kind}_{source}.tif") as image:
        values, profile = image.read(1), image.profile
    if band == "B1":
        values = (values[3::6, 3::6] * 0.9).astype(np.int16)
    stored = np.where(values == -10000, 0, np.maximum(values, 1)).astype(np.uint16)
    return stored, _profile(profile, stored, 6 if band == "B1" else 1)


def _classes(muscate: Path) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    with rasterio.open(muscate / "MASKS" / f"{muscate.name}_CLM_R2.tif") as image:
        clouds, profile = image.read(1), image.profile
    with rasterio.open(muscate / "MASKS" / f"{muscate.name}_MG2_R2.tif") as image:
        ground = image.read(1)
    classes = np.full(clouds.shape, 4, np.uint8)
    for code, where in (
        (6, ground & 1),
        (11, ground & 4),
        (3, clouds & 96),
        (8, clouds & 2),
        (10, clouds & 128),
    ):
        classes[where > 0] = code
    return classes, _profile(profile, classes, 1)


def _profile(profile: dict[str, Any], values: NDArray[Any], reduce: int) -> dict[str, Any]:
    transform = profile["transform"] * rasterio.Affine.scale(reduce)
    rows, columns = values.shape
    size = {"width": columns, "height": rows, "count": 1, "dtype": str(values.dtype), "nodata": 0}
    return {"driver": "GTiff", "crs": profile["crs"], "transform": transform, **size}


def _asset(path: Path, key: str, pixel: int, dtype: str) -> dict[str, Any]:
    with rasterio.open(path) as image:
        shape, transform = list(image.shape), list(image.transform)[:6]
    band: dict[str, Any] = {"nodata": 0, "data_type": dtype, "spatial_resolution": pixel}
    asset: dict[str, Any] = {"href": f"./{path.name}", "proj:shape": shape, "proj:transform": transform}
    if key != "scl":
        band |= {"scale": 0.0001, "offset": 0}
        asset["eo:bands"] = [{"name": key, "common_name": _COMMON.get(key, key)}]
    return {**asset, "raster:bands": [band], "roles": ["data", "reflectance"]}


def _item(name: str, assets: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": "sentinel-2-l2a",
        "geometry": None,
        "links": [],
        "properties": {
            "datetime": f"{SENSED:%Y-%m-%dT%H:%M:%S}Z",
            "platform": "sentinel-2a",
            "grid:code": f"MGRS-{TILE.id}",
            "proj:epsg": TILE.epsg,
            "view:sun_azimuth": 150.0,
            "view:sun_elevation": 60.0,
            "eo:cloud_cover": 10.0,
            "s2:product_type": "S2MSI2A",
            "s2:processing_baseline": "02.14",
            "earthsearch:boa_offset_applied": False,
        },
        "assets": assets,
    }
