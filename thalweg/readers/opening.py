"""Opening a granule, whatever its format: the product is recognised by its name, never by its parent folders."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from thalweg.errors import BadInput, BadParameters, MissingInput
from thalweg.granule import Granule
from thalweg.readers import grs, hls, landsat, maja, muscate, safe
from thalweg.readers.archive import Archive, is_archive, opened_archive
from thalweg.readers.listing import Folder, Format, Store
from thalweg.readers.netcdf import SUFFIX, read_netcdf
from thalweg.readers.stac import find_item, read_stac
from thalweg.readers.stack import read_stack

FORMATS: tuple[Format, ...] = (safe.FORMAT, maja.FORMAT, muscate.FORMAT, hls.FORMAT, landsat.FORMAT)
"""Products that are folders, by name; the first that matches wins."""

FORMS = (
    *(format.form for format in FORMATS),
    grs.FORM,
    "C2RCC (.nc)",
    "a STAC item (.json, or its folder)",
    "a raster stack (.yaml)",
)
"""What is recognised, for messages and documentation."""

Wanted = Callable[[str, str], bool]
"""Says of a band (role, key) or a mask (kind, empty key) whether it is to be unpacked from an archive."""

_DISK = {errno.ENOSPC, errno.EDQUOT}


def everything(what: str, key: str) -> bool:
    """Every band and mask is wanted."""
    return True


def open_granule(path: str | Path) -> Granule:
    """The granule of a product that is a folder, a STAC item or a raster stack; nothing of it is decoded.

    Raises MissingInput where there is nothing at `path`, BadInput where it is not recognised or its metadata is
    damaged or contradictory. Missing band files are no error here: their roles are absent.
    """
    given = _existing(path)
    with _readable(given):
        if given.is_dir():
            return _open_folder(given)
        if is_archive(given):
            raise BadInput(
                f"{given}: an archive must be unpacked first", advice="Open it with `thalweg.readers.opened`."
            )
        return _open_file(given)


@contextmanager
def opened(path: str | Path, scratch: Path | None = None, wanted: Wanted = everything) -> Iterator[Granule]:
    """The granule of any product; what an archive holds of it is unpacked into a private folder, removed at the end.

    `scratch` is the folder in which the private one is made (None: the system's), `wanted` says which bands and masks
    are unpacked; the others are left out of the granule. Raises as `open_granule` does, BadInput for an archive that
    is damaged or malicious, DiskFull where it would not fit.
    """
    given = _existing(path)
    if not is_archive(given):
        yield open_granule(given)
        return
    folder = _private_folder(scratch)
    try:
        with opened_archive(given, folder) as archive:
            with _readable(given):
                granule = _open_archive(given, archive)
            granule = _unpacked(granule, archive, wanted)
        yield granule
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _existing(path: str | Path) -> Path:
    given = Path(path)
    try:
        exists = given.exists()
    except (OSError, ValueError):
        exists = False
    if not exists:
        raise MissingInput(f"{given}: no such product", id="SNOW-IN-01")
    return given


@contextmanager
def _readable(given: Path) -> Iterator[None]:
    """Turn a file that the system refuses into the product's own error; a full disk stays what it is."""
    try:
        yield
    except OSError as problem:
        if problem.errno in _DISK:
            raise
        raise BadInput(
            f"{problem.filename or given}: cannot be read: {problem.strerror or problem}"
        ) from problem


def _open_folder(given: Path) -> Granule:
    for place in (given, given.resolve()):
        format = _format_of(place.name)
        if format is not None:
            return format.open(place.name, given, Folder(place.parent), place.name)
        if grs.NAME.match(place.name) and place.suffix != ".zarr":
            return read_netcdf(grs.find_file(place), given)
    if given.suffix == ".zarr":
        raise BadInput(f"{given}: Zarr stores are not read; give the NetCDF file of the same product")
    loose = _loose_product(given, Folder(given))
    if loose is not None:
        name, format = loose
        return format.open_loose(name, given, Folder(given))
    item = find_item(given)
    if item is None:
        raise _unrecognised(given)
    return read_stac(item, given)


def _loose_product(given: Path, store: Store) -> tuple[str, Format] | None:
    """Name and format of the one product whose files lie loose at the top of a folder or archive, or None."""
    names = store.names("", ("*",))
    found = {name: format for format in FORMATS for file in names if (name := format.product_of(file))}
    if len(found) > 1:
        raise BadInput(
            f"{given}: holds several products, {' and '.join(sorted(found)[:2])}",
            advice="Give the path of one of the rasters of one product.",
            id="SNOW-IN-02",
        )
    return next(iter(found.items()), None)


def _open_file(given: Path) -> Granule:
    for format in FORMATS:
        name = format.product_of(given.name)
        if name is not None:
            return replace(format.open_loose(name, given.parent, Folder(given.parent)), path=given)
    suffix = given.suffix.lower()
    if suffix == SUFFIX:
        return read_netcdf(given)
    if suffix == ".json":
        return read_stac(given, given)
    if suffix in (".yaml", ".yml"):
        return read_stack(given)
    if _format_of(given.name) is not None:
        raise BadInput(f"{given}: is a file where the folder of a product is expected", id="SNOW-IN-03")
    raise _unrecognised(given)


def _format_of(name: str) -> Format | None:
    return next((format for format in FORMATS if format.pattern.match(name)), None)


def _unrecognised(given: Path) -> BadInput:
    return BadInput(
        f"{given}: unknown product type; recognised are: {'; '.join(FORMS)}",
        advice="Give a product under its own name; for any other raster write a raster-stack YAML.",
        id="SNOW-IN-03",
    )


def _open_archive(given: Path, archive: Archive) -> Granule:
    """The product in an archive: a folder at its top, else files that lie loose there, by their names or its own."""
    found = [(name, format) for name in sorted(archive.tops()) if (format := _format_of(name))]
    folders = [(name, format) for name, format in found if archive.names(name, ())]
    if len(folders) > 1:
        names = " and ".join(name for name, _ in folders[:2])
        raise BadInput(f"{given}: holds several products, {names}", id="SNOW-IN-02")
    if folders:
        name, format = folders[0]
        return format.open(name, given, archive, name)
    loose = _loose_product(given, archive)
    if loose is not None:
        name, format = loose
        return format.open_loose(name, given, archive)
    by_own_name = _format_of(given.stem)
    if by_own_name is None:
        raise _unrecognised(given)
    return by_own_name.open(given.stem, given, archive, "")


def _unpacked(granule: Granule, archive: Archive, wanted: Wanted) -> Granule:
    """The granule with the wanted bands and masks, now on disk."""
    bands = {
        role: {key: band for key, band in keys.items() if wanted(role, key)}
        for role, keys in granule.bands.items()
    }
    masks = tuple(mask for mask in granule.masks if wanted(mask.kind, ""))
    files = {band.raster.path for keys in bands.values() for band in keys.values()}
    for path in sorted(files | {mask.raster.path for mask in masks}):
        archive.fetch(path.relative_to(archive.target).as_posix())
    return replace(granule, bands={role: keys for role, keys in bands.items() if keys}, masks=masks)


def _private_folder(scratch: Path | None) -> Path:
    try:
        if scratch is not None:
            scratch.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="granule-", dir=scratch))
    except OSError as problem:
        if problem.errno in _DISK:
            raise
        raise BadParameters(
            f"{problem.filename}: scratch folder cannot be made: {problem.strerror}"
        ) from problem
