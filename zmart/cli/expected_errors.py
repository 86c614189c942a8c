"""Translates the errors that a command expects into ours, so that each is a sentence with a next step."""

from __future__ import annotations

import psycopg

from zmart import errors, os_errors
from zmart.db.connection import translate


def to_zmart_error(error: errors.ZmartError | psycopg.Error | OSError) -> errors.ZmartError:
    """Return our own error unchanged, and those of Postgres and of the operating system translated."""
    if isinstance(error, errors.ZmartError):
        return error
    if isinstance(error, OSError):
        return os_errors.translate(error)
    reason = error.diag.message_primary or str(error).strip()
    return translate(error) or errors.Permanent(
        f"Postgres: {reason}.", help="If the schema is older than this version, run `zmart migrate`."
    )
