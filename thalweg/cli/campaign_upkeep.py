"""thalweg campaign publish, rebuild, clean: keeping the books in order."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from thalweg.cli.campaign_state import add_folder


def configure_publish(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``publish``."""
    add_folder(parser)
    parser.add_argument(
        "--again", action="store_true", help="from the first ending on, for a catalogue that was lost"
    )


def configure_rebuild(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``rebuild``."""
    add_folder(parser)


def configure_clean(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``clean``."""
    add_folder(parser)
    parser.add_argument(
        "--rule",
        action="append",
        default=[],
        metavar="RULE",
        help="staging, logs, superseded; repeatable (default all)",
    )
    parser.add_argument(
        "--days", type=float, default=1.0, metavar="N", help="only what is that old (default 1)"
    )
    parser.add_argument("--remove", action="store_true", help="remove it; without this it is only listed")


def publish(arguments: argparse.Namespace) -> int:
    """Bring what has ended into the catalogue."""
    from thalweg.campaign.folder import open_folder
    from thalweg.campaign.plan import load_chains
    from thalweg.campaign.publisher import publish_again, publish_endings

    folder = open_folder(arguments.campaign)
    facts = folder.read_facts()
    chains = [ready.chain for ready in load_chains(facts.chains)]
    with folder.ledger() as ledger:
        if arguments.again:
            publish_again(ledger)
        report = publish_endings(ledger, folder.path, Path(facts.places.destination), chains)
    if arguments.json:
        print(json.dumps(asdict(report)))
    else:
        print(
            f"{report.units} endings: {report.items} items and {report.endings} endings without a product were news"
        )
    if report.problems:
        print(
            f"{report.problems} items could not be entered; `catalogue rebuild` names them", file=sys.stderr
        )
    return 10 if report.problems else 0


def rebuild(arguments: argparse.Namespace) -> int:
    """Make the ledger anew."""
    from thalweg.campaign.folder import open_folder
    from thalweg.campaign.rebuilding import rebuild_ledger

    rebuilt = rebuild_ledger(open_folder(arguments.campaign))
    for problem in rebuilt.problems:
        print(f"left out: {problem}", file=sys.stderr)
    facts = {"batches": rebuilt.batches, "receipts": rebuilt.receipts, "products": rebuilt.products}
    text = f"{rebuilt.receipts} receipts of {rebuilt.batches} batches, {rebuilt.products} products without a receipt"
    print(json.dumps(facts) if arguments.json else text)
    return rebuilt.problems[0].code if rebuilt.problems else 0


def clean(arguments: argparse.Namespace) -> int:
    """List what the rules name, or remove it."""
    from thalweg.campaign.cleaning import RULES, find_rubbish, remove_rubbish
    from thalweg.campaign.folder import open_folder

    folder = open_folder(arguments.campaign)
    destination = Path(folder.read_facts().places.destination)
    with folder.ledger() as ledger:
        rules = tuple(arguments.rule) or RULES
        rubbish = find_rubbish(ledger, folder, destination, rules, arguments.days, time.time())
    freed = remove_rubbish(rubbish) if arguments.remove else 0
    if arguments.json:
        print(json.dumps({"found": list(map(asdict, rubbish)), "freed": freed}, indent=2, default=str))
        return 0
    for each in rubbish:
        print(f"{each.rule:10} {each.bytes / 1e6:10.1f} MB  {each.path}")
    size = sum(each.bytes for each in rubbish) / 1e6
    what = (
        f"removed, {freed / 1e6:.1f} MB freed"
        if arguments.remove
        else f"to remove ({size:.1f} MB); use --remove"
    )
    print(f"{len(rubbish)} {what}")
    return 0
