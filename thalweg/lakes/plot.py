"""Pictures of a time series: median and spread of a variable over a lake, and how much of it clouds hid."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.errors import BadParameters

if TYPE_CHECKING:
    from thalweg.lakes.statistics import Row

UNITS = {
    "chla": "mg m$^{-3}$",
    "spm": "g m$^{-3}$",
    "tur": "FNU",
    "acdom440": "m$^{-1}$",
    "kd490": "m$^{-1}$",
    "zsd": "m",
    "hue": "degree",
}
"""Unit of a variable as its axis shows it."""

_LOGARITHMIC = ("chla", "spm", "tur")
_BAND, _LINE, _CLOUD, _FAINT = "#a9d3de", "#12657f", "#b9bec4", "#5b6670"


def plot_series(rows: Iterable[Row], folder: Path) -> list[Path]:
    """One PNG a polygon and variable that has a median: ``<polygon>_<variable>.png`` in `folder`.

    Raises BadParameters where matplotlib is not installed.
    """
    figure_class, canvas = _import_matplotlib()
    folder.mkdir(parents=True, exist_ok=True)
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row.histogram is None and not row.duplicate:
            groups[row.polygon_id, row.variable].append(row)
    written = []
    for (polygon, variable), found in sorted(groups.items()):
        if any(row.median is not None for row in found):
            path = folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', polygon)}_{variable}.png"
            figure = figure_class(figsize=(8, 3.6), dpi=120, layout="constrained")
            canvas(figure)
            _draw(figure, polygon, variable, sorted(found, key=lambda row: row.datetime))
            # Without a date in it: equal series give equal bytes.
            figure.savefig(path, metadata={"Software": None, "Creation Time": None})
            written.append(path)
    return written


def _draw(figure: Any, polygon: str, variable: str, rows: Sequence[Row]) -> None:
    values, clouds = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    _draw_values(values, variable, [row for row in rows if row.median is not None])
    values.set_title(f"{polygon}: {variable}", loc="left", fontsize=10, color=_LINE)
    seen = [row for row in rows if row.cloud_fraction is not None]
    clouds.bar(
        [row.datetime for row in seen], [100 * (row.cloud_fraction or 0) for row in seen], 2, color=_CLOUD
    )
    clouds.set_ylim(0, 100)
    clouds.set_ylabel("cloud %", fontsize=8, color=_FAINT)
    for axes in (values, clouds):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8, colors=_FAINT)


def _draw_values(axes: Any, variable: str, rows: Sequence[Row]) -> None:
    times = [row.datetime for row in rows]
    middle = [row.median for row in rows]
    low, high = [row.p10 for row in rows], [row.p90 for row in rows]
    axes.vlines(times, low, high, color=_BAND, linewidth=4, label="p10 to p90")
    axes.plot(times, middle, color=_LINE, linewidth=1, marker="o", markersize=3.5, label="median")
    if variable in _LOGARITHMIC and min(value for value in low if value is not None) > 0:
        axes.set_yscale("log")
    axes.set_ylabel(UNITS.get(variable, ""), fontsize=8, color=_FAINT)
    axes.legend(fontsize=7, frameon=False, loc="upper right", ncols=2)


def _import_matplotlib() -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BadParameters(
            f"plots need matplotlib, which cannot be imported: {error}",
            advice="Install it with `pip install thalweg[science]`, or leave --plot out.",
        ) from error
    return Figure, FigureCanvasAgg
