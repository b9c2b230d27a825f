"""Readers: from a product on disk to a granule whose rasters have not been opened yet."""

from thalweg.readers.opening import FORMS, Wanted, open_granule, opened

__all__ = ["FORMS", "Wanted", "open_granule", "opened"]
