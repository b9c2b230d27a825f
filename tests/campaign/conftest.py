"""Ledgers in both databases."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.campaign.postgres import server
from thalweg.campaign.ledger import Ledger, open_ledger
from thalweg.campaign.policy import Limits

LIMITS = Limits(memory_mb=1000, max_memory_mb=3000, seconds=600, max_seconds=1200)

OpenLedger = Callable[..., Ledger]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a real PostgreSQL."""
    context = server()
    try:
        address = context.__enter__()
    except RuntimeError as problem:
        pytest.skip(str(problem))
    yield address
    context.__exit__(None, None, None)


@pytest.fixture(params=["sqlite", "postgres"])
def new_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> OpenLedger:
    """Opens a ledger; a second call opens the same one again."""
    where: str | Path = tmp_path / "ledger.sqlite"
    if request.param == "postgres":
        where = request.getfixturevalue("postgres")
    schema = uuid.uuid4().hex[:12]
    return lambda limits=LIMITS: open_ledger(where, schema, limits)


@pytest.fixture
def ledger(new_ledger: OpenLedger) -> Iterator[Ledger]:
    """An empty ledger."""
    with new_ledger() as opened:
        yield opened
