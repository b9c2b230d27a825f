"""What sacct and qacct print becomes accounts, and endings become classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from thalweg.campaign.batch import Resources
from thalweg.campaign.dispatch import Request, kind_of_exit, kind_of_signal
from thalweg.errors import BadParameters, MissingInput, ServiceUnavailable, UsageError
from thalweg.slurm import sbatch
from thalweg.slurm.accounting import parse_qacct, parse_sacct, qacct_account
from thalweg.slurm.client import call
from thalweg.slurm.engines import open_dispatcher
from thalweg.slurm.options import Options
from thalweg.slurm.sbatch import Slurm
from thalweg.slurm.script import write_script

SACCT = """\
17_1|COMPLETED|0:0|01:02.500||1000|1010|None
17_1.batch|COMPLETED|0:0|01:02.500|204800K|1010|1010|
17_2|CANCELLED by 0|0:15|1-02:00:00||1000|Unknown|
17_[3-9]|PENDING|0:0|00:00:00||1000|Unknown|None
18_1|OUT_OF_MEMORY|0:125|00:03.1||1000|1000|None
18_1.batch|OUT_OF_MEMORY|0:125|00:03.1|1.5G|1000|1000|
18_1.extern|COMPLETED|0:0|00:00|1M|1000|1000|
"""


def test_accounts_of_slurm() -> None:
    accounts = parse_sacct(SACCT)
    assert set(accounts) == {"17_1", "17_2", "17_[3-9]", "18_1"}
    done, cancelled, killed = (accounts[id] for id in ("17_1", "17_2", "18_1"))
    assert (done.cpu_seconds, done.memory_mb, done.waited_seconds, done.reason) == (62.5, 200.0, 10.0, "")
    assert (cancelled.state, cancelled.signal, cancelled.cpu_seconds) == ("CANCELLED", 15, 93600.0)
    assert killed.memory_mb == 1536.0


QACCT = """\
==============================================================
jobname      alps-b000001
jobnumber    5
taskid       2
qsub_time    Sat Nov 21 03:13:40 2026
start_time   Sat Nov 21 03:13:44 2026
failed       37  : qmaster enforced h_rt, h_cpu, or h_vmem limit
exit_status  137
cpu          12.500s
ru_maxrss    204.800KB
==============================================================
jobnumber    6
taskid       undefined
failed       0
exit_status  40
"""


def test_accounts_of_grid_engine() -> None:
    records = parse_qacct(QACCT)
    assert set(records) == {"5.2", "6"}
    limited, left = (qacct_account(records[id]) for id in ("5.2", "6"))
    assert (limited.signal, limited.cpu_seconds, limited.waited_seconds) == (9, 12.5, 4.0)
    assert limited.memory_mb == 204.8
    assert (left.exit_code, left.signal) == (40, 0)


@pytest.mark.parametrize(
    ("state", "code", "kind"),
    [
        ("COMPLETED", "0:0", ""),
        ("TIMEOUT", "0:0", "time"),
        ("OUT_OF_MEMORY", "0:125", "memory"),
        ("NODE_FAIL", "0:0", "node-lost"),
        ("FAILED", "0:9", "memory"),
        ("FAILED", "0:15", "node-lost"),
        ("FAILED", "40:0", "units-left"),
        ("FAILED", "22:0", "disk"),
        ("FAILED", "127:0", "service"),
        ("CANCELLED by 0", "0:0", "units-left"),
    ],
)
def test_endings_of_slurm_have_a_class(
    state: str, code: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"squeue": "9_2|RUNNING\n9_3|PENDING\n", "env": f"9_1|{state}|{code}|00:01||1|2|None\n"}
    monkeypatch.setattr(sbatch, "call", lambda command: answers[command[0]])
    monkeypatch.setattr("thalweg.slurm.accounting.call", lambda command: answers[command[0]])
    (elements,) = Slurm(tmp_path, Options()).poll({"9": 3}).values()
    assert [element.place for element in elements] == ["ended", "running", "waiting"]
    assert elements[0].kind == kind


def test_accounts_that_do_not_answer_leave_a_job_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(command: object) -> str:
        raise ServiceUnavailable("sacct: connection refused")

    monkeypatch.setattr(sbatch, "call", lambda command: "9_1|NODE_FAIL\n")
    monkeypatch.setattr("thalweg.slurm.accounting.call", down)
    (elements,) = Slurm(tmp_path, Options()).poll({"9": 2}).values()
    assert [(each.place, each.kind) for each in elements] == [("ended", "node-lost"), ("unknown", "")]


def test_only_the_workers_own_exit_codes_blame_anybody() -> None:
    assert [kind_of_exit(code) for code in (0, 40, 22, 1, 30, 127)] == [
        "",
        "units-left",
        "disk",
        *["service"] * 3,
    ]
    assert [kind_of_signal(number) for number in (9, 24, 11)] == ["memory", "time", "bug"]


def test_calls_are_bounded() -> None:
    with pytest.raises(ServiceUnavailable, match=r"no answer within 0.1 s"):
        call(["sleep", "60"], 0.1)
    with pytest.raises(ServiceUnavailable, match=r"ls: .*No such file"):
        call(["ls", "/nowhere/at/all"])
    with pytest.raises(MissingInput, match="no such command"):
        call(["no-such-command-anywhere"])


def test_the_script_finds_its_batch(tmp_path: Path) -> None:
    folder = tmp_path / "with a blank"
    manifests = (tmp_path / "a b.json", tmp_path / "c.json")
    script = write_script(folder, Request("alps-1", manifests, Resources(100, 60))).read_text()
    assert "'" in script and "SLURM_ARRAY_TASK_ID" in script
    assert (folder / "jobs" / "alps-1.list").read_text().splitlines() == [str(each) for each in manifests]


def test_options_of_a_site_may_name_what_a_batch_is_given() -> None:
    resources = Resources(memory_mb=1500, seconds=3723, cores=2)
    options = Options(native="-l h_vmem={memory_mb}M,h_rt={time} -pe smp {cores}")
    assert options.native_for(resources) == ["-l", "h_vmem=1500M,h_rt=01:02:03", "-pe", "smp", "2"]
    with pytest.raises(BadParameters, match=r"native = '{memory}'.*it may name memory_mb"):
        Options(native="{memory}").native_for(resources)


@pytest.mark.parametrize("engine", ["pbs", "processes:0", "processes:two", "slurm:3", "jobs", "jobs:nowhere"])
def test_unknown_engines_are_refused(engine: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no (engine|profile) "):
        open_dispatcher(engine, tmp_path, Options(), lambda manifest: 0)
