"""Measures the latency of webhook responses, which confirm a commit, at a steady rate."""

from __future__ import annotations

import itertools

from bench.environment import BenchEnvironment, count_rows

from . import history, load
from .figure import Effort, Figure, Sample, Target, quantile
from .not_measured import NotMeasured

TRANSACTIONS_PER_SECOND = 500
SIZES = (1, 25)
#: A request that left this late shows that the sender is slow, not the server.
LATE_SECONDS = 0.25


class WebhookFigure(Figure):
    """Measures the latency of deliveries."""

    name = "webhook"
    title = f"webhook answer at {TRANSACTIONS_PER_SECOND} transactions a second"
    unit = "ms"
    targets = (
        Target(label="p99, deliveries of 1", bound="at most", value=100.0),
        Target(label="p99, deliveries of 25", bound="at most", value=100.0),
    )
    method = (
        "Deliveries are sent at fixed times, whether or not earlier ones were answered, and latency counts from "
        "that time to the response, which comes after a commit with fsync, folds included. Once with one "
        "transaction in each (500 requests a second, the hardest way to have 500 transactions), once with 25. The "
        "sender shares the machine with the server and wakes up to a millisecond late, which is counted, too."
    )
    limit_seconds = 240.0

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure one server, with rounds of both sizes in turn."""
        seconds, rounds = effort.choose(2, 10), effort.choose(1, 3)
        each = seconds * TRANSACTIONS_PER_SECOND
        stream = history.items(each * (rounds * len(SIZES) + 1))
        found: dict[tuple[str, int], list[float]] = {}
        with env.database() as database, env.start_ingest(database) as running:
            load.closed_loop(running, _bodies(stream, each, 25), senders=8)
            for _, size in itertools.product(range(rounds), SIZES):
                bodies = _bodies(stream, each, size)
                latencies = load.open_loop(running, bodies, per_second=TRANSACTIONS_PER_SECOND / size)
                if latencies.latest_departure_seconds > LATE_SECONDS:
                    raise NotMeasured(
                        f"The sender was {latencies.latest_departure_seconds:.2f} s late; the machine is too busy."
                    )
                for word, share in (("p50", 0.5), ("p99", 0.99), ("slowest", 1.0)):
                    found.setdefault((word, size), []).append(quantile(latencies.seconds, share) * 1000)
            _check(count_rows(database, "raw.transactions"), each * (rounds * len(SIZES) + 1))
        return [
            Sample(label=f"{word}, deliveries of {size}", unit="ms", values=tuple(values))
            for (word, size), values in sorted(found.items(), key=lambda item: item[0][1])
        ]


def _bodies(stream: history.Items, transactions: int, size: int) -> list[bytes]:
    return [history.body(itertools.islice(stream, size)) for _ in range(transactions // size)]


def _check(stored: int, acknowledged: int) -> None:
    if stored != acknowledged:
        raise NotMeasured(f"{acknowledged} transactions were acknowledged, {stored} are stored.")


FIGURE = WebhookFigure()
