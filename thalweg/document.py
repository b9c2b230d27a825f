"""JSON documents on disk: written whole or not at all, read with suspicion."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from thalweg.errors import BadInput, MissingInput

LARGEST = 4 << 20
"""Bytes of the largest item or collection that is read."""

_FORMAT: Mapping[str, Any] = {"sort_keys": True, "ensure_ascii": False, "allow_nan": False}
# Text has no line breaks of its own in JSON: what matches is never inside of it.
_NUMBERS = re.compile(r"\[\n[^\[\]{}\"]+\]")


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document durably under its final name: a reader finds the old one, the new one, never a part of one.

    Keys are sorted and numbers must be finite, so that equal documents are equal files.
    """
    text = _NUMBERS.sub(_on_one_line, json.dumps(document, indent=2, **_FORMAT)) + "\n"
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def read_document(path: Path, largest: int = LARGEST) -> dict[str, Any]:
    """The object that a file of unknown origin, of at most `largest` bytes, holds.

    Raises BadInput, naming the file, where it is too large, too deep, cut, no JSON or no object; MissingInput where it
    is not there.
    """
    try:
        with path.open("rb") as file:
            text = file.read(largest + 1)
    except FileNotFoundError:
        raise MissingInput(f"{path}: no such file") from None
    except OSError as problem:
        raise BadInput(f"{path}: {problem.strerror}") from problem
    if len(text) > largest:
        raise BadInput(f"{path}: more than {largest >> 20} MB, which no document of its kind has")
    return _parse(text, path)


def _on_one_line(numbers: re.Match[str]) -> str:
    return f"[{' '.join(numbers[0][1:-1].split())}]"


def _parse(text: bytes, path: Path) -> dict[str, Any]:
    try:
        document = json.loads(text.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as problem:
        raise BadInput(f"{path}: not valid JSON: {problem}") from None
    if not isinstance(document, dict):
        raise BadInput(f"{path}: holds no JSON object")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
