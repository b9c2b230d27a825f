"""The chains of a campaign with their parameters resolved once, for every unit of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from thalweg.campaign.campaign_file import ChosenChain
from thalweg.chain import Chain
from thalweg.errors import BadParameters
from thalweg.granule import Granule
from thalweg.inputs import Static
from thalweg.parameter_files import dated_set, newest_set, read_parameters
from thalweg.parameters import digest
from thalweg.registry import find_granule_chain


@dataclass(frozen=True, slots=True)
class PlannedChain:
    """A chain as the plan froze it."""

    name: str
    """Name that finds it: built in, ``FILE.py:object``, ``package.module:object`` or an entry point."""
    chain: str
    """Name that it declares, which its products bear."""
    version: str
    """Its version when the plan was made."""
    set: str
    """Dated parameter set that was used, empty where it has none."""
    parameters: Mapping[str, Any]
    """Every parameter with its value."""
    digest: str
    """SHA-256 of the parameters."""


@dataclass(frozen=True, slots=True)
class ReadyChain:
    """A planned chain together with what it declares."""

    planned: PlannedChain
    """As the plan froze it."""
    chain: Chain
    """The chain."""
    parameters: Any
    """The parameters in the form that its functions receive."""

    def statics(self, granule: Granule) -> tuple[Static, ...]:
        """The static layers that it may read of such a granule."""
        inputs = self.chain.inputs_for(self.parameters, granule)
        return tuple(declared for declared in inputs if isinstance(declared, Static))


def prepare_chains(chosen: tuple[ChosenChain, ...], base: Path) -> tuple[ReadyChain, ...]:
    """The chains of a campaign, loaded and with checked parameters; files are relative to `base`.

    Raises BadParameters for a chain, version, set or parameter that does not exist or is not valid.
    """
    found = [(each, name := _name(each.name, base), find_granule_chain(name)) for each in chosen]
    names = [chain.name for _, _, chain in found]
    if len(set(names)) < len(names):
        raise BadParameters("chains: two of them declare the same name")
    return tuple(_ready(each, name, chain, names, base) for each, name, chain in found)


def _name(name: str, base: Path) -> str:
    """A chain's name, with a file made absolute: jobs start elsewhere."""
    file, mark, attribute = name.rpartition(":")
    is_file = mark and (file.endswith(".py") or "/" in file)
    return f"{(base / file).absolute()}:{attribute}" if is_file else name


def _ready(chosen: ChosenChain, name: str, chain: Chain, names: list[str], base: Path) -> ReadyChain:
    if chosen.version is not None and chosen.version != chain.version:
        raise BadParameters(
            f"chains: {chain.name!r} is version {chain.version} here, the campaign was written for {chosen.version}",
            advice="Install that version, or change the campaign: another version makes other products.",
        )
    label, given = _set(chain.name, chosen.set)
    if chosen.file:
        given.update(read_parameters(base / chosen.file, chain, names))
    given.update(chosen.parameters)
    values, parameters = chain.prepare(given)
    planned = PlannedChain(name, chain.name, chain.version, label, values, digest(values))
    return ReadyChain(planned, chain, parameters)


def _set(chain: str, day: str | None) -> tuple[str, dict[str, Any]]:
    if day is None:
        return newest_set(chain)
    try:
        return dated_set(chain, date.fromisoformat(day))
    except ValueError:
        raise BadParameters(f"chains: set {day!r} of {chain!r}: expected a date such as 2026-11-20") from None
