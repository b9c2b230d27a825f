"""The contract: what a chain may declare, and a scientist's fifteen lines on a granule."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.granules import make_granule, write_raster
from tests.running import run_chain
from thalweg import Band, Chain, Layer, Mask, Static, chain
from thalweg.errors import BadInput, BadParameters
from thalweg.scene import Scene
from thalweg.static import StaticLayers

if TYPE_CHECKING:
    import xarray

RANDOM = np.random.default_rng(5)
RED = RANDOM.integers(0, 1600, (12, 9)).astype(np.int16)
NIR = RANDOM.integers(0, 1600, (24, 18)).astype(np.int16)
RED[2, 3] = NIR[5, 5] = -10000


@chain(
    "lab.turbidity",
    version="0.1",
    inputs=[Band("red", 20), Band("nir08", 20)],
    outputs=[Layer("turbidity", "float32", units="FNU")],
)
def turbidity(scene: Any, *, a: float = 228.1, c: float = 0.1641) -> Any:
    """Turbidity from red water reflectance (Dogliotti et al. 2015, red branch)."""
    return {"turbidity": a * scene.red / (1 - scene.red / c)}


@pytest.fixture(scope="module")
def granule(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_granule(tmp_path_factory.mktemp("granule"), {"red": (RED, 20.0), "nir08": (NIR, 10.0)})


@pytest.mark.parametrize("rows", [None, 5])
def test_a_laboratorys_chain_runs(granule: Any, rows: int | None) -> None:
    kept, _ = run_chain(turbidity, granule, rows=rows, a=200)
    rho = np.where(RED == -10000, np.nan, (RED * 1e-4).astype(np.float32))
    np.testing.assert_allclose(kept["turbidity"], 200 * rho / (1 - rho / 0.1641), rtol=1e-5)
    assert kept["turbidity"].dtype == np.float32


def test_the_same_lines_run_on_a_dataset(granule: Any) -> None:
    def function(scene: xarray.Dataset, *, a: float = 228.1, c: float = 0.1641) -> Any:
        """Turbidity from red water reflectance."""
        return turbidity.function(scene, a=a, c=c)

    on_dataset = chain("lab.turbidity", version="0.1", inputs=turbidity.inputs, outputs=turbidity.outputs)(
        function
    )
    arrays, dataset = (run_chain(what, granule, rows=5)[0]["turbidity"] for what in (turbidity, on_dataset))
    np.testing.assert_array_equal(dataset, arrays)


def test_a_chain_is_called_like_the_function_it_was_made_of() -> None:
    scene = Scene(None, None, (0, 1), {"red": np.array([[0.1]])})  # type: ignore[arg-type]
    assert turbidity(scene, a=100.0)["turbidity"] == pytest.approx(100 * 0.1 / (1 - 0.1 / 0.1641))


def test_what_a_chain_says_of_itself(granule: Any) -> None:
    assert turbidity.collection == "lab.turbidity-0.1"
    assert (
        turbidity.description == "Turbidity from red water reflectance (Dogliotti et al. 2015, red branch)."
    )
    assert turbidity.names_for(granule, {}, "1", frozenset()).product == "lab.turbidity_31TCH_20210415T105910"
    assert turbidity.parameters.schema()["properties"]["c"] == {"type": "number", "default": 0.1641}


def declare(**change: Any) -> Chain:
    """A chain like any other, but for one thing."""
    given: dict[str, Any] = {
        "name": "lab.x",
        "version": "1",
        "inputs": [Band("red")],
        "outputs": [Layer("out", "int16")],
        **change,
    }

    def function(scene: Any) -> Any:
        """Does something."""

    function.__doc__ = given.pop("doc", function.__doc__)
    return chain(given.pop("name"), **given)(function)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "Lab"}, "chain 'Lab': its name"),
        ({"name": "../x"}, "its name"),
        ({"version": "1/2"}, "its version '1/2'"),
        ({"outputs": []}, "different names"),
        ({"outputs": [Layer("out", "int16"), Layer("out", "uint8")]}, "different names"),
        ({"outputs": [Layer("out", "float64")]}, "'out' is float64; layers are uint8"),
        ({"main": ("aut",)}, "'aut' is not among its outputs: out"),
        ({"inputs": [Band("red"), Band("red", 20)]}, "inputs with different names"),
        ({"inputs": [Static("dem")]}, "at least one band"),
        ({"gate": ("clouds",)}, "'clouds' in its gate. Did you mean 'cloud'"),
        ({"settle": len}, "settle without survey"),
        ({"whole": True, "halo": 1}, "neither survey nor halo"),
        ({"whole": True, "survey": len}, "neither survey nor halo"),
        ({"halo": -1}, "halo of -1"),
        ({"doc": None}, "docstring"),
    ],
    ids=str,
)
def test_a_declaration_that_contradicts_itself_shows_at_import(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadParameters, match=words):
        declare(**change)


def test_inputs_and_gate_may_depend_on_parameters(granule: Any) -> None:
    what = declare(
        inputs=lambda parameters, granule: [Band(parameters["role"]), Mask("m", ("cloud",), required=False)],
        gate=lambda parameters: ("cloud",) if parameters["role"] == "red" else (),
    )
    assert [declared.name for declared in what.inputs_for({"role": "swir16"}, granule)] == ["swir16", "m"]
    assert what.gate_for({"role": "red"}) == ("cloud",)
    assert what.gate_for({"role": "green"}) == ()


def test_a_chain_takes_only_the_levels_that_it_declares(tmp_path: Path) -> None:
    top_of_atmosphere = make_granule(tmp_path, {"red": (RED, 20.0), "nir08": (RED, 20.0)}, level="L1C")
    with pytest.raises(BadInput, match=r"is a L1C product; the chain 'lab\.turbidity' takes L2A"):
        run_chain(turbidity, top_of_atmosphere)


def test_a_scene_says_what_it_has() -> None:
    scene = Scene(None, None, (0, 1), {"red": np.zeros((1, 1))})  # type: ignore[arg-type]
    assert "red" in scene
    assert "dem" not in scene
    with pytest.raises(AttributeError, match=r"no 'dem'; declare it as an input\. It has: red"):
        scene.dem  # noqa: B018


def test_a_scene_can_be_copied() -> None:
    scene = Scene(None, None, (3, 4), {"red": np.ones((1, 1))})  # type: ignore[arg-type]
    assert copy.copy(scene).red is scene.red


def test_optional_inputs_may_be_absent(granule: Any, tmp_path: Path) -> None:
    def function(scene: Any) -> Any:
        """Counts what is there."""
        names = [name for name in ("red", "swir16", "dem", "tcd") if name in scene]
        return {"out": np.full(scene.shape, len(names), np.int16)}

    inputs = [
        Band("red"),
        Band("swir16", required=False),
        Static("dem", "int16"),
        Static("tcd", required=False),
    ]
    what = chain("lab.count", version="1", inputs=inputs, outputs=[Layer("out", "int16")])(function)
    write_raster(tmp_path / "dem.tif", RED)
    assert (run_chain(what, granule, StaticLayers(tmp_path))[0]["out"] == 2).all()
