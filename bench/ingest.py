"""Measures ingest from a POST to a committed log (and, for ours, to folded marts) beside an Express indexer."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import psycopg

from bench.environment import BenchEnvironment, RunningProcess, count_rows
from ingest.decode import delivery_body
from ingest.decode.decoder import Decoder
from ingest.records import TransactionRow
from ingest.store import body_compression
from zmart import testing
from zmart.run.postgres import embedded

from . import history, load
from .figure import Effort, Figure, Sample, Target, ratio
from .not_measured import NotMeasured

TRANSACTIONS_PER_DELIVERY = 25
SENDERS = 40
#: The largest batch of a group commit, here and in the peer.
BATCH = 500
OURS, NEWEST = "ours, log and marts", "ours, newest first"
EXPRESS_WITHOUT_BODIES, EXPRESS_WITH_BODIES = "Express, log without bodies", "Express, log with bodies"
EXPRESS_WITH_MARTS, EXPRESS_WITH_MARTS_IN_GROUPS = "Express, log and marts", "Express, log and marts, in groups"
COPY, SET_BASED = "limit: COPY of the rows", "limit: set-based SQL"


class IngestFigure(Figure):
    """Measures deliveries until they are in the committed log."""

    name = "ingest"
    title = "POST to committed log and folded marts"
    unit = "x"
    targets = (
        Target(label="ours to Express with marts", bound="at least", value=2.0),
        Target(label="ours to Express without bodies", bound="at least", value=1.3),
        Target(label="newest first to oldest first", bound="at least", value=0.7),
    )
    method = (
        "`python -m ingest` and an Express + Anchor + pg indexer (peers/indexer.mjs) take the same deliveries of "
        "25 transactions from 40 senders, on one Postgres with fsync on, in turn; each round has fresh "
        "transactions. Both answer after the commit, and both commit in groups of up to 500 transactions or 5 ms; "
        "the peer may have four groups in flight. Ours writes log, delivered bytes, feed and all folded marts; "
        "`newest first` takes the same history from its end, on a separate database. The peer runs in four ways: "
        "the log alone, without and with the delivered transactions; and the log with trades, markets, positions and "
        "candles of one minute (peers/marts.mjs), with a transaction for each delivery and in groups. "
        "Every round ends with a count of the committed rows. The limits are the speed of Postgres with our rows "
        "once they are decoded, without marts: COPY, and one INSERT ... SELECT per table, in commits of 500."
    )
    limit_seconds = 600.0

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure all methods in alternating rounds."""
        each, rounds = effort.choose(1_000, 20_000), effort.choose(2, 7)
        stream = history.bodies(each * (rounds + 1), each=TRANSACTIONS_PER_DELIVERY)
        slices = [list(itertools.islice(stream, each // TRANSACTIONS_PER_DELIVERY)) for _ in range(rounds + 1)]
        newest = [[_reverse_items(body) for body in reversed(bodies)] for bodies in reversed(slices)]
        with contextlib.ExitStack() as stack:
            ways, marts = _methods(env, stack)
            seconds = [
                [way(later if label == NEWEST else bodies) for label, way in ways.items()]
                for bodies, later in zip(slices, newest, strict=True)
            ][1:]
            _check_marts(marts)
        samples = {
            label: Sample(label=label, unit="events/s", values=tuple(each / took for took in column))
            for label, column in zip(ways, zip(*seconds, strict=True), strict=True)
        }
        return [
            ratio("ours to Express with marts", samples[OURS], samples[EXPRESS_WITH_MARTS]),
            ratio("ours to Express with marts, in groups", samples[OURS], samples[EXPRESS_WITH_MARTS_IN_GROUPS]),
            ratio("ours to Express without bodies", samples[OURS], samples[EXPRESS_WITHOUT_BODIES]),
            ratio("ours to Express with bodies", samples[OURS], samples[EXPRESS_WITH_BODIES]),
            ratio("newest first to oldest first", samples[NEWEST], samples[OURS]),
            *samples.values(),
        ]


_Method = Callable[[Sequence[bytes]], float]


def _methods(
    env: BenchEnvironment, stack: contextlib.ExitStack
) -> tuple[dict[str, _Method], dict[str, testing.PostgresDatabase]]:
    """Return the methods, and the databases of those that keep marts, by their label."""
    databases: dict[str, testing.PostgresDatabase] = {}

    def start(label: str, *, peer: bool, **mode: bool) -> _Method:
        database = stack.enter_context(env.database())
        running = stack.enter_context(env.start_peer(database, **mode) if peer else env.start_ingest(database))
        if not peer or mode.get("marts"):
            databases[label] = database
        table = "peer.events" if peer else "raw.events"
        return lambda bodies: _send_and_verify(database, table, bodies, lambda: _send(running, bodies))

    copy, set_based = (stack.enter_context(_RawPostgres(stack.enter_context(env.database()))) for _ in range(2))
    ways = {
        OURS: start(OURS, peer=False),
        NEWEST: start(NEWEST, peer=False),
        EXPRESS_WITH_MARTS: start(EXPRESS_WITH_MARTS, peer=True, marts=True, groups=False),
        EXPRESS_WITH_MARTS_IN_GROUPS: start(EXPRESS_WITH_MARTS_IN_GROUPS, peer=True, marts=True),
        EXPRESS_WITHOUT_BODIES: start(EXPRESS_WITHOUT_BODIES, peer=True),
        EXPRESS_WITH_BODIES: start(EXPRESS_WITH_BODIES, peer=True, bodies=True),
        COPY: copy.copy,
        SET_BASED: set_based.insert,
    }
    return ways, databases


def _check_marts(databases: Mapping[str, testing.PostgresDatabase]) -> None:
    """Raise NotMeasured unless all of them have the same trades, positions and candles: the work is then equal."""
    found = {
        label: _summarize_marts(database, peer=label not in {OURS, NEWEST}) for label, database in databases.items()
    }
    for label, summary in found.items():
        if summary != found[OURS]:
            raise NotMeasured(f"The marts of {label!r} are not ours: {summary} instead of {found[OURS]}.")


def _summarize_marts(database: testing.PostgresDatabase, *, peer: bool) -> tuple[object, ...]:
    schema, invested = ("peer", "invested") if peer else ("marts", "total_invested")
    candles = "candles" if peer else "candles_1m"
    with database.connect(embedded.SUPERUSER) as connection:
        row = connection.execute(
            f"""
            select t.*, p.*, c.*
            from (select count(*), sum(shares), sum(cost), sum(price_yes) from {schema}.trades) as t
            cross join (select count(*), sum(shares_yes), sum(shares_no), sum({invested}) from {schema}.positions) as p
            cross join (select count(*), sum(open), sum(high), sum(low), sum(close) from {schema}.{candles}) as c
            """
        ).fetchone()
    assert row is not None
    return row


def _reverse_items(body: bytes) -> bytes:
    """Return a delivery with its items in the opposite order."""
    return b"[" + b",".join(reversed(delivery_body.split_items(body))) + b"]"


def _send(running: RunningProcess, bodies: Sequence[bytes]) -> float:
    return load.closed_loop(running, bodies, senders=SENDERS)


def _send_and_verify(
    database: testing.PostgresDatabase, table: str, bodies: Sequence[bytes], send: Callable[[], float]
) -> float:
    """Return the seconds after checking that the table has grown by every acknowledged event."""
    before, sent = count_rows(database, table), len(bodies) * TRANSACTIONS_PER_DELIVERY
    seconds = send()
    if (grown := count_rows(database, table) - before) != sent:
        raise NotMeasured(f"{sent} events were acknowledged, but {table} grew by {grown}.")
    return seconds


class _RawPostgres:
    """Tables shaped and indexed like the log's, and the plain methods to fill them."""

    def __init__(self, database: testing.PostgresDatabase) -> None:
        self._database = database
        self._decode = Decoder(history.PROGRAM).decode_body
        self._next = 1

    def __enter__(self) -> _RawPostgres:
        self._connection = psycopg.connect(self._database.dsn(), autocommit=True)
        self._connection.execute(_TABLES)
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def copy(self, bodies: Sequence[bytes]) -> float:
        """Fill the tables directly with COPY."""
        batches = [list(batch) for batch in self._batches(bodies)]
        began = time.perf_counter()
        for batch in batches:
            with self._connection.transaction():
                self._fill("bare.transactions", "bare.events", batch)
        return time.perf_counter() - began

    def insert(self, bodies: Sequence[bytes]) -> float:
        """Fill the tables with INSERT ... SELECT from rows that are already in the server."""
        self._connection.execute("truncate bare.waiting_transactions, bare.waiting_events")
        batches = [list(batch) for batch in self._batches(bodies)]
        spans = [(batch[0][0], batch[-1][0]) for batch in batches]
        for batch in batches:
            self._fill("bare.waiting_transactions", "bare.waiting_events", batch)
        self._connection.execute("analyze bare.waiting_transactions, bare.waiting_events")
        began = time.perf_counter()
        for span in spans:
            with self._connection.transaction():
                for table in ("transactions", "events"):
                    self._connection.execute(
                        f"insert into bare.{table} select * from bare.waiting_{table} "
                        "where transaction_no between %s and %s",
                        span,
                    )
        return time.perf_counter() - began

    def _batches(self, bodies: Sequence[bytes]) -> Iterator[Iterator[tuple[int, TransactionRow]]]:
        """Yield numbered rows; the first of each bundle carries the bundle's bytes, the others none."""
        rows = iter([row for body in bodies for row in self._decode(body).transactions])
        while batch := list(itertools.islice(rows, BATCH)):
            first, self._next = self._next, self._next + len(batch)
            contents, places = body_compression.compress(row.body for row in batch)
            rows_to_store = [
                row._replace(body=b"" if place.start else contents[place.bundle - 1])
                for row, place in zip(batch, places, strict=True)
            ]
            yield zip(itertools.count(first), rows_to_store, strict=False)

    def _fill(self, transactions: str, events: str, batch: Sequence[tuple[int, TransactionRow]]) -> None:
        cursor = self._connection.cursor()
        with cursor.copy(f"copy {transactions} from stdin") as copy:
            for number, row in batch:
                copy.write_row((number, row.signature, row.slot, row.index_in_block, row.body, row.digest))
        with cursor.copy(f"copy {events} from stdin") as copy:
            for number, row in batch:
                for event in row.events:
                    order = row.slot << 24 | (row.index_in_block or 0) << 9 | event.ordinal
                    fields = (event.name, event.market_id, event.wallet, event.clock, row.signature)
                    context = event.context.decode() if event.context else None
                    copy.write_row((number, number, order, event.ordinal, *fields, event.payload.decode(), context))


#: The same columns and indexes as raw.transactions and raw.events, with keys as in the event.
_TABLES = """
create schema bare;
create table bare.transactions (
    transaction_no bigint primary key, signature text collate "C" not null unique, slot bigint not null,
    index_in_block int, body bytea, digest bytea not null
);
alter table bare.transactions alter column body set storage external;
create index on bare.transactions (slot);
create table bare.events (
    seq bigint primary key, transaction_no bigint not null, order_key bigint not null, ordinal int not null,
    name text collate "C" not null, market text collate "C", wallet text collate "C", clock bigint not null,
    signature text collate "C" not null, payload jsonb not null, context jsonb, unique (transaction_no, ordinal)
);
create index on bare.events (market, order_key);
create index on bare.events (wallet, market, order_key);
create index on bare.events (order_key);
create unlogged table bare.waiting_transactions (like bare.transactions);
create unlogged table bare.waiting_events (like bare.events);
create index on bare.waiting_transactions (transaction_no);
create index on bare.waiting_events (transaction_no);
"""

FIGURE = IngestFigure()
