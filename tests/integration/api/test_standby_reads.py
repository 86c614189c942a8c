"""GETs and streams on a streaming standby: behind, ahead, and without a primary."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Iterator

import event_histories
import httpx
import pytest
from api_fixtures import alive
from litestar import Litestar

from api import app
from api.live.client import ResyncRequired, StreamClient
from ingest.store.writer import Writer
from ingest.testing import address
from tests.streaming_standby import TUNING, paused, streaming_standby
from zmart import settings, testing
from zmart.db import feed, migrate
from zmart.run.deploy import rebuild
from zmart.run.postgres import embedded

#: Two servers and a deployment take longer than the gate allows.
pytestmark = [pytest.mark.drill, pytest.mark.slow, pytest.mark.timeout(600)]

DEADLINE_SECONDS = 120.0


@pytest.fixture(scope="module")
def primary() -> Iterator[embedded.EmbeddedPostgres]:
    """A server of its own with the log and its marts."""
    with testing.state_dir() as folder, embedded.EmbeddedPostgres(folder, durable=False, tuning=TUNING) as server:
        migrate.migrate(server.dsn())
        rebuild.deploy(server.dsn())
        yield server


@pytest.fixture(scope="module")
def standby(primary: embedded.EmbeddedPostgres) -> Iterator[embedded.EmbeddedPostgres]:
    """A standby that streams from it."""
    with streaming_standby(primary) as server:
        yield server


@contextlib.asynccontextmanager
async def served(
    primary_dsn: str, standby: embedded.EmbeddedPostgres | str
) -> AsyncIterator[tuple[Litestar, httpx.AsyncClient]]:
    """The API with both; the standby may be an address."""
    environ = {
        "DATABASE_URL": primary_dsn,
        "DATABASE_URL_API": primary_dsn,
        "DATABASE_URL_READ": standby if isinstance(standby, str) else standby.dsn("zmart_api"),
        "JWT_SECRET": "j" * 40,
        "RATE_LIMIT_PER_MINUTE": "100000",
    }
    application = app.create(settings.load(environ))
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with (
        alive(application),
        httpx.AsyncClient(transport=transport, base_url="http://api", timeout=DEADLINE_SECONDS) as client,
    ):
        yield application, client


async def append(primary: embedded.EmbeddedPostgres, count: int) -> int:
    """Append events as ingest does; return the end of the log."""
    log = Writer(primary.dsn("zmart_ingest"))
    try:
        await log.append(event_histories.generate(count), source="webhook")
    finally:
        await log.close()
    with_head = await head(primary)
    return with_head.seq


async def head(server: embedded.EmbeddedPostgres) -> feed.FeedPosition:
    """The end of the log in a server."""
    async with await feed_connection(server) as connection:
        return await feed.head(connection)


async def feed_connection(server: embedded.EmbeddedPostgres) -> feed.Connection:
    """A connection as the API's role."""
    from zmart.db.connection import connect

    return await connect(server.dsn("zmart_api"))


async def read(client: httpx.AsyncClient, **headers: str) -> feed.FeedPosition:
    """Return the position of an answer."""
    answer = await client.get("/api/markets", headers={name.replace("_", "-"): text for name, text in headers.items()})
    assert answer.status_code == 200, answer.text
    return feed.FeedPosition.parse(answer.headers["zmart-seq"])


async def eventually(condition: object, seconds: float = DEADLINE_SECONDS) -> None:
    """Wait until a function returns true."""
    deadline = time.monotonic() + seconds
    while not await condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_gets_and_streams_follow_the_standby(
    primary: embedded.EmbeddedPostgres, standby: embedded.EmbeddedPostgres
) -> None:
    """Behind, it answers with its own position; a named position is answered by the primary; push waits for replay."""
    await append(primary, 10)
    async with served(primary.dsn("zmart_api"), standby) as (application, client):
        before = await head(primary)

        async def has_replayed() -> bool:
            return (
                (await read(client)).seq == before.seq and hub.position is not None and hub.position.seq == before.seq
            )

        hub = application.state.services.hub
        await eventually(has_replayed)
        with paused(standby):
            assert await append(primary, 40) > before.seq
            newest = await head(primary)
            assert (await read(client)).seq == before.seq
            assert (await read(client, zmart_min_position=str(newest))).seq == newest.seq
            refused = await client.post("/api/auth/logout", headers={"authorization": "Bearer a-session"})
            assert 400 <= refused.status_code < 500
            assert (await read(client, authorization="Bearer a-session")).seq == before.seq
            session = "Bearer " + application.state.services.auth.tokens.issue(address(1))
            written = await client.patch(
                "/api/users/me", json={"display_name": "Ann"}, headers={"authorization": session}
            )
            assert written.status_code == 200, written.text
            newest = await head(primary)
            assert (await read(client, authorization=session)).seq == newest.seq
            assert (await read(client, authorization="Bearer another-session")).seq == before.seq
            # The signal of the new entries has arrived long ago; the standby does not have them.
            await asyncio.sleep(0.3)
            assert hub.position.seq == before.seq
            assert not hub.is_stalled
        before = newest
        await eventually(has_replayed)
        refused = await client.get("/api/markets", headers={"zmart-min-position": "nonsense"})
        assert refused.status_code == 400


async def test_a_position_that_no_host_has(
    primary: embedded.EmbeddedPostgres, standby: embedded.EmbeddedPostgres
) -> None:
    """Beyond every end: not yet. Of another epoch, or with another mark: the stream says where the log is."""
    await append(primary, 10)
    end = await head(primary)
    assert end.mark is not None
    beyond, foreign = f"{end.epoch}:{end.seq + 1_000}", f"{uuid.uuid4()}:{end.seq}"
    other = str(end.with_seq(end.seq, "0" * 16))
    async with served(primary.dsn("zmart_api"), standby) as (application, client):
        refused = await client.get("/api/markets", headers={"zmart-min-position": beyond})
        assert refused.status_code == 503, refused.text
        assert refused.headers["retry-after"]
        # That log is not here any more: waiting would not help.
        assert (await read(client, zmart_min_position=foreign)).epoch == end.epoch
        for named, reason in ((beyond, "future_position"), (foreign, "foreign_epoch"), (other, "mark_mismatch")):
            stream = StreamClient(frozenset({"trades"}), "127.0.0.1")
            with pytest.raises(ResyncRequired) as refusal:
                await application.state.services.hub.check_position(feed.FeedPosition.parse(named), stream)
            assert refusal.value.reason == reason
            assert refusal.value.found == end


async def test_several_standbys_in_one_address(
    primary: embedded.EmbeddedPostgres, standby: embedded.EmbeddedPostgres
) -> None:
    """One that is away is passed over: requests and streams use the next."""
    await append(primary, 20)
    end = await head(primary)
    both = standby.dsn("zmart_api").replace(f"@127.0.0.1:{standby.port}/", f"@127.0.0.1:1,127.0.0.1:{standby.port}/")
    # Without a primary, so that nothing else can answer.
    away = primary.dsn("zmart_api").replace(f":{primary.port}/", ":1/")
    async with served(away, both) as (application, client):

        async def has_replayed() -> bool:
            hub = application.state.services.hub
            return (await read(client)).seq == end.seq and hub.position is not None and hub.position.seq == end.seq

        await eventually(has_replayed)


async def test_without_a_primary_reads_go_on_and_writes_are_refused(
    primary: embedded.EmbeddedPostgres, standby: embedded.EmbeddedPostgres
) -> None:
    """503 with Retry-After for everything that the standby cannot answer; limits count in memory."""
    await append(primary, 10)
    end = await head(primary)

    async def is_replayed() -> bool:
        return (await head(standby)).seq == end.seq

    await eventually(is_replayed)
    # Nothing listens on this port: the same as a primary that is away.
    away = primary.dsn("zmart_api").replace(f":{primary.port}/", ":1/")
    async with served(away, standby) as (application, client):
        assert (await read(client)).seq == end.seq
        answer = await client.get("/api/markets")
        assert int(answer.headers["ratelimit-remaining"]) < 100_000

        async def is_ready() -> bool:
            return (await client.get("/ready")).status_code == 200

        await eventually(is_ready)
        for request in (
            client.post("/api/auth/refresh", json={"refresh_token": "x" * 40}),
            client.get("/api/markets", headers={"zmart-min-position": f"{end.epoch}:{end.seq + 1}"}),
        ):
            refused = await request
            if refused.status_code != 503:
                assert refused.status_code in {400, 401, 422}, refused.text
                continue
            assert refused.headers["retry-after"]
        assert refused.status_code == 503
        assert application.state.services.hub.position.seq == end.seq
