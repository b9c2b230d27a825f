"""Tars without compression, the form in which USGS hands out Landsat products."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path
from typing import IO

from thalweg.errors import BadInput
from thalweg.readers.container import DAMAGED, Member, unreadable

_LONGEST_READ = 2 * 2**20


class Sips(BufferedReader):
    """A file that is read in sips: the standard library takes a header of any declared size in one gulp."""

    def read(self, size: int | None = -1, /) -> bytes:
        """At most 2 MB, more than any header holds and any copy asks for; ValueError beyond."""
        if size is None or not 0 <= size <= _LONGEST_READ:
            raise ValueError(f"a header of {(size or 0) >> 20} MB")
        return super().read(size)


@dataclass(frozen=True, slots=True)
class Tar:
    """An opened tar."""

    given: Path
    """The tar as the user gave it."""
    sips: Sips
    """Its bytes."""
    file: tarfile.TarFile
    """The tar as the standard library knows it."""

    def members(self, most: int) -> Sequence[Member]:
        """Its entries; BadInput where a header is damaged or the end is missing, as after a broken download."""
        found: list[Member] = []
        try:
            while len(found) <= most and (info := self.file.next()) is not None:
                found.append(_member(info))
        except DAMAGED as problem:
            raise unreadable(self.given, "tar", problem) from None
        if len(found) <= most:
            self._check_end()
        return found

    def stream(self, member: Member) -> IO[bytes]:
        """The bytes of an entry."""
        stream = self.file.extractfile(member.key)
        if stream is None:
            raise ValueError("holds nothing")
        return stream

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        self.sips.close()

    def _check_end(self) -> None:
        """A tar ends with blocks of zeros; the standard library also stops at the first header it cannot read."""
        self.sips.seek(self.file.offset)
        block = self.sips.read(tarfile.BLOCKSIZE)
        if len(block) < tarfile.BLOCKSIZE or any(block):
            raise BadInput(f"{self.given}: is cut or damaged at byte {self.file.offset}")


def open_tar(given: Path) -> Tar:
    """Open a tar that is not compressed; BadInput where its first header cannot be read."""
    sips = Sips(FileIO(given))
    try:
        return Tar(given, sips, tarfile.open(given, "r:", sips))
    except DAMAGED as problem:
        sips.close()
        raise unreadable(given, "tar", problem) from None


def _member(info: tarfile.TarInfo) -> Member:
    return Member(info.name, info.size, info.size, info.isdir(), _fault(info), info)


def _fault(info: tarfile.TarInfo) -> str:
    if info.issparse():
        return "is sparse: it declares bytes that are not there"
    if not info.isreg() and not info.isdir():
        return "is a link or a device, not a file"
    return "declares a negative size" if info.size < 0 else ""
