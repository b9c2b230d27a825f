"""Lakes as a user gives them, polygons or points, and the pixels whose centres lie in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.errors import BadInput, BadParameters, MissingInput
from thalweg.polygons import import_pyogrio, import_shapely

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.grid import Grid


@dataclass(frozen=True, slots=True)
class Lake:
    """A polygon with an id, or a point around which a window of pixels is taken."""

    id: str
    """Unique in its file."""
    crs: str
    """Of its coordinates."""
    rings: tuple[NDArray[np.float64], ...] = ()
    """Vertices of outlines and holes, (n, 2) each."""
    point: tuple[float, float] | None = None
    """Position, where it is a point."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The pixels of a grid that belong to a lake."""

    row: int
    """First row of the part of the grid that is looked at."""
    column: int
    """Its first column."""
    inside: NDArray[np.bool_]
    """For each pixel of the part whether it belongs to the lake."""


def read_lakes(path: Path) -> list[Lake]:
    """The polygons, or points, of the first layer of a GeoPackage or GeoJSON file, by their field `id`.

    Raises MissingInput where there is no file; BadInput where it cannot be read, has no CRS, a feature has no `id`, one
    that another has too, or another geometry; BadParameters where pyogrio or shapely is not installed.
    """
    pyogrio, shapely = import_pyogrio(), import_shapely()
    if not path.exists():
        raise MissingInput(f"{path}: no such file")
    try:
        meta, _, outlines, columns = pyogrio.raw.read(path, layer=0, force_2d=True)
        geometries = shapely.from_wkb(outlines)
    except (RuntimeError, ValueError, shapely.errors.ShapelyError) as problem:
        raise BadInput(f"{path}: polygons cannot be read: {problem}") from problem
    if meta["crs"] is None:
        raise BadInput(f"{path}: has no coordinate reference system")
    fields = dict(zip(meta["fields"], columns, strict=True))
    if "id" not in fields:
        raise BadInput(f"{path}: its features have no field 'id'; they have: {', '.join(fields) or 'none'}")
    ids = [_id(path, value) for value in fields["id"]]
    if len(set(ids)) < len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise BadInput(f"{path}: two features have the id {twice!r}")
    pairs = zip(ids, geometries, strict=True)
    return [_lake(path, name, geometry, meta["crs"], shapely) for name, geometry in pairs]


def _id(path: Path, value: Any) -> str:
    if value is None or value != value or str(value) == "":
        raise BadInput(f"{path}: a feature has no id")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _lake(path: Path, name: str, geometry: Any, crs: str, shapely: Any) -> Lake:
    kind = geometry.geom_type if geometry is not None and not geometry.is_empty else "empty geometry"
    if kind == "Point":
        return Lake(name, crs, point=(geometry.x, geometry.y))
    if kind not in ("Polygon", "MultiPolygon"):
        raise BadInput(f"{path}: feature {name!r} is a {kind}; only polygons and points have pixels")
    rings = tuple(
        np.asarray(ring.coords, np.float64)[:, :2]
        for part in shapely.get_parts(geometry)
        for ring in (part.exterior, *part.interiors)
    )
    return Lake(name, crs, rings)


def cut(lake: Lake, grid: Grid, window: int = 3) -> Cut:
    """The pixels of a lake on a grid: those whose centre lies in it by the half-open even-odd rule, or the `window` x
    `window` pixels around a point; none where it lies elsewhere."""
    if lake.point is not None:
        ((x, y),) = _vertices(np.array([lake.point]), lake.crs, grid.crs)
        return _around(x, y, grid, window)
    return _within([_vertices(ring, lake.crs, grid.crs) for ring in lake.rings], grid)


def _vertices(points: NDArray[np.float64], crs: str, target: str) -> NDArray[np.float64]:
    from pyproj import CRS, Transformer

    if CRS(crs).equals(CRS(target), ignore_axis_order=True):
        return points
    transformer = Transformer.from_crs(crs, target, always_xy=True)
    return np.column_stack(transformer.transform(points[:, 0], points[:, 1]))


def _within(rings: Sequence[NDArray[np.float64]], grid: Grid) -> Cut:
    rows, columns = grid.shape
    x = grid.left + (np.arange(columns, dtype=np.float64) + 0.5) * grid.pixel[0]
    y = grid.top - (np.arange(rows, dtype=np.float64) + 0.5) * grid.pixel[1]
    points = np.concatenate(rings)
    if not np.isfinite(points).all():
        return _nothing()
    first, last = np.searchsorted(-y, [-points[:, 1].max(), -points[:, 1].min()], side="left")
    left, right = np.searchsorted(x, [points[:, 0].min(), points[:, 0].max()], side="left")
    last = min(last + 1, rows)
    if first >= last or left >= right:
        return _nothing()
    return Cut(int(first), int(left), _odd(rings, x[left:right], y[first:last]))


def _odd(
    rings: Sequence[NDArray[np.float64]], x: NDArray[np.floating[Any]], y: NDArray[np.floating[Any]]
) -> NDArray[np.bool_]:
    """Where an odd number of edges lies to the right of a centre.

    An edge's ends are ordered by (y, then x); it counts for a centre (X, Y) if y1 <= Y < y2 and
    X < x1 + (Y - y1)(x2 - x1)/(y2 - y1).
    """
    # crossings[i, k]: how many edges are crossed in row i that have just k centres on their left.
    crossings = np.zeros((len(y), len(x) + 1), np.int64)
    for x1, y1, x2, y2 in _edges(rings):
        begin, end = np.searchsorted(-y, [-y2, -y1], side="right")
        at = y[begin:end]
        places = np.searchsorted(x, x1 + (at - y1) * (x2 - x1) / (y2 - y1), side="left")
        np.add.at(crossings, (np.arange(begin, end), places), 1)
    beyond = crossings[:, ::-1].cumsum(axis=1)[:, ::-1]
    return np.asarray(beyond[:, 1:] % 2 == 1)


def _edges(rings: Sequence[NDArray[np.float64]]) -> Iterator[tuple[float, float, float, float]]:
    for ring in rings:
        for one, other in pairwise(ring):
            (y1, x1), (y2, x2) = sorted(((one[1], one[0]), (other[1], other[0])))
            if y1 < y2:
                yield float(x1), float(y1), float(x2), float(y2)


def _around(x: float, y: float, grid: Grid, window: int) -> Cut:
    if window < 1 or window % 2 == 0:
        raise BadParameters(f"a window of {window} pixels: an odd number is wanted")
    if not (np.isfinite(x) and np.isfinite(y)):
        return _nothing()
    rows, columns = grid.shape
    row, column = int((grid.top - y) // grid.pixel[1]), int((x - grid.left) // grid.pixel[0])
    if not (0 <= row < rows and 0 <= column < columns):
        return _nothing()
    first, left = max(row - window // 2, 0), max(column - window // 2, 0)
    shape = (min(row + window // 2 + 1, rows) - first, min(column + window // 2 + 1, columns) - left)
    return Cut(first, left, np.ones(shape, np.bool_))


def _nothing() -> Cut:
    return Cut(0, 0, np.zeros((0, 0), np.bool_))
