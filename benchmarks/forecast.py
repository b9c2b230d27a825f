"""The forecast on real science: learnt on one campaign of snow products, compared with what another one took.

    python benchmarks/forecast.py [--dates 4] [--learnt 6] [--checked 6]

Tiles hold synthetic winters of different sizes, so that costs differ by tile; the tile table has their pixel counts.
The first campaign runs in this process and is learnt from; the forecast of the second is made before it runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from thalweg.campaign.folder import open_folder
from thalweg.demo.series import write_scene
from thalweg.preparation import write_digest
from thalweg.tile import Tile

TILES = (
    "30TYN",
    "30TYP",
    "31TCH",
    "31TCJ",
    "31TCK",
    "31TDH",
    "31TDJ",
    "31TDK",
    "31TEH",
    "31TEJ",
    "32TLQ",
    "32TLR",
)
SIZES = (120, 180, 240, 300, 420, 600)
FIRST = datetime(2025, 1, 2, 10, 30, 29, 24000, UTC)
QUANTITIES = ("cpu_seconds", "bytes_in", "bytes_out", "files")


def write_archive(folder: Path, tiles: Sequence[str], dates: int) -> None:
    """Granules, static layers with digests, and the tile table."""
    rows = ["tile,megapixels"]
    for number, tile in enumerate(tiles):
        size = SIZES[(5 * number + number // len(SIZES)) % len(SIZES)]
        rows.append(f"{tile},{size * size / 1e6}")
        for day in range(dates):
            write_scene(folder, Tile(tile), FIRST + timedelta(days=10 * day), size=size, seed=number)
    for layer in (folder / "STATIC").rglob("*.tif"):
        write_digest(layer)
    (folder / "tiles.csv").write_text("\n".join(rows) + "\n")


def write_campaign(folder: Path, name: str, tiles: Sequence[str]) -> Path:
    """A campaign on some of the tiles."""
    asked = {
        "name": name,
        "site": "site.yaml",
        "chains": [{"name": "snow"}],
        "tiles": {"list": list(tiles), "table": "tiles.csv"},
        "period": "2025",
        "inputs": {"provider": "folder", "at": ".", "depth": 1, "match": "SENTINEL2*"},
        "static": {"folder": "STATIC"},
        "destination": "products",
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(asked))
    return path


def thalweg(folder: Path, *words: str) -> dict[str, Any]:
    """What a command of ours answers as JSON."""
    command = [sys.executable, "-m", "thalweg.cli.main", "campaign", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    return dict(json.loads(done.stdout)) if "--json" in words else {}


def measured(folder: Path) -> dict[str, float]:
    """What the units of a campaign took together."""
    with open_folder(folder).ledger() as ledger:
        row = ledger.database.rows(
            "SELECT sum(cpu), sum(bytes_in), sum(bytes_out), sum(files) FROM attempts"
        )[0]
    return dict(zip(QUANTITIES, map(float, row), strict=True))


def main() -> None:
    """Learn, forecast, compare."""
    parser = argparse.ArgumentParser(description="forecast of one campaign by another")
    parser.add_argument("--dates", type=int, default=4)
    parser.add_argument("--learnt", type=int, default=6)
    parser.add_argument("--checked", type=int, default=6)
    arguments = parser.parse_args()
    tiles = TILES[: arguments.learnt + arguments.checked]
    with tempfile.TemporaryDirectory(prefix="forecast-") as name:
        folder = Path(name)
        (folder / "site.yaml").write_text("min_free_gb: 0\nmin_free_inodes: 0\n")
        write_archive(folder, tiles, arguments.dates)
        for campaign, some in (("first", tiles[: arguments.learnt]), ("second", tiles[arguments.learnt :])):
            write_campaign(folder, campaign, some)
            thalweg(folder, "plan", f"{campaign}.yaml")
        thalweg(folder, "run", "first", "--on", "here")
        thalweg(folder, "forecast", "first", "--json")
        expected = thalweg(folder, "forecast", "second", "--learn-from", "first", "--json")
        thalweg(folder, "run", "second", "--on", "here")
        report({**expected, "cpu_seconds": 3600 * expected["cpu_hours"]}, measured(folder / "second"))


def report(expected: dict[str, Any], taken: dict[str, float]) -> None:
    """A line for each quantity."""
    print(f"{expected['measured']['snow']} units learnt from, {expected['units']} units forecast")
    for name in QUANTITIES:
        share = expected[name] / taken[name] - 1 if taken[name] else 0.0
        print(
            f"{name:12} forecast {expected[name]:14.1f}   taken {taken[name]:14.1f}   {100 * share:+6.1f} %"
        )


if __name__ == "__main__":
    main()
