"""thalweg work: the job of a campaign, units of one batch."""

from __future__ import annotations

import argparse
from pathlib import Path

_EPILOG = """\
The exit code is 0 where every unit has its receipt, whatever the receipt says; 40 where units are left because the time
was over or the scheduler ended the job; 22 where the disk is full. Neither database nor network is needed.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = _EPILOG
    parser.add_argument("batch", type=Path, metavar="BATCH", help="manifest of the batch")
    parser.add_argument(
        "--receipts",
        type=Path,
        metavar="DIR",
        help="where receipts go; default: receipts/ beside the manifest's folder",
    )
    parser.add_argument(
        "--here",
        action="store_true",
        help="make the units in this very process, so that a debugger can follow; a crash ends it",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Work through the batch; the exit code says whether units are left."""
    from thalweg.worker.supervisor import work

    receipts = arguments.receipts or arguments.batch.resolve().parent.parent / "receipts"
    return work(arguments.batch, receipts, here=arguments.here)
