"""Opened rasters: what a damaged file can do ends as bad input, and streams read every block once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine

from tests.granules import CORNER, write_raster
from tests.rasters import in_memory
from thalweg.errors import BadInput, MissingInput
from thalweg.grid import Grid
from thalweg.opened import RowStream, open_raster, raster_environment
from thalweg.raster import Raster

VALUES = np.random.default_rng(7).integers(0, 3000, (40, 50)).astype(np.uint16)
LOSSLESS = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"}


def jpeg2000(path: Path) -> Path:
    return write_raster(path, VALUES, **LOSSLESS)


def netcdf(path: Path) -> Path:
    """Two variables, Band1 and Band2."""
    bands = path.with_suffix(".tif")
    profile = {
        "driver": "GTiff",
        "dtype": "uint16",
        "height": 40,
        "width": 50,
        "count": 2,
        "crs": "EPSG:32631",
    }
    with rasterio.open(
        bands, "w", transform=Affine(20, 0, CORNER[0], 0, -20, CORNER[1]), **profile
    ) as raster:
        raster.write(np.stack([VALUES, VALUES + 1]))
    rasterio.shutil.copy(bands, path, driver="netCDF")
    return path


MAKE: dict[str, Callable[[Path], Path]] = {
    "strips.tif": lambda path: write_raster(path, VALUES, compress="deflate", predictor=2),
    "blocks.tif": lambda path: write_raster(
        path, VALUES, tiled=True, blockxsize=16, blockysize=16, compress="zstd"
    ),
    "plain.tif": lambda path: write_raster(path, VALUES),
    "image.jp2": jpeg2000,
    "image.png": lambda path: write_raster(path, VALUES, driver="PNG"),
    "variables.nc": netcdf,
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One raster of each form that products come in, all with the same numbers."""
    folder = tmp_path_factory.mktemp("rasters")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: make(folder / name) for name, make in MAKE.items()}


PLACE = Grid("EPSG:32631", *CORNER, (20.0, 20.0), (40, 50))


def raster_at(path: Path) -> Raster:
    """PNG has no place of its own; a NetCDF file holds variables."""
    if path.suffix == ".png":
        return Raster(path, grid=PLACE)
    return Raster(path, variable="Band1" if path.suffix == ".nc" else None)


@pytest.mark.parametrize("name", MAKE)
def test_every_form_is_read(good: dict[str, Path], name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = open_raster(raster_at(good[name]))
    assert opened.grid.equals(PLACE)
    assert opened.dtype == "uint16"
    np.testing.assert_array_equal(opened.read(3, 5, (10, 20)), VALUES[3:13, 5:25])
    out = np.zeros((2, 50), np.uint16)
    opened.read(38, 0, (2, 50), out)
    np.testing.assert_array_equal(out, VALUES[38:])
    opened.close()


def test_a_jpeg_2000_is_one_whatever_its_name(good: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "B04.tif").write_bytes(good["image.jp2"].read_bytes())
    assert open_raster(Raster(tmp_path / "B04.tif")).read(0, 0, (1, 1)) == VALUES[0, 0]


def test_a_variable_is_chosen_by_name(good: dict[str, Path]) -> None:
    second = open_raster(Raster(good["variables.nc"], variable="Band2"))
    np.testing.assert_array_equal(second.read(0, 0, (40, 50)), VALUES + 1)


@pytest.mark.parametrize(
    ("nodata", "own", "found"), [(None, None, None), (0, None, 0.0), (0, 7.0, 7.0), (None, 65535.0, 65535.0)]
)
def test_nodata_is_the_files_unless_the_product_says_another(
    tmp_path: Path, nodata: float | None, own: float | None, found: float | None
) -> None:
    path = write_raster(tmp_path / "x.tif", VALUES, nodata=nodata)
    assert open_raster(Raster(path, nodata=own)).nodata == found


def test_a_place_that_the_product_gives_is_used_without_a_word(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = write_raster(tmp_path / "x.tif", VALUES, crs=None, transform=Affine.identity())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_raster(Raster(path, grid=PLACE)).grid is PLACE


VRT = b'<VRTDataset rasterXSize="1" rasterYSize="1"></VRTDataset>'


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.unlink() or path.mkdir(), "is no file"),
        (lambda path: path.write_bytes(b""), r"empty \(0 bytes\)"),
        (lambda path: path.write_bytes(b"not found"), "no GeoTIFF, JPEG 2000, PNG or NetCDF"),
        (lambda path: path.write_bytes(VRT), "no GeoTIFF, JPEG 2000, PNG or NetCDF"),
        (lambda path: path.write_bytes(b"II*\x00rest"), "cannot be opened"),
        (lambda path: write_raster(path, VALUES.astype(np.complex64)), "complex64 are not supported"),
        (lambda path: write_raster(path, VALUES, crs=None), "no coordinate reference system"),
        (lambda path: write_raster(path, VALUES, transform=Affine(20, 1, 0, 1, -20, 0)), "rotated"),
        (lambda path: write_raster(path, VALUES, transform=Affine(20, 0, 0, 0, 20, 0)), "not north up"),
        (lambda path: write_raster(path, VALUES, transform=Affine(1e-12, 0, 0, 0, -20, 0)), "absurd"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, change: Callable[[Path], Any], words: str) -> None:
    path = write_raster(tmp_path / "B04.tif", VALUES)
    change(path)
    with pytest.raises(BadInput, match=rf"B04\.tif: .*{words}"):
        open_raster(Raster(path))


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("plain.tif", {"band": 2}, r"has 1 band\(s\), band 2"),
        ("plain.tif", {"variable": "red"}, "is no NetCDF file, and variable 'red'"),
        (
            "plain.tif",
            {"grid": Grid("EPSG:32631", 0, 0, (20, 20), (5, 5))},
            r"holds \(40, 50\) pixels, .*\(5, 5\)",
        ),
        ("variables.nc", {}, "several variables, name the one to use: Band1, Band2"),
        ("variables.nc", {"variable": "red"}, "cannot be opened"),
        ("variables.nc", {"variable": 'a":"b'}, "cannot be opened"),
        ("variables.nc", {"variable": "Band1", "band": 2}, r"has 1 band\(s\), band 2"),
    ],
)
def test_what_a_file_does_not_hold_is_named(good: dict[str, Path], name: str, asked: Any, words: str) -> None:
    with pytest.raises(BadInput, match=rf"{name}: .*{words}"):
        open_raster(Raster(good[name], **asked))


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"B04\.tif: no such file"):
        open_raster(Raster(tmp_path / "B04.tif"))


@pytest.mark.parametrize("name", ["a" * 300, "b\0c"])
def test_a_name_that_no_file_can_have_is_no_defect_of_ours(tmp_path: Path, name: str) -> None:
    with pytest.raises((BadInput, MissingInput)):
        open_raster(Raster(tmp_path / name))


@pytest.mark.parametrize("name", ["strips.tif", "blocks.tif", "plain.tif"])
def test_a_truncated_file_is_bad_input_where_it_ends(
    good: dict[str, Path], tmp_path: Path, name: str
) -> None:
    path = tmp_path / "B04.tif"
    path.write_bytes(good[name].read_bytes()[:-400])
    with raster_environment(), pytest.raises(BadInput, match=r"B04\.tif: .*cannot be decoded"):
        open_raster(Raster(path)).read(0, 0, (40, 50))


@pytest.mark.parametrize("name", MAKE)
@settings(max_examples=25)
@given(data=st.data())
def test_whatever_is_damaged_it_is_bad_input_or_numbers(
    good: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    content = bytearray(good[name].read_bytes())
    head = st.integers(0, min(len(content), 700) - 1)
    for place in data.draw(st.lists(head | st.integers(0, len(content) - 1), max_size=6)):
        content[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.none() | st.integers(0, len(content)))
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_bytes(content[:cut])
    with raster_environment():
        try:
            opened = open_raster(raster_at(path))
            if max(opened.grid.shape) < 5000:
                assert opened.read(0, 0, opened.grid.shape).shape == opened.grid.shape
            opened.close()
        except BadInput as problem:
            assert str(problem).startswith(str(path))


# --- streams


@st.composite
def requests(draw: st.DrawFn, rows: int, overlap: int) -> list[tuple[int, int]]:
    """Requests in order that overlap by no more than they may; the last one may reach beyond the end."""
    asked, first, last = [], 0, 0
    while last < rows:
        first = draw(st.integers(max(first, last - overlap), last))
        last = draw(st.integers(max(first, last) + 1, rows + 3))
        asked.append((first, last))
    return asked


@given(st.data(), st.integers(0, 9), st.sampled_from([1, 3, 8, 16, 64]))
def test_a_stream_gives_its_rows_and_reads_every_block_once(
    data: st.DataObject, overlap: int, block_rows: int
) -> None:
    row, column = data.draw(st.integers(0, 20)), data.draw(st.integers(0, 20))
    part = (row, column, data.draw(st.integers(1, 40 - row)), data.draw(st.integers(1, 50 - column)))
    opened = in_memory(VALUES, block_rows=block_rows)
    stream = RowStream(opened, overlap, part)
    expected = VALUES[row : row + part[2], column : column + part[3]]
    assert stream.shape == expected.shape
    for first, last in data.draw(requests(part[2], overlap)):
        np.testing.assert_array_equal(stream.rows(first, last), expected[first:last])
        assert opened.dataset.read_rows[-1][1] < row + last + block_rows
    reads = opened.dataset.read_rows
    assert (reads[0][0], reads[-1][1]) == (row, row + part[2])
    for (_, stop), (start, _) in pairwise(reads):
        assert stop == start
        assert stop % block_rows == 0


@pytest.mark.parametrize("again", [0, 2, 7])
def test_rows_that_are_gone_or_skipped_are_refused(again: int) -> None:
    stream = RowStream(in_memory(VALUES), overlap=2)
    stream.rows(0, 5)
    with pytest.raises(ValueError, match=r"in order: .* 3 to 5 are kept"):
        stream.rows(again, 9)


def test_what_a_chain_does_with_its_rows_changes_no_others() -> None:
    stream = RowStream(in_memory(VALUES, block_rows=8), overlap=4)
    stream.rows(0, 6)[:] = 0
    stream.rows(2, 7)[:] = 0
    np.testing.assert_array_equal(stream.rows(3, 20), VALUES[3:20])
