"""Results: stored as JSON, shown as a table, drawn as a plot, written into the page."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench import figures, machine, plot, results
from bench.figure import Sample, Target
from bench.results import Result

MACHINE: machine.Machine = {
    "processor": "A <fast> & quiet one",
    "cores": 2,
    "memory_gib": 24.0,
    "system": "Linux 6.1",
    "versions": {"python": "3.11.9"},
    "commit": "abc1234",
    "measured_at": "2026-01-02T03:04:05+00:00",
    "load_average": [0.25, 0.5, 1.0],
}


def result(*values: float, bound: float = 6.0, label: str = "ours to <theirs>") -> Result:
    """A result with one sample that has a target and one without."""
    return Result(
        name="decode",
        title="webhook JSON to events",
        pace="usual",
        seconds=12.3,
        samples=(
            Sample(label=label, unit="x", values=values),
            Sample(label="ours", unit="events/s", values=(120_000.0,)),
        ),
        targets=(Target(label=label, bound="at least", value=bound),),
        machine=MACHINE,
    )


def test_a_result_survives_its_file() -> None:
    """A stored result is read back unchanged."""
    original = result(7.0, 9.0)
    assert Result.from_json(original.to_json()) == original


def test_a_figure_is_met_when_every_target_that_was_measured_is() -> None:
    """The median decides, and a result without any checked target has met none."""
    assert result(5.0, 7.0, 8.0).is_met
    assert not result(5.0, 5.5, 8.0).is_met
    assert not Result(**{**vars(result(9.0)), "targets": ()}).is_met


@pytest.mark.parametrize(
    ("value", "text"), [(1234567.8, "1,234,568"), (99.96, "100.0"), (12.34, "12.3"), (0.5, "0.50"), (0, "0.00")]
)
def test_numbers_show_the_digits_that_matter(value: float, text: str) -> None:
    """Thousands apart for large ones, two decimals for small ones."""
    assert results.format_number(value) == text


def test_the_terminal_shows_medians_spreads_and_verdicts() -> None:
    """Each sample is a line; only those with a target have a verdict."""
    lines = results.render_terminal(result(5.0, 5.5, 8.0)).splitlines()
    assert lines[0] == "decode: webhook JSON to events"
    assert lines[2].split("  ")[-1] == "MISSED"
    assert "5.50  5.00 to 8.00" in lines[2]
    assert "at least 6.00" in lines[2]
    assert "one round" in lines[3]
    assert "met" not in lines[3].lower()


def test_the_page_shows_machine_date_and_unmeasured_figures() -> None:
    """Every figure has a section; those without a result report it."""
    page = results.render_markdown(figures.ALL, [result(7.0)])
    assert "2026-01-02" in page
    assert "load average 0.25" in page
    assert page.count("Not measured yet.") == len(figures.ALL) - 1
    for figure in figures.ALL:
        assert f"### {figure.name}: {figure.title}" in page


def test_only_what_is_between_the_marks_is_replaced() -> None:
    """The text around the table stays, and writing twice gives the same page."""
    page = f"Before.\n{results.BEGIN}\nold\n{results.END}\nAfter.\n"
    once = results.replace_results(page, "new")
    assert once.startswith("Before.\n")
    assert once.endswith("After.\n")
    assert "old" not in once
    assert results.replace_results(once, "new") == once


def test_a_page_without_marks_is_refused() -> None:
    """The page is not overwritten."""
    with pytest.raises(ValueError, match="measured: begin"):
        results.replace_results("no marks here", "new")


def test_the_page_of_this_project_has_its_marks() -> None:
    """The next run can update it."""
    assert results.replace_results(results.README.read_text(), "new")


def test_a_plot_is_well_formed_and_inside_its_frame() -> None:
    """Names are escaped, and neither bars nor the target exceed the drawing."""
    drawn = ET.fromstring(plot.svg(result(5.0, 7.0, 8.0, bound=20.0)))
    for bar in drawn.iter("{http://www.w3.org/2000/svg}rect"):
        if bar.get("x"):
            assert float(bar.get("x", 0)) + float(bar.get("width", 0)) <= plot.WIDTH
    (line,) = drawn.iter("{http://www.w3.org/2000/svg}line")
    assert plot.LABELS < float(line.get("x1", 0)) < plot.WIDTH
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}circle"))) == 4


def test_a_plot_of_nothing_but_zeros_can_be_drawn() -> None:
    """A latency can be 0."""
    assert ET.fromstring(plot.svg(result(0.0, bound=0.0))) is not None


def test_results_are_saved_beside_their_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One JSON and one SVG per figure; figures without a measurement are skipped."""
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    results.save(result(7.0), "<svg/>")
    assert results.load(["decode", "nothing"]) == [result(7.0)]
    assert (tmp_path / "results" / "decode.svg").read_text() == "<svg/>"


def test_a_machine_describes_itself() -> None:
    """Processor, versions and load are stored with every number."""
    found = machine.describe()
    assert found["cores"] >= 1
    assert found["versions"]["python"].startswith("3.")
    assert len(found["load_average"]) == 3
