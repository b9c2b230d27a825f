"""From declared inputs to feeds: which files a chain reads of a granule, on which grid, and whether they agree."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import ceil, floor, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.errors import CRSError, RasterioError

from thalweg.bands import PIXELS
from thalweg.errors import BadInput, BadParameters, MissingInput, UsageError
from thalweg.feed import (
    ArrayFeed,
    BandFeed,
    CoarseBandFeed,
    CodeFeed,
    Feed,
    FinerFeed,
    MaskFeed,
    MaskSource,
    Part,
    PartialFeed,
    packing_of,
    ratio,
)
from thalweg.footprint import is_geographic
from thalweg.granule import PROMISING
from thalweg.grid import Bounds, Grid
from thalweg.inputs import Band, Codes, Field, Input, Mask, Model, Static, Upstream, is_read_in
from thalweg.opened import OpenRaster, open_raster
from thalweg.raster import Packing, Raster
from thalweg.scene import WholeLayer
from thalweg.static import MODELS, StaticLayers, is_vector, open_static, read_model, read_whole
from thalweg.tile import Tile
from thalweg.upstream import Find, Produced

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from thalweg.chain import Chain
    from thalweg.granule import BandFile, Granule
    from thalweg.masks import MaskFile


_CODES = ("uint8", "uint16", "int16", "int8")
_WIDE_CODES = ("int32", "uint32")


@dataclass
class Scenery:
    """The opened inputs of one chain on one granule: a context that closes them."""

    chain: Chain
    """Whose inputs."""
    granule: Granule
    """Of which granule."""
    part: Part
    """What is processed, on which grid."""
    halo: int = 0
    """Rows and columns of neighbours that a strip needs."""
    bands: dict[str, tuple[Band, BandFile, OpenRaster, int]] = field(default_factory=dict)
    """Name to declaration, file, opened raster and reduction factor: below 0, by how much it is enlarged."""
    masks: dict[str, tuple[Mask, list[MaskSource]]] = field(default_factory=dict)
    """Name to declaration and opened mask files."""
    codes: dict[str, tuple[Codes, OpenRaster, int]] = field(default_factory=dict)
    """Name to declaration, opened mask file and enlargement factor."""
    fields: dict[str, tuple[Field, OpenRaster]] = field(default_factory=dict)
    """Name to declaration and opened raster of a quantity beside the bands."""
    upstreams: dict[str, tuple[Upstream, dict[str, tuple[OpenRaster, int]]]] = field(default_factory=dict)
    """Chain to declaration, and to opened raster and how much finer it is of each of its layers."""
    produced: dict[str, Produced] = field(default_factory=dict)
    """Chain to the product of it that is read."""
    statics: dict[str, tuple[Static, OpenRaster | WholeLayer, Part]] = field(default_factory=dict)
    """Role to declaration, layer and the part of it that is processed."""
    whole: dict[str, WholeLayer] = field(default_factory=dict)
    """Static layers that are held whole."""
    models: dict[str, Mapping[str, NDArray[Any]]] = field(default_factory=dict)
    """Role to the arrays of a model."""
    static_files: dict[str, Path] = field(default_factory=dict)
    """Role to file, for identity and provenance."""
    tags: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Name of a static layer or of codes to the tags of its file."""
    nodata: dict[str, float | None] = field(default_factory=dict)
    """Name of a static layer or of codes to the stored number that means nodata."""
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Scenery:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def available(self) -> frozenset[str]:
        """Names of all inputs that are there."""
        return frozenset(
            (
                *self.bands,
                *self.masks,
                *self.codes,
                *self.statics,
                *self.fields,
                *self.upstreams,
                *self.models,
            )
        )

    @property
    def packings(self) -> dict[str, Packing]:
        """Name of an exact band, or of a field, to how it decodes."""
        bands = {
            name: packing_of(opened, max(factor, 1))
            for name, (band, _, opened, factor) in self.bands.items()
            if band.encoding == "exact"
        }
        return {**bands, **{name: packing_of(opened) for name, (_, opened) in self.fields.items()}}

    @property
    def identity(self) -> dict[str, str]:
        """Products of other chains that are read, for the identity of the unit."""
        return {f"product:{chain}": produced.unit for chain, produced in self.produced.items()}

    @property
    def finest(self) -> int:
        """The largest reduction factor of a band."""
        return max((factor for *_, factor in self.bands.values()), default=1)

    @property
    def rasters(self) -> list[OpenRaster]:
        """Every opened file that is read strip by strip."""
        return [*(opened for _, _, opened, _ in self.bands.values()), *self._others]

    @property
    def _others(self) -> list[OpenRaster]:
        layers = [layer for _, layer, _ in self.statics.values() if isinstance(layer, OpenRaster)]
        masks = [source.opened for _, sources in self.masks.values() for source in sources]
        codes = [opened for _, opened, _ in self.codes.values()]
        fields = [opened for _, opened in self.fields.values()]
        made = [opened for _, found in self.upstreams.values() for opened, _ in found.values()]
        return [*masks, *codes, *fields, *made, *layers]

    def band_rasters(self, step: str) -> dict[str, Raster]:
        """Name of each band that a step reads to its raster."""
        return {
            name: opened.raster for name, (band, _, opened, _) in self.bands.items() if is_read_in(band, step)
        }

    def open(self, raster: OpenRaster) -> OpenRaster:
        """Close the raster with this scenery."""
        self._stack.callback(raster.close)
        return raster

    def feeds(self, step: str, without: Container[str] = ()) -> list[Feed]:
        """Feeds of the inputs that a step reads, but for the bands `without`."""
        halo, part = self.halo, self.part
        names = [name for name in self.band_rasters(step) if name not in without]
        feeds: list[Feed] = [self.band_feed(name) for name in names]
        for quantity, opened in self.fields.values():
            if is_read_in(quantity, step):
                feeds.append(CodeFeed(quantity.name, opened, part, 1))
        for upstream, layers in self.upstreams.values():
            if is_read_in(upstream, step):
                feeds += self._upstream_feeds(upstream, layers)
        for mask, sources in self.masks.values():
            if is_read_in(mask, step):
                feeds.append(MaskFeed(mask.name, sources, part, halo))
        for codes, opened, factor in self.codes.values():
            if is_read_in(codes, step):
                feeds.append(CodeFeed(codes.name, opened, part, factor, halo))
        for static, layer, place in self.statics.values():
            if is_read_in(static, step):
                feeds.append(self._static_feed(static, layer, place))
        return feeds

    def band_feed(self, name: str) -> Feed:
        """Feed of a band."""
        band, file, opened, factor = self.bands[name]
        around = self.halo if band.halo else 0
        if factor < 0:
            return CoarseBandFeed(band, file, opened, self.part, -factor, around)
        return BandFeed(band, file, opened, self.part, factor, around)

    def leave(self, bands: Iterable[str]) -> None:
        """Share no more decoded rows of these bands, nor of whatever is no band, with other chains."""
        for opened in (*(self.bands[name][2] for name in bands), *self._others):
            opened.leave()

    def _upstream_feeds(
        self, upstream: Upstream, layers: dict[str, tuple[OpenRaster, int]]
    ) -> Iterable[Feed]:
        for layer, (opened, times) in layers.items():
            name, nodata = upstream.attribute(layer), opened.nodata or 0
            if not self.part.whole.finer(times).equals(opened.grid):
                yield PartialFeed(name, opened, self.part, times, self.halo, nodata)
            elif times > 1:
                yield FinerFeed(name, opened, self.part, times, self.halo, nodata)
            else:
                yield CodeFeed(name, opened, self.part, 1, self.halo, nodata=nodata)

    def gate_feed(self, meanings: Iterable[str]) -> MaskFeed | None:
        """A feed of the mask meanings that make a pixel unusable, or None where the product knows none of them."""
        sources = self._mask_sources((tuple(meanings),))
        return MaskFeed("gate", sources, self.part, 0) if sources else None

    def _static_feed(self, static: Static, layer: OpenRaster | WholeLayer, place: Part) -> Feed:
        halo = self.halo
        if isinstance(layer, OpenRaster):
            nodata = 0 if layer.nodata is None else layer.nodata
            if static.finer > 1:
                return FinerFeed(static.name, layer, place, static.finer, halo, nodata)
            return CodeFeed(static.name, layer, place, 1, halo, nodata=nodata)
        return ArrayFeed(static.name, layer.within(self.part.grid), layer.nodata, halo)

    def _add_band(self, band: Band, file: BandFile, opened: OpenRaster) -> None:
        work = self.part.whole
        factor = ratio(opened.grid, work)
        if factor is None and band.enlarge and (times := _factors(opened.grid, work)):
            factor = -times[0]
        if factor is None:
            raise self._disagree(opened, "02", f"its pixels are not a whole fraction of {work.resolution:g}")
        if factor > 0:
            self._check_place(opened, factor)
        if self.granule.format in PROMISING and opened.dtype.startswith("float"):
            raise BadInput(
                f"{opened.path}: holds {opened.dtype}; bands of a {self.granule.format} product are integers"
            )
        self.bands[band.name] = (band, file, opened, factor)

    def _check_place(self, opened: OpenRaster, factor: int) -> None:
        work = self.part.whole
        fine = replace(work.finer(factor), pixel=opened.grid.pixel)
        if (
            opened.grid.crs != work.crs
            or not fine.is_aligned(opened.grid)
            or any(map(round, fine.offset_of(opened.grid)))
        ):
            raise self._disagree(opened, "01", "CRS or corner differ")
        if opened.grid.shape != fine.shape:
            raise self._disagree(opened, "02" if factor > 1 else "01", "the number of pixels does not fit")

    def _disagree(self, opened: OpenRaster, number: str, why: str) -> BadInput:
        reference = next(iter(self.bands.values()))[2].path if self.bands else self.granule.path
        return BadInput(
            f"{opened.path} lies on {opened.grid.describe()}, but {reference} and the chain's grid on "
            f"{self.part.whole.describe()}: {why}",
            id=self.chain.codes.get("grid", f"{self.chain.name.upper()}-GRID-{number}"),
        )

    def _add_mask(self, mask: Mask) -> None:
        sources = self._mask_sources(mask.groups)
        if sources:
            self.masks[mask.name] = (mask, sources)
        elif mask.required:
            first = next(meaning for group in mask.groups for meaning in group)
            raise self.granule.missing(first, self.chain.name, self.chain.codes.get("missing"))

    def _add_codes(self, codes: Codes) -> None:
        files = self.granule.masks_with(codes.meaning)
        if files:
            same = [file for file in files if file.kind == files[0].kind]
            _, opened, enlarge, reduce = self._fitting(same)
            if reduce > 1:
                raise self._disagree(opened, "02", "it is finer, and codes cannot be joined")
            self.codes[codes.name] = (codes, opened, enlarge)
            self.nodata[codes.name] = opened.nodata
        elif codes.required:
            raise self.granule.missing(codes.meaning, self.chain.name, self.chain.codes.get("missing"))

    def _mask_sources(self, groups: tuple[tuple[str, ...], ...]) -> list[MaskSource]:
        masks = [mask.seen_by(self.bands) for mask in self.granule.masks]
        meanings = [meaning for group in groups for meaning in group]
        kinds = {mask.kind: None for meaning in meanings for mask in masks if meaning in mask.legend}
        sources = []
        for kind in kinds:
            file, opened, enlarge, reduce = self._fitting([mask for mask in masks if mask.kind == kind])
            rules = _rules(file, groups) if opened.dtype in _WIDE_CODES else ()
            sources.append(MaskSource(opened, _table(file, groups, opened), enlarge, reduce, rules))
        return sources

    def _fitting(self, files: Sequence[MaskFile]) -> tuple[MaskFile, OpenRaster, int, int]:
        """Of one mask in several resolutions: the file on the chain's grid, else the next finer or coarser one.

        With it come the factors by which it is enlarged and reduced.
        """
        fitting = []
        for file in files:
            opened = self.open(open_raster(file.raster))
            if opened.dtype not in _CODES + _WIDE_CODES:
                known = ", ".join(_CODES + _WIDE_CODES)
                raise BadInput(f"{opened.path}: a mask of type {opened.dtype}; codes are {known}")
            factors = _factors(opened.grid, self.part.whole)
            if factors:
                fitting.append((file, opened, *factors))
            elif _same_pixel(opened.grid, self.part.whole):
                # A damaged mask must not be replaced in silence by that of another resolution.
                raise self._disagree(opened, "01", "the mask does not fit the bands")
        if not fitting:
            raise self._disagree(opened, "01", "the mask does not fit the bands")
        return min(fitting, key=lambda fit: fit[2:])

    def _add_field(self, quantity: Field) -> None:
        raster = self.granule.fields.get(quantity.name)
        if raster is None:
            if quantity.required:
                raise self.granule.missing(quantity.name, self.chain.name)
            return
        opened = self.open(open_raster(raster))
        if not opened.grid.equals(self.part.whole):
            raise self._disagree(opened, "01", f"the product's {quantity.name} does not fit the bands")
        self.fields[quantity.name] = (quantity, opened)

    def _add_upstream(self, upstream: Upstream, find: Find | None) -> None:
        produced = find(upstream.chain, self.granule) if find else None
        if produced is None:
            if upstream.required:
                raise MissingInput(
                    f"{self.granule.path}: chain {self.chain.name!r} needs the product of chain {upstream.chain!r} "
                    "of this granule, and there is none: run that chain first, or in the same job"
                )
            return
        layers = {}
        for layer in upstream.layers:
            if layer not in produced.layers:
                raise BadInput(
                    f"{produced.product}: has no layer {layer!r}; it has: {', '.join(produced.layers)}"
                )
            opened = self.open(open_raster(produced.layers[layer]))
            times = ratio(opened.grid, self.part.whole)
            if times is None or not self._fits(opened.grid, times):
                raise self._disagree(opened, "01", f"the product of chain {upstream.chain!r} does not fit")
            layers[layer] = (opened, times)
        self.upstreams[upstream.name] = (upstream, layers)
        self.produced[upstream.chain] = produced

    def _fits(self, grid: Grid, times: int) -> bool:
        """True where a product lies on the chain's grid, or on a part of it where only a part is processed."""
        fine = self.part.whole.finer(times)
        is_part = self.part.grid is not self.part.whole and fine.is_aligned(grid) and fine.contains(grid)
        return fine.equals(grid) or is_part

    def _add_static(self, static: Static, layers: StaticLayers, tile: str) -> None:
        path = layers.find(static.role, tile)
        if path is None:
            if static.required:
                raise layers.missing(static.role, tile, self.chain.name, id=self.chain.codes.get("missing"))
            return
        layer, place = self._open_static(static, path)
        self.nodata[static.role] = layer.nodata
        if isinstance(layer, OpenRaster):
            self.open(layer)
            self.tags[static.role] = layer.tags
            if static.finer > 1 and layer.dtype != static.dtype:
                raise BadInput(f"{path}: static layer {static.role!r} is {layer.dtype}, not {static.dtype}")
            if static.whole or layer.dtype != static.dtype:
                layer = read_whole(static, layer)
        if isinstance(layer, WholeLayer):
            layer = WholeLayer(layer.values, layer.row + place.row, layer.column + place.column, layer.nodata)
            if static.whole:
                self.whole[static.role] = layer
        self.statics[static.role] = (static, layer, place)
        self.static_files[static.role] = path

    def _add_model(self, model: Model, layers: StaticLayers, tile: str) -> None:
        path = layers.find(model.role, tile, MODELS)
        if path is not None:
            self.models[model.role] = read_model(path)
            self.static_files[model.role] = path
        elif model.required:
            raise layers.missing(
                model.role, tile, self.chain.name, MODELS[0], self.chain.codes.get("missing")
            )

    def _open_static(self, static: Static, path: Path) -> tuple[OpenRaster | WholeLayer, Part]:
        """The layer and the part of it that is processed: all of it where it holds just the user's box."""
        part, times = self.part, static.finer
        if part.grid is not part.whole and not is_vector(path):
            opened = open_raster(Raster(path))
            opened.close()
            if opened.grid.equals(part.grid.finer(times)):
                part = Part(part.grid, 0, 0, part.grid)
        code = self.chain.codes.get("grid", f"{self.chain.name.upper()}-GRID-01")
        return open_static(static, path, part.whole.finer(times), code), part


def open_scenery(
    chain: Chain,
    granule: Granule,
    parameters: Any,
    layers: StaticLayers,
    box: Bounds | None = None,
    find: Find | None = None,
    *,
    bands_only: bool = False,
) -> Scenery:
    """Open every input of a chain, or its bands only, find its working grid and check that all agree.

    `box` is west, south, east, north in degrees; `find` gives products of other chains.
    Raises MissingInput for a missing role, BadInput for files that
    contradict each other or their tile, UsageError for a box beside the granule.
    """
    inputs = chain.inputs_for(parameters, granule)
    _check_level(chain, granule)
    with ExitStack() as stack:
        bands = _open_bands(chain, granule, inputs, stack)
        grid = working_grid(chain, bands)
        _check_tile(granule, grid, bands)
        halo = chain.halo_for(parameters, granule)
        scenery = Scenery(chain, granule, _part(grid, box), halo, _stack=stack.pop_all())
    try:
        _check_sizes(granule, bands)
        for band, file, opened in _reference_first(bands, grid):
            scenery._add_band(band, file, opened)
        for declared in () if bands_only else inputs:
            _add(scenery, declared, layers, find)
    except BaseException:
        scenery.__exit__()
        raise
    return scenery


def working_grid(chain: Chain, bands: list[tuple[Band, BandFile, OpenRaster]]) -> Grid:
    """The chain's grid: that of its coarsest or finest band, or of a band reduced to the pixel size it declares."""
    sizes = [(_effective_factor(band, opened), opened) for band, _, opened in bands]
    pixels = [opened.grid.resolution * factor for factor, opened in sizes]
    wanted = (
        float(chain.grid)
        if isinstance(chain.grid, int)
        else (max if chain.grid == "coarsest" else min)(pixels)
    )
    best = min(range(len(sizes)), key=lambda index: (abs(pixels[index] - wanted), sizes[index][0]))
    factor, opened = sizes[best]
    return opened.grid.at(factor) if factor > 1 else opened.grid


def _effective_factor(band: Band, opened: OpenRaster) -> int:
    """How much a band is reduced because its declaration asks for larger pixels than the file has."""
    if band.resolution is None or is_geographic(opened.grid.crs):
        return 1
    return max(1, round(band.resolution / opened.grid.resolution))


def _open_bands(
    chain: Chain, granule: Granule, inputs: tuple[Input, ...], stack: ExitStack
) -> list[tuple[Band, BandFile, OpenRaster]]:
    wanted = [declared for declared in inputs if isinstance(declared, Band)]
    files = [granule.band(band.role, band.correction, band.resolution) for band in wanted]
    lacking = [band.role for band, file in zip(wanted, files, strict=True) if file is None and band.required]
    code = chain.codes.get("missing")
    if lacking:
        raise granule.missing(lacking, chain.name, code)
    bands = []
    for band, file in zip(wanted, files, strict=True):
        if file is not None:
            opened = open_raster(file.raster)
            stack.callback(opened.close)
            bands.append((band, file, opened))
    if not bands:
        raise granule.missing(" or ".join(band.role for band in wanted), chain.name, code)
    return bands


def _reference_first(
    bands: list[tuple[Band, BandFile, OpenRaster]], grid: Grid
) -> list[tuple[Band, BandFile, OpenRaster]]:
    return sorted(bands, key=lambda entry: entry[2].grid != grid)


def _add(scenery: Scenery, declared: Input, layers: StaticLayers, find: Find | None) -> None:
    if isinstance(declared, Mask):
        scenery._add_mask(declared)
    elif isinstance(declared, Codes):
        scenery._add_codes(declared)
    elif isinstance(declared, Static):
        scenery._add_static(declared, layers, scenery.granule.tile)
    elif isinstance(declared, Field):
        scenery._add_field(declared)
    elif isinstance(declared, Upstream):
        scenery._add_upstream(declared, find)
    elif isinstance(declared, Model):
        scenery._add_model(declared, layers, scenery.granule.tile)


def _check_level(chain: Chain, granule: Granule) -> None:
    if granule.level not in chain.levels:
        raise BadInput(
            f"{granule.path}: is a {granule.level} product; the chain {chain.name!r} takes {', '.join(chain.levels)}",
            advice="Use a product of the right level, or a chain that declares this one.",
        )


def _check_sizes(granule: Granule, bands: list[tuple[Band, BandFile, OpenRaster]]) -> None:
    """Bands of a Sentinel-2 product keep the ratio of their native pixel sizes, also where it was decimated."""
    if granule.format not in ("muscate", "maja") or not granule.platform.startswith("S2"):
        return
    scales = {
        opened.grid.resolution / PIXELS[band.role]: opened for band, _, opened in bands if band.role in PIXELS
    }
    if len(scales) > 1:
        one, other = list(scales.values())[:2]
        raise BadInput(
            f"{one.path} has pixels of {one.grid.resolution:g}, {other.path} of {other.grid.resolution:g}: "
            "not the sizes of their bands",
            id="GRID-02",
        )


def _same_pixel(grid: Grid, other: Grid) -> bool:
    return all(abs(a - b) <= 1e-6 * b for a, b in zip(grid.pixel, other.pixel, strict=True))


def _check_tile(granule: Granule, grid: Grid, bands: list[tuple[Band, BandFile, OpenRaster]]) -> None:
    """A granule lies in its tile's CRS, on the tile's pixels and inside its footprint; a part of the tile is fine."""
    if not granule.on_mgrs:
        return
    path = bands[0][2].path
    try:
        tile = Tile.parse(granule.tile)
    except BadParameters as problem:
        raise BadInput(f"{granule.path}: {problem.message}") from None
    whole = tile.grid(10)
    if grid.crs != whole.crs:
        raise BadInput(f"{path}: is in {grid.crs}, its tile {tile.id} in {whole.crs}")
    if any(abs(value - round(value)) > 1e-3 for value in grid.offset_of(whole)):
        raise BadInput(
            f"{path}: {grid.describe()} is not aligned to the pixels of tile {tile.id} ({_corner(whole)})"
        )
    if not whole.contains(grid):
        raise BadInput(
            f"{path}: {grid.describe()} reaches beyond the footprint of tile {tile.id} ({_corner(whole)})"
        )


def _corner(whole: Grid) -> str:
    return f"corner ({whole.left:.0f}, {whole.top:.0f}), 109800 m wide"


def _part(grid: Grid, box: Bounds | None) -> Part:
    if box is None:
        return Part(grid, 0, 0, grid)
    left, bottom, right, top = _projected(grid, box)
    width, height = grid.pixel
    rows, columns = grid.shape
    row, last_row = max(0, floor((grid.top - top) / height)), min(rows, ceil((grid.top - bottom) / height))
    column, last_column = (
        max(0, floor((left - grid.left) / width)),
        min(columns, ceil((right - grid.left) / width)),
    )
    if last_row <= row or last_column <= column:
        raise _beside(grid, box)
    shape = (last_row - row, last_column - column)
    return Part(grid, row, column, grid.window(row, column, shape))


def _projected(grid: Grid, box: Bounds) -> Bounds:
    """The box, in degrees, in the CRS of the grid."""
    from rasterio.warp import transform_bounds

    west, south, east, north = box
    if not (abs(west) <= 180 and abs(east) <= 180 and -90 <= south < north <= 90):
        raise UsageError(f"the box {box} is not west, south, east, north in degrees")
    try:
        bounds: Bounds = transform_bounds("EPSG:4326", grid.crs, *box, densify_pts=21)
    except (RasterioError, CRSError) as problem:
        raise _beside(grid, box) from problem
    if not all(map(isfinite, bounds)):
        raise _beside(grid, box)
    return bounds


def _beside(grid: Grid, box: Bounds) -> UsageError:
    return UsageError(f"the box {box} does not touch the granule ({grid.describe()})")


def _factors(mask: Grid, work: Grid) -> tuple[int, int] | None:
    """By how much a mask is enlarged and reduced to lie on the chain's grid, or None where it does not fit."""
    enlarge, reduce = ratio(work, mask), ratio(mask, work)
    if enlarge is not None:
        fits = replace(work, pixel=mask.pixel, shape=mask.shape).equals(mask)
        covers = all(n * enlarge >= m for n, m in zip(mask.shape, work.shape, strict=True))
        return (enlarge, 1) if fits and covers and (enlarge > 1 or mask.shape == work.shape) else None
    return (1, reduce) if reduce is not None and work.finer(reduce).equals(mask) else None


def _rules(file: MaskFile, groups: tuple[tuple[str, ...], ...]) -> tuple[tuple[int, int], ...]:
    """Bits of a wide code, all of which must be set, and the bit that they mean; wide codes are bit fields."""
    return tuple(
        (bits, bit)
        for bit, group in enumerate(groups)
        for meaning in group
        if meaning in file.legend
        for bits in file.legend[meaning].bits
    )


def _table(file: MaskFile, groups: tuple[tuple[str, ...], ...], opened: OpenRaster) -> NDArray[Any]:
    size = 256 if opened.dtype in ("uint8", "int8") else 65536
    table: NDArray[Any] = np.zeros(size, np.uint8 if len(groups) <= 8 else np.uint16)
    for bit, group in enumerate(groups):
        for meaning in group:
            if meaning in file.legend:
                table |= np.where(file.legend[meaning].table(size), 1 << bit, 0).astype(table.dtype)
    return table
