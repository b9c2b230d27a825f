"""Products of another chain: found by acquisition, never outside the product, part of the identity."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from thalweg.errors import BadInput
from thalweg.granule import Granule
from thalweg.upstream import find_product, finder, read_product

GRANULE = Granule(
    "G1", Path("G1"), "safe", "31TCJ", datetime(2023, 8, 15, 10, 40, 31, tzinfo=UTC), "S2A", "L2A"
)


def place(destination: Path, name: str, *, granule: str = "G1", version: str = "1.0", **changes: Any) -> Path:
    properties = {
        "thalweg:unit_id": name * 4,
        "datetime": "2023-08-15T10:40:31Z",
        "platform": "sentinel-2a",
        "version": version,
        "created": "2024-01-01T00:00:00Z",
        "processing:expression": {"expression": {"granule": {"id": granule}}},
        **changes,
    }
    folder = destination / f"water-{version}" / "31TCJ" / "2023" / "08" / name
    folder.mkdir(parents=True)
    assets = {"water": {"href": "./WATER.tif"}, "quicklook": {"href": "./quick.png"}}
    item = {"type": "Feature", "stac_version": "1.1.0", "properties": properties, "assets": assets}
    (folder / f"{name}.json").write_text(json.dumps(item))
    return folder


def test_the_granules_own_product_is_found(tmp_path: Path) -> None:
    folder = place(tmp_path, "a")
    place(tmp_path, "z", granule="other", version="9.0")
    found = find_product(tmp_path, "water", GRANULE)
    assert found is not None
    assert found.unit == "aaaa"
    assert {name: raster.path for name, raster in found.layers.items()} == {"water": folder / "WATER.tif"}


def test_another_granule_of_the_pass_serves_where_there_is_no_own(tmp_path: Path) -> None:
    place(tmp_path, "z", granule="other")
    assert find_product(tmp_path, "water", GRANULE) is not None
    assert find_product(tmp_path, "water", replace(GRANULE, platform="S2B")) is None
    assert find_product(tmp_path, "water", replace(GRANULE, sensed=datetime(2023, 8, 16, tzinfo=UTC))) is None
    assert find_product(tmp_path, "snow", GRANULE) is None


def test_versions_count_as_numbers(tmp_path: Path) -> None:
    place(tmp_path, "a", version="1.9")
    place(tmp_path, "b", version="1.10")
    found = find_product(tmp_path, "water", GRANULE)
    assert found is not None
    assert found.product == "b"


def test_a_folder_without_item_is_no_product(tmp_path: Path) -> None:
    (place(tmp_path, "a") / "a.json").unlink()
    assert find_product(tmp_path, "water", GRANULE) is None


def test_a_named_product_wins(tmp_path: Path) -> None:
    place(tmp_path, "a")
    named = place(tmp_path, "b", granule="whatever", version="0.1")
    found = finder(tmp_path, {"water": named})("water", GRANULE)
    assert found is not None
    assert found.product == "b"


def test_an_item_that_points_outside_its_product_is_refused(tmp_path: Path) -> None:
    folder = place(tmp_path, "a")
    text = (folder / "a.json").read_text().replace("./WATER.tif", "../../WATER.tif")
    (folder / "a.json").write_text(text)
    with pytest.raises(BadInput, match="outside the product"):
        read_product(folder)


def test_a_foreign_item_is_refused(tmp_path: Path) -> None:
    folder = place(tmp_path, "a", **{"thalweg:unit_id": None})
    with pytest.raises(BadInput, match="names no unit"):
        read_product(folder)
