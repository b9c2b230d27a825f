from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from thalweg.layer import Layer
from thalweg.quicklook import write_quicklook

SEB = Layer(
    "seb",
    "uint8",
    nodata=255,
    colours={
        0: (166, 150, 120, 255),
        100: (120, 200, 255, 255),
        205: (165, 165, 165, 128),
        255: (1, 2, 3, 255),
    },
)


def read(path: Path) -> tuple[NDArray[Any], Any]:
    """Bands of a PNG, and its palette if it has one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as source:
            return source.read(), source.colormap(1) if source.count == 1 else None


def test_codes_keep_their_values_and_colours(tmp_path: Path) -> None:
    path = tmp_path / "seb.png"
    values = np.random.default_rng(0).choice(np.array([0, 100, 205, 255], np.uint8), (300, 200))
    write_quicklook(path, values, SEB)
    bands, palette = read(path)
    np.testing.assert_array_equal(bands[0], values)
    for code in (0, 100, 205):
        assert palette[code] == SEB.colours[code]
    assert [palette[code][3] for code in (7, 255)] == [0, 0]
    assert [one.name for one in tmp_path.iterdir()] == ["seb.png"]


def test_ramps_are_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "fsc.png"
    layer = Layer("fsc", "uint8", colours={1: (0, 0, 0, 255), 3: (20, 40, 60, 255)}, ramp=(1, 3))
    write_quicklook(path, np.array([[1, 2, 3]], np.uint8), layer)
    assert read(path)[1][2] == (10, 20, 30, 255)


@given(shape=st.tuples(st.integers(1, 3000), st.integers(1, 3000)))
def test_no_side_exceeds_1024_and_no_code_is_invented(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, int]
) -> None:
    path = tmp_path_factory.mktemp("quicklook") / "seb.png"
    values = np.zeros(shape, np.uint8)
    values[::2, ::3] = 100
    write_quicklook(path, values, SEB)
    picture = read(path)[0][0]
    step = next(step for step in range(1, 4) if -(-max(shape) // step) <= 1024)
    np.testing.assert_array_equal(picture, values[::step, ::step])


@given(values=hnp.arrays(np.uint16, (5, 7), elements=st.integers(0, 400) | st.just(65535)))
def test_wider_types_take_the_colours_between_stops(
    tmp_path_factory: pytest.TempPathFactory, values: NDArray[np.uint16]
) -> None:
    path = tmp_path_factory.mktemp("quicklook") / "scd.png"
    low, high = (255, 255, 217, 255), (8, 29, 88, 255)
    layer = Layer(
        "scd", "uint16", nodata=65535, colours={0: low, 366: high, 400: (1, 1, 1, 9)}, ramp=(0, 366)
    )
    write_quicklook(path, values, layer)
    picture = np.moveaxis(read(path)[0], 0, -1)
    for place in np.ndindex(*values.shape):
        assert tuple(picture[place].tolist()) == naive_colour(int(values[place]), low, high)


def naive_colour(value: int, low: tuple[int, ...], high: tuple[int, ...]) -> tuple[int, ...]:
    if value == 65535:
        return (0, 0, 0, 0)
    if value == 400:
        return (1, 1, 1, 9)
    share = min(value, 366) / 366
    return tuple(int(a + (b - a) * share + 0.5) for a, b in zip(low, high, strict=True))


def test_floats_without_a_value_are_transparent(tmp_path: Path) -> None:
    path = tmp_path / "chla.png"
    layer = Layer("chla", "float32", colours={0: (0, 0, 0, 255), 10: (100, 200, 50, 255)}, ramp=(0, 10))
    write_quicklook(path, np.array([[np.nan, np.inf, 5.0, 99.0]], np.float32), layer)
    picture = np.moveaxis(read(path)[0], 0, -1)[0]
    assert picture.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [50, 100, 25, 255], [100, 200, 50, 255]]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_layers_without_colours_are_grey(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "grey.png"
    write_quicklook(path, np.array([[10, 20, 30, 99]], dtype), Layer("grey", dtype, nodata=99))
    bands, palette = read(path)
    shown = [palette[index] for index in bands[0, 0].tolist()]
    assert shown == [(0, 0, 0, 255), (128, 128, 128, 255), (255, 255, 255, 255), (0, 0, 0, 0)]


@pytest.mark.parametrize("value", [5, 99])
def test_a_single_value_is_no_error(tmp_path: Path, value: int) -> None:
    write_quicklook(tmp_path / "a.png", np.full((4, 4), value, np.int16), Layer("a", "int16", nodata=99))
    bands, palette = read(tmp_path / "a.png")
    assert palette[int(bands[0, 0, 0])][3] == (0 if value == 99 else 255)


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (400, 300), np.uint8)
    write_quicklook(tmp_path / "a.png", values, SEB)
    write_quicklook(tmp_path / "b.png", np.asfortranarray(values), SEB)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
