"""Measures the latency of webhook responses, which confirm a commit, at a steady rate."""

from __future__ import annotations

import itertools

from bench.environment import BenchEnvironment, count_rows

from . import history, load
from .figure import Effort, Figure, Sample, Target, quantile
from .not_measured import NotMeasured

#: Transactions a second, and how many of them are in a delivery.
CASES = ((500, 1), (500, 25), (2_000, 25))
#: A request that left this late shows that the sender is slow, not the server.
LATE_SECONDS = 0.25
#: Transactions before the first measured one.
WARM_UP = 5_000


class WebhookFigure(Figure):
    """Measures the latency of deliveries."""

    name = "webhook"
    title = "webhook answer at a steady rate"
    unit = "ms"
    targets = (
        Target(label="p99, 500 tx/s, deliveries of 1", bound="at most", value=50.0),
        Target(label="p99, 500 tx/s, deliveries of 25", bound="at most", value=50.0),
        Target(label="p99, 2,000 tx/s, deliveries of 25", bound="at most", value=150.0),
    )
    method = (
        "Deliveries are sent at fixed times, whether or not earlier ones were answered, and latency counts from "
        "that time to the response, which comes after a commit with fsync, folds included. 500 transactions a second "
        "are sent once with one in each delivery (the hardest way), once with 25; 2,000 with 25. The "
        "sender shares the machine with the server and wakes up to a millisecond late, which is counted, too."
    )
    limit_seconds = 240.0

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure one server, with rounds of both sizes in turn."""
        seconds, rounds = effort.choose(2, 10), effort.choose(1, 3)
        total = sum(seconds * rate for rate, _ in CASES) * rounds + WARM_UP
        stream = history.items(total)
        found: dict[tuple[str, int, int], list[float]] = {}
        with env.database() as database, env.start_ingest(database) as running:
            load.closed_loop(running, _bodies(stream, WARM_UP, 25), senders=8)
            for _, (rate, size) in itertools.product(range(rounds), CASES):
                bodies = _bodies(stream, seconds * rate, size)
                latencies = load.open_loop(running, bodies, per_second=rate / size)
                if latencies.latest_departure_seconds > LATE_SECONDS:
                    raise NotMeasured(
                        f"The sender was {latencies.latest_departure_seconds:.2f} s late; the machine is too busy."
                    )
                for word, share in (("p50", 0.5), ("p99", 0.99), ("slowest", 1.0)):
                    found.setdefault((word, rate, size), []).append(quantile(latencies.seconds, share) * 1000)
            _check(count_rows(database, "raw.transactions"), total)
        return [
            Sample(label=f"{word}, {rate:,} tx/s, deliveries of {size}", unit="ms", values=tuple(values))
            for (word, rate, size), values in sorted(found.items(), key=lambda item: item[0][1:])
        ]


def _bodies(stream: history.Items, transactions: int, size: int) -> list[bytes]:
    return [history.body(itertools.islice(stream, size)) for _ in range(transactions // size)]


def _check(stored: int, acknowledged: int) -> None:
    if stored != acknowledged:
        raise NotMeasured(f"{acknowledged} transactions were acknowledged, {stored} are stored.")


FIGURE = WebhookFigure()
