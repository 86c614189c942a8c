"""Coverage: the floor holds, children are measured, and the list of what is uncovered keeps its reasons."""

from __future__ import annotations

import configparser
import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_steps import load

measure = load("measure")


def report(missing: list[int]) -> dict[str, Any]:
    """A report in coverage's form."""
    return {
        "totals": {"num_statements": 200, "covered_lines": 191, "num_branches": 40, "covered_branches": 30},
        "files": {
            "zmart/a.py": {
                "functions": {"f": {"missing_lines": missing}, "C.g": {"missing_lines": []}, "": {"missing_lines": []}}
            }
        },
    }


@pytest.mark.parametrize(("floor", "answer"), [(95.5, "yes"), (95.6, "NO ")])
def test_the_floor_counts_statements(floor: float, answer: str) -> None:
    """191 of 200 are 95.5 per cent; branches are shown and do not count."""
    totals = measure.read_totals(report([]))

    assert measure.render_report(totals, floor) == (
        f"  {answer}  coverage: 95.5 % of 200 statements (floor {floor:g} %), 75.0 % of 40 branches"
    )


def test_reasons_survive_a_new_measurement() -> None:
    """What is covered leaves the list, what is new enters it without a reason."""
    reasons = measure.read_reasons("# heading\nzmart/a.py:f | needs a full disk\nzmart/gone.py:x | old\n")
    functions = {"zmart/a.py:f": 2, "zmart/b.py:new": 1}

    lines = measure.render_uncovered(functions, reasons).splitlines()

    assert [line for line in lines if not line.startswith("#")] == [
        "zmart/a.py:f | needs a full disk",
        "zmart/b.py:new | (no reason yet)",
    ]
    assert measure.uncovered_functions(report([3, 4])) == {"zmart/a.py:f": 2}


def test_each_listed_function_has_a_reason_of_its_own() -> None:
    """`make coverage` adds functions to .ci/uncovered without one; the author of the code writes it."""
    lines = [line for line in measure.UNCOVERED.read_text().splitlines() if not line.startswith("#")]
    reasons = measure.read_reasons("\n".join(lines))

    assert len(reasons) == len(lines)
    assert [name for name, reason in reasons.items() if not reason or reason == measure.NO_REASON] == []


def test_a_child_without_our_environment_is_measured(tmp_path: Path) -> None:
    """Services of tests start with variables of their own; the file in site-packages is all that reaches them."""
    data = measure.DATA
    with contextlib.ExitStack() as stack:
        # A run that is measured has the file already; replacing it would end the measurement of everything else.
        if not (measure.SITE_PACKAGES / measure.START_FILE).exists():
            data = tmp_path
            stack.enter_context(measure.measured_children(data, measure.SITE_PACKAGES))
        child = subprocess.Popen([sys.executable, "-c", "import zmart.errors"], env={}, cwd=tmp_path)
        assert child.wait(60) == 0

    assert list(data.glob(f"data.*pid{child.pid}.*"))


def test_nothing_is_measured_afterwards(tmp_path: Path) -> None:
    """The file is removed even when the tests end with an error."""
    found = []

    def fail() -> None:
        with measure.measured_children(tmp_path, tmp_path):
            found.append((tmp_path / measure.START_FILE).exists())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert found == [True]
    assert not (tmp_path / measure.START_FILE).exists()


@pytest.mark.parametrize("has_branches", [True, False])
def test_ci_run_measures_only_statements(has_branches: bool) -> None:
    """Branches would lengthen its tests by almost half; the rest of the configuration is that of pyproject.toml."""
    parser = configparser.ConfigParser()
    parser.read_string(measure.render_configuration(measure.CONFIGURATION.read_text(), has_branches=has_branches))

    assert parser["run"]["branch"] == str(has_branches)
    assert parser["run"]["source_pkgs"] == "zmart, ingest, api, orchestration, devchain, relay"
    assert ("core" in parser["run"]) == (not has_branches and sys.version_info >= (3, 12))


def test_a_measurement_without_branches_shows_none() -> None:
    """Where nothing was measured, no share is shown."""
    assert "branches" not in measure.render_report(measure.Totals(100, 99, 0, 0), 95)
