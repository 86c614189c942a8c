"""Measures one call that returns 100 markets with sparklines and the caller's positions."""

from __future__ import annotations

import asyncio
import json
import random
import secrets

from api.auth.keys import SigningKeys
from api.auth.tokens import Tokens
from bench import http_client, reads
from bench.environment import BenchEnvironment
from bench.figure import Effort, Figure, Sample, Target, quantile
from zmart import testing
from zmart.run.postgres import embedded
from zmart.settings import Secret

MARKETS = 100
PER_SECOND = 20
#: Different pages that are asked for in turn.
PAGES = 200
WARM_SECONDS = 3.0


class PagesFigure(Figure):
    """Measures the latency of a page of markets."""

    name = "pages"
    title = f"a page of {MARKETS} markets with sparklines and own positions, in one call"
    unit = "ms"
    targets = (Target(label="p99", bound="at most", value=15.0),)
    method = (
        f"`POST /api/markets/batch` with {MARKETS} markets, {PER_SECOND} times a second, while trades are committed as "
        "in `moving` of `reads`. The caller is signed in as the wallet with the most positions. Each request names "
        f"another {MARKETS} of the {reads.COLD_MARKETS} busiest markets. Latencies count from the scheduled time of a "
        "request. The server has its default settings, without the limiter."
    )

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure some rounds on one server."""
        rounds, seconds = effort.choose(1, 3), effort.choose(2, 15)
        secret = secrets.token_hex(32)
        with env.database(log_events=effort.log_events) as database, env.start_api(database, JWT_SECRET=secret) as api:
            tokens = Tokens(SigningKeys([Secret(secret)], "access"))
            requests = _requests(database, tokens.issue(_busiest_wallet(database)))
            with reads.moving_log(database, effort.log_events):
                _latencies(api.port, requests, WARM_SECONDS)
                found = [_latencies(api.port, requests, seconds) for _ in range(rounds)]
        return [
            Sample(label=label, unit="ms", values=tuple(quantile(one, share) * 1e3 for one in found))
            for label, share in (("p99", 0.99), ("p50", 0.5))
        ]


def _latencies(port: int, requests: list[bytes], seconds: float) -> list[float]:
    return asyncio.run(http_client.open_loop_latencies(port, requests, seconds, per_second=PER_SECOND))


def _requests(database: testing.PostgresDatabase, token: str) -> list[bytes]:
    """Return requests for different pages; the order is drawn once."""
    ids = [one for one, _ in reads.busiest_markets(database, reads.COLD_MARKETS)]
    draw = random.Random(1)
    return [
        http_client.post_bytes(
            "/api/markets/batch",
            json.dumps({"markets": draw.sample(ids, min(MARKETS, len(ids)))}).encode(),
            authorization=f"Bearer {token}",
        )
        for _ in range(PAGES)
    ]


def _busiest_wallet(database: testing.PostgresDatabase) -> str:
    with database.connect(embedded.SUPERUSER) as connection:
        row = connection.execute(
            "select w.wallet from marts.positions as p inner join raw.wallets_seen as w on p.wallet_no = w.wallet_no"
            " group by w.wallet order by count(*) desc, w.wallet limit 1"
        ).fetchone()
    assert row is not None
    return str(row[0])


FIGURE = PagesFigure()
