"""What a synthesis that counts has counted: one Zarr v3 store a tile and kind, a pure function of what it received.

::

    OPTICAL.zarr/
      zarr.json                      what it is of: schema, tile, grid, counters
      lock                           locked while it is open, with its owner
      ledger/<acquisition>.json      versions received of an acquisition; pending or done
      contrib/<acquisition>/WATER    pixels of the version that counts
      months/2021-01/{n_water,...}   counters; the group's digest in its attributes
      state.json                     what is counted, and the digest of all

A change goes through these steps, each of which a crash may follow: pixels to a hidden draft; ledger entry, `pending`;
draft into place; counters to a hidden group; group into place; state.json; entry `done`. Opening finishes what is
pending by computing its months from the contributions again, so that the same bits come out.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import groupby, pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from thalweg.document import read_document, write_document
from thalweg.errors import BadInput, BadParameters, ServiceUnavailable
from thalweg.parameters import canonical_json
from thalweg.raster import Raster
from thalweg.series import Counted, Counters, Member, version_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.grid import Grid
    from thalweg.series import Counting

SCHEMA = 1
"""Version of the layout; a newer one is refused."""

CHUNK, SHARD = 1024, 4096
"""Sides of what is decoded at once, and of a file."""

NOTHING = 255
"""A pixel without an observation."""

_PIXELS = "WATER"
_EPOCH = date(1970, 1, 1)


class Pixels(Protocol):
    """The raster of a product, read from top to bottom."""

    grid: Grid
    """Its grid."""

    def rows(self, first: int, last: int) -> NDArray[np.uint8]:
        """Rows `first` to before `last`."""
        ...


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an acquisition's product."""

    number: str
    """Numbers with dots, compared as integers."""
    content: str
    """SHA-256 of the pixels, row by row; empty where it counts as never observed."""
    file: str
    """SHA-256 of the raster, by which the same file is known without decoding it."""
    name: str
    """Name of the product."""

    @property
    def rank(self) -> tuple[tuple[int, ...], bool]:
        """Of two versions the one of higher rank counts: the newer, and of one version that it was withdrawn."""
        return version_numbers(self.number), not self.content


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one acquisition."""

    member: Member
    """The product that counts, as it was when it came."""
    versions: tuple[Version, ...]
    """Versions received, the oldest first; the last one counts."""
    status: Literal["pending", "done"] = "done"
    """Whether the counters contain it."""

    @property
    def winner(self) -> Version:
        """The version that counts."""
        return self.versions[-1]

    @property
    def month(self) -> str:
        """``2021-01``, of the day of sensing in UTC."""
        return f"{self.member.day:%Y-%m}"

    @property
    def counted(self) -> Counted:
        """What the identity of a synthesis says of it."""
        return Counted(self.member.acquisition, self.winner.number, self.winner.content, self.winner.name)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A product that arrives."""

    member: Member
    """What it is."""
    file: str
    """SHA-256 of its raster."""
    open: Callable[[], Pixels]
    """Opens its raster; called only where the pixels are needed."""


@dataclass
class State:
    """The opened state of a tile and kind; `opened_state` makes and closes it."""

    folder: Path
    """The store."""
    grid: Grid
    """Grid of the tile."""
    counting: Counting
    """How observations add up."""
    entries: dict[str, Entry] = field(default_factory=dict)
    """Acquisition to what is known of it."""

    def receive(self, arrivals: Iterable[Arrival]) -> None:
        """Take products in, whatever their order, however often they come.

        Raises BadInput where a product contradicts one of the same acquisition and version (E_CONFLICT), or lies on
        another grid (E_GRID): it then leaves no trace, and those before it are counted.
        """
        try:
            for arrival in arrivals:
                self._take(arrival)
        finally:
            self.settle()

    def settle(self) -> None:
        """Bring the counters up to date with the ledger."""
        pending = [entry for _, entry in sorted(self.entries.items()) if entry.status == "pending"]
        for month, group in groupby(
            sorted(pending, key=lambda entry: entry.month), lambda entry: entry.month
        ):
            self._update(month, list(group))
        if pending:
            write_document(self.folder / "state.json", self.document())
        for entry in pending:
            self._note(replace(entry, status="done"))

    def months(self) -> list[str]:
        """Months that have counters, in order."""
        return sorted({entry.month for entry in self.entries.values()})

    def of_month(self, month: str) -> list[Entry]:
        """What is known of the acquisitions of a month, in order."""
        return [entry for _, entry in sorted(self.entries.items()) if entry.month == month]

    def reader(self, month: str) -> MonthReader:
        """Reads the counters of a month from top to bottom."""
        return MonthReader(self.folder / "months" / month, self.counting.counters)

    def document(self) -> dict[str, Any]:
        """What stands in state.json."""
        counted = sorted(
            [entry.member.acquisition, entry.winner.number, entry.winner.content]
            for entry in self.entries.values()
        )
        months = {month: _digest_of(self.folder / "months" / month) for month in self.months()}
        whole = hashlib.sha256(canonical_json([counted, months]).encode()).hexdigest()
        return {"schema": SCHEMA, "counted": counted, "months": months, "digest": whole}

    def _take(self, arrival: Arrival) -> None:
        member = arrival.member
        known = self.entries.get(member.acquisition)
        versions = known.versions if known else ()
        if not member.withdrawn and (member.version, arrival.file) in {
            (one.number, one.file) for one in versions
        }:
            return
        content = "" if member.withdrawn else self._draft(member.acquisition, arrival.open())
        try:
            self._decide(member, known, Version(member.version, content, arrival.file, member.name))
        finally:
            # Pixels that do not count are not kept.
            _remove(_draft_of(self.folder, member.acquisition, content))

    def _decide(self, member: Member, known: Entry | None, version: Version) -> None:
        """Note a version; where it counts, its pixels take the place of those before."""
        versions = known.versions if known else ()
        _refuse_conflict(version, versions, member)
        if version.rank in {one.rank for one in versions}:
            return
        joined = tuple(sorted((*versions, version), key=lambda one: one.rank))
        if known and joined[-1] != version:
            self._note(replace(known, versions=joined))
            return
        self._note(Entry(member, joined, "pending"))
        self._promote(member.acquisition)

    def _draft(self, acquisition: str, pixels: Pixels) -> str:
        """Write pixels aside; their SHA-256 comes back, which names the draft once it is complete."""
        part = self.folder / "contrib" / f".{acquisition}.part"
        content = _write_pixels(part, pixels, self.grid)
        draft = _draft_of(self.folder, acquisition, content)
        _remove(draft)
        _rename(part, draft)
        return content

    def _promote(self, acquisition: str) -> None:
        """Put the draft of the version that counts into its place."""
        content, place = self.entries[acquisition].winner.content, self.folder / "contrib" / acquisition
        draft = _draft_of(self.folder, acquisition, content)
        if not content:
            _remove(place)
        elif draft.exists():
            _remove(place)
            _rename(draft, place)

    def _note(self, entry: Entry) -> None:
        write_document(self.folder / "ledger" / f"{entry.member.acquisition}.json", _to_document(entry))
        self.entries[entry.member.acquisition] = entry

    def _update(self, month: str, pending: list[Entry]) -> None:
        """Counters of a month with what is pending: added where that is enough, else all over again."""
        place, draft = self.folder / "months" / month, self.folder / "months" / f".{month}"
        news = {entry.member.acquisition for entry in pending}
        others = {
            entry.member.observation for entry in self.of_month(month) if entry.member.acquisition not in news
        }
        adds = place.exists() and all(
            len(entry.versions) == 1 and entry.member.observation not in others for entry in pending
        )
        observed = pending if adds else self.of_month(month)
        _write_counters(draft, self.grid, self._counted(observed, self.reader(month) if adds else None))
        _remove(place)
        _rename(draft, place)

    def _counted(self, entries: list[Entry], before: MonthReader | None) -> Iterator[Counters]:
        """Counters of a strip of a month after the other, with these observations added to those before."""
        height, width = self.grid.shape
        passes = _passes(self.folder, entries)
        for first, last in pairwise([*range(0, height, SHARD), height]):
            counters: Counters = (
                before.rows(first, last)
                if before
                else {name: np.zeros((last - first, width), np.uint16) for name in self.counting.counters}
            )
            for day, arrays in passes:
                water, *others = (np.ascontiguousarray(array[first:last]) for array in arrays)
                for other in others:
                    self.counting.merge(water, other)
                if self.counting.count(counters, water, day):
                    raise BadInput(
                        f"{self.folder}: a pixel of {entries[0].month} would be counted more than 65535 times",
                        id="E_OVERFLOW",
                    )
            yield counters


class MonthReader:
    """Counters of a month, read from top to bottom and checked against their digest at the end.

    Raises BadInput (E_STATE) where they are not what was written.
    """

    def __init__(self, folder: Path, counters: tuple[str, ...]) -> None:
        self._folder = folder
        with _blaming(folder):
            self._arrays = {name: _zarr().open_array(folder / name, mode="r") for name in sorted(counters)}
            self._height = next(iter(self._arrays.values())).shape[0]
        self._sums = {name: hashlib.sha256() for name in self._arrays}
        self._next = 0

    def rows(self, first: int, last: int) -> dict[str, NDArray[np.uint16]]:
        """Rows `first` to before `last`, which follow those read before."""
        if first != self._next:
            raise ValueError(f"rows are read in order: {first} was asked for, {self._next} is next")
        with _blaming(self._folder):
            rows = {name: np.ascontiguousarray(array[first:last]) for name, array in self._arrays.items()}
        for name, values in rows.items():
            self._sums[name].update(values.data)
        self._next = last
        if last == self._height:
            self._check()
        return rows

    def _check(self) -> None:
        found, expected = _joined(self._sums), _digest_of(self._folder)
        if found != expected:
            raise BadInput(
                f"{self._folder}: the counters have the digest {found}, {expected} was written",
                id="E_STATE",
                advice="Remove the state's folder and run the synthesis on all products again.",
            )


def state_folder(destination: Path, tile: str, kind: str, origin: str) -> Path:
    """Where the state of a tile lies; `origin` keeps products apart that were asked for differently."""
    suffix = "" if origin in ("", "default") else f"-{origin[:8]}"
    return destination / "state" / f"T{tile}" / f"{kind}{suffix}.zarr"


@contextmanager
def opened_state(folder: Path, tile: str, grid: Grid, counting: Counting) -> Iterator[State]:
    """The state in a folder, made where there is none, locked while it is open.

    What an earlier owner left half done is finished first. Raises ServiceUnavailable (E_LOCK) where another has it
    open, BadInput (E_STATE, E_GRID) where it is damaged, of another grid or from a newer program.
    """
    _check_library()
    for name in ("ledger", "contrib", "months"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        _check_frame(folder, tile, grid, counting)
        state = State(folder, grid, counting, _read_ledger(folder / "ledger"))
        _recover(state)
        yield state


def _recover(state: State) -> None:
    """Finish what is pending, remove what was never noted, and check that the ledger says what was counted."""
    pending = {name for name, entry in state.entries.items() if entry.status == "pending"}
    for name in sorted(pending):
        state._promote(name)
    for folder in ("contrib", "months"):
        for path in sorted((state.folder / folder).glob(".*")):
            _remove(path)
    for month in sorted({state.entries[name].month for name in pending}):
        # A month that may or may not hold what is pending cannot be added to.
        _remove(state.folder / "months" / month)
    state.settle()
    if state.entries and read_document(state.folder / "state.json") != state.document():
        raise BadInput(
            f"{state.folder}: state.json does not say what ledger and counters hold",
            id="E_STATE",
            advice="Remove the state's folder and run the synthesis on all products again.",
        )


def _refuse_conflict(version: Version, versions: tuple[Version, ...], member: Member) -> None:
    for one in versions:
        if one.rank == version.rank and one.content != version.content:
            raise BadInput(
                f"{member.raster.path} and {one.name}: one acquisition ({member.acquisition}) and version "
                f"({version.number}), but sha256 {version.content} and {one.content}",
                id="E_CONFLICT",
                advice="Withdraw one of the two products, or give the newer one a newer version.",
            )


def _draft_of(folder: Path, acquisition: str, content: str) -> Path:
    """Where complete pixels wait for their ledger entry."""
    return folder / "contrib" / f".{acquisition}.{content[:16]}"


def _write_pixels(folder: Path, pixels: Pixels, grid: Grid) -> str:
    """Write a product's pixels; SHA-256 of them comes back."""
    if not pixels.grid.equals(grid):
        raise BadInput(
            f"a product lies on {pixels.grid.describe()}, the state on {grid.describe()}", id="E_GRID"
        )
    _remove(folder)
    array = _create(folder / _PIXELS, grid.shape, "uint8", NOTHING)
    digest = hashlib.sha256()
    height = grid.shape[0]
    for first, last in pairwise([*range(0, height, SHARD), height]):
        rows = np.ascontiguousarray(pixels.rows(first, last))
        digest.update(rows.data)
        array[first:last] = rows
    return digest.hexdigest()


def _write_counters(folder: Path, grid: Grid, strips: Iterable[Counters]) -> None:
    """Write the counters of a month, with their digest."""
    _remove(folder)
    arrays: dict[str, Any] = {}
    sums: dict[str, Any] = {}
    first = 0
    for strip in strips:
        for name, values in sorted(strip.items()):
            if name not in arrays:
                arrays[name] = _create(folder / name, grid.shape, "uint16", 0)
                sums[name] = hashlib.sha256()
            sums[name].update(np.ascontiguousarray(values).data)
            arrays[name][first : first + len(values)] = values
        first += len(values)
    _zarr().create_group(folder, attributes={"digest": _joined(sums)})


def _create(path: Path, shape: tuple[int, int], dtype: str, fill: int) -> Any:
    zarr = _zarr()
    return zarr.create_array(
        store=path,
        shape=shape,
        dtype=dtype,
        chunks=(CHUNK, CHUNK),
        shards=(SHARD, SHARD),
        compressors=zarr.codecs.ZstdCodec(level=3, checksum=False),
        fill_value=fill,
        dimension_names=("y", "x"),
        # Looking for chunks that hold nothing takes longer than compressing them.
        config={"write_empty_chunks": True},
    )


def _passes(folder: Path, entries: list[Entry]) -> list[tuple[int, list[Any]]]:
    """Day and opened pixels of every pass; the day is that of its earliest datastrip."""
    seen = [entry for entry in entries if entry.winner.content]
    ordered = sorted(seen, key=lambda entry: (entry.member.observation, entry.member.sensed))
    passes = []
    for _, group in groupby(ordered, key=lambda entry: entry.member.observation):
        strips = list(group)
        with _blaming(folder):
            arrays = [
                _zarr().open_array(folder / "contrib" / one.member.acquisition / _PIXELS, mode="r")
                for one in strips
            ]
        passes.append(((strips[0].member.day - _EPOCH).days, arrays))
    return passes


def _joined(sums: Mapping[str, Any]) -> str:
    """One digest of those of all counters, in the order of their names."""
    return hashlib.sha256("".join(sums[name].hexdigest() for name in sorted(sums)).encode()).hexdigest()


def _digest_of(month: Path) -> str:
    with _blaming(month):
        return str(_zarr().open_group(month, mode="r").attrs["digest"])


@contextmanager
def _blaming(folder: Path) -> Iterator[None]:
    """Whatever the library says of a damaged store becomes BadInput that names the folder."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as problem:
        raise BadInput(f"{folder}: cannot be read: {problem}", id="E_STATE") from problem


def _check_frame(folder: Path, tile: str, grid: Grid, counting: Counting) -> None:
    frame = {
        "schema": SCHEMA,
        "tile": tile,
        "kind": counting.kind,
        "crs": grid.crs,
        "transform": list(grid.transform),
        "shape": list(grid.shape),
        "counters": sorted(counting.counters),
    }
    if not (folder / "zarr.json").exists():
        _zarr().create_group(folder, attributes=frame)
        return
    with _blaming(folder):
        found = dict(_zarr().open_group(folder, mode="r").attrs)
    schema = found.get("schema")
    if not isinstance(schema, int) or schema > SCHEMA:
        raise BadInput(
            f"{folder}: has the layout {schema!r}, this program knows {SCHEMA} and older",
            id="E_STATE",
            advice="Use the newer program that wrote it.",
        )
    for key, value in frame.items():
        if found.get(key) != value:
            raise BadInput(f"{folder}: {key} is {found.get(key)!r}, the product's is {value!r}", id="E_GRID")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One owner at a time; a dead one's lock is gone with it, for the system keeps it, not the file."""
    with (folder / "lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ServiceUnavailable(
                f"{folder}: is open elsewhere: {_owner(file)}",
                id="E_LOCK",
                advice="Wait for the other to finish.",
            ) from None
        file.truncate(0)
        file.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": time.time()}))
        file.flush()
        yield


def _owner(file: IO[str]) -> str:
    file.seek(0)
    try:
        owner = json.loads(file.read())
        return (
            f"process {owner['pid']} on {owner['host']} has had it for {time.time() - owner['since']:.0f} s"
        )
    except (ValueError, KeyError, TypeError):
        return "by an unknown process"


def _to_document(entry: Entry) -> dict[str, Any]:
    member = entry.member
    return {
        "acquisition": member.acquisition,
        "observation": member.observation,
        "tile": member.tile,
        "platform": member.platform,
        "orbit": member.orbit,
        "sensed": member.sensed.isoformat(),
        "origin": member.origin,
        "on_mgrs": member.on_mgrs,
        "credits": list(member.credits),
        "layer": member.layer,
        "raster": str(member.raster.path),
        "name": entry.winner.name,
        "winner": entry.winner.number,
        "status": entry.status,
        "versions": [
            {"version": one.number, "content": one.content, "file": one.file, "name": one.name}
            for one in entry.versions
        ],
    }


def _read_ledger(folder: Path) -> dict[str, Entry]:
    entries = (_from_document(path) for path in sorted(folder.glob("*.json")) if path.name[0] != ".")
    return {entry.member.acquisition: entry for entry in entries}


def _from_document(path: Path) -> Entry:
    document = read_document(path)
    try:
        versions = tuple(
            Version(one["version"], one["content"], one["file"], one["name"]) for one in document["versions"]
        )
        member = Member(
            name=document["name"],
            tile=document["tile"],
            sensed=datetime.fromisoformat(document["sensed"]),
            platform=document["platform"],
            layer=document["layer"],
            raster=Raster(Path(document["raster"])),
            acquisition=document["acquisition"],
            version=document["winner"],
            orbit=document["orbit"],
            origin=document["origin"],
            withdrawn=not versions[-1].content,
            credits=tuple(document["credits"]),
            on_mgrs=document["on_mgrs"],
        )
        return Entry(member, versions, document["status"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as problem:
        raise BadInput(f"{path}: no entry of a ledger: {problem!r}", id="E_STATE") from problem


def _rename(source: Path, target: Path) -> None:
    source.rename(target)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _check_library() -> None:
    try:
        import zarr  # noqa: F401
    except ImportError:
        raise BadParameters(
            "counting keeps its state in Zarr, and zarr is not installed",
            advice="pip install 'thalweg[science]'",
        ) from None


def _zarr() -> Any:
    import zarr
    import zarr.codecs

    return zarr
