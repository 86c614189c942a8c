"""The page of `zmart status`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zmart import settings
from zmart.cli import services as cli_services
from zmart.cli import status
from zmart.run.supervisor import services

STATUS: dict[str, Any] = {
    "epoch": "e-1",
    "seq": 12_345,
    "slot": 700,
    "commitment": "confirmed",
    "verified_through": 700,
    "finalized_through": None,
    "completeness": {
        "state": "verified",
        "reason": "Proven complete through slot 700.",
        "consensus": "alpenglow",
        "slot_seconds": 0.2142,
    },
    "lag": {"last_entry_age_seconds": 3.2, "last_event_age_seconds": None},
    "models": [
        {"name": "markets", "is_stale": False, "applied_seq": 12_345, "reason": None},
        {"name": "trades", "is_stale": True, "applied_seq": 11, "reason": "overflow"},
        {"name": "holders", "is_stale": False, "is_behind": True, "applied_seq": 9, "reason": "lock timeout"},
    ],
    "dead_letters": 2,
    "wanted": 5,
    "alerts": [
        {
            "kind": "webhook_silent",
            "severity": "critical",
            "open": 1,
            "details": [{"subject": "", "severity": "critical", "message": "Nothing arrives.", "occurrences": 3}],
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
        "sources": {
            "grpc": {"first": 1_040, "later": 0, "missed": 0, "median_lag_seconds": None},
            "webhook": {"first": 3, "later": 1_000, "missed": 37, "median_lag_seconds": 0.0381},
        },
        "size": {"bytes": 812_400_000, "bytes_per_million_events": 790_000_000},
    },
}


def test_the_page_shows_progress_and_open_problems() -> None:
    """The problems first, then a line each for log, lag, proofs, open items, every model and every alert."""
    page = list(status.format_page(STATUS))

    assert page == [
        "4 problems:",
        "  - webhook_silent: Nothing arrives.",
        "  - Marts that stopped following the log: trades. See: zmart rebuild --verify",
        "  - Marts that are behind the log: holders. They are retried automatically.",
        "  - 2 open dead letters. See: zmart dead-letters list",
        "",
        "log       seq 12,345 at slot 700, confirmed, epoch e-1",
        "lag       last entry 3 s ago",
        "          last event never",
        "complete  verified. Proven complete through slot 700.",
        "chain     Alpenglow: confirmed is final; a slot takes 0.21 s",
        "verified  through slot 700",
        "final     nothing yet",
        "open      5 signatures to fetch, 2 dead letters",
        "ingest    writer: the last commit failed.",
        "a minute  12 deliveries (webhook 12)",
        "          1,030 transactions (walk 1,000, webhook 30)",
        "          0 events",
        "sources   grpc: first for 1,040",
        "          webhook: first for 3; later for 1,000, by 38 ms (median); 37 not reported",
        "size      812 MB, 790 MB per million events",
        "",
        "model     markets           follows the log",
        "model     trades            stopped at seq 11: overflow",
        "model     holders           behind since seq 9, retried automatically: lock timeout",
        "critical  webhook_silent (3 x): Nothing arrives.",
    ]


def test_a_page_without_texts_of_alerts_names_the_command_that_shows_them() -> None:
    """The API shows texts to operators only; kind and count are on the page all the same."""
    hidden = {**STATUS, "alerts": [{"kind": "mart_stale", "severity": "critical", "open": 2, "details": None}]}
    page = list(status.format_page(hidden))
    assert page[1] == "  - mart_stale: 2 open. See: zmart alerts list"
    assert page[-1] == "critical  mart_stale: 2 open. See: zmart alerts list"


def test_a_page_without_problems_starts_with_all_is_well() -> None:
    """Nothing missing, nothing stale, nothing open: one sentence."""
    well = {**STATUS, "models": STATUS["models"][:1], "dead_letters": 0, "alerts": []}

    first, second, *_ = status.format_page(well)

    assert first.startswith("All is well")
    assert second == ""


@pytest.mark.parametrize(
    ("changes", "need"),
    [
        ({"ingest": None}, "Ingest does not answer"),
        ({"completeness": {"state": "behind", "reason": "7 are missing."}}, "behind: 7 are missing."),
        ({"completeness": None}, "unknown"),
        ({"dead_letters": 1}, "1 open dead letter"),
        (
            {"gaps": [{"gap_no": 3, "from_slot": 7, "to_slot": 9, "missing": 1, "unproven": 2}]},
            "Accepted gap 3 (slots 7 to 9): 1 transactions are missing, 2 unproven. See: zmart gap list",
        ),
        (
            {"alerts": [{"kind": "run_failed", "severity": "warning", "open": 1, "details": None}]},
            "Open warnings: run_failed. See: zmart alerts list",
        ),
        (
            {
                "scheduled_marts": [
                    {"name": "leaderboard", "is_overdue": True},
                    {"name": "wallets", "is_overdue": False},
                ]
            },
            "Marts not computed for 15 minutes: leaderboard. See: zmart ps, zmart logs dagster-daemon",
        ),
    ],
)
def test_each_problem_is_reported_with_the_next_step(changes: dict[str, Any], need: str) -> None:
    """One problem is one line, and never hidden by the state of others."""
    well = {**STATUS, "models": [], "dead_letters": 0, "alerts": [], **changes}

    first, second, *_ = status.format_page(well)

    assert first == "One problem:"
    assert need in second


def test_a_small_log_shows_no_size_per_million_events() -> None:
    """The size of an empty database would be counted as theirs."""
    small = {**STATUS, "ingest": {"size": {"bytes": 21_000_000, "bytes_per_million_events": None}}}

    assert "size      21 MB, too few events to estimate the growth" in list(status.format_page(small))


def test_a_start_ends_with_the_addresses_to_open(tmp_path: Path) -> None:
    """The console and the documentation are pages of the API; without it there is neither."""
    configured = settings.load({"ZMART_STATE_DIR": str(tmp_path), "API_PORT": "4567"})
    everything = services.plan(configured, {})
    page = cli_services.format_overview(configured, everything, 1.0)

    assert "console    http://127.0.0.1:4567/\n" in page
    assert "docs       http://127.0.0.1:4567/docs\n" in page
    without = [service for service in everything if service.name != "api"]
    assert "4567" not in cli_services.format_overview(configured, without, 1.0)
