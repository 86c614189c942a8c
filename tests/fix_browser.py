"""A real browser for tests of the console.

chromium     the path of Debian's chromium; installed by apt-get if possible, else the test is skipped
"""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

#: Headless, and without the browser's own network requests.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_INSTALL_TIMEOUT_SECONDS = 240


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Debian's chromium."""
    found = shutil.which("chromium")
    if found is None:
        _install()
        found = shutil.which("chromium")
    if found is None:
        pytest.skip("chromium is not installed")
    return found


def _install() -> None:
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        pytest.skip("chromium is not installed; `apt-get install chromium` brings it")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]):
        try:
            subprocess.run(command, env=environment, check=True, capture_output=True, timeout=_INSTALL_TIMEOUT_SECONDS)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as exc:
            pytest.skip(f"chromium cannot be installed: {exc}")
