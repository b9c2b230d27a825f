"""The product writer: layers strip by strip, then quicklook, polygons and documents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.granules import CORNER
from thalweg.chain import Conclusion, Names
from thalweg.grid import Grid
from thalweg.layer import Class, Layer
from thalweg.product import ProductWriter, Written, describe_files, run_document

ROWS, COLUMNS = 40, 30
GRID = Grid("EPSG:32631", *CORNER, (20.0, 20.0), (ROWS, COLUMNS))
SEB = Layer(
    "seb",
    "uint8",
    "Snow, cloud or neither",
    nodata=255,
    classes=(Class(100, "snow"),),
    colours={100: (0, 255, 255, 255)},
)
NDSI = Layer("ndsi", "int16", "Snow index", nodata=-1, role="metadata")
NAMES = Names("SNOW_31TCH", {"seb": "SNOW_SEB.tif", "ndsi": "expert/ndsi.tif"})
RANDOM = np.random.default_rng(31)
VALUES = {
    "seb": RANDOM.choice(np.array([0, 100, 255], np.uint8), (ROWS, COLUMNS)),
    "ndsi": RANDOM.integers(-1, 100, (ROWS, COLUMNS)).astype(np.int16),
}


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def writer(folder: Path, names: Names = NAMES) -> ProductWriter:
    """A writer that has taken all rows of two layers, in strips of different heights."""
    product = ProductWriter(folder, names, GRID, "zstd", {"THALWEG_CHAIN": "snow 1.0"})
    for first, last in ((0, 7), (7, 31), (31, ROWS)):
        product.append(SEB, VALUES["seb"][first:last])
        product.append(NDSI, VALUES["ndsi"][first:last])
    return product


def by_key(written: list[Written]) -> dict[str, Written]:
    return {file.key: file for file in written}


def test_every_layer_is_a_raster_under_its_name(tmp_path: Path, pool: Executor) -> None:
    written = by_key(writer(tmp_path).finish(Conclusion(), ("seb",), pool))
    assert written["seb"].path == tmp_path / "SNOW_SEB.tif"
    assert written["ndsi"].path == tmp_path / "expert" / "ndsi.tif"
    for name, values in VALUES.items():
        with rasterio.open(written[name].path) as raster:
            np.testing.assert_array_equal(raster.read(1), values)
            assert raster.tags()["THALWEG_CHAIN"] == "snow 1.0"
            assert raster.crs.to_epsg() == 32631
    assert (written["seb"].roles, written["ndsi"].roles) == (("data",), ("metadata",))


def test_a_layer_without_a_name_is_called_like_itself(tmp_path: Path, pool: Executor) -> None:
    written = by_key(writer(tmp_path, Names("X")).finish(Conclusion(), (), pool))
    assert {file.path.name for file in written.values()} == {"seb.tif", "ndsi.tif", "X.png"}


@pytest.mark.parametrize(
    ("main", "shown"), [(("ndsi",), "Snow index"), (("other", "ndsi"), "Snow index"), ((), "Snow, ")]
)
def test_the_quicklook_shows_the_first_main_layer_that_was_made(
    tmp_path: Path, pool: Executor, main: tuple[str, ...], shown: str
) -> None:
    quicklook = by_key(writer(tmp_path).finish(Conclusion(), main, pool))["quicklook"]
    assert quicklook.path == tmp_path / "SNOW_31TCH.png"
    assert quicklook.path.read_bytes().startswith(b"\x89PNG")
    assert quicklook.title.startswith(f"Quicklook: {shown}")


def test_documents_and_polygons_are_written_where_the_chain_concludes_so(
    tmp_path: Path, pool: Executor
) -> None:
    conclusion = Conclusion(documents={"histo/LIS_HISTO.TXT": "zs é\n"}, polygons={"seb": "SEB"})
    written = by_key(writer(tmp_path).finish(conclusion, (), pool))
    assert (tmp_path / "histo" / "LIS_HISTO.TXT").read_bytes() == "zs é\n".encode()
    assert written["lis_histo"].roles == ("metadata",)
    assert written["seb_polygons"].path == tmp_path / "SNOW_SEB.gpkg"
    assert written["seb_polygons"].path.exists()


def test_files_are_described_with_size_checksum_and_type(tmp_path: Path, pool: Executor) -> None:
    conclusion = Conclusion(
        documents={"a.json": "{}", "b.xml": "<b/>", "c.strange": "?"}, polygons={"seb": "SEB"}
    )
    written = writer(tmp_path).finish(conclusion, (), pool)
    assets = {asset.key: asset for asset in describe_files(written, tmp_path, GRID, pool)}
    for file in written:
        content = file.path.read_bytes()
        asset = assets[file.key]
        assert (asset.size, asset.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert tmp_path / asset.file == file.path
        assert asset.grid == (GRID if file.layer else None)
    assert assets["ndsi"].file == "expert/ndsi.tif"
    kinds = {key: asset.media_type.partition(";")[0] for key, asset in assets.items()}
    assert kinds == {
        "seb": "image/tiff",
        "ndsi": "image/tiff",
        "quicklook": "image/png",
        "a": "application/json",
        "b": "application/xml",
        "c": "application/octet-stream",
        "seb_polygons": "application/geopackage+sqlite3",
    }


def test_an_abandoned_product_leaves_no_rasters(tmp_path: Path) -> None:
    writer(tmp_path).abandon()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_rows_that_are_missing_end_the_product(tmp_path: Path, pool: Executor) -> None:
    product = ProductWriter(tmp_path, NAMES, GRID, "zstd", {})
    product.append(SEB, VALUES["seb"][:7])
    with pytest.raises(ValueError, match="only 7 of 40 rows"):
        product.finish(Conclusion(), (), pool)


def test_equal_products_are_equal_bytes(tmp_path: Path, pool: Executor) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        writer(tmp_path / name).finish(Conclusion(polygons={"seb": "SEB"}), (), pool)
    files = sorted(
        path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()
    )
    assert len(files) == 4
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes()


def test_a_run_document_is_sorted_json() -> None:
    text = run_document({"b": (1, 2), "a": "é"})
    assert json.loads(text) == {"a": "é", "b": [1, 2]}
    assert text.index('"a"') < text.index('"b"')
    assert "é" in text
