"""Saturation told by band: a chain sees that of the bands it reads, whatever file and resolution it stands in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.granules import make_granule, write_raster
from tests.running import run_chain
from thalweg import Band, Layer, Mask, chain
from thalweg.errors import MissingInput
from thalweg.granule import Granule
from thalweg.masks import Codes, MaskFile, saturation
from thalweg.raster import Raster

ROWS, COLUMNS = 24, 18
RANDOM = np.random.default_rng(3)
FINE_BITS = {"blue": 1, "green": 2, "red": 4, "nir": 8}
COARSE_BITS = {"nir08": 8, "swir16": 16, "swir22": 32}
FINE = RANDOM.integers(0, 16, (2 * ROWS, 2 * COLUMNS)).astype(np.uint8)
COARSE = (RANDOM.integers(0, 8, (ROWS, COLUMNS)) * 8).astype(np.uint8)
OUT = Layer("out", "uint8")
BAD = Mask("bad", ("nodata", "saturated"))


def twice(values: np.ndarray) -> np.ndarray:
    return values.repeat(2, 0).repeat(2, 1)


def any_of_four(values: np.ndarray) -> np.ndarray:
    return np.asarray(values.reshape(ROWS, 2, COLUMNS, 2).any(axis=(1, 3)))


@pytest.fixture
def granule(tmp_path: Path) -> Granule:
    """A granule with a saturation mask for each of its two groups of bands, as MUSCATE has them."""
    counts = np.full((2 * ROWS, 2 * COLUMNS), 500, np.int16)
    bands = dict.fromkeys((*FINE_BITS, *COARSE_BITS), (counts, 10.0))
    r1 = write_raster(tmp_path / "sat_r1.tif", FINE, 10.0)
    r2 = write_raster(tmp_path / "sat_r2.tif", COARSE, 20.0)
    made = make_granule(tmp_path, bands)
    masks = (
        saturation("sat_r1", Raster(r1), FINE_BITS),
        saturation("sat_r2", Raster(r2), COARSE_BITS),
    )
    return Granule(**{name: getattr(made, name) for name in made.__slots__} | {"masks": masks})


def saturated(granule: Granule, roles: tuple[str, ...], size: int) -> np.ndarray:
    """Where a chain that reads these bands on pixels of this size sees saturation."""
    bands = [Band(role, size) for role in roles]

    @chain("test.bad", version="1", inputs=[*bands, BAD], outputs=[OUT], grid=size)
    def bad(scene: Any) -> Any:
        """The mask."""
        return {"out": scene.bad}

    found: np.ndarray = run_chain(bad, granule, rows=7)[0]["out"] == 2
    return found


@pytest.mark.parametrize(
    "roles", [("red", "swir16"), ("blue", "red", "nir08", "swir22"), ("green", "swir22")]
)
def test_only_the_bands_that_are_read_count(granule: Granule, roles: tuple[str, ...]) -> None:
    fine = FINE & sum(FINE_BITS.get(role, 0) for role in roles) > 0
    coarse = COARSE & sum(COARSE_BITS.get(role, 0) for role in roles) > 0
    np.testing.assert_array_equal(saturated(granule, roles, 10), fine | twice(coarse))
    np.testing.assert_array_equal(saturated(granule, roles, 20), any_of_four(fine) | coarse)


def test_bands_of_one_group_need_one_file(granule: Granule) -> None:
    granule.masks[0].raster.path.unlink()
    found = saturated(granule, ("nir08", "swir16"), 20)
    np.testing.assert_array_equal(found, COARSE & 24 > 0)
    with pytest.raises(MissingInput, match=r"sat_r1\.tif"):
        saturated(granule, ("red",), 10)


def test_a_mask_that_tells_no_bands_apart_counts_for_all(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "sat.tif", COARSE, 20.0)
    mask = MaskFile("sat", Raster(path), {"saturated": Codes(nonzero=True)})
    made = make_granule(tmp_path, {"red": (np.full((ROWS, COLUMNS), 500, np.int16), 20.0)})
    whole = Granule(**{name: getattr(made, name) for name in made.__slots__} | {"masks": (mask,)})
    np.testing.assert_array_equal(saturated(whole, ("red",), 20), COARSE > 0)


def test_seen_by_somebody_who_reads_other_bands() -> None:
    mask = saturation("sat_r1", Raster(Path("x.tif")), FINE_BITS)
    assert mask.legend["saturated"].table(16).tolist() == [code > 0 for code in range(16)]
    assert mask.seen_by(("swir16",)).legend == {}
    assert mask.seen_by(("red", "swir16")).legend == {"saturated": Codes(bits=(4,))}


def test_codes_of_two_kinds_together() -> None:
    both = Codes(values=frozenset({3})) | Codes(bits=(8,))
    assert [code for code in range(16) if both.table(16)[code]] == [3, *range(8, 16)]
    assert (both | Codes(nonzero=True)).table(4).tolist() == [False, True, True, True]
