"""Published schemas are generated from the code, and fresh."""

from __future__ import annotations

from pathlib import Path

from thalweg.registry import list_chains
from thalweg.schemas import published_schemas, write_schemas

PUBLISHED = Path(__file__).resolve().parent.parent / "configs" / "chains"


def test_every_chain_loads() -> None:
    assert {listing.name: listing.error for listing in list_chains() if listing.chain is None} == {}


def test_published_schemas_are_fresh() -> None:
    published = {path.parent.name: path.read_text("utf-8") for path in PUBLISHED.glob("*/schema.json")}
    assert published == published_schemas(), "run: make schemas"


def test_schemas_are_written_beside_the_parameter_sets(tmp_path: Path) -> None:
    written = {path.relative_to(tmp_path).as_posix() for path in write_schemas(tmp_path)}
    assert written == {f"{chain}/schema.json" for chain in published_schemas()}
