"""Zips, the form in which Theia and the Copernicus services hand out products."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from thalweg.readers.container import DAMAGED, Member, unreadable

_FILE_TYPES = (0, stat.S_IFREG, stat.S_IFDIR)


@dataclass(frozen=True, slots=True)
class Zip:
    """An opened zip."""

    file: zipfile.ZipFile
    """The zip as the standard library knows it."""

    def members(self, most: int) -> Sequence[Member]:
        """Its entries; the directory at the end of a zip has them all."""
        return [_member(info) for info in self.file.infolist()]

    def stream(self, member: Member) -> IO[bytes]:
        """The unpacked bytes of an entry."""
        return self.file.open(member.key)

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def open_zip(given: Path) -> Zip:
    """Open a zip; BadInput where its directory cannot be read."""
    try:
        return Zip(zipfile.ZipFile(given))
    except DAMAGED as problem:
        raise unreadable(given, "zip", problem) from None


def _member(info: zipfile.ZipInfo) -> Member:
    # zipfile cuts names at NUL and turns the system's separator into a slash: only the original tells.
    return Member(info.orig_filename, info.file_size, info.compress_size, info.is_dir(), _fault(info), info)


def _fault(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 0x1:
        return "is encrypted"
    if stat.S_IFMT(info.external_attr >> 16) not in _FILE_TYPES:
        return "is a link or a device, not a file"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is compressed by method {info.compress_type}; products use deflate"
    return ""
