"""A log for the API's tests: events on chain, one line each, appended as ingest does."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

import event_histories
import httpx
import psycopg
from litestar import Litestar

from api import app
from api.__main__ import ApiServer
from ingest.store.writer import AppendResult, Writer
from ingest.testing import address
from zmart import settings, testing

SOL = 1_000_000_000
CREATOR = 1
TIMEOUT_SECONDS = 60


def market_id(market: int) -> str:
    """Return the id of a story's market."""
    return f"{market:064x}"


def market_address(market: int) -> str:
    """Return the account of a story's market."""
    return address(1000 + market)


@contextlib.asynccontextmanager
async def alive(application: Litestar) -> AsyncIterator[None]:
    """The application's lifespan, in a separate task, because the task that enters it must leave it."""
    began, ending = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with application.lifespan():
            began.set()
            await ending.wait()

    living = asyncio.create_task(live())
    await asyncio.wait([living, asyncio.create_task(began.wait())], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield
    finally:
        ending.set()
        await living


@contextlib.asynccontextmanager
async def served(configuration: settings.Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, in this event loop."""
    application = app.create(configuration)
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with alive(application), httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


class _ThreadTransport(httpx.AsyncBaseTransport):
    """Handles requests in the event loop of another thread, which outlives those of the tests."""

    def __init__(self, application: Litestar, loop: asyncio.AbstractEventLoop) -> None:
        self._inner = httpx.ASGITransport(application, raise_app_exceptions=False)  # type: ignore[arg-type]
        self._loop = loop

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response, whose body is complete."""
        await request.aread()
        handling = asyncio.run_coroutine_threadsafe(self._inner.handle_async_request(request), self._loop)
        return await asyncio.wrap_future(handling)


@contextlib.contextmanager
def served_in_thread(configuration: settings.Settings) -> Iterator[httpx.AsyncBaseTransport]:
    """An application in a thread, for clients of many event loops: creating one for each test takes 0.2 s."""
    loop, application = asyncio.new_event_loop(), app.create(configuration)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(step: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(step, loop).result(TIMEOUT_SECONDS)

    life = alive(application)
    run(life.__aenter__())
    try:
        yield _ThreadTransport(application, loop)
    finally:
        run(life.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(TIMEOUT_SECONDS)
        loop.close()


async def start_server(running: ApiServer, port: int = 0) -> asyncio.Task[None]:
    """Serve on a port (0: a free one) and return the server's task once it listens; signals stay with the test run."""
    running.config.port = port
    running.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
    task = asyncio.create_task(running.serve())
    while not running.started:
        assert not task.done()
        await asyncio.sleep(0.01)
    return task


@dataclasses.dataclass(kw_only=True)
class Log:
    """A database for the test alone, and the writer that appends to it as ingest does."""

    database: testing.PostgresDatabase
    writer: Writer
    #: For rows that ingest does not write, and for faults.
    owner: psycopg.Connection[tuple[Any, ...]]
    story: event_histories.EventHistory = dataclasses.field(default_factory=lambda: event_histories.EventHistory(1))
    _delivered: int = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, database: testing.PostgresDatabase) -> AsyncIterator[Log]:
        """The log of a database, with its writer."""
        writer = await Writer.connect(database.dsn("zmart_ingest"))
        with database.connect("postgres") as owner:
            yield cls(database=database, writer=writer, owner=owner)
        await writer.close()

    async def three_markets(self) -> None:
        """1 is traded and described, 2 proposed and voted on, 3 known from a trade alone."""
        self.create(1)
        self.activate(1)
        self.buy(1, 2, yes=True, shares=5 * SOL, price=612_345_678)
        self.buy(1, 3, yes=False, shares=2 * SOL, price=590_000_000)
        self.create(2)
        for wallet, like in ((2, True), (3, True), (4, True), (5, False)):
            self.vote(2, wallet, like=like)
        self.buy(3, 2)
        await self.deliver()
        self.describe(1, "Will it rain in Lisbon tomorrow?")

    async def deliver(self) -> AppendResult:
        """Append the transactions added to the story since."""
        rows = self.story.transactions[self._delivered :]
        self._delivered = len(self.story.transactions)
        return await self.writer.append(rows, source="webhook")

    def create(self, market: int, *, b: int = 100 * SOL) -> None:
        """Add the creation of a market."""
        context = {"initial_liquidity": str(10 * SOL), "ipfs_question_hash": "Q" * 46}
        created = {"b_parameter": str(b), "state": 0}
        self.story.append(("MarketCreated", market, CREATOR, created, context))

    def activate(self, market: int) -> None:
        """Add its approval and activation."""
        self.story.append(("ProposalApproved", market, 99, {}, None))
        self.story.append(("MarketActivated", market, CREATOR, {"initial_liquidity": str(10 * SOL)}, None))

    def buy(self, market: int, wallet: int, *, yes: bool = True, shares: int = SOL, price: int = 600_000_000) -> None:
        """Add a wallet's buy; the price is that of YES afterwards."""
        terms = {"outcome": yes, "shares": str(shares), "new_price_yes": str(price)}
        self.story.append(("SharesBought", market, wallet, {**terms, "cost": str(11 * SOL // 10)}, None))

    def vote(self, market: int, wallet: int, *, like: bool) -> None:
        """Add a wallet's vote on chain."""
        self.story.append(("ProposalVoteSubmitted", market, wallet, {"vote": like}, None))

    def describe(self, market: int, question: str, *, category: str = "crypto") -> None:
        """Set a market's metadata as its creator."""
        self.owner.execute(
            "insert into app.market_metadata (market_id, wallet_no, question, category)"
            " select %s, wallet_no, %s, %s from raw.wallets_seen where wallet = %s",
            [market_id(market), question, category, address(CREATOR)],
        )

    def position(self, seq: int | None = None) -> str:
        """The position of an entry as the API writes it, with its mark; the newest entry unless another is named."""
        query = (
            "select i.epoch || ':' || h.seq || coalesce(':' || raw.mark_of(h.seq), '') from raw.identity as i"
            " cross join (select coalesce(%s, (select max(seq) from raw.feed)) as seq) as h"
        )
        row = self.owner.execute(query, (seq,)).fetchone()
        assert row is not None
        return str(row[0])

    def head(self) -> tuple[str, int]:
        """Epoch and newest seq."""
        row = self.owner.execute(
            "select epoch::text, (select coalesce(max(seq), 0) from raw.feed) from raw.identity"
        ).fetchone()
        assert row is not None
        return row[0], row[1]

    def settings(self, **more: str) -> settings.Settings:
        """Return the configuration of a process that reads this log."""
        return settings.load(
            {
                "DATABASE_URL": self.database.dsn(),
                "DATABASE_URL_API": self.database.dsn("zmart_api"),
                "RATE_LIMIT_PER_MINUTE": "0",
                **more,
            }
        )
