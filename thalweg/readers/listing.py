"""An input product as its reader sees it: a name and a list of files, in a folder or in a zip."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from thalweg.errors import BadInput
from thalweg.readers.xmlfile import XmlFile, read_xml

if TYPE_CHECKING:
    from thalweg.granule import Granule


class Store(Protocol):
    """What holds a product's files; names are relative to what holds the product, with slashes."""

    def names(self, folder: str, patterns: tuple[str, ...]) -> tuple[str, ...]:
        """Names of files under `folder`, relative to it, sorted; `patterns` say which a folder on disk need show."""
        ...

    def path(self, name: str) -> Path:
        """Where a file is, or will be once it is unpacked."""
        ...

    def fetch(self, name: str) -> Path | None:
        """Where a file is, unpacked if need be; None where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder on disk that holds products."""

    root: Path
    """The folder."""

    def names(self, folder: str, patterns: tuple[str, ...]) -> tuple[str, ...]:
        """Names that match the glob patterns; hidden files are left out, for they are no part of any product."""
        base = self.root / folder
        found = {path.relative_to(base) for pattern in patterns for path in base.glob(pattern)}
        return tuple(sorted(name.as_posix() for name in found if not name.name.startswith(".")))

    def path(self, name: str) -> Path:
        """The file itself."""
        return self.root / name

    def fetch(self, name: str) -> Path | None:
        """The file itself, where it exists."""
        path = self.root / name
        return path if path.exists() else None


@dataclass(frozen=True, slots=True)
class Listing:
    """Name and files of an input product that was recognised, not yet understood."""

    name: str
    """Name of the product with its suffix, such as ``.SAFE``."""
    given: Path
    """The folder or zip as the user gave it."""
    store: Store
    """What holds its files."""
    folder: str
    """Folder of the product in the store; empty where the files lie at the top of a zip."""
    files: tuple[str, ...]
    """Names of its files, relative to the product, with slashes."""

    def path(self, file: str) -> Path:
        """Where one of its files is, or will be."""
        return self.store.path(self._inside(file))

    def label(self, file: str) -> str:
        """How messages call one of its files."""
        return f"{self.given}/{file}"

    def groups(self, pattern: re.Pattern[str]) -> dict[tuple[str, ...], str]:
        """Files whose whole name matches, by the pattern's groups in upper case.

        Raises BadInput where two files have the same groups, for nobody can say which is meant.
        """
        found: dict[tuple[str, ...], str] = {}
        for file in self.files:
            match = pattern.fullmatch(file)
            if match is None:
                continue
            groups = tuple((group or "").upper() for group in match.groups())
            if groups in found:
                raise BadInput(
                    f"{self.given}: {found[groups]} and {file} both match, exactly one may",
                    advice="Remove the file that does not belong to the product.",
                    id="SNOW-IN-02",
                )
            found[groups] = file
        return found

    def only(self, pattern: re.Pattern[str]) -> str | None:
        """The one file that matches a pattern without groups, or None."""
        return self.groups(pattern).get(())

    def fetch(self, file: str) -> Path | None:
        """Where one of its files is, unpacked if need be; None where there is none."""
        return self.store.fetch(self._inside(file))

    def xml(self, pattern: re.Pattern[str], root: str) -> XmlFile | None:
        """The one XML file that matches, parsed, or None where there is none; `root` ends the name of its root."""
        file = self.only(pattern)
        path = self.fetch(file) if file else None
        return read_xml(path, self.label(file), root) if file and path else None

    def xml_beside(self, names: tuple[str, ...], root: str) -> XmlFile | None:
        """The first of these XML files that lies beside the product, parsed, or None."""
        for name in names:
            path = self.store.fetch(name)
            if path is not None:
                return read_xml(path, f"{self.given.parent}/{name}", root)
        return None

    def _inside(self, file: str) -> str:
        return f"{self.folder}/{file}" if self.folder else file


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of product that is recognised by its name."""

    word: str
    """What granules of it say they are, such as ``safe``."""
    pattern: re.Pattern[str]
    """Beginning of the names of such products."""
    form: str
    """What a name looks like, for messages."""
    listed: tuple[str, ...]
    """Glob patterns of the files that its reader looks at."""
    read: Callable[[Listing], Granule]
    """The reader."""
    raster: re.Pattern[str] | None = None
    """Name of one of its rasters, group 1 that of the product, where products also come as loose files."""

    def open(self, name: str, given: Path, store: Store, folder: str) -> Granule:
        """Read the product of this name."""
        return self.read(Listing(name, given, store, folder, store.names(folder, self.listed)))

    def open_loose(self, name: str, given: Path, store: Store) -> Granule:
        """Read the product of this name, whose files lie among others at the top of `store`."""
        files = tuple(file for file in store.names("", self.listed) if file.startswith(name))
        return self.read(Listing(name, given, store, "", files))

    def product_of(self, file: str) -> str | None:
        """Name of the product that a loose raster belongs to, or None for any other file."""
        match = self.raster.fullmatch(file) if self.raster else None
        return match[1] if match else None
