"""Scenes as xarray Datasets, for chains whose function asks for one by its annotation (needs thalweg[science])."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.errors import BadParameters

if TYPE_CHECKING:
    from thalweg.scene import Scene


def wants_dataset(function: Callable[..., Any]) -> bool:
    """True where the function's first argument is annotated as an xarray Dataset; xarray itself is not imported."""
    annotation = next(iter(getattr(function, "__annotations__", {}).values()), None)
    text = (
        annotation if isinstance(annotation, str) else f"{getattr(annotation, '__module__', '')}.{annotation}"
    )
    return "xarray" in text and "Dataset" in text or text == "xr.Dataset"


def to_dataset(scene: Scene) -> Any:
    """The strip with pixel-centre coordinates and its CRS; without the halo, which has no coordinates of its own."""
    try:
        import xarray
    except ImportError:
        raise BadParameters(
            "the chain asks for an xarray Dataset, and xarray is not installed",
            advice="pip install 'thalweg[science]'",
        ) from None
    first, last = scene.rows
    width, height = scene.grid.pixel
    y = scene.grid.top - (np.arange(first, last) + 0.5) * height
    x = scene.grid.left + (np.arange(scene.grid.shape[1]) + 0.5) * width
    shape = (last - first, len(x))
    bands = {name: (("y", "x"), values) for name, values in scene.values.items() if values.shape == shape}
    return xarray.Dataset(
        bands, coords={"y": y, "x": x}, attrs={"crs": scene.grid.crs, "granule": scene.granule.id}
    )


def from_dataset(result: Any) -> Mapping[str, Any]:
    """Layers of a Dataset, or of a mapping of DataArrays or arrays."""
    items = result.data_vars.items() if hasattr(result, "data_vars") else result.items()
    return {str(name): np.asarray(values) for name, values in items}
