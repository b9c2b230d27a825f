"""Statistics of lakes, river reaches and stations from water-quality products: a table, and pictures of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from thalweg.errors import UsageError
from thalweg.lakes.product import EXCLUDED, read_quality_product, rows_of
from thalweg.lakes.series import climatology, series_of, with_anomalies
from thalweg.lakes.shapes import read_lakes
from thalweg.lakes.statistics import MIN_VALID, Row
from thalweg.lakes.table import read_table, write_table

__all__ = ["Row", "measure_lakes"]


def measure_lakes(
    products: Iterable[str | Path],
    polygons: str | Path,
    to: str | Path | None = None,
    *,
    plot: str | Path | None = None,
    variables: Iterable[str] = (),
    exclude_bits: Iterable[str] = EXCLUDED,
    min_valid: int = MIN_VALID,
    window: int = 3,
    keep_duplicates: bool = False,
) -> list[Row]:
    """Statistics of each polygon, product and variable, as rows in order; written to the table `to` where it is named.

    `products` are folders of products of the quality chain, or folders in which such products lie; `polygons` is a
    GeoPackage or GeoJSON file whose features have a unique field `id` (points get a `window` x `window` of pixels).
    A Parquet table that exists is added to: with products that it has already it stays as it is, byte for byte. `plot`
    is a folder for one picture a polygon and variable. Raises BadInput, MissingInput or BadParameters.
    """
    lakes, table = read_lakes(Path(polygons)), Path(to) if to is not None else None
    is_added_to = table is not None and table.suffix.lower() != ".csv" and table.exists()
    rows = read_table(table) if table is not None and is_added_to else []
    names = list(variables)
    for folder in find_products(products):
        product = read_quality_product(folder)
        rows += rows_of(product, lakes, names, exclude=exclude_bits, min_valid=min_valid, window=window)
    kept = series_of(rows, keep_duplicates=keep_duplicates)
    kept = with_anomalies(kept, climatology(kept))
    if table is not None:
        write_table(table, kept)
    if plot is not None:
        from thalweg.lakes.plot import plot_series

        plot_series(kept, Path(plot))
    return kept


def find_products(places: Iterable[str | Path]) -> list[Path]:
    """Product folders: those that are named, and those of the quality chain below a folder that is none."""
    found: list[Path] = []
    for place in map(Path, places):
        if (place / f"{place.name}.json").is_file():
            found.append(place)
            continue
        below = sorted(
            path.parent for path in place.glob("quality-*/*/*/*/*/*.json") if path.stem == path.parent.name
        )
        if not below:
            raise UsageError(f"{place}: is no product, and no destination with products of the quality chain")
        found += below
    return list(dict.fromkeys(found))
