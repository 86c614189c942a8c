"""Loads the fixtures of all tests, which are in small `fix_*` plugins."""

from __future__ import annotations

import hypothesis
import pytest

from zmart import testing

# Hypothesis checks no deadline, because examples take longer on a busy machine; speed is measured in bench/.
hypothesis.settings.register_profile("zmart", deadline=None)
hypothesis.settings.load_profile("zmart")

pytest_plugins = ["tests.fix_browser", "tests.fix_node", "tests.fix_postgres", "tests.fix_redis"]


def pytest_report_header(config: pytest.Config) -> str:
    """Report which Postgres the tests run on."""
    return f"postgres: {testing.describe_server()}"
