"""Credits: what the licences of inputs demand to be said of every product made from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from thalweg.granule import Granule

STATIC_CREDITS = {
    "dem": "Produced using Copernicus WorldDEM-30 © DLR e.V. 2010-2014 and © Airbus Defence and Space GmbH 2014-2018"
    " provided under COPERNICUS by the European Union and ESA; all rights reserved",
    "gsw_occurrence": "Global Surface Water: source EC JRC/Google",
    "tcd": "Generated using European Union's Copernicus Land Monitoring Service information",
    "worldcover": "© ESA WorldCover project / Contains modified Copernicus Sentinel data"
    " processed by ESA WorldCover consortium",
}
"""Role of a static layer to the credit of the data set that usually fills it."""


def sensor_credit(platform: str, sensed: datetime) -> str:
    """What the terms of a satellite's data demand to be said, or nothing where we know of no demand."""
    if platform.startswith(("S2", "HLS-S30")):
        return f"Contains modified Copernicus Sentinel data {sensed.year}"
    if platform in ("L8", "L9", "HLS-L30"):
        number = "" if platform == "HLS-L30" else f"-{platform[1]}"
        return f"Landsat{number} image courtesy of the U.S. Geological Survey"
    return ""


def granule_credit(granule: Granule) -> str | None:
    """What is to be said of a granule: its own credit where it has one, else that of its satellite, or None."""
    return granule.attribution or sensor_credit(granule.platform, granule.sensed) or None


def attribution(credits: Iterable[str | None]) -> str | None:
    """Credits as one text, each said once, or None where there is nothing to say."""
    return ". ".join(dict.fromkeys(filter(None, credits))) or None
