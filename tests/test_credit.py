"""Credits: a granule's own, else that of its satellite; each is said once, in the item too."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.catalogue.products import a_granule, a_provenance, snow, some_assets
from thalweg.credit import attribution, granule_credit, sensor_credit
from thalweg.item import build_item
from thalweg.tile import Tile


@pytest.mark.parametrize(
    ("platform", "credit"),
    [
        ("S2C", "Contains modified Copernicus Sentinel data 2024"),
        ("HLS-S30", "Contains modified Copernicus Sentinel data 2024"),
        ("L8", "Landsat-8 image courtesy of the U.S. Geological Survey"),
        ("HLS-L30", "Landsat image courtesy of the U.S. Geological Survey"),
        ("user", ""),
    ],
)
def test_credit_of_a_satellite(platform: str, credit: str) -> None:
    assert sensor_credit(platform, datetime(2024, 1, 15, tzinfo=UTC)) == credit


def test_a_granules_own_credit_goes_before() -> None:
    assert granule_credit(a_granule(platform="S2A", attribution="Lake data by the village")) == (
        "Lake data by the village"
    )
    assert granule_credit(a_granule(platform="user", attribution="")) is None


def test_the_item_says_the_granules_own_credit_once() -> None:
    grid = Tile("31TCH").grid(20)
    granule = a_granule(platform="S2A", attribution="Lake data by the village")
    item = build_item("x_1", snow.collection, granule, grid, some_assets(grid), {}, a_provenance(), snow)
    said = item["properties"]["attribution"]
    assert said.startswith("Lake data by the village") and "Copernicus Sentinel" not in said


def test_each_credit_is_said_once() -> None:
    assert attribution(["a", None, "b", "", "a"]) == "a. b"
    assert attribution([None, ""]) is None
