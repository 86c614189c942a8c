"""Formats tables and durations."""

from __future__ import annotations

from collections.abc import Iterator


def format_table(rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    """Yield rows of equal length as lines, each column as wide as its widest cell; requires at least one row."""
    everything = list(rows)
    widths = [max(len(row[column]) for row in everything) for column in range(len(everything[0]))]
    for row in everything:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def format_duration(seconds: float) -> str:
    """Return a duration in its greatest fitting unit, from seconds to hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
