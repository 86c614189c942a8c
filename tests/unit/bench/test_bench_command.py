"""`python -m bench`: messages for a measurement that is not possible."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence

import pytest

from bench import __main__ as command
from bench import figures
from bench.environment import BenchEnvironment
from bench.figure import Effort, Figure, Sample, Target
from bench.not_measured import NotMeasured
from zmart import errors

Run = Callable[..., int]


class FixedFigure(Figure):
    """A figure with a given outcome."""

    name = "given"
    title = "given numbers"
    unit = "x"
    targets = (Target(label="number", bound="at least", value=6.0),)
    method = "None."

    def __init__(self, outcome: float | Exception) -> None:
        self._outcome = outcome

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """The outcome."""
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return [Sample(label="number", unit="x", values=(self._outcome,))]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command with these figures, without saving results."""

    def with_figures(*chosen: Figure) -> int:
        def choose(name: str | None) -> Sequence[Figure]:
            return chosen

        monkeypatch.setattr(figures, "select_figures", choose)
        return command.main(["--quick"])

    return with_figures


def test_an_unknown_name_lists_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    """It is rejected before any start, with the known names."""
    assert command.main(["--only", "nothing"]) == 2
    error_output = capsys.readouterr().err
    assert "There is no figure 'nothing'" in error_output
    for name in figures.names():
        assert name in error_output


def test_several_names_choose_several_figures() -> None:
    """In the usual order; one unknown name among them is an error."""
    assert [figure.name for figure in figures.select_figures("relay,crowd")] == ["clients", "relay"]
    assert [figure.name for figure in figures.select_figures(None)] == figures.names()
    with pytest.raises(errors.NotFound, match="nothing"):
        figures.select_figures("relay,nothing")


def test_an_unmeasured_figure_reports_why_and_fails(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The others are measured nevertheless."""
    assert run(FixedFigure(NotMeasured("The port is taken.")), FixedFigure(7.0)) == 1
    output = capsys.readouterr()
    assert "given was not measured: The port is taken." in output.err
    assert "Not measured: given." in output.err
    assert "7.00" in output.out


def test_a_missed_target_fails(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """It is printed like any other, and the status reports it."""
    assert run(FixedFigure(5.0)) == 1
    assert "Target missed: given." in capsys.readouterr().err


class EndlessFigure(FixedFigure):
    """A figure that waits for ever."""

    limit_seconds = 0.05

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Wait."""
        while True:
            signal.pause()


def test_a_figure_over_its_time_limit_is_stopped(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """A bench ends, whatever a server does."""
    assert run(EndlessFigure(0.0)) == 1
    assert "given was not measured: It took longer than" in capsys.readouterr().err


def test_all_met_is_success(run: Run) -> None:
    """Then and only then the status is 0."""
    assert run(FixedFigure(6.0)) == 0


def test_every_target_is_about_one_thing() -> None:
    """Names are unique, and a figure has a target and a method."""
    assert len(set(figures.names())) == len(figures.ALL)
    for figure in figures.ALL:
        labels = [target.label for target in figure.targets]
        assert labels
        assert len(set(labels)) == len(labels)
        assert len(figure.method) > 100
