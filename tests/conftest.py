"""Loads the fixtures of all tests, which are in small `fix_*` plugins."""

from __future__ import annotations

import hypothesis
import pytest

from zmart import testing

# Hypothesis checks no deadline, because examples take longer on a busy machine; speed is measured in bench/.
hypothesis.settings.register_profile("zmart", deadline=None)
hypothesis.settings.load_profile("zmart")

#: Fixtures that install Debian packages.
_OF_DEBIAN = {"chromium", "redis", "redis_command"}

pytest_plugins = ["tests.fix_browser", "tests.fix_nats", "tests.fix_node", "tests.fix_postgres", "tests.fix_redis"]


def pytest_report_header(config: pytest.Config) -> str:
    """Report which Postgres the tests run on."""
    return f"postgres: {testing.describe_server()}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need Debian packages as drills, before the markers select."""
    for item in items:
        if isinstance(item, pytest.Function) and not _OF_DEBIAN.isdisjoint(item.fixturenames):
            item.add_marker(pytest.mark.drill)
