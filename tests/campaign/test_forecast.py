"""Costs learnt from what was measured, and the forecast that rests on them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.campaign.archives import make_archive, safe_name, write_campaign, write_chains
from tests.campaign.conftest import LIMITS
from tests.campaign.plans import a_plan, receipt
from thalweg.campaign.costs import GUESS, Costs, learn_costs, read_costs, write_costs
from thalweg.campaign.forecast import forecast, granules_per_batch, heavy_tiles
from thalweg.campaign.ledger import open_ledger
from thalweg.campaign.plan import Plan
from thalweg.campaign.site_file import Site
from thalweg.cli.main import main
from thalweg.errors import BadParameters
from thalweg.tile import tile_ids

LEARNT, CHECKED, DATES = 20, 80, 5


def tiles_with_facts(seed: int) -> tuple[Plan, dict[str, float]]:
    """A hundred tiles, their shares of land and lake, and what a unit of each one costs: no straight line."""
    random = np.random.default_rng(seed)
    tiles = sorted(random.choice(list(tile_ids()), LEARNT + CHECKED, replace=False).tolist())
    land, lake = random.uniform(0, 1, len(tiles)), random.exponential(0.02, len(tiles))
    facts = {tile: {"land": float(a), "lake": float(b)} for tile, a, b in zip(tiles, land, lake, strict=True)}
    costs = {tile: 10 + 60 * each["land"] ** 1.5 + 400 * each["lake"] for tile, each in facts.items()}
    return replace(a_plan(tiles, DATES, ("snow", "water")), facts=facts), costs


def learn_on_some(plan: Plan, costs: dict[str, float], path: Path, learnt: set[str], seed: int) -> Costs:
    """Costs after the units of some tiles have run, each with noise of its own."""
    random = np.random.default_rng(seed)
    with open_ledger(path, limits=LIMITS) as ledger:
        ledger.load_plan(plan)
        for batch in ledger.next_batches(1000):
            if batch.tile not in learnt:
                continue
            lease = ledger.lease(batch)
            ledger.take_receipts(
                receipt(
                    unit.id,
                    lease.token,
                    cpu_seconds=cost(unit.chain, costs[unit.tile]) * float(random.lognormal(0, 0.2)),
                    bytes_in=600_000_000,
                    bytes_out=int(1e6 * costs[unit.tile]),
                    files=15,
                )
                for unit in batch.units
            )
        return learn_costs(ledger, plan)


def cost(chain: str, of_tile: float) -> float:
    return of_tile if chain == "snow" else 3 * of_tile


@pytest.mark.parametrize("seed", range(4))
def test_learnt_on_two_hundred_units_right_on_eight_hundred_others(tmp_path: Path, seed: int) -> None:
    plan, costs = tiles_with_facts(seed)
    tiles = sorted(costs)
    np.random.default_rng(seed).shuffle(tiles)
    learnt, others = set(tiles[:LEARNT]), set(tiles[LEARNT:])
    known = learn_on_some(plan, costs, tmp_path / "ledger.sqlite", learnt, seed)
    assert known.chains["snow"].units + known.chains["water"].units == 200
    facts = [plan.facts[tile] for tile in sorted(others) for _ in range(DATES)]
    assert 2 * len(facts) == 800
    true = np.array([costs[tile] for tile in sorted(others) for _ in range(DATES)])
    expected = known.of("snow", "cpu_seconds", facts) + known.of("water", "cpu_seconds", facts)
    assert abs(expected.sum() / (4 * true.sum()) - 1) < 0.2
    assert np.median(np.abs(expected / (4 * true) - 1)) < 0.2, "tile by tile, too"


def test_tiles_that_differ_are_told_apart(tmp_path: Path) -> None:
    plan, costs = tiles_with_facts(7)
    known = learn_on_some(plan, costs, tmp_path / "ledger.sqlite", set(sorted(costs)[:LEARNT]), 7)
    low, high = known.of("snow", "cpu_seconds", [{"land": 0.05, "lake": 0.0}, {"land": 0.95, "lake": 0.0}])
    assert high > 2 * low
    assert known.of("snow", "cpu_seconds", [{}])[0] == pytest.approx(
        known.chains["snow"].lines["cpu_seconds"].base
    )


def test_the_duration_is_that_of_the_narrowest(tmp_path: Path) -> None:
    plan = a_plan(dates=10, chains=("snow",))
    guess = forecast(plan, Costs({}), Site(cores=1))
    assert guess.measured == {"snow": 0}
    assert guess.cpu_hours == pytest.approx(20 * GUESS["cpu_seconds"] / 3600)
    assert (guess.limit, guess.duration_hours) == ("cpu", guess.hours["cpu"])
    assert forecast(plan, Costs({}), Site(cores=1000, bandwidth_mb_s=1)).limit == "bandwidth"
    assert forecast(plan, Costs({}), Site(cores=1000, files_per_second=0.01)).limit == "files"


def test_batches_last_as_long_as_the_site_wants() -> None:
    assert granules_per_batch(("snow",), Costs({}), Site(job_seconds=2400)) == 80
    assert granules_per_batch(("snow", "water"), Costs({}), Site(job_seconds=2400)) == 40
    assert granules_per_batch(("snow",), Costs({}), Site(job_seconds=1)) == 1


def test_heavy_tiles_have_smaller_batches(tmp_path: Path) -> None:
    plan, costs = tiles_with_facts(3)
    known = learn_on_some(plan, costs, tmp_path / "learnt.sqlite", set(sorted(costs)[:LEARNT]), 3)
    slow = {name: replace(each, lines={**each.lines, "wall_seconds": each.lines["cpu_seconds"]}, seconds=40.0)
            for name, each in known.chains.items()}  # fmt: skip
    site = Site(job_seconds=400)
    heavy = heavy_tiles(plan, Costs(slow), site)
    usual = granules_per_batch(("snow", "water"), Costs(slow), site)
    assert usual == 5
    assert heavy and all(1 <= number < usual for number in heavy.values())
    dearest, cheapest = max(costs, key=costs.__getitem__), min(costs, key=costs.__getitem__)
    assert heavy[dearest] < usual and cheapest not in heavy
    assert heavy_tiles(plan, Costs({}), site) == {}
    with open_ledger(tmp_path / "ledger.sqlite", limits=LIMITS) as ledger:
        ledger.load_plan(replace(plan, heavy=heavy), usual)
        sizes = {batch.tile: len(batch.units) // 2 for batch in ledger.next_batches(10_000)}
    assert sizes[cheapest] == DATES
    assert all(sizes[tile] <= number for tile, number in heavy.items())


def test_costs_outlive_their_campaign(tmp_path: Path) -> None:
    plan, costs = tiles_with_facts(1)
    known = learn_on_some(plan, costs, tmp_path / "ledger.sqlite", set(sorted(costs)[:3]), 1)
    write_costs(tmp_path / "costs.json", known)
    assert read_costs(tmp_path / "costs.json") == known
    (tmp_path / "costs.json").write_text('{"chain": {}}')
    with pytest.raises(BadParameters, match=r"costs\.json.*Did you mean 'chains'"):
        read_costs(tmp_path / "costs.json")


def test_the_check_looks_before_the_queue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_chains(tmp_path)
    make_archive(tmp_path / "archive", [safe_name("31TCH")])
    file = write_campaign(tmp_path)
    site = tmp_path / "site.yaml"
    site.write_text("min_free_gb: 0\nmin_free_inodes: 0\n")
    words = ["campaign", "check", str(file), "--site", str(site)]
    assert main(words) == 0
    assert "FAIL" not in capsys.readouterr().out
    file = write_campaign(tmp_path, chains=[{"name": "snow"}])
    assert main(words) == 11
    assert "FAIL static dem" in capsys.readouterr().out
    file = write_campaign(tmp_path, chains=[{"name": "lab.py:one", "parameters": {"facter": 2}}])
    assert main(words) == 12
    assert "Did you mean 'factor'" in capsys.readouterr().err
    write_campaign(tmp_path)
    site.write_text("min_free_gb: 1.0e+9\n")
    assert main([*words, "--json"]) == 22
    checks = json.loads(capsys.readouterr().out)
    assert [check["subject"] for check in checks if check["problem"]] == ["disk"]


def test_inputs_that_are_not_there_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.campaign.archives import write_geoparquet

    write_chains(tmp_path)
    names = [safe_name("31TCH", day) for day in range(3)]
    make_archive(tmp_path / "archive", names[:1])
    write_geoparquet(tmp_path / "items.parquet", names)
    source = {"provider": "geoparquet", "at": "items.parquet", "path": "archive/T{tile}/{id}.SAFE"}
    file = write_campaign(tmp_path, inputs=source)
    (tmp_path / "site.yaml").write_text("min_free_gb: 0\nmin_free_inodes: 0\n")
    assert main(["campaign", "check", str(file), "--site", str(tmp_path / "site.yaml")]) == 11
    assert "2 granules are not there" in capsys.readouterr().out


def test_the_forecast_command_learns_from_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from thalweg.campaign.folder import open_folder

    write_chains(tmp_path)
    make_archive(tmp_path / "archive", [safe_name("31TCH", day) for day in range(4)])
    file = write_campaign(tmp_path)
    assert main(["campaign", "plan", str(file), "--to", str(tmp_path / "work")]) == 0
    assert main(["campaign", "forecast", str(tmp_path / "work")]) == 0
    assert "is a guess" in capsys.readouterr().out
    with open_folder(tmp_path / "work").ledger() as ledger:
        lease = ledger.lease(ledger.next_batches(1)[0])
        units = lease.waiting.units
        ledger.take_receipts(receipt(unit.id, lease.token, cpu_seconds=7200.0) for unit in units[:2])
    assert main(["campaign", "forecast", str(tmp_path / "work"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["cpu_hours"], found["measured"]) == (pytest.approx(8.0), {"lab.one": 2})
    assert main(["campaign", "forecast", str(file), "--learn-from", str(tmp_path / "work"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cpu_hours"] == pytest.approx(8.0)
