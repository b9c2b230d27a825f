"""Campaign and site files: strict, and every error says where."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.campaign.archives import write_campaign
from thalweg.campaign.campaign_file import Campaign, read_campaign
from thalweg.campaign.schemas import reference_files
from thalweg.campaign.site_file import Site, read_site
from thalweg.errors import BadParameters, MissingInput
from thalweg.record import plain_record

ROOT = Path(__file__).resolve().parent.parent.parent
REFERENCE = ROOT / "docs" / "reference"


def test_the_published_reference_is_fresh() -> None:
    wanted = reference_files()
    assert {name: (REFERENCE / name).read_text("utf-8") for name in wanted} == wanted, "run: make schemas"


def test_every_field_is_documented() -> None:
    def undocumented(schema: dict[str, object], name: str) -> list[str]:
        properties = schema.get("properties")
        found = [] if "description" not in schema or schema["description"] else [name]
        for key, value in (properties or {}).items():  # type: ignore[attr-defined]
            found += undocumented(value, f"{name}.{key}")
        return found

    for name in ("campaign.schema.json", "site.schema.json"):
        assert undocumented(json.loads(reference_files()[name]), name) == []


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs").glob("campaigns/*.yaml")), ids=lambda path: path.name
)
def test_shipped_campaigns_are_valid(path: Path) -> None:
    campaign = read_campaign(path)
    schema = json.loads(reference_files()["campaign.schema.json"])
    jsonschema.validate(yaml.safe_load(path.read_text()), schema)
    assert campaign.site is not None
    read_site(path.parent / campaign.site)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("sites/*.yaml")), ids=lambda path: path.name)
def test_shipped_sites_are_valid(path: Path) -> None:
    assert read_site(path).name == path.stem
    jsonschema.validate(yaml.safe_load(path.read_text()), json.loads(reference_files()["site.schema.json"]))


def test_something_is_shipped() -> None:
    assert {path.parent.name for path in (ROOT / "configs").glob("[cs]*/*.yaml")} == {"campaigns", "sites"}


def test_a_campaign_reads_as_written(tmp_path: Path) -> None:
    path = write_campaign(
        tmp_path,
        period="2024-01-01/2024-03-31",
        tiles={"list": ["31TCH"], "where": None},
        gates={"cloud_cover": 90},
    )
    campaign = read_campaign(path)
    assert (campaign.name, campaign.period, campaign.tiles.list) == (
        "alps",
        "2024-01-01/2024-03-31",
        ("31TCH",),
    )
    assert campaign.gates.cloud_cover == 90.0
    assert isinstance(campaign, Campaign)


@pytest.mark.parametrize("period", ["2024", "2024-01", "2024-01-05", "2024-01/.."])
def test_periods_need_no_quotes(tmp_path: Path, period: str) -> None:
    path = write_campaign(tmp_path)
    path.write_text(path.read_text().replace("period: '2024'", f"period: {period}"))
    assert read_campaign(path).period == period


def test_versions_and_dates_need_no_quotes(tmp_path: Path) -> None:
    path = write_campaign(tmp_path)
    text = path.read_text().replace("- name: lab.py:one", "- name: snow\n  version: 1.0\n  set: 2026-11-20")
    path.write_text(text)
    (chain,) = read_campaign(path).chains
    assert (chain.version, chain.set) == ("1.0", "2026-11-20")


@pytest.mark.parametrize(
    ("changes", "line", "said"),
    [
        ({"tile": ["31TCH"]}, 9, "unknown key 'tile'. Did you mean 'tiles'?"),
        ({"gates": {"clouds": 5}}, 10, "gates.clouds: unknown key 'clouds'. Did you mean 'cloud_cover'?"),
        ({"gates": {"cloud_cover": 101}}, 9, "cloud_cover = 101: must be 0 to 100"),
        ({"gates": {"cloud_cover": "much"}}, 10, "gates.cloud_cover: expected a number"),
        ({"priority": 1.5}, 9, "priority: expected a whole number"),
        ({"priority": 1000}, None, "priority = 1000"),
        ({"name": "a b"}, None, "letters, digits"),
        ({"period": "last year"}, None, "'last year' is no date"),
        ({"chains": []}, None, "at least one"),
        ({"chains": [{"name": "snow"}, {"name": "snow"}]}, None, "named twice"),
        ({"inputs": {"provider": "ftp", "at": "x"}}, 6, "expected one of folder, stac"),
        ({"inputs": {"provider": "folder"}}, None, "inputs.at: is missing"),
        ({"tiles": {"where": "a > 1"}}, 9, "where needs table"),
        ({"tiles": {"bbox": [1, 2, 3]}}, 9, "west, south, east, north"),
    ],
)
def test_errors_name_file_line_and_field(
    tmp_path: Path, changes: dict[str, object], line: int | None, said: str
) -> None:
    path = write_campaign(tmp_path, **changes)
    with pytest.raises(BadParameters) as caught:
        read_campaign(path)
    assert said in caught.value.message
    assert caught.value.message.startswith(f"{path}:{line}: " if line else f"{path}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\nname: b\n", "given twice"),
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("a: [1\n", "no readable YAML"),
        ("", "is empty"),
        ("- 1\n", "expected a mapping"),
        ("? [a]\n: 1\n", "plain word"),
    ],
)
def test_what_is_no_campaign_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text(text)
    with pytest.raises(BadParameters, match=said):
        read_campaign(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"nowhere\.yaml"):
        read_campaign(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cores": 0}, "cores = 0: must be above 0"),
        ({"max_memory_mb": 10}, "less than the 3000 MB"),
        ({"max_seconds": 60}, "less than job_seconds"),
        ({"ledger": "mysql://x"}, "expected postgresql://"),
        ({"engine": "pbs"}, "expected one of here, processes, slurm, drmaa"),
        ({"partitions": "x"}, "Did you mean 'partition'"),
    ],
)
def test_sites_are_checked(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump(changes))
    with pytest.raises(BadParameters, match=said):
        read_site(path)


def test_a_site_that_is_written_back_reads_the_same(tmp_path: Path) -> None:
    site = Site(name="hpc5", engine="slurm", partition="cpu2022", places={"archive": "/archive"})
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump(plain_record(site)))
    assert read_site(path) == site
