"""Syntheses of what the chains themselves made: counters and days against numpy on the layers of their products."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import thalweg
from tests import lakes
from tests.lakes import Lake, write_lake
from tests.season import Season
from thalweg.catalogue import NAME, Catalogue
from thalweg.ending import Ending

SIDE = 96
WET, SOIL = (400, 600, 500, 250, 120, 80), (900, 1200, 1500, 2300, 2900, 2200)
VISITS = (
    ("2021-01-05T10:59:10Z", "S2A", 20),
    ("2021-01-10T10:59:12Z", "S2B", 28),
    ("2021-01-25T10:59:11Z", "S2A", 12),
    ("2021-02-04T10:59:10Z", "S2A", 24),
)
"""When, by which platform, and how far the lake reached."""


def lake(radius: int, cloud: int) -> Lake:
    """A lake of a radius in soil, some columns of it under a cloud."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    wet = (rows - 48) ** 2 + (columns - 48) ** 2 <= radius**2
    noise = np.random.default_rng(radius).integers(-40, 41, (6, SIDE, SIDE))
    bands = np.where(wet, np.reshape(WET, (6, 1, 1)), np.reshape(SOIL, (6, 1, 1))) + noise
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[:, cloud : cloud + 20] = 2
    return Lake(bands.astype(np.int16), mask)


@pytest.fixture(scope="module")
def water(tmp_path_factory: pytest.TempPathFactory) -> list[Ending]:
    """Products of the water chain on some dates, at one destination."""
    folder = tmp_path_factory.mktemp("water")
    endings = []
    for number, (when, platform, radius) in enumerate(VISITS):
        scene = lake(radius, 10 + 15 * number)
        granule = write_lake(folder / f"in{number}", scene, crs="EPSG:32631", time=when, platform=platform)
        endings += thalweg.run(granule, "water", to=folder / "out", detector="dswx")
    return endings


def destination(endings: list[Ending]) -> Path:
    """Where products lie: above collection, tile, year and month."""
    assert endings[0].product, f"{endings[0].error}\n{endings[0].trace}"
    return endings[0].product.parents[4]


def layer(ending: Ending, name: str) -> Any:
    assert ending.product and ending.item, f"{ending.error}\n{ending.trace}"
    with rasterio.open(ending.product / ending.item["assets"][name]["href"]) as raster:
        return raster.read(1)


def expected_counters(endings: list[Ending]) -> dict[str, Any]:
    """Counters of some water products, by numpy."""
    stack = np.stack([lakes.layer(one, "WATER") for one in endings])
    days = [(one.sensed.date() - date(1970, 1, 1)).days for one in endings if one.sensed]
    day = np.reshape(days, (-1, 1, 1))
    valid, wet = stack <= 1, stack == 1
    n_valid, n_water = valid.sum(0), wet.sum(0)
    share = (200 * n_water + n_valid) // np.maximum(2 * n_valid, 1)
    return {
        "n_valid": n_valid,
        "n_water": n_water,
        "last_date": (valid * day).max(0),
        "last_water_date": (wet * day).max(0),
        "occurrence": np.where(n_valid > 0, share, 255),
    }


def check_counters(ending: Ending, of: list[Ending]) -> None:
    for name, values in expected_counters(of).items():
        assert np.array_equal(layer(ending, name), values), name


def test_months_and_years_count_what_the_water_chain_found(water: list[Ending]) -> None:
    folder = destination(water)
    january, february = thalweg.run(folder, "water_synthesis", to=folder, period="monthly")
    (year,) = thalweg.run(folder, "water_synthesis", to=folder, period="2021")
    check_counters(january, water[:3])
    check_counters(february, water[3:])
    check_counters(year, water)
    counts = layer(january, "n_water")
    assert {0, 1, 2, 3} <= set(np.unique(counts)), "the lake rises and falls, and clouds hide some of it"


def test_the_product_of_a_month_leads_back_to_its_inputs(water: list[Ending]) -> None:
    folder = destination(water)
    january, _ = thalweg.run(folder, "water_synthesis", to=folder, period="monthly")
    assert january.product and january.item
    links = [link["href"] for link in january.item["links"] if link["rel"] == "derived_from"]
    found = {json.loads((january.product / href).resolve().read_text())["id"] for href in links}
    assert found == {one.product.name for one in water[:3] if one.product}
    assert january.item["properties"]["water:observations"] == 3
    assert january.item["properties"]["start_datetime"] == "2021-01-01T00:00:00Z"
    with Catalogue.open(folder / NAME, read_only=True) as catalogue:
        assert january.product.name in {item["id"] for item in catalogue.search(period="2021-01-20")}


def test_a_product_that_is_withdrawn_is_counted_no_more(water: list[Ending], tmp_path: Path) -> None:
    products = shutil.copytree(destination(water) / "water-1.0", tmp_path / "water-1.0")
    (before,) = thalweg.run(products, "water_synthesis", to=tmp_path, period="2021-01")
    check_counters(before, water[:3])
    withdrawn = water[1].product
    assert withdrawn
    (item,) = products.rglob(f"{withdrawn.name}.json")
    content = json.loads(item.read_text())
    content["properties"]["deprecated"] = True
    item.write_text(json.dumps(content))
    (after,) = thalweg.run(item.parent, "water_synthesis", to=tmp_path, period="2021-01")
    check_counters(after, [water[0], water[2]])
    assert after.properties["water:products_withdrawn"] == [withdrawn.name]


def test_other_parameters_make_other_counters(water: list[Ending], tmp_path: Path) -> None:
    folder = destination(water)
    scene = lake(20, 10)
    granule = write_lake(tmp_path / "in", scene, crs="EPSG:32631", time=VISITS[0][0])
    (other,) = thalweg.run(granule, "water", to=tmp_path / "out", detector="dswx", partial_as_water=True)
    both = thalweg.run(
        [folder / "water-1.0", other.product], "water_synthesis", to=tmp_path / "both", period="2021-01"
    )
    assert sorted(ending.properties["water:observations"] for ending in both) == [1, 3]
    assert len(list((tmp_path / "both" / "state").glob("*/*.zarr"))) == 2


def test_a_season_counts_what_the_snow_chain_saw(season: Season, tmp_path: Path) -> None:
    singles = thalweg.run(season.granules[:2], "snow", to=tmp_path, static=season.static)
    first, last = (one.sensed.astimezone(UTC) for one in singles if isinstance(one.sensed, datetime))
    period = f"{first:%Y-%m-%d}/{last:%Y-%m-%d}"
    (ending,) = thalweg.run(tmp_path, "snow_synthesis", to=tmp_path, period=period)
    fractions = np.stack([layer(one, "fsc_og") for one in singles])
    clear = fractions <= 100
    assert np.array_equal(layer(ending, "nobs"), clear.sum(0))
    assert np.array_equal(layer(ending, "ccd"), (~clear).sum(0))
    assert np.array_equal(layer(ending, "scd") == 65535, ~clear.any(0))
    snow = np.where(clear, fractions > 0, False)
    # Always snow or never: the days between two clear dates follow.
    days = (last.date() - first.date()).days + 1
    assert (layer(ending, "scd")[snow.all(0)] == days).all()
    assert (layer(ending, "scd")[clear.any(0) & ~snow.any(0)] == 0).all()
    assert snow.all(0).any()
