"""A generated history behind a real API: chain, log, marts, server and a funded wallet, in a separate thread.

For clients that block (schemathesis, a client in another process, Node) while chain and server run.
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
#: There is a market in each of these states, whatever the actors did.
STATES = ("PROPOSED", "ACTIVE", "FINALIZED")
T = TypeVar("T")


@dataclass
class RecordedChain:
    """The parts that the thread serves."""

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
        """Return the address of the API."""
        return f"http://127.0.0.1:{self.port}"

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the thread of chain and server, and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(TIMEOUT_SECONDS)

    async def start(self) -> None:
        """Serve on a free port, or on the previous one."""
        self.running = server(self.configuration)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            self.task = await start_server(self.running, self.port)
        self.port = self.running.servers[0].sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop as SIGTERM does."""
        assert self.running is not None
        assert self.task is not None
        self.running.close_streams()
        self.running.should_exit = True
        await self.task

    async def catch_up(self) -> None:
        """Deliver the transactions that landed since."""
        new = [one for one in self.stack.landed_transactions() if str(one.signature) not in self.delivered]
        await self._deliver(new)

    async def _deliver(self, landed: list[LandedTransaction]) -> None:
        await self.stack.deliver(landed)
        self.delivered.update(str(one.signature) for one in landed)

    def fetch_all(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        return self.stack.fetch_all(query)

    async def reach(self, *states: str) -> None:
        """Let the actors act until there is a market in each of these states; markets go through their whole lives."""
        for _ in range(100):
            if all(self.market(state) for state in states):
                return
            await self.stack.play(3)
            await self.catch_up()
        raise AssertionError(f"in 300 blocks there was no market in each of {states}")

    def market(self, state: str) -> str | None:
        """Return a market of this state, the most traded first; None if there is none."""
        rows = self.fetch_all(
            f"select id from marts.markets where is_known and state = '{state}' order by trades_count desc limit 1"
        )
        return rows[0][0] if rows else None

    def signed_in(self) -> dict[str, Any]:
        """Create a new session of the wallet."""

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
            wallet = Wallet()
            configuration = settings.load(
                {
                    "DATABASE_URL": database.dsn(),
                    "DATABASE_URL_API": database.dsn("zmart_api"),
                    "DATABASE_URL_ANALYST": database.dsn("analyst"),
                    "ANALYST_SQL": "true",
                    "SOLANA_RPC_URL": stack.node.url,
                    "SOLANA_CLUSTER": "localnet",
                    "MODERATOR_WALLETS": wallet.address,
                    **SIGNING_IN,
                    **more,
                }
            )
            here = RecordedChain(stack, loop, configuration, wallet)
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
    assert found, "the history could not be generated"
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
