"""What is said of one lake on one date: a row of statistics a variable (quality specification, section 10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CODES: Mapping[str, range] = {"owt": range(11), "fui": range(1, 22), "bloom_class": range(5)}
"""Variables that are codes, with those that a histogram counts."""

MIN_VALID = 10
"""Fewest pixels from which statistics are made."""

QUANTILES = {"p10": 0.1, "p25": 0.25, "median": 0.5, "p75": 0.75, "p90": 0.9}
"""Columns of quantiles."""


@dataclass(frozen=True, slots=True)
class Source:
    """The product that rows are made from."""

    product_id: str
    """Id of its item."""
    datetime: datetime
    """Start of sensing, UTC."""
    relative_orbit: int | None
    """None where nobody knows."""
    processing: str
    """When its input was processed, as text that sorts by time."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The pixels of a lake in one product."""

    masked: NDArray[np.bool_]
    """Where nothing was computed: land, clouds and the like."""
    clouded: NDArray[np.bool_]
    """Where a cloud hides the lake, or a cirrus veils it."""
    excluded: NDArray[np.bool_]
    """Where there are values that statistics leave out."""


@dataclass(frozen=True, slots=True)
class Row:
    """One polygon, date and variable."""

    polygon_id: str
    """Id of the polygon."""
    datetime: datetime
    """Start of sensing, UTC."""
    product_id: str
    """Id of the product's item."""
    variable: str
    """Name of the layer."""
    relative_orbit: int | None = None
    """None where nobody knows."""
    processing: str = ""
    """When the input was processed, as text that sorts by time."""
    n_pixels: int = 0
    """Pixels of the polygon."""
    n_masked: int = 0
    """Those for which nothing was computed."""
    n_valid: int = 0
    """Those with a value that is not excluded."""
    valid_fraction: float | None = None
    """n_valid / n_pixels, None without pixels."""
    cloud_fraction: float | None = None
    """Share of the pixels under clouds or cirrus, None without pixels."""
    p10: float | None = None
    """Quantile 0.1, linear between order statistics."""
    p25: float | None = None
    """Quantile 0.25."""
    median: float | None = None
    """Quantile 0.5."""
    p75: float | None = None
    """Quantile 0.75."""
    p90: float | None = None
    """Quantile 0.9."""
    mean: float | None = None
    """Arithmetic mean."""
    std: float | None = None
    """Standard deviation, divisor n."""
    min: float | None = None
    """Least value."""
    max: float | None = None
    """Greatest value."""
    median_unc: float | None = None
    """Median of the uncertainty layer over the valid pixels that have one."""
    mode: int | None = None
    """Most frequent code from 1 on, the lowest of several."""
    histogram: Mapping[int, int] | None = None
    """Code to number of valid pixels, of variables that are codes."""
    duplicate: bool = False
    """True where another product of the same pass is preferred."""
    qi: float | None = field(default=None)
    """Robust anomaly: (median - climatology's median) / climatology's sigma."""


def row_of(
    polygon: str,
    source: Source,
    variable: str,
    sample: Sample,
    values: NDArray[np.float64],
    uncertainty: NDArray[np.float64] | None = None,
    min_valid: int = MIN_VALID,
) -> Row:
    """The row of one variable from unpacked values of the lake's pixels, NaN where there is none."""
    valid = np.isfinite(values) & ~sample.excluded
    count, pixels = int(np.count_nonzero(valid)), values.size
    facts: dict[str, Any] = {
        "n_pixels": pixels,
        "n_masked": int(np.count_nonzero(sample.masked)),
        "n_valid": count,
        "valid_fraction": count / pixels if pixels else None,
        "cloud_fraction": int(np.count_nonzero(sample.clouded)) / pixels if pixels else None,
    }
    if variable in CODES:
        facts |= _of_codes(values[valid], CODES[variable], count >= min_valid)
    elif count >= min_valid:
        facts |= _of_numbers(values[valid])
        facts["median_unc"] = _median(uncertainty[valid]) if uncertainty is not None else None
    return Row(
        polygon_id=polygon,
        datetime=source.datetime,
        product_id=source.product_id,
        variable=variable,
        relative_orbit=source.relative_orbit,
        processing=source.processing,
        **facts,
    )


def _of_numbers(values: NDArray[np.float64]) -> dict[str, float]:
    quantiles = np.quantile(values, list(QUANTILES.values()))
    return {
        **dict(zip(QUANTILES, map(float, quantiles), strict=True)),
        "mean": float(values.mean()),
        "std": float(values.std()),
        "min": float(values.min()),
        "max": float(values.max()),
    }


def _of_codes(values: NDArray[np.float64], codes: range, is_enough: bool) -> dict[str, Any]:
    counted = np.bincount(values.astype(np.int64), minlength=codes.stop)
    histogram = {code: int(counted[code]) for code in codes}
    named = {code: number for code, number in histogram.items() if code >= 1 and number > 0}
    mode = max(named, key=lambda code: (named[code], -code)) if named and is_enough else None
    return {"mode": mode, "histogram": histogram}


def _median(values: NDArray[np.float64]) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else None
