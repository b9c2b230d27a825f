"""What the name of a product tells: the granule as far as it can be known without opening a file."""

from __future__ import annotations

from pathlib import Path

from thalweg.errors import ThalwegError
from thalweg.granule import Granule
from thalweg.readers.listing import Listing
from thalweg.readers.opening import FORMATS


class _NoFiles:
    """A store that holds nothing, so that a reader has only the name to go by."""

    def names(self, folder: str, patterns: tuple[str, ...]) -> tuple[str, ...]:
        """No file."""
        return ()

    def path(self, name: str) -> Path:
        """Never asked for, for there are no files."""
        return Path(name)

    def fetch(self, name: str) -> Path | None:
        """No file."""
        return None


_ENDINGS = (".zip", ".tar", ".SAFE", ".DBL.DIR")


def product_of_name(name: str) -> tuple[str, str] | None:
    """Id that a product of this name has when it is opened, and the word for its format; None where no format fits."""
    for format in FORMATS:
        if format.pattern.match(name) or format.pattern.match(name.rpartition(".")[0]):
            for ending in _ENDINGS:
                name = name.removesuffix(ending)
            return name, format.word
    return None


def named_granule(path: Path) -> Granule | None:
    """The granule that a product's name describes, without bands, or None where no format has such names.

    Id, tile, time, platform, level and baseline are those that opening the product gives; nothing is read from disk.
    """
    # An archive is called as the product in it, with one more suffix.
    for name in (path.name, path.stem):
        for format in FORMATS:
            if format.pattern.match(name):
                try:
                    return format.read(Listing(name, path, _NoFiles(), name, ()))
                except ThalwegError:
                    continue
    return None
