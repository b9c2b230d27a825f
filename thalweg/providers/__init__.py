"""Providers: one contract for every place where granules may be found, from a tree of folders to a STAC API."""

from thalweg.providers.found import Found, Granules, Wanted
from thalweg.providers.source import find_granules

__all__ = ["Found", "Granules", "Wanted", "find_granules"]
