"""Manifests: what is written is read back, and nothing else is read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.campaign.batches import a_batch
from thalweg.campaign.batch import Simulation, read_batch, write_batch
from thalweg.errors import BadInput, BadParameters


def test_a_batch_is_read_as_it_was_written(tmp_path: Path) -> None:
    batch = a_batch(chains=("snow", "water"), simulate=Simulation("stand-in.yaml", 7))
    write_batch(tmp_path / "b.json", batch)
    assert read_batch(tmp_path / "b.json") == batch
    assert [unit.chain for unit in batch.units()] == ["snow", "water"] * 3


def damaged(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "b.json"
    write_batch(path, a_batch())
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, r"b.json: .*version 2: this worker reads version 1"),
        ({"id": "../b"}, r"batch '../b': letters"),
        ({"campaign": ".hidden"}, r"campaign '.hidden'"),
        ({"tokn": 2}, r"tokn: unknown key 'tokn'. Did you mean 'token'"),
        ({"chains": []}, r"chain 'snow' of a unit is none of the batch's"),
        ({"resources": {"memory_mb": 0, "seconds": 1}}, r"resources: .*at least 1"),
        ({"granules": [{"path": "a", "tile": "", "units": [{"id": "12", "chain": "snow"}]}]}, r"64 hex"),
    ],
)
def test_a_manifest_is_read_strictly(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadParameters, match=message):
        read_batch(damaged(tmp_path, **changes))


def test_a_unit_is_named_once() -> None:
    with pytest.raises(ValueError, match="named twice"):
        replace(a_batch(), granules=a_batch().granules * 2)


def test_a_cut_manifest_is_bad_input(tmp_path: Path) -> None:
    path = damaged(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadInput, match="not valid JSON"):
        read_batch(path)
