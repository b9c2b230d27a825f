"""thalweg campaign plan, check, forecast: everything before the first job."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.errors import BadParameters

if TYPE_CHECKING:
    from thalweg.campaign.campaign_file import Campaign
    from thalweg.campaign.costs import Costs
    from thalweg.campaign.forecast import Forecast
    from thalweg.campaign.plan import Planned
    from thalweg.campaign.site_file import Site


def configure_plan(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``plan``."""
    _file(parser)
    parser.add_argument(
        "--to", type=Path, metavar="FOLDER", help="work folder (default: the campaign's name, here)"
    )


def configure_check(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``check``."""
    _file(parser)


def configure_forecast(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``forecast``."""
    parser.add_argument(
        "campaign", type=Path, metavar="FILE|FOLDER", help="campaign file, or planned campaign"
    )
    _options(parser)


def configure_schemas(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``schemas``."""
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="folder to write them into")


def schemas(arguments: argparse.Namespace) -> int:
    """Write schemas and reference pages of campaign and site files."""
    from thalweg.campaign.schemas import write_reference

    for path in write_reference(arguments.to):
        print(path)
    return 0


def plan(arguments: argparse.Namespace) -> int:
    """Plan a campaign into its work folder."""
    from thalweg.campaign.folder import write_folder
    from thalweg.campaign.forecast import granules_per_batch, heavy_tiles

    asked = _read(arguments)
    planned = asked.planned()
    chains = tuple(chain.chain for chain in planned.plan.chains)
    per_batch = granules_per_batch(chains, asked.costs, asked.site)
    target = arguments.to or Path(asked.campaign.name)
    batched = replace(planned.plan, heavy=heavy_tiles(planned.plan, asked.costs, asked.site))
    folder = write_folder(target, arguments.campaign, asked.site, batched, per_batch)
    counts = planned.plan.counts
    if arguments.json:
        found = {"folder": str(folder.path), "digest": planned.plan.digest, **counts}
        print(json.dumps({**found, "problems": [problem.to_dict() for problem in planned.problems]}))
        return 0
    for problem in planned.problems:
        print(f"left out: {problem}", file=sys.stderr)
    for role, tiles in planned.statics.missing.items():
        print(f"static layer {role!r} is missing for {len(tiles)} tiles", file=sys.stderr)
    print(
        f"{counts['units']} units: {counts['granules']} granules of {counts['tiles']} tiles, {', '.join(chains)}"
    )
    print(f"{counts['passed_over']} granules passed over, {per_batch} granules a batch")
    print(f"plan {planned.plan.digest[:12]} in {folder.path}; tiles to look at: {folder.tiles}")
    return 0


def check(arguments: argparse.Namespace) -> int:
    """Look for what would go wrong."""
    from thalweg.campaign.checks import check_plan
    from thalweg.campaign.forecast import forecast as expect

    asked = _read(arguments)
    planned = asked.planned()
    checks = check_plan(planned, expect(planned.plan, asked.costs, asked.site), asked.site)
    if arguments.json:
        facts = [
            {"subject": each.subject, "told": each.told, "problem": each.problem and each.problem.to_dict()}
            for each in checks
        ]
        print(json.dumps(facts, indent=2))
    else:
        for each in checks:
            print(f"{'FAIL' if each.problem else 'ok':5}{each.subject}: {each.problem or each.told}")
            if each.problem:
                print(f"     what to do: {each.problem.what_to_do}")
    return max((each.problem.code for each in checks if each.problem), default=0)


def forecast(arguments: argparse.Namespace) -> int:
    """Say what a campaign will cost; a planned one first learns from what it has measured."""
    from thalweg.campaign.forecast import forecast as expect

    if arguments.campaign.is_dir():
        expected = _forecast_folder(arguments)
    else:
        asked = _read(arguments)
        expected = expect(asked.planned().plan, asked.costs, asked.site)
    if arguments.json:
        print(
            json.dumps(
                {**asdict(expected), "duration_hours": expected.duration_hours, "limit": expected.limit}
            )
        )
        return 0
    _print_forecast(expected)
    return 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """A campaign file with what belongs to it."""

    campaign: Campaign
    site: Site
    costs: Costs
    base: Path

    def planned(self) -> Planned:
        """The plan."""
        from thalweg.campaign.plan import make_plan

        return make_plan(self.campaign, self.site, self.base)


def _read(arguments: argparse.Namespace) -> _Asked:
    from thalweg.campaign.campaign_file import read_campaign
    from thalweg.campaign.site_file import Site, read_site

    file: Path = arguments.campaign
    campaign = read_campaign(file)
    chosen = arguments.site or (file.parent / campaign.site if campaign.site else None)
    site = Site() if chosen is None else read_site(chosen)
    return _Asked(campaign, site, _costs(arguments.learn_from), file.parent)


def _costs(folders: list[Path]) -> Costs:
    """What earlier campaigns measured; of a chain that several measured, the last one counts."""
    from thalweg.campaign.costs import Costs, read_costs

    chains: dict[str, Any] = {}
    for path in folders:
        chains.update(read_costs(path / "costs.json" if path.is_dir() else path).chains)
    return Costs(chains)


def _forecast_folder(arguments: argparse.Namespace) -> Forecast:
    from thalweg.campaign.costs import Costs, learn_costs, write_costs
    from thalweg.campaign.folder import open_folder
    from thalweg.campaign.forecast import forecast as expect

    if arguments.site:
        raise BadParameters("--site: a planned campaign has its site in its folder")
    folder = open_folder(arguments.campaign)
    plan = folder.read_plan()
    with folder.ledger() as ledger:
        learnt = learn_costs(ledger, plan)
    if learnt.chains:
        write_costs(folder.costs, learnt)
    costs = Costs({**_costs(arguments.learn_from).chains, **learnt.chains})
    return expect(plan, costs, folder.site())


def _print_forecast(expected: Forecast) -> None:
    for chain, units in expected.measured.items():
        rests = (
            f"rests on {units} measured units"
            if units
            else "is a guess: nothing was measured yet (--learn-from)"
        )
        print(f"{chain}: {rests}")
    print(f"{expected.units} units: {expected.cpu_hours:.1f} CPU-hours, {expected.files:.0f} files")
    print(f"{expected.bytes_in / 1e9:.1f} GB to read, {expected.bytes_out / 1e9:.1f} GB to write")
    hours = ", ".join(f"{name} {value:.2f} h" for name, value in expected.hours.items())
    print(f"{expected.duration_hours:.2f} hours, by {expected.limit} ({hours})")


def _file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("campaign", type=Path, metavar="FILE", help="campaign file (YAML)")
    _options(parser)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--site", type=Path, metavar="FILE", help="site file, in place of the campaign's own")
    parser.add_argument(
        "--learn-from",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="earlier campaign whose measured costs are used (after its `forecast`); repeatable",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
