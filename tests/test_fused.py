"""Chains that are run together on a granule: the same products as one by one, from one decode of every band."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.warp import transform_bounds

import thalweg
from tests.granules import make_granule
from tests.rasters import in_memory
from tests.winter import Winter, rasters
from thalweg import Band, Chain, Layer, Mask, Noted, chain
from thalweg.ending import Ending
from thalweg.errors import BadInput, Bug, MissingInput, UsageError
from thalweg.holding import Held, _kept, hold
from thalweg.inputs import Upstream
from thalweg.opened import OpenRaster, RowStream
from thalweg.order import Order, assign
from thalweg.processing import process_granule
from thalweg.scenery import open_scenery
from thalweg.settings import read_settings
from thalweg.sharing import SharedRows
from thalweg.static import StaticLayers
from thalweg.strips import Run

OUT = Layer("out", "int32")


@chain(
    "test.edges",
    version="1",
    inputs=[Band("green", encoding="counts"), Band("swir16", encoding="dn4", enlarge="bilinear")],
    outputs=[OUT],
    grid="finest",
    halo=2,
)
def edges(scene: Any) -> Any:
    """Sum over 5 x 5 pixels of 10 m."""
    rows, columns = scene.shape
    both = scene.green.astype(np.int32) - scene.swir16
    return {"out": sum(both[i : i + rows, j : j + columns] for i in range(5) for j in range(5))}


def note(scene: Any) -> Noted:
    bright = scene.red > scene.green
    return Noted({"bright": bright}, {"sum": scene.red.sum(dtype=np.int64)})


@chain(
    "test.mean",
    version="1",
    inputs=[
        Band("green", encoding="counts", reduce="cubic", step="survey"),
        Band("red", encoding="counts", reduce="cubic", step="survey"),
        Band("swir16", encoding="counts", step="apply"),
        Mask("clouds", ("any_cloud",), step="apply"),
    ],
    outputs=[OUT],
    survey=note,
    settle=lambda tile: int(tile.totals["sum"]) // 1000,
)
def mean(scene: Any) -> Any:
    """Of two passes, with a band in each."""
    clear = scene.bright & (scene.clouds == 0)
    return {"out": np.where(clear, scene.settled, scene.swir16).astype(np.int32)}


def grow(scene: Any) -> int:
    return (scene.settled or 0) + int(scene.red.max())


@chain(
    "test.sampled",
    version="1",
    inputs=[Band("red", encoding="counts", step=("sample", "survey"))],
    outputs=[OUT],
    sample=grow,
    learn=lambda tile: tile.settled,
    survey=lambda scene: Noted({"red": (scene.red > scene.settled % 1000)}),
)
def sampled(scene: Any) -> Any:
    """Of three passes, two of which read the same band."""
    return {"out": scene.red.astype(np.int32)}


@chain("test.whole", version="1", inputs=[Band("red", encoding="counts")], outputs=[OUT], whole=True)
def whole(scene: Any) -> Any:
    """Rows counted from below."""
    return {"out": scene.red[::-1].astype(np.int32)}


@chain("test.fails", version="1", inputs=[Band("green", encoding="counts")], outputs=[OUT])
def fails(scene: Any) -> Any:
    """Fails in its second strip."""
    if scene.rows[0] > 0:
        raise ZeroDivisionError("second strip")
    return {"out": scene.green.astype(np.int32)}


CHAINS: dict[str, Chain | str] = {
    "snow": "snow",
    "test.edges": edges,
    "test.mean": mean,
    "test.sampled": sampled,
    "test.whole": whole,
}


def run(winter: Winter, names: Any, to: Path, **options: Any) -> dict[str, Ending]:
    chains = [CHAINS.get(name, name) if isinstance(name, str) else name for name in names]
    options = {"static": winter.static, "strip_rows": 32, **options}
    endings = thalweg.run(winter.granule, chains, to=to, **options)
    return {ending.chain: ending for ending in endings}


def layers(endings: dict[str, Ending]) -> dict[str, dict[str, bytes]]:
    """Rasters of each chain's product."""
    return {name: rasters(product_of(ending)) for name, ending in endings.items()}


def product_of(ending: Ending) -> Path:
    assert ending.product is not None, f"{ending.error}\n{ending.trace}"
    return ending.product


@pytest.fixture(scope="module")
def alone(winter: Winter, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """What each chain makes by itself."""
    to = tmp_path_factory.mktemp("alone")
    return {name: layers(run(winter, [name], to))[name] for name in CHAINS}


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Rows that are decoded, by file."""
    counts: Counter[str] = Counter()
    read = OpenRaster.read

    def counted(self: OpenRaster, row: int, column: int, shape: tuple[int, int], out: Any = None) -> Any:
        counts[self.path.name] += shape[0]
        return read(self, row, column, shape, out)

    monkeypatch.setattr(OpenRaster, "read", counted)
    return counts


@pytest.mark.parametrize("names", list(combinations(CHAINS, 2)), ids="+".join)
def test_two_chains_make_together_what_each_makes_alone(
    names: tuple[str, ...], winter: Winter, alone: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    made = layers(run(winter, names, tmp_path))
    assert made == {name: alone[name] for name in names}


def test_all_chains_make_together_what_each_makes_alone(
    winter: Winter, alone: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    for number, names in enumerate((list(CHAINS), list(reversed(CHAINS)))):
        endings = run(winter, names, tmp_path / str(number))
        assert layers(endings) == alone


def test_every_band_is_decoded_once(winter: Winter, tmp_path: Path, decoded: Counter[str]) -> None:
    run(winter, ["snow", "test.edges", "test.mean"], tmp_path)
    bands = {name: rows for name, rows in decoded.items() if "RE_B" in name}
    heights = {name: rows_of(winter.granule / name) for name in bands}
    assert bands == heights


def rows_of(path: Path) -> int:
    with rasterio.open(path) as raster:
        return int(raster.height)


def test_only_the_band_of_a_sample_is_decoded_twice(
    winter: Winter, tmp_path: Path, decoded: Counter[str]
) -> None:
    run(winter, ["test.sampled", "test.mean", "test.whole"], tmp_path)
    twice = {
        name for name, rows in decoded.items() if "FRE_B" in name and rows > rows_of(winter.granule / name)
    }
    assert [name.rpartition("_")[2] for name in twice] == ["B4.tif"]
    assert all(decoded[name] == 2 * rows_of(winter.granule / name) for name in twice)


def test_one_chain_that_fails_does_not_harm_the_others(
    winter: Winter, alone: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    endings = run(winter, ["test.edges", fails, "snow"], tmp_path)
    assert endings["test.fails"].state == "failed"
    assert isinstance(endings["test.fails"].error, Bug)
    assert "second strip" in endings["test.fails"].trace
    assert layers({name: endings[name] for name in ("snow", "test.edges")}) == {
        name: alone[name] for name in ("snow", "test.edges")
    }
    assert not list(tmp_path.glob(".staging*"))


def test_what_one_chain_misses_the_others_do_not(winter: Winter, tmp_path: Path) -> None:
    damaged = winter.copy(tmp_path / "in")
    next(damaged.granule.glob("*_FRE_B4.tif")).unlink()
    endings = run(damaged, ["snow", "test.edges"], tmp_path / "out")
    assert "'red'" in str(endings["snow"].error)
    assert endings["test.edges"].state == "done"


def test_a_damaged_band_fails_those_that_read_it(winter: Winter, tmp_path: Path) -> None:
    damaged = winter.copy(tmp_path / "in")
    path = next(damaged.granule.glob("*_FRE_B4.tif"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    endings = run(damaged, ["snow", "test.edges", "test.mean"], tmp_path / "out")
    for name in ("snow", "test.mean"):
        assert isinstance(endings[name].error, BadInput)
        assert path.name in str(endings[name].error)
    assert endings["test.edges"].state == "done"


def test_the_gate_of_one_chain_is_not_that_of_others(winter: Winter, tmp_path: Path) -> None:
    clouded = winter.copy(tmp_path / "in")
    with rasterio.open(next(clouded.granule.glob("MASKS/*_CLM_R2.tif")), "r+") as clouds:
        clouds.write(np.full(clouds.shape, 3, np.uint8), 1)
    endings = run(clouded, ["snow", "test.edges"], tmp_path / "out")
    assert endings["snow"].state == "no-data"
    assert endings["test.edges"].state == "done"


def test_only_what_is_left_is_run(winter: Winter, tmp_path: Path, decoded: Counter[str]) -> None:
    run(winter, ["snow"], tmp_path)
    decoded.clear()
    endings = run(winter, ["snow", "test.edges"], tmp_path)
    assert endings["snow"].existed
    assert not endings["test.edges"].existed
    assert {name.rpartition("_")[2] for name in decoded if "RE_B" in name} == {"B3.tif", "B11.tif"}


def box_within(winter: Winter) -> tuple[float, float, float, float]:
    """A box whose edges lie on no pixel's."""
    with rasterio.open(next(winter.granule.glob("*_FRE_B11.tif"))) as band:
        west, south, east, north = transform_bounds(band.crs, "EPSG:4326", *band.bounds)
    return (0.7 * west + 0.3 * east, 0.6 * south + 0.4 * north, 0.2 * west + 0.8 * east, north)


def test_a_box_is_the_same_together_and_alone(winter: Winter, tmp_path: Path) -> None:
    box, names = box_within(winter), ["snow", edges, mean, below]
    together = layers(run(winter, names, tmp_path / "together", bbox=box))
    alone = [run(winter, [name], tmp_path / "alone", bbox=box) for name in names]
    assert together == {name: made for ended in alone for name, made in layers(ended).items()}


def test_a_product_of_the_box_is_read_where_it_lies(winter: Winter, tmp_path: Path) -> None:
    whole = product_of(run(winter, [edges, below], tmp_path / "whole")["test.below"])
    part = product_of(run(winter, [edges, below], tmp_path / "part", bbox=box_within(winter))["test.below"])
    with rasterio.open(whole / "out.tif") as all_of_it, rasterio.open(part / "out.tif") as within:
        window = all_of_it.window(*within.bounds).round_lengths().round_offsets()
        expected, found = all_of_it.read(1, window=window), within.read(1)
    inside = (slice(3, -3), slice(3, -3))
    np.testing.assert_array_equal(found[inside], expected[inside])


def test_endings_come_as_soon_as_they_are_known(winter: Winter, tmp_path: Path) -> None:
    run(winter, ["snow"], tmp_path)
    told: list[str] = []
    endings = run(winter, ["test.mean", "snow"], tmp_path, report=lambda ending: told.append(ending.chain))
    assert told == ["snow", "test.mean"]
    assert list(endings) == ["test.mean", "snow"]


def test_cpu_time_is_on_the_account_of_who_used_it(winter: Winter, tmp_path: Path) -> None:
    begun = time.process_time()
    endings = run(winter, ["snow", "test.edges"], tmp_path)
    used = [ending.cpu_seconds for ending in endings.values()]
    assert min(used) > 0
    assert sum(used) <= time.process_time() - begun


# --- shared rows

VALUES = np.arange(300 * 20, dtype=np.int32).reshape(300, 20)


class Sharers:
    """Streams of one raster in memory, each with its own handle."""

    def __init__(
        self, count: int, block_rows: int, parts: list[tuple[int, int, int, int]], overlap: int = 3
    ) -> None:
        self.shared = SharedRows(block_rows)
        self.opened = [in_memory(VALUES, block_rows=block_rows) for _ in range(count)]
        for opened in self.opened:
            opened.shared = self.shared
        pairs = zip(self.opened, parts, strict=True)
        self.streams = [RowStream(opened, overlap, part) for opened, part in pairs]

    @property
    def read_rows(self) -> list[tuple[int, int]]:
        return sorted(rows for opened in self.opened for rows in opened.dataset.read_rows)


@st.composite
def parts(draw: st.DrawFn) -> tuple[int, int, int, int]:
    row, column = draw(st.integers(0, 299)), draw(st.integers(0, 19))
    return (row, column, draw(st.integers(1, 300 - row)), draw(st.integers(1, 20 - column)))


@given(st.data(), st.sampled_from([1, 7, 64, 100, 512]))
def test_streams_that_share_give_their_own_rows(data: st.DataObject, block_rows: int) -> None:
    places = data.draw(st.lists(parts(), min_size=2, max_size=4))
    sharers = Sharers(len(places), block_rows, places)
    done = [0] * len(places)
    while open_ones := [index for index, place in enumerate(places) if done[index] < place[2]]:
        index = data.draw(st.sampled_from(open_ones))
        row, column, rows, columns = places[index]
        last = data.draw(st.integers(done[index] + 1, rows))
        first = max(0, done[index] - 3)
        found = sharers.streams[index].rows(first, last)
        np.testing.assert_array_equal(found, VALUES[row : row + rows, column : column + columns][first:last])
        done[index] = last
    assert sharers.shared.kept_rows == 0


@given(st.integers(2, 4), st.sampled_from([1, 50, 64, 100]), st.integers(1, 40))
def test_who_spoils_its_rows_spoils_nobody_elses(count: int, block_rows: int, height: int) -> None:
    sharers = Sharers(count, block_rows, [(0, 0, 300, 20)] * count, overlap=0)
    for first in range(0, 300, height):
        for stream in sharers.streams:
            found = stream.rows(first, first + height)
            np.testing.assert_array_equal(found, VALUES[first : first + height])
            found[:] = -1
    assert sharers.shared.kept_rows == 0


def test_the_last_to_read_gets_the_rows_without_a_copy() -> None:
    sharers = Sharers(2, 100, [(0, 0, 300, 20)] * 2, overlap=0)
    first, last = (stream.rows(0, 100) for stream in sharers.streams)
    assert first.base is None or first.base.shape == first.shape
    assert last.base is not None
    assert not np.shares_memory(first, last)


@given(st.integers(2, 4), st.sampled_from([1, 50, 64, 100]), st.integers(1, 40))
def test_streams_abreast_decode_each_row_once_and_keep_few(count: int, block_rows: int, height: int) -> None:
    sharers = Sharers(count, block_rows, [(0, 0, 300, 20)] * count)
    most = 0
    for first in range(0, 300, height):
        for stream in sharers.streams:
            stream.rows(first, first + height)
            most = max(most, sharers.shared.kept_rows)
    assert [rows for pair in sharers.read_rows for rows in range(*pair)] == list(range(300))
    assert most <= height + 2 * max(64 + block_rows, block_rows)


def test_who_leaves_is_not_waited_for() -> None:
    sharers = Sharers(2, 64, [(0, 0, 300, 20)] * 2)
    sharers.streams[0].rows(0, 300)
    assert sharers.shared.kept_rows == 300
    sharers.opened[1].leave()
    assert sharers.shared.kept_rows == 0
    np.testing.assert_array_equal(sharers.streams[1].rows(0, 300), VALUES)


def test_rows_that_are_held_are_those_of_the_feed(tmp_path: Path) -> None:
    granule = make_granule(tmp_path, {"red": (VALUES.astype(np.int16), 20.0)})
    with open_scenery(whole, granule, {}, StaticLayers()) as scenery, ThreadPoolExecutor(2) as pool:
        held = hold(scenery, Run(70), "apply", ["red"])
        assert not held.serves(scenery, Run(70))
        list(held.walk(scenery, pool))
        assert held.serves(scenery, Run(70))
        assert not held.serves(scenery, Run(71))
        np.testing.assert_array_equal(held.take(slice(None))["red"], VALUES)


def test_little_is_kept_of_a_tile_that_is_read_by_several(
    winter: Winter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiled = winter.copy(tmp_path / "in")
    for path in tiled.granule.glob("*_[FS]RE_B*.tif"):
        write_in_blocks(path, 64)
    most: Counter[str] = Counter()
    drop = SharedRows._drop

    def watched(self: SharedRows) -> None:
        most["rows"] = max(most["rows"], self.kept_rows)
        drop(self)

    monkeypatch.setattr(SharedRows, "_drop", watched)
    run(tiled, ["snow", "test.edges", "test.mean"], tmp_path / "out")
    # Two strips of 64 rows, the blocks that they begin and end in, and what a cubic reduction wants beyond them.
    assert 64 < most["rows"] <= 4 * 64


def write_in_blocks(path: Path, size: int) -> None:
    with rasterio.open(path) as raster:
        values, profile = raster.read(), raster.profile
    profile.update(tiled=True, blockxsize=size, blockysize=size)
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(values)


# --- chains that read another chain's product


@chain(
    "test.below",
    version="1",
    inputs=[
        Band("green", encoding="exact"),
        Band("swir16", encoding="counts"),
        Upstream("test.edges", ("out",)),
    ],
    outputs=[OUT],
    halo=1,
)
def below(scene: Any) -> Any:
    """Reads the product of the chain of 10 m, and two of its bands."""
    own = (slice(1, -1), slice(1, -1))
    fine = scene["test.edges_out"][2:-2, 2:-2]
    return {"out": scene.green[own] + scene.swir16[own] + fine[::2, ::2] + fine[1::2, 1::2]}


@chain(
    "test.maybe",
    version="1",
    inputs=[Band("swir16", encoding="counts"), Upstream("test.fails", ("out",), required=False)],
    outputs=[OUT],
)
def maybe(scene: Any) -> Any:
    """Can do without the product of the chain that fails."""
    return {"out": scene.swir16.astype(np.int32) + ("test.fails" in scene.available)}


@chain(
    "test.needs",
    version="1",
    inputs=[Band("swir16", encoding="counts"), Upstream("test.fails", ("out",))],
    outputs=[OUT],
)
def needs(scene: Any) -> Any:
    """Cannot do without it."""
    return {"out": scene.swir16.astype(np.int32)}


@pytest.mark.parametrize(
    "chains",
    list(permutations([edges, below, mean], 3)),
    ids=lambda chains: "-".join(what.name for what in chains),
)
def test_a_chain_runs_after_the_one_whose_product_it_reads(
    chains: tuple[Chain, ...], winter: Winter, tmp_path: Path
) -> None:
    together = layers(run(winter, chains, tmp_path / "together"))
    for what in (edges, mean, below):
        assert together[what.name] == layers(run(winter, [what], tmp_path / "alone"))[what.name]


def test_bands_of_a_chain_that_waits_are_decoded_once(
    winter: Winter, tmp_path: Path, decoded: Counter[str]
) -> None:
    run(winter, [edges, below, mean], tmp_path)
    bands = {name: rows for name, rows in decoded.items() if "RE_B" in name}
    assert bands == {name: rows_of(winter.granule / name) for name in bands}


def test_without_room_bands_are_decoded_again_and_nothing_else_changes(
    winter: Winter, tmp_path: Path, decoded: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    roomy = layers(run(winter, [edges, below], tmp_path / "roomy"))
    decoded.clear()
    monkeypatch.setattr(Held, "_used", property(lambda self: self.size + 1))
    assert layers(run(winter, [edges, below], tmp_path / "narrow")) == roomy
    assert max(rows / rows_of(winter.granule / name) for name, rows in decoded.items() if "RE_B" in name) > 1


def test_who_needs_a_product_that_failed_misses_it(winter: Winter, tmp_path: Path) -> None:
    endings = run(winter, [needs, maybe, fails], tmp_path)
    assert isinstance(endings["test.needs"].error, MissingInput)
    assert "'test.fails', which failed in this job: " in str(endings["test.needs"].error)
    assert endings["test.maybe"].state == "done"
    alone = run(winter, [maybe], tmp_path / "alone")
    assert layers({"test.maybe": endings["test.maybe"]}) == layers(alone)


def test_the_product_of_a_job_that_failed_is_not_replaced_by_an_older_one(
    winter: Winter, tmp_path: Path
) -> None:
    made = run(winter, [replace(fails, function=edges.function, halo=2, inputs=edges.inputs)], tmp_path)
    assert made["test.fails"].state == "done"
    broken = replace(fails, version="2")
    endings = run(winter, [broken, needs], tmp_path)
    assert isinstance(endings["test.needs"].error, MissingInput)


def test_a_chain_is_run_once(winter: Winter, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'test\.mean' was asked for twice"):
        run(winter, [mean, mean], tmp_path)


def test_chains_that_wait_for_each_other_are_refused(winter: Winter, tmp_path: Path) -> None:
    loop = replace(fails, inputs=[Band("green"), Upstream("test.needs", ("out",))])
    endings = run(winter, [needs, loop], tmp_path)
    assert {ending.state for ending in endings.values()} == {"failed"}
    assert all("test.fails, test.needs" in str(ending.error) for ending in endings.values())


def test_sums_are_held_in_half_the_space_without_loss() -> None:
    sums = np.array([[-40000, 25534, np.iinfo(np.int32).min, 7]], np.int32)
    for rows, size in ((sums, 8), (sums + np.array([[0, 1, 0, 0]], np.int32), 16), (sums[:, 2:3], 2)):
        kept = _kept(rows)
        assert kept.values.nbytes == size
        np.testing.assert_array_equal(kept.rows(), rows)
        assert kept.rows().dtype == rows.dtype


# --- the three chains of the house


HOUSE = ("snow", "water", "quality")


def run_house(summer: Winter, names: Any, to: Path, **more: Any) -> dict[str, Ending]:
    chosen: Any = {"water": {"detector": "dswx"}} if "water" in names else {}
    if len(names) == 1:
        chosen = chosen.get(names[0], {})
    return run(summer, names, to, strip_rows=None, **chosen, **more)


@pytest.fixture(scope="module")
def in_turn(summer: Winter, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """What the three chains make one after the other, in one destination."""
    to = tmp_path_factory.mktemp("in_turn")
    return {name: layers(run_house(summer, [name], to))[name] for name in HOUSE}


@pytest.mark.parametrize(
    "names", [HOUSE, ("quality", "snow", "water"), ("snow", "water"), ("quality", "water")], ids="+".join
)
def test_the_house_makes_together_what_its_chains_make_in_turn(
    names: tuple[str, ...],
    summer: Winter,
    in_turn: dict[str, dict[str, bytes]],
    tmp_path: Path,
    decoded: Counter[str],
) -> None:
    endings = run_house(summer, names, tmp_path)
    assert layers(endings) == {name: in_turn[name] for name in names}
    bands = {name: rows for name, rows in decoded.items() if "RE_B" in name}
    assert bands == {name: rows_of(summer.granule / name) for name in bands}


def test_quality_reads_the_water_of_its_job(summer: Winter, tmp_path: Path) -> None:
    endings = run_house(summer, HOUSE, tmp_path)
    told = json.loads((product_of(endings["quality"]) / "quality_run.json").read_text())
    water = endings["water"]
    assert told["products"] == {"water": {"product": product_of(water).name, "unit": water.unit}}
    again = run_house(summer, ["snow", "quality", "water"], tmp_path)
    assert all(ending.existed for ending in again.values())
    assert {name: ending.unit for name, ending in again.items()} == {
        name: ending.unit for name, ending in endings.items()
    }


def test_who_stops_listening_leaves_nothing_behind(winter: Winter, tmp_path: Path) -> None:
    run(winter, ["test.edges"], tmp_path)
    order = Order(tmp_path, StaticLayers(winter.static), read_settings())
    endings = iter(process_granule(winter.granule, assign([edges, mean, below], None, {}), order))
    assert next(endings).chain == "test.edges"
    assert next(endings).chain in ("test.mean", "test.below")
    endings.close()  # type: ignore[attr-defined]
    assert not list(tmp_path.glob(".staging/*"))
    made = {
        path.parent.name for path in tmp_path.glob("test.*/*/*/*/*/*.json") if path.stem == path.parent.name
    }
    assert len(made) == 2
