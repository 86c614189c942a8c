"""The metrics of ingest: rates over a minute, and a list in the documentation that is complete."""

from __future__ import annotations

import pytest
from metrics_page import Row, documented

from ingest import testing
from ingest.decode.decoder import Decoder
from ingest.log_stats import LogStats, LogStatsSample
from ingest.metrics import Metrics, Rate
from ingest.store.byte_budget import ByteBudget
from ingest.store.group_commit import BatchWriter, Pipeline
from ingest.sync.task import CompletenessStatus
from ingest.webhook import app
from ingest.webhook.auth import Verifier
from zmart import errors


class SettableClock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


async def nowhere() -> BatchWriter:
    """No writer is needed here."""
    return testing.MemoryWriter()


def test_the_page_lists_every_metric_with_its_labels_and_kind() -> None:
    """docs/operating/monitoring.md and /metrics are equal, both ways."""
    pipeline = Pipeline(nowhere)
    pipeline.metrics.register_completeness(CompletenessStatus)
    app.Receiver(
        app.Parts(
            verifier=Verifier(["header"]),
            decoder=Decoder("program"),
            pipeline=pipeline,
            environment="localnet",
            log_stats=LogStats(""),
        )
    )
    counted = {
        Row(metric.name, metric.type, frozenset(getattr(collector, "_labelnames", ())))
        for collector in list(pipeline.metrics.registry._collector_to_names)
        for metric in collector.collect()
    }

    assert documented("zmart_ingest_", "process_") == counted


def test_a_rate_is_of_the_last_minute() -> None:
    """Events older than sixty seconds no longer count."""
    clock = SettableClock()
    rate = Rate(clock)
    rate.add(2)
    clock.now += 30
    rate.add(3)
    rate.add(1)

    assert rate.per_minute() == 6
    clock.now += 30
    assert rate.per_minute() == 4
    clock.now += 30
    assert rate.per_minute() == 0


def test_open_dead_letters_are_counted_by_reason() -> None:
    """A reason whose last dead letter was resolved is not in the list."""
    metrics = Metrics()
    seen = LogStatsSample(open_dead_letters={"malformed": 2, "differs": 1})
    metrics.register_log_stats(lambda: seen)

    assert b'open_dead_letters{reason="differs"} 1.0' in metrics.render()
    seen = LogStatsSample(open_dead_letters={"malformed": 2})
    assert b"differs" not in metrics.render()
    assert b'open_dead_letters{reason="malformed"} 2.0' in metrics.render()


def test_size_per_million_events_needs_enough_events() -> None:
    """For a nearly empty log it would have no meaning."""
    assert LogStatsSample(events=9_999, database_bytes=8_000_000).bytes_per_million_events is None
    assert LogStatsSample(events=2_000_000, database_bytes=1_600_000_000).bytes_per_million_events == 800_000_000


def test_a_budget_is_full_near_its_limit_and_shortly_after_a_refusal() -> None:
    """So that a check between two rejections fails, too."""
    clock = SettableClock()
    room = ByteBudget(100, clock=clock)
    hold = room.reserve()
    hold.grow(80)
    assert not room.is_full
    hold.grow(10)
    assert room.is_full
    hold.release()
    assert not room.is_full
    other = room.reserve()
    with pytest.raises(errors.Overloaded):
        other.grow(101)
    assert room.is_full
    clock.now += 10
    assert not room.is_full
