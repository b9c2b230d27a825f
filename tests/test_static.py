"""Static layers: found by role, checked against the grid, warped or burnt only where that is allowed."""

from __future__ import annotations

import hashlib
import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pyproj import Transformer

from tests.granules import CORNER, write_raster
from thalweg import static as static_layers
from thalweg.errors import BadInput, BadParameters, MissingInput
from thalweg.grid import Grid
from thalweg.inputs import Static
from thalweg.opened import OpenRaster, open_raster
from thalweg.polygons import burn_polygons
from thalweg.raster import Raster
from thalweg.scene import WholeLayer
from thalweg.static import StaticLayers, as_declared, digest_of, open_static, read_whole, sidecar_of, warp
from thalweg.tile import Tile

ROWS, COLUMNS = 30, 24
GRID = Grid("EPSG:32631", *CORNER, (20.0, 20.0), (ROWS, COLUMNS))
HEIGHTS = np.random.default_rng(23).integers(0, 3000, (ROWS, COLUMNS)).astype(np.int16)
DEM = Static("dem", "int16")


# --- where layers are


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (["31TCH/dem.tif", "T31TCH/dem.tif", "dem.tif"], "31TCH/dem.tif"),
        (["T31TCH/dem.tif", "dem.tif"], "T31TCH/dem.tif"),
        (["dem.tif", "31TCJ/dem.tif"], "dem.tif"),
        (["dem.tiff", "dem.gpkg"], "dem.tiff"),
        (["31TCH/dem.gpkg", "dem.tif"], "31TCH/dem.gpkg"),
        (["31TCJ/dem.tif", "31TCH/demo.tif"], None),
    ],
)
def test_a_layer_of_the_tile_goes_before_one_of_the_folder(
    tmp_path: Path, there: list[str], found: str | None
) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert StaticLayers(tmp_path).find("dem", "31TCH") == (found and tmp_path / found)


def test_a_named_file_wins_and_a_role_may_be_left_out(tmp_path: Path) -> None:
    for name in ("dem.tif", "mine.tif", "tcd.tif"):
        (tmp_path / name).touch()
    layers = StaticLayers(tmp_path, {"dem": tmp_path / "mine.tif"}, frozenset({"tcd"}))
    assert layers.find("dem", "31TCH") == tmp_path / "mine.tif"
    assert layers.find("tcd", "31TCH") is None
    assert "left out (--without)" in str(layers.missing("tcd", "31TCH", "snow"))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"none: no such folder"):
        StaticLayers(tmp_path / "none")
    with pytest.raises(MissingInput, match=r"'dem': .*none\.tif: no such file"):
        StaticLayers(None, {"dem": tmp_path / "none.tif"}).find("dem", "31TCH")
    with pytest.raises(BadParameters, match="'dem' is both named and left out"):
        StaticLayers(None, {"dem": tmp_path / "none.tif"}, frozenset({"dem"}))
    missing = str(StaticLayers(tmp_path).missing("dem", "31TCH", "snow"))
    assert f"{tmp_path}/31TCH/dem.tif" in missing
    assert f"{tmp_path}/dem.tif" in missing
    assert "--static FOLDER" in str(StaticLayers().missing("dem", "31TCH", "snow"))


# --- digests


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    path = tmp_path / "dem.tif"
    path.write_bytes(b"heights")
    return path


DIGEST = hashlib.sha256(b"heights").hexdigest()
OTHER = "0" * 64


@pytest.mark.parametrize(
    ("text", "seconds", "found"),
    [
        (f"{OTHER}  dem.tif\n", +1, OTHER),
        (f"{OTHER}  dem.tif\n", 0, OTHER),
        (f"{OTHER}\n", +1, OTHER),
        (f"{OTHER}  dem.tif\n", -1, DIGEST),
        ("", +1, DIGEST),
        ("0" * 63 + "  dem.tif\n", +1, DIGEST),
        ("0" * 65 + "  dem.tif\n", +1, DIGEST),
        ("z" * 64 + "  dem.tif\n", +1, DIGEST),
        ("é" * 64, +1, DIGEST),
    ],
)
def test_a_sidecar_is_believed_where_it_is_a_digest_and_no_older(
    layer: Path, text: str, seconds: int, found: str
) -> None:
    sidecar_of(layer).write_text(text, "latin-1")
    when = layer.stat().st_mtime_ns + seconds * 10**9
    os.utime(sidecar_of(layer), ns=(when, when))
    assert digest_of(layer) == found


def test_without_a_sidecar_the_digest_is_computed(layer: Path) -> None:
    assert digest_of(layer) == DIGEST
    assert sidecar_of(layer).name == "dem.tif.sha256"


# --- types


@given(st.sampled_from(["uint8", "int16", "uint16", "int32", "float32", "float64"]), st.data())
def test_numbers_become_what_the_chain_declares(stored_type: str, data: st.DataObject) -> None:
    """Against one number after the other: rounded half up, kept in range, missing ones known by the new nodata."""
    declared = data.draw(st.sampled_from(["uint8", "int16", "float32"]))
    dtype = np.dtype(stored_type)
    if dtype.kind == "f":
        numbers: Any = st.integers(-80_000, 160_000).map(lambda n: n / 2) | st.sampled_from(
            [math.nan, math.inf]
        )
    else:
        limits = np.iinfo(dtype)
        numbers = st.integers(max(limits.min, -70_000), min(limits.max, 70_000))
    stored = data.draw(hnp.arrays(dtype, (1, 8), elements=numbers))
    nodata = data.draw(st.sampled_from([None, 0.0, 255.0, -9999.0, -32768.0, 65535.0]))
    values, new_nodata = as_declared(stored, Static("x", declared), nodata)  # type: ignore[arg-type]
    assert values.dtype == declared
    for number, value in zip(stored[0].tolist(), values[0].tolist(), strict=True):
        missing = number == nodata or (dtype.kind == "f" and not math.isfinite(number))
        if missing and declared != "float32":
            assert value == new_nodata
        elif declared != "float32":
            limits = np.iinfo(declared)
            assert value == min(max(math.floor(number + 0.5), limits.min), limits.max)
        elif math.isnan(number):
            assert math.isnan(value)
        else:
            assert value == number


def test_a_layer_of_the_declared_type_is_as_it_is() -> None:
    values, nodata = as_declared(HEIGHTS, DEM, -32768)
    assert values is HEIGHTS
    assert nodata == -32768


# --- grids


def held(path: Path, static: Static, grid: Grid = GRID) -> WholeLayer:
    """A layer as it is read whole."""
    opened = open_static(static, path, grid, "SNOW-GRID-01")
    return read_whole(static, opened) if isinstance(opened, OpenRaster) else opened


def test_a_layer_on_the_grid_is_opened_as_it_is(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "dem.tif", HEIGHTS)
    assert isinstance(open_static(DEM, path, GRID, "SNOW-GRID-01"), OpenRaster)
    np.testing.assert_array_equal(held(path, DEM).values, HEIGHTS)


ELSEWHERE: dict[str, dict[str, Any]] = {
    "crs": {"crs": "EPSG:32632"},
    "corner": {"corner": (CORNER[0] + 1, CORNER[1])},
    "pixel": {"pixel": 10.0},
    "smaller": {"corner": (CORNER[0] + 20, CORNER[1])},
}


@pytest.mark.parametrize("change", ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_a_layer_elsewhere_is_refused_and_the_way_out_is_named(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    path = write_raster(tmp_path / "dem.tif", HEIGHTS, **{"pixel": 20.0, **change})
    for static in (DEM, Static("dem", "int16", margin=True), Static("dem", "int16", warp="bilinear")):
        with pytest.raises(BadInput, match=r"SNOW-GRID-01: .*dem\.tif: static layer 'dem' is on ") as caught:
            open_static(static, path, GRID, "SNOW-GRID-01")
        assert "static prepare" in caught.value.what_to_do


def test_a_margin_is_kept_where_it_is_wanted(tmp_path: Path) -> None:
    around = np.pad(HEIGHTS, ((3, 2), (5, 1)), constant_values=7)
    path = write_raster(tmp_path / "dem.tif", around, corner=(CORNER[0] - 5 * 20, CORNER[1] + 3 * 20))
    layer = held(path, Static("dem", "int16", margin=True))
    assert (layer.row, layer.column) == (3, 5)
    np.testing.assert_array_equal(layer.values, around)
    np.testing.assert_array_equal(layer.within(GRID), HEIGHTS)
    with pytest.raises(BadInput, match="SNOW-GRID-01"):
        open_static(DEM, path, GRID, "SNOW-GRID-01")


@pytest.mark.parametrize("rows", [5, ROWS + 2], ids=["refused", "with its margin"])
def test_a_layer_that_is_read_or_refused_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    opened: list[OpenRaster] = []

    def remembered(raster: Raster) -> OpenRaster:
        opened.append(open_raster(raster))
        return opened[-1]

    monkeypatch.setattr(static_layers, "open_raster", remembered)
    path = write_raster(tmp_path / "dem.tif", np.zeros((rows, COLUMNS), np.int16))
    with suppress(BadInput):
        open_static(Static("dem", "int16", margin=True), path, GRID, "SNOW-GRID-01")
    assert [raster.dataset.closed for raster in opened] == [True]


# --- warps


def plane(lon: Any, lat: Any) -> Any:
    """Elevation that is smooth everywhere, across the 180th meridian too."""
    return 1500 + 1000 * np.sin(np.radians(8 * lon)) + 10 * lat


def write_degrees(
    path: Path, box: tuple[float, float, float, float], pixel: float = 0.01, **options: Any
) -> Path:
    """A raster in degrees over a box: `plane` as float32."""
    west, south, east, north = box
    lon = np.arange(west + pixel / 2, east, pixel)
    lat = np.arange(north - pixel / 2, south, -pixel)
    values = plane(lon[None], lat[:, None]).astype(np.float32)
    values[options.pop("hole", (slice(0), slice(0)))] = np.nan
    return write_raster(path, values, pixel, crs="EPSG:4326", corner=(west, north), nodata=np.nan, **options)


def truth(grid: Grid) -> np.ndarray:
    rows, columns = grid.shape
    x = grid.left + (np.arange(columns) + 0.5) * grid.pixel[0]
    y = grid.top - (np.arange(rows) + 0.5) * grid.pixel[1]
    transform = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform
    heights: np.ndarray = plane(*transform(*np.meshgrid(x, y)))
    return heights


@pytest.mark.parametrize("how", ["nearest", "bilinear", "cubic_spline"])
@pytest.mark.parametrize(
    ("tile", "box"),
    [("31TCH", (-1.0, 42.0, 3.0, 45.0)), ("01KAB", (-180.0, -19.0, 180.0, -15.0))],
    ids=["inside", "on the 180th meridian"],
)
def test_a_warp_brings_the_right_pixel_to_the_right_place(
    tmp_path: Path, tile: str, box: Any, how: Any
) -> None:
    grid = Tile.parse(tile).grid(915)
    path = write_degrees(tmp_path / "dem.tif", box, 0.02)
    layer = held(path, Static("dem", "float32", warp=how, allow_warp=True), grid)
    worst = float(np.abs(layer.values - truth(grid)).max())
    assert worst < (5.0 if how == "nearest" else 0.6)
    assert (layer.row, layer.column) == (0, 0)


def test_a_warp_rounds_and_knows_what_is_missing(tmp_path: Path) -> None:
    grid = Tile.parse("31TCH").grid(915)
    path = write_degrees(
        tmp_path / "tcd.tif", (-1.0, 42.0, 3.0, 45.0), 0.02, hole=(slice(105, 115), slice(100, 120))
    )
    layer = held(path, Static("tcd", "int16", False, warp="nearest", allow_warp=True), grid)
    assert layer.nodata == -32768
    missing = layer.values == -32768
    assert 0 < missing.sum() < missing.size / 4
    assert np.abs(layer.values - truth(grid))[~missing].max() < 5.5


def test_values_out_of_their_range_do_not_enter_a_warp(tmp_path: Path) -> None:
    stored = np.full((ROWS, COLUMNS), 40, np.uint8)
    stored[10:14, 10:14] = 254
    path = write_raster(tmp_path / "tcd.tif", stored)
    half = Grid(GRID.crs, GRID.left + 200, GRID.top - 200, (10.0, 10.0), (10, 10))
    static = Static("tcd", "uint8", False, warp="bilinear", allow_warp=True, valid=(0.0, 100.0))
    layer = held(path, static, half)
    assert layer.nodata == 255
    assert set(layer.values.ravel().tolist()) == {40, 255}


@pytest.mark.parametrize(
    ("box", "hole", "words"),
    [
        ((0.8, 42.0, 3.0, 45.0), (slice(0), slice(0)), "does not cover the whole tile"),
        ((10.0, 42.0, 13.0, 45.0), (slice(0), slice(0)), "does not cover the whole tile"),
        ((-1.0, 42.0, 3.0, 45.0), (slice(210, 230), slice(200, 240)), "has no value for .* of 14400 pixels"),
    ],
)
def test_a_layer_that_misses_part_of_the_tile_is_refused(
    tmp_path: Path, box: Any, hole: Any, words: str
) -> None:
    path = write_degrees(tmp_path / "dem.tif", box, hole=hole)
    static = Static("dem", "int16", warp="bilinear", allow_warp=True)
    with pytest.raises(BadInput, match=rf"dem\.tif: static layer 'dem' {words}"):
        open_static(static, path, Tile.parse("31TCH").grid(915), "SNOW-GRID-01")


def test_a_damaged_layer_is_named(tmp_path: Path) -> None:
    path = write_degrees(tmp_path / "dem.tif", (-1.0, 42.0, 3.0, 45.0))
    path.write_bytes(path.read_bytes()[:-100_000])
    static = Static("dem", "int16", warp="bilinear", allow_warp=True)
    with pytest.raises(BadInput, match=r"dem\.tif: .*cannot be decoded"):
        open_static(static, path, Tile.parse("31TCH").grid(915), "SNOW-GRID-01")


def test_a_grid_without_a_way_to_the_tile_is_named(tmp_path: Path) -> None:
    local = 'LOCAL_CS["mine",UNIT["metre",1]]'
    path = write_raster(tmp_path / "dem.tif", HEIGHTS, crs=local)
    opened = open_raster(Raster(path))
    with pytest.raises(BadInput, match=r"dem\.tif: cannot be brought to EPSG:32631"):
        warp(Static("dem", "int16", warp="bilinear"), opened, GRID)


# --- polygons


LAKE = shapely.Polygon(
    [(300_104, 4_799_903), (300_333, 4_799_871), (300_302, 4_799_604), (300_093, 4_799_657)],
    holes=[[(300_183, 4_799_803), (300_237, 4_799_804), (300_236, 4_799_743), (300_184, 4_799_742)]],
)


def write_polygons(path: Path, shapes: list[Any], crs: str | None = "EPSG:32631") -> Path:
    kinds = {"Polygon": "Polygon", "LineString": "LineString"}
    pyogrio.raw.write(
        path,
        geometry=np.array([shapely.to_wkb(shape) for shape in shapes], object),
        field_data=[np.arange(len(shapes), dtype=np.int32)],
        fields=np.array(["id"]),
        geometry_type=kinds.get(shapes[0].geom_type, "Unknown") if shapes else "Polygon",
        crs=crs,
    )
    return path


def centres_inside(shape: Any, grid: Grid = GRID) -> np.ndarray:
    x = grid.left + (np.arange(grid.shape[1]) + 0.5) * grid.pixel[0]
    y = grid.top - (np.arange(grid.shape[0]) + 0.5) * grid.pixel[1]
    inside: np.ndarray = shapely.contains_xy(shape, *np.meshgrid(x, y))
    return inside


def in_degrees(shape: Any) -> Any:
    transformer = Transformer.from_crs("EPSG:32631", "EPSG:4326", always_xy=True)
    return shapely.transform(shape, transformer.transform, interleaved=False)


@pytest.mark.parametrize(
    ("suffix", "degrees"),
    [(".gpkg", False), (".gpkg", True), (".shp", False), (".shp", True), (".geojson", True)],
)
def test_pixels_are_burnt_whose_centre_lies_in_a_polygon(tmp_path: Path, suffix: str, degrees: bool) -> None:
    shape, crs = (in_degrees(LAKE), "EPSG:4326") if degrees else (LAKE, "EPSG:32631")
    burnt = burn_polygons(write_polygons(tmp_path / f"water{suffix}", [shape], crs), GRID, 3)
    np.testing.assert_array_equal(burnt, 3 * centres_inside(LAKE))
    assert burnt.dtype == np.uint8


def test_a_layer_of_polygons_is_held_whole(tmp_path: Path) -> None:
    path = write_polygons(tmp_path / "water.gpkg", [LAKE])
    np.testing.assert_array_equal(held(path, Static("water", burn=2)).values, 2 * centres_inside(LAKE))


def test_a_polygon_round_the_world_covers_the_tile(tmp_path: Path) -> None:
    world = write_polygons(tmp_path / "ocean.gpkg", [shapely.box(-180, -90, 180, 90)], "EPSG:4326")
    for tile in ("31TCH", "01KAB", "60CWS"):
        assert burn_polygons(world, Tile.parse(tile).grid(915), 1).all()


@pytest.mark.parametrize("shapes", [[], [shapely.box(0, 0, 1, 1)], [shapely.Polygon()]])
def test_no_polygon_on_the_tile_burns_nothing(tmp_path: Path, shapes: list[Any]) -> None:
    assert not burn_polygons(write_polygons(tmp_path / "water.gpkg", shapes), GRID, 1).any()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "polygons cannot be read"),
        (b"SQLite format 3\0junk", "polygons cannot be read"),
        (
            [shapely.LineString([(300_100, 4_799_900), (300_200, 4_799_800)])],
            "holds a LineString; only polygons",
        ),
    ],
)
def test_a_file_without_polygons_is_named(tmp_path: Path, content: Any, words: str) -> None:
    path = tmp_path / "water.gpkg"
    path.write_bytes(content) if isinstance(content, bytes) else write_polygons(path, content)
    with pytest.raises(BadInput, match=rf"water\.gpkg: {words}"):
        burn_polygons(path, GRID, 1)


def test_polygons_of_nowhere_are_refused(tmp_path: Path) -> None:
    write_polygons(tmp_path / "water.shp", [LAKE])
    (tmp_path / "water.prj").unlink()
    with pytest.raises(BadInput, match=r"water\.shp: has no coordinate reference system"):
        burn_polygons(tmp_path / "water.shp", GRID, 1)
    with pytest.raises(MissingInput, match=r"none\.gpkg: no such file"):
        burn_polygons(tmp_path / "none.gpkg", GRID, 1)
