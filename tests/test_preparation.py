"""Preparing static layers: on the tile's grid, once, with a digest that plans can trust."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.granules import write_raster
from tests.test_static import truth, write_degrees
from thalweg.errors import BadInput, BadParameters
from thalweg.opened import open_raster
from thalweg.preparation import declared_roles, prepare
from thalweg.raster import Raster
from thalweg.static import digest_of, sidecar_of
from thalweg.tile import Tile

EUROPE = (-1.0, 42.0, 3.0, 45.0)


def test_a_layer_comes_to_the_grid_of_the_tile_with_its_margin_and_digest(tmp_path: Path) -> None:
    source = write_degrees(tmp_path / "europe.tif", EUROPE)
    prepared = prepare({"dem": source}, "T31TCH", tmp_path / "static", 915, margin=4)
    path = tmp_path / "static" / "31TCH" / "dem.tif"
    assert prepared["dem"].path == path
    opened = open_raster(Raster(path))
    assert opened.grid == Tile.parse("31TCH").grid(915).window(-4, -4, (128, 128))
    assert opened.dtype == "int16"
    assert np.abs(opened.read(0, 0, (128, 128)) - truth(opened.grid)).max() < 1.0
    assert prepared["dem"].digest == digest_of(path)
    subprocess.run(["sha256sum", "--check", "--quiet", sidecar_of(path).name], cwd=path.parent, check=True)


def test_what_is_there_already_gets_its_digest(tmp_path: Path) -> None:
    grid = Tile.parse("31TCH").grid(915)
    path = write_raster(tmp_path / "31TCH" / "tcd.tif", np.zeros(grid.shape, np.uint8), 915)
    (first,) = prepare({}, "31TCH", tmp_path).values()
    assert sidecar_of(path).read_text() == f"{first.digest}  tcd.tif\n"
    assert prepare({}, "31TCH", tmp_path)["tcd"] == first
    write_raster(path, np.ones(grid.shape, np.uint8), 915)
    assert prepare({}, "31TCH", tmp_path)["tcd"].digest != first.digest


def test_a_layer_with_holes_is_prepared_where_the_chain_can_do_without(tmp_path: Path) -> None:
    hole = (slice(210, 230), slice(200, 240))
    source = write_degrees(tmp_path / "europe.tif", EUROPE, hole=hole)
    prepare({"tcd": source}, "31TCH", tmp_path / "static", 915)
    with rasterio.open(tmp_path / "static" / "31TCH" / "tcd.tif") as raster:
        assert raster.nodata == 255
    with pytest.raises(BadInput, match=r"europe\.tif: static layer 'dem' has no value"):
        prepare({"dem": source}, "31TCH", tmp_path / "static", 915)


def test_a_layer_that_does_not_cover_the_tile_leaves_nothing(tmp_path: Path) -> None:
    source = write_degrees(tmp_path / "corner.tif", (1.0, 43.0, 2.0, 44.0))
    with pytest.raises(BadInput, match=r"corner\.tif: static layer 'tcd' does not cover"):
        prepare({"tcd": source}, "31TCH", tmp_path / "static", 915)
    assert list((tmp_path / "static" / "31TCH").iterdir()) == []


def test_unknown_roles_and_tiles_are_refused(tmp_path: Path) -> None:
    source = write_degrees(tmp_path / "europe.tif", EUROPE)
    with pytest.raises(BadParameters, match="'den': Did you mean 'dem'"):
        prepare({"den": source}, "31TCH", tmp_path / "static")
    with pytest.raises(BadParameters, match="unknown tile '31TCI'"):
        prepare({"dem": source}, "31TCI", tmp_path / "static")
    assert not (tmp_path / "static").exists()


def test_roles_are_those_that_chains_declare() -> None:
    assert {"dem", "tcd", "water"} <= set(declared_roles())
