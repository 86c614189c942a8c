"""The relay on a real bus and a real log: each entry once and in order, whatever happens in between."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from nats.js import api

from ingest.store.writer import Writer
from relay import bus
from relay.log_reader import LogReader
from relay.metrics import RelayMetrics
from relay.publisher import AnotherRelay, Publisher
from tests import event_histories
from tests.fix_nats import STREAM, Nats
from zmart import testing
from zmart.db import feed

#: Generous: the machine may be busy. Nothing waits for it when all is well.
DEADLINE_SECONDS = 60.0


class RelayedLog:
    """A log that tests append to."""

    def __init__(self, database: testing.PostgresDatabase) -> None:
        self.database = database
        self.owner: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(database.dsn("postgres"), autocommit=True)
        self.owner.execute("select raw.renew_identity()")

    def append(self, count: int = 1) -> None:
        """Append facts in one transaction, sealed as the writer does."""
        with self.owner.transaction():
            self.owner.execute("select raw.take_writer()")
            self.owner.execute(
                "insert into raw.feed (seq, kind, ref) select n, 'finalized_through', n"
                " from generate_series(raw.next_seq(), raw.next_seq() + %s - 1) as n",
                [count],
            )
            self.owner.execute(
                "insert into raw.commits (first_seq, last_seq, value)"
                " select max(seq) - %s + 1, max(seq), "
                " sha256(max(seq)::text::bytea) from raw.feed",
                [count],
            )
            self.owner.execute("notify zmart_feed")

    @property
    def head(self) -> int:
        """The last seq."""
        row = self.owner.execute("select coalesce(max(seq), 0) from raw.feed").fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture
def log(database: testing.PostgresDatabase) -> Iterator[RelayedLog]:
    """A migrated database with an empty log."""
    found = RelayedLog(database)
    try:
        yield found
    finally:
        found.owner.close()


@contextlib.asynccontextmanager
async def relaying(log: RelayedLog, nats: Nats, **options: Any) -> AsyncIterator[tuple[Publisher, asyncio.Task[None]]]:
    """A running relay; the caller may await the task to see how it ends."""
    publisher = Publisher(
        LogReader(log.database.dsn("zmart_api")),
        lambda relay: bus.Bus.connect([nats.url], stream=STREAM, relay=relay),
        stream=STREAM,
        metrics=options.pop("metrics", RelayMetrics()),
        **options,
    )
    task = asyncio.create_task(publisher.run())
    try:
        yield publisher, task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(condition: Callable[[], Any], *, task: asyncio.Task[None] | None = None) -> None:
    """Wait until a condition holds; fail with the error of the task if it has ended."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        found = condition()
        if found if isinstance(found, bool) else await found:
            return
        if task is not None and task.done():
            task.result()
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def until_on_bus(nats: Nats, count: int, task: asyncio.Task[None] | None = None) -> None:
    """Wait until the stream has this many messages."""

    async def is_there() -> bool:
        return await nats.last_seq() >= count

    await until(is_there, task=task)


def seqs(stored: list[dict[str, Any]]) -> list[int]:
    """The entries' seqs in the order of the stream."""
    return [message["seq"] for message in stored if message["kind"] != "resync"]


async def test_each_entry_is_published_with_its_market_and_event(
    database: testing.PostgresDatabase, nats: Nats
) -> None:
    """Real events: subject by market, id by position, and the event as analysts read it."""
    writer = Writer(database.dsn("zmart_ingest"))
    try:
        await writer.append(event_histories.generate(30), source="webhook")
    finally:
        await writer.close()
    log = RelayedLog(database)
    async with relaying(log, nats) as (_, task):
        await until_on_bus(nats, log.head, task)

    stored = await nats.stored()
    assert seqs(stored) == list(range(1, log.head + 1))
    rows = log.owner.execute(
        "select f.seq, f.market_account, e.name, e.signature, e.payload, raw.mark_of(f.seq), i.epoch::text"
        " from log.feed as f inner join log.events as e on f.seq = e.seq cross join raw.identity as i order by f.seq"
    ).fetchall()
    assert len(rows) > 20
    by_seq = {message["seq"]: message for message in stored}
    for seq, market, name, signature, payload, mark, epoch in rows:
        message = by_seq[seq]
        assert message["subject"] == ("zmart.log.event" if market is None else f"zmart.market.{market}.event")
        assert message["id"] == message["position"] == f"{epoch}:{seq}:{mark}"
        event = message["event"]
        assert (event["name"], event["signature"], event["payload"]) == (name, signature, payload)
    log.owner.close()


async def test_a_restarted_relay_continues_after_the_last_message(log: RelayedLog, nats: Nats) -> None:
    """Also where the ids are older than the bus remembers, and where the stored place is old."""
    await nats.create(duplicate_window=0.1)
    log.append(300)
    async with relaying(log, nats) as (_, task):
        await until_on_bus(nats, 300, task)
    log.owner.execute("delete from ops.cursors")
    log.append(5)
    await asyncio.sleep(0.3)  # The bus forgets its ids; nothing waits for this.
    async with relaying(log, nats) as (_, task):
        await until_on_bus(nats, 305, task)
        log.append(2)
        await until_on_bus(nats, 307, task)

    assert seqs(await nats.stored()) == list(range(1, 308))


async def test_a_bus_that_dies_in_the_middle_gets_each_entry_once(log: RelayedLog, nats: Nats) -> None:
    """Killed while entries arrive, three times."""
    async with relaying(log, nats) as (_, task):
        for round_number in range(1, 4):
            log.append(400)
            reached = await nats.last_seq()
            await until_on_bus(nats, reached + 1, task)
            nats.stop()
            log.append(10)
            nats.start()
            assert log.head == 410 * round_number
        await until_on_bus(nats, log.head, task)

    assert seqs(await nats.stored()) == list(range(1, log.head + 1))


async def test_a_database_connection_that_dies_costs_nothing(log: RelayedLog, nats: Nats) -> None:
    """The relay connects again and continues."""
    async with relaying(log, nats) as (publisher, task):
        log.append(3)
        await until_on_bus(nats, 3, task)
        log.owner.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and application_name = 'zmart relay'"
        )
        log.append(3)
        await until_on_bus(nats, 6, task)
        assert publisher.relay_id

    assert seqs(await nats.stored()) == [1, 2, 3, 4, 5, 6]


async def test_a_bus_that_does_not_answer_is_noticed(
    log: RelayedLog, nats: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped process keeps its connections open: deadlines end each wait, and the metrics say so."""
    for name in ("CONFIRM_SECONDS", "ANSWER_SECONDS"):
        monkeypatch.setattr(bus, name, 1.0)
    monkeypatch.setattr(bus, "CONNECT_SECONDS", 1)
    metrics = RelayMetrics()
    async with relaying(log, nats, metrics=metrics) as (_, task):
        log.append()
        await until_on_bus(nats, 1, task)
        os.kill(nats.pid, signal.SIGSTOP)
        try:
            log.append(50)
            await until(lambda: not metrics.is_connected and metrics.oldest_waiting_seconds > 0)
            assert metrics.problems()
        finally:
            os.kill(nats.pid, signal.SIGCONT)
        await until_on_bus(nats, 51, task)
        await until(lambda: metrics.problems() == [])

    assert seqs(await nats.stored()) == list(range(1, 52))


async def test_a_second_relay_is_refused_and_stops(log: RelayedLog, nats: Nats) -> None:
    """Exactly one goes on; no entry is missing, and none is there twice."""
    async with relaying(log, nats) as (_, first), relaying(log, nats) as (_, second):
        while not (first.done() or second.done()):
            log.append(20)
            await asyncio.sleep(0.01)
        stopped, other = (first, second) if first.done() else (second, first)
        with pytest.raises(AnotherRelay, match="Another relay publishes to the stream ZMART; this one stops"):
            stopped.result()
        log.append(20)
        await until_on_bus(nats, log.head, other)

    assert seqs(await nats.stored()) == list(range(1, log.head + 1))


async def test_a_full_stream_holds_entries_back_until_there_is_room(log: RelayedLog, nats: Nats) -> None:
    """Nothing is dropped: the relay waits, and its metrics name the reason."""
    await nats.create(max_msgs=10, discard="new")
    metrics = RelayMetrics()
    async with relaying(log, nats, metrics=metrics) as (_, task):
        log.append(15)
        await until(
            lambda: bool(metrics.registry.get_sample_value("zmart_relay_failures_total", {"kind": "full"})), task=task
        )
        assert await nats.last_seq() == 10
        async with nats.jetstream() as stream:
            await stream.purge_stream(STREAM, keep=1)
        await until_on_bus(nats, 15, task)

    assert seqs(await nats.stored()) == list(range(10, 16))


@pytest.mark.parametrize("is_place_known", [True, False])
async def test_a_trimmed_stream_is_continued_or_announced(log: RelayedLog, nats: Nats, is_place_known: bool) -> None:
    """Without the last message the stored place counts, without that the end of the log. Consumers get a resync there:
    one that has read everything has exactly that position, any other reads the state again."""
    async with relaying(log, nats) as (_, task):
        log.append(7)
        await until_on_bus(nats, 7, task)
        await until(lambda: log.owner.execute("select from ops.cursors").fetchone() is not None)
        await until(lambda: _stored_seq(log) == 7)
    async with nats.jetstream() as stream:
        await stream.purge_stream(STREAM)
    if not is_place_known:
        log.owner.execute("delete from ops.cursors")
    log.append(2)
    async with relaying(log, nats) as (_, task):
        await until_on_bus(nats, 8, task)
        log.append()
        await until_on_bus(nats, 11 if is_place_known else 9, task)

    stored = await nats.stored()
    assert stored[0]["reason"] == "trimmed"
    assert (stored[0]["kind"], stored[0]["seq"]) == ("resync", 7 if is_place_known else 9)
    assert seqs(stored) == ([8, 9, 10] if is_place_known else [10])


def _stored_seq(log: RelayedLog) -> int:
    row = log.owner.execute("select split_part(value ->> 'position', ':', 2)::int from ops.cursors").fetchone()
    return int(row[0]) if row else 0


async def test_another_log_is_announced(log: RelayedLog, nats: Nats) -> None:
    """A restored database: a resync message, then the entries that follow."""
    async with relaying(log, nats) as (_, task):
        log.append(4)
        await until_on_bus(nats, 4, task)
    log.owner.execute("update raw.identity set epoch = gen_random_uuid()")
    async with relaying(log, nats) as (_, task):
        await until_on_bus(nats, 5, task)
        log.append()
        await until_on_bus(nats, 6, task)

    resync, entry = (await nats.stored())[-2:]
    assert (resync["kind"], resync["reason"], resync["seq"]) == ("resync", "foreign_epoch", 4)
    assert (entry["seq"], entry["epoch"]) == (5, resync["epoch"])


async def test_an_event_that_the_bus_finds_too_large_holds_nothing_up(log: RelayedLog, nats: Nats) -> None:
    """It is published without its event; the entries after it follow."""
    await nats.create(max_msg_size=850)
    writer = Writer(log.database.dsn("zmart_ingest"))
    try:
        await writer.append(event_histories.generate(3), source="webhook")
    finally:
        await writer.close()
    async with relaying(log, nats) as (_, task):
        log.append()
        await until_on_bus(nats, log.head, task)

    stored = await nats.stored()
    assert seqs(stored) == list(range(1, log.head + 1))
    assert {message.get("omitted") for message in stored} == {None, "event"}


@pytest.mark.parametrize("max_payload", [850, 1_000])
async def test_an_event_that_the_server_finds_too_large_holds_nothing_up(
    log: RelayedLog, nats: Nats, max_payload: int
) -> None:
    """The server's own limit counts headers, too, and ends the connection; the relay goes on without the event."""
    nats.stop()
    nats.start(f"max_payload: {max_payload}")
    writer = Writer(log.database.dsn("zmart_ingest"))
    try:
        await writer.append(event_histories.generate(3), source="webhook")
    finally:
        await writer.close()
    metrics = RelayMetrics()
    async with relaying(log, nats, metrics=metrics) as (_, task):
        log.append()
        await until_on_bus(nats, log.head, task)

    stored = await nats.stored()
    assert seqs(stored) == list(range(1, log.head + 1))
    assert {message.get("omitted") for message in stored} == {None, "event"}
    assert not metrics.registry.get_sample_value("zmart_relay_failures_total", {"kind": "unreachable"})


async def test_a_stream_of_others_is_refused(log: RelayedLog, nats: Nats) -> None:
    """The relay does not guess a position."""
    await nats.create()
    async with nats.jetstream() as stream:
        await stream.publish("zmart.market.x.event", b"{}")
    async with relaying(log, nats) as (_, task):
        await asyncio.wait([task], timeout=DEADLINE_SECONDS)
        with pytest.raises(Exception, match="was not published by the relay"):
            task.result()


async def test_from_now_begins_at_the_end(log: RelayedLog, nats: Nats) -> None:
    """A large log need not pass over the bus."""
    log.append(50)
    async with relaying(log, nats, is_from_now=True) as (_, task):
        await until_on_bus(nats, 1, task)
        log.append()
        await until_on_bus(nats, 2, task)

    first, second = await nats.stored()
    assert (first["kind"], first["reason"], first["seq"], second["seq"]) == ("resync", "begun", 50, 51)


def example() -> Any:
    """The module docs/examples/follow_bus.py."""
    path = Path(__file__).parents[3] / "docs" / "examples" / "follow_bus.py"
    spec = importlib.util.spec_from_file_location("follow_bus", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def message(seq: int, *, epoch: str = "a", kind: str = "event", mark: str = "1") -> dict[str, Any]:
    """A message with what the rule needs."""
    return {"kind": kind, "epoch": epoch, "seq": seq, "position": f"{epoch}:{seq}:{mark}"}


def test_the_rule_for_consumers() -> None:
    """Each entry counts once; a resync is acted on unless its position, mark included, is the consumer's own."""
    rule = example().EntryFilter()
    assert [seq for seq in (1, 2, 2, 1, 3) if rule.judge(message(seq)) == "new"] == [1, 2, 3]
    assert rule.judge(message(3, kind="resync")) == "known"
    # The end of the log was replaced: the same seq, another history.
    assert rule.judge(message(3, kind="resync", mark="2")) == "resync"
    # The state that was read is newer than the message: entries up to it do not count again.
    rule.last = "a:5:2"
    assert [rule.judge(message(seq)) for seq in (4, 5, 6)] == ["known", "known", "new"]
    # Another log; a late message of the one before is dropped.
    assert rule.judge(message(2, epoch="b", kind="resync")) == "resync"
    rule.last = "b:2:1"
    assert (rule.judge(message(7)), rule.judge(message(3, epoch="b"))) == ("known", "new")
    # Messages are missing: of the whole log that shows; entries of one market have no contiguous seqs.
    assert rule.judge(message(5, epoch="b")) == "resync"
    assert example().EntryFilter("b:3:1", is_whole_log=False).judge(message(5, epoch="b")) == "new"


@contextlib.asynccontextmanager
async def following(
    module: Any, nats: Nats, market: str | None, state: Callable[[str], str], last: str | None = None
) -> AsyncIterator[None]:
    """The example, with an API whose state has the position that `state` returns for a required one."""
    module.LIMITS_SECONDS = 0.0
    module.read_state = lambda _url, position: state(position)
    task = asyncio.create_task(module.follow(nats.url, "", market, last))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_the_example_consumer_notices_messages_that_were_removed(
    log: RelayedLog, nats: Nats, capsys: pytest.CaptureFixture[str]
) -> None:
    """While it was away, the stream's limit removed what it had not read. It reads the state, which is newer than the
    message, and goes on after it."""
    await nats.create(max_msgs=5, discard=api.DiscardPolicy.OLD)
    module, printed = example(), ""

    def has_printed(text: str) -> bool:
        nonlocal printed
        printed += capsys.readouterr().out
        return text in printed

    async with relaying(log, nats) as (_, task):
        log.append(3)
        await until_on_bus(nats, 3, task)
        last = (await nats.stored())[-1]
        async with following(module, nats, None, str):
            await until(lambda: has_printed("3 finalized_through"))
        log.append(20)
        await until_on_bus(nats, 23, task)
        async with following(module, nats, None, lambda _: f"{last['epoch']}:22", last["position"]):
            await until(lambda: has_printed("23 finalized_through"))
    counted = [line.split()[0] for line in printed.splitlines() if "finalized_through" in line or "resync (" in line]
    assert counted == ["1", "2", "3", "resync", "23"]


async def test_the_example_consumer_of_one_market_notices_it_too(
    log: RelayedLog, nats: Nats, capsys: pytest.CaptureFixture[str]
) -> None:
    """A resync reaches it, although it has no market; and messages that limits removed before it read them."""
    await nats.create()
    module, printed = example(), ""

    def has_printed(text: str, times: int) -> bool:
        nonlocal printed
        printed += capsys.readouterr().out
        return printed.count(text) >= times

    async with relaying(log, nats) as (_, task):
        log.append(3)
        await until_on_bus(nats, 3, task)
        log.owner.execute("update raw.identity set epoch = gen_random_uuid()")
        async with following(module, nats, "X", lambda position: position):
            log.append()
            await until(lambda: has_printed("resync (foreign_epoch)", 1), task=task)
            async with nats.jetstream() as stream:

                async def has_read_everything() -> bool:
                    consumer = await stream.consumer_info(STREAM, "follow-example-X")
                    return consumer.num_pending == 0 and consumer.num_ack_pending == 0

                await until(has_read_everything)
                # Everything that comes is removed before this consumer can read it.
                await stream.update_stream(
                    api.StreamConfig(name=STREAM, subjects=["zmart.>"], max_msgs=1, discard=api.DiscardPolicy.OLD)
                )
                log.append(300)
            await until(lambda: has_printed("resync (trimmed)", 1))


async def test_the_example_consumer_counts_each_entry_once(
    log: RelayedLog, nats: Nats, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed before it acknowledges, it gets messages again and drops them."""
    module = example()
    async with relaying(log, nats) as (_, task):
        log.append(30)
        await until_on_bus(nats, 30, task)
    printed = ""
    capsys.readouterr()

    def has_printed() -> bool:
        nonlocal printed
        printed += capsys.readouterr().out
        return printed.count("\n") >= 30

    following = asyncio.create_task(module.follow(nats.url, "", None))
    await until(has_printed)
    following.cancel()
    await asyncio.wait([following])
    assert [line.split()[0] for line in printed.splitlines()] == [str(seq) for seq in range(1, 31)]


async def test_the_delay_from_commit_to_the_bus_is_short(log: RelayedLog, nats: Nats) -> None:
    """Measured here as a bound only; `make bench ONLY=relay` measures it."""
    delays: list[float] = []
    async with relaying(log, nats) as (publisher, task), nats.jetstream() as stream:
        log.append()
        await until_on_bus(nats, 1, task)
        subscription = await stream.subscribe("zmart.>", ordered_consumer=True)
        await subscription.next_msg(timeout=DEADLINE_SECONDS)
        for _ in range(20):
            log.append()
            committed = time.perf_counter()
            await subscription.next_msg(timeout=DEADLINE_SECONDS)
            delays.append(time.perf_counter() - committed)
        assert publisher.relay_id
    delays.sort()
    print(f"commit to consumer p50 {delays[10] * 1000:.1f} ms, longest {delays[-1] * 1000:.1f} ms")
    # A poll takes a second: less shows that the notification was used.
    assert delays[10] < feed.POLL_SECONDS
