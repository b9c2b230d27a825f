"""Kernels compiled ahead of time: every declared type fits its kernel, and what is built is what modules define."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numba.core.sigutils import normalize_signature
from numpy.typing import NDArray

from thalweg import kernel_build, kernels
from thalweg.kernel_build import build_kernels
from thalweg.kernels.jit import kernel


def declared() -> dict[str, Any]:
    """Every kernel that declares types, by module and name."""
    modules = [
        importlib.import_module(f"thalweg.kernels.{found.name}")
        for found in pkgutil.iter_modules(kernels.__path__)
    ]
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if getattr(value, "signatures_to_build", ())
    }


def test_declared_types_are_as_many_as_the_arguments() -> None:
    found = declared()
    assert "resample.reduce_cubic_2" in found
    for name, function in found.items():
        for text in function.signatures_to_build:
            arguments, _ = normalize_signature(text)
            assert len(arguments) == function.py_func.__code__.co_argcount, f"{name}: {text}"


@kernel("void(uint8[::1], int64)", "void(int16[::1], int64)")
def add(values: NDArray[Any], more: int) -> None:
    for i in range(values.size):
        values[i] += more


def test_what_a_module_defines_is_built_for_each_of_its_types(monkeypatch: pytest.MonkeyPatch) -> None:
    module, other = ModuleType("thalweg.kernels.own"), ModuleType("thalweg.kernels.other")
    monkeypatch.setattr(add.py_func, "__module__", module.__name__)
    vars(module)["add"] = vars(other)["add"] = add
    for made in (module, other):
        monkeypatch.setitem(sys.modules, made.__name__, made)
    found = [SimpleNamespace(name="own"), SimpleNamespace(name="other")]
    monkeypatch.setattr(kernel_build.pkgutil, "iter_modules", lambda path: found)
    assert add.signatures == []
    assert build_kernels() == ["own.add"]
    assert len(add.signatures) == 2
    values = np.array([1, 2], np.int16)
    add(values, 40)
    assert values.tolist() == [41, 42]
    assert len(add.signatures) == 2
