"""What schedulers write down about jobs that have ended."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from thalweg.slurm.client import call

_FIELDS = ("JobID", "State", "ExitCode", "TotalCPU", "MaxRSS", "Submit", "Start", "Reason")
_UNITS = {"K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2}
# Grid Engine 8.1.9 takes the kilobytes of ru_maxrss for bytes when it prints them.
_QACCT_UNITS = {"B": 1 / 1024, "KB": 1.0, "MB": 1024.0, "GB": 1024.0**2}
_QACCT_TIME = "%a %b %d %H:%M:%S %Y"


@dataclass(frozen=True, slots=True)
class Account:
    """A job that has ended, or an element of an array."""

    state: str
    """The scheduler's word for how."""
    exit_code: int
    """Exit code of its script."""
    signal: int
    """Signal that ended it, 0 for none."""
    cpu_seconds: float = 0.0
    """CPU time of everything in it."""
    memory_mb: float = 0.0
    """Largest resident memory, MB."""
    waited_seconds: float = 0.0
    """Time in the queue."""
    reason: str = ""
    """The scheduler's remark."""


def read_sacct(ids: Iterable[str]) -> dict[str, Account]:
    """Accounts of jobs and of the elements of arrays by id; ServiceUnavailable where Slurm does not answer."""
    # Times as numbers: they are compared, and local ones jump twice a year.
    command = ["env", "SLURM_TIME_FORMAT=%s", "sacct", "--noheader", "--parsable2"]
    return parse_sacct(call([*command, f"--format={','.join(_FIELDS)}", f"--jobs={','.join(ids)}"]))


def parse_sacct(text: str) -> dict[str, Account]:
    """Accounts from the listing of sacct; the memory of a job is that of its largest step."""
    found: dict[str, Account] = {}
    for line in text.splitlines():
        values = dict(zip(_FIELDS, line.split("|"), strict=False))
        job, _, step = values["JobID"].partition(".")
        if not step:
            found[job] = _sacct_account(values)
        elif job in found:
            memory = max(found[job].memory_mb, _size(values.get("MaxRSS", "")))
            found[job] = replace(found[job], memory_mb=memory)
    return found


def _sacct_account(values: dict[str, str]) -> Account:
    code, _, signal = values["ExitCode"].partition(":")
    submitted, started = (_number(values.get(name, "")) for name in ("Submit", "Start"))
    reason = values.get("Reason", "")
    return Account(
        # "CANCELLED by 1000" names the user who did it.
        values["State"].split()[0],
        int(code or 0),
        int(signal or 0),
        _duration(values.get("TotalCPU", "")),
        0.0,
        max(0.0, started - submitted) if started and submitted else 0.0,
        "" if reason == "None" else reason,
    )


def _size(text: str) -> float:
    """A size of Slurm's in MB."""
    match = re.fullmatch(r"([\d.]+)([KMGT]?)", text)
    return float(match[1]) * _UNITS[match[2] or "K"] if match else 0.0


def _duration(text: str) -> float:
    """A duration of Slurm's, [DD-[HH:]]MM:SS[.mmm], in seconds."""
    days, _, clock = text.rpartition("-")
    seconds = 0.0
    with suppress(ValueError):
        for part in clock.split(":"):
            seconds = seconds * 60 + float(part)
        return seconds + 86400 * int(days or 0)
    return 0.0


def _number(text: str) -> float:
    return float(text) if text.isdigit() else 0.0


def read_qacct(id: str) -> dict[str, dict[str, str]]:
    """What Grid Engine wrote down about a job and each element of an array, by ``id`` or ``id.element``.

    ServiceUnavailable where it has not written it down yet.
    """
    return parse_qacct(call(["qacct", "-j", id]))


def parse_qacct(text: str) -> dict[str, dict[str, str]]:
    """Records of the listing of qacct, by ``job`` or ``job.element``."""
    found = {}
    for block in re.split(r"^=+$", text, flags=re.M)[1:]:
        record = dict(re.findall(r"^(\S+)[ \t]+(.*?)[ \t]*$", block, flags=re.M))
        task = record.get("taskid", "undefined")
        job = record.get("jobnumber", "")
        found[job if task == "undefined" else f"{job}.{task}"] = record
    return found


def qacct_account(record: dict[str, str]) -> Account:
    """A record of Grid Engine's as an account; `state` is its word for a failure, ``0`` for none."""
    status = int(_leading(record.get("exit_status", "0")))
    return Account(
        record.get("failed", "0"),
        status if status < 128 else 0,
        status - 128 if status > 128 else 0,
        _leading(record.get("cpu", "0")),
        _with_unit(record.get("ru_maxrss", "0")),
        max(0.0, _moment(record.get("start_time", "")) - _moment(record.get("qsub_time", ""))),
    )


def _leading(text: str) -> float:
    match = re.match(r"[\d.]+", text)
    return float(match[0]) if match else 0.0


def _with_unit(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)([KMG]?B)", text)
    return float(match[1]) * _QACCT_UNITS[match[2]] if match else 0.0


def _moment(text: str) -> float:
    """A time of Grid Engine's as seconds, 0 where it is none."""
    with suppress(ValueError):
        return datetime.strptime(text, _QACCT_TIME).timestamp()
    return 0.0
