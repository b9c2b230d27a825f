"""The ledger, on SQLite and on a real PostgreSQL: every unit has one state, and the counters know it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.campaign.conftest import LIMITS, OpenLedger
from tests.campaign.plans import a_plan, receipt, receipts
from thalweg.campaign.database import SqliteDatabase
from thalweg.campaign.lease import Lease, OutOfDate
from thalweg.campaign.ledger import Ledger, open_ledger
from thalweg.campaign.ledger_tables import MIGRATIONS, note, noted
from thalweg.errors import BadInput, UsageError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def lease_all(ledger: Ledger, now: datetime = NOW) -> list[Lease]:
    """Leases on everything that waits."""
    return [ledger.lease(batch, now=now) for batch in ledger.next_batches(1000, now)]


def test_a_new_plan_waits(ledger: Ledger) -> None:
    plan = a_plan(dates=5)
    assert ledger.load_plan(plan, granules_per_part=2)
    assert not ledger.load_plan(plan, granules_per_part=2)
    standing = ledger.states()
    assert standing.states["pending"] == standing.planned == 20
    assert standing.chains["water"]["pending"] == 10
    batches = ledger.next_batches(100)
    assert [len(batch.units) for batch in batches] == [2, 4, 4, 2, 4, 4]
    assert {unit.tile for unit in batches[0].units} == {"31TCH"}
    with pytest.raises(UsageError, match="another plan"):
        ledger.load_plan(a_plan(dates=4))


def test_a_lease_makes_units_run_once(ledger: Ledger) -> None:
    ledger.load_plan(a_plan())
    batch = ledger.next_batches(1)[0]
    first = ledger.lease(batch)
    assert ledger.states().states["running"] == 6
    with pytest.raises(OutOfDate):
        ledger.lease(batch)
    second = ledger.lease(ledger.next_batches(1)[0])
    assert second.token > first.token
    assert second.batch != first.batch
    assert ledger.next_batches(1) == []


def test_receipts_are_taken_once(ledger: Ledger) -> None:
    ledger.load_plan(a_plan())
    lease = ledger.lease(ledger.next_batches(1)[0])
    lines = receipts(lease)
    taken = ledger.take_receipts(lines[:2])
    assert (taken.ended, taken.known, taken.refused) == (2, 0, 0)
    taken = ledger.take_receipts(lines + lines)
    assert (taken.ended, taken.known) == (4, 8)
    assert ledger.states().states["done"] == 6
    assert ledger.open_batches() == []
    assert ledger.wrong_counts() == []


def test_a_stale_token_is_refused(ledger: Ledger) -> None:
    ledger.load_plan(a_plan())
    first = ledger.lease(ledger.next_batches(1)[0])
    assert ledger.release(first.batch, "node-lost", "node n1 is down") == 6
    assert ledger.release(first.batch, "node-lost", "again") == 0
    assert ledger.take_receipts(receipts(first)).refused == 6
    second = ledger.lease(ledger.next_batches(1)[0])
    assert second.waiting.units == first.waiting.units
    assert ledger.take_receipts(receipts(first)).refused == 6
    assert ledger.take_receipts(receipts(second)).ended == 6
    assert len(ledger.database.rows("SELECT 1 FROM events WHERE what = 'refused'")) == 6
    assert ledger.take_receipts([receipt("ab" * 32, second.token)]).refused == 1


def test_a_lost_node_is_charged_to_nobody_for_long(ledger: Ledger) -> None:
    ledger.load_plan(a_plan(tiles=("31TCH",), dates=1, chains=("snow",)))
    for _ in range(8):
        (lease,) = lease_all(ledger)
        ledger.release(lease.batch, "node-lost", "gone", [lease.waiting.units[0].id])
    assert ledger.states().states["pending"] == 1


def test_memory_is_doubled_alone_up_to_the_cap(ledger: Ledger) -> None:
    ledger.load_plan(a_plan(tiles=("31TCH",), dates=2))
    (lease,) = lease_all(ledger)
    guilty, *others = lease.waiting.units
    ledger.take_receipts([receipt(unit.id, lease.token) for unit in others])
    asked = []
    for _ in range(3):
        ledger.take_receipts([receipt(guilty.id, lease.token, "memory", error="killed")])
        waiting = ledger.next_batches(10)
        if not waiting:
            break
        assert [batch.alone for batch in waiting] == [True]
        asked.append(waiting[0].memory_mb)
        lease = ledger.lease(waiting[0])
    assert asked == [2000, 3000]
    assert ledger.states().classes == {"memory": 1}
    assert ledger.wrong_counts() == []


def test_a_job_that_ran_out_of_time_keeps_what_was_done(ledger: Ledger) -> None:
    ledger.load_plan(a_plan(tiles=("31TCH",)))
    (lease,) = lease_all(ledger)
    done, begun, *_ = lease.waiting.units
    ledger.take_receipts([receipt(done.id, lease.token)])
    assert ledger.release(lease.batch, "time", "TIMEOUT", [begun.id]) == 5
    waiting = ledger.next_batches(10)
    assert [(batch.seconds, len(batch.units)) for batch in waiting] == [(None, 4), (1200, 1)]
    assert waiting[1].units[0].id == begun.id


def test_a_job_that_never_began_is_charged_to_all_its_units(ledger: Ledger) -> None:
    ledger.load_plan(a_plan())
    first, second = lease_all(ledger)
    ledger.release(first.batch, "bug", "no module named thalweg")
    assert ledger.states().classes == {"bug": 6}
    assert ledger.control().mode == "paused"
    ledger.release(second.batch, "units-left", "soft stop")
    assert ledger.states().states["pending"] == 6


def test_a_service_is_asked_again_later(ledger: Ledger) -> None:
    ledger.load_plan(a_plan(tiles=("31TCH",), dates=1, chains=("snow",)))
    now, waits = NOW, []
    while lease := next(iter(lease_all(ledger, now)), None):
        ledger.take_receipts(receipts(lease, "service", error="503"), now)
        assert lease_all(ledger, now) == []
        waits.append(
            next((s for s in range(0, 4000, 10) if ledger.next_batches(1, now + timedelta(seconds=s))), 0)
        )
        now += timedelta(seconds=4000)
    assert len(waits) == 5
    assert all(30 <= wait <= 760 for wait in waits[:4])
    assert waits[3] > waits[0]
    assert ledger.states().classes == {"service": 1}


def test_bad_input_is_quarantined(ledger: Ledger) -> None:
    ledger.load_plan(a_plan())
    for lease in lease_all(ledger):
        ledger.take_receipts(receipts(lease, "bad-input", error="truncated"))
    assert ledger.states().classes == {"bad-input": 12}
    assert ledger.next_batches(1) == []


def test_identical_tracebacks_break_the_circuit(ledger: Ledger) -> None:
    ledger.load_plan(
        a_plan(tiles=("31TCH", "31TCJ", "31TCK"), dates=20, chains=("snow",)), granules_per_part=1
    )
    leases = lease_all(ledger)
    for number, lease in enumerate(leases[:4]):
        trace = f'File "/env/chains/snow.py", line 12, in snow\nZeroDivisionError: pixel {number}'
        ledger.take_receipts(receipts(lease, "bug", error="ZeroDivisionError", trace=trace))
        different = f'File "/env/chains/snow.py", line {50 + number}, in snow\nKeyError: {number}'
        ledger.take_receipts(receipts(leases[10 + number], "bug", error="KeyError", trace=different))
    assert ledger.control().mode == "running"
    trace = 'File "/other/chains/snow.py", line 12, in snow\nZeroDivisionError: pixel 77'
    ledger.take_receipts(receipts(leases[5], "bug", error="ZeroDivisionError", trace=trace))
    control = ledger.control()
    assert (control.mode, control.cause) == ("paused", "breaker")
    assert ledger.next_batches(1) == []
    ledger.steer("running")
    ledger.take_receipts(receipts(leases[6], "bug", error="ZeroDivisionError", trace=trace))
    assert ledger.control().mode == "running"


@pytest.mark.parametrize(("kind", "cause"), [("disk", "disk"), ("bad-parameters", "parameters")])
def test_some_classes_pause_the_campaign(ledger: Ledger, kind: str, cause: str) -> None:
    ledger.load_plan(a_plan())
    lease = ledger.lease(ledger.next_batches(1)[0])
    ledger.take_receipts(receipts(lease, kind, error="no space left"))
    assert (ledger.control().mode, ledger.control().cause) == ("paused", cause)
    assert "no space left" in ledger.control().why


def test_cancelling_skips_what_waits_and_what_comes_back(ledger: Ledger) -> None:
    ledger.load_plan(a_plan(dates=4), granules_per_part=2)
    lease = ledger.lease(ledger.next_batches(1)[0])
    ledger.steer("cancelled", "wrong parameters")
    assert ledger.states().states["skipped"] == 12
    ledger.release(lease.batch, "cancelled", "scancel")
    assert ledger.states().classes == {"cancelled": 16}
    ledger.steer("running")
    assert ledger.next_batches(10) == []
    assert ledger.redo(tiles=["31TCJ"], chains=["snow"]) == 4
    assert {unit.chain for batch in ledger.next_batches(10) for unit in batch.units} == {"snow"}
    assert ledger.wrong_counts() == []


def test_redo_takes_only_what_is_asked_for(ledger: Ledger) -> None:
    ledger.load_plan(a_plan())
    for lease in lease_all(ledger):
        lines = receipts(lease, "bad-input")
        lines[0] = receipt(lines[0].unit, lease.token)
        lines[1] = receipt(lines[1].unit, lease.token, "missing-input")
        ledger.take_receipts(lines)
    assert ledger.states().classes == {"bad-input": 8, "missing-input": 2}
    assert ledger.redo(kinds=["missing-input"]) == 2
    assert ledger.redo(tiles=["T31TCH"], first="2024-01-03", last="2024-01-03") == 2
    done = ledger.database.rows("SELECT id FROM units WHERE state = 2")[0][0]
    assert ledger.redo(units=[bytes(done).hex()[:12]], states=["done"]) == 1
    assert ledger.states().states["pending"] == 5
    with pytest.raises(UsageError, match="snow"):
        ledger.redo(chains=["snwo"])
    with pytest.raises(UsageError, match="first 8"):
        ledger.redo(units=["abc"])


def test_priority_comes_first(ledger: Ledger) -> None:
    ledger.load_plan(a_plan(tiles=("31TCH", "31TCJ", "31TCK")))
    assert ledger.prioritise(10, ["31TCK"]) == 1
    assert [batch.tile for batch in ledger.next_batches(3)] == ["31TCK", "31TCH", "31TCJ"]


def test_a_job_is_recorded_before_it_is_sent(new_ledger: OpenLedger) -> None:
    with new_ledger() as ledger:
        ledger.load_plan(a_plan())
        one, two = lease_all(ledger)
        ledger.record_submission("alps-1", [one.batch, two.batch])
    with new_ledger() as ledger:
        (submission,) = ledger.submissions()
        assert (submission.job_name, submission.scheduler_id) == ("alps-1", None)
        assert submission.batches == submission.open == (one.batch, two.batch)
        ledger.bind_job("alps-1", "4711")
        ledger.take_receipts(receipts(one))
        (submission,) = ledger.submissions()
        assert (submission.scheduler_id, submission.open) == ("4711", (two.batch,))
        ledger.take_receipts(receipts(two))
        assert ledger.submissions() == []
        with pytest.raises(UsageError, match="alps-2"):
            ledger.bind_job("alps-2", "4712")


def test_a_lease_expires_unless_it_is_renewed(ledger: Ledger) -> None:
    ledger.load_plan(a_plan())
    one, two = (ledger.lease(batch, timedelta(hours=1), NOW) for batch in ledger.next_batches(2, NOW))
    later = NOW + timedelta(minutes=90)
    assert ledger.overdue(NOW) == []
    ledger.renew(one.batch, timedelta(hours=1), later)
    assert ledger.overdue(later) == [two.batch]


def test_two_controllers_cannot_lease_the_same_units(new_ledger: OpenLedger) -> None:
    with new_ledger() as one, new_ledger() as other:
        one.load_plan(a_plan())
        (batch, *_), (same, *_) = one.next_batches(5), other.next_batches(5)
        lease = one.lease(batch)
        with pytest.raises(OutOfDate):
            other.lease(same)
        assert other.lease(other.next_batches(5)[0]).token > lease.token
        assert one.states().states["running"] == 12
        assert other.take_receipts(receipts(lease)).ended == 6
        assert one.states() == other.states()


def test_accounting_is_written_once_a_job(ledger: Ledger) -> None:
    ledger.accounting("17_3", 12.5, 900.0, 3.0)
    ledger.accounting("17_3", 13.5, 950.0, 3.0)
    assert ledger.database.rows("SELECT job, cpu, memory, waited FROM accounting") == [
        ("17_3", 13.5, 950.0, 3.0)
    ]


def test_a_broken_transaction_leaves_no_trace(ledger: Ledger) -> None:
    ledger.load_plan(a_plan())
    lease = ledger.lease(ledger.next_batches(1)[0])
    broken = [
        receipt(lease.waiting.units[0].id, lease.token),
        receipt(lease.waiting.units[1].id, lease.token),
    ]
    object.__setattr__(broken[1], "kind", "no such class")
    object.__setattr__(broken[1], "state", "failed")
    with pytest.raises(Exception, match="no such class"):
        ledger.take_receipts(broken)
    assert ledger.states().states["running"] == 6
    assert ledger.take_receipts(broken[:1]).ended == 1
    assert ledger.wrong_counts() == []


def test_the_tables_have_a_version_and_migrate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path, limits=LIMITS) as ledger:
        ledger.load_plan(a_plan())
        assert noted(ledger.database, "tables") == str(len(MIGRATIONS))
    more = (*MIGRATIONS, "ALTER TABLE units ADD COLUMN note TEXT NOT NULL DEFAULT ''")
    monkeypatch.setattr("thalweg.campaign.ledger_tables.MIGRATIONS", more)
    with open_ledger(path, limits=LIMITS) as ledger:
        assert noted(ledger.database, "tables") == str(len(more))
        assert ledger.database.rows("SELECT DISTINCT note FROM units") == [("",)]
        assert ledger.states().states["pending"] == 12
        note(ledger.database, "tables", "99")
    with pytest.raises(BadInput, match="version 99"):
        open_ledger(path)


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    other = SqliteDatabase(path)
    other.change("CREATE TABLE units (a TEXT)")
    other.close()
    with pytest.raises(BadInput, match="another program"):
        open_ledger(path)
    (tmp_path / "rubbish.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(BadInput, match="damaged"):
        open_ledger(tmp_path / "rubbish.sqlite")
