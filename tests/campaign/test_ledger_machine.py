"""The ledger against a model of it: whatever happens in whatever order, every unit is accounted for, once."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.campaign.conftest import LIMITS
from tests.campaign.plans import a_plan, receipt
from thalweg.campaign.lease import Lease
from thalweg.campaign.ledger import open_ledger

PLAN = a_plan(tiles=("31TCH", "31TCJ"), dates=2)
UNITS = [bytes(id).hex() for id in PLAN.units["id"].to_pylist()]
KINDS = [
    "done",
    "done",
    "no-data",
    "bad-input",
    "missing-input",
    "memory",
    "time",
    "service",
    "node-lost",
    "bug",
]
FINAL = {
    "done": "done",
    "no-data": "no-data",
    "bad-input": "failed",
    "missing-input": "skipped",
    "bug": "failed",
}


class LedgerMachine(RuleBasedStateMachine):
    """Leases, receipts true and false, releases, redo, pauses, and a controller that dies."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-"))
        self.ledger = open_ledger(self.folder / "ledger.sqlite", limits=LIMITS)
        self.ledger.load_plan(PLAN, granules_per_part=1)
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.leases: list[Lease] = []
        self.state = dict.fromkeys(UNITS, "pending")
        self.holder: dict[str, int] = {}

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            shutil.rmtree(self.folder)

    @rule(limit=st.integers(1, 3), hours=st.integers(0, 3))
    def lease(self, limit: int, hours: int) -> None:
        self.now += timedelta(hours=hours)
        batches = self.ledger.next_batches(limit, self.now)
        assert not batches or self.ledger.control().mode == "running"
        seen: set[str] = set()
        for batch in batches:
            ids = {unit.id for unit in batch.units}
            assert not ids & seen
            assert all(self.state[id] == "pending" for id in ids)
            seen |= ids
            lease = self.ledger.lease(batch, now=self.now)
            assert all(lease.token > token for token in self.holder.values())
            self.leases.append(lease)
            for id in ids:
                self.state[id], self.holder[id] = "running", lease.token

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def hand_in(self, data: st.DataObject) -> None:
        """Receipts of any lease, of today or stale, in any number, with any ending."""
        lease = data.draw(st.sampled_from(self.leases))
        units = data.draw(st.lists(st.sampled_from(lease.waiting.units), min_size=1, max_size=4))
        kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=len(units), max_size=len(units)))
        lines = [
            receipt(unit.id, lease.token, kind, error=kind) for unit, kind in zip(units, kinds, strict=True)
        ]
        believed = 0
        for line in lines:
            if self.state[line.unit] == "running" and self.holder[line.unit] == line.token:
                believed += 1
                self.state[line.unit] = FINAL.get(line.kind, "retried")
        taken = self.ledger.take_receipts(lines, self.now)
        assert taken.ended + taken.again == believed
        assert taken.known + taken.refused == len(lines) - believed
        self.settle()

    @precondition(lambda self: self.leases)
    @rule(
        data=st.data(), kind=st.sampled_from(["node-lost", "time", "memory", "units-left", "service", "bug"])
    )
    def release(self, data: st.DataObject, kind: str) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        begun = [unit.id for unit in lease.waiting.units if data.draw(st.booleans())]
        held = [
            id for id, token in self.holder.items() if token == lease.token and self.state[id] == "running"
        ]
        assert self.ledger.release(lease.batch, kind, kind, begun, self.now) == len(held)
        for id in held:
            self.state[id] = "retried"
        self.settle()

    def settle(self) -> None:
        """What was retried is pending, or failed where its class allows no more; the model does not count tries."""
        stood = self.stood()
        for id, state in self.state.items():
            if state == "retried":
                assert stood[id] in ("pending", "failed")
                self.state[id] = stood[id]

    @rule(kind=st.sampled_from(["bug", "bad-input", "missing-input", "memory"]))
    def redo(self, kind: str) -> None:
        before = self.stood()
        number = self.ledger.redo(kinds=[kind], now=self.now)
        changed = [id for id, state in self.stood().items() if state != before[id]]
        assert len(changed) == number
        assert all(before[id] in ("failed", "skipped") for id in changed)
        self.state.update(dict.fromkeys(changed, "pending"))

    @rule(pause=st.booleans())
    def steer(self, pause: bool) -> None:
        self.ledger.steer("paused" if pause else "running", now=self.now)

    @rule()
    def controller_dies(self) -> None:
        self.ledger.close()
        self.ledger = open_ledger(self.folder / "ledger.sqlite", limits=LIMITS)

    def stood(self) -> dict[str, str]:
        names = ("pending", "running", "done", "no-data", "skipped", "failed")
        rows = self.ledger.database.rows("SELECT id, state FROM units")
        return {bytes(id).hex(): names[state] for id, state in rows}

    @invariant()
    def every_unit_is_accounted_for(self) -> None:
        if not hasattr(self, "ledger"):
            return
        assert self.stood() == self.state
        standing = self.ledger.states()
        assert standing.planned == len(UNITS)
        assert self.ledger.wrong_counts() == []
        running = {token for id, token in self.holder.items() if self.state[id] == "running"}
        assert {token for _, token in self.ledger.open_batches()} == running


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
