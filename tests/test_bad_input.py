"""Malformed granules: each ends in its class, with its code and a message that names the file, and leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

import thalweg
from tests.malform import MALFORMATIONS, Malformation, Specimen, damaged, write_specimen
from thalweg import errors
from thalweg.catalogue import NAME, Catalogue
from thalweg.ending import Ending, exit_code

AT_LEAST = 40


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Specimen:
    return write_specimen(tmp_path_factory.mktemp("specimen"))


def run(specimen: Specimen, to: Path) -> Ending:
    try:
        (ending,) = thalweg.run(specimen.granule, "snow", to=to, static=specimen.statics)
    except errors.ThalwegError as problem:  # nothing could be started at all
        return Ending("snow", str(specimen.granule), "failed", error=problem)
    return ending


def test_the_good_granule_is_good(good: Specimen, tmp_path: Path) -> None:
    assert run(good, tmp_path).state == "done"


def test_there_are_enough_malformations() -> None:
    assert len(MALFORMATIONS) >= AT_LEAST


@pytest.mark.parametrize("malformation", MALFORMATIONS, ids=lambda malformation: malformation.name)
def test_malformed_granule_ends_in_its_class(
    malformation: Malformation, good: Specimen, tmp_path: Path
) -> None:
    ending = run(damaged(good, malformation, tmp_path / "in"), tmp_path / "to")
    expected = getattr(errors, malformation.error)
    assert ending.error is not None, "a malformed granule became a product"
    assert type(ending.error) is expected, f"{ending.error}\n{ending.trace}"
    assert exit_code([ending]) == expected.code
    assert malformation.names in str(ending.error)
    assert ending.error.what_to_do
    check_nothing_is_left(tmp_path / "to", ending)


def check_nothing_is_left(destination: Path, ending: Ending) -> None:
    """At the destination is the catalogue, which knows why there is no product, and nothing else."""
    assert {path.name.removesuffix("-wal").removesuffix("-shm") for path in destination.rglob("*")} <= {NAME}
    if not destination.exists():
        return
    with Catalogue.open(destination / NAME, read_only=True) as catalogue:
        assert catalogue.count() == 0
        (told,) = catalogue.endings()
        assert told.kind == ending.error.kind if ending.error else None
