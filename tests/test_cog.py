from __future__ import annotations

import struct
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from rio_cogeo.cogeo import cog_validate

from thalweg import tiff
from thalweg.blocks import DTYPES
from thalweg.cog import CogWriter, halve_average, write_cog
from thalweg.errors import BadParameters
from thalweg.grid import Grid
from thalweg.layer import Class, Layer

UTM = "EPSG:32631"
NODATA = {
    "uint8": 255,
    "int16": -10000,
    "uint16": 65535,
    "int32": -(2**31),
    "uint32": None,
    "float32": float("nan"),
}

Array = NDArray[Any]


def grid_of(shape: tuple[int, int], crs: str = UTM) -> Grid:
    return Grid(crs, 300000.0, 4900020.0, (20.0, 20.0), shape)


def values_of(dtype: str, shape: tuple[int, int], seed: int = 0) -> Array:
    """Patches of codes, noise, a uniform corner and some no-data, over the range of the type."""
    random = np.random.default_rng(seed)
    if dtype == "float32":
        values = random.normal(0, 1e3, shape).astype(np.float32)
    else:
        limits = np.iinfo(dtype)
        values = random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    values[: shape[0] // 2, : shape[1] // 2] = 7
    values[random.random(shape) < 0.1] = 0 if NODATA[dtype] is None else NODATA[dtype]
    return values


def write(path: Path, values: Array, layer: Layer, heights: list[int], **options: Any) -> Array:
    """Write in strips of the given heights, over and over, and give the writer's overview."""
    grid = options.pop("grid", grid_of(values.shape))
    with CogWriter(path, layer, grid, **options) as cog:
        row, turn = 0, 0
        while row < len(values):
            cog.append(values[row : row + heights[turn % len(heights)]])
            row += heights[turn % len(heights)]
            turn += 1
    return cog.overview()


def levels_of(path: Path) -> list[Array]:
    with rasterio.open(path) as source:
        count = len(source.overviews(1))
        levels = [source.read(1)]
    for level in range(count):
        with rasterio.open(path, overview_level=level) as source:
            levels.append(source.read(1))
    return levels


def naive_average(values: Array, nodata: float | None) -> Array:
    """One pixel at a time, with exact fractions; squares at the edge hold the pixels that exist."""
    rows, columns = values.shape
    result = np.empty((-(-rows // 2), -(-columns // 2)), values.dtype)
    for i, j in np.ndindex(*result.shape):
        square = values[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].ravel().tolist()
        valid = [v for v in square if nodata is None or (v != nodata and not (v != v and nodata != nodata))]
        result[i, j] = naive_mean(valid, values.dtype, nodata) if valid else nodata
    return result


def naive_mean(valid: list[Any], dtype: np.dtype[Any], nodata: float | None) -> float:
    if dtype.kind == "f":
        return float(sum(valid) / len(valid))
    mean = Fraction(sum(valid), len(valid)) + Fraction(1, 2)
    rounded = mean.numerator // mean.denominator
    return rounded + 1 if rounded == nodata else rounded


@settings(max_examples=60)
@given(
    dtype=st.sampled_from(DTYPES),
    shape=st.tuples(st.integers(1, 1300), st.integers(1, 1300)),
    heights=st.lists(st.integers(1, 1400), min_size=1, max_size=4),
    codec=st.sampled_from(["zstd", "deflate"]),
    codes=st.booleans(),
)
def test_what_is_written_is_read_at_every_level(
    tmp_path_factory: pytest.TempPathFactory,
    dtype: str,
    shape: tuple[int, int],
    heights: list[int],
    codec: Any,
    codes: bool,
) -> None:
    path = tmp_path_factory.mktemp("cog") / "layer.tif"
    values = values_of(dtype, shape)
    layer = Layer("layer", dtype, nodata=NODATA[dtype], classes=(Class(7, "seven"),) if codes else ())
    overview = write(path, values, layer, heights, codec=codec)
    levels = levels_of(path)
    for number, level in enumerate(levels):
        np.testing.assert_array_equal(level, values[:: 2**number, :: 2**number])
    assert max(levels[-1].shape) <= 512
    np.testing.assert_array_equal(overview, next(one for one in levels if max(one.shape) <= 1024))


@pytest.mark.parametrize("overview", ["nearest", "average"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_bytes_depend_on_neither_strips_nor_threads(tmp_path: Path, dtype: str, overview: Any) -> None:
    values = values_of(dtype, (1301, 1111))
    layer = Layer("layer", dtype, nodata=NODATA[dtype], overview=overview)
    whole = tmp_path / "whole.tif"
    write(whole, values, layer, [1301])
    with ThreadPoolExecutor(3) as pool:
        for number, (heights, threads) in enumerate([([1], None), ([97, 512, 3], pool), ([1024], pool)]):
            other = tmp_path / f"{number}.tif"
            write(other, values, layer, heights, pool=threads)
            assert other.read_bytes() == whole.read_bytes()
    write(tmp_path / "columns.tif", np.asfortranarray(values), layer, [700])
    assert (tmp_path / "columns.tif").read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (512, 513), (1024, 700), (1301, 1111)])
@pytest.mark.parametrize("codec", ["zstd", "deflate"])
def test_files_are_valid_cogs(tmp_path: Path, dtype: str, shape: tuple[int, int], codec: Any) -> None:
    path = tmp_path / "layer.tif"
    write_cog(
        path,
        values_of(dtype, shape),
        Layer("layer", dtype, nodata=NODATA[dtype]),
        grid_of(shape),
        codec=codec,
    )
    assert cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(path) as source:
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert source.profile["compress"] == codec
        assert source.block_shapes == [(512, 512)]


@pytest.mark.parametrize(
    ("dtype", "classes", "predictor"),
    [("uint8", (Class(0, "land"),), None), ("uint16", (), "2"), ("int32", (), "2"), ("float32", (), "3")],
)
def test_predictor_suits_the_layer(tmp_path: Path, dtype: str, classes: Any, predictor: str | None) -> None:
    path = tmp_path / "layer.tif"
    write_cog(path, values_of(dtype, (9, 9)), Layer("layer", dtype, classes=classes), grid_of((9, 9)))
    with rasterio.open(path) as source:
        assert source.tags(ns="IMAGE_STRUCTURE").get("PREDICTOR") == predictor


def test_blocks_lie_as_the_ghost_area_says(tmp_path: Path) -> None:
    """Overviews first, rows in order, each block between its size and its last four bytes."""
    path = tmp_path / "layer.tif"
    values = values_of("uint8", (1301, 1111))
    write_cog(path, values, Layer("layer", "uint8"), grid_of(values.shape))
    data = path.read_bytes()
    places = []
    for level in (1, 0, None):
        options = {} if level is None else {"overview_level": level}
        with rasterio.open(path, **options) as source:
            rows, columns = (-(-size // 512) for size in source.shape)
            for y, x in np.ndindex(rows, columns):
                offset = int(source.get_tag_item(f"BLOCK_OFFSET_{x}_{y}", "TIFF", bidx=1))
                size = int(source.get_tag_item(f"BLOCK_SIZE_{x}_{y}", "TIFF", bidx=1))
                places.append((offset, size))
    for (offset, size), (following, _) in zip(places, [*places[1:], (len(data) + 4, 0)], strict=True):
        assert struct.unpack("<I", data[offset - 4 : offset]) == (size,)
        assert data[offset + size - 4 : offset + size] == data[offset + size : offset + size + 4]
        assert following == offset + size + 8


@given(
    block=hnp.arrays(np.int16, (1, 6, 8), elements=st.integers(-5, 5) | st.sampled_from([-32768, 32767])),
    nodata=st.sampled_from([None, -32768, 0, 3]),
)
def test_average_of_integers_equals_naive(block: Array, nodata: float | None) -> None:
    np.testing.assert_array_equal(halve_average(block, nodata)[0], naive_average(block[0], nodata))


@given(
    block=hnp.arrays(np.float32, (1, 4, 4), elements=st.sampled_from([0.1, 2.5, -7.25, 1e30, np.nan, -9999])),
    nodata=st.sampled_from([-9999.0, np.nan]),
)
def test_average_of_floats_equals_naive(block: Array, nodata: float) -> None:
    naive = naive_average(block[0], nodata)
    np.testing.assert_allclose(halve_average(block, nodata)[0], naive, rtol=2e-7, atol=1e24, equal_nan=True)


@pytest.mark.parametrize("dtype", ["uint8", "uint32", "int16"])
@pytest.mark.parametrize("shape", [(3, 1047), (1047, 3), (515, 519)])
def test_averaged_overviews_count_the_pixels_that_exist(
    tmp_path: Path, dtype: str, shape: tuple[int, int]
) -> None:
    path = tmp_path / "layer.tif"
    layer = Layer("layer", dtype, nodata=NODATA[dtype], overview="average")
    write_cog(path, values_of(dtype, shape), layer, grid_of(shape))
    levels = levels_of(path)
    for finer, coarser in pairwise(levels):
        np.testing.assert_array_equal(coarser, naive_average(finer, NODATA[dtype]))
    assert len(levels) == (3 if max(shape) > 1024 else 2)


def test_meaning_is_inside(tmp_path: Path) -> None:
    path = tmp_path / "seb.tif"
    layer = Layer(
        "seb",
        "uint8",
        description='Snow & ice, "seen" <from above>, µg/l',
        units="percent",
        nodata=255,
        scale=0.5,
        offset=-3.0,
        classes=(Class(0, "no_snow"), Class(205, "cloud & more")),
        bits=("low", "high"),
        colours={0: (166, 150, 120, 255), 1: (0, 0, 0, 255), 3: (20, 40, 60, 255), 255: (9, 9, 9, 0)},
        ramp=(1, 3),
    )
    tags = {"ATTRIBUTION": "été <2024>", "TIFFTAG_SOFTWARE": "thalweg 0.1", "TIFFTAG_COPYRIGHT": "Copernicus"}
    write(path, values_of("uint8", (700, 600)), layer, [100], tags=tags)
    with rasterio.open(path) as source:
        assert source.descriptions == (layer.description,)
        assert (source.units, source.scales, source.offsets) == (("percent",), (0.5,), (-3.0,))
        assert source.nodata == 255
        assert source.crs.to_epsg() == 32631
        assert tuple(source.transform)[:6] == grid_of((700, 600)).transform
        assert source.colorinterp == (rasterio.enums.ColorInterp.palette,)
        colours = source.colormap(1)
        read = source.tags()
    assert [colours[value] for value in (0, 2, 200)] == [
        (166, 150, 120, 255),
        (10, 20, 30, 255),
        (0, 0, 0, 255),
    ]
    assert colours[255][3] == 0
    expected = {"CLASS_0": "no_snow", "CLASS_205": "cloud & more", "BIT_0": "low", "BIT_1": "high"}
    assert read == expected | tags | {"AREA_OR_POINT": "Area"}


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:2154", "EPSG:32733"])
def test_grids_come_back(tmp_path: Path, crs: str) -> None:
    path = tmp_path / "layer.tif"
    grid = Grid(crs, 5.123456789012, 46.5, (0.00027777777, 0.0003), (20, 30))
    write_cog(path, np.zeros((20, 30), np.uint8), Layer("layer", "uint8"), grid)
    with rasterio.open(path) as source:
        assert source.crs.to_string() == crs
        assert tuple(source.transform)[:6] == grid.transform


@pytest.mark.parametrize(
    "nodata", [-9999.0, float("nan"), float("inf"), float(np.float32(-3.4028234663852886e38))]
)
def test_nodata_of_floats_comes_back(tmp_path: Path, nodata: float) -> None:
    path = tmp_path / "layer.tif"
    write_cog(path, np.zeros((5, 5), np.float32), Layer("layer", "float32", nodata=nodata), grid_of((5, 5)))
    with rasterio.open(path) as source:
        assert source.nodata == nodata or (source.nodata != source.nodata and nodata != nodata)


def test_big_tiff_beyond_four_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "layer.tif"
    values = values_of("int16", (1301, 1111))
    layer = Layer("layer", "int16", nodata=-10000, units="m")
    write(path, values, layer, [300])
    assert path.read_bytes()[:4] == b"II*\0"
    monkeypatch.setattr(tiff, "CLASSIC_LIMIT", path.stat().st_size - 1)
    write(path, values, layer, [300])
    assert path.read_bytes()[:4] == b"II+\0"
    assert cog_validate(path, strict=True) == (True, [], [])
    np.testing.assert_array_equal(levels_of(path)[0], values)
    with rasterio.open(path) as source:
        assert (source.crs.to_epsg(), source.nodata, source.units) == (32631, -10000, ("m",))


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    values = values_of("uint8", (1301, 600))
    with (
        ThreadPoolExecutor(2) as pool,
        pytest.raises(RuntimeError, match="half way"),
        CogWriter(tmp_path / "a.tif", Layer("a", "uint8"), grid_of(values.shape), pool=pool) as cog,
    ):
        cog.append(values[:1200])
        raise RuntimeError("half way")
    with pytest.raises(ValueError, match="only 5 of 1301 rows"):
        write(tmp_path / "b.tif", values[:5], Layer("b", "uint8"), [5], grid=grid_of(values.shape))
    assert list(tmp_path.iterdir()) == []


def test_a_failing_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        yield b"II"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tiff, "_pieces", fail)
    with pytest.raises(OSError, match="No space left"):
        write_cog(tmp_path / "a.tif", np.zeros((5, 5), np.uint8), Layer("a", "uint8"), grid_of((5, 5)))
    assert list(tmp_path.iterdir()) == []


class BrokenPool(Executor):
    """A pool whose every job fails."""

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        future.set_exception(MemoryError("no room"))
        return future


def test_an_exception_in_the_pool_is_raised_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(MemoryError, match="no room"):
        write(
            tmp_path / "a.tif", values_of("uint8", (600, 600)), Layer("a", "uint8"), [600], pool=BrokenPool()
        )
    assert list(tmp_path.iterdir()) == []


def test_a_writer_may_run_in_its_own_pool(tmp_path: Path) -> None:
    """Its only thread appends, so that nobody else can encode."""
    values = values_of("uint8", (2100, 600))
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(write, tmp_path / "a.tif", values, Layer("a", "uint8"), [100], pool=pool)
        job.result(timeout=120)
    np.testing.assert_array_equal(levels_of(tmp_path / "a.tif")[0], values)


def test_strips_belong_to_the_caller_again_after_append(tmp_path: Path) -> None:
    values = values_of("uint8", (1301, 700))
    strip = np.empty((512, 700), np.uint8)
    with (
        ThreadPoolExecutor(1) as pool,
        CogWriter(tmp_path / "a.tif", Layer("a", "uint8"), grid_of(values.shape), pool=pool) as cog,
    ):
        for row in range(0, 1301, 512):
            rows = strip[: min(512, 1301 - row)]
            rows[:] = values[row : row + 512]
            cog.append(rows)
            strip[:] = 99
    np.testing.assert_array_equal(levels_of(tmp_path / "a.tif")[0], values)


@pytest.mark.parametrize(
    ("layer", "crs", "options", "message"),
    [
        (Layer("a", "float64"), UTM, {}, "layer a is float64"),
        (Layer("a", "uint8", nodata=256), UTM, {}, "nodata 256 is no value of uint8"),
        (Layer("a", "int16", nodata=float("nan")), UTM, {}, "nodata nan is no value of int16"),
        (Layer("a", "int16", nodata=0.5), UTM, {}, "nodata 0.5 is no value of int16"),
        (Layer("a", "float32", nodata=0.1), UTM, {}, "nodata 0.1 is no value of float32"),
        (Layer("a", "uint8"), UTM, {"codec": "lzw"}, "unknown codec 'lzw'"),
        (Layer("a", "uint8"), UTM, {"tags": {"TIFFTAG_DATETIME": "now"}}, "TIFFTAG_DATETIME is not written"),
        (Layer("a", "uint8"), "ESRI:54009", {}, "'ESRI:54009' is none"),
        (Layer("a", "uint8"), "EPSG:9518", {}, "EPSG:9518 is a CompoundCRS"),
        (Layer("a", "uint8"), "EPSG:5773", {}, "EPSG:5773 is a VerticalCRS"),
        (Layer("a", "uint8"), "EPSG:1", {}, "EPSG:1 is no known CRS"),
    ],
)
def test_what_cannot_be_written_is_refused_before_it_begins(
    tmp_path: Path, layer: Layer, crs: str, options: Any, message: str
) -> None:
    with pytest.raises(BadParameters, match=message):
        CogWriter(tmp_path / "a.tif", layer, grid_of((5, 5), crs), **options)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((2, 6), np.uint8), "expected uint8, n x 5"),
        (np.zeros((2, 5), np.int16), "rows are int16"),
        (np.zeros(5, np.uint8), "expected uint8, n x 5"),
        (np.zeros((6, 5), np.uint8), "more than the 5 rows"),
    ],
)
def test_rows_that_do_not_fit_are_refused(tmp_path: Path, rows: Array, message: str) -> None:
    writer = CogWriter(tmp_path / "a.tif", Layer("a", "uint8"), grid_of((5, 5)))
    with pytest.raises(ValueError, match=message):
        writer.append(rows)
