"""The water synthesis against the conformance set: equal after every arrival, in any order, after any crash."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import thalweg
from tests.conftest import shared_folder
from tests.water_products import write_product
from thalweg import state as state_module
from thalweg.chains.water_synthesis import COUNTERS, joined, water_synthesis
from thalweg.readers.members import Source
from thalweg.series import Counters
from thalweg.state import State, opened_state
from thalweg.tallying import _arrival, _grid_of

zarr = pytest.importorskip("zarr")

COUNTING = water_synthesis.counting
assert COUNTING is not None


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


@pytest.fixture(scope="module")
def case(repository: Path) -> Path:
    """The whole set where it is, else that of the repository, which is the same."""
    whole = shared_folder()
    return (whole if whole else repository / "tests" / "data") / "conformance" / "water" / "synthesis"


@pytest.fixture(scope="module")
def arrivals(case: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Product folders in order of arrival; a repeated arrival lies at a destination of its own."""
    masks = np.load(case / "masks.npz")["masks"]
    told = json.loads((case / "arrivals.json").read_text())["arrivals"]
    folder = tmp_path_factory.mktemp("arrivals")
    return [
        write_product(
            folder / str(one["index"]),
            mask,
            platform=one["platform"],
            sensed=datetime.fromisoformat(one["sensing_start"]),
            orbit=one["rel_orbit"],
            version=one["version"],
        )
        for one, mask in zip(told, masks, strict=True)
    ]


@pytest.fixture(scope="module")
def expected(case: Path) -> Any:
    return np.load(case / "expected.npz")


def receive(store: Path, products: list[Path]) -> None:
    """Open the state, receive products, close it."""
    with Source("water", ("water",)) as source:
        members = [member for path in products for member in source.members(path)]
        with opened_state(store, "31TFJ", _grid_of(members[0]), COUNTING) as state:
            state.receive(map(_arrival, members))


def counters(state: State, months: list[str] | None = None) -> Counters:
    """Counters of some months, or of all."""
    height = state.grid.shape[0]
    found = (state.reader(month).rows(0, height) for month in months or state.months())
    return joined(found, state.grid.shape, None)


def opened(store: Path, product: Path) -> Any:
    with Source("water", ("water",)) as source:
        (member,) = source.members(product)
    return opened_state(store, "31TFJ", _grid_of(member), COUNTING)


def content(store: Path) -> dict[str, Any]:
    """Everything that a state says: its document and its counters."""
    document = json.loads((store / "state.json").read_text())
    arrays = {
        f"{month}/{name}": zarr.open_array(store / "months" / month / name, mode="r")[:].tobytes()
        for month in document["months"]
        for name in COUNTERS
    }
    return {**document, **arrays}


def test_identities_are_those_of_the_set(case: Path, arrivals: list[Path]) -> None:
    told = json.loads((case / "arrivals.json").read_text())["arrivals"]
    with Source("water", ("water",)) as source:
        for one, path in zip(told, arrivals, strict=True):
            (member,) = source.members(path)
            assert (member.acquisition, member.observation, member.version) == (
                one["acquisition_id"],
                one["observation_id"],
                one["version"],
            )


def test_counters_are_equal_after_every_arrival(arrivals: list[Path], expected: Any, tmp_path: Path) -> None:
    store = tmp_path / "OPTICAL.zarr"
    for index, product in enumerate(arrivals):
        receive(store, [product])
        with opened(store, product) as state:
            found = counters(state)
        for name in COUNTERS:
            assert np.array_equal(found[name], expected[f"prefix_{name}"][index]), (index, name)


def test_contents_are_the_hashes_of_the_set(case: Path, arrivals: list[Path], tmp_path: Path) -> None:
    store = tmp_path / "OPTICAL.zarr"
    receive(store, arrivals)
    told = json.loads((case / "arrivals.json").read_text())["arrivals"]
    known = {(one["acquisition_id"], one["version"], one["sha256"]) for one in told}
    counted = {tuple(one) for one in json.loads((store / "state.json").read_text())["counted"]}
    assert len(counted) == 13
    assert counted <= known


@pytest.mark.parametrize("seed", range(6))
def test_order_batches_and_repetition_leave_no_trace(seed: int, arrivals: list[Path], tmp_path: Path) -> None:
    receive(tmp_path / "whole.zarr", arrivals)
    shuffled = [*arrivals, *random.Random(seed).choices(arrivals, k=5)]
    random.Random(seed).shuffle(shuffled)
    store = tmp_path / "shuffled.zarr"
    cut = random.Random(seed).randrange(len(shuffled))
    for batch in (shuffled[:cut], *([product] for product in shuffled[cut:])):
        if batch:
            receive(store, batch)
    assert content(store) == content(tmp_path / "whole.zarr")


EFFECTS = ("_rename", "_remove", "_write_pixels", "_write_counters", "write_document")
"""Whatever the state does to the disk."""


def dying_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Let so many effects pass; the process is dead from the next one on. Says how many there were."""
    done = [0]

    def guarded(effect: Callable[..., Any]) -> Callable[..., Any]:
        def attempt(*arguments: Any) -> Any:
            if done[0] >= steps:
                raise Killed
            done[0] += 1
            return effect(*arguments)

        return attempt

    for name in EFFECTS:
        monkeypatch.setattr(state_module, name, guarded(getattr(state_module, name)))
    return lambda: done[0]


def stages(arrivals: list[Path]) -> Iterator[tuple[list[Path], list[Path]]]:
    """What was received before, and the batch in which the process dies."""
    yield [], arrivals[:1]
    yield arrivals[:5], [arrivals[7], arrivals[5]]
    yield arrivals[:11], [arrivals[11]]
    yield arrivals[:3], [arrivals[6], arrivals[2], arrivals[12]]
    yield arrivals[:1], arrivals[1:]


@pytest.mark.parametrize("stage", range(5))
def test_a_crash_between_any_two_steps_changes_nothing(
    stage: int, arrivals: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, batch = list(stages(arrivals))[stage]
    receive(tmp_path / "whole.zarr", [*before, *batch])
    whole = content(tmp_path / "whole.zarr")
    if before:
        receive(tmp_path / "before.zarr", before)
    step, died = 0, True
    while died:
        store = tmp_path / f"{step}.zarr"
        if before:
            shutil.copytree(tmp_path / "before.zarr", store)
        with monkeypatch.context() as patch:
            dying_after(step, patch)
            try:
                receive(store, batch)
                died = False
            except Killed:
                pass
        receive(store, batch)
        assert content(store) == whole, step
        assert not list(store.glob("*/.*")), step
        step += 1 if stage < 4 else 13
    assert step > 5


def test_products_of_months_and_the_year(arrivals: list[Path], expected: Any, tmp_path: Path) -> None:
    months = thalweg.run(arrivals, "water_synthesis", to=tmp_path, period="monthly")
    (year,) = thalweg.run(arrivals, "water_synthesis", to=tmp_path, period="2021", occurrence_mm=True)
    assert [one.state for one in (*months, year)] == ["done"] * 4, [one.error or one.trace for one in months]
    for prefix, ending in zip(("m01", "m02", "m03", "annual"), (*months, year), strict=True):
        for name in (*COUNTERS, "occurrence"):
            assert np.array_equal(layer(ending, name), expected[f"{prefix}_{name}"]), (prefix, name)
    assert np.array_equal(layer(year, "occurrence_mm"), expected["annual_occurrence_monthly_mean"])
    assert months[0].product and months[0].product.name.startswith(
        "SURFWATER_OPTICAL-MONTHLY_T31TFJ_20210101_20210131_"
    )
    assert months[0].product.parent == tmp_path / "water_synthesis-1.0" / "31TFJ" / "2021" / "01"
    assert year.product and "OPTICAL-ANNUAL_T31TFJ_20210101_20211231" in year.product.name


def test_an_update_is_a_reprocessing(arrivals: list[Path], tmp_path: Path) -> None:
    for product in arrivals:
        updated = thalweg.run(product, "water_synthesis", to=tmp_path / "update", period="2021-01")
    again = thalweg.run(list(reversed(arrivals)), "water_synthesis", to=tmp_path / "again", period="2021-01")
    (first,), (second,) = updated, again
    assert first.product and second.product
    assert first.unit == second.unit
    assert {path.name: path.read_bytes() for path in first.product.glob("*.tif")} == {
        path.name: path.read_bytes() for path in second.product.glob("*.tif")
    }


def layer(ending: Any, name: str) -> Any:
    with rasterio.open(ending.product / ending.item["assets"][name]["href"]) as raster:
        return raster.read(1)
