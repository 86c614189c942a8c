"""A played history behind a real API: chain, log, marts, server, and a wallet with money, in a thread of their own.

For callers that block (schemathesis, a client in another process, Node) while everything they talk to runs on.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import chain_stack
import httpx
from api_fixtures import start_server
from wallets import SIGNING_IN, Wallet

from api.__main__ import ApiServer, server
from devchain.blocks import LandedTransaction
from zmart import settings, testing

SOL = 1_000_000_000
TIMEOUT_SECONDS = 60.0
#: There is a market in each of these, whatever the actors did.
STATES = ("PROPOSED", "ACTIVE", "FINALIZED")
T = TypeVar("T")


@dataclass
class RecordedChain:
    """What the thread serves."""

    stack: chain_stack.ChainStack
    loop: asyncio.AbstractEventLoop
    configuration: settings.Settings
    wallet: Wallet
    running: ApiServer | None = None
    task: asyncio.Task[Any] | None = None
    port: int = 0
    delivered: set[str] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self.port}"

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run something where the chain and the server live, and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(TIMEOUT_SECONDS)

    async def start(self) -> None:
        """Serve on a free port, or on the one that was served on before."""
        self.running = server(self.configuration)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            self.task = await start_server(self.running, self.port)
        self.port = self.running.servers[0].sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """What SIGTERM does."""
        assert self.running is not None
        assert self.task is not None
        self.running.close_streams()
        self.running.should_exit = True
        await self.task

    async def catch_up(self) -> None:
        """Deliver what landed since."""
        new = [one for one in self.stack.landed_transactions() if str(one.signature) not in self.delivered]
        await self._deliver(new)

    async def _deliver(self, landed: list[LandedTransaction]) -> None:
        await self.stack.deliver(landed)
        self.delivered.update(str(one.signature) for one in landed)

    def fetch_all(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        return self.stack.fetch_all(query)

    async def reach(self, *states: str) -> None:
        """Let the actors act until there is a market in each of these states; markets go on to their ends."""
        for _ in range(100):
            if all(self.market(state) for state in states):
                return
            await self.stack.play(3)
            await self.catch_up()
        raise AssertionError(f"in 300 blocks there was no market in each of {states}")

    def market(self, state: str) -> str | None:
        """A market of this state, the most traded first; None where there is none."""
        rows = self.fetch_all(
            f"select id from marts.markets where is_known and state = '{state}' order by trades_count desc limit 1"
        )
        return rows[0][0] if rows else None

    def signed_in(self) -> dict[str, Any]:
        """A new session of the wallet."""

        async def sign_in() -> dict[str, Any]:
            async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
                return await self.wallet.session(client)

        return self.run(sign_in())


@contextlib.contextmanager
def serve_recorded_chain(database: testing.PostgresDatabase, folder: Path, **more: str) -> Iterator[RecordedChain]:
    """Some minutes of history, all delivered, and an API over it without limits."""
    ready, found = threading.Event(), []
    loop = asyncio.new_event_loop()
    ending = asyncio.Event()

    async def live() -> None:
        async with chain_stack.open_chain_stack(folder, database, past_hours=0.2) as stack:
            configuration = settings.load(
                {
                    "DATABASE_URL": database.dsn(),
                    "DATABASE_URL_API": database.dsn("zmart_api"),
                    "DATABASE_URL_ANALYST": database.dsn("analyst"),
                    "ANALYST_SQL": "true",
                    "SOLANA_RPC_URL": stack.node.url,
                    "SOLANA_CLUSTER": "localnet",
                    **SIGNING_IN,
                    **more,
                }
            )
            here = RecordedChain(stack, loop, configuration, Wallet())
            await stack.node.call("requestAirdrop", here.wallet.address, 1_000 * SOL)
            await stack.pass_blocks(2)
            await here.catch_up()
            await here.reach(*STATES)
            await here.start()
            found.append(here)
            ready.set()
            await ending.wait()
            await here.stop()

    thread = threading.Thread(target=_run, args=(loop, live(), ready), daemon=True)
    thread.start()
    ready.wait(120)
    assert found, "the history could not be played"
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join(TIMEOUT_SECONDS)


def _run(loop: asyncio.AbstractEventLoop, life: Coroutine[Any, Any, None], ready: threading.Event) -> None:
    try:
        loop.run_until_complete(life)
    finally:
        ready.set()
        if left := asyncio.all_tasks(loop):
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.wait(left))
        loop.close()
