"""Where units are made: by the chains or by stand-in science, in this process or in one that a supervisor watches."""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from thalweg.campaign.batch import Batch, BatchGranule, BatchUnit, read_batch
from thalweg.campaign.receipt import Receipt, encoded
from thalweg.settings import read_job, read_settings, use_kernel_cache

_PDEATHSIG = 1

END_OF_TASK = "\n"
"""What follows the last receipt of a task."""


class Bench(Protocol):
    """Makes units."""

    def make(self, granule: BatchGranule, units: tuple[BatchUnit, ...]) -> Iterable[Receipt]:
        """The receipts of some units of a granule, each once it has ended; nothing is raised."""
        ...


def bench_for(batch: Batch) -> Bench:
    """The bench of a batch: stand-in science where it asks for it, else the chains."""
    job = read_job()
    if batch.simulate is not None:
        from thalweg.worker.simulation import Simulator

        return Simulator(batch, job)
    from thalweg.worker.science import Science

    return Science(batch, job)


def main() -> None:
    """The long-lived process: reads tasks from the input stream, a line each, and answers on the handle it is given."""
    manifest, answers, supervisor = sys.argv[1:]
    _die_with(int(supervisor))
    # A debugger's or operator's interrupt is the supervisor's to deal with.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    use_kernel_cache(read_settings().kernel_cache)
    batch = read_batch(Path(manifest))
    bench = bench_for(batch)
    with os.fdopen(int(answers), "w") as stream:
        for task in sys.stdin:
            granule, units = json.loads(task)
            for text in _answers(bench, batch.granules[granule], units):
                stream.write(text)
                stream.flush()


def _answers(bench: Bench, granule: BatchGranule, units: list[int]) -> Iterator[str]:
    chosen = tuple(granule.units[index] for index in units)
    yield from (encoded(receipt) for receipt in bench.make(granule, chosen))
    yield END_OF_TASK


def _die_with(supervisor: int) -> None:
    """Have the kernel end this process with the supervisor: nobody would take its answers."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
    # It may have gone while this interpreter started.
    if os.getppid() != supervisor:
        raise SystemExit("the supervisor is gone")


if __name__ == "__main__":
    main()
