"""What every test can ask for; the fixtures themselves are in small `fix_*` plugins."""

from __future__ import annotations

import hypothesis
import pytest

from zmart import testing

# How long an example takes is the machine's affair: speed is measured in bench/, never here.
hypothesis.settings.register_profile("zmart", deadline=None)
hypothesis.settings.load_profile("zmart")

#: Fixtures that install Debian packages.
_OF_DEBIAN = {"chromium", "redis", "redis_command"}

pytest_plugins = ["tests.fix_browser", "tests.fix_node", "tests.fix_postgres", "tests.fix_redis"]


def pytest_report_header(config: pytest.Config) -> str:
    """Say which Postgres the tests run on."""
    return f"postgres: {testing.describe_server()}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need Debian packages as drills, before the markers select."""
    for item in items:
        if isinstance(item, pytest.Function) and not _OF_DEBIAN.isdisjoint(item.fixturenames):
            item.add_marker(pytest.mark.drill)
