"""What every test can ask for; the fixtures themselves are in small `fix_*` plugins."""

from __future__ import annotations

import pytest

from zmart import testing

pytest_plugins = ["tests.fix_node", "tests.fix_postgres"]


def pytest_report_header(config: pytest.Config) -> str:
    """Say which Postgres the tests run on."""
    return f"postgres: {testing.describe()}"
