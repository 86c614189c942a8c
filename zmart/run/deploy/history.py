"""Finishes what an upgrade leaves to do with the history of the log, while the services run.

Entries of an earlier release get their place in the chain (zmart.run.audit), and events give back the space of dropped
columns (zmart.run.deploy.compaction). Both work in steps, and a run that was stopped continues where it stopped. One
process at a time does it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

import psycopg

from zmart import errors
from zmart.db import queries
from zmart.db.connection import connect_sync, translate_errors
from zmart.run.audit import audit

from . import compaction

sql = queries.load("zmart.run.deploy", "history.sql")
#: The pause after an attempt that failed because of the environment: a full disk, a server that is away.
RETRY_SECONDS: Final = 30.0

#: Shows the progress of a step with this title.
ShowProgress: TypeAlias = Callable[[str], AbstractContextManager[audit.Report]]


class HistoryBusy(errors.Unavailable):
    """Another process works on the history."""


@dataclass(frozen=True, kw_only=True)
class FinishedHistory:
    """What a run has done."""

    sealed_entries: int
    written_pages: int
    #: Why nothing was sealed; None where everything is.
    broken: audit.ChainBroken | None


def finish_history(dsn: str, *, show_progress: ShowProgress) -> FinishedHistory:
    """Seal entries without a chain, and write events again that have the bytes of dropped columns.

    A chain whose end was removed is left for an operator. Raise HistoryBusy while another process does this,
    Unavailable when the server has no space or does not answer; the next call continues.
    """
    broken, sealed = None, 0
    with _history_lock(dsn):
        try:
            with show_progress("sealing the log") as report:
                sealed = audit.seal_history(dsn, report=report)
        except audit.ChainBroken as found:
            broken = found
        with show_progress("writing events again") as report:
            pages = compaction.compact_events(dsn, report=report)
    return FinishedHistory(sealed_entries=sealed, written_pages=pages, broken=broken)


def keep_trying(
    dsn: str, *, show_progress: ShowProgress, report: Callable[[str], None], pause_seconds: float = RETRY_SECONDS
) -> FinishedHistory:
    """Do `finish_history` again until the environment lets it end; `report` receives why an attempt failed."""
    while True:
        try:
            return finish_history(dsn, show_progress=show_progress)
        except errors.Transient as failure:
            report(f"{failure} Trying again in {pause_seconds:.0f} s.")
            time.sleep(pause_seconds)


@contextmanager
def _history_lock(dsn: str) -> Iterator[None]:
    with translate_errors(), connect_sync(dsn, application_name="zmart migrate") as guard:
        guard.execute(sql.disable_idle_timeout)
        try:
            guard.execute(sql.lock_history)
        except psycopg.errors.LockNotAvailable as busy:
            raise HistoryBusy(
                "Another process seals the log and writes old events again.", help="There is nothing to do; it goes on."
            ) from busy
        yield
