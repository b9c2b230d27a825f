"""Succession: which product of a series is superseded by which.

A series is what stays the same when a product is made anew: chain, what was asked of its parameters, tile,
acquisition, kind of input and extent. Within it, a product is superseded by one of a newer chain version from the same
granule, or by one from a newer processing baseline whose chain is not older. Everything else lives side by side.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

Key = tuple[tuple[int, int, str], ...]
"""What versions are compared by."""

_END = (1, 0, "")


@dataclass(frozen=True, slots=True)
class Member:
    """A product of a series."""

    id: str
    """Id of its item."""
    granule: str
    """Granule that it was made from."""
    version: str
    """Version of its chain."""
    baseline: str | None
    """Processing baseline of its granule, None where unknown."""


@dataclass(frozen=True, slots=True)
class Successor:
    """What came after a product."""

    next: str
    """Item that directly follows."""
    latest: str
    """Item at the end of the succession."""


def succession(members: Iterable[Member]) -> Mapping[str, Successor]:
    """Successor of each superseded product of a series, whatever the order in which they came."""
    some = list(members)
    after = {}
    for member in some:
        newer = [other for other in some if _is_superseded(member, other)]
        if newer:
            after[member.id] = _oldest(newer, member.granule).id
    return {id: Successor(next, _end(next, after)) for id, next in after.items()}


@lru_cache(1024)
def version_key(version: str) -> Key:
    """What a version is compared by: 1.10 is newer than 1.9, 1.0 than 1.0rc1, and 1.0.0 is 1.0."""
    parts = re.findall(r"\d+|[a-z]+", version.lower().partition("+")[0])
    keys = [(2, int(part), "") if part.isdecimal() else (0, -(part == "dev"), part) for part in parts]
    runs = [(numeric, list(run)) for numeric, run in groupby(keys, key=lambda key: key[0] == 2)]
    return (*(key for numeric, run in runs for key in (_without_zeros(run) if numeric else run)), _END)


def _without_zeros(numbers: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    while len(numbers) > 1 and numbers[-1][1] == 0:
        numbers = numbers[:-1]
    return numbers


def _is_superseded(member: Member, other: Member) -> bool:
    version, others_version = version_key(member.version), version_key(other.version)
    if member.granule == other.granule:
        return version < others_version
    if member.baseline is None or other.baseline is None:
        return False
    return version <= others_version and version_key(member.baseline) < version_key(other.baseline)


def _oldest(members: Iterable[Member], granule: str) -> Member:
    """The oldest of members; of several of one age that of the granule, else the first by name."""

    def age(member: Member) -> tuple[Key, Key, bool, str]:
        baseline, version = version_key(member.baseline or ""), version_key(member.version)
        return baseline, version, member.granule != granule, member.id

    return min(members, key=age)


def _end(id: str, after: Mapping[str, str]) -> str:
    while id in after:
        id = after[id]
    return id
