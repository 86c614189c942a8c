"""Logs: one mask for everything, our lines and the libraries'."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from zmart import log, settings

SECRET = "correct-horse-battery-staple-0123456789"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Logging configured with a known secret, and its output."""
    out = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    loaded = settings.load({"JWT_SECRET": SECRET, "DATABASE_URL": "postgresql://u:pass-word-9@db/z"})
    log.configure(loaded, service="api", stream=out)
    yield out
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_line_is_one_json_object(lines: io.StringIO) -> None:
    """JSON with time, level, service and event."""
    structlog.get_logger().info("market created", market="ab", lamports=5)

    line = json.loads(lines.getvalue())
    assert line.pop("at").endswith("Z")
    assert line == {
        "level": "info",
        "event": "market created",
        "service": "api",
        "market": "ab",
        "lamports": 5,
    }


@pytest.mark.parametrize(
    "event",
    [
        {"password": SECRET},
        {"authorization": f"Bearer {SECRET}"},
        {"headers": {"Authorization": SECRET, "X-Api-Key": SECRET}},
        {"items": [{"token": SECRET}, f"https://h/?api-key={SECRET}&x=1"]},
        {"error": ValueError(f"cannot connect to postgresql://u:{SECRET}@db/z")},
        {"text": f"jwt is {SECRET}."},
        {"dsn": f"postgresql://u:{SECRET}@db/z"},
    ],
)
def test_no_secret_is_written(lines: io.StringIO, event: dict[str, object]) -> None:
    """Under a secret's name, inside text, at any depth: a secret becomes stars."""
    structlog.get_logger().warning("something", **event)

    assert SECRET not in lines.getvalue()
    assert log.MASK in lines.getvalue()


def test_tracebacks_and_libraries_pass_the_mask(lines: io.StringIO) -> None:
    """Lines of a library, traceback included, are masked as well."""
    try:
        raise RuntimeError(f"bad key {SECRET}")
    except RuntimeError:
        logging.getLogger("uvicorn").exception("failed with %s", "pass-word-9")

    written = lines.getvalue()
    assert "RuntimeError" in written
    assert SECRET not in written
    assert "pass-word-9" not in written


def test_levels_below_are_not_written(lines: io.StringIO) -> None:
    """LOG_LEVEL is the minimum."""
    structlog.get_logger().debug("detail")

    assert lines.getvalue() == ""
