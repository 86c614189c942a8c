"""The tables of docs/operating/monitoring.md, for the tests that compare them with what a registry collects."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from prometheus_client.core import Metric

PAGE = Path(__file__).parents[1] / "docs" / "operating" / "monitoring.md"
_ROW = re.compile(r"^\| `((?:zmart|process)_\w+)` \| ([a-z, ]*) \| (\w+) \| ([\w ]+) \| (.+) \|$", re.MULTILINE)


class Row(NamedTuple):
    """A metric as the page describes it."""

    name: str
    type: str
    labels: frozenset[str]


def documented(*prefixes: str) -> set[Row]:
    """Return the rows of metrics whose names have one of these prefixes."""
    return {
        Row(name, kind, frozenset(filter(None, labels.split(", "))))
        for name, labels, kind, _, _ in _ROW.findall(PAGE.read_text())
        if name.startswith(prefixes)
    }


def units() -> dict[str, str]:
    """Return the unit of each metric of the page."""
    return {name: unit for name, _, _, unit, _ in _ROW.findall(PAGE.read_text())}


def collected(metrics: Iterable[Metric], labels: dict[str, frozenset[str]] | None = None) -> set[Row]:
    """Return the same of collected metrics; `labels` names those of metrics without a series yet."""
    known = labels or {}
    return {Row(one.name, one.type, known.get(one.name) or _labels_of(one)) for one in metrics}


def _labels_of(metric: Metric) -> frozenset[str]:
    # A bucket has its bound as a label.
    return frozenset(label for sample in metric.samples for label in sample.labels) - {"le"}
