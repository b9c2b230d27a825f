"""Snow products of other programs, recognised by their names: Let-it-snow, Theia, Copernicus.

Names: specification `snow`, section 6.2, after Let-it-snow 1.11.0 (CNES/CESBIO, Apache-2.0) and the products of the
Copernicus High Resolution Snow & Ice service.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from thalweg.errors import MissingInput
from thalweg.raster import Raster
from thalweg.readers.facts import time_in_name
from thalweg.readers.listing import Store
from thalweg.series import Member

LAYER = "snow"
"""Name of the one layer that is read of a product of another program."""

_SENTINEL = ("*_SNW_R2.tif", "*SNOW-FSC_*.tif", "*SNOW-FSC-TOC_*.tif")
_LANDSAT = ("*_SNW_XS.tif", "*SNOW-MSK_*.tif")
_ANY = ("LIS_SEB*.tif", "LIS_SEB*.TIF")


@dataclass(frozen=True, slots=True)
class _Form:
    """How one kind of product is named."""

    pattern: re.Pattern[str]
    """Groups: ``platform`` or a fixed one, ``time``, ``tile``."""
    rasters: tuple[str, ...]
    """Names of its raster; the first that is there is taken."""
    platform: str = "{platform}"
    """How the platform is made of the group."""


_FORMS = (
    _Form(
        re.compile(
            r"SENTINEL2(?P<platform>[A-D])_(?P<time>\d{8}-\d{6})-\d+_L2B-SNOW_(?P<tile>[^_]+)(_|$)", re.A
        ),
        _SENTINEL,
        "S2{platform}",
    ),
    _Form(
        re.compile(
            r"LANDSAT(?P<platform>[89])-OLITIRS2?-XS_(?P<time>\d{8}(?:-\d{6})?)-?[^_]*_[^_]+_(?P<tile>[^_]+)(_|$)",
            re.A,
        ),
        _LANDSAT,
        "L{platform}",
    ),
    _Form(
        re.compile(r"LANDSAT(?P<platform>8)_OLITIRS_XS_(?P<time>\d{8})_N2A_(?P<tile>[^_]+)", re.A),
        _LANDSAT,
        "L{platform}",
    ),
    _Form(
        re.compile(r"LIS_(?P<platform>S2)-SNOW-FSC(-TOC)?_(?P<tile>[^_]+)_(?P<time>\d{8}T\d{6})(_|$)", re.A),
        _SENTINEL,
    ),
    _Form(
        re.compile(r"LIS_(?P<platform>L8|L9|T5)-SNOW-MSK_(?P<tile>[^_]+)_(?P<time>\d{8}T\d{6})(_|$)", re.A),
        _LANDSAT,
    ),
    _Form(
        re.compile(r"FSC_(?P<time>\d{8}T\d{6})_S2(?P<platform>[A-D])_(?P<tile>[^_]+)(_|$)", re.A),
        ("*FSCOG.tif", "*FSCTOC.tif"),
        "S2{platform}",
    ),
)
# A product without a time of day was sensed at midnight, as Let-it-snow has it.
_TIME = {8: "%Y%m%d", 14: "%Y%m%d%H%M%S"}
_MGRS = re.compile(r"T(\d{2}[A-Z]{3})", re.ASCII)


def is_foreign(name: str) -> bool:
    """True where a folder, file or archive bears the name of a snow product of another program."""
    return any(form.pattern.match(name) for form in _FORMS)


def read_foreign(name: str, store: Store, folder: str, label: str) -> Member:
    """The product called `name` whose files lie in `folder` of a store; `label` is how messages call it.

    Raises MissingInput (SYN-02) where it has no snow raster, BadInput where its name holds no date.
    """
    form, found = next((form, match) for form in _FORMS if (match := form.pattern.match(name)))
    when = re.sub(r"\D", "", found["time"])
    sensed = time_in_name(when, _TIME[len(when)], label)
    tile = _MGRS.fullmatch(found["tile"])
    path = store.fetch(str(PurePosixPath(folder, _raster(form, store, folder, label))))
    if path is None:
        raise _no_raster(label, form)
    return Member(
        name=name,
        tile=tile[1] if tile else found["tile"],
        sensed=sensed,
        platform=form.platform.format(platform=found["platform"]),
        layer=LAYER,
        raster=Raster(path),
        acquisition=name,
        on_mgrs=tile is not None,
    )


def _raster(form: _Form, store: Store, folder: str, label: str) -> str:
    for pattern in (*form.rasters, *_ANY):
        found = [
            file
            for file in store.names(folder, ("*", "*/*"))
            if fnmatchcase(PurePosixPath(file).name, pattern)
        ]
        if found:
            return found[0]
    raise _no_raster(label, form)


def _no_raster(label: str, form: _Form) -> MissingInput:
    return MissingInput(
        f"{label}: has no snow raster; expected is one of {', '.join((*form.rasters, *_ANY))}", id="SYN-02"
    )
