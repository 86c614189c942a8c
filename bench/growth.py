"""Measures what becomes slower as the log grows, on one log at several sizes (docs/operating/capacity.md)."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping

from bench.environment import BenchEnvironment, RunningProcess
from ingest.records import TransactionRow
from ingest.store import writer as writing
from zmart import testing
from zmart.run.audit import audit
from zmart.run.deploy import compaction, rebuild
from zmart.run.postgres import embedded

from . import history, http_client
from .figure import Effort, Figure, Sample, Target
from .not_measured import NotMeasured

BATCH = 2_000
#: One comment for so many events.
COMMENT_SHARE = 100
#: The sizes of the log, as divisors of the largest.
DIVISORS = (10, 3, 1)
PROVEN_SLOTS = 100
REQUESTS = 100
BUSIEST = 10
CALLS = 100
#: Steps whose time may not grow with the log.
_FLAT = ("verified_through()", "statistics of /metrics", "proof of 100 slots", "page of markets", "page of trades")

#: Each with its entry in the feed; sealed afterwards, as after an upgrade.
WRITE_COMMENTS = """
    with numbers as (
        select
            n, (select max(seq) from raw.feed) + n as seq,
            1 + n %% (select max(market_no) from raw.markets_seen) as market_no,
            1 + n %% (select max(wallet_no) from raw.wallets_seen) as wallet_no,
            'Comment ' || n as content
        from generate_series(1, %s) as n
    ),
    written as (
        insert into app.comments (seq, market_no, wallet_no, content)
        select seq, market_no, wallet_no, content from numbers
        returning seq, comment_no
    ),
    entered as (
        insert into raw.feed (seq, kind, ref, market_no, wallet_no, digest)
        select seq, 'comment', w.comment_no, market_no, wallet_no, sha256(convert_to(content, 'UTF8'))
        from numbers inner join written as w using (seq)
        returning seq
    )
    update raw.identity set unsealed_through = (select max(seq) from entered)
"""
_Seconds = dict[str, float]


class GrowthFigure(Figure):
    """Measures one growing log."""

    name = "growth"
    title = "a log that grows"
    unit = "x"
    targets = tuple(Target(label=f"{step}, largest to smallest log", bound="at most", value=2.0) for step in _FLAT)
    method = (
        "One log is filled through ingest's writer to a tenth, a third and all of 200,000 events (1,000,000 with "
        "--full, any number with --events N), and a comment for each hundred is added. At each size: the pace of the "
        "writer since the size before, rebuild and verify of all marts, audit of the chain and of what wallets wrote, "
        "VACUUM of the database and the share of dead rows before it, the count and digest of 100 slots that a walk "
        "compares with the chain, raw.verified_through() and the statistics of /metrics with a proof for each ten "
        "events, and cold pages of the API. At the end every event is written again, as after a migration that drops a "
        "column. Medians of 100 calls or requests; the long steps run once for each size."
    )
    limit_seconds = 4 * 3_600.0

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure every size of the log, one after the other."""
        sizes = [effort.log_events // divisor for divisor in DIVISORS]
        stream = history.transactions(effort.log_events)
        found: dict[int, _Seconds] = {}
        with env.database() as database:
            for before, size in itertools.pairwise([0, *sizes]):
                pace = asyncio.run(_append(database, stream, size - before))
                _write_comments(database, (size - before) // COMMENT_SHARE)
                with env.start_api(database, RESPONSE_CACHE_MIB="0") as api:
                    found[size] = {"writer": 1e6 * pace, **_measure_size(database, api, size)}
                _report(size, found[size])
            rewritten = _time(lambda: _rewrite(database))
            _report(sizes[-1], {"events written again": rewritten})
        return [
            *(_ratio(step, found[sizes[0]], found[sizes[-1]]) for step in _FLAT),
            *(
                Sample(label=f"{step}, {size:,} events", unit=_UNITS.get(step, "s"), values=(value,))
                for step in found[sizes[0]]
                for size, value in ((size, values[step]) for size, values in found.items())
            ),
            Sample(label=f"events written again, {sizes[-1]:,} events", unit="s", values=(rewritten,)),
        ]


_UNITS: Mapping[str, str] = {
    "writer": "us/event",
    "dead rows": "%",
    "database": "bytes/event",
    **dict.fromkeys(_FLAT, "ms"),
}


def _ratio(step: str, smallest: _Seconds, largest: _Seconds) -> Sample:
    return Sample(label=f"{step}, largest to smallest log", unit="x", values=(largest[step] / smallest[step],))


def _report(size: int, values: _Seconds) -> None:
    """Print what is known so far, because a large log takes hours."""
    parts = ", ".join(f"{step} {value:,.3f} {_UNITS.get(step, 's')}" for step, value in values.items())
    print(f"growth: {size:,} events: {parts}", file=sys.stderr, flush=True)


def _write_comments(database: testing.PostgresDatabase, count: int) -> None:
    """Write comments as app.post_comment does, but many at once."""
    with database.connect(embedded.SUPERUSER) as superuser:
        superuser.execute(WRITE_COMMENTS.encode(), [count])
    audit.seal_history(database.dsn())


async def _append(database: testing.PostgresDatabase, stream: Iterator[TransactionRow], count: int) -> float:
    """Append so many events and return the seconds for each."""
    writer = await writing.Writer.connect(database.dsn("zmart_ingest"))
    seconds, left = 0.0, count
    try:
        while batch := list(itertools.islice(stream, min(BATCH, left))):
            left -= len(batch)
            began = time.perf_counter()
            await writer.append(batch, source="bench")
            seconds += time.perf_counter() - began
    finally:
        await writer.close()
    return seconds / count


def _measure_size(database: testing.PostgresDatabase, api: RunningProcess, size: int) -> _Seconds:
    with database.connect(embedded.SUPERUSER) as superuser:

        def query(statement: str) -> float:
            row = superuser.execute(statement.encode()).fetchone()
            assert row is not None
            return float(str(row[0]))

        dead = query(
            "select 100.0 * sum(n_dead_tup) / greatest(sum(n_live_tup), 1) from pg_stat_user_tables "
            "where schemaname in ('raw', 'marts')"
        )
        superuser.execute("delete from raw.coverage where source = 'walk'")
        superuser.execute("delete from raw.covered_slots where source = 'walk'")
        superuser.execute(
            "insert into raw.coverage (source, from_slot, to_slot, successful_transactions, digest) "
            "select 'walk', n * 4, n * 4 + 3, 10, sha256(int8send(n)) from generate_series(1, %s) as n",
            [size // 10],
        )
        vacuum = _time(lambda: superuser.execute("vacuum (analyze)"))
        newest = int(query("select max(slot) from raw.transactions"))
        proof = writing.sql.stored_successes
        slots = {"from_slot": newest - PROVEN_SLOTS + 1, "to_slot": newest}
        return {
            "rebuild of all marts": _time(lambda: _rebuild(database)),
            "verify of all marts": _time(lambda: _verify(database)),
            "audit": _time(lambda: audit.verify(database.dsn())),
            "VACUUM": vacuum,
            "dead rows": dead,
            "database": query("select pg_database_size(current_database())") / size,
            "verified_through()": _median_ms(lambda: superuser.execute("select raw.verified_through()").fetchone()),
            "statistics of /metrics": _median_ms(lambda: superuser.execute(writing.sql.log_stats).fetchone()),
            "proof of 100 slots": _median_ms(lambda: superuser.execute(proof, slots).fetchone()),
            **_measure_pages(database, api),
        }


def _measure_pages(database: testing.PostgresDatabase, api: RunningProcess) -> _Seconds:
    with database.connect(embedded.SUPERUSER) as superuser:
        busiest = [
            str(row[0])
            for row in superuser.execute(
                "select id from marts.markets where is_known order by trades_count desc, id limit %s", [BUSIEST]
            )
        ]
    paths = {
        "page of markets": [f"/api/markets?limit=20&offset={place}" for place in range(REQUESTS)],
        "page of trades": [
            f"/api/markets/{busiest[place % len(busiest)]}/trades?limit=50&offset={place // len(busiest)}"
            for place in range(REQUESTS)
        ],
    }
    return {
        page: 1e3 * statistics.median(asyncio.run(http_client.sequential_latencies(api.port, requests)))
        for page, requests in paths.items()
    }


def _rebuild(database: testing.PostgresDatabase) -> None:
    if differed := rebuild.rebuild(database.dsn(), report=lambda _: None):
        raise NotMeasured(f"{differed} rows differed from a rebuild of the log.")


def _verify(database: testing.PostgresDatabase) -> None:
    wrong = [check.name for check in rebuild.verify(database.dsn()) if not check.is_consistent]
    if wrong:
        raise NotMeasured(f"These marts are not equal to their rebuild: {', '.join(wrong)}.")


def _rewrite(database: testing.PostgresDatabase) -> None:
    """Write every event again, as `zmart migrate` does after a migration that drops a column of 88 bytes."""
    with database.connect(embedded.SUPERUSER) as superuser:
        # A volatile default is written into every row.
        superuser.execute("alter table raw.events add column old text default repeat('s', 87) || (random() < 2)::int")
        superuser.execute("alter table raw.events drop column old")
        superuser.execute("delete from ops.cursors where name = 'compaction'")
    began = time.perf_counter()

    def report(done: int, pages: int) -> None:
        if done == pages:
            print(f"growth: {pages:,} pages in {time.perf_counter() - began:.1f} s, then indexes", file=sys.stderr)

    if not compaction.compact_events(database.dsn(embedded.SUPERUSER), report=report):
        raise NotMeasured("No event was written again.")


def _time(step: Callable[[], object]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def _median_ms(call: Callable[[], object]) -> float:
    call()
    return 1e3 * statistics.median(_time(call) for _ in range(CALLS))


FIGURE = GrowthFigure()
