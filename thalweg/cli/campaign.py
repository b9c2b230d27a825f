"""thalweg campaign: plan, check, run and account for thousands of granules."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from typing import cast

VERBS = {
    "plan": ("campaign_plan", "find granules and freeze the table of units"),
    "check": ("campaign_plan", "look for what would go wrong, before any job"),
    "forecast": ("campaign_plan", "CPU, bytes, files and duration of a campaign"),
    "run": ("campaign_run", "run batches until every unit has an ending"),
    "status": ("campaign_state", "how many units stand where, and whether all is well"),
    "account": ("campaign_state", "what is missing, and why"),
    "log": ("campaign_state", "everything that is known of a unit, with its logs"),
    "redo": ("campaign_steer", "try units again, exactly those that are named"),
    "pause": ("campaign_steer", "submit nothing more for now"),
    "resume": ("campaign_steer", "submit again"),
    "cancel": ("campaign_steer", "skip what waits, and stop what runs"),
    "priority": ("campaign_steer", "let tiles go first, or last"),
    "publish": ("campaign_upkeep", "bring what has ended into the catalogue"),
    "rebuild": ("campaign_upkeep", "make the ledger anew from plan, receipts and products"),
    "schemas": ("campaign_plan", "write schemas and reference pages of campaign and site files"),
    "clean": ("campaign_upkeep", "remove orphaned staging, finished logs, superseded products"),
}
"""Verbs, the module of each, and what it does."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of every verb."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, (module, text) in VERBS.items():
        chosen = verbs.add_parser(verb, help=text, description=text, allow_abbrev=False)
        _function(module, f"configure_{verb}")(chosen)


def execute(arguments: argparse.Namespace) -> int:
    """Do what the verb says."""
    module, _ = VERBS[arguments.verb]
    return cast(int, _function(module, arguments.verb)(arguments))


def _function(module: str, name: str) -> Callable[..., object]:
    return cast(Callable[..., object], getattr(importlib.import_module(f"thalweg.cli.{module}"), name))
