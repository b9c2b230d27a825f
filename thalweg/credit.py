"""Credits: what the licences of inputs demand to be said of every product made from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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


def granule_credit(granule: Granule) -> str | None:
    """The credit of a granule's sensor, or None where we know of none to give."""
    if granule.platform.startswith("S2"):
        return f"Contains modified Copernicus Sentinel data {granule.sensed.year}"
    if granule.platform in ("L8", "L9"):
        return f"Landsat-{granule.platform[1]} image courtesy of the U.S. Geological Survey"
    return None


def attribution(credits: Iterable[str | None]) -> str | None:
    """Credits as one text, each said once, or None where there is nothing to say."""
    return ". ".join(dict.fromkeys(filter(None, credits))) or None
