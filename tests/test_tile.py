"""The tile by rule: all 56,686 rows of the published grid agree, and unknown ids name their neighbours."""

from __future__ import annotations

import hashlib
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import BadParameters
from thalweg.tile import SIZE, Tile, easting_northing, is_known, lonlat, tile_ids
from thalweg.tiling import all_cells


@pytest.fixture(scope="module")
def published(shared: Path) -> dict[str, Any]:
    """Columns of the published tile grid."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="the published grid is a Parquet file")
    table = parquet.read_table(shared / "data" / "s2-tile-grid" / "s2_tiles.parquet")
    return {name: table.column(name).to_numpy() for name in table.column_names}


def test_shipped_list_is_the_published_one() -> None:
    ids = list(tile_ids())
    assert len(ids) == 56_686
    assert ids == sorted(set(ids))
    digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()
    assert digest == "0cb82f6317f7f7a3c88c6efa2b53647404f5a6878f795bfeb0653251753eb808"


def test_every_published_tile_follows_the_rule(published: dict[str, Any]) -> None:
    assert list(tile_ids()) == published["tile"].tolist()
    tiles = [Tile(id) for id in published["tile"]]
    npt.assert_array_equal([tile.epsg for tile in tiles], published["epsg"])
    npt.assert_array_equal(
        [tile.corner for tile in tiles], np.stack([published["ulx"], published["uly"]], axis=1)
    )


def test_columns_of_all_tiles_equal_single_tiles(published: dict[str, Any]) -> None:
    cells = all_cells()
    south = published["epsg"] >= 32700
    npt.assert_array_equal(cells.left, published["ulx"])
    npt.assert_array_equal(cells.top, published["uly"] - 10_000_000 * south)
    npt.assert_array_equal(cells.zone, published["epsg"] % 100)


def test_bounds_in_degrees_equal_the_published_ones(published: dict[str, Any]) -> None:
    names = ("lon_west", "lat_south", "lon_east", "lat_north")
    for at in range(0, len(published["tile"]), 53):
        expected = [published[name][at] for name in names]
        # The published bounds are those of the four corners; sides bulge outwards by up to 0.0005 degrees.
        npt.assert_allclose(Tile(published["tile"][at]).lonlat_bounds, expected, atol=6e-4)


def test_genuine_products_agree(shared: Path) -> None:
    products = list((shared / "data" / "product-metadata").glob("*.SAFE/GRANULE/*/MTD_TL.xml"))
    assert len(products) >= 3
    for path in products:
        tile = Tile.parse(path.parent.name.split("_")[1])
        text = path.read_text()
        assert f"<HORIZONTAL_CS_CODE>EPSG:{tile.epsg}<" in text
        left, top = tile.corner
        assert text.count(f"<ULX>{left}<") == text.count(f"<ULY>{top}<") == 3


def test_corners_known_by_heart() -> None:
    assert (Tile("31TCJ").epsg, Tile("31TCJ").corner) == (32631, (300_000, 4_900_020))
    assert (Tile("31TDJ").epsg, Tile("31TDJ").corner) == (32631, (399_960, 4_900_020))
    assert (Tile("56HLH").epsg, Tile("56HLH").corner) == (32756, (300_000, 6_300_040))


@pytest.mark.parametrize("text", ["31TCJ", "T31TCJ", "31tcj", " T31TCJ "])
def test_parse_reads_the_usual_spellings(text: str) -> None:
    assert Tile.parse(text) == Tile("31TCJ")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("31TJC", "31TCJ"),
        ("1CCV", "01CCV"),
        ("31TCI", "31TCJ"),
        ("31TCJJ", "31TCJ"),
        ("31TXX", "31TBE"),
        ("", "31TCJ"),
    ],
)
def test_unknown_tile_names_its_neighbours(text: str, named: str) -> None:
    with pytest.raises(BadParameters, match=named) as caught:
        Tile.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["61TCJ", "00TCJ", "31ICJ", "31TCO", "31TSJ", "31TCJ\n", "T31TCJ"])
def test_impossible_letters_are_refused(text: str) -> None:
    with pytest.raises(BadParameters):
        Tile(text)


IDS = list(tile_ids())


@given(st.text(alphabet="0123456789ABCDEFGHJTUVWXYZ :", max_size=6))
def test_any_text_is_a_known_tile_or_an_error(text: str) -> None:
    if is_known(text):
        assert Tile.parse(text).id == text
    else:
        assert text not in IDS


def test_grid_has_the_tile_bounds() -> None:
    for resolution in (10, 20, 60):
        grid = Tile("31TCJ").grid(resolution)
        assert grid.shape == (SIZE // resolution, SIZE // resolution)
        assert grid.bounds == Tile("31TCJ").bounds
        assert grid.crs == "EPSG:32631"


@pytest.mark.parametrize("resolution", [0, -10, 7, 1000])
def test_grid_refuses_pixels_that_do_not_fit(resolution: int) -> None:
    with pytest.raises(BadParameters, match="31TCJ"):
        Tile("31TCJ").grid(resolution)


@given(st.sampled_from(IDS))
def test_footprint_is_a_counter_clockwise_ring_around_the_middle(id: str) -> None:
    ring = Tile(id).footprint(segments=3)
    assert len(ring) == 13
    assert ring[0] == ring[-1]
    area = sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise(ring)) / 2
    middle = math.radians(sum(lat for _, lat in ring[:-1]) / 12)
    kilometres = area * 111.2**2 * math.cos(middle)
    assert kilometres == pytest.approx(109.8**2, rel=0.02)


@given(st.integers(1, 60), st.floats(100_000, 900_000), st.floats(-9_000_000, 9_000_000))
def test_degrees_and_metres_are_inverse(zone: int, easting: float, northing: float) -> None:
    zones = np.array([zone])
    lon, lat = lonlat(zones, np.array([easting]), np.array([northing]))
    x, y = easting_northing(zones, lon, lat)
    npt.assert_allclose([x[0], y[0]], [easting, northing], atol=1e-3)


def test_one_transformer_serves_zones_and_hemispheres() -> None:
    from pyproj import Transformer

    for id in ("01CCV", "22DFJ", "31TCJ", "60XWR", "56HLH"):
        tile = Tile(id)
        direct = Transformer.from_crs(f"EPSG:{tile.epsg}", "EPSG:4326", always_xy=True)
        left, bottom, _, _ = tile.bounds
        expected = direct.transform(left, bottom)
        lon, lat = tile.footprint()[0]
        npt.assert_allclose([(lon + 180) % 360, lat], [(expected[0] + 180) % 360, expected[1]], atol=1e-9)
