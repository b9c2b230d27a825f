"""Values: frozen, small, and every field with its meaning."""

from __future__ import annotations

import ast
import dataclasses
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
VALUES = (
    "bands",
    "chain",
    "granule",
    "grid",
    "inputs",
    "layer",
    "masks",
    "parameters",
    "raster",
    "scene",
    "settings",
    "tile",
)


@pytest.mark.parametrize("name", VALUES)
def test_values_are_frozen(name: str) -> None:
    module = importlib.import_module(f"thalweg.{name}")
    own = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__
    ]
    for kind in own:
        if dataclasses.is_dataclass(kind):
            assert kind.__dataclass_params__.frozen, kind  # type: ignore[attr-defined]


def undocumented(source: str) -> list[str]:
    """Fields of dataclasses that no line of text follows."""
    found = []
    for kind in ast.walk(ast.parse(source)):
        if isinstance(kind, ast.ClassDef) and any(
            "dataclass" in ast.unparse(mark) for mark in kind.decorator_list
        ):
            for field, after in zip(kind.body, [*kind.body[1:], None], strict=True):
                if isinstance(field, ast.AnnAssign) and not (
                    isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                ):
                    found.append(f"{kind.name}.{ast.unparse(field.target)}")
    return found


@pytest.mark.parametrize("name", VALUES)
def test_every_field_has_its_meaning(name: str) -> None:
    assert undocumented((ROOT / "thalweg" / f"{name}.py").read_text("utf-8")) == []


def test_a_field_without_meaning_is_seen() -> None:
    assert undocumented('@dataclass\nclass A:\n    a: int\n    """Meaning."""\n    b: int = 0\n') == ["A.b"]
