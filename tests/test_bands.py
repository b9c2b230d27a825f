"""Band roles and what a chain may ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from thalweg.bands import OLI, ROLES, SENTINEL2, sentinel2_role
from thalweg.errors import BadParameters
from thalweg.inputs import Band, Mask


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("B3", "green"),
        ("B03", "green"),
        ("b8a", "nir08"),
        ("B8", "nir"),
        ("B12", "swir22"),
        ("B1", "coastal"),
    ],
)
def test_a_band_is_known_by_any_spelling(name: str, role: str) -> None:
    assert sentinel2_role(name) == role


@pytest.mark.parametrize("name", ["B13", "", "B", "SCL", "B003", "8A"])
def test_other_names_have_no_role(name: str) -> None:
    assert sentinel2_role(name) is None


def test_sensors_speak_of_known_roles() -> None:
    assert set(SENTINEL2.values()) == set(ROLES)
    assert set(OLI.values()) < set(ROLES)


@pytest.mark.parametrize(
    ("declare", "words"),
    [
        (lambda: Band("swir"), "'swir'.*swir16"),
        (lambda: Band("red", reduce="cubic"), "cubic.*counts"),
        (lambda: Mask("m", ("clouds",)), "'clouds'"),
        (lambda: Mask("m", ()), "1 to 16"),
        (lambda: Mask("m", ("cloud",) * 17), "1 to 16"),
    ],
)
def test_inputs_that_no_granule_can_have_are_refused(declare: Callable[[], Any], words: str) -> None:
    with pytest.raises(BadParameters, match=words):
        declare()
