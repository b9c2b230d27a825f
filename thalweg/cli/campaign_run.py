"""thalweg campaign run: the controller of a campaign, on the engine of its site or another one."""

from __future__ import annotations

import argparse
from pathlib import Path

from thalweg.errors import CAMPAIGN_INCOMPLETE

_EPILOG = """\
The exit code is 0 once every unit has an ending, 42 where some are left because the campaign was paused or cancelled.
A controller that was killed is made good by running the same command again: jobs go on meanwhile, and are found.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = _EPILOG
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="work folder of the campaign")
    parser.add_argument(
        "--on",
        metavar="ENGINE",
        help="here, processes[:N], slurm, drmaa or drmaa-single; default: what the site file says",
    )
    parser.add_argument(
        "--simulate", type=Path, metavar="FILE", help="stand-in science, drawn from this file"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the stand-in science")
    parser.add_argument(
        "--interval",
        type=float,
        metavar="SECONDS",
        help="between two looks at the scheduler; default: 30, here 0",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Run until every unit has an ending."""
    from thalweg.campaign.controller import Controller, sole_controller
    from thalweg.campaign.folder import open_folder

    folder = open_folder(arguments.folder)
    site = folder.site()
    engine = arguments.on or site.engine
    with sole_controller(folder), folder.ledger() as ledger:
        dispatcher = dispatcher_for(folder, engine)
        try:
            standing = Controller(folder, ledger, dispatcher, _manner(arguments, engine)).run()
        finally:
            dispatcher.close()
    print(" ".join(f"{state}={units}" for state, units in standing.states.items()))
    return CAMPAIGN_INCOMPLETE if standing.left else 0
