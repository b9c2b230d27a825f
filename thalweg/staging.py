"""A product appears whole or not at all: it is made in a staging folder and moved into place by one rename.

The staging folder bears the attempt's token and is locked while its attempt lives: an attempt that finds an unlocked
one of its own unit knows that its owner was killed, and clears it. The first complete product of a unit wins; a later
one is dropped, for equal inputs give equal bytes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from thalweg.errors import BadParameters, Bug, DiskFull, ServiceUnavailable
from thalweg.identity import short

STAGING = ".staging"
"""Folder under the destination where attempts work."""


@dataclass(slots=True)
class Staged:
    """An attempt at a product."""

    folder: Path
    """Where its files are written."""
    target: Path
    """Where they will be."""
    token: str
    """Names the attempt."""
    won: bool = False
    """True once this attempt's product is the one in place."""

    def publish(self) -> None:
        """Move the folder into place, durably; where a product is there already, that one stays.

        The item must have been written, and last: without it this is a Bug, for nothing would take it for a product.
        """
        if not _item(self.folder, self.target).is_file():
            raise Bug(f"{self.folder}: is to be published without its item")
        for path in sorted(self.folder.rglob("*")):
            _sync(path)
        _sync(self.folder)
        created = _missing_parents(self.target.parent)
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self._move()
        except BaseException:
            _remove_empty(created)
            raise
        for folder in {self.target.parent, *(folder.parent for folder in created)}:
            _sync(folder)

    def _move(self) -> None:
        if self.target.exists() and not is_complete(self.target):
            shutil.rmtree(self.target)
        try:
            self.folder.rename(self.target)
            self.won = True
        except OSError:
            if not is_complete(self.target):
                raise


def is_complete(product: Path) -> bool:
    """True where the product's item, written last, is there."""
    return _item(product, product).is_file()


def _item(folder: Path, product: Path) -> Path:
    return folder / f"{product.name}.json"


@contextmanager
def staged(destination: Path, target: Path, unit: str, token: str | None = None) -> Iterator[Staged]:
    """A staging folder for one attempt; afterwards nothing of it is left, whether it was published or not.

    Raises DiskFull, BadParameters or ServiceUnavailable where the destination takes no folder.
    """
    token = token or uuid.uuid4().hex[:12]
    area = destination / STAGING
    folder = area / f"{short(unit)}.{token}"
    # The area goes with the last attempt in it, whoever made it; other folders only with the attempt that made them.
    created = [area, *_missing_parents(destination)]
    try:
        clear_rubbish(destination, unit)
        with _claimed(folder):
            yield Staged(folder, target, token)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _remove_empty(created)


def clear_rubbish(destination: Path, unit: str) -> list[str]:
    """Remove staging folders of the unit whose attempt is dead; their tokens come back."""
    cleared = []
    for folder in _attempts(destination, unit):
        if remove_orphan(folder):
            cleared.append(folder.name.partition(".")[2])
    return cleared


def is_orphan(folder: Path) -> bool:
    """True for a staging folder whose attempt is dead."""
    try:
        os.close(_lock(folder, fcntl.LOCK_NB))
    except (BlockingIOError, FileNotFoundError):
        return False
    return True


def remove_orphan(folder: Path) -> bool:
    """Remove a staging folder, unless its attempt lives; False where it does, or is gone."""
    try:
        handle = _lock(folder, fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return False
    try:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)
    return True


def _attempts(destination: Path, unit: str) -> list[Path]:
    """Staging folders of a unit."""
    # The area may go with another attempt while it is listed.
    with suppress(FileNotFoundError):
        return sorted((destination / STAGING).glob(f"{short(unit)}.*/"))
    return []


def check_room(destination: Path, needed: int) -> None:
    """DiskFull where the destination's file system has less than `needed` bytes left."""
    place = next(path for path in (destination, *destination.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise DiskFull(f"{destination}: {free / 1e6:.0f} MB free, {needed / 1e6:.0f} MB needed")


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Make a folder and lock it: to others it is that of a living attempt."""
    handle = None
    while handle is None:
        _make(folder)
        # Another attempt may take the folder for rubbish before it is locked: then it is made again.
        with suppress(FileNotFoundError):
            handle = _lock(folder)
    try:
        yield
    finally:
        os.close(handle)


def _make(folder: Path) -> None:
    destination = folder.parent.parent
    for tries_left in reversed(range(100)):
        try:
            return folder.mkdir(parents=True)
        except FileNotFoundError:
            # The area may go with another attempt in this moment.
            if not tries_left:
                raise
        except FileExistsError as problem:
            # It may go, too, between being in the way and being looked at.
            if not tries_left:
                raise _refused(destination, problem) from problem
        except NotADirectoryError as problem:
            raise _refused(destination, problem) from problem
        except OSError as problem:
            if problem.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            raise ServiceUnavailable(f"{destination}: cannot be written: {problem.strerror}") from problem


def _refused(destination: Path, problem: OSError) -> BadParameters:
    return BadParameters(
        f"{destination}: takes no folder: {problem.strerror}", advice="Name another destination."
    )


def _lock(folder: Path, wait: int = 0) -> int:
    """Handle of the folder, locked until it is closed.

    Raises FileNotFoundError where the folder is gone by then, BlockingIOError where another has locked it and `wait`
    is LOCK_NB.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | wait)
        if not os.path.samestat(os.fstat(handle), folder.stat()):
            raise FileNotFoundError(folder)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _missing_parents(path: Path) -> list[Path]:
    """The folders that making `path` will create, innermost first."""
    return [place for place in (path, *path.parents) if not place.exists()]


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
