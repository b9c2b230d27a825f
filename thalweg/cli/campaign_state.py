"""thalweg campaign status, account, log: where a campaign stands."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.cli.report import print_table
from thalweg.errors import CAMPAIGN_INCOMPLETE, CAMPAIGN_UNHEALTHY, UsageError

if TYPE_CHECKING:
    from thalweg.campaign.account import MissingGroup, MissingUnit
    from thalweg.campaign.lease import Standing, State
    from thalweg.campaign.status import Status
    from thalweg.campaign.unit_filter import UnitFilter

_ACCOUNT: tuple[State, ...] = ("done", "no-data", "skipped", "failed", "running", "pending")
_GROUPINGS = ("class", "tile", "day", "chain")
_BRIEFLY = 160
"""Characters of a message in a table."""
_STATES: tuple[State, ...] = ("pending", "running", "done", "no-data", "skipped", "failed")


def configure_status(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``status``."""
    add_folder(parser)
    parser.add_argument(
        "--watch", type=float, metavar="SECONDS", help="show it again and again, until it is complete"
    )


def configure_account(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``account``."""
    add_folder(parser)
    add_filter(parser)
    parser.add_argument("--by", choices=_GROUPINGS, help="count missing units by this (default: class)")
    parser.add_argument("--list", action="store_true", help="one line for each missing unit")
    parser.add_argument(
        "--verify", action="store_true", help="count every unit, and compare with the counters"
    )


def configure_log(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``log``."""
    add_folder(parser)
    parser.add_argument("unit", help="id of the unit, or at least its first 8 digits")
    parser.add_argument(
        "--lines", type=int, default=40, metavar="N", help="last lines of each log (default 40)"
    )


def status(arguments: argparse.Namespace) -> int:
    """Show where the campaign stands; the exit code says whether it is healthy."""
    if arguments.watch and not arguments.json and sys.stdout.isatty():
        return _watch(arguments.campaign, max(arguments.watch, 1.0))
    found = _status(arguments.campaign)
    if arguments.json:
        print(json.dumps(_plain(found), indent=2))
    else:
        rows, lines = _rows(found), _lines(found)
        print_table(found.name, ("chain", *_STATES, "planned"), rows)
        print("\n".join(lines))
    for alarm in found.alarms:
        print(f"NOT HEALTHY: {alarm}", file=sys.stderr)
    return CAMPAIGN_UNHEALTHY if found.alarms else 0


def account(arguments: argparse.Namespace) -> int:
    """Say what is missing and why; the exit code says whether anything is."""
    from thalweg.campaign.account import missing_by, missing_units
    from thalweg.campaign.folder import open_folder

    chosen = filter_of(arguments)
    with open_folder(arguments.campaign).ledger() as ledger:
        standing = ledger.states()
        wrong = ledger.wrong_counts() if arguments.verify else []
        units = missing_units(ledger, chosen) if arguments.list else []
        groups = [] if arguments.list else missing_by(ledger, arguments.by or "class", chosen)
    if arguments.json:
        listed = (
            {"units": list(map(asdict, units))} if arguments.list else {"groups": list(map(asdict, groups))}
        )
        print(
            json.dumps(
                {"planned": standing.planned, "states": standing.states, **listed, "wrong": wrong}, indent=2
            )
        )
    else:
        _print_account(standing, units, groups, arguments.by or "class")
    for line in wrong:
        print(f"WRONG COUNTER: {line}", file=sys.stderr)
    complete = standing.states["done"] + standing.states["no-data"] == standing.planned
    return 0 if complete and not wrong else CAMPAIGN_INCOMPLETE


def _print_account(standing: Standing, units: list[MissingUnit], groups: list[MissingGroup], by: str) -> None:
    """The sum, then missing units one by one or in groups."""
    print(
        f"{standing.planned} planned = "
        + " + ".join(f"{standing.states[state]} {state}" for state in _ACCOUNT)
    )
    if units:
        header = ("unit", "chain", "granule", "state", "class", "attempts", "why")
        rows: list[tuple[str, ...]] = [
            (
                each.unit[:12],
                each.chain,
                each.granule,
                each.state,
                each.kind,
                str(each.attempts),
                _briefly(each.message),
            )
            for each in units
        ]
        print_table("", header, rows)
    elif groups:
        rows = [(group.key, group.state, str(group.units), _briefly(group.message)) for group in groups]
        print_table("", (by, "state", "units", "such as"), rows)


def _briefly(message: str) -> str:
    """The beginning of a message, folders left out: what is wrong comes after them, and `log` has it all."""
    return re.sub(r"(?<![\w.])(/[^\s/:'\"]+)+/(?=[^\s/:])", "", message)[:_BRIEFLY]


def log(arguments: argparse.Namespace) -> int:
    """Tell everything that is known of a unit."""
    from thalweg.campaign.folder import open_folder
    from thalweg.campaign.history import unit_history

    folder = open_folder(arguments.campaign)
    with folder.ledger() as ledger:
        history = unit_history(ledger, folder, arguments.unit)
    if arguments.json:
        print(json.dumps(asdict(history), indent=2, default=str))
        return 0
    print(
        f"unit {history.unit}\n{history.chain} on {history.granule} ({history.path}): {history.state} {history.kind}"
    )
    for attempt in history.attempts:
        ended = datetime.fromtimestamp(attempt.ended, UTC)
        print(f"\n{ended:%Y-%m-%dT%H:%M:%SZ} batch {attempt.batch} on {attempt.host or '?'}, job {attempt.job or '-'}: "
              f"{attempt.kind} after {attempt.seconds:.1f} s, {attempt.memory_mb:.0f} MB")  # fmt: skip
        for text in (attempt.error, attempt.advice and f"what to do: {attempt.advice}", attempt.trace):
            if text:
                print(text)
        for path in attempt.logs:
            print(f"--- {path}")
            print("\n".join(_tail(Path(path), arguments.lines)))
    return 0


def add_folder(parser: argparse.ArgumentParser) -> None:
    """The campaign's work folder, and ``--json``."""
    parser.add_argument("campaign", type=Path, metavar="FOLDER", help="work folder of the campaign")
    parser.add_argument("--json", action="store_true", help="as JSON")


def add_filter(parser: argparse.ArgumentParser) -> None:
    """Which units are meant."""
    some: dict[str, Any] = {"action": "append", "default": []}
    parser.add_argument(
        "--unit", **some, metavar="ID", help="unit, by at least 8 digits of its id; repeatable"
    )
    parser.add_argument("--state", **some, choices=_STATES, help="state; repeatable")
    parser.add_argument("--class", **some, dest="kinds", metavar="CLASS", help="failure class; repeatable")
    parser.add_argument("--chain", **some, metavar="CHAIN", help="chain; repeatable")
    parser.add_argument("--tile", **some, metavar="TILE", help="tile; repeatable")
    parser.add_argument("--from", dest="first", metavar="DAY", help="first day of sensing")
    parser.add_argument("--until", dest="last", metavar="DAY", help="last day of sensing")


def filter_of(arguments: argparse.Namespace) -> UnitFilter:
    """The units that the arguments mean."""
    from thalweg.campaign.unit_filter import UnitFilter

    return UnitFilter(
        units=tuple(arguments.unit),
        states=tuple(arguments.state),
        kinds=tuple(arguments.kinds),
        chains=tuple(arguments.chain),
        tiles=tuple(arguments.tile),
        first=arguments.first,
        last=arguments.last,
    )


def _status(path: Path) -> Status:
    from thalweg.campaign.folder import open_folder
    from thalweg.campaign.status import read_status

    folder = open_folder(path)
    with folder.ledger() as ledger:
        return read_status(ledger, folder.read_facts().name)


def _plain(found: Status) -> dict[str, Any]:
    return {
        "name": found.name,
        "healthy": not found.alarms,
        "alarms": list(found.alarms),
        "planned": found.standing.planned,
        "states": dict(found.standing.states),
        "classes": dict(found.standing.classes),
        "chains": {name: dict(states) for name, states in found.standing.chains.items()},
        "mode": found.control.mode,
        "why": found.control.why,
        "open_batches": found.open_batches,
        "overdue": found.overdue,
        "last_sign": found.last_sign.isoformat() if found.last_sign else None,
        "units_per_hour": found.units_per_hour,
        "hours_left": found.hours_left,
    }


def _rows(found: Status) -> list[tuple[str, ...]]:
    rows = [
        (name, *(str(states[state]) for state in _STATES), str(sum(states.values())))
        for name, states in found.standing.chains.items()
    ]
    whole = found.standing.states
    return [*rows, ("all", *(str(whole[state]) for state in _STATES), str(found.standing.planned))]


def _lines(found: Status) -> list[str]:
    control, classes = found.control, found.standing.classes
    mode = "ended" if found.is_complete and control.mode == "running" else control.mode
    lines = [f"{mode}{f' ({control.cause}: {control.why})' if control.why else ''}"]
    if classes:
        lines.append("classes: " + ", ".join(f"{units} {kind}" for kind, units in classes.items()))
    if found.units_per_hour and not found.is_complete:
        left = f", {found.hours_left:.1f} hours left" if found.hours_left else ""
        lines.append(f"{found.open_batches} batches at work, {found.units_per_hour:.0f} units an hour{left}")
    return lines


def _watch(path: Path, seconds: float) -> int:
    """A live table on a terminal."""
    from rich.live import Live

    found = _status(path)
    with Live(_table(found), auto_refresh=False) as live:
        while not found.is_complete:
            time.sleep(seconds)
            found = _status(path)
            live.update(_table(found), refresh=True)
    return CAMPAIGN_UNHEALTHY if found.alarms else 0


def _table(found: Status) -> Any:
    from rich.table import Table

    alarms = [f"NOT HEALTHY: {alarm}" for alarm in found.alarms]
    table = Table(
        "chain", *_STATES, "planned", title=found.name, caption="\n".join([*_lines(found), *alarms])
    )
    for row in _rows(found):
        table.add_row(*row)
    return table


def _tail(path: Path, lines: int) -> list[str]:
    if lines < 1:
        raise UsageError("--lines: at least 1")
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 400 * lines))
        return file.read().decode("utf-8", "replace").splitlines()[-lines:]
