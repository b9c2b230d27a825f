"""The collection of a chain: valid, describing its layers, and true of what it holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.catalogue.products import COG, snow
from tests.stac import errors
from thalweg.collection import Holdings, build_collection, collection_id, union, with_holdings
from thalweg.grid import Bounds

HOLDINGS = Holdings(
    count=3,
    box=(-10.0, 40.0, 12.0, 50.0),
    start=datetime(2021, 1, 1, tzinfo=UTC),
    end=datetime(2021, 6, 1, 10, 59, 10, 624000, tzinfo=UTC),
    platforms=("landsat-8", "sentinel-2a"),
    facilities=("laboratory",),
)


@pytest.mark.parametrize("holdings", [HOLDINGS, Holdings(), replace(HOLDINGS, platforms=(), facilities=())])
def test_a_collection_is_valid_and_survives_pystac(holdings: Holdings) -> None:
    collection = build_collection(snow, holdings)
    assert errors(collection) == []
    assert pystac.Collection.from_dict(collection).id == "lab.snow-1.0"


def test_a_bare_chain_has_a_valid_collection() -> None:
    layer = replace(snow.outputs[0], colours={}, classes=(), nodata=None)
    collection = build_collection(replace(snow, outputs=(layer,), references=()), Holdings())
    assert errors(collection) == []
    assert "renders" not in collection
    assert "sci:publications" not in collection


def test_the_validator_finds_what_is_wrong() -> None:
    collection = build_collection(snow, HOLDINGS)
    assert errors({**collection, "version": 1})
    assert errors({**collection, "renders": {"mask": {"title": "Mask"}}})
    assert errors({**collection, "sci:publications": [{"doi": "essd"}]})
    assert errors({**collection, "extent": {}})


def test_what_stands_in_a_collection() -> None:
    collection = build_collection(snow, HOLDINGS)
    assert collection["extent"]["spatial"]["bbox"] == [[-10.0, 40.0, 12.0, 50.0]]
    assert collection["extent"]["temporal"]["interval"] == [
        ["2021-01-01T00:00:00Z", "2021-06-01T10:59:10.624Z"]
    ]
    assert collection["license"] == "CC-BY-4.0"
    assert collection["version"] == "1.0"
    assert collection["description"] == "Snow by a threshold."
    assert [provider["name"][:8] for provider in collection["providers"]] == [
        "Copernic",
        "U.S. Geo",
        "laborato",
    ]
    assert collection["item_assets"]["mask"]["type"] == COG
    assert collection["item_assets"]["mask"]["classification:classes"][-1]["nodata"] is True
    assert "quicklook" in collection["item_assets"]
    assert collection["renders"].keys() == {"mask", "depth"}
    assert collection["renders"]["mask"]["colormap"]["100"] == [120, 200, 255, 255]
    assert collection["sci:publications"][0]["doi"] == "10.5194/essd-11-493-2019"
    assert {link["href"] for link in collection["links"]} == {
        "https://doi.org/10.5194/essd-11-493-2019",
        "https://example.org/snow",
    }


def test_extent_and_providers_follow_what_is_held() -> None:
    old = build_collection(snow, Holdings())
    assert with_holdings(old, HOLDINGS) == build_collection(snow, HOLDINGS)


def test_prototypes_have_a_collection_of_their_own() -> None:
    assert collection_id(snow) == "lab.snow-1.0"
    assert collection_id(snow, "nrt") == "lab.snow-1.0"
    assert collection_id(snow, "prototype") == "lab.snow-1.0-prototype"
    assert (
        build_collection(snow, HOLDINGS, collection_id(snow, "prototype"))["id"] == "lab.snow-1.0-prototype"
    )


@pytest.mark.parametrize(
    ("boxes", "around"),
    [
        ([], None),
        ([(1, 2, 3, 4)], (1, 2, 3, 4)),
        ([(-5, 40, 0, 45), (5, 42, 10, 50)], (-5, 40, 10, 50)),
        ([(170, 0, 175, 1), (-175, 2, -170, 3)], (170, 0, -170, 3)),
        ([(179, 0, -179, 1)], (179, 0, -179, 1)),
        ([(179, 0, -179, 1), (-178, 0, -170, 1)], (179, 0, -170, 1)),
        ([(-70, -30, -68, -20), (7, 44, 8, 46), (84, 27, 85, 28)], (-70, -30, 85, 46)),
        ([(-180, 0, 0, 1), (0, 0, 180, 1)], (-180, 0, 180, 1)),
        ([(170, 0, -100, 1), (-110, 0, 175, 1)], (-180, 0, 180, 1)),
    ],
)
def test_the_box_around_boxes(boxes: list[Bounds], around: Bounds | None) -> None:
    assert union(boxes) == around


longitudes = st.integers(-180, 180).map(float)
some_boxes = st.lists(st.tuples(longitudes, st.just(0.0), longitudes, st.just(1.0)), min_size=1, max_size=6)


def covered(box: Bounds) -> set[int]:
    """Whole and half degrees inside a box, as numbers of halves from 0 to 719."""
    west, _, east, _ = box
    width = int(2 * (east - west)) if east >= west else int(2 * (east + 360 - west))
    return {(int(2 * west) + step) % 720 for step in range(width + 1)}


@given(some_boxes)
def test_the_box_around_boxes_is_the_narrowest(boxes: list[Bounds]) -> None:
    around = union(boxes)
    assert around is not None
    inside = set().union(*map(covered, boxes))
    assert inside <= covered(around)
    outside = sorted(set(range(720)) - inside)
    widest = longest_run(outside)
    # Spans that touch at a whole degree leave no half degree between them: they are one.
    assert 720 - len(covered(around)) == widest


def longest_run(numbers: list[int]) -> int:
    """Length of the longest run of consecutive numbers on a circle of 720."""
    if len(numbers) == 720:
        return 720
    wanted = set(numbers)
    starts = [number for number in numbers if (number - 1) % 720 not in wanted]
    runs = []
    for start in starts:
        length = 0
        while (start + length) % 720 in wanted:
            length += 1
        runs.append(length)
    return max(runs, default=0)
