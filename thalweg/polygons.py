"""Polygons: the areas of a class raster as a GeoPackage, and the pixels of a grid that lie in those of a file."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.errors import BadInput, BadParameters, MissingInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.grid import Bounds, Grid

WRITTEN = "2000-01-01T00:00:00.000Z"
"""The time of writing that every GeoPackage states: equal inputs give equal bytes."""

Ring = Sequence[tuple[float, float]]


def write_polygons(path: str | Path, raster: str | Path, field: str) -> None:
    """Write the areas of one non-zero value in the first band of the file `raster` as polygons, 4-connected.

    The GeoPackage has one layer, named as its integer field: `field` holds the value, a no-data value like
    any other. Corners and CRS are those of the raster. Raises BadParameters where pyogrio is not installed.
    """
    pyogrio = import_pyogrio()
    outlines, values, crs = _trace(Path(raster))
    try:
        with _stated_time(pyogrio):
            pyogrio.raw.write(
                Path(path),
                geometry=_objects(outlines),
                field_data=[np.array(values, np.int32)],
                fields=np.array([field]),
                layer=field,
                driver="GPKG",
                geometry_type="Polygon",
                crs=crs,
            )
    except BaseException:
        Path(path).unlink(missing_ok=True)
        raise


def burn_polygons(path: Path, grid: Grid, value: int) -> NDArray[np.uint8]:
    """`value` (0 to 255) for each pixel of `grid` whose centre lies in a polygon of the file's first layer, else 0.

    Polygons in another CRS are transformed, their edges in pieces. Raises MissingInput where there is no file, BadInput
    where it cannot be read, has no CRS or holds anything but polygons, BadParameters where pyogrio or shapely is not
    installed.
    """
    from rasterio.features import rasterize
    from rasterio.transform import Affine

    areas = _areas(path, grid)
    if not areas:
        return np.zeros(grid.shape, np.uint8)
    burnt: NDArray[np.uint8] = rasterize(
        areas, grid.shape, transform=Affine(*grid.transform), default_value=value, dtype="uint8"
    )
    return burnt


def _areas(path: Path, grid: Grid) -> list[Any]:
    """What of the polygons of a file can touch the grid, in the grid's CRS."""
    pyogrio, shapely = import_pyogrio(), import_shapely()
    if not path.exists():
        raise MissingInput(f"{path}: no such file")
    try:
        crs = pyogrio.read_info(path, layer=0)["crs"]
        if crs is None:
            raise BadInput(f"{path}: has no coordinate reference system")
        areas = []
        for box in grid.bounds_in(crs):
            _, _, outlines, _ = pyogrio.raw.read(path, layer=0, columns=[], bbox=box, force_2d=True)
            found = _checked(shapely, shapely.from_wkb(outlines), path)
            areas.append(
                found if _is_same(crs, grid.crs) else _transformed(shapely, found, box, crs, grid.crs)
            )
    except (RuntimeError, ValueError, shapely.errors.ShapelyError) as problem:
        raise BadInput(f"{path}: polygons cannot be read: {problem}") from problem
    return [area for part in areas for area in part if not area.is_empty]


def _checked(shapely: Any, shapes: Any, path: Path) -> Any:
    shapes = shapes[~(shapely.is_missing(shapes) | shapely.is_empty(shapes))]
    for shape in shapes:
        if shape.geom_type not in ("Polygon", "MultiPolygon"):
            raise BadInput(f"{path}: holds a {shape.geom_type}; only polygons cover pixels")
    return shapes


def _transformed(shapely: Any, shapes: Any, box: Bounds, crs: str, target: str) -> Any:
    """Shapes in another CRS: cut around the box first, for beyond it the transformation may have no result."""
    from pyproj import Transformer

    left, bottom, right, top = box
    around = max(right - left, top - bottom) / 10
    near = shapely.clip_by_rect(shapes, left - around, bottom - around, right + around, top + around)
    # Straight in one CRS is bent in another: a hundredth of a tile is straight within a few centimetres.
    pieces = shapely.segmentize(near, around / 10)
    transformer = Transformer.from_crs(crs, target, always_xy=True)
    return shapely.transform(pieces, transformer.transform, interleaved=False)


def _is_same(crs: str, other: str) -> bool:
    from pyproj import CRS

    return bool(CRS(crs).equals(CRS(other), ignore_axis_order=True))


def import_shapely() -> Any:
    """shapely; BadParameters with advice where it is not installed."""
    try:
        import shapely
    except ImportError as error:
        raise BadParameters(
            f"polygons need shapely, which cannot be imported: {error}",
            advice="Install it with `pip install thalweg[science]`, or give a raster.",
        ) from error
    return shapely


def import_pyogrio() -> Any:
    """pyogrio; BadParameters with advice where it is not installed."""
    try:
        import pyogrio
        import pyogrio.raw
    except ImportError as error:
        raise BadParameters(
            f"polygons need pyogrio, which cannot be imported: {error}",
            advice="Install it with `pip install thalweg[science]`, or do not ask for polygons.",
        ) from error
    return pyogrio


def _trace(raster: Path) -> tuple[list[bytes], list[int], str]:
    """Outlines as WKB and their values, in the order in which a scan from the top ends them; the CRS."""
    import rasterio
    from rasterio.features import shapes

    with rasterio.open(raster) as source:
        band = rasterio.band(source, 1)
        # The band is its own mask: zero is left out. GDAL reads it line by line: no array is held.
        outlines = shapes(band, mask=band, connectivity=4, transform=source.transform)
        traced = [(_wkb(shape["coordinates"]), int(value)) for shape, value in outlines]
        crs = source.crs.to_string()
    return [outline for outline, _ in traced], [value for _, value in traced], crs


def _wkb(rings: Sequence[Ring]) -> bytes:
    """A polygon as little-endian well-known binary."""
    parts = [struct.pack("<BII", 1, 3, len(rings))]
    for ring in rings:
        parts += [struct.pack("<I", len(ring)), np.asarray(ring, "<f8").tobytes()]
    return b"".join(parts)


def _objects(outlines: Sequence[bytes]) -> Any:
    array = np.empty(len(outlines), object)
    array[:] = outlines
    return array


@contextmanager
def _stated_time(pyogrio: Any) -> Iterator[None]:
    """Make GDAL write the same date into every file, instead of that of today."""
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": WRITTEN})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
