"""A water-quality product as its statistics read it: flags and unpacked values of the pixels of a lake."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.errors import BadInput, BadParameters
from thalweg.item import read_item
from thalweg.lakes.shapes import Cut, Lake, cut
from thalweg.lakes.statistics import Row, Sample, Source, row_of
from thalweg.opened import OpenRaster, open_raster, raster_environment
from thalweg.raster import Raster
from thalweg.upstream import read_product

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.grid import Grid

FLAGS = "quality_flags"
"""Layer of bits that says what a pixel is."""

MASKED = ("nodata_in", "land", "cloud", "cloud_shadow", "snow_ice", "high_swir")
"""Bits of pixels for which nothing is computed, where the product does not say which they were."""

CLOUDED = ("cloud", "cirrus")
"""Bits of pixels that a cloud hides or veils."""

EXCLUDED = ("CIRRUS", "GLINT_HIGH", "ADJACENCY", "MIXED_PIXEL")
"""Bits of pixels that statistics leave out, unless the user says otherwise."""

_NO_VARIABLE = re.compile(r".*_(unc|alg|flags|membership|sum)|mask|flags")
_PROCESSED = re.compile(r"\d{8}T\d{6}")


@dataclass(frozen=True, slots=True)
class Packed:
    """How a layer is stored."""

    raster: Raster
    """Its file, with scale and offset."""
    is_log: bool
    """True where scale and offset give the logarithm of the value, and stored 0 is 0."""


@dataclass(frozen=True, slots=True)
class QualityProduct:
    """Layers of a water-quality product, and what its item says."""

    source: Source
    """Which product, of when."""
    layers: Mapping[str, Packed]
    """Name to how it is stored."""
    bits: Mapping[str, int]
    """Name of a flag, lower case, to the number of its bit."""
    masked: tuple[str, ...]
    """Flags of pixels for which nothing was computed."""

    @property
    def variables(self) -> list[str]:
        """Layers that statistics are made of."""
        return [name for name in self.layers if not _NO_VARIABLE.fullmatch(name)]

    def word(self, names: Iterable[str]) -> int:
        """The bits of some flags; BadParameters names an unknown one."""
        names = [name.lower() for name in names]
        for name in names:
            if name not in self.bits:
                raise BadParameters(f"no flag {name.upper()!r}; there are: {', '.join(self.bits).upper()}")
        return sum(1 << self.bits[name] for name in set(names))


def read_quality_product(folder: Path) -> QualityProduct:
    """A product by its folder; BadInput where it has no layer of quality flags, or its item is none of ours."""
    rasters = read_product(folder).layers
    item = read_item(folder / f"{folder.name}.json")
    if FLAGS not in rasters:
        raise BadInput(
            f"{folder}: has no layer {FLAGS!r}; lake statistics are made of products of the quality chain"
        )
    assets = item["assets"]
    bits = {
        str(entry["name"]).lower(): int(entry["offset"])
        for entry in assets[FLAGS].get("classification:bitfields", ())
    }
    recipe = item["properties"].get("processing:expression", {}).get("expression", {})
    masked = recipe.get("parameters", {}).get("mask_bits") or MASKED
    layers = {name: _packed(raster, assets[name]) for name, raster in rasters.items()}
    return QualityProduct(_source(item, recipe), layers, bits, tuple(map(str, masked)))


def _packed(raster: Raster, asset: Mapping[str, Any]) -> Packed:
    band = (asset.get("bands") or [{}])[0]
    scale, offset = float(band.get("raster:scale", 1)), float(band.get("raster:offset", 0))
    return Packed(Raster(raster.path, scale=scale, offset=offset), band.get("thalweg:transform") == "log10")


def _source(item: Mapping[str, Any], recipe: Mapping[str, Any]) -> Source:
    properties, granule = item["properties"], recipe.get("granule", {})
    orbit = granule.get("orbit")
    times = _PROCESSED.findall(str(granule.get("id", "")))
    processed = (
        times[-1] if len(times) > 1 else re.sub(r"[-:]|\..*|Z", "", str(properties.get("created", "")))
    )
    when = datetime.fromisoformat(str(properties["datetime"]))
    return Source(str(item["id"]), when, int(orbit) if orbit is not None else None, processed)


def rows_of(
    product: QualityProduct,
    lakes: Iterable[Lake],
    variables: Iterable[str] = (),
    *,
    exclude: Iterable[str] = EXCLUDED,
    min_valid: int = 10,
    window: int = 3,
) -> Iterator[Row]:
    """A row a lake and variable (all that the product has, unless named); a lake beside the product has no pixels.

    Raises BadParameters for a variable or flag that the product does not have.
    """
    names = list(variables) or product.variables
    for name in names:
        if name not in product.layers:
            known = ", ".join(product.variables)
            raise BadParameters(f"product {product.source.product_id} has no layer {name!r}; it has: {known}")
    words = [product.word(flags) for flags in (product.masked, CLOUDED, exclude)]
    with raster_environment(), _Open(product) as opened:
        for lake in lakes:
            place = cut(lake, opened.grid, window)
            sample = _sample(opened.stored(FLAGS, place), words)
            for name in names:
                unc = f"{name}_unc"
                spread = opened.values(unc, place) if unc in product.layers else None
                values = opened.values(name, place)
                yield row_of(lake.id, product.source, name, sample, values, spread, min_valid)


def _sample(flags: NDArray[Any], words: Iterable[int]) -> Sample:
    masked, clouded, excluded = ((flags & np.asarray(word, flags.dtype)) != 0 for word in words)
    return Sample(masked, clouded, excluded)


class _Open:
    """Opened layers of a product."""

    def __init__(self, product: QualityProduct) -> None:
        self._product = product
        self._stack = ExitStack()
        self._opened: dict[str, OpenRaster] = {}

    def __enter__(self) -> _Open:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def grid(self) -> Grid:
        """That of the flags."""
        return self._open(FLAGS).grid

    def stored(self, name: str, place: Cut) -> NDArray[Any]:
        """The stored numbers of a lake's pixels, in one row."""
        opened = self._open(name)
        if not place.inside.size:
            return np.empty(0, opened.dtype)
        return opened.read(place.row, place.column, place.inside.shape)[place.inside]

    def values(self, name: str, place: Cut) -> NDArray[np.float64]:
        """Unpacked values, NaN where there is none."""
        packed = self._product.layers[name]
        stored, nodata = self.stored(name, place), self._open(name).nodata
        values: NDArray[np.float64] = stored.astype(np.float64) * packed.raster.scale + packed.raster.offset
        if packed.is_log:
            values = np.where(stored == 0, 0.0, 10.0**values)
        if nodata is not None and not np.isnan(nodata):
            values[stored == nodata] = np.nan
        return values

    def _open(self, name: str) -> OpenRaster:
        if name not in self._opened:
            opened = open_raster(self._product.layers[name].raster)
            self._stack.callback(opened.close)
            if self._opened and opened.grid != self._opened[FLAGS].grid:
                raise BadInput(f"{opened.path}: lies on another grid than the flags of its product")
            self._opened[name] = opened
        return self._opened[name]
