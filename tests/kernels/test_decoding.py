from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kernels import naive_decoding as naive
from thalweg.decoding import to_dn4
from thalweg.raster import Raster

PACKINGS = [
    ("0.0001", "0.0"),
    ("0.0001", "-0.1"),
    ("2.75e-05", "-0.2"),
    ("0.001", "0.0"),
    ("0.0003", "0.00005"),
]


def decoded(stored: np.ndarray, scale: str, offset: str, nodata: int | None) -> np.ndarray:
    return to_dn4(stored, Raster(Path("band.tif"), 1, float(scale), float(offset)), nodata)


@given(
    st.sampled_from(PACKINGS),
    st.sampled_from(["int16", "uint16", "uint8"]),
    st.sampled_from([None, 0, -9999, -10000, 255, 65535]),
    st.data(),
)
def test_integers_are_decoded_exactly(
    packing: tuple[str, str], dtype: str, nodata: int | None, data: st.DataObject
) -> None:
    limits = np.iinfo(dtype)
    special = [value for value in (nodata, 0, 20, 60, 32767) if value is not None]
    number = st.one_of(st.integers(limits.min, limits.max), st.sampled_from(special)).filter(
        lambda value: limits.min <= value <= limits.max
    )
    stored = data.draw(st.lists(number, min_size=1, max_size=8))
    found = decoded(np.array([stored], dtype), *packing, nodata)
    assert found[0].tolist() == [naive.dn4(value, *packing, nodata) for value in stored]


def test_ties_of_landsat_round_up() -> None:
    ties = np.arange(20, 65500, 40, np.uint16).reshape(1, -1)
    found = decoded(ties, "2.75e-05", "-0.2", 0)
    expected = (11 * ties.astype(np.int64) // 20 + 1) // 2 - 2000
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("nodata", [None, -99.0])
def test_floats_that_are_not_finite_are_nodata(nodata: float | None) -> None:
    stored = np.array([[0.0, 0.12345, 9.0, -1.0, np.nan, np.inf, -99.0]], np.float64)
    expected = [0, 1235, 32767, -2000, -10000, -10000, -2000 if nodata is None else -10000]
    assert decoded(stored, "1.0", "0.0", nodata)[0].tolist() == expected
