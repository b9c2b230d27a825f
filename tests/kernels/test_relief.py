from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.kernels import naive_relief as naive
from thalweg.kernels import relief

PIXEL = 20.0
SHAPES = st.tuples(st.integers(1, 11), st.integers(1, 11))
HEIGHTS = st.one_of(st.integers(400, 700), st.integers(400, 1500))
ZENITHS = st.one_of(st.floats(0, 80), st.sampled_from([0.0, 45.0, 60.0]))
AZIMUTHS = st.one_of(st.floats(0, 360), st.sampled_from([0.0, 90.0, 135.0, 180.0, 225.0, 270.0]))


def dems(values: st.SearchStrategy[int] = HEIGHTS) -> st.SearchStrategy[np.ndarray]:
    return SHAPES.flatmap(lambda shape: hnp.arrays(np.int16, shape, elements=values))


def cast(
    dem: np.ndarray,
    zenith: float,
    azimuth: float,
    nodata: int | None = None,
    height: int = 1000,
    candidate: np.ndarray | None = None,
    window: tuple[int, int, int, int] | None = None,
) -> np.ndarray:
    """Shadow of `window` (row, column, rows, columns; else all), by strips of `height` rows."""
    ground = relief.terrain(dem, nodata)
    ray = relief.sun_ray(azimuth, relief.reach(ground, PIXEL, zenith), PIXEL, dem.shape)
    rises = relief.rises(ray, relief.sun_tangent(zenith))
    row, column, rows, columns = window or (0, 0, *dem.shape)
    out = np.full((rows, columns), 9, np.uint8)
    for top in range(0, rows, height):
        part = slice(top, top + height)
        asked = None if candidate is None else candidate[part]
        relief.cast_shadow(*ground, row + top, column, ray.rows, ray.columns, rises, asked, out[part])
    return out


def exact(dem: np.ndarray, zenith: float, azimuth: float, nodata: int | None = None) -> np.ndarray:
    angles = np.full(dem.shape, zenith), np.full(dem.shape, azimuth)
    return naive.shadow(dem, nodata, PIXEL, angles[0], zenith, angles[1])


@given(dems(), ZENITHS, AZIMUTHS, st.integers(1, 15))
def test_shadow_equals_naive(dem: np.ndarray, zenith: float, azimuth: float, height: int) -> None:
    np.testing.assert_array_equal(cast(dem, zenith, azimuth, height=height), exact(dem, zenith, azimuth))


@settings(max_examples=30)
@given(st.sampled_from([-32768, 32767]), st.booleans(), st.floats(0, 60), AZIMUTHS, st.data())
def test_shadow_under_stored_nodata_equals_naive(
    value: int, declared: bool, zenith: float, azimuth: float, data: st.DataObject
) -> None:
    dem = data.draw(hnp.arrays(np.int16, (4, 5), elements=st.one_of(HEIGHTS, st.just(value))))
    nodata = value if declared else None
    assume(nodata is None or (dem != nodata).any())
    np.testing.assert_array_equal(cast(dem, zenith, azimuth, nodata), exact(dem, zenith, azimuth, nodata))


@given(dems(), ZENITHS, AZIMUTHS, st.data())
def test_candidates_and_windows_only_leave_out(
    dem: np.ndarray, zenith: float, azimuth: float, data: st.DataObject
) -> None:
    row, column = (data.draw(st.integers(0, size - 1)) for size in dem.shape)
    window = (row, column, dem.shape[0] - row, dem.shape[1] - column)
    candidate = data.draw(hnp.arrays(np.uint8, window[2:], elements=st.sampled_from([0, 1, 255])))
    whole = cast(dem, zenith, azimuth)[row:, column:]
    part = cast(dem, zenith, azimuth, height=3, candidate=candidate, window=window)
    np.testing.assert_array_equal(part, np.where(candidate != 0, whole, 0))


@pytest.mark.parametrize(("zenith", "azimuth"), [(55.0, 157.3), (75.0, 20.0), (70.0, 300.0)])
def test_terrain_of_many_blocks_equals_naive(zenith: float, azimuth: float) -> None:
    dem = mountains((relief.CELL + 5, relief.BLOCK + 9))
    whole = cast(dem, zenith, azimuth)
    np.testing.assert_array_equal(whole, exact(dem, zenith, azimuth))
    assert 0.02 < whole.mean() < 0.9
    np.testing.assert_array_equal(whole, cast(dem, zenith, azimuth, height=7))


def mountains(shape: tuple[int, int]) -> np.ndarray:
    random = np.random.default_rng(5)
    rows, columns = np.indices(shape)
    waves = [random.uniform(0.05, 0.6, 2) for _ in range(8)]
    height = sum(np.abs(np.sin(a * rows + b * columns)) / (a + b) for a, b in waves)
    return (400 + 60 * np.asarray(height)).astype(np.int16)


@given(st.integers(-400, 8000), SHAPES, ZENITHS, AZIMUTHS)
def test_flat_land_casts_no_shadow(z: int, shape: tuple[int, int], zenith: float, azimuth: float) -> None:
    assert not cast(np.full(shape, z, np.int16), zenith, azimuth).any()


@given(dems(), ZENITHS, AZIMUTHS, st.integers(-400, 5000))
def test_a_constant_changes_nothing(dem: np.ndarray, zenith: float, azimuth: float, more: int) -> None:
    raised = (dem + more).astype(np.int16)
    np.testing.assert_array_equal(cast(dem, zenith, azimuth), cast(raised, zenith, azimuth))


@given(dems(), ZENITHS, AZIMUTHS, st.floats(0, 4))
def test_a_lower_sun_casts_more_shadow(dem: np.ndarray, zenith: float, azimuth: float, lower: float) -> None:
    assert (cast(dem, zenith, azimuth) <= cast(dem, zenith + lower, azimuth)).all()


@given(dems(), ZENITHS, st.floats(0, 360))
def test_turning_terrain_and_sun_turns_the_shadow(dem: np.ndarray, zenith: float, azimuth: float) -> None:
    # On the diagonals, and where rounding of a turned angle decides a step, rays may turn otherwise.
    assume(
        all(abs(math.tan(math.radians(azimuth + turn))) < 0.98 for turn in (0, 180)) and azimuth % 90 > 0.01
    )
    turned = np.ascontiguousarray(np.rot90(dem, -1))
    ground = relief.terrain(dem, None)
    pixels = relief.reach(ground, PIXEL, zenith)
    rays = [relief.sun_ray(a, pixels, PIXEL, (99, 99)) for a in (azimuth, azimuth + 90)]
    assume(np.array_equal(rays[0].rows, rays[1].columns) and np.array_equal(rays[0].columns, -rays[1].rows))
    np.testing.assert_array_equal(
        np.rot90(cast(dem, zenith, azimuth), -1), cast(turned, zenith, azimuth + 90)
    )


@given(dems(st.one_of(HEIGHTS, st.just(-9))), ZENITHS, AZIMUTHS, st.sampled_from([-32768, 32767, 0, 5000]))
def test_the_stored_nodata_value_never_matters(
    dem: np.ndarray, zenith: float, azimuth: float, value: int
) -> None:
    assume((dem != -9).any() and not (dem == value).any())
    other = np.where(dem == -9, value, dem).astype(np.int16)
    np.testing.assert_array_equal(cast(dem, zenith, azimuth, -9), cast(other, zenith, azimuth, value))


def test_terrain_without_data_is_refused() -> None:
    with pytest.raises(ValueError, match="no valid pixel"):
        relief.terrain(np.full((3, 3), -32768, np.int16), -32768)


@given(AZIMUTHS, st.integers(0, 300))
def test_a_ray_inside_the_terrain_is_whole(azimuth: float, pixels: int) -> None:
    ray = relief.sun_ray(azimuth, pixels, PIXEL, (1000, 1000))
    steps = naive.ray(azimuth, pixels)
    assert list(zip(ray.rows.tolist(), ray.columns.tolist(), strict=True)) == [(x, y) for x, y, _ in steps]
    assert ray.distances.tolist() == [float(np.float32(far * PIXEL)) for *_, far in steps]


@given(AZIMUTHS, st.integers(0, 100_000), SHAPES)
def test_a_long_ray_has_no_more_steps_than_the_terrain_has_edges(
    azimuth: float, pixels: int, shape: tuple[int, int]
) -> None:
    assert relief.sun_ray(azimuth, pixels, PIXEL, shape).rows.size <= sum(shape) + 2


@given(AZIMUTHS, st.integers(1, 400), st.floats(1e-3, 50))
def test_rises_are_the_least_that_hide_the_sun(azimuth: float, pixels: int, tangent: float) -> None:
    ray = relief.sun_ray(azimuth, pixels, PIXEL, (1000, 1000))
    for rise, distance in zip(relief.rises(ray, tangent).tolist(), ray.distances, strict=True):
        assert float(np.float32(rise) / distance) > tangent
        assert float(np.float32(rise - 1) / distance) <= tangent


STEPS = (60.0, 50.0)


@given(
    dems(st.one_of(HEIGHTS, st.just(-9))),
    hnp.arrays(float, (3, 4), elements=st.floats(20, 80)),
    hnp.arrays(float, (4, 3), elements=st.floats(0, 360)),
    st.integers(0, 4),
    st.booleans(),
    st.data(),
)
def test_a_sun_that_differs_over_the_tile_equals_naive(
    dem: np.ndarray,
    zeniths: np.ndarray,
    azimuths: np.ndarray,
    margin: int,
    all_pixels: bool,
    data: st.DataObject,
) -> None:
    assume((dem != -9).any())
    zenith, azimuth = np.empty(dem.shape), np.empty(dem.shape)
    for i, j in np.ndindex(dem.shape):
        zenith[i, j] = naive.bilinear(zeniths, STEPS, PIXEL, i - margin, j - margin)
        azimuth[i, j] = naive.node(azimuths, STEPS, PIXEL, i - margin, j - margin)
    whole = naive.shadow(dem, -9, PIXEL, zenith, float(zeniths.max()), azimuth)
    candidate = np.ones(dem.shape, np.uint8)
    if not all_pixels:
        candidate = data.draw(hnp.arrays(np.uint8, dem.shape, elements=st.sampled_from([0, 1])))
    made = cast_grid(dem, zeniths, azimuths, margin, None if all_pixels else candidate)
    np.testing.assert_array_equal(made, whole & (candidate != 0))


def cast_grid(
    dem: np.ndarray, zeniths: np.ndarray, azimuths: np.ndarray, margin: int, candidate: np.ndarray | None
) -> np.ndarray:
    """Shadow of a terrain that begins `margin` pixels before the tile, by strips of three rows."""
    ground = relief.terrain(dem, -9)
    pixels = relief.reach(ground, PIXEL, float(zeniths.max()))
    rays = relief.sun_grid(azimuths, pixels, PIXEL, dem.shape)
    out = np.full(dem.shape, 9, np.uint8)
    for top in range(0, dem.shape[0], 3):
        part = out[top : top + 3]
        relief.cast_shadow_grid(
            ground.elevation,
            ground.heights,
            top,
            0,
            *rays,
            relief.nearest_nodes(top - margin, part.shape[0], PIXEL, STEPS[0], azimuths.shape[0]),
            relief.nearest_nodes(-margin, part.shape[1], PIXEL, STEPS[1], azimuths.shape[1]),
            azimuths.shape[1],
            relief.tangents(zeniths, (top - margin, -margin), part.shape, PIXEL, STEPS),
            None if candidate is None else candidate[top : top + 3],
            part,
        )
    return out
