"""Errors: one table of endings, and nothing of an error is lost on the way between processes."""

from __future__ import annotations

import errno
import json
import pickle
import re

import pytest

from thalweg import errors
from thalweg.errors import ENDINGS, Bug, DiskFull, MissingInput, OutOfMemory, ThalwegError, classify

CODES = {
    "no-data": 0,
    "usage": 2,
    "bad-input": 10,
    "missing-input": 11,
    "bad-parameters": 12,
    "memory": 20,
    "time": 21,
    "disk": 22,
    "node-lost": 23,
    "service": 24,
    "bug": 30,
}


def test_classes_and_codes_are_those_of_the_house_plan() -> None:
    assert {kind: error.code for kind, error in ENDINGS.items()} == CODES
    assert (errors.UNITS_LEFT, errors.OUT_OF_TOLERANCE, errors.CAMPAIGN_INCOMPLETE) == (40, 41, 42)


def test_every_class_of_the_module_is_in_the_table_and_in_the_drawing() -> None:
    classes = {
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ThalwegError)
    }
    assert set(ENDINGS.values()) == classes - {ThalwegError}
    drawn = dict(re.findall(r"── (\w+) +(\d+) ", errors.__doc__ or ""))
    assert drawn == {error.__name__: str(error.code) for error in ENDINGS.values()}


@pytest.mark.parametrize("kind", ENDINGS.values(), ids=ENDINGS.keys())
@pytest.mark.parametrize("given", [{}, {"advice": "Ask for it."}, {"id": "SNOW-IN-01"}], ids=str)
def test_errors_survive_pickling_and_json(kind: type[ThalwegError], given: dict[str, str]) -> None:
    error = kind("b.tif: cut", **given)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.to_dict()) == (kind, str(error), error.to_dict())
    assert json.loads(json.dumps(error.to_dict())) == error.to_dict()


@pytest.mark.parametrize("kind", ENDINGS.values(), ids=ENDINGS.keys())
def test_every_class_says_what_to_do(kind: type[ThalwegError]) -> None:
    assert kind("x").what_to_do.endswith(".")


def test_own_advice_and_code_of_the_specification_go_first() -> None:
    error = MissingInput("dem.tif is not there", advice="Fetch it.", id="SNOW-IN-01")
    assert str(error) == "SNOW-IN-01: dem.tif is not there"
    assert error.what_to_do == "Fetch it."


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (MemoryError(), OutOfMemory, "memory"),
        (OSError(errno.ENOSPC, "No space left", "/x/b.tif"), DiskFull, "/x/b.tif"),
        (OSError(errno.EDQUOT, "Quota exceeded"), DiskFull, "Quota"),
        (OSError(errno.EIO, "Input/output error"), Bug, "Input/output error"),
        (KeyError("red"), Bug, "KeyError: 'red'"),
    ],
)
def test_foreign_errors_get_a_class(error: BaseException, kind: type[ThalwegError], words: str) -> None:
    found = classify(error)
    assert type(found) is kind
    assert words in str(found)


def test_own_errors_keep_theirs() -> None:
    error = MissingInput("x")
    assert classify(error) is error
