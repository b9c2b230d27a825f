"""Lakes: which pixels belong to one, what is said of them, and series of many products."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import thalweg
from tests.granules import CORNER
from thalweg.chains import quality_layers
from thalweg.cog import write_cog
from thalweg.errors import BadInput, BadParameters, MissingInput, UsageError
from thalweg.grid import Grid
from thalweg.lakes.series import climatology, series_of, with_anomalies
from thalweg.lakes.shapes import Lake, cut, read_lakes
from thalweg.lakes.statistics import Row, Sample, Source, row_of
from thalweg.lakes.table import read_table, write_table
from thalweg.layer import Layer
from thalweg.stac import layer_fields

LEFT, TOP = CORNER
GRID = Grid("EPSG:32631", LEFT, TOP, (20.0, 20.0), (30, 40))
WHEN = datetime(2023, 8, 15, 10, 40, 31, tzinfo=UTC)
SOURCE = Source("P", WHEN, 8, "20230815T155959")


def polygon(*points: tuple[float, float], name: str = "A", holes: Any = ()) -> Lake:
    rings = [np.array([*ring, ring[0]], np.float64) for ring in (points, *holes)]
    return Lake(name, "EPSG:32631", tuple(rings))


def box(left: float, bottom: float, right: float, top: float, name: str = "A") -> Lake:
    return polygon((left, top), (right, top), (right, bottom), (left, bottom), name=name)


def covered(lake: Lake, grid: Grid = GRID, window: int = 3) -> np.ndarray:
    """The whole grid, True where a pixel belongs to the lake."""
    found = cut(lake, grid, window)
    whole = np.zeros(grid.shape, np.bool_)
    rows, columns = found.inside.shape
    whole[found.row : found.row + rows, found.column : found.column + columns] = found.inside
    return whole


def naive(lake: Lake, grid: Grid = GRID) -> np.ndarray:
    """The rule of the specification, edge by edge and pixel by pixel."""
    whole = np.zeros(grid.shape, np.bool_)
    for i in range(grid.shape[0]):
        for j in range(grid.shape[1]):
            x, y = grid.left + (j + 0.5) * grid.pixel[0], grid.top - (i + 0.5) * grid.pixel[1]
            count = 0
            for ring in lake.rings:
                for (xa, ya), (xb, yb) in pairwise(ring):
                    (y1, x1), (y2, x2) = sorted([(ya, xa), (yb, xb)])
                    if y1 <= y < y2 and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
                        count += 1
            whole[i, j] = count % 2 == 1
    return whole


# Vertices on corners, centres and anywhere: a centre on an edge is what the rule is about.
NUMBERS = st.integers(-4, 84).map(lambda step: step * 10.0) | st.floats(-50, 900)
POINTS = st.tuples(NUMBERS, NUMBERS).map(lambda at: (LEFT + at[0], TOP - at[1]))


@given(st.lists(st.lists(POINTS, min_size=3, max_size=7), min_size=1, max_size=3))
def test_pixels_are_those_of_the_half_open_even_odd_rule(rings: list[list[tuple[float, float]]]) -> None:
    lake = polygon(*rings[0], holes=rings[1:])
    np.testing.assert_array_equal(covered(lake), naive(lake))


@given(st.tuples(POINTS, POINTS, POINTS, POINTS))
def test_polygons_that_share_an_edge_share_no_centre_and_lose_none(corners: Any) -> None:
    a, b, c, d = corners
    np.testing.assert_array_equal(
        covered(polygon(a, b, c)) ^ covered(polygon(a, c, d)), covered(polygon(a, b, c, d))
    )


@given(st.lists(NUMBERS, min_size=1, max_size=4), st.lists(NUMBERS, min_size=1, max_size=4))
def test_rectangles_that_tile_an_area_count_every_centre_once(across: list[float], down: list[float]) -> None:
    xs = [LEFT + x for x in sorted({-60.0, *across, 960.0})]
    ys = [TOP - y for y in sorted({-60.0, *down, 960.0})]
    tiles = [
        box(left, low, right, high)
        for left, right in pairwise(xs)
        for high, low in pairwise(ys)
        if high > low
    ]
    assert (sum(covered(tile).astype(int) for tile in tiles) == 1).all()


def test_a_rectangle_has_its_lower_and_left_edges() -> None:
    left, top = LEFT + 10, TOP - 10
    pixels = covered(box(left, top - 100, left + 60, top))
    assert np.argwhere(pixels).min(axis=0).tolist() == [1, 0]
    assert np.argwhere(pixels).max(axis=0).tolist() == [5, 2]


def test_a_hole_is_not_of_the_lake() -> None:
    outer = [(LEFT, TOP), (LEFT + 200, TOP), (LEFT + 200, TOP - 200), (LEFT, TOP - 200)]
    inner = [(x + 0.25 * (LEFT + 100 - x) * 2, y + 0.5 * (TOP - 100 - y)) for x, y in outer]
    assert covered(polygon(*outer, holes=[inner])).sum() == 100 - 25


def test_a_lake_beside_the_raster_has_no_pixels() -> None:
    assert cut(box(LEFT - 500, TOP, LEFT - 100, TOP + 100), GRID).inside.size == 0
    assert cut(Lake("P", "EPSG:32631", point=(LEFT - 1, TOP - 1)), GRID).inside.size == 0


@pytest.mark.parametrize(("at", "window", "count"), [((50, 50), 3, 9), ((1, 1), 3, 4), ((50, 50), 1, 1)])
def test_a_point_has_a_window(at: tuple[float, float], window: int, count: int) -> None:
    lake = Lake("P", "EPSG:32631", point=(LEFT + at[0], TOP - at[1]))
    pixels = covered(lake, window=window)
    assert pixels.sum() == count
    assert pixels[int(at[1] // 20), int(at[0] // 20)]


def test_an_even_window_is_refused() -> None:
    with pytest.raises(BadParameters, match="odd"):
        cut(Lake("P", "EPSG:32631", point=(LEFT + 50, TOP - 50)), GRID, 4)


# --- files of polygons


def feature(name: Any, geometry: dict[str, Any] | None = None, key: str = "id") -> dict[str, Any]:
    square = {"type": "Polygon", "coordinates": [[[3, 43], [3.1, 43], [3.1, 43.1], [3, 43.1], [3, 43]]]}
    return {"type": "Feature", "properties": {key: name}, "geometry": geometry or square}


def write_features(path: Path, *features: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_polygons_in_degrees_are_brought_to_the_grid(tmp_path: Path) -> None:
    from pyproj import Transformer

    to_degrees = Transformer.from_crs("EPSG:32631", "EPSG:4326", always_xy=True)
    corners = [
        (LEFT + 105, TOP - 105),
        (LEFT + 305, TOP - 105),
        (LEFT + 305, TOP - 405),
        (LEFT + 105, TOP - 405),
    ]
    ring = [list(to_degrees.transform(*corner)) for corner in (*corners, corners[0])]
    (lake,) = read_lakes(
        write_features(tmp_path / "lakes.geojson", feature(7, {"type": "Polygon", "coordinates": [ring]}))
    )
    assert lake.id == "7"
    np.testing.assert_array_equal(covered(lake), covered(polygon(*corners)))


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ([feature("a"), feature("a")], "two features have the id 'a'"),
        ([feature("a", key="name")], "no field 'id'; they have: name"),
        ([feature("a"), feature(None)], "a feature has no id"),
        ([feature("a", {"type": "LineString", "coordinates": [[3, 43], [4, 44]]})], "'a' is a LineString"),
    ],
)
def test_features_that_are_no_lakes_are_refused(tmp_path: Path, features: Any, words: str) -> None:
    with pytest.raises(BadInput, match=f"lakes.geojson: .*{words}"):
        read_lakes(write_features(tmp_path / "lakes.geojson", *features))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"lakes\.gpkg: no such file"):
        read_lakes(tmp_path / "lakes.gpkg")
    (tmp_path / "lakes.gpkg").write_text("nothing")
    with pytest.raises(BadInput, match=r"lakes\.gpkg: polygons cannot be read"):
        read_lakes(tmp_path / "lakes.gpkg")


# --- rows


def sample(count: int, **where: Any) -> Sample:
    none = np.zeros(count, np.bool_)
    return Sample(**{"masked": none, "clouded": none, "excluded": none, **where})


@given(st.lists(st.floats(0, 1e6) | st.just(float("nan")), max_size=40))
def test_statistics_are_those_of_numpy(values: list[float]) -> None:
    pixels = np.array(values, np.float64)
    row = row_of("A", SOURCE, "chla", sample(len(values)), pixels, pixels / 2)
    known = pixels[np.isfinite(pixels)]
    assert (row.n_pixels, row.n_valid) == (len(values), len(known))
    if len(known) < 10:
        assert row.median is row.mean is row.median_unc is None
        return
    ordered = np.sort(known)
    for name, share in (("p10", 0.1), ("p25", 0.25), ("median", 0.5), ("p75", 0.75), ("p90", 0.9)):
        place = (len(ordered) - 1) * share
        low, high = ordered[int(place)], ordered[min(int(place) + 1, len(ordered) - 1)]
        assert getattr(row, name) == pytest.approx(
            low + (high - low) * (place - int(place)), rel=1e-12, abs=1e-12
        )
    assert row.std == pytest.approx(np.sqrt(np.mean((known - known.mean()) ** 2)), rel=1e-9, abs=1e-9)
    assert row.median_unc == pytest.approx(np.median(known) / 2)


def test_excluded_and_clouded_pixels_are_counted() -> None:
    excluded, clouded = np.arange(20) < 4, np.arange(20) < 5
    row = row_of("A", SOURCE, "spm", sample(20, excluded=excluded, clouded=clouded), np.arange(20.0))
    assert (row.n_valid, row.valid_fraction, row.cloud_fraction, row.min) == (16, 0.8, 0.25, 4.0)


@pytest.mark.parametrize(
    ("codes", "mode"), [([0] * 11, None), ([3] * 6 + [2] * 6, 2), ([0] * 9 + [5], 5), ([4] * 9, None)]
)
def test_the_mode_is_the_most_frequent_code_but_0(codes: list[int], mode: int | None) -> None:
    row = row_of("A", SOURCE, "owt", sample(len(codes)), np.array(codes, np.float64))
    assert row.mode == mode
    assert row.histogram is not None
    assert sum(row.histogram.values()) == row.n_valid == len(codes)
    assert row.median is None


def test_a_lake_without_pixels_has_a_row() -> None:
    row = row_of("A", SOURCE, "chla", sample(0), np.empty(0))
    assert (row.n_pixels, row.n_valid, row.valid_fraction, row.cloud_fraction) == (0, 0, None, None)


# --- series


def row(day: int, valid: int = 20, product: str = "P", **more: Any) -> Row:
    facts = {"relative_orbit": 8, "processing": "1", "n_valid": valid, "median": 1.0, **more}
    return Row("A", datetime(2023, 8, day, 10, tzinfo=UTC), f"{product}{day}", "chla", **facts)


@pytest.mark.parametrize(
    "loser",
    [
        row(3, valid=19, product="Z", processing="2"),
        row(3, product="Z", processing="0"),
        row(3, product="O"),
    ],
)
def test_of_one_pass_the_better_product_stays(loser: Row) -> None:
    kept = series_of([loser, row(3), row(1)])
    assert [each.product_id for each in kept] == ["P1", "P3"]
    everything = series_of([row(3), loser, row(1)], keep_duplicates=True)
    assert [(each.product_id, each.duplicate) for each in everything if each.duplicate] == [
        (loser.product_id, True)
    ]


def test_an_unknown_orbit_is_no_other_orbit() -> None:
    other = row(3, product="Q", relative_orbit=None)
    assert len(series_of([row(3), other])) == 2
    assert len(series_of([other, replace(other, product_id="R")])) == 1


def test_a_climatology_wants_five_medians() -> None:
    rows = [row(day, median=float(day)) for day in range(1, 6)]
    assert climatology(rows[:4])[0].median is None
    (month,) = climatology(rows)
    assert (month.n, month.median, month.sigma) == (5, 3.0, pytest.approx(1.4826))
    assert [each.qi for each in with_anomalies(rows, [month])] == pytest.approx(
        [(day - 3) / 1.4826 for day in range(1, 6)]
    )
    assert with_anomalies([replace(rows[0], median=None)], [month])[0].qi is None
    period = (datetime(2023, 8, 2, tzinfo=UTC), datetime(2023, 8, 5, 10, tzinfo=UTC))
    assert climatology(rows, period)[0].n == 3


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    rows = [row(1), replace(row(2), histogram={0: 3, 7: 1}, median=None, relative_orbit=None, mode=7)]
    write_table(tmp_path / "table.parquet", rows)
    assert read_table(tmp_path / "table.parquet") == rows
    write_table(tmp_path / "table.csv", rows)
    header, first, _ = (tmp_path / "table.csv").read_text().splitlines()
    assert header.split(",") == [field.name for field in fields(Row)]
    assert first.startswith("A,2023-08-01T10:00:00Z,P1,chla,8,1,0,0,20,")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv", "table.parquet"]


def test_another_table_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "table.parquet").write_text("mine")
    with pytest.raises(BadInput, match=r"table\.parquet: cannot be read as Parquet"):
        read_table(tmp_path / "table.parquet")


# --- conformance


def same(found: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, float) and found is not None:
        return bool(found == pytest.approx(expected, rel=tolerance))
    return bool(found == expected)


def test_the_public_series_is_reproduced(shared: Path) -> None:
    case = json.loads((shared / "conformance" / "quality" / "series_case.json").read_text())
    given_rows = [
        Row(**{**each, "datetime": datetime.fromisoformat(each["datetime"])}) for each in case["rows"]
    ]

    def check(found: list[Any], expected: list[dict[str, Any]]) -> None:
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            facts = asdict(one)
            if "datetime" in facts:
                facts["datetime"] = f"{facts['datetime']:%Y-%m-%dT%H:%M:%SZ}"
            assert all(same(facts[name], value, 1e-9) for name, value in other.items()), (facts, other)

    kept = series_of(given_rows)
    check(kept, case["expected"])
    check(series_of(given_rows, keep_duplicates=True), case["expected_with_duplicates"])
    months = climatology(kept)
    check(months, case["climatology"])
    anomalies = [each.qi for each in with_anomalies(kept, months)]
    assert all(same(one, other, 1e-9) for one, other in zip(anomalies, case["qi"], strict=True))


FLAGS = Layer("quality_flags", "uint32", "flags", bits=quality_layers.FLAGS)
MASKED, EXCLUDED = 0b1101111 & ~(1 << 4), 1 << 4 | 1 << 7 | 1 << 9 | 1 << 10


def test_the_public_polygons_are_reproduced(shared: Path) -> None:
    home = shared / "conformance" / "quality" / "expected"
    expected = json.loads((home / "polygon_statistics.json").read_text())["rows"]
    # The corner and size of the frozen scene, as its README and polygons say them.
    scene = Grid("EPSG:32631", *_corner(shared), (20.0, 20.0), (120, 120))
    with np.load(home / "l2b_expected.npz") as layers:
        flags = layers["quality_flags"]
        found = [
            asdict(_row(lake, each, layers, flags, scene))
            for lake in read_lakes(home / "polygons.geojson")
            for each in dict.fromkeys(one["variable"] for one in expected)
        ]
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        other.pop("histogram", None) and one.pop("histogram")
        assert all(same(one[name], value, 1e-6) for name, value in other.items()), (one, other)


def _corner(shared: Path) -> tuple[float, float]:
    import rasterio

    (path,) = (shared / "conformance" / "quality" / "l2a").glob("*/*5959.nc")
    with rasterio.open(f'NETCDF:"{path}":BRDFg') as image:
        return (image.transform.c, image.transform.f)


def _row(lake: Lake, variable: str, layers: Any, flags: np.ndarray, scene: Grid) -> Row:
    place = cut(lake, scene)
    rows, columns = place.inside.shape
    window = (slice(place.row, place.row + rows), slice(place.column, place.column + columns))

    def pixels(name: str) -> np.ndarray:
        values = layers[name][window][place.inside].astype(np.float64)
        nodata = {"owt": 255, "fui": 0}.get(name)
        return np.where(values == nodata, np.nan, values)

    bits = flags[window][place.inside]
    of_lake = Sample(bits & MASKED != 0, bits & 0b10100 != 0, bits & EXCLUDED != 0)
    unc = pixels(f"{variable}_unc") if f"{variable}_unc" in layers else None
    return row_of(lake.id, SOURCE, variable, of_lake, pixels(variable), unc)


# --- products


CHLA = Layer("chla", "uint16", "chlorophyll", "lg(mg m-3)", 65535, 0.001, -3.0, "log10")
UNC = Layer("chla_unc", "uint16", "its uncertainty", "1", 65535, 0.0001)
OWT = Layer("owt", "uint8", "water type", nodata=255)


def write_product(home: Path, name: str, when: datetime, level: float = 1.0) -> Path:
    """A product as the quality chain leaves it: chlorophyll `level` on the left, ten times as much on the right."""
    folder = home / "quality-1.0" / "31TCH" / f"{when:%Y}" / f"{when:%m}" / name
    folder.mkdir(parents=True)
    chla = np.full(GRID.shape, round((np.log10(level) + 3) * 1000), np.uint16)
    chla[:, 20:] += 1000
    flags = np.zeros(GRID.shape, np.uint32)
    flags[:3], chla[:3] = 4, 65535
    unc, owt = np.full(GRID.shape, 3000, np.uint16), np.full(GRID.shape, 4, np.uint8)
    assets = {}
    for layer, rows in ((CHLA, chla), (UNC, unc), (OWT, owt), (FLAGS, flags)):
        write_cog(folder / f"{layer.name}.tif", rows, layer, GRID)
        assets[layer.name] = {"href": f"./{layer.name}.tif", **layer_fields(layer)}
    recipe = {"granule": {"id": f"S2A_{when:%Y%m%dT%H%M%S}_N0509_{when:%Y%m%dT235959}", "orbit": 51}}
    properties = {
        "thalweg:unit_id": "0" * 64,
        "datetime": f"{when:%Y-%m-%dT%H:%M:%S}Z",
        "processing:expression": {"expression": recipe},
    }
    item = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": name,
        "properties": properties,
        "assets": assets,
    }
    (folder / f"{name}.json").write_text(json.dumps(item))
    return folder


@pytest.fixture
def lakes(tmp_path: Path) -> Path:
    corners = (LEFT, LEFT + 400, LEFT + 800)
    features = []
    for name, left, right in (
        ("west", *corners[:2]),
        ("east", *corners[1:]),
        ("far", LEFT + 9000, LEFT + 9100),
    ):
        ring = [[left, TOP], [right, TOP], [right, TOP - 600], [left, TOP - 600], [left, TOP]]
        features.append(feature(name, {"type": "Polygon", "coordinates": [ring]}))
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32631"}}
    path = tmp_path / "lakes.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
    return path


def test_products_become_a_table_and_pictures(lakes: Path, tmp_path: Path) -> None:
    for day in range(1, 8):
        write_product(tmp_path / "out", f"Q{day}", datetime(2023, 8, day, 10, 40, tzinfo=UTC), float(day))
    table = tmp_path / "table.parquet"
    rows = thalweg.measure_lakes([tmp_path / "out"], lakes, table, plot=tmp_path / "plots")
    assert read_table(table) == rows
    assert len(rows) == 7 * 3 * 2
    west = [each for each in rows if (each.polygon_id, each.variable) == ("west", "chla")]
    assert [each.median for each in west] == pytest.approx(range(1, 8), rel=2e-3)
    assert {(each.n_pixels, each.n_masked, each.n_valid, each.cloud_fraction) for each in west} == {
        (600, 60, 540, 0.1)
    }
    assert {each.median_unc for each in west} == {0.3}
    assert {each.mode for each in rows if each.variable == "owt" and each.polygon_id != "far"} == {4}
    assert {each.n_pixels for each in rows if each.polygon_id == "far"} == {0}
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["east_chla.png", "west_chla.png"]


def test_adding_the_same_products_again_changes_no_byte(lakes: Path, tmp_path: Path) -> None:
    made = [write_product(tmp_path, f"Q{day}", datetime(2023, 8, day, 10, tzinfo=UTC)) for day in (1, 2)]
    table = tmp_path / "table.parquet"
    thalweg.measure_lakes(made[:1], lakes, table)
    thalweg.measure_lakes(made[1:], lakes, table)
    in_two = table.read_bytes()
    thalweg.measure_lakes(made, lakes, table)
    assert table.read_bytes() == in_two
    table.unlink()
    thalweg.measure_lakes(made[::-1], lakes, table)
    assert table.read_bytes() == in_two


def test_what_is_no_quality_product_is_refused(lakes: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no product"):
        thalweg.measure_lakes([tmp_path], lakes)
    product = write_product(tmp_path, "Q", WHEN)
    with pytest.raises(BadParameters, match="no layer 'spm'; it has: chla, owt"):
        thalweg.measure_lakes([product], lakes, variables=["spm"])
    with pytest.raises(BadParameters, match="no flag 'HAZE'"):
        thalweg.measure_lakes([product], lakes, exclude_bits=["HAZE"])
    item = json.loads((product / "Q.json").read_text())
    del item["assets"]["quality_flags"]
    (product / "Q.json").write_text(json.dumps(item))
    with pytest.raises(BadInput, match="no layer 'quality_flags'"):
        thalweg.measure_lakes([product], lakes)


def test_the_command_says_what_is_in_the_table(lakes: Path, tmp_path: Path) -> None:
    product = write_product(tmp_path, "Q", WHEN)
    words = [
        "lakes",
        str(product),
        "--polygons",
        str(lakes),
        "--to",
        str(tmp_path / "t.csv"),
        "--variable",
        "chla",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "thalweg.cli.main", *words, "--exclude", "CIRRUS,ADJACENCY", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [(each["polygon_id"], each["n_valid"]) for each in json.loads(done.stdout)] == [
        ("east", 540),
        ("far", 0),
        ("west", 540),
    ]
    assert (tmp_path / "t.csv").read_text().count("\n") == 4
