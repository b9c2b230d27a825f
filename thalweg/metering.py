"""Whose CPU time it is, where the work of several units shares a few threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")


class Meter:
    """CPU time of one unit: of its jobs, and of one thread while that is at work for it."""

    def __init__(self) -> None:
        self._total = 0.0
        self._since: float | None = None
        self._lock = Lock()

    @property
    def seconds(self) -> float:
        """What was used until now."""
        running = 0.0 if self._since is None else time.thread_time() - self._since
        return self._total + running

    def __enter__(self) -> Meter:
        self._since = time.thread_time()
        return self

    def __exit__(self, *error: object) -> None:
        since, self._since = self._since, None
        if since is not None:
            self.add(time.thread_time() - since)

    def add(self, seconds: float) -> None:
        """Put the time of a job on the account."""
        with self._lock:
            self._total += seconds


class MeteredPool(Executor):
    """Threads of a pool that work on one unit's account; the pool itself is others' to shut down."""

    def __init__(self, pool: Executor, meter: Meter) -> None:
        self._pool, self._meter = pool, meter

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """As that of any executor."""

        def job() -> T:
            begun = time.thread_time()
            try:
                return fn(*args, **kwargs)
            finally:
                self._meter.add(time.thread_time() - begun)

        return self._pool.submit(job)
