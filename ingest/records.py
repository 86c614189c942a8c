"""Defines the values that decoding passes to writing: one per transaction, event and dead letter.

Decoding is pure and may run anywhere; writing needs the lock. Only these tuples pass between them, so a source
(webhook, walk, backfill, file) only has to produce them, and the writer never parses a body.
"""

from __future__ import annotations

from typing import NamedTuple


class EventRow(NamedTuple):
    """One event of our program, ready for raw.events."""

    #: Index among the transaction's `Program data:` lines of our program, from 0.
    ordinal: int
    name: str
    #: 64 hex digits; None for WinningsClaimed (account alone) and for protocol-wide events.
    market_id: str | None
    #: The market's account; None only for protocol-wide events.
    market_account: str | None
    #: The acting wallet, if the event names one.
    wallet: str | None
    #: Unix seconds of the chain's Clock, as the event carries it.
    clock: int
    #: JSON object of the event's other fields; 64-bit integers as strings.
    payload: bytes
    #: JSON object of the data that the transaction adds to the event, or None.
    context: bytes | None
    #: The event's bytes as the program logged them, for the chain of the log; empty for events without such bytes.
    logged: bytes = b""

    @property
    def is_rebuilt(self) -> bool:
        """Whether the runtime cut it from the log and decoding rebuilt it; see ingest.decode.truncated_logs."""
        return self.context is not None and b'"rebuilt_from":' in self.context


class DeadLetter(NamedTuple):
    """Data that could not be used, with the reason."""

    signature: str | None
    ordinal: int | None
    #: One word per kind of problem, for counting: undecodable, truncated, malformed, differs, rejected ...
    reason_code: str
    #: One sentence for an operator.
    reason: str
    bytes: bytes | None


class TransactionRow(NamedTuple):
    """One transaction of our program as a source delivered it."""

    signature: str
    slot: int
    #: None while unknown; the order of its events is then provisional.
    index_in_block: int | None
    #: Unix seconds, or None.
    block_time: int | None
    #: The error as JSON text, or None for success. A failed transaction has no events.
    err: str | None
    fee_lamports: int | None
    #: The delivered JSON item, byte for byte.
    body: bytes
    #: SHA-256 of (slot, err, log lines).
    digest: bytes
    events: tuple[EventRow, ...]
    dead_letters: tuple[DeadLetter, ...]

    @property
    def knows_what_was_cut(self) -> bool:
        """Whether its log was cut and decoding knows which events were lost; only then are its ordinals certain."""
        return any(event.is_rebuilt for event in self.events) or any(
            one.reason_code == "truncated" and one.ordinal is not None for one in self.dead_letters
        )
