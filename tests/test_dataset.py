"""Scenes as xarray Datasets, for chains that ask for one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray
import xarray as xr

from tests.granules import CORNER, make_granule, write_raster
from tests.running import run_chain
from thalweg import Band, Chain, Layer, Noted, Static, Strip, chain
from thalweg.dataset import from_dataset, wants_dataset
from thalweg.errors import BadParameters
from thalweg.static import StaticLayers

if TYPE_CHECKING:
    from somewhere import Dataset

ROWS, COLUMNS = 14, 9
RANDOM = np.random.default_rng(29)
RED = RANDOM.integers(0, 9000, (ROWS, COLUMNS)).astype(np.int16)
DEM = RANDOM.integers(0, 3000, (ROWS, COLUMNS)).astype(np.int16)
COUNTS = Band("red", encoding="counts")
OUT = Layer("out", "int32")


def by_module(scene: xarray.Dataset) -> Any: ...
def by_short_name(scene: xr.Dataset, *, a: float = 1) -> Any: ...
def by_text(scene: "xarray.Dataset") -> Any: ...  # noqa: UP037
def by_bare_name(scene: Dataset) -> Any: ...
def by_class(scene: Any) -> Any: ...
def not_at_all(scene: Any) -> xarray.Dataset: ...
def of_a_parameter(scene, *, other: xarray.Dataset | None = None) -> Any: ...  # type: ignore[no-untyped-def]
def of_arrays(scene: xarray.DataArray) -> Any: ...


by_class.__annotations__["scene"] = xarray.Dataset


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (by_module, True),
        (by_short_name, True),
        (by_text, True),
        (by_bare_name, True),
        (by_class, True),
        (not_at_all, False),
        (of_a_parameter, False),
        (of_arrays, False),
        (lambda: None, False),
    ],
)
def test_the_annotation_of_the_first_argument_decides(function: Callable[..., Any], wanted: bool) -> None:
    assert wants_dataset(function) is wanted


def declare(function: Callable[..., Any], *inputs: Any, **options: Any) -> Chain:
    function.__doc__ = "Does something."
    return chain("lab.x", version="1", inputs=inputs or [COUNTS], outputs=[OUT], **options)(function)


@pytest.fixture(scope="module")
def granule(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_granule(tmp_path_factory.mktemp("granule"), {"red": (RED, 20.0)})


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> StaticLayers:
    folder = tmp_path_factory.mktemp("static")
    write_raster(folder / "dem.tif", DEM)
    return StaticLayers(folder)


@pytest.mark.parametrize("rows", [None, 5])
def test_a_dataset_has_coordinates_of_pixel_centres_and_its_crs(granule: Any, rows: int | None) -> None:
    seen: list[xarray.Dataset] = []

    def look(scene: xarray.Dataset) -> Any:
        seen.append(scene)
        return scene.astype("int32").rename(red="out")

    kept, _ = run_chain(declare(look), granule, rows=rows)
    np.testing.assert_array_equal(kept["out"], RED)
    whole = xarray.concat(seen, "y")
    np.testing.assert_array_equal(whole.y, CORNER[1] - 10 - 20 * np.arange(ROWS))
    np.testing.assert_array_equal(whole.x, CORNER[0] + 10 + 20 * np.arange(COLUMNS))
    assert whole.attrs == {"crs": "EPSG:32631", "granule": "TEST_31TCH"}


def smooth_arrays(scene: Any) -> Any:
    rows, columns = scene.shape
    total = sum(scene.red[i : i + rows, j : j + columns].astype(np.int32) for i in range(3) for j in range(3))
    return {"out": total + scene.dem[1:-1, 1:-1]}


def smooth_dataset(scene: xarray.Dataset) -> Any:
    total = scene.red.astype("int32").rolling(x=3, y=3, center=True).sum().fillna(0)
    return {"out": (total + scene.dem).astype("int32")}


@pytest.mark.parametrize("rows", [None, 4])
def test_a_halo_is_part_of_the_dataset_and_cut_off_its_result(
    granule: Any, layers: Any, rows: int | None
) -> None:
    inputs = (COUNTS, Static("dem", "int16"))
    arrays, _ = run_chain(declare(smooth_arrays, *inputs, halo=1), granule, layers, rows)
    dataset, _ = run_chain(declare(smooth_dataset, *inputs, halo=1), granule, layers, rows)
    np.testing.assert_array_equal(dataset["out"], arrays["out"])


def test_coordinates_go_on_in_the_halo(granule: Any) -> None:
    seen: list[xarray.Dataset] = []

    def look(scene: xarray.Dataset) -> Any:
        seen.append(scene)
        return {"out": scene.red[2:-2, 2:-2].astype("int32")}

    run_chain(declare(look, halo=2), granule, rows=7)
    np.testing.assert_array_equal(seen[1].y, CORNER[1] - 10 - 20 * np.arange(7 - 4, 14))
    np.testing.assert_array_equal(seen[0].x, CORNER[0] + 10 + 20 * np.arange(-2, COLUMNS + 2))


@pytest.mark.parametrize("halo", [0, 2])
def test_a_survey_may_ask_for_a_dataset_too(granule: Any, halo: int) -> None:
    def without_halo(band: xarray.DataArray) -> xarray.DataArray:
        return band[halo : band.shape[0] - halo, halo : band.shape[1] - halo]

    def survey(scene: xarray.Dataset) -> Noted:
        inside = without_halo(scene.red)
        return Noted({"dark": (inside < 3000).values}, {"sum": inside.sum(dtype="int64").values})

    def apply(scene: xarray.Dataset) -> Strip:
        return Strip({"out": without_halo(scene.dark).astype("int32").values}, {})

    what = declare(apply, Band("red", encoding="counts"), survey=survey, halo=halo)
    np.testing.assert_array_equal(run_chain(what, granule, rows=7)[0]["out"], RED < 3000)


@pytest.mark.parametrize("shape", [(4, 3), (8, 5)])
def test_results_come_as_dataset_or_mapping(shape: tuple[int, int]) -> None:
    values = np.arange(shape[0] * shape[1]).reshape(shape)
    middle = values[(shape[0] - 4) // 2 :, (shape[1] - 3) // 2 :][:4, :3]
    array = xarray.DataArray(values, dims=("y", "x"))
    given: list[Mapping[str, Any] | xarray.Dataset] = [
        {"out": values},
        {"out": array},
        xarray.Dataset({"out": array}),
    ]
    for result in given:
        np.testing.assert_array_equal(from_dataset(result, (4, 3))["out"], middle)


def test_without_xarray_the_error_says_what_to_install(
    granule: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(scene: xarray.Dataset) -> Any: ...

    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(BadParameters, match="xarray is not installed") as caught:
        run_chain(declare(look), granule)
    assert "thalweg[science]" in caught.value.what_to_do
