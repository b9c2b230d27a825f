"""JSON Schemas and reference pages of the campaign file and the site file: generated from the code, tested fresh."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from thalweg.campaign.campaign_file import Campaign
from thalweg.campaign.site_file import Site
from thalweg.record_schema import record_schema

_CAMPAIGN = """\
# The campaign file

What an operator asks for, as YAML. Every key is listed here; an unknown one is an error that names the nearest. Paths
are relative to the file, or begin with a place of the [site](site-file.md): `archive:S2/L2A`. Dates, periods and
versions need no quotes. The JSON Schema for editors is [campaign.schema.json](campaign.schema.json); examples are in
`configs/campaigns`. How to run one: [run a campaign](../guide/run-a-campaign.md).
"""
_SITE = """\
# The site file

Every fact of a computing centre, so that no campaign has to know one, as YAML. Every key has a default, that of a
workstation; an unknown key is an error that names the nearest. The JSON Schema for editors is
[site.schema.json](site.schema.json); examples are in `configs/sites`.
"""


def reference_files() -> dict[str, str]:
    """File name to text of every generated file of the reference."""
    campaign = record_schema(Campaign, "thalweg campaign file")
    site = record_schema(Site, "thalweg site file")
    return {
        "campaign.schema.json": json.dumps(campaign, indent=2) + "\n",
        "site.schema.json": json.dumps(site, indent=2) + "\n",
        "campaign-file.md": _page(_CAMPAIGN, campaign),
        "site-file.md": _page(_SITE, site),
    }


def write_reference(folder: Path) -> list[Path]:
    """Write the generated files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in reference_files().items():
        (folder / name).write_text(text, "utf-8")
        written.append(folder / name)
    return written


def _page(introduction: str, schema: Mapping[str, Any]) -> str:
    return "\n".join([introduction, *_section("", schema)]) + "\n"


def _section(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """A table of the fields of a mapping, then those of the mappings in it."""
    if name:
        yield f"\n## {name}\n"
    yield "| key | holds | default | meaning |"
    yield "|---|---|---|---|"
    required = schema.get("required", ())
    inner = []
    for key, field in schema["properties"].items():
        below = _mapping_in(field)
        if below:
            inner.append((f"{name}.{key}".lstrip("."), below))
        default = "needed" if key in required else _default(field)
        yield f"| `{key}` | {_kind(field)} | {default} | {field['description'].replace('|', '/').replace('``', '`')} |"
    for full, below in inner:
        yield from _section(full, below)


def _mapping_in(field: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The mapping with known keys that a field holds, itself or as items of a list."""
    for each in (field, field.get("items", {})):
        if "properties" in each:
            found: Mapping[str, Any] = each
            return found
    return None


def _kind(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{choice}`" for choice in field["enum"])
    if "anyOf" in field:
        return _kind(field["anyOf"][0])
    if field.get("type") == "array":
        return f"list of {_kind(field['items'])}"
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    return words.get(field.get("type", ""), "mapping")


def _default(field: Mapping[str, Any]) -> str:
    value = field.get("default")
    return "" if value in (None, "", [], {}) else f"`{value}`"
