"""Arrays of workers through Slurm's own commands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from thalweg.campaign.dispatch import UNKNOWN, Element, Place, Request, kind_of_exit, kind_of_signal
from thalweg.errors import ServiceUnavailable
from thalweg.slurm.accounting import Account, read_sacct
from thalweg.slurm.client import call
from thalweg.slurm.options import WARNING_SECONDS, Options, clock
from thalweg.slurm.script import write_script

_ACTIVE: Mapping[str, Place] = {
    **dict.fromkeys(
        ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"), "waiting"
    ),
    **dict.fromkeys(
        ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"), "running"
    ),
}
"""States of jobs that have not ended."""

_ENDS = {
    "COMPLETED": "",
    "TIMEOUT": "time",
    "DEADLINE": "time",
    "OUT_OF_MEMORY": "memory",
    "NODE_FAIL": "node-lost",
    "BOOT_FAIL": "node-lost",
    "PREEMPTED": "node-lost",
    "REVOKED": "node-lost",
    "CANCELLED": "units-left",
}
"""States of jobs that have ended, and the class of that ending; FAILED is told by exit code and signal."""


class Slurm:
    """Submits by sbatch, looks by squeue, and asks sacct about jobs that squeue has lost sight of."""

    at_once: int | None = None
    runs_at_once = False

    def __init__(self, folder: Path, options: Options) -> None:
        self._folder, self._options = folder, options
        self.largest = options.largest

    def submit(self, request: Request) -> str:
        """Submit an array; its id comes back."""
        script = write_script(self._folder, request)
        return call([*self._command(request), str(script)]).strip().partition(";")[0]

    def find(self, names: Collection[str]) -> Mapping[str, str]:
        """Arrays that the queue knows by name, or else the accounts."""
        listing = call(["squeue", "--me", "--noheader", "--states=all", "--format=%F|%j"])
        found = {name: id for id, name in _pairs(listing) if name in names}
        if missing := sorted(set(names) - set(found)):
            fields = (
                "--format=JobID%40,JobName%200",
                "--starttime=now-60days",
                f"--name={','.join(missing)}",
            )
            told = call(["sacct", "--allocations", "--noheader", "--parsable2", *fields])
            found |= {name: id.partition("_")[0] for id, name in _pairs(told) if name in missing}
        return found

    def poll(self, jobs: Mapping[str, int]) -> Mapping[str, tuple[Element, ...]]:
        """The elements of arrays: one look at the queue, one at the accounts for those that have ended."""
        states = self._states()
        wanted = {id: [f"{id}_{number}" for number in range(1, count + 1)] for id, count in jobs.items()}
        over = [
            id for id, elements in wanted.items() if any(states.get(each) not in _ACTIVE for each in elements)
        ]
        accounts = self._accounts(over) if over else {}
        return {
            id: tuple(_element(states.get(each, ""), accounts.get(each)) for each in elements)
            for id, elements in wanted.items()
        }

    def cancel(self, ids: Iterable[str]) -> None:
        """End arrays."""
        if wanted := list(ids):
            call(["scancel", *wanted])

    def close(self) -> None:
        """Nothing is open."""

    def _command(self, request: Request) -> list[str]:
        options, resources = self._options, request.resources
        command = [
            "sbatch",
            "--parsable",
            f"--job-name={request.name}",
            f"--array=1-{len(request.manifests)}",
            f"--mem={resources.memory_mb}M",
            f"--time={clock(resources.seconds)}",
            f"--cpus-per-task={resources.cores}",
            "--nodes=1",
            # What a lost node was doing is leased anew, under a token that its orphans do not have.
            "--no-requeue",
            f"--signal=B:USR1@{min(WARNING_SECONDS, resources.seconds // 2)}",
            f"--output={self._folder / 'logs'}/{request.name}.%a.out",
        ]
        command += [f"--partition={options.partition}"] if options.partition else []
        command += [f"--account={options.account}"] if options.account else []
        return command + options.native_for(resources)

    def _states(self) -> dict[str, str]:
        """State of every job that waits, runs, or ended a short while ago."""
        listing = call(["squeue", "--me", "--noheader", "--array", "--states=all", "--format=%i|%T"])
        return dict(_pairs(listing))

    @staticmethod
    def _accounts(ids: list[str]) -> dict[str, Account]:
        """What the accounts say; nothing where they do not answer, for the receipts decide anyway."""
        try:
            return read_sacct(ids)
        except ServiceUnavailable:
            return {}


def _pairs(listing: str) -> Iterator[tuple[str, str]]:
    """Lines of two values."""
    for line in listing.splitlines():
        one, mark, other = line.partition("|")
        if mark:
            yield one, other


def _element(state: str, account: Account | None) -> Element:
    """Where a job stands, by the queue's word for it (empty where it has lost sight of it) and its account."""
    if state in _ACTIVE:
        return Element(_ACTIVE[state])
    if account is None or account.state in _ACTIVE:
        return Element("ended", _ENDS[state], state) if state in _ENDS else UNKNOWN
    return Element(
        "ended",
        _kind(account),
        f"{account.state} {account.exit_code}:{account.signal} {account.reason}".strip(),
        account.cpu_seconds,
        account.memory_mb,
        account.waited_seconds,
    )


def _kind(account: Account) -> str:
    if account.state in _ENDS:
        return _ENDS[account.state]
    return kind_of_signal(account.signal) if account.signal else kind_of_exit(account.exit_code)
