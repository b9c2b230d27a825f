from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.readers.products import (
    L2A,
    LANDSAT,
    MUSCATE,
    STACK,
    make_hls,
    make_landsat,
    make_maja,
    make_muscate,
    make_safe,
    make_stac,
    make_stack,
    stac_item,
)
from thalweg.errors import BadInput, MissingInput
from thalweg.readers import FORMS, open_granule


def test_each_format_is_recognised_by_its_name(tmp_path: Path) -> None:
    products = {
        "muscate": make_muscate(tmp_path),
        "maja": make_maja(tmp_path),
        "safe": make_safe(tmp_path),
        "hls": make_hls(tmp_path),
        "landsat": make_landsat(tmp_path),
        "stac": make_stac(tmp_path, stac_item()),
        "stack": make_stack(tmp_path, STACK),
    }
    for format, path in products.items():
        granule = open_granule(path)
        assert (granule.format, granule.path) == (format, path)


def test_parent_folders_do_not_matter(tmp_path: Path) -> None:
    landsat = make_muscate(tmp_path / "S2A" / MUSCATE, LANDSAT, ("FRE_B3.tif",))
    assert open_granule(landsat).platform == "L8"


def test_text_and_trailing_slash(tmp_path: Path) -> None:
    path = make_muscate(tmp_path)
    assert open_granule(f"{path}/").id == open_granule(str(path)).id == MUSCATE


def test_a_link_with_any_name_to_a_product(tmp_path: Path) -> None:
    link = tmp_path / "latest"
    link.symlink_to(make_muscate(tmp_path), target_is_directory=True)
    granule = open_granule(link)
    assert (granule.id, granule.path) == (MUSCATE, link)


def test_a_link_with_the_products_name_to_any_folder(tmp_path: Path) -> None:
    store = make_safe(tmp_path).rename(tmp_path / "0f3a")
    link = tmp_path / L2A
    link.symlink_to(store, target_is_directory=True)
    granule = open_granule(link)
    assert granule.tile == "31TCH"
    assert granule.bands["blue"]["10"].raster.path.exists()


def test_the_working_folder_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(make_muscate(tmp_path))
    assert open_granule(".").id == MUSCATE


@pytest.mark.parametrize("name", ["nothing_here", "loop", "a" * 300, "nul\0inside"])
def test_nothing_there(tmp_path: Path, name: str) -> None:
    if name == "loop":
        os.symlink("loop", tmp_path / "loop")
    with pytest.raises(MissingInput) as error:
        open_granule(tmp_path / name)
    assert error.value.id == "SNOW-IN-01"


@pytest.mark.parametrize("name", ["VENUS-XS_20180201-051359-000_L2A_KHUMBU_C_V1-0", "empty"])
def test_unknown_folders_are_refused_with_what_is_known(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(BadInput) as error:
        open_granule(tmp_path / name)
    assert error.value.id == "SNOW-IN-03"
    assert name in str(error.value)
    assert all(form in str(error.value) for form in FORMS)


@pytest.mark.parametrize("name", [MUSCATE, "scene.tif", "notes.txt"])
def test_files_that_are_no_product(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("no product")
    with pytest.raises(BadInput) as error:
        open_granule(tmp_path / name)
    assert error.value.id == "SNOW-IN-03"


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".TAR"])
def test_an_archive_needs_a_folder_to_be_unpacked_into(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"{MUSCATE}{suffix}").write_bytes(b"PK")
    with pytest.raises(BadInput, match="unpacked") as error:
        open_granule(tmp_path / f"{MUSCATE}{suffix}")
    assert "opened" in error.value.what_to_do


def test_missing_files_are_no_error_at_opening(tmp_path: Path) -> None:
    granule = open_granule(make_muscate(tmp_path, files=(), xml=None))
    assert (granule.bands, granule.masks, granule.sun) == ({}, (), None)
    message = str(granule.missing("swir16", "snow"))
    assert "*_FRE_B11.tif" in message and MUSCATE in message
