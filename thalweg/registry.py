"""Where chains come from: built in, a file, a dotted name, or an entry point of another package."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from thalweg.chain import Chain, Declaration
from thalweg.errors import BadParameters
from thalweg.parameters import suggest

GROUP = "thalweg.chains"
"""Group of entry points by which another package offers chains."""

# A script that was never meant to be imported may end the process that tries.
_ANY = (Exception, SystemExit)


@dataclass(frozen=True, slots=True)
class Listing:
    """One chain as it is offered, or why it cannot be loaded."""

    name: str
    """Name to call it by."""
    origin: str
    """Where it comes from: built in, or the package and object of an entry point."""
    chain: Declaration | None
    """The chain, or None where it is broken."""
    error: str = ""
    """Why it is broken: the error's own words and place."""


def find_chain(name: str) -> Declaration:
    """The chain called `name`: built in, ``FILE.py:object``, ``package.module:object``, or an entry point.

    Raises BadParameters where there is none, naming the nearest, or where it cannot be loaded, with its error.
    """
    if ":" in name:
        module, _, attribute = name.rpartition(":")
        return _chain_in(_import(module), attribute, name)
    seen = []
    for listing in _offered(first=name):
        if listing.name == name:
            return _loaded(listing)
        seen.append(listing.name)
    raise BadParameters(f"no chain {name!r}. {suggest(name, seen)}")


def find_granule_chain(name: str) -> Chain:
    """As `find_chain`, of a chain whose unit is a granule; BadParameters for a synthesis."""
    chain = find_chain(name)
    if not isinstance(chain, Chain):
        raise BadParameters(
            f"chain {name!r} makes products of tiles and periods, of other products, and a chain of granules is wanted",
            advice="Run it on the products: thalweg run DESTINATION --chain NAME --period PERIOD.",
        )
    return chain


def take_up(chains: list[Declaration], path: str) -> list[Declaration]:
    """The chains with what a user's file declares, where they take such up; BadParameters where none does."""
    if not any(isinstance(chain, Chain) and chain.extended for chain in chains):
        raise BadParameters(f"{path}: none of the chains of this run takes up algorithms")
    names = vars(_import(path))
    return [
        chain.extended(chain, path, names) if isinstance(chain, Chain) and chain.extended else chain
        for chain in chains
    ]


def list_chains() -> list[Listing]:
    """Every chain that is built in or offered by an installed package, broken ones with their error."""
    return list(_offered())


def _offered(first: str = "") -> Iterator[Listing]:
    """One after the other, built-in ones first: no plug-in can take the name of one, or cost those who use one."""
    yield from _built_in(first)
    yield from map(_listed, entry_points(group=GROUP))


def _loaded(listing: Listing) -> Declaration:
    if listing.chain is None:
        raise BadParameters(f"chain {listing.name!r} ({listing.origin}) cannot be loaded: {listing.error}")
    return listing.chain


def _built_in(first: str) -> Iterator[Listing]:
    """The module called `first` comes first, so that whoever asks for one chain does not import all of them."""
    package = importlib.import_module("thalweg.chains")
    modules = pkgutil.iter_modules(package.__path__)
    for module in sorted(modules, key=lambda module: (module.name != first, module.name)):
        name = f"{package.__name__}.{module.name}"
        try:
            loaded = importlib.import_module(name)
        except _ANY as problem:  # a broken chain must be shown, not end the listing
            yield Listing(module.name, "built in", None, _reason(problem))
            continue
        for found in _chains_of(loaded):
            yield Listing(found.name, "built in", found)


def _chains_of(module: ModuleType) -> list[Declaration]:
    return [
        value
        for value in vars(module).values()
        if isinstance(value, Declaration) and _is_made_in(value, module)
    ]


def _is_made_in(chain: Declaration, module: ModuleType) -> bool:
    return chain.function.__module__ == module.__name__


def _listed(point: EntryPoint) -> Listing:
    try:
        chain = point.load()
    except _ANY as problem:  # a broken plug-in must be shown, not end the listing
        return Listing(point.name, point.value, None, _reason(problem))
    if not isinstance(chain, Declaration):
        return Listing(
            point.name, point.value, None, f"{point.value} is a {type(chain).__name__}, not a chain"
        )
    return Listing(chain.name, point.value, chain)


def _import(module: str) -> ModuleType:
    is_file = module.endswith(".py") or "/" in module
    if is_file and not Path(module).is_file():
        raise BadParameters(f"{module}: no such file")
    try:
        return _import_file(Path(module)) if is_file else importlib.import_module(module)
    except _ANY as problem:  # a plug-in may fail in any way; its author must see how
        raise BadParameters(f"{module} cannot be loaded: {_reason(problem)}") from problem


def _import_file(path: Path) -> ModuleType:
    # The name holds the place: two laboratories may both have a turbidity.py.
    name = f"thalweg_plugin_{path.resolve().as_posix().replace('/', '_').removesuffix('.py')}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _chain_in(module: ModuleType, attribute: str, name: str) -> Declaration:
    found = getattr(module, attribute, None)
    if isinstance(found, Declaration):
        return found
    chains = [key for key, value in vars(module).items() if isinstance(value, Declaration)]
    raise BadParameters(f"{name}: no chain called {attribute!r} there; it has: {', '.join(chains) or 'none'}")


def _reason(problem: BaseException) -> str:
    frames = traceback.extract_tb(problem.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(problem).__name__}: {problem}{where}"
