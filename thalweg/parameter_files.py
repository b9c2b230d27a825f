"""Parameter files: dated sets that ship with a chain and are never edited, and a user's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from thalweg.errors import BadParameters
from thalweg.parameters import plain, suggest

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from thalweg.chain import Declaration

_LARGEST = 1_000_000


def dated_sets(chain: str) -> dict[date, Traversable]:
    """The dated parameter sets that ship with a chain, oldest first."""
    folder = files("thalweg.configs") / "chains" / chain
    if not folder.is_dir():
        return {}
    found = {
        date.fromisoformat(file.name[:-5]): file for file in folder.iterdir() if file.name.endswith(".yaml")
    }
    return dict(sorted(found.items()))


def newest_set(chain: str) -> tuple[str, dict[str, Any]]:
    """Name and parameters of a chain's newest dated set; no name and no parameters where it has none."""
    sets = dated_sets(chain)
    return dated_set(chain, list(sets)[-1]) if sets else ("", {})


def dated_set(chain: str, day: date) -> tuple[str, dict[str, Any]]:
    """Name and parameters of the set of a chain that bears a date; BadParameters where there is none."""
    sets = dated_sets(chain)
    if day not in sets:
        known = ", ".join(map(str, sets)) or "none"
        raise BadParameters(f"chain {chain!r} has no parameter set of {day}. Known: {known}.")
    name = f"{chain}/{day}"
    return name, dict(_parse(sets[day].read_text("utf-8"), f"{name}.yaml").get(chain) or {})


def gather(
    chain: Declaration, file: Path | None, chosen: Mapping[str, Any], others: Iterable[str] = ()
) -> dict[str, Any]:
    """What a chain is given: its dated set, then the user's file, then single values chosen.

    `others` are the chains that the file may speak of besides. Raises BadParameters that names file, line and key.
    """
    _, given = newest_set(chain.name)
    given.update(read_parameters(file, chain, others) if file else {})
    given.update(chosen)
    return given


def read_parameters(path: Path, chain: Declaration, others: Iterable[str] = ()) -> dict[str, Any]:
    """The section of a chain in a file of sections, one a chain: every key declared, every value valid.

    `others` are the chains whose sections may stand beside it. Raises BadParameters that names file, line and key.
    """
    text = _read(path)
    sections, lines = _parse(text, str(path)), _lines(text, str(path))
    known = [chain.name, *others]
    for name, section in sections.items():
        where = f"{path}:{lines[(name,)]}"
        if name not in known:
            raise BadParameters(f"{where}: no chain {name!r} here. {suggest(name, known)}")
        if not isinstance(section, Mapping | None):
            raise BadParameters(f"{where}: section {name!r} holds no parameters")
    given = sections.get(chain.name) or {}
    # A key that an alias brought in, or that YAML read as a number, has no line of its own.
    places = {key: lines.get((chain.name, str(key)), lines[(chain.name,)]) for key in given}
    return {str(key): _checked(chain, key, value, f"{path}:{places[key]}") for key, value in given.items()}


def read_sections(path: Path) -> dict[str, Any]:
    """The mapping at the top of a YAML file, every key of it text; BadParameters where it holds anything else."""
    return _parse(_read(path), str(path))


def write_parameters(chain: str, values: Mapping[str, Any]) -> str:
    """The text of a parameter file with these values."""
    return str(yaml.safe_dump({chain: plain(values)}, sort_keys=False, allow_unicode=True))


def _checked(chain: Declaration, key: Any, value: Any, where: str) -> Any:
    declared = {parameter.name: parameter for parameter in chain.parameters.declared}
    if key not in declared:
        raise BadParameters(f"{where}: unknown key {key!r}. {suggest(key, declared)}")
    try:
        return declared[key].check(value, chain.name)
    except BadParameters as problem:
        raise BadParameters(f"{where}: {problem.message}") from None


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise BadParameters(f"{path}: larger than {_LARGEST} bytes: no parameter file")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise BadParameters(f"{path}: cannot be read: {problem}") from problem


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise BadParameters(f"{name}: not YAML: {problem}") from problem
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise BadParameters(f"{name}: expected sections named after chains")
    return data


def _lines(text: str, name: str) -> dict[tuple[str, ...], int]:
    """Line of every key of the two upper levels; BadParameters for a key that is given twice."""
    lines: dict[tuple[str, ...], int] = {}

    def note(node: yaml.MappingNode, above: tuple[str, ...]) -> None:
        for key, value in node.value:
            path, line = (*above, str(key.value)), key.start_mark.line + 1
            if path in lines:
                raise BadParameters(
                    f"{name}:{line}: key {key.value!r} is given twice, first in line {lines[path]}"
                )
            lines[path] = line
            if not above and isinstance(value, yaml.MappingNode):
                note(value, path)

    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is not None:
        note(root, ())
    return lines
