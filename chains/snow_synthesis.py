"""A season of snow from the products of a tile: how long snow lay, when it came and went, how often it was seen.

Gaps between clear dates are filled day by day, by the values on both sides. Profile `lis-1.11` gives what Let-it-snow
1.11.0 (CNES/CESBIO, Apache-2.0) gives; `default` corrects what is ambiguous there and says how far the days can be
relied on. Method: Gascoin et al. 2019, doi:10.5194/essd-11-493-2019, section 3.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from thalweg.chain import Conclusion, Names
from thalweg.chains.snow_documents import lis_synthesis_metadata
from thalweg.chains.snow_parameters import LIS
from thalweg.errors import BadParameters
from thalweg.kernels import snow_synthesis as seasons
from thalweg.layer import Class, Colour, Layer
from thalweg.parameters import Within
from thalweg.synthesis import Daily, synthesis

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.period import Period
    from thalweg.series import Gathering, Member, Series

_CLEAR: Colour = (0, 0, 0, 0)
_DURATION: Mapping[int, Colour] = {
    0: (166, 150, 120, 255),
    1: (49, 54, 149, 255),
    180: (69, 160, 210, 255),
    366: (240, 252, 255, 255),
}
_DAY: Mapping[int, Colour] = {
    0: (68, 1, 84, 255),
    122: (49, 104, 142, 255),
    244: (53, 183, 121, 255),
    366: (253, 231, 37, 255),
}
_COUNT: Mapping[int, Colour] = {0: (255, 255, 255, 255), 73: (8, 48, 107, 255)}


def _days(name: str, description: str, colours: Mapping[int, Colour], units: str = "day") -> Layer:
    last = max(colours)
    return Layer(
        name, "uint16", description, units, seasons.NONE, colours={**colours, 65535: _CLEAR}, ramp=(0, last)
    )


def _dates(name: str, description: str) -> Layer:
    return Layer(name, "uint16", description, "1", colours=_COUNT, ramp=(0, max(_COUNT)))


LAYERS = (
    _days("scd", "Snow cover duration: days with snow", _DURATION),
    _days("sod", "Snow onset: first day of the longest run of snow days, 0 is the first day", _DAY),
    _days("smod", "Snow melt-out: last day of the longest run of snow days, 0 is the first day", _DAY),
    _days("nsp", "Number of snow periods", _COUNT, "1"),
    _days("lrun", "Length of the longest run of snow days", _DURATION),
    _dates("nobs", "Dates on which the ground was seen"),
    _dates("ccd", "Dates on which it was not"),
    _days("gapmax", "Longest gap between clear dates that a day lies in", _COUNT),
    _days("nunk", "Days of which nothing is known", _DURATION),
    _days("dslc", "Days from the last clear date to the end of the period", _COUNT),
)
"""Every layer, in the order of the kernel's."""

DAILY = Layer(
    "daily_snow",
    "uint8",
    "Snow of every day",
    nodata=seasons.UNKNOWN,
    classes=(
        Class(0, "no_snow", "no snow"),
        Class(1, "snow", "snow"),
        Class(seasons.UNKNOWN, "unknown", "not known"),
    ),
)
"""Snow or not, of every day, on request."""

_LIS_LAYERS = ("scd", "sod", "smod", "nsp", "nobs", "ccd")
_DEFAULT_ONLY: Mapping[str, Any] = {"max_gap_days": None, "interp": "binary"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SnowSynthesis:
    """Parameters of the snow synthesis; its period is that of the unit."""

    profile: Annotated[
        Literal["default", "lis-1.11"], Within(note="default: corrected; lis-1.11: as LIS 1.11.0")
    ] = "default"
    date_margin: Annotated[
        int, Within(0, 366, "day", "products are used from so long before to so long after the period")
    ] = 15
    min_snow_days: Annotated[
        int, Within(0, 9000, "day", "onset and melt-out only where snow lay longer than this")
    ] = 10
    output_dates: Annotated[
        tuple[str, ...] | None, Within(note="days that count, yyyymmdd, ascending; null: every day")
    ] = None
    max_gap_days: Annotated[
        int | None, Within(0, 9000, "day", "days in a longer gap are unknown; null: none is (30 is advised)")
    ] = None
    interp: Annotated[
        Literal["binary", "fsc"], Within(note="what is interpolated: snow or not, or the fraction")
    ] = "binary"
    daily_masks: Annotated[bool, Within(note="the snow of every day too, as a Zarr cube")] = False
    chain_version: Annotated[str | None, Within(note="version in file names; null: that of the program")] = (
        None
    )
    product_counter: Annotated[str | None, Within(note="text at the end of file names")] = None

    def __post_init__(self) -> None:
        foreign = [name for name, usual in _DEFAULT_ONLY.items() if getattr(self, name) != usual]
        if self.lis and foreign:
            raise ValueError(f"{foreign[0]} belongs to the profile default; {LIS} has no such thing")

    @property
    def lis(self) -> bool:
        """True in the profile that equals Let-it-snow."""
        return self.profile == LIS

    @property
    def rules(self) -> seasons.Rules:
        """The same for the kernel."""
        return seasons.Rules(self.lis, self.interp == "fsc", self.max_gap_days, self.min_snow_days)


def output_days(period: Period, parameters: SnowSynthesis) -> list[date]:
    """The days that count: those of the list, else every day of the period.

    Raises BadParameters (SYN-07) where the list is empty, does not ascend or leaves the period.
    """
    first, last = period.first_day, period.last_day
    if parameters.output_dates is None:
        return [first + timedelta(days=step) for step in range((last - first).days + 1)]
    days = [_listed(text) for text in parameters.output_dates]
    if not days or days != sorted(set(days)) or days[0] < first or days[-1] > last:
        raise BadParameters(
            f"snow_synthesis.output_dates: days must ascend strictly and lie within {period}", id="SYN-07"
        )
    return days


def _listed(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        raise BadParameters(
            f"snow_synthesis.output_dates: {text!r} is no day; write yyyymmdd", id="SYN-07"
        ) from None


def admit(member: Member, period: Period, parameters: SnowSynthesis) -> str:
    """Why a product is not used: it lies outside of the period and its margins.

    Let-it-snow counts from midnight to midnight, so that what was seen on the last day of the margin is lost.
    """
    margin = timedelta(days=parameters.date_margin)
    first = datetime.combine(period.first_day, datetime.min.time(), UTC) - margin
    last = datetime.combine(period.last_day, datetime.min.time(), UTC) + margin
    if not parameters.lis:
        last += timedelta(days=1, microseconds=-1)
    if first <= member.sensed <= last:
        return ""
    return (
        f"acquired {member.sensed:%Y-%m-%dT%H:%M:%S}, outside {period} and its margins of {margin.days} days"
    )


def is_across(member: Member, parameters: SnowSynthesis) -> bool:
    """Let-it-snow takes Landsat products of any tile."""
    return parameters.lis and member.is_landsat


def observed_days(gathering: Gathering) -> list[date]:
    """Days with a product, ascending."""
    return sorted({member.day for member in gathering.members})


def season_of(gathering: Gathering, parameters: SnowSynthesis) -> seasons.Season:
    """The days of a gathering for the kernel."""
    period = gathering.period
    return seasons.season(
        [day.toordinal() for day in observed_days(gathering)],
        [day.toordinal() for day in output_days(period, parameters)],
        period.first_day.toordinal(),
        period.last_day.toordinal(),
        lis=parameters.lis,
    )


def merge_days(series: Series) -> NDArray[np.uint8]:
    """One observation a day, merged within the strip's own array."""
    values, members = series.values, series.gathering.members
    groups = [list(group) for _, group in groupby(range(len(members)), key=lambda k: members[k].day)]
    for index, group in enumerate(groups):
        for later in group[1:]:
            seasons.merge_day(values[group[0]], values[later])
        if index != group[0]:
            values[index] = values[group[0]]
    return values[: len(groups)]


def names(gathering: Gathering, parameters: SnowSynthesis, version: str) -> Names:
    """Names of section 6.3, step 7."""
    sensor = "S2L8" if gathering.is_denser else "S2"
    period = gathering.period
    tile = f"T{gathering.tile}" if gathering.on_mgrs else gathering.tile
    id = f"{tile}_{period.first_day:%Y%m%d}_{period.last_day:%Y%m%d}"
    tail = "_".join(filter(None, (id, parameters.chain_version or version, parameters.product_counter)))
    daily = {DAILY.name: f"DAILY_SNOW_MASKS_{id}.zarr"}
    if not parameters.lis:
        files = {layer.name: f"SNOWSYN_{layer.name.upper()}_{sensor}_{tail}.tif" for layer in LAYERS}
        return Names(f"SNOWSYN_{sensor}_{tail}", {**files, **daily})
    files = {name: f"LIS_{sensor}-SNOW-{name.upper()}_{tail}.tif" for name in _LIS_LAYERS}
    return Names(f"LIS_{sensor}-SNOW-SYN_{tail}", {**files, **daily, "ccd": f"CLOUD_OCCURENCE_{id}.tif"})


def conclude(gathering: Gathering, parameters: SnowSynthesis) -> Conclusion:
    """Which products were used, which were not and why; in `lis-1.11` its text files too."""
    properties = {
        "snow:profile": parameters.profile,
        "snow:dates": len(observed_days(gathering)),
        "snow:days": len(output_days(gathering.period, parameters)),
        "snow:products_used": [member.name for member in gathering.members],
        "snow:products_rejected": [
            {"product": one.member.name, "reason": one.reason} for one in gathering.rejected
        ],
    }
    return Conclusion(properties, _lis_documents(gathering, parameters) if parameters.lis else {})


def _lis_documents(gathering: Gathering, parameters: SnowSynthesis) -> dict[str, str]:
    listed = (*gathering.members, *(one.member for one in gathering.rejected))
    in_order = sorted(
        listed, key=lambda one: (one.is_landsat, one.tile != gathering.tile, one.sensed, one.name)
    )
    return {
        "input_dates.txt": _lines(observed_days(gathering)),
        "output_dates.txt": _lines(output_days(gathering.period, parameters)),
        "LIS_METADATA.XML": lis_synthesis_metadata([member.name for member in in_order]),
    }


def _lines(days: Sequence[date]) -> str:
    return "\n".join(f"{day:%Y%m%d}" for day in days)


def days_of(gathering: Gathering, parameters: SnowSynthesis) -> list[date]:
    """The days of the daily masks."""
    return output_days(gathering.period, parameters)


def daily_masks(series: Series, parameters: SnowSynthesis) -> NDArray[np.uint8]:
    """Snow of every day of a block: 0, 1 or 255, (days, rows, columns)."""
    stack = merge_days(series)
    season = season_of(series.gathering, parameters)
    days = np.empty((season.days, *stack.shape[1:]), np.uint8)
    seasons.unroll(stack, season, parameters.rules, days)
    return days


@synthesis(
    "snow_synthesis",
    version="1.0",
    of="snow",
    takes=("fsc_og", "fsc_toc_hs", "fsc_toc", "seb", "snow"),
    outputs=LAYERS,
    parameters=SnowSynthesis,
    admit=admit,
    across=is_across,
    names=names,
    conclude=conclude,
    daily=Daily(DAILY, lambda parameters: bool(parameters.daily_masks), days_of, daily_masks),
    main=("scd",),
    summary=("snow:dates", "snow:days"),
    references=(
        "Gascoin et al. 2019, Theia Snow collection, doi:10.5194/essd-11-493-2019",
        "Let-it-snow 1.11.0, https://github.com/eea/clms-hrwsi-system",
    ),
)
def snow_synthesis(series: Series, parameters: SnowSynthesis) -> dict[str, NDArray[np.uint16]]:
    """Duration, onset, melt-out and gaps of the snow of a season, one value a pixel."""
    stack = merge_days(series)
    layers = np.empty((len(LAYERS), *stack.shape[1:]), np.uint16)
    seasons.synthesise(stack, season_of(series.gathering, parameters), parameters.rules, layers)
    wanted = _LIS_LAYERS if parameters.lis else tuple(layer.name for layer in LAYERS)
    return {layer.name: layers[k] for k, layer in enumerate(LAYERS) if layer.name in wanted}
