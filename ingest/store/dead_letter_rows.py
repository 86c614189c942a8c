"""Stores dead letters, raises the alerts about them and creates the dead letters that the writer itself finds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from zmart.db import alerts, queries
from zmart.db.connection import Connection

from ..records import DeadLetter, TransactionRow

sql = queries.load("ingest.store", "queries.sql")

#: Reasons of dead letters that raise an alert; the others are not urgent.
ALERTING_REASONS = frozenset({"differs", "truncated", "rejected"})


def conflict_dead_letters(transactions: Iterable[TransactionRow]) -> Iterable[DeadLetter]:
    """Yield a dead letter for each version of a transaction that differs from the first one of its batch."""
    digests: dict[str, bytes] = {}
    for row in transactions:
        if digests.setdefault(row.signature, row.digest) != row.digest:
            yield differs_dead_letter(row)


def differs_dead_letter(row: TransactionRow) -> DeadLetter:
    """Return the dead letter of a version that differs from the stored one."""
    reason = "Another delivery of this signature has another slot, error or log."
    return DeadLetter(row.signature, None, "differs", reason, row.body)


def superseded_dead_letter(row: TransactionRow, body: bytes | None) -> DeadLetter:
    """Return the dead letter of a stored version that the finalized chain does not hold."""
    reason = "The finalized chain contains another version of this transaction; this one was retracted."
    return DeadLetter(row.signature, None, "superseded", reason, body)


async def insert_dead_letters(connection: Connection, dead_letters: Sequence[DeadLetter], source: str) -> None:
    """Store dead letters; request a recheck where two versions differ, and raise the alerts of ALERTING_REASONS."""
    if not dead_letters:
        return
    async with connection.cursor() as cursor:
        await cursor.executemany(
            sql.insert_dead_letter, [_dead_letter_parameters(dead_letter, source) for dead_letter in dead_letters]
        )
    recheck_signatures = sorted(
        {
            dead_letter.signature
            for dead_letter in dead_letters
            if dead_letter.reason_code == "differs" and dead_letter.signature
        }
    )
    if recheck_signatures:
        await connection.execute(sql.request_recheck, {"signatures": recheck_signatures})
    for code in sorted(ALERTING_REASONS & {dead_letter.reason_code for dead_letter in dead_letters}):
        about = next(dead_letter for dead_letter in dead_letters if dead_letter.reason_code == code)
        await connection.execute(
            alerts.sql.raise_alert,
            {
                "kind": f"dead_letter_{code}",
                "subject": about.signature or source,
                "severity": "warning",
                "message": f"{about.reason} See: zmart dead-letters list",
            },
        )


def _dead_letter_parameters(dead_letter: DeadLetter, source: str) -> dict[str, Any]:
    return {
        "signature": dead_letter.signature,
        "ordinal": dead_letter.ordinal,
        "reason_code": dead_letter.reason_code,
        # Postgres text cannot hold U+0000 or half a surrogate pair; the column `bytes` holds the original bytes.
        "reason": dead_letter.reason.replace("\x00", "\\0").encode("utf-8", "replace").decode(),
        "source": source,
        "bytes": dead_letter.bytes,
        "digest": hashlib.sha256(dead_letter.bytes or dead_letter.reason.encode("utf-8", "replace")).digest(),
    }
