"""Runs the steps of the gate and prints a table of what ran, what was skipped and why.

Every step runs, even after one that failed, so that one run shows all faults. The tests are measured by coverage, and
the last step compares the total with the floor in pyproject.toml. A skip that `.ci/allowed-skips` does not list fails
the gate: otherwise a test that never runs looks like a test that passes.
"""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ALLOWED_SKIPS = ROOT / ".ci" / "allowed-skips"
#: Longer tests belong to `make drills`; the table names them.
LONG_SECONDS = 30.0
#: Name, command, and the minutes that the step may take on two cores.
STEPS = (
    ("check", ("make", "check"), 10),
    ("test", ("make", "test", "COVERAGE=statements"), 15),
    ("drills", ("make", "drills", "COVERAGE=statements"), 45),
    ("coverage", ("make", "coverage-report"), 5),
)


@dataclass(frozen=True)
class Skip:
    """A test that did not run."""

    test: str
    reason: str


@dataclass(frozen=True)
class Result:
    """The outcome of one step."""

    name: str
    exit_code: int = 0
    seconds: float = 0.0
    limit_seconds: float = 0.0
    passed: int = 0
    failed: tuple[str, ...] = ()
    skips: tuple[Skip, ...] = ()
    #: Tests longer than LONG_SECONDS, with their seconds.
    long: tuple[tuple[str, float], ...] = field(default=())

    @property
    def ran(self) -> int:
        """Return the number of checks or tests that ran."""
        return self.passed + len(self.failed)

    @property
    def is_successful(self) -> bool:
        """Return whether the step ran something and all of it passed."""
        return self.exit_code == 0 and not self.failed and self.ran > 0

    @property
    def outcome(self) -> str:
        """Return one word; a slow step does not fail, because its seconds depend on the machine."""
        if not self.is_successful:
            return "FAILED"
        return "slow" if self.seconds > self.limit_seconds else "ok"


@dataclass(frozen=True)
class AllowedSkip:
    """A line of `.ci/allowed-skips`."""

    test: str
    reason: str

    def is_match(self, skip: Skip) -> bool:
        """Return whether this line allows the skip."""
        return fnmatch.fnmatchcase(skip.test, self.test) and fnmatch.fnmatchcase(skip.reason, self.reason)


def read_allowed_skips(text: str) -> list[AllowedSkip]:
    """Return the entries of `.ci/allowed-skips`: three columns, the last one for people."""
    entries = []
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            test, reason, why = (part.strip() for part in line.split(" | "))
            if not why:
                raise ValueError(f"An entry of allowed-skips has no reason: {line}. Add it as third column.")
            entries.append(AllowedSkip(test, reason))
    return entries


def forbidden_skips(results: Sequence[Result], allowed: Sequence[AllowedSkip]) -> list[Skip]:
    """Return the skips that no entry allows."""
    return [skip for result in results for skip in result.skips if not any(entry.is_match(skip) for entry in allowed)]


def read_checks(output: str) -> Result:
    """Return the counts of lines such as `  yes  lint` and `  NO   types`."""
    answers = re.findall(r"^  (yes|NO) +(.+)$", output, flags=re.MULTILINE)
    failed = tuple(name for answer, name in answers if answer == "NO")
    return Result("", passed=len(answers) - len(failed), failed=failed)


def read_report(report: Path) -> Result:
    """Return the counts of a JUnit report; an empty result when pytest wrote none."""
    if not report.exists():
        return Result("")
    passed, failed, skips, long = 0, [], [], []
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - written by our own pytest
        name = "::".join(part for part in (case.get("classname"), case.get("name")) if part)
        seconds = float(case.get("time") or 0)
        skipped = case.find("skipped")
        if skipped is not None:
            skips.append(Skip(name, skipped.get("message") or ""))
        elif case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
        else:
            passed += 1
        if seconds > LONG_SECONDS:
            long.append((name, seconds))
    return Result("", passed=passed, failed=tuple(failed), skips=tuple(skips), long=tuple(long))


def render_table(results: Sequence[Result], forbidden: Sequence[Skip]) -> str:
    """Return the table of the steps, then the names behind its numbers."""
    lines = [f"{'step':<10}{'result':<8}{'ran':>6}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}{'limit':>7}"]
    lines += [
        f"{each.name:<10}{each.outcome:<8}{each.ran:>6}{each.passed:>8}{len(each.failed):>8}{len(each.skips):>9}"
        f"{each.seconds:>9.0f}{each.limit_seconds:>7.0f}"
        for each in results
    ]
    lines += [f"failed   {each.name}: {name}" for each in results for name in each.failed]
    for each in results:
        lines += [
            f"{'SKIPPED' if skip in forbidden else 'skipped'}  {each.name}: {skip.test}: {skip.reason}"
            for skip in each.skips
        ]
    # Drills may be long.
    lines += [
        f"long     {each.name}: {name} ({seconds:.0f} s)"
        for each in results
        for name, seconds in each.long
        if each.name == "test"
    ]
    if forbidden:
        lines.append(
            "Skips in capitals are not in .ci/allowed-skips. Make the test run, or add a line with the reason."
        )
    return "\n".join(lines)


def run_step(name: str, command: Sequence[str], limit_minutes: float, folder: Path) -> Result:
    """Run one step, show its output, and return what it did."""
    report = folder / f"{name}.xml"
    environ = {**os.environ, "PYTEST_ADDOPTS": f"{os.environ.get('PYTEST_ADDOPTS', '')} --junitxml={report}".strip()}
    began = time.monotonic()
    print(f"== {' '.join(command)}", flush=True)
    output = []
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - STEPS
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            output.append(line)
    counts = read_report(report) if name in {"test", "drills"} else read_checks("".join(output))
    return replace(
        counts,
        name=name,
        exit_code=process.returncode,
        seconds=time.monotonic() - began,
        limit_seconds=limit_minutes * 60,
    )


def main() -> int:
    """Run every step; return 1 when one failed or a skip is not allowed."""
    with tempfile.TemporaryDirectory(prefix="zmart-gate-") as folder:
        results = [run_step(*step, Path(folder)) for step in STEPS]
    forbidden = forbidden_skips(results, read_allowed_skips(ALLOWED_SKIPS.read_text()))
    print(f"\n{render_table(results, forbidden)}")
    return 0 if all(each.is_successful for each in results) and not forbidden else 1


if __name__ == "__main__":
    sys.exit(main())
