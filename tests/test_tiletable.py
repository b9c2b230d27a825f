"""Tile tables and the conditions on their columns."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import BadInput, BadParameters, MissingInput
from thalweg.tiletable import TileTable, parse_condition, read_tile_table

CSV = """tile,land_frac,theia_l2a,region
T31TCJ,0.95,true,Pyrenees
32TLR,0.8,false,Alps south
56HLH,,true,Australia
"""


@pytest.fixture
def table(tmp_path: Path) -> TileTable:
    path = tmp_path / "tiles.csv"
    path.write_text(CSV)
    return read_tile_table(path)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("land_frac > 0.8", {"31TCJ"}),
        ("land_frac >= 0.8", {"31TCJ", "32TLR"}),
        ("land_frac != 0.8", {"31TCJ"}),
        ("land_frac<=0.8 and theia_l2a=false", {"32TLR"}),
        ("theia_l2a = TRUE AND land_frac > 0", {"31TCJ"}),
        ("theia_l2a != true", {"32TLR"}),
        ("region = 'Alps south'", {"32TLR"}),
        ('region == "Alps south"', {"32TLR"}),
        ("region = Pyrenees", {"31TCJ"}),
        ("tile = 56HLH", {"56HLH"}),
        ("land_frac < -1e3", set()),
    ],
)
def test_conditions(table: TileTable, condition: str, expected: set[str]) -> None:
    chosen = table.where(condition)
    assert set(chosen.ids) == expected
    assert {tile.id for tile in chosen.tiles()} == expected
    assert all(len(column) == len(expected) for column in chosen.columns.values())


@pytest.mark.parametrize(
    ("condition", "named"),
    [
        ("land_frc > 1", "Did you mean 'land_frac'"),
        ("land_frac > many", "'many'"),
        ("theia_l2a = 3", "'3'"),
        ("region > Alps", "no order"),
        ("land_frac >", "not understood from 'land_frac >'"),
        ("land_frac > 1 or tile = 31TCJ", "not understood from 'or tile = 31TCJ'"),
        ("land_frac > 1 and", "not understood from 'its end'"),
        ("", "not understood"),
        ("open('x').read() = 1", "not understood"),
    ],
)
def test_what_is_wrong_with_a_condition_is_said(table: TileTable, condition: str, named: str) -> None:
    with pytest.raises(BadParameters) as caught:
        table.where(condition)
    assert named in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_a_condition_or_an_error(text: str) -> None:
    try:
        comparisons = parse_condition(text)
    except BadParameters:
        return
    assert all(comparison.column.isidentifier() for comparison in comparisons)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("id,land\n31TCJ,1\n", "no column 'tile'"),
        ("", "no column 'tile'"),
        ("tile,land\n31TZZ,1\n", "31TZZ"),
        ("tile,land\n31TCJ,1\nT31TCJ,2\n", "more than one row for tile 31TCJ"),
        ("tile,land\n31TCJ\n", "has 1 values, the header 2"),
    ],
)
def test_bad_tables_name_the_file_and_the_fault(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "faulty.csv"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        read_tile_table(path)
    assert named in str(caught.value)
    assert "faulty.csv" in str(caught.value)


def test_unreadable_tables_are_bad_input(tmp_path: Path) -> None:
    for name, content in {
        "a.parquet": b"no parquet",
        "a.csv": b"\xff\xfe\x00tile",
        "a.txt": b"tile\n",
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(BadInput, match=name):
            read_tile_table(path)
    with pytest.raises(MissingInput, match="none"):
        read_tile_table(tmp_path / "none.csv")


def test_published_table(shared: Path) -> None:
    pytest.importorskip("pyarrow")
    table = read_tile_table(shared / "data" / "s2-tile-grid" / "s2_tiles.parquet")
    assert len(table.ids) == 56_686
    assert len(table.where("theia_l2a = true").ids) == 1_074
    assert len(table.where("crosses_180 = true").ids) == 298
    assert (
        0
        < len(table.where("land_frac > 0.2 and lake_km2 >= 5").ids)
        < len(table.where("land_frac > 0.2").ids)
    )
