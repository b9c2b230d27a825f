"""Intake of receipts: each is believed once, while its token holds its unit; what failed is followed by policy."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from thalweg.campaign.database import Database, insertion, marks
from thalweg.campaign.lease import STATES, Taken
from thalweg.campaign.policy import Failed, Limits, Next, breaker_limit, follow
from thalweg.campaign.receipt import Receipt
from thalweg.campaign.unit_state import (
    DONE,
    NO_DATA,
    PENDING,
    RUNNING,
    Move,
    Unit,
    chunks,
    move,
    units_among,
    units_where,
)

ATTEMPT = (
    *(
        "sequence",
        "unit",
        "token",
        "state",
        "kind",
        "begun",
        "ended",
        "cpu",
        "memory",
        "bytes_in",
        "bytes_out",
    ),
    *("files", "existed", "host", "job", "product", "error", "error_id", "advice", "trace"),
)
"""Columns of the table of attempts."""

_ENDED = {"done": DONE, "no-data": NO_DATA}
_EVENT = ("sequence", "at", "what", "subject", "evidence")
_LONGEST_TRACE = 20_000
_PLACE = re.compile(r'File "(?:.*/)?([^"/]+)", line (\d+), in (\S+)')
_CHANGING = re.compile(r"0x[0-9a-fA-F]+|\d+|'[^']*'|\"[^\"]*\"|\S*/\S*")


@dataclass(slots=True)
class Intake:
    """Takes receipts in during one transaction."""

    database: Database
    limits: Limits
    now: float
    cancelled: bool = False
    """True where what would be tried again is skipped instead."""
    pauses: dict[str, str] = field(default_factory=dict)
    """Cause to reason, of the pauses that have become due."""

    def take(self, receipts: Sequence[Receipt]) -> Taken:
        """Take receipts in; what became of them comes back."""
        units = {unit.id: unit for unit in units_among(self.database, "id", {_id(each) for each in receipts})}
        known = self._known(units.values())
        believed: list[tuple[Unit, Receipt]] = []
        refused: list[tuple[Receipt, Unit | None]] = []
        again = 0
        for receipt in receipts:
            unit = units.get(_id(receipt))
            if unit is None:
                refused.append((receipt, None))
            elif (unit.number, receipt.token) in known:
                again += 1
            elif unit.state != RUNNING or unit.token != receipt.token:
                refused.append((receipt, unit))
            else:
                known.add((unit.number, receipt.token))
                believed.append((unit, receipt))
        moves = [self._move(unit, receipt) for unit, receipt in believed]
        self._record(believed)
        move(self.database, moves)
        self._note_refused(refused)
        self._close({receipt.token for _, receipt in believed})
        back = sum(change.state == PENDING for change in moves)
        return Taken(len(moves) - back, back, again, len(refused))

    def charge(self, units: Iterable[Unit], kind: str, message: str) -> int:
        """End attempts that left no receipt with the class of their job's end; how many that were comes back."""
        charged = [(unit, _silent(unit, kind, message, self.now)) for unit in units]
        moves = [self._move(unit, receipt) for unit, receipt in charged]
        self._record(charged)
        move(self.database, moves)
        return len(moves)

    def put_back(self, units: Iterable[Unit]) -> int:
        """Let units wait again, as if they had not been leased."""
        moves = [
            self._waiting(unit, Next("pending", 0.0, unit.memory, unit.seconds), unit.kind) for unit in units
        ]
        move(self.database, moves)
        return len(moves)

    def _known(self, units: Iterable[Unit]) -> set[tuple[int, int]]:
        known: set[tuple[int, int]] = set()
        for numbers in chunks(unit.number for unit in units):
            sql = f"SELECT unit, token FROM attempts WHERE unit IN ({marks(len(numbers))})"
            known.update((unit, token) for unit, token in self.database.rows(sql, numbers))
        return known

    def _move(self, unit: Unit, receipt: Receipt) -> Move:
        """How a unit stands after an attempt."""
        attempts = unit.attempts + 1
        if receipt.state in _ENDED:
            return Move(unit, _ENDED[receipt.state], "", 0, attempts, unit.token)
        tries = unit.tries + 1 if unit.kind == receipt.kind else 1
        seed = unit.id.hex()
        after = follow(Failed(receipt.kind, tries, attempts, unit.memory, unit.seconds, seed), self.limits)
        if after.pause:
            self.pauses.setdefault(after.pause, f"{receipt.kind}: {receipt.error}")
        if receipt.kind == "bug":
            self._watch(receipt)
        changed = unit._replace(tries=tries, attempts=attempts)
        change = self._waiting(changed, after, receipt.kind)
        return change._replace(unit=unit)

    def _waiting(self, unit: Unit, after: Next, kind: str) -> Move:
        state, kept = STATES.index(after.state), kind
        if state == PENDING and self.cancelled:
            state, kept = STATES.index("skipped"), "cancelled"
        return Move(
            unit,
            state,
            kept,
            unit.tries,
            unit.attempts,
            unit.token,
            self.now + after.delay if after.delay else 0.0,
            after.memory_mb,
            after.seconds,
            int(after.alone),
        )

    def _record(self, ended: Sequence[tuple[Unit, Receipt]]) -> None:
        first = next_sequence(self.database, "attempts")
        rows = [_attempt(first + at, unit, receipt) for at, (unit, receipt) in enumerate(ended)]
        self.database.change_many(insertion("attempts", ATTEMPT), rows)

    def _watch(self, receipt: Receipt) -> None:
        """Count identical tracebacks; too many pause the campaign."""
        signature, sample = trace_signature(receipt), receipt.trace or receipt.error
        self.database.change(
            "INSERT INTO traces (signature, units, sample) VALUES (?, 1, ?)"
            " ON CONFLICT (signature) DO UPDATE SET units = traces.units + 1",
            [signature, sample[:_LONGEST_TRACE]],
        )
        ((units, forgiven),) = self.database.rows(
            "SELECT units, forgiven FROM traces WHERE signature = ?", [signature]
        )
        ((planned,),) = self.database.rows("SELECT sum(units) FROM counts")
        if units - forgiven >= breaker_limit(int(planned)):
            self.pauses.setdefault("breaker", f"{units - forgiven} units failed alike: {receipt.error[:200]}")

    def _note_refused(self, refused: Sequence[tuple[Receipt, Unit | None]]) -> None:
        for receipt, unit in refused:
            subject = f"{receipt.unit} {receipt.token}"
            if not self.database.rows(
                "SELECT 1 FROM events WHERE what = 'refused' AND subject = ?", [subject]
            ):
                held = {"host": receipt.host, "state": receipt.state, "holds": unit.token if unit else None}
                record_event(self.database, self.now, "refused", subject, held)

    def _close(self, tokens: Iterable[int]) -> None:
        """End the batches none of whose units runs any more."""
        for token in sorted(tokens):
            if not units_where(self.database, "state = 1 AND token = ? LIMIT 1", [token]):
                sql = "UPDATE batches SET state = 'ended', ended = ? WHERE token = ? AND state = 'leased'"
                self.database.change(sql, [self.now, token])


def record_event(database: Database, at: float, what: str, subject: str, evidence: dict[str, Any]) -> None:
    """Write an event down."""
    row = (
        next_sequence(database, "events"),
        at,
        what,
        subject,
        json.dumps(evidence, sort_keys=True, default=str),
    )
    database.change(insertion("events", _EVENT), row)


def next_sequence(database: Database, table: str) -> int:
    """The number of the next row of attempts or events."""
    return int(database.rows(f"SELECT coalesce(max(sequence), 0) + 1 FROM {table}")[0][0])


def trace_signature(receipt: Receipt) -> str:
    """What identical tracebacks have in common: the places in the code, the last line without names and numbers."""
    places = ["{}:{}:{}".format(*found) for found in _PLACE.findall(receipt.trace)]
    last = (receipt.trace.strip() or receipt.error).splitlines()[-1:]
    text = "\n".join([*places, *(_CHANGING.sub("_", line) for line in last)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _id(receipt: Receipt) -> bytes:
    try:
        return bytes.fromhex(receipt.unit)
    except ValueError:
        return b""


def _silent(unit: Unit, kind: str, message: str, now: float) -> Receipt:
    """The receipt that a dead worker owes."""
    return Receipt(unit.id.hex(), unit.token, "failed", kind, now, now, "", error=message)


def _attempt(sequence: int, unit: Unit, receipt: Receipt) -> tuple[Any, ...]:
    used = (receipt.cpu_seconds, receipt.peak_memory_mb, receipt.bytes_in, receipt.bytes_out, receipt.files)
    texts = (receipt.host, receipt.job, receipt.product, receipt.error, receipt.error_id, receipt.advice)
    ending = (receipt.state, receipt.kind, receipt.begun, receipt.ended)
    trace = receipt.trace[-_LONGEST_TRACE:]
    return (sequence, unit.number, receipt.token, *ending, *used, int(receipt.existed), *texts, trace)
