"""Archives of granules that are names only, campaign files about them, and chains to run on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pyarrow.parquet as parquet
import yaml

CHAINS = '''
"""Two small chains."""

from thalweg import Band, Layer, chain


@chain("lab.one", version="0.1", inputs=[Band("red", 20)], outputs=[Layer("red", "float32")])
def one(scene, *, factor: float = 1.0):
    """The red band."""
    return {"red": factor * scene.red}


@chain("lab.top", version="0.1", inputs=[Band("red", 20)], outputs=[Layer("red", "float32")], levels=("L1C",))
def top(scene, *, factor: float = 1.0):
    """The red band at the top of the atmosphere."""
    return {"red": factor * scene.red}
'''

FIRST = datetime(2024, 1, 3, 10, 53, 29, tzinfo=UTC)


def safe_name(
    tile: str, day: int = 0, baseline: str = "0510", level: str = "L2A", made: str = "20240601T000000"
) -> str:
    """Name of a Sentinel-2 product."""
    when = FIRST + timedelta(days=day)
    return f"S2A_MSI{level}_{when:%Y%m%dT%H%M%S}_N{baseline}_R051_T{tile}_{made}.SAFE"


def make_archive(folder: Path, names: Iterable[str]) -> Path:
    """A tree of empty products."""
    for name in names:
        (folder / name[38:44] / name).mkdir(parents=True)
    return folder


def write_chains(folder: Path) -> Path:
    """A file with two chains."""
    path = folder / "lab.py"
    path.write_text(CHAINS)
    return path


def write_campaign(folder: Path, **changes: Any) -> Path:
    """A campaign file on an archive beside it."""
    content: dict[str, Any] = {
        "name": "alps",
        "chains": [{"name": "lab.py:one"}],
        "period": "2024",
        "inputs": {"provider": "folder", "at": "archive"},
        "destination": "products",
    }
    path = folder / "alps.yaml"
    path.write_text(yaml.safe_dump({**content, **changes}, sort_keys=False))
    return path


def write_geoparquet(path: Path, names: Sequence[str], **columns: Sequence[Any]) -> Path:
    """A stac-geoparquet of Sentinel-2 products."""
    times = [datetime.strptime(name[11:26], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) for name in names]
    table = {
        "id": [name.removesuffix(".SAFE") for name in names],
        "datetime": arrow.array(times, arrow.timestamp("ms", tz="UTC")),
        "collection": ["sentinel-2-l2a"] * len(names),
        "platform": ["sentinel-2a"] * len(names),
        "grid:code": [f"MGRS-{name[39:44]}" for name in names],
        "s2:processing_baseline": [f"{name[28:30]}.{name[30:32]}" for name in names],
        **columns,
    }
    parquet.write_table(arrow.table(table), path)
    return path
