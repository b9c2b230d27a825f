"""thalweg campaign run: the controller of a campaign, on the engine of its site or another one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from thalweg.cli.campaign_state import add_folder
from thalweg.errors import CAMPAIGN_INCOMPLETE, ServiceUnavailable

if TYPE_CHECKING:
    from thalweg.campaign.controller import Manner
    from thalweg.campaign.dispatch import Dispatcher
    from thalweg.campaign.folder import CampaignFolder
    from thalweg.campaign.ledger import Ledger
    from thalweg.campaign.site_file import Site

_EPILOG = """\
The exit code is 0 once every unit has an ending, 42 where some are left because the campaign was paused or cancelled.
A controller that was killed is made good by running the same command again: jobs go on meanwhile, and are found.
"""


def configure_run(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = _EPILOG
    add_folder(parser)
    parser.add_argument(
        "--on",
        metavar="ENGINE",
        help="here, processes[:N], slurm, drmaa, drmaa-single, or jobs:PROFILE for Snakemake jobs; default: the site's",
    )
    parser.add_argument(
        "--workflow",
        action="store_true",
        help="run all stages (check, process, publish, report) as a Snakemake workflow",
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


def run(arguments: argparse.Namespace) -> int:
    """Run until every unit has an ending."""
    from thalweg.campaign.controller import Controller, sole_controller
    from thalweg.campaign.folder import open_folder

    folder = open_folder(arguments.campaign)
    site = folder.site()
    engine = arguments.on or site.engine
    if arguments.workflow:
        from thalweg.slurm.workflow import run_workflow

        return run_workflow(folder.path, engine)
    with sole_controller(folder), folder.ledger() as ledger:
        dispatcher = dispatcher_for(folder, site, engine)
        try:
            manner = _manner(arguments, engine, lambda: _publish(folder, ledger, arguments.simulate is None))
            standing = Controller(folder, ledger, dispatcher, manner).run()
        finally:
            dispatcher.close()
    print(" ".join(f"{state}={units}" for state, units in standing.states.items()))
    return CAMPAIGN_INCOMPLETE if standing.left else 0


def dispatcher_for(folder: CampaignFolder, site: Site, engine: str) -> Dispatcher:
    """The dispatcher of an engine, with what the site adds to it.

    Where DRMAA's library needs room that only a new process can give it, this process is started anew.
    """
    from thalweg.settings import restart_with
    from thalweg.slurm.drmaa_session import PRELOAD, NoRoomForLibrary
    from thalweg.slurm.engines import open_dispatcher
    from thalweg.slurm.options import Options
    from thalweg.worker.supervisor import work

    options = Options(site.partition, site.account, site.native, site.max_array)
    at_once = max(1, site.cores // site.cores_per_job)
    try:
        return open_dispatcher(
            engine,
            folder.path,
            options,
            lambda manifest: work(manifest, folder.receipts, here=True),
            at_once,
        )
    except NoRoomForLibrary:
        restart_with(*PRELOAD)
        raise


def _publish(folder: CampaignFolder, ledger: Ledger, is_real: bool) -> None:
    """Bring what has ended into the catalogue; where that does not answer, the next call makes it good."""
    from thalweg.campaign.publisher import publish_endings
    from thalweg.registry import find_chain

    facts = folder.read_facts()
    chains = [find_chain(chain.name) for chain in facts.chains] if is_real else []
    try:
        publish_endings(ledger, folder.path, Path(facts.places.destination), chains)
    except ServiceUnavailable as problem:
        _say(f"{problem.message}; published later")


def _manner(arguments: argparse.Namespace, engine: str, publish: Callable[[], None]) -> Manner:
    from thalweg.campaign.batch import Simulation
    from thalweg.campaign.controller import Manner

    interval = arguments.interval
    if interval is None:
        interval = {"here": 0.0, "processes": 1.0}.get(engine.partition(":")[0], 30.0)
    simulate = Simulation(str(arguments.simulate.absolute()), arguments.seed) if arguments.simulate else None
    return Manner(interval, simulate=simulate, say=_say, publish=publish)


def _say(text: str) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}", file=sys.stderr, flush=True)
