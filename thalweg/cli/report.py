"""What a run shows while it goes and when it ends: bars and a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thalweg.ending import Ending


class Reporter:
    """Progress of a run on the error stream, so that the output stream holds results only."""

    def __init__(self, *, quiet: bool = False, traces: bool = False) -> None:
        self._bars: Any = None
        self._tasks: dict[tuple[str, str], Any] = {}
        self._quiet, self._traces = quiet, traces

    def __enter__(self) -> Reporter:
        if not self._quiet and sys.stderr.isatty():
            self._bars = _bars()
            self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bars:
            self._bars.stop()

    def progress(self, granule: str, chain: str, share: float) -> None:
        """Move the bar of a unit."""
        if self._bars is None:
            return
        key = (granule, chain)
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task(f"{chain} {granule[:44]}", total=1.0)
        self._bars.update(self._tasks[key], completed=share)

    def ended(self, ending: Ending) -> None:
        """One line a unit."""
        if self._quiet:
            return
        line = line_of(ending)
        if self._bars:
            self._bars.console.print(line, highlight=False, markup=False, soft_wrap=True)
        else:
            print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}", file=sys.stderr, flush=True)
        if ending.trace and self._traces:
            print(ending.trace, file=sys.stderr)

    def summary(self, endings: Sequence[Ending]) -> None:
        """The products that are in place, one path a line, on the output stream."""
        for ending in endings:
            if ending.product:
                print(ending.product)


def line_of(ending: Ending) -> str:
    """An ending in one line; what to do follows a failure."""
    head = f"{ending.state:8} {ending.chain} {Path(ending.granule).name}"
    if ending.error:
        advice = f"\n         what to do: {ending.error.what_to_do}" if ending.state == "failed" else ""
        return f"{head}: {ending.error.kind}: {ending.error}{advice}"
    if ending.existed:
        return f"{head}: the product was there already"
    facts = " ".join(f"{name}={value}" for name, value in facts_of(ending).items())
    return f"{head} in {ending.seconds:.1f} s {facts}".rstrip()


def facts_of(ending: Ending) -> dict[str, str]:
    """What the chain says most briefly about the product, rounded for reading."""
    found = {name.rpartition(":")[2]: ending.properties.get(name) for name in ending.summary}
    return {name: f"{value:.1f}" if isinstance(value, float) else str(value) for name, value in found.items()}


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on the output stream: drawn on a terminal, columns of text elsewhere."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(*header, title=title or None)
        for row in rows:
            table.add_row(*row)
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        print("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _bars() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))
