"""Detectors of water on real pixels: a labelled flood, clouds with the mask withheld, a river, a coast without bands.

    python benchmarks/water_skill.py SHARED [--pictures FOLDER]

SHARED is the folder that holds `data/`. Every detector is run through the product's own door. Prints the tables of
docs/validation/water.md, and draws its pictures. Nothing is tuned to these pixels. Beside the detectors stands a plain
rule that costs nothing: indices and SWIR within the limits of water, and not snow-like.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from rasterio.transform import Affine

import thalweg
from thalweg.kernels import samples

ROLES = ("blue", "green", "red", "nir08", "swir16", "swir22")
DETECTORS: Mapping[str, Mapping[str, Any]] = {
    "dswx": {"detector": "dswx"},
    "dswx, partial too": {"detector": "dswx", "partial_as_water": True},
    "wofs": {"detector": "wofs"},
    "cluster": {"detector": "cluster"},
    "forest": {"detector": "forest"},
}
CLOUD_CLASSES = {0: "shadow", 1: "water", 3: "land", 4: "cloud"}
SHOWN = ("plain rule", "dswx", "wofs", "cluster")

Image = np.ndarray
"""Six bands, DN4 int16 (6, h, w), in the order of `ROLES`."""


def main() -> int:
    """Print the tables, draw the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shared", type=Path)
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    data = arguments.shared / "data"
    with tempfile.TemporaryDirectory() as folder:
        for show in (flood, clouds, river, coast):
            show(data, Path(folder), arguments.pictures)
    return 0


def flood(data: Path, folder: Path, pictures: Path | None) -> None:
    """The labelled flood: precision, recall, F1 and IoU; pixels without label left out."""
    place = data / "s2-s1-flood-spain"
    bands = read(place / "Spain_7370579_S2Hand.tif", (2, 3, 4, 9, 12, 13))
    label = read(place / "Spain_7370579_LabelHand.tif", (1,))[0]
    found = detect(bands, folder / "flood", "L1C")
    print("\nflood, Spain, 2019-09-18, top of atmosphere\n")
    print("| detector | precision | recall | F1 | IoU | beats the plain rule |\n|---|---|---|---|---|---|")
    rule = scores(found["plain rule"], label)
    for name, water in found.items():
        precision, recall, f1, iou = scores(water, label)
        beats = "" if name == "plain rule" else "yes" if f1 > rule[2] else "no"
        print(f"| {name} | {precision:.3f} | {recall:.3f} | {f1:.4f} | {iou:.3f} | {beats} |")
    draw(pictures, "water-flood", bands, found)


def clouds(data: Path, folder: Path, pictures: Path | None) -> None:
    """Shares of the reference classes that are called water when no mask keeps clouds out."""
    for name in ("sentinel2", "landsat7"):
        with np.load(data / "s2-l1c-clouds-reference" / f"{name}.npz") as patch:
            bands = (
                np.floor(patch["img"].transpose(2, 0, 1) * 10000 + 0.5).clip(-2000, 32767).astype(np.int16)
            )
            classes = patch["msk"][..., 0]
        found = detect(bands, folder / name, "L1C")
        print(f"\nclouds, {name}, top of atmosphere, mask withheld\n")
        print(f"| class | pixels | {' | '.join(found)} |\n|---|---|{'---|' * len(found)}")
        for code, title in CLOUD_CLASSES.items():
            of = classes == code
            shares = " | ".join(f"{100 * (water[of] == 1).mean():.1f} %" for water in found.values())
            print(f"| {title} | {of.sum():,} | {shares} |")
        draw(pictures, f"water-clouds-{name}", bands, found)


def river(data: Path, folder: Path, pictures: Path | None) -> None:
    """A large river: the share of water, and how far the detectors agree with the plain rule."""
    stored = read(data / "s2-river-srtm-amazon" / "sen2.tif", (2, 3, 4, 9, 11, 12))
    bands = (stored.astype(np.int32) - 1000).clip(-2000, 32767).astype(np.int16)
    found = detect(bands, folder / "river", "L2A")
    print("\nriver, Amazon, surface reflectance\n\n| detector | water | as the plain rule |\n|---|---|---|")
    for name, water in found.items():
        same = (water == found["plain rule"]).mean()
        print(f"| {name} | {100 * (water == 1).mean():.2f} % | {100 * same:.2f} % |")


def coast(data: Path, folder: Path, pictures: Path | None) -> None:
    """What is said of a product without visible bands."""
    place = data / "s2-l1c-coast-20m"
    names = {"rededge071": "B05", "nir08": "B8A", "swir16": "B11", "swir22": "B12"}
    bands = {role: {"file": str((place / f"s2_{name}.tif").resolve())} for role, name in names.items()}
    content = {"level": "L1C", "time": "2016-01-12", "site": "coast", "scale": 0.0001, "bands": bands}
    granule = folder / "coast.yaml"
    granule.write_text(yaml.safe_dump(content))
    (ending,) = thalweg.run(granule, "water", to=folder / "coast")
    said = ending.error.what_to_do if ending.error else ""
    print(f"\ncoast: {ending.state}: {str(ending.error).replace(str(folder), '...')} {said}")


def read(path: Path, indexes: tuple[int, ...]) -> Any:
    """Bands of a raster."""
    with rasterio.open(path) as raster:
        return raster.read(indexes)


def detect(bands: Image, folder: Path, level: str) -> dict[str, np.ndarray]:
    """WATER of the plain rule and of every detector."""
    granule = write_stack(bands, folder, level)
    found = {"plain rule": plain_rule(bands)}
    for name, parameters in DETECTORS.items():
        (ending,) = thalweg.run(granule, "water", to=folder / "out", **parameters)
        if ending.product is None:
            raise SystemExit(f"{ending.error}\n{ending.trace}")
        used = ending.properties["water:detector_used"]
        title = name if used == parameters["detector"] else f"{name} (falls back to {used})"
        found[title] = read(next(ending.product.glob("*_WATER.tif")), (1,))[0]
    return found


def write_stack(bands: Image, folder: Path, level: str) -> Path:
    """The bands as a raster stack on small degrees."""
    folder.mkdir()
    count, height, width = bands.shape
    transform = Affine(1e-4, 0, 0, 0, -1e-4, 0)
    profile = {"count": count, "height": height, "width": width, "crs": "EPSG:4326", "transform": transform}
    with rasterio.open(folder / "bands.tif", "w", driver="GTiff", dtype="int16", **profile) as raster:
        raster.write(bands)
    content = {
        "level": level,
        "time": "2019-09-18T10:50:31Z",
        "site": folder.name,
        "file": "bands.tif",
        "scale": 0.0001,
        "bands": {role: {"band": number} for number, role in enumerate(ROLES, start=1)},
    }
    (folder / "stack.yaml").write_text(yaml.safe_dump(content))
    return folder / "stack.yaml"


def plain_rule(bands: Image) -> np.ndarray:
    """1 where indices and SWIR are within the limits of water and the pixel is not snow-like."""
    tests = np.empty(bands.shape[1:], np.uint8)
    planes: Any = tuple(np.ascontiguousarray(band, np.int16) for band in bands)
    samples.spectral_tests(planes, samples.SpectralLimits().as_array(), tests)
    return ((tests & (samples.MAY_BE_WATER | samples.SNOW_LIKE)) == samples.MAY_BE_WATER).astype(np.uint8)


def scores(water: np.ndarray, label: np.ndarray) -> tuple[float, float, float, float]:
    """Precision, recall, F1 and IoU of water where there is a label."""
    hits = float(((water == 1) & (label == 1)).sum())
    called, real = float(((water == 1) & (label >= 0)).sum()), float((label == 1).sum())
    return hits / called, hits / real, 2 * hits / (called + real), hits / (called + real - hits)


def draw(folder: Path | None, name: str, bands: Image, found: Mapping[str, np.ndarray]) -> None:
    """SWIR, NIR and red as a colour picture, and beside it what the plain rule and the detectors call water."""
    if folder is None:
        return
    colours = np.stack(
        [(bands[k] / limit).clip(0, 1) * 255 for k, limit in ((4, 4000), (3, 4500), (2, 3000))]
    )
    panels = [colours[:, ::2, ::2].astype(np.uint8)]
    gap = np.full((3, panels[0].shape[1], 4), 255, np.uint8)
    for title in SHOWN:
        water = found[title][::2, ::2] == 1
        panels += [gap, np.where(water, np.array([[[0]], [[0]], [[255]]]), 235).astype(np.uint8)]
    picture = np.concatenate(panels, axis=2)
    folder.mkdir(parents=True, exist_ok=True)
    profile = {"count": 3, "height": picture.shape[1], "width": picture.shape[2], "dtype": "uint8"}
    with rasterio.open(folder / f"{name}.png", "w", driver="PNG", zlevel=9, **profile) as raster:
        raster.write(picture)


if __name__ == "__main__":
    sys.exit(main())
