"""GRS L2A products in both layouts: roles, exact packing, flags, identity; and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.readers.grs_products import FILL, NAME, make_grs, water_counts
from thalweg.chains.quality_pass import reader_of
from thalweg.errors import BadInput, ThalwegError
from thalweg.feed import packing_of
from thalweg.opened import open_raster, raster_environment
from thalweg.readers import open_granule
from thalweg.readers.grs import WAVELENGTHS

SHAPE = (3, 4)
FLAGS = np.full(SHAPE, 8, np.int32)

pytest.importorskip("netCDF4")


def make(folder: Path, **changes: Any) -> Path:
    return make_grs(folder, water_counts(SHAPE), FLAGS, **changes)


@pytest.mark.parametrize("layout", ["datacube", "beam"])
def test_a_product_is_read_by_its_own_words(tmp_path: Path, layout: str) -> None:
    granule = open_granule(make(tmp_path, layout=layout))
    assert (granule.id, granule.format, granule.level) == (NAME, "grs", "Rrs")
    assert (granule.platform, granule.tile, granule.orbit, granule.baseline) == ("S2B", "31TCJ", 94, "04.00")
    assert granule.sensed == datetime(2022, 7, 3, 10, 56, 19, tzinfo=UTC)
    assert set(granule.bands) == set(WAVELENGTHS.values())
    assert set(granule.fields) == {"sun_zenith", "sun_glint"}


def test_a_folder_is_its_file(tmp_path: Path) -> None:
    make(tmp_path / NAME)
    assert (
        open_granule(tmp_path / NAME).bands.keys()
        == open_granule(tmp_path / NAME / f"{NAME}.nc").bands.keys()
    )


@pytest.mark.parametrize("layout", ["datacube", "beam"])
def test_every_stored_number_decodes_exactly(tmp_path: Path, layout: str) -> None:
    stored = np.arange(-30005, -30005 + 12, dtype=np.int16).reshape(SHAPE)
    stored[0, 0] = FILL
    granule = open_granule(make_grs(tmp_path, {**water_counts(SHAPE), 665: stored}, FLAGS, layout=layout))
    found = np.empty(stored.size)
    with raster_environment():
        opened = open_raster(granule.bands["red"]["native"].raster)
        read = opened.read(0, 0, SHAPE)
        packed = packing_of(opened)
        opened.close()
    reader_of(read, packed, 1.0)(np.arange(stored.size, dtype=np.int32), found)
    exact = (stored.reshape(-1).astype(int) + 30000) / 100000
    np.testing.assert_array_equal(found[1:], exact[1:])
    assert np.isnan(found[0])


def test_the_satellite_is_named_by_the_file_where_the_attribute_is_silent(tmp_path: Path) -> None:
    assert open_granule(make(tmp_path, attributes={"satellite": None})).platform == "S2B"
    assert open_granule(make(tmp_path, attributes={"satellite": "Landsat-9"})).platform == "L9"


def test_the_time_comes_from_the_name_where_the_attribute_is_missing(tmp_path: Path) -> None:
    granule = open_granule(make(tmp_path, attributes={"acquisition_date": None}))
    assert granule.sensed == datetime(2022, 7, 3, 10, 56, 19, tzinfo=UTC)


def test_the_panchromatic_band_is_left_out(tmp_path: Path) -> None:
    rrs = water_counts(SHAPE)
    granule = open_granule(make_grs(tmp_path, {560: rrs[560], 590: rrs[560], 665: rrs[665]}, FLAGS))
    assert {role: files["native"].raster.band for role, files in granule.bands.items()} == {
        "green": 1,
        "red": 3,
    }


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"leave_out": ("flags",)}, "holds no variable 'flags'"),
    ({"leave_out": ("Rrs",)}, "holds neither reflectance of GRS .* its variables are: sza, BRDFg, flags"),
    ({"leave_out": ("Rrs#scale_factor",)}, "the integer variable 'Rrs' has no attribute scale_factor"),
    ({"attributes": {"metadata_profile": "zarr"}}, "metadata_profile.*datacube nor beam"),
    ({"attributes": {"satellite": None}, "name": "scene_T31TCJ"}, "S2A, S2B, S2C, LC08 and LC09"),
    ({"attributes": {"acquisition_date": "yesterday"}}, "acquisition_date.*no date and time"),
    ({"name": "S2B_scene"}, "says which tile"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_cannot_be_read_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = make(tmp_path, **changes)
    with pytest.raises(BadInput, match=message) as caught:
        open_granule(path)
    assert path.name in str(caught.value)


def test_a_file_that_is_no_netcdf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.nc"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(BadInput, match="no readable NetCDF"):
        open_granule(path)


def test_a_zarr_store_is_refused_with_a_way_out(tmp_path: Path) -> None:
    folder = tmp_path / f"{NAME}.zarr"
    folder.mkdir()
    with pytest.raises(ThalwegError, match="Zarr stores are not read; give the NetCDF file"):
        open_granule(folder)


def test_a_folder_without_its_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(BadInput, match=f"holds no {NAME}.nc"):
        open_granule(tmp_path / NAME)
