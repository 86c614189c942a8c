"""A watch goes on after an error of its database, and ends when it is stopped."""

from __future__ import annotations

import asyncio

import psycopg
from structlog.testing import capture_logs

from ingest.database_watch import DatabaseWatch
from zmart import errors


class FlakyWatch(DatabaseWatch):
    """It fails twice, then works."""

    def __init__(self) -> None:
        super().__init__("postgresql://127.0.0.1:1/nowhere", name="flaky watch", interval_seconds=0.0)
        self.failures: list[Exception] = [errors.Unavailable("Postgres is away."), psycopg.OperationalError("gone")]
        self.has_worked = asyncio.Event()

    async def check(self) -> None:
        """Fail, or work."""
        if self.failures:
            raise self.failures.pop(0)
        self.has_worked.set()


async def test_an_error_of_the_database_does_not_end_a_watch() -> None:
    """Each failure is logged with the watch's name."""
    watch = FlakyWatch()
    with capture_logs() as logged:
        watch.start()
        async with asyncio.timeout(10):
            await watch.has_worked.wait()
        await watch.stop()
    assert [(entry["event"], entry["watch"], entry["reason"]) for entry in logged] == [
        ("watch_failed", "flaky watch", "Postgres is away."),
        ("watch_failed", "flaky watch", "gone"),
    ]
    watch.has_worked.clear()
    await asyncio.sleep(0)
    assert not watch.has_worked.is_set()


async def test_a_watch_that_was_never_started_can_be_stopped() -> None:
    """The server stops what it has, started or not."""
    await FlakyWatch().stop()
