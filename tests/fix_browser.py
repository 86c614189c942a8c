"""A real browser for tests of the console.

chromium     the path of Debian's chromium; installed by apt-get if possible, else the test is skipped
"""

from __future__ import annotations

import shutil

import pytest

from tests import debian_packages

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


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Debian's chromium."""
    if shutil.which("chromium") is None:
        try:
            debian_packages.install("chromium")
        except debian_packages.NotInstallable as error:
            pytest.skip(str(error))
    found = shutil.which("chromium")
    # Ubuntu's package of this name is a pointer to a snap, which containers cannot install.
    return found if found is not None else pytest.skip("chromium is not installed")
