"""Text documents of LIS 1.11 products and syntheses."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

DOI = "https://doi.org/10.24400/329360/F7Q52MNK"
"""DOI of the LIS collection."""


def lis_metadata(product_id: str, zs: str, snow_percent: float, cloud_percent: float) -> str:
    """The text of ``LIS_METADATA.XML``; percentages are written with the fewest digits that give them back."""
    indices = {"ZS": zs, "SnowPercent": repr(float(snow_percent)), "CloudPercent": repr(float(cloud_percent))}
    lines = [
        f'    <QUALITY_INDEX name="{name}">{escape(text, quote=False)}</QUALITY_INDEX>'
        for name, text in indices.items()
    ]
    return "\n".join(
        [
            "<Source_Product>",
            f"  <PRODUCT_ID>{escape(product_id, quote=False)}</PRODUCT_ID>",
            f"  <DOI>{DOI}</DOI>",
            "  <Global_Index_List>",
            *lines,
            "  </Global_Index_List>",
            "</Source_Product>",
            "",
        ]
    )


def lis_synthesis_metadata(products: Iterable[str]) -> str:
    """The text of the ``LIS_METADATA.XML`` of a synthesis: every product that was given, used or not."""
    return "\n".join(
        [
            "<METADATA>",
            f"  <DOI>{DOI}</DOI>",
            "  <INPUTS_LIST>",
            *(f"    <PRODUCT_NAME>{escape(name, quote=False)}</PRODUCT_NAME>" for name in products),
            "  </INPUTS_LIST>",
            "</METADATA>",
            "",
        ]
    )
