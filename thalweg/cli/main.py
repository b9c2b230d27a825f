"""Entry point: finds the command, loads its module, turns errors into messages and exit codes.

argparse rather than a framework on top of it: `thalweg --help` has 0.3 seconds on a slow shared file system, and the
frameworks spend 0.2 of these on their own imports.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from thalweg.errors import ThalwegError, classify

COMMANDS = {
    "run": "run chains on granules",
    "chain": "list chains, show one with its parameters",
    "lakes": "statistics of lakes from water-quality products",
    "tiles": "find tiles of the Sentinel-2 grid",
    "static": "prepare static layers of a tile",
    "work": "make the units of a batch (what jobs call)",
    "campaign": "plan, run and account for thousands of granules",
    "catalogue": "search products, rebuild the catalogue",
    "kernels": "compile the kernels for this kind of CPU",
    "demo": "make a synthetic winter scene and its snow products",
}
"""Commands, each a module of this package, with what they do."""

INTERRUPTED = 130


class Command(Protocol):
    """What a command's module offers."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""
        ...

    def execute(self, arguments: argparse.Namespace) -> int:
        """Do it; the exit code comes back."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code is that of the failure class (0 where all is well)."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0] if words else "--help"
    if name not in COMMANDS:
        _top_parser().parse_args(words or ["--help"])
    command = cast(Command, importlib.import_module(f"thalweg.cli.{name}"))
    parser = argparse.ArgumentParser(f"thalweg {name}", description=COMMANDS[name], allow_abbrev=False)
    command.configure(parser)
    arguments = parser.parse_args(words[1:])
    try:
        _prepare_process()
        return command.execute(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as problem:
        if not isinstance(problem, ThalwegError) and "--traceback" in words:
            raise
        return _fail(classify(problem), getattr(arguments, "json", False))


def _top_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:{width}}  {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        "thalweg",
        description="Snow, surface water and water quality from Sentinel-2 and its sister missions.",
        epilog=f"commands:\n{lines}\n\nthalweg COMMAND --help says more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="what to do, see below")
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *arguments: object) -> None:
        from importlib.metadata import version

        print(f"thalweg {version('thalweg')}")
        parser.exit()


def _prepare_process() -> None:
    from thalweg.settings import read_settings, use_kernel_cache

    use_kernel_cache(read_settings().kernel_cache)


def _fail(error: ThalwegError, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"error": error.to_dict()}))
    print(f"thalweg: {error.kind}: {error}", file=sys.stderr)
    if error.what_to_do:
        print(f"  what to do: {error.what_to_do}", file=sys.stderr)
    return error.code


if __name__ == "__main__":
    sys.exit(main())
