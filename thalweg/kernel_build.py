"""Compiles every kernel ahead of time, for the types that it declares."""

from __future__ import annotations

import importlib
import pkgutil


def build_kernels() -> list[str]:
    """Compile into the kernel cache; the names of the kernels come back. A second call finds them there."""
    package = importlib.import_module("thalweg.kernels")
    built = []
    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        for name, value in vars(module).items():
            signatures = getattr(value, "signatures_to_build", ())
            if signatures and value.py_func.__module__ == module.__name__:
                for signature in signatures:
                    value.compile(signature)
                built.append(f"{found.name}.{name}")
    return built
