"""Whatever happens to the bytes of a product's metadata: an error of ours that names the file, or a granule."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.readers.products import (
    COLLECTION2,
    L2A,
    MAJA,
    MUSCATE,
    S30,
    S30_TAGS,
    STACK,
    make_hls,
    make_landsat,
    make_maja,
    make_muscate,
    make_safe,
    make_stack,
    product_xml,
    stac_item,
)
from thalweg.errors import BadInput, MissingInput, ThalwegError
from thalweg.granule import Granule
from thalweg.readers import open_granule

OFFSETS = [(band, -1000) for band in range(13)]


def muscate(folder: Path) -> tuple[Path, Path]:
    return (path := make_muscate(folder)), path / f"{MUSCATE}_MTD_ALL.xml"


def maja(folder: Path) -> tuple[Path, Path]:
    return make_maja(folder), folder / f"{MAJA}.HDR"


def safe(folder: Path) -> tuple[Path, Path]:
    return (path := make_safe(folder, xml=product_xml(offsets=OFFSETS))), path / "MTD_MSIL2A.xml"


def safe_tile(folder: Path) -> tuple[Path, Path]:
    return (path := make_safe(folder)), path / "GRANULE" / "G" / "MTD_TL.xml"


def stac(folder: Path) -> tuple[Path, Path]:
    (path := folder / "item.json").write_text(json.dumps(stac_item(), indent=1))
    return path, path


def stack(folder: Path) -> tuple[Path, Path]:
    full = {
        **STACK,
        "sun": {"zenith": 38.2, "azimuth": 156.9},
        "masks": [
            {"file": "m.tif", "meanings": {"cloud": [8, 9], "snow": {"bits": [4]}, "nodata": "nonzero"}}
        ],
    }
    return (path := make_stack(folder, full)), path


def landsat(form: str) -> Callable[[Path], tuple[Path, Path]]:
    def make(folder: Path) -> tuple[Path, Path]:
        return (path := make_landsat(folder, form=form)), path / f"{COLLECTION2}_MTL.{form}"

    return make


PRODUCTS = [muscate, maja, safe, safe_tile, stac, stack, *map(landsat, ("xml", "json", "txt"))]


def outcome(path: Path) -> Granule | ThalwegError:
    try:
        return open_granule(path)
    except ThalwegError as error:
        return error


@pytest.mark.parametrize("make", PRODUCTS)
@given(data=st.data())
def test_damaged_bytes(
    tmp_path_factory: pytest.TempPathFactory, make: Callable[[Path], tuple[Path, Path]], data: st.DataObject
) -> None:
    product, metadata = make(tmp_path_factory.mktemp("damage"))
    content = bytearray(metadata.read_bytes())
    for _ in range(data.draw(st.integers(1, 8), label="bytes changed")):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    start = data.draw(st.sampled_from((0, 0, 1, len(content) // 3)), label="first byte kept")
    metadata.write_bytes(content[start : data.draw(st.integers(start, len(content)), label="end")])
    found = outcome(product)
    if isinstance(found, ThalwegError):
        assert isinstance(found, BadInput) and str(metadata) in str(found)


@pytest.mark.parametrize("make", PRODUCTS)
@given(data=st.data())
def test_damaged_words(
    tmp_path_factory: pytest.TempPathFactory, make: Callable[[Path], tuple[Path, Path]], data: st.DataObject
) -> None:
    """Well-formed metadata with wrong values: digits, numbers and words replaced."""
    product, metadata = make(tmp_path_factory.mktemp("damage"))
    text = metadata.read_text()
    for _ in range(data.draw(st.integers(1, 4))):
        old = data.draw(
            st.sampled_from(
                ["0", "1", "2", "10", "20", "62", "true", "-1000", "B02", "blue", "31TCH", "2021"]
            )
        )
        new = data.draw(
            st.sampled_from(["", "-", "9" * 400, "nan", "1e999", "null", "[]", "{}", "0", "é", "\u2028", "A"])
        )
        text = text.replace(old, new, data.draw(st.integers(1, 3)))
    metadata.write_text(text)
    found = outcome(product)
    assert isinstance(found, Granule | BadInput)


@given(st.text(max_size=40))
def test_damaged_names(tmp_path_factory: pytest.TempPathFactory, tail: str) -> None:
    folder = tmp_path_factory.mktemp("names")
    for beginning in (
        "",
        MUSCATE[:20],
        L2A[:30],
        "S2A_OPER_SSC_L2VALD_31TCH____",
        S30[:20],
        COLLECTION2[:20],
    ):
        found = outcome(folder / f"{beginning}{tail}")
        assert isinstance(found, MissingInput | BadInput)


@given(data=st.data())
def test_damaged_tags(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    values = st.sampled_from(
        ["", "-", ",", "9" * 400, "nan", "1e999", "0", "é", "62.5; 63", "2024-01-15", "S2B"]
    )
    tags = {**S30_TAGS, data.draw(st.sampled_from(sorted(S30_TAGS))): data.draw(values)}
    found = outcome(make_hls(tmp_path_factory.mktemp("tags"), tags=tags, files=("B03",)))
    assert isinstance(found, Granule | BadInput)
    if isinstance(found, BadInput):
        assert f"{S30}.B03.tif: tag " in str(found)


@settings(max_examples=30)
@given(data=st.data())
def test_damaged_rasters_with_tags(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    product = make_hls(tmp_path_factory.mktemp("raster"), files=("B03",))
    path = product / f"{S30}.B03.tif"
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    assert isinstance(outcome(product), Granule | BadInput)
