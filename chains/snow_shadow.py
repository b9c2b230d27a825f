"""Cast shadow of relief for the snow chain: which terrain, which sun, on which pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from thalweg.chains.snow_parameters import Snow
from thalweg.errors import BadInput, BadParameters
from thalweg.granule import Sun, SunGrid
from thalweg.kernels import relief
from thalweg.scene import WholeLayer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.granule import Granule
    from thalweg.scene import Scene, Tileful


@dataclass(frozen=True, slots=True)
class Shadow:
    """Sun and terrain, ready for casting shadows on strips."""

    ground: relief.Terrain
    """The elevation model."""
    row: int
    """Row of it where the tile begins."""
    column: int
    """Column of it where the tile begins."""
    steps: tuple[NDArray[np.int32], NDArray[np.int32]]
    """Rows down and columns right of the steps towards the sun; of all rays with an angle grid."""
    rises: NDArray[np.int32] | None = None
    """Least rise that hides the sun at each step; None with an angle grid."""
    distances: NDArray[np.float32] | None = None
    """Metres to each step, with an angle grid."""
    starts: NDArray[np.int64] | None = None
    """First step of each ray, with an angle grid."""
    sun: SunGrid | None = None
    """The angle grid, None where the mean angles rule."""


def find_shadow(tile: Tileful, parameters: Snow) -> Shadow:
    """Sun and terrain of a tile: the elevation model, with what lies around the tile where the profile looks at it."""
    layer = tile.whole["dem"] if parameters.lis else tile.whole.get("dem_buffer", tile.whole["dem"])
    if parameters.lis:
        layer = WholeLayer(np.ascontiguousarray(layer.within(tile.grid)))
    nodata = None if layer.nodata is None else int(layer.nodata)
    ground = relief.terrain(layer.values, nodata)
    sun, pixel, shape = checked_sun(tile.granule, parameters), tile.grid.resolution, layer.values.shape
    grid = sun.grid if parameters.sun_angles == "grid" else None
    if grid is None:
        ray = relief.sun_ray(sun.azimuth, relief.reach(ground, pixel, sun.zenith), pixel, shape)
        rises = relief.rises(ray, relief.sun_tangent(sun.zenith))
        return Shadow(ground, layer.row, layer.column, (ray.rows, ray.columns), rises=rises)
    longest = relief.reach(ground, pixel, float(grid.zenith.max()))
    rays = relief.sun_grid(grid.azimuth, longest, pixel, shape)
    return Shadow(
        ground,
        layer.row,
        layer.column,
        (rays.rows, rays.columns),
        distances=rays.distances,
        starts=rays.starts,
        sun=grid,
    )


def checked_sun(granule: Granule, parameters: Snow) -> Sun:
    """The sun of a granule, missing nodes of its grid filled with the mean; an error where it is below the horizon."""
    sun = granule.sun
    if sun is None or (parameters.sun_angles == "grid" and sun.grid is None):
        raise BadParameters(
            f"{granule.path}: snow.sun_angles = 'grid', but the product has no angle grid", id="SNOW-CFG-02"
        )
    grid = sun.grid
    if grid is not None:
        zenith = np.where(np.isnan(grid.zenith), sun.zenith, grid.zenith)
        grid = SunGrid(zenith, np.where(np.isnan(grid.azimuth), sun.azimuth, grid.azimuth), grid.step)
    highest = max(
        sun.zenith, float(grid.zenith.max()) if grid is not None and parameters.sun_angles == "grid" else 0.0
    )
    if highest >= 90:
        raise BadInput(
            f"{granule.path}: sun zenith of {highest:g} degrees: the sun is below the horizon",
            id="SNOW-CFG-02",
        )
    return Sun(sun.zenith, sun.azimuth, grid)


def relief_shadow(
    scene: Scene, shadow: Shadow | None, candidate: NDArray[np.uint8] | None
) -> NDArray[np.uint8]:
    """Where relief hides the sun: from the static layer, else computed where a candidate waits for it (None: all)."""
    if "relief_shadow" in scene:
        return scene.relief_shadow
    if shadow is None:
        raise ValueError("no sun angles and no relief shadow mask: `settle` should have said so")
    out = np.empty(scene.shape, np.uint8)
    row, column = shadow.row + scene.rows[0], shadow.column
    ground = shadow.ground
    if shadow.rises is not None:
        relief.cast_shadow(*ground, row, column, *shadow.steps, shadow.rises, candidate, out)
        return out
    if shadow.sun is None:
        raise ValueError("a shadow has either rises or an angle grid")
    pixel, step, nodes = scene.grid.resolution, shadow.sun.step, shadow.sun.zenith.shape
    corner = (scene.rows[0] - scene.corner[0], -scene.corner[1])
    relief.cast_shadow_grid(
        ground.elevation,
        ground.heights,
        row,
        column,
        *shadow.steps,
        shadow.distances,
        shadow.starts,
        relief.nearest_nodes(corner[0], scene.shape[0], pixel, step[0], nodes[0]),
        relief.nearest_nodes(corner[1], scene.shape[1], pixel, step[1], nodes[1]),
        nodes[1],
        relief.tangents(shadow.sun.zenith, corner, scene.shape, pixel, step),
        candidate,
        out,
    )
    return out
