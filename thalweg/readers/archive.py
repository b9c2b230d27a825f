"""Archives of products, which are untrusted: every member is checked before one byte of any is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from thalweg.errors import BadInput, DiskFull
from thalweg.readers.container import DAMAGED, MAX_NAME, Container, Member
from thalweg.readers.facts import brief
from thalweg.readers.tars import open_tar
from thalweg.readers.zips import open_zip

_OPENERS: Mapping[str, Callable[[Path], Container]] = {".zip": open_zip, ".tar": open_tar}
_CHUNK = 2**20
_MARGIN = 64 * 2**20
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
    """A checked zip or tar, whose members are unpacked one by one into a private folder."""

    given: Path
    """The archive as the user gave it."""
    container: Container
    """The opened archive."""
    members: Mapping[str, Member]
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
            self._check_room(member.size)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as output:
                self._copy(member, output)
        return path

    def tops(self) -> set[str]:
        """First parts of the names of all members."""
        return {name.partition("/")[0] for name in self.members}

    def _copy(self, member: Member, output: IO[bytes]) -> None:
        written = 0
        for chunk in self._chunks(member):
            written += len(chunk)
            if written > member.size:
                raise _refused(
                    self.given, member, f"holds more than the {member.size} bytes that it declares"
                )
            output.write(chunk)
        if written != member.size:
            raise _refused(self.given, member, f"is cut: {written} of {member.size} bytes")

    def _chunks(self, member: Member) -> Iterator[bytes]:
        try:
            with self.container.stream(member) as stream:
                while chunk := stream.read(_CHUNK):
                    yield chunk
        except DAMAGED as problem:
            why = f"cannot be unpacked: {brief(str(problem), MAX_NAME)}"
            raise _refused(self.given, member, why) from None

    def _check_room(self, size: int) -> None:
        free = shutil.disk_usage(self.target).free
        if size + _MARGIN > free:
            raise DiskFull(
                f"{self.target}: {free >> 20} MB free, unpacking {self.given} needs {size >> 20} MB more"
            )


HONEST = Limits()
"""The limits of every product."""


def is_archive(given: Path) -> bool:
    """True for a file whose name ends as one of the archives that are unpacked: ``.zip`` or ``.tar``."""
    return given.suffix.lower() in _OPENERS and given.is_file()


@contextmanager
def opened_archive(given: Path, target: Path, limits: Limits = HONEST) -> Iterator[Archive]:
    """An archive, opened and checked; `target` is where members are unpacked.

    Raises BadInput for an archive that is unreadable, encrypted, or has members with absolute or climbing paths, links,
    equal names, unknown compression, or absurd numbers or sizes.
    """
    with closing(_OPENERS[given.suffix.lower()](given)) as container:
        yield Archive(given, container, _checked_members(given, container, limits), target)


def _checked_members(given: Path, container: Container, limits: Limits) -> dict[str, Member]:
    members = container.members(limits.members)
    if len(members) > limits.members:
        raise BadInput(f"{given}: {len(members)} members, more than {limits.members}")
    names: dict[str, Member] = {}
    for member in members:
        name = _checked_name(given, member)
        if member.fault:
            raise _refused(given, member, member.fault)
        _check_size(given, member, limits)
        if not member.is_folder and names.setdefault(name, member) is not member:
            raise _refused(given, member, "occurs twice")
    _check_places(given, names)
    _check_total(given, members, limits)
    return names


def _checked_name(given: Path, member: Member) -> str:
    path = PurePosixPath(member.name)
    if not member.name.isprintable() or "\\" in member.name:
        raise _refused(given, member, "has a name with characters that no product uses")
    if path.is_absolute() or member.name[1:2] == ":":
        raise _refused(given, member, "has an absolute path")
    if ".." in path.parts:
        raise _refused(given, member, "climbs out of the folder with ..")
    # A tar of a folder's content begins with the entry "./".
    if not path.parts and member.is_folder:
        return ""
    if (
        not path.parts
        or len(str(path)) > _MAX_PATH
        or max(len(part.encode()) for part in path.parts) > MAX_NAME
    ):
        raise _refused(given, member, "has an empty or absurdly long name")
    return str(path)


def _check_size(given: Path, member: Member, limits: Limits) -> None:
    if member.size > limits.member_bytes:
        raise _refused(
            given, member, f"declares {member.size >> 20} MB, more than {limits.member_bytes >> 20}"
        )
    ratio = member.size / max(member.packed, 1)
    if member.size > limits.ratio_counts_from and ratio > limits.ratio:
        raise _refused(given, member, f"is {ratio:.0f} times larger than its packed form, which no raster is")


def _check_places(given: Path, names: Mapping[str, Member]) -> None:
    """No two members may claim one place, on a disk that does not tell upper from lower case either."""
    folders = {str(parent).casefold() for name in names for parent in PurePosixPath(name).parents}
    seen: set[str] = set()
    for name, member in names.items():
        folded = name.casefold()
        if folded in seen:
            raise _refused(given, member, "occurs twice, but for upper and lower case")
        if folded in folders:
            raise _refused(given, member, "is both a file and a folder")
        seen.add(folded)


def _check_total(given: Path, members: Sequence[Member], limits: Limits) -> None:
    total = sum(member.size for member in members)
    if total > limits.total_bytes:
        raise BadInput(f"{given}: unpacks to {total >> 20} MB, more than {limits.total_bytes >> 20}")
    if sum(member.packed for member in members) > given.stat().st_size:
        raise BadInput(f"{given}: its members overlap, for together they are larger than the archive")


def _refused(given: Path, member: Member, why: str) -> BadInput:
    return BadInput(f"{given}: member {brief(member.name, MAX_NAME)} {why}")
