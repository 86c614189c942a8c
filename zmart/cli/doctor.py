"""Provides the doctor command, which checks whether a start would succeed and prints each finding."""

from __future__ import annotations

from typing import Any

import click


@click.command()
def doctor() -> None:
    """Check this configuration and environment.

    Checks everything that a start depends on and prints the next step for each problem. It changes nothing.
    The exit status is 1 if any check answers no.
    """
    from zmart.run.doctor import doctor as examination
    from zmart.run.doctor import doctor_checks

    findings = []
    for finding in examination.examine():
        click.echo(_format_finding(finding))
        findings.append(finding)
    raise SystemExit(0 if doctor_checks.has_no_failure(findings) else 1)


def _format_finding(finding: Any) -> str:
    colour = {"yes": "green", "warn": "yellow", "no": "red"}.get(finding.answer)
    answer = click.style(f"{finding.answer:<4}", fg=colour, bold=finding.answer == "no")
    step = f"\n{'':<18} -> {finding.step}" if finding.step else ""
    return f"{answer}  {finding.check:<12} {finding.message}{step}"
