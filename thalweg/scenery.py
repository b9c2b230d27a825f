"""From declared inputs to feeds: which files a chain reads of a granule, on which grid, and whether they agree."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.errors import BadInput, MissingInput, UsageError
from thalweg.feed import ArrayFeed, BandFeed, CodeFeed, Feed, MaskFeed, Part, ratio
from thalweg.grid import Bounds, Grid
from thalweg.inputs import Band, Codes, Input, Mask, Static
from thalweg.opened import OpenRaster, open_raster
from thalweg.scene import WholeLayer
from thalweg.static import StaticLayers, open_static, read_whole
from thalweg.tile import Tile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from thalweg.chain import Chain
    from thalweg.granule import BandFile, Granule
    from thalweg.masks import MaskFile


@dataclass
class Scenery:
    """The opened inputs of one chain on one granule: a context that closes them."""

    chain: Chain
    """Whose inputs."""
    granule: Granule
    """Of which granule."""
    part: Part
    """What is processed, on which grid."""
    bands: dict[str, tuple[Band, BandFile, OpenRaster, int]] = field(default_factory=dict)
    """Name to declaration, file, opened raster and reduction factor."""
    masks: dict[str, tuple[Mask, list[tuple[OpenRaster, NDArray[np.uint8], int]]]] = field(
        default_factory=dict
    )
    """Name to declaration and opened mask files with their tables and enlargement factors."""
    codes: dict[str, tuple[Codes, OpenRaster, int]] = field(default_factory=dict)
    """Name to declaration, opened mask file and enlargement factor."""
    statics: dict[str, tuple[Static, OpenRaster | WholeLayer, Part]] = field(default_factory=dict)
    """Role to declaration, layer and the part of it that is processed."""
    whole: dict[str, WholeLayer] = field(default_factory=dict)
    """Static layers that are held whole."""
    static_files: dict[str, Path] = field(default_factory=dict)
    """Role to file, for identity and provenance."""
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Scenery:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def available(self) -> frozenset[str]:
        """Names of all inputs that are there."""
        return frozenset((*self.bands, *self.masks, *self.codes, *self.statics))

    @property
    def finest(self) -> int:
        """The largest reduction factor of a band."""
        return max((factor for *_, factor in self.bands.values()), default=1)

    def open(self, raster: OpenRaster) -> OpenRaster:
        """Close the raster with this scenery."""
        self._stack.callback(raster.close)
        return raster

    def feeds(self, step: str) -> list[Feed]:
        """Feeds of the inputs that a step reads."""
        halo, part = self.chain.halo, self.part
        feeds: list[Feed] = []
        for band, file, opened, factor in self.bands.values():
            if _is_read_in(band, step):
                feeds.append(BandFeed(band, file, opened, part, factor, halo))
        for mask, sources in self.masks.values():
            if _is_read_in(mask, step):
                feeds.append(MaskFeed(mask.name, sources, part, halo))
        for codes, opened, factor in self.codes.values():
            if _is_read_in(codes, step):
                feeds.append(CodeFeed(codes.name, opened, part, factor, halo))
        for static, layer, place in self.statics.values():
            if _is_read_in(static, step):
                feeds.append(self._static_feed(static, layer, place))
        return feeds

    def gate_feed(self, meanings: Iterable[str]) -> MaskFeed | None:
        """A feed of the mask meanings that make a pixel unusable, or None where the product knows none of them."""
        sources = self._mask_sources(tuple(meanings))
        return MaskFeed("gate", sources, self.part, 0) if sources else None

    def _static_feed(self, static: Static, layer: OpenRaster | WholeLayer, place: Part) -> Feed:
        halo = self.chain.halo
        if isinstance(layer, OpenRaster):
            return CodeFeed(static.name, layer, place, 1, halo)
        return ArrayFeed(static.name, layer.within(self.part.grid), layer.nodata, halo)

    def _add_band(self, band: Band, file: BandFile, opened: OpenRaster) -> None:
        work = self.part.whole
        factor = ratio(opened.grid, work)
        if factor is None:
            raise self._disagree(opened, "02", f"its pixels are not a whole fraction of {work.resolution:g}")
        self._check_place(opened, factor)
        self.bands[band.name] = (band, file, opened, factor)

    def _check_place(self, opened: OpenRaster, factor: int) -> None:
        work = self.part.whole
        fine = Grid(
            work.crs, work.left, work.top, opened.grid.pixel, (work.shape[0] * factor, work.shape[1] * factor)
        )
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
            id=f"{self.chain.name.upper()}-GRID-{number}",
        )

    def _add_mask(self, mask: Mask) -> None:
        sources = self._mask_sources(mask.meanings)
        if sources:
            self.masks[mask.name] = (mask, sources)
        elif mask.required:
            raise self.granule.missing(mask.meanings[0], self.chain.name)

    def _add_codes(self, codes: Codes) -> None:
        files = self.granule.masks_with(codes.meaning)
        if not files:
            if codes.required:
                raise self.granule.missing(codes.meaning, self.chain.name)
            return
        opened, factor = self._fitting(files)
        self.codes[codes.name] = (codes, opened, factor)

    def _mask_sources(self, meanings: tuple[str, ...]) -> list[tuple[OpenRaster, NDArray[np.uint8], int]]:
        sources = []
        kinds = {file.kind: None for meaning in meanings for file in self.granule.masks_with(meaning)}
        for kind in kinds:
            files = tuple(file for file in self.granule.masks if file.kind == kind)
            opened, factor = self._fitting(files)
            sources.append((opened, _table(files[0], meanings, opened), factor))
        return sources

    def _fitting(self, files: tuple[MaskFile, ...]) -> tuple[OpenRaster, int]:
        """Of the files of one mask in several resolutions, the one on the chain's grid, else a coarser one."""
        opened = [self.open(open_raster(file.raster)) for file in files]
        work = self.part.whole
        for raster in opened:
            if raster.dtype not in ("uint8", "uint16", "int16", "int8"):
                raise BadInput(f"{raster.path}: a mask of type {raster.dtype}; codes are uint8 or uint16")
        for raster in sorted(opened, key=lambda raster: raster.grid.resolution):
            enlarge = ratio(work, raster.grid)
            if enlarge is not None and raster.grid.crs == work.crs:
                coarse = Grid(work.crs, work.left, work.top, raster.grid.pixel, raster.grid.shape)
                covers = all(n * enlarge >= m for n, m in zip(coarse.shape, work.shape, strict=True))
                exact = enlarge > 1 or coarse.shape == work.shape
                if coarse.equals(raster.grid) and covers and exact:
                    return raster, enlarge
        raise self._disagree(opened[0], "01", "the mask does not fit the bands")

    def _add_static(self, static: Static, layers: StaticLayers, tile: str) -> None:
        path = layers.find(static.role, tile)
        if path is None:
            if static.required:
                raise layers.missing(static.role, tile, self.chain.name)
            return
        layer, place = self._open_static(static, path)
        if isinstance(layer, OpenRaster) and (static.whole or layer.dtype != static.dtype):
            whole = read_whole(static, layer)
            layer.close()
            layer = WholeLayer(whole.values, place.row, place.column, whole.nodata)
        elif isinstance(layer, WholeLayer):
            layer = WholeLayer(layer.values, layer.row + place.row, layer.column + place.column, layer.nodata)
        else:
            self.open(layer)
        if static.whole and isinstance(layer, WholeLayer):
            self.whole[static.role] = layer
        self.statics[static.role] = (static, layer, place)
        self.static_files[static.role] = path

    def _open_static(self, static: Static, path: Path) -> tuple[OpenRaster | WholeLayer, Part]:
        part = self.part
        if part.grid is not part.whole:
            opened = open_raster_if_raster(path)
            if opened is not None:
                is_part = opened.grid.equals(part.grid)
                opened.close()
                if is_part:
                    part = Part(part.grid, 0, 0, part.grid)
        return open_static(static, path, part.whole, self.chain.name), part


def open_raster_if_raster(path: Path) -> OpenRaster | None:
    """The opened raster, or None for a file of polygons."""
    from thalweg.raster import Raster
    from thalweg.static import RASTERS

    return open_raster(Raster(path)) if path.suffix in RASTERS else None


def open_scenery(
    chain: Chain, granule: Granule, parameters: Any, layers: StaticLayers, box: Bounds | None = None
) -> Scenery:
    """Open every input of a chain, find its working grid and check that all agree.

    `box` is west, south, east, north in degrees. Raises MissingInput for a missing role, BadInput for files that
    contradict each other or their tile, UsageError for a box beside the granule.
    """
    inputs = chain.inputs_for(parameters, granule)
    _check_level(chain, granule)
    with ExitStack() as stack:
        bands = _open_bands(chain, granule, inputs, stack)
        grid = working_grid(chain, bands)
        _check_tile(granule, grid, bands)
        scenery = Scenery(chain, granule, _part(grid, box), _stack=stack.pop_all())
    try:
        for band, file, opened in _reference_first(bands, grid):
            scenery._add_band(band, file, opened)
        for declared in inputs:
            _add(scenery, declared, layers)
    except BaseException:
        scenery.__exit__()
        raise
    return scenery


def working_grid(chain: Chain, bands: list[tuple[Band, BandFile, OpenRaster]]) -> Grid:
    """The chain's grid: that of its coarsest or finest band, or of a band reduced to the pixel size it declares."""
    sizes = [(_effective_factor(band, opened), opened) for band, _, opened in bands]
    if not sizes:
        raise MissingInput(f"chain {chain.name!r}: the granule holds none of its bands")
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
    if band.resolution is None or opened.grid.crs == "EPSG:4326":
        return 1
    return max(1, round(band.resolution / opened.grid.resolution))


def _open_bands(
    chain: Chain, granule: Granule, inputs: tuple[Input, ...], stack: ExitStack
) -> list[tuple[Band, BandFile, OpenRaster]]:
    bands = []
    for declared in inputs:
        if not isinstance(declared, Band):
            continue
        file = granule.band(declared.role, declared.correction, declared.resolution)
        if file is None:
            if declared.required:
                raise granule.missing(declared.role, chain.name)
            continue
        opened = open_raster(file.raster)
        stack.callback(opened.close)
        bands.append((declared, file, opened))
    return bands


def _reference_first(
    bands: list[tuple[Band, BandFile, OpenRaster]], grid: Grid
) -> list[tuple[Band, BandFile, OpenRaster]]:
    return sorted(bands, key=lambda entry: entry[2].grid != grid)


def _add(scenery: Scenery, declared: Input, layers: StaticLayers) -> None:
    if isinstance(declared, Mask):
        scenery._add_mask(declared)
    elif isinstance(declared, Codes):
        scenery._add_codes(declared)
    elif isinstance(declared, Static):
        scenery._add_static(declared, layers, scenery.granule.tile)


def _check_level(chain: Chain, granule: Granule) -> None:
    if granule.level not in chain.levels:
        raise BadInput(
            f"{granule.path}: is a {granule.level} product; the chain {chain.name!r} takes {', '.join(chain.levels)}",
            advice="Use a product of the right level, or a chain that declares this one.",
        )


def _check_tile(granule: Granule, grid: Grid, bands: list[tuple[Band, BandFile, OpenRaster]]) -> None:
    """A granule lies in its tile's CRS, on the tile's pixels and inside its footprint; a part of the tile is fine."""
    if not granule.on_mgrs:
        return
    tile = Tile.parse(granule.tile)
    whole = tile.grid(grid.resolution)
    path = bands[0][2].path
    if grid.crs != whole.crs:
        raise BadInput(f"{path}: is in {grid.crs}, its tile {tile.id} in {whole.crs}")
    if any(abs(value - round(value)) > 1e-3 for value in whole.offset_of(grid)):
        raise BadInput(
            f"{path}: {grid.describe()} is not aligned to the pixels of tile {tile.id} ({whole.describe()})"
        )
    if not tile.grid(10).contains(grid):
        raise BadInput(
            f"{path}: {grid.describe()} reaches beyond the footprint of tile {tile.id} ({whole.describe()})"
        )


def _part(grid: Grid, box: Bounds | None) -> Part:
    if box is None:
        return Part(grid, 0, 0, grid)
    from rasterio.warp import transform_bounds

    left, bottom, right, top = transform_bounds("EPSG:4326", grid.crs, *box, densify_pts=21)
    width, height = grid.pixel
    rows, columns = grid.shape
    row, last_row = max(0, int((grid.top - top) // height)), min(rows, int(-((bottom - grid.top) // height)))
    column, last_column = (
        max(0, int((left - grid.left) // width)),
        min(columns, int(-((grid.left - right) // width))),
    )
    if last_row <= row or last_column <= column:
        raise UsageError(f"the box {box} does not touch the granule ({grid.describe()})")
    shape = (last_row - row, last_column - column)
    return Part(grid, row, column, grid.window(row, column, shape))


def _table(file: MaskFile, meanings: tuple[str, ...], opened: OpenRaster) -> NDArray[np.uint8]:
    size = 256 if opened.dtype in ("uint8", "int8") else 65536
    table = np.zeros(size, np.uint8)
    for bit, meaning in enumerate(meanings):
        if meaning in file.legend:
            table |= file.legend[meaning].table(size).astype(np.uint8) << np.uint8(bit)
    return table


def _is_read_in(declared: Input, step: str) -> bool:
    return declared.step in (step, "both")
