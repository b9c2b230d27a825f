"""Periods as units, from products on disk to the product of a period, and what goes wrong on the way."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import thalweg
from tests.conftest import ROOT
from thalweg.catalogue import NAME, Catalogue
from thalweg.cli.main import main
from thalweg.cog import write_cog
from thalweg.ending import Ending
from thalweg.errors import BadParameters, UsageError
from thalweg.grid import Grid
from thalweg.item import read_item
from thalweg.layer import Layer
from thalweg.registry import find_chain
from thalweg.synthesis import Synthesis, synthesis

GRID = Grid("EPSG:32631", 300000.0, 4900020.0, (20.0, 20.0), (6, 7))
FSC = Layer("fsc", "uint8", "Fractional snow cover", nodata=255)
SEASON = "2021-01-01/2021-01-31"


def write_lis(
    folder: Path, day: str, value: int | Any = 100, tile: str = "T31TCH", grid: Grid = GRID, kind: str = "S2"
) -> Path:
    """A product named as Let-it-snow names it, of one value everywhere."""
    form = "FSC" if kind == "S2" else "MSK"
    name = f"LIS_{kind}-SNOW-{form}_{tile}_{day}T105910_1.11.0"
    (folder / name).mkdir(parents=True)
    values = np.broadcast_to(np.asarray(value, np.uint8), grid.shape).copy()
    write_cog(folder / name / f"{name}.tif", values, FSC, grid)
    return folder / name


def run(products: Any, to: Path, period: str = SEASON, **parameters: Any) -> list[Ending]:
    return thalweg.run(products, "snow_synthesis", to=to, period=period, **parameters)


def layer(ending: Ending, name: str) -> Any:
    assert ending.product and ending.item, f"{ending.error}\n{ending.trace}"
    with rasterio.open(ending.product / ending.item["assets"][name]["href"]) as raster:
        return raster.read(1)


@pytest.fixture
def season(tmp_path: Path) -> Path:
    folder = tmp_path / "products"
    write_lis(folder, "20210103", 0)
    write_lis(folder, "20210111", 100)
    write_lis(folder, "20210121", 205)
    return folder


def test_a_folder_of_products_gives_one_product(season: Path, tmp_path: Path) -> None:
    (ending,) = run(season, tmp_path / "out")
    assert ending.state == "done", f"{ending.error}\n{ending.trace}"
    # Snow from the middle between the 3rd and the 11th, which is the 7th, to the end of the month.
    assert np.unique(layer(ending, "scd")) == [25]
    assert np.unique(layer(ending, "sod")) == [6]
    assert (np.unique(layer(ending, "nobs")), np.unique(layer(ending, "ccd"))) == ([2], [1])
    expected = tmp_path / "out" / "snow_synthesis-1.0" / "31TCH" / "2021" / "01"
    assert ending.product and ending.product.parent == expected


def test_the_second_run_finds_it_done(season: Path, tmp_path: Path) -> None:
    (first,), (second,) = run(season, tmp_path / "out"), run(list(season.iterdir()), tmp_path / "out")
    assert second.existed and not first.existed
    assert first.unit == second.unit


def test_whatever_decides_the_product_changes_its_unit(season: Path, tmp_path: Path) -> None:
    units = [run(season, tmp_path / "out")[0].unit]
    units.append(run(season, tmp_path / "out", "2021-01-01/2021-01-30")[0].unit)
    units.append(run(season, tmp_path / "out", min_snow_days=3)[0].unit)
    write_lis(season, "20210126", 0)
    units.append(run(season, tmp_path / "out")[0].unit)
    assert len(set(units)) == 4


def test_every_tile_is_a_unit(season: Path, tmp_path: Path) -> None:
    write_lis(season, "20210105", 100, tile="T31TDH")
    endings = run(season, tmp_path / "out")
    assert [(one.tile, one.state) for one in endings] == [("31TCH", "done"), ("31TDH", "done")]


def test_a_failing_tile_does_not_stop_the_others(season: Path, tmp_path: Path) -> None:
    other = Grid("EPSG:32631", 300020.0, 4900020.0, (20.0, 20.0), (6, 7))
    write_lis(season, "20210105", 100, tile="T31TBH")
    write_lis(season, "20210106", 100, tile="T31TBH", grid=other)
    failed, done = run(season, tmp_path / "out")
    assert (failed.tile, failed.state, done.state) == ("31TBH", "failed", "done")
    assert failed.error and failed.error.id == "SYN-05"
    assert "300020" in str(failed.error) and "300000" in str(failed.error)


def test_monthly_makes_a_product_of_every_month_there_is(season: Path, tmp_path: Path) -> None:
    write_lis(season, "20210311", 100)
    endings = run(season, tmp_path / "out", "monthly")
    assert [one.granule for one in endings] == ["31TCH_20210101_20210131", "31TCH_20210301_20210331"]


def test_landsat_on_its_own_grid_makes_a_series_denser(season: Path, tmp_path: Path) -> None:
    # 30 m pixels that end before the right edge of the grid.
    coarse = Grid("EPSG:32631", 300000.0, 4900020.0, (30.0, 30.0), (4, 4))
    write_lis(season, "20210121", 0, grid=coarse, kind="L8")
    (ending,) = run(season, tmp_path / "out")
    nobs = layer(ending, "nobs")
    assert np.unique(nobs[:, :6]) == [3]
    assert np.unique(nobs[:, 6]) == [2]
    assert ending.product and ending.product.name.startswith("SNOWSYN_S2L8_T31TCH_20210101_20210131_")


def test_landsat_in_another_crs_is_refused(season: Path, tmp_path: Path) -> None:
    other = Grid("EPSG:32632", 300000.0, 4900020.0, (30.0, 30.0), (4, 4))
    write_lis(season, "20210121", 0, grid=other, kind="L8")
    (ending,) = run(season, tmp_path / "out")
    assert ending.error and ending.error.id == "SYN-05"


def test_nothing_in_the_period_is_missing_input(season: Path, tmp_path: Path) -> None:
    (ending,) = run(season, tmp_path / "out", "2023-01-01/2023-02-01")
    assert ending.state == "failed" and ending.error
    assert (ending.error.id, ending.error.code) == ("SYN-01", 11)
    assert "outside 2023-01-01/2023-02-01" in str(ending.error)
    assert not list((tmp_path / "out").glob("snow_synthesis*"))


def test_a_product_without_a_raster_is_named(season: Path, tmp_path: Path) -> None:
    broken = season / "LIS_S2-SNOW-FSC_T31TCH_20210107T105910_1.11.0"
    broken.mkdir()
    (broken / "LIS_S2-SNOW-FSC-QCFLAGS_T31TCH_20210107T105910_1.11.0.tif").write_bytes(b"")
    failed, done = run(season, tmp_path / "out")
    assert (failed.granule, failed.state, done.state) == (broken.name, "failed", "done")
    assert failed.error and failed.error.id == "SYN-02"
    assert broken.name in str(failed.error)
    assert len(done.properties["snow:products_used"]) == 3


def test_a_damaged_archive_is_named(season: Path, tmp_path: Path) -> None:
    archive = season / "LIS_S2-SNOW-FSC_T31TCH_20210107T105910_1.11.0.zip"
    archive.write_bytes(b"PK no zip")
    failed, done = run(season, tmp_path / "out")
    assert failed.error and failed.error.id == "SYN-03"
    assert done.state == "done"


def test_a_damaged_product_that_is_named_does_not_stop_the_others(season: Path, tmp_path: Path) -> None:
    failed, done = run([season, tmp_path / "nowhere"], tmp_path / "out")
    assert (failed.granule, done.state) == ("nowhere", "done")
    assert failed.error and failed.error.id == "SYN-01"


def test_a_raster_that_cannot_be_decoded_ends_its_tile_only(season: Path, tmp_path: Path) -> None:
    whole = (
        write_lis(season, "20210105", 100, tile="T31TBH")
        / "LIS_S2-SNOW-FSC_T31TBH_20210105T105910_1.11.0.tif"
    )
    whole.write_bytes(whole.read_bytes()[:200])
    failed, done = run(season, tmp_path / "out")
    assert (failed.tile, failed.state, done.tile, done.state) == ("31TBH", "failed", "31TCH", "done")
    assert failed.error and failed.error.kind == "bad-input"
    assert whole.name in str(failed.error)


def test_products_that_contradict_each_other_end_their_tile_only(season: Path, tmp_path: Path) -> None:
    one = write_lis(season, "20210105", 100, tile="T31TBH")
    other = write_lis(tmp_path / "other", "20210105", 0, tile="T31TBH")
    assert one.name == other.name
    failed, done = run([season, tmp_path / "other"], tmp_path / "out")
    assert (failed.tile, failed.state, done.tile, done.state) == ("31TBH", "failed", "31TCH", "done")
    assert failed.error and failed.error.id == "E_CONFLICT"


def test_archives_and_bare_rasters_are_products_too(season: Path, tmp_path: Path) -> None:
    (expected,) = run(season, tmp_path / "folders")
    first, second, third = sorted(season.iterdir())
    shutil.make_archive(str(first), "zip", first.parent, first.name)
    shutil.rmtree(first)
    shutil.make_archive(str(second), "zip", second)
    shutil.rmtree(second)
    bare = shutil.move(third / f"{third.name}.tif", season)
    third.rmdir()
    assert Path(bare).exists()
    (ending,) = run(season, tmp_path / "archives")
    assert ending.unit == expected.unit


@pytest.mark.parametrize(
    ("period", "words"),
    [("2021-02-01/2021-01-01", "ends before"), ("../2021", "beginning"), ("summer", "no date")],
)
def test_a_period_that_is_none_is_refused(period: str, words: str, season: Path, tmp_path: Path) -> None:
    (ending,) = run(season, tmp_path / "out", period)
    assert isinstance(ending.error, UsageError)
    assert words in str(ending.error)


def test_a_synthesis_needs_a_period_and_a_chain_takes_none(season: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="period"):
        thalweg.run(season, "snow_synthesis", to=tmp_path)
    with pytest.raises(UsageError, match="box"):
        thalweg.run(season, "snow_synthesis", to=tmp_path, period="2021", bbox=(1, 43, 2, 44))
    with pytest.raises(UsageError, match="granules"):
        thalweg.run(season, "snow", to=tmp_path, period="2021")


def test_water_has_calendar_periods_only(tmp_path: Path, season: Path) -> None:
    declared = find_chain("water_synthesis")
    assert isinstance(declared, Synthesis)
    (ending,) = thalweg.run(season, "water_synthesis", to=tmp_path / "out", period="2021-01-02/2021-01-05")
    # Snow products are none of the water chain's.
    assert ending.error and ending.error.id == "SYN-01"


@pytest.mark.parametrize(
    "dates", [["20210102", "20210101"], ["20210101", "20210101"], ["20210201"], ["2021-01-01"], []]
)
def test_output_dates_are_checked(dates: list[str], season: Path, tmp_path: Path) -> None:
    (ending,) = run(season, tmp_path / "out", output_dates=dates)
    assert isinstance(ending.error, BadParameters)
    assert ending.error.id == "SYN-07"


def test_days_of_a_list_are_counted_alone(season: Path, tmp_path: Path) -> None:
    (ending,) = run(
        season, tmp_path / "out", output_dates=["20210105", "20210107", "20210120"], min_snow_days=0
    )
    assert np.unique(layer(ending, "scd")) == [2]
    assert np.unique(layer(ending, "sod")) == [1]


def test_what_let_it_snow_lacks_is_refused_in_its_profile(season: Path, tmp_path: Path) -> None:
    with pytest.raises(BadParameters, match="max_gap_days"):
        run(season, tmp_path / "out", profile="lis-1.11", max_gap_days=30)


def test_permuting_products_changes_nothing(season: Path, tmp_path: Path) -> None:
    write_lis(season, "20210113", 60, tile="T31TCH")
    products = sorted(season.iterdir())
    (first,) = run(products, tmp_path / "first")
    (second,) = run([*reversed(products), *products], tmp_path / "second")
    assert first.unit == second.unit
    for name in ("scd", "nsp", "gapmax"):
        assert np.array_equal(layer(first, name), layer(second, name))


def test_the_catalogue_knows_it_and_supersedes_it(season: Path, tmp_path: Path) -> None:
    run(season, tmp_path / "out")
    write_lis(season, "20210126", 0)
    run(season, tmp_path / "out")
    with Catalogue.open(tmp_path / "out" / NAME, read_only=True) as catalogue:
        assert len(catalogue.search(tile="31TCH")) == 2
        (current,) = catalogue.search(tile="31TCH", current=True)
        assert len(catalogue.search(period="2021-01-20")) == 2
    assert len(current["properties"]["snow:products_used"]) == 4


def test_a_month_does_not_supersede_the_year_that_it_begins(season: Path, tmp_path: Path) -> None:
    run(season, tmp_path / "out", "2021")
    write_lis(season, "20210126", 0)
    run(season, tmp_path / "out", "2021-01")
    with Catalogue.open(tmp_path / "out" / NAME, read_only=True) as catalogue:
        assert len(catalogue.search(tile="31TCH", current=True)) == 2


def test_no_link_or_asset_leads_out_of_a_product(tmp_path: Path) -> None:
    product = ROOT / "tests"
    folder = tmp_path / "SNOW_S2_T31TCH_20210103T105910_1.0_12345678"
    folder.mkdir()
    item = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "properties": {
            "datetime": "2021-01-03T10:59:10Z",
            "version": "1.0",
            "processing:expression": {
                "format": "thalweg",
                "expression": {"chain": "snow", "changed": {}, "granule": {"tile": "31TCH", "orbit": 51}},
            },
        },
        "assets": {"fsc_og": {"href": f"../../../{product}/conftest.py"}},
    }
    (folder / f"{folder.name}.json").write_text(json.dumps(item))
    (ending,) = run(folder, tmp_path / "out")
    assert ending.error and ending.error.kind == "bad-input"
    assert "fsc_og" in str(ending.error)


def test_products_of_ours_are_taken_from_their_destination(winter: Any, tmp_path: Path) -> None:
    (single,) = thalweg.run(winter.granule, "snow", to=tmp_path / "out", static=winter.static)
    assert single.sensed
    period = f"{single.sensed:%Y-%m}"
    (ending,) = run(tmp_path / "out", tmp_path / "out", period)
    assert ending.state == "done", f"{ending.error}\n{ending.trace}"
    assert ending.product and ending.item and single.product
    (link,) = (link for link in ending.item["links"] if link["rel"] == "derived_from")
    assert read_item((ending.product / link["href"]).resolve())["id"] == single.product.name
    assert "Synthetic scene" in ending.item["properties"]["attribution"]
    with rasterio.open(single.product / single.item["assets"]["fsc_og"]["href"]) as raster:  # type: ignore[index]
        clear = raster.read(1) <= 100
    assert np.array_equal(layer(ending, "nobs"), clear)


def test_the_command_line_makes_a_period(
    season: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "run",
        str(season),
        "--chain",
        "snow_synthesis",
        "--period",
        SEASON,
        "--to",
        str(tmp_path / "out"),
    ]
    assert main([*command, "--set", "snow_synthesis.max_gap_days=30", "--json"]) == 0
    (ending,) = json.loads(capsys.readouterr().out)
    assert (ending["tile"], ending["state"]) == ("31TCH", "done")
    assert main(["chain", "show", "snow_synthesis"]) == 0
    assert "takes products of snow" in capsys.readouterr().out


def test_a_laboratory_may_declare_a_synthesis_of_its_own(season: Path, tmp_path: Path) -> None:
    @synthesis("lab.maximum", version="1", of="snow", takes=["snow"], outputs=[Layer("maximum", "uint8")])
    def maximum(series: Any, *, limit: int = 100) -> dict[str, Any]:
        """The largest fraction of a period."""
        seen = np.where(series.values <= limit, series.values, 0)
        return {"maximum": seen.max(axis=0) * 1.0}

    (ending,) = thalweg.run(season, maximum, to=tmp_path / "out", period="2021-01")
    assert np.unique(layer(ending, "maximum")) == [100]
    assert ending.product and ending.product.name.startswith("lab.maximum_31TCH_20210101_20210131_")


def test_a_layer_may_be_a_part_of_what_was_read(season: Path, tmp_path: Path) -> None:
    @synthesis("lab.first", version="1", of="snow", takes=["snow"], outputs=[Layer("first", "uint8")])
    def first(series: Any) -> dict[str, Any]:
        """The first product of a period."""
        return {"first": series.values[0]}

    tall = Grid("EPSG:32631", 300000.0, 4900020.0, (20.0, 20.0), (1600, 7))
    values = np.arange(1600, dtype=np.uint16)[:, None].astype(np.uint8)
    write_lis(tmp_path / "tall", "20210103", values, grid=tall)
    (ending,) = thalweg.run(tmp_path / "tall", first, to=tmp_path / "out", period="2021-01")
    assert np.array_equal(layer(ending, "first"), np.broadcast_to(values, tall.shape))


def test_a_declaration_that_contradicts_itself_is_refused() -> None:
    def nothing(series: Any) -> dict[str, Any]:
        """Nothing."""
        return {}

    with pytest.raises(BadParameters, match="takes no layer"):
        synthesis("lab.none", version="1", of="snow", takes=[], outputs=[FSC])(nothing)


def test_versions_of_one_acquisition_compare_as_numbers() -> None:
    from thalweg.errors import BadInput
    from thalweg.series import version_numbers

    assert version_numbers("1.10.0") > version_numbers("1.9.0")
    with pytest.raises(BadInput, match="numbers"):
        version_numbers("new")


def test_instants_of_a_period_are_whole_days(season: Path, tmp_path: Path) -> None:
    (ending,) = run(season, tmp_path / "out", "2021-01")
    assert ending.sensed == datetime(2021, 1, 1, tzinfo=UTC)
