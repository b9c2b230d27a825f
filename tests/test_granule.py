"""The granule: which file of a role is read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.granule import BandFile, Granule
from thalweg.masks import CLM, MG2, MaskFile
from thalweg.raster import Raster, Reflectance


def granule(*keys: str, **more: Any) -> Granule:
    red = {key: BandFile(Raster(Path(f"{key}.tif"))) for key in keys}
    when = datetime(2021, 4, 15, tzinfo=UTC)
    facts: dict[str, Any] = {"bands": {"red": red}, **more}
    return Granule("G", Path("some/G"), "muscate", "31TCH", when, "S2A", "L2A", **facts)


def chosen(keys: tuple[str, ...], correction: str | None = None, resolution: int | None = None) -> str | None:
    file = granule(*keys).band("red", correction, resolution)
    return file and file.raster.path.stem


@given(
    st.permutations(["10", "20", "60", "native"]), st.sets(st.integers(0, 3), min_size=1), st.integers(5, 70)
)
def test_the_wanted_resolution_else_the_next_finer_else_the_finest(
    order: list[str], taken: set[int], wanted: int
) -> None:
    keys = tuple(key for index, key in enumerate(order) if index in taken)
    sizes = sorted(int(key) for key in keys if key.isdigit())
    finer = [size for size in sizes if size <= wanted]
    expected = str(finer[-1]) if finer else str(sizes[0]) if sizes else "native"
    assert chosen(keys, resolution=wanted) == expected
    assert chosen(keys) == (str(sizes[0]) if sizes else "native")


def test_a_correction_is_asked_only_of_products_that_have_several() -> None:
    assert chosen(("surface", "flat")) == "flat"
    assert chosen(("surface", "flat"), "surface") == "surface"
    assert chosen(("surface",), "flat") is None
    assert chosen(("10", "20"), "flat", 20) == "20"
    assert chosen(("native",), "surface") == "native"


def test_an_unknown_role_has_no_file() -> None:
    assert granule("native").band("swir16") is None


@pytest.mark.parametrize(("quantification", "per_milli"), [(10000, 10), (1000, 1)])
def test_counts_per_thousandth_follow_from_the_bands(quantification: int, per_milli: int) -> None:
    file = BandFile(Raster(Path("x.tif")), Reflectance(quantification))
    assert granule(bands={"red": {"native": file}}).per_milli == per_milli


def test_masks_are_found_by_meaning() -> None:
    clm, mg2 = (MaskFile(k, Raster(Path(f"{k}.tif")), legend) for k, legend in (("clm", CLM), ("mg2", MG2)))
    held = granule("native", masks=(clm, mg2))
    assert held.masks_with("cloud") == (clm,)
    assert held.masks_with("snow") == (mg2,)
    assert held.masks_with("aerosol_high") == ()


@pytest.mark.parametrize(
    ("format", "code"), [("muscate", 10), ("maja", 10), ("safe", 10), ("stac", 11), ("stack", 11)]
)
def test_what_is_missing_is_named_with_the_file_that_would_hold_it(format: str, code: int) -> None:
    held = replace(granule("native", expected={"swir16": "*_FRE_B11.tif"}), format=format)
    error = held.missing("swir16", "snow")
    assert error.code == code
    for words in ("some/G", "'snow'", "'swir16'", "*_FRE_B11.tif", "it holds: red"):
        assert words in str(error)
