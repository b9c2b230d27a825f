"""Raster stacks: any GeoTIFF or NetCDF with a small YAML that says what its bands are.

The keys are explained in docs/reference/raster-stack.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

from thalweg.bands import ROLES
from thalweg.errors import BadInput
from thalweg.granule import BandFile, Granule, Level, Sun
from thalweg.masks import MEANINGS, Codes, MaskFile
from thalweg.raster import Raster, Reflectance
from thalweg.readers.facts import added_counts, brief, counts_per_unit, mgrs_tile, number, utc, whole
from thalweg.readers.header import read_scaling
from thalweg.readers.sun import AZIMUTH, ZENITH
from thalweg.readers.yamlfile import Section, read_yaml, unknown

LEVELS: tuple[str, ...] = get_args(Level)
"""Levels that a stack may have."""

BAND_KEYS = ("file", "variable", "band", "scale", "offset", "nodata", "resolution")
"""Keys of a band."""

MASK_KEYS = ("file", "variable", "band", "meanings")
"""Keys of a mask."""

TOP_KEYS = (
    "level",
    "time",
    "tile",
    "site",
    "platform",
    "file",
    "scale",
    "offset",
    "nodata",
    "bands",
    "masks",
    "sun",
    "attribution",
)
"""Keys of the file; `file`, `scale`, `offset` and `nodata` are defaults of the bands."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
"""What a site or platform may be called: it becomes part of folder names."""

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.+-]*", re.ASCII)
"""What a variable of a NetCDF file may be called."""

_HUGE = 3.5e38
_SCALES, _OFFSETS = (1e-9, 1e9), (-1e9, 1e9)
_MAX_BAND = 65535
_MAX_CODE = 65535


def read_stack(path: Path) -> Granule:
    """The granule that a raster-stack YAML describes; relative file names count from the folder of the YAML itself.

    Raises BadInput, with file and line, for an unknown or missing key, a wrong value or a contradiction.
    """
    top = read_yaml(path)
    top.check_keys(TOP_KEYS)
    folder = path.resolve().parent
    sensed = utc(_required(top, "time"), top.where("time"))
    tile, on_mgrs = _place(top, path.stem)
    return Granule(
        id=path.stem,
        path=path,
        format="stack",
        tile=tile,
        sensed=sensed,
        platform=_name(top, "platform") or "user",
        level=_level(top),
        bands=_bands(top, folder),
        masks=_masks(top, folder),
        sun=_sun(top),
        on_mgrs=on_mgrs,
        attribution=top.text("attribution") or "",
    )


def _required(section: Section, key: str) -> str:
    text = section.text(key)
    if text is None:
        raise BadInput(f"{section.where(key)}: is missing")
    return text


def _level(top: Section) -> Level:
    level = _required(top, "level")
    if level not in LEVELS:
        raise unknown(top.where("level"), "level", level, LEVELS)
    return cast(Level, level)


def _place(top: Section, stem: str) -> tuple[str, bool]:
    """Tile or site, and whether it is an MGRS tile; the site is named like the file where neither is given."""
    tile, site = top.text("tile"), _name(top, "site")
    if tile is not None and site is not None:
        raise BadInput(f"{top.where('site')}: give a tile or a site, not both")
    if tile is not None:
        return mgrs_tile(tile, top.where("tile")), True
    if site is None and not NAME.fullmatch(stem):
        raise BadInput(f"{top.where('site')}: is missing, and {brief(stem)} cannot serve as a name")
    return site or stem, False


def _name(top: Section, key: str) -> str | None:
    name = top.text(key)
    if name is not None and not NAME.fullmatch(name):
        raise BadInput(
            f"{top.where(key)}: {brief(name)} is not made of letters, digits, dots, dashes and underscores"
        )
    return name


def _sun(top: Section) -> Sun | None:
    sun = top.section("sun")
    if sun is None:
        return None
    sun.check_keys(("zenith", "azimuth"))
    zenith = number(_required(sun, "zenith"), sun.where("zenith"), *ZENITH)
    return Sun(zenith, number(_required(sun, "azimuth"), sun.where("azimuth"), *AZIMUTH))


def _bands(top: Section, folder: Path) -> dict[str, dict[str, BandFile]]:
    bands = top.section("bands")
    if bands is None or not bands.values:
        raise BadInput(f"{top.where('bands')}: is missing; it says which band has which role")
    for role in bands.values:
        if role not in ROLES:
            raise unknown(f"{bands.file}:{bands.lines[role]}", "band role", role, ROLES)
    rasters = {role: _role(bands, role, top, folder) for role in ROLES if role in bands.values}
    per_unit = counts_per_unit([raster.scale for keys in rasters.values() for raster in keys.values()])
    return {
        role: {key: _band_file(raster, per_unit) for key, raster in keys.items()}
        for role, keys in rasters.items()
    }


def _role(bands: Section, role: str, top: Section, folder: Path) -> dict[str, Raster]:
    """Resolution (or ``native``) to raster, finest first."""
    sections = bands.sections(role)
    if not sections:
        raise BadInput(f"{bands.where(role)}: says nothing")
    sized = {section.whole("resolution", 1, 100_000): section for section in sections}
    if len(sized) < len(sections) or (None in sized and len(sized) > 1):
        raise BadInput(f"{bands.where(role)}: several files of one role each need a resolution of their own")
    return {
        "native" if size is None else str(size): _raster(section, top, folder)
        for size, section in sorted(sized.items(), key=lambda entry: entry[0] or 0)
    }


def _raster(section: Section, top: Section, folder: Path) -> Raster:
    section.check_keys(BAND_KEYS)
    raster = _source(section, top, folder)
    scale, offset = _scaling(section, top, raster)
    return replace(raster, scale=scale, offset=offset, nodata=_nodata(section, top))


def _scaling(section: Section, top: Section, raster: Raster) -> tuple[float, float]:
    """Scale and offset: what the YAML says, else what a NetCDF variable says itself, else 1 and 0."""
    scale = _inherited(section, top, "scale", *_SCALES)
    offset = _inherited(section, top, "offset", *_OFFSETS)
    if raster.variable is None or (scale is not None and offset is not None):
        return 1.0 if scale is None else scale, offset or 0.0
    own = read_scaling(raster.source) or (1.0, 0.0)
    where = f"{raster.path}: {raster.variable}"
    return (
        number(own[0], f"{where}: scale_factor", *_SCALES) if scale is None else scale,
        number(own[1], f"{where}: add_offset", *_OFFSETS) if offset is None else offset,
    )


def _source(section: Section, top: Section, folder: Path) -> Raster:
    """File, variable and band of a band or mask."""
    owner = section if section.text("file") is not None else top
    file = owner.text("file")
    if file is None:
        raise BadInput(f"{section.where('file')}: is missing, and there is no file for all bands either")
    if file.startswith("/vsi") or "://" in file or not file.isprintable():
        raise BadInput(f"{owner.where('file')}: {brief(file)} is not the name of a local file")
    variable = section.text("variable")
    if variable is not None and not VARIABLE.fullmatch(variable):
        raise BadInput(f"{section.where('variable')}: {brief(variable)} is not the name of a NetCDF variable")
    band = section.whole("band", 1, _MAX_BAND)
    return Raster(folder / file, 1 if band is None else band, variable=variable)


def _inherited(section: Section, top: Section, key: str, low: float, high: float) -> float | None:
    own = section.number(key, low, high)
    return top.number(key, low, high) if own is None else own


def _nodata(section: Section, top: Section) -> float | None:
    owner = section if section.text("nodata") is not None else top
    text = owner.text("nodata")
    if text is None:
        return None
    return (
        math.nan if text.strip(".").lower() == "nan" else number(text, owner.where("nodata"), -_HUGE, _HUGE)
    )


def _band_file(raster: Raster, per_unit: int) -> BandFile:
    return BandFile(raster, Reflectance(per_unit, added_counts(raster.offset, per_unit)))


def _masks(top: Section, folder: Path) -> tuple[MaskFile, ...]:
    """Each mask is a kind of its own: two of one kind would be taken for one mask in two resolutions."""
    return tuple(
        _mask(f"mask-{index}", section, top, folder)
        for index, section in enumerate(top.sections("masks"), start=1)
    )


def _mask(kind: str, section: Section, top: Section, folder: Path) -> MaskFile:
    section.check_keys(MASK_KEYS)
    meanings = section.section("meanings")
    if meanings is None or not meanings.values:
        raise BadInput(f"{section.where('meanings')}: is missing; it says what the codes of the mask mean")
    return MaskFile(kind, _source(section, top, folder), _legend(meanings))


def _legend(meanings: Section) -> Mapping[str, Codes]:
    for meaning in meanings.values:
        if meaning not in MEANINGS:
            raise unknown(f"{meanings.file}:{meanings.lines[meaning]}", "meaning", meaning, MEANINGS)
    return {meaning: _codes(meanings, meaning) for meaning in meanings.values}


def _codes(meanings: Section, meaning: str) -> Codes:
    """A list of codes, ``nonzero``, or ``bits:`` with a list of bit masks."""
    where = meanings.where(meaning)
    if meanings.is_mapping(meaning):
        section = meanings.sections(meaning)[0]
        section.check_keys(("bits",))
        bits = section.texts("bits")
        if bits:
            return Codes(bits=tuple(whole(text, where, 1, _MAX_CODE) for text in bits))
    elif meanings.is_list(meaning):
        values = meanings.texts(meaning)
        if values:
            return Codes(values=frozenset(whole(text, where, 0, _MAX_CODE) for text in values))
    elif meanings.text(meaning) == "nonzero":
        return Codes(nonzero=True)
    raise BadInput(f"{where}: a list of codes, 'nonzero', or 'bits:' with a list is wanted")
