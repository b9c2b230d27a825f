"""One command's worth of work: chains on granules, every unit ended with its class, products published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.bands import ROLES
from thalweg.chain import Chain, Declaration
from thalweg.ending import Ending
from thalweg.errors import ThalwegError, UsageError
from thalweg.fusion import run_together
from thalweg.inputs import Band
from thalweg.opened import raster_environment
from thalweg.order import Assignment, Order, assign, named_products, static_layers
from thalweg.readers import Wanted, opened
from thalweg.settings import read_settings, return_large_blocks
from thalweg.synthesis import Synthesis
from thalweg.unit import Unit, open_job

if TYPE_CHECKING:
    from thalweg.cog import Codec
    from thalweg.grid import Bounds


def run(
    granules: str | Path | Iterable[str | Path],
    chain: str | Declaration | Iterable[str | Declaration],
    *,
    to: str | Path,
    static: str | Path | None = None,
    static_files: Mapping[str, str | Path] | None = None,
    without: Iterable[str] = (),
    parameters_file: str | Path | None = None,
    bbox: Bounds | None = None,
    codec: Codec = "zstd",
    strip_rows: int | None = None,
    products: Mapping[str, str | Path] | None = None,
    period: str | None = None,
    algorithm_files: Iterable[str | Path] = (),
    report: Callable[[Ending], None] | None = None,
    progress: Callable[[str, str, float], None] | None = None,
    **parameters: Any,
) -> list[Ending]:
    """Run one or several chains on granules and write the products under `to`.

    The chain may be a synthesis: `granules` are then products, or folders that hold them, and `period` says which days:
    a day, month or year, two of these with a slash between, or ``monthly`` and ``annual`` for every one there is.
    Parameters are keywords with a single chain, and one mapping a chain with several: ``snow={"dz": 50}``. `static`
    is the folder of static layers, `static_files` names single ones, `without` leaves some out, `bbox` is west, south,
    east, north in degrees, `products` chain to folder of a product that another chain reads, `algorithm_files`
    names files whose declarations the chains take up. The endings come back in order, one a unit; a failing unit does
    not stop the others.
    Raises BadParameters, UsageError or MissingInput where nothing can be started at all.
    """
    return_large_blocks()
    paths = [Path(path) for path in ([granules] if isinstance(granules, str | Path) else granules)]
    names = [chain] if isinstance(chain, str | Declaration) else list(chain)
    order = Order(
        destination=Path(to),
        static=static_layers(static, static_files, without),
        settings=read_settings(),
        box=bbox,
        codec=codec,
        strip_rows=strip_rows,
        progress=progress,
        products=named_products(products or {}),
    )
    file = Path(parameters_file) if parameters_file else None
    assignments = assign(names, file, parameters, [str(path) for path in algorithm_files])
    endings: list[Ending] = []
    for ending in _process(paths, assignments, order, period):
        endings.append(ending)
        if report:
            report(ending)
    endings = _in_order(endings, assignments)
    endings += _publish(endings, assignments, order.destination)
    return endings


def _in_order(endings: Iterable[Ending], assignments: list[Assignment[Any]]) -> list[Ending]:
    """Those of one granule, which come as they end, in the order of the chains."""
    places = {assignment.chain.name: place for place, assignment in enumerate(assignments)}
    groups = groupby(endings, key=lambda ending: ending.granule)
    return [one for _, group in groups for one in sorted(group, key=lambda ending: places[ending.chain])]


def _process(
    paths: list[Path], assignments: list[Assignment[Any]], order: Order, period: str | None
) -> Iterator[Ending]:
    """Endings of the units that the chains make of the inputs: granules, or tiles and periods."""
    syntheses = [assignment for assignment in assignments if isinstance(assignment.chain, Synthesis)]
    chains = [assignment for assignment in assignments if isinstance(assignment.chain, Chain)]
    if syntheses and (chains or period is None):
        name = syntheses[0].chain.name
        raise UsageError(
            f"chain {name!r} makes one product a period, of products: give it a period, and no other kind of chain",
            advice="Such as --period 2021-09-01/2022-08-31, 2021-01, or monthly.",
        )
    if chains and period is not None:
        raise UsageError(f"a period, which {chains[0].chain.name!r} does not take: its units are granules")
    for assignment in syntheses:
        # Counters need libraries of their own, which a job on granules is spared.
        from thalweg.synthesising import process_periods

        yield from process_periods(paths, assignment, order, str(period))
    for path in paths if chains else ():
        yield from process_granule(path, chains, order)


def _publish(endings: list[Ending], assignments: list[Assignment[Any]], destination: Path) -> list[Ending]:
    """Tell the catalogue; what it could not be told comes back as endings of its own, for products are safe already."""
    # Jobs never write the catalogue: they are spared its modules.
    from thalweg.catalogue import publish

    try:
        problems = publish(destination, endings, [assignment.chain for assignment in assignments]).problems
    except ThalwegError as problem:
        problems = (problem,)
    return [Ending("catalogue", str(destination), "failed", error=problem) for problem in problems]


def process_granule(path: Path, assignments: list[Assignment[Chain]], order: Order) -> Iterator[Ending]:
    """Endings of all chains on one granule, each as soon as it is known; every band is decoded once for all of them.

    What goes wrong with the granule itself ends all of them; else one chain's failure does not touch the others.
    """
    left = {assignment.chain.name: assignment for assignment in assignments}
    try:
        with (
            opened(path, order.settings.scratch, _wanted(assignments)) as granule,
            raster_environment(),
            open_job(granule, order, frozenset(left)) as job,
        ):
            for ending in run_together(Unit(assignment, job) for assignment in assignments):
                left.pop(ending.chain, None)
                yield ending
    except ThalwegError as problem:
        for chain in left:
            yield Ending(chain, str(path), "failed", error=problem)


def _wanted(assignments: list[Assignment[Chain]]) -> Wanted:
    """What the chains read of a granule, in general: no more of it needs to be unpacked from a zip."""
    bands = [
        band
        for assignment in assignments
        for band in assignment.chain.inputs_for(assignment.parameters)
        if isinstance(band, Band)
    ]
    wanted = {(band.role, band.correction) for band in bands}

    def is_wanted(what: str, key: str) -> bool:
        is_band = what in ROLES
        return (
            not is_band
            or (what, None) in wanted
            or (what, key) in wanted
            or (key not in ("flat", "surface") and any(role == what for role, _ in wanted))
        )

    return is_wanted
