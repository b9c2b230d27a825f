"""The contract of a synthesis: one decorated function from the products of a tile and period to layers.

What it shares with a chain is `Declaration`; what differs is the unit. A synthesis that only counts declares how
(`counting`): its function is then given counters instead of pixels, and products may arrive in any order, twice, or
again in a newer version, with the same result as if they had all been there from the beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thalweg.chain import Conclusion, Declaration, Names, check_declaration
from thalweg.parameters import parameters_of

if TYPE_CHECKING:
    from datetime import date

    from numpy.typing import NDArray

    from thalweg.layer import Layer
    from thalweg.period import Period
    from thalweg.series import Counting, Gathering, Member, Series


@dataclass(frozen=True, slots=True)
class Daily:
    """A layer of every day, which a synthesis gives on request beside its layers."""

    layer: Layer
    """What a day's numbers mean."""
    wanted: Callable[[Any], bool]
    """From the parameters: True where it is asked for."""
    days: Callable[[Gathering, Any], Sequence[date]]
    """The days, in order."""
    function: Callable[[Series, Any], NDArray[Any]]
    """A block of a series to its days, (days, rows, columns)."""


@dataclass(frozen=True, kw_only=True)
class Synthesis(Declaration):
    """A chain whose unit is a tile and a period, and whose inputs are products."""

    of: str
    """Name of the chain whose products it takes."""
    takes: tuple[str, ...]
    """Layers of a product that will do: the first one that is there is read."""
    admit: Callable[[Member, Period, Any], str] | None = None
    """Why a product of the tile is not used, empty where it is; None: those of the period are used."""
    across: Callable[[Member, Any], bool] | None = None
    """True where a product is used whatever its tile."""
    counting: Counting | None = None
    """How observations add up, where that is all there is to it; its function is then given a `Tally`."""
    names: Callable[[Gathering, Any, str], Names] | None = None
    """Product and file names from gathering, parameters and software version; None: ``<chain>_<tile>_<days>``."""
    conclude: Callable[[Gathering, Any], Conclusion] | None = None
    """What is said about the whole product."""
    daily: Daily | None = None
    """A layer of every day that may be asked for."""
    calendar: bool = False
    """True where a period is a calendar month or year, nothing else."""

    def __call__(self, series: Any, *arguments: Any, **keywords: Any) -> Any:
        """What the function itself gives back: a synthesis is called like the function that it was made of."""
        return self.function(series, *arguments, **keywords)

    def reason_against(self, member: Member, period: Period, parameters: Any) -> str:
        """Why a product of the tile is not used, empty where it is."""
        if self.admit is not None:
            return self.admit(member, period, parameters)
        inside = period.first_day <= member.day <= period.last_day
        return "" if inside else f"acquired on {member.day}, outside {period}"

    def is_across(self, member: Member, parameters: Any) -> bool:
        """True where a product is used whatever its tile."""
        return self.across is not None and self.across(member, parameters)

    def names_for(self, gathering: Gathering, parameters: Any, version: str) -> Names:
        """Names of the product and of its files."""
        if self.names is not None:
            return self.names(gathering, parameters, version)
        return Names(f"{self.name}_{gathering.id}")

    def daily_for(self, parameters: Any) -> Daily | None:
        """The layer of every day, where it is asked for."""
        return self.daily if self.daily is not None and self.daily.wanted(parameters) else None

    def compute(self, strip: Any, parameters: Any) -> Any:
        """Layers of a strip, the parameters in the form that the function declares: one object, or keywords."""
        if self.parameters.build:
            return self.function(strip, parameters)
        return self.function(strip, **parameters)


def synthesis(
    name: str,
    *,
    version: str,
    of: str,
    takes: Sequence[str],
    outputs: Sequence[Layer],
    parameters: type | None = None,
    **options: Any,
) -> Callable[[Callable[..., Any]], Synthesis]:
    """Declare a function as a synthesis of the products of chain `of`, of which it reads the first layer in `takes`.

    The function receives a `Series` (or a `Tally`, where it declares `counting`) and its parameters as keywords; with
    `parameters`, a frozen dataclass, it receives that object instead. Further options are the fields of `Synthesis`.
    Raises BadParameters where the declaration contradicts itself.
    """

    def declare(function: Callable[..., Any]) -> Synthesis:
        declared = Synthesis(
            name=name,
            version=version,
            function=function,
            of=of,
            takes=tuple(takes),
            outputs=tuple(outputs),
            parameters=parameters_of(name, function, parameters),
            **options,
        )
        check_declaration(declared, _contradictions(declared))
        return declared

    return declare


def _contradictions(declared: Synthesis) -> Iterator[str]:
    if not declared.takes:
        yield "takes no layer of a product"
    if declared.counting is not None and not declared.calendar:
        yield "counts month by month, so that its periods are calendar months and years"
