"""Reads whether requests that need the database can be answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from zmart import errors
from zmart.db import feed, locks
from zmart.tasks import run_within

from . import statements
from .database import ReadDatabase

#: How long a readiness request waits for Postgres; a stuck server must be reported within ten seconds.
ANSWER_SECONDS = 4.0
#: How long a result is shared. Anybody may ask, and no limit counts it: a refused probe would look like a fault.
SHARED_SECONDS = 1.0


class DatabaseReadiness(NamedTuple):
    """The end of the log, why requests cannot be answered, and which answers are not current."""

    position: feed.FeedPosition | None
    reasons: Sequence[str] = ()
    warnings: Sequence[str] = ()


async def read(database: ReadDatabase) -> DatabaseReadiness:
    """Return the readiness of the database; never raise because it does not answer."""
    try:
        rows: list[tuple[Any, ...]] = await run_within(ANSWER_SECONDS, database.rows(statements.compose("readiness")))
    except TimeoutError:
        return DatabaseReadiness(None, [f"Postgres has not answered within {ANSWER_SECONDS:.0f} seconds."])
    except errors.ZmartError:
        reason = "Postgres does not answer, or refuses the role zmart_api. Check DATABASE_URL and run `zmart doctor`."
        return DatabaseReadiness(None, [reason])
    epoch, seq, mark, missing, stale, behind, waits = rows[0]
    reasons = [] if epoch else ["The database has no log yet; run `zmart migrate`."]
    reasons += _stuck_commits(waits)
    reasons += [f"The mart {name} is missing; run `zmart rebuild`." for name in missing]
    warnings = [f"The mart {name} is stale; see /api/status." for name in stale]
    warnings += [f"The mart {name} is behind the log and is retried; see /api/status." for name in behind]
    return DatabaseReadiness(feed.FeedPosition(epoch, seq, mark) if epoch else None, reasons, warnings)


def _stuck_commits(waits: list[str] | None) -> list[str]:
    if waits is None:
        return []
    seconds, pid, login, name = waits
    message = locks.describe_wait(float(seconds), None if pid is None else int(pid), login, name)
    return [] if message is None else [message]
