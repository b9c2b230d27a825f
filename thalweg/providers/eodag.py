"""Granules through EODAG, which knows many providers; an extra, imported only here, for it takes seconds to import."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thalweg.errors import BadInput, BadParameters, ServiceUnavailable, ThalwegError
from thalweg.providers.found import Found, Granules, Wanted, table_of
from thalweg.providers.items import found_of
from thalweg.providers.place import Place
from thalweg.providers.stac_api import interval
from thalweg.settings import keep_eodag_offline


def find_with_eodag(provider: str, wanted: Wanted, collections: Sequence[str], place: Place) -> Granules:
    """Granules that EODAG's `provider` lists, at their places on disk.

    EODAG looks for nothing on the network but the search itself. Raises BadParameters where EODAG is not installed or
    no collection was named, ServiceUnavailable where the search fails.
    """
    if not collections:
        raise BadParameters("inputs.collections: EODAG needs at least one, such as S2_MSI_L2A_MAJA")
    gateway = _gateway(provider)
    start, _, end = interval(wanted.period).partition("/")
    found: dict[str, Found] = {}
    problems: list[ThalwegError] = []
    for collection in collections:
        ends = {key: text for key, text in (("start", start), ("end", end)) if text != ".."}
        for product in _search(gateway, provider, collection, ends):
            try:
                granule = found_of(product.as_dict(), place)
            except BadInput as problem:
                problems.append(problem)
                continue
            if wanted.takes(granule):
                found.setdefault(granule.path, granule)
    return Granules(table_of(found.values()), tuple(problems))


def _gateway(provider: str) -> Any:
    keep_eodag_offline()
    try:
        from eodag import EODataAccessGateway
    except ImportError as problem:
        raise BadParameters(
            f"inputs.provider = eodag: EODAG cannot be imported ({problem})",
            advice="pip install 'thalweg[eodag]'",
        ) from problem
    gateway = EODataAccessGateway()
    gateway.set_preferred_provider(provider)
    return gateway


def _search(gateway: Any, provider: str, collection: str, ends: dict[str, str]) -> Any:
    try:
        return gateway.search_all(collection=collection, provider=provider, **ends)
    except Exception as problem:  # the library has no common error
        raise ServiceUnavailable(f"EODAG, {provider}, {collection}: {problem}") from problem
