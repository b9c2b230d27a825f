"""Receipts: durable, append-only, and readable while they are written and after a crash."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.campaign.batches import unit_named
from thalweg.campaign.receipt import Begun, Receipt, ReceiptWriter, new_receipts, read_lines, receipts_of
from thalweg.errors import BadInput

BEGUN = Begun(unit_named("a"), 3, 100.0, "n1", "17_4")
DONE = Receipt(
    unit_named("a"),
    3,
    "done",
    "done",
    begun=100.0,
    ended=107.5,
    host="n1",
    job="17_4",
    cpu_seconds=6.25,
    product="snow-20m/31TCH/2026/02/x_00000000",
    checksums={"x.tif": "sha256:00"},
)
FAILED = replace(
    DONE,
    state="failed",
    kind="bad-input",
    error="B03.tif: is cut",
    product="",
    checksums={},
    alone=False,
    begun=0.0,
)


def written(path: Path) -> Path:
    with ReceiptWriter(path) as writer:
        writer.begin([BEGUN])
        writer.end([DONE, FAILED])
    return path


def test_lines_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = written(tmp_path / "receipts" / "b-3-x.jsonl")
    assert read_lines(path) == ([BEGUN, DONE, FAILED], path.stat().st_size)
    assert DONE.seconds == 7.5


def test_a_line_is_there_once_it_is_whole(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole").read_bytes()
    for cut in range(len(whole)):
        path = tmp_path / "cut"
        path.write_bytes(whole[:cut])
        lines, after = read_lines(path)
        assert len(lines) == whole[:cut].count(b"\n")
        path.write_bytes(whole)
        rest, end = read_lines(path, after)
        assert ([*lines, *rest], end) == ([BEGUN, DONE, FAILED], len(whole))


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"\0\0\0\n",
        b"[]\n",
        b"{}\n",
        b'{"line":"end"}\n',
        b'{"line":"other","unit":"a"}\n',
        b'{"line":"begin","unit":"a","token":"1","at":1,"host":""}\n',
        b"[" * 100_000 + b"\n",
        b'{"line":[],"unit":"a"}\n',
    ],
)
def test_a_whole_line_of_another_kind_is_bad_input(tmp_path: Path, line: bytes) -> None:
    path = written(tmp_path / "r")
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(BadInput, match=f"byte {size}: no receipt"):
        read_lines(path)


def test_a_class_belongs_to_its_state() -> None:
    with pytest.raises(ValueError, match="'memory' does not belong to state 'done'"):
        replace(DONE, kind="memory")


def test_every_attempt_has_a_file_of_its_own(tmp_path: Path) -> None:
    one, two, later = (new_receipts(tmp_path, "b1", token) for token in (1, 1, 2))
    for path in (one, two, later, new_receipts(tmp_path, "b10", 1)):
        written(path)
    assert receipts_of(tmp_path, "b1", 1) == sorted([one, two])
    assert receipts_of(tmp_path, "b1") == sorted([one, two, later])
    with pytest.raises(FileExistsError):
        ReceiptWriter(one)


def test_a_line_that_finds_no_room_leaves_no_part(tmp_path: Path) -> None:
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.campaign.test_receipt import BEGUN, DONE\n"
        "from thalweg.campaign.receipt import ReceiptWriter\n"
        "from thalweg.errors import ThalwegError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        f"writer = ReceiptWriter(Path({str(tmp_path / 'r')!r}))\n"
        "try:\n"
        "    while True: writer.end([DONE])\n"
        "except ThalwegError: pass\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2], env=os.environ)
    lines, end = read_lines(tmp_path / "r")
    assert lines == [DONE] * len(lines)
    assert 0 < end == (tmp_path / "r").stat().st_size <= 1000
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000
