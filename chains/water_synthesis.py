"""How often there was water: counts of observations of a calendar month or year, and their quotient.

Observations add up in any order, so that what arrived is kept as counters (`thalweg.state`) and no product is read
twice. Occurrence in the sense of Pekel et al. 2016, doi:10.1038/nature20584: water observations over valid ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from thalweg.chain import Conclusion, Names
from thalweg.errors import BadInput
from thalweg.kernels import occurrence as counts
from thalweg.layer import Class, Colour, Layer
from thalweg.parameters import Within
from thalweg.series import Counting
from thalweg.synthesis import synthesis

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.period import Period
    from thalweg.series import Counters, Gathering, Tally

COUNTERS = ("n_water", "n_valid", "last_date", "last_water_date")
"""The state of a month, in the order of the kernels."""

_CLEAR: Colour = (0, 0, 0, 0)
_COUNT: Mapping[int, Colour] = {0: (255, 255, 255, 255), 31: (8, 48, 107, 255)}
_OCCURRENCE: Mapping[int, Colour] = {
    0: _CLEAR,
    1: (255, 204, 204, 255),
    100: (0, 0, 255, 255),
    counts.NO_OCCURRENCE: _CLEAR,
}


def _percent(name: str, description: str) -> Layer:
    return Layer(
        name,
        "uint8",
        description,
        "percent",
        counts.NO_OCCURRENCE,
        colours=_OCCURRENCE,
        ramp=(1, 100),
    )


LAYERS = (
    Layer("n_water", "uint16", "Observations with water", "1", colours=_COUNT, ramp=(0, max(_COUNT))),
    Layer("n_valid", "uint16", "Valid observations", "1", colours=_COUNT, ramp=(0, max(_COUNT))),
    Layer("last_date", "uint16", "Last valid observation, days since 1970-01-01", "day", 0),
    Layer("last_water_date", "uint16", "Last observation with water, days since 1970-01-01", "day", 0),
    _percent("occurrence", "Share of valid observations with water"),
    Layer(
        "water_last",
        "uint8",
        "What the last valid observation saw",
        nodata=counts.NO_OCCURRENCE,
        classes=(Class(0, "no_water", "no water"), Class(1, "water", "water")),
        colours={0: (255, 255, 255, 255), 1: (0, 0, 255, 255), counts.NO_OCCURRENCE: _CLEAR},
    ),
    _percent("occurrence_mm", "Mean over months of the share of valid observations with water"),
)
"""Every layer (specification `water`, section 3.3)."""

NAME_PATTERN = (
    r"^SURFWATER_(OPTICAL|RADAR|FUSED)-(SINGLE|MONTHLY|ANNUAL)_"
    r"T([0-9]{2}[A-Z]{3}|[0-9]{6}|[A-Za-z][A-Za-z0-9-]{0,31})_\d{8}(T\d{6})?_\d{8}(T\d{6})?_\d+-\d+-\d+$"
)
"""What every product of surface water is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaterSynthesis:
    """Parameters of the water synthesis; its period is that of the unit."""

    min_valid: Annotated[int, Within(1, 65535, note="no occurrence where fewer observations were valid")] = 1
    occurrence_mm: Annotated[bool, Within(note="annual: the mean of the months' occurrences too")] = False
    product_version: Annotated[
        str | None, Within(note="version in names, M.m.p; null: that of the program")
    ] = None
    name_pattern: Annotated[str, Within(note="regular expression that the product's name must fit")] = (
        NAME_PATTERN
    )


def names(gathering: Gathering, parameters: WaterSynthesis, version: str) -> Names:
    """Names of section 3.1; BadInput (E_NAME) where the tile makes the product's one unfit for `name_pattern`."""
    period = gathering.period
    numbers = re.findall(r"\d+", parameters.product_version or version)[:3]
    number = "-".join([*numbers, "0", "0", "0"][:3])
    kind = "ANNUAL" if _is_year(period) else "MONTHLY"
    days = f"{period.first_day:%Y%m%d}_{period.last_day:%Y%m%d}"
    product = f"SURFWATER_OPTICAL-{kind}_T{gathering.tile}_{days}_{number}"
    if not re.fullmatch(parameters.name_pattern, product):
        raise BadInput(
            f"{gathering.id}: the product's name {product!r} does not fit {parameters.name_pattern!r}",
            id="E_NAME",
            advice="Call the site by a letter, then letters, digits and hyphens; or set water_synthesis.name_pattern.",
        )
    return Names(product, {layer.name: f"{product}_{layer.name.upper()}.tif" for layer in LAYERS})


def _is_year(period: Period) -> bool:
    return len(period.months()) > 1


def conclude(gathering: Gathering, parameters: WaterSynthesis) -> Conclusion:
    """What was counted."""
    members = gathering.members
    properties: dict[str, Any] = {
        "water:observations": len({member.observation for member in members}),
        "water:products_used": [member.name for member in members],
        "water:products_withdrawn": [one.member.name for one in gathering.rejected],
    }
    return Conclusion(properties)


def count(counters: Counters, water: NDArray[np.uint8], day: int) -> int:
    """Add an observation in place; gives the pixels whose count was full."""
    return int(counts.count(water, day, *(counters[name] for name in COUNTERS)))


def joined(months: Iterable[Counters], shape: tuple[int, int], mean: NDArray[np.uint8] | None) -> Counters:
    """Counters of a period; the mean of its months' shares goes to `mean`, where that is wanted.

    Raises BadInput (E_OVERFLOW) where a count would exceed 65535.
    """
    total = {name: np.zeros(shape, np.uint16) for name in COUNTERS}
    share, seen = np.zeros(shape, np.float64), np.zeros(shape, np.uint8)
    for month in months:
        more = [month[name] for name in COUNTERS]
        if counts.add_period(*total.values(), *more):
            raise BadInput("a pixel of the period was observed more than 65535 times", id="E_OVERFLOW")
        if mean is not None:
            counts.add_month(month["n_water"], month["n_valid"], share, seen)
    if mean is not None:
        counts.monthly_mean(share, seen, mean)
    return total


@synthesis(
    "water_synthesis",
    version="1.0",
    of="water",
    takes=("water",),
    outputs=LAYERS,
    parameters=WaterSynthesis,
    counting=Counting("OPTICAL", COUNTERS, counts.merge_pass, count),
    calendar=True,
    names=names,
    conclude=conclude,
    main=("occurrence",),
    summary=("water:observations",),
    references=("Pekel et al. 2016, Global surface water, doi:10.1038/nature20584",),
)
def water_synthesis(tally: Tally, parameters: WaterSynthesis) -> dict[str, NDArray[Any]]:
    """How often each pixel was water in a month or year, how often it was seen, and when last."""
    wants_mean = parameters.occurrence_mm and _is_year(tally.period)
    mean = np.empty(tally.shape, np.uint8) if wants_mean else None
    total = joined(tally.months, tally.shape, mean)
    share, last = np.empty(tally.shape, np.uint8), np.empty(tally.shape, np.uint8)
    counts.occurrence(total["n_water"], total["n_valid"], parameters.min_valid, share)
    counts.last_water(total["last_date"], total["last_water_date"], last)
    layers: dict[str, NDArray[Any]] = {**total, "occurrence": share, "water_last": last}
    return layers if mean is None else {**layers, "occurrence_mm": mean}
