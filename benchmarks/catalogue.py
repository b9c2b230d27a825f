"""The embedded catalogue under load: entering, entering again, searching, extents, rebuilding.

    python benchmarks/catalogue.py [--items 100000] [--rebuild 5000] [--layers 10]

The items have the layers of the snow chain; `build_item` makes one, which is then varied: 10,000 tiles of the grid, as
many dates as it takes, a quarter of the units made anew by a newer chain version. The table gives rates of a single
process on the disk of the temporary folder, and medians of 200 searches with random conditions, of 10 items each.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from thalweg.catalogue import NAME, Catalogue, rebuild
from thalweg.catalogue.search import Conditions
from thalweg.chain import chain
from thalweg.chains.snow_layers import LAYERS
from thalweg.granule import Granule, Sun
from thalweg.inputs import Band
from thalweg.item import Asset, InputFile, Provenance, build_item, item_file, write_item
from thalweg.tile import Tile, tile_ids

TILES = 10_000
FIRST = datetime(2024, 1, 1, 10, 56, 19, 24000, tzinfo=UTC)
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
SEARCHES = 200


@chain("snow", version="1.0", inputs=[Band("green")], outputs=LAYERS)
def snow(
    scene: Any, *, profile: str = "default", dz: int = 100, fsc_toc_eq: tuple[float, float] = (2.65, -1.42)
) -> Any:
    """A chain that only declares."""


def template(layers: int) -> dict[str, Any]:
    """The item of one snow product in the first of its default layers."""
    values, _ = snow.prepare({})
    granule = Granule(
        id="SENTINEL2A_20240101-105619-024_L2A_T31TCH_C_V3-1",
        path=Path("granule"),
        format="muscate",
        tile="31TCH",
        sensed=FIRST,
        platform="S2A",
        level="L2A",
        sun=Sun(67.1, 161.9),
        baseline="V3-1",
        orbit=94,
        cloud_cover=12.5,
    )
    grid = Tile("31TCH").grid(20)
    names = (
        "seb",
        "snow_all",
        "ndsi",
        "fsc_toc",
        "fsc_og",
        "qcflags",
        "qctoc",
        "qcog",
        "fsc_toc_unc",
        "fsc_og_unc",
    )
    assets = [
        Asset(name, f"SNOW_{name}.tif", COG, ("data",), name, snow.layer(name), 3_000_000, digits(name), grid)
        for name in names[:layers]
    ]
    files = [
        InputFile(role, f"{granule.id}_FRE_{role}.tif", 50_000_000, "crc32:cbf43926")
        for role in ("B3", "B4", "B11")
    ]
    statics = [
        InputFile(role, f"{role}.tif", 60_000_000, f"sha256:{digits(role)}") for role in ("dem", "tcd")
    ]
    provenance = Provenance(
        unit_id=digits("unit"),
        chain="snow",
        chain_version="1.0",
        software={
            "thalweg": "0.1.0",
            "numpy": "2.4.0",
            "numba": "0.68.0",
            "rasterio": "1.4.3",
            "gdal": "3.9.3",
        },
        parameters=values,
        parameter_digest=digits("parameters"),
        inputs=tuple(files),
        statics=tuple(statics),
        host="node001",
        facility="laboratory",
        started=FIRST,
        finished=FIRST,
        cpu_seconds=3.2,
        wall_seconds=2.1,
        peak_memory_mb=410.0,
    )
    properties = {
        "snow:zs": 1250,
        "snow:snow_percent": 34.2,
        "snow:histogram": [[z, 9, 8, 7] for z in range(0, 3000, 100)],
    }
    return build_item("SNOW", snow.collection, granule, grid, assets, properties, provenance, snow)


def items(base: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
    """Varied items; every fourth is an earlier one made anew by a newer version."""
    places = [(id, list(Tile(id).lonlat_bounds)) for id in islice(tile_ids(), 0, None, 5)][:TILES]
    for number in range(count):
        newer = number % 4 == 3
        unit = number - 1 if newer else number
        tile, box = places[unit % len(places)]
        yield varied(
            base, tile, box, FIRST + timedelta(days=5 * (unit // len(places)), seconds=unit % 60), newer
        )


def varied(
    base: dict[str, Any], tile: str, box: list[float], sensed: datetime, newer: bool
) -> dict[str, Any]:
    """The item for another tile, time and version."""
    version = "1.1" if newer else "1.0"
    old = base["properties"]["processing:expression"]
    name = f"SENTINEL2A_{sensed:%Y%m%d-%H%M%S}-024_L2A_T{tile}_C_V3-1"
    granule = {**old["expression"]["granule"], "id": name, "tile": tile}
    recipe = {**old["expression"], "version": version, "granule": granule}
    unit = digits(f"{name} {version}")
    properties = {
        **base["properties"],
        "datetime": sensed.isoformat().replace("+00:00", "Z"),
        "thalweg:unit_id": unit,
        "processing:expression": {**old, "expression": recipe},
    }
    collection = f"snow-{version}"
    id = f"SNOW_S2_T{tile}_{sensed:%Y%m%dT%H%M%S}_{version}_{unit[:8]}"
    return {**base, "id": id, "bbox": box, "properties": properties, "collection": collection}


def digits(text: str) -> str:
    """Some 64 hexadecimal digits."""
    return sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Cost:
    """What an action takes."""

    wall: float
    """Elapsed seconds."""
    cpu: float
    """Seconds of the processor: what counts on a machine that is shared."""

    def rate(self, count: int) -> str:
        """How many of `count` in a second."""
        return f"{count / self.wall:10,.0f} /s {count / self.cpu:12,.0f} /CPU-s"

    def milliseconds(self) -> str:
        """Both in milliseconds."""
        return f"{1e3 * self.wall:10.3f} ms {1e3 * self.cpu:12.3f} CPU-ms"


def timed(action: Callable[[], Any]) -> Cost:
    """The cost of an action."""
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def typical(action: Callable[[], Any]) -> Cost:
    """Medians of many runs."""
    costs = [timed(action) for _ in range(SEARCHES)]
    return Cost(median(cost.wall for cost in costs), median(cost.cpu for cost in costs))


def ask(search: Callable[..., Any], conditions: Callable[[], Conditions]) -> None:
    """One search with conditions of its own."""
    search(limit=10, **conditions())


def measure_entering(catalogue: Catalogue, made: list[dict[str, Any]]) -> None:
    """Rates of entering items for the first and the second time, in batches of a publisher."""
    batches = [made[start : start + 2000] for start in range(0, len(made), 2000)]
    for title in ("enter", "enter again"):
        cost = timed(lambda: [catalogue.upsert(batch) for batch in batches])
        print(f"{title:32} {cost.rate(len(made))}")


def measure_searches(catalogue: Catalogue, chance: random.Random) -> None:
    """Medians of searches, for places and for whole items."""
    tiles = [id for id in islice(tile_ids(), 0, None, 5)][:TILES]

    def box() -> list[float]:
        west, south = chance.uniform(-10, 30), chance.uniform(35, 60)
        return [west, south, west + 1, south + 1]

    searches: dict[str, Callable[[], Conditions]] = {
        "tile": lambda: {"tile": chance.choice(tiles)},
        "tile and month": lambda: {"tile": chance.choice(tiles), "period": "2024-01"},
        "box of 1 degree": lambda: {"bbox": box()},
        "box and collection": lambda: {"bbox": box(), "collection": "snow-1.0"},
        "month": lambda: {"period": "2024-01"},
        "collection": lambda: {"collection": "snow-1.1"},
    }
    for title, conditions in searches.items():
        for what, search in (("find", catalogue.find), ("search", catalogue.search)):
            cost = typical(partial(ask, search, conditions))
            print(f"{what + ': ' + title:32} {cost.milliseconds()}")
    print(f"{'extent of a collection':32} {timed(lambda: catalogue.holdings('snow-1.0')).milliseconds()}")


def measure_rebuild(folder: Path, made: list[dict[str, Any]]) -> None:
    """Rates of writing items and of making the catalogue anew from them."""

    def write() -> None:
        for item in made:
            recipe = item["properties"]["processing:expression"]["expression"]
            sensed = datetime.fromisoformat(item["properties"]["datetime"])
            path = folder / item_file(item["collection"], recipe["granule"]["tile"], sensed, item["id"])
            path.parent.mkdir(parents=True)
            write_item(path, item)

    for title, action in (("write items, fsynced", write), ("rebuild", lambda: rebuild(folder))):
        print(f"{title:32} {timed(action).rate(len(made))}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Benchmark of the embedded catalogue.")
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--rebuild", type=int, default=5_000)
    parser.add_argument("--layers", type=int, default=10, help="rasters of a product")
    arguments = parser.parse_args()
    base = template(arguments.layers)
    print(f"an item of {arguments.layers} layers has {len(json.dumps(base, separators=(',', ':')))} bytes")
    print(f"{'build an item':32} {typical(lambda: template(arguments.layers)).milliseconds()}")
    print(f"{'json.dumps alone':32} {timed(lambda: [json.dumps(base) for _ in range(1000)]).rate(1000)}")
    made = list(items(base, arguments.items))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        with Catalogue.open(path) as catalogue:
            measure_entering(catalogue, made)
            measure_searches(catalogue, random.Random(1))
        size = path.stat().st_size
        print(f"{'size':32} {size / 1e6:10.1f} MB {size / len(made):9.0f} bytes an item")
        measure_rebuild(Path(folder) / "products", made[: arguments.rebuild])


if __name__ == "__main__":
    main()
