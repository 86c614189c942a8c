"""What every test can ask for; the fixtures themselves are in small `fix_*` plugins."""

from __future__ import annotations

import hypothesis
import pytest

from zmart import testing

# How long an example takes is the machine's affair: speed is measured in bench/, never here.
hypothesis.settings.register_profile("zmart", deadline=None)
hypothesis.settings.load_profile("zmart")

pytest_plugins = ["tests.fix_browser", "tests.fix_node", "tests.fix_postgres", "tests.fix_redis"]


def pytest_report_header(config: pytest.Config) -> str:
    """Say which Postgres the tests run on."""
    return f"postgres: {testing.describe_server()}"
