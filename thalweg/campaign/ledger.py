"""The ledger: who is in which state, with every event and its evidence; written by the controller alone.

Every unit is pending, running, done, no-data, skipped or failed, and the counters of these six change in the same
transaction as the units. A lease gives units a fencing token; a receipt is believed while its token holds its unit.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.campaign.database import Database, marks, open_database
from thalweg.campaign.intake import Intake, record_event
from thalweg.campaign.lease import (
    STATES,
    Control,
    Lease,
    Mode,
    OutOfDate,
    Standing,
    State,
    Submission,
    Taken,
    WaitingBatch,
    WaitingUnit,
)
from thalweg.campaign.ledger_tables import INDICES, migrate, note, noted, run_script
from thalweg.campaign.policy import CANCELLED, UNITS_LEFT, Limits
from thalweg.campaign.receipt import Line, Receipt
from thalweg.campaign.unit_state import (
    COLUMNS,
    PENDING,
    RUNNING,
    Move,
    Unit,
    chunks,
    count,
    move,
    recount,
    standing,
    unit_of,
    units_among,
    units_where,
)
from thalweg.errors import UsageError

if TYPE_CHECKING:
    from thalweg.campaign.plan import Plan

_FREE = ("node-lost", UNITS_LEFT)
_WAITING = f"{COLUMNS}, granules.id, granules.path, granules.tile, granules.part, units.alone"
_JOINED = "units JOIN granules ON granules.number = units.granule"
_TAKEN_AT_ONCE = 2000


def open_ledger(where: str | Path, campaign: str = "campaign", limits: Limits | None = None) -> Ledger:
    """The ledger in a SQLite file, or in PostgreSQL (``postgresql://``), where `campaign` names its schema.

    Raises ServiceUnavailable where it does not answer or another writer holds it for too long, BadInput where it is
    damaged or another program's.
    """
    database = open_database(where, f"thalweg_{campaign}")
    migrate(database)
    return Ledger(database, limits or Limits())


class Ledger:
    """An open ledger; a context that closes it. `now` is the present time, UTC, where it is not given."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self.database = database
        self.limits = limits

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    # --- the plan

    def load_plan(self, plan: Plan, granules_per_part: int = 40) -> bool:
        """Enter every unit of a plan, waiting; False where it is there already.

        `granules_per_part` is how many granules of a tile make one batch. Raises UsageError where another plan is
        there.
        """
        known = noted(self.database, "plan")
        if known == plan.digest:
            return False
        if known is not None:
            raise UsageError(
                f"{self.database.name}: holds another plan ({known[:12]}, not {plan.digest[:12]})"
            )
        from thalweg.campaign.plan_rows import CHAIN, GRANULE, PART, UNIT, granule_rows, part_rows, unit_rows

        load = self.database.load
        with self.database.writing():
            load("chains", CHAIN, [(at, chain.chain) for at, chain in enumerate(plan.chains)])
            load("granules", GRANULE, granule_rows(plan, granules_per_part))
            load("units", UNIT, unit_rows(plan))
            load("parts", PART, part_rows(plan, granules_per_part))
            run_script(self.database, INDICES)
            count(self.database, recount(self.database))
            note(self.database, "plan", plan.digest)
        return True

    @property
    def plan_digest(self) -> str | None:
        """Digest of the plan that was entered, None before."""
        return noted(self.database, "plan")

    # --- batches and leases

    def next_batches(self, limit: int, now: datetime | None = None) -> list[WaitingBatch]:
        """Up to `limit` batches that may be leased: the higher priority first, then what is tried again, then the plan.

        Empty while the campaign is paused or cancelled.
        """
        if self.control().mode != "running" or limit < 1:
            return []
        with self.database.reading():
            waiting = [*self._again(limit, _unix(now)), *self._untouched(limit)]
        return sorted(waiting, key=lambda batch: (-batch.priority, batch.part is not None))[:limit]

    def lease(
        self, batch: WaitingBatch, duration: timedelta = timedelta(hours=2), now: datetime | None = None
    ) -> Lease:
        """Lease a batch: its units run, under a new batch id and fencing token.

        Raises OutOfDate where one of them is not pending any more: an operator's command may have come in between.
        """
        at = _unix(now)
        with self.database.writing():
            units = list(units_among(self.database, "number", (unit.number for unit in batch.units)))
            if len(units) < len(batch.units) or any(unit.state != PENDING for unit in units):
                raise OutOfDate(f"a batch of tile {batch.tile}: one of its units is not pending any more")
            token = self._next_token()
            self._claim(units, token)
            if batch.part is not None:
                self.database.change("UPDATE parts SET taken = 1 WHERE number = ?", [batch.part])
            id, expires = f"b{token:06d}", at + duration.total_seconds()
            self._enter_batch(token, id, batch.tile, len(units), at, expires)
        return Lease(id, token, datetime.fromtimestamp(expires, UTC), batch)

    def renew(self, batch: str, duration: timedelta, now: datetime | None = None) -> None:
        """Let a lease last longer, because its job was seen waiting or running."""
        expires = _unix(now) + duration.total_seconds()
        sql = "UPDATE batches SET expires = ? WHERE id = ? AND state = 'leased'"
        self.database.change(sql, [expires, batch])

    def overdue(self, now: datetime | None = None) -> list[str]:
        """Batches whose lease has expired and that have neither ended nor been released."""
        sql = "SELECT id FROM batches WHERE state = 'leased' AND expires < ? ORDER BY token"
        return [id for (id,) in self.database.rows(sql, [_unix(now)])]

    def open_batches(self) -> list[tuple[str, int]]:
        """Id and token of the batches that have neither ended nor been released."""
        sql = "SELECT id, token FROM batches WHERE state = 'leased' ORDER BY token"
        return [(id, token) for id, token in self.database.rows(sql)]

    def record_submission(self, job_name: str, batches: Sequence[str], now: datetime | None = None) -> None:
        """Record a job's unique name with the ids of its batches BEFORE it is sent."""
        with self.database.writing():
            sql = "INSERT INTO submissions (job, sent) VALUES (?, ?)"
            self.database.change(sql, [job_name, _unix(now)])
            rows = [(job_name, place, batch) for place, batch in enumerate(batches)]
            self.database.change_many("UPDATE batches SET job = ?, place = ? WHERE id = ?", rows)

    def bind_job(self, job_name: str, scheduler_id: str) -> None:
        """Record the id that the scheduler gave to a submission."""
        sql = "UPDATE submissions SET scheduler = ? WHERE job = ?"
        if not self.database.change(sql, [scheduler_id, job_name]):
            raise UsageError(f"job {job_name!r} was not recorded before it was sent")

    def submissions(self) -> list[Submission]:
        """Submissions with batches that have neither ended nor been released, oldest first."""
        sql = (
            "SELECT submissions.job, scheduler, sent, batches.id, batches.state FROM submissions"
            " JOIN batches ON batches.job = submissions.job WHERE submissions.job IN"
            " (SELECT job FROM batches WHERE state = 'leased') ORDER BY sent, submissions.job, place"
        )
        jobs = groupby(self.database.rows(sql), key=lambda row: row[:3])
        return [_submission(head, [row[3:] for row in rows]) for head, rows in jobs]

    # --- what comes back

    def take_receipts(self, receipts: Iterable[Line], now: datetime | None = None) -> Taken:
        """Take receipts in: idempotent; a stale token is refused and noted; failures are followed by their class.

        A batch whose units all have their receipt ends by itself. Begin marks among the lines change nothing.
        """
        taken = Taken()
        for lines in chunks((line for line in receipts if isinstance(line, Receipt)), _TAKEN_AT_ONCE):
            with self.database.writing():
                intake = self._intake(now)
                taken = _sum(taken, intake.take(lines))
                self._pause_for(intake)
        return taken

    def release(
        self, batch: str, kind: str, message: str, begun: Iterable[str] = (), now: datetime | None = None
    ) -> int:
        """End a batch whose job is gone; the number of units that had no receipt comes back.

        `kind` is the failure class of the job (``node-lost``, ``time``, ``memory``, ``service``, ``disk``, ``bug``), or
        ``units-left`` for a soft stop, ``cancelled`` on the operator's word. It is charged to the units of `begun` (a
        begin mark and no end), or to all of them where a job ended so without having begun any; the others wait again,
        free of charge. Releasing twice changes nothing.
        """
        with self.database.writing():
            found = self.database.rows(
                "SELECT token, units FROM batches WHERE id = ? AND state = 'leased'", [batch]
            )
            if not found:
                return 0
            token, planned = found[0]
            held = units_where(self.database, "state = 1 AND token = ?", [token])
            guilty = self._guilty(held, kind, set(begun), is_untouched=len(held) == planned)
            intake = self._intake(now)
            intake.charge(guilty, kind, message)
            intake.put_back([unit for unit in held if unit not in guilty])
            self.database.change(
                "UPDATE batches SET state = 'released', ended = ? WHERE token = ?", [intake.now, token]
            )
            evidence = {"class": kind, "message": message, "units": len(held), "charged": len(guilty)}
            record_event(self.database, intake.now, "release", batch, evidence)
            self._pause_for(intake)
        return len(held)

    def accounting(self, job: str, cpu_seconds: float, memory_mb: float, waited_seconds: float) -> None:
        """Record what the scheduler says that a job (``id`` or ``id_element``) used and how long it waited."""
        sql = (
            "INSERT INTO accounting (job, cpu, memory, waited) VALUES (?, ?, ?, ?) ON CONFLICT (job) DO UPDATE SET"
            " cpu = excluded.cpu, memory = excluded.memory, waited = excluded.waited"
        )
        self.database.change(sql, [job, cpu_seconds, memory_mb, waited_seconds])

    # --- where it stands

    def states(self) -> Standing:
        """How many units are in which state: counters that are kept, so that millions of units answer at once."""
        return standing(self.database)

    def wrong_counts(self) -> list[str]:
        """What the counters say wrongly, found by counting every unit; empty always, or there is a bug."""
        with self.database.reading():
            kept = Counter(
                {
                    (chain, state, kind): units
                    for chain, state, kind, units in self.database.rows(
                        "SELECT chain, state, kind, units FROM counts WHERE units <> 0"
                    )
                }
            )
            counted = recount(self.database)
        return [
            f"chain {key[0]}, {STATES[key[1]]} {key[2]}: counted {counted[key]}, noted {kept[key]}"
            for key in sorted(kept.keys() | counted.keys())
            if kept[key] != counted[key]
        ]

    def control(self) -> Control:
        """Whether the campaign may submit."""
        text = noted(self.database, "control")
        if text is None:
            return Control()
        said = json.loads(text)
        return Control(said["mode"], said["why"], said["cause"], datetime.fromtimestamp(said["since"], UTC))

    def steer(self, mode: Mode, why: str = "", cause: str = "operator", now: datetime | None = None) -> None:
        """Pause, resume or cancel; what waits when a campaign is cancelled becomes `skipped`.

        Resuming forgives the tracebacks that paused it.
        """
        at = _unix(now)
        with self.database.writing():
            text = json.dumps({"mode": mode, "why": why, "cause": cause, "since": at})
            note(self.database, "control", text)
            record_event(self.database, at, mode, cause, {"why": why})
            if mode == "running":
                self.database.change("UPDATE traces SET forgiven = units")
            if mode == "cancelled":
                self._skip_waiting()

    def redo(
        self,
        *,
        units: Sequence[str] = (),
        states: Sequence[State] = ("failed", "skipped"),
        kinds: Sequence[str] = (),
        chains: Sequence[str] = (),
        tiles: Sequence[str] = (),
        first: str | None = None,
        last: str | None = None,
        now: datetime | None = None,
    ) -> int:
        """Let units wait again that meet every condition that is given; their number comes back.

        `units` are ids or their beginnings, of eight digits or more; `first` and `last` are days such as 2024-01-31.
        Running and pending units are left alone. Raises UsageError for an unknown state or chain.
        """
        from thalweg.campaign.unit_filter import UnitFilter

        chosen = UnitFilter(
            tuple(units), tuple(states), tuple(kinds), tuple(chains), tuple(tiles), first, last
        )
        with self.database.writing():
            where, values = chosen.condition(dict(self.database.rows("SELECT name, number FROM chains")))
            sql = f"SELECT {COLUMNS} FROM {_JOINED} WHERE {where} AND state > 1"
            again = [unit_of(row) for row in self.database.rows(sql, values)]
            for some in chunks(again):
                # A token of 0 marks what was never leased; a unit that was skipped before its lease has its part back.
                move(self.database, [Move(unit, PENDING, "", 0, 0, max(unit.token, 1)) for unit in some])
            record_event(self.database, _unix(now), "redo", str(len(again)), {"where": chosen.told()})
        return len(again)

    def prioritise(self, priority: int, tiles: Sequence[str] = (), now: datetime | None = None) -> int:
        """Change the priority of what waits, of some tiles or of all; the number of batches comes back."""
        with self.database.writing():
            changed = 0
            for some in chunks(tiles) if tiles else [[]]:
                where = f" WHERE tile IN ({marks(len(some))})" if some else ""
                changed += self.database.change(f"UPDATE parts SET priority = ?{where}", [priority, *some])
            record_event(self.database, _unix(now), "priority", str(priority), {"tiles": list(tiles)[:100]})
        return changed

    # --- what was before this ledger

    def adopt(self, batch: str, token: int, units: Sequence[str], now: datetime | None = None) -> None:
        """Enter a batch that was leased before this ledger was made; its lease has expired."""
        at = _unix(now)
        with self.database.writing():
            found = list(units_among(self.database, "id", map(bytes.fromhex, units)))
            if not found:
                return
            self._claim(found, token)
            for granules in chunks({unit.granule for unit in found}):
                inside = f"SELECT part FROM granules WHERE number IN ({marks(len(granules))})"
                self.database.change(f"UPDATE parts SET taken = 1 WHERE number IN ({inside})", granules)
            tile = self.database.rows("SELECT tile FROM granules WHERE number = ?", [found[0].granule])[0][0]
            self._enter_batch(token, batch, tile, len(found), at, at)

    def settle_adopted(self, now: datetime | None = None) -> None:
        """After the last adoption: end batches that hold no unit, and let what is left of their parts be leased."""
        with self.database.writing():
            held = "SELECT token FROM units WHERE state = 1"
            sql = f"UPDATE batches SET state = 'ended', ended = ? WHERE state = 'leased' AND token NOT IN ({held})"
            self.database.change(sql, [_unix(now)])
            taken = "SELECT granules.number FROM granules JOIN parts ON parts.number = granules.part WHERE taken = 1"
            self.database.change(
                f"UPDATE units SET token = 1 WHERE state = 0 AND token = 0 AND granule IN ({taken})"
            )

    def adopt_new(self, units: Sequence[str], now: datetime | None = None) -> int:
        """Enter a batch of units that ended without a lease of this ledger; its token comes back."""
        token = self._next_token()
        self.adopt(f"b{token:06d}", token, units, now)
        return token

    def units_without_ending(self) -> Iterator[str]:
        """Ids of the units that wait or run."""
        for (id,) in self.database.rows("SELECT id FROM units WHERE state < 2"):
            yield bytes(id).hex()

    # --- inside

    def _untouched(self, limit: int) -> list[WaitingBatch]:
        sql = "SELECT number, first, last, priority FROM parts WHERE taken = 0 ORDER BY priority DESC, number LIMIT ?"
        batches = []
        for number, first, last, priority in self.database.rows(sql, [limit]):
            rows = self._waiting_rows(
                "units.number BETWEEN ? AND ? AND state = 0 AND token = 0", [first, last]
            )
            if rows:
                batches.append(self._batch(rows, priority, number))
        return batches

    def _again(self, limit: int, now: float) -> list[WaitingBatch]:
        """Batches of units that were leased before and may be tried again."""
        rows = self._waiting_rows("state = 0 AND token > 0 AND due <= ?", [now], f" LIMIT {200 * limit}")
        priorities: dict[int, int] = (
            dict(self.database.rows("SELECT number, priority FROM parts")) if rows else {}
        )

        def key(row: Sequence[Any]) -> tuple[Any, ...]:
            part, alone, number = row[14], row[15], row[0]
            return (part, alone, number if alone else 0, row[9] or 0, row[10] or 0)

        groups = groupby(sorted(rows, key=lambda row: (*key(row), row[0])), key=key)
        return [self._batch(list(group), priorities[part], None) for (part, *_), group in groups]

    def _waiting_rows(self, where: str, values: Sequence[Any], more: str = "") -> list[tuple[Any, ...]]:
        order = " ORDER BY units.due, units.number" if more else " ORDER BY units.number"
        sql = (
            f"SELECT {_WAITING}, chains.name FROM {_JOINED} JOIN chains ON chains.number = units.chain"
            f" WHERE {where}{order}{more}"
        )
        return self.database.rows(sql, values)

    def _batch(self, rows: Sequence[Sequence[Any]], priority: int, part: int | None) -> WaitingBatch:
        units = tuple(WaitingUnit(row[0], bytes(row[1]).hex(), row[16], *row[11:14]) for row in rows)
        head = rows[0]
        return WaitingBatch(units[0].tile, priority, units, head[9], head[10], bool(head[15]), part)

    def _next_token(self) -> int:
        return int(self.database.rows("SELECT coalesce(max(token), 1) + 1 FROM batches")[0][0])

    def _claim(self, units: Sequence[Unit], token: int) -> None:
        moves = [
            Move(unit, RUNNING, unit.kind, unit.tries, unit.attempts, token, 0.0, unit.memory, unit.seconds)
            for unit in units
        ]
        move(self.database, moves)

    def _enter_batch(self, token: int, id: str, tile: str, units: int, leased: float, expires: float) -> None:
        sql = "INSERT INTO batches (token, id, tile, units, state, leased, expires) VALUES (?, ?, ?, ?, 'leased', ?, ?)"
        self.database.change(sql, [token, id, tile, units, leased, expires])

    def _guilty(self, held: list[Unit], kind: str, begun: set[str], is_untouched: bool) -> list[Unit]:
        """The units that a job's end is charged to."""
        if kind in (CANCELLED, UNITS_LEFT):
            return []
        if not begun and is_untouched and kind not in _FREE:
            return held
        return [unit for unit in held if unit.id.hex() in begun]

    def _skip_waiting(self) -> None:
        self.database.change("UPDATE parts SET taken = 1 WHERE taken = 0")
        while waiting := units_where(self.database, "state = 0 LIMIT 5000"):
            move(
                self.database,
                [
                    Move(unit, STATES.index("skipped"), CANCELLED, 0, unit.attempts, unit.token)
                    for unit in waiting
                ],
            )

    def _intake(self, now: datetime | None) -> Intake:
        return Intake(self.database, self.limits, _unix(now), self.control().mode == "cancelled")

    def _pause_for(self, intake: Intake) -> None:
        """Pause the campaign where an ending demands it, unless it is not running anyway."""
        for cause, why in intake.pauses.items():
            if self.control().mode == "running":
                self.steer("paused", why, cause, datetime.fromtimestamp(intake.now, UTC))


def _submission(head: Sequence[Any], batches: Sequence[Sequence[Any]]) -> Submission:
    job, scheduler, sent = head
    ids = tuple(id for id, _ in batches)
    is_open = tuple(id for id, state in batches if state == "leased")
    return Submission(job, scheduler, ids, is_open, datetime.fromtimestamp(sent, UTC))


def _sum(one: Taken, other: Taken) -> Taken:
    return replace(
        one,
        ended=one.ended + other.ended,
        again=one.again + other.again,
        known=one.known + other.known,
        refused=one.refused + other.refused,
    )


def _unix(now: datetime | None) -> float:
    return time.time() if now is None else now.timestamp()
