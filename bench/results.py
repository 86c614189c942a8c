"""Stores the result of each figure as JSON, and renders it as tables for a terminal and for bench/README.md."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .figure import Figure, Pace, Sample, Target
from .machine import Machine

FOLDER = Path(__file__).parent / "results"
README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of one measured figure."""

    name: str
    title: str
    pace: Pace
    seconds: float
    samples: tuple[Sample, ...]
    targets: tuple[Target, ...]
    machine: Machine

    def sample(self, label: str) -> Sample | None:
        """Return the sample with a label, or None."""
        return next((sample for sample in self.samples if sample.label == label), None)

    def target(self, label: str) -> Target | None:
        """Return the target with a label, or None."""
        return next((target for target in self.targets if target.label == label), None)

    @property
    def is_met(self) -> bool:
        """Return whether every target with a sample is met, and at least one target has a sample."""
        compared = [(t, s) for t in self.targets if (s := self.sample(t.label)) is not None]
        return bool(compared) and all(target.is_met_by(sample.median) for target, sample in compared)

    def to_json(self) -> str:
        """Return the text of the result file."""
        samples = [{**asdict(s), "median": s.median, "low": s.low, "high": s.high} for s in self.samples]
        return json.dumps({**asdict(self), "samples": samples, "is_met": self.is_met}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Result:
        """Read the output of `to_json`; derived numbers are computed again."""
        fields: dict[str, Any] = json.loads(text)
        samples = tuple(
            Sample(label=s["label"], unit=s["unit"], values=tuple(s["values"])) for s in fields.pop("samples")
        )
        targets = tuple(Target(**target) for target in fields.pop("targets"))
        fields.pop("is_met", None)
        return cls(samples=samples, targets=targets, **fields)


def build(figure: Figure, samples: Sequence[Sample], *, pace: Pace, seconds: float, machine: Machine) -> Result:
    """Build the result of a figure."""
    return Result(
        name=figure.name,
        title=figure.title,
        pace=pace,
        seconds=round(seconds, 1),
        samples=tuple(samples),
        targets=tuple(figure.targets),
        machine=machine,
    )


def format_number(value: float) -> str:
    """Return a readable number: three significant digits, with thousands separators."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table_rows(result: Result) -> list[tuple[str, ...]]:
    """Return (sample, median, spread, unit, target, met) for every sample."""
    return [_row(sample, result.target(sample.label)) for sample in result.samples]


HEADINGS = ("", "median", "lowest to highest", "unit", "target", "")


def _row(sample: Sample, target: Target | None) -> tuple[str, ...]:
    return (
        sample.label,
        format_number(sample.median),
        f"{format_number(sample.low)} to {format_number(sample.high)}" if len(sample.values) > 1 else "one round",
        sample.unit,
        f"{target.bound} {format_number(target.value)}" if target else "",
        ("met" if target.is_met_by(sample.median) else "MISSED") if target else "",
    )


def render_terminal(result: Result) -> str:
    """Return the result as aligned columns."""
    lines = [HEADINGS, *table_rows(result)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    table = ("  ".join(_pad(cell, widths, at) for at, cell in enumerate(line)).rstrip() for line in lines)
    return "\n".join([f"{result.name}: {result.title}", *(f"  {line}" for line in table)])


def _pad(cell: str, widths: Sequence[int], column: int) -> str:
    is_number = column == 1
    return cell.rjust(widths[column]) if is_number else cell.ljust(widths[column])


def render_markdown(figures: Iterable[Figure], results: Iterable[Result]) -> str:
    """Return the description of each figure, with its last table and the machine and date of that measurement."""
    known = {result.name: result for result in results}
    return "\n\n".join(
        f"### {figure.name}: {figure.title}\n\n{figure.method}\n\n{_render_result(known.get(figure.name))}"
        for figure in figures
    )


def _render_result(result: Result | None) -> str:
    if result is None:
        return "Not measured yet."
    machine = result.machine
    where = (
        f"{machine['measured_at'][:10]}, {machine['processor']}, {machine['cores']} cores, load average "
        f"{machine['load_average'][0]:.2f} at the start, {_describe_rounds(result)}, {result.pace}, "
        f"commit {machine['commit']}."
    )
    lines = [HEADINGS, ("---", "---:", "---", "---", "---", "---"), *table_rows(result)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{where}\n\n{table}\n\n![{result.name}](results/{result.name}.svg)"


def _describe_rounds(result: Result) -> str:
    most = max((len(sample.values) for sample in result.samples), default=0)
    return "1 round" if most == 1 else f"{most} rounds"


def replace_results(readme: str, table: str) -> str:
    """Return the page with the text between its two marks replaced; raise ValueError where they are missing."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"The page has no {BEGIN} with {END} after it.")
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def save(result: Result, drawing: str) -> None:
    """Write a result and its plot."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{result.name}.json").write_text(result.to_json())
    (FOLDER / f"{result.name}.svg").write_text(drawing)


def load(names: Iterable[str]) -> list[Result]:
    """Return the last results of those of these figures that were ever measured."""
    paths = (FOLDER / f"{name}.json" for name in names)
    return [Result.from_json(path.read_text()) for path in paths if path.exists()]
