"""`zmart status` as a page: what a person reads off it."""

from __future__ import annotations

from typing import Any

from zmart import cli

SAID: dict[str, Any] = {
    "epoch": "e-1",
    "seq": 12_345,
    "slot": 700,
    "commitment": "confirmed",
    "verified_through": 700,
    "finalized_through": None,
    "completeness": {"state": "verified", "reason": "Proven complete through slot 700."},
    "lag": {"last_entry_age_seconds": 3.2, "last_event_age_seconds": None},
    "models": [
        {"name": "markets", "is_stale": False, "applied_seq": 12_345, "reason": None},
        {"name": "trades", "is_stale": True, "applied_seq": 11, "reason": "overflow"},
    ],
    "dead_letters": 2,
    "wanted": 5,
    "alerts": [
        {
            "kind": "webhook_silent",
            "subject": "",
            "severity": "critical",
            "message": "Nothing arrives.",
            "occurrences": 3,
        }
    ],
    "ingest": {
        "status": "unready",
        "reasons": ["writer: the last commit failed."],
        "per_minute": {
            "deliveries": {"webhook": 12},
            "transactions": {"webhook": 30, "walk": 1_000},
            "events": {},
        },
        "size": {"bytes": 812_400_000, "bytes_per_million_events": 790_000_000},
    },
}


def test_the_page_says_how_far_and_what_is_open() -> None:
    """One line each for the log, its lag, the proofs, what is open, every model and every alert."""
    page = list(cli._status_in_words(SAID))

    assert page == [
        "log       seq 12,345 at slot 700, confirmed, epoch e-1",
        "lag       last entry 3 s ago",
        "          last event never",
        "complete  verified. Proven complete through slot 700.",
        "verified  through slot 700",
        "final     nothing yet",
        "open      5 signatures wanted, 2 dead letters",
        "ingest    writer: the last commit failed.",
        "a minute  12 deliveries (webhook 12)",
        "          1,030 transactions (walk 1,000, webhook 30)",
        "          0 events",
        "size      812 MB, 790 MB per million events",
        "",
        "model     markets           follows the log",
        "model     trades            stopped at seq 11: overflow",
        "critical  webhook_silent (3 x): Nothing arrives.",
    ]
