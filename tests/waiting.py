"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable


def await_that(condition: Callable[[], object], seconds: float) -> None:
    """Wait until a condition holds; a failure where it does not within some seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
