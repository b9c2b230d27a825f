"""Per-pixel tests of snow on real pixels: clouds with the mask withheld, and hand-labelled spectra.

    python benchmarks/snow_skill.py SHARED

SHARED is the folder that holds `data/`. Prints the tables of docs/validation/snow.md. Nothing is tuned to these pixels,
and they say nothing about snow line, relief shadow or cloud masks, which need a whole scene.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from thalweg.kernels import snow

CLOUD_CLASSES = {0: "shadow", 1: "water", 3: "land", 4: "cloud"}
SPECTRA_CLASSES = {"1": "snow", "2": "shadowed snow", "3": "ice", "4": "rock", "5": "water"}


def main() -> int:
    """Print both tables."""
    data = Path(sys.argv[1]) / "data"
    for name in ("sentinel2", "landsat7"):
        print(f"\nclouds, {name} (top of atmosphere, cloud mask withheld)\n")
        print_table(clouds(data / "s2-l1c-clouds-reference" / f"{name}.npz"))
    print("\nlabelled spectra on glaciers (Sentinel-2 L2A)\n")
    print_table(spectra(data / "s2-snow-labelled-spectra" / "Sentinel-2_SR_training_data.csv"))
    return 0


def clouds(path: Path) -> Iterable[tuple[str, Mapping[str, np.ndarray]]]:
    """Decisions by reference class of one patch."""
    with np.load(path) as patch:
        bands, classes = patch["img"], patch["msk"][..., 0]
    blue, green, red, nir, swir = (counts(bands[..., index]) for index in range(5))
    decided = decisions(green, red, swir, blue, nir)
    for code, name in CLOUD_CLASSES.items():
        if np.any(classes == code):
            yield name, {test: found[classes == code] for test, found in decided.items()}


def spectra(path: Path) -> Iterable[tuple[str, Mapping[str, np.ndarray]]]:
    """Decisions by label of the spectra."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    bands = {
        name: counts(np.array([[float(row[name]) for row in rows]]))
        for name in ("B2", "B3", "B4", "B8A", "B11")
    }
    labels = np.array([str(int(float(row["class"]))) for row in rows])
    decided = decisions(bands["B3"], bands["B4"], bands["B11"], bands["B2"], bands["B8A"])
    for code, name in SPECTRA_CLASSES.items():
        yield name, {test: found[0, labels == code] for test, found in decided.items()}


def decisions(
    green: np.ndarray, red: np.ndarray, swir: np.ndarray, blue: np.ndarray, nir: np.ndarray
) -> dict[str, np.ndarray]:
    """What each per-pixel test says, with the chain's own kernel and default thresholds."""
    state = np.empty(green.shape, np.uint16)
    limits = snow.limits(
        ndsi_pass1=0.4,
        red_pass1=2000,
        ndsi_pass2=0.15,
        red_pass2=400,
        red_back_to_cloud=1000,
        shaded_snow_pass=160,
    )
    clear = np.zeros(green.shape, np.uint8)
    snow.survey(green, red, swir, blue, nir, clear, None, -10000, limits, False, state)
    with np.errstate(divide="ignore", invalid="ignore"):
        index = (green.astype(float) - swir) / (green.astype(float) + swir)
    return {
        "pass 1": (state & snow.SNOW1) != 0,
        "pass 2": (state & snow.CANDIDATE2) != 0,
        "blue test": (state & snow.BLUE) != 0,
        "NDSI > 0.4": index > 0.4,
    }


def counts(reflectance: np.ndarray) -> np.ndarray:
    """Reflectance x 10000, rounded half up."""
    return np.ascontiguousarray(np.clip(np.floor(reflectance * 10000 + 0.5), -9999, 32767).astype(np.int16))


def print_table(rows: Iterable[tuple[str, Mapping[str, np.ndarray]]]) -> None:
    """Shares of each class, as Markdown."""
    header: list[str] = []
    for name, decided in rows:
        if not header:
            header = list(decided)
            print(f"| class | pixels | {' | '.join(header)} |")
            print(f"|---|---|{'---|' * len(header)}")
        shares = " | ".join(f"{100 * found.mean():.1f} %" for found in decided.values())
        print(f"| {name} | {len(next(iter(decided.values()))):,} | {shares} |")


if __name__ == "__main__":
    sys.exit(main())
