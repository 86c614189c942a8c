"""A real browser for tests of what people see.

chromium     the path of Debian's chromium; installed by apt-get where we may, else the test skips
"""

from __future__ import annotations

import shutil

import pytest

from tests import debian_packages

#: Headless, and nobody is called: what the browser itself would ask of the network is switched off.
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
    """Where Debian's chromium is."""
    if shutil.which("chromium") is None:
        try:
            debian_packages.install("chromium")
        except debian_packages.NotInstallable as error:
            pytest.skip(str(error))
    found = shutil.which("chromium")
    # Ubuntu's package of this name is a pointer to a snap, which containers cannot install.
    return found if found is not None else pytest.skip("chromium is not installed")
