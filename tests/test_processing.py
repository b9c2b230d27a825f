"""Units from end to end: products, identity, what is left behind, and what a worker weighs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

import thalweg
from tests.winter import Winter, rasters
from thalweg.catalogue import NAME, Catalogue
from thalweg.ending import Ending, exit_code
from thalweg.errors import BadParameters, MissingInput, UsageError

FORBIDDEN = {
    "xarray",
    "dask",
    "pandas",
    "sklearn",
    "pydantic",
    "typer",
    "rich",
    "snakemake",
    "pystac",
    "matplotlib",
}
MODULES = 860
"""Without scipy, which numba loads by itself where the extra of the trainers is installed."""


def run(winter: Winter, to: Path, **options: object) -> Ending:
    (ending,) = thalweg.run(winter.granule, "snow", to=to, static=winter.static, **options)
    return ending


def product_of(ending: Ending) -> Path:
    assert ending.product is not None, f"{ending.error}\n{ending.trace}"
    return ending.product


@pytest.fixture(scope="module")
def product(winter: Winter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return product_of(run(winter, tmp_path_factory.mktemp("products")))


def test_product_has_its_place_and_name(product: Path) -> None:
    unit = json.loads((product / f"{product.name}.json").read_text())["properties"]["thalweg:unit_id"]
    assert product.parts[-5:-1] == ("snow-1.0", "31TCH", "2025", "01")
    assert product.name.endswith(f"_{unit[:8]}")


def test_rasters_are_valid_cogs_with_colours_and_class_names(product: Path) -> None:
    for path in product.glob("*.tif"):
        valid, errors, warnings = cog_validate(path, strict=True)
        assert valid, (path.name, errors, warnings)
    with rasterio.open(next(product.glob("SNOW_SEB_*.tif"))) as seb:
        assert seb.colormap(1)[100] == (120, 200, 255, 255)
        assert seb.tags()["CLASS_205"] == "cloud"
        assert seb.nodata == 255


def test_item_lists_every_file_with_its_checksum(product: Path) -> None:
    import hashlib

    item = json.loads((product / f"{product.name}.json").read_text())
    files = {path.name for path in product.iterdir()} - {f"{product.name}.json"}
    assert {asset["href"].removeprefix("./") for asset in item["assets"].values()} == files
    for asset in item["assets"].values():
        content = (product / asset["href"]).read_bytes()
        assert asset["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest()


def test_run_document_holds_what_makes_the_product_again(product: Path, winter: Winter) -> None:
    told = json.loads((product / "snow_run.json").read_text())
    assert told["parameters"]["ndsi_pass1"] == 0.4
    assert set(told["statics"]) == {"dem", "tcd", "water"}
    assert set(told["inputs"]) >= {"green", "red", "swir16", "blue", "nir08"}
    assert all(file["checksum"].startswith("crc32:") for file in told["inputs"].values())


def test_second_run_finds_the_product_done(winter: Winter, product: Path) -> None:
    destination = product.parents[4]
    before = {path: path.stat().st_mtime_ns for path in product.rglob("*")}
    ending = run(winter, destination)
    assert ending.existed
    assert ending.state == "done"
    assert {path: path.stat().st_mtime_ns for path in product.rglob("*")} == before


def test_equal_inputs_give_equal_rasters_anywhere(winter: Winter, product: Path, tmp_path: Path) -> None:
    elsewhere = winter.copy(tmp_path / "moved")
    assert rasters(product_of(run(elsewhere, tmp_path / "to"))) == rasters(product)


def test_zip_gives_the_same_product_as_its_folder(winter: Winter, product: Path, tmp_path: Path) -> None:
    archive = tmp_path / f"{winter.granule.name}.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in winter.granule.rglob("*"):
            packed.write(path, Path(winter.granule.name) / path.relative_to(winter.granule))
    (ending,) = thalweg.run(archive, "snow", to=tmp_path / "to", static=winter.static)
    made = product_of(ending)
    assert made.name == product.name
    assert rasters(made) == rasters(product)


def test_another_parameter_profile_or_layer_is_another_unit(
    winter: Winter, product: Path, tmp_path: Path
) -> None:
    units = {
        ending.unit
        for ending in (
            run(winter, tmp_path, dz=50),
            run(winter, tmp_path, profile="lis-1.11"),
            run(winter, tmp_path, without=["tcd"]),
            run(winter, tmp_path, bbox=(0.56, 43.30, 0.60, 43.33)),
        )
    }
    assert len(units) == 4
    assert product.name[-8:] not in {unit[:8] for unit in units}


def test_box_gives_the_part_that_it_names(winter: Winter, tmp_path: Path) -> None:
    from rasterio.warp import transform_bounds

    made = product_of(run(winter, tmp_path, bbox=(0.55, 43.31, 0.57, 43.32)))
    with rasterio.open(next(made.glob("SNOW_SEB_*.tif"))) as part:
        west, south, east, north = transform_bounds(part.crs, "EPSG:4326", *part.bounds)
        assert part.shape < (180, 180)
        assert (part.transform.c - 300_000) % 20 == 0
    assert west <= 0.55 + 1e-3
    assert east >= 0.57 - 1e-3
    assert south <= 43.31 + 1e-3
    assert north >= 43.32 - 1e-3


def test_codec_changes_files_but_no_pixel(winter: Winter, product: Path, tmp_path: Path) -> None:
    made = product_of(run(winter, tmp_path, codec="deflate"))
    for path in made.glob("*.tif"):
        with rasterio.open(path) as deflated, rasterio.open(product / path.name) as zstd:
            assert deflated.compression.name == "deflate"
            np.testing.assert_array_equal(deflated.read(1), zstd.read(1))


def test_lis_profile_writes_its_own_files(winter: Winter, tmp_path: Path) -> None:
    made = product_of(run(winter, tmp_path, profile="lis-1.11"))
    stem = "LIS_S2-SNOW-FSC"
    assert len(list(made.glob(f"{stem}_T31TCH_20250122T1030*.tif"))) == 1
    assert len(list(made.glob(f"{stem}-QCFLAGS_T31TCH_20250122T1030*.tif"))) == 1
    assert (made / "LIS_METADATA.XML").read_text().startswith("<Source_Product>\n  <PRODUCT_ID>SENTINEL2A_")


def test_polygons_on_request(winter: Winter, tmp_path: Path) -> None:
    from pyogrio import read_info

    made = product_of(run(winter, tmp_path, write_vectors=True))
    info = read_info(next(made.glob("*.gpkg")))
    assert info["fields"].tolist() == ["SEB"]
    assert info["features"] > 0


def test_failing_unit_does_not_harm_the_others_and_is_told_to_the_catalogue(
    winter: Winter, tmp_path: Path
) -> None:
    broken = winter.copy(tmp_path / "broken")
    next(broken.granule.glob("*_FRE_B3.tif")).write_bytes(b"")
    endings = thalweg.run([broken.granule, winter.granule], "snow", to=tmp_path / "to", static=winter.static)
    assert [ending.state for ending in endings] == ["failed", "done"]
    assert exit_code(endings) == 10
    with Catalogue.open(tmp_path / "to" / NAME, read_only=True) as catalogue:
        assert [item["id"] for item in catalogue.search(tile="31TCH")] == [product_of(endings[1]).name]


def test_what_was_missing_is_found_once_it_is_made_good(winter: Winter, tmp_path: Path) -> None:
    damaged = winter.copy(tmp_path / "damaged")
    band = next(damaged.granule.glob("*_FRE_B11.tif"))
    content = band.read_bytes()
    band.write_bytes(content[: len(content) // 2])
    assert run(damaged, tmp_path / "to").state == "failed"
    with Catalogue.open(tmp_path / "to" / NAME, read_only=True) as catalogue:
        (missing,) = catalogue.endings(tile="31TCH")
        assert missing.kind == "bad-input"
        assert band.name in missing.message
    band.write_bytes(content)
    assert run(damaged, tmp_path / "to").state == "done"
    with Catalogue.open(tmp_path / "to" / NAME, read_only=True) as catalogue:
        assert catalogue.endings(tile="31TCH") == []
        assert catalogue.count(tile="31TCH") == 1


def test_nothing_starts_with_wrong_parameters(winter: Winter, tmp_path: Path) -> None:
    with pytest.raises(BadParameters, match=r"unknown key 'ndsi_pas1'. Did you mean 'ndsi_pass1'"):
        run(winter, tmp_path / "to", ndsi_pas1=0.4)
    with pytest.raises(BadParameters, match=r"snow.dz = 51: must be even"):
        run(winter, tmp_path / "to", dz=51)
    with pytest.raises(BadParameters, match=r"zs_mode.*'default' only"):
        run(winter, tmp_path / "to", profile="lis-1.11", zs_mode="grid")
    with pytest.raises(UsageError, match="no chain was asked for"):
        thalweg.run(winter.granule, [], to=tmp_path / "to", static=winter.static)
    with pytest.raises(MissingInput, match="no such folder of static layers"):
        thalweg.run(winter.granule, "snow", to=tmp_path / "to", static=tmp_path / "nowhere")
    assert not (tmp_path / "to").exists()


def test_worker_is_light_after_its_first_unit(winter: Winter, tmp_path: Path) -> None:
    """What a job runs: units, without the catalogue, which jobs never write."""
    code = (
        "import sys, thalweg\n"
        "from pathlib import Path\n"
        "thalweg.run\n"
        "from thalweg.order import Order, assign\n"
        "from thalweg.processing import process_granule\n"
        "from thalweg.settings import read_settings\n"
        "from thalweg.static import StaticLayers\n"
        f"order = Order(Path({str(tmp_path)!r}), StaticLayers(Path({str(winter.static)!r})), read_settings())\n"
        f"(ending,) = process_granule(Path({str(winter.granule)!r}), assign(['snow'], None, {{}}), order)\n"
        "assert ending.state == 'done', ending\n"
        "roots = [name.partition('.')[0] for name in sys.modules]\n"
        "print(sum(root != 'scipy' for root in roots), *set(roots))"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, *names = process.stdout.split()
    assert int(count) <= MODULES
    assert not FORBIDDEN & set(names)


def test_public_face_is_light(tmp_path: Path) -> None:
    code = "import sys, thalweg; print(*{name.partition('.')[0] for name in sys.modules})"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numba", "rasterio", "yaml", "rich"} & set(process.stdout.split())


def test_scratch_holds_nothing_after_a_zip(
    winter: Winter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("THALWEG_SCRATCH", str(scratch))
    archive = shutil.make_archive(
        str(tmp_path / winter.granule.name), "zip", winter.granule.parent, winter.granule.name
    )
    (ending,) = thalweg.run(archive, "snow", to=tmp_path / "to", static=winter.static)
    assert ending.state == "done", ending.error
    assert list(scratch.iterdir()) == []


def test_product_of_a_synthetic_scene_credits_no_satellite(product: Path) -> None:
    item = (product / f"{product.name}.json").read_text()
    assert "Synthetic scene: contains no satellite data" in item
    assert "Copernicus Sentinel" not in item


def test_locked_catalogue_loses_no_ending(winter: Winter, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"no database, and nothing that may be overwritten" * 100)
    endings = thalweg.run(winter.granule, "snow", to=tmp_path, static=winter.static)
    assert [(ending.chain, ending.state) for ending in endings] == [("snow", "done"), ("catalogue", "failed")]
    assert "catalogue rebuild" in endings[1].error.what_to_do if endings[1].error else False
