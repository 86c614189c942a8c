"""Draws a result as an SVG: a bar to the median, a dot for each round, a line at the target.

Each unit has a panel of its own, because a scale is only meaningful for equal units; each panel begins at zero.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from html import escape

from .figure import Sample, Target
from .results import Result, format_number

WIDTH, LABELS, ROOM = 860, 300, 130
ROW, BAR, HEAD = 30, 14, 34
FONT = "font-family='system-ui, sans-serif' font-size='13'"
INK, GOOD, BAD, PLAIN = "#24292f", "#2da44e", "#cf222e", "#8c959f"


def svg(result: Result) -> str:
    """Return the whole drawing."""
    parts, y = [], HEAD
    for unit, samples in _panels(result.samples):
        parts += list(_panel(result, unit, samples, y))
        y += HEAD + ROW * len(samples)
    title = _text(12, 22, f"{result.name}: {result.title}", weight="600")
    body = "\n".join([title, *parts])
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {y + 8}' width='{WIDTH}' height='{y + 8}' "
        f"{FONT}>\n<rect width='100%' height='100%' fill='#ffffff'/>\n{body}\n</svg>\n"
    )


def _panels(samples: Sequence[Sample]) -> Iterator[tuple[str, list[Sample]]]:
    units = dict.fromkeys(sample.unit for sample in samples)
    for unit in units:
        yield unit, [sample for sample in samples if sample.unit == unit]


def _panel(result: Result, unit: str, samples: Sequence[Sample], top: int) -> Iterator[str]:
    bounds = [t.value for s in samples if (t := result.target(s.label))]
    scale = (WIDTH - LABELS - ROOM) / (max([*(s.high for s in samples), *bounds]) or 1.0)
    yield _text(12, top + 20, unit, fill=PLAIN)
    for place, sample in zip(itertools.count(), samples, strict=False):
        yield from _bar(sample, result.target(sample.label), top + HEAD + place * ROW, scale)


def _bar(sample: Sample, target: Target | None, y: int, scale: float) -> Iterator[str]:
    fill = PLAIN if target is None else GOOD if target.is_met_by(sample.median) else BAD
    middle, length = y + BAR / 2, max(sample.median, 0) * scale
    yield _text(12, y + 12, sample.label)
    yield f"<rect x='{LABELS}' y='{y}' width='{length:.1f}' height='{BAR}' fill='{fill}' fill-opacity='0.55'/>"
    for value in sample.values:
        yield f"<circle cx='{LABELS + max(value, 0) * scale:.1f}' cy='{middle}' r='2.5' fill='{INK}'/>"
    end = LABELS + max(length, max(sample.high, 0) * scale)
    if target is not None:
        x = LABELS + target.value * scale
        yield f"<line x1='{x:.1f}' y1='{y - 4}' x2='{x:.1f}' y2='{y + BAR + 4}' stroke='{INK}' stroke-dasharray='3 2'/>"
        end = max(end, x)
    yield _text(round(end) + 10, y + 12, format_number(sample.median), weight="600")


def _text(x: int, y: int, text: str, *, fill: str = INK, weight: str = "400") -> str:
    return f"<text x='{x}' y='{y}' fill='{fill}' font-weight='{weight}'>{escape(text)}</text>"
