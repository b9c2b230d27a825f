"""The pixel grid of a raster: where each pixel lies on the ground."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

Bounds = tuple[float, float, float, float]
"""Left, bottom, right, top, in the units of a CRS."""

_SMALLEST, _LARGEST, _FARTHEST = 1e-9, 1e9, 1e12


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows and columns of square or rectangular pixels, north up, in one CRS."""

    crs: str
    """Authority code such as ``EPSG:32631``."""
    left: float
    """Easting or longitude of the outer edge of the first column."""
    top: float
    """Northing or latitude of the outer edge of the first row."""
    pixel: tuple[float, float]
    """Width and height of a pixel, both positive, in units of the CRS."""
    shape: tuple[int, int]
    """Rows and columns."""

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """Affine coefficients (a, b, c, d, e, f) from (column, row) to (x, y), the order of rasterio and STAC."""
        width, height = self.pixel
        return (width, 0.0, self.left, 0.0, -height, self.top)

    @property
    def epsg(self) -> int | None:
        """The EPSG number, or None where the CRS has none."""
        authority, _, code = self.crs.partition(":")
        return int(code) if authority == "EPSG" and code.isdigit() else None

    @property
    def resolution(self) -> float:
        """Pixel width, in units of the CRS."""
        return self.pixel[0]

    @property
    def bounds(self) -> Bounds:
        """Outer edges: left, bottom, right, top."""
        rows, columns = self.shape
        width, height = self.pixel
        return (self.left, self.top - rows * height, self.left + columns * width, self.top)

    def at(self, factor: int) -> Grid:
        """The same upper-left corner on pixels `factor` times as large; a last partial pixel is left out."""
        rows, columns = self.shape
        width, height = self.pixel
        return replace(
            self, pixel=(width * factor, height * factor), shape=(rows // factor, columns // factor)
        )

    def finer(self, factor: int) -> Grid:
        """The same footprint on pixels `factor` times as small."""
        rows, columns = self.shape
        width, height = self.pixel
        return replace(self, pixel=(width / factor, height / factor), shape=(rows * factor, columns * factor))

    def window(self, row: int, column: int, shape: tuple[int, int]) -> Grid:
        """The part of `shape` pixels that starts at (row, column)."""
        width, height = self.pixel
        return replace(self, left=self.left + column * width, top=self.top - row * height, shape=shape)

    def offset_of(self, other: Grid) -> tuple[float, float]:
        """Row and column, in pixels of this grid, of the upper-left corner of the other one."""
        width, height = self.pixel
        return ((self.top - other.top) / height, (other.left - self.left) / width)

    def equals(self, other: Grid, tolerance: float = 1e-3) -> bool:
        """True when CRS and shape are equal and corner and pixel size agree within `tolerance` pixels."""
        return (
            self.shape == other.shape
            and self.is_aligned(other, tolerance)
            and self._same_corner(other, tolerance)
        )

    def is_aligned(self, other: Grid, tolerance: float = 1e-3) -> bool:
        """True when both have one CRS and pixel size and lie a whole number of pixels apart."""
        if self.crs != other.crs or not self._same_pixel(other, tolerance):
            return False
        return all(abs(value - round(value)) <= tolerance for value in self.offset_of(other))

    def contains(self, other: Grid, tolerance: float = 1e-3) -> bool:
        """True when the footprint of `other`, in the same CRS, lies inside this one."""
        if self.crs != other.crs:
            return False
        slack = tolerance * max(self.pixel)
        left, bottom, right, top = self.bounds
        l, b, r, t = other.bounds  # noqa: E741
        return l >= left - slack and b >= bottom - slack and r <= right + slack and t <= top + slack

    def bounds_in(self, crs: str) -> list[Bounds]:
        """Boxes in another CRS that hold the grid: one, or two where degrees jump, west of 180 and east of it."""
        from pyproj import Transformer

        transformer = Transformer.from_crs(self.crs, crs, always_xy=True)
        left, bottom, right, top = transformer.transform_bounds(*self.bounds, densify_pts=21)
        if left <= right:
            return [(left, bottom, right, top)]
        return [(left, bottom, 180.0, top), (-180.0, bottom, right, top)]

    def in_own_hemisphere(self) -> Grid:
        """The same pixels in the southern UTM zone, where a northern one of WGS 84 is used south of the equator.

        Landsat and HLS know northern zones only; the southern ones are equal to them but for 10,000 km of northing.
        """
        if self.epsg is None or not 32601 <= self.epsg <= 32660 or self.top > 0:
            return self
        return replace(self, crs=f"EPSG:{self.epsg + 100}", top=self.top + 10_000_000.0)

    def describe(self) -> str:
        """One line for messages: CRS, corner, pixel size and shape."""
        rows, columns = self.shape
        width, height = self.pixel
        size = f"{width:g}" if width == height else f"{width:g} x {height:g}"
        return (
            f"{self.crs}, corner ({self.left:.10g}, {self.top:.10g}), pixel {size}, {rows} x {columns} pixels"
        )

    def _same_pixel(self, other: Grid, tolerance: float) -> bool:
        # The size error adds up over the raster: it must stay under the tolerance at the far edge.
        span = max(*self.shape, *other.shape)
        return all(abs(a - b) * span <= tolerance * a for a, b in zip(self.pixel, other.pixel, strict=True))

    def _same_corner(self, other: Grid, tolerance: float) -> bool:
        return all(abs(value) <= tolerance for value in self.offset_of(other))


def grid_from_transform(crs: str, transform: Iterable[float], shape: tuple[int, int]) -> Grid | None:
    """The grid of a north-up affine transform (a, b, c, d, e, f, ...), or None where it is rotated or absurd.

    Pixels of less than 1e-9 or more than 1e9 units, and corners beyond 1e12, occur in damaged files only.
    """
    a, b, c, d, e, f = (float(value) for value in list(transform)[:6])
    is_sane = all(_SMALLEST <= size <= _LARGEST for size in (a, -e)) and all(
        abs(edge) <= _FARTHEST for edge in (c, f)
    )
    if not is_sane or b or d or min(shape) < 1:
        return None
    return Grid(crs, c, f, (a, -e), shape)
