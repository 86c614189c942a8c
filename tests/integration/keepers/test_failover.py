"""Three hosts with Patroni, etcd and HAProxy: each dies in turn, one is cut off, and one takes the log's end with it.

Every acknowledged append is stored exactly once. Readers and the bus get each entry once, or `resync`. Keepers send
nothing twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from keeper_stack import QUICK, KeeperStack, due, open_keeper_stack

from orchestration.keepers import plans
from relay import bus
from relay.log_reader import LogReader
from relay.metrics import RelayMetrics
from relay.publisher import Publisher
from tests import debian_packages
from tests.failover_clients import DEADLINE_SECONDS, FeedReader, LogAppender, StreamFollower, insist, running, until
from tests.failover_cluster import ClusterHost, FailoverCluster, running_cluster
from tests.fix_nats import STREAM, Nats
from zmart import errors, testing
from zmart.db import feed
from zmart.run import ports
from zmart.run.deploy import rebuild
from zmart.run.supervisor import process

#: A busy machine makes etcd miss its own deadlines, so `make failover` runs it alone.
pytestmark = [pytest.mark.drill, pytest.mark.failover, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[3]
INSTRUCTION = "aggregate_proposal_votes"
#: A keeper that died holds its lease for a short time.
TIMING = dataclasses.replace(QUICK, lease_seconds=10.0)
#: The bound on the time without an acknowledged append after a host died.
MOST_SECONDS = 60.0
#: What a host that is cut off must not acknowledge, it is asked for during this time.
CUT_OFF_SECONDS = 20.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[FailoverCluster]:
    """The hosts, as superuser of the machine."""
    if os.geteuid() != 0:
        pytest.skip("only root may create network namespaces")
    try:
        with running_cluster() as cluster:
            cluster.server.provision()
            yield cluster
    except debian_packages.NotInstallable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def deployed(cluster: FailoverCluster) -> Iterator[testing.PostgresDatabase]:
    """A database with all marts, to clone from."""
    with cluster.server.template(testing.apply_migrations) as database:
        rebuild.deploy(database.dsn())
        yield database


@pytest.fixture
def database(cluster: FailoverCluster, deployed: testing.PostgresDatabase) -> Iterator[testing.PostgresDatabase]:
    """A database of the test's own, while all hosts run."""
    cluster.wait_until_complete()
    with cluster.server.clone(deployed) as database:
        yield database


@pytest.fixture
async def stack(
    cluster: FailoverCluster, deployed: testing.PostgresDatabase, database: testing.PostgresDatabase, tmp_path: Path
) -> AsyncIterator[KeeperStack]:
    """A chain with keepers, whose log is another database of the same hosts."""
    with cluster.server.clone(deployed) as own:
        async with open_keeper_stack(tmp_path, own) as stack:
            yield stack


@contextlib.asynccontextmanager
async def served(database: testing.PostgresDatabase, folder: Path, **variables: str) -> AsyncIterator[str]:
    """`python -m api`; the address where it answers."""
    port = ports.find_free_port()
    environment = {
        "PATH": os.defpath,
        "ZMART_STATE_DIR": str(folder / f"api-{port}"),
        "DATABASE_URL": database.dsn(),
        "DATABASE_URL_API": database.dsn("zmart_api"),
        "JWT_SECRET": secrets.token_hex(32),
        "API_PORT": str(port),
        "RATE_LIMIT_PER_MINUTE": "0",
        "LOG_LEVEL": "warn",
        **variables,
    }
    launch = process.Launch(
        command=(sys.executable, "-m", "api"), environment=environment, cwd=str(ROOT), death_signal=signal.SIGTERM
    )
    with (folder / f"api-{port}.log").open("wb") as output:
        api = process.start(launch, output=output.fileno())
    try:
        async with httpx.AsyncClient(trust_env=False) as client:

            async def is_ready() -> bool:
                assert api.poll() is None, (folder / f"api-{port}.log").read_text()
                with contextlib.suppress(httpx.HTTPError):
                    return (await client.get(f"http://127.0.0.1:{port}/ready")).status_code == 200
                return False

            deadline = time.monotonic() + DEADLINE_SECONDS
            while not await is_ready():
                assert time.monotonic() < deadline, (folder / f"api-{port}.log").read_text()
                await asyncio.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        api.kill()
        api.wait(DEADLINE_SECONDS)


def relay_of(database: testing.PostgresDatabase, nats: Nats) -> Publisher:
    """A relay of the log."""
    return Publisher(
        LogReader(database.dsn("zmart_api")),
        lambda relay: bus.Bus.connect([nats.url], stream=STREAM, relay=relay),
        stream=STREAM,
        metrics=RelayMetrics(),
    )


def fetch(database: testing.PostgresDatabase, statement: str, *parameters: Any) -> Any:
    """One value from the primary."""
    with database.connect("postgres") as superuser:
        row = superuser.execute(statement.encode(), parameters or None).fetchone()
    assert row is not None
    return row[0]


def stored_signatures(database: testing.PostgresDatabase) -> list[str]:
    """The signatures in the log."""
    with database.connect("postgres") as superuser:
        return [str(row[0]) for row in superuser.execute("select signature from log.transactions").fetchall()]


def check_stored(database: testing.PostgresDatabase, *appenders: LogAppender) -> int:
    """Assert that everything acknowledged is stored once, and that no seq is missing; return the end of the log."""
    stored = stored_signatures(database)
    assert len(stored) == len(set(stored))
    for appender in appenders:
        assert appender.signatures <= set(stored)
    assert fetch(database, "select count(*) = max(seq) from raw.feed")
    doubled = "select count(*) from (select from log.events group by signature, ordinal having count(*) > 1) as d"
    assert fetch(database, doubled) == 0
    return int(fetch(database, "select max(seq) from raw.feed"))


async def until_on_bus(nats: Nats, seq: int) -> list[dict[str, Any]]:
    """Wait until the bus has an entry; return all messages."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (stored := await nats.stored())[-1]["seq"] < seq:
        assert time.monotonic() < deadline, stored[-1]
        await asyncio.sleep(0.2)
    return stored


async def pass_a_failover(stack: KeeperStack) -> None:
    """Let keepers see the new primary, the log pass the slots for which they then wait, and keepers work again."""
    await insist(functools.partial(observe, stack))
    stack.pass_blocks(plans.RESTORED_SLOTS)
    await insist(stack.sync_log)
    assert due(await insist(lambda: stack.run_keepers("proposal_tallies"))) == []


async def test_each_host_dies_in_turn(
    cluster: FailoverCluster, database: testing.PostgresDatabase, stack: KeeperStack, nats: Nats, tmp_path: Path
) -> None:
    """The primary at first, at the moment when a keeper has sent; whichever part the others have, they die later."""
    epoch = str(fetch(database, "select epoch from raw.identity"))
    appender, reader = LogAppender(database.dsn("zmart_ingest"), 1), FeedReader(database.dsn("zmart_api"), epoch)
    left, outages, markets = list(cluster.hosts), [], []
    standbys = database.dsn("zmart_api").replace(f":{cluster.ports['5000']}/", f":{cluster.ports['5001']}/")
    async with (
        served(database, tmp_path) as url,
        served(database, tmp_path, DATABASE_URL_READ=standbys) as standby_url,
    ):
        stream, standby_stream = StreamFollower(url, f"{epoch}:0"), StreamFollower(standby_url, f"{epoch}:0")
        async with running(
            appender.run(), reader.run(), stream.run(), standby_stream.run(), relay_of(database, nats).run()
        ):
            await appender.more(20)
            while left:
                primary = cluster.primary()
                victim = primary if primary in left else left[0]
                left.remove(victim)
                market = stack.propose(len(markets) + 1)
                markets.append(market)
                await insist(stack.sync_log)
                killed_at = await run_until_killed(stack, market, victim)
                await until(functools.partial(appender.has_stored_since, killed_at))
                outages.append(time.monotonic() - killed_at)
                print(f"{victim.name} ({'primary' if victim is primary else 'standby'}): {outages[-1]:.1f} s")
                cluster.start_host(victim)
                await asyncio.to_thread(cluster.wait_until_complete)
                await pass_a_failover(stack)
                await appender.more(20)
            appender.is_over.set()
            await insist(stack.sync_log)
            head = check_stored(database, appender)
            await until(lambda: bool(reader.seqs) and reader.seqs[-1] >= head)
            last_trade = int(
                fetch(database, "select max(seq) from log.events where name in ('SharesBought', 'SharesSold')")
            )
            for each in (stream, standby_stream):
                await until(functools.partial(each.has_reached, last_trade))
            published = await until_on_bus(nats, head)

        whole = StreamFollower(url, f"{epoch}:0")
        async with running(whole.run()):
            await until(functools.partial(whole.has_reached, last_trade))

    assert max(outages) < MOST_SECONDS
    assert appender.epochs == {epoch}
    assert str(fetch(database, "select epoch from raw.identity")) == epoch
    assert reader.seqs == list(range(1, head + 1))
    assert [message["seq"] for message in published] == list(range(1, head + 1))
    assert stream.resyncs == whole.resyncs == 0
    assert len(stream.messages) > 20
    assert stream.messages == whole.messages
    # A standby may have shown an entry that was never acknowledged; then its readers get `resync`.
    assert set(standby_stream.messages) >= set(whole.messages)
    assert standby_stream.resyncs or standby_stream.messages == whole.messages
    for market in markets:
        assert len(stack.landed_signatures(market, INSTRUCTION)) == 1


@pytest.mark.parametrize("sync_state", ["sync", "async"])
async def test_a_standby_dies(cluster: FailoverCluster, database: testing.PostgresDatabase, sync_state: str) -> None:
    """Appends wait until the other standby is the synchronous one; the death of the asynchronous one delays none."""
    epoch = str(fetch(database, "select epoch from raw.identity"))
    appender = LogAppender(database.dsn("zmart_ingest"), 1)
    victim = cluster.standby(sync_state)
    async with running(appender.run()):
        await appender.more(20)
        victim.kill()
        killed_at = time.monotonic()
        await until(functools.partial(appender.has_stored_since, killed_at))
        outage = time.monotonic() - killed_at
        print(f"{victim.name} ({sync_state} standby): {outage:.1f} s")
        await appender.more(20)
        cluster.start_host(victim)
        await asyncio.to_thread(cluster.wait_until_complete)
        appender.is_over.set()
        await asyncio.sleep(0)

    assert outage < (MOST_SECONDS if sync_state == "sync" else 5.0)
    check_stored(database, appender)
    assert appender.epochs == {epoch}
    assert str(fetch(database, "select epoch from raw.identity")) == epoch


async def observe(stack: KeeperStack) -> None:
    """Let a round of keepers begin, when the former one has the lease no more."""
    observed = fetch(stack.database, "select value from ops.cursors where name = 'keeper_epoch'")
    timeline = fetch(stack.database, "select raw.timeline()")
    deadline = time.monotonic() + DEADLINE_SECONDS
    while observed["timeline"] != timeline:
        assert time.monotonic() < deadline
        await stack.run_keepers("proposal_tallies", timing=TIMING)
        observed = fetch(stack.database, "select value from ops.cursors where name = 'keeper_epoch'")


async def run_until_killed(stack: KeeperStack, market: str, victim: ClusterHost) -> float:
    """Run a keeper that has work, kill a host when it has sent, and return when that was."""
    killed: list[float] = []

    def checkpoint(step: str) -> None:
        if step == "after send" and not killed:
            victim.kill()
            killed.append(time.monotonic())

    deadline = time.monotonic() + DEADLINE_SECONDS
    while not killed:
        # At first the former round may still have the lease.
        assert time.monotonic() < deadline
        with contextlib.suppress(errors.Transient):
            await stack.run_keepers("proposal_tallies", checkpoint=checkpoint, timing=TIMING)
    assert len(stack.landed_signatures(market, INSTRUCTION)) == 1
    return killed[0]


@pytest.mark.parametrize("ending", ["goes on", "is killed"])
async def test_two_hosts_believe_to_be_the_primary(
    cluster: FailoverCluster, database: testing.PostgresDatabase, ending: str
) -> None:
    """One that is cut off, and whose Patroni hangs, goes on as a primary; it acknowledges nothing. When it is back, its
    Patroni goes on, or an operator kills it: it follows the new primary, which stays."""
    epoch = str(fetch(database, "select epoch from raw.identity"))
    old = cluster.primary()
    outside = LogAppender(database.dsn("zmart_ingest"), 1)
    # A process on the host that is cut off.
    own_dsn = database.dsn("zmart_ingest").replace(f"127.0.0.1:{cluster.ports['5000']}", f"{old.address}:5432")
    inside = LogAppender(own_dsn, 2)
    is_primary: list[bool] = []
    ask = threading.Event()

    def work_inside() -> None:
        old.enter()
        asyncio.run(inside.run())

    def ask_inside() -> None:
        old.enter()
        ask.wait(DEADLINE_SECONDS)
        is_primary.append(not _is_in_recovery(cluster, old))

    threads = [threading.Thread(target=each, daemon=True) for each in (work_inside, ask_inside)]
    for thread in threads:
        thread.start()
    async with running(outside.run()):
        await outside.more(20)
        await inside.more(5)
        old.send_signal("patroni", signal.SIGSTOP)
        old.cut()
        cut_at = time.monotonic()
        await until(lambda: outside.has_stored_since(cut_at))
        outage = time.monotonic() - cut_at
        print(f"{old.name} cut off: {outage:.1f} s")
        new = await asyncio.to_thread(cluster.primary)
        attempts = inside.attempts
        await asyncio.sleep(CUT_OFF_SECONDS)
        ask.set()
        await until(lambda: bool(is_primary))
        assert new is not old
        assert is_primary == [True]
        assert not _is_in_recovery(cluster, new)
        await outside.more(20)
        inside.is_over.set()
        old.heal()
        if ending == "goes on":
            old.send_signal("patroni", signal.SIGCONT)
        else:
            cluster.restart_patroni(old)
        await asyncio.to_thread(cluster.wait_until_complete)
        assert await asyncio.to_thread(cluster.primary) is new
        for thread in threads:
            await asyncio.to_thread(thread.join, DEADLINE_SECONDS)
            assert not thread.is_alive()
        await outside.more(5)
        outside.is_over.set()
        await asyncio.sleep(0)

    assert not inside.has_stored_since(cut_at)
    assert attempts > len(inside.acknowledged)
    assert outage < MOST_SECONDS
    check_stored(database, outside, inside)
    assert outside.epochs == {epoch}
    assert str(fetch(database, "select epoch from raw.identity")) == epoch


def _is_in_recovery(cluster: FailoverCluster, host: ClusterHost) -> bool:
    with psycopg.connect(cluster.dsn_at(host.address), autocommit=True, connect_timeout=10) as superuser:
        row = superuser.execute("select pg_is_in_recovery()").fetchone()
    assert row is not None
    return bool(row[0])


async def test_an_asynchronous_standby_that_lacks_the_end(
    cluster: FailoverCluster, database: testing.PostgresDatabase, stack: KeeperStack, nats: Nats
) -> None:
    """A new epoch begins, readers and the bus get `resync`, and a keeper whose intent is lost sends nothing twice."""
    # A standby is promoted although it lacks something.
    cluster.configure(synchronous_mode=False, synchronous_mode_strict=False, maximum_lag_on_failover=1 << 30)
    cluster.wait_until_complete(is_synchronous=False)
    epoch = str(fetch(database, "select epoch from raw.identity"))
    await insist(stack.sync_log)
    assert due(await stack.run_keepers("proposal_tallies")) == []
    market = stack.propose(1)
    await insist(stack.sync_log)
    appender, reader = LogAppender(database.dsn("zmart_ingest"), 1), FeedReader(database.dsn("zmart_api"), epoch)
    async with running(appender.run(), reader.run(), relay_of(database, nats).run()):
        await appender.more(20)
        old = cluster.primary()
        try:
            # Nothing leaves the primary from here on.
            old.send_signal("walsender", signal.SIGSTOP)
            await appender.more(20)
            deadline = time.monotonic() + DEADLINE_SECONDS
            while not stack.landed_signatures(market, INSTRUCTION):
                assert time.monotonic() < deadline
                await stack.sync_log()
                await stack.run_keepers("proposal_tallies")
            assert stack.intents() != []
            last = appender.acknowledged[-1][1]
            await until(lambda: reader.seqs[-1] >= last)
            await until_on_bus(nats, last)
        finally:
            old.kill()
        killed_at = time.monotonic()
        await until(lambda: reader.foreign is not None)
        await until(lambda: appender.has_stored_since(killed_at))
        print(f"{old.name}, asynchronous: {time.monotonic() - killed_at:.1f} s")
        await appender.more(20)
        appender.is_over.set()
        assert isinstance(reader.foreign, feed.ForeignEpoch)
        head = int(await asyncio.to_thread(fetch, database, "select max(seq) from raw.feed"))
        published = await until_resynced(nats, head)

    lost = appender.signatures - set(stored_signatures(database))
    assert lost
    assert str(fetch(database, "select epoch from raw.identity")) not in {"", epoch}
    (announced,) = [message for message in published if message["kind"] == "resync"]
    assert announced["epoch"] != epoch
    later = published[published.index(announced) + 1 :]
    assert [message["seq"] for message in later] == list(range(announced["seq"] + 1, head + 1))

    assert stack.intents() == []
    waiting = await insist(lambda: stack.run_keepers("proposal_tallies"))
    assert due(waiting) == []
    assert len(stack.landed_signatures(market, INSTRUCTION)) == 1
    await pass_a_failover(stack)
    assert len(stack.landed_signatures(market, INSTRUCTION)) == 1
    second = stack.propose(2)
    # Keepers count what was cast before the second of the last proven block.
    stack.pass_blocks(1, seconds=2)
    await insist(stack.sync_log)
    report = await insist(lambda: stack.run_keepers("proposal_tallies"))
    assert due(report) == [second], report.rows
    cluster.start_host(old)
    cluster.configure(synchronous_mode=True, synchronous_mode_strict=True)
    cluster.wait_until_complete()


async def until_resynced(nats: Nats, head: int) -> list[dict[str, Any]]:
    """Wait until the bus has a resync and the entries after it; return all messages."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        stored = await nats.stored()
        if any(message["kind"] == "resync" for message in stored) and stored[-1]["seq"] >= head:
            return stored
        assert time.monotonic() < deadline, stored[-3:]
        await asyncio.sleep(0.2)
