"""Encoded blocks come back as they were given, whether they stayed in memory or went to a file."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from thalweg.spool import Spool


@given(st.lists(st.lists(st.binary(max_size=40), max_size=5), max_size=8), st.integers(0, 100))
def test_blocks_come_back_in_order(rows: list[list[bytes]], kept: int) -> None:
    spool = Spool(Path("."), kept)
    for row in rows:
        spool.add(row)
    given = [block for row in rows for block in row]
    assert list(spool) == given
    assert list(spool) == given, "as often as they are asked for"
    assert spool.sizes == [len(block) for block in given]
    spool.close()


def test_nothing_is_seen_of_the_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path, kept=10)
    spool.add([b"x" * 100])
    assert list(spool) == [b"x" * 100]
    assert list(tmp_path.iterdir()) == []
    spool.close()
