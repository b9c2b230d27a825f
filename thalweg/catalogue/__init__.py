"""The embedded catalogue: finds products by tile, time and place, and knows which units ended without one."""

from thalweg.catalogue.answer import Found
from thalweg.catalogue.entry import Ending
from thalweg.catalogue.publication import Published, publish
from thalweg.catalogue.rebuilding import Rebuilt, rebuild
from thalweg.catalogue.store import NAME, Catalogue
from thalweg.period import Period

__all__ = ["NAME", "Catalogue", "Ending", "Found", "Period", "Published", "Rebuilt", "publish", "rebuild"]
