"""What is asked for: chains with their parameters, and what holds for every unit of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from thalweg.attempt import Commission
from thalweg.chain import Declaration
from thalweg.errors import MissingInput, UsageError
from thalweg.parameter_files import gather
from thalweg.parameters import digest
from thalweg.registry import find_chain, take_up
from thalweg.settings import Settings
from thalweg.static import StaticLayers
from thalweg.upstream import Find, finder

if TYPE_CHECKING:
    from thalweg.cog import Codec
    from thalweg.grid import Bounds


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of every unit of a run."""

    destination: Path
    """Where products go."""
    static: StaticLayers
    """Where static layers are."""
    settings: Settings
    """Surroundings."""
    box: Bounds | None = None
    """West, south, east, north in degrees: only this part of the tile."""
    codec: Codec = "zstd"
    """How rasters are compressed."""
    strip_rows: int | None = None
    """Rows of a strip; changes no result."""
    progress: Callable[[str, str, float], None] | None = None
    """Told granule, chain and the share of the work that is done."""
    products: Mapping[str, Path] = field(default_factory=dict)
    """Chain to folder of its product, for chains that read another's layers; else the destination is searched."""
    commission: Commission | None = None
    """The campaign, None where nobody keeps an account."""

    @property
    def find(self) -> Find:
        """Gives the products of other chains; in a campaign, of its own chains only."""
        return finder(self.destination, self.products, self.commission.chains if self.commission else None)


C = TypeVar("C", bound=Declaration, covariant=True)


@dataclass(frozen=True, slots=True)
class Assignment(Generic[C]):
    """A chain with the parameters of this run."""

    chain: C
    """The chain."""
    values: Mapping[str, Any]
    """Resolved parameters, all of them."""
    parameters: Any
    """What the chain's functions receive."""

    @property
    def digest(self) -> str:
        """Digest of the resolved parameters."""
        return digest(self.values)


def assign(
    names: list[str | Declaration],
    file: Path | None,
    given: Mapping[str, Any],
    algorithms: Sequence[str] = (),
) -> list[Assignment[Any]]:
    """Chains with their parameters and what they take up of users' files, checked before anything runs."""
    chains = [find_chain(name) if isinstance(name, str) else name for name in names]
    if not chains:
        raise UsageError("no chain was asked for")
    for path in algorithms:
        chains = take_up(chains, path)
    by_chain = {chains[0].name: given} if len(chains) == 1 else given
    strangers = sorted(set(by_chain) - {chain.name for chain in chains})
    if strangers:
        raise UsageError(f"parameters for {strangers[0]!r}, which is no chain of this run")
    known = [chain.name for chain in chains]
    if twice := sorted({name for name in known if known.count(name) > 1}):
        raise UsageError(f"the chain {twice[0]!r} was asked for twice")
    assignments = []
    for chain in chains:
        values, parameters = chain.prepare(gather(chain, file, by_chain.get(chain.name, {}), known))
        assignments.append(Assignment(chain, values, parameters))
    return assignments


def named_products(given: Mapping[str, str | Path]) -> dict[str, Path]:
    """Chain to folder of a product that the user names; MissingInput where there is no such folder."""
    folders = {chain: Path(folder) for chain, folder in given.items()}
    for chain, folder in folders.items():
        if not folder.is_dir():
            raise MissingInput(f"product of chain {chain!r}: {folder}: no such folder")
    return folders


def static_layers(
    folder: str | Path | None, files: Mapping[str, str | Path] | None, without: Iterable[str]
) -> StaticLayers:
    """Where static layers are; MissingInput for one that the user names and that is not there."""
    named = {role: Path(path) for role, path in (files or {}).items()}
    for role, path in named.items():
        if not path.exists():
            raise MissingInput(f"static layer {role!r}: {path}: no such file")
    return StaticLayers(Path(folder) if folder is not None else None, named, frozenset(without))
