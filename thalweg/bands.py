"""Band roles: the names by which chains ask for spectral bands, whatever the sensor."""

from __future__ import annotations

ROLES = (
    "coastal",
    "blue",
    "green",
    "red",
    "rededge071",
    "rededge075",
    "rededge078",
    "nir",
    "nir08",
    "nir09",
    "cirrus",
    "swir16",
    "swir22",
)
"""STAC common names, by wavelength."""

SENTINEL2 = {
    "B1": "coastal",
    "B2": "blue",
    "B3": "green",
    "B4": "red",
    "B5": "rededge071",
    "B6": "rededge075",
    "B7": "rededge078",
    "B8": "nir",
    "B8A": "nir08",
    "B9": "nir09",
    "B10": "cirrus",
    "B11": "swir16",
    "B12": "swir22",
}
"""Band of MSI (Sentinel-2) to role."""

OLI = {
    "B1": "coastal",
    "B2": "blue",
    "B3": "green",
    "B4": "red",
    "B5": "nir08",
    "B6": "swir16",
    "B7": "swir22",
}
"""Band of OLI (Landsat 8 and 9) to role; B8, B9 and the thermal bands are not used."""


def sentinel2_role(band: str) -> str | None:
    """Role of a Sentinel-2 band named ``B3``, ``B03`` or ``b8a``; None for an unknown name."""
    name = band.upper()
    if len(name) == 3 and name[1] == "0":
        name = "B" + name[2]
    return SENTINEL2.get(name)


PIXELS = {
    "blue": 10,
    "green": 10,
    "red": 10,
    "nir": 10,
    "rededge071": 20,
    "rededge075": 20,
    "rededge078": 20,
    "nir08": 20,
    "swir16": 20,
    "swir22": 20,
}
"""Native pixel sizes of MSI bands that MUSCATE and MAJA products keep, metres: only their ratios are relied on."""
