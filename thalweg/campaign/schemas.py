"""Published JSON Schemas of the campaign file and the site file: generated from the code, tested to be fresh."""

from __future__ import annotations

import json
from pathlib import Path

from thalweg.campaign.campaign_file import Campaign
from thalweg.campaign.site_file import Site
from thalweg.record_schema import record_schema


def file_schemas() -> dict[str, str]:
    """File name to the text of the schema."""
    schemas = {
        "campaign.schema.json": record_schema(Campaign, "thalweg campaign file"),
        "site.schema.json": record_schema(Site, "thalweg site file"),
    }
    return {name: json.dumps(schema, indent=2) + "\n" for name, schema in schemas.items()}


def write_file_schemas(folder: Path) -> list[Path]:
    """Write the schemas into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in file_schemas().items():
        (folder / name).write_text(text, "utf-8")
        written.append(folder / name)
    return written
