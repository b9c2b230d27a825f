"""A scientist's own algorithms in the water-quality chain: they are part of its parameters, hence of its identity."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from thalweg.chain import Chain
from thalweg.chains.quality_algorithms import built_in
from thalweg.chains.quality_declaration import Declaration
from thalweg.chains.quality_layers import STANDARD
from thalweg.chains.quality_parameters import Quality
from thalweg.errors import BadParameters
from thalweg.parameters import Parameter, Within, canonical_json

DIGESTS = "algorithm_digests"
"""Parameter that holds what the user's algorithms are: set by declaring them, not by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedQuality(Quality):
    """Parameters together with a user's algorithms."""

    algorithm_digests: Mapping[str, str] = field(default_factory=dict)
    """Id to digest of each of the user's algorithms."""
    extra: Mapping[str, Declaration] = field(default_factory=dict)
    """Id to declaration."""


def extra_of(parameters: Quality) -> Mapping[str, Declaration]:
    """The user's algorithms."""
    return parameters.extra if isinstance(parameters, ExtendedQuality) else {}


def extend(base: Chain, where: str, found: Iterable[Declaration]) -> Chain:
    """The chain with more algorithms; BadParameters, naming the file, for none at all or an id that is taken."""
    known = {**STANDARD, **built_in(), **_taken(base)}
    extra: dict[str, Declaration] = dict(_taken(base))
    for declared in found:
        if declared.id in known or declared.id in extra:
            raise BadParameters(f"{where}: algorithm {declared.id!r} exists already; give it another id")
        extra[declared.id] = declared
    if len(extra) == len(_taken(base)):
        raise BadParameters(
            f"{where}: declares no algorithm; see docs/guide/add-a-water-quality-algorithm.md"
        )
    digests = {id: digest_of(declared) for id, declared in extra.items()}
    kept = [parameter for parameter in base.parameters.declared if parameter.name != DIGESTS]
    note = Within(note="digest of each of the user's algorithms: not to be set by hand")
    wider = (*kept, Parameter(DIGESTS, dict[str, str], digests, note))
    parameters = replace(base.parameters, declared=wider, build=partial(_build, extra))
    return replace(base, parameters=parameters)


def _build(extra: Mapping[str, Declaration], **values: Any) -> ExtendedQuality:
    return ExtendedQuality(extra=extra, **values)


def _taken(base: Chain) -> Mapping[str, Declaration]:
    build = base.parameters.build
    return build.args[0] if isinstance(build, partial) else {}


def digest_of(declared: Declaration) -> str:
    """SHA-256 over everything that decides the values of a user's algorithm, its source text included."""
    parts = declared.algorithm.components
    identity = {
        "id": declared.id,
        "variable": declared.variable,
        "range": [declared.lowest, declared.highest],
        "kind": declared.kind,
        "bands": [list(part.bands) for part in parts],
        "parameters": [list(part.coefficients) for part in parts],
        "scale": declared.scale,
        "source": [_source_of(part.value) for part in parts],
    }
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()


def _source_of(rows: Callable[..., Any]) -> str:
    return inspect.getsource(getattr(rows, "formula", rows))
