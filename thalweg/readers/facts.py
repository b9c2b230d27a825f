"""Facts read from metadata, each checked before anything is built on it; an error names the file and the element."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

from thalweg.errors import BadInput
from thalweg.granule import BandFile
from thalweg.raster import Raster, Reflectance
from thalweg.tile import is_known

MAX_QUANTIFICATION = 1e6
"""No product counts reflectance in smaller steps."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_YEARS = range(1972, 2101)


def number(value: object, where: str, low: float, high: float) -> float:
    """A finite number from `low` to `high`, given as text or as a number; anything else is a BadInput."""
    found = _as_float(value)
    if not low <= found <= high:
        raise BadInput(f"{where}: {brief(value)} is not a number from {low:g} to {high:g}")
    return found


def whole(value: object, where: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`; ``-1000.0`` is one."""
    found = number(value, where, low, high)
    if not found.is_integer():
        raise BadInput(f"{where}: {brief(value)} is not a whole number")
    return int(found)


def percent(value: object, where: str) -> float:
    """A share in percent; sums of rounded shares may exceed 100 by a hair."""
    return min(number(value, where, 0, 100.001), 100.0)


def utc(value: object, where: str) -> datetime:
    """An ISO 8601 time as UTC; a time without a zone is UTC, and so is MAJA's ``UTC=2015-07-06T10:50:16``."""
    try:
        time = datetime.fromisoformat(value.strip().removeprefix("UTC=") if isinstance(value, str) else "")
        time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise BadInput(f"{where}: {brief(value)} is no date and time") from None
    return _within_years(time, value, where)


def time_in_name(text: str, form: str, where: str) -> datetime:
    """The time that a product's name holds, year first, in the form of `datetime.strptime`, as UTC."""
    try:
        time = datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        raise BadInput(f"{where}: {brief(text)} in the product's name is no date and time") from None
    # strptime takes day 366 of a common year for the first day of the next one.
    if f"{time:%Y}" != text[:4]:
        raise BadInput(f"{where}: {brief(text)} in the product's name is a day that its year does not have")
    return _within_years(time, text, where)


def mgrs_tile(text: str, where: str) -> str:
    """The id of a tile of the Sentinel-2 grid, without T; ``1WCP`` is 01WCP."""
    id = text.strip().upper().removeprefix("T").rjust(5, "0")
    if not is_known(id):
        raise BadInput(f"{where}: {brief(text)} is no tile of the Sentinel-2 grid")
    return id


def baseline_in_name(digits: str) -> str:
    """``0509`` of a product's name as 05.09."""
    return f"{digits[:2]}.{digits[2:]}"


def scaled_band(
    raster: Raster, native: str, quantification: float, add: int = 0, counts: int | None = None
) -> BandFile:
    """A band whose reflectance is (stored number + `add`) / `quantification`.

    `counts` is the quantification of the chain's counts: that of the product where it is 1000 or 10000.
    """
    per_unit = counts or (1000 if quantification == 1000 else 10000)
    decoded = Raster(
        raster.path, raster.band, 1 / quantification, add / quantification, raster.nodata, raster.grid
    )
    return BandFile(decoded, Reflectance(per_unit, add), native)


def counts_per_unit(scales: list[float]) -> int:
    """Quantification of the counts of a product whose bands have these scales: 1000 where all say so, else 10000."""
    return 1000 if scales and all(math.isclose(scale, 1e-3, rel_tol=1e-9) for scale in scales) else 10000


def added_counts(offset: float, per_unit: int) -> int:
    """What is added to a stored integer whose scale is 1 / `per_unit`; rounded half up, as the counts would be."""
    return math.floor(offset * per_unit + 0.5)


def brief(value: object, length: int = 60) -> str:
    """A value for a message, cut where it is long: metadata is untrusted."""
    if isinstance(value, dict | list | tuple):
        return f"a {'mapping' if isinstance(value, dict) else 'list'}"
    shown = repr(value if isinstance(value, str | int | float | bool) else str(value))
    return shown if len(shown) <= length else f"{shown[:length]}..."


def _as_float(value: object) -> float:
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value.strip()) else math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _within_years(time: datetime, value: object, where: str) -> datetime:
    if time.year not in _YEARS:
        raise BadInput(f"{where}: {brief(value)} lies outside {_YEARS[0]} to {_YEARS[-1]}")
    return time
