"""Identity of a unit: what makes two products the same product."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from thalweg.parameters import canonical_json


def unit_id(
    chain: str,
    version: str,
    parameter_digest: str,
    granules: Iterable[str],
    statics: Mapping[str, str],
    box: Iterable[float] | None = None,
    period: str | None = None,
) -> str:
    """SHA-256 over chain, version, parameters, granules, static layers (role to digest) and the part of the tile.

    `granules` are names, of a synthesis what it counts of each product; `period` is that of a synthesis, else None.
    `box` is west, south, east, north in degrees, None for the whole tile. Nothing that depends on what ran before,
    where or when enters: same id, same product.
    """
    identity: dict[str, object] = {
        "chain": chain,
        "version": version,
        "parameters": parameter_digest,
        "granules": sorted(granules),
        "statics": dict(statics),
        "box": None if box is None else [float(edge) for edge in box],
    }
    if period is not None:
        identity["period"] = period
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()


def short(unit: str) -> str:
    """The first 8 digits of a unit's id, as folder names bear them."""
    return unit[:8]
