"""Measures the cost of rate limiting: a server that counts every caller beside one that does not."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Iterator

from bench.environment import BenchEnvironment, RunningProcess
from zmart import testing
from zmart.run.postgres import embedded

from .figure import Effort, Figure, Sample, Target, ratio
from .not_measured import NotMeasured

CONNECTIONS = 32
#: Requests of one address before the next address is used: a visitor's share, well below the allowance of 100.
PER_ADDRESS = 20
WARM_SECONDS = 2.0
#: The largest number of markets to request.
MARKETS = 200


class LimitsFigure(Figure):
    """Compares one server with a rate limit to one without."""

    name = "limits"
    title = "a server that counts beside one that does not"
    unit = "x"
    targets = (Target(label="limited to unlimited", bound="at least", value=0.8),)
    method = (
        f"Two `python -m api` over one database take turns at {CONNECTIONS} connections that request markets by "
        "their ids, without pause. One allows every address 100 requests a minute, the other has no limit "
        f"(RATE_LIMIT_PER_MINUTE=0). Every {PER_ADDRESS} requests come from another address, which a trusted proxy "
        "reports; the limited server leases from Postgres for each and rejects none."
    )

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure both servers in turn."""
        rounds, seconds = effort.choose(1, 5), effort.choose(1, 3)
        addresses = itertools.count()
        rates: dict[str, list[float]] = {"limited": [], "unlimited": []}
        with (
            env.database(log_events=effort.choose(100, 1_000)) as database,
            env.start_api(database, RATE_LIMIT_PER_MINUTE="100", TRUSTED_PROXIES="127.0.0.1") as limited,
            env.start_api(database, TRUSTED_PROXIES="127.0.0.1") as unlimited,
        ):
            servers = {"limited": limited, "unlimited": unlimited}
            pages = itertools.cycle(_pages(database))
            for running in servers.values():
                asyncio.run(_rate(running, WARM_SECONDS, addresses, pages))
            for _ in range(rounds):
                for word, running in servers.items():
                    rates[word].append(asyncio.run(_rate(running, seconds, addresses, pages)))
        both = [Sample(label=word, unit="answers/s", values=tuple(values)) for word, values in rates.items()]
        return [ratio("limited to unlimited", *both), *both]


def _pages(database: testing.PostgresDatabase) -> list[str]:
    with database.connect(embedded.SUPERUSER) as connection:
        found = connection.execute("select id from marts.markets where is_known order by id limit %s", [MARKETS])
        return [f"/api/markets/{row[0]}" for row in found.fetchall()]


async def _rate(
    running: RunningProcess, seconds: float, addresses: itertools.count[int], pages: Iterator[str]
) -> float:
    """Return the responses per second while every connection sends requests without pause."""
    deadline = time.perf_counter() + seconds
    began = time.perf_counter()
    answers = sum(
        await asyncio.gather(*(_send_requests(running.port, deadline, addresses, pages) for _ in range(CONNECTIONS)))
    )
    return answers / (time.perf_counter() - began)


async def _send_requests(port: int, deadline: float, addresses: itertools.count[int], pages: Iterator[str]) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = 0
    with contextlib.closing(writer):
        while time.perf_counter() < deadline:
            address = next(addresses)
            for _ in range(PER_ADDRESS):
                writer.write(_request(next(pages), address))
                head = await reader.readuntil(b"\r\n\r\n")
                if head[9:12] != b"200":
                    raise NotMeasured(f"A request was answered with {head[:200]!r}")
                at = head.lower().index(b"content-length:")
                await reader.readexactly(int(head[at + 15 : head.index(b"\r\n", at)]))
                answers += 1
    return answers


def _request(path: str, number: int) -> bytes:
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: {address}\r\n\r\n".encode()


FIGURE = LimitsFigure()
