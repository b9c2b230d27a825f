"""Staging: a product appears whole or not at all, whoever else is at work and whoever was killed."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from thalweg.errors import BadParameters, Bug, DiskFull, ServiceUnavailable, classify
from thalweg.staging import STAGING, Staged, check_room, clear_rubbish, is_complete, staged

UNIT = "0123456789abcdef" * 4
OTHER = "f" * 64


def target_of(destination: Path) -> Path:
    return destination / "snow-1.0" / "31TCH" / "2021" / "04" / "SNOW_31TCH_01234567"


def fill(attempt: Staged, text: str = "pixels") -> None:
    """Write a product of two files, the item last."""
    (attempt.folder / "expert").mkdir()
    (attempt.folder / "expert" / "seb.tif").write_text(text)
    (attempt.folder / f"{attempt.target.name}.json").write_text("{}")


def make(destination: Path, text: str = "pixels") -> Staged:
    with staged(destination, target_of(destination), UNIT) as attempt:
        fill(attempt, text)
        attempt.publish()
    return attempt


def found(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_product_is_moved_into_place(tmp_path: Path) -> None:
    destination = tmp_path / "a" / "b"
    attempt = make(destination)
    assert attempt.won
    assert is_complete(target_of(destination))
    assert found(target_of(destination)) == ["SNOW_31TCH_01234567.json", "expert/seb.tif"]
    assert not (destination / STAGING).exists()


def test_nothing_is_at_the_destination_before(tmp_path: Path) -> None:
    with staged(tmp_path, target_of(tmp_path), UNIT) as attempt:
        fill(attempt)
        assert [path.name for path in tmp_path.iterdir()] == [STAGING]
        assert attempt.folder.name == f"01234567.{attempt.token}"
        attempt.publish()


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, FileNotFoundError, BlockingIOError])
def test_a_failure_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    destination = tmp_path / "not" / "yet" / "there"
    with pytest.raises(error), staged(destination, target_of(destination), UNIT) as attempt:
        fill(attempt)
        raise error
    assert list(tmp_path.iterdir()) == []


def test_what_was_never_published_leaves_nothing(tmp_path: Path) -> None:
    with staged(tmp_path, target_of(tmp_path), UNIT) as attempt:
        fill(attempt)
    assert not attempt.won
    assert list(tmp_path.iterdir()) == []


def test_the_first_complete_product_wins(tmp_path: Path) -> None:
    make(tmp_path, "first")
    assert not make(tmp_path, "second").won
    assert (target_of(tmp_path) / "expert" / "seb.tif").read_text() == "first"
    assert not (tmp_path / STAGING).exists()


def test_a_folder_without_item_is_rubbish_and_gives_way(tmp_path: Path) -> None:
    (target_of(tmp_path) / "expert").mkdir(parents=True)
    (target_of(tmp_path) / "old.tif").write_text("half")
    assert not is_complete(target_of(tmp_path))
    assert make(tmp_path).won
    assert found(target_of(tmp_path)) == ["SNOW_31TCH_01234567.json", "expert/seb.tif"]


def test_a_product_without_item_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(Bug, match="item"), staged(tmp_path, target_of(tmp_path), UNIT) as attempt:
        (attempt.folder / "seb.tif").write_text("pixels")
        attempt.publish()
    assert list(tmp_path.iterdir()) == []


def test_a_move_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path, target: Path) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="No space left") as caught:
        make(tmp_path)
    assert isinstance(classify(caught.value), DiskFull)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EACCES, ServiceUnavailable), (errno.EROFS, ServiceUnavailable), (errno.ENOSPC, DiskFull)],
)
def test_a_destination_that_takes_nothing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    def refuse(self: Path, *arguments: Any, **options: Any) -> None:
        raise OSError(number, "refused", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(Exception, match="refused") as caught:  # noqa: SIM117
        with staged(tmp_path, target_of(tmp_path), UNIT):
            raise AssertionError
    assert isinstance(classify(caught.value), kind)
    assert str(tmp_path) in str(classify(caught.value))


def test_a_destination_that_is_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(BadParameters, match=f"{file}: takes no folder"):
        make(file)
    assert file.read_text() == "mine"


# An attempt of another process: it says when it is in its folder, and stays there until it is told to go on.
ATTEMPT = """
import sys
from pathlib import Path
from thalweg.staging import staged
destination, target, unit = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
with staged(destination, target, unit) as attempt:
    (attempt.folder / "half.tif").write_text("half")
    print(attempt.token, flush=True)
    sys.stdin.readline()
    (attempt.folder / f"{target.name}.json").write_text("{}")
    attempt.publish()
print(attempt.won, flush=True)
"""


@contextmanager
def elsewhere(destination: Path, unit: str = UNIT) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A living attempt of another process and its token."""
    command = [sys.executable, "-c", ATTEMPT, str(destination), str(target_of(destination)), unit]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_a_killed_attempt_is_cleared_by_the_next_of_its_unit(tmp_path: Path) -> None:
    with elsewhere(tmp_path) as (process, token):
        process.kill()
    left = tmp_path / STAGING / f"01234567.{token}"
    assert (left / "half.tif").exists()
    assert clear_rubbish(tmp_path, OTHER) == []
    assert left.exists()
    assert make(tmp_path).won
    assert not (tmp_path / STAGING).exists()


def test_a_living_attempt_is_left_alone(tmp_path: Path) -> None:
    with elsewhere(tmp_path) as (process, token):
        assert clear_rubbish(tmp_path, UNIT) == []
        assert make(tmp_path, "here").won
        assert (tmp_path / STAGING / f"01234567.{token}" / "half.tif").exists()
        said, _ = process.communicate("go on\n")
    assert said.split() == ["False"]
    assert process.returncode == 0
    assert (target_of(tmp_path) / "expert" / "seb.tif").read_text() == "here"
    assert not (tmp_path / STAGING).exists()


def test_rubbish_is_cleared_once_its_owner_is_dead(tmp_path: Path) -> None:
    with elsewhere(tmp_path) as (process, token):
        process.kill()
    assert clear_rubbish(tmp_path, UNIT) == [token]
    assert clear_rubbish(tmp_path, UNIT) == []


# Many attempts, half of them failing, so that folders come and go under each other.
CROWD = """
import sys
from pathlib import Path
from thalweg.staging import staged
destination, target, unit = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
won = 0
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    try:
        with staged(destination, target, unit) as attempt:
            (attempt.folder / f"{target.name}.json").write_text("{}")
            if number % 2 == 0:
                raise ZeroDivisionError
            if number > 30:
                attempt.publish()
    except ZeroDivisionError:
        pass
    won += attempt.won
print(won, flush=True)
"""


def test_of_many_attempts_at_once_one_wins_and_nothing_else_stays(tmp_path: Path) -> None:
    destination = tmp_path / "to"
    command = [sys.executable, "-c", CROWD, str(destination), str(target_of(destination)), UNIT]
    crowd = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for process in crowd:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    said = [process.communicate("go\n")[0] for process in crowd]
    assert [process.returncode for process in crowd] == [0, 0, 0]
    assert sum(map(int, said)) == 1
    assert is_complete(target_of(destination))
    assert [path.name for path in destination.iterdir()] == ["snow-1.0"]


@pytest.mark.parametrize("folder", ["", "not/there"])
def test_room_is_looked_for_before_anything_is_written(tmp_path: Path, folder: str) -> None:
    check_room(tmp_path / folder, 1)
    with pytest.raises(DiskFull, match="MB free"):
        check_room(tmp_path / folder, shutil.disk_usage(tmp_path).total + 10**12)


def test_an_attempt_that_loses_its_folder_before_the_lock_makes_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from thalweg import staging

    lock: Callable[..., int] = staging._lock
    lost: list[Path] = []

    def after_the_rubbish_was_cleared(folder: Path, *options: int) -> int:
        if not lost:
            lost.append(folder)
            folder.rmdir()
        return lock(folder, *options)

    monkeypatch.setattr(staging, "_lock", after_the_rubbish_was_cleared)
    assert make(tmp_path).won
    assert lost


def test_an_area_that_goes_while_it_is_looked_at_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, refusals = (
        Path.mkdir,
        iter([FileExistsError(17, "File exists"), FileNotFoundError(2, "No such file")]),
    )

    def mkdir(path: Path, *words: Any, **named: Any) -> None:
        if path.parent.name == STAGING and (refusal := next(refusals, None)):
            raise refusal
        make(path, *words, **named)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with staged(tmp_path, tmp_path / "product", "a" * 64) as attempt:
        assert attempt.folder.is_dir()
    assert next(refusals, None) is None


def test_an_area_that_goes_while_it_is_listed_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(path: Path, pattern: str) -> Iterator[Path]:
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr(Path, "glob", gone)
    assert clear_rubbish(tmp_path, UNIT) == []
