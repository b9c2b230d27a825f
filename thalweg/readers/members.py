"""Products as the members of a synthesis: found in folders, read from their items, which are untrusted."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from thalweg.errors import BadInput, MissingInput, ThalwegError
from thalweg.item import RECIPE, read_item, spacecraft
from thalweg.parameters import canonical_json
from thalweg.raster import Raster
from thalweg.readers.archive import is_archive, opened_archive
from thalweg.readers.facts import utc
from thalweg.readers.foreign import LAYER, is_foreign, read_foreign
from thalweg.readers.listing import Folder
from thalweg.series import DEFAULT, Member, acquisition_name, version_numbers

DEPTH = 5
"""Folders between a destination and a product: collection, tile, year, month, product."""

_VERSION_IN_NAME = re.compile(r"_(\d+-\d+-\d+)(?:_[0-9a-f]{8})?$", re.ASCII)


class Source:
    """Reads members for one synthesis; what archives hold is unpacked into a private folder that `close` removes."""

    def __init__(self, chain: str, takes: Sequence[str], scratch: Path | None = None) -> None:
        self._chain, self._takes, self._scratch = chain, tuple(takes), scratch
        self._stack = ExitStack()
        self.broken: list[tuple[Path, ThalwegError]] = []
        """Products in folders that were searched which cannot be read, and why."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def members(self, given: Path) -> list[Member]:
        """The products at a path: one product (folder, raster or archive), or all that a folder holds.

        Of a folder, products of other chains are passed over, and those that cannot be read go to `broken`. Raises
        MissingInput where there is nothing, or no product among it, BadInput where a product is damaged.
        """
        if not given.exists():
            raise MissingInput(f"{given}: no such product or folder", id="SYN-01")
        one = self._product(given, given.name)
        if one is not None:
            return [one]
        before = len(self.broken)
        found = list(self._search(given, DEPTH)) if given.is_dir() else []
        if not found and len(self.broken) == before:
            raise MissingInput(
                f"{given}: is no product of the chain {self._chain!r}, and holds none",
                id="SYN-01",
                advice="Name products, or a folder that holds them, such as the destination of an earlier run.",
            )
        return found

    def _search(self, folder: Path, levels: int) -> Iterator[Member]:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
        # What a Zarr store holds is no product.
        names = [name for name in names if not name.endswith(".zarr")]
        for name in names:
            path = folder / name
            if (path / "collection.json").is_file() and not name.startswith(f"{self._chain}-"):
                continue
            try:
                one = self._product(path, name, is_named=False)
            except ThalwegError as problem:
                # One damaged product among thousands must not keep the others from being used.
                self.broken.append((path, problem))
                continue
            if one is not None:
                yield one
            elif levels > 1 and path.is_dir() and not (path / f"{name}.json").is_file():
                yield from self._search(path, levels - 1)

    def _product(self, path: Path, name: str, is_named: bool = True) -> Member | None:
        """The product at a path, or None where there is none; one of another chain is an error where it is named."""
        item = path / f"{name}.json"
        if item.is_file():
            return self._own(path, item, is_named)
        if not self._takes_foreign or not is_foreign(name):
            return None
        if is_archive(path):
            return self._packed(path)
        if path.is_dir():
            return read_foreign(name, Folder(path), "", str(path))
        if path.suffix.lower() == ".tif":
            return replace(
                read_foreign(path.stem, _Single(path), "", str(path)), name=path.stem, acquisition=path.stem
            )
        return None

    @property
    def _takes_foreign(self) -> bool:
        return LAYER in self._takes

    def _own(self, folder: Path, item: Path, is_named: bool) -> Member | None:
        content = read_item(item)
        fields = _Fields(content, item)
        chain = fields.text("chain", fields.recipe) if fields.is_ours else None
        if chain == self._chain:
            return self._member(folder, fields)
        if is_named:
            raise BadInput(
                f"{item}: made by {chain or 'another program'}; products of {self._chain!r} are taken"
            )
        return None

    def _member(self, folder: Path, fields: _Fields) -> Member:
        granule = fields.object("granule", fields.recipe)
        tile = fields.text("tile", granule)
        sensed = utc(fields.properties.get("datetime"), fields.where("datetime"))
        platform = spacecraft(str(fields.properties.get("platform") or ""))
        orbit = granule.get("orbit")
        orbit = orbit if isinstance(orbit, int) else None
        layer, path = self._raster(folder, fields)
        in_name = _VERSION_IN_NAME.search(folder.name)
        version = in_name[1].replace("-", ".") if in_name else fields.text("version", fields.properties)
        # Versions are compared later, where a number that is none would harm other products.
        version_numbers(version)
        credit = fields.properties.get("attribution")
        return Member(
            name=folder.name,
            tile=tile,
            sensed=sensed,
            platform=platform,
            layer=layer,
            raster=Raster(path),
            acquisition=acquisition_name(platform, f"{sensed:%Y%m%dT%H%M%S}", orbit, tile),
            version=version,
            orbit=orbit,
            origin=_origin(fields),
            withdrawn=fields.properties.get("deprecated") is True,
            credits=(credit,) if isinstance(credit, str) else (),
            on_mgrs="grid:code" in fields.properties,
        )

    def _raster(self, folder: Path, fields: _Fields) -> tuple[str, Path]:
        assets = fields.object("assets", fields.content)
        for name in self._takes:
            asset = assets.get(name)
            if isinstance(asset, dict):
                return name, _inside(folder, asset.get("href"), fields.where(f"assets.{name}"))
        raise MissingInput(f"{folder}: has none of the layers {', '.join(self._takes)}", id="SYN-02")

    def _packed(self, given: Path) -> Member:
        try:
            target = self._private_folder()
            archive = self._stack.enter_context(opened_archive(given, target))
        except BadInput as problem:
            raise BadInput(problem.message, id="SYN-03") from problem
        folders = (top for top in sorted(archive.tops()) if is_foreign(top) and archive.names(top, ()))
        folder = next(folders, "")
        return read_foreign(folder or given.stem, archive, folder, str(given))

    def _private_folder(self) -> Path:
        # One folder each: files of two archives may bear the same name.
        folder = Path(tempfile.mkdtemp(prefix="product-", dir=self._scratch))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder


class _Single:
    """A raster that lies outside of any product's folder: a store of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self, folder: str, patterns: tuple[str, ...]) -> tuple[str, ...]:
        return (self._path.name,)

    def path(self, name: str) -> Path:
        return self._path

    def fetch(self, name: str) -> Path | None:
        return self._path


class _Fields:
    """An item of unknown origin, read field by field."""

    def __init__(self, content: Mapping[str, Any], source: Path) -> None:
        self.content, self._source = content, source
        self.properties = self.object("properties", content)

    @property
    def is_ours(self) -> bool:
        """True where the item says how the product was made, as ours do."""
        expression = self.properties.get("processing:expression")
        return isinstance(expression, dict) and expression.get("format") == RECIPE

    @property
    def recipe(self) -> Mapping[str, Any]:
        """How the product was made."""
        expression = self.object("processing:expression", self.properties)
        return self.object("expression", expression)

    def where(self, field: str) -> str:
        """File and field, for messages."""
        return f"{self._source}: {field}"

    def object(self, field: str, within: Mapping[str, Any]) -> Mapping[str, Any]:
        value = within.get(field)
        if not isinstance(value, dict):
            raise BadInput(f"{self.where(field)}: is no object")
        return value

    def text(self, field: str, within: Mapping[str, Any]) -> str:
        value = within.get(field)
        if not isinstance(value, str) or not value or "/" in value or value.startswith("."):
            raise BadInput(f"{self.where(field)}: is no name")
        return value


def _origin(fields: _Fields) -> str:
    asked = {"chain": fields.recipe.get("chain"), "changed": fields.recipe.get("changed")}
    # What was asked of the chain for its names or version changes no pixel.
    if isinstance(asked["changed"], dict):
        asked["changed"] = {key: value for key, value in asked["changed"].items() if key not in _NAMING}
    return hashlib.sha256(canonical_json(asked).encode()).hexdigest() if asked["changed"] else DEFAULT


_NAMING = frozenset({"product_version", "chain_version", "product_counter", "name_pattern"})


def _inside(folder: Path, href: object, where: str) -> Path:
    """The file that an asset names, which must lie inside the product's folder."""
    relative = PurePosixPath(href) if isinstance(href, str) else PurePosixPath("/")
    path = folder / relative
    if (
        relative.is_absolute()
        or ".." in relative.parts
        or not path.resolve().is_relative_to(folder.resolve())
    ):
        raise BadInput(f"{where}: {href!r} is no file inside the product")
    if not path.is_file():
        raise MissingInput(f"{where}: {path}: no such file", id="SYN-02")
    return path
