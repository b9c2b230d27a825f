from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.kernels import naive_dswx as naive
from thalweg.kernels import dswx

SHAPE = (2, 6)
NAMES = ("WTR", "BWTR", "CONF", "WTR-1", "WTR-2", "CLOUD")
EDGES = [-9999, -700, 0, 1, 2, 899, 900, 901, 999, 1000, 1001, 1199, 1200, 1201, 1499, 1500, 2499, 2500, 2999]
COUNTS = st.one_of(st.integers(-2000, 16000), st.sampled_from([*EDGES, 3000, 3001, 16383]))
BANDS = hnp.arrays(np.int16, (6, *SHAPE), elements=COUNTS, fill=st.nothing()).map(tuple)
FMASKS = st.one_of(
    st.integers(0, 255), st.sampled_from([0, 2, 4, 8, 16, 20, 64, 96, 128, 160, 192, 224, 255])
)
BYTES = hnp.arrays(np.uint8, SHAPE, elements=FMASKS, fill=st.nothing())
LANDS = hnp.arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 21, 99, 100, 121, 199, 200, 201, 255]))
FLAGS = hnp.arrays(np.uint8, SHAPE, elements=st.integers(0, 1))


def kernel_layers(
    bands: tuple[Any, ...],
    fmask: Any,
    land: Any,
    lit: Any,
    ocean_land: Any,
    *,
    fill: int = -9999,
    fmask_fill: int = 255,
    adjacent: str = "mask",
    aerosol: bool = True,
) -> dict[str, Any]:
    reading = dswx.FmaskRules(adjacent)
    reading = reading if aerosol else reading.without_aerosol()
    ground = np.empty_like(land)
    dswx.mark_ground(land, lit, ocean_land, ground)
    diag, layers = np.empty(fmask.shape, np.uint16), np.empty((len(NAMES), *fmask.shape), np.uint8)
    rules = dswx.Rules(fmask=reading, fill=fill, fmask_fill=fmask_fill)
    dswx.classify(bands, fmask, ground, NAMES, layers, diag, rules)
    return {"DIAG": diag, **dict(zip(NAMES, layers, strict=True))}


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, layer in expected.items():
        np.testing.assert_array_equal(found[name], layer, err_msg=name)


@given(BANDS, BYTES, LANDS, FLAGS, FLAGS, st.sampled_from(dswx.ADJACENT_MODES), st.booleans())
def test_layers_equal_naive(
    bands: Any, fmask: Any, land: Any, lit: Any, ocean: Any, adjacent: str, aerosol: bool
) -> None:
    options: dict[str, Any] = {"adjacent": adjacent, "aerosol": aerosol}
    expected = naive.layers(bands, fmask, land, lit, ocean, **options)
    assert_same(kernel_layers(bands, fmask, land, lit, ocean, **options), expected)


@given(BANDS, BYTES, st.sampled_from([-9999, 0, -10000]), st.sampled_from([-1, 255, 0]))
def test_invalid_where_a_band_or_fmask_is_empty(bands: Any, fmask: Any, fill: int, fmask_fill: int) -> None:
    land, ones = np.full(SHAPE, 255, np.uint8), np.ones(SHAPE, np.uint8)
    found = kernel_layers(bands, fmask, land, ones, ones, fill=fill, fmask_fill=fmask_fill)
    empty = np.any([band == fill for band in bands], axis=0) | (fmask == fmask_fill)
    assert ((found["DIAG"] == dswx.DIAG_INVALID) == empty).all()
    assert all(((found[name] == dswx.INVALID) == empty).all() for name in NAMES)


@given(BANDS, BYTES, LANDS, FLAGS, FLAGS, st.integers(1, SHAPE[0] - 1))
def test_blocks_equal_the_whole(bands: Any, fmask: Any, land: Any, lit: Any, ocean: Any, cut: int) -> None:
    whole = kernel_layers(bands, fmask, land, lit, ocean)
    for rows in (slice(0, cut), slice(cut, None)):
        part = kernel_layers(
            tuple(band[rows] for band in bands), fmask[rows], land[rows], lit[rows], ocean[rows]
        )
        assert_same(part, {name: layer[rows] for name, layer in whole.items()})


@given(BANDS, LANDS, st.booleans())
def test_probability_is_that_of_the_inner_class(bands: Any, land: Any, partial: bool) -> None:
    percents = dswx.Probabilities.partial_as_water() if partial else dswx.Probabilities()
    clear, ones = np.zeros(SHAPE, np.uint8), np.ones(SHAPE, np.uint8)
    ground, layers = np.empty(SHAPE, np.uint8), np.empty((2, *SHAPE), np.uint8)
    dswx.mark_ground(land, ones, ones, ground)
    dswx.classify(bands, clear, ground, ["CONF", "PROB"], layers, rules=dswx.Rules(percents=percents))
    expected = {0: 5, 1: 95, 2: 80, 3: 60 if partial else 40, 4: 50 if partial else 30, 255: 255}
    np.testing.assert_array_equal(layers[1], np.vectorize(expected.get)(layers[0]))


def test_unknown_modes_and_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="mask, ignore, cover"):
        dswx.FmaskRules("cloud").classes()
    nothing = np.zeros((1, 1), np.uint8)
    bands = tuple(np.zeros((1, 1), np.int16) for _ in range(6))
    with pytest.raises(ValueError, match="WTR-3"):
        dswx.classify(bands, nothing, nothing, ["WTR-3"], np.zeros((1, 1, 1), np.uint8))


DEMS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(2, 6), st.integers(2, 7)),
    elements=st.integers(-80, 400).map(lambda q: q / 4),
)


@given(DEMS, st.floats(0, 89), st.floats(0, 360), st.sampled_from([10.0, 30.0]))
def test_light_equals_naive(dem: Any, zenith: float, azimuth: float, pixel: float) -> None:
    lit = np.empty(dem.shape, np.uint8)
    dswx.light(dem, 0, 0, lit, zenith=zenith, azimuth=azimuth, pixel=pixel)
    for i, j in np.ndindex(dem.shape):
        incidence, slope = naive.light_angles(dem, i, j, zenith, azimuth, pixel)
        if min(abs(incidence - 40), abs(slope + 5)) > 1e-6:
            assert lit[i, j] == (incidence <= 40 or slope > -5)


@given(DEMS, st.data())
def test_light_of_a_block_sees_its_neighbours(dem: Any, data: st.DataObject) -> None:
    sun = {"zenith": 60.0, "azimuth": 147.0, "pixel": 30.0}
    whole = np.empty(dem.shape, np.uint8)
    dswx.light(dem, 0, 0, whole, **sun)
    top, left = (data.draw(st.integers(0, size - 1)) for size in dem.shape)
    height, width = (
        data.draw(st.integers(1, size - at)) for size, at in zip(dem.shape, (top, left), strict=True)
    )
    block = np.empty((height, width), np.uint8)
    dswx.light(dem, top, left, block, **sun)
    np.testing.assert_array_equal(block, whole[top : top + height, left : left + width])


def test_unknown_elevations_are_lit() -> None:
    dem = np.full((3, 3), np.nan, np.float32)
    lit = np.zeros((3, 3), np.uint8)
    dswx.light(dem, 0, 0, lit, zenith=80.0, azimuth=0.0, pixel=30.0)
    assert lit.all()


@given(
    hnp.arrays(np.uint8, (9, 15), elements=st.sampled_from([0, 10, 50, 60, 80, 90, 95])),
    hnp.arrays(np.uint8, (3, 5), elements=st.sampled_from([0, 20, 50, 111, 112, 126])),
    st.sampled_from([1, 3]),
)
def test_land_classes_equal_naive(worldcover: Any, cgls: Any, water_cells: int) -> None:
    land = np.empty((3, 5), np.uint8)
    dswx.land_classes(worldcover, cgls, 21, land, dswx.LandRules(water_cells=water_cells))
    for i, j in np.ndindex(3, 5):
        cells = worldcover[3 * i : 3 * i + 3, 3 * j : 3 * j + 3]
        assert land[i, j] == naive.land_class(cells, int(cgls[i, j]), 21, water_cells)


@given(hnp.arrays(bool, (6, 7)), hnp.arrays(bool, (6, 7)), st.integers(0, 12))
def test_grow_equals_naive(seed: Any, allowed: Any, steps: int) -> None:
    grown = seed.astype(np.uint8)
    dswx.grow(grown, allowed.astype(np.uint8), steps)
    np.testing.assert_array_equal(grown != 0, naive.grown(seed, allowed, steps))


def test_fmask_of_roles_says_what_the_roles_say() -> None:
    roles = np.arange(512, dtype=np.uint16)[None]
    fmask = np.empty(roles.shape, np.uint8)
    dswx.fmask_of_roles(roles, fmask)
    for role, value in zip(roles[0].tolist(), fmask[0].tolist(), strict=True):
        bits = [(2, 2), (4, 8), (8, 16), (16, 4)]
        expected = 64 + sum(to for of, to in bits if role & of)
        assert value == (255 if role & 1 else expected)


@pytest.fixture(scope="module")
def scene(shared: Path) -> dict[str, Any]:
    folder = shared / "conformance" / "water" / "dswx" / "inputs"

    def read(pattern: str) -> Any:
        with rasterio.open(next(folder.glob(pattern))) as source:
            return source.read(1)

    bands = tuple(read(f"HLS.*.{band}.tif") for band in ("B02", "B03", "B04", "B8A", "B11", "B12"))
    lit, land = np.empty(bands[0].shape, np.uint8), np.empty(bands[0].shape, np.uint8)
    dswx.light(read("dem.tif"), 50, 50, lit, zenith=51.68, azimuth=147.0, pixel=30.0)
    dswx.land_classes(read("worldcover.tif"), read("cgls.tif"), 21, land)
    return {"bands": bands, "fmask": read("HLS.*.Fmask.tif"), "lit": lit, "land": land}


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[str, Any]:
    folder = shared / "conformance" / "water" / "dswx"
    return {**np.load(folder / "expected_default.npz"), **np.load(folder / "expected_variants.npz")}


VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "ignore": {"adjacent": "ignore"},
    "cover": {"adjacent": "cover"},
    "noaerosol": {"aerosol": False},
    "ocean": {},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_frozen_scene(scene: dict[str, Any], expected: dict[str, Any], variant: str) -> None:
    everywhere = np.ones(scene["fmask"].shape, np.uint8)
    ocean_land = expected["ocean_land_mask"] if variant == "ocean" else everywhere
    found = kernel_layers(
        scene["bands"], scene["fmask"], scene["land"], scene["lit"], ocean_land, **VARIANTS[variant]
    )
    default = {name: expected[name] for name in ("DIAG", *NAMES)}
    changed = {
        key.partition("__")[2]: layer for key, layer in expected.items() if key.startswith(f"{variant}__")
    }
    assert_same(found, {**default, **changed})


def test_frozen_light_and_land(scene: dict[str, Any], expected: dict[str, Any]) -> None:
    np.testing.assert_array_equal(scene["lit"], expected["SHAD"])
    np.testing.assert_array_equal(scene["land"], expected["LAND"])
