"""What zips and tars have in common: entries that declare a name and a size, none of which is believed."""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from thalweg.errors import BadInput
from thalweg.readers.facts import brief

DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
    RuntimeError,
    OSError,
)
"""Whatever the standard library says of a damaged archive."""

MAX_NAME = 255
"""Longest name of a file, bytes; also where names and reasons are cut in messages."""


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of an archive, as the archive itself declares it."""

    name: str
    """Its path, as it was written."""
    size: int
    """Unpacked size, bytes."""
    packed: int
    """Size inside the archive, bytes."""
    is_folder: bool
    """True for an entry that holds nothing itself."""
    fault: str
    """Why an entry of this kind is refused whatever its name, such as "is encrypted"; empty where it is not."""
    key: Any
    """What the archive is asked by for its content."""


class Container(Protocol):
    """An opened zip or tar."""

    def members(self, most: int) -> Sequence[Member]:
        """Its entries, in order; counting may end one beyond `most`."""
        ...

    def stream(self, member: Member) -> IO[bytes]:
        """The unpacked bytes of an entry."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def unreadable(given: Path, kind: str, problem: Exception) -> BadInput:
    """The error for an archive that is none, or is damaged where it lists its entries."""
    return BadInput(f"{given}: is no readable {kind}: {brief(str(problem), MAX_NAME)}")
