"""thalweg campaign redo, pause, resume, cancel, priority: the operator's word."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from thalweg.cli.campaign_state import add_filter, add_folder, filter_of
from thalweg.errors import UsageError

if TYPE_CHECKING:
    from thalweg.campaign.lease import Mode
    from thalweg.campaign.ledger import Ledger


def configure_redo(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``redo``."""
    add_folder(parser)
    add_filter(parser)
    parser.epilog = (
        "Without --state, units that failed or were skipped are meant; without any filter, give --all."
    )
    parser.add_argument("--all", action="store_true", help="all that failed or were skipped")


def configure_pause(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``pause``."""
    add_folder(parser)
    parser.add_argument("--why", default="", metavar="TEXT", help="reason, for those who look at the status")


def configure_resume(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``resume``."""
    add_folder(parser)


def configure_cancel(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``cancel``."""
    configure_pause(parser)


def configure_priority(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``priority``."""
    add_folder(parser)
    parser.add_argument("value", type=int, metavar="N", help="-100 to 100; higher goes first")
    parser.add_argument(
        "--tile", action="append", default=[], metavar="TILE", help="only this tile; repeatable"
    )


def redo(arguments: argparse.Namespace) -> int:
    """Let units wait again."""
    chosen = filter_of(arguments)
    if not chosen.told() and not arguments.all:
        raise UsageError("redo: say which units (--class, --tile, --unit, ...), or --all")
    with _ledger(arguments) as ledger:
        states = chosen.states or ("failed", "skipped")
        units = ledger.redo(
            units=chosen.units,
            states=states,  # type: ignore[arg-type]  # the command line offers nothing else
            kinds=chosen.kinds,
            chains=chosen.chains,
            tiles=chosen.tiles,
            first=chosen.first,
            last=chosen.last,
        )
    return _told(arguments, f"{units} units wait again", units=units)


def pause(arguments: argparse.Namespace) -> int:
    """Submit nothing more for now; what runs goes on."""
    return _steer(arguments, "paused", arguments.why)


def resume(arguments: argparse.Namespace) -> int:
    """Submit again."""
    return _steer(arguments, "running", "")


def cancel(arguments: argparse.Namespace) -> int:
    """Skip what waits; the runner stops what runs. `redo --class cancelled` takes it back."""
    return _steer(arguments, "cancelled", arguments.why)


def priority(arguments: argparse.Namespace) -> int:
    """Let tiles go first, or last."""
    if not -100 <= arguments.value <= 100:
        raise UsageError(f"priority {arguments.value}: must be -100 to 100")
    with _ledger(arguments) as ledger:
        parts = ledger.prioritise(arguments.value, [tile.removeprefix("T") for tile in arguments.tile])
    return _told(arguments, f"{parts} parts of the plan have priority {arguments.value}", parts=parts)


def _steer(arguments: argparse.Namespace, mode: Mode, why: str) -> int:
    with _ledger(arguments) as ledger:
        ledger.steer(mode, why)
        standing = ledger.states()
    running = standing.states["running"]
    return _told(arguments, f"{mode}; {running} units still run", mode=mode, running=running)


def _ledger(arguments: argparse.Namespace) -> Ledger:
    from thalweg.campaign.folder import open_folder

    return open_folder(arguments.campaign).ledger()


def _told(arguments: argparse.Namespace, text: str, **facts: object) -> int:
    print(json.dumps(facts) if arguments.json else text)
    return 0
