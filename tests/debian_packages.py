"""Installs Debian packages for drills, where the account is root and apt exists.

Tests with these packages carry the marker `drill`; tests/conftest.py adds it by their fixtures.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

INSTALL_TIMEOUT_SECONDS = 240


class NotInstallable(Exception):
    """A package cannot be installed here; the message is the reason for a skip."""


def install(*packages: str) -> None:
    """Install packages; raises NotInstallable with the reason."""
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise NotInstallable(f"{names} is not installed, and there is no apt-get")
    if os.geteuid() != 0:
        raise NotInstallable(f"{names} is not installed; run as root: apt-get install {names}")
    # Workers of one run share the machine, and apt-get refuses to run twice at a time.
    with (Path(tempfile.gettempdir()) / "zmart-tests-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _run("apt-get", "update")
        _run("apt-get", "install", "-y", "-o", "Dpkg::Options::=--force-confold", "--no-install-recommends", *packages)


def install_postgres() -> None:
    """Install the server's programs; without this file, the package would also start a server on port 5432."""
    configuration = Path("/etc/postgresql-common/createcluster.conf")
    if os.geteuid() == 0 and not configuration.exists():
        configuration.parent.mkdir(exist_ok=True)
        configuration.write_text("create_main_cluster = false\n")
    install("postgresql")


def update_lists() -> None:
    """Renew the lists of packages where this account may; without that, the present lists must do."""
    if os.geteuid() == 0:
        with (Path(tempfile.gettempdir()) / "zmart-tests-apt.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _run("apt-get", "update")


def _run(*command: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=INSTALL_TIMEOUT_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise NotInstallable(f"`{' '.join(command)}` failed: {error}") from error
