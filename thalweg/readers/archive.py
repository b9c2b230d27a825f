"""Zips of products, which are untrusted: every member is checked before one byte of any is written."""

from __future__ import annotations

import lzma
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from thalweg.errors import BadInput, DiskFull
from thalweg.readers.facts import brief

_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
    RuntimeError,
    OSError,
)
_CHUNK = 2**20
_MARGIN = 64 * 2**20
_FILE_TYPES = (0, stat.S_IFREG, stat.S_IFDIR)
_MAX_NAME = 255
_MAX_PATH = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """What no honest product exceeds: a full Sentinel-2 product is 30 files and 3 GB, a float32 band of it 0.5 GB."""

    members: int = 20_000
    """Files and folders."""
    member_bytes: int = 4 * 2**30
    """Unpacked size of one file."""
    total_bytes: int = 32 * 2**30
    """Unpacked size of all."""
    ratio: int = 500
    """Unpacked size over packed size; deflate itself ends at 1032."""
    ratio_counts_from: int = 16 * 2**20
    """Unpacked size below which any ratio passes: a small empty mask is harmless."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A checked zip, whose members are unpacked one by one into a private folder."""

    given: Path
    """The zip as the user gave it."""
    file: zipfile.ZipFile
    """The opened zip."""
    members: dict[str, zipfile.ZipInfo]
    """Name to member; folders are left out."""
    target: Path
    """The private folder."""

    def names(self, folder: str, patterns: tuple[str, ...]) -> tuple[str, ...]:
        """Names of all files under a folder, relative to it; hidden files are left out."""
        prefix = f"{folder}/" if folder else ""
        names = (name.removeprefix(prefix) for name in self.members if name.startswith(prefix))
        return tuple(sorted(name for name in names if not PurePosixPath(name).name.startswith(".")))

    def path(self, name: str) -> Path:
        """Where a member is, or will be."""
        return self.target / name

    def fetch(self, name: str) -> Path | None:
        """Unpack a member, unless that has been done; None where there is none of this name."""
        member = self.members.get(name)
        if member is None:
            return None
        path = self.path(name)
        if not path.exists():
            self._check_room(member.file_size)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as output:
                self._copy(member, output)
        return path

    def tops(self) -> set[str]:
        """First parts of the names of all members."""
        return {name.partition("/")[0] for name in self.members}

    def _copy(self, member: zipfile.ZipInfo, output: IO[bytes]) -> None:
        written = 0
        for chunk in _chunks(self.file, member, self.given):
            written += len(chunk)
            if written > member.file_size:
                raise _refused(
                    self.given, member, f"holds more than the {member.file_size} bytes that it declares"
                )
            output.write(chunk)
        if written != member.file_size:
            raise _refused(self.given, member, f"is cut: {written} of {member.file_size} bytes")

    def _check_room(self, size: int) -> None:
        free = shutil.disk_usage(self.target).free
        if size + _MARGIN > free:
            raise DiskFull(
                f"{self.target}: {free >> 20} MB free, unpacking {self.given} needs {size >> 20} MB more"
            )


HONEST = Limits()
"""The limits of every product."""


@contextmanager
def opened_archive(given: Path, target: Path, limits: Limits = HONEST) -> Iterator[Archive]:
    """A zip, opened and checked; `target` is where members are unpacked.

    Raises BadInput for a zip that is unreadable, encrypted, or has members with absolute or climbing paths, links,
    equal names, unknown compression, or absurd numbers or sizes.
    """
    with _open_zip(given) as file:
        yield Archive(given, file, _checked_members(given, file, limits), target)


def _open_zip(given: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(given)
    except _DAMAGED as problem:
        raise BadInput(f"{given}: is no readable zip: {brief(str(problem), _MAX_NAME)}") from None


def _checked_members(given: Path, file: zipfile.ZipFile, limits: Limits) -> dict[str, zipfile.ZipInfo]:
    infos = file.infolist()
    if len(infos) > limits.members:
        raise BadInput(f"{given}: {len(infos)} members, more than {limits.members}")
    names: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = _checked_name(given, info)
        _check_kind(given, info)
        _check_size(given, info, limits)
        if not info.is_dir() and names.setdefault(name, info) is not info:
            raise _refused(given, info, "occurs twice")
    _check_places(given, names)
    _check_total(given, infos, limits)
    return names


def _checked_name(given: Path, info: zipfile.ZipInfo) -> str:
    # zipfile cuts names at NUL and turns the system's separator into a slash: only the original tells.
    original = info.orig_filename
    path = PurePosixPath(original)
    if not original.isprintable() or "\\" in original:
        raise _refused(given, info, "has a name with characters that no product uses")
    if path.is_absolute() or original[1:2] == ":":
        raise _refused(given, info, "has an absolute path")
    if ".." in path.parts:
        raise _refused(given, info, "climbs out of the folder with ..")
    if (
        not path.parts
        or len(str(path)) > _MAX_PATH
        or max(len(part.encode()) for part in path.parts) > _MAX_NAME
    ):
        raise _refused(given, info, "has an empty or absurdly long name")
    return str(path)


def _check_kind(given: Path, info: zipfile.ZipInfo) -> None:
    if info.flag_bits & 0x1:
        raise _refused(given, info, "is encrypted")
    if stat.S_IFMT(info.external_attr >> 16) not in _FILE_TYPES:
        raise _refused(given, info, "is a link or a device, not a file")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _refused(given, info, f"is compressed by method {info.compress_type}; products use deflate")


def _check_size(given: Path, info: zipfile.ZipInfo, limits: Limits) -> None:
    if info.file_size > limits.member_bytes:
        raise _refused(
            given, info, f"declares {info.file_size >> 20} MB, more than {limits.member_bytes >> 20}"
        )
    ratio = info.file_size / max(info.compress_size, 1)
    if info.file_size > limits.ratio_counts_from and ratio > limits.ratio:
        raise _refused(given, info, f"is {ratio:.0f} times larger than its packed form, which no raster is")


def _check_places(given: Path, names: dict[str, zipfile.ZipInfo]) -> None:
    """No two members may claim one place, on a disk that does not tell upper from lower case either."""
    folders = {str(parent).casefold() for name in names for parent in PurePosixPath(name).parents}
    seen: set[str] = set()
    for name, info in names.items():
        folded = name.casefold()
        if folded in seen:
            raise _refused(given, info, "occurs twice, but for upper and lower case")
        if folded in folders:
            raise _refused(given, info, "is both a file and a folder")
        seen.add(folded)


def _check_total(given: Path, infos: list[zipfile.ZipInfo], limits: Limits) -> None:
    total = sum(info.file_size for info in infos)
    if total > limits.total_bytes:
        raise BadInput(f"{given}: unpacks to {total >> 20} MB, more than {limits.total_bytes >> 20}")
    if sum(info.compress_size for info in infos) > given.stat().st_size:
        raise BadInput(f"{given}: its members overlap, for together they are larger than the zip")


def _chunks(file: zipfile.ZipFile, member: zipfile.ZipInfo, given: Path) -> Iterator[bytes]:
    try:
        with file.open(member) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except _DAMAGED as problem:
        raise _refused(given, member, f"cannot be unpacked: {brief(str(problem), _MAX_NAME)}") from None


def _refused(given: Path, info: zipfile.ZipInfo, why: str) -> BadInput:
    return BadInput(f"{given}: member {brief(info.orig_filename, _MAX_NAME)} {why}")
