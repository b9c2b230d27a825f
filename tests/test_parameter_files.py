"""Parameter files: what is wrong in one is named with file, line and key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from thalweg import Band, Layer, Within, chain, parameter_files
from thalweg.errors import BadParameters
from thalweg.parameter_files import gather, newest_set, read_parameters, read_sections, write_parameters
from thalweg.registry import list_chains


@chain("lab.example", version="1", inputs=[Band("red")], outputs=[Layer("out", "int32")])
def example(
    scene: Any,
    *,
    dz: Annotated[int, Within(2, 100)] = 10,
    mode: Literal["tile", "grid"] = "tile",
    share: float = 0.5,
    pair: tuple[float, float] = (1.0, 2.0),
    names: dict[str, str] | None = None,
) -> Any:
    """Has parameters."""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (
            "lab.example:\n  dz: 20\n  mood: grid\n",
            ":3: ",
            "unknown key 'mood'. Did you mean 'mode'? Known: dz, ",
        ),
        ("lab.example:\n  dz: 1\n", ":2: ", "lab.example.dz = 1: must be in [2, 100]"),
        (
            "# mine\n\nlab.example: {mode: true}\n",
            ":3: ",
            "lab.example.mode = True: expected one of 'tile', 'grid'",
        ),
        ("lab.example:\n  dz: 20\n  dz: 30\n", ":3: ", "key 'dz' is given twice, first in line 2"),
        ("lab.example: {}\nlab.example: {}\n", ":2: ", "key 'lab.example' is given twice"),
        ("lab.exmaple:\n  dz: 20\n", ":1: ", "no chain 'lab.exmaple' here. Did you mean 'lab.example'?"),
        ("\nlab.example: [1, 2]\n", ":2: ", "section 'lab.example' holds no parameters"),
        ("lab.example: 5\n", ":1: ", "section 'lab.example' holds no parameters"),
        ("lab.example:\n  yes: 1\n", ":1: ", "unknown key True"),
        ("lab.example:\n  12: 1\n", ":2: ", "unknown key 12"),
        ("snow: &all\n  far: 1\nlab.example:\n  <<: *all\n", ":3: ", "unknown key 'far'"),
        ("lab.example:\n  dz: [\n", ": ", "not YAML"),
        ("lab.example:\n  dz: 2021-13-45\n", ": ", "not YAML"),
        ("[" * 2000, ": ", "not YAML"),
        ("- dz\n", ": ", "expected sections"),
        ("5: {dz: 1}\n", ": ", "expected sections"),
    ],
)
def test_what_is_wrong_is_named_with_file_line_and_key(
    tmp_path: Path, text: str, line: str, words: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadParameters) as caught:
        read_parameters(path, example, ["snow"])
    assert str(caught.value).startswith(f"{path}{line}")
    assert words in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x" * 1_000_001], ids=["no text", "too large"])
def test_what_is_no_parameter_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(BadParameters, match=r"mine\.yaml"):
        read_sections(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadParameters, match=r"none\.yaml.*No such file"):
        read_sections(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    "text", ["", "# nothing yet\n", "lab.example:\n", "lab.example:\n  # dz: 20\n", "snow: {a: 1}\n"]
)
def test_a_file_may_say_nothing_of_a_chain(tmp_path: Path, text: str) -> None:
    assert read_parameters(written(tmp_path, text), example, ["snow"]) == {}


words = st.text(st.characters(exclude_categories=["C"]), max_size=4)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "dz": st.integers(2, 100),
            "mode": st.sampled_from(["tile", "grid"]),
            "share": st.floats(allow_nan=False, allow_infinity=False),
            "pair": st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
            "names": st.none() | st.dictionaries(words, words, max_size=2),
        },
    )
)
def test_what_was_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, given: dict[str, Any]
) -> None:
    values, _ = example.prepare(given)
    path = written(tmp_path_factory.getbasetemp(), write_parameters("lab.example", values))
    assert read_parameters(path, example) == values


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of dated sets for the chain of this page."""
    folder = tmp_path / "configs" / "chains" / "lab.example"
    folder.mkdir(parents=True)
    monkeypatch.setattr(parameter_files, "files", lambda package: tmp_path / "configs")
    (folder / "2026-11-20.yaml").write_text("lab.example: {dz: 40, share: 0.4}\n")
    (folder / "2026-02-01.yaml").write_text("lab.example: {dz: 30}\n")
    return tmp_path


def test_the_newest_dated_set_holds_then_the_file_then_what_was_chosen(sets: Path) -> None:
    assert newest_set("lab.example") == ("lab.example/2026-11-20", {"dz": 40, "share": 0.4})
    assert gather(example, None, {}) == {"dz": 40, "share": 0.4}
    mine = written(sets, "lab.example: {dz: 50, mode: grid}\n")
    assert gather(example, mine, {}) == {"dz": 50, "share": 0.4, "mode": "grid"}
    assert gather(example, mine, {"dz": 60}) == {"dz": 60, "share": 0.4, "mode": "grid"}


def test_a_chain_without_dated_sets_has_its_defaults(sets: Path) -> None:
    assert newest_set("lab.other") == ("", {})


def test_dated_sets_that_ship_are_valid() -> None:
    for listing in list_chains():
        assert listing.chain is not None, listing.error
        _, given = newest_set(listing.chain.name)
        values, _ = listing.chain.prepare(given)
        assert set(given) <= set(values)


def test_the_written_form_is_plain_yaml() -> None:
    text = write_parameters("lab.example", {"pair": (1.0, 2.0), "names": {"é": "ü"}})
    assert yaml.safe_load(text) == {"lab.example": {"pair": [1.0, 2.0], "names": {"é": "ü"}}}
    assert "é" in text
    assert text.index("pair") < text.index("names")
