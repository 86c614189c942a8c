"""`make test` needs PyPI and npm only: tests with Debian packages are drills, and none waits for a server in vain."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import debian_packages

ROOT = Path(__file__).resolve().parents[3]
OF_DEBIAN = ["tests/integration/api/test_redis.py", "tests/integration/console"]


def collect(markers: str, *paths: str) -> list[str]:
    """The tests that pytest would run."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:xdist", "-m", markers, *paths]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return [line for line in output.splitlines() if "::" in line]


def test_tests_with_debian_packages_are_drills() -> None:
    """By their fixtures, so that a new one need not be marked; others beside them stay."""
    stay, drills = collect("not drill", *OF_DEBIAN), collect("drill", *OF_DEBIAN)

    assert len(drills) > 10
    assert not [name for name in stay if "console" in name]
    assert stay[0].endswith("::test_a_redis_that_is_not_there_stops_nobody")


def test_a_missing_server_is_no_reason_to_skip() -> None:
    """The fixture raises; the embedded server is part of the setup."""
    assert "skip" not in (ROOT / "tests" / "fix_postgres.py").read_text()


@pytest.mark.parametrize(
    ("has_apt", "user", "reason"),
    [(False, 0, "there is no apt-get"), (True, 1_000, "run as root: apt-get install redis-server")],
)
def test_packages_that_cannot_be_installed_name_the_step(
    monkeypatch: pytest.MonkeyPatch, has_apt: bool, user: int, reason: str
) -> None:
    """The message becomes the reason of the skip."""
    monkeypatch.setattr(debian_packages.shutil, "which", lambda _: "/usr/bin/apt-get" if has_apt else None)
    monkeypatch.setattr(debian_packages.os, "geteuid", lambda: user)

    with pytest.raises(debian_packages.NotInstallable, match=reason):
        debian_packages.install("redis-server")
