"""thalweg kernels: compile them before the first job does."""

from __future__ import annotations

import argparse
import sys
import time


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="build")
    verbs.add_parser("build", help="fill the kernel cache: once a site and kind of CPU")


def execute(arguments: argparse.Namespace) -> int:
    """Compile every kernel for its declared types."""
    from thalweg.kernel_build import build_kernels
    from thalweg.settings import read_settings

    begin = time.perf_counter()
    names = build_kernels()
    print(f"{len(names)} kernels in {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    print(read_settings().kernel_cache)
    return 0
