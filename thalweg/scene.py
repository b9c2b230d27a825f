"""The scene: what a chain's function receives, a granule's pixels on one grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.granule import Granule
    from thalweg.grid import Grid
    from thalweg.raster import Packing


@dataclass(frozen=True, slots=True)
class WholeLayer:
    """A static layer that is held whole, perhaps with a margin around the tile."""

    values: NDArray[Any]
    """The raster, margin included."""
    row: int = 0
    """Row of the raster where the tile begins."""
    column: int = 0
    """Column of the raster where the tile begins."""
    nodata: float | None = None
    """Stored value of pixels without data."""

    def within(self, grid: Grid) -> NDArray[Any]:
        """The part that lies on the tile."""
        rows, columns = grid.shape
        return self.values[self.row : self.row + rows, self.column : self.column + columns]


@dataclass(frozen=True)
class Scene:
    """A strip of rows (or the whole tile) with everything that the chain asked for, by name.

    Bands, masks and static layers are attributes: ``scene.red``, ``scene.dem``. What the granule does not have is
    absent: ask with ``"tcd" in scene``.
    """

    granule: Granule
    """Identity, sun angles, platform."""
    grid: Grid
    """Grid of the whole tile (or of the part that the user asked for)."""
    rows: tuple[int, int]
    """First row of the strip, and the one after its last."""
    values: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Name to rows, all columns; with the chain's halo where it has one."""
    whole: Mapping[str, WholeLayer] = field(default_factory=dict)
    """Static layers that the chain declared whole, by role."""
    settled: Any = None
    """What the chain's learn or settle step gave back; in the sample step, what that gave for the strip above."""
    corner: tuple[int, int] = (0, 0)
    """Row and column of the tile's own corner in this grid: negative or 0; not 0 where only a part is processed."""
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Name of a static layer to the tags of its file."""
    nodata: Mapping[str, float | None] = field(default_factory=dict)
    """Name of a static layer, or of codes, to the stored number that means nodata."""
    available: frozenset[str] = frozenset()
    """Names of all inputs that are there, in whichever step they are read."""
    packings: Mapping[str, Packing] = field(default_factory=dict)
    """Name of an exact band, or of a field, to how it decodes."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the strip, without halo."""
        return (self.rows[1] - self.rows[0], self.grid.shape[1])

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.values[name]

    def __getattr__(self, name: str) -> NDArray[Any]:
        # While a copy is made there are no values yet, and asking for them would ask again.
        values: Mapping[str, NDArray[Any]] = vars(self).get("values", {})
        try:
            return values[name]
        except KeyError:
            known = ", ".join(values)
            raise AttributeError(
                f"the scene has no {name!r}; declare it as an input. It has: {known}"
            ) from None


@dataclass(frozen=True)
class Tileful:
    """The whole tile between the two steps of a chain, and after the last: no bands, but all that was kept."""

    granule: Granule
    """Identity, sun angles, platform."""
    grid: Grid
    """Grid of the tile."""
    totals: Mapping[str, NDArray[np.int64]]
    """Totals of all strips, added up."""
    strips: tuple[tuple[int, int], ...] = ()
    """First row and the one after the last of every strip, in order."""
    carry: Mapping[str, list[NDArray[Any]]] = field(default_factory=dict)
    """What the survey kept, name to one array a strip."""
    whole: Mapping[str, WholeLayer] = field(default_factory=dict)
    """Static layers that the chain declared whole, by role."""
    available: frozenset[str] = frozenset()
    """Names of all inputs that the granule and the static layers hold."""
    settled: Any = None
    """What the step before gave back: the sample for learn, the model for settle, its own result for conclude."""
    corner: tuple[int, int] = (0, 0)
    """As in `Scene`."""
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """As in `Scene`."""
    packings: Mapping[str, Packing] = field(default_factory=dict)
    """As in `Scene`."""
    upstream: Mapping[str, str] = field(default_factory=dict)
    """Name of another chain to the unit whose product is read."""
    models: Mapping[str, Mapping[str, NDArray[Any]]] = field(default_factory=dict)
    """Role of a model to its arrays by name."""
