"""The command line: results on the output stream, the rest on the error stream, the class as exit code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.granules import write_raster
from tests.test_static import write_degrees
from thalweg.cli.main import COMMANDS, main
from thalweg.cli.run import choose, split_static
from thalweg.errors import UsageError
from thalweg.tile import Tile

CHAIN = '''
from thalweg import Band, Layer, Static, chain

@chain("lab.turbidity", version="0.1", inputs=[Band("red", 20), Static("dem", "int16", required=False)],
       outputs=[Layer("turbidity", "float32", units="FNU")])
def turbidity(scene, *, a: float = 228.1, c: float = 0.1641):
    """Turbidity from red water reflectance (Dogliotti et al. 2015, red branch)."""
    return {"turbidity": a * scene.red / (1 - scene.red / c) + ("dem" in scene)}
'''
STACK = """
level: L2A
time: 2021-04-15T10:59:10Z
tile: 31TCH
platform: S2A
bands:
  red: {file: red.tif, scale: 0.0001}
"""
RED = np.random.default_rng(37).integers(0, 1500, (40, 30)).astype(np.int16)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A laboratory's folder: a chain, two granules and a folder of static layers, with nothing run yet."""
    (tmp_path / "turbidity.py").write_text(CHAIN)
    for name in ("lake", "river"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.yaml").write_text(STACK)
        write_raster(tmp_path / name / "red.tif", RED)
    write_raster(tmp_path / "static" / "dem.tif", RED)
    monkeypatch.chdir(tmp_path)
    return tmp_path


RUN = ["run", "lake/lake.yaml", "--chain", "./turbidity.py:turbidity", "--to", "out"]


def called(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command line."""
    try:
        code = main(words)
    except SystemExit as end:
        code = int(end.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = called(capsys, "--help")
    assert code == 0
    assert all(f"  {name} " in out for name in COMMANDS)
    for name in COMMANDS:
        code, out, _ = called(capsys, name, "--help")
        assert (code, f"thalweg {name}" in out) == (0, True)


def test_a_laboratorys_chain_runs_from_its_file(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = called(capsys, *RUN)
    assert code == 0, err
    product = Path(out.strip())
    assert product.parts[:4] == ("out", "lab.turbidity-0.1", "31TCH", "2021")
    with rasterio.open(product / "turbidity.tif") as raster:
        rho = (RED * 1e-4).astype(np.float32)
        np.testing.assert_allclose(raster.read(1), 228.1 * rho / (1 - rho / 0.1641), rtol=1e-4)
    assert (product / f"{product.name}.json").exists()
    assert "done     lab.turbidity lake.yaml in " in err


def test_the_second_run_finds_it_done(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, first, _ = called(capsys, *RUN)
    code, second, err = called(capsys, *RUN)
    assert (code, second) == (0, first)
    assert "was there already" in err


def test_programs_get_json(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = called(capsys, *RUN, "--json")
    (ending,) = json.loads(out)
    assert (code, err) == (0, "")
    assert (ending["state"], ending["chain"], ending["tile"]) == ("done", "lab.turbidity", "31TCH")
    assert Path(ending["product"]).name.endswith(ending["unit"][:8])


def test_parameters_and_static_layers_decide_the_unit(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lab / "mine.yaml").write_text("lab.turbidity:\n  a: 300\n")
    ways = [
        [],
        ["--set", "lab.turbidity.a=250"],
        ["--parameters", "mine.yaml"],
        ["--parameters", "mine.yaml", "--set", "lab.turbidity.a=280.5"],
        ["--static", "static"],
        ["--bbox", "0.53,43.33,0.54,43.335"],
    ]
    products = {called(capsys, *RUN, *way)[1].strip() for way in ways}
    assert len(products) == len(ways)
    again = [
        ["--static", "static", "--without", "dem"],
        ["--set", "lab.turbidity.a=228.1"],
        ["--strip-rows", "7"],
    ]
    assert {called(capsys, *RUN, *way)[1].strip() for way in again} == {called(capsys, *RUN)[1].strip()}
    assert called(capsys, *RUN, "--static", "dem=static/dem.tif")[1].strip() in products


def test_a_failing_unit_does_not_stop_the_others(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lab / "lake" / "red.tif").write_bytes((lab / "lake" / "red.tif").read_bytes()[:500])
    code, out, err = called(capsys, "run", "lake/lake.yaml", "river/river.yaml", "gone.yaml", *RUN[2:])
    assert code == 11
    assert len(out.split()) == 1
    assert "failed   lab.turbidity lake.yaml: bad-input: " in err
    assert "red.tif" in err
    assert "failed   lab.turbidity gone.yaml: missing-input: " in err
    assert err.count("what to do: ") == 2
    assert called(capsys, *RUN)[0] == 10


def test_the_file_and_line_of_a_wrong_parameter_is_named(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lab / "mine.yaml").write_text("lab.turbidity:\n  aa: 300\n")
    code, out, err = called(capsys, *RUN, "--parameters", "mine.yaml")
    assert (code, out) == (12, "")
    assert "thalweg: bad-parameters: mine.yaml:2: unknown key 'aa'. Did you mean 'a'?" in err
    assert "what to do: " in err
    code, out, _ = called(capsys, *RUN, "--set", "lab.turbidity.a=big", "--json")
    assert code == 12
    assert json.loads(out)["error"]["message"] == "lab.turbidity.a = 'big': expected a number"
    assert not (lab / "out").exists()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--unknown"],
        ["--bbox", "1,2,3"],
        ["--bbox", "2,43,1,44"],
        ["--strip-rows", "0"],
        ["--codec", "lzw"],
        ["--set", "a=1"],
        ["--set", "lab.turbidity.a"],
        ["--static", "a", "--static", "b"],
    ],
    ids=" ".join,
)
def test_a_line_that_is_not_understood_has_exit_code_2(
    lab: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    line = [*RUN, *words] if words else ["dance"]
    code, _, err = called(capsys, *line)
    assert code == 2
    assert err
    assert not (lab / "out").exists()


def test_a_broken_chain_is_shown(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lab / "turbidity.py").write_text("import nothing_like_it\n")
    code, _, err = called(capsys, *RUN)
    assert code == 12
    assert "./turbidity.py cannot be loaded: ModuleNotFoundError: No module named 'nothing_like_it'" in err


def test_a_bug_of_a_chain_is_a_bug(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lab / "turbidity.py").write_text(CHAIN.replace("a * scene.red", "scene.read * a"))
    code, _, err = called(capsys, *RUN, "--traceback")
    assert code == 30
    assert "the scene has no 'read'; declare it as an input. It has: red" in err
    assert "Traceback" in err
    assert files(lab / "out") in ([], ["catalogue.sqlite"])


def test_chains_are_listed_and_shown(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = called(capsys, "chain", "list")
    assert (code, "snow" in out) == (0, True)
    code, out, _ = called(capsys, "chain", "show", "./turbidity.py:turbidity")
    assert code == 0
    for words in ("lab.turbidity 0.1", "Turbidity from red", "red", "dem", "FNU", "228.1"):
        assert words in out
    _, out, _ = called(capsys, "chain", "show", "./turbidity.py:turbidity", "--schema")
    assert json.loads(out)["properties"]["c"]["default"] == 0.1641
    _, out, _ = called(capsys, "chain", "show", "./turbidity.py:turbidity", "--json")
    assert json.loads(out)["inputs"][1] == {
        "name": "dem",
        "kind": "static",
        "required": False,
        "step": "both",
    }


def test_tiles_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = called(capsys, "tiles", "31TCH")
    assert out.split()[-4:] == ["31TCH", "32631", "300000", "4800000"]
    _, out, _ = called(capsys, "tiles", "--point", "1.4,43.6", "--json")
    assert "31TCJ" in [tile["tile"] for tile in json.loads(out)]
    assert called(capsys, "tiles", "--where", "land > 0")[0] == 2
    assert called(capsys, "tiles", "--point", "1.4")[0] == 2


def test_static_layers_are_prepared(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_degrees(lab / "europe.tif", (-1.0, 42.0, 3.0, 45.0))
    line = ["static", "prepare", "dem=europe.tif", "--tile", "31TCH", "--to", "layers", "--resolution", "915"]
    code, out, _ = called(capsys, *line, "--json")
    assert code == 0
    assert json.loads(out)["dem"]["file"] == "layers/31TCH/dem.tif"
    with rasterio.open(lab / "layers" / "31TCH" / "dem.tif") as raster:
        assert raster.shape == Tile.parse("31TCH").grid(915).shape
    assert called(capsys, *line[:2], "dem", *line[3:])[0] == 2


def test_words_of_static_and_set_are_taken_apart() -> None:
    assert split_static(["STATIC", "tcd=t.tif", "dem=a=b.tif"]) == (
        Path("STATIC"),
        {"tcd": Path("t.tif"), "dem": Path("a=b.tif")},
    )
    assert choose(["snow.dz=50", "snow.profile=lis-1.11"], ["snow"]) == {"dz": 50, "profile": "lis-1.11"}
    assert choose(["snow.dz=50", "lab.x.a=true"], ["snow", "lab.x"]) == {
        "snow": {"dz": 50},
        "lab.x": {"a": True},
    }
    assert choose(["lab.turbidity.a=1"], ["./turbidity.py:turbidity"]) == {"a": 1}
    with pytest.raises(UsageError, match="'snow'"):
        choose(["water.dz=50"], ["snow"])
