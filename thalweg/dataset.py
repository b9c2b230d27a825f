"""Scenes as xarray Datasets, for chains whose function asks for one by its annotation (needs thalweg[science])."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.chain import Noted, Strip
from thalweg.errors import BadParameters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.scene import Scene


def wants_dataset(function: Callable[..., Any]) -> bool:
    """True where the function's first argument is annotated as an xarray Dataset; xarray itself is not imported."""
    arguments = inspect.signature(function).parameters
    annotation = next((argument.annotation for argument in arguments.values()), None)
    if isinstance(annotation, str):
        return annotation.strip("'\"").rpartition(".")[2] == "Dataset"
    module = str(getattr(annotation, "__module__", ""))
    return module.partition(".")[0] == "xarray" and getattr(annotation, "__name__", "") == "Dataset"


def to_dataset(scene: Scene) -> Any:
    """The strip, and the chain's halo around it, with coordinates of pixel centres and the CRS.

    What the survey carried has no halo: it is 0 there.
    """
    try:
        import xarray
    except ImportError:
        raise BadParameters(
            "the chain asks for an xarray Dataset, and xarray is not installed",
            advice="pip install 'thalweg[science]'",
        ) from None
    rows, columns = scene.shape
    halo = max(((values.shape[0] - rows) // 2 for values in scene.values.values()), default=0)
    width, height = scene.grid.pixel
    y = scene.grid.top - (np.arange(-halo, rows + halo) + scene.rows[0] + 0.5) * height
    x = scene.grid.left + (np.arange(-halo, columns + halo) + 0.5) * width
    bands = {name: (("y", "x"), _grown(values, len(y), len(x))) for name, values in scene.values.items()}
    return xarray.Dataset(
        bands, coords={"y": y, "x": x}, attrs={"crs": scene.grid.crs, "granule": scene.granule.id}
    )


def from_dataset(result: Any, shape: tuple[int, int]) -> Any:
    """Layers of a Dataset, or of a mapping of DataArrays or arrays, cut to the strip's `shape` where they have a halo.

    What a chain gives back with totals or a carry passes as it is.
    """
    if isinstance(result, Strip | Noted):
        return result
    items = result.data_vars.items() if hasattr(result, "data_vars") else result.items()
    return {str(name): _cut(np.asarray(values), shape) for name, values in items}


def _grown(values: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    missing = ((rows - values.shape[0]) // 2, (columns - values.shape[1]) // 2)
    return np.pad(values, tuple((size, size) for size in missing)) if any(missing) else values


def _cut(values: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    excess = [(size - wanted) // 2 for size, wanted in zip(values.shape, shape, strict=False)]
    if not any(size > 0 for size in excess):
        return values
    return values[tuple(slice(size, -size or None) for size in excess)]
