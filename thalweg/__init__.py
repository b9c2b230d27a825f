"""Snow, surface water and water quality from Sentinel-2 and its sister missions, on one tile or ten thousand.

A scientist's whole vocabulary is here: `chain`, `Band`, `Mask`, `Static` and `Layer` to declare an algorithm, `run` and
`open_granule` to use one, `measure_lakes` to sum up what it made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thalweg.chain import Chain, Conclusion, Names, Noted, Strip, chain
from thalweg.inputs import Band, Codes, Mask, Static
from thalweg.layer import Class, Layer
from thalweg.parameters import Within
from thalweg.series import Counting, Series, Tally
from thalweg.synthesis import Synthesis, synthesis

if TYPE_CHECKING:
    from thalweg.lakes import measure_lakes
    from thalweg.processing import run
    from thalweg.readers import open_granule

__all__ = [
    "Band",
    "Chain",
    "Class",
    "Codes",
    "Conclusion",
    "Counting",
    "Layer",
    "Mask",
    "Names",
    "Noted",
    "Series",
    "Static",
    "Strip",
    "Synthesis",
    "Tally",
    "Within",
    "chain",
    "measure_lakes",
    "open_granule",
    "run",
    "synthesis",
]

# Compilers and raster libraries take a second to load: only those who use them wait for them.
_LAZY = {"run": "thalweg.processing", "open_granule": "thalweg.readers", "measure_lakes": "thalweg.lakes"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'thalweg' has no attribute {name!r}")
    from importlib import import_module

    from thalweg.settings import read_settings, use_kernel_cache

    use_kernel_cache(read_settings().kernel_cache)
    return getattr(import_module(_LAZY[name]), name)
