"""The engine: three ways to run a chain, and results that no strip height changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.granules import make_granule, write_raster
from tests.running import Kept, run_chain
from thalweg import Band, Chain, Layer, Mask, Noted, Static, Strip, chain
from thalweg.chain import Conclusion
from thalweg.engine import compute, pack
from thalweg.errors import BadInput, BadParameters, MissingInput, NoData
from thalweg.scenery import open_scenery
from thalweg.static import StaticLayers
from thalweg.strips import Run, strip_bounds

ROWS, COLUMNS = 37, 29
RANDOM = np.random.default_rng(11)
FINE = RANDOM.integers(0, 9000, (2 * ROWS, 2 * COLUMNS)).astype(np.int16)
FINE[10:20, 5:30] = -10000
COARSE = RANDOM.integers(0, 9000, (ROWS, COLUMNS)).astype(np.int16)
CLOUDS = (RANDOM.random((ROWS, COLUMNS)) < 0.3).astype(np.uint8)
DEM = RANDOM.integers(0, 3000, (ROWS, COLUMNS)).astype(np.int16)

SWIR, GREEN = Band("swir16", encoding="counts"), Band("green", encoding="counts", reduce="cubic")
OUT = Layer("out", "int32")


@chain("test.sum", version="1", inputs=[SWIR, GREEN], outputs=[OUT])
def band_sum(scene: Any) -> Any:
    """Sum of two bands."""
    return {"out": scene.swir16.astype(np.int32) + scene.green}


@chain("test.box", version="1", inputs=[SWIR, GREEN], outputs=[OUT], halo=3)
def box_sum(scene: Any) -> Any:
    """Sum over 7 x 7 pixels."""
    rows, columns = scene.shape
    both = scene.swir16.astype(np.int32) * 3 + scene.green
    return {"out": sum(both[i : i + rows, j : j + columns] for i in range(7) for j in range(7))}


@chain("test.whole", version="1", inputs=[SWIR], outputs=[OUT], whole=True)
def ranks(scene: Any) -> Any:
    """Rank of each pixel in the tile."""
    return {
        "out": scene.swir16.ravel().argsort(kind="stable").argsort().reshape(scene.shape).astype(np.int32)
    }


def note(scene: Any) -> Noted:
    dark = scene.swir16 < scene.dem
    return Noted(
        {"dark": dark}, {"total": scene.swir16.sum(dtype=np.int64), "count": np.int64(scene.swir16.size)}
    )


def mean(tile: Any) -> int:
    assert [len(rows) for rows in tile.carry["dark"]] == [b - a for a, b in tile.strips]
    return int(tile.totals["total"] // tile.totals["count"])


def say(tile: Any) -> Conclusion:
    return Conclusion({"dark": int(tile.totals["dark"]), "mean": tile.settled})


@chain(
    "test.anomaly",
    version="1",
    inputs=[
        Band("swir16", encoding="counts", step="survey"),
        Mask("clouds", ("any_cloud",), step="apply"),
        Static("dem", "int16", whole=True),
    ],
    outputs=[OUT],
    survey=note,
    settle=mean,
    conclude=say,
)
def anomaly(scene: Any) -> Strip:
    """Mean of the tile where it is dark and clear."""
    below = scene.dark & (scene.clouds == 0) & (scene.whole["dem"].values[scene.rows[0] : scene.rows[1]] > 5)
    return Strip(
        {"out": np.where(below, scene.settled, -1).astype(np.int32)}, {"dark": np.int64(below.sum())}
    )


def result(what: Chain, *arguments: Any, **given: Any) -> tuple[np.ndarray, Conclusion]:
    kept, conclusion = run_chain(what, *arguments, **given)
    return kept["out"], conclusion


@pytest.fixture(scope="module")
def granule(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("granule")
    return make_granule(folder, {"green": (FINE, 10.0), "swir16": (COARSE, 20.0)}, CLOUDS)


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> StaticLayers:
    folder = tmp_path_factory.mktemp("static")
    write_raster(folder / "dem.tif", DEM)
    return StaticLayers(folder)


@pytest.mark.parametrize("what", [band_sum, box_sum, ranks, anomaly], ids=lambda what: what.name)
@settings(max_examples=12)
@given(rows=st.integers(1, ROWS + 3))
def test_no_strip_height_changes_a_result(what: Chain, granule: Any, layers: StaticLayers, rows: int) -> None:
    whole, said = result(what, granule, layers, rows=ROWS)
    strips, said_too = result(what, granule, layers, rows=rows)
    np.testing.assert_array_equal(strips, whole)
    assert said_too == said


def test_halo_is_nodata_beyond_the_tile(granule: Any) -> None:
    out, _ = result(box_sum, granule)
    green = result(band_sum, granule)[0] - COARSE
    both = np.pad(3 * COARSE.astype(np.int32) + green, 3, constant_values=-40000)
    expected = sum(both[i : i + ROWS, j : j + COLUMNS] for i in range(7) for j in range(7))
    np.testing.assert_array_equal(out, expected)


def test_survey_carries_what_the_second_step_needs(granule: Any, layers: StaticLayers) -> None:
    out, said = result(anomaly, granule, layers)
    below = (COARSE < DEM) & (CLOUDS == 0) & (DEM > 5)
    average = int(COARSE.sum(dtype=np.int64) // COARSE.size)
    np.testing.assert_array_equal(out, np.where(below, average, -1))
    assert said.properties == {"dark": int(below.sum()), "mean": average}


def test_failure_of_a_strip_is_the_failure_of_the_chain(granule: Any) -> None:
    @chain("test.fails", version="1", inputs=[SWIR], outputs=[OUT])
    def fails(scene: Any) -> Any:
        """Fails in its third strip."""
        if scene.rows[0] >= 10:
            raise ZeroDivisionError("third strip")
        return {"out": scene.swir16.astype(np.int32)}

    with pytest.raises(ZeroDivisionError, match="third strip"):
        result(fails, granule, rows=5)


def test_nothing_is_still_written_when_a_failure_comes_back(granule: Any) -> None:
    failing, written = Event(), []

    class Slow(Kept):
        def append(self, layer: Layer, rows: np.ndarray) -> None:
            failing.wait(10)
            written.append(sorted(range(300_000))[0])

    @chain("test.fails", version="1", inputs=[SWIR], outputs=[OUT])
    def fails(scene: Any) -> Any:
        """Fails in its second strip, while the first one is written."""
        if scene.rows[0] > 0:
            failing.set()
            raise ZeroDivisionError
        return {"out": scene.swir16.astype(np.int32)}

    with ThreadPoolExecutor(3) as pool, open_scenery(fails, granule, {}, StaticLayers()) as scenery:
        with pytest.raises(ZeroDivisionError):
            compute(scenery, {}, Slow(), Run(20), pool)
        assert written == [0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda scene: {}, "gave back no layer"),
        (
            lambda scene: {"out": scene.swir16[:-1]},
            r"gave \(36, 29\) pixels of 'out' for a strip of \(37, 29\)",
        ),
        (lambda scene: {"out": scene.swir16.ravel()}, r"gave \(1073,\) pixels of 'out'"),
        (lambda scene: {"out": 5}, r"gave \(\) pixels of 'out'"),
    ],
)
def test_what_is_no_layer_is_refused(granule: Any, given: Any, words: str) -> None:
    def function(scene: Any) -> Any:
        """Gives something else."""
        return given(scene)

    with pytest.raises(BadParameters, match=words):
        result(chain("test.odd", version="1", inputs=[SWIR], outputs=[OUT])(function), granule)


def test_float_totals_are_refused(granule: Any) -> None:
    @chain("test.float", version="1", inputs=[SWIR], outputs=[OUT])
    def adds_floats(scene: Any) -> Any:
        """Adds floats."""
        return Strip({"out": scene.swir16.astype(np.int32)}, {"sum": np.float64(0.1)})  # type: ignore[dict-item]

    with pytest.raises(BadParameters, match="totals are integers"):
        result(adds_floats, granule)


def test_undeclared_layer_is_refused(granule: Any) -> None:
    @chain("test.stranger", version="1", inputs=[SWIR], outputs=[OUT])
    def strange(scene: Any) -> Any:
        """Gives a layer that it does not declare."""
        return {"other": scene.swir16}

    with pytest.raises(BadParameters, match=r"'other'.*does not declare: out"):
        result(strange, granule)


def test_gate_ends_a_clouded_granule_before_its_bands_are_read(tmp_path: Path) -> None:
    clouded = make_granule(tmp_path, {"swir16": (COARSE, 20.0)}, np.ones_like(CLOUDS))

    @chain("test.gated", version="1", inputs=[SWIR], outputs=[OUT], gate=("any_cloud",))
    def gated(scene: Any) -> Any:
        """Never runs."""
        raise AssertionError

    with pytest.raises(NoData, match="any cloud"):
        result(gated, clouded)


def test_missing_role_is_named(granule: Any) -> None:
    @chain("test.red", version="1", inputs=[Band("red")], outputs=[OUT])
    def needs_red(scene: Any) -> Any:
        """Needs red."""
        return {"out": scene.red}

    with pytest.raises(MissingInput, match=r"'red'.*green, swir16"):
        result(needs_red, granule)


def test_missing_static_layer_is_named(granule: Any) -> None:
    with pytest.raises(MissingInput, match="'dem'"):
        result(anomaly, granule)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"corner": (300_010.0, 4_800_000.0)}, "CRS or corner differ"),
        ({"crs": "EPSG:32632"}, "CRS or corner differ"),
        ({"pixel": 15.0}, "not a whole fraction"),
    ],
)
def test_bands_that_disagree_are_refused_naming_both_files(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    granule = make_granule(tmp_path, {"swir16": (COARSE, 20.0), "green": (FINE, 10.0)})
    write_raster(tmp_path / "green.tif", FINE, change.pop("pixel", 10.0), nodata=-10000, **change)
    with pytest.raises(BadInput, match=rf"green\.tif.*swir16\.tif.*{message}"):
        result(band_sum, granule)


def test_granule_outside_its_tile_is_refused(tmp_path: Path) -> None:
    granule = make_granule(tmp_path, {"swir16": (COARSE, 20.0)}, tile="31TDH")
    with pytest.raises(BadInput, match="beyond the footprint of tile 31TDH"):
        result(ranks, granule)


@given(st.integers(1, 200), st.integers(1, 50), st.integers(0, 10))
def test_strips_cover_every_row_once(rows: int, height: int, shift: int) -> None:
    bounds = strip_bounds(rows, height, shift)
    assert bounds[0][0] == 0
    assert bounds[-1][1] == rows
    assert all(b == c for (_, b), (c, _) in pairwise(bounds))
    assert max(b - a for a, b in bounds) <= height


@pytest.mark.parametrize(
    ("layer", "rows", "stored"),
    [
        (Layer("x", "uint8"), np.array([[True, False]]), [[1, 0]]),
        (Layer("x", "uint8", scale=0.5), np.array([[200, 5]]), [[200, 5]]),
        (Layer("x", "uint8", nodata=255), np.array([[256, -1, 254]]), [[255, 255, 254]]),
        (Layer("x", "int16", nodata=-1), np.array([[40000, 3]], np.uint16), [[-1, 3]]),
        (Layer("x", "int16", nodata=-1), np.array([[-0.5, 0.5, np.inf]]), [[0, 1, -1]]),
        (Layer("x", "float32", nodata=-9999.0), np.array([[np.nan, 0.5]]), [[-9999.0, 0.5]]),
        (Layer("x", "float32", nodata=-9999.0), np.array([[np.nan, 0.5]], np.float32), [[-9999.0, 0.5]]),
    ],
)
def test_numbers_become_what_the_layer_stores(
    layer: Layer, rows: np.ndarray, stored: list[list[float]]
) -> None:
    packed = pack(layer, rows)
    assert packed.dtype == layer.dtype
    assert packed.tolist() == stored


@pytest.mark.parametrize("rows", [np.array([[300]]), np.array([[np.nan]]), np.array([[-1.0]])])
def test_numbers_that_do_not_fit_need_a_nodata(rows: np.ndarray) -> None:
    with pytest.raises(BadParameters, match="values that uint8 cannot hold, and no nodata"):
        pack(Layer("x", "uint8"), rows)


def test_nan_stays_where_a_float_layer_has_no_other_nodata() -> None:
    for nodata in (None, np.nan):
        assert np.isnan(pack(Layer("x", "float32", nodata=nodata), np.array([[np.nan]]))).all()


def test_packing_never_clips() -> None:
    layer = Layer("x", "uint8", scale=0.5, offset=1.0, nodata=255)
    packed = pack(layer, np.array([[1.0, 1.24, 1.25, 128.4, 129.1, np.nan, -3.0]]))
    assert packed.tolist() == [[0, 0, 1, 255, 255, 255, 255]]
