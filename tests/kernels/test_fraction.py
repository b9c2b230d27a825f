from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.kernels import naive_fraction as naive
from thalweg.kernels import fraction, snow

SHAPE = (4, 23)
CODES = [0, 100, 100, 205, 210, 255]
CURVE = (2.65, -1.42, 25.0, 50.0)


def bytes_of(values: st.SearchStrategy[int]) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.uint8, SHAPE, elements=values)


SEB = bytes_of(st.sampled_from(CODES))
ODD = st.sampled_from([0, 1, -1, -60, -10000, 60, 32767, -32768])
COUNTS = hnp.arrays(np.int16, SHAPE, elements=st.one_of(st.integers(0, 12000), ODD))
BYTES = bytes_of(st.integers(0, 255))
PERCENTS = bytes_of(st.integers(0, 100))
STATES = hnp.arrays(np.uint16, SHAPE, elements=st.integers(0, 65535))


def layer() -> np.ndarray:
    return np.empty(SHAPE, np.uint8)


@given(SEB, COUNTS, COUNTS, STATES, BYTES)
def test_lis_layers_equal_naive(
    seb: np.ndarray, green: np.ndarray, swir: np.ndarray, state: np.ndarray, tcd: np.ndarray
) -> None:
    ndsi, toc, hs, og = layer(), layer(), layer(), layer()
    fraction.ndsi_lis(seb, green, swir, ndsi)
    np.testing.assert_array_equal(ndsi, naive.ndsi_lis(seb, green, swir))
    fraction.fsc_toc_lis(seb, ndsi, fraction.toc_table(2.65, -1.42), toc)
    np.testing.assert_array_equal(toc, naive.toc_lis(seb, ndsi, 2.65, -1.42))
    fraction.fsc_toc_hs_lis(state, toc, hs)
    np.testing.assert_array_equal(hs, np.where(state & snow.UNCALIBRATED, 100, toc))
    fraction.fsc_og_lis(seb, hs, tcd, fraction.og_table(), og)
    np.testing.assert_array_equal(og, naive.og_lis(seb, hs, tcd))


@given(STATES, SEB, BYTES, BYTES, BYTES, st.booleans(), st.booleans())
def test_flags_equal_naive(
    state: np.ndarray,
    seb: np.ndarray,
    slope: np.ndarray,
    tcd: np.ndarray,
    hs: np.ndarray,
    sloped: bool,
    treed: bool,
) -> None:
    water, shaded = (state & snow.INLAND) != 0, (state & snow.SHADED) != 0
    blind = (state & snow.UNCALIBRATED) != 0
    seen, trees = slope if sloped else None, tcd if treed else None
    flags = layer()
    fraction.qcflags(state, seen, trees, seb, flags)
    hidden = ((state & snow.ANY_CLOUD) != 0) & (seb == 100)
    np.testing.assert_array_equal(flags, naive.flags(seen, water, trees, hidden, shaded, blind))
    fraction.qcflags_lis(state, seen, tcd, hs, flags)
    hidden = ((state & snow.MARKED) != 0) & (hs >= 1) & (hs <= 100)
    np.testing.assert_array_equal(flags, naive.flags(seen, water, tcd, hidden, shaded, 0 * blind))


@given(BYTES, BYTES, SEB)
def test_qualities_equal_naive(flags: np.ndarray, tcd: np.ndarray, codes: np.ndarray) -> None:
    out = layer()
    fraction.qc_toc(flags, codes, fraction.qc_toc_table(), out)
    np.testing.assert_array_equal(out, naive.keep_codes(naive.qc_toc(flags), codes))
    fraction.qc_og(flags, tcd, codes, fraction.qc_og_table(), out)
    np.testing.assert_array_equal(out, naive.keep_codes(naive.qc_og(flags, tcd), codes))


@given(
    SEB,
    COUNTS,
    COUNTS,
    STATES,
    BYTES,
    st.sampled_from([CURVE, (1.45, -0.01, 25.0, 50.0), (40.0, -10.0, 12.5, 99.6), (-3.0, 1.0, 0.0, 100.0)]),
    st.sampled_from([90.0, 0.0, 99.0]),
    st.sampled_from([0.1, 0.0, 1.0]),
)
def test_fractions_equal_naive(
    seb: np.ndarray,
    green: np.ndarray,
    swir: np.ndarray,
    state: np.ndarray,
    tcd: np.ndarray,
    curve: tuple[float, float, float, float],
    cap: float,
    sigma: float,
) -> None:
    a, b, rmse, rmse_shaded = curve
    blind = (state & snow.UNCALIBRATED) != 0
    exact = naive.default_layers(
        seb, green, swir, blind, tcd, a=a, b=b, rmse=rmse, rmse_shaded=rmse_shaded, cap=cap, sigma=sigma
    )
    made = {name: layer() for name in exact}
    canopy = fraction.canopy_table(cap, sigma)
    fraction.fractions(state, seb, green, swir, tcd, canopy, curve, *made.values())
    for name in ("ndsi", "toc_error"):
        np.testing.assert_array_equal(made[name], naive.half_up(exact[name]), err_msg=name)
    for name in ("toc", "og", "og_error"):
        # A value that lies on a half, to the last bits of float64, may go either way.
        assert (np.abs(made[name] - exact[name]) <= 0.5 + 1e-9).all(), name
    alone = {name: layer() for name in ("ndsi", "toc", "toc_error")}
    fraction.fractions(state, seb, green, swir, None, canopy, curve, *alone.values(), None, None)
    for name, values in alone.items():
        np.testing.assert_array_equal(values, made[name])


@given(PERCENTS, PERCENTS, COUNTS, STATES)
def test_ground_fraction_grows_with_trees_and_is_the_same_without(
    tcd: np.ndarray, more: np.ndarray, green: np.ndarray, state: np.ndarray
) -> None:
    seb, swir = np.full(SHAPE, 100, np.uint8), np.full(SHAPE, 900, np.int16)
    denser = np.maximum(tcd, more)

    def ground(trees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        layers = [layer() for _ in range(5)]
        fraction.fractions(state, seb, green, swir, trees, fraction.canopy_table(90, 0.1), CURVE, *layers)
        return layers[1], layers[3]

    assert (ground(tcd)[1] <= ground(denser)[1]).all()
    for trees in (0, 101, 255):
        toc, og = ground(np.full(SHAPE, trees, np.uint8))
        np.testing.assert_array_equal(toc, og)


def test_a_row_longer_than_a_stretch_is_one_row() -> None:
    random = np.random.default_rng(3)
    shape = (3, 2 * fraction.STRETCH + 77)
    seb = random.choice(np.array(CODES, np.uint8), shape)
    green, swir = (random.integers(1, 9000, shape).astype(np.int16) for _ in range(2))
    tcd, state = (
        random.integers(0, 120, shape).astype(np.uint8),
        random.integers(0, 65536, shape).astype(np.uint16),
    )
    whole, parts = ([np.empty(shape, np.uint8) for _ in range(5)] for _ in range(2))
    canopy = fraction.canopy_table(90, 0.1)
    fraction.fractions(state, seb, green, swir, tcd, canopy, CURVE, *whole)
    for i in range(shape[0]):
        for j in range(0, shape[1], 100):
            part = (slice(i, i + 1), slice(j, j + 100))
            cut = [np.ascontiguousarray(array[part]) for array in (state, seb, green, swir, tcd, *parts)]
            fraction.fractions(*cut[:5], canopy, CURVE, *cut[5:])
            for target, values in zip(parts, cut[5:], strict=True):
                target[part] = values
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)


@given(st.floats(-800, 800))
def test_sigmoid_is_half_a_hyperbolic_tangent(x: float) -> None:
    assert fraction.sigmoid(x) == pytest.approx(0.5 * math.tanh(x) + 0.5, abs=3e-14)


def test_tables_equal_the_vectors(shared: Path) -> None:
    vectors = shared / "conformance" / "snow" / "vectors"
    toc = json.loads((vectors / "toc.json").read_text())
    assert fraction.toc_table(2.65, -1.42).tolist() == toc["fsc_toc_from_ndsi_byte"]
    with np.load(vectors / "fsc_og_table.npz") as file:
        np.testing.assert_array_equal(fraction.og_table()[:101], file["og"])
    bits = json.loads((vectors / "bits_qc.json").read_text())
    assert fraction.qc_toc_table()[:128].tolist() == bits["qctoc_by_qcflags_0_127"]
    table = fraction.qc_og_table()
    for vector in bits["qcog_fixed"]:
        assert table[vector["qcflags"], vector["tcd"]] == vector["expected"], vector


def test_ndsi_bytes_equal_the_vectors(shared: Path) -> None:
    file = shared / "conformance" / "snow" / "vectors" / "ndsi.json"
    vectors = np.array(json.loads(file.read_text())["vectors"])
    green, swir = (np.ascontiguousarray(vectors[None, :, n].astype(np.int16)) for n in range(2))
    out = np.empty(green.shape, np.uint8)
    fraction.ndsi_lis(np.full(green.shape, 100, np.uint8), green, swir, out)
    assert out[0].tolist() == vectors[:, 2].tolist()


DIGEST = """
import hashlib, numpy as np
from thalweg.kernels import fraction
random = np.random.default_rng(7)
shape = (64, 1500)
green, swir = (random.integers(-50, 12000, shape).astype(np.int16) for _ in range(2))
seb, tcd = np.full(shape, 100, np.uint8), random.integers(0, 120, shape).astype(np.uint8)
state = random.integers(0, 65536, shape).astype(np.uint16)
layers = [np.empty(shape, np.uint8) for _ in range(5)]
fraction.fractions(state, seb, green, swir, tcd, fraction.canopy_table(90, 0.1), (2.65, -1.42, 25.0, 50.0), *layers)
print(hashlib.sha256(b"".join(layer.tobytes() for layer in layers)).hexdigest())
"""


def test_no_kind_of_cpu_changes_a_byte(tmp_path: Path) -> None:
    digests = {digest_on(cpu, tmp_path) for cpu in (None, "generic")}
    assert len(digests) == 1


def digest_on(cpu: str | None, cache: Path) -> str:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    if cpu:
        environment |= {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""}
    done = subprocess.run(
        [sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
