"""thalweg chain: list chains, show one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.chain import Chain
from thalweg.cli.report import print_table
from thalweg.synthesis import Synthesis

if TYPE_CHECKING:
    from thalweg.chain import Declaration
    from thalweg.inputs import Input
    from thalweg.parameters import Parameter


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="list|show|schemas")
    listing = verbs.add_parser("list", help="every chain, broken ones with their error")
    listing.add_argument("--json", action="store_true", help="as JSON")
    show = verbs.add_parser("show", help="inputs, outputs and parameters of a chain")
    show.add_argument("chain", metavar="CHAIN", help="name, ./file.py:function or package.module:function")
    show.add_argument("--json", action="store_true", help="as JSON")
    show.add_argument("--schema", action="store_true", help="the JSON Schema of its parameters")
    schemas = verbs.add_parser("schemas", help="write the JSON Schemas of all built-in chains")
    schemas.add_argument("--to", type=Path, required=True, metavar="DIR", help="DIR/<chain>/schema.json")


def execute(arguments: argparse.Namespace) -> int:
    """List, show or write schemas."""
    if arguments.verb == "schemas":
        return _write_schemas(arguments.to)
    return _list(arguments.json) if arguments.verb == "list" else _show(arguments)


def _list(as_json: bool) -> int:
    from thalweg.registry import list_chains

    listings = list_chains()
    if as_json:
        facts = [
            {
                "name": listing.name,
                "version": listing.chain.version if listing.chain else None,
                "origin": listing.origin,
                "description": listing.chain.description if listing.chain else None,
                "error": listing.error or None,
            }
            for listing in listings
        ]
        print(json.dumps(facts, indent=2))
        return 0
    rows = []
    for listing in listings:
        version = listing.chain.version if listing.chain else "broken"
        text = listing.chain.description if listing.chain else listing.error
        rows.append((listing.name, version, listing.origin, text))
    print_table("", ("chain", "version", "origin", "what it does"), rows)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from thalweg.registry import find_chain

    chain = find_chain(arguments.chain)
    if arguments.schema:
        print(json.dumps(chain.parameters.schema(), indent=2))
    elif arguments.json:
        print(json.dumps(describe(chain), indent=2, default=list))
    else:
        _print(chain)
    return 0


def _write_schemas(folder: Path) -> int:
    from thalweg.schemas import write_schemas

    for path in write_schemas(folder):
        print(path)
    return 0


def describe(chain: Declaration) -> dict[str, Any]:
    """The declarations of a chain as plain values."""
    from thalweg.parameter_files import newest_set

    _, parameters = chain.prepare({})
    return {
        "name": chain.name,
        "version": chain.version,
        "description": chain.description,
        **_taken(chain, parameters),
        "outputs": [
            {"name": layer.name, "dtype": layer.dtype, "units": layer.units, "description": layer.description}
            for layer in chain.outputs
        ],
        "parameters": chain.parameters.schema()["properties"],
        "parameter_set": newest_set(chain.name)[0] or None,
        "references": chain.references,
        "licence": chain.licence,
    }


def _print(chain: Declaration) -> None:
    facts = describe(chain)
    print(f"{chain.name} {chain.version}\n  {chain.description}\n")
    print(f"{_sentence(facts)}; parameter set {facts['parameter_set'] or '(none)'}\n")
    if "inputs" in facts:
        print_table("", ("input", "kind", "needed"), [_input_row(entry) for entry in facts["inputs"]])
        print()
    layers = [(layer.name, layer.dtype, layer.units or "", layer.description) for layer in chain.outputs]
    print_table("", ("layer", "type", "unit", "meaning"), layers)
    print()
    print_table(
        "", ("parameter", "default", "range", "meaning"), [_row(p) for p in chain.parameters.declared]
    )
    for reference in chain.references:
        print(f"\n{reference}")


def _taken(chain: Declaration, parameters: Any) -> dict[str, Any]:
    """What a chain takes: granules with inputs, or products with one of several layers."""
    if isinstance(chain, Synthesis):
        periods = "calendar months and years" if chain.calendar else "any days"
        return {"of": chain.of, "takes": chain.takes, "periods": periods}
    if not isinstance(chain, Chain):
        return {}
    return {
        "levels": chain.levels,
        "inputs": [_input(declared) for declared in chain.inputs_for(parameters)],
    }


def _sentence(facts: dict[str, Any]) -> str:
    if "of" in facts:
        layers = " or ".join(facts["takes"])
        return (
            f"takes products of {facts['of']} ({layers}), one product a tile and period ({facts['periods']})"
        )
    return f"takes {', '.join(facts.get('levels', ()))} granules"


def _input(declared: Input) -> dict[str, Any]:
    kind = type(declared).__name__.lower()
    # A model is read once, before all steps.
    step = getattr(declared, "step", None)
    return {"name": declared.name, "kind": kind, "required": declared.required, "step": step}


def _input_row(entry: dict[str, Any]) -> tuple[str, str, str]:
    return entry["name"], entry["kind"], "yes" if entry["required"] else "no"


def _row(parameter: Parameter) -> tuple[str, str, str, str]:
    within = parameter.within
    limits = (
        ""
        if within.high == float("inf") and within.low == -within.high
        else f"{within.low:g} .. {within.high:g}"
    )
    return parameter.name, json.dumps(parameter.default), f"{limits} {within.unit}".strip(), within.note
