"""What items and collections have in common: STAC's words for times, layers, classes and colours.

Source: STAC 1.1.0 (github.com/radiantearth/stac-spec) and its extensions (github.com/stac-extensions).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from thalweg.layer import Colour, Layer

VERSION = "1.1.0"
"""Version of STAC."""

_EXTENSIONS = "https://stac-extensions.github.io"

# Of each extension the oldest version that has the fields in use: that is the one most readers know.
EXTENSIONS: Mapping[str, str] = {
    "attribution": f"{_EXTENSIONS}/attribution/v0.1.0/schema.json",
    "classification": f"{_EXTENSIONS}/classification/v2.0.0/schema.json",
    "eo": f"{_EXTENSIONS}/eo/v1.1.0/schema.json",
    "file": f"{_EXTENSIONS}/file/v2.1.0/schema.json",
    "grid": f"{_EXTENSIONS}/grid/v1.1.0/schema.json",
    "mgrs": f"{_EXTENSIONS}/mgrs/v1.0.0/schema.json",
    "processing": f"{_EXTENSIONS}/processing/v1.2.0/schema.json",
    "proj": f"{_EXTENSIONS}/projection/v2.0.0/schema.json",
    "raster": f"{_EXTENSIONS}/raster/v2.0.0/schema.json",
    "renders": f"{_EXTENSIONS}/render/v2.0.0/schema.json",
    "sci": f"{_EXTENSIONS}/scientific/v1.0.0/schema.json",
    "version": f"{_EXTENSIONS}/version/v1.2.0/schema.json",
    "view": f"{_EXTENSIONS}/view/v1.0.0/schema.json",
}
"""Field, or prefix of fields, to the schema of its extension."""

_BYTE = 255


def extensions_of(*objects: Mapping[str, Any]) -> list[str]:
    """Schemas of the extensions whose fields the objects, and the bands in them, really have."""
    found = {key.partition(":")[0] for fields in objects for key in (*fields, *_band_keys(fields))}
    return sorted(EXTENSIONS[prefix] for prefix in found & EXTENSIONS.keys())


def _band_keys(fields: Mapping[str, Any]) -> Iterable[str]:
    return (key for band in fields.get("bands", ()) for key in band)


def rfc3339(time: datetime) -> str:
    """A time as STAC writes it: UTC with a Z, fractions of seconds only where there are any."""
    utc = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    digits = "microseconds" if utc.microsecond % 1000 else "milliseconds" if utc.microsecond else "seconds"
    return utc.isoformat(timespec=digits).removesuffix("+00:00") + "Z"


def layer_fields(layer: Layer) -> dict[str, Any]:
    """The fields of an asset that holds a layer: its band, and its classes or bits."""
    fields: dict[str, Any] = {"bands": [_band(layer)]}
    if layer.bits:
        fields["classification:bitfields"] = _bit_fields(layer)
    elif classes := _classes(layer):
        fields["classification:classes"] = classes
    return fields


def _band(layer: Layer) -> dict[str, Any]:
    band: dict[str, Any] = {"name": layer.name, "data_type": layer.dtype, "raster:sampling": "area"}
    if layer.nodata is not None:
        band["nodata"] = number(layer.nodata)
    if layer.units:
        band["unit"] = layer.units
    if (layer.scale, layer.offset) != (1.0, 0.0):
        band["raster:scale"], band["raster:offset"] = layer.scale, layer.offset
    if layer.transform:
        band["thalweg:transform"] = layer.transform
    return band


def _classes(layer: Layer) -> list[dict[str, Any]]:
    if not layer.classes:
        return []
    classes = {each.value: _class(layer, each.value, each.name, each.description) for each in layer.classes}
    if layer.nodata is not None and layer.nodata not in classes:
        value = int(layer.nodata)
        classes[value] = _class(layer, value, "nodata", "no observation")
    return [classes[value] for value in sorted(classes)]


def _class(layer: Layer, value: int, name: str, description: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"value": value, "name": machine_name(name)}
    if description:
        entry["description"] = description
    colour = layer.colours.get(value)
    if colour and colour[3]:
        entry["color_hint"] = "{:02X}{:02X}{:02X}".format(*colour)
    if value == layer.nodata:
        entry["nodata"] = True
    return entry


def _bit_fields(layer: Layer) -> list[dict[str, Any]]:
    answers = [{"value": 0, "name": "no"}, {"value": 1, "name": "yes"}]
    return [
        {"offset": bit, "length": 1, "name": machine_name(name), "description": name, "classes": answers}
        for bit, name in enumerate(layer.bits)
        if name
    ]


def render(layer: Layer) -> dict[str, Any] | None:
    """How a viewer should colour a layer, or None where the layer has no colours."""
    colours = layer.palette()
    if not colours:
        return None
    hint: dict[str, Any] = {
        "title": layer.description or layer.name,
        "assets": [layer.name],
        "resampling": "nearest",
    }
    if layer.nodata is not None:
        hint["nodata"] = number(layer.nodata)
    if layer.ramp is not None and layer.ramp[1] > _BYTE:
        hint["rescale"] = [list(layer.ramp)]
        colours = _stretched(colours, *layer.ramp)
    hint["colormap"] = {str(value): list(colour) for value, colour in sorted(colours.items())}
    return hint


def _stretched(colours: Mapping[int, Colour], low: int, high: int) -> dict[int, Colour]:
    """Colours of a byte that stands for `low` to `high`: viewers rescale to a byte before they colour."""
    return {byte: colours[low + round(byte * (high - low) / _BYTE)] for byte in range(_BYTE + 1)}


def machine_name(text: str) -> str:
    """Text reduced to the letters, digits, hyphens and underscores that names of classes may have."""
    return re.sub(r"[^0-9A-Za-z_-]+", "_", text).strip("_") or "unnamed"


def number(value: float) -> int | float | str:
    """A number as STAC writes it: whole ones without a point, those that JSON lacks as text."""
    if math.isfinite(value):
        return int(value) if value == int(value) else float(value)
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
