"""Scenery: which files a chain reads of a granule, on which grid, and what happens where they disagree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyproj import Transformer

from tests.granules import CORNER, make_granule, write_raster
from tests.running import run_chain
from thalweg import Band, Chain, Codes, Layer, Mask, Static, chain
from thalweg.errors import BadInput, MissingInput, UsageError
from thalweg.granule import Granule
from thalweg.grid import Bounds
from thalweg.masks import CLM, SCL, MaskFile
from thalweg.masks import Codes as CodesThatMean
from thalweg.raster import Raster
from thalweg.scenery import Scenery, open_scenery
from thalweg.static import StaticLayers

ROWS, COLUMNS = 30, 24
RANDOM = np.random.default_rng(19)
FINE = RANDOM.integers(0, 9000, (2 * ROWS, 2 * COLUMNS)).astype(np.int16)
COARSE = RANDOM.integers(0, 9000, (ROWS, COLUMNS)).astype(np.int16)
DEM = RANDOM.integers(0, 3000, (ROWS, COLUMNS)).astype(np.int16)
RED, SWIR = Band("red", encoding="counts"), Band("swir16", encoding="counts")


def declare(*inputs: Any, name: str = "out", **options: Any) -> Chain:
    """A chain that gives back one of its inputs."""

    def function(scene: Any) -> Any:
        """Gives back what it gets."""
        return {"out": scene[name]}

    return chain("lab.x", version="1", inputs=inputs, outputs=[Layer("out", "int32", nodata=-1)], **options)(
        function
    )


@pytest.fixture(scope="module")
def granule(tmp_path_factory: pytest.TempPathFactory) -> Granule:
    return make_granule(tmp_path_factory.mktemp("granule"), {"red": (FINE, 10.0), "swir16": (COARSE, 20.0)})


def opened(
    what: Chain, granule: Granule, layers: StaticLayers | None = None, box: Bounds | None = None
) -> Scenery:
    """What a chain reads; closed at once."""
    with open_scenery(what, granule, {}, layers or StaticLayers(), box) as scenery:
        return scenery


# --- the working grid


@pytest.mark.parametrize(
    ("inputs", "grid", "pixel"),
    [
        ((RED, SWIR), "coarsest", 20.0),
        ((RED,), "coarsest", 10.0),
        ((replace(RED, resolution=20), SWIR), "finest", 20.0),
        ((replace(RED, resolution=20),), "finest", 20.0),
        ((replace(RED, resolution=60),), "coarsest", 60.0),
        ((replace(RED, resolution=5),), "coarsest", 10.0),
        ((RED, SWIR), 20, 20.0),
        ((RED,), 10, 10.0),
        ((RED, Band("coastal", required=False)), "coarsest", 10.0),
    ],
)
def test_the_grid_is_that_of_a_band_that_is_read(
    granule: Granule, inputs: Any, grid: Any, pixel: float
) -> None:
    assert opened(declare(*inputs, grid=grid), granule).part.whole.pixel == (pixel, pixel)


def test_a_band_coarser_than_the_grid_is_refused(granule: Granule) -> None:
    with pytest.raises(BadInput, match=r"swir16\.tif .*red\.tif.*not a whole fraction of 10"):
        opened(declare(RED, SWIR, grid="finest"), granule)


@pytest.mark.parametrize(
    ("name", "values", "pixel", "number"),
    [("green", COARSE[:-1], 20.0, "01"), ("red", FINE[:-1], 10.0, "02")],
)
def test_a_band_of_another_size_is_refused(
    tmp_path: Path, name: str, values: np.ndarray, pixel: float, number: str
) -> None:
    bands = {"swir16": (COARSE, 20.0), "green": (COARSE, 20.0), "red": (FINE, 10.0)}
    made = make_granule(tmp_path, {**bands, name: (values, pixel)})
    with pytest.raises(
        BadInput, match=rf"LAB\.X-GRID-{number}: .*{name}\.tif .*the number of pixels does not fit"
    ):
        opened(declare(SWIR, Band("green"), RED), made)


def test_a_granule_with_none_of_the_bands_is_named(granule: Granule) -> None:
    optional = [Band("green", required=False), Band("blue", required=False)]
    with pytest.raises(MissingInput, match=rf"{granule.path}: .*'green or blue'.*it holds: red, swir16"):
        opened(declare(*optional), granule)


def test_degrees_are_not_taken_for_metres(tmp_path: Path) -> None:
    place = {"crs": "EPSG:4258", "corner": (6.0, 46.0)}
    path = write_raster(tmp_path / "red.tif", FINE, 0.0001, **place)
    lake = make_granule(tmp_path, {"red": (FINE, 10.0)}, on_mgrs=False, tile="geneva")
    write_raster(path, FINE, 0.0001, **place)
    assert opened(declare(replace(RED, resolution=20)), lake).part.whole.shape == FINE.shape


# --- the tile


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"crs": "EPSG:32632"}, r"red\.tif: is in EPSG:32632, its tile 31TCH in EPSG:32631"),
        ({"crs": "EPSG:4326", "pixel": 0.001, "corner": (0.5, 43.3)}, "is in EPSG:4326"),
        ({"corner": (300_005.0, 4_800_000.0)}, "not aligned to the pixels of tile 31TCH"),
        ({"corner": (299_900.0, 4_800_000.0)}, "beyond the footprint of tile 31TCH"),
        ({"corner": (409_700.0, 4_800_000.0)}, "beyond the footprint of tile 31TCH"),
        ({"pixel": 13.0}, None),
        ({"pixel": 120.0}, None),
        ({"corner": (300_600.0, 4_799_000.0)}, None),
    ],
)
def test_a_granule_lies_in_its_tile(tmp_path: Path, change: dict[str, Any], words: str | None) -> None:
    granule = make_granule(tmp_path, {"red": (COARSE, 20.0)})
    write_raster(tmp_path / "red.tif", COARSE, change.pop("pixel", 20.0), **change)
    if words is None:
        assert opened(declare(RED), granule).part.whole.shape == COARSE.shape
    else:
        with pytest.raises(BadInput, match=words):
            opened(declare(RED), granule)


def test_a_product_of_an_unknown_tile_is_bad_input(granule: Granule) -> None:
    with pytest.raises(BadInput, match=rf"{granule.path}: unknown tile '31TCI'.*31TCJ"):
        opened(declare(RED), replace(granule, tile="31TCI"))


def test_a_site_is_wherever_it_is(granule: Granule) -> None:
    site = replace(granule, tile="lake", on_mgrs=False)
    assert opened(declare(RED), site).part.whole.shape == FINE.shape


# --- a part of the tile


def degrees(first: tuple[int, int], last: tuple[int, int], inset: float = 3.0) -> Bounds:
    """A box in degrees inside these pixels of 20 m (row, column), first to last."""
    transform = Transformer.from_crs("EPSG:32631", "EPSG:4326", always_xy=True).transform
    left, top = CORNER[0] + 20 * first[1] + inset, CORNER[1] - 20 * first[0] - inset
    right, bottom = CORNER[0] + 20 * (last[1] + 1) - inset, CORNER[1] - 20 * (last[0] + 1) + inset
    points = [transform(x, y) for x in (left, right) for y in (bottom, top)]
    lon, lat = zip(*points, strict=True)
    return (min(lon), min(lat), max(lon), max(lat))


@pytest.mark.parametrize(("first", "last"), [((4, 3), (20, 15)), ((0, 0), (5, 5)), ((25, 20), (29, 23))])
def test_a_part_holds_every_pixel_that_the_box_touches(granule: Granule, first: Any, last: Any) -> None:
    what = declare(RED, SWIR, name="swir16")
    box = degrees(first, last)
    part = opened(what, granule, box=box).part
    rows, columns = part.grid.shape
    assert (part.row, part.column) <= first
    assert part.row + rows > last[0]
    assert part.column + columns > last[1]
    assert rows <= last[0] - first[0] + 3
    assert part.whole.window(part.row, part.column, part.grid.shape) == part.grid
    kept, _ = run_chain(what, granule, box=box)
    np.testing.assert_array_equal(kept["out"], COARSE[part.row :, part.column :][:rows, :columns])


def test_a_box_over_everything_is_the_whole(granule: Granule) -> None:
    kept, _ = run_chain(declare(SWIR, name="swir16"), granule, box=(-10.0, 40.0, 10.0, 50.0))
    np.testing.assert_array_equal(kept["out"], COARSE)


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((10.0, 45.0, 11.0, 46.0), "does not touch the granule"),
        ((100.0, -45.0, 101.0, -44.0), "does not touch the granule"),
        ((0.5, 44.0, 0.6, 43.0), "is not west, south, east, north"),
        ((300000.0, 4799000.0, 300100.0, 4799100.0), "is not west, south, east, north"),
        ((float("nan"), 43.0, 0.6, 44.0), "is not west, south, east, north"),
    ],
)
def test_a_box_elsewhere_is_a_wrong_usage(granule: Granule, box: Bounds, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        opened(declare(RED), granule, box=box)


# --- masks


def masked(folder: Path, granule: Granule, *masks: tuple[np.ndarray, float], **place: Any) -> Granule:
    """The granule with cloud masks, codes and pixel size each."""
    files = []
    for index, (codes, pixel) in enumerate(masks):
        path = write_raster(folder / f"mask{index}.tif", codes, pixel, **place)
        files.append(MaskFile("clm", Raster(path), CLM))
    return replace(granule, masks=tuple(files))


CLOUD = declare(SWIR, Mask("m", ("any_cloud", "cloud_shadow")), name="m")
MASK10, MASK20, MASK60 = (
    RANDOM.choice(np.array([0, 0, 0, 2, 34, 128], np.uint8), (rows, columns))
    for rows, columns in ((2 * ROWS, 2 * COLUMNS), (ROWS, COLUMNS), (ROWS // 3, COLUMNS // 3))
)


def bits(codes: np.ndarray) -> np.ndarray:
    return (codes != 0) | ((codes & 32 > 0) * 2)


def test_a_mask_on_the_grid_goes_before_finer_and_coarser_ones(tmp_path: Path, granule: Granule) -> None:
    all_three = masked(tmp_path, granule, (MASK60, 60.0), (MASK10, 10.0), (MASK20, 20.0))
    np.testing.assert_array_equal(run_chain(CLOUD, all_three)[0]["out"], bits(MASK20))


def test_a_finer_mask_is_joined_by_or_and_goes_before_a_coarser_one(tmp_path: Path, granule: Granule) -> None:
    two = masked(tmp_path, granule, (MASK60, 60.0), (MASK10, 10.0))
    expected = np.bitwise_or.reduce(np.bitwise_or.reduce(bits(MASK10).reshape(ROWS, 2, COLUMNS, 2), 3), 1)
    for rows in (None, 7):
        np.testing.assert_array_equal(run_chain(CLOUD, two, rows=rows)[0]["out"], expected)


def test_a_coarser_mask_is_enlarged(tmp_path: Path, granule: Granule) -> None:
    one = masked(tmp_path, granule, (MASK60, 60.0))
    expected = np.kron(bits(MASK60), np.ones((3, 3), np.int32))
    np.testing.assert_array_equal(run_chain(CLOUD, one)[0]["out"], expected)
    box = degrees((4, 4), (19, 13))
    part = opened(CLOUD, one, box=box).part
    rows, columns = part.grid.shape
    found = run_chain(CLOUD, one, box=box)[0]["out"]
    np.testing.assert_array_equal(found, expected[part.row :, part.column :][:rows, :columns])


def test_masks_of_several_kinds_are_joined(tmp_path: Path, granule: Granule) -> None:
    mine = MaskFile(
        "mask-1",
        Raster(write_raster(tmp_path / "mine.tif", MASK20)),
        {"any_cloud": CodesThatMean(bits=(128,))},
    )
    both = replace(
        masked(tmp_path, granule, (MASK60, 60.0)),
        masks=(mine, *masked(tmp_path, granule, (MASK60, 60.0)).masks),
    )
    expected = np.kron(bits(MASK60), np.ones((3, 3), np.int32)) | (MASK20 >= 128)
    np.testing.assert_array_equal(run_chain(CLOUD, both)[0]["out"], expected)


@pytest.mark.parametrize(
    ("codes", "pixel", "place"),
    [
        (MASK20, 20.0, {"crs": "EPSG:32632"}),
        (MASK20, 20.0, {"corner": (300_020.0, 4_800_000.0)}),
        (MASK20[:-1], 20.0, {}),
        (MASK60[:-1], 60.0, {}),
        (MASK10[:-1], 10.0, {}),
        (MASK20, 25.0, {}),
    ],
)
def test_a_mask_that_disagrees_is_refused_naming_both_files(
    tmp_path: Path, granule: Granule, codes: np.ndarray, pixel: float, place: dict[str, Any]
) -> None:
    with pytest.raises(BadInput, match=r"LAB\.X-GRID-01: .*mask0\.tif .*swir16\.tif .*does not fit"):
        opened(CLOUD, masked(tmp_path, granule, (codes, pixel), **place))


@pytest.mark.parametrize(("dtype", "high"), [("uint8", 255), ("int8", -1), ("uint16", 65535), ("int16", -1)])
def test_codes_may_be_of_any_small_integer(tmp_path: Path, granule: Granule, dtype: str, high: int) -> None:
    codes = np.where(MASK20 == 34, np.int64(high), MASK20 % 128).astype(dtype)
    assert (codes == high).any()
    found = run_chain(CLOUD, masked(tmp_path, granule, (codes, 20.0)))[0]["out"]
    np.testing.assert_array_equal(found, np.where(MASK20 == 34, 3, (MASK20 % 128 != 0)))


def test_a_mask_of_fractions_is_refused(tmp_path: Path, granule: Granule) -> None:
    with pytest.raises(BadInput, match=r"mask0\.tif: a mask of type float32"):
        opened(CLOUD, masked(tmp_path, granule, (MASK20.astype(np.float32), 20.0)))


def test_a_meaning_that_no_mask_knows_is_missing_where_it_is_required(
    tmp_path: Path, granule: Granule
) -> None:
    one = masked(tmp_path, granule, (MASK20, 20.0))
    with pytest.raises(MissingInput, match="'snow'"):
        opened(declare(SWIR, Mask("m", ("snow",))), one)
    assert opened(declare(SWIR, Mask("m", ("snow",), required=False)), one).available == {"swir16"}


def test_codes_are_the_products_own(tmp_path: Path, granule: Granule) -> None:
    what = declare(SWIR, Codes("c", "marked"), name="c")
    scl = MaskFile("scl", Raster(write_raster(tmp_path / "scl.tif", MASK60, 60.0)), SCL)
    both = masked(tmp_path, granule, (MASK20, 20.0))
    np.testing.assert_array_equal(run_chain(what, replace(both, masks=(*both.masks, scl)))[0]["out"], MASK20)
    first = run_chain(what, replace(both, masks=(scl, *both.masks)))[0]["out"]
    np.testing.assert_array_equal(first, np.kron(MASK60, np.ones((3, 3), np.int32)))
    with pytest.raises(BadInput, match=r"mask0\.tif .*codes cannot be joined"):
        opened(what, masked(tmp_path, granule, (MASK10, 10.0)))
    with pytest.raises(MissingInput, match="'marked'"):
        opened(what, granule)
    assert "c" not in opened(declare(SWIR, Codes("c", "marked", required=False)), granule).available


@pytest.mark.parametrize("halo", [1, 3])
def test_a_halo_of_a_mask_is_clear_beyond_the_tile(tmp_path: Path, granule: Granule, halo: int) -> None:
    @chain(
        "lab.near",
        version="1",
        inputs=[SWIR, Mask("m", ("any_cloud",))],
        outputs=[Layer("out", "uint8")],
        halo=halo,
    )
    def near(scene: Any) -> Any:
        """Cloud within the halo."""
        rows, columns = scene.shape
        span = range(2 * halo + 1)
        return {
            "out": np.bitwise_or.reduce([scene.m[i : i + rows, j : j + columns] for i in span for j in span])
        }

    cloudy = masked(tmp_path, granule, (MASK20, 20.0))
    around = np.pad((MASK20 != 0).astype(np.uint8), halo)
    windows = np.lib.stride_tricks.sliding_window_view(around, (2 * halo + 1, 2 * halo + 1))
    for rows in (None, 4):
        np.testing.assert_array_equal(run_chain(near, cloudy, rows=rows)[0]["out"], windows.max(axis=(2, 3)))


# --- static layers


HEIGHT = declare(SWIR, Static("dem", "int16"), name="dem")
WHOLE_HEIGHT = Static("dem", "int16", whole=True, margin=True)


def test_a_static_layer_of_the_tile_or_of_just_the_box_is_used(tmp_path: Path, granule: Granule) -> None:
    box = degrees((4, 3), (20, 15))
    part = opened(HEIGHT, granule, tile_layer(tmp_path / "tile", DEM), box).part
    rows, columns = part.grid.shape
    expected = DEM[part.row :, part.column :][:rows, :columns]
    corner = (part.grid.left, part.grid.top)
    for folder in (tile_layer(tmp_path / "tile", DEM), tile_layer(tmp_path / "box", expected, corner=corner)):
        np.testing.assert_array_equal(run_chain(HEIGHT, granule, folder, box=box)[0]["out"], expected)


def tile_layer(folder: Path, values: np.ndarray, **place: Any) -> StaticLayers:
    write_raster(folder / "dem.tif", values, **place)
    return StaticLayers(folder)


def test_a_layer_held_whole_knows_where_the_part_begins(tmp_path: Path, granule: Granule) -> None:
    buffered = np.pad(DEM, 5, mode="edge")
    layers = tile_layer(tmp_path, buffered, corner=(CORNER[0] - 100, CORNER[1] + 100))
    for box in (None, degrees((4, 3), (20, 15))):
        scenery = opened(declare(SWIR, WHOLE_HEIGHT), granule, layers, box)
        rows, columns = scenery.part.grid.shape
        expected = DEM[scenery.part.row :, scenery.part.column :][:rows, :columns]
        np.testing.assert_array_equal(scenery.whole["dem"].within(scenery.part.grid), expected)
        kept, _ = run_chain(declare(SWIR, WHOLE_HEIGHT, name="dem"), granule, layers, box=box)
        np.testing.assert_array_equal(kept["out"], expected)


def test_a_layer_of_another_type_becomes_what_the_chain_declares(tmp_path: Path, granule: Granule) -> None:
    layers = tile_layer(tmp_path, DEM.astype(np.float32) + 0.5)
    np.testing.assert_array_equal(run_chain(HEIGHT, granule, layers, rows=7)[0]["out"], DEM + 1)


def test_files_are_closed_whatever_happens(
    tmp_path: Path, granule: Granule, monkeypatch: pytest.MonkeyPatch
) -> None:
    from thalweg import scenery, static

    still_open: list[Any] = []

    def remembered(raster: Raster) -> Any:
        still_open.append(found := real(raster))
        return found

    real = scenery.open_raster
    monkeypatch.setattr(scenery, "open_raster", remembered)
    monkeypatch.setattr(static, "open_raster", remembered)
    layers = tile_layer(tmp_path, DEM)
    cloudy = masked(tmp_path, granule, (MASK20, 20.0))
    good = declare(RED, SWIR, Mask("m", ("any_cloud",)), Static("dem", "int16"))
    bad = declare(RED, SWIR, Mask("m", ("any_cloud",)), Static("dem", "int16"), Static("tcd"))
    opened(good, cloudy, layers)
    opened(good, cloudy, layers, degrees((4, 3), (20, 15)))
    with pytest.raises(MissingInput, match="'tcd'"):
        opened(bad, cloudy, layers)
    assert len(still_open) == 13
    assert all(raster.dataset.closed for raster in still_open)
