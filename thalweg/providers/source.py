"""The one door to every provider."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from thalweg.errors import BadParameters
from thalweg.providers.eodag import find_with_eodag
from thalweg.providers.folder import find_in_folder
from thalweg.providers.found import Granules, Wanted
from thalweg.providers.geoparquet import find_in_geoparquet
from thalweg.providers.place import Place
from thalweg.providers.stac_api import find_in_api


def find_granules(
    provider: str,
    at: str,
    wanted: Wanted,
    *,
    path: str | None = None,
    collections: Sequence[str] = (),
    depth: int = 4,
    match: str = "*",
) -> Granules:
    """Granules of some tiles and a period.

    `provider` is folder, stac, geoparquet or eodag; `at` its folder, address, file or name; `path` the template of
    places on disk, which all but a folder need. Raises BadParameters where the question makes no sense, else what the
    provider raises.
    """
    if provider == "folder":
        return find_in_folder(Path(at), wanted, depth, match)
    if path is None:
        raise BadParameters(
            f"inputs.path: the provider {provider!r} finds items; say where their granules lie on disk",
            advice="Such as path: archive/{tile}/{id}.SAFE; jobs have no network to fetch them.",
        )
    place = Place(path)
    if provider == "stac":
        return find_in_api(at, wanted, collections, place)
    if provider == "geoparquet":
        return find_in_geoparquet(Path(at), wanted, collections, place)
    return find_with_eodag(at, wanted, collections, place)
