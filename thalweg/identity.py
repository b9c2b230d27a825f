"""Identity of a unit: what makes two products the same product."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from json.encoder import encode_basestring_ascii
from typing import Any

from thalweg.parameters import canonical_json

_MARK = "granule"


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
    identity = _identity(chain, version, parameter_digest, sorted(granules), statics, box)
    if period is not None:
        identity["period"] = period
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()


def unit_ids(
    chain: str, version: str, parameter_digest: str, statics: Mapping[str, str]
) -> Callable[[str], bytes]:
    """From the one granule of a unit on a whole tile to the 32 bytes of its `unit_id`, at a microsecond each.

    Plans have millions of them, and what stands before the granule is hashed once.
    """
    text = canonical_json(_identity(chain, version, parameter_digest, [_MARK], statics, None))
    # Keys are sorted: box and chain stand before the granules, and no value of theirs looks like them.
    before, after = text.split(f'"granules":["{_MARK}"]', 1)
    begun, rest = hashlib.sha256(f'{before}"granules":['.encode()), f"]{after}"

    def of(granule: str) -> bytes:
        sum = begun.copy()
        sum.update((encode_basestring_ascii(granule) + rest).encode())
        return sum.digest()

    return of


def _identity(
    chain: str,
    version: str,
    parameter_digest: str,
    granules: list[str],
    statics: Mapping[str, str],
    box: Iterable[float] | None,
) -> dict[str, Any]:
    return {
        "chain": chain,
        "version": version,
        "parameters": parameter_digest,
        "granules": granules,
        "statics": dict(statics),
        "box": None if box is None else [float(edge) for edge in box],
    }


def short(unit: str) -> str:
    """The first 8 digits of a unit's id, as folder names bear them."""
    return unit[:8]
