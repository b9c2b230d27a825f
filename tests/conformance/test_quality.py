"""The water-quality chain against its conformance set: the scene in both layouts, the single pixels, the profile.

Values are compared as they are before they are packed; files within half a step of their packing. In float64 nothing
else may differ; in float32, the default, values may by the tolerance of their algorithm (twice, for products), and
every flag, class and pattern of nodata by 3 pixels of the scene.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import thalweg
from tests.conformance.quality_batches import is_close
from tests.conftest import shared_folder
from thalweg.chain import Chain
from thalweg.chains.quality import quality
from thalweg.chains.quality_layers import PUBLIC, SETS
from thalweg.chains.quality_parameters import Quality
from thalweg.chains.quality_pass import Plan, batches, mark_pixels
from thalweg.chains.quality_sources import ROLES, quality_inputs
from thalweg.engine import pack
from thalweg.granule import Granule, Sun
from thalweg.grid import Grid
from thalweg.inputs import Mask
from thalweg.kernels import pixels
from thalweg.kernels import quality as fused
from thalweg.kernels import quality_flags as flags
from thalweg.masks import CLM, MG2, QA_PIXEL, Codes, MaskFile
from thalweg.raster import Packing, Raster
from thalweg.scene import Scene, Tileful

NAME = "S2A_MSIL2Agrs_20230815T104031_N0509_R008_T31TFJ_20230815T155959"
SINGLE = ("chl_oc3_msi", "chl_gons05_checked", "chl_ndci_mishra", "spm_nechad2010_B4", "tss_jiang23")
NOT_COMPARED = flags.ADJACENCY | flags.MIXED_PIXEL
OLI_BANDS = {"L1": "B1", "L2": "B2", "L3": "B3", "L4": "B4", "L5": "B8A", "L6": "B11", "L7": "B12"}
GRID = Grid("EPSG:32631", 600000.0, 4850000.0, (20.0, 20.0), (1, 1))
NODATA_CODES = {"owt": 255, "bloom_class": 255}
PRECISIONS = ("float64", "float32")
FEW = 3
"""Pixels that may differ in float32."""

BEHIND = {
    "chla": "chl_owt_blend",
    "spm": "spm_get2018",
    "tur": "tur_dogliotti15",
    "acdom440": "acdom440_brezonik",
    "zsd": "qaa_v6_s2",
    "zsd_jiang2019": "qaa_v6_s2",
    "kd490": "qaa_v6_s2",
    "hue": "hue_s2a",
    "owt_membership": "owt_bi2024",
    "owt_sum": "owt_bi2024",
    "tsi_chl": "chl_owt_blend",
    "tsi_zsd": "qaa_v6_s2",
    "Chla_OC2nasa": "chl_oc2_octs",
    "Chla_M09B": "chl_moses3b_740",
    "SPM_nechad": "spm_nechad2010_B4",
    "SPM_obs2co": "spm_get2018",
    "TURB_dogliotti": "tur_dogliotti15",
    "acdom_B15": "acdom440_brezonik",
    "Kd_par": "kd_par_rd22",
}
"""Layer to the algorithm whose tolerance it has, where the names differ."""


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "conformance" / "quality"


def decoded(path: Path) -> tuple[np.ndarray, float]:
    """Values of a layer and half a step of its packing; in log10 where that is what is stored."""
    with rasterio.open(path) as raster:
        stored, scale, offset = raster.read(1), raster.scales[0], raster.offsets[0]
        values = stored.astype(np.float64) * scale + offset
        values[stored == raster.nodata] = np.nan
        return values, scale / 2


def run_scene(folder: Path, source: str, to: Path, **parameters: Any) -> Path:
    (ending,) = thalweg.run(folder / "l2a" / source, "quality", to=to, water_source="flags", **parameters)
    assert ending.state == "done", (ending.error, ending.trace)
    assert ending.product is not None
    return ending.product


@pytest.mark.parametrize(
    ("source", "compute"),
    [(NAME, "float64"), (f"{NAME}_beam.nc", "float64"), (NAME, "float32")],
)
def test_the_scene_in_either_layout_gives_every_expected_layer(
    folder: Path, source: str, compute: str, tmp_path: Path
) -> None:
    layers = {"sets": list(SETS), "algorithms": list(SINGLE)}
    product = run_scene(folder, source, tmp_path, compute=compute, **layers)
    expected = np.load(folder / "expected" / "l2b_expected.npz")
    names = [name for name in expected if name not in PUBLIC]
    assert len(names) == 36
    for name in names:
        check_layer(product / f"{name}.tif", expected[name], tolerance(folder, name, compute))


def tolerance(folder: Path, name: str, compute: str) -> tuple[float, float] | None:
    """Relative and absolute tolerance of a layer in float32; None in float64."""
    if compute == "float64":
        return None
    if name.endswith("_unc"):
        return 2e-3, 0.0
    if name.startswith("owt_dist"):
        return 0.0, 2e-5
    entries = json.loads((folder / "vectors.json").read_text())["algorithms"]
    rules = {entry["id"]: entry["tolerance"] for entry in entries}
    rule = rules.get(BEHIND.get(name, name), {"rtol32": 0.0, "atol32": 0.0})
    return 2 * rule["rtol32"], 2 * rule["atol32"]


def check_layer(path: Path, expected: np.ndarray, single: tuple[float, float] | None) -> None:
    few = FEW if single else 0
    if expected.dtype.kind != "f":
        with rasterio.open(path) as raster:
            check_codes(raster.read(1), expected, few, path.name)
        return
    values, half = decoded(path)
    there = ~np.isnan(values) & ~np.isnan(expected)
    assert np.count_nonzero(np.isnan(values) != np.isnan(expected)) <= few, path.name
    with rasterio.open(path) as raster:
        wanted, (rtol, atol) = expected[there], single or (0.0, 0.0)
        if raster.tags().get("transform") == "log10":
            wanted, rtol, atol = np.log10(np.maximum(wanted, 0.001)), 0.0, rtol / math.log(10)
        top = (65534 if raster.dtypes[0] == "uint16" else 32767) * raster.scales[0] + raster.offsets[0]
    margin = atol + half * (1 + 1e-6)
    np.testing.assert_allclose(
        values[there], np.minimum(wanted, top), atol=margin, rtol=rtol, err_msg=path.name
    )


def check_codes(found: np.ndarray, expected: np.ndarray, few: int, name: str) -> None:
    """Classes, or each bit of flags, but for a few pixels."""
    if name != "quality_flags.tif" and name != "flags.tif":
        assert np.count_nonzero(found != expected) <= few, name
        return
    for bit in range(32):
        differing = (found.astype(np.int64) ^ expected.astype(np.int64)) >> bit & 1
        assert np.count_nonzero(differing) <= few, (name, bit)


def test_both_layouts_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    cube, beam = (run_scene(folder, source, tmp_path) for source in (NAME, f"{NAME}_beam.nc"))
    for path in sorted(cube.glob("*.tif")):
        assert path.read_bytes() == (beam / path.name).read_bytes(), path.name


@pytest.mark.parametrize("compute", PRECISIONS)
def test_the_public_profile(folder: Path, compute: str, tmp_path: Path) -> None:
    product = run_scene(folder, NAME, tmp_path, profile="grsl2bgen", compute=compute)
    expected = np.load(folder / "expected" / "l2b_expected.npz")
    assert {path.stem for path in product.glob("*.tif")} == set(PUBLIC)
    for name in PUBLIC:
        check_layer(product / f"{name}.tif", expected[name], tolerance(folder, name, compute))


@pytest.mark.parametrize(("compute", "rtol"), [("float64", 1e-6), ("float32", 1e-4)])
def test_the_public_peer_agrees_outside_its_defects(
    folder: Path, compute: str, rtol: float, tmp_path: Path
) -> None:
    product = run_scene(folder, NAME, tmp_path, profile="grsl2bgen", compute=compute)
    peer = np.load(folder / "expected" / "l2b_grsl2bgen_blackbox.npz")
    for name in ("Chla_OC2nasa", "SPM_nechad", "SPM_obs2co", "TURB_dogliotti", "acdom_B15", "Kd_par"):
        values, half = decoded(product / f"{name}.tif")
        compared = (peer[f"zone_{name}"] == 0) & ~np.isnan(values) & ~np.isnan(peer[name])
        assert compared.sum() > 8000
        np.testing.assert_allclose(values[compared], peer[name][compared], atol=half * 1.001, rtol=rtol)


def test_precise_storage_keeps_twelve_bits(folder: Path, tmp_path: Path) -> None:
    product = run_scene(folder, NAME, tmp_path, storage="precise", compute="float64")
    expected = np.load(folder / "expected" / "l2b_expected.npz")
    for name in ("chla", "spm", "tur", "acdom440", "zsd", "chla_unc"):
        values, _ = decoded(product / f"{name}.tif")
        np.testing.assert_array_equal(np.isnan(values), np.isnan(expected[name]))
        there = ~np.isnan(values)
        np.testing.assert_allclose(values[there], expected[name][there], rtol=1.3e-4)


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_no_strip_height_changes_a_byte(folder: Path, rows: int, tmp_path: Path) -> None:
    whole = run_scene(folder, NAME, tmp_path / "whole")
    (ending,) = thalweg.run(
        folder / "l2a" / NAME, "quality", to=tmp_path / "strips", water_source="flags", strip_rows=rows
    )
    assert ending.product is not None
    for path in sorted(whole.glob("*.tif")):
        assert path.read_bytes() == (ending.product / path.name).read_bytes(), path.name


def pixel_cases() -> list[Any]:
    folder = shared_folder()
    if folder is None:
        return [pytest.param(None, marks=pytest.mark.skip("no shared data"), id="none")]
    cases = json.loads((folder / "conformance" / "quality" / "pixel_cases.json").read_text())["cases"]
    return [pytest.param(case, id=case["name"]) for case in cases]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("case", pixel_cases())
def test_single_pixels(case: Any, precision: str) -> None:
    given = {key: value for key, value in case["parameters"].items() if key != "depth"}
    common = {"sets": list(SETS), "water_source": "flags", "adjacency_px": 0, "compute": precision}
    _, parameters = quality.prepare({**common, **given})
    rtols, atol = ((1e-6, 1e-5), 1e-9) if precision == "float64" else ((4e-4, 2e-3), 1e-6)
    scene = SOURCES[case["source"]](case, parameters)
    words, layers = compute(quality, scene, parameters)
    expected = case["expected"]
    assert words & ~NOT_COMPARED == expected["quality_flags"] & ~NOT_COMPARED
    for name, value in expected["layers"].items():
        assert name in layers, name
        assert is_close(layers[name], value, rtols[name.endswith("_unc")], atol), (name, layers[name], value)
    unlisted = set(layers) - set(expected["layers"]) - {"zsd_unc" if case["source"] == "maja" else ""}
    assert not {name for name in unlisted if not is_nodata(name, layers[name])}


def is_nodata(name: str, value: float) -> bool:
    if name in NODATA_CODES or name == "fui" or name.endswith("_alg"):
        return value == NODATA_CODES.get(name, 0)
    return math.isnan(value)


def compute(chain: Chain, scene: Scene, parameters: Quality) -> tuple[int, dict[str, float]]:
    """Flags and unpacked layers of a scene of one pixel."""
    plan: Plan = scene.settled
    words = mark_pixels(scene, plan, parameters)
    layers: dict[str, float] = {}
    for index, batch in batches(scene, plan, words):
        found = fused.compute(plan.menu.recipe, batch)
        pixels.scatter_words(batch.words, index, words.reshape(-1))
        layers = {name: found[name][0] for name in plan.menu.stored}
    out = np.empty_like(words)
    pixels.finish_words(words.reshape(-1), plan.masked | flags.MISSING, flags.OF_INPUT, out.reshape(-1))
    return int(out[0, 0]), layers


def settled(
    granule: Granule,
    values: Mapping[str, np.ndarray],
    packings: Mapping[str, Packing],
    parameters: Quality,
    depth: float | None,
) -> Scene:
    """A scene of one pixel; masks have the halo that the chain asks for."""
    around = {name: np.pad(each, 1) if name in ("flags", "source") else each for name, each in values.items()}
    if depth is not None:
        around["bathymetry"] = np.full((1, 1), depth, np.float32)
    available = frozenset(around)
    tile = Tileful(granule, GRID, {}, available=available, packings=packings)
    plan = quality.settle(tile, parameters) if quality.settle else None
    return Scene(granule, GRID, (0, 1), around, settled=plan, available=available, packings=packings)


def one(value: float, dtype: str) -> np.ndarray:
    return np.full((1, 1), value, dtype)


def granule(format: str, platform: str, level: Any, sza: float, legends: Mapping[str, Any]) -> Granule:
    masks = tuple(MaskFile(kind, Raster(Path(kind)), legend) for kind, legend in legends.items())
    when = datetime(2023, 8, 15, tzinfo=UTC)
    return Granule("G", Path("G"), format, "31TFJ", when, platform, level, masks=masks, sun=Sun(sza, 150.0))


def grs_scene(case: Any, parameters: Quality) -> Scene:
    packing, angle = Packing(1e-5, 0.3, -32768), Packing(0.01, 30.0, -32768)
    values, packings = {}, {"sun_zenith": angle, "sun_glint": packing}
    for band, role in ROLES.items():
        rrs = case["rrs"].get(band)
        values[role] = one(-32768 if rrs is None else round((rrs - 0.3) * 1e5), "int16")
        packings[role] = packing
    values["flags"] = one(case["masks"]["flags"], "int32")
    values["sun_zenith"] = one(round((case["sza"] - 30) * 100), "int16")
    values["sun_glint"] = one(round((case["masks"]["BRDFg"] - 0.3) * 1e5), "int16")
    source = granule("grs", case["sensor"], "Rrs", case["sza"], {})
    return settled(source, values, packings, parameters, case["parameters"].get("depth"))


def source_bits(of: Granule, parameters: Quality, codes: Mapping[str, int], saturated: bool) -> int:
    """The bits of the mask `source` that the product's own codes give, by their meanings."""
    (mask,) = (declared for declared in quality_inputs(parameters, of) if isinstance(declared, Mask))
    held = {"saturated"} if saturated else set()
    for file in of.masks:
        held |= {word for word, carried in file.legend.items() if holds(carried, codes[file.kind])}
    return sum(1 << bit for bit, group in enumerate(mask.groups) if held & set(group))


def holds(carried: Codes, code: int) -> bool:
    return bool(carried.table(65536)[code])


def maja_scene(case: Any, parameters: Quality) -> Scene:
    source = granule("muscate", "S2A", "L2A", case["sza"], {"CLM": CLM, "MG2": MG2})
    masks = case["masks"]
    values, packings = {}, {}
    for band, count in case["dn"].items():
        values[ROLES[band]] = one(count, "int16")
        packings[ROLES[band]] = Packing(1e-4, 0.0, -10000)
    bits = source_bits(source, parameters, {"CLM": masks["CLM"], "MG2": masks["MG2"]}, bool(masks["SAT"]))
    values["source"] = one(bits, "uint8")
    return settled(source, values, packings, parameters, case["parameters"].get("depth"))


def landsat_scene(case: Any, parameters: Quality) -> Scene:
    source = granule("landsat", "L8", "L2A", case["sza"], {"qa_pixel": QA_PIXEL})
    masks = case["masks"]
    values, packings = {}, {}
    for native, band in OLI_BANDS.items():
        values[ROLES[band]] = one(case["dn"][native], "uint16")
        packings[ROLES[band]] = Packing(2.75e-5, -0.2, 0)
    bits = source_bits(source, parameters, {"qa_pixel": masks["QA_PIXEL"]}, bool(masks["QA_RADSAT"] & 127))
    values["source"] = one(bits, "uint8")
    return settled(source, values, packings, parameters, case["parameters"].get("depth"))


SOURCES: Mapping[str, Any] = {"grs": grs_scene, "maja": maja_scene, "landsat_c2": landsat_scene}


def test_layers_are_handed_on_as_they_are_stored() -> None:
    stored = np.array([[0, 65535, 12]], np.uint16)
    np.testing.assert_array_equal(pack(quality.layer("chla", Quality()), stored), stored)
