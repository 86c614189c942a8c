"""Measures the coverage of the product by its tests, child processes included, and compares it with the floor.

    python .ci/measure.py erase
    python .ci/measure.py run KIND ARGUMENTS  # pytest with these arguments; KIND is statements or branches
    python .ci/measure.py report [--write]  # print the totals; --write renews .ci/uncovered

The gate measures statements, which costs nothing measurable where Python reports lines itself (3.12 and later).
Branches cost almost half as much processor time again as the tests (33 s became 47 s), so only `make coverage` measures
them.

Tests start services with an environment of their own, so a variable of this process does not reach them. A line in
`site-packages` does: every Python of .venv reads it at start. It is there only while `run` runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SITE_PACKAGES = Path(sysconfig.get_path("purelib"))
DATA = ROOT / "target" / "coverage"
CONFIGURATION = ROOT / "pyproject.toml"
UNCOVERED = ROOT / ".ci" / "uncovered"
#: Read before `a1_coverage.pth`, which starts the measurement where this variable is set.
START_FILE = "a0_measured.pth"
NO_REASON = "(no reason yet)"
HEADING = """\
# Functions of the product with statements that no test reaches, each with the reason. `make coverage` renews the list:
# it removes what is covered, adds what is not, and keeps the reasons.
"""


@dataclass(frozen=True)
class Totals:
    """The result of a measurement."""

    statements: int
    covered_statements: int
    branches: int
    covered_branches: int

    @property
    def statement_percent(self) -> float:
        """Return the covered statements in per cent."""
        return 100 * self.covered_statements / max(self.statements, 1)

    @property
    def branch_percent(self) -> float:
        """Return the covered branches in per cent."""
        return 100 * self.covered_branches / max(self.branches, 1)


def read_totals(report: Mapping[str, Any]) -> Totals:
    """Return the totals of coverage's JSON report."""
    totals = report["totals"]
    return Totals(
        totals["num_statements"],
        totals["covered_lines"],
        totals.get("num_branches", 0),
        totals.get("covered_branches", 0),
    )


def uncovered_functions(report: Mapping[str, Any]) -> dict[str, int]:
    """Return the functions with statements that did not run, and how many; "" is a module outside its functions."""
    found: dict[str, int] = {}
    for path, file in report["files"].items():
        for name, function in file.get("functions", {}).items():
            if function["missing_lines"]:
                found[f"{path}:{name}"] = len(function["missing_lines"])
    return found


def read_reasons(text: str) -> dict[str, str]:
    """Return the reasons of `.ci/uncovered` by function."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return {name.strip(): reason.strip() for name, _, reason in (line.partition(" | ") for line in lines)}


def render_uncovered(functions: Mapping[str, int], reasons: Mapping[str, str]) -> str:
    """Return the new text of `.ci/uncovered`."""
    lines = (f"{name} | {reasons.get(name, NO_REASON)}\n" for name in sorted(functions))
    return HEADING + "".join(lines)


def read_floor(configuration: str) -> float:
    """Return the least percentage of statements, from pyproject.toml."""
    return float(tomllib.loads(configuration)["tool"]["coverage"]["report"]["fail_under"])


def render_report(totals: Totals, floor: float) -> str:
    """Return the lines that the gate reads: yes or NO, then the totals."""
    branches = f", {totals.branch_percent:.1f} % of {totals.branches} branches" if totals.branches else ""
    answer = "yes" if totals.statement_percent >= floor else "NO "
    return (
        f"  {answer}  coverage: {totals.statement_percent:.1f} % of {totals.statements} statements "
        f"(floor {floor:g} %){branches}"
    )


@contextlib.contextmanager
def measured_children(data: Path, site_packages: Path, *, has_branches: bool = True) -> Iterator[None]:
    """Let every Python that reads `site_packages` measure itself."""
    values = {"COVERAGE_PROCESS_START": str(data / "measured.ini"), "COVERAGE_FILE": str(data / "data")}
    # Without effect once the folder is gone: a run that was killed leaves the file behind.
    line = f"import os; os.path.isdir({str(data)!r}) and [os.environ.setdefault(*pair) for pair in {values!r}.items()]"
    start_file = site_packages / START_FILE
    data.mkdir(parents=True, exist_ok=True)
    (data / "measured.ini").write_text(render_configuration(CONFIGURATION.read_text(), has_branches=has_branches))
    start_file.write_text(f"{line}\n")
    try:
        yield
    finally:
        start_file.unlink(missing_ok=True)


def render_configuration(configuration: str, *, has_branches: bool) -> str:
    """Return coverage's own form of the section in pyproject.toml, with or without branches."""
    values: dict[str, Any] = tomllib.loads(configuration)["tool"]["coverage"]["run"] | {"branch": has_branches}
    if not has_branches and sys.version_info >= (3, 12):
        values["core"] = "sysmon"
    lines = (f"{name} = {', '.join(value) if isinstance(value, list) else value}\n" for name, value in values.items())
    return "[run]\n" + "".join(lines)


def run(arguments: list[str], *, has_branches: bool) -> int:
    """Run pytest, measured."""
    with measured_children(DATA, SITE_PACKAGES, has_branches=has_branches):
        return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, check=False).returncode  # noqa: S603 - our own tests


def report(*, is_writing: bool) -> int:
    """Print the totals; return 1 below the floor or without data."""
    if not any(DATA.glob("data*")):
        print(f"  NO   coverage: no data in {DATA}. Run: make coverage")
        return 1
    measured = read_report()
    totals, functions = read_totals(measured), uncovered_functions(measured)
    reasons = read_reasons(UNCOVERED.read_text()) if UNCOVERED.exists() else {}
    print(render_report(totals, floor := read_floor(CONFIGURATION.read_text())))
    unexplained = sorted(functions.keys() - reasons.keys())
    print(f"Functions with uncovered statements: {len(functions)}, of which {len(unexplained)} without a reason.")
    if is_writing:
        UNCOVERED.write_text(render_uncovered(functions, reasons))
        print(f"Wrote {UNCOVERED.relative_to(ROOT)}.")
    return 0 if totals.statement_percent >= floor else 1


def read_report() -> dict[str, Any]:
    """Combine the data of all processes and return coverage's JSON report."""
    environ = {**os.environ, "COVERAGE_FILE": str(DATA / "data")}
    target = DATA / "report.json"
    for command in (["combine", "--quiet", "--append"], ["json", "--quiet", "--fail-under=0", "-o", str(target)]):
        # `combine` finds nothing new after an earlier report.
        subprocess.run([sys.executable, "-m", "coverage", *command], cwd=ROOT, env=environ, check=command[0] == "json")  # noqa: S603 - coverage's own command
    result: dict[str, Any] = json.loads(target.read_text())
    return result


def main(arguments: list[str]) -> int:
    """Run a command of the module's docstring."""
    match arguments:
        case ["erase"]:
            shutil.rmtree(DATA, ignore_errors=True)
            return 0
        case ["run", "statements" | "branches" as kind, *rest]:
            return run(rest, has_branches=kind == "branches")
        case ["report", *rest] if set(rest) <= {"--write"}:
            return report(is_writing=bool(rest))
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
