"""The water-quality chain: land by whatever says it, bands that are missing, errors by name, a scientist's own file."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import thalweg
from tests.granules import write_raster
from tests.readers.grs_products import make_grs, water_counts
from tests.test_upstream import place
from thalweg.chains.quality import quality
from thalweg.chains.quality_algorithms import built_in
from thalweg.chains.quality_declaration import algorithm
from thalweg.chains.quality_layers import SETS, STANDARD
from thalweg.chains.quality_parameters import Quality
from thalweg.chains.quality_recipe import Instrument, make_menu
from thalweg.ending import Ending
from thalweg.errors import BadParameters, ThalwegError
from thalweg.kernels import quality_flags as flags
from thalweg.kernels.recipe import BANDS
from thalweg.readers import open_granule

pytest.importorskip("netCDF4")

SHAPE = (12, 14)
WATER = 0b11000
CORNER = (300000.0, 4900020.0)
ALL = frozenset(BANDS)


def make(folder: Path, codes: np.ndarray | None = None, **changes: Any) -> Path:
    flags = np.full(SHAPE, WATER, np.int32) if codes is None else codes
    return make_grs(folder, water_counts(SHAPE), flags, **changes)


def run(source: Path, to: Path, **parameters: Any) -> Ending:
    (ending,) = thalweg.run(source, "quality", to=to, **parameters)
    return ending


def read(ending: Ending, layer: str) -> np.ndarray:
    assert ending.product is not None, (ending.error, ending.trace)
    with rasterio.open(ending.product / f"{layer}.tif") as raster:
        values: np.ndarray = raster.read(1)
    return values


def has(words: np.ndarray, flag: int) -> np.ndarray:
    return (words & np.uint32(flag)) != 0


def test_land_by_the_flags_of_the_product(tmp_path: Path) -> None:
    codes = np.full(SHAPE, WATER, np.int32)
    codes[:, 10:] = 0
    codes[0, 13] = 1
    words = read(run(make(tmp_path, codes), tmp_path / "out"), "quality_flags")
    assert has(words, flags.LAND)[:, 10:].sum() == 47
    assert not has(words, flags.LAND)[0, 13]
    np.testing.assert_array_equal(np.flatnonzero(has(words, flags.ADJACENCY).all(axis=0)), [8, 9])
    np.testing.assert_array_equal(np.flatnonzero(has(words, flags.MIXED_PIXEL).all(axis=0)), [9])


def test_surfwater_is_taken_where_the_scene_uses_it(tmp_path: Path) -> None:
    codes = np.full(SHAPE, 1 << 9, np.int32)
    codes[:, :3] = 1 << 8
    ending = run(make(tmp_path, codes), tmp_path / "out")
    assert ending.properties["quality:water_source"] == "surfwater"
    assert has(read(ending, "quality_flags"), flags.LAND).sum() == 3 * SHAPE[0]


def test_no_land_at_all(tmp_path: Path) -> None:
    ending = run(make(tmp_path, np.zeros(SHAPE, np.int32)), tmp_path / "out", water_source="none")
    assert not has(read(ending, "quality_flags"), flags.LAND).any()


def test_a_mask_of_the_users_own(tmp_path: Path) -> None:
    mask = np.ones(SHAPE, np.uint8)
    mask[0], mask[1], mask[2] = 0, 2, 255
    path = write_raster(tmp_path / "mask.tif", mask, corner=CORNER)
    ending = run(make(tmp_path), tmp_path / "out", static_files={"water_mask": path})
    words = read(ending, "quality_flags")
    assert ending.properties["quality:water_source"] == "file"
    assert has(words, flags.LAND)[0].all() and has(words, flags.CLOUD)[1].all()
    assert has(words, flags.NODATA_IN)[2].all() and not has(words, flags.LAND)[3:].any()


def test_a_mask_on_another_grid_is_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "mask.tif", np.ones(SHAPE, np.uint8), corner=(CORNER[0] + 40, CORNER[1]))
    ending = run(make(tmp_path), tmp_path / "out", static_files={"water_mask": path})
    assert ending.state == "failed"
    assert "mask.tif" in str(ending.error)


def water_product(folder: Path, water: np.ndarray, reason: np.ndarray) -> Path:
    product = place(folder, "w", **{"datetime": "2022-07-03T10:56:19Z", "platform": "sentinel-2b"})
    write_raster(product / "WATER.tif", water, pixel=10, corner=CORNER)
    write_raster(product / "REASON.tif", reason, pixel=10, corner=CORNER)
    text = (product / "w.json").read_text()
    added = '"water": {"href": "./WATER.tif"}, "reason": {"href": "./REASON.tif"}'
    (product / "w.json").write_text(text.replace('"water": {"href": "./WATER.tif"}', added))
    return product


def test_the_product_of_the_water_chain_comes_from_10_to_20_m(tmp_path: Path) -> None:
    water = np.ones((SHAPE[0] * 2, SHAPE[1] * 2), np.uint8)
    reason = np.zeros(water.shape, np.uint16)
    water[:4] = 0
    water[8, 0] = 0
    water[12, 4], reason[12, 4] = 255, 1 << 1
    water[14, 4], reason[14, 4] = 255, 1 << 2
    water[16, 4] = 255
    product = water_product(tmp_path, water, reason)
    ending = run(make(tmp_path), tmp_path / "out", products={"water": product})
    words = read(ending, "quality_flags")
    assert ending.properties["quality:water_source"] == "product"
    assert has(words, flags.LAND)[:2].all() and not has(words, flags.LAND)[2:].any()
    assert has(words, flags.MIXED_PIXEL)[4, 0] and not has(words, flags.LAND)[4, 0]
    assert [int(words[row, 2]) & 0b1111 for row in (6, 7, 8)] == [
        flags.CLOUD,
        flags.CLOUD_SHADOW,
        flags.NODATA_IN,
    ]


def test_the_product_read_is_part_of_the_identity(tmp_path: Path) -> None:
    water = np.ones((SHAPE[0] * 2, SHAPE[1] * 2), np.uint8)
    product = water_product(tmp_path, water, np.zeros(water.shape, np.uint16))
    source = make(tmp_path)
    with_product = run(source, tmp_path / "out", products={"water": product})
    assert with_product.unit != run(source, tmp_path / "out").unit


def test_strips_of_any_height_read_the_same_of_a_finer_product(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    water = random.choice(np.array([0, 1, 1, 1, 255], np.uint8), (SHAPE[0] * 2, SHAPE[1] * 2))
    product = water_product(tmp_path, water, random.integers(0, 64, water.shape).astype(np.uint16))
    source = make(tmp_path)
    endings = [
        run(source, tmp_path / str(rows), products={"water": product}, strip_rows=rows) for rows in (12, 5, 1)
    ]
    whole, *strips = (read(ending, "quality_flags") for ending in endings)
    for strip in strips:
        np.testing.assert_array_equal(strip, whole)


def test_a_granule_without_water_is_no_data(tmp_path: Path) -> None:
    ending = run(make(tmp_path, np.zeros(SHAPE, np.int32)), tmp_path / "out")
    assert ending.state == "no-data"
    assert "LAND 100%" in str(ending.error)


@pytest.mark.parametrize(
    ("bands", "absent", "algorithm"),
    [
        (ALL, (), "chl_owt_blend"),
        (ALL - {"B1"}, ("owt", "fui", "kd490_unc"), "chl_blend_oc2c"),
        (frozenset(("B2", "B3", "B4", "B8")), ("acdom440", "owt", "spm", "tur"), "chl_oc2_msi_clamped"),
    ],
)
def test_what_a_sensor_cannot_give_is_absent_and_said(
    bands: frozenset[str], absent: tuple[str, ...], algorithm: str
) -> None:
    menu = make_menu(Quality(), Instrument("S2A", bands), {})
    assert set(absent) <= set(menu.absent)
    assert not set(menu.absent) & set(menu.stored)
    assert menu.sources["chla"].id == algorithm


def test_suspended_matter_by_another_near_infrared() -> None:
    menu = make_menu(Quality(nir_band="nir"), Instrument("S2A", frozenset(("B2", "B3", "B4", "B8"))), {})
    assert {"chla", "spm", "tur"} <= set(menu.stored)
    assert menu.sources["spm"].id == "spm_get2018_B8"


def test_without_443_nm_other_products_are_bit_for_bit_the_same(tmp_path: Path) -> None:
    rrs = water_counts(SHAPE)
    flags = np.full(SHAPE, WATER, np.int32)
    source = make_grs(tmp_path / "all", rrs, flags)
    fewer = make_grs(tmp_path / "fewer", {w: rows for w, rows in rrs.items() if w != 443}, flags)
    whole = run(source, tmp_path / "out-all", chla_algorithm="chl_blend_oc2c")
    part = run(fewer, tmp_path / "out-fewer", chla_algorithm="chl_blend_oc2c")
    for layer in ("chla", "spm", "tur", "acdom440"):
        np.testing.assert_array_equal(read(whole, layer), read(part, layer))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sets": ["everything"]}, "unknown 'everything'. Known: branches, default"),
        ({"chla_algorithm": "chl_gilerson"}, "Did you mean 'chl_gilerson"),
        ({"mask_bits": ["CLOUDS"]}, "Did you mean 'CLOUD'"),
        ({"oc_clamp": [0.9, -0.5]}, "must rise"),
        ({"chl_by_owt": ["oc2"]}, "10 components, not 1"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(BadParameters) as caught:
        quality.prepare(parameters)
    assert message in str(caught.value)


def test_a_layer_asked_for_by_name_whose_band_is_missing_is_an_error() -> None:
    with pytest.raises(
        BadParameters, match=r"layer 'chl_gons05': needs B7, .* S2A .* possible are: .*chl_oc2_octs"
    ):
        make_menu(Quality(algorithms=("chl_gons05",)), Instrument("S2A", ALL - {"B7"}), {})


def test_glint_of_grs_is_gone_already(tmp_path: Path) -> None:
    ending = run(make(tmp_path), tmp_path / "out", deglint="swir")
    assert "whose glint is gone already" in str(ending.error)


OWN = """
    from math import nan

    from thalweg.chains.quality_declaration import algorithm


    @algorithm(
        "lab_chl", variable="chla", units="mg m-3", kind="rrs_or_rho", bands=("B4", "B5"),
        range=(0.1, 500), parameters={"a": 61.3, "b": -37.9}, source="our lake, 2024",
    )
    def lab_chl(red, edge, a, b):
        '''a edge/red + b'''
        return a * edge / red + b if red > 0 else nan
"""


def write_own(folder: Path, text: str = OWN) -> Path:
    path = folder / "lab.py"
    path.write_text(textwrap.dedent(text))
    return path


def test_fifteen_lines_add_a_layer_to_the_same_pass(tmp_path: Path) -> None:
    path = write_own(tmp_path)
    assert len(textwrap.dedent(OWN).strip().splitlines()) <= 15
    ending = run(make(tmp_path), tmp_path / "out", algorithm_files=[path])
    stored = read(ending, "lab_chl")
    red, edge = 0.0054, 0.0071
    expected = 61.3 * edge / red - 37.9
    assert np.all(stored == round((math.log10(expected) + 3) / 0.001))
    described = ending.properties["quality:layers"]["lab_chl"]
    assert (described["algorithm"], described["source"], described["bands"]) == (
        "lab_chl",
        "our lake, 2024",
        ["B4", "B5"],
    )


def test_a_changed_formula_is_another_product(tmp_path: Path) -> None:
    source = make(tmp_path)
    first = run(source, tmp_path / "out", algorithm_files=[write_own(tmp_path)])
    again = run(source, tmp_path / "out", algorithm_files=[write_own(tmp_path)])
    other = run(source, tmp_path / "out", algorithm_files=[write_own(tmp_path, OWN.replace("61.3", "61.4"))])
    assert again.existed
    assert first.unit == again.unit != other.unit


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"lab_chl", variable', '"chl_gons05", variable', "algorithm 'chl_gons05' exists already"),
        ('("B4", "B5")', '("B4", "B9")', "unknown band 'B9'"),
        ('"b": -37.9', '"b": float("inf")', "parameter 'b' is inf"),
        ("a * edge / red + b if", "open('x') if", "cannot be compiled"),
        ('variable="chla"', 'variable="iron"', "give its layer's scale"),
        ("range=(0.1, 500)", "range=(500, 0.1)", "not from low to high"),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_reason(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = write_own(tmp_path, OWN.replace(old, new))
    with pytest.raises(ThalwegError, match=r"lab\.py") as caught:
        thalweg.run(make(tmp_path), "quality", to=tmp_path / "out", algorithm_files=[path])
    assert message in str(caught.value)


def test_a_chain_that_takes_nothing_up_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadParameters, match="none of the chains of this run takes up algorithms"):
        thalweg.run(tmp_path, "snow", to=tmp_path / "out", algorithm_files=[write_own(tmp_path)])


def test_a_model_of_ones_own_gets_whole_blocks(tmp_path: Path) -> None:
    @algorithm(
        "lab_block",
        variable="mystery",
        units="1",
        kind="rho",
        bands=("B4",),
        range=(0, 1),
        scale=0.0001,
        block=True,
    )
    def lab_block(red: np.ndarray) -> np.ndarray:
        """Red as it is."""
        return np.sort(red)[::-1] if red.size > 1 else red

    assert quality.extended is not None
    chain = quality.extended(quality, "here", {"lab_block": lab_block})
    ending = run_chain(make(tmp_path), chain, tmp_path / "out")
    assert np.all(read(ending, "lab_block") == round(math.pi * 0.0054 / 0.0001))


def run_chain(source: Path, chain: Any, to: Path) -> Ending:
    (ending,) = thalweg.run(source, chain, to=to)
    return ending


def test_layers_have_fixed_packing_and_no_doubles() -> None:
    names = [layer.name for layer in quality.outputs]
    assert len(names) == len(set(names))
    assert {name for layers in SETS.values() for name in layers} <= set(STANDARD) <= set(names)
    assert set(built_in()) <= set(names)


def test_a_grs_product_keeps_its_name(tmp_path: Path) -> None:
    source = make(tmp_path)
    product = run(source, tmp_path / "out").product
    assert product is not None
    assert product.name.startswith(open_granule(source).id.replace("L2Agrs", "L2B"))
