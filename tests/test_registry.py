"""The registry: three ways in, and a broken plug-in is shown with its error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from thalweg.errors import BadParameters
from thalweg.registry import find_chain, list_chains

GOOD = '''
from thalweg import Band, Layer, chain

@chain("lab.turbidity", version="0.1", inputs=[Band("red", 20)], outputs=[Layer("turbidity", "float32")])
def turbidity(scene, *, a: float = 228.1):
    """Turbidity."""
    return {"turbidity": a * scene.red}
'''
BROKEN = "import thalweg\n\nvalue = 1 / 0\n"

Offer = Callable[..., None]


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Installs a distribution of one module that offers chains by entry points."""

    def install(module: str, source: str, **points: str) -> None:
        site = tmp_path / f"site-{module}"
        about = site / f"{module}-1.0.dist-info"
        about.mkdir(parents=True)
        (site / f"{module}.py").write_text(source)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in points.items()]
        (about / "entry_points.txt").write_text("\n".join(["[thalweg.chains]", *lines]))
        monkeypatch.syspath_prepend(site)

    return install


def script(folder: Path, source: str, name: str = "turbidity.py") -> Path:
    path = folder / name
    path.write_text(source)
    return path


def test_a_chain_is_found_in_a_file(tmp_path: Path) -> None:
    assert find_chain(f"{script(tmp_path, GOOD)}:turbidity").name == "lab.turbidity"


def test_files_of_one_name_stay_apart(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = script(tmp_path / "other", GOOD.replace('"0.1"', '"0.2"'))
    first, second = (find_chain(f"{path}:turbidity") for path in (script(tmp_path, GOOD), other))
    assert (first.version, second.version) == ("0.1", "0.2")


def test_a_chain_is_found_by_its_dotted_name(offer: Offer) -> None:
    offer("lab_dotted", GOOD)
    assert find_chain("lab_dotted:turbidity").name == "lab.turbidity"


def test_a_chain_is_found_by_its_entry_point(offer: Offer) -> None:
    offer("lab_offered", GOOD, any_name="lab_offered:turbidity")
    found = find_chain("lab.turbidity")
    assert found.version == "0.1"
    (listing,) = [listing for listing in list_chains() if listing.name == "lab.turbidity"]
    assert (listing.chain, listing.origin, listing.error) == (found, "lab_offered:turbidity", "")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (BROKEN, r"ZeroDivisionError: division by zero \(.*\.py:3\)"),
        ("import no_such_package\n", "ModuleNotFoundError: .*no_such_package"),
        ("def broken(:\n", "SyntaxError"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
        (GOOD.replace("red", "rde"), "BadParameters: unknown band role 'rde'"),
        (GOOD.replace("float = 228.1", "float"), "BadParameters: .*'a' needs a type and a default"),
    ],
)
def test_a_broken_plug_in_is_shown_with_its_error(
    tmp_path: Path, offer: Offer, source: str, words: str
) -> None:
    path = script(tmp_path, source, "mine.py")
    with pytest.raises(BadParameters, match=rf"mine\.py cannot be loaded: {words}"):
        find_chain(f"{path}:turbidity")
    module = f"lab_broken_{abs(hash(source))}"
    offer(module, source, broken=f"{module}:turbidity")
    (listing,) = [listing for listing in list_chains() if listing.name == "broken"]
    assert listing.chain is None
    with pytest.raises(
        BadParameters, match=rf"chain 'broken' \({module}:turbidity\) cannot be loaded: {words}"
    ):
        find_chain("broken")


def test_a_broken_plug_in_costs_nobody_else_his_chain(offer: Offer) -> None:
    offer("lab_ends", "raise SystemExit", ends="lab_ends:turbidity")
    offer("lab_lives", GOOD, lives="lab_lives:turbidity")
    assert find_chain("lab.turbidity").version == "0.1"


def test_what_is_no_chain_is_said_to_be_none(offer: Offer) -> None:
    offer("lab_function", GOOD + "\ndef plain(scene): ...\n", plain="lab_function:plain")
    (listing,) = [listing for listing in list_chains() if listing.name == "plain"]
    assert listing.error == "lab_function:plain is a function, not a chain"


def test_no_plug_in_takes_the_name_of_a_built_in_chain(offer: Offer) -> None:
    offer("lab_snow", GOOD.replace("lab.turbidity", "snow"), snow="lab_snow:turbidity")
    assert find_chain("snow").function.__module__ == "thalweg.chains.snow"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("snwo", "no chain 'snwo'. Did you mean 'snow'"),
        ("nowhere.py:x", r"nowhere\.py: no such file"),
        ("no.such.module:x", "no.such.module cannot be loaded: ModuleNotFoundError"),
        (":x", " cannot be loaded: ValueError"),
        ("thalweg.chains.snow:ice", "no chain called 'ice' there; it has: snow"),
        ("thalweg.grid:Grid", "no chain called 'Grid' there; it has: none"),
    ],
)
def test_a_chain_that_is_not_there_is_named(name: str, words: str) -> None:
    with pytest.raises(BadParameters, match=words):
        find_chain(name)


def test_every_built_in_chain_loads() -> None:
    listings = [listing for listing in list_chains() if listing.origin == "built in"]
    assert [listing.error for listing in listings if listing.error] == []
    assert "snow" in {listing.name for listing in listings}
