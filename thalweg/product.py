"""A product on disk: one COG a layer, a quicklook, documents, and the STAC item that completes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.cog import Codec, CogWriter
from thalweg.item import Asset
from thalweg.polygons import write_polygons
from thalweg.quicklook import write_quicklook
from thalweg.static import checksum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.chain import Arrays, Conclusion, Names
    from thalweg.grid import Grid
    from thalweg.layer import Layer

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
"""Media type of a layer's file."""

_MEDIA = {
    ".json": "application/json",
    ".xml": "application/xml",
    ".txt": "text/plain",
    ".gpkg": "application/geopackage+sqlite3",
    ".png": "image/png",
    ".zarr": "application/vnd.zarr; version=3",
}


@dataclass(frozen=True, slots=True)
class Written:
    """One file of a product."""

    key: str
    """Key of its asset."""
    path: Path
    """Where it is."""
    title: str
    """For people."""
    roles: tuple[str, ...]
    """STAC roles."""
    layer: Layer | None = None
    """The layer that it holds, None for other files."""


class ProductWriter:
    """Takes layers strip by strip and makes the files of a product in a folder."""

    def __init__(self, folder: Path, names: Names, grid: Grid, codec: Codec, tags: Mapping[str, str]) -> None:
        self._folder, self._names, self._grid, self._codec, self._tags = (
            folder,
            names,
            grid,
            codec,
            dict(tags),
        )
        self._writers: dict[str, tuple[Layer, CogWriter]] = {}
        self._lock = Lock()

    def append(self, layer: Layer, rows: NDArray[Any]) -> None:
        """Add rows to a layer's file; layers may come from several threads, rows of one layer in order."""
        self._writer(layer).append(rows)

    def finish(self, conclusion: Conclusion, main: Iterable[str], pool: Executor) -> list[Written]:
        """Write what is left of the layers, then quicklook, polygons and documents."""
        writers = [writer for _, writer in self._writers.values()]
        for _ in pool.map(CogWriter.close, writers):
            pass
        written = [
            Written(layer.name, self._path(layer), layer.description, (layer.role,), layer)
            for layer, _ in self._writers.values()
        ]
        written.append(self._quicklook(main))
        written += [self._polygons(layer, field) for layer, field in conclusion.polygons.items()]
        written += [self._document(name, text) for name, text in conclusion.documents.items()]
        written += [self._model(role, arrays) for role, arrays in conclusion.models.items()]
        return written

    def abandon(self) -> None:
        """Forget every layer; files that exist already go with the folder."""
        for _, writer in self._writers.values():
            writer.abandon()

    def _writer(self, layer: Layer) -> CogWriter:
        with self._lock:
            if layer.name not in self._writers:
                path = self._path(layer)
                path.parent.mkdir(parents=True, exist_ok=True)
                writer = CogWriter(path, layer, self._grid, codec=self._codec, tags=self._tags)
                self._writers[layer.name] = (layer, writer)
            return self._writers[layer.name][1]

    def _path(self, layer: Layer) -> Path:
        return self._folder / self._names.files.get(layer.name, f"{layer.name}.tif")

    def _quicklook(self, main: Iterable[str]) -> Written:
        name = next((name for name in main if name in self._writers), next(iter(self._writers)))
        layer, writer = self._writers[name]
        path = self._folder / f"{self._names.product}.png"
        write_quicklook(path, writer.overview(), layer)
        return Written("quicklook", path, f"Quicklook: {layer.description}", ("thumbnail", "overview"))

    def _polygons(self, name: str, field: str) -> Written:
        raster = self._path(self._writers[name][0])
        path = self._folder / f"{raster.stem}.gpkg"
        write_polygons(path, raster, field)
        return Written(f"{name}_polygons", path, f"Polygons of {name}", ("data",))

    def _document(self, name: str, text: str) -> Written:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        return Written(path.stem.lower(), path, path.name, ("metadata",))

    def _model(self, role: str, arrays: Arrays) -> Written:
        path = self._folder / f"{role}.npz"
        np.savez(path, **dict(arrays), allow_pickle=False)
        return Written(role, path, f"Model {role}", ("metadata",))


def measure(path: Path) -> tuple[int, str]:
    """Bytes and SHA-256 of a file; of a folder of files, bytes of all and the SHA-256 of a list of names and sums."""
    if path.is_file():
        return path.stat().st_size, checksum(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    lines = [f"{checksum(file)}  {file.relative_to(path).as_posix()}\n" for file in files]
    return sum(file.stat().st_size for file in files), hashlib.sha256("".join(lines).encode()).hexdigest()


def describe_files(written: Iterable[Written], folder: Path, grid: Grid, pool: Executor) -> list[Asset]:
    """The assets of written files, with sizes and SHA-256 checksums."""

    def describe(file: Written) -> Asset:
        size, sha256 = measure(file.path)
        is_cog = file.layer is not None and file.path.is_file()
        return Asset(
            key=file.key,
            file=file.path.relative_to(folder).as_posix(),
            media_type=COG if is_cog else _MEDIA.get(file.path.suffix.lower(), "application/octet-stream"),
            roles=file.roles,
            title=file.title,
            layer=file.layer,
            size=size,
            sha256=sha256,
            grid=grid if file.layer else None,
        )

    return list(pool.map(describe, written))


def run_document(values: Mapping[str, Any]) -> str:
    """The text of ``<chain>_run.json``: what was really used."""
    return json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
