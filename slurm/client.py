"""Calls of a scheduler's own commands: bounded in time, and what goes wrong is said once, in one way."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from thalweg.errors import MissingInput, ServiceUnavailable

PATIENCE = 60.0
"""Seconds that a command may take."""


def call(command: Sequence[str], seconds: float = PATIENCE) -> str:
    """What a command prints.

    Raises ServiceUnavailable where it fails or takes longer than `seconds`, MissingInput where it is not installed.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise ServiceUnavailable(f"{command[0]}: no answer within {seconds:g} s") from None
    except FileNotFoundError:
        raise MissingInput(
            f"{command[0]}: no such command",
            advice="Run this where the scheduler's client commands are installed.",
        ) from None
    if done.returncode:
        words = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
        raise ServiceUnavailable(f"{command[0]}: {words[-500:]}")
    return done.stdout
