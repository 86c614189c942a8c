"""Measures the API's reads beside Express + pg over the same rows.

There are three separate workloads. `moving`: any page, while trades are committed, so that no response can be
served from the response cache and each must be read again; the server has its default settings and may cache rows
that have not changed. `cold`: any page, without a cache (RESPONSE_CACHE_MIB=0), as after a start. `hot`: the few
pages that all visitors of a frontend load, while nothing is committed. The peer gets requests for the same pages in
the same order each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import multiprocessing
import os
import random
import re
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Literal, TypeAlias

from bench import environment as resources
from bench.environment import BenchEnvironment, RunningProcess
from ingest.store.writer import Writer
from zmart import testing
from zmart.run import ports
from zmart.run.postgres import embedded

from . import history
from .figure import Effort, Figure, Sample, Target, quantile, ratio
from .http_client import (
    CONNECTIONS,
    PER_SECOND,
    closed_loop_rate,
    open_loop_latencies,
    request_bytes,
    sequential_latencies,
)
from .not_measured import NotMeasured

Workload: TypeAlias = Literal["moving", "cold", "hot"]

#: Seconds of warm-up before measuring, because statements are planned once per connection.
WARM_SECONDS = 1.0
PAGES = ("market", "list", "trades")
#: The workloads of a server with its default settings.
SHIPPED: Sequence[Workload] = ("moving", "hot")
#: Number of the most requested pages, of each kind.
HOT_PAGES = 5
#: Numbers of markets and of offsets from which cold pages are drawn.
COLD_MARKETS, COLD_PAGES = 500, 20
#: While the log moves: commits per second, and transactions in each.
COMMITS_PER_SECOND, TRANSACTIONS_PER_COMMIT = 20, 5
#: Number of markets with enough trades, even in a tenth of the history.
GROWN_MARKETS = 10
SEARCHED_MARKETS = 100_000
_WORDS = tuple(
    re.findall(
        r"\w+",
        "bitcoin ethereum election senate inflation rainfall hurricane champion league final oscar album launch"
        " rocket treaty budget strike merger earnings index volcano harvest museum vaccine reactor ballot referendum"
        " satellite",
    )
)
#: Search texts: rare and common words, several words together, a part of a word, two letters, a text without results.
_SEARCHES = ("bitcoin", "hurricane rainfall", "lcano", "re", "market number 77", "zebra", "%22oscar+album%22", "elect")

#: A hundred thousand described markets in addition to the history's, inserted where the folds would write them.
_MARKETS_SEEN = """
    insert into raw.markets_seen (market_no, account, market_id)
    select 1000000 + n, 'account' || n, 'd' || lpad(to_hex(n), 63, '0') from generate_series(1, %s) as n
"""
_MARKETS = """
    insert into marts.markets ({columns})
    select {values} from generate_series(1, %s) as n
    cross join (select * from marts.markets where is_known order by market_no limit 1) as m
"""
_METADATA = """
    insert into app.market_metadata (market_id, wallet_no, question, description, category)
    select
        'd' || lpad(to_hex(n), 63, '0'), w.wallet_no,
        'Will market number ' || n || ' see ' || a.word || ' and ' || b.word || '?',
        'About ' || c.word || ', resolved by what is said of ' || a.word || ' in public.', 'other'
    from generate_series(1, %s) as n
    cross join lateral (select (%s::text [])[1 + (n * 7) %% {words}] as word) as a
    cross join lateral (select (%s::text [])[1 + (n * 11 + n / 17) %% {words}] as word) as b
    cross join lateral (select (%s::text [])[1 + (n / 5) %% {words}] as word) as c
    cross join (
        select w.wallet_no from raw.wallets_seen as w
        inner join marts.markets as m on m.creator_wallet = w.wallet
        where m.is_known order by m.market_no limit 1
    ) as w
"""


#: Seconds of each response, by page, in rounds.
_Latencies: TypeAlias = dict[str, list[list[float]]]


class ReadsFigure(Figure):
    """Measures rates and latencies of market, list and trades pages."""

    name = "reads"
    title = "answers of the API beside Express + pg"
    unit = "x"
    targets = (
        *(
            Target(label=f"{page}, {heat}, ours to Express", bound="at least", value=2.0)
            for heat in SHIPPED
            for page in PAGES
        ),
        Target(label="trades, cold, ours to Express", bound="at least", value=1.2),
        Target(label="market, p99", bound="at most", value=10.0),
        Target(label="list, p99", bound="at most", value=25.0),
        *(Target(label=f"{page}, 10 x the history", bound="at most", value=1.2) for page in PAGES),
        Target(label=f"search of {SEARCHED_MARKETS:,} markets, p95", bound="at most", value=50.0),
    )
    method = (
        f"`python -m api` and an Express server (peers/reader.mjs) over the same marts take turns at {CONNECTIONS} "
        "connections that send requests without pause: one market, a page of 20 markets, a page of 50 trades. Both "
        "return the same names from the same rows (compared before measuring); only ours reads a whole response in "
        f"one snapshot and has an ETag. `moving` requests one of {COLD_MARKETS} markets and any page while "
        f"{COMMITS_PER_SECOND} times a second {TRANSACTIONS_PER_COMMIT} transactions are committed with their "
        "folds; `cold`: the same without commits, and ours caches nothing (RESPONSE_CACHE_MIB=0), so that every "
        f"row is rendered each time; `hot` requests the same {HOT_PAGES} pages repeatedly, and ours returns a "
        "cached response after it has checked that the log has not advanced. `processor time` is that of server "
        "and Postgres together for one response. Latencies are those of single requests for any page, "
        f"{PER_SECOND} a second. `10 x the history` is the median latency on the log relative to that on a tenth "
        f"of it, for responses of one size: trades are those of the {GROWN_MARKETS} busiest markets, whose pages "
        "are full in both. The search uses rare and common words, phrases and parts of words. The limiter of the "
        "API is off."
    )
    limit_seconds = 1_200.0

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure the comparison, the latencies, the growth and the search."""
        rounds, seconds = effort.choose(1, 3), effort.choose(1, 2)
        with (
            env.database(log_events=effort.log_events) as database,
            env.start_api(database, RESPONSE_CACHE_MIB="0") as ours,
        ):
            cold, hot = _cold_paths(database), _hot_paths(database)
            with _peer(env, database) as theirs, env.start_api(database) as caching:
                _check_same_shape(ours, theirs, cold)
                with moving_log(database, effort.log_events):
                    samples = _compare("moving", (caching, theirs), database, cold, rounds, seconds)
                samples += _compare("cold", (ours, theirs), database, cold, rounds, seconds)
                samples += _compare("hot", (caching, theirs), database, hot, rounds, seconds)
                single = {page: _latencies(caching, cold[page], rounds, seconds) for page in PAGES}
                large = _growth_latencies(caching, database, effort, seconds)
            searched = _measure_search(database, ours, rounds, effort.choose(4, 100))
        with env.database(log_events=effort.log_events // 10) as database, env.start_api(database) as caching:
            small = _growth_latencies(caching, database, effort, seconds)
        return [*samples, *_latency_samples(single, large, small), searched]


def _compare(
    workload: Workload,
    servers: tuple[RunningProcess, RunningProcess],
    database: testing.PostgresDatabase,
    paths: dict[str, list[str]],
    rounds: int,
    seconds: float,
) -> list[Sample]:
    """Measure both servers in turn, page by page: responses per second, and processor time for each response."""
    samples: list[Sample] = []
    for page in PAGES:
        for running in servers:
            _rate(running, paths[page], WARM_SECONDS)
        took = [
            [_measure_rate_and_cost(running, database, paths[page], seconds) for running in servers]
            for _ in range(rounds)
        ]
        rates, costs = (
            [
                Sample(
                    label=f"{page}, {workload}, {what}{word}", unit=unit, values=tuple(one[side][place] for one in took)
                )
                for side, word in enumerate(("ours", "Express"))
            ]
            for place, (what, unit) in enumerate((("", "answers/s"), ("processor time, ", "ms")))
        )
        samples += [
            ratio(f"{page}, {workload}, ours to Express", *rates),
            ratio(f"{page}, {workload}, processor time, Express to ours", *reversed(costs)),
            *rates,
            *costs,
        ]
    return samples


def _measure_rate_and_cost(
    running: RunningProcess, database: testing.PostgresDatabase, paths: Sequence[str], seconds: float
) -> tuple[float, float]:
    """Return the responses per second, and the milliseconds of processor time for one."""
    with database.connect(embedded.SUPERUSER) as connection:
        server = _parent(connection.info.backend_pid)
        before = _processor_seconds(running.pid, server)
        rate = _rate(running, paths, seconds)
        return rate, (_processor_seconds(running.pid, server) - before) / (rate * seconds) * 1e3


def _processor_seconds(server: int, postmaster: int) -> float:
    """Return the processor seconds of a server and of Postgres with all its processes, including ended ones."""
    total = sum(_stat(server)[11:13]) + sum(_stat(postmaster)[11:15])
    for entry in Path("/proc").iterdir():
        # A process may end during this loop.
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and _parent(int(entry.name)) == postmaster:
                total += sum(_stat(int(entry.name))[11:13])
    return total / os.sysconf("SC_CLK_TCK")


def _parent(pid: int) -> int:
    return _stat(pid)[1]


def _stat(pid: int) -> list[int]:
    """Return the numbers of /proc/PID/stat from the state on, with 0 for the state.

    The process name before the state may contain any character.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [0, *map(int, fields[1:])]


def _check_same_shape(ours: RunningProcess, theirs: RunningProcess, paths: dict[str, list[str]]) -> None:
    """Raise NotMeasured unless both responses have the same field names and the same number of rows."""
    for page in PAGES:
        for path in paths[page][:HOT_PAGES]:
            one, other = (_shape(_answer(running, path)) for running in (ours, theirs))
            if one != other:
                raise NotMeasured(f"The servers answer {path} with different names: {one} and {other}")


def _shape(value: object) -> object:
    """Return the field names at every depth and the rows of every list."""
    if isinstance(value, dict):
        return {name: _shape(inner) for name, inner in value.items()}
    return [_shape(inner) for inner in value] if isinstance(value, list) else None


def _answer(running: RunningProcess, path: str) -> object:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{running.port}{path}", timeout=5) as answer:
        return json.load(answer)


def _latency_samples(single: _Latencies, large: _Latencies, small: _Latencies) -> list[Sample]:
    tails = [
        Sample(label=f"{page}, p99", unit="ms", values=tuple(quantile(one, 0.99) * 1e3 for one in single[page]))
        for page in PAGES
    ]
    growth = [
        Sample(
            label=f"{page}, 10 x the history",
            unit="x",
            values=tuple(
                quantile(many, 0.5) / quantile(few, 0.5) for many, few in zip(large[page], small[page], strict=True)
            ),
        )
        for page in PAGES
    ]
    return [*tails, *growth]


@contextmanager
def _peer(env: BenchEnvironment, database: testing.PostgresDatabase) -> Iterator[RunningProcess]:
    port = ports.find_free_port()
    environment = {"PORT": str(port), "DATABASE_URL": database.dsn(embedded.SUPERUSER), "NODE_ENV": "production"}
    command = (resources.node_command(), str(resources.install_peers() / "reader.mjs"))
    with env.start("the Express reader", command, environment=environment, port=port) as running:
        resources.wait_until_ready(running, "/health")
        yield running


@contextmanager
def moving_log(database: testing.PostgresDatabase, log_events: int) -> Iterator[None]:
    """Continue the history, commit by commit, in a separate process until the block ends."""
    spawn = multiprocessing.get_context("spawn")
    ready, stop = spawn.Event(), spawn.Event()
    writing = spawn.Process(target=_write_until_stopped, args=(database.dsn("zmart_ingest"), log_events, ready, stop))
    writing.start()
    try:
        while not ready.wait(1):
            if not writing.is_alive():
                raise NotMeasured("The log does not advance.")
        yield
        if not writing.is_alive():
            raise NotMeasured("The log has stopped advancing.")
    finally:
        stop.set()
        writing.join()


def _write_until_stopped(dsn: str, log_events: int, ready: Event, stop: Event) -> None:
    async def write() -> None:
        writer = await Writer.connect(dsn)
        rows = history.transactions(1_000_000, after=log_events)
        while not stop.wait(1 / COMMITS_PER_SECOND):
            await writer.append(list(itertools.islice(rows, TRANSACTIONS_PER_COMMIT)), source="bench")
            ready.set()
        await writer.close()

    asyncio.run(write())


def _cold_paths(database: testing.PostgresDatabase) -> dict[str, list[str]]:
    """Return the paths of the moving and cold workloads, where requests rarely repeat; their order is drawn once."""
    markets = busiest_markets(database, COLD_MARKETS)
    pages = {
        "market": [f"/api/markets/{one}" for one, _ in markets],
        "list": [f"/api/markets?limit=20&offset={offset}" for offset in range(max(1, len(markets) - 20))],
        "trades": [
            f"/api/markets/{one}/trades?limit=50&offset={offset}"
            for one, trades in markets
            for offset in range(min(COLD_PAGES, max(1, trades - 50)))
        ],
    }
    draw = random.Random(1)
    return {page: draw.sample(paths, len(paths)) for page, paths in pages.items()}


def _hot_paths(database: testing.PostgresDatabase) -> dict[str, list[str]]:
    """Return the most requested paths: the busiest markets and the first page."""
    busiest = [one for one, _ in busiest_markets(database, HOT_PAGES)]
    return {
        "market": [f"/api/markets/{one}" for one in busiest],
        "list": ["/api/markets?limit=20"],
        "trades": [f"/api/markets/{one}/trades?limit=50" for one in busiest],
    }


def busiest_markets(database: testing.PostgresDatabase, most: int) -> list[tuple[str, int]]:
    """Return markets with their number of trades, the busiest first."""
    with database.connect(embedded.SUPERUSER) as connection:
        found = connection.execute(
            "select id, trades_count from marts.markets where is_known order by trades_count desc, id limit %s", [most]
        ).fetchall()
    return [(str(row[0]), int(str(row[1]))) for row in found]


def _measure_search(database: testing.PostgresDatabase, ours: RunningProcess, rounds: int, requests: int) -> Sample:
    """Measure the latencies of searches among many described markets."""
    _insert_described_markets(database)
    paths = [f"/api/markets?q={word.replace(' ', '+')}" for word in _SEARCHES]
    request_paths = list(itertools.islice(itertools.cycle(paths), requests))
    asyncio.run(sequential_latencies(ours.port, paths))
    return Sample(
        label=f"search of {SEARCHED_MARKETS:,} markets, p95",
        unit="ms",
        values=tuple(
            quantile(asyncio.run(sequential_latencies(ours.port, request_paths)), 0.95) * 1e3 for _ in range(rounds)
        ),
    )


def _insert_described_markets(database: testing.PostgresDatabase) -> None:
    with database.connect(embedded.SUPERUSER) as connection:
        connection.execute(_MARKETS_SEEN, [SEARCHED_MARKETS])
        columns = [
            str(row[0])
            for row in connection.execute(
                "select attname from pg_attribute where attrelid = 'marts.markets'::regclass"
                " and attnum > 0 and not attisdropped and attgenerated = ''"
            ).fetchall()
        ]
        changed = {
            "market_no": "1000000 + n",
            "id": "'d' || lpad(to_hex(n), 63, '0')",
            "on_chain_address": "'account' || n",
            "created_at": "m.created_at + n * interval '1 second'",
            "ipfs_question_hash": "null",
        }
        values = ", ".join(changed.get(column, f"m.{column}") for column in columns)
        connection.execute(_MARKETS.format(columns=", ".join(columns), values=values), [SEARCHED_MARKETS])
        words = list(_WORDS)
        connection.execute(_METADATA.format(words=len(words)), [SEARCHED_MARKETS, words, words, words])
        connection.execute("vacuum analyze")


# Requests


def _rate(running: RunningProcess, paths: Sequence[str], seconds: float) -> float:
    """Return the responses per second while every connection sends requests without pause."""
    return asyncio.run(closed_loop_rate(running.port, paths, seconds))


def _growth_latencies(
    running: RunningProcess, database: testing.PostgresDatabase, effort: Effort, seconds: float
) -> _Latencies:
    """Measure latencies of responses that are as long on a short history as on a long one."""
    busiest = busiest_markets(database, GROWN_MARKETS)
    if busiest[-1][1] < COLD_PAGES + 50 and effort.pace != "quick":
        raise NotMeasured(f"Fewer than {GROWN_MARKETS} markets have {COLD_PAGES + 50} trades: generate more events.")
    trades = [
        f"/api/markets/{one}/trades?limit=50&offset={offset}" for one, _ in busiest for offset in range(COLD_PAGES)
    ]
    paths = {**_cold_paths(database), "trades": trades}
    return {page: _latencies(running, paths[page], effort.choose(1, 3), seconds) for page in PAGES}


def _latencies(running: RunningProcess, paths: Sequence[str], rounds: int, seconds: float) -> list[list[float]]:
    requests = [request_bytes(path) for path in paths]
    asyncio.run(open_loop_latencies(running.port, requests, WARM_SECONDS))
    return [asyncio.run(open_loop_latencies(running.port, requests, seconds)) for _ in range(rounds)]


FIGURE = ReadsFigure()
