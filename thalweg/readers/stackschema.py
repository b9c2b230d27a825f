"""JSON Schema of the raster-stack YAML, for editors; published as docs/reference/raster-stack.schema.json."""

from __future__ import annotations

from typing import Any

from thalweg.bands import ROLES
from thalweg.masks import MEANINGS
from thalweg.readers.stack import BAND_KEYS, LEVELS, MASK_KEYS, NAME, TOP_KEYS, VARIABLE
from thalweg.readers.sun import AZIMUTH, ZENITH

_NUMBER = {"type": "number"}
_COUNT = {"type": "integer", "minimum": 1}
_BAND, _MASK, _CODES = ({"$ref": f"#/$defs/{name}"} for name in ("band", "mask", "codes"))
_KEYS: dict[str, dict[str, Any]] = {
    "level": {"enum": list(LEVELS), "description": "L1C top of atmosphere, L2A surface, Rrs remote sensing"},
    "time": {"type": "string", "description": "start of sensing, ISO 8601; UTC where no zone is given"},
    "tile": {"type": "string", "description": "MGRS tile, such as 31TCH"},
    "site": {
        "type": "string",
        "pattern": f"^{NAME.pattern}$",
        "description": "name of a place off the MGRS grid",
    },
    "platform": {"type": "string", "pattern": f"^{NAME.pattern}$", "description": "such as S2A"},
    "file": {"type": "string", "description": "raster file, relative to this YAML or absolute"},
    "variable": {
        "type": "string",
        "pattern": f"^{VARIABLE.pattern}$",
        "description": "variable of a NetCDF file",
    },
    "band": {**_COUNT, "description": "band number in the file, from 1"},
    "scale": {**_NUMBER, "exclusiveMinimum": 0, "description": "reflectance = stored x scale + offset"},
    "offset": {**_NUMBER, "description": "added after scaling"},
    "nodata": {"type": ["number", "string"], "description": "stored number without data; nan is one"},
    "resolution": {**_COUNT, "description": "metres, where a role has several files"},
    "attribution": {"type": "string", "description": "credit that the data ask for"},
}


def stack_schema() -> dict[str, Any]:
    """The schema; unknown keys are refused as the reader refuses them."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "thalweg raster stack",
        **_object(TOP_KEYS, _sections(), "level", "time", "bands"),
        "not": {"required": ["tile", "site"]},
        "$defs": _definitions(),
    }


def _sections() -> dict[str, Any]:
    several = {"$ref": "#/$defs/bands"}
    zenith, azimuth = ({**_NUMBER, "minimum": low, "maximum": high} for low, high in (ZENITH, AZIMUTH))
    return {
        "bands": {**_object(ROLES, dict.fromkeys(ROLES, several)), "minProperties": 1},
        "masks": {"anyOf": [_MASK, {"type": "array", "items": _MASK}]},
        "sun": _object(("zenith", "azimuth"), {"zenith": zenith, "azimuth": azimuth}, "zenith", "azimuth"),
    }


def _definitions() -> dict[str, Any]:
    list_of_codes = {
        "type": "array",
        "items": {"type": "integer", "minimum": 0, "maximum": 65535},
        "minItems": 1,
    }
    bits = _object(("bits",), {"bits": list_of_codes}, "bits")
    meanings = {**_object(MEANINGS, dict.fromkeys(MEANINGS, _CODES)), "minProperties": 1}
    return {
        "band": _object(BAND_KEYS, {}),
        "bands": {"anyOf": [_BAND, {"type": "array", "items": _BAND, "minItems": 1}]},
        "mask": _object(MASK_KEYS, {"meanings": meanings}, "meanings"),
        "codes": {"anyOf": [list_of_codes, {"const": "nonzero"}, bits]},
    }


def _object(keys: tuple[str, ...], values: dict[str, Any], *required: str) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {key: values.get(key) or _KEYS[key] for key in keys},
        "additionalProperties": False,
    }
    return {**schema, "required": list(required)} if required else schema
