"""Masks: legends, and tables from code to meaning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg import masks
from thalweg.masks import CLD, CLM, MEANINGS, MG2, SCL, Codes, saturation
from thalweg.raster import Raster

LEGENDS = {
    name: legend for name, legend in vars(masks).items() if name.isupper() and isinstance(legend, Mapping)
} | {f"CLASSI {number}": legend for number, legend in enumerate(masks.CLASSI)}

codes = st.builds(
    Codes,
    values=st.frozensets(st.integers(0, 300), max_size=5),
    bits=st.lists(st.integers(1, 255), max_size=3).map(tuple),
    nonzero=st.booleans(),
)


def carries(code: int, what: Codes) -> bool:
    """Whether a code carries a meaning, as the documentation of `Codes` says it."""
    return code in what.values or (what.nonzero and code != 0) or any(code & bit == bit for bit in what.bits)


@given(codes, st.sampled_from([2, 256]))
def test_a_table_says_of_every_code_whether_it_carries_the_meaning(what: Codes, size: int) -> None:
    assert what.table(size).tolist() == [carries(code, what) for code in range(size)]


@given(codes, codes)
def test_codes_are_joined(one: Codes, other: Codes) -> None:
    np.testing.assert_array_equal((one | other).table(256), one.table(256) | other.table(256))


def test_saturation_is_that_of_the_bands_that_are_read() -> None:
    mask = saturation("sat", Raster(Path("SAT.tif")), {"green": 1, "red": 2, "nir": 4})
    table = mask.seen_by(["green", "nir", "swir16"]).legend["saturated"].table(8)
    assert table.tolist() == [False, True, False, True, True, True, True, True]
    assert "saturated" not in mask.seen_by(["swir16"]).legend


@pytest.mark.parametrize("legend", LEGENDS.values(), ids=LEGENDS.keys())
def test_legends_speak_of_known_meanings(legend: Mapping[str, Codes]) -> None:
    assert set(legend) <= set(MEANINGS)
    assert all(what.table(65536).any() for what in legend.values())
    assert all(not what.table(256)[0] for meaning, what in legend.items() if meaning != "nodata")


@pytest.mark.parametrize(
    ("legend", "code", "meanings"),
    [
        (SCL, 3, {"marked", "any_cloud", "cloud_shadow"}),
        (SCL, 8, {"marked", "any_cloud", "cloud"}),
        (SCL, 10, {"marked", "any_cloud", "high_cloud"}),
        (SCL, 7, {"marked"}),
        (SCL, 0, {"nodata"}),
        (SCL, 11, {"marked", "snow"}),
        (CLM, 0, set()),
        (CLM, 16, {"marked", "any_cloud", "thin_cloud", "adjacent"}),
        (CLM, 34, {"marked", "any_cloud", "cloud", "cloud_shadow"}),
        (CLM, 64, {"marked", "any_cloud", "cloud_shadow"}),
        (CLD, 4, {"marked", "any_cloud", "cloud_shadow"}),
        (CLD, 64, {"marked", "any_cloud", "adjacent"}),
        (MG2, 1, {"water"}),
        (MG2, 192, {"sun_low", "sun_tangent"}),
    ],
)
def test_codes_mean_what_the_product_descriptions_say(
    legend: Mapping[str, Codes], code: int, meanings: set[str]
) -> None:
    assert {meaning for meaning, what in legend.items() if what.table(256)[code]} == meanings


def test_every_cloud_of_a_scene_classification_is_any_cloud() -> None:
    clouds = sum(SCL[meaning].table(256) for meaning in ("cloud", "high_cloud", "cloud_shadow"))
    assert (SCL["any_cloud"].table(256) == (clouds > 0)).all()
