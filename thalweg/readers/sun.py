"""Sun angles as MUSCATE products, SAFE products and MAJA headers write them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from thalweg.errors import BadInput
from thalweg.granule import Sun, SunGrid
from thalweg.readers.facts import number
from thalweg.readers.xmlfile import XmlFile

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from numpy.typing import NDArray

ZENITH = (0.0, 180.0)
"""Range of a zenith angle, degrees."""

AZIMUTH = (-180.0, 360.0)
"""Range of an azimuth, degrees clockwise from north."""

_MAX_STEP = 1e6
_MAX_NODES = 1_000_000


def read_sun(xml: XmlFile, mean: tuple[str, ...], grid: tuple[str, ...]) -> Sun | None:
    """Mean angles and angle grids under the elements `mean` and `grid`; None where there is no mean.

    Raises BadInput where one angle is given without the other, is out of range, or the grids do not agree.
    """
    zenith = xml.number(*mean, "ZENITH_ANGLE", low=ZENITH[0], high=ZENITH[1])
    azimuth = xml.number(*mean, "AZIMUTH_ANGLE", low=AZIMUTH[0], high=AZIMUTH[1])
    if (zenith is None) != (azimuth is None):
        raise BadInput(f"{xml.where(*mean)}: gives one of zenith and azimuth without the other")
    if zenith is None or azimuth is None:
        return None
    return Sun(zenith, azimuth, read_sun_grid(xml, grid))


def read_sun_grid(xml: XmlFile, grid: tuple[str, ...]) -> SunGrid | None:
    """Angle grids under the element `grid`, NaN nodes kept; None where the product has none."""
    zenith, step = _nodes(xml, (*grid, "Zenith"), ZENITH)
    azimuth, other = _nodes(xml, (*grid, "Azimuth"), AZIMUTH)
    if zenith.shape != azimuth.shape or step != other:
        raise BadInput(f"{xml.where(*grid)}: the grids of zenith and azimuth differ in steps or size")
    return SunGrid(zenith, azimuth, step) if zenith.size else None


def _nodes(
    xml: XmlFile, names: tuple[str, ...], limits: tuple[float, float]
) -> tuple[NDArray[np.float64], tuple[float, float]]:
    rows = [_row(row, xml.where(*names), limits) for row in xml.elements(*names, "Values_List", "VALUES")]
    if not rows:
        return np.empty((0, 0)), (0.0, 0.0)
    if len({len(row) for row in rows}) != 1 or sum(map(len, rows)) > _MAX_NODES:
        raise BadInput(
            f"{xml.where(*names)}: the rows of the grid have different lengths or are absurdly many"
        )
    return np.array(rows, np.float64), (_step(xml, names, "ROW_STEP"), _step(xml, names, "COL_STEP"))


def _row(element: Element, where: str, limits: tuple[float, float]) -> list[float]:
    words = (element.text or "").split()
    return [math.nan if word.lower() == "nan" else number(word, where, *limits) for word in words]


def _step(xml: XmlFile, names: tuple[str, ...], which: str) -> float:
    step = xml.number(*names, which, low=1e-3, high=_MAX_STEP)
    if step is None:
        raise BadInput(f"{xml.where(*names, which)}: is missing, so that the grid has no scale")
    return step
