"""Measures how fast batches are merged into the marts of a large log, on the database's side only."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence

import psycopg

from bench.environment import BenchEnvironment
from ingest.records import TransactionRow
from ingest.store import writer as writing
from zmart import testing
from zmart.chain import event_digests
from zmart.run.postgres import embedded

from . import history
from .figure import Effort, Figure, Sample, Target
from .not_measured import NotMeasured

#: The chain's work for batches of so many events, in one transaction that is rolled back: seconds for each batch.
TIME_CHAIN = """
    create function pg_temp.time_chain(p_digests bytea [], p_rounds int) returns double precision
    language plpgsql as $$
    declare
        v_head bigint := (select max(c.last_seq) from raw.commits as c);
        v_size int := cardinality(p_digests);
        v_leaves bytea;
        v_began timestamptz := clock_timestamp();
    begin
        for n in 1..p_rounds loop
            select string_agg(raw.leaf(v_head + g.position, 'event', g.digest), '' order by g.position) into v_leaves
            from unnest(p_digests) with ordinality as g (digest, position);
            if not raw.extend_chain(v_head + 1, v_head + v_size, v_leaves) then
                raise exception 'the chain is not complete';
            end if;
            v_head := v_head + v_size;
        end loop;
        return extract(epoch from clock_timestamp() - v_began) / p_rounds;
    end $$
"""
CHAIN_ROUNDS = 100
#: The most that chaining may cost of an append, in percent.
MOST_CHAIN_SHARE = 3.0
#: Target rates in events per second, by batch size.
REACH = {100: 7_500, 500: 10_000, 2_000: 15_000}
EVENTS_PER_ROUND = 4_000


class FoldsFigure(Figure):
    """Measures merging batches into marts."""

    name = "folds"
    title = "batches merged into all folded marts"
    unit = "events/s"
    targets = tuple(
        Target(label=f"folds alone, batches of {size:,}", bound="at least", value=value)
        for size, value in REACH.items()
    ) + tuple(
        Target(label=f"chain's share, batches of {size:,}", bound="at most", value=MOST_CHAIN_SHARE) for size in REACH
    )
    method = (
        "On top of a log of 200,000 events (1,000,000 with --full), batches of each size in turn go through "
        "ingest's writer on a server with fsync on; keys are skewed (Zipf 1.1 over 500 markets and 5,000 wallets). "
        "`folds alone` counts the statement that brings every mart up to the end of the log, `whole append` the "
        "whole commit, payloads and fsync included. A round is 4,000 events of each size. `chain's share` is what "
        "digests in Python, leaves and the row of raw.commits take of the whole append, each timed alone."
    )
    limit_seconds = 1_200.0

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure rounds of every size in turn."""
        with env.database(log_events=effort.log_events) as database:
            return asyncio.run(_measure(database, effort))


async def _measure(database: testing.PostgresDatabase, effort: Effort) -> list[Sample]:
    stream = history.transactions(10**9)
    for _ in itertools.islice(stream, effort.log_events):
        pass
    writer = writing.Writer(database.dsn("zmart_ingest"))
    rates: dict[str, list[float]] = {
        f"{what}, batches of {size:,}": [] for what in ("folds alone", "whole append") for size in REACH
    }
    try:
        for size in REACH:
            await _measure_round(writer, stream, size)
        for _ in range(effort.choose(1, 7)):
            for size in REACH:
                folding, whole = await _measure_round(writer, stream, size)
                rates[f"folds alone, batches of {size:,}"].append(EVENTS_PER_ROUND / folding)
                rates[f"whole append, batches of {size:,}"].append(EVENTS_PER_ROUND / whole)
    finally:
        await writer.close()
    _check(database)
    samples = [Sample(label=label, unit="events/s", values=tuple(values)) for label, values in rates.items()]
    for size in REACH:
        batch = list(itertools.islice(stream, size))
        chaining = [_time_chain(database, batch) for _ in range(effort.choose(1, 7))]
        whole = size / statistics.median(rates[f"whole append, batches of {size:,}"])
        shares = tuple(100 * seconds / whole for seconds in chaining)
        samples.append(Sample(label=f"chain's share, batches of {size:,}", unit="%", values=shares))
    return samples


def _time_chain(database: testing.PostgresDatabase, batch: Sequence[TransactionRow]) -> float:
    """Return the seconds that the chain of a batch takes, in Python and in Postgres."""
    began = time.perf_counter()
    for _ in range(CHAIN_ROUNDS):
        digests = [
            event_digests.digest(row.signature, event.ordinal, event.logged) for row in batch for event in row.events
        ]
    in_python = (time.perf_counter() - began) / CHAIN_ROUNDS
    with psycopg.connect(database.dsn(embedded.SUPERUSER)) as superuser:
        superuser.execute(TIME_CHAIN.encode())
        row = superuser.execute("select pg_temp.time_chain(%s, %s)", [digests, CHAIN_ROUNDS]).fetchone()
        superuser.rollback()
    assert row is not None
    return in_python + float(row[0])


async def _measure_round(writer: writing.Writer, stream: Iterator[TransactionRow], size: int) -> tuple[float, float]:
    """Return the seconds in the folds and the total seconds, for a round of batches."""
    folding = whole = 0.0
    for _ in range(EVENTS_PER_ROUND // size):
        batch = list(itertools.islice(stream, size))
        began = time.perf_counter()
        appended = await writer.append(batch, source="bench")
        whole += time.perf_counter() - began
        folding += appended.folds_seconds
    return folding, whole


def _check(database: testing.PostgresDatabase) -> None:
    """Raise NotMeasured if a mart stopped following the log, because it would be fast for the wrong reason."""
    with database.connect() as owner:
        stale = owner.execute("select name, reason from ops.models where stale_since is not null").fetchone()
    if stale is not None:
        raise NotMeasured(f"The mart {stale[0]} stopped following the log: {stale[1]}.")


FIGURE = FoldsFigure()
