"""Products of the snow chain against the conformance set: every listed layer, both profiles, any strip height.

`lis-1.11` must be equal in every pixel; `default` in every code, and within one unit on 0.01 % of the pixels elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio

import thalweg
from tests.conftest import shared_folder

LIS = "lis-1.11"
NUMBERS = {"ndsi", "fsctoc", "fscog", "fsctoc_unc", "fscog_unc"}
"""Layers of `default` that may differ by one on a few pixels."""

EDGE_WITHOUT = ("dem_buffer",)
"""Layers of the edge case's folder that only some rows use."""


@dataclass(frozen=True)
class Case:
    """One row of the conformance table."""

    folder: str
    expected: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return "-".join([self.folder, self.expected, *self.files.values()])

    @property
    def profile(self) -> str:
        return LIS if "_lis" in self.expected else "default"


PASS15 = {"rm_snow_inside_cloud": True}
SMALL_PASS15 = {
    **PASS15,
    "rm_snow_inside_cloud_dilation_radius": 2,
    "rm_snow_inside_cloud_threshold": 0.75,
    "rm_snow_inside_cloud_min_area": 20,
}
FULL_PASS15 = {
    **PASS15,
    "rm_snow_inside_cloud_dilation_radius": 5,
    "rm_snow_inside_cloud_threshold": 0.6,
    "rm_snow_inside_cloud_min_area": 30,
}


def edge(
    expected: str, without: tuple[str, ...] = (), files: Mapping[str, str] | None = None, **parameters: Any
) -> Case:
    buffered = "dem_buffer" in expected or "buffer" in expected
    return Case("s2_edge", expected, parameters, (*without, *(() if buffered else EDGE_WITHOUT)), files or {})


CASES = [
    Case("s2_full", "expected_lis"),
    Case("s2_full", "expected_lis_pass15", FULL_PASS15),
    Case("s2_full", "expected_lis_strict", {"strict_cloud_mask": True}),
    Case("s2_full", "expected_lis_no_water_mask", without=("water",)),
    Case("s2_full", "expected_default"),
    Case("s2_full", "expected_default_zsgrid2000", {"zs_mode": "grid", "zs_grid_m": 2000}),
    Case("s2_no_snowline", "expected_lis"),
    Case("s2_no_snowline", "expected_default"),
    Case("s2_few_snow", "expected_lis"),
    Case("s2_few_snow", "expected_default"),
    Case("l8_muscate", "expected_lis"),
    Case("l8_muscate", "expected_default"),
    Case("sen2cor_safe", "expected_lis"),
    Case("sen2cor_safe", "expected_default"),
    Case("maja_native", "expected_lis"),
    Case("maja_native", "expected_default"),
    Case("sen2cor_offset", "expected_default"),
    edge("expected_lis"),
    edge("expected_default"),
    edge("expected_lis_pass15", **SMALL_PASS15),
    edge("expected_default_pass15", **SMALL_PASS15),
    edge("expected_default_strict", strict_cloud_mask=True),
    edge("expected_default_no_water_mask", without=("water",)),
    edge("expected_default_no_tcd", without=("tcd",)),
    edge("expected_default_water12", water_mask_raster_values=[1, 2]),
    edge("expected_lis_dem_nodata", files={"dem": "dem_nodata.tif"}),
    edge("expected_default_dem_nodata", files={"dem": "dem_nodata.tif"}),
    edge("expected_default_dem_nodata", files={"dem": "dem_nodata_high.tif"}),
    edge("expected_default_dem_buffer"),
    edge("expected_default_sun_grid", sun_angles="grid"),
    edge("expected_default_sun_grid_buffer", sun_angles="grid"),
    edge("expected_default_zsgrid300", zs_mode="grid", zs_grid_m=300),
    edge("expected_default_zsgrid200_min401", zs_mode="grid", zs_grid_m=200, zs_min_pixels=401),
]

LIS_FILES = {
    "seb": "LIS_SEB.TIF",
    "snow_all": "LIS_SNOW_ALL.TIF",
    "ndsi": "LIS_NDSI.TIF",
    "fsc_toc": "LIS_FSCTOC.TIF",
    "fsc_toc_hs": "LIS_FSCTOCHS.TIF",
    "fsc_og": "LIS_S2-SNOW-FSC_T*.tif",
    "qcflags": "*QCFLAGS*.tif",
    "qctoc": "LIS_FSC_QCTOC.tif",
    "qcog": "LIS_FSC_QCOG.tif",
    "relief_shadow": "hillshade_mask.tif",
    "red_coarse": "red_nn.tif",
}
"""Where a layer of the conformance set is in a product of `lis-1.11`, where its file is not called after it."""

MAIN = {"fsc_toc_hs": "*SNOW-FSC-TOC_*.tif", "fsc_toc": "*SNOW-FSC-TOC_*.tif", "seb": "*SNOW-MSK_*.tif"}
"""Where a layer is that is the product's main one."""


@pytest.fixture(scope="session")
def conformance(repository: Path) -> Path:
    """The whole set where it is, else the part of it that the repository holds."""
    whole = shared_folder()
    return (whole if whole else repository / "tests" / "data") / "conformance" / "snow" / "fsc"


def test_every_expected_folder_has_a_case(conformance: Path) -> None:
    found = {(path.parent.name, path.name) for path in conformance.glob("*/expected*")}
    assert found
    assert found <= {(case.folder, case.expected) for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_product_equals_the_expected_layers(case: Case, conformance: Path, tmp_path: Path) -> None:
    product = make(case, conformance, tmp_path)
    expected = conformance / case.folder / case.expected
    check_layers(case, product, expected)
    check_facts(case, product, expected)


@pytest.mark.parametrize("rows", [1, 7, 64])
@pytest.mark.parametrize(
    "case", [CASES[0], CASES[4], edge("expected_default_sun_grid_buffer", sun_angles="grid")]
)
def test_no_strip_height_changes_a_byte(case: Case, rows: int, conformance: Path, tmp_path: Path) -> None:
    whole = make(case, conformance, tmp_path / "whole", strip_rows=100_000)
    strips = make(case, conformance, tmp_path / "strips", strip_rows=rows)
    assert rasters(strips) == rasters(whole)


def make(case: Case, conformance: Path, to: Path, **options: Any) -> Path:
    """The product folder of a case."""
    inputs = conformance / case.folder / "input"
    if not inputs.is_dir():
        pytest.skip(f"{case.folder} is not among the cases that the repository holds: set THALWEG_SHARED")
    granule = next(path for path in inputs.iterdir() if path.is_dir())
    (ending,) = thalweg.run(
        granule,
        "snow",
        to=to,
        static=inputs,
        static_files={role: inputs / name for role, name in case.files.items()},
        without=case.without,
        profile=case.profile,
        write_expert=True,
        **case.parameters,
        **options,
    )
    assert ending.product is not None, f"{ending.error}\n{ending.trace}"
    return ending.product


def rasters(product: Path) -> dict[str, bytes]:
    return {
        path.relative_to(product).as_posix(): path.read_bytes() for path in product.rglob("*.[tT][iI][fF]")
    }


def check_layers(case: Case, product: Path, expected: Path) -> None:
    for path in sorted(expected.glob("*.tif")):
        if not path.stem.endswith("_peer"):
            made, wanted = read(find(case, product, path.stem)), read(path)
            tolerated = case.profile == "default" and path.stem in NUMBERS
            assert differing(made, wanted, tolerated) == 0, path.stem


def find(case: Case, product: Path, layer: str) -> Path:
    pattern = LIS_FILES.get(layer, f"{layer}.tif")
    if case.profile == "default" and layer != "relief_shadow":
        pattern = f"SNOW_{layer.upper()}_[SL][0-9]_*.tif"
    found = list(product.rglob(pattern)) or list(product.glob(MAIN.get(layer, "-")))
    assert len(found) == 1, (layer, found)
    return found[0]


def differing(made: np.ndarray, wanted: np.ndarray, tolerated: bool) -> int:
    assert made.shape == wanted.shape
    differences = np.abs(made.astype(int) - wanted.astype(int))
    if tolerated:
        codes = (wanted > 100) | (made > 100) | (wanted == 0) | (made == 0)
        few = np.count_nonzero(differences) <= 1e-4 * wanted.size
        differences = np.where(codes | (differences > 1) | (not few), differences, 0)
    return int(np.count_nonzero(differences))


def check_facts(case: Case, product: Path, expected: Path) -> None:
    facts = json.loads((expected / "metadata.json").read_text())
    properties = json.loads((product / f"{product.name}.json").read_text())["properties"]
    if case.profile == LIS:
        check_lis_documents(product, expected)
        return
    assert properties["snow:zs"] == facts["zs_tile"]
    for name in ("snow_fraction_pass1", "snow_percent", "cloud_percent"):
        if name in facts:
            assert properties[f"snow:{name}"] == pytest.approx(facts[name], abs=1e-9), name
    if "histogram" in facts:
        assert properties["snow:histogram"] == facts["histogram"]
    if "zs_grid_raw" in facts:
        assert properties.get("snow:zs_grid") == facts["zs_grid_raw"]


def check_lis_documents(product: Path, expected: Path) -> None:
    histogram = expected / "LIS_HISTO.TXT"
    if histogram.exists():
        assert (product / "expert" / "LIS_HISTO.TXT").read_text() == histogram.read_text()
    metadata = expected / "LIS_METADATA.XML"
    if metadata.exists():
        assert indices(product / "LIS_METADATA.XML") == indices(metadata)


def indices(path: Path) -> list[tuple[str, str | None]]:
    root = ElementTree.parse(path).getroot()
    assert [child.tag for child in root] == ["PRODUCT_ID", "DOI", "Global_Index_List"]
    return [
        (node.get("name", node.tag), node.text)
        for node in root.iter()
        if node.tag in ("DOI", "QUALITY_INDEX")
    ]


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        return raster.read(1)
