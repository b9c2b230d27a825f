from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from rasterio.features import rasterize

from thalweg.cog import write_cog
from thalweg.errors import BadParameters
from thalweg.grid import Grid
from thalweg.layer import Layer
from thalweg.polygons import write_polygons

SEB = Layer("seb", "uint8", nodata=255)


def write_raster(path: Path, values: NDArray[np.uint8], crs: str = "EPSG:32631") -> Grid:
    grid = Grid(crs, 300000.0, 4900020.0, (20.0, 20.0), values.shape)
    write_cog(path, values, SEB, grid)
    return grid


def read(path: Path) -> tuple[list[Any], list[int]]:
    """Polygons and their values."""
    _, _, outlines, (values,) = pyogrio.raw.read(path)
    return list(shapely.from_wkb(outlines)), values.tolist()


def polygons_of(folder: Path, values: NDArray[np.uint8]) -> tuple[list[Any], list[int], Grid]:
    grid = write_raster(folder / "seb.tif", values)
    write_polygons(folder / "seb.gpkg", folder / "seb.tif", "SEB")
    return *read(folder / "seb.gpkg"), grid


@settings(max_examples=50)
@given(
    values=hnp.arrays(
        np.uint8,
        st.tuples(st.integers(1, 30), st.integers(1, 30)),
        elements=st.sampled_from([0, 100, 205, 255]),
    )
)
def test_polygons_cover_the_pixels_of_their_value(
    tmp_path_factory: pytest.TempPathFactory, values: NDArray[np.uint8]
) -> None:
    outlines, codes, grid = polygons_of(tmp_path_factory.mktemp("polygons"), values)
    burnt = np.zeros(values.shape, np.uint8)
    if outlines:
        burnt = rasterize(
            zip(outlines, codes, strict=True), values.shape, transform=rasterio_transform(grid), dtype="uint8"
        )
    np.testing.assert_array_equal(burnt, values)
    assert sum(outline.area for outline in outlines) == np.count_nonzero(values) * 400.0
    assert all(shapely.is_valid(outlines))


def rasterio_transform(grid: Grid) -> Any:
    from rasterio.transform import Affine

    return Affine(*grid.transform)


def test_pixels_that_touch_at_a_corner_are_apart(tmp_path: Path) -> None:
    outlines, codes, _ = polygons_of(tmp_path, np.array([[100, 0], [0, 100]], np.uint8))
    assert codes == [100, 100]
    assert [outline.bounds for outline in outlines] == [
        (300000.0, 4900000.0, 300020.0, 4900020.0),
        (300020.0, 4899980.0, 300040.0, 4900000.0),
    ]


def test_holes_stay_holes(tmp_path: Path) -> None:
    values = np.full((3, 3), 100, np.uint8)
    values[1, 1] = 0
    (outline,), _, _ = polygons_of(tmp_path, values)
    assert len(outline.interiors) == 1


def test_the_layer_says_what_it_is(tmp_path: Path) -> None:
    write_raster(tmp_path / "seb.tif", np.full((2, 2), 205, np.uint8), crs="EPSG:4326")
    write_polygons(tmp_path / "seb.gpkg", tmp_path / "seb.tif", "SEB")
    info = pyogrio.read_info(tmp_path / "seb.gpkg")
    assert (info["layer_name"], info["crs"], info["geometry_type"]) == ("SEB", "EPSG:4326", "Polygon")
    assert (info["fields"].tolist(), info["dtypes"].tolist()) == (["SEB"], ["int32"])


def test_nothing_but_zero_gives_an_empty_layer(tmp_path: Path) -> None:
    assert polygons_of(tmp_path, np.zeros((5, 5), np.uint8))[:2] == ([], [])


def test_equal_rasters_give_equal_bytes(tmp_path: Path) -> None:
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    write_raster(tmp_path / "seb.tif", np.random.default_rng(0).integers(0, 2, (40, 40), np.uint8))
    for name in ("a.gpkg", "b.gpkg"):
        write_polygons(tmp_path / name, tmp_path / "seb.tif", "SEB")
    data = (tmp_path / "a.gpkg").read_bytes()
    assert data == (tmp_path / "b.gpkg").read_bytes()
    assert b"2000-01-01T00:00:00.000Z" in data
    assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") == before


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, **_: Any) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    write_raster(tmp_path / "seb.tif", np.ones((2, 2), np.uint8))
    monkeypatch.setattr(pyogrio.raw, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        write_polygons(tmp_path / "seb.gpkg", tmp_path / "seb.tif", "SEB")
    assert [one.name for one in tmp_path.iterdir()] == ["seb.tif"]


def test_without_pyogrio_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyogrio", None)
    with pytest.raises(BadParameters, match="pyogrio") as caught:
        write_polygons(tmp_path / "seb.gpkg", tmp_path / "seb.tif", "SEB")
    assert "thalweg[science]" in caught.value.what_to_do
