"""Arrays of workers through DRMAA 1.0: Grid Engine, slurm-drmaa, and whatever else brings a libdrmaa.

The library is loaded when a session is opened, never before: `import drmaa` fails where there is none. Its calls may
block, so each is made in a thread of its own and waited for only so long.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLong
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from thalweg.campaign.dispatch import UNKNOWN, Element, Request, kind_of_exit, kind_of_signal
from thalweg.errors import MissingInput, ServiceUnavailable
from thalweg.slurm.accounting import Account, qacct_account, read_qacct
from thalweg.slurm.client import PATIENCE, call
from thalweg.slurm.options import Options, clock
from thalweg.slurm.script import write_script

T = TypeVar("T")

TLS_PROBLEM = "static TLS block"
"""What the loader says where Grid Engine's library comes too late to get its room."""

PRELOAD = ("LD_PRELOAD", "libjemalloc.so.2")
"""Environment that gives it the room, and everybody the same memory allocator; it must be there before Python starts.

GLIBC_TUNABLES=glibc.rtld.optional_static_tls gives the room too, but two allocators: the next library that is loaded
(numba's, GDAL) then ends the process.
"""

_WAITING = frozenset({"queued_active", "system_on_hold", "user_on_hold", "user_system_on_hold"})
_RUNNING = frozenset({"running", "system_suspended", "user_suspended", "user_system_suspended"})


class NoRoomForLibrary(MissingInput):
    """The library is there, and the process has to be started anew with room for it."""

    advice = f"Set {'='.join(PRELOAD)} before the command."


class Drmaa:
    """Submits, looks and cancels through a DRMAA session."""

    at_once: int | None = None
    runs_at_once = False

    def __init__(self, folder: Path, options: Options, *, bulk: bool = True) -> None:
        """Open the session. `bulk` submits arrays, where the library has them; else one job a batch.

        Raises MissingInput where there is no library, with what to do.
        """
        self._drmaa = load_library()
        self._folder, self._options, self._bulk = folder, options, bulk
        self.largest = options.largest if bulk else 1
        self._calls = ThreadPoolExecutor(1, thread_name_prefix="drmaa")
        self._session = self._drmaa.Session()
        self._bounded(self._session.initialize)
        # Grid Engine's library forgets its own name in every session of a process but the first.
        names = self._bounded(lambda: f"{self._session.drmsInfo} {self._session.contact}")
        self._is_grid_engine = "GE" in names or "session=" in names
        self._ended: dict[str, Element] = {}

    def submit(self, request: Request) -> str:
        """Submit an array, or a single job; its id comes back."""
        script = write_script(self._folder, request)
        if not self._bulk:
            return str(self._bounded(lambda: self._with_template(request, script, self._session.runJob)))
        count = len(request.manifests)
        ids = self._bounded(
            lambda: self._with_template(
                request, script, lambda job: self._session.runBulkJobs(job, 1, count, 1)
            )
        )
        return str(ids[0]).removesuffix(f"{self._mark}1")

    def find(self, names: Collection[str]) -> Mapping[str, str]:
        """Requests that the scheduler's own commands know by name: DRMAA has no such question."""
        found = {name: self._number_of(name) for name in names}
        return {name: id for name, id in found.items() if id}

    def poll(self, jobs: Mapping[str, int]) -> Mapping[str, tuple[Element, ...]]:
        """The elements of every request."""
        return {id: tuple(self._look(element) for element in self._elements(id, jobs[id])) for id in jobs}

    def cancel(self, ids: Iterable[str]) -> None:
        """End requests."""
        action = self._drmaa.JobControlAction.TERMINATE
        for id in ids:
            with suppress(ServiceUnavailable):
                if self._is_grid_engine:
                    call(["qdel", id])
                else:
                    self._bounded(partial(self._session.control, id, action))

    def close(self) -> None:
        """Close the session; jobs go on."""
        with suppress(ServiceUnavailable):
            self._bounded(self._session.exit)
        self._calls.shutdown(wait=False, cancel_futures=True)

    @property
    def _mark(self) -> str:
        """What stands between the id of an array and the number of an element."""
        return "." if self._is_grid_engine else "_"

    def _elements(self, id: str, count: int) -> list[str]:
        return [f"{id}{self._mark}{k}" for k in range(1, count + 1)] if self._bulk else [id]

    def _with_template(self, request: Request, script: Path, run: Callable[[Any], T]) -> T:
        template = self._session.createJobTemplate()
        try:
            template.remoteCommand = str(script)
            template.jobName = request.name
            template.joinFiles = True
            # A file, never a folder: slurm-drmaa kills the job where it is one.
            suffix = f".{self._drmaa.JobTemplate.PARAMETRIC_INDEX}" if self._bulk else ""
            template.outputPath = f":{self._folder / 'logs' / request.name}{suffix}.out"
            template.workingDirectory = str(self._folder)
            template.nativeSpecification = " ".join(self._native(request))
            return run(template)
        finally:
            self._session.deleteJobTemplate(template)

    def _native(self, request: Request) -> list[str]:
        options, resources = self._options, request.resources
        if self._is_grid_engine:
            usual = ["-V", "-v", f"{PRELOAD[0]}=", "-r", "n", "-l", f"h_rt={resources.seconds}"]
            usual += ["-q", options.partition] if options.partition else []
            usual += ["-P", options.account] if options.account else []
        else:
            usual = ["--no-requeue", f"--time={clock(resources.seconds)}", f"--mem={resources.memory_mb}"]
            usual += [f"--cpus-per-task={resources.cores}"]
            usual += [f"--partition={options.partition}"] if options.partition else []
            usual += [f"--account={options.account}"] if options.account else []
        return usual + options.native_for(resources)

    def _look(self, id: str) -> Element:
        """Where one job stands; once it has ended, that is remembered, for a session tells it only once."""
        if id not in self._ended:
            try:
                element = self._told(id)
            except ServiceUnavailable:
                return UNKNOWN
            if element.place != "ended":
                return element
            self._ended[id] = element
        return self._ended[id]

    def _told(self, id: str) -> Element:
        gone = self._drmaa.errors.InvalidJobException
        try:
            state = str(self._bounded(lambda: self._session.jobStatus(id), pass_on=gone))
        except gone:
            return self._accounted(id)
        if state in _WAITING:
            return Element("waiting")
        if state in _RUNNING:
            return Element("running")
        return self._waited(id) if state in ("done", "failed") else UNKNOWN

    def _waited(self, id: str) -> Element:
        errors = self._drmaa.errors
        passing = (errors.InvalidJobException, errors.ExitTimeoutException)
        no_wait = self._drmaa.Session.TIMEOUT_NO_WAIT
        try:
            info = self._bounded(lambda: self._session.wait(id, no_wait), pass_on=passing)
        except errors.ExitTimeoutException:
            return UNKNOWN
        except errors.InvalidJobException:
            return self._accounted(id)
        # Its accounts know more, as soon as they are written.
        return self._accounted(id) if self._is_grid_engine else _element(info)

    def _accounted(self, id: str) -> Element:
        """How a job ended that no session knows any more."""
        if not self._is_grid_engine:
            return Element("ended", "units-left", "the session does not know the job any more")
        return _ended(_record(id))

    def _number_of(self, name: str) -> str:
        if self._is_grid_engine:
            for command in (["qstat", "-j", name], ["qacct", "-j", name]):
                with suppress(ServiceUnavailable):
                    return _after(("job_number:", "jobnumber"), call(command))
            return ""
        listing = call(["squeue", "--me", "--noheader", "--states=all", "--format=%F|%j"])
        pairs = (line.split("|", 1) for line in listing.splitlines() if "|" in line)
        return next((id for id, found in pairs if found == name), "")

    def _bounded(self, action: Callable[[], T], pass_on: Any = ()) -> T:
        """What a call gives; ServiceUnavailable where it fails or does not come back in time."""
        future: Future[T] = self._calls.submit(action)
        try:
            return future.result(timeout=PATIENCE)
        except pass_on:
            raise
        except TooLong:
            raise ServiceUnavailable(f"DRMAA: no answer within {PATIENCE:g} s") from None
        except self._drmaa.errors.DrmaaException as problem:
            raise ServiceUnavailable(f"DRMAA: {' '.join(str(problem).split())}") from problem


def load_library() -> Any:
    """The Python package that speaks with the scheduler's libdrmaa.

    Raises MissingInput where there is none, NoRoomForLibrary where this process was started without room for it.
    """
    try:
        import drmaa
    except ImportError as problem:
        raise MissingInput(
            f"the Python package drmaa: {problem}", advice="Install thalweg with its extra `hpc`."
        ) from problem
    except OSError as problem:
        if TLS_PROBLEM in str(problem):
            raise NoRoomForLibrary(f"libdrmaa: {problem}") from problem
        raise MissingInput(f"libdrmaa: {problem}", advice=_NO_LIBRARY) from problem
    except RuntimeError as problem:
        raise MissingInput(f"libdrmaa: {problem}", advice=_NO_LIBRARY) from problem
    return drmaa


_NO_LIBRARY = (
    "Set DRMAA_LIBRARY_PATH to the scheduler's libdrmaa.so (Grid Engine: package gridengine-drmaa1.0; Slurm: "
    "slurm-drmaa, from the site), or run with --on slurm."
)


def _record(id: str) -> dict[str, str]:
    """Grid Engine's account of a job; ServiceUnavailable where it has not written it yet."""
    records = read_qacct(id.partition(".")[0])
    if id not in records:
        raise ServiceUnavailable(f"qacct: nothing about job {id} yet")
    return records[id]


def _ended(record: dict[str, str]) -> Element:
    account = qacct_account(record)
    return Element(
        "ended",
        _kind(account),
        f"failed {account.state}, exit {account.exit_code}, signal {account.signal}",
        account.cpu_seconds,
        account.memory_mb,
        account.waited_seconds,
    )


def _kind(account: Account) -> str:
    """Class of an ending of Grid Engine's; its failure 37 is the enforced walltime."""
    number, _, words = account.state.partition(" ")
    if number == "37" or "h_rt" in words:
        return "time"
    if number not in ("0", "100"):
        return "units-left" if "delet" in words or "abort" in words else "node-lost"
    return kind_of_signal(account.signal) if account.signal else kind_of_exit(account.exit_code)


def _element(info: Any) -> Element:
    """How a job ended, as DRMAA tells it.

    A terminated job looks differently everywhere: aborted in Grid Engine, a plain exit in slurm-drmaa.
    """
    used = info.resourceUsage or {}
    cpu = _float(used.get("cpu", "0"))
    if info.wasAborted:
        return Element("ended", "units-left", "aborted", cpu)
    if info.hasSignal:
        number = _signal(info.terminatedSignal)
        return Element("ended", kind_of_signal(number), f"signal {info.terminatedSignal}", cpu)
    return Element("ended", kind_of_exit(info.exitStatus), f"exit {info.exitStatus}", cpu)


def _signal(name: str) -> int:
    import signal

    return int(getattr(signal, str(name), 0))


def _after(words: tuple[str, ...], text: str) -> str:
    """The last value of a listing that follows one of these words."""
    lines = (line.split() for line in text.splitlines())
    return next((line[1] for line in reversed(list(lines)) if len(line) > 1 and line[0] in words), "")


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
