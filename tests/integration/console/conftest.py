"""The console with all its services: a chain with actors, its log, an API process over it, and a browser.

stage        all of it, shared by a module's tests; nothing happens unless a test requests it
page         a fresh page at desktop width, which must neither log errors nor load from other origins
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import chain_stack
import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from devchain import demo_profiles
from devchain.market_plans import Tempo
from tests.fix_browser import FLAGS
from zmart import testing
from zmart.run import ports

PROJECT = Path(__file__).parents[3]
TIMEOUT_SECONDS = 30.0
expect.set_options(timeout=TIMEOUT_SECONDS * 1000)
DESKTOP = {"width": 1440, "height": 900}
#: Some markets that stay open, some that have ended, and a trade every second or two.
TEMPO = Tempo(markets=7, wallets=14, trades_per_second=1.2, proposal_seconds=20, trading_seconds=420)
HISTORY_HOURS = 0.17
#: More settings of the API.
SETTINGS: dict[str, str] = {}
#: The actors' categories weather and culture are "other" in the API.
CATEGORIES = frozenset({"politics", "sports", "crypto", "science", "entertainment"})


@dataclass
class ConsoleStack:
    """A development chain, the API over its log, and a browser."""

    stack: chain_stack.ChainStack
    browser: Browser
    port: int
    folder: Path
    settings: dict[str, str]
    _delivered: int = 0
    _process: asyncio.subprocess.Process | None = None
    #: Errors logged by pages and requests to other origins, per page.
    complaints: dict[Page, list[str]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Return the address of the API."""
        return f"http://127.0.0.1:{self.port}"

    # --- the log

    async def deliver(self) -> None:
        """Deliver the transactions since the last call."""
        landed = self.stack.landed_transactions()[self._delivered :]
        self._delivered += len(landed)
        await self.stack.deliver(landed)

    async def trade(self, market: str) -> dict[str, Any]:
        """Let the actors act until this market is traded; return the newest trade."""
        before = await self.newest_trade(market)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while (newest := await self.newest_trade(market)) == before:
                await self.stack.play(1)
                await self.deliver()
        return newest

    async def newest_trade(self, market: str) -> dict[str, Any]:
        """Read the API's database."""
        rows = self.stack.fetch_all(
            "select row_to_json(t) from marts.trades as t where market_id = %s order by order_key desc limit 1", market
        )
        return rows[0][0] if rows else {}

    def open_market(self) -> str:
        """The active market with the most trades."""
        rows = self.stack.fetch_all(
            "select id from marts.markets where state = 'ACTIVE' order by trades_count desc limit 1"
        )
        return str(rows[0][0])

    def busiest_wallet(self) -> str:
        """The wallet with the most trades."""
        rows = self.stack.fetch_all(
            "select user_wallet from marts.trades group by user_wallet order by count(*) desc, user_wallet limit 1"
        )
        return str(rows[0][0])

    def compute_scheduled_marts(self) -> None:
        """Compute ranks and statements as Dagster does; twice, because one of these marts reads another."""
        with self.stack.database.connect("postgres") as owner:
            for (name,) in owner.execute("select name from ops.scheduled_models").fetchall() * 2:
                owner.execute("select folds.refresh(%s)", [name])

    def describe(self) -> None:
        """Creators set the metadata that the actors wrote."""
        lines = (self.folder / "markets.jsonl").read_text().splitlines()
        for metadata in map(json.loads, lines):
            category = metadata["category"] if metadata["category"] in CATEGORIES else "other"
            self.ask_about(metadata["market_id"], metadata["question"], metadata["description"], category)

    def ask_about(self, market: str, question: str, description: str | None = None, category: str = "other") -> None:
        """Set a market's metadata as its creator, with an entry in the log: a page reads it at once."""
        with self.stack.database.connect("postgres") as owner:
            owner.execute(
                "with creator as materialized ("
                "select id, set_config('zmart.wallet', creator_wallet, true) from marts.markets where id = %s)"
                " select app.set_market_metadata(id, %s, %s, %s, '{}', null, null) from creator",
                [market, question, description, category],
            )

    def decorate(self, market: str) -> str:
        """Give a market a picture and an event, both with the longest names; return the event's slug."""
        slug, picture = "w" * 69, demo_profiles.picture(market)
        with self.stack.database.connect("postgres") as owner:
            owner.execute(
                "insert into app.images (digest, content, media_type, width, height, wallet_no)"
                " select sha256(%(content)s), %(content)s, 'image/png', 64, 64, min(wallet_no) from raw.wallets_seen",
                {"content": picture},
            )
            owner.execute(
                "insert into app.event_groups (event_no, slug, title, description, wallet_no)"
                " select 1, %(slug)s, repeat('W', 200), repeat('y', 2000), min(wallet_no) from raw.wallets_seen",
                {"slug": slug},
            )
            owner.execute("insert into app.event_slugs (slug, event_no) values (%s, 1)", [slug])
            owner.execute(
                "insert into app.market_pages (market_no, image_digest, event_no, event_place)"
                " select market_no, sha256(%s), 1, 1 from raw.markets_seen where market_id = %s",
                [picture, market],
            )
        return slug

    # --- the process

    async def start(self) -> None:
        """Start the API and wait until it is ready."""
        environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": self.stack.database.dsn(),
            "DATABASE_URL_API": self.stack.database.dsn("zmart_api"),
            "ZMART_STATE_DIR": str(self.folder / "state"),
            "API_PORT": str(self.port),
            # Many pages a minute come from this one address.
            "RATE_LIMIT_PER_MINUTE": "0",
            **self.settings,
        }
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "api", cwd=PROJECT, env=environment, stdout=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(TIMEOUT_SECONDS), httpx.AsyncClient(base_url=self.url) as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get("/ready")).status_code == 200:
                        return
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Stop the API as a restart does."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            await self._process.wait()

    # --- the browser

    @contextlib.asynccontextmanager
    async def page(self, path: str = "/", **options: Any) -> AsyncIterator[Page]:
        """A page with a new profile, closed afterwards; its errors are collected."""
        context = await self.browser.new_context(**{"viewport": DESKTOP, "color_scheme": "dark", **options})
        context.set_default_timeout(TIMEOUT_SECONDS * 1000)
        page = await context.new_page()
        complaints = self.complaints[page] = []
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(self.url) else complaints.append(asked.url))
        try:
            await page.goto(self.url + path)
            yield page
        finally:
            await context.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(
    chromium: str,
    postgres_server: testing.PostgresServer,
    marts_template: testing.PostgresDatabase,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> AsyncIterator[ConsoleStack]:
    """Some history (ten minutes, or as the module sets), metadata set, the API serving."""
    options = {name: getattr(request.module, name, globals()[name]) for name in ("TEMPO", "HISTORY_HOURS", "SETTINGS")}
    folder = tmp_path_factory.mktemp("console")
    async with contextlib.AsyncExitStack() as stack:
        database = stack.enter_context(postgres_server.clone(marts_template))
        chain = await stack.enter_async_context(
            chain_stack.open_chain_stack(folder, database, tempo=options["TEMPO"], past_hours=options["HISTORY_HOURS"])
        )
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        stack.push_async_callback(browser.close)
        stage = ConsoleStack(chain, browser, ports.find_free_port(), folder, options["SETTINGS"])
        stack.push_async_callback(stage.stop)
        await chain.play(8)
        await stage.deliver()
        await chain.sync_task.verify()
        stage.describe()
        await stage.start()
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def page(stage: ConsoleStack) -> AsyncIterator[Page]:
    """A page on the open market; when it closes, it must have logged no error and sent no request to other origins."""
    async with stage.page(f"/#/market/{stage.open_market()}") as page:
        yield page
        assert stage.complaints[page] == []
