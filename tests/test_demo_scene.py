"""The synthetic winter scene: credible in what the snow chain looks at, genuine in layout, and honest about itself."""

from __future__ import annotations

import hashlib
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio

import thalweg.errors
from tests.malform import MALFORMATIONS, Malformation, Specimen, damaged, write_specimen
from thalweg.demo.masks import cloud_mask
from thalweg.demo.muscate import (
    ALL_BANDS,
    NOTE,
    SNOW_BANDS,
    Written,
    product_name,
    write_product,
    write_statics,
)
from thalweg.demo.reflectance import rendered
from thalweg.demo.scene import Place, View, place, season_on, view
from thalweg.demo.series import SEED, TILE, VISITS, write_scene
from thalweg.demo.sky import Weather, sky_over, toward_cloud
from thalweg.demo.sunlight import shadow_depth, sun_over
from thalweg.errors import BadParameters
from thalweg.granule import Sun
from thalweg.readers import open_granule
from thalweg.tile import Tile

SIZE = 510
HALF = 2
"""10 m pixels to a pixel of 20 m."""


@pytest.fixture(scope="module")
def where() -> Place:
    return place(TILE, SIZE, SEED)


@pytest.fixture(scope="module")
def views(where: Place) -> list[View]:
    return [view(where, visit.sensed, visit.weather) for visit in VISITS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, where: Place) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    write_statics(where, folder / "STATIC")
    return folder


@pytest.fixture(scope="module")
def products(folder: Path, views: list[View]) -> list[Written]:
    return [write_product(each, folder) for each in views]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Specimen:
    return write_specimen(tmp_path_factory.mktemp("good"))


def pixels(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        return np.asarray(raster.read(1))


def band(written: Written, name: str) -> np.ndarray:
    """A band on pixels of 20 m, by plain means."""
    values = pixels(written.path / f"{written.path.name}_{name}.tif").astype(np.int32)
    if len(values) == SIZE:
        return values
    return values.reshape(SIZE, HALF, SIZE, HALF).mean(axis=(1, 3))


def mask(written: Written, kind: str, group: str = "R2") -> np.ndarray:
    return pixels(written.path / "MASKS" / f"{written.path.name}_{kind}_{group}.tif")


def cast_shadow(elevation: np.ndarray, sun: Sun, pixel: float) -> np.ndarray:
    """Shadow by walking from every pixel toward the sun, for a sun in the south."""
    slope = math.tan(math.radians(90 - sun.zenith))
    aside = math.tan(math.radians(180 - sun.azimuth))
    padded = np.pad(elevation.astype(float), SIZE, mode="edge")
    steepest = np.zeros(elevation.shape)
    for down in range(1, int(np.ptp(elevation) / pixel / slope) + 1):
        right = round(down * aside)
        ahead = padded[SIZE + down : 2 * SIZE + down, SIZE + right : 2 * SIZE + right]
        steepest = np.maximum(steepest, (ahead - elevation) / (pixel * math.hypot(down, right)))
    return np.asarray(steepest > slope)


def shares(written: Written, folder: Path, sun: Sun) -> tuple[float, float]:
    """Share of the scene under snow, and of shaded snow, by the formulas of the snow chain without its details."""
    green, red, swir = (band(written, name) for name in ("FRE_B3", "FRE_B4", "FRE_B11"))
    bluish = band(written, "SRE_B2") - band(written, "SRE_B8A") > 160
    elevation = pixels(folder / "STATIC" / TILE.id / "dem.tif")
    clear = (
        (mask(written, "CLM") == 0)
        & (pixels(folder / "STATIC" / TILE.id / "water.tif") == 0)
        & (swir != -10000)
    )
    index = (green - swir) / np.where(green + swir == 0, 1, green + swir)
    first = clear & (index > 0.4) & (red > 2000)
    bins = elevation // 100
    white = [bin for bin in range(30) if (here := clear & (bins == bin)).any() and first[here].mean() > 0.1]
    above = elevation >= 100 * (white[0] - 2)
    shaded = clear & above & bluish & cast_shadow(elevation, sun, 20.0)
    snow = first | (clear & above & (index > 0.15) & (red > 400)) | shaded
    return float(snow.mean()), float(shaded.mean())


@pytest.mark.parametrize("number", [0, 1])
def test_winter_scenes_have_snow_and_shaded_snow(
    number: int, products: list[Written], views: list[View], folder: Path
) -> None:
    snow, shaded = shares(products[number], folder, views[number].sun)
    assert snow >= 0.30
    assert shaded >= 0.05


def test_bands_compress_like_real_ones(products: list[Written]) -> None:
    bits = {name: size for written in products for name, size in written.bits.items()}
    assert set(bits) == {"FRE_B3", "FRE_B4", "FRE_B11", "SRE_B2", "SRE_B8A"}
    assert all(9.5 <= size <= 13 for written in products for size in written.bits.values())


def test_shaded_snow_is_dark_and_bluish(products: list[Written], views: list[View]) -> None:
    written, seen = products[1], views[1]
    clear = mask(written, "CLM") == 0
    snow = (seen.snow > 0.95) & (seen.place.tree_cover == 0) & clear
    deep, sunlit = snow & (seen.light.depth > 30), snow & (seen.light.depth == 0)
    blue, nir = band(written, "SRE_B2"), band(written, "SRE_B8A")
    assert np.median(blue[deep]) < 0.4 * np.median(blue[sunlit])
    assert np.median(blue[deep] / np.maximum(nir[deep], 1)) > 1.5 * np.median(blue[sunlit] / nir[sunlit])


def test_slope_correction_takes_the_relief_out(views: list[View]) -> None:
    seen = views[1]
    _, strip = next(iter(rendered(seen, [("FRE", "B11"), ("SRE", "B11"), ("FRE", "B8A"), ("SRE", "B8A")])))
    snow = (
        (seen.snow > 0.95) & (seen.place.tree_cover == 0) & (cloud_mask(seen) == 0) & (seen.light.depth == 0)
    )
    snow &= seen.light.incidence > 0.3
    assert strip["FRE", "B8A"][snow].std() < 0.4 * strip["SRE", "B8A"][snow].std()


def test_dark_clouds_lie_on_snow_and_are_open_to_the_second_pass(views: list[View]) -> None:
    for seen in views:
        codes = cloud_mask(seen)
        dark = seen.taken_for_cloud & seen.sky.valid & (codes & (32 | 64 | 128) == 0)
        assert dark.mean() > 0.005
        assert (codes[dark] & 8 == 8).all()
        assert (seen.sky.cloud[dark] == 0).all()
        assert (seen.snow[dark] > 0.05).all()


def test_lakes_are_flat_and_some_are_large(where: Place, folder: Path) -> None:
    elevation = pixels(folder / "STATIC" / TILE.id / "dem.tif").astype(int)
    for axis in (0, 1):
        along = np.diff(elevation, axis=axis)
        both = np.minimum(*(np.delete(where.lake, edge, axis=axis) for edge in (0, -1)))
        assert both.any()
        assert (along[both] == 0).all()
    hectares = where.lake.sum() * 20 * 20 / 10_000
    assert hectares > 10


def test_forest_ends_at_the_tree_line_and_spares_lakes(where: Place) -> None:
    assert where.tree_cover.max() <= 100
    assert (where.tree_cover[where.elevation > 2300] == 0).all()
    assert (where.tree_cover[where.lake] == 0).all()
    assert (where.tree_cover > 50).mean() > 0.2


def test_snow_lies_lower_on_slopes_that_face_away_from_the_sun(views: list[View]) -> None:
    seen = views[2]
    down, _ = np.gradient(seen.place.elevation, 20.0)
    band_of_heights = np.abs(seen.place.elevation - seen.season.snow_line) < 150
    assert (
        seen.snow[band_of_heights & (down > 0.3)].mean()
        > 2 * seen.snow[band_of_heights & (down < -0.3)].mean()
    )


def test_snow_line_follows_the_season() -> None:
    line = {month: season_on(datetime(2025, month, 15, tzinfo=UTC)).snow_line for month in range(1, 13)}
    assert max(line, key=line.__getitem__) == 8
    assert line[2] < line[12] < line[10]


def test_swath_edge_is_the_same_in_every_band(products: list[Written]) -> None:
    written = products[0]
    outside = mask(written, "EDG") == 1
    assert 0.01 < outside.mean() < 0.1
    assert (mask(written, "CLM")[outside] == 0).all() and (mask(written, "MG2")[outside] == 0).all()
    for kind, name in SNOW_BANDS:
        values = pixels(written.path / f"{written.path.name}_{kind}_{name}.tif")
        factor = len(values) // SIZE
        assert np.array_equal(values == -10000, outside.repeat(factor, 0).repeat(factor, 1))


def test_masks_of_both_groups_agree(products: list[Written]) -> None:
    for kind in ("CLM", "MG2", "EDG"):
        assert np.array_equal(
            mask(products[0], kind, "R1"), mask(products[0], kind).repeat(2, 0).repeat(2, 1)
        )


def test_product_has_the_files_that_its_metadata_lists(products: list[Written]) -> None:
    path = products[0].path
    root = ElementTree.parse(path / f"{path.name}_MTD_ALL.xml").getroot()
    listed = {element.text for element in root.iter() if element.tag in ("IMAGE_FILE", "MASK_FILE")}
    assert listed == {str(file.relative_to(path)) for file in path.rglob("*.tif")}
    assert [len(grid.findall("Values_List/VALUES")) for grid in root.findall(".//Sun_Angles_Grids/*")] == [
        23,
        23,
    ]
    assert root.findtext(".//REFLECTANCE_QUANTIFICATION_VALUE") == "10000"


def test_product_says_that_it_is_synthetic(products: list[Written], folder: Path) -> None:
    path = products[0].path
    assert "SYNTHETIC" in NOTE
    for file in (
        path / f"{path.name}_MTD_ALL.xml",
        path / "README.txt",
        folder / "STATIC" / TILE.id / "README.txt",
    ):
        assert NOTE in file.read_text("utf-8")


def test_names_and_rasters_are_those_of_a_genuine_layout(products: list[Written], shared: Path) -> None:
    (genuine,) = (shared / "conformance" / "snow" / "fsc" / "s2_full" / "input").glob("SENTINEL2A_*")
    ours = products[1].path
    for file in genuine.rglob("*.*"):
        same = ours / str(file.relative_to(genuine)).replace(genuine.name, ours.name)
        assert same.is_file()
        if file.suffix == ".tif":
            with rasterio.open(file) as theirs, rasterio.open(same) as written:
                assert (theirs.dtypes, theirs.crs, theirs.res) == (written.dtypes, written.crs, written.res)
    assert (ours.name[:10], ours.name[29:]) == (genuine.name[:10], genuine.name[29:])


def test_reader_opens_the_product(products: list[Written], views: list[View]) -> None:
    granule = open_granule(products[1].path)
    assert (granule.tile, granule.platform, granule.sensed) == (TILE.id, "S2A", VISITS[1].sensed)
    assert granule.sun is not None and granule.sun.grid is not None
    assert granule.sun.zenith == pytest.approx(views[1].sun.zenith, abs=1e-5)
    assert granule.sun.grid.azimuth.shape == (23, 23)


def test_same_seed_gives_the_same_product(tmp_path: Path) -> None:
    first, second = (write_scene(tmp_path / name, TILE, VISITS[0].sensed, size=60).path for name in "ab")
    files = [file.relative_to(first) for file in first.rglob("*.*")]
    assert len(files) == 15
    assert all((first / file).read_bytes() == (second / file).read_bytes() for file in files)


def test_another_seed_gives_other_mountains(where: Place) -> None:
    other = place(TILE, SIZE, SEED + 1)
    assert abs(np.corrcoef(where.elevation.ravel(), other.elevation.ravel())[0, 1]) < 0.7


def test_bands_do_not_depend_on_which_others_are_written(views: list[View]) -> None:
    few = dict(rendered(views[0], SNOW_BANDS))
    for top, strip in rendered(views[0], ALL_BANDS):
        assert all(np.array_equal(strip[image], values) for image, values in few[top].items())
        assert set(strip) == set(ALL_BANDS)


@pytest.mark.parametrize("size", [0, 18, 100, 5496])
def test_size_out_of_range_is_refused(size: int) -> None:
    with pytest.raises(BadParameters, match=str(size)):
        place(TILE, size)


def test_night_is_refused() -> None:
    with pytest.raises(BadParameters, match="31TCH"):
        sun_over(TILE, datetime(2025, 1, 22, 18, 0, tzinfo=UTC), 1000.0)


def test_sun_stands_where_real_metadata_says(shared: Path) -> None:
    (safe,) = (shared / "data" / "product-metadata").glob("S2A_MSIL1C_20240120*T31TCJ*.SAFE")
    root = ElementTree.parse(next(safe.glob("GRANULE/*/MTD_TL.xml"))).getroot()
    mean = root.find(".//Tile_Angles/Mean_Sun_Angle")
    assert mean is not None
    sun = sun_over(Tile("31TCJ"), datetime(2024, 1, 20, 10, 54, 33, tzinfo=UTC), 109_800.0)
    assert sun.zenith == pytest.approx(float(mean.findtext("ZENITH_ANGLE", "")), abs=1)
    assert sun.azimuth == pytest.approx(float(mean.findtext("AZIMUTH_ANGLE", "")), abs=1)


@pytest.mark.parametrize(("azimuth", "behind"), [(180, (-1, 0)), (0, (1, 0)), (90, (0, -1)), (270, (0, 1))])
def test_shadow_falls_away_from_the_sun(azimuth: int, behind: tuple[int, int]) -> None:
    field = np.zeros((41, 41), np.float32)
    field[20, 20] = 100
    depth = shadow_depth(field, 10.0, Sun(60.0, azimuth))
    reach = int(100 * math.tan(math.radians(60)) / 10)
    expected = {(20 + behind[0] * step, 20 + behind[1] * step) for step in range(1, reach + 1)}
    assert set(zip(*map(list, np.nonzero(depth > 0)), strict=True)) == expected
    nearest = depth[20 + behind[0], 20 + behind[1]]
    assert nearest == pytest.approx(100 - 10 / math.tan(math.radians(60)), rel=1e-5)


def test_shadow_agrees_with_walking_toward_the_sun(where: Place, views: list[View]) -> None:
    walked = cast_shadow(where.elevation, views[1].sun, 20.0)
    assert (walked == (views[1].light.depth > 0)).mean() > 0.93


def test_flat_ground_has_no_shadow() -> None:
    assert not shadow_depth(np.full((30, 30), 500, np.float32), 20.0, Sun(80.0, 137.0)).any()


@pytest.mark.parametrize("azimuth", [155.0, 205.0, 335.0])
def test_clouds_cast_their_shadows_away_from_the_sun(azimuth: float) -> None:
    sun = Sun(65.0, azimuth)
    down, right = toward_cloud(20.0, sun)
    assert (down > 0) == (math.cos(math.radians(azimuth)) < 0)
    assert (right > 0) == (math.sin(math.radians(azimuth)) > 0)
    sky = sky_over((400, 420), 20.0, sun, Weather(cloud=0.3), np.random.default_rng(1))
    rows, columns = np.nonzero(~sky.from_outside)
    assert len(rows) > 0
    assert np.allclose(sky.shadow[rows, columns], 0.85 * sky.cloud[rows + down, columns + right])


def test_clear_sky_has_nothing_in_it() -> None:
    clear = Weather(cloud=0, veil=0, dark=0)
    seen = view(place(TILE, 60), VISITS[1].sensed, clear)
    assert not cloud_mask(seen).any()
    assert seen.sky.valid.all()
    assert product_name(seen) == "SENTINEL2A_20250122-103029-024_L2A_T31TCH_C_V3-1"


def contents(specimen: Specimen) -> dict[str, Any]:
    """Everything that a run would see, by name."""
    if specimen.granule.is_file():
        return {specimen.granule.name: hashlib.sha256(specimen.granule.read_bytes()).hexdigest()}
    seen: dict[str, Any] = {specimen.granule.name: specimen.granule.exists()}
    for folder in (specimen.granule, specimen.statics):
        for path in folder.rglob("*"):
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else path.is_dir()
            seen[str(path.relative_to(folder.parent))] = digest
    return seen


@pytest.mark.parametrize("malformation", MALFORMATIONS, ids=lambda each: each.name)
def test_malformation_damages_the_copy_only(
    malformation: Malformation, good: Specimen, tmp_path: Path
) -> None:
    before = contents(good)
    assert contents(damaged(good, malformation, tmp_path)) != before
    assert contents(good) == before


def test_malformations_are_many_and_end_in_known_errors() -> None:
    assert len({each.name for each in MALFORMATIONS}) == len(MALFORMATIONS) >= 40
    assert all(
        issubclass(getattr(thalweg.errors, each.error), thalweg.errors.ThalwegError) for each in MALFORMATIONS
    )
