"""Products that only exist as items: a small chain, its granules, and items made as a run makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from thalweg.chain import Chain, chain
from thalweg.granule import Granule, Sun
from thalweg.grid import Grid
from thalweg.inputs import Band
from thalweg.item import Asset, InputFile, Provenance, build_item, item_file, write_item
from thalweg.layer import Class, Layer
from thalweg.tile import Tile

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
NOON = datetime(2021, 4, 15, 10, 59, 10, 624000, tzinfo=UTC)

MASK = Layer(
    "mask",
    "uint8",
    "Snow mask",
    nodata=255,
    classes=(Class(0, "no snow"), Class(100, "snow", "snow on the ground")),
    colours={0: (166, 150, 120, 255), 100: (120, 200, 255, 255), 255: (0, 0, 0, 0)},
)
DEPTH = Layer(
    "depth",
    "int16",
    "Depth",
    "m",
    -1,
    0.01,
    0.5,
    colours={0: (0, 0, 0, 255), 500: (255, 255, 255, 255)},
    ramp=(0, 500),
)
FLAGS = Layer("flags", "uint8", "What may weaken it", bits=("sun too low", "", "water"), role="metadata")


@chain(
    "lab.snow",
    version="1.0",
    inputs=[Band("green")],
    outputs=[MASK, DEPTH, FLAGS],
    references=("Gascoin et al. 2019, doi:10.5194/essd-11-493-2019", "Program: https://example.org/snow"),
)
def snow(scene: Any, *, ndsi: float = 0.4, codes: tuple[int, ...] = (1, 2)) -> Any:
    """Snow by a threshold."""


def version_of(version: str) -> Chain:
    """The chain in another version."""
    return replace(snow, version=version)


def digits(text: str) -> str:
    """Some 64 hexadecimal digits."""
    return sha256(text.encode()).hexdigest()


def a_granule(**changes: Any) -> Granule:
    """A MAJA product of tile 31TCH."""
    facts: dict[str, Any] = {
        "id": "SENTINEL2A_20210415-105910-624_L2A_T31TCH_C_V2-2",
        "path": Path("here/SENTINEL2A_20210415-105910-624_L2A_T31TCH_C_V2-2"),
        "format": "muscate",
        "tile": "31TCH",
        "sensed": NOON,
        "platform": "S2A",
        "level": "L2A",
        "sun": Sun(40.5, 150.25),
        "baseline": "V2-2",
        "orbit": 94,
        "cloud_cover": 12.5,
    }
    return Granule(**{**facts, **changes})


def a_provenance(**changes: Any) -> Provenance:
    """Where and how, with a DEM."""
    facts: dict[str, Any] = {
        "unit_id": digits("unit"),
        "chain": "lab.snow",
        "chain_version": "1.0",
        "software": {"thalweg": "0.1.0", "numpy": "2.4.0"},
        "parameters": {"ndsi": 0.4, "codes": (1, 2)},
        "parameter_digest": digits("parameters"),
        "inputs": (InputFile("green", "x_FRE_B3.tif", 1000, "crc32:cbf43926"),),
        "statics": (InputFile("dem", "dem.tif", 2000, f"sha256:{digits('dem')}"),),
        "host": "node001",
        "facility": "laboratory",
        "started": NOON,
        "finished": NOON,
        "cpu_seconds": 3.25,
        "wall_seconds": 2.125,
        "peak_memory_mb": 410.0,
    }
    return Provenance(**{**facts, **changes})


def some_assets(grid: Grid) -> list[Asset]:
    """Files of a product: three layers, the last on coarser pixels, a quicklook and a document."""
    rasters = [
        Asset(
            layer.name,
            f"{layer.name}.tif",
            COG,
            (layer.role,),
            layer.description,
            layer,
            10,
            digits(layer.name),
            place,
        )
        for layer, place in ((MASK, grid), (DEPTH, grid), (FLAGS, grid.at(2)))
    ]
    quicklook = Asset(
        "quicklook", "x.png", "image/png", ("thumbnail", "overview"), "Quicklook", None, 20, digits("png")
    )
    document = Asset(
        "run", "expert/run.json", "application/json", ("metadata",), "Run", None, 30, digits("json")
    )
    return [*rasters, quicklook, document]


def an_item(
    tile: str = "31TCH",
    sensed: datetime = NOON,
    version: str = "1.0",
    granule: Mapping[str, Any] | None = None,
    grid: Grid | None = None,
    properties: Mapping[str, Any] | None = None,
    **provenance: Any,
) -> dict[str, Any]:
    """The item of one product; its unit and id follow from what is said of it."""
    facts = {"id": f"SENTINEL2A_{sensed:%Y%m%d-%H%M%S}_T{tile}_{(granule or {}).get('baseline', 'V2-2')}"}
    scene = a_granule(**{"tile": tile, "sensed": sensed, **facts, **(granule or {})})
    unit = digits(f"{scene.id} {version} {sorted(provenance.items())} {grid}")
    chosen = version_of(version)
    collection = chosen.collection + ("-prototype" if provenance.get("maturity") == "prototype" else "")
    place = grid or Tile(tile).grid(60)
    return build_item(
        f"snow_{tile}_{sensed:%Y%m%dT%H%M%S}_{unit[:8]}",
        collection,
        scene,
        place,
        some_assets(place),
        properties or {"snow:zs": 1250},
        a_provenance(unit_id=unit, chain_version=version, **provenance),
        chosen,
    )


def place_of(destination: Path, item: Mapping[str, Any]) -> Path:
    """Where an item belongs."""
    tile = item["properties"]["processing:expression"]["expression"]["granule"]["tile"]
    sensed = datetime.fromisoformat(item["properties"]["datetime"])
    return destination / item_file(item["collection"], tile, sensed, item["id"])


def put(destination: Path, item: Mapping[str, Any]) -> Path:
    """Write an item where it belongs."""
    path = place_of(destination, item)
    path.parent.mkdir(parents=True)
    write_item(path, item)
    return path
