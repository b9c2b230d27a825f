"""What every test may ask for, and how property tests explore."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.clusters import started
from tests.season import Season, make_season
from tests.summer import make_summer
from tests.winter import Winter, make_winter

ROOT = Path(__file__).resolve().parent.parent
"""The repository."""

# Two runs of one commit see the same examples; `--hypothesis-profile=explore` looks further, at random.
settings.register_profile(
    "house",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("explore", settings.get_profile("house"), derandomize=False, max_examples=2000)
settings.load_profile("house")


def pytest_configure(config: pytest.Config) -> None:
    """Keep compiled kernels where the product keeps them, before any test imports one."""
    from thalweg.settings import read_settings, use_kernel_cache

    use_kernel_cache(read_settings().kernel_cache)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return ROOT


def shared_folder() -> Path | None:
    """The folder of conformance files and real data, None where there is none."""
    folder = Path(os.environ.get("THALWEG_SHARED") or ROOT.parent / "shared")
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of conformance files and real data; tests that need it are skipped where it is absent."""
    folder = shared_folder()
    if folder is None:
        pytest.skip("no shared data: set THALWEG_SHARED to the folder that holds conformance/ and data/")
    return folder


@pytest.fixture(scope="session")
def winter(tmp_path_factory: pytest.TempPathFactory) -> Winter:
    """A small synthetic granule in genuine MUSCATE layout, with static layers; not to be changed."""
    return make_winter(tmp_path_factory.mktemp("winter"))


@pytest.fixture(scope="session")
def summer(tmp_path_factory: pytest.TempPathFactory) -> Winter:
    """A small synthetic granule with a lake, which all chains can read; not to be changed."""
    return make_summer(tmp_path_factory.mktemp("summer"))


@pytest.fixture(scope="session")
def season(tmp_path_factory: pytest.TempPathFactory) -> Season:
    """Six small granules, one corrupt, one without a usable pixel, and what a plain run makes of them."""
    return make_season(tmp_path_factory.mktemp("season"))


@pytest.fixture(scope="session")
def full_season(tmp_path_factory: pytest.TempPathFactory) -> Season:
    """The same granules through the chains of snow, water and quality."""
    return make_season(tmp_path_factory.mktemp("full-season"), ("snow", "water", "quality"))


@pytest.fixture(scope="session")
def slurm_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a real Slurm of four nodes; skipped where the tests do not run as root."""
    yield from started("slurm", tmp_path_factory.mktemp("slurm"))


@pytest.fixture(scope="session")
def grid_engine_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a real Grid Engine with DRMAA; skipped where the tests do not run as root."""
    yield from started("gridengine", tmp_path_factory.mktemp("gridengine"))


@pytest.fixture
def on_slurm(slurm_cluster: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The real Slurm, in this process's environment."""
    for name, value in slurm_cluster.items():
        monkeypatch.setenv(name, value)
    return slurm_cluster
