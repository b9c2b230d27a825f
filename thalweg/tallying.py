"""A synthesis that counts, at work: products go into the state, products of months and years come out of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.errors import BadInput, MissingInput
from thalweg.item import InputFile
from thalweg.opened import RowStream, open_raster
from thalweg.series import Gathering, Rejected, Tally
from thalweg.state import CHUNK, Arrival, State, opened_state, state_folder
from thalweg.static import checksum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.grid import Grid
    from thalweg.order import Assignment, Order
    from thalweg.period import Period
    from thalweg.series import Counters, Member
    from thalweg.state import Entry, MonthReader
    from thalweg.synthesis import Synthesis
    from thalweg.synthesising import Opening


def tally_units(
    members: list[Member], assignment: Assignment[Synthesis], order: Order, periods: list[Period]
) -> Iterator[tuple[Gathering, Opening]]:
    """Units of the periods of every tile and origin of the products, with what opens their counters."""
    for tile, origin in sorted({(member.tile, member.origin) for member in members}):
        mine = [member for member in members if (member.tile, member.origin) == (tile, origin)]
        store = _Store(mine, assignment, order)
        for period in periods:
            yield Gathering(tile, period, tuple(mine)), partial(store.opened, period)


class _Store:
    """The state of a tile and origin; what was given is received once, when the first period is opened."""

    def __init__(self, members: list[Member], assignment: Assignment[Synthesis], order: Order) -> None:
        counting = assignment.chain.counting
        if counting is None:
            raise ValueError(f"{assignment.chain.name} does not count")
        self._counting, self._members, self._received = counting, members, False
        first = members[0]
        self._folder = state_folder(order.destination, first.tile, counting.kind, first.origin)

    @contextmanager
    def opened(self, period: Period) -> Iterator[OpenTally]:
        """The counters of a period, with everything that was given in them."""
        tile = self._members[0].tile
        with opened_state(self._folder, tile, _grid_of(self._members[0]), self._counting) as state:
            if not self._received:
                state.receive(map(_arrival, self._members))
                self._received = True
            yield OpenTally(state, tile, period)


class OpenTally:
    """Counters of the months of a period, opened."""

    def __init__(self, state: State, tile: str, period: Period) -> None:
        self._state, self._period, self.grid = state, period, state.grid
        wanted = {f"{month.first_day:%Y-%m}" for month in period.months()}
        self._months = [month for month in state.months() if month in wanted]
        entries = [entry for month in self._months for entry in state.of_month(month)]
        if not entries:
            raise MissingInput(f"{tile}, {period}: no product was ever received", id="E_INPUT")
        counted = [entry for entry in entries if entry.winner.content]
        self.gathering = Gathering(
            tile,
            period,
            tuple(entry.member for entry in counted),
            tuple(Rejected(entry.member, "withdrawn") for entry in entries if not entry.winner.content),
            sum(len(entry.versions) for entry in entries),
        )
        self.counted = tuple(entry.counted for entry in counted)
        size = self.grid.shape[0] * self.grid.shape[1]
        self.inputs = tuple(_input_of(entry, size) for entry in counted)

    def strips(self, rows: int | None) -> Iterator[tuple[int, Tally]]:
        """A strip after the other; the function that takes one reads all of its months."""
        readers = [self._state.reader(month) for month in self._months]
        height = self.grid.shape[0]
        step = rows or CHUNK
        for first, last in pairwise([*range(0, height, step), height]):
            months = _read(readers, first, last)
            yield last, Tally(self._period, self.grid, (first, last), months)
            # What the function left unread would be missing from the digests.
            for _ in months:
                pass


def _read(readers: list[MonthReader], first: int, last: int) -> Iterator[Counters]:
    for reader in readers:
        yield reader.rows(first, last)


def _input_of(entry: Entry, size: int) -> InputFile:
    return InputFile(
        entry.member.layer, entry.member.raster.path.name, size, f"sha256:{entry.winner.content}"
    )


def _arrival(member: Member) -> Arrival:
    return Arrival(member, checksum(member.raster.path), partial(RasterPixels, member))


class RasterPixels:
    """The raster of a product, uint8, decoded row of blocks by row of blocks; closed after its last row."""

    def __init__(self, member: Member) -> None:
        self._opened = open_raster(member.raster)
        if self._opened.dtype != "uint8":
            self._opened.close()
            raise BadInput(
                f"{member.raster.path}: holds {self._opened.dtype}, where 0, 1 and 255 are expected"
            )
        self._stream = RowStream(self._opened)
        self.grid = self._opened.grid

    def rows(self, first: int, last: int) -> NDArray[np.uint8]:
        """Rows `first` to before `last`."""
        values: NDArray[Any] = self._stream.rows(first, last)
        if last == self.grid.shape[0]:
            self._opened.close()
        return values


def _grid_of(member: Member) -> Grid:
    opened = open_raster(member.raster)
    opened.close()
    return opened.grid
